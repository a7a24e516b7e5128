"""What passed the door: one entry a call, for reports, tests and drills."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEPT_ENTRIES = 100_000
"""The newest entries that are kept. Counts go on over all of them."""

_IDENTIFIERS = ("name", "arn", "id", "ids", "bucket", "key", "variant", "uri", "group", "alias")
_LONGEST_IDENTIFIER = 256


@dataclass(frozen=True)
class Entry:
    """One call as it ended."""

    time: datetime
    service: str
    operation: str
    region: str
    """Empty when the request could not be read."""
    principal: str
    """ARN of the caller; empty when the caller was never known."""
    params: Mapping[str, str]
    """Top-level identifiers only (names, ARNs, ids): never a body and never a document."""
    outcome: str
    """"ok", or the error's code."""
    answered_by: str
    """"overlay", "store" or "moto"; "door" when the call was refused before it reached one of them."""
    ms: float


class Journal:
    """The calls in the order in which they ended. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self._counts: Counter[str] = Counter()
        self._answered_by: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            self._counts[f"{entry.service}.{entry.operation}"] += 1
            self._answered_by[entry.answered_by] += 1

    def entries(
        self, service: str | None = None, operation: str | None = None, outcome: str | None = None
    ) -> list[Entry]:
        """The kept entries, oldest first, narrowed to what is given."""
        with self._lock:
            kept = list(self._entries)
        return [
            entry
            for entry in kept
            if (service is None or entry.service == service)
            and (operation is None or entry.operation == operation)
            and (outcome is None or entry.outcome == outcome)
        ]

    def counts(self) -> dict[str, int]:
        """Calls by "service.operation", all outcomes, most frequent first."""
        with self._lock:
            return dict(self._counts.most_common())

    def answered_by(self) -> dict[str, int]:
        """Calls by who answered: "overlay", "store", "moto", or "door" for a refusal."""
        with self._lock:
            return dict(self._answered_by.most_common())

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._counts.clear()
            self._answered_by.clear()


def identifiers(params: Mapping[str, Any]) -> dict[str, str]:
    """The digest of a call's parameters that a journal may hold: top-level identifiers, no bodies."""
    found: dict[str, str] = {}
    for name, value in params.items():
        if not name.lower().endswith(_IDENTIFIERS):
            continue
        if isinstance(value, str):
            found[name] = value[:_LONGEST_IDENTIFIER]
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[name] = ",".join(value)[:_LONGEST_IDENTIFIER]
    return found
