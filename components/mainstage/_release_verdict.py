"""How a release ended, from what is live once the endpoint is at rest, and the one message that tells it.

The provider shows a release that SageMaker took back in two ways: as an error, when one of its polls meets
`RollingBack`, and as success, when the next poll finds `InService` again (hashicorp/terraform-provider-aws #48997,
internal/service/sagemaker/endpoint.go and wait.go). Both end here, and read alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import AlarmSeen, ReleaseEvent
from mainstage_runtime.release_live import IN_SERVICE, Live, version_of

from ._release_plan import ReleasePlan

_LONGEST_REASON = 600


class ReleaseError(Exception):
    """A release that was refused, or that did not end well. The message is for the person who runs `up`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a release ended."""

    kind: str
    """One of the history's VERDICTS."""
    serves: Optional[str]
    """Configuration that serves now; None: none does."""
    reason: str = ""
    """Why, in AWS's words where it has some."""
    alarm: Optional[AlarmSeen] = None
    requests: Optional[int] = None
    """Requests that the new fleet answered; None: not counted."""

    @property
    def good(self) -> bool:
        return self.kind in (history.RELEASED, history.UNPROVEN)


def judge(
    plan: ReleasePlan,
    live: Optional[Live],
    *,
    first: bool,
    sent: bool = True,
    alarm: Optional[AlarmSeen],
    minutes: Sequence[int],
    provider_error: str = "",
) -> Verdict:
    """The verdict on an endpoint at rest.

    `first`: the endpoint was made for this release, so there is no bake to prove anything. `sent`: SageMaker took the
    update; where it did not, an older failure reason may still be told and means nothing. `minutes`: requests that the
    new fleet answered, minute by minute. `provider_error`: what the provider failed with, empty when it did not.
    """
    requests = sum(minutes)
    if live is None:
        return Verdict(kind=history.FAILED, serves=None, reason=_short(provider_error) or "there is no such endpoint")
    reason = _short(live.failure_reason or provider_error)
    if live.status != IN_SERVICE:
        # UpdateRollbackFailed serves with a mix of both fleets (API reference, EndpointStatus): nobody can say which.
        told = f"the endpoint is {live.status}" + (f": {reason}" if reason else "")
        return Verdict(kind=history.FAILED, serves=None, reason=told, alarm=alarm, requests=requests)
    if live.configuration == plan.configuration:
        if first or max(minutes, default=0) >= plan.minimum_requests:
            return Verdict(kind=history.RELEASED, serves=live.configuration, requests=requests)
        most = max(minutes, default=0)
        came = f"at most {most} requests in a minute" if most else "not one request came"
        told = f"{came}, and the guards judge from {plan.minimum_requests} a minute on"
        return Verdict(kind=history.UNPROVEN, serves=live.configuration, reason=told, requests=requests)
    if not sent:
        return Verdict(kind=history.FAILED, serves=live.configuration, reason=_short(provider_error), requests=0)
    # SageMaker has no field that tells a rollback by alarm from a fleet that never came up, only its words.
    if alarm is None and live.failure_reason and not _tells_of_an_alarm(plan, live.failure_reason):
        return Verdict(kind=history.FAILED, serves=live.configuration, reason=reason, requests=requests)
    return Verdict(
        kind=history.TAKEN_BACK,
        serves=live.configuration,
        reason=_short(live.failure_reason)
        or ("" if alarm else "no alarm is known to have fired: somebody moved it back"),
        alarm=alarm,
        requests=requests,
    )


def _tells_of_an_alarm(plan: ReleasePlan, reason: str) -> bool:
    """The model's own name is no word of SageMaker's: it may be `fire-alarm`."""
    return "alarm" in reason.replace(plan.endpoint, "").replace(f"/{plan.model}/", "").lower()


def verdict_event(plan: ReleasePlan, verdict: Verdict, *, by: str, at: str) -> ReleaseEvent:
    """The verdict as the history keeps it."""
    return ReleaseEvent(
        at=at,
        kind=verdict.kind,
        endpoint=plan.endpoint,
        model=plan.model,
        configuration=plan.configuration,
        version=plan.version,
        serves=verdict.serves,
        by=by,
        reason=verdict.reason,
        alarm=verdict.alarm,
        requests=verdict.requests,
    )


def told(plan: ReleasePlan, verdict: Verdict, *, removed: bool = False) -> str:
    """The message of a release that is not simply good: one text, whichever way the provider showed it.

    `removed`: the endpoint never came into service and was deleted.
    """
    if verdict.kind == history.UNPROVEN:
        return "\n".join(
            [
                f"{plan.title} serves {plan.endpoint}, but it is unproven: {verdict.reason}",
                f"requests that it answered while the guards watched: {_count(verdict)}",
                f"next: {plan.status_command}; a longer bake_minutes or a time with traffic proves more",
            ]
        )
    if verdict.kind == history.TAKEN_BACK:
        return "\n".join([f"{plan.title} was taken back from endpoint {plan.endpoint}", *_facts(plan, verdict)])
    lines = [f"{plan.title} never came up on endpoint {plan.endpoint}", *_facts(plan, verdict, removed=removed)]
    return "\n".join(lines)


def _facts(plan: ReleasePlan, verdict: Verdict, *, removed: bool = False) -> list[str]:
    lines = [f"serves now: {serving(verdict.serves)}"]
    if verdict.alarm is not None:
        stopped = " (a person stopped the release)" if verdict.alarm.name.endswith("-guard-stop") else ""
        lines.append(f"alarm: {verdict.alarm.name}{stopped}")
        lines.append(f"window: {verdict.alarm.window}")
        if verdict.alarm.value_told:
            lines.append(f"CloudWatch: {verdict.alarm.value_told}")
    if verdict.reason:
        lines.append(f"reason: {verdict.reason}")
    if verdict.requests is not None:
        lines.append(f"requests that version {plan.version} answered: {verdict.requests}")
    if removed:
        lines.append("the endpoint, which never served, was deleted: the next up makes it again")
    lines.append(f"runbook: {plan.runbook}")
    blocked = verdict.kind == history.TAKEN_BACK or verdict.alarm is not None
    if blocked:
        lines.append(
            f"next: each up refuses version {plan.version} until the catalog names another one "
            f"(mainstage model rollback {plan.model}), or: {plan.retry_command}"
        )
    else:
        lines.append(f"next: mend what the reason says and run up again; {plan.status_command}")
    return lines


def serving(configuration: Optional[str]) -> str:
    """What serves, for a person: the version where the name tells it."""
    if configuration is None:
        return "nothing"
    version = version_of(configuration)
    return configuration if version is None else f"version {version} ({configuration})"


def unknown(plan: ReleasePlan, why: str, *, sent: bool = True) -> str:
    """The message when nobody can say what serves. `sent`: the update was sent, so it may go either way."""
    lines = [f"verdict unknown for {plan.title} on endpoint {plan.endpoint}: {why}"]
    if sent:
        lines.append("the release goes on or is taken back without this run; the alarms that guard it stay in force")
    else:
        lines.append("nothing was sent to SageMaker")
    lines += [f"runbook: {plan.runbook}", f"next: {plan.status_command} with valid credentials, then up again"]
    return "\n".join(lines)


def _count(verdict: Verdict) -> str:
    return "not counted" if verdict.requests is None else str(verdict.requests)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"
