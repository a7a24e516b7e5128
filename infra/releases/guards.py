"""The guard alarms of an endpoint that is moved by a command: what they watch, and whether a deployment obeys them."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from mainstage._release_rules import Deployment
from mainstage.guard_alarms import guard_alarm_names
from mainstage_runtime.release_history import ROLLED_BACK, ReleaseEvent, moment_after

from infra.catalog import Model, Rollout
from infra.registry.target import Target
from infra.releases.live import CHANGING, Live, caller, serving
from infra.releases.past import history_of
from infra.releases.words import ReleaseError, command, release_command

POLL_SECONDS, EMULATED_POLL_SECONDS = 15.0, 0.5
SETTLE_SECONDS = 60.0
"""How long an endpoint may still look as before an update that was accepted."""

_SETTINGS = (
    "AlarmName",
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
)
"""What DescribeAlarms tells and PutMetricAlarm takes; an update overwrites all of it, and keeps tags and state.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""

_CONFIGURATION = (
    "ProductionVariants",
    "DataCaptureConfig",
    "KmsKeyId",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ShadowProductionVariants",
    "ExecutionRoleArn",
    "VpcConfig",
    "EnableNetworkIsolation",
    "MetricsConfig",
)


def deployment_config(endpoint: str, rollout: Rollout) -> dict[str, Any]:
    """What UpdateEndpoint is told for a rollout of the catalog: the same as the program declares, guards among it."""
    return _cased(_deployment(rollout).block(list(guard_alarm_names(endpoint).values())))


def _deployment(rollout: Rollout) -> Deployment:
    given: dict[str, Any] = {"strategy": rollout.strategy, "bake_minutes": rollout.bake_minutes}
    if rollout.percent is not None:
        given["percent"] = rollout.percent
    return Deployment(**given)


def _cased(value: Any) -> Any:
    """`wait_interval_in_seconds` as the API writes it."""
    if isinstance(value, Mapping):
        return {"".join(part.capitalize() for part in key.split("_")): _cased(each) for key, each in value.items()}
    return [_cased(each) for each in value] if isinstance(value, list) else value


def watching(alarm: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """The alarm's settings, watching the fleet of `configuration`. Pure."""
    settings = _settings(alarm)
    metrics = [query["MetricStat"]["Metric"] for query in settings.get("Metrics", ()) if "MetricStat" in query]
    for metric in (settings, *metrics):
        for dimension in metric.get("Dimensions", ()):
            if dimension["Name"] == "EndpointConfigName":
                dimension["Value"] = configuration
    return settings


def _settings(alarm: Mapping[str, Any]) -> dict[str, Any]:
    return {key: copy.deepcopy(alarm[key]) for key in _SETTINGS if alarm.get(key) not in (None, [])}


def guards_of(target: Target, endpoint: str) -> dict[str, Mapping[str, Any]]:
    """The guards by name, as CloudWatch tells of them. Raises ReleaseError when one is missing."""
    names = list(guard_alarm_names(endpoint).values())
    told = target.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
    found = {each["AlarmName"]: each for each in told}
    if missing := [name for name in names if name not in found]:
        raise ReleaseError(
            f"{endpoint} has no alarm {', '.join(missing)}: nothing would watch it; bring it up first: "
            f"{release_command(target)}"
        )
    return {name: found[name] for name in names}


def put_back(target: Target, guards: Mapping[str, Mapping[str, Any]]) -> None:
    """Makes the guards watch what they watched when they were read: after an update that was refused, which may be
    because somebody else's release is under way, and that has to stay guarded."""
    for alarm in guards.values():
        target.client("cloudwatch").put_metric_alarm(**_settings(alarm))


def point_guards(target: Target, endpoint: str, configuration: str) -> list[str]:
    """Makes the guards watch the fleet of `configuration`, as a release by the program does before it begins, and takes
    those that still ring for another fleet out of ALARM: SageMaker would end the deployment at once. Returns the names
    of those.

    Raises ReleaseError when a guard is missing.
    """
    cloudwatch = target.client("cloudwatch")
    rang = []
    for name, alarm in guards_of(target, endpoint).items():
        wanted = watching(alarm, configuration)
        if wanted != watching(alarm, ""):  # an alarm without that dimension watches all fleets
            before = {key: alarm.get(key) for key in wanted}
            if wanted != before:
                cloudwatch.put_metric_alarm(**wanted)
        if alarm["StateValue"] == "ALARM":
            told = f"the guards watch {configuration} from now on; by {caller(target)}"
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason=told)
            rang.append(name)
    return rang


@dataclass(frozen=True)
class Restored:
    """What restoring an endpoint's guards did."""

    model: str
    endpoint: str
    configuration: str
    """The configuration that is deployed once more, under the guards."""
    serves: str
    changed: bool
    """False: the guards were among the rollback alarms already."""
    copied_from: str = ""
    """The configuration that `configuration` is a copy of; empty when the live one was taken as it is."""


