"""The history of a model's releases, for commands: read from the registry's bucket, and added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mainstage_runtime.release_history import (
    RELEASED,
    RETRY,
    ROLLED_BACK,
    STARTED,
    TAKEN_BACK,
    UNASKED,
    UNPROVEN,
    ReleaseEvent,
    ReleaseHistory,
    blocked,
    expected_configurations,
    moment_after,
)

from infra.layers.names import endpoint_name
from infra.registry.registry import Registry
from infra.registry.target import Target
from infra.releases.live import CHANGING, FAILED, Live, caller, live
from infra.releases.words import ReleaseError


def history_of(target: Target, model: str) -> ReleaseHistory:
    """The history in the target's registry. Raises RegistryError when the platform is not up there."""
    bucket = Registry.of(target).bucket
    return ReleaseHistory(target.client("s3"), bucket, endpoint_name(target.environment, model))


def blocked_versions(events: Sequence[ReleaseEvent]) -> dict[int, ReleaseEvent]:
    """Every version that `up` refuses, with what ended it, lowest first."""
    numbers = sorted({event.version for event in events if event.version is not None})
    return {number: found for number in numbers if (found := blocked(events, number)) is not None}


def has_served(events: Sequence[ReleaseEvent]) -> bool:
    """Whether an endpoint of this name ever served: it came into service, or a release began while it served."""
    return any(event.kind in (STARTED, RELEASED, UNPROVEN, TAKEN_BACK, ROLLED_BACK) for event in events)


def is_unasked(found: Live | None, events: Sequence[ReleaseEvent]) -> bool:
    """Whether the endpoint serves, at rest, a configuration that nobody asked for here."""
    expected = expected_configurations(events)
    if found is None or found.pending is not None or found.status in (*CHANGING, FAILED):
        return False
    return bool(expected) and found.configuration not in expected


def retry(target: Target, model: str, version: int, reason: str) -> tuple[ReleaseEvent, bool]:
    """Allows a version to be released again, or over a configuration that nobody asked for: (the event, whether it is
    new).

    Raises ReleaseError when neither stands in its way, or no reason is given.
    """
    if not reason.strip():
        raise ReleaseError("--reason is empty: say why it will go well this time; it stands in the history")
    history = history_of(target, model)
    events = history.events()
    ended, found = blocked(events, version), live(target, model)
    unasked = is_unasked(found, events)
    if ended is None and not unasked:
        allowed = [event for event in events if event.kind == RETRY and event.version == version]
        if allowed:
            return allowed[-1], False
        were = blocked_versions(events)
        told = f"{', '.join(map(str, were))}; say which one: --version {max(were)}" if were else "none"
        raise ReleaseError(
            f"{model}: version {version} was not taken back in {target}, so there is nothing to allow; versions that "
            f"were: {told}"
        )
    by = caller(target)
    event = ReleaseEvent(
        at=moment_after(events),
        kind=RETRY,
        endpoint=endpoint_name(target.environment, model),
        model=model,
        configuration=ended.configuration if ended is not None else "",
        version=version,
        serves=found.configuration if found is not None else None,
        by=by,
        reason=reason.strip(),
    )
    if unasked and found is not None and not _told(events, found.configuration):
        # A retry accepts what the history tells as unasked.
        told = replace(
            event,
            kind=UNASKED,
            configuration=found.configuration,
            version=found.version,
            reason="found by mainstage model retry",
        )
        history.add(told)
        event = replace(event, at=moment_after([told]))
    history.add(event)
    return event, True


def _told(events: Sequence[ReleaseEvent], configuration: str) -> bool:
    """Whether the latest thing told of is that this configuration serves unasked."""
    latest = [event for event in events if event.kind == UNASKED]
    return (
        bool(latest)
        and latest[-1].configuration == configuration
        and events.index(latest[-1])
        > max((index for index, event in enumerate(events) if event.kind == RETRY), default=-1)
    )
