"""ModelService: a catalog file's face, turned into an endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import mainstage
import pytest

from infra.rehearsal.engine import Result, record

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Arguments = Callable[..., Any]

LOG = {"bucket_name": "mainstage-predictions", "bucket_arn": "arn:aws:s3:::mainstage-predictions"}
CAPTURE = {"s3_uri": "s3://mainstage-capture", "bucket_arn": "arn:aws:s3:::mainstage-capture", "percent": 5.0}
PERSONAL = {
    "inputs": [{"name": "card", "type": "string", "pii": "hash"}],
    "outputs": [{"name": "fraud", "type": "boolean"}],
}
MODEL = "aws:sagemaker/model:Model"
CONFIG = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"


def test_it_finds_image_archive_and_environment(build: Build) -> None:
    result = build("ModelService")
    containers = {r.name.split("-v")[1].split("-")[0]: r.inputs["primaryContainer"] for r in result.of_type(MODEL)}
    assert containers == {
        version: {
            "image": "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            "mode": "SingleModel",
            "modelDataUrl": f"s3://mainstage-registry/models/iris/{version}/model.tar.gz",
            "environment": {
                "MAINSTAGE_MODEL_VERSION": version,
                "SAGEMAKER_PROGRAM": "mainstage_entrypoint.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        }
        for version in ("6", "7")
    }
    endpoint = result.one("aws:sagemaker/endpoint:Endpoint")
    assert endpoint.inputs["name"] == "iris"
    assert endpoint.inputs["endpointConfigName"].startswith("iris-v7-")
    assert endpoint.inputs["tags"] == {"mainstage:model": "iris", "mainstage:owner": "ml-team"}
    assert result.outputs["reports_version"] is True


def test_a_release_of_the_next_version_touches_nothing_of_the_old_one(build: Build) -> None:
    before = {r.urn: r.inputs for r in build("ModelService", keep=None).resources}
    after = {r.urn: r.inputs for r in build("ModelService", stable=8.0, keep=[{"version": 7.0}]).resources}
    assert set(before) < set(after)
    changed = {urn.rpartition("::")[2] for urn in before if before[urn] != after[urn]}
    assert changed == {
        "thing-endpoint-endpoint",
        *(
            f"thing-endpoint-guards-{g}"
            for g in ("errors", "p95", "p99", "front-door-p99", "drift", "confidence", "stop")
        ),
        # They say which configuration a version has.
        "thing-route-function",
        "thing-overview-dashboard",
    }


def test_a_kept_version_of_another_preset(build: Build) -> None:
    kept = {"version": 6.0, "runtime": "pytorch-2.5-cpu"}
    result = build("ModelService", keep=[kept])
    image = next(r for r in result.of_type(MODEL) if "-v6-" in r.name).inputs["primaryContainer"]["image"]
    assert image.startswith("763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-inference:")
    policy = result.named("thing-endpoint-execution-policy").inputs["policy"]
    assert "141502667606:repository/sagemaker-scikit-learn" in policy
    assert "763104351884:repository/pytorch-inference" in policy


def test_a_preset_that_cannot_report_its_version_says_so(build: Build) -> None:
    assert build("ModelService", runtime="pytorch-2.5-cpu").outputs["reports_version"] is False


def test_awaiting(build: Build) -> None:
    result = build("ModelService", awaiting=True, stable=None, keep=None)
    assert result.of_type(MODEL) == []
    assert result.outputs["endpoint_config_name"] == "iris-awaiting"
    # Log and front door are declared all the same, and the front door knows that there is nobody to ask.
    variables = result.named("thing-route-function").inputs["environment"]["variables"]
    assert (variables["MAINSTAGE_ENDPOINT_NAME"], variables["MAINSTAGE_CONFIGURATIONS"]) == ("", "{}")
    assert "sagemaker:InvokeEndpoint" not in result.named("thing-route-policy").inputs["policy"]
    assert result.one("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream").inputs["name"] == (
        "prod-iris-predictions"
    )
    assert result.one("aws:apigatewayv2/route:Route").inputs["routeKey"] == "POST /v1/models/iris/predictions"


@pytest.mark.parametrize("preview", [False, True])
def test_the_front_door_knows_the_configuration_of_each_version(build: Build, preview: bool) -> None:
    result = build("ModelService", preview=preview)
    variables = result.named("thing-route-function").inputs["environment"]["variables"]
    declared = {r.inputs["name"].split("-v")[1].split("-")[0]: r.inputs["name"] for r in result.of_type(CONFIG)}
    assert json.loads(variables["MAINSTAGE_CONFIGURATIONS"]) == declared
    assert sorted(declared) == ["6", "7"]
    assert variables["MAINSTAGE_ENDPOINT_NAME"] == "iris"


def test_the_front_door_knows_a_version_before_it_gets_traffic(build: Build) -> None:
    result = build("ModelService")
    endpoint, function = result.one("aws:sagemaker/endpoint:Endpoint"), result.named("thing-route-function")
    assert function.urn in endpoint.options.depends_on


def test_log_route_and_functions_are_called_alike(build: Build) -> None:
    result = build("ModelService")
    assert sorted(r.inputs["name"] for r in result.of_type("aws:lambda/function:Function")) == [
        "prod-iris-front-door",
        "prod-iris-replay",
        "prod-iris-transform",
    ]
    assert result.one("aws:cloudwatch/dashboard:Dashboard").inputs["dashboardName"] == "prod-iris-eu-west-1"
    assert result.one("aws:athena/workgroup:Workgroup").inputs["name"] == "mainstage-prod-iris"
    assert result.one("aws:apigatewayv2/integration:Integration").inputs["timeoutMilliseconds"] == 10_000
    assert {r.inputs["tags"]["mainstage:model"] for r in result.of_type("aws:iam/role:Role")} == {"iris"}
    assert result.outputs["log"]["log_name"] == "prod-iris"


def test_grant_predict_goes_to_the_route(args: Arguments) -> None:
    def program() -> None:
        mainstage.ModelService("thing", args("ModelService")).grant_predict("shop", grantee="shop")

    granted = record(program, stack="somewhere").check().named("thing-route-predict-by-shop").inputs
    assert granted["role"] == "shop"
    (statement,) = json.loads(granted["policy"])["Statement"]
    assert (statement["Action"], statement["Resource"]) == (
        ["execute-api:Invoke"],
        ["arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5/$default/POST/v1/models/iris/predictions"],
    )


def test_grant_invoke_goes_to_the_endpoint(args: Arguments) -> None:
    def program() -> None:
        mainstage.ModelService("thing", args("ModelService")).grant_invoke("front-door", grantee="front-door")

    result = record(program, stack="somewhere").check()
    assert result.named("thing-endpoint-invoke-by-front-door").inputs["role"] == "front-door"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"backend": "kubernetes"}, "backend", "no Kubernetes back end"),
        ({"backend": "sagemakr"}, "backend", "one of sagemaker"),
        ({"runtime": "sklearn-1.4"}, "runtime", "sklearn-1.4-2"),
        ({"region": "us-isof-east-1"}, "runtime", "AWS publishes no image"),
        ({"stable": None}, "stable", "a whole number from 1 to 99999"),
        ({"awaiting": True}, "stable", "nothing while awaiting"),
        ({"keep": [{"version": 7.0}]}, "keep[0].version", "earlier versions"),
        ({"rollout": {"strategy": "canary", "percent": 60.0}}, "rollout.percent", "from 1 to 50"),
        ({"rollout": {"strategy": "canary", "percent": 10.0}}, "rollout.strategy", "with 1 instance"),
        ({"capacity": {"instance_type": "m5.large"}}, "capacity.instance_type", "a SageMaker instance type"),
        ({"capacity": {"instance_type": "ml.m5.large", "count": 2.0}}, "capacity.count", "instance_count"),
        ({"slo": {"p95_ms": 1.0, "p99_ms": 2.0}}, "slo.error_ratio", "a number from 0 to 1"),
        ({"capture": {"s3_uri": "bucket", "bucket_arn": "b", "percent": 101.0}}, "capture.percent", "from 0 to 100"),
        ({"kms_key_arn": None}, "kms_key_arn", "a KMS key"),
        ({"endpoint_name": "x" * 48}, "endpoint_name", "at most 47 characters"),
        ({"environment_label": "x" * 50}, "model", "at most 52 characters"),
        ({"environment_label": None}, "environment_label", "a name of a-z"),
        ({"deadline_ms": 25_001.0}, "deadline_ms", "an HTTP API gives up after 30 s"),
        ({"maximum_body_kib": 2_901.0}, "maximum_body_kib", "Lambda takes 6 MB"),
        ({"signature": PERSONAL, "pseudonym_key_arn": None}, "pseudonym_key_arn", "stored as keyed hashes"),
        ({"signature": PERSONAL, "capture": CAPTURE}, "capture.percent", "0: requests would be stored as they are"),
        ({"prediction_log": {"bucket_name": "b-1", "bucket_arn": "b"}}, "prediction_log.bucket_arn", "an ARN"),
        ({"prediction_log": LOG | {"scan_limit_mib": 9.0}}, "prediction_log.scan_limit_mib", "from 10 to"),
        ({"prediction_log": LOG | {"buffer_seconds": 901.0}}, "prediction_log.buffer_seconds", "from 60 to 900"),
        ({"prediction_log": LOG | {"buffer_seconds": 59.0}}, "prediction_log.buffer_seconds", "from 60 to 900"),
        ({"prediction_log": None}, "prediction_log", "a set of named arguments"),
        ({"front_door": None}, "front_door", "a set of named arguments"),
    ],
)
def test_refused_in_the_words_of_the_file(refused: Refused, changes: dict[str, Any], field: str, words: str) -> None:
    found = [(name, allowed) for name, _, allowed, _ in refused("ModelService", **changes)]
    assert any(name == field and words in allowed for name, allowed in found), found
    known = mainstage.ModelServiceArgs.__annotations__
    assert all(name.partition(".")[0].partition("[")[0] in known for name, _ in found), found


def test_one_error_has_them_all(args: Arguments) -> None:
    def program() -> None:
        bad = args(
            "ModelService", runtime="sklern-1.4-2", rollout={"strategy": "canry"}, page_topic_arn="x", owener="me"
        )
        mainstage.ModelService("thing", bad)

    error = record(program, stack="somewhere").error
    assert str(error).splitlines() == [
        'ModelService "thing": 4 problems in its arguments',
        "  - owener: got 'me'; allowed: "
        + ", ".join(sorted(mainstage.ModelServiceArgs.__annotations__))
        + '. Fix: write "owner"',
        "  - runtime: got 'sklern-1.4-2'; allowed: one of sklearn-1.4-2, sklearn-1.2-1, xgboost-1.7-1, "
        'pytorch-2.5-cpu. Fix: write "sklearn-1.4-2"',
        "  - rollout.strategy: got 'canry'; allowed: one of canary, linear, rolling, all_at_once. "
        'Fix: write "canary"',
        "  - page_topic_arn: got 'x'; allowed: the ARN of an SNS topic. Fix: give a text of that form",
    ]
