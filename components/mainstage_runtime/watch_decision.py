"""What the watch makes of an endpoint: from an event, the live endpoint, the history and its own notes to what it
records and whether it wakes a person. Pure.

Events only say that there is something to look at: they come at least once, late and in any order
(https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-delivery-level.html), and SageMaker may send several
for one change (https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html, Note). The
verdict is always on what the live endpoint is now. A history's times are those of whoever wrote it and are never held
against AWS's.

An incident has a name that follows from what it is about, so that whoever comes to it first tells it, once. Notes are
names of small objects beside the history, each written once: `seen-` a release's update has really begun, `born-` the
endpoint was made when the history was so long, `told-` and `done-` an incident is being, or has been, told, `over-` an
incident has ended and is a new one if it comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import ReleaseEvent
from mainstage_runtime.release_live import Live

STATE_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"
DETAIL_TYPES = (STATE_CHANGE, DEPLOYMENT_CHANGE)
"""Both carry EndpointName, EndpointConfigName (what serves) and EndpointStatus in upper case with underscores
(IN_SERVICE, UPDATING); the second may carry PendingDeploymentSummary. Neither example has a FailureReason.
https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html"""

NOTES_PREFIX = "release-watch/"
"""Where in the registry's bucket the notes lie: `release-watch/<endpoint>/`."""

WATCH = "watch"
"""Who recorded it: `by` of the watch's events."""

ENDED, FOREIGN, BROKEN, UNASKED, RELEASED = "ended", "foreign", "broken", "unasked", "released"
"""What an incident is: a release of ours ended without its configuration in service; the same of an update that is no
`up`'s: a person's step back (`start` tells of it), or one that nobody asked for; the endpoint does not leave its state
by itself; the live configuration is one that nobody asked for; a release came into service (which wakes nobody)."""

_BROKEN = ("failed", "outofservice", "updaterollbackfailed")
_CLOSING = (history.RELEASED, history.UNPROVEN, history.TAKEN_BACK, history.FAILED)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What an event says."""

    id: str
    endpoint: str
    account_id: str
    region: str
    at: str
    """When it happened, as the event writes it: RFC 3339, or milliseconds since 1970."""
    status: str
    pending: str
    """Configuration that is being deployed; empty: none is named."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that is recorded, and mostly wakes a person."""

    name: str
    what: str
    """One of ENDED, FOREIGN, BROKEN, UNASKED, RELEASED."""
    configuration: str
    """Configuration that it is about."""
    serves: str | None
    """Configuration that serves now; None: none does."""
    start: ReleaseEvent | None = None
    """How the release began that it is about; None: nobody knows."""
    known: ReleaseEvent | None = None
    """The same, as somebody has recorded it already. None: the watch has to."""

    @property
    def pages(self) -> bool:
        return self.what != RELEASED


@dataclass(frozen=True, kw_only=True)
class Decision:
    notes: tuple[str, ...] = ()
    """Notes to write, whatever else is done."""
    incident: Incident | None = None


def told_of(event: Mapping[str, Any]) -> Told:
    """The event as EventBridge hands it over. Raises KeyError, TypeError or ValueError for what is no such event."""
    detail = event["detail"]
    if event["detail-type"] not in DETAIL_TYPES:
        raise ValueError(f"no event of an endpoint: {event['detail-type']!r}")
    return Told(
        id=str(event["id"]),
        endpoint=str(detail["EndpointName"]),
        account_id=str(event["account"]),
        region=str(event["region"]),
        at=str(event["time"]),
        status=str(detail.get("EndpointStatus") or ""),
        pending=str((detail.get("PendingDeploymentSummary") or {}).get("EndpointConfigName") or ""),
    )


