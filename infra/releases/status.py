"""How a model's release stands: what is asked for in every environment, what serves, what is under way, what was taken
back, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from mainstage_runtime.release_history import HistoryError, ReleaseEvent, asked_configuration, blocked
from mainstage_runtime.release_live import IN_SERVICE

from infra.catalog import Model, load_catalog
from infra.registry.registry import RegistryError
from infra.registry.status import asked
from infra.registry.target import Target
from infra.releases.guards import unguarded
from infra.releases.live import FAILED, MIXED, ROLLING_BACK, Live, live
from infra.releases.past import blocked_versions, history_of, is_unasked
from infra.releases.rollback_now import steps_of
from infra.releases.stories import last_verdict
from infra.releases.traffic import MINUTES, Share, shares
from infra.releases.words import alarm_told, command, named, release_command
from infra.settings.schema import ENVIRONMENTS

KIND_WORDS = {
    "started": "began",
    "released": "released",
    "unproven": "released, unproven (too few requests to judge it)",
    "taken_back": "taken back",
    "failed": "failed (never came up)",
    "unknown": "ended unseen (verdict unknown)",
    "retry": "allowed again",
    "rolled_back": "moved away from",
    "unasked": "found serving, asked for by nobody",
}
"""What each kind of event is called before a person."""


@dataclass(frozen=True)
class Deployment:
    """A release under way."""

    version: str
    """In words: version 7."""
    configuration: str
    since: str
    """UTC, as AWS tells it; empty when it does not."""
    stages: tuple[str, ...]
    steps: str
    """How the traffic is to move, in words."""
    rolling_back: bool
    shares: tuple[Share, ...]
    """Empty while CloudWatch has counted nothing."""


@dataclass(frozen=True)
class ReleaseStatus:
    """How the release of one model stands."""

    model: str
    asked: Mapping[str, str]
    """Environment -> what the catalog asks for there."""
    serves: str
    """What serves in the target, in words: version 7."""
    agrees: bool
    """Whether what serves is what the catalog asks for, and nothing is under way."""
    deployment: Deployment | None = None
    unguarded: tuple[str, ...] = ()
    """Guards that the live endpoint's last update was not told of."""
    unasked: bool = False
    """Whether the live configuration is one that the history does not expect."""
    last_verdict: Mapping[str, Any] | None = None
    last_failure: str = ""
    """Why what was tried last does not serve, as AWS tells it; empty when it serves, or is being tried."""
    blocked: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Version -> the event for which `up` refuses it."""
    history_problem: str = ""
    """Why the history could not be read; empty when it was."""
    advice: tuple[str, ...] = ()
    """What to know and what to do, a line each."""


def asked_everywhere(root: Path) -> dict[str, dict[str, str]]:
    """Model -> environment -> what the catalog asks for."""
    found: dict[str, dict[str, str]] = {}
    for environment in ENVIRONMENTS:
        for name, model in load_catalog(root, environment).models.items():
            found.setdefault(name, {})[environment] = asked(model)
    return found


def release_status(target: Target, model: Model, asked_in: Mapping[str, str]) -> ReleaseStatus:
    """Reads AWS and the history. A history that may not be read is said, not raised; an endpoint that is not there is a
    status."""
    found = live(target, model.model)
    events, problem = _events(target, model.model)
    verdict = last_verdict(events)
    deployment = _deployment(target, found) if found is not None else None
    missing = tuple(unguarded(found)) if found is not None and found.status != FAILED else ()
    status = ReleaseStatus(
        model=model.model,
        asked=asked_in,
        serves=found.serves if found is not None and found.status not in ("Creating", FAILED) else "nothing",
        agrees=_agrees(found, model) and deployment is None,
        deployment=deployment,
        unguarded=missing,
        unasked=is_unasked(found, events),
        last_verdict=asdict(verdict) if verdict is not None else None,
        last_failure=_last_failure(found, events),
        blocked={number: asdict(each) for number, each in blocked_versions(events).items()},
        history_problem=problem,
    )
    lines = tuple(_advice(target, model, found, status, events))
    return ReleaseStatus(**{**vars(status), "advice": lines})


def _agrees(found: Live | None, model: Model) -> bool:
    return model.stable is None if found is None else found.status == IN_SERVICE and found.version == model.stable


def _events(target: Target, model: str) -> tuple[Sequence[ReleaseEvent], str]:
    try:
        return history_of(target, model).events(), ""
    except (ClientError, RegistryError, HistoryError) as error:
        return [], str(error)


def _last_failure(found: Live | None, events: Sequence[ReleaseEvent]) -> str:
    """AWS's reason, unless it is of something older than what was tried last. SageMaker does not say what it is about,
    nor when it forgets it (API reference, DescribeEndpoint, FailureReason)."""
    if found is None or found.status in ("Creating", "Updating", "SystemUpdating"):
        return ""
    serves_as_tried = found.status == IN_SERVICE and found.configuration == asked_configuration(events)
    return "" if serves_as_tried else found.failure_reason


def _deployment(target: Target, found: Live) -> Deployment | None:
    pending = found.pending
    if pending is None:
        return None
    try:
        counted = tuple(shares(target, found, pending))
    except ClientError:
        counted = ()
    return Deployment(
        version=named(found.endpoint, pending.configuration),
        configuration=pending.configuration,
        since=pending.started.isoformat(timespec="seconds") if pending.started is not None else "",
        stages=pending.stages,
        steps=steps_of(found.last_deployment),
        rolling_back=found.status == ROLLING_BACK,
        shares=counted,
    )


def _advice(
    target: Target, model: Model, found: Live | None, status: ReleaseStatus, events: Sequence[ReleaseEvent]
) -> Iterator[str]:
    """What a person should know, the most pressing first. Pure but for its arguments."""
    name = model.model
    if status.history_problem:
        yield f"the history of releases cannot be read, so what was taken back is not known: {status.history_problem}"
    if found is not None and found.status == MIXED:
        yield (
            "the release was to be taken back and could not be: old and new version serve mixed. "
            f"{command(target, 'rollback', name, '--now')}; if that is refused too, the runbook release-stuck"
        )
    if status.deployment is not None:
        yield from _of_deployment(target, name, found, status.deployment)
    elif status.unasked and found is not None and not status.agrees:
        yield (
            f"{found.serves} ({found.configuration}) serves and nobody asked for it here: somebody moved the endpoint "
            f"by hand, and up refuses to go over it. {_asks_for_it(target, name, found)}; "
            f"{command(target, 'retry', name, '--reason', 'WHY')} lets up release the catalog's"
        )
    if status.unguarded and status.deployment is None:
        yield (
            f"the last update was made without our rollback alarms ({len(status.unguarded)} of them are missing), and "
            f"up releases nothing unguarded: {command(target, 'restore-guards', name)}"
        )
    ended = blocked(events, model.stable) if model.stable is not None else None
    if ended is not None and status.agrees:
        yield (
            f"version {model.stable} serves and is asked for, and was {KIND_WORDS[ended.kind]} on "
            f"{ended.at[:19].replace('T', ' ')} UTC{because(ended)}: up leaves it as it is, and refuses to release a "
            f"change of it. {command(target, 'retry', name, '--reason', 'WHY')} allows that"
        )
    elif ended is not None and status.deployment is None:
        yield (
            f"version {model.stable} was {KIND_WORDS[ended.kind]} on {ended.at[:19].replace('T', ' ')} UTC"
            f"{because(ended)}, and up refuses it. {command(target, 'rollback', name)} asks for what serves; "
            f"a new version is promoted; or {command(target, 'retry', name, '--reason', 'WHY')}"
        )
    elif not status.agrees and status.deployment is None and not status.unasked and _up_helps(found, model):
        yield f"version {model.stable} is asked for, {status.serves} serves: {release_command(target)}"


def _up_helps(found: Live | None, model: Model) -> bool:
    """Whether what is missing is an update: one that is under way ends by itself, a broken endpoint has its runbook."""
    return model.stable is not None and (found is None or found.status == IN_SERVICE)


def _asks_for_it(target: Target, name: str, found: Live) -> str:
    if found.version is None:  # no version of ours stands for it
        return f"{command(target, 'rollback', name, '--to', 'VERSION')} asks for another"
    return f"{command(target, 'rollback', name)} asks for what serves"


def _of_deployment(target: Target, name: str, found: Live | None, under_way: Deployment) -> Iterator[str]:
    since = f" since {under_way.since[:19].replace('T', ' ')} UTC" if under_way.since else ""
    if under_way.rolling_back:
        yield f"{under_way.version} is being taken back; {found.serves if found else 'nothing'} serves"
        return
    stages = f" ({', '.join(under_way.stages)})" if under_way.stages else ""
    yield f"{under_way.version} is being released{since}{stages}: {under_way.steps}"
    if under_way.shares:
        parts = ", ".join(f"{each.version} {each.percent:g} % ({each.fleet} fleet)" for each in under_way.shares)
        yield f"traffic: {parts}; counted from Invocations by configuration over the last {MINUTES} minutes told"
    else:
        yield "traffic: CloudWatch has counted no request of this deployment yet, and AWS tells no shares"
    yield f"to take it back: {command(target, 'abort', name)}"


def because(event: ReleaseEvent) -> str:
    """Why a version was taken back, in brackets after a blank; empty when nobody told."""
    parts = []
    if event.alarm is not None:
        parts.append(f"alarm {alarm_told(event.alarm)}")
    if event.requests is not None:
        parts.append(f"{event.requests:,} requests to the new fleet")
    if event.reason:
        parts.append(event.reason)
    return f" ({'; '.join(parts)})" if parts else ""
