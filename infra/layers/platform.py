"""The platform layer: what all models stand on, slow to change.

Keys, boundary, network, registry, buckets, pager, and the front door that clients call.
"""

from __future__ import annotations

from typing import Any

from mainstage import (
    EncryptionKey,
    FrontDoor,
    FrontDoorArgs,
    ModelRegistry,
    Network,
    Pager,
    PseudonymKey,
    PseudonymKeyArgs,
    RoleBoundary,
    SecureBucket,
)
from mainstage.network import NetworkArgs

from infra.catalog import Catalog
from infra.layers.names import (
    capture_bucket_name,
    front_door_api_name,
    platform_name,
    predictions_bucket_name,
    pseudonym_key_alias,
    registry_bucket_name,
)
from infra.layers.provider import account_arguments, make_provider, with_provider
from infra.settings import PlatformSettings


def compose(settings: PlatformSettings, catalog: Catalog) -> dict[str, Any]:
    """Registers the platform's components; returns the stack's outputs (see `layers.outputs.PlatformOutputs`).

    The catalog gives the names of the models, each of which gets its place in the registry.
    """
    options = with_provider(make_provider(settings))
    account = account_arguments(settings)
    protection = settings.deletion_protection
    name = platform_name(settings.environment)
    where = (settings.environment, settings.account_id, settings.region)
    registry_bucket, capture_bucket = registry_bucket_name(*where), capture_bucket_name(*where)
    predictions_bucket = predictions_bucket_name(*where)

    if settings.existing_kms_key_arn is None:
        key = EncryptionKey("key", {**account, "alias": name, "deletion_protection": protection}, options)
    else:
        key = EncryptionKey("key", {**account, "existing_key_arn": settings.existing_kms_key_arn}, options)
    boundary_arn: Any = settings.existing_permissions_boundary_arn
    if boundary_arn is None:
        boundary_arn = RoleBoundary(
            "boundary",
            {
                **account,
                "policy_name": f"{name}-boundary",
                "bucket_names": [registry_bucket, capture_bucket, predictions_bucket],
            },
            options,
        ).policy_arn
    network = Network("network", network_args(settings, key.key_arn, boundary_arn), options)
    registry = ModelRegistry(
        "registry",
        {
            **account,
            "bucket_name": registry_bucket,
            "kms_key_arn": key.key_arn,
            "models": list(catalog.models),
            "package_group_prefix": settings.environment,
            "repository_name": name,
            "noncurrent_days": settings.registry.noncurrent_days,
            "deletion_protection": protection,
        },
        options,
    )
    capture = SecureBucket(
        "capture",
        {
            **account,
            "bucket_name": capture_bucket,
            "kms_key_arn": key.key_arn,
            "expire_days": settings.capture.retention_days,
            "deletion_protection": protection,
        },
        options,
    )
    pager = Pager(
        "pager",
        {**account, "kms_key_arn": key.key_arn, "topic_prefix": name, "deletion_protection": protection},
        options,
    )
    predictions = SecureBucket(
        "predictions",
        {
            **account,
            "bucket_name": predictions_bucket,
            "kms_key_arn": key.key_arn,
            "expire_days": settings.predictions.retention_days,
            "deletion_protection": protection,
        },
        options,
    )
    pseudonym_key = PseudonymKey("pseudonyms", pseudonym_key_args(settings), options)
    front_door = FrontDoor("front-door", front_door_args(settings, key.key_arn, boundary_arn), options)
    return {
        "account_id": settings.account_id,
        "region": settings.region,
        "kms_key_arn": key.key_arn,
        "vpc_id": network.vpc_id,
        "vpc_cidr_block": network.cidr_block,
        "private_subnet_ids": network.private_subnet_ids,
        "s3_prefix_list_id": network.s3_prefix_list_id,
        "registry_bucket_name": registry.bucket_name,
        "registry_bucket_arn": registry.bucket_arn,
        "repository_arn": registry.repository_arn,
        "repository_url": registry.repository_url,
        "capture_bucket_name": capture.bucket_name,
        "capture_bucket_arn": capture.bucket_arn,
        "page_topic_arn": pager.page_topic_arn,
        "ticket_topic_arn": pager.ticket_topic_arn,
        "front_door_api_id": front_door.api_id,
        "front_door_api_endpoint": front_door.api_endpoint,
        "front_door_execution_arn": front_door.execution_arn,
        "front_door_authorizer_id": front_door.authorizer_id,
        "front_door_authorization_type": front_door.authorization_type,
        "front_door_stage_name": front_door.stage_name,
        "predictions_bucket_name": predictions.bucket_name,
        "predictions_bucket_arn": predictions.bucket_arn,
        "pseudonym_key_arn": pseudonym_key.key_arn,
        "permissions_boundary_arn": boundary_arn,
        "release": settings.release,
    }


def pseudonym_key_args(settings: PlatformSettings) -> PseudonymKeyArgs:
    """The PseudonymKey component's arguments: a new key, or the one that the settings adopt."""
    account = account_arguments(settings)
    if settings.existing_pseudonym_key_arn is not None:
        return {**account, "existing_key_arn": settings.existing_pseudonym_key_arn}
    return {
        **account,
        "alias": pseudonym_key_alias(settings.environment),
        "deletion_protection": settings.deletion_protection,
    }


def front_door_args(settings: PlatformSettings, kms_key_arn: Any, permissions_boundary_arn: Any) -> FrontDoorArgs:
    """The FrontDoor component's arguments. That everybody may call follows from auth: none, which only dev may say."""
    front_door = settings.front_door
    args: FrontDoorArgs = {
        **account_arguments(settings),
        "api_name": front_door_api_name(settings.environment),
        "kms_key_arn": kms_key_arn,
        "auth": front_door.auth,
        "throttle_requests_per_second": front_door.throttle_requests_per_second,
        "throttle_burst": front_door.throttle_burst,
        "log_retention_days": settings.log_retention_days,
        "permissions_boundary_arn": permissions_boundary_arn,
        "deletion_protection": settings.deletion_protection,
    }
    if front_door.jwt is not None:
        args["jwt"] = {"issuer": front_door.jwt.issuer, "audiences": list(front_door.jwt.audiences)}
    if front_door.auth == "none":
        args["allow_unauthenticated"] = True
    return args


def network_args(settings: PlatformSettings, kms_key_arn: Any, permissions_boundary_arn: Any) -> NetworkArgs:
    """The Network component's arguments: a new VPC, or the one that the settings adopt."""
    network = settings.network
    account = account_arguments(settings)
    if network.existing is not None:
        existing = network.existing
        return {
            **account,
            "existing_vpc": {
                "vpc_id": existing.vpc_id,
                "cidr_block": existing.cidr_block,
                "private_subnet_ids": list(existing.private_subnet_ids),
                "s3_prefix_list_id": existing.s3_prefix_list_id,
            },
        }
    args: NetworkArgs = {
        **account,
        "nat": network.nat,
        "interface_endpoints": list(network.interface_endpoints),
        "permissions_boundary_arn": permissions_boundary_arn,
        "deletion_protection": settings.deletion_protection,
    }
    if network.cidr_block is not None and network.availability_zones is not None:
        args["cidr_block"] = network.cidr_block
        args["availability_zones"] = list(network.availability_zones)
    if network.flow_log_retention_days is not None:
        args["flow_log_retention_days"] = network.flow_log_retention_days
        args["kms_key_arn"] = kms_key_arn
    return args
