"""Filter patterns of CloudWatch Logs over unstructured events: moto reads single terms and one phrase, and takes every
event for what it does not read.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxUnstructured.html. Patterns for
JSON and for fields between spaces, and regular expressions, are refused by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

from moto.logs import models

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import before
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_TERM = re.compile(r'([?-]?)(?:"((?:[^"\\]|\\.)*)"|([\w./:@=-]+))(?:\s+|$)')
_PARAMETERS = {
    ("logs", "FilterLogEvents"): "filterPattern",
    ("logs", "PutMetricFilter"): "filterPattern",
    ("logs", "PutSubscriptionFilter"): "filterPattern",
}


@dataclass(frozen=True)
class Pattern:
    """A pattern that has been read: the terms an event has to hold, may hold, and must not hold. Case matters."""

    every: tuple[str, ...] = ()
    some: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def matches(self, message: str) -> bool:
        if not all(term in message for term in self.every) or any(term in message for term in self.none):
            return False
        # "?" beside terms of another kind counts for nothing (same page).
        return bool(self.every or self.none or not self.some) or any(term in message for term in self.some)


def read(pattern: str | None) -> Pattern:
    """No pattern matches every event. Raises AwsError for what is no pattern, and for what is not carried."""
    text = (pattern or "").strip()
    if text[:1] in ("{", "[", "%"):
        raise AwsError(
            "NotCarried", f"The emulated cloud carries filter patterns of terms and phrases, not {text[:40]!r}.", 501
        )
    found: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise AwsError("InvalidParameterException", "Invalid filter pattern")
        found[term[1]].append(term[3] if term[2] is None else re.sub(r"\\(.)", r"\1", term[2]))
        at = term.end()
    return Pattern(tuple(found[""]), tuple(found["?"]), tuple(found["-"]))


class _Patterns:
    """moto's events are matched with `read`."""

    def __init__(self, cloud: Cloud):
        self._patch = mock.patch.object(models, "EventMessageFilter", read)
        self._patch.start()

    def close(self) -> None:
        self._patch.stop()


def _check(call: Call) -> None:
    read(call.params.get(_PARAMETERS[call.service, call.operation]))
    state_of(call.cloud, _Patterns)


for _service, _operation in _PARAMETERS:
    before(_service, _operation)(_check)
