"""Both layers of every environment, recorded: what is registered, by which provider, and what differs."""

from __future__ import annotations

import dataclasses
import json
import runpy
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.catalog import load_catalog
from infra.layers.outputs import OUTPUT_NAMES
from infra.program import program_for
from infra.rehearsal.engine import UNKNOWN, Registered, Result, record
from infra.settings import ENVIRONMENTS, stack_config, stack_file
from infra.version import RELEASE

# What the recorder's made-up answers lack: a prefix list that looks like one.
ANSWERS = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}


def platform(root: Path, environment: str, config: Mapping[str, str] | None = None, *, preview: bool = False) -> Result:
    stack = f"platform-{environment}"
    return record(
        program_for(stack, root),
        stack,
        config or stack_config(stack_file(root, stack)),
        preview=preview,
        answers=ANSWERS,
    )


@cache
def platform_outputs(root: Path, environment: str) -> Mapping[str, Any]:
    return MappingProxyType(platform(root, environment).check().outputs)


def models(
    root: Path,
    environment: str,
    config: Mapping[str, str] | None = None,
    *,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    preview: bool = False,
) -> Result:
    stack = f"models-{environment}"
    if outputs is None:
        outputs = {f"platform-{environment}": platform_outputs(root, environment)}
    return record(
        program_for(stack, root),
        stack,
        config or stack_config(stack_file(root, stack)),
        preview=preview,
        stack_outputs=outputs,
    )


def counts(result: Result) -> dict[str, int]:
    """Resources by type; AWS's as `s3:Bucket` for `aws:s3/bucket:Bucket`."""
    return dict(Counter(_short(resource.type) for resource in result.check().resources))


def _short(token: str) -> str:
    package, module, name = token.split(":")
    return f"{module.partition('/')[0]}:{name}" if package == "aws" else token


def of_type(result: Result, suffix: str) -> list[Registered]:
    return [resource for resource in result.check().resources if resource.type.endswith(f":{suffix}")]


