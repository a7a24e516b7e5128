"""How an `up` or a preview ended, whichever engine ran it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Went:
    """How it ended."""

    ok: bool
    told: str
    """All that it said: errors first, then warnings and what the program printed."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Resources by operation: create, update, replace, delete, same."""
    urns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Operation -> the URNs of it; empty where the engine does not tell."""