def decide(told: Told, live: Live | None, events: Sequence[ReleaseEvent], notes: Collection[str]) -> Decision:
    """What is to be noted, recorded and told now. `live` None: there is no such endpoint (any more), and whoever took
    it away knows."""
    if live is None:
        return Decision()
    written: list[str] = []
    start, verdict = latest_release(events)
    seen = start is not None and start.configuration in (told.pending, live.pending_configuration)
    if start is not None and seen:
        written.append(seen_note(start))
    seen = seen or (start is not None and seen_note(start) in notes)
    if "creating" in (_state(told.status), _state(live.status)):
        written.append(f"born-{_short(live.created.isoformat())}-{len(events)}")

    state = _state(live.status)
    incident: Incident | None = None
    if state in _BROKEN:
        incident = _broken(live, events, notes, start)
    elif state == "rollingback":
        incident = _rolling_back(told, live, events, notes, start, verdict)
    elif state == "inservice":
        rolled_back = _state(told.status) == "rollingback"
        incident = _at_rest(live, events, notes, start, verdict, began=seen or rolled_back)
        if incident is None or incident.what in (ENDED, RELEASED):
            written += _over(notes)
    if incident is not None and f"done-{incident.name}" in notes:
        incident = None
    return Decision(notes=tuple(note for note in written if note not in notes), incident=incident)


def latest_release(events: Sequence[ReleaseEvent]) -> tuple[ReleaseEvent | None, ReleaseEvent | None]:
    """How the latest release began, and how it ended. A verdict that could not be had is none."""
    start: ReleaseEvent | None = None
    verdict: ReleaseEvent | None = None
    for event in events:
        if event.kind == history.STARTED:
            start, verdict = event, None
        elif start is not None and (
            event.kind == history.ROLLED_BACK or (event.kind in _CLOSING and event.configuration == start.configuration)
        ):
            verdict = event
    return start, verdict


def seen_note(start: ReleaseEvent) -> str:
    """The note that the update of this release has really begun."""
    return f"seen-{_short(start.at, start.configuration)}"


def _broken(live: Live, events: Sequence[ReleaseEvent], notes: Collection[str], start: ReleaseEvent | None) -> Incident:
    configuration = live.pending_configuration or (start.configuration if start else "") or live.configuration
    state = _state(live.status)
    # It is in service with a mix of both (API reference, DescribeEndpoint, EndpointStatus).
    serves = live.configuration if state == "updaterollbackfailed" else None
    theirs = (history.FAILED, configuration)
    known = next((event for event in _since_start(events) if (event.kind, event.configuration) == theirs), None)
    name = _again(f"{BROKEN}-{_short(state, configuration, _epoch(events))}", notes)
    return Incident(name=name, what=BROKEN, configuration=configuration, serves=serves, start=start, known=known)


def _rolling_back(
    told: Told,
    live: Live,
    events: Sequence[ReleaseEvent],
    notes: Collection[str],
    start: ReleaseEvent | None,
    verdict: ReleaseEvent | None,
) -> Incident | None:
    """A change of weights or counts rolls back too (same page): nothing was released, and nobody is woken."""
    tried = live.pending_configuration or told.pending
    ours = start is not None and tried in ("", live.configuration, start.configuration)
    if start is not None and ours and (verdict is None or verdict.kind in (history.TAKEN_BACK, history.FAILED)):
        return _ended(start, verdict, live.configuration)
    if not tried or tried == live.configuration:
        return None
    name = _again(f"{FOREIGN}-{_short(tried, _epoch(events))}", notes)
    known = _known(name, events, tried, (history.TAKEN_BACK, history.FAILED))
    asked = [event for event in events if event.kind in (history.STARTED, history.ROLLED_BACK)][-1:]
    mine = next((event for event in asked if event.kind == history.ROLLED_BACK and event.serves == tried), None)
    return Incident(name=name, what=FOREIGN, configuration=tried, serves=live.configuration, start=mine, known=known)


