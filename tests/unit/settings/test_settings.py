"""Stack files: what they may say, and what a person is told about what they may not."""

# ruff: noqa: E501 -- a row of a table is one line, what was written beside what is said

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import botocore.session
import pytest
from mainstage._endpoint_policies import INTERFACE_ENDPOINTS
from mainstage._patterns import LOG_RETENTION_DAYS
from mainstage._subnets import LARGEST_VPC, SMALLEST_VPC

from infra.settings import (
    ENVIRONMENTS,
    LAYERS,
    PLACEHOLDER_ACCOUNT_IDS,
    PlatformSettings,
    SettingsError,
    load,
    load_models,
    load_platform,
    stack_config,
    stack_file,
)
from infra.settings.regions import REGIONS
from infra.settings.schema import InterfaceEndpoint, RetentionDays

STACKS = [f"{layer}-{environment}" for layer in LAYERS for environment in ENVIRONMENTS]

Complain = Callable[[str, dict[str, str]], list[str]]


@pytest.fixture
def repository(tmp_path: Path, root: Path) -> Path:
    """A folder with the committed stack files, to be changed."""
    (tmp_path / "stacks").mkdir()
    for stack in STACKS:
        (tmp_path / "stacks" / f"Pulumi.{stack}.yaml").write_text(stack_file(root, stack).read_text(encoding="utf-8"))
    return tmp_path


@pytest.fixture
def complain(repository: Path) -> Complain:
    """What is said after texts in a stack file were replaced."""

    def after(stack: str, replaced: dict[str, str]) -> list[str]:
        path = stack_file(repository, stack)
        text = path.read_text(encoding="utf-8")
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as raised:
            load(stack_config(path), stack, repository)
        return [str(problem) for problem in raised.value.problems]

    return after


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_files_load(root: Path, stack: str) -> None:
    settings = load(stack_config(stack_file(root, stack)), stack, root)
    assert (f"{settings.layer}-{settings.environment}", settings.release) == (stack, "0.1.0")
    assert settings.account_id in PLACEHOLDER_ACCOUNT_IDS


def test_environments_differ_where_they_should(root: Path) -> None:
    platform = {
        name: load_platform(stack_config(stack_file(root, f"platform-{name}")), f"platform-{name}", root)
        for name in ENVIRONMENTS
    }
    models = {
        name: load_models(stack_config(stack_file(root, f"models-{name}")), f"models-{name}", root)
        for name in ENVIRONMENTS
    }
    assert {name: len(each.network.availability_zones or ()) for name, each in platform.items()} == {
        "dev": 2,
        "staging": 2,
        "prod": 3,
    }
    assert {name: each.network.flow_log_retention_days for name, each in platform.items()} == {
        "dev": None,
        "staging": 14,
        "prod": 90,
    }
    assert {name: each.log_retention_days for name, each in platform.items()} == {"dev": 14, "staging": 30, "prod": 365}
    assert {name: each.deletion_protection for name, each in platform.items()} == {
        "dev": False,
        "staging": True,
        "prod": True,
    }
    assert {name: each.network.nat for name, each in platform.items()} == dict.fromkeys(ENVIRONMENTS, "none")
    assert len({each.network.cidr_block for each in platform.values()}) == 3
    assert {name: (each.limits.minimum_instances, each.limits.maximum_instances) for name, each in models.items()} == {
        "dev": (1, 2), "staging": (2, 4), "prod": (2, 20),
    }  # fmt: skip
    assert {name: each.capture_percent for name, each in models.items()} == {"dev": 100, "staging": 100, "prod": 20}
    assert {name: each.front_door.auth for name, each in platform.items()} == dict.fromkeys(ENVIRONMENTS, "iam")
    assert {
        name: (each.front_door.throttle_requests_per_second, each.front_door.throttle_burst)
        for name, each in platform.items()
    } == {"dev": (100, 200), "staging": (1000, 2000), "prod": (1000, 2000)}
    assert {name: each.predictions.retention_days for name, each in platform.items()} == {
        "dev": 30, "staging": 90, "prod": 400,
    }  # fmt: skip
    assert {
        name: (each.prediction_log.buffer_seconds, each.prediction_log.scan_limit_mib) for name, each in models.items()
    } == {"dev": (60, 1024), "staging": (60, 10_240), "prod": (60, 102_400)}
    assert {name: each.approval.required for name, each in models.items()} == {
        "dev": False, "staging": False, "prod": True,
    }  # fmt: skip
    for name in ENVIRONMENTS:
        assert (platform[name].account_id, platform[name].region) == (models[name].account_id, models[name].region)
    assert len({each.account_id for each in platform.values()}) == 3


