"""What a rehearsal tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`step` is the phase; `done` and `total` count within it (0: not known). An empty step ends the display."""

    step: str
    detail: str = ""
    done: int = 0
    total: int = 0


Tell = Callable[[Progress], None]
