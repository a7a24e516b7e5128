"""Moves the live endpoint to an earlier version at once; the catalog follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from mainstage_runtime.release_history import (
    RELEASED,
    ROLLED_BACK,
    UNPROVEN,
    ReleaseEvent,
    asked_configuration,
    moment_after,
)

from infra.catalog import Model
from infra.registry.target import Target
from infra.releases.guards import deployment_config, guards_of, point_guards, put_back, unguarded
from infra.releases.live import CHANGING, MIXED, ROLLING_BACK, Live, caller, serving
from infra.releases.past import history_of
from infra.releases.words import ReleaseError, command, named, release_command, version_of


@dataclass(frozen=True)
class Moved:
    """What moving the live endpoint did."""

    model: str
    endpoint: str
    version: int
    """The version that is moved to."""
    configuration: str
    left: str
    """What served before, in words."""
    steps: str
    """How the traffic moves, in words."""
    changed: bool
    """False: the version served already."""
    quietened: tuple[str, ...] = ()
    """Guards that rang for the fleet that is left, and were taken out of ALARM."""
    unwritten: str = ""
    """Why the history does not tell of it; empty: it does."""


def move(target: Target, model: Model, version: int, reason: str = "") -> Moved:
    """Sends the endpoint to the configuration that `version` had, with the deployment configuration of its last update.

    Raises ReleaseError: nothing serves, a deployment is under way, the configuration is gone, or the instance type of
    an autoscaled variant would change.
    """
    found = serving(target, model.model)
    coming = found.pending.version if found.pending is not None and found.status != ROLLING_BACK else None
    mixed = found.status == MIXED
    if not mixed and version == (found.version if found.pending is None else coming):
        return Moved(model.model, found.endpoint, version, found.configuration, found.serves, "", changed=False)
    _check_idle(target, found)
    history = history_of(target, model.model)
    events = history.events()
    there = configurations(target, found.endpoint, version)
    configuration = choose(found.endpoint, version, there, events, target)
    if mixed and version == found.version:
        configuration = found.configuration  # its fleet is there in part
    _check_scaled(target, found, configuration)
    by, before = caller(target), guards_of(target, found.endpoint)
    rang = point_guards(target, found.endpoint, configuration)
    # Without ours, the last update was somebody else's: the deployment is told the catalog's instead of that one's.
    guarded = not unguarded(found)
    deployment = found.last_deployment if guarded else deployment_config(found.endpoint, model.rollout)
    try:
        target.client("sagemaker").update_endpoint(
            EndpointName=found.endpoint,
            EndpointConfigName=configuration,
            # Left out, a scaled fleet starts again with its first instances. What is captured goes with the version.
            RetainAllVariantProperties=True,
            ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
            **({"RetainDeploymentConfig": True} if guarded else {"DeploymentConfig": deployment}),
        )
    except ClientError:
        put_back(target, before)
        raise
    left = (asked_configuration(events) or found.configuration) if mixed else found.configuration
    event = ReleaseEvent(
        at=moment_after(events),
        kind=ROLLED_BACK,
        endpoint=found.endpoint,
        model=model.model,
        configuration=left,
        version=version_of(found.endpoint, left) if left != configuration else None,
        serves=configuration,
        by=by,
        reason=reason.strip() or "rollback --now",
    )
    unwritten = ""
    try:
        history.add(event)
    except (BotoCoreError, ClientError) as error:
        unwritten = str(error)  # the endpoint moves all the same: whoever asked for it has to know
    was = "a mix of two fleets" if mixed else found.serves
    steps = steps_of(deployment)
    return Moved(model.model, found.endpoint, version, configuration, was, steps, True, tuple(rang), unwritten)


def _check_idle(target: Target, found: Live) -> None:
    if found.status == ROLLING_BACK:
        raise ReleaseError(
            f"{found.endpoint} is rolling back by itself already, to {found.serves}; look again in a minute"
        )
    if found.status == MIXED or (found.pending is None and found.status not in CHANGING):
        return
    under_way = named(found.endpoint, found.pending.configuration) if found.pending else "a change"
    raise ReleaseError(
        f"{found.endpoint} is {found.status}: {under_way} is under way, and SageMaker takes no second update. Take it "
        f"back instead: {command(target, 'abort', found.model)}"
    )


def configurations(target: Target, endpoint: str, version: int) -> list[str]:
    """The configurations of ours that are there for a version, newest first."""
    pages = (
        target.client("sagemaker")
        .get_paginator("list_endpoint_configs")
        .paginate(NameContains=f"{endpoint}-v{version}-", SortBy="CreationTime", SortOrder="Descending")
    )
    names = [each["EndpointConfigName"] for page in pages for each in page["EndpointConfigs"]]
    return [name for name in names if version_of(endpoint, name) == version]


def choose(endpoint: str, version: int, there: Sequence[str], events: Sequence[ReleaseEvent], target: Target) -> str:
    """Of a version's configurations the one that served last; the newest one when no history tells. Raises ReleaseError
    when none is there."""
    if not there:
        raise ReleaseError(
            f"{endpoint}: no configuration of version {version} is there any more, so the live endpoint cannot be "
            f"moved to it at once; without --now it is released like a new version: {release_command(target)}"
        )
    served = [
        each.configuration if each.kind != ROLLED_BACK else each.serves
        for each in reversed(events)
        if each.kind in (RELEASED, UNPROVEN, ROLLED_BACK)
    ]
    return next((name for name in served if name is not None and name in there), there[0])


def _check_scaled(target: Target, found: Live, configuration: str) -> None:
    """SageMaker refuses another instance type while the variant is registered with Application Auto Scaling.
    https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html"""
    sagemaker = target.client("sagemaker")
    kinds = [_instance_types(sagemaker, name) for name in (found.configuration, configuration)]
    changed = [name for name, kind in kinds[1].items() if kinds[0].get(name, kind) != kind]
    if not changed:
        return
    ids = [f"endpoint/{found.endpoint}/variant/{name}" for name in changed]
    registered = target.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=ids
    )["ScalableTargets"]
    if registered:
        raise ReleaseError(
            f"{found.endpoint}: version {version_of(found.endpoint, configuration)} ran on {kinds[1][changed[0]]}, "
            f"what serves runs on {kinds[0][changed[0]]}, and SageMaker changes no instance type of an autoscaled "
            "variant. Without --now it goes: the up that follows takes autoscaling off and on again "
            f"({release_command(target)})"
        )


def _instance_types(sagemaker: Any, configuration: str) -> dict[str, str]:
    try:
        told = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return {}  # deleted under a live endpoint: nothing to compare with
    return {each["VariantName"]: each.get("InstanceType", "") for each in told["ProductionVariants"]}


def steps_of(deployment: Mapping[str, Any]) -> str:
    """How traffic moves under a deployment configuration, in words. Pure."""
    rolling = deployment.get("RollingUpdatePolicy")
    if rolling is not None:
        batch = _size(rolling["MaximumBatchSize"])
        return f"in batches of {batch}, each watched for {_minutes(rolling['WaitIntervalInSeconds'])}"
    routing = deployment.get("BlueGreenUpdatePolicy", {}).get("TrafficRoutingConfiguration", {})
    wait = _minutes(routing.get("WaitIntervalInSeconds", 0))
    if routing.get("Type") == "CANARY":
        return f"{_size(routing['CanarySize'])} first, the rest after {wait}"
    if routing.get("Type") == "LINEAR":
        return f"{_size(routing['LinearStepSize'])} at a time, every {wait}"
    return "all at once, when the new fleet is up"


def _size(size: Mapping[str, Any]) -> str:
    """Ours are shares; somebody else's deployment may count instances."""
    return f"{size['Value']} {'instances' if size.get('Type') == 'INSTANCE_COUNT' else '%'}"


def _minutes(seconds: int) -> str:
    return f"{seconds / 60:g} minutes"