def test_every_value_of_a_stack_file_has_a_reason_beside_it_where_environments_differ(root: Path) -> None:
    for stack in STACKS:
        lines = stack_file(root, stack).read_text(encoding="utf-8").splitlines()
        for key in ("account_id", "disable-default-providers"):
            index = next(index for index, line in enumerate(lines) if key in line and not line.lstrip().startswith("#"))
            assert lines[index - 1].lstrip().startswith("#"), f"{stack}: no reason above {key}"


def test_settings_are_frozen(root: Path) -> None:
    settings = load_platform(stack_config(stack_file(root, "platform-dev")), "platform-dev", root)
    with pytest.raises(ValueError, match="frozen"):
        settings.region = "eu-west-2"  # pyright: ignore[reportAttributeAccessIssue] -- that it is refused is the test


def test_the_engine_s_configuration_is_texts(root: Path) -> None:
    config = stack_config(stack_file(root, "platform-dev"))
    assert all(isinstance(value, str) for value in config.values())
    assert config["mainstage:account_id"] == "111111111111"
    assert config["mainstage:log_retention_days"] == "14"
    assert config["mainstage:deletion_protection"] == "false"
    assert config["pulumi:disable-default-providers"] == '["*"]'
    assert json.loads(config["mainstage:network"])["availability_zones"] == ["eu-west-1a", "eu-west-1b"]


def test_what_the_engine_hands_over_counts_not_the_file(root: Path) -> None:
    config = stack_config(stack_file(root, "platform-dev"))
    config["mainstage:log_retention_days"] = "30"
    config["mainstage:deletion_protection"] = "true"
    settings = load_platform(config, "platform-dev", root)
    assert (settings.log_retention_days, settings.deletion_protection) == (30, True)
    config["mainstage:log_retention_days"] = "soon"
    with pytest.raises(SettingsError) as raised:
        load(config, "platform-dev", root)
    assert [(problem.line, problem.message, problem.got) for problem in raised.value.problems] == [
        (11, "not one of the choices", '"soon"')
    ]


def test_settings_need_no_file(tmp_path: Path, root: Path) -> None:
    config = stack_config(stack_file(root, "models-prod"))
    assert load_models(config, "models-prod", tmp_path) == load_models(config, "models-prod", root)
    with pytest.raises(SettingsError, match=r"stacks/Pulumi.models-prod.yaml:1: mainstage:region: missing"):
        load({key: value for key, value in config.items() if key != "mainstage:region"}, "models-prod", tmp_path)