BUCKET_PARTS = {
    "s3:Bucket": 3,
    "s3:BucketLifecycleConfiguration": 3,
    "s3:BucketOwnershipControls": 3,
    "s3:BucketPolicy": 3,
    "s3:BucketPublicAccessBlock": 3,
    "s3:BucketServerSideEncryptionConfiguration": 3,
    "s3:BucketVersioning": 3,
}
PLATFORM = {
    **BUCKET_PARTS,
    "apigatewayv2:Api": 1,
    "apigatewayv2:Integration": 1,
    "apigatewayv2:Route": 1,
    "apigatewayv2:Stage": 1,
    "cloudwatch:LogGroup": 2,
    "ec2:DefaultSecurityGroup": 1,
    "ec2:RouteTable": 2,
    "ec2:RouteTableAssociation": 2,
    "ec2:SecurityGroup": 1,
    "ec2:Subnet": 2,
    "ec2:Vpc": 1,
    "ec2:VpcEndpoint": 5,
    "ecr:LifecyclePolicy": 1,
    "ecr:Repository": 1,
    "iam:Policy": 1,
    "iam:Role": 1,
    "iam:RolePolicy": 1,
    "kms:Alias": 2,
    "kms:Key": 2,
    "lambda:Function": 1,
    "lambda:Permission": 1,
    "mainstage:index:EncryptionKey": 1,
    "mainstage:index:FrontDoor": 1,
    "mainstage:index:ModelRegistry": 1,
    "mainstage:index:Network": 1,
    "mainstage:index:Pager": 1,
    "mainstage:index:PseudonymKey": 1,
    "mainstage:index:RoleBoundary": 1,
    "mainstage:index:SecureBucket": 3,
    "pulumi:providers:aws": 1,
    "sagemaker:ModelPackageGroup": 2,
    "sns:Topic": 2,
    "sns:TopicPolicy": 2,
    "vpc:SecurityGroupIngressRule": 1,
}
FLOW_LOGS = {"cloudwatch:LogGroup": 3, "ec2:FlowLog": 1, "iam:Role": 2, "iam:RolePolicy": 2}
WATCH = {
    "cloudwatch:EventRule": 1,
    "cloudwatch:EventTarget": 1,
    "mainstage:index:ReleaseWatch": 1,
}
MODELS = {
    **WATCH,
    "apigatewayv2:Integration": 2,
    "apigatewayv2:Route": 2,
    "athena:NamedQuery": 12,
    "athena:Workgroup": 2,
    # One a model, and the environment's.
    "cloudwatch:Dashboard": 3,
    "cloudwatch:LogGroup": 11,
    "cloudwatch:LogStream": 2,
    # Of the model that is served.
    "cloudwatch:CompositeAlarm": 1,
    # Seven guards and six of the log, for each of two models; three of the watch; seven of the one that is served.
    "cloudwatch:MetricAlarm": 36,
    "ec2:SecurityGroup": 2,
    "glue:CatalogDatabase": 2,
    "glue:CatalogTable": 4,
    # Endpoint, front door, transform, replay and stream; the watch.
    "iam:Role": 11,
    "iam:RolePolicy": 11,
    "kinesis:FirehoseDeliveryStream": 2,
    "lambda:EventSourceMapping": 2,
    "lambda:Function": 7,
    "lambda:Permission": 3,
    "mainstage:index:Dashboard": 3,
    "mainstage:index:GuardAlarms": 2,
    "mainstage:index:ModelRoute": 2,
    "mainstage:index:ModelService": 2,
    "mainstage:index:PredictionLog": 2,
    "mainstage:index:SageMakerEndpoint": 2,
    "mainstage:index:ServiceAlarms": 1,
    "pulumi:providers:aws": 1,
    "pulumi:pulumi:StackReference": 1,
    "sagemaker:Endpoint": 1,
    "sagemaker:EndpointConfiguration": 1,
    "sagemaker:Model": 1,
    "sqs:Queue": 5,
    "sqs:QueuePolicy": 5,
    "vpc:SecurityGroupEgressRule": 4,
}
THREE_ZONES = {"ec2:RouteTable": 3, "ec2:RouteTableAssociation": 3, "ec2:Subnet": 3}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("dev", PLATFORM), ("staging", PLATFORM | FLOW_LOGS), ("prod", PLATFORM | FLOW_LOGS | THREE_ZONES)],
)
def test_the_platform_registers_exactly_this(root: Path, environment: str, expected: dict[str, int]) -> None:
    assert counts(platform(root, environment)) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [("dev", MODELS), ("staging", MODELS), ("prod", MODELS | {"appautoscaling:Policy": 1, "appautoscaling:Target": 1})],
)
def test_the_models_layer_registers_exactly_this(root: Path, environment: str, expected: dict[str, int]) -> None:
    assert counts(models(root, environment)) == expected


