"""The models layer: one ModelService a model of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstage import AutoscalingArgs, CapacityArgs, KeptVersionArgs, ModelService, ModelServiceArgs
from mainstage import DeploymentArgs as RolloutArgs

from infra.catalog import Autoscaling, Capacity, Catalog, KeptVersion, Model, Rollout
from infra.layers.names import endpoint_name
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
    services = {
        name: ModelService(name, service_args(model, settings, outputs), options)
        for name, model in catalog.models.items()
    }
    return {
        "account_id": settings.account_id,
        "region": settings.region,
        "release": settings.release,
        "models": {
            name: {
                "endpoint_name": service.endpoint_name,
                "endpoint_arn": service.endpoint_arn,
                "endpoint_config_name": service.endpoint_config_name,
                "stable": catalog.models[name].stable,
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
        "slo": {"p95_ms": model.slo.p95_ms, "p99_ms": model.slo.p99_ms, "error_ratio": model.slo.error_ratio},
        "capture": {
            "s3_uri": f"s3://{platform.capture_bucket_name}",
            "bucket_arn": platform.capture_bucket_arn,
            "percent": settings.capture_percent if model.capture is None else model.capture.percent,
        },
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
    }
    if model.stable is None:
        args["awaiting"] = True
    else:
        args["stable"] = model.stable
        args["keep"] = [_kept(version) for version in model.keep]
    return args


def _rollout(rollout: Rollout) -> RolloutArgs:
    args: RolloutArgs = {"strategy": rollout.strategy, "bake_minutes": rollout.bake_minutes}
    if rollout.percent is not None:
        args["percent"] = rollout.percent
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