def _at_rest(
    live: Live,
    events: Sequence[ReleaseEvent],
    notes: Collection[str],
    start: ReleaseEvent | None,
    verdict: ReleaseEvent | None,
    *,
    began: bool,
) -> Incident | None:
    """`began`: the latest release's update was really sent. Until then the endpoint is still what it was, and an
    older event that comes in that moment proves nothing."""
    expected = history.expected_configurations(events)
    born = f"born-{_short(live.created.isoformat())}-{len(events)}" in notes
    if expected and live.configuration not in expected and not born:
        name = _again(f"{UNASKED}-{_short(live.configuration, _epoch(events))}", notes)
        known = _known(name, events, live.configuration, (history.UNASKED,))
        return Incident(
            name=name, what=UNASKED, configuration=live.configuration, serves=live.configuration, known=known
        )
    if start is None:
        return None
    if verdict is not None:
        # Others recorded it; a person is woken all the same. Not for an update that was refused at once, of which
        # whoever asked for it knows, and not once more for one that a person has just brought back from BROKEN.
        ended = verdict.kind == history.TAKEN_BACK or (verdict.kind == history.FAILED and began)
        news = ended and live.configuration != start.configuration and not _told_broken(notes)
        return _ended(start, verdict, live.configuration) if news else None
    if live.configuration == start.configuration and (began or start.serves != start.configuration):
        name = f"{RELEASED}-{_short(start.at, start.configuration)}"
        return Incident(
            name=name, what=RELEASED, configuration=start.configuration, serves=live.configuration, start=start
        )
    return _ended(start, None, live.configuration) if began and live.configuration != start.configuration else None


def _ended(start: ReleaseEvent, verdict: ReleaseEvent | None, serves: str) -> Incident:
    """One name from the first sign of it to the last."""
    name = f"{ENDED}-{_short(start.at, start.configuration)}"
    return Incident(name=name, what=ENDED, configuration=start.configuration, serves=serves, start=start, known=verdict)


def _since_start(events: Sequence[ReleaseEvent]) -> list[ReleaseEvent]:
    starts = [number for number, event in enumerate(events) if event.kind == history.STARTED]
    return list(events[starts[-1] :]) if starts else list(events)


def _known(name: str, events: Sequence[ReleaseEvent], configuration: str, kinds: Sequence[str]) -> ReleaseEvent | None:
    """What the watch recorded of this incident: it was here before, and could not tell it. Incidents of the same
    state of affairs that are over have a record each."""
    theirs = [number for number, event in enumerate(events) if not _own(event)]
    since = events[theirs[-1] + 1 :] if theirs else events
    found = [event for event in since if event.kind in kinds and event.configuration == configuration]
    times_over = int(name.rpartition("-")[2])
    return found[-1] if len(found) > times_over else None


def _own(event: ReleaseEvent) -> bool:
    return event.kind == history.UNASKED or event.by == WATCH


def _epoch(events: Sequence[ReleaseEvent]) -> str:
    """The last thing that people or their runs did: what is told after it is told of the same state of affairs."""
    for event in reversed(events):
        if not _own(event):
            return f"{event.at} {event.kind} {event.configuration}"
    return ""


def _again(incident: str, notes: Collection[str]) -> str:
    """The incident's name with how often it was over before."""
    return f"{incident}-{sum(note.startswith(f'over-{incident}-') for note in notes)}"


def _over(notes: Collection[str]) -> list[str]:
    """Notes that close what was told and can come again: the endpoint serves what it should."""
    again = tuple(f"told-{what}-" for what in (FOREIGN, BROKEN, UNASKED))
    ended = [note.removeprefix("told-") for note in sorted(notes) if note.startswith(again)]
    return [f"over-{incident}" for incident in ended if f"over-{incident}" not in notes]


def _told_broken(notes: Collection[str]) -> bool:
    return any(note.startswith(f"over-{BROKEN}-") for note in _over(notes))


def _state(status: str) -> str:
    """IN_SERVICE of an event and InService of DescribeEndpoint alike: inservice."""
    return status.replace("_", "").lower()


def _short(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
