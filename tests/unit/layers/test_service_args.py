"""A model file becomes the arguments of ModelService by a pure function; nothing of it is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.catalog import Model
from infra.layers.models import service_args
from infra.layers.outputs import PlatformNotUp, PlatformOutputs
from infra.settings import ModelsSettings, load_models
from infra.settings.schema import ApprovalSettings

FILE: dict[str, Any] = {
    "model": "iris",
    "owner": "botany",
    "runtime": "sklearn-1.4-2",
    "signature": {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "double"}]},
    "stable": 7,
    "keep": [6, {"version": 5, "runtime": "sklearn-1.2-1"}],
    "rollout": {"strategy": "canary", "percent": 10, "bake_minutes": 30},
    "capacity": {
        "instance_type": "ml.m5.large",
        "instance_count": 3,
        "autoscaling": {"minimum": 2, "maximum": 5, "invocations_per_instance_per_minute": 600},
    },
    "slo": {"p95_ms": 200, "p99_ms": 500, "error_ratio": 0.02},
    "front_door": {"deadline_ms": 4000, "maximum_body_kib": 512},
    "capture": {"percent": 0},
    "tags": {"team": "botany"},
}
OUTPUTS = {
    "account_id": "111111111111",
    "region": "eu-west-1",
    "kms_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/k",
    "vpc_id": "vpc-1",
    "vpc_cidr_block": "10.0.0.0/16",
    "private_subnet_ids": ["subnet-1", "subnet-2"],
    "s3_prefix_list_id": "pl-1",
    "registry_bucket_name": "registry",
    "registry_bucket_arn": "arn:aws:s3:::registry",
    "repository_arn": "arn:aws:ecr:eu-west-1:111111111111:repository/mainstage-dev",
    "repository_url": "111111111111.dkr.ecr.eu-west-1.amazonaws.com/mainstage-dev",
    "capture_bucket_name": "capture",
    "capture_bucket_arn": "arn:aws:s3:::capture",
    "page_topic_arn": "arn:aws:sns:eu-west-1:111111111111:page",
    "ticket_topic_arn": "arn:aws:sns:eu-west-1:111111111111:ticket",
    "front_door_api_id": "a1b2c3",
    "front_door_api_endpoint": "https://a1b2c3.execute-api.eu-west-1.amazonaws.com",
    "front_door_execution_arn": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3",
    "front_door_authorizer_id": "",
    "front_door_authorization_type": "AWS_IAM",
    "front_door_stage_name": "$default",
    "predictions_bucket_name": "predictions",
    "predictions_bucket_arn": "arn:aws:s3:::predictions",
    "pseudonym_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/h",
    "permissions_boundary_arn": "arn:aws:iam::111111111111:policy/bounds",
    "release": "0.1.0",
}


@pytest.fixture
def settings() -> ModelsSettings:
    config = {
        "mainstage:release": "0.1.0",
        "mainstage:account_id": "111111111111",
        "mainstage:region": "eu-west-1",
        "mainstage:owner": "ml-platform",
        "mainstage:cost_center": "ai",
        "mainstage:log_retention_days": "30",
        "mainstage:runbook_base_url": "https://example.com/runbooks",
        "mainstage:capture_percent": "20",
        "mainstage:prediction_log": json.dumps({"scan_limit_mib": 512}),
        "mainstage:limits": json.dumps({"maximum_instances": 9, "instance_types": ["ml.*"]}),
        "pulumi:disable-default-providers": '["*"]',
    }
    return load_models(config, "models-staging", Path("/nowhere"))


def args_of(settings: ModelsSettings, **changes: Any) -> Any:
    content = {key: value for key, value in {**FILE, **changes}.items() if value is not None}
    return service_args(Model.model_validate(content), settings, PlatformOutputs.of(OUTPUTS, settings))


def test_every_part_of_the_file_arrives(settings: ModelsSettings) -> None:
    assert args_of(settings) == {
        "account_id": "111111111111",
        "region": "eu-west-1",
        "tags": {"team": "botany"},
        "model": "iris",
        "owner": "botany",
        "backend": "sagemaker",
        "runtime": "sklearn-1.4-2",
        "stable": 7,
        "keep": [{"version": 6}, {"version": 5, "runtime": "sklearn-1.2-1"}],
        "rollout": {"strategy": "canary", "percent": 10, "bake_minutes": 30},
        "capacity": {
            "instance_type": "ml.m5.large",
            "instance_count": 3,
            "autoscaling": {
                "minimum": 2,
                "maximum": 5,
                "invocations_per_instance_per_minute": 600,
                "scale_in_cooldown_seconds": 300,
                "scale_out_cooldown_seconds": 60,
            },
        },
        "slo": {"p95_ms": 200, "p99_ms": 500, "error_ratio": 0.02, "minimum_requests": 20},
        "alarms": {"cpu_percent": 85, "memory_percent": 90},
        "capture": {"s3_uri": "s3://capture", "bucket_arn": "arn:aws:s3:::capture", "percent": 0},
        "environment_label": "staging",
        "signature": {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "double"}]},
        "front_door": {
            "api_id": "a1b2c3",
            "api_endpoint": "https://a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "execution_arn": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3",
            "authorizer_id": "",
            "authorization_type": "AWS_IAM",
            "stage_name": "$default",
        },
        "deadline_ms": 4000,
        "maximum_body_kib": 512,
        "prediction_log": {
            "bucket_name": "predictions",
            "bucket_arn": "arn:aws:s3:::predictions",
            "buffer_seconds": 60,
            "scan_limit_mib": 512,
        },
        "pseudonym_key_arn": OUTPUTS["pseudonym_key_arn"],
        "endpoint_name": "staging-iris",
        "registry_bucket_name": "registry",
        "registry_bucket_arn": "arn:aws:s3:::registry",
        "repository_arns": [OUTPUTS["repository_arn"]],
        "kms_key_arn": OUTPUTS["kms_key_arn"],
        "network": {
            "vpc_id": "vpc-1",
            "cidr_block": "10.0.0.0/16",
            "subnet_ids": ["subnet-1", "subnet-2"],
            "s3_prefix_list_id": "pl-1",
        },
        "page_topic_arn": OUTPUTS["page_topic_arn"],
        "ticket_topic_arn": OUTPUTS["ticket_topic_arn"],
        "runbook_base_url": "https://example.com/runbooks",
        "permissions_boundary_arn": OUTPUTS["permissions_boundary_arn"],
        "log_retention_days": 30,
        "deletion_protection": True,
        "approval_required": False,
    }


def test_an_environment_may_ask_for_approvals(settings: ModelsSettings) -> None:
    asking = settings.model_copy(update={"approval": ApprovalSettings(required=True)})
    assert args_of(asking)["approval_required"] is True


def test_a_model_without_a_version_is_awaiting(settings: ModelsSettings) -> None:
    args = args_of(settings, stable=None, keep=None, awaiting=True)
    assert args["awaiting"] is True
    assert "stable" not in args
    assert "keep" not in args


def test_what_the_file_leaves_out_comes_from_the_settings(settings: ModelsSettings) -> None:
    assert args_of(settings, capture=None)["capture"]["percent"] == 20
    assert args_of(settings, rollout=None)["rollout"] == {"strategy": "all_at_once", "bake_minutes": 10}


def test_a_signature_arrives_whole_and_without_its_defaults(settings: ModelsSettings) -> None:
    full = {
        "name": "age",
        "type": "integer",
        "description": "in years",
        "required": False,
        "nullable": True,
        "minimum": 0,
        "maximum": 150,
    }
    inputs = [
        full,
        {"name": "card", "type": "string", "pii": True},
        {"name": "email", "type": "string", "pii": "hash", "required": True},
        {"name": "note", "type": "string", "pii": "drop"},
        {"name": "shop", "type": "string", "categories": ["a", "b"], "pii": False},
    ]
    signature = {
        "inputs": inputs,
        "outputs": [{"name": "y", "type": "double"}],
        "confidence": "y",
        "entity_key": "card",
    }
    assert args_of(settings, signature=signature)["signature"] == {
        "inputs": [
            full,
            {"name": "card", "type": "string", "pii": "hash"},
            {"name": "email", "type": "string", "pii": "hash"},
            {"name": "note", "type": "string", "pii": "drop"},
            {"name": "shop", "type": "string", "categories": ["a", "b"]},
        ],
        "outputs": [{"name": "y", "type": "double"}],
        "confidence": "y",
        "entity_key": "card",
    }


def test_nothing_is_captured_with_personal_data_whatever_the_settings_say(settings: ModelsSettings) -> None:
    personal = {
        "inputs": [{"name": "card", "type": "string", "pii": True}],
        "outputs": [{"name": "y", "type": "double"}],
    }
    assert args_of(settings, capture=None, signature=personal)["capture"]["percent"] == 0


def test_nothing_of_the_file_is_forgotten(settings: ModelsSettings) -> None:
    # The description is for people.
    for_others = {"description", "awaiting"}
    assert set(Model.model_fields) - for_others <= set(args_of(settings))


def test_missing_outputs_are_named_in_order(settings: ModelsSettings) -> None:
    outputs = {key: value for key, value in OUTPUTS.items() if key not in ("release", "kms_key_arn")}
    with pytest.raises(PlatformNotUp, match=r"platform-staging, but it has no kms_key_arn, release\. Bring"):
        PlatformOutputs.of(outputs, settings)
    with pytest.raises(
        PlatformNotUp, match=r"it has no outputs\. Bring the platform up first: pulumi up -s platform-st"
    ):
        PlatformOutputs.of({}, settings)
    with pytest.raises(PlatformNotUp, match="up with region us-east-1, models-staging asks for eu-west-1"):
        PlatformOutputs.of({**OUTPUTS, "region": "us-east-1"}, settings)
