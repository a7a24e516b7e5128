"""The bodies of an endpoint's release hooks. Blocking; the session, the clock and the sleep are handed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional

from mainstage_runtime import release_history as history
from mainstage_runtime.release_history import ReleaseEvent, ReleaseHistory, error_code, moment, moment_after
from mainstage_runtime.release_live import Guard, Live, fired, read_guards, read_live, requests_by_minute

from ._release_access import Session, Unknown, said, signed_in
from ._release_plan import ReleasePlan
from ._release_refusals import UNASKED, alarmed, refusals, sends_update, sent_alarms, told_unasked, unasked_event
from ._release_refusals import told as told_refused
from ._release_scaling import Lifted, lift, put_back
from ._release_verdict import ReleaseError, Verdict, judge, told, unknown, verdict_event

ALARM_WAIT_SECONDS = 240
"""How long a release waits for guards to leave ALARM. They watch the new configuration by then, and one without data
goes back to OK at CloudWatch's next evaluations: a release away from a failing version must not wait for its end."""

REST_WAIT_SECONDS = 60
"""How long an after-hook waits for the endpoint to be at rest. The provider has waited for it already, and while an
after-hook runs the engine writes nothing of other resources to the state (pkg/resource/deploy/step.go, 3.259)."""

DELETION_WAIT_SECONDS = 600
"""As long as the provider waits for a deletion (provider source, endpoint.go)."""

_NOT_TAKEN = ("Cannot create already exist", "Cannot update in-progress")
"""Words of SageMaker for an endpoint that is there, or that somebody else is changing."""

_SHORTEST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 15.0


@dataclass(frozen=True)
class _Aws:
    sagemaker: Any
    cloudwatch: Any
    scaling: Any
    history: ReleaseHistory
    caller: str
    """ARN of who runs this."""