def test_every_problem_is_told_at_once(complain: Complain) -> None:
    assert complain(
        "platform-prod",
        {
            'account_id: "333333333333"': "account_id: 333333333333",
            "region: eu-west-1": "region: eu-wset-1",
            "cost_center": "cost_centre",
            "log_retention_days: 365": "log_retention_days: 31",
            "deletion_protection: true": "deletion_protection: false",
            "10.48.0.0/16": "10.48.0.1/16",
            "nat: none": "nat: non",
            "flow_log_retention_days: 90": 'flow_log_retention_days: "90"',
            "noncurrent_days: 365": "noncurrent_days: 0",
            "retention_days: 180": "retention_day: 180",
            "data-classification": "aws:classification",
        },
    ) == [
        "stacks/Pulumi.platform-prod.yaml:3: mainstage:cost_center: missing; allowed: who pays, as a tag on every resource "
        "(mainstage:cost-center); fix: add cost_center",
        "stacks/Pulumi.platform-prod.yaml:6: mainstage:account_id: takes text; got 333333333333; allowed: the AWS account, twelve digits "
        'in quotes, such as "111111111111"; fix: put all twelve digits in quotes, as in "012345678901": without them YAML reads a number '
        "and drops a leading zero",
        'stacks/Pulumi.platform-prod.yaml:7: mainstage:region: no region in which SageMaker hosts endpoints; got "eu-wset-1"; '
        "did you mean eu-west-1?; allowed: a region such as eu-west-1",
        'stacks/Pulumi.platform-prod.yaml:9: mainstage:cost_centre: unknown field; got "ai-prod"; did you mean cost_center?; '
        "allowed: account_id, capture, cost_center, deletion_protection, existing_kms_key_arn, existing_permissions_boundary_arn, "
        "existing_pseudonym_key_arn, front_door, log_retention_days, network, owner, predictions, region, registry, release, tags; fix: rename it to cost_center",
        "stacks/Pulumi.platform-prod.yaml:11: mainstage:log_retention_days: not one of the choices; got 31; allowed: "
        "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653",
        "stacks/Pulumi.platform-prod.yaml:12: mainstage:deletion_protection: cannot be switched off in prod; got false; "
        "allowed: true; false only in dev; fix: remove the line",
        'stacks/Pulumi.platform-prod.yaml:14: mainstage:network.cidr_block: not an IPv4 block; got "10.48.0.1/16"; '
        "allowed: such as 10.20.0.0/16; fix: write 10.48.0.0/16",
        'stacks/Pulumi.platform-prod.yaml:18: mainstage:network.nat: not one of the choices; got "non"; did you mean none?; '
        "allowed: none, one, per_zone",
        'stacks/Pulumi.platform-prod.yaml:21: mainstage:network.flow_log_retention_days: takes a number; got "90"; allowed: '
        "1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653; "
        "fix: write it without quotes; where pulumi put them: git checkout stacks",
        "stacks/Pulumi.platform-prod.yaml:24: mainstage:registry.noncurrent_days: must be greater than or equal to 1; got 0; "
        "allowed: how long overwritten or deleted objects stay recoverable, in days, 1 to 3650",
        "stacks/Pulumi.platform-prod.yaml:25: mainstage:capture.retention_days: missing; allowed: how long captured predictions are kept, "
        "in days, 1 to 3650; fix: add retention_days",
        "stacks/Pulumi.platform-prod.yaml:27: mainstage:capture.retention_day: unknown field; got 180; did you mean retention_days?; "
        "allowed: retention_days; fix: rename it to retention_days",
        'stacks/Pulumi.platform-prod.yaml:38: mainstage:tags.aws:classification: the prefix aws: is reserved; got "confidential"; '
        "fix: use a key of your own",
    ]


