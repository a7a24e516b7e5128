"""Why a release is not sent: what an update would silently break, or do again. Pure decisions over what was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import ReleaseEvent, blocked, expected_configurations
from mainstage_runtime.release_live import Guard, Live, version_of

from ._release_plan import ReleasePlan
from ._release_verdict import serving

PENDING, UNGUARDED, BLOCKED, UNASKED, FEWER, OTHER_VARIANT, ALARMED, MISSING = (
    "pending",
    "unguarded",
    "blocked",
    "unasked",
    "fewer",
    "other-variant",
    "alarmed",
    "missing-alarms",
)


@dataclass(frozen=True)
class Refusal:
    """One reason, and what a person can do about it."""

    rule: str
    text: str


def sends_update(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the provider will call UpdateEndpoint: another configuration or deployment configuration. Changed tags
    are sent by themselves (provider source, endpoint.go, HasChanges). `old` may say more than `new` does."""
    return not all(_covers(old.get(key), new.get(key)) for key in ("endpointConfigName", "deploymentConfig"))


def _covers(old: Any, new: Any) -> bool:
    """Whether everything that `new` says is so in `old`."""
    if isinstance(new, Mapping):
        return isinstance(old, Mapping) and all(_covers(old.get(key), item) for key, item in new.items())
    if isinstance(new, Sequence) and not isinstance(new, str):
        same_kind = isinstance(old, Sequence) and not isinstance(old, str) and len(old) == len(new)
        return same_kind and all(_covers(mine, theirs) for mine, theirs in zip(old, new, strict=True))
    return old == new


def sent_alarms(inputs: Mapping[str, Any]) -> frozenset[str]:
    """The rollback alarms that an update carries. They are ignored as changes, for a changed set replaces the live
    endpoint: what is sent is what a refresh read, which is nothing after an update by somebody without them."""
    rollback = (inputs.get("deploymentConfig") or {}).get("autoRollbackConfiguration") or {}
    return frozenset(str(alarm.get("alarmName")) for alarm in rollback.get("alarms") or ())


def refusals(
    plan: ReleasePlan, live: Live, events: Sequence[ReleaseEvent], guards: Sequence[Guard], sent: frozenset[str]
) -> list[Refusal]:
    """Every reason not to send the update, but for alarms that fire, which may stop by themselves."""
    if not live.at_rest:
        return [_pending(plan, live)]
    found: list[Refusal] = []
    if sent != frozenset(plan.alarms):
        found.append(_unguarded(plan, live))
    missing = [name for name in plan.alarms if name not in {guard.name for guard in guards}]
    if missing:
        found.append(Refusal(MISSING, f"these guard alarms do not exist: {', '.join(missing)}. Run up to make them"))
    if live.configuration != plan.configuration:
        found += [refusal for refusal in (_blocked(plan, events), _unasked(plan, live, events)) if refusal]
    if live.instances and plan.variant not in live.instances:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        found.append(
            Refusal(
                OTHER_VARIANT,
                f"the live variant is {', '.join(sorted(live.instances))} and this release's is {plan.variant}: "
                "guardrails need the same name in both fleets. Keep the name, or make another endpoint",
            )
        )
    running = live.instances.get(plan.variant, 0)
    if running > plan.instance_count:
        # The provider sends no RetainAllVariantProperties: UpdateEndpoint resets the count (provider source).
        found.append(
            Refusal(
                FEWER,
                f"{running} instances are live and this release would start with {plan.instance_count}, all traffic "
                f"on fewer. Raise capacity.instance_count to {running} for this release, or wait until fewer are live",
            )
        )
    return found


def _unguarded(plan: ReleasePlan, live: Live) -> Refusal:
    if live.rollback_alarms == frozenset(plan.alarms):
        return Refusal(
            UNGUARDED,
            "the live endpoint has its guard alarms, the stack's state has lost them, so this release would be sent "
            f"without. Put them back into the state first: mainstage model restore-guards {plan.model}",
        )
    return Refusal(
        UNGUARDED,
        "the live endpoint was updated by somebody without Mainstage's guard alarms, so this release would "
        f"have none. Bring them back first: mainstage model restore-guards {plan.model}",
    )