def unguarded(found: Live) -> list[str]:
    """The guards that the last deployment of an endpoint was not told of."""
    return [name for name in guard_alarm_names(found.endpoint).values() if name not in found.rollback_alarms]


def restore(target: Target, model: Model) -> Restored:
    """Deploys once more what serves, with the catalog's rollout and our rollback alarms. What serves stays as it is.

    Raises ReleaseError when a deployment is under way or the alarms are not there.
    """
    found = serving(target, model.model)
    if found.pending is not None or found.status in CHANGING:
        again = command(target, "status", model.model, "--watch")
        raise ReleaseError(f"{found.endpoint} is {found.status}: wait until it is done ({again}), then again")
    if not unguarded(found):
        return Restored(model.model, found.endpoint, found.configuration, found.serves, changed=False)
    point_guards(target, found.endpoint, found.configuration)
    deployment = deployment_config(found.endpoint, model.rollout)
    try:
        _update(target, found.endpoint, found.configuration, deployment)
    except ClientError as refusal:
        # The reference says of UpdateEndpoint: "To update an endpoint, you must create a new EndpointConfig". Whether
        # the live one's name is refused is unconfirmed; a copy of it is taken in any case.
        if refusal.response["Error"]["Code"] != "ValidationException":
            raise
        copied = _copied(target, found)
        before, events = guards_of(target, found.endpoint), history_of(target, found.model).events()
        point_guards(target, found.endpoint, copied)
        try:
            _update(target, found.endpoint, copied, deployment)
        except ClientError:
            put_back(target, before)
            raise
        _remember(target, found, copied, events)
        return Restored(model.model, found.endpoint, copied, found.serves, True, copied_from=found.configuration)
    return Restored(model.model, found.endpoint, found.configuration, found.serves, changed=True)


def arrived(
    target: Target, model: Model, tell: Callable[[str], None], wait_seconds: float | None = None
) -> Live | None:
    """Waits until the endpoint is at rest again, under the guards; None when it is not within that time. Interrupted,
    it leaves the deployment as it is.

    tell: is given what the endpoint is doing, again and again. wait_seconds: left out, as long as the deployment may
    take. Raises ReleaseError when the endpoint came to rest without the guards.
    """
    if wait_seconds is None:
        wait_seconds = _deployment(model.rollout).execution_seconds + SETTLE_SECONDS
    began = time.monotonic()
    changed = False
    while True:
        found = serving(target, model.model)
        passed = time.monotonic() - began
        if found.pending is None and found.status not in CHANGING:
            if not unguarded(found):
                return found
            if changed or passed >= min(SETTLE_SECONDS, wait_seconds):
                why = f": {found.failure_reason}" if found.failure_reason else ""
                raise ReleaseError(
                    f"{found.endpoint} is {found.status} and has no guards: the deployment was taken back or failed"
                    f"{why}. See {command(target, 'status', model.model)}"
                )
        else:
            changed = True
        if passed >= wait_seconds:
            return None
        stages = f" ({', '.join(found.pending.stages)})" if found.pending and found.pending.stages else ""
        tell(
            f"{found.endpoint} is {found.status}{stages}, {passed / 60:.0f} of at most {wait_seconds / 60:.0f} minutes"
        )
        time.sleep(EMULATED_POLL_SECONDS if target.emulated else POLL_SECONDS)


def _update(target: Target, endpoint: str, configuration: str, deployment: Mapping[str, Any]) -> None:
    target.client("sagemaker").update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=configuration,
        RetainAllVariantProperties=True,  # left out, a scaled fleet starts again with its first instances
        DeploymentConfig=deployment,
    )


def _copied(target: Target, found: Live) -> str:
    """A copy of the live configuration, under a name of ours that says the same version."""
    sagemaker = target.client("sagemaker")
    told = sagemaker.describe_endpoint_config(EndpointConfigName=found.configuration)
    number = "" if found.version is None else f"v{found.version}-"
    name = f"{found.endpoint}-{number}{hashlib.sha256(f'{found.configuration} guarded'.encode()).hexdigest()[:8]}"
    tags = sagemaker.list_tags(ResourceArn=told["EndpointConfigArn"])["Tags"]
    try:
        sagemaker.create_endpoint_config(
            EndpointConfigName=name, Tags=tags, **{key: told[key] for key in _CONFIGURATION if key in told}
        )
    except ClientError as error:
        if "already existing" not in str(error):
            raise
    return name


def _remember(target: Target, found: Live, copied: str, events: Sequence[ReleaseEvent]) -> None:
    history_of(target, found.model).add(
        ReleaseEvent(
            at=moment_after(events),
            kind=ROLLED_BACK,
            endpoint=found.endpoint,
            model=found.model,
            configuration=found.configuration,
            version=None,  # the version is not moved away from
            serves=copied,
            by=caller(target),
            reason="restore-guards: a copy of what served, so that our rollback alarms watch it",
        )
    )