@pytest.mark.parametrize(
    ("stack", "old", "new", "expected"),
    [
        ("platform-dev", "mainstage:region: eu-west-1", "mainstage:region: 3", "mainstage:region: takes text; got 3"),
        ("platform-dev", "mainstage:owner: ml-platform", "mainstage:owner: true", "put it in quotes: YAML reads it as a truth value"),
        ("platform-dev", "mainstage:owner: ml-platform", "aws:region: eu-west-1", "aws:region: nothing reads this key"),
        ("platform-dev", "mainstage:owner: ml-platform", "mainstage:environment: dev", "the environment comes from the stack's name"),
        ("platform-dev", "[eu-west-1a, eu-west-1b]", "[eu-west-1a]", "network.availability_zones: 1 zones"),
        ("platform-dev", "[eu-west-1a, eu-west-1b]", "[eu-west-1a, eu-west-1a]", "a zone stands twice"),
        ("platform-dev", "[eu-west-1a, eu-west-1b]", "[eu-west-1a, us-east-1b]", 'availability_zones[1]: not a zone of eu-west-1; got "us-east-1b"; did you mean eu-west-1b?'),
        ("platform-dev", "10.16.0.0/16", "8.8.0.0/16", "network.cidr_block: not a private block"),
        ("platform-dev", "10.16.0.0/16", "10.16.0.0/8", "network.cidr_block: not an IPv4 block"),
        ("platform-dev", "10.16.0.0/16", "10.0.0.0/8", "network.cidr_block: a VPC cannot be a /8"),
        ("platform-dev", "10.16.0.0/16", "10.16.0.0/24", "network.cidr_block: a VPC cannot be a /24"),
        ("platform-dev", "    cidr_block: 10.16.0.0/16\n", "", "network.cidr_block: missing"),
        ("platform-dev", "ecr.api, ecr.dkr", "ecr.apy, ecr.dkr", 'interface_endpoints[0]: not one of the choices; got "ecr.apy"; did you mean ecr.api?'),
        ("platform-dev", "release: 0.1.0", "release: latest", "mainstage:release: does not have the form"),
        ("platform-dev", "release: 0.1.0", "release: 0.1", "mainstage:release: takes text; got 0.1"),
        ("platform-dev", "pulumi:disable-default-providers", "pulumi:disable-default-provider", "pulumi:disable-default-providers: missing"),
        ("platform-dev", '"111111111111"', '"١١١١١١١١١١١١"', "mainstage:account_id: does not have the form"),
        ("platform-dev", '"111111111111"', "012345678901", "drops a leading zero"),
        ("platform-dev", "config:\n", "configs:\n", "configs: no member of a stack file"),
        ("platform-dev", "config:\n", "config:\n\t", "a tab stands where YAML takes spaces only"),
        ("platform-dev", "auth: iam", "auth: oauth", 'front_door.auth: not one of the choices; got "oauth"; allowed: iam, jwt, none'),
        ("platform-dev", "auth: iam", "auth: jwt", "front_door.jwt: missing, auth: jwt needs it; fix: add jwt with issuer and audiences"),
        ("platform-dev", "auth: iam", "auth: iam\n    jwt: {issuer: https://id.example.com, audiences: [api]}", "front_door.jwt: has no meaning with auth: iam"),
        ("platform-dev", "auth: iam", "auth: jwt\n    jwt: {issuer: http://id.example.com, audiences: [api]}", "front_door.jwt.issuer: does not have the form"),
        ("platform-dev", "auth: iam", "auth: jwt\n    jwt: {issuer: https://id.example.com, audiences: []}", "front_door.jwt.audiences: must have at least 1 item"),
        ("platform-dev", "throttle_requests_per_second: 100", "throttle_requests_per_second: 0", "front_door.throttle_requests_per_second: must be greater than or equal to 1"),
        ("platform-dev", "throttle_burst: 200", "throttle_burst: 5001", "front_door.throttle_burst: must be less than or equal to 5000"),
        ("platform-staging", "auth: iam", "auth: none", "front_door.auth: everybody on the internet could call the models of staging; got \"none\"; allowed: iam or jwt; none only in dev; fix: remove the line: iam"),
        ("platform-prod", "auth: iam", "auth: none", "front_door.auth: everybody on the internet could call the models of prod"),
        ("platform-dev", "  mainstage:predictions:\n    retention_days: 30\n", "", "mainstage:predictions: missing"),
        ("models-dev", "buffer_seconds: 60", "buffer_seconds: 901", "prediction_log.buffer_seconds: must be less than or equal to 900"),
        ("models-dev", "buffer_seconds: 60", "buffer_seconds: 0", "prediction_log.buffer_seconds: must be greater than or equal to 60"),
        ("models-dev", "scan_limit_mib: 1024", "scan_limit_mib: 9", "prediction_log.scan_limit_mib: must be greater than or equal to 10"),
        ("models-dev", "minimum_instances: 1", "minimum_instances: 3", "limits.minimum_instances: is above maximum_instances (2)"),
        ("models-dev", "minimum_instances: 1", "minimum_instances: 1.0", "limits.minimum_instances: takes a whole number; got 1.0"),
        ("models-dev", "capture_percent: 100", "capture_percent: 101", "mainstage:capture_percent: must be less than or equal to 100"),
        ("models-dev", "docs/runbooks", "docs/runbooks/", "mainstage:runbook_base_url: does not have the form"),
        ("models-dev", '"ml.t2.*"', '"t2.*"', "limits.instance_types[0]: not a SageMaker instance type"),
        ("models-dev", "  mainstage:owner: ml-platform\n", "  mainstage:owner: a\n  mainstage:owner: b\n", "mainstage:owner: this key stands twice"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(complain: Complain, stack: str, old: str, new: str, expected: str) -> None:
    told = complain(stack, {old: new})
    assert any(expected in each for each in told), told
    assert all(each.startswith(f"stacks/Pulumi.{stack}.yaml:") for each in told)


def test_an_existing_network_is_adopted_whole(repository: Path) -> None:
    config = stack_config(stack_file(repository, "platform-dev"))
    existing = {
        "vpc_id": "vpc-0123456789abcdef0",
        "cidr_block": "10.9.0.0/16",
        "private_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "s3_prefix_list_id": "pl-6da54004",
    }
    config["mainstage:network"] = json.dumps({"existing": existing})
    network = load_platform(config, "platform-dev", repository).network
    assert network.existing is not None
    assert network.existing.private_subnet_ids == ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
    config["mainstage:network"] = json.dumps({"existing": existing, "cidr_block": "10.9.0.0/16"})
    with pytest.raises(SettingsError, match=r"network.cidr_block: has no meaning beside existing"):
        load(config, "platform-dev", repository)
    config["mainstage:network"] = json.dumps({"existing": {**existing, "vpc_id": "my-vpc"}})
    with pytest.raises(SettingsError) as raised:
        load(config, "platform-dev", repository)
    assert [problem.field for problem in raised.value.problems] == ["mainstage:network.existing.vpc_id"]


def test_things_of_another_account_are_refused(repository: Path) -> None:
    config = stack_config(stack_file(repository, "platform-dev"))
    config["mainstage:existing_permissions_boundary_arn"] = "arn:aws:iam::111111111111:policy/bounds"
    settings = load_platform(config, "platform-dev", repository)
    assert settings.existing_permissions_boundary_arn == "arn:aws:iam::111111111111:policy/bounds"
    config["mainstage:existing_permissions_boundary_arn"] = "arn:aws:iam::999999999999:policy/bounds"
    with pytest.raises(SettingsError, match="lies in another account"):
        load(config, "platform-dev", repository)


def test_tokens_or_nobody_in_particular(repository: Path) -> None:
    config = stack_config(stack_file(repository, "platform-dev"))
    jwt = {"issuer": "https://id.example.com", "audiences": ["api"]}
    config["mainstage:front_door"] = json.dumps({"auth": "jwt", "jwt": jwt})
    front_door = load_platform(config, "platform-dev", repository).front_door
    assert front_door.jwt is not None
    assert (front_door.jwt.issuer, front_door.jwt.audiences) == ("https://id.example.com", ("api",))
    assert (front_door.throttle_requests_per_second, front_door.throttle_burst) == (1000, 2000)
    config["mainstage:front_door"] = json.dumps({"auth": "none"})
    assert load_platform(config, "platform-dev", repository).front_door.auth == "none"


@pytest.mark.parametrize("name", ["existing_kms_key_arn", "existing_pseudonym_key_arn"])
def test_keys_of_another_account_are_refused(repository: Path, name: str) -> None:
    config = stack_config(stack_file(repository, "platform-dev"))
    config[f"mainstage:{name}"] = "arn:aws:kms:eu-west-1:999999999999:key/12345678-1234-1234-1234-123456789012"
    with pytest.raises(SettingsError, match=f"mainstage:{name}: lies in another account"):
        load(config, "platform-dev", repository)


@pytest.mark.parametrize(
    ("stack", "near"), [("dev", ""), ("platform-prd", "platform-prod"), ("models_dev", "models-dev"), ("", "")]
)
def test_a_stack_s_name_is_checked(root: Path, stack: str, near: str) -> None:
    with pytest.raises(SettingsError, match="a stack is named <layer>-<environment>") as raised:
        load({}, stack, root)
    assert [problem.nearest for problem in raised.value.problems] == [near]


def test_a_missing_stack_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"Pulumi.models-dev.yaml:1: the file does not exist"):
        stack_config(stack_file(tmp_path, "models-dev"))


def test_tables_follow_aws_and_the_components() -> None:
    session = botocore.session.get_session()
    hosting = {
        region
        for partition in ("aws", "aws-cn", "aws-us-gov")
        for region in session.get_available_regions("sagemaker", partition)
        if not region.endswith("-secondary")
    }
    assert set(REGIONS) == hosting
    assert get_args(RetentionDays) == LOG_RETENTION_DAYS
    assert set(get_args(InterfaceEndpoint)) == set(INTERFACE_ENDPOINTS)
    assert PlatformSettings.model_fields["network"].is_required()
    assert (LARGEST_VPC, SMALLEST_VPC) == (16, 23)
