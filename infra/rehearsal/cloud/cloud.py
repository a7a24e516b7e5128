"""The emulated cloud: one account in one region of AWS, in this process, behind one door."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud import guard
from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.capacity import Capacity
from infra.rehearsal.cloud.clients import DoorSession
from infra.rehearsal.cloud.clock import Clock
from infra.rehearsal.cloud.door import Door
from infra.rehearsal.cloud.faults import Faults
from infra.rehearsal.cloud.iam.principals import OPERATOR_ACCESS_KEY_ID, Principals
from infra.rehearsal.cloud.journal import Journal
from infra.rehearsal.cloud.metrics import MetricStore
from infra.rehearsal.cloud.moto_backend import MotoBackend
from infra.rehearsal.cloud.pace import Pace
from infra.rehearsal.cloud.server import Server
from infra.rehearsal.cloud.store import Store

if TYPE_CHECKING:
    import boto3

    from infra.rehearsal.cloud.events.bus import EventBus


_live_lock = threading.Lock()
_live: Cloud | None = None


class Cloud:
    """An emulated AWS account.

    account_id: twelve digits. region: the region that clients use when they name none.
    directory: where the cloud may write (logs, model hosts); made when missing. seed: ids repeat for the same seed and
    the same order of calls. operator_access_key_id: whoever knows it may do everything; a cloud that is served gets one
    that nobody can guess.
    One cloud may live per process, because moto's backends are process-wide: a second `start` is a RuntimeError.
    """

    def __init__(
        self,
        *,
        account_id: str,
        region: str,
        directory: Path,
        seed: int = 0,
        operator_access_key_id: str = OPERATOR_ACCESS_KEY_ID,
    ):
        if len(account_id) != 12 or not account_id.isdecimal():
            raise ValueError(f"Cloud: account_id is {account_id!r}; an AWS account id is twelve digits")
        self.account_id = account_id
        self.region = region
        self.directory = directory
        self.seed = seed
        self.operator_access_key_id = operator_access_key_id
        self.clock = Clock()
        self.pace = Pace(self.clock)
        self.capacity = Capacity()
        self.journal = Journal()
        self.faults = Faults()
        self.metrics = MetricStore(self.clock)
        self.messages: list[Any] = []
        """What topics published, oldest first; the overlay's SNS appends."""
        self._moto = MotoBackend(seed)
        self._store = Store(self)
        self.door = Door(self, self._moto, self._store)
        self._callbacks_close: list[Callable[[], None]] = []
        self._callbacks_reset: list[Callable[[], None]] = []
        self._server: Server | None = None
        self._serving = threading.Lock()
        self._sessions: dict[str, DoorSession] = {}
        self._session_lock = threading.Lock()
        self._started = False
        self.principals = Principals(self)

    @property
    def events(self) -> EventBus:
        """The default event bus: what services of the cloud tell of themselves goes in here."""
        from infra.rehearsal.cloud.events.bus import bus_of  # what it imports needs this module

        return bus_of(self)

    def start(self) -> None:
        """Opens the door. From here on this process may connect to loopback only."""
        global _live
        with _live_lock:
            if _live is not None:
                raise RuntimeError(
                    "an emulated cloud lives in this process already: moto's backends are process-wide, so there is one"
                    " at a time; close() that one first, or start this one in a process of its own"
                )
            _live = self
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            guard.install()
            self._moto.start()
        except BaseException:
            with _live_lock:
                _live = None
            raise
        self._started = True

    def close(self) -> None:
        """Stops the server, ends what runs and empties the backends. Safe to call twice."""
        global _live
        if not self._started:
            return
        with self._serving:
            self._started = False
            server, self._server = self._server, None
        try:
            self.pace.close()
            if server is not None:
                server.close()
            _run(self._callbacks_close)
        finally:
            self._moto.close()
            guard.remove()
            with _live_lock:
                _live = None

    def __enter__(self) -> Cloud:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset(self) -> None:
        """Empties backends, store, overlay, metrics, journal and faults; the clock shows real time again."""
        _run(self._callbacks_reset)
        self._moto.reset()
        self._store.reset()
        with self._session_lock:
            # The operator's key outlives the emptying, and clients are slow to make.
            self._sessions = {key: held for key, held in self._sessions.items() if key == self.operator_access_key_id}
        self.metrics = MetricStore(self.clock)
        self.messages.clear()
        self.faults.clear()
        self.capacity.clear()
        self.journal.clear()
        self.pace.reset()
        self.clock.reset()

    def session(self, principal: Principal | None = None) -> boto3.Session:
        """A boto3 session of this process, as `principal` or as the operator; the same one for the same credentials.

        Its requests go to the door as bytes. It is safe to share between threads.
        """
        credentials = self.principals.mint(principal or self.principals.operator)
        with self._session_lock:
            known = self._sessions.get(credentials.access_key_id)
            if known is None:
                known = self._sessions[credentials.access_key_id] = DoorSession(
                    self.door.handle,
                    access_key_id=credentials.access_key_id,
                    secret_access_key=credentials.secret_access_key,
                    session_token=credentials.session_token or None,
                    region=self.region,
                )
            return known

    def client(self, service: str, region: str | None = None) -> Any:
        """The operator's client of a service, made once."""
        return self.session().client(service, region_name=region)  # pyright: ignore[reportCallIssue, reportArgumentType] - the service is any of botocore's

    def serve(self, port: int = 0) -> str:
        """Opens the door to other processes on 127.0.0.1 and returns its URL. port 0 takes a free one.

        A port in use is an OSError that names it. Serving twice returns the URL that is served already. AwsError when
        the cloud is not open: what still starts while it closes would open a server that nobody closes.
        """
        with self._serving:
            if not self._started:
                raise AwsError("ServiceException", "The emulated cloud is not open.", 500)
            if self._server is None:
                self._server = Server(self.door.handle, port)
            return self._server.url

    def assume_role(self, role_arn: str, *, service: str, session_name: str, source_arn: str = "") -> boto3.Session:
        """A session of an AWS service under a role that was deployed.

        service: the service principal that takes the role, such as "sagemaker.amazonaws.com". source_arn: the resource
        on whose behalf, as aws:SourceArn. AwsError AccessDenied when the role is missing or its trust policy refuses.
        """
        return self.session(
            self.principals.assume(role_arn, service=service, session_name=session_name, source_arn=source_arn)
        )

    def answer(self, call: Call) -> dict[str, Any]:
        """Runs a call that something inside the cloud makes: everything behind the door after parsing."""
        return self.door.answer(call)

    def to_moto(self, call: Call) -> dict[str, Any]:
        """moto's parsed answer to a call; AwsError when moto answers an error."""
        return self.door.to_moto(call)

    def carried_by(self, service: str, operation: str) -> str | None:
        """Who answers an operation: "overlay", "store", "moto", or None when the cloud does not carry it."""
        return self.door.carried_by(service, operation)

    def on_close(self, callback: Callable[[], None]) -> None:
        """Calls back when the cloud closes, newest first."""
        self._callbacks_close.append(callback)

    def on_reset(self, callback: Callable[[], None]) -> None:
        """Calls back when the cloud is emptied, newest first."""
        self._callbacks_reset.append(callback)


def _run(callbacks: list[Callable[[], None]]) -> None:
    """Calls all, newest first. One that fails keeps no other from running; the failures are raised together."""
    failures: list[Exception] = []
    for callback in reversed(list(callbacks)):
        try:
            callback()
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise ExceptionGroup("parts of the emulated cloud failed to end", failures)
