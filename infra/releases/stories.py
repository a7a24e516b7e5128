"""The history of a model's releases as a person tells it: one story a release.

Whoever is there writes down what it saw: the hook of the `up` that released, and the watch, which needs no `up` that is
alive. So the history may have up to three events of one release: that it began, and how it ended, twice. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mainstage_runtime.release_history import (
    FAILED,
    RELEASED,
    STARTED,
    TAKEN_BACK,
    UNASKED,
    UNKNOWN,
    UNPROVEN,
    VERDICTS,
    ReleaseEvent,
)
from mainstage_runtime.watch_decision import WATCH

_TELLING = (UNPROVEN, RELEASED, TAKEN_BACK, FAILED, UNKNOWN)
"""Of two words for one end the one that says more comes first."""
_ENDS = ({UNPROVEN, RELEASED}, {TAKEN_BACK, FAILED})
"""Words that can be said of one end: it came into service, or it did not."""


@dataclass(frozen=True)
class Story:
    """One release, or one thing that a person did."""

    events: tuple[ReleaseEvent, ...]
    """What was written of it, oldest first; never empty."""

    @property
    def began(self) -> ReleaseEvent | None:
        """How the release began; None for what is no release, and for an endpoint's first one."""
        return self.events[0] if self.events[0].kind == STARTED else None

    @property
    def verdict(self) -> ReleaseEvent | None:
        """How the release ended, everything told of it in one event; None while nobody knows, and for what is no
        release."""
        ends = [event for event in self.events if event.kind in VERDICTS]
        if not ends:
            return None
        # Who released knows more than the watch: who it was, why, and how many requests came.
        ends.sort(key=lambda event: (_TELLING.index(event.kind), event.by == WATCH))
        first = ends[0]
        return replace(
            first,
            at=min(event.at for event in ends if event.kind != UNKNOWN or first.kind == UNKNOWN),
            serves=next((event.serves for event in ends if event.serves is not None), None),
            by=(self.began or first).by,
            alarm=next((event.alarm for event in ends if event.alarm is not None), None),
            requests=next((event.requests for event in ends if event.requests is not None), None),
        )

    @property
    def told(self) -> ReleaseEvent:
        """All of it in one event: its end where that is known, else its beginning."""
        return self.verdict or self.events[0]

    def as_json(self) -> dict[str, Any]:
        """`told`, when it began, and the events as they were written."""
        began = self.began
        return {
            **asdict(self.told),
            "began": None if began is None else began.at,
            "events": [asdict(event) for event in self.events],
        }


def stories(events: Iterable[ReleaseEvent]) -> list[Story]:
    """The events of one endpoint, oldest first, as stories, oldest first."""
    found: list[list[ReleaseEvent]] = []
    release: list[ReleaseEvent] | None = None
    for event in events:
        if event.kind in VERDICTS and release is not None and _ends(release, event):
            release.append(event)
        elif event.kind == UNASKED and found and _same(found[-1], event):
            found[-1].append(event)
        else:
            found.append([event])
            if event.kind == STARTED or event.kind in VERDICTS:
                release = found[-1]
    return [Story(tuple(told)) for told in found]


def last_verdict(events: Iterable[ReleaseEvent]) -> ReleaseEvent | None:
    """How the latest release ended that has ended, oldest event first. None: none has."""
    return next((story.verdict for story in reversed(stories(events)) if story.verdict is not None), None)


def _ends(release: Sequence[ReleaseEvent], verdict: ReleaseEvent) -> bool:
    """Whether a verdict is one of this release: nobody has told its end yet, or the other one has told the same."""
    if verdict.configuration != release[0].configuration:
        return False
    known = [event for event in release if event.kind in VERDICTS and event.kind != UNKNOWN]
    if not known or verdict.kind == UNKNOWN:
        return True
    agrees = any({verdict.kind, *(event.kind for event in known)} <= words for words in _ENDS)
    return agrees and all((verdict.by == WATCH) != (event.by == WATCH) for event in known)


def _same(told: Sequence[ReleaseEvent], event: ReleaseEvent) -> bool:
    return told[-1].kind == event.kind and told[-1].configuration == event.configuration
