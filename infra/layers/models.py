"""The models layer: one ModelService a model of the catalog, and a dashboard of them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstage import (
    AlarmLimitsArgs,
    AutoscalingArgs,
    CapacityArgs,
    Dashboard,
    DataCaptureArgs,
    FrontDoorIdentity,
    KeptVersionArgs,
    ModelService,
    ModelServiceArgs,
    ReleaseWatch,
    ReleaseWatchArgs,
    SignatureArgs,
    SignatureFieldArgs,
    SloArgs,
)
from mainstage import DeploymentArgs as RolloutArgs

from infra.catalog import Autoscaling, Capacity, Catalog, KeptVersion, Model, Rollout, Signature, SignatureField, Slo
from infra.catalog.schema import Alarms
from infra.layers.names import endpoint_name, endpoint_prefix, platform_name, release_watch_name
from infra.layers.outputs import PlatformOutputs
from infra.layers.provider import make_provider, with_provider
from infra.settings import ModelsSettings


def compose(settings: ModelsSettings, catalog: Catalog, platform: Mapping[str, Any]) -> dict[str, Any]:
    """Registers every model; returns the stack's outputs.

    `platform` holds the platform stack's outputs as plain values. Raises PlatformNotUp when they are not those of the
    settings' environment.
    """
    outputs = PlatformOutputs.of(platform, settings)
    options = with_provider(make_provider(settings))
    # Before the models: it should be there when their first release begins.
    watch = ReleaseWatch("release-watch", watch_args(settings, outputs), options)
    services = {
        name: ModelService(name, service_args(model, settings, outputs), options)
        for name, model in catalog.models.items()
    }
    overview = Dashboard(
        "overview",
        {
            "account_id": settings.account_id,
            "region": settings.region,
            # Dashboards know no regions, hence the region.
            "dashboard_name": f"{platform_name(settings.environment)}-{settings.region}",
            "models": [service.shown for service in services.values()],
            "front_door": front_door_identity(outputs),
            "runbook_base_url": settings.runbook_base_url,
        },
        options,
    )
    return {
        "account_id": settings.account_id,
        "region": settings.region,
        "release": settings.release,
        "dashboard_name": overview.dashboard_name,
        "release_watch_function_name": watch.function_name,
        "models": {
            name: {
                "endpoint_name": service.endpoint_name,
                "endpoint_arn": service.endpoint_arn,
                "endpoint_config_name": service.endpoint_config_name,
                "stable": catalog.models[name].stable,
                "url": service.url,
                "front_door_function_name": service.front_door_function_name,
                "log_stream_name": service.log_stream_name,
                "log_database_name": service.log_database_name,
                "log_workgroup_name": service.log_workgroup_name,
                "dashboard_name": service.dashboard_name,
            }
            for name, service in services.items()
        },
    }


def service_args(model: Model, settings: ModelsSettings, platform: PlatformOutputs) -> ModelServiceArgs:
    """A model file as the arguments of ModelService. A pure function: the same files, the same arguments."""
    args: ModelServiceArgs = {
        "account_id": settings.account_id,
        "region": settings.region,
        "tags": dict(model.tags),
        "model": model.model,
        "owner": model.owner,
        "backend": model.backend,
        "runtime": model.runtime,
        "rollout": _rollout(model.rollout),
        "capacity": _capacity(model.capacity),
        "slo": _slo(model.slo),
        "alarms": _alarms(model.alarms),
        "environment_label": settings.environment,
        "signature": signature_args(model.signature),
        "front_door": front_door_identity(platform),
        "deadline_ms": model.front_door.deadline_ms,
        "maximum_body_kib": model.front_door.maximum_body_kib,
        "prediction_log": {
            "bucket_name": platform.predictions_bucket_name,
            "bucket_arn": platform.predictions_bucket_arn,
            "buffer_seconds": settings.prediction_log.buffer_seconds,
            "scan_limit_mib": settings.prediction_log.scan_limit_mib,
        },
        "pseudonym_key_arn": platform.pseudonym_key_arn,
        "capture": _capture(model, settings, platform),
        "endpoint_name": endpoint_name(settings.environment, model.model),
        "registry_bucket_name": platform.registry_bucket_name,
        "registry_bucket_arn": platform.registry_bucket_arn,
        "repository_arns": [platform.repository_arn],
        "kms_key_arn": platform.kms_key_arn,
        "network": {
            "vpc_id": platform.vpc_id,
            "cidr_block": platform.vpc_cidr_block,
            "subnet_ids": list(platform.private_subnet_ids),
            "s3_prefix_list_id": platform.s3_prefix_list_id,
        },
        "page_topic_arn": platform.page_topic_arn,
        "ticket_topic_arn": platform.ticket_topic_arn,
        "runbook_base_url": settings.runbook_base_url,
        "permissions_boundary_arn": platform.permissions_boundary_arn,
        "log_retention_days": settings.log_retention_days,
        "deletion_protection": settings.deletion_protection,
        "approval_required": settings.approval.required,
    }
    if model.stable is None:
        args["awaiting"] = True
    else:
        args["stable"] = model.stable
        args["keep"] = [_kept(version) for version in model.keep]
    return args


def watch_args(settings: ModelsSettings, platform: PlatformOutputs) -> ReleaseWatchArgs:
    """The ReleaseWatch component's arguments: one watch for all endpoints of the environment."""
    return {
        "account_id": settings.account_id,
        "region": settings.region,
        "watch_name": release_watch_name(settings.environment),
        "environment_label": settings.environment,
        "endpoint_prefix": endpoint_prefix(settings.environment),
        "registry_bucket_name": platform.registry_bucket_name,
        "registry_bucket_arn": platform.registry_bucket_arn,
        "page_topic_arn": platform.page_topic_arn,
        "ticket_topic_arn": platform.ticket_topic_arn,
        "runbook_base_url": settings.runbook_base_url,
        "kms_key_arn": platform.kms_key_arn,
        "permissions_boundary_arn": platform.permissions_boundary_arn,
        "log_retention_days": settings.log_retention_days,
        "deletion_protection": settings.deletion_protection,
    }


