"""Ends a release in its bake, from any machine: raises the stop alarm, which SageMaker obeys as any rollback alarm.

There is no call that stops an update (API reference of SageMaker: none is listed). The stop alarm is among the
endpoint's rollback alarms from its first day. SetAlarmState lasts until the next evaluation, "often within seconds"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html), and how often SageMaker looks
is written nowhere (unconfirmed), so the alarm is raised again until the endpoint is seen rolling back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from mainstage.guard_alarms import guard_alarm_names

from infra.registry.target import Target
from infra.releases.live import CHANGING, ROLLING_BACK, Live, Pending, caller, serving
from infra.releases.words import ReleaseError, command

WAIT_SECONDS = 180
"""How long `abort` looks for the rollback by default: SageMaker's next look at the alarms, and some."""
AGAIN_SECONDS = 5
LONGEST_REASON = 1023
"""SetAlarmState's StateReason."""


@dataclass(frozen=True)
class Aborted:
    """What an abort did."""

    model: str
    endpoint: str
    version: int | None
    """The version that was being released."""
    configuration: str
    serves: str
    """What serves instead, in words."""
    alarm: str
    raised: bool
    """False: the endpoint was rolling back already."""
    seen: bool
    """Whether SageMaker was seen taking the release back."""


def check(found: Live, target: Target) -> None:
    """Raises ReleaseError when there is no release that the stop alarm could end."""
    again = command(target, "status", found.model)
    if found.status == ROLLING_BACK:
        return
    if found.status == "Creating":
        raise ReleaseError(
            f"{found.endpoint} is being created: its first release has nothing to go back to, and no alarm ends it. "
            "When it does not come up, the next up starts anew"
        )
    if found.pending is None or found.status not in CHANGING:
        raise ReleaseError(
            f"{found.endpoint} is {found.status} and {found.serves} serves: nothing is being released, so there is "
            f"nothing to abort. To go back to the version before: {command(target, 'rollback', found.model, '--now')}"
        )
    stop = guard_alarm_names(found.endpoint)["stop"]
    if stop not in found.rollback_alarms:
        raise ReleaseError(
            f"{found.endpoint}: the update under way was made without our rollback alarms, so no alarm ends it; wait "
            f"until it is done ({again}), then: {command(target, 'restore-guards', found.model)}"
        )


def _check_taken_back(now: Live, released: Pending | None, target: Target) -> None:
    """Raises ReleaseError when the bake was over before SageMaker looked at the alarm."""
    if now.status != ROLLING_BACK and released is not None and now.configuration == released.configuration:
        raise ReleaseError(
            f"{now.endpoint}: too late, {now.serves} came into service before SageMaker looked at the stop alarm. "
            f"To go back: {command(target, 'rollback', now.model, '--now')}"
        )


def abort(
    target: Target,
    model: str,
    *,
    reason: str = "",
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Aborted:
    """Raises the stop alarm of the release under way, and looks for what comes of it for up to `wait_seconds` (0: does
    not look). Raises ReleaseError when nothing is being released, or when it came into service all the same."""
    found = serving(target, model)
    check(found, target)
    stop = guard_alarm_names(found.endpoint)["stop"]
    pending = found.pending
    raised = seen = found.status == ROLLING_BACK
    raised = not raised
    if raised:
        who = f"; by {caller(target)} with mainstage model abort"
        told = f"{(reason.strip() or 'a person stops the release')[: LONGEST_REASON - len(who)]}{who}"
        cloudwatch = target.client("cloudwatch")
        cloudwatch.set_alarm_state(AlarmName=stop, StateValue="ALARM", StateReason=told)
        left = wait_seconds
        while left > 0 and not seen:
            sleep(min(AGAIN_SECONDS, left))
            left -= AGAIN_SECONDS
            try:
                now = serving(target, model)
                seen = now.status == ROLLING_BACK or now.pending is None
                if seen:
                    _check_taken_back(now, pending, target)
                else:
                    cloudwatch.set_alarm_state(AlarmName=stop, StateValue="ALARM", StateReason=told)
            except (BotoCoreError, ClientError):
                continue  # the alarm was raised: a look that is throttled is no end of it
    return Aborted(
        model=model,
        endpoint=found.endpoint,
        version=pending.version if pending else None,
        configuration=pending.configuration if pending else "",
        serves=found.serves,
        alarm=stop,
        raised=raised,
        seen=seen,
    )
