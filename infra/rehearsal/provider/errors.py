"""The errors that leave the provider, in the words of the real one where a person would search for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ProviderError(Exception):
    """The call failed and the resource's state is as it was before."""


class InitializationFailed(ProviderError):
    """A create or update got half way: the resource exists and the engine must record it.

    The engine stores `properties` and `inputs` under `id` together with `reasons`, as it does for the gRPC detail
    `ErrorResourceInitFailed` (Pulumi does not taint: the next `up` sends an Update).
    """

    def __init__(
        self, id: str, properties: Mapping[str, Any], inputs: Mapping[str, Any], reasons: Sequence[str]
    ) -> None:
        super().__init__(f"{id}: " + "; ".join(reasons))
        self.id = id
        self.properties = dict(properties)
        self.inputs = dict(inputs)
        self.reasons = list(reasons)


class ApiError(Exception):
    """An AWS call was refused. `code` is the wire code; the text names the operation, as the real provider's does."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        super().__init__(f"{service}.{operation}: {code}: {message}")
        self.service = service
        self.operation = operation
        self.code = code
        self.message = message

    def is_code(self, *codes: str) -> bool:
        return self.code in codes

    def says(self, *texts: str) -> bool:
        """True when the message holds one of the texts, whatever the case."""
        message = self.message.lower()
        return any(text.lower() in message for text in texts)


class UnexpectedState(Exception):
    """A wait met a state that is neither pending nor the target (the provider's StateChangeConf words)."""


class WaitTimeout(Exception):
    """A wait ran out of time."""


class Unsupported(Exception):
    """The table has no rule for what was asked: nothing is dropped in silence."""