def front_door_identity(platform: PlatformOutputs) -> FrontDoorIdentity:
    """The platform's HTTP API, as the FrontDoor component handed it out."""
    return {
        "api_id": platform.front_door_api_id,
        "api_endpoint": platform.front_door_api_endpoint,
        "execution_arn": platform.front_door_execution_arn,
        "authorizer_id": platform.front_door_authorizer_id,
        "authorization_type": platform.front_door_authorization_type,
        "stage_name": platform.front_door_stage_name,
    }


def signature_args(signature: Signature) -> SignatureArgs:
    """A catalog's signature as an argument of components; what is left at its default is left out."""
    args: SignatureArgs = {
        "inputs": [_field(field) for field in signature.inputs],
        "outputs": [_field(field) for field in signature.outputs],
    }
    if signature.confidence is not None:
        args["confidence"] = signature.confidence
    if signature.entity_key is not None:
        args["entity_key"] = signature.entity_key
    return args


def _field(field: SignatureField) -> SignatureFieldArgs:
    args: SignatureFieldArgs = {"name": field.name, "type": field.type}
    if field.description:
        args["description"] = field.description
    if not field.required:
        args["required"] = False
    if field.nullable:
        args["nullable"] = True
    if field.minimum is not None:
        args["minimum"] = field.minimum
    if field.maximum is not None:
        args["maximum"] = field.maximum
    if field.categories is not None:
        args["categories"] = list(field.categories)
    if field.pii:
        args["pii"] = "drop" if field.pii == "drop" else "hash"
    return args


def _capture(model: Model, settings: ModelsSettings, platform: PlatformOutputs) -> DataCaptureArgs:
    """What is captured is stored as it was sent: nothing, where the environment's default meets personal data."""
    default = 0 if model.signature.personal else settings.capture_percent
    return {
        "s3_uri": f"s3://{platform.capture_bucket_name}",
        "bucket_arn": platform.capture_bucket_arn,
        "percent": default if model.capture is None else model.capture.percent,
    }


def _rollout(rollout: Rollout) -> RolloutArgs:
    args: RolloutArgs = {"strategy": rollout.strategy, "bake_minutes": rollout.bake_minutes}
    if rollout.percent is not None:
        args["percent"] = rollout.percent
    return args


def _slo(slo: Slo) -> SloArgs:
    args: SloArgs = {
        "p95_ms": slo.p95_ms,
        "p99_ms": slo.p99_ms,
        "error_ratio": slo.error_ratio,
        "minimum_requests": slo.minimum_requests,
    }
    if slo.front_door_p99_ms is not None:
        args["front_door_p99_ms"] = slo.front_door_p99_ms
    return args


def _alarms(alarms: Alarms) -> AlarmLimitsArgs:
    args: AlarmLimitsArgs = {"cpu_percent": alarms.cpu_percent, "memory_percent": alarms.memory_percent}
    if alarms.requests_per_hour_at_least is not None:
        args["requests_per_hour_at_least"] = alarms.requests_per_hour_at_least
    if alarms.concurrent_requests_per_instance is not None:
        args["concurrent_requests_per_instance"] = alarms.concurrent_requests_per_instance
    return args


def _capacity(capacity: Capacity) -> CapacityArgs:
    args: CapacityArgs = {"instance_type": capacity.instance_type, "instance_count": capacity.instance_count}
    if capacity.autoscaling is not None:
        args["autoscaling"] = _autoscaling(capacity.autoscaling)
    return args


def _autoscaling(autoscaling: Autoscaling) -> AutoscalingArgs:
    return {
        "minimum": autoscaling.minimum,
        "maximum": autoscaling.maximum,
        "invocations_per_instance_per_minute": autoscaling.invocations_per_instance_per_minute,
        "scale_in_cooldown_seconds": autoscaling.scale_in_cooldown_seconds,
        "scale_out_cooldown_seconds": autoscaling.scale_out_cooldown_seconds,
    }


def _kept(version: KeptVersion) -> KeptVersionArgs:
    if version.runtime is None:
        return {"version": version.version}
    return {"version": version.version, "runtime": version.runtime}