CLASSIFICATION = {
    "dev": {},
    "staging": {"data-classification": "internal"},
    "prod": {"data-classification": "confidential"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("layer", ["platform", "models"])
def test_every_resource_uses_the_one_provider(root: Path, layer: str, environment: str) -> None:
    result = platform(root, environment) if layer == "platform" else models(root, environment)
    (provider,) = of_type(result, "aws")
    assert provider.type == "pulumi:providers:aws"
    account_id = {"dev": "111111111111", "staging": "222222222222", "prod": "333333333333"}[environment]
    assert provider.inputs["region"] == "eu-west-1"
    assert json.loads(provider.inputs["allowedAccountIds"]) == [account_id]
    assert json.loads(provider.inputs["defaultTags"])["tags"] == {
        "mainstage:environment": environment,
        "mainstage:layer": layer,
        "mainstage:owner": "ml-platform",
        "mainstage:cost-center": f"ai-{environment}",
        "mainstage:managed-by": "pulumi",
        **CLASSIFICATION[environment],
    }
    for resource in result.resources:
        if resource.type.startswith("aws:"):
            assert resource.options.provider.startswith(provider.urn), resource.urn


REFUSING = ("aws:sagemaker/model:Model", "aws:sagemaker/endpoint:Endpoint")
"""Types whose hooks may refuse: what depends on such a resource is passed over then."""
TAKEN_ALONG = {
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    "aws:sagemaker/endpoint:Endpoint",
    "aws:appautoscaling/target:Target",
    "aws:appautoscaling/policy:Policy",
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_release_that_is_refused_takes_only_its_own_endpoint_along(root: Path, environment: str) -> None:
    result = models(root, environment)
    names = load_catalog(root, environment).models
    refusing = [each for each in result.resources if each.type in REFUSING]
    assert {each.type for each in refusing} == set(REFUSING)
    for first in refusing:
        lost, found = {first.urn}, []
        for each in result.resources:
            if lost & {each.parent, *each.options.depends_on}:
                lost.add(each.urn)
                found.append(each)
        assert {each.type for each in found} <= TAKEN_ALONG
        owner = next(name for name in names if first.name.startswith(f"{name}-"))
        assert [each.name for each in found if not each.name.startswith(f"{owner}-")] == []


def test_without_its_provider_a_resource_would_be_refused(root: Path) -> None:
    import pulumi_aws as aws

    config = stack_config(stack_file(root, "platform-dev"))
    result = record(lambda: aws.sns.Topic("stray"), "platform-dev", config)
    assert "default provider" in str(result.error).lower()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("layer", ["platform", "models"])
def test_two_runs_ask_for_the_same(
    root: Path, layer: str, environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = platform if layer == "platform" else models
    first = run(root, environment).check()
    # Neither the place, nor the time, nor what the shell says counts.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_PROFILE", "somebody")
    monkeypatch.setattr("time.time", lambda: 1e9)
    second = run(root, environment).check()
    key = dataclasses.astuple
    assert sorted(map(key, first.resources), key=str) == sorted(map(key, second.resources), key=str)
    assert first.outputs == second.outputs


def test_the_platform_hands_over_what_the_models_layer_needs(root: Path) -> None:
    outputs = platform(root, "prod").check().outputs
    assert sorted(outputs) == sorted(OUTPUT_NAMES)
    assert outputs["release"] == RELEASE
    assert outputs["registry_bucket_name"] == "mainstage-prod-registry-333333333333-eu-west-1"
    assert len(outputs["private_subnet_ids"]) == 3


def test_environments_differ_in_what_is_registered(root: Path) -> None:
    platforms = {name: platform(root, name) for name in ENVIRONMENTS}
    endpoints = {name: models(root, name) for name in ENVIRONMENTS}

    def each(results: Mapping[str, Result], kind: str, property_name: str) -> dict[str, Any]:
        """The property of the one resource of that type, by environment."""
        found = {name: of_type(result, kind) for name, result in results.items()}
        return {name: resources[0].inputs[property_name] for name, resources in found.items() if len(resources) == 1}

    assert each(platforms, "Vpc", "cidrBlock") == {
        "dev": "10.16.0.0/16",
        "staging": "10.32.0.0/16",
        "prod": "10.48.0.0/16",
    }
    protected = {
        name: {bucket.options.protect for bucket in of_type(platforms[name], "Bucket")} for name in ENVIRONMENTS
    }
    assert protected == {"dev": {False}, "staging": {True}, "prod": {True}}
    groups = {name: of_type(result, "LogGroup") for name, result in endpoints.items()}
    retention = {name: {group.inputs["retentionInDays"] for group in found} for name, found in groups.items()}
    assert retention == {"dev": {14}, "staging": {30}, "prod": {365}}
    variants = each(endpoints, "EndpointConfiguration", "productionVariants")
    assert {name: [variant["initialInstanceCount"] for variant in found] for name, found in variants.items()} == {
        "dev": [1], "staging": [2], "prod": [3],
    }  # fmt: skip
    capture = each(endpoints, "EndpointConfiguration", "dataCaptureConfig")
    assert {name: found["initialSamplingPercentage"] for name, found in capture.items()} == {
        "dev": 100, "staging": 100, "prod": 20,
    }  # fmt: skip
    policies = {
        name: found["blueGreenUpdatePolicy"] for name, found in each(endpoints, "Endpoint", "deploymentConfig").items()
    }
    assert {name: policy["trafficRoutingConfiguration"]["type"] for name, policy in policies.items()} == {
        "dev": "ALL_AT_ONCE", "staging": "CANARY", "prod": "CANARY",
    }  # fmt: skip
    expiry = {
        name: rule["expiration"]["days"]
        for name, result in platforms.items()
        for each in of_type(result, "BucketLifecycleConfiguration")
        if each.inputs["bucket"].startswith(f"mainstage-{name}-predictions-")
        for rule in each.inputs["rules"]
        if "days" in rule.get("expiration", {})
    }
    assert expiry == {"dev": 30, "staging": 90, "prod": 400}
    served = {name: result.outputs["models"]["iris"]["endpoint_name"] for name, result in endpoints.items()}
    assert served == {name: f"{name}-iris" for name in ENVIRONMENTS}


@pytest.mark.parametrize("layer", ["platform", "models"])
def test_a_preview_of_nothing_yet_works(root: Path, layer: str) -> None:
    result = platform(root, "prod", preview=True) if layer == "platform" else models(root, "prod", preview=True)
    result.check()
    # All that the program registers, and the stack itself.
    assert result.changes["create"] == len([each for each in result.resources if not each.external]) + 1
    if layer == "platform":
        assert result.outputs["vpc_id"] is UNKNOWN
        assert result.outputs["release"] == RELEASE


@pytest.mark.parametrize("outputs", [{}, {"platform-dev": {}}], ids=["no stack", "never up"])
def test_the_models_layer_says_to_bring_the_platform_up_first(root: Path, outputs: dict[str, dict[str, Any]]) -> None:
    result = models(root, "dev", outputs=outputs)
    assert result.error is not None
    told = [str(result.error), *(log.message for log in result.logs if log.severity == "error")]
    assert any(
        "models-dev stands on platform-dev, but" in each and each.endswith("first: pulumi up -s platform-dev")
        for each in told
    )
    assert not [each for each in result.resources if each.type.startswith("aws:")]


def test_a_platform_that_lacks_an_output_is_named_with_it(root: Path) -> None:
    outputs = platform(root, "dev").check().outputs
    del outputs["page_topic_arn"], outputs["vpc_id"]
    result = models(root, "dev", outputs={"platform-dev": outputs})
    assert str(result.error) == (
        "models-dev stands on platform-dev, but it has no vpc_id, page_topic_arn. "
        "Bring the platform up first: pulumi up -s platform-dev"
    )


def test_a_platform_in_another_account_is_refused(root: Path) -> None:
    outputs = {**platform(root, "dev").check().outputs, "account_id": "999999999999"}
    result = models(root, "dev", outputs={"platform-dev": outputs})
    assert "platform-dev is up with account_id 999999999999, models-dev asks for 111111111111" in str(result.error)
    assert "stacks/Pulumi.platform-dev.yaml" in str(result.error)


def test_the_platform_is_read_through_one_reference_of_the_organisation(root: Path) -> None:
    (reference,) = of_type(models(root, "staging"), "StackReference")
    assert reference.inputs["name"] == "organization/mainstage/platform-staging"


def test_another_release_is_refused_before_anything_else(root: Path) -> None:
    config = {**stack_config(stack_file(root, "platform-dev")), "mainstage:release": "9.0.0", "mainstage:new_in_9": "x"}
    result = platform(root, "dev", config)
    assert str(result.error).startswith(f"this checkout is {RELEASE}, stack platform-dev asks for 9.0.0")
    assert [each for each in result.resources if each.custom] == []


def test_bad_settings_end_the_run_with_the_whole_list(root: Path) -> None:
    config = {
        **stack_config(stack_file(root, "models-dev")),
        "mainstage:regoin": "x",
        "mainstage:capture_percent": "200",
    }
    result = models(root, "dev", config, outputs={})
    assert str(result.error).startswith("2 problems in the stack configuration:")
    assert "did you mean region?" in str(result.error)
    assert [each for each in result.resources if each.custom] == []


def test_a_model_beyond_the_environment_s_limits_ends_the_run(root: Path) -> None:
    limits = {"maximum_instances": 1, "instance_types": ["ml.c5.*"]}
    config = {**stack_config(stack_file(root, "models-dev")), "mainstage:limits": json.dumps(limits)}
    result = models(root, "dev", config, outputs={})
    assert "stacks/models/iris.yaml:24: capacity.instance_type: not allowed in dev; got ml.m5.large" in str(
        result.error
    )


def test_a_catalog_may_be_given(root: Path) -> None:
    catalog = load_catalog(root, "dev").with_awaiting("iris")
    outputs = {"platform-dev": platform(root, "dev").check().outputs}
    config = stack_config(stack_file(root, "models-dev"))
    result = record(
        program_for("models-dev", root, catalog=catalog), "models-dev", config, stack_outputs=outputs
    ).check()
    assert of_type(result, "Endpoint") == []
    # The guards and the log's alarms are there from the first day; what only pages needs something that serves.
    assert len(of_type(result, "MetricAlarm")) == MODELS["cloudwatch:MetricAlarm"] - 7
    assert of_type(result, "ServiceAlarms") == []
    (awaiting, serving) = (
        next(each for each in of_type(found, "Function") if each.inputs["name"] == "dev-iris-front-door")
        for found in (result, models(root, "dev"))
    )
    assert awaiting.inputs["environment"]["variables"]["MAINSTAGE_ENDPOINT_NAME"] == ""
    assert serving.inputs["environment"]["variables"]["MAINSTAGE_ENDPOINT_NAME"] == "dev-iris"


def test_adopted_networks_keys_and_boundaries_make_none(root: Path) -> None:
    existing = {
        "vpc_id": "vpc-0123456789abcdef0",
        "cidr_block": "10.9.0.0/16",
        "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "s3_prefix_list_id": "pl-6da54004",
    }
    key = "arn:aws:kms:eu-west-1:111111111111:key/12345678-1234-1234-1234-123456789012"
    pseudonyms = "arn:aws:kms:eu-west-1:111111111111:key/87654321-1234-1234-1234-123456789012"
    boundary = "arn:aws:iam::111111111111:policy/bounds"
    config = {
        **stack_config(stack_file(root, "platform-dev")),
        "mainstage:network": json.dumps({"existing": existing}),
        "mainstage:existing_kms_key_arn": key,
        "mainstage:existing_pseudonym_key_arn": pseudonyms,
        "mainstage:existing_permissions_boundary_arn": boundary,
    }
    result = platform(root, "dev", config).check()
    assert not [each for each in result.resources if each.type.startswith(("aws:ec2", "aws:vpc", "aws:kms"))]
    assert of_type(result, "Policy") == []
    assert {role.inputs["permissionsBoundary"] for role in of_type(result, "Role")} == {boundary}
    assert result.outputs["pseudonym_key_arn"] == pseudonyms
    assert (result.outputs["vpc_id"], result.outputs["kms_key_arn"]) == (existing["vpc_id"], key)
    assert result.outputs["permissions_boundary_arn"] == boundary
    assert result.outputs["private_subnet_ids"] == existing["private_subnet_ids"]
    models(root, "dev", outputs={"platform-dev": result.outputs}).check()


def test_the_cli_s_entry_point_runs_the_same_program(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "infra")  # Pulumi.yaml says `main: infra`
    config = stack_config(stack_file(root, "platform-dev"))
    through_main = record(
        lambda: runpy.run_path(str(root / "infra"), run_name="__main__") and None,
        "platform-dev",
        config,
        answers=ANSWERS,
    )
    assert counts(through_main) == counts(platform(root, "dev"))
    assert through_main.outputs == platform(root, "dev").outputs


def test_the_first_statement_of_the_entry_point_tunes(root: Path) -> None:
    lines = (root / "infra" / "__main__.py").read_text(encoding="utf-8").splitlines()
    statements = [line for line in lines if line and not line.startswith(('"""', "#"))]
    assert statements[:2] == ["from infra import tuning", "tuning.apply()"]


def test_the_project_file_says_how_the_program_runs(root: Path) -> None:
    project = YAML(typ="safe", pure=True).load(root / "Pulumi.yaml")
    assert project["name"] == "mainstage"
    assert project["runtime"] == {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}
    assert (project["main"], project["stackConfigDir"]) == ("infra", "stacks")
    assert project["options"] == {"refresh": "always"}
    assert project["requiredPulumiVersion"] == ">=3.259.0"
    types = {"integer": int, "string": str}
    for environment in ENVIRONMENTS:
        for layer in ("platform", "models"):
            file = YAML(typ="safe", pure=True).load(stack_file(root, f"{layer}-{environment}"))
            assert file["config"]["pulumi:disable-default-providers"] == ["*"]
            for name, declared in project["config"].items():
                assert type(file["config"][f"mainstage:{name}"]) is types[declared["type"]]
