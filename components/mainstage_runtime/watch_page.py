"""What the watch records of an incident, and the page that a person can act on. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import AlarmSeen, ReleaseEvent
from mainstage_runtime.release_live import Live, version_of
from mainstage_runtime.watch_decision import BROKEN, ENDED, FOREIGN, RELEASED, UNASKED, WATCH, Incident, Told

RUNBOOKS = {
    ENDED: "release-rolled-back",
    FOREIGN: "release-rolled-back",
    BROKEN: "release-stuck",
    UNASKED: "release-unasked",
}
"""Runbook by what an incident is: `<runbook_base_url>/<slug>.md`."""

LONGEST_SUBJECT = 99
"""Fewer than 100 characters (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html, Subject)."""
_LONGEST_WORDS = 1000


@dataclass(frozen=True, kw_only=True)
class Where:
    """What of a page does not depend on the incident."""

    environment: str
    endpoint_prefix: str
    runbook_base_url: str

    def model_of(self, endpoint: str) -> str:
        return endpoint.removeprefix(self.endpoint_prefix)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Which alarm ended a release."""

    alarm: AlarmSeen | None = None
    known: bool = False
    """False: the alarms could not be asked for the time of the release, so that none found proves nothing."""
    note: str = ""
    """Why they could not be asked."""


def event_of(incident: Incident, told: Told, live: Live, where: Where, cause: Cause, at: str) -> ReleaseEvent:
    """What the history says of the incident: what somebody has recorded already, else the watch's own event of `at`.

    A release that came to nothing although no alarm fired never came up: it may be sent again. Where that cannot be
    known it counts as taken back, which keeps it from being sent again by accident.
    """
    if incident.known is not None:
        return incident.known
    kind, reason = {
        BROKEN: (history.FAILED, f"the endpoint is {live.status}"),
        UNASKED: (history.UNASKED, "the live configuration is one that nobody asked for"),
        RELEASED: (history.RELEASED, "it came into service; the watch counts no requests"),
    }.get(incident.what, (history.TAKEN_BACK, "an alarm fired while it was being released"))
    if incident.what not in (BROKEN, UNASKED, RELEASED) and cause.alarm is None:
        kind, reason = (
            (history.FAILED, "the new fleet did not come up: no alarm fired")
            if cause.known
            else (history.TAKEN_BACK, "it was taken back; which alarm fired is not known")
        )
    if incident.what == FOREIGN and incident.start is None:
        reason = f"{reason}; nobody asked for this release"
    if live.failure_reason and incident.what not in (UNASKED, RELEASED):
        reason = f"{reason}. SageMaker: {live.failure_reason}"
    return ReleaseEvent(
        at=at,
        kind=kind,
        endpoint=told.endpoint,
        model=where.model_of(told.endpoint),
        configuration=incident.configuration,
        version=version_of(incident.configuration),
        serves=incident.serves,
        by=WATCH,
        reason=reason,
        alarm=cause.alarm,
    )


def page_of(
    incident: Incident, event: ReleaseEvent, told: Told, live: Live, where: Where, cause: Cause
) -> tuple[str, str]:
    """Subject and message of the page."""
    model, tried, serves = event.model, _shown(event.configuration), _shown(incident.serves)
    if incident.what == UNASKED:
        short = f"serves {serves}, which nobody asked for"
        what = f"{told.endpoint} serves {serves} of {model}. No release and no command of Mainstage asked for it."
    elif incident.what == BROKEN:
        mixed = incident.serves is not None
        short = "rolling back failed, two versions serve" if mixed else f"is {live.status} and serves nothing"
        what = f"{told.endpoint} is {live.status}. " + (
            "A release failed and so did taking it back: old and new fleet both serve."
            if mixed
            else "It answers no request, and only a person can bring it back."
        )
    elif event.kind == history.FAILED:
        short = f"{tried} did not come up, {serves} serves"
        what = f"The fleet of {tried} of {model} did not come up. No alarm fired; {serves} serves on."
    else:
        short = f"{tried} was taken back, {serves} serves"
        what = f"{_capital(tried)} of {model} was taken back while it was being released; {serves} serves."
    lines = [what, ""]
    lines += _line("Endpoint", f"{told.endpoint} in account {told.account_id}, region {told.region}")
    lines += _line("When", f"{told.at}, state now {live.status}")
    lines += _line("Serves", f"{serves} ({incident.serves})" if incident.serves else "nothing")
    if incident.what != UNASKED:
        begun = f", begun {incident.start.at} by {incident.start.by}" if incident.start else ", begun by nobody we know"
        lines += _line("Tried", f"{tried} ({event.configuration}){begun}")
    if event.alarm is not None:
        lines += _line("Alarm", f"{event.alarm.name}: {event.alarm.window}")
        lines += _line("", f"CloudWatch said: {event.alarm.value_told}" if event.alarm.value_told else "")
    elif event.kind == history.TAKEN_BACK:
        lines += _line("Alarm", f"not known{f' ({cause.note})' if cause.note else ''}")
    if event.requests is not None:
        lines += _line("Requests", f"the new fleet answered {event.requests}")
    lines += _line("SageMaker", live.failure_reason if incident.what != UNASKED else "")
    lines += _line("Then", _then(incident, event, tried))
    lines += _line("Runbook", f"{where.runbook_base_url}/{RUNBOOKS[incident.what]}.md")
    lines += _line("Next", f"mainstage model status {model} --target {where.environment}")
    subject = f"{told.endpoint}: {short}"
    return subject if len(subject) <= LONGEST_SUBJECT else f"{subject[: LONGEST_SUBJECT - 3]}...", "\n".join(lines)


def _then(incident: Incident, event: ReleaseEvent, tried: str) -> str:
    if incident.what == UNASKED:
        return "the next `up` refuses to release this model until a person has looked"
    if event.kind == history.TAKEN_BACK and event.version is not None:
        return f"{tried} is not released again until a person allows it; other versions are"
    return ""


def _shown(configuration: str | None) -> str:
    if not configuration:
        return "nothing"
    version = version_of(configuration)
    return f"configuration {configuration}" if version is None else f"version {version}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(name: str, text: str) -> list[str]:
    """One line of the message; none for no text. A line break in it would look like another field."""
    shown = " ".join(text.split())[:_LONGEST_WORDS]
    return [f"{f'{name}:' if name else '':<11}{shown}"] if shown else []
