"""What a drill is, and what became of one that was played."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.rehearsal.drills.timeline import Timeline

if TYPE_CHECKING:
    from infra.rehearsal.drills.stage import Stage


IN_PROCESS, PULUMI = ENGINES = ("in-process", "pulumi")
"""What can bring a drill's stack up. Every drill is played by both."""


class DrillFailed(AssertionError):
    """A promise that was not kept; the message says what was seen and what had to be."""


@dataclass(frozen=True)
class Protection:
    """What keeps a drill's promise, and how it is taken away to see that nothing else does."""

    what: str
    """In a few words: "the errors guard takes the release back"."""
    removed: Callable[[], AbstractContextManager[object]]
    """While the block runs the platform is without it, as far as it runs in this process: see child.hold for others."""


@dataclass(frozen=True)
class Drill:
    """A scripted incident."""

    name: str
    """Small letters, digits and hyphens, at most 24 characters: its models are named by it."""
    title: str
    promise: str
    """What a person may rely on, a sentence."""
    protection: Protection
    play: Callable[[Stage], None]
    """Plays it and raises DrillFailed when the promise is not kept."""


@dataclass
class Outcome:
    """A drill that was played."""

    name: str
    title: str
    promise: str
    protection: str
    kept: bool
    engine: str = IN_PROCESS
    """Which of ENGINES brought the stack up."""
    problem: str = ""
    """Why it failed; empty when the promise was kept."""
    broke: bool = False
    """Whether the drill itself broke: an error instead of a promise that was seen not kept."""
    seconds: float = 0.0
    timeline: Timeline = field(default_factory=Timeline)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "promise": self.promise,
            "protection": self.protection,
            "engine": self.engine,
            "ok": self.kept,
            "problem": self.problem,
            "seconds": round(self.seconds, 2),
            "minutes": [each.as_dict() for each in self.timeline.minutes],
            "marks": [each.as_dict() for each in self.timeline.marks],
        }
