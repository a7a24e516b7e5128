"""SageMaker Endpoint: create, describe, list, update, change of weights and counts, delete."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import endpoint_deployment, handler
from infra.rehearsal.cloud.overlay.answers import arn, listed, picked, tags_of
from infra.rehearsal.cloud.overlay.application_autoscaling import is_registered
from infra.rehearsal.cloud.overlay.deployment_plan import plan_of, refusal_of
from infra.rehearsal.cloud.overlay.endpoint_fleet import Retained, take_down
from infra.rehearsal.cloud.overlay.endpoint_quota import check_quota
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint
from infra.rehearsal.cloud.overlay.sagemaker_endpoint_configs import config_named
from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker, check_new, not_found, sagemaker_of

KIND = "endpoint"
IN_PROGRESS = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


@handler("sagemaker", "CreateEndpoint")
def create_endpoint(call: Call) -> dict[str, Any]:
    """Answers at once with the endpoint in Creating; a thread brings the fleet up."""
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    name, now = asked["EndpointName"], call.cloud.clock.now()
    config = config_named(call, asked["EndpointConfigName"])
    with sagemaker.lock:
        endpoint_arn = check_new(call, sagemaker.endpoints, name, KIND, "endpoint")
        check_quota(sagemaker, call.region, config, plan_of(None, config["ProductionVariants"]), {})
        endpoint = Endpoint(
            name=name,
            arn=endpoint_arn,
            region=call.region,
            account_id=call.account_id,
            config_name=config["EndpointConfigName"],
            created=now,
            modified=now,
            take_down=lambda ended, fleet, give_back: take_down(sagemaker.cloud, ended, fleet, give_back),
        )
        sagemaker.endpoints[call.region, name] = endpoint
        sagemaker.tags[endpoint_arn] = tags_of(asked.get("Tags"))
        with endpoint.lock:  # before another call counts the instances that there are
            endpoint_deployment.deploy(
                sagemaker, endpoint, copy.deepcopy(config), copy.deepcopy(asked.get("DeploymentConfig")), {}
            )
    return {"EndpointArn": endpoint_arn}


@handler("sagemaker", "DescribeEndpoint")
def describe_endpoint(call: Call) -> dict[str, Any]:
    return endpoint_named(call).described()


@handler("sagemaker", "ListEndpoints")
def list_endpoints(call: Call) -> dict[str, Any]:
    sagemaker = sagemaker_of(call.cloud)
    members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    return listed(
        call,
        [endpoint.described() for endpoint in sagemaker.live_endpoints() if endpoint.region == call.region],
        name="EndpointName",
        member="Endpoints",
        summary=lambda record: picked(record, members),
        sort_keys={"CreationTime": "CreationTime", "Name": "EndpointName", "Status": "EndpointStatus"},
    )


@handler("sagemaker", "UpdateEndpoint")
def update_endpoint(call: Call) -> dict[str, Any]:
    """Deploys another configuration beside what serves. Counts and weights start from the new configuration unless
    RetainAllVariantProperties keeps them; the last deployment configuration goes unless RetainDeploymentConfig keeps
    it."""
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    endpoint = endpoint_named(call)
    config = config_named(call, asked["EndpointConfigName"])
    # The quota looks at every endpoint: one call at a time, or two would wait for each other's endpoint for ever.
    with sagemaker.lock, endpoint.lock:
        _check_idle(endpoint)
        _check_scaled_types(call, endpoint, config)
        deployment_config = asked.get("DeploymentConfig")
        if deployment_config is None and asked.get("RetainDeploymentConfig"):
            deployment_config = endpoint.last_deployment_config
        live = endpoint.fleet.production if endpoint.fleet else ()
        refusal = refusal_of(deployment_config, config["ProductionVariants"], list(live))
        if refusal:
            raise AwsError("ValidationException", refusal)
        retained = _retained(endpoint, asked)
        check_quota(sagemaker, call.region, config, plan_of(deployment_config, config["ProductionVariants"]), retained)
        endpoint.status, endpoint.modified = "Updating", call.cloud.clock.now()
        endpoint_deployment.deploy(
            sagemaker,
            endpoint,
            _with_retained_capture(endpoint, copy.deepcopy(config), asked),
            copy.deepcopy(deployment_config),
            retained,
        )
    return {"EndpointArn": endpoint.arn}


def _retained(endpoint: Endpoint, asked: Mapping[str, Any]) -> dict[str, Retained]:
    """What each variant keeps (API reference, UpdateEndpoint: all properties but the excluded ones)."""
    if not asked.get("RetainAllVariantProperties") or endpoint.fleet is None:
        return {}
    excluded = _excluded(asked)
    return {
        variant.name: Retained(
            weight=None if "DesiredWeight" in excluded else variant.weight,
            instance_count=None if "DesiredInstanceCount" in excluded else variant.instance_count,
        )
        for variant in endpoint.fleet.variants()
    }


def _with_retained_capture(endpoint: Endpoint, config: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """DataCaptureConfig is a variant property too: it stays as it is when properties are retained."""
    if asked.get("RetainAllVariantProperties") and endpoint.fleet and "DataCaptureConfig" not in _excluded(asked):
        config.pop("DataCaptureConfig", None)
        if endpoint.fleet.config.get("DataCaptureConfig"):
            config["DataCaptureConfig"] = copy.deepcopy(endpoint.fleet.config["DataCaptureConfig"])
    return config


def _excluded(asked: Mapping[str, Any]) -> set[str]:
    return {entry["VariantPropertyType"] for entry in asked.get("ExcludeRetainedVariantProperties") or ()}


def _check_idle(endpoint: Endpoint) -> None:
    """Wording of the first: SageMaker's; of the second: unconfirmed (API reference, DescribeEndpoint: "DeleteEndpoint
    is the only operation that can be performed on a failed endpoint")."""
    if endpoint.status in IN_PROGRESS:
        raise AwsError("ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')
    if endpoint.status == "Failed":
        raise AwsError("ValidationException", f'Cannot update endpoint "{endpoint.arn}" with status "Failed".')


def _check_scaled_types(call: Call, endpoint: Endpoint, config: Mapping[str, Any]) -> None:
    """A variant that Application Auto Scaling has keeps its instance type until it is deregistered (developer guide,
    endpoint-scaling-update). The wording is unconfirmed."""
    if endpoint.fleet is None:
        return
    for variant in config["ProductionVariants"]:
        live = endpoint.fleet.production.get(variant["VariantName"])
        if (
            live is not None
            and live.config.get("InstanceType") != variant.get("InstanceType")
            and is_registered(call.cloud, call.region, f"endpoint/{endpoint.name}/variant/{variant['VariantName']}")
        ):
            raise AwsError(
                "ValidationException",
                f'The instance type of variant {variant["VariantName"]} of endpoint "{endpoint.arn}" cannot change '
                f"from {live.config.get('InstanceType')} to {variant.get('InstanceType')} while the variant is "
                "registered with Application Auto Scaling. Deregister the scalable target first.",
            )


@handler("sagemaker", "UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(call: Call) -> dict[str, Any]:
    """Changes weights and counts of what serves; nothing restarts. In place at once: AWS passes Updating first.

    One model host stands for all instances of a variant, so that a count changes what is reported and the value of
    InvocationsPerInstance, not the number of processes.
    """
    endpoint = endpoint_named(call)
    with endpoint.lock:
        _check_idle(endpoint)
        changes = call.params["DesiredWeightsAndCapacities"]
        live = endpoint.fleet.production if endpoint.fleet else {}
        for change in changes:
            if change["VariantName"] not in live:
                raise AwsError(
                    "ValidationException",
                    f'Variant {change["VariantName"]} does not exist in endpoint "{endpoint.arn}".',
                )  # wording unconfirmed
        for change in changes:
            variant = live[change["VariantName"]]
            variant.weight = change.get("DesiredWeight", variant.weight)
            variant.instance_count = change.get("DesiredInstanceCount", variant.instance_count)
        endpoint.modified = call.cloud.clock.now()
    return {"EndpointArn": endpoint.arn}


@handler("sagemaker", "DeleteEndpoint")
def delete_endpoint(call: Call) -> dict[str, Any]:
    """Refused while the endpoint is coming up or changing. Its configuration and models stay."""
    sagemaker, endpoint = sagemaker_of(call.cloud), endpoint_named(call)
    with endpoint.lock:
        if endpoint.status == "Deleting":
            return {}
        if endpoint.status in IN_PROGRESS:
            raise AwsError("ValidationException", f'Cannot update in-progress endpoint "{endpoint.arn}".')
        endpoint_deployment.delete(sagemaker, endpoint, lambda: _forget(sagemaker, endpoint))
    return {}


def _forget(sagemaker: SageMaker, endpoint: Endpoint) -> None:
    with sagemaker.lock:
        key = (endpoint.region, endpoint.name)
        if sagemaker.endpoints.get(key) is endpoint:
            del sagemaker.endpoints[key]
            sagemaker.tags.pop(endpoint.arn, None)


def endpoint_named(call: Call) -> Endpoint:
    """The endpoint that the call names; ValidationException in SageMaker's words when there is none."""
    name = call.params["EndpointName"]
    endpoint = sagemaker_of(call.cloud).endpoints.get((call.region, name))
    if endpoint is None:
        raise not_found(KIND, arn(call, f"endpoint/{name}"))
    return endpoint
