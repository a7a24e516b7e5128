"""SageMaker EndpointConfig: kept whole, with the defaults that the service fills in."""

from __future__ import annotations

import copy
from typing import Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import arn, listed, picked, tags_of
from infra.rehearsal.cloud.overlay.sagemaker_store import Record, check_new, in_region, not_found, sagemaker_of

KIND = "endpoint configuration"
_VARIANT_LISTS = ("ProductionVariants", "ShadowProductionVariants")


@handler("sagemaker", "CreateEndpointConfig")
def create_endpoint_config(call: Call) -> dict[str, Any]:
    """Refuses a taken name and a model that is not there. All that the request alone can show is the validator's."""
    sagemaker, asked = sagemaker_of(call.cloud), call.params
    name = asked["EndpointConfigName"]
    config_arn = check_new(call, sagemaker.configs, name, KIND, "endpoint-config")
    variants = [variant for member in _VARIANT_LISTS for variant in asked.get(member) or ()]
    for variant in variants:
        model = variant.get("ModelName")
        if model and (call.region, model) not in sagemaker.models:
            raise not_found("model", arn(call, f"model/{model}"))
    record = copy.deepcopy(asked)
    tags = tags_of(record.pop("Tags", None))
    for member in _VARIANT_LISTS:
        for variant in record.get(member) or ():
            # A weight of 0 stays 0; only a missing one is 1.0 (API reference, ProductionVariant).
            variant.setdefault("InitialVariantWeight", 1.0)
    record |= {"EndpointConfigArn": config_arn, "CreationTime": call.cloud.clock.now()}
    with sagemaker.lock:
        check_new(call, sagemaker.configs, name, KIND, "endpoint-config")
        sagemaker.configs[call.region, name] = record
        sagemaker.tags[config_arn] = tags
    return {"EndpointConfigArn": config_arn}


@handler("sagemaker", "DescribeEndpointConfig")
def describe_endpoint_config(call: Call) -> dict[str, Any]:
    return dict(_config(call))


@handler("sagemaker", "ListEndpointConfigs")
def list_endpoint_configs(call: Call) -> dict[str, Any]:
    return listed(
        call,
        in_region(call, sagemaker_of(call.cloud).configs),
        name="EndpointConfigName",
        member="EndpointConfigs",
        summary=lambda record: picked(record, ("EndpointConfigName", "EndpointConfigArn", "CreationTime")),
        sort_keys={"CreationTime": "CreationTime", "Name": "EndpointConfigName"},
    )


@handler("sagemaker", "DeleteEndpointConfig")
def delete_endpoint_config(call: Call) -> dict[str, Any]:
    """Deletes the entry alone, also under a live endpoint, which serves on (API reference: you must not, but you
    can)."""
    record = _config(call)
    sagemaker = sagemaker_of(call.cloud)
    with sagemaker.lock:
        sagemaker.configs.pop((call.region, record["EndpointConfigName"]), None)
        sagemaker.tags.pop(record["EndpointConfigArn"], None)
    return {}


def _config(call: Call) -> Record:
    return config_named(call, call.params["EndpointConfigName"])


def config_named(call: Call, name: str) -> Record:
    """The configuration; ValidationException in SageMaker's words when there is none."""
    record = sagemaker_of(call.cloud).configs.get((call.region, name))
    if record is None:
        raise not_found(KIND, arn(call, f"endpoint-config/{name}"))
    return record
