"""SageMakerEndpoint: what it declares, and every release that it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mainstage
import pulumi_aws as aws
import pytest
from mainstage._endpoint_args import resolve
from mainstage._policy import WILDCARD_ACTIONS
from mainstage._release import volume_key
from mainstage._release_plan import ReleasePlan, release_plan
from mainstage.guard_alarms import guard_alarm_names

from infra.rehearsal.engine import Result, record

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]
Arguments = Callable[..., Any]

MODEL = "aws:sagemaker/model:Model"
CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
ALARMS = list(guard_alarm_names("iris").values())
KEPT = {
    "version": 6.0,
    "image_uri": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
    "model_data_url": "s3://mainstage-registry/models/iris/6/model.tar.gz",
}
OF_A_VERSION = dict.fromkeys(("version", "image_uri", "model_data_url", "container_environment"))


def statements(result: Result) -> dict[str, dict[str, Any]]:
    policy = json.loads(result.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def test_children(build: Build, tree: Tree) -> None:
    result = build("SageMakerEndpoint")
    model, config = result.one(MODEL), result.one(CONFIG)
    alarms = [("metricAlarm", f"thing-guards-{g}", "thing-guards") for g in sorted(guard_alarm_names(""))]
    found = [(type_.rpartition("/")[2].partition(":")[0], name, parent) for type_, name, parent in tree(result)]
    assert found == [
        ("policy", "thing-scaling-policy", "thing"),
        ("target", "thing-scaling-target", "thing"),
        ("logGroup", "thing-logs", "thing"),
        *alarms,
        ("securityGroup", "thing-security-group", "thing"),
        ("role", "thing-execution-role", "thing"),
        ("rolePolicy", "thing-execution-policy", "thing"),
        ("endpoint", "thing-endpoint", "thing"),
        ("endpointConfiguration", config.name, "thing"),
        ("model", model.name, "thing"),
        ("securityGroupEgressRule", "thing-https-to-endpoints", "thing"),
        ("securityGroupEgressRule", "thing-https-to-s3", "thing"),
        ("mainstage", "thing-guards", "thing"),
        ("mainstage", "thing", ""),
    ]


class TestRelease:
    def test_the_model(self, build: Build) -> None:
        result = build("SageMakerEndpoint")
        model = result.one(MODEL)
        assert model.name == f"thing-model-{model.inputs['name'].removeprefix('iris-')}"
        assert model.inputs == {
            "name": model.inputs["name"],
            "executionRoleArn": result.named("thing-execution-role").outputs["arn"],
            "enableNetworkIsolation": True,
            "primaryContainer": {
                "image": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
                "mode": "SingleModel",
                "modelDataUrl": "s3://mainstage-registry/models/iris/7/model.tar.gz",
                "environment": {"MAINSTAGE_MODEL_VERSION": "7"},
            },
            "vpcConfig": {
                "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
                "securityGroupIds": [result.named("thing-security-group").id],
            },
            "tags": {"team": "ml"},
        }
        rules = [result.named(f"thing-https-to-{where}").urn for where in ("s3", "endpoints")]
        assert {result.named("thing-execution-policy").urn, *rules} <= set(model.options.depends_on)

    def test_the_configuration(self, build: Build) -> None:
        result = build("SageMakerEndpoint")
        config = result.one(CONFIG)
        assert config.inputs == {
            "name": config.inputs["name"],
            "kmsKeyArn": KEY_ARN,
            "productionVariants": [
                {
                    "variantName": "stable",
                    "modelName": result.one(MODEL).inputs["name"],
                    "instanceType": "ml.m5.large",
                    "initialInstanceCount": 2,
                    "initialVariantWeight": 1.0,
                    "enableSsmAccess": False,
                    "containerStartupHealthCheckTimeoutInSeconds": 300,
                    "modelDataDownloadTimeoutInSeconds": 300,
                }
            ],
            "dataCaptureConfig": {
                "enableCapture": True,
                "initialSamplingPercentage": 20,
                "destinationS3Uri": "s3://mainstage-capture/predictions",
                "kmsKeyId": KEY_ARN,
                "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
                "captureContentTypeHeader": {
                    "csvContentTypes": ["text/csv"],
                    "jsonContentTypes": ["application/json"],
                },
            },
            "tags": {"team": "ml"},
        }
        assert result.outputs["endpoint_config_name"] == config.inputs["name"]

    def test_the_endpoint_has_all_guards_from_the_first_version(self, build: Build) -> None:
        result = build("SageMakerEndpoint")
        endpoint = result.one(ENDPOINT)
        assert endpoint.inputs == {
            "name": "iris",
            "endpointConfigName": result.one(CONFIG).inputs["name"],
            "deploymentConfig": {
                "autoRollbackConfiguration": {"alarms": [{"alarmName": name} for name in ALARMS]},
                "blueGreenUpdatePolicy": {
                    "trafficRoutingConfiguration": {
                        "type": "CANARY",
                        "waitIntervalInSeconds": 900,
                        "canarySize": {"type": "CAPACITY_PERCENT", "value": 10},
                    },
                    "terminationWaitInSeconds": 120,
                    "maximumExecutionTimeoutInSeconds": 4620,
                },
            },
            "tags": {"team": "ml"},
        }
        alarms = {r.urn for r in result.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")}
        needed = alarms | {result.named("thing-logs").urn, result.named("thing-execution-policy").urn}
        assert len(alarms) == 7
        assert needed <= set(endpoint.options.depends_on)

    def test_names_carry_version_and_content(self, build: Build) -> None:
        """Whatever changes a Model or a configuration makes a new one; what does not, does not."""

        def names(**changes: Any) -> tuple[str, str]:
            result = build("SageMakerEndpoint", **changes)
            return result.one(MODEL).inputs["name"], result.one(CONFIG).inputs["name"]

        model, config = names()
        assert model.startswith("iris-v7-")
        assert len(model) == len("iris-v7-01234567") == len(config)
        assert names(tags={"team": "other"}) == (model, config)
        assert names(log_retention_days=90.0, slo={"p95_ms": 1, "p99_ms": 2, "error_ratio": 0.5}) == (model, config)
        new_model, new_config = names(container_environment={"MAINSTAGE_MODEL_VERSION": "7", "THREADS": "2"})
        assert new_model != model
        assert new_config != config
        same_model, bigger = names(instance_type="ml.m5.xlarge")
        assert same_model == model
        assert bigger != config
        assert names(instance_count=3.0)[1] not in (config, bigger)
        assert names(version=8.0)[0].startswith("iris-v8-")

    def test_what_is_kept_stays_as_it_was_declared(self, build: Build) -> None:
        kept_environment = {"container_environment": {"MAINSTAGE_MODEL_VERSION": "6"}}
        before = build("SageMakerEndpoint", **{k: v for k, v in (KEPT | kept_environment).items()})
        after = build("SageMakerEndpoint", keep=[KEPT | kept_environment])
        for type_ in (MODEL, CONFIG):
            (old,) = before.of_type(type_)
            kept = next(r for r in after.of_type(type_) if "-v6-" in r.name)
            assert (kept.urn, kept.inputs) == (old.urn, old.inputs)
        assert after.one(ENDPOINT).inputs["endpointConfigName"].startswith("iris-v7-")

    def test_protection(self, build: Build) -> None:
        def options(result: Result) -> dict[str, tuple[bool, bool]]:
            kinds = {"model": MODEL, "config": CONFIG, "endpoint": ENDPOINT, "logs": "aws:cloudwatch/logGroup:LogGroup"}
            found = {kind: result.one(type_).options for kind, type_ in kinds.items()}
            return {kind: (o.protect, o.retain_on_delete) for kind, o in found.items()}

        # A protected Model could never leave `keep`; one that is dropped stays in AWS, under a live endpoint.
        assert options(build("SageMakerEndpoint")) == {
            "model": (False, True),
            "config": (False, True),
            "endpoint": (True, False),
            "logs": (True, True),
        }
        assert set(options(build("SageMakerEndpoint", deletion_protection=False)).values()) == {(False, False)}

    def test_an_output_is_no_part_of_a_name(self, args: Arguments) -> None:
        def program(preview: bool) -> Result:
            def body() -> None:
                topic = aws.sns.Topic("seed")
                url = topic.id.apply(lambda _: "s3://mainstage-registry/models/iris/7/model.tar.gz")
                mainstage.SageMakerEndpoint("thing", args("SageMakerEndpoint", model_data_url=url))

            return record(body, stack="somewhere", preview=preview).check()

        assert program(True).one(MODEL).inputs["name"] == program(False).one(MODEL).inputs["name"]

    def test_capture_of_nothing_is_left_out(self, build: Build) -> None:
        capture = {"s3_uri": "s3://bucket", "bucket_arn": "arn:aws:s3:::bucket", "percent": 0.0}
        result = build("SageMakerEndpoint", data_capture=capture)
        assert "dataCaptureConfig" not in result.one(CONFIG).inputs
        assert "WriteCapture" not in statements(result)

    @pytest.mark.parametrize(
        ("instance_type", "takes_key"),
        [
            ("ml.m5.large", True),
            ("ml.c6i.xlarge", True),
            ("ml.inf1.xlarge", True),
            ("ml.g5g.xlarge", True),
            ("ml.m5d.large", False),
            ("ml.c5d.2xlarge", False),
            ("ml.r5dn.large", False),
            ("ml.g4dn.xlarge", False),
            ("ml.g5.xlarge", False),
            ("ml.g6e.xlarge", False),
            ("ml.p4d.24xlarge", False),
            ("ml.p5en.48xlarge", False),
            ("ml.trn1.2xlarge", False),
        ],
    )
    def test_a_volume_key_goes_only_where_there_is_a_volume(self, instance_type: str, takes_key: bool) -> None:
        assert volume_key(instance_type, KEY_ARN) == (KEY_ARN if takes_key else None)


class TestRole:
    def test_trust_is_bound_to_this_account(self, build: Build, inputs: Inputs) -> None:
        role = inputs(build("SageMakerEndpoint"), "thing-execution-role")
        (trust,) = json.loads(role["assumeRolePolicy"])["Statement"]
        assert trust == {
            "Sid": "AssumedByService",
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "111111111111"},
                "ArnLike": {"aws:SourceArn": "arn:aws:sagemaker:eu-west-1:111111111111:*"},
            },
        }
        assert role["name"] == "iris-eu-west-1"
        assert role["permissionsBoundary"] == "arn:aws:iam::111111111111:policy/mainstage-boundary"

    def test_what_it_may_do(self, build: Build) -> None:
        result = build("SageMakerEndpoint")
        found = statements(result)
        group = "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/sagemaker/Endpoints/iris"
        interfaces = "arn:aws:ec2:eu-west-1:111111111111:network-interface/*"
        subnet = "arn:aws:ec2:eu-west-1:111111111111:subnet/subnet-0123456789abcdef"
        sg = result.named("thing-security-group").id
        assert {sid: statement["Resource"] for sid, statement in found.items()} == {
            "PullImage": ["arn:aws:ecr:eu-west-1:141502667606:repository/sagemaker-scikit-learn"],
            "LogInToRegistry": ["*"],
            "ReadArchive": ["arn:aws:s3:::mainstage-registry/models/iris/*"],
            "DecryptArchive": [KEY_ARN],
            "WriteLogs": [group, f"{group}:*"],
            "PublishUtilisation": ["*"],
            "WatchGuards": [f"arn:aws:cloudwatch:eu-west-1:111111111111:alarm:{name}" for name in ALARMS],
            "WriteCapture": ["arn:aws:s3:::mainstage-capture/predictions/iris/*"],
            "EncryptCapture": [KEY_ARN],
            "MakeNetworkInterfaces": [
                interfaces,
                f"arn:aws:ec2:eu-west-1:111111111111:security-group/{sg}",
                f"{subnet}0",
                f"{subnet}1",
            ],
            "HandOverNetworkInterfaces": [interfaces],
            "LookAtNetwork": ["*"],
        }
        assert found["DecryptArchive"]["Condition"] == {
            "StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
        }
        assert found["PublishUtilisation"]["Condition"] == {
            "StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}
        }
        for sid, statement in found.items():
            assert not [action for action in statement["Action"] if "*" in action]
            if statement["Resource"] == ["*"]:
                assert set(statement["Action"]) <= set(WILDCARD_ACTIONS), sid
                assert "Condition" in statement, sid

    def test_outside_a_vpc_and_without_capture_it_may_do_less(self, build: Build) -> None:
        result = build("SageMakerEndpoint", network=None, data_capture=None)
        assert set(statements(result)) == {
            "PullImage",
            "LogInToRegistry",
            "ReadArchive",
            "DecryptArchive",
            "WriteLogs",
            "PublishUtilisation",
            "WatchGuards",
        }
        assert result.of_type("aws:ec2/securityGroup:SecurityGroup") == []
        assert "vpcConfig" not in result.one(MODEL).inputs

    def test_the_security_group_opens_nothing_inwards(self, build: Build, inputs: Inputs) -> None:
        result = build("SageMakerEndpoint")
        group = inputs(result, "thing-security-group")
        assert "ingress" not in group
        assert "egress" not in group
        to_s3 = inputs(result, "thing-https-to-s3")
        assert (to_s3["prefixListId"], to_s3["fromPort"], to_s3["toPort"]) == ("pl-6da54004", 443, 443)
        assert inputs(result, "thing-https-to-endpoints")["cidrIpv4"] == "10.20.0.0/16"
        assert result.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") == []

    def test_a_network_of_the_same_program(self, args: Arguments) -> None:
        """Subnet ids as one Output, which not even their number is known of before."""

        def program() -> None:
            network = mainstage.Network("net", args("Network"))
            mainstage.SageMakerEndpoint(
                "thing",
                args(
                    "SageMakerEndpoint",
                    network={
                        "vpc_id": network.vpc_id,
                        "cidr_block": network.cidr_block,
                        "subnet_ids": network.private_subnet_ids,
                        "s3_prefix_list_id": network.s3_prefix_list_id,
                    },
                ),
            )

        preview = record(program, stack="somewhere", preview=True).check()
        assert preview.one(ENDPOINT).inputs["name"] == "iris"

    def test_grant_invoke(self, args: Arguments) -> None:
        def program() -> None:
            endpoint = mainstage.SageMakerEndpoint("thing", args("SageMakerEndpoint"))
            endpoint.grant_invoke("front-door")
            endpoint.grant_invoke("batch", grantee="batch")

        result = record(program, stack="somewhere").check()
        policy = result.named("thing-invoke-by-caller")
        assert policy.inputs["role"] == "front-door"
        (statement,) = json.loads(policy.inputs["policy"])["Statement"]
        assert statement["Action"] == ["sagemaker:InvokeEndpoint"]
        assert statement["Resource"] == ["arn:aws:sagemaker:eu-west-1:111111111111:endpoint/iris"]
        assert result.named("thing-invoke-by-batch").inputs["role"] == "batch"


class TestAwaiting:
    def test_role_logs_and_guards_are_there(self, build: Build) -> None:
        result = build("SageMakerEndpoint", awaiting=True, **OF_A_VERSION)
        for type_ in (MODEL, CONFIG, ENDPOINT, "aws:appautoscaling/target:Target"):
            assert result.of_type(type_) == []
        assert len(result.of_type("aws:cloudwatch/metricAlarm:MetricAlarm")) == 7
        assert len(result.of_type("aws:iam/role:Role")) == 1
        assert result.outputs["endpoint_config_name"] == "iris-awaiting"
        p99 = result.named("thing-guards-p99").inputs
        assert p99["dimensions"]["EndpointConfigName"] == "iris-awaiting"

    def test_the_first_version_changes_only_what_the_guards_watch(self, build: Build) -> None:
        awaiting = {r.urn: r for r in build("SageMakerEndpoint", awaiting=True, **OF_A_VERSION).resources}
        serving = {r.urn: r for r in build("SageMakerEndpoint").resources}
        assert set(awaiting) < set(serving)
        for urn, before in awaiting.items():
            changed = {key for key, value in serving[urn].inputs.items() if value != before.inputs.get(key)}
            assert changed <= {"dimensions", "metricQueries"}, urn

    def test_a_version_beside_it_is_refused(self, refused: Refused) -> None:
        found = refused("SageMakerEndpoint", awaiting=True, keep=[KEPT])
        assert {field for field, _, _, _ in found} == {*OF_A_VERSION, "keep"}


class TestAutoscaling:
    def test_target_and_policy_come_after_the_endpoint(self, build: Build, inputs: Inputs) -> None:
        result = build("SageMakerEndpoint")
        assert inputs(result, "thing-scaling-target") == {
            "serviceNamespace": "sagemaker",
            "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "resourceId": "endpoint/iris/variant/stable",
            "minCapacity": 2,
            "maxCapacity": 6,
        }
        assert inputs(result, "thing-scaling-policy") == {
            "name": "iris-stable-invocations",
            "serviceNamespace": "sagemaker",
            "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
            "resourceId": result.named("thing-scaling-target").outputs["resourceId"],
            "policyType": "TargetTrackingScaling",
            "targetTrackingScalingPolicyConfiguration": {
                "predefinedMetricSpecification": {"predefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
                "targetValue": 600,
                "scaleInCooldown": 300,
                "scaleOutCooldown": 60,
                "disableScaleIn": False,
            },
        }
        assert result.one(ENDPOINT).urn in result.named("thing-scaling-target").options.depends_on

    @pytest.mark.parametrize(
        ("changes", "peak"),
        [
            ({}, 12),
            ({"autoscaling": None}, 4),
            ({"deployment": {"strategy": "rolling", "percent": 50, "bake_minutes": 5}, "autoscaling": None}, 3),
        ],
    )
    def test_the_peak_counts_both_fleets(self, build: Build, changes: dict[str, Any], peak: int) -> None:
        assert build("SageMakerEndpoint", **changes).outputs["peak_instance_count"] == peak

    @pytest.mark.parametrize(
        ("autoscaling", "field"),
        [
            ({"minimum": 0.0, "maximum": 2.0}, "autoscaling.minimum"),
            ({"minimum": 3.0, "maximum": 2.0}, "autoscaling.minimum"),
            ({"minimum": 3.0, "maximum": 5.0}, "instance_count"),
            ({"minimum": 1.5, "maximum": 5.0}, "autoscaling.minimum"),
        ],
    )
    def test_refusals(self, refused: Refused, autoscaling: dict[str, float], field: str) -> None:
        given = {**autoscaling, "invocations_per_instance_per_minute": 100.0}
        found = refused("SageMakerEndpoint", autoscaling=given)
        assert field in [name for name, _, _, _ in found]

    def test_scaling_to_zero_names_the_rule(self, refused: Refused) -> None:
        given = {"minimum": 0.0, "maximum": 2.0, "invocations_per_instance_per_minute": 100.0}
        ((field, got, allowed, _),) = refused("SageMakerEndpoint", autoscaling=given)
        assert (field, got) == ("autoscaling.minimum", "0")
        assert "inference components" in allowed


class TestDeployment:
    @pytest.mark.parametrize(
        ("deployment", "expected"),
        [
            (
                None,
                {
                    "blueGreenUpdatePolicy": {
                        "trafficRoutingConfiguration": {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 0},
                        "terminationWaitInSeconds": 600,
                        "maximumExecutionTimeoutInSeconds": 4200,
                    }
                },
            ),
            (
                {"strategy": "all_at_once", "bake_minutes": 0.0},
                {
                    "blueGreenUpdatePolicy": {
                        "trafficRoutingConfiguration": {"type": "ALL_AT_ONCE", "waitIntervalInSeconds": 0},
                        "terminationWaitInSeconds": 0,
                        "maximumExecutionTimeoutInSeconds": 3600,
                    }
                },
            ),
            (
                {"strategy": "linear", "percent": 25.0, "bake_minutes": 5.0},
                {
                    "blueGreenUpdatePolicy": {
                        "trafficRoutingConfiguration": {
                            "type": "LINEAR",
                            "waitIntervalInSeconds": 300,
                            "linearStepSize": {"type": "CAPACITY_PERCENT", "value": 25},
                        },
                        "terminationWaitInSeconds": 120,
                        "maximumExecutionTimeoutInSeconds": 4920,
                    }
                },
            ),
            (
                {"strategy": "rolling", "percent": 50.0, "bake_minutes": 5.0},
                {
                    "rollingUpdatePolicy": {
                        "maximumBatchSize": {"type": "CAPACITY_PERCENT", "value": 50},
                        "waitIntervalInSeconds": 300,
                        "maximumExecutionTimeoutInSeconds": 4200,
                    }
                },
            ),
        ],
    )
    def test_strategies(self, build: Build, deployment: dict[str, Any] | None, expected: dict[str, Any]) -> None:
        config = build("SageMakerEndpoint", deployment=deployment).one(ENDPOINT).inputs["deploymentConfig"]
        rollback = config.pop("autoRollbackConfiguration")
        assert rollback == {"alarms": [{"alarmName": name} for name in ALARMS]}
        assert config == expected

    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"deployment": {"strategy": "canary", "percent": 51.0}}, "deployment.percent", "from 1 to 50"),
            ({"deployment": {"strategy": "linear", "percent": 9.0}}, "deployment.percent", "from 10 to 50"),
            ({"deployment": {"strategy": "rolling", "percent": 4.0}}, "deployment.percent", "from 5 to 50"),
            ({"deployment": {"strategy": "canary"}}, "deployment.percent", "from 1 to 50"),
            (
                {"deployment": {"strategy": "all_at_once", "percent": 10.0}},
                "deployment.percent",
                "nothing with all_at_once",
            ),
            (
                {"deployment": {"strategy": "canary", "percent": 10.0, "bake_minutes": 61.0}},
                "deployment.bake_minutes",
                "from 0 to 60",
            ),
            (
                {"deployment": {"strategy": "canary", "percent": 10.0, "bake_minutes": 55.0}},
                "deployment.bake_minutes",
                "the provider gives up after 60",
            ),
            (
                {"deployment": {"strategy": "linear", "percent": 10.0, "bake_minutes": 10.0}},
                "deployment.bake_minutes",
                "linear with 10 % waits 10 times, 102 minutes",
            ),
            (
                {"deployment": {"strategy": "canary", "percent": 10.0, "bake_minutes": 2.0}},
                "deployment.bake_minutes",
                "the guards on errors and latency need to fire",
            ),
            (
                {"deployment": {"strategy": "all_at_once", "bake_minutes": 1.0}},
                "deployment.bake_minutes",
                "the guards on errors and latency need to fire",
            ),
            ({"instance_count": 1.0, "autoscaling": None}, "deployment.strategy", "all_at_once, with 1 instance"),
            ({"instance_type": "ml.inf1.xlarge"}, "deployment.strategy", "falls back to it there without a word"),
            (
                {"instance_type": "ml.inf1.xlarge", "deployment": {"strategy": "all_at_once"}},
                "deployment.bake_minutes",
                "SageMaker keeps no old fleet there",
            ),
            ({"keep": [KEPT | {"variant_name": "blue"}]}, "keep[0].variant_name", "the same variant name"),
            ({"keep": [KEPT | {"version": 7.0}]}, "keep[0].version", "earlier versions"),
            ({"keep": [KEPT, KEPT]}, "keep[1].version", "each version once"),
            ({"instance_count": 0.0, "autoscaling": None}, "instance_count", "from 1 to 100"),
            ({"version": 0.0}, "version", "from 1 to 99999"),
            ({"endpoint_name": "x" * 48}, "endpoint_name", "at most 47 characters"),
            ({"endpoint_name": "under_score"}, "endpoint_name", "a-z, 0-9 and hyphen"),
            ({"log_retention_days": 31.0}, "log_retention_days", "one of 1, 3, 5"),
        ],
    )
    def test_refused_in_preview(self, refused: Refused, changes: dict[str, Any], field: str, words: str) -> None:
        found = [(name, allowed) for name, _, allowed, _ in refused("SageMakerEndpoint", **changes)]
        assert field in [name for name, _ in found]
        assert any(words in allowed for name, allowed in found if name == field), found

    @pytest.mark.parametrize(
        "argument",
        [
            "serverless",
            "shadow",
            "asynchronous",
            "inference_components",
            "scale_to_zero",
            "containers",
            "model_package_name",
            "alarms",
            "monitor",
        ],
    )
    def test_what_is_not_carried_says_why(self, refused: Refused, argument: str) -> None:
        ((field, _, _, fix),) = refused("SageMakerEndpoint", **{argument: {}})
        assert field == argument
        assert len(fix) > len("remove it: ")


class TestHooks:
    def test_the_endpoint_s_hooks_are_its_own(self, args: Arguments) -> None:
        def program() -> None:
            mainstage.SageMakerEndpoint("one", args("SageMakerEndpoint"))
            mainstage.SageMakerEndpoint("two", args("SageMakerEndpoint", endpoint_name="other"))

        result = record(program, stack="somewhere").check()
        for name in ("one", "two"):
            assert result.named(f"{name}-endpoint").options.hooks == {
                "before_update": (f"{name}-endpoint-before-update",),
                "after_create": (f"{name}-endpoint-after-create",),
                "after_update": (f"{name}-endpoint-after-update",),
                "on_error": (f"{name}-endpoint-on-error",),
            }

    def test_a_changed_set_of_alarms_is_no_change(self, build: Build) -> None:
        endpoint = build("SageMakerEndpoint").one(ENDPOINT)
        assert endpoint.options.ignore_changes == ("deploymentConfig.autoRollbackConfiguration",)

    def test_without_a_version_there_is_nothing_to_hook(self, build: Build) -> None:
        result = build("SageMakerEndpoint", awaiting=True, **OF_A_VERSION)
        assert [resource.name for resource in result.resources if resource.options.hooks] == []

    def test_approval_is_asked_for_every_model_that_is_made(self, build: Build) -> None:
        models = build("SageMakerEndpoint", keep=[KEPT], approval_required=True).of_type(MODEL)
        assert len(models) == 2
        for model in models:
            assert model.options.hooks == {"before_create": (f"{model.name}-approval", f"{model.name}-room")}
            assert model.options.retain_on_delete

    @pytest.mark.parametrize("type_token", [MODEL, CONFIG])
    def test_room_is_made_for_all_that_a_release_makes(self, build: Build, type_token: str) -> None:
        found = build("SageMakerEndpoint", keep=[KEPT]).of_type(type_token)
        assert len(found) == 2
        for each in found:
            assert each.options.hooks == {"before_create": (f"{each.name}-room",)}

    def test_a_model_service_passes_the_gate_on(self, build: Build) -> None:
        model, *_ = build("ModelService", approval_required=True).of_type(MODEL)
        assert list(model.options.hooks) == ["before_create"]


def test_the_plan_of_a_release(args: Arguments) -> None:
    plans: list[ReleasePlan] = []

    def program() -> None:
        resolved = resolve("thing", args("SageMakerEndpoint", keep=[KEPT]))
        assert resolved.release is not None
        plans.append(release_plan(resolved, resolved.release))
        mainstage.SageMakerEndpoint("thing", args("SageMakerEndpoint", keep=[KEPT]))

    result = record(program, stack="somewhere").check()
    (plan,) = plans
    assert plan.configuration == result.one(ENDPOINT).inputs["endpointConfigName"]
    assert sorted(plan.declared) == sorted(config.inputs["name"] for config in result.of_type(CONFIG))
    assert sorted(plan.declared.values()) == [6, 7]
    assert list(plan.alarms) == ALARMS
    assert (plan.model, plan.version, plan.variant) == ("iris", 7, "stable")
    assert (plan.instance_type, plan.instance_count, plan.minimum_requests) == ("ml.m5.large", 2, 20)
    assert plan.longest_seconds == 4620 + 3600
    assert plan.autoscaling is not None
    assert plan.autoscaling.maximum == 6