class ReleaseRun:
    """The hooks' bodies for one endpoint in one run. Blocking; each ends by itself.

    One object serves a run: what `before_update` saw is what the verdict is held against.
    """

    def __init__(
        self,
        plan: ReleasePlan,
        *,
        session: Session,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ):
        self._plan = plan
        self.ended_badly = False
        """Whether a hook has raised after the provider's success."""
        self._session, self._sleep, self._clock = session, sleep, clock
        self._watched_from: dict[str, Any] = {}
        self._began: Optional[Live] = None
        self._started: list[ReleaseEvent] = []
        self._lifted: Optional[Lifted] = None

    @property
    def deletes_nothing(self) -> str:
        """Said at the end of a run that leaves the endpoint otherwise than it was asked for."""
        return (
            f"{self._plan.title} is not what this run leaves on endpoint {self._plan.endpoint}, so this run deletes "
            "nothing: what serves stays. What is left over goes with the next up that ends well"
        )

    # -- before --------------------------------------------------------------------------------------------------

    def before_update(self, bucket: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """Refuses an update that must not be sent, and notes one that is. Raises ReleaseError.

        `bucket`: the registry's. `old`: the endpoint's properties as they were read. `new`: what is asked for.
        """
        if not sends_update(old, new):
            return
        try:
            self._begin(bucket, new)
        except ReleaseError:
            raise
        except Exception as error:
            raise ReleaseError(unknown(self._plan, said(error), sent=False)) from error

    def _begin(self, bucket: str, new: Mapping[str, Any]) -> None:
        plan, aws = self._plan, self._connect(bucket)
        live = read_live(aws.sagemaker, plan.endpoint)
        if live is None:
            return  # the provider says so, in its words
        guards = read_guards(aws.cloudwatch, plan.alarms)
        events = self._settled(aws, aws.history.events(), live, guards)
        found = refusals(plan, live, events, guards, sent_alarms(new))
        if any(refusal.rule == UNASKED for refusal in found) and not told_unasked(events, live.configuration):
            aws.history.add(unasked_event(plan, live, by=aws.caller, at=moment_after(events)))
        if not found:
            guards = self._out_of_alarm(aws, guards)
            found = alarmed(guards)
        if found:
            raise ReleaseError(told_refused(plan, found))
        self._began = live
        self._watched_from = {guard.name: guard.since for guard in guards}
        started = ReleaseEvent(
            at=moment_after(events),
            kind=history.STARTED,
            endpoint=plan.endpoint,
            model=plan.model,
            configuration=plan.configuration,
            version=plan.version,
            serves=live.configuration,
            by=aws.caller,
            modified=moment(live.modified),
        )
        aws.history.add(started)
        self._started = [started]
        self._lifted = lift(aws.scaling, aws.sagemaker, plan, live.configuration)

    def _settled(
        self, aws: _Aws, events: list[ReleaseEvent], live: Live, guards: Sequence[Guard]
    ) -> list[ReleaseEvent]:
        """The history, with the end of a release whose run was killed in the bake written where nobody has."""
        last = events[-1] if events else None
        if last is None or last.kind not in (history.STARTED, history.UNKNOWN) or not live.at_rest:
            return events
        if live.configuration == last.configuration:
            kind, alarm, reason = history.RELEASED, None, "found in service; its own run did not see its end"
        else:
            since = self._tried_since(aws, events, last.configuration)
            if since is None or moment(live.modified) <= moment(since):
                return events  # it was never sent
            watched = {guard.name: since for guard in guards}
            alarm = fired(aws.cloudwatch, guards, after=watched, until=live.modified, told=live.failure_reason)
            if alarm is None and not live.failure_reason:
                return events
            kind = history.FAILED if alarm is None else history.TAKEN_BACK
            reason = live.failure_reason or "found taken back; its own run did not see its end"
        event = ReleaseEvent(
            at=moment_after(events),
            kind=kind,
            endpoint=last.endpoint,
            model=last.model,
            configuration=last.configuration,
            version=last.version,
            serves=live.configuration,
            by=aws.caller,
            reason=reason,
            alarm=alarm,
        )
        aws.history.add(event)
        return [*events, event]

    def _tried_since(self, aws: _Aws, events: Sequence[ReleaseEvent], configuration: str) -> Optional[datetime]:
        """A moment before which a configuration's last release was not sent, by AWS's clock; None when it is gone."""
        try:
            created = aws.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["CreationTime"]
        except Exception as error:
            if error_code(error) == "ValidationException":
                return None
            raise
        starts = [each for each in events if each.kind == history.STARTED and each.configuration == configuration]
        noted = starts[-1].modified if starts else None
        # One that was kept is old: what became of other releases since is not its end.
        return created if noted is None else max(created, datetime.fromisoformat(noted))

    def _out_of_alarm(self, aws: _Aws, guards: list[Guard]) -> list[Guard]:
        deadline, pauses = self._clock() + ALARM_WAIT_SECONDS, _Pauses(self._sleep)
        while any(guard.state == "ALARM" for guard in guards) and self._clock() < deadline:
            pauses.wait()
            guards = read_guards(aws.cloudwatch, self._plan.alarms)
        return guards

    # -- after ---------------------------------------------------------------------------------------------------

    def after(self, bucket: str, *, first: bool, provider_error: str = "") -> Optional[str]:
        """Waits until the endpoint is at rest, says what serves, and notes it.

        Returns what a person should be warned of. Raises ReleaseError unless the release is in service. `first`: the
        endpoint was made. `provider_error`: what the provider failed with.
        """
        plan = self._plan
        try:
            aws = self._connect(bucket)
            live = self._at_rest(aws, plan.longest_seconds if provider_error else REST_WAIT_SECONDS)
            lost = self._scale_again(aws)
            verdict = self._judged(aws, live, first=first, provider_error=provider_error)
            removed = first and self._never_served(aws, live, provider_error)
            if removed:
                self._delete(aws)
        except Exception as error:
            raise ReleaseError(self._unknown_told(bucket, said(error))) from error
        message = told(plan, verdict, removed=removed)
        try:
            aws.history.add(verdict_event(plan, verdict, by=aws.caller, at=moment_after(self._started)))
        except Exception as error:
            lost.append(f"the history could not be written: {said(error)}")
        if not verdict.good:
            raise ReleaseError("\n".join([message, *lost]))
        if lost:
            raise ReleaseError("\n".join([f"{plan.title} serves {plan.endpoint}", *lost]))
        return message if verdict.kind == history.UNPROVEN else None

    def after_error(self, bucket: str, operation: str, errors: Sequence[str]) -> Optional[str]:
        """The provider has failed to create or update: says what serves all the same, and notes it.

        Returns what a person should be warned of, for the release may be in service. Raises ReleaseError unless it is.
        """
        if operation not in ("create", "update"):
            return None
        words = errors[0] if errors else "the provider gave no reason"
        warned = self.after(bucket, first=operation == "create", provider_error=words)
        unknown_to_state = "; the state does not know it: mainstage recover says how it gets there"
        serves = f"{self._plan.title} serves {self._plan.endpoint} all the same"
        return warned or serves + (unknown_to_state if operation == "create" else "")

    def _judged(self, aws: _Aws, live: Optional[Live], *, first: bool, provider_error: str) -> Verdict:
        plan, alarm, minutes, sent = self._plan, None, [], True
        if live is not None:
            began = self._began.modified if self._began is not None else live.created
            # Refused at once: whatever became of the endpoint since is of what somebody else did.
            refused = any(words in provider_error for words in _NOT_TAKEN)
            sent = not refused and (first or not provider_error or live.modified > began)
            guards = read_guards(aws.cloudwatch, plan.alarms)
            watched = {guard.name: self._watched_from.get(guard.name, began) for guard in guards}
            if sent and not first and live.configuration != plan.configuration:
                alarm = fired(aws.cloudwatch, guards, after=watched, told=live.failure_reason)
            minutes = requests_by_minute(
                aws.cloudwatch,
                endpoint=plan.endpoint,
                variant=plan.variant,
                configuration=plan.configuration,
                start=began,
                end=live.modified,
            )
        return judge(plan, live, first=first, sent=sent, alarm=alarm, minutes=minutes, provider_error=provider_error)

    def _never_served(self, aws: _Aws, live: Optional[Live], provider_error: str) -> bool:
        """Whether what a failed creation left can go: it is Failed, and was made by this very run, or by one that was
        killed before any release of it was in service."""
        if live is None or live.status != "Failed" or not provider_error:
            return False
        if "already exist" not in provider_error:
            return True
        served = (history.RELEASED, history.UNPROVEN, history.ROLLED_BACK, history.TAKEN_BACK, history.STARTED)
        return not any(event.kind in served for event in aws.history.events())

    def _delete(self, aws: _Aws) -> None:
        aws.sagemaker.delete_endpoint(EndpointName=self._plan.endpoint)
        deadline, pauses = self._clock() + DELETION_WAIT_SECONDS, _Pauses(self._sleep)
        while read_live(aws.sagemaker, self._plan.endpoint) is not None:
            if self._clock() > deadline:
                raise Unknown(f"the endpoint is still there {DELETION_WAIT_SECONDS // 60} minutes after its deletion")
            pauses.wait()

    def _at_rest(self, aws: _Aws, limit_seconds: int) -> Optional[Live]:
        deadline, pauses = self._clock() + limit_seconds, _Pauses(self._sleep)
        while True:
            live = read_live(aws.sagemaker, self._plan.endpoint)
            if live is None or live.at_rest:
                return live
            if self._clock() > deadline:
                raise Unknown(f"the endpoint is still {live.status} after {limit_seconds // 60} minutes")
            pauses.wait()

    def _scale_again(self, aws: _Aws) -> list[str]:
        """Registers the variant again that was taken off for the release. Returns what went wrong."""
        lifted, self._lifted = self._lifted, None
        if lifted is None or self._plan.autoscaling is None:
            return []
        try:
            put_back(aws.scaling, self._plan, self._plan.autoscaling, lifted)
        except Exception as error:
            return [f"autoscaling is off until the next up, which makes it again: {said(error)}"]
        return []

    def _unknown_told(self, bucket: str, why: str) -> str:
        """The message of an unknown verdict; notes it where that is still possible."""
        plan = self._plan
        try:
            aws = self._connect(bucket)
            verdict = Verdict(kind=history.UNKNOWN, serves=None, reason=why)
            aws.history.add(verdict_event(plan, verdict, by=aws.caller, at=moment_after(self._started)))
        except Exception:  # the cause is told already
            pass
        lines = [unknown(plan, why)]
        if self._lifted is not None:
            lines.append("autoscaling is off until the next up, which makes it again")
        return "\n".join(lines)

    def _connect(self, bucket: str) -> _Aws:
        session, caller = signed_in(self._session, self._plan.account_id)
        return _Aws(
            sagemaker=session.client("sagemaker"),
            cloudwatch=session.client("cloudwatch"),
            scaling=session.client("application-autoscaling"),
            history=ReleaseHistory(session.client("s3"), bucket, self._plan.endpoint),
            caller=caller,
        )


class _Pauses:
    """Waits that grow from 1 to 15 seconds."""

    def __init__(self, sleep: Callable[[float], None]):
        self._sleep, self._next = sleep, _SHORTEST_PAUSE_SECONDS

    def wait(self) -> None:
        self._sleep(self._next)
        self._next = min(self._next * 1.5, _LONGEST_PAUSE_SECONDS)
