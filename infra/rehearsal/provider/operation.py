"""What a row's code works with: one create, read, update or delete of one resource."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.model import StructureShape

from infra.rehearsal.provider.account import Account
from infra.rehearsal.provider.errors import ApiError, UnexpectedState, WaitTimeout
from infra.rehearsal.provider.names import unique_suffix
from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.translate import Call, Rules, from_api, to_api


class Clock(Protocol):
    def now(self) -> Any: ...


@dataclass(frozen=True)
class Timing:
    """How long the emulated provider waits. AWS's own limits stay in the rows; these are what a rehearsal changes."""

    poll_seconds: float = 0.05
    propagation_seconds: float = 1.0
    """Stands in for the real provider's two minutes of retries on IAM propagation: in the emulated cloud a role is
    there at once, so what is refused for a second stays refused."""
    settle_seconds: float = 0.0
    """Stands in for fixed sleeps (five seconds before a policy's default version is set)."""
    clock: Clock | None = None


@dataclass
class Operation:
    """`inputs` are the checked arguments, `state` the outputs in the engine's state (empty at create)."""

    row: Row
    account: Account
    timing: Timing
    urn: str
    inputs: Mapping[str, Any]
    state: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    changed: frozenset[str] = frozenset()
    timeout_seconds: float = 0.0
    """customTimeouts of the resource; 0 = the row's own."""

    @property
    def region(self) -> str:
        return self.inputs.get("region") or self.state.get("region") or self.account.region

    def created(self, id: str) -> None:
        """Records the id: from here on a failure leaves a resource that the engine knows."""
        self.id = id

    def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        return self.account.call(service, operation, self.region, params)

    def params(self, call: Call) -> dict[str, Any]:
        """The parameters that the arguments translate to."""
        return to_api(self.account.input_shape(call.service, call.operation), self.inputs, call).params

    def send(self, call: Call, /, **extra: Any) -> dict[str, Any]:
        return self.call(call.service, call.operation, **{**self.params(call), **extra})

    def described(
        self, service: str, operation: str, path: str, found: Mapping[str, Any], rules: Rules | None = None
    ) -> dict[str, Any]:
        """Properties from a structure that stands at `path` in the operation's output ("Vpcs" for its elements)."""
        shape: Any = self.account.model(service, operation).output_shape
        for step in filter(None, path.split(".")):
            shape = shape.members[step]
            if shape.type_name == "list":
                shape = shape.member
        assert isinstance(shape, StructureShape)
        return from_api(shape, found, self.row.schema.outputs, rules or {})

    def name_from(self, field_name: str = "name", prefix_name: str = "namePrefix") -> str:
        """The name to create under: given, or made from the prefix as Terraform does."""
        if self.inputs.get(field_name):
            return self.inputs[field_name]
        return (self.inputs.get(prefix_name) or "terraform-") + unique_suffix()

    # -- tags -----------------------------------------------------------------------------------------------

    def wanted_tags(self, inputs: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Default tags under the resource's own."""
        given = (self.inputs if inputs is None else inputs).get("tags") or {}
        return {**self.account.settings.default_tags, **given}

    def shown_tags(self, live: Mapping[str, str]) -> dict[str, Any]:
        """`tags` and `tagsAll` of live tags: default tags show in `tags` only where the program names them too."""
        settings = self.account.settings
        ours = {
            key: value
            for key, value in live.items()
            if not key.startswith("aws:")
            and key not in settings.ignored_tag_keys
            and not key.startswith(settings.ignored_tag_prefixes or ("\0",))
        }
        named = {**(self.state.get("tags") or {}), **(self.inputs.get("tags") or {})}
        own = {key: value for key, value in ours.items() if key in named or settings.default_tags.get(key) != value}
        return {"tags": own or None, "tagsAll": ours}

    # -- waiting --------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.timing.clock.now().timestamp() if self.timing.clock else time.monotonic()

    def wait(
        self,
        state_of: Callable[[], str],
        *,
        pending: Collection[str],
        target: Collection[str],
        timeout_seconds: float,
        what: str,
        reason: Callable[[], str] = str,
    ) -> None:
        """Polls until a target state. A state in neither list is an error at once, as in the real provider."""
        limit = self.timeout_seconds or timeout_seconds
        end = self.now() + limit
        while True:
            state = state_of()
            if state in target:
                return
            if state not in pending:
                detail = reason()
                wanted = ", ".join(sorted(target)) or "gone"
                text = f"waiting for {what}: unexpected state '{state}', wanted target '{wanted}'"
                raise UnexpectedState(f"{text}. last error: {detail}" if detail else text)
            if self.now() >= end:
                raise WaitTimeout(f"waiting for {what}: timeout after {limit:g} s (last state '{state}')")
            time.sleep(self.timing.poll_seconds)

    def retry(self, call: Callable[[], Any], when: Callable[[ApiError], bool], real_window: str) -> Any:
        """Repeats a refused call for the emulated window; `real_window` is the real provider's, for the text."""
        end = time.monotonic() + self.timing.propagation_seconds
        while True:
            try:
                return call()
            except ApiError as error:
                if not when(error):
                    raise
                if time.monotonic() >= end:
                    window = f"{self.timing.propagation_seconds:g} s here; the real provider goes on for {real_window}"
                    raise ApiError(
                        error.service, error.operation, error.code, f"{error.message} (retried for {window})"
                    ) from error
            time.sleep(self.timing.poll_seconds)

    def gone(self, call: Callable[[], Any], *codes: str, says: tuple[str, ...] = ()) -> bool:
        """Makes the call; True when AWS says that the thing is not there (done, for a delete)."""
        try:
            call()
        except ApiError as error:
            if error.is_code(*codes) or (says and error.says(*says)):
                return True
            raise
        return False

    def found(self, call: Callable[[], Any], *codes: str, says: tuple[str, ...] = ()) -> Any | None:
        """The answer, or None when AWS says that the thing is not there."""
        try:
            return call()
        except ApiError as error:
            if error.is_code(*codes) or (says and error.says(*says)):
                return None
            raise