def _pending(plan: ReleasePlan, live: Live) -> Refusal:
    coming = f" to {live.pending_configuration}" if live.pending_configuration else ""
    since = f" since {live.pending_since:%Y-%m-%d %H:%M} UTC" if live.pending_since else ""
    return Refusal(
        PENDING,
        f"another deployment{coming} is under way{since} (the endpoint is {live.status}). Wait for its end "
        f"({plan.status_command} --watch), or take it back: mainstage model abort {plan.model}",
    )


def _blocked(plan: ReleasePlan, events: Sequence[ReleaseEvent]) -> Optional[Refusal]:
    event = blocked(events, plan.version)
    if event is None:
        return None
    what = "was rolled away from" if event.kind == history.ROLLED_BACK else "was taken back"
    why = f" by {event.alarm.name} ({event.alarm.window})" if event.alarm is not None else ""
    reason = f": {event.reason.rstrip('. ')}" if event.reason else ""
    return Refusal(
        BLOCKED,
        f"version {plan.version} {what} on {event.at[:16].replace('T', ' ')} UTC{why}{reason}. Let the catalog name "
        f"another version (mainstage model rollback {plan.model}), or allow it again: {plan.retry_command}",
    )


def _unasked(plan: ReleasePlan, live: Live, events: Sequence[ReleaseEvent]) -> Optional[Refusal]:
    """Refuses to release over a configuration that nobody asked for.

    One that the catalog declares and keeps was moved to by a person: only what that person moved away from is refused.
    """
    expected = expected_configurations(events)
    if not expected or live.configuration in expected:
        return None
    left = {version_of(configuration) for configuration in expected}
    if live.configuration in plan.declared and plan.version not in left:
        return None
    return Refusal(
        UNASKED,
        f"the endpoint serves {serving(live.configuration)}, which nobody asked for here "
        f"(asked for: {', '.join(sorted(serving(name) for name in expected))}). Let the catalog name what serves "
        f"(mainstage model rollback {plan.model}), or release over it: {plan.retry_command}",
    )


def unasked_event(plan: ReleasePlan, live: Live, *, by: str, at: str) -> ReleaseEvent:
    """What the history keeps of a live configuration that nobody asked for."""
    return ReleaseEvent(
        at=at,
        kind=history.UNASKED,
        endpoint=plan.endpoint,
        model=plan.model,
        configuration=live.configuration,
        version=version_of(live.configuration),
        serves=live.configuration,
        by=by,
        reason=f"found before the release of version {plan.version}",
    )


def told_unasked(events: Sequence[ReleaseEvent], configuration: str) -> bool:
    """Whether the history tells of this configuration already, with nothing asked for since."""
    for event in reversed(events):
        if event.kind == history.UNASKED and event.configuration == configuration:
            return True
        if event.kind in (history.STARTED, history.RELEASED, history.UNPROVEN, history.ROLLED_BACK):
            return False
    return False


def alarmed(guards: Sequence[Guard]) -> list[Refusal]:
    """A refusal for each guard in ALARM: SageMaker would end the release at once."""
    return [
        Refusal(
            ALARMED,
            f"guard {guard.name} is in ALARM since {guard.since:%Y-%m-%d %H:%M} UTC ({guard.window}) and would end the "
            f"release at once. {_way_out(guard)}",
        )
        for guard in guards
        if guard.state == "ALARM"
    ]


def _way_out(guard: Guard) -> str:
    if guard.name.endswith("-guard-stop"):
        return "A person raised it; it falls back to OK by itself within minutes. Run up again then"
    return "It falls back to OK once its window is clean. Run up again then"


def told(plan: ReleasePlan, found: Sequence[Refusal]) -> str:
    """The message of a release that is refused."""
    lines = [f"{plan.title} is not released to endpoint {plan.endpoint}"]
    lines += [f"{refusal.rule}: {refusal.text}" for refusal in found]
    lines.append(f"runbook: {plan.runbook}")
    return "\n".join(lines)
