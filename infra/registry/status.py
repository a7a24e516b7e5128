"""What the catalog asks for beside what serves, read from AWS itself: the endpoint, its configuration, its alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

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

    @property
    def alarms_text(self) -> str:
        counts = Counter(self.alarms.values())
        ringing = [name for name, state in self.alarms.items() if state == "ALARM"]
        if ringing:
            return f"ALARM: {', '.join(ringing)}"
        words = {"INSUFFICIENT_DATA": "without data yet"}
        return ", ".join(f"{count} {words.get(state, state)}" for state, count in sorted(counts.items())) or "none"


def asked(model: Model | None) -> str:
    if model is None:
        return ""
    return "awaiting" if model.awaiting else f"version {model.stable}"


def status(target: Target, model: Model) -> ModelStatus:
    """Reads one model's endpoint. An endpoint that is not there is a status, not an error."""
    sagemaker = target.client("sagemaker")
    name = endpoint_name(target.environment, model.model)
    alarms = _alarms(target, name)
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return ModelStatus(model.model, target.environment, asked(model), name, NOT_CREATED, alarms=alarms)
    return ModelStatus(
        model=model.model,
        environment=target.environment,
        asked=asked(model),
        endpoint=name,
        endpoint_status=endpoint["EndpointStatus"],
        failure_reason=endpoint.get("FailureReason", ""),
        variants=tuple(_variants(sagemaker, endpoint)),
        alarms=alarms,
    )


def _alarms(target: Target, endpoint: str) -> dict[str, str]:
    pages = target.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{endpoint}-guard-")
    return {alarm["AlarmName"]: alarm["StateValue"] for page in pages for alarm in page["MetricAlarms"]}


def _variants(sagemaker: Any, endpoint: Mapping[str, Any]) -> list[VariantStatus]:
    live = endpoint.get("ProductionVariants", [])
    if not live:
        return []
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    models = {variant["VariantName"]: variant.get("ModelName", "") for variant in configuration["ProductionVariants"]}
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


def _version(sagemaker: Any, model_name: str) -> str:
    """The version that the variant's Model resource was made for."""
    try:
        described = sagemaker.describe_model(ModelName=model_name)
    except ClientError:
        return "unknown (its Model is gone)"
    containers = [described["PrimaryContainer"]] if "PrimaryContainer" in described else described.get("Containers", [])
    return next(
        (c["Environment"][VERSION_VARIABLE] for c in containers if VERSION_VARIABLE in c.get("Environment", {})),
        "unknown",
    )
