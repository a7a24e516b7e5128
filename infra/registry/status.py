"""What the catalog asks for beside what serves, read from AWS itself: the endpoint, its configuration, its alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError
from mainstage.guard_alarms import guard_alarm_names

from infra.catalog import Model
from infra.layers.names import endpoint_name
from infra.registry.target import Target

NOT_CREATED = "not created"
VERSION_VARIABLE = "MAINSTAGE_MODEL_VERSION"


@dataclass(frozen=True)
class VariantStatus:
    name: str
    version: str
    traffic_percent: float
    instances: int
    desired_instances: int


@dataclass(frozen=True)
class ModelStatus:
    model: str
    environment: str
    asked: str
    """"version 7", or "awaiting" (declared, no version yet)."""
    endpoint: str
    endpoint_status: str
    """SageMaker's word (InService, Creating, Updating, Failed, ...) or "not created"."""
    failure_reason: str = ""
    variants: tuple[VariantStatus, ...] = ()
    alarms: Mapping[str, str] = field(default_factory=dict)
    """Guard alarm name -> OK, ALARM or INSUFFICIENT_DATA."""
    url: str = ""
    """Where clients POST requests; empty while the front door has no route to the model, or may not be read."""

    @property
    def alarms_text(self) -> str:
        """Which guard alarms ring and which know nothing yet, without the endpoint's name; how many are OK."""
        prefix = guard_prefix(self.endpoint)
        named = {
            state: ", ".join(name.removeprefix(prefix) for name, found in self.alarms.items() if found == state)
            for state in ("ALARM", "INSUFFICIENT_DATA")
        }
        well = sum(state == "OK" for state in self.alarms.values())
        parts = [
            f"ALARM: {named['ALARM']}" if named["ALARM"] else "",
            f"{well} OK" if well else "",
            f"without data yet: {named['INSUFFICIENT_DATA']}" if named["INSUFFICIENT_DATA"] else "",
        ]
        return "; ".join(part for part in parts if part) or "none"


def guard_prefix(endpoint: str) -> str:
    """What the names of an endpoint's guard alarms begin with."""
    return f"{endpoint}-guard-"


def asked(model: Model | None) -> str:
    if model is None:
        return ""
    return "awaiting" if model.awaiting else f"version {model.stable}"


def status(target: Target, model: Model, url: str = "") -> ModelStatus:
    """Reads one model's endpoint. An endpoint that is not there is a status, not an error.

    url: the model's address at the front door (infra.front_door.model_urls), which is one look-up for all models.
    """
    sagemaker = target.client("sagemaker")
    name = endpoint_name(target.environment, model.model)
    alarms = _alarms(target, name)
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return ModelStatus(model.model, target.environment, asked(model), name, NOT_CREATED, alarms=alarms, url=url)
    return ModelStatus(
        model=model.model,
        environment=target.environment,
        asked=asked(model),
        endpoint=name,
        endpoint_status=endpoint["EndpointStatus"],
        failure_reason=endpoint.get("FailureReason", ""),
        variants=tuple(_variants(sagemaker, endpoint)),
        alarms=alarms,
        url=url,
    )


def _alarms(target: Target, endpoint: str) -> dict[str, str]:
    # By name: with the prefix those of the model `iris-guard` would be told as guards of `iris`.
    names = list(guard_alarm_names(endpoint).values())
    pages = target.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=names)
    return {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}


def _variants(sagemaker: Any, endpoint: Mapping[str, Any]) -> list[VariantStatus]:
    live = endpoint.get("ProductionVariants", [])
    if not live:
        return []
    models = _models(sagemaker, endpoint["EndpointConfigName"])
    total = sum(variant.get("CurrentWeight", 0.0) for variant in live)
    return [
        VariantStatus(
            name=variant["VariantName"],
            version=_version(sagemaker, models.get(variant["VariantName"], "")),
            traffic_percent=round(100 * variant.get("CurrentWeight", 0.0) / total, 1) if total else 0.0,
            instances=variant.get("CurrentInstanceCount", 0),
            desired_instances=variant.get("DesiredInstanceCount", 0),
        )
        for variant in live
    ]


def _models(sagemaker: Any, configuration: str) -> dict[str, str]:
    """The Model of each variant; none when the configuration was deleted under the live endpoint."""
    try:
        told = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return {}
    return {variant["VariantName"]: variant.get("ModelName", "") for variant in told["ProductionVariants"]}


def _version(sagemaker: Any, model_name: str) -> str:
    """The version that the variant's Model resource was made for."""
    if not model_name:
        return "unknown (its configuration is gone)"
    try:
        described = sagemaker.describe_model(ModelName=model_name)
    except ClientError as error:
        gone = "Could not find" in str(error)
        return f"unknown ({'its Model is gone' if gone else error.response['Error']['Code']})"
    containers = [described["PrimaryContainer"]] if "PrimaryContainer" in described else described.get("Containers", [])
    return next(
        (c["Environment"][VERSION_VARIABLE] for c in containers if VERSION_VARIABLE in c.get("Environment", {})),
        "unknown",
    )
