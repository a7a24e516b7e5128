"""InvokeEndpoint: who answers, what comes back, what is refused, what is measured."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay import endpoint_upkeep
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

VARIANTS = {
    "a": {"ModelName": "ma", "InitialVariantWeight": 3.0},
    "b": {"ModelName": "mb", "InitialVariantWeight": 1.0},
    "off": {"ModelName": "moff", "InitialVariantWeight": 0.0},
}
CONSOLE = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"


@pytest.fixture
def three(stage):
    """An endpoint with three variants, one of them with weight 0."""
    for name in ("ma", "mb", "moff"):
        stage.model(name)
    stage.config(variants=VARIANTS)
    stage.endpoint()
    return stage


@pytest.fixture
def up(stage):
    stage.model()
    stage.config()
    stage.endpoint()
    return stage


def test_the_answer_carries_its_variant_type_and_body(up):
    got = up.invoke({"a": 1}, CustomAttributes="trace=7", InferenceId="one")
    assert got["answer"] == {"answer": "m", "asked": {"a": 1}}
    assert got["ContentType"] == "application/json"
    assert got["InvokedProductionVariant"] == "stable"


def test_weights_divide_the_calls_and_zero_gets_none(three):
    answers = Counter(three.invoke()["answer"]["answer"] for _ in range(400))
    assert answers["moff"] == 0
    # 400 draws at 3 : 1 give 300 with a deviation of 8.7; five of them are never left with this seed.
    assert 256 <= answers["ma"] <= 344
    assert answers["ma"] + answers["mb"] == 400


def test_the_variant_named_answers_whatever_its_weight(three):
    for target, model in (("off", "moff"), ("b", "mb"), ("a", "ma")):
        got = three.invoke(TargetVariant=target)
        assert (got["answer"]["answer"], got["InvokedProductionVariant"]) == (model, target)


def test_zero_stays_zero_and_changed_weights_hold_at_once(three):
    changes = [{"VariantName": "a", "DesiredWeight": 0.0}, {"VariantName": "b", "DesiredWeight": 2.0}]
    three.sagemaker.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=changes)
    found = {entry["VariantName"]: entry["CurrentWeight"] for entry in three.settled()["ProductionVariants"]}
    assert found == {"a": 0.0, "b": 2.0, "off": 0.0}
    assert {three.invoke()["answer"]["answer"] for _ in range(30)} == {"mb"}


def test_all_weights_zero(three, refused):
    changes = [{"VariantName": name, "DesiredWeight": 0.0} for name in ("a", "b")]
    three.sagemaker.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=changes)
    code, message = refused(three.invoke)
    assert (code, message) == (
        "ValidationError",
        "Endpoint e has no variant with a weight above 0; give TargetVariant.",
    )
    assert three.invoke(TargetVariant="a")["answer"]["answer"] == "ma"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"TargetVariant": "none"}, "Variant none not found for endpoint e."),
        (
            {"TargetModel": "x.tar.gz"},
            "Endpoint e is not a multi-model endpoint and does not support target model header.",
        ),
        ({"InferenceComponentName": "x"}, "Endpoint e has no inference components."),
        ({"TargetContainerHostname": "x"}, "Endpoint e is not a multi-container endpoint with direct invocation."),
    ],
)
def test_refused_targets(up, refused, options, message):
    assert refused(up.invoke, **options) == ("ValidationError", message)


def test_an_endpoint_that_is_not_there(stage, refused):
    assert refused(stage.invoke) == ("ValidationError", "Endpoint e of account 111111111111 not found.")


def test_an_error_of_the_model_comes_with_what_it_answered(up):
    with pytest.raises(ClientError) as caught:
        up.invoke({"status": 500})
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 500
    original = response["OriginalMessage"]
    assert response["Error"]["Message"] == (
        f'Received server error (500) from primary with message "{original}". See {CONSOLE}#logEventViewer:group='
        "/aws/sagemaker/Endpoints/e in account 111111111111 for more information."
    )
    assert response["LogStreamArn"] == ("arn:aws:logs:eu-west-1:111111111111:log-group:/aws/sagemaker/Endpoints/e")
    # Not tried again: a ModelError is no throttling.
    assert response["ResponseMetadata"]["RetryAttempts"] == 0


def test_many_callers_at_once_all_get_their_own_answer(up):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: up.invoke({"n": number})["answer"]["asked"]["n"], range(64)))
    assert answers == list(range(64))


def values(stage, name, statistic="Sum", **dimensions):
    return stage.cloud.metrics.statistic(
        "AWS/SageMaker", name, statistic, region="eu-west-1", dimensions=dimensions or None
    )


def test_every_call_is_measured_under_both_dimension_sets(up, refused):
    for _ in range(3):
        up.invoke()
    refused(up.invoke, body={"status": 500})
    by_variant = {"EndpointName": "e", "VariantName": "stable"}
    for dimensions in (by_variant, {**by_variant, "EndpointConfigName": "c"}):
        assert values(up, "Invocations", **dimensions) == 4
        assert values(up, "InvocationsPerInstance", **dimensions) == 4
        assert values(up, "Invocation4XXErrors", **dimensions) == 0
        assert values(up, "Invocation4XXErrors", "SampleCount", **dimensions) == 4
        assert values(up, "Invocation5XXErrors", **dimensions) == 1
        assert values(up, "InvocationModelErrors", **dimensions) == 1
        assert values(up, "ModelLatency", "SampleCount", **dimensions) == 4
        assert values(up, "OverheadLatency", "SampleCount", **dimensions) == 4
        assert values(up, "ConcurrentRequestsPerModel", "Maximum", **dimensions) == 1


def test_a_refused_call_is_not_measured(up, refused):
    refused(up.invoke, TargetVariant="none")
    assert values(up, "Invocations", EndpointName="e", VariantName="stable") is None


def test_latency_is_in_microseconds(stage):
    slow = stage.code.replace("    return {", "    import time\n    time.sleep(0.05)\n    return {")
    stage.model(url=stage.put_archive(slow, "slow.tar.gz"))
    stage.config()
    stage.endpoint()
    stage.invoke()
    cloudwatch = stage.cloud.client("cloudwatch")
    now = stage.cloud.clock.now()
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "stable"}],
        StartTime=now.timestamp() - 600,
        EndTime=now.timestamp() + 60,
        Period=3600,
        Statistics=["Minimum"],
        ExtendedStatistics=["p99"],
    )["Datapoints"]
    (point,) = found
    assert point["Unit"] == "Microseconds"
    assert 50_000 <= point["Minimum"] < 60_000_000
    assert point["ExtendedStatistics"]["p99"] == point["Minimum"]


def test_overhead_is_measured_and_no_part_of_the_models_time(stage):
    """What SageMaker adds around the container: more than nothing, far less than the slow model itself."""
    slow = stage.code.replace("    return {", "    import time\n    time.sleep(0.5)\n    return {")
    stage.model(url=stage.put_archive(slow, "slow.tar.gz"))
    stage.config()
    stage.endpoint()
    stage.invoke()
    model = values(stage, "ModelLatency", EndpointName="e", VariantName="stable")
    overhead = values(stage, "OverheadLatency", EndpointName="e", VariantName="stable")
    assert 0 < overhead < model


def test_invocations_per_instance_are_divided(stage):
    stage.model()
    stage.config(variants={"stable": {"InitialInstanceCount": 4}})
    stage.endpoint()
    stage.invoke()
    stage.invoke()
    assert values(stage, "InvocationsPerInstance", EndpointName="e", VariantName="stable") == 0.5


def test_each_fleet_has_its_configuration_as_a_dimension(up):
    up.invoke()
    up.config("c2")
    up.update("c2")
    up.invoke()
    up.invoke()
    by_variant = {"EndpointName": "e", "VariantName": "stable"}
    assert values(up, "Invocations", **by_variant) == 3
    assert values(up, "Invocations", **by_variant, EndpointConfigName="c") == 1
    assert values(up, "Invocations", **by_variant, EndpointConfigName="c2") == 2


def test_utilisation_comes_from_the_real_process(up):
    found = up.cloud.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/Endpoints")["Metrics"]
    assert sorted(metric["MetricName"] for metric in found) == [
        "CPUUtilization",
        "DiskUtilization",
        "MemoryUtilization",
    ]
    memory = up.cloud.metrics.statistic(
        "/aws/sagemaker/Endpoints",
        "MemoryUtilization",
        "Maximum",
        region="eu-west-1",
        dimensions={"EndpointName": "e", "VariantName": "stable"},
    )
    assert 0 < memory < 100


def test_utilisation_of_the_others_is_published_while_one_variant_ends(stage, monkeypatch):
    """The old fleet of a release is taken down while the upkeep is at it."""
    stage.model()
    stage.config(variants={"ending": {}, "stable": {}})
    stage.endpoint()
    ending, _ = stage.cloud_variants()
    look = endpoint_upkeep.look

    def looked(pid):
        found = look(pid)
        if pid == ending.host.pid:
            shutil.rmtree(ending.directory, ignore_errors=True)
        return found

    def published():
        return stage.cloud.metrics.statistic(
            "/aws/sagemaker/Endpoints",
            "DiskUtilization",
            "SampleCount",
            region="eu-west-1",
            dimensions={"EndpointName": "e", "VariantName": "stable"},
        )

    upkeep = sagemaker_of(stage.cloud).upkeep
    upkeep.stop()  # this thread does its work
    monkeypatch.setattr(endpoint_upkeep, "look", looked)
    before = published()
    stage.cloud.clock.advance(60)
    upkeep.tick()
    assert published() > before


def test_a_shadow_gets_copies_and_never_answers(stage):
    stage.model()
    stage.model("next")
    shadow = {
        "VariantName": "next",
        "ModelName": "next",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
    }
    stage.config(ShadowProductionVariants=[shadow])
    found = stage.endpoint()
    assert [entry["VariantName"] for entry in found["ShadowProductionVariants"]] == ["next"]
    assert {stage.invoke()["answer"]["answer"] for _ in range(5)} == {"m"}
    copies = stage.shadows()[0]
    copies.calls.wait(10)
    assert values(stage, "Invocations", EndpointName="e", VariantName="next") == 5


def test_no_answer_within_the_models_own_limit(stage):
    slow = stage.code.replace("    return {", "    import time\n    time.sleep(5)\n    return {")
    url = stage.put_archive(slow, "slow.tar.gz")
    environment = {**stage.environment, "SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"}
    stage.model(PrimaryContainer={"Image": stage.image, "ModelDataUrl": url, "Environment": environment})
    stage.config()
    stage.endpoint()
    with pytest.raises(ClientError) as caught:
        stage.invoke()
    assert caught.value.response["OriginalStatusCode"] == 504
    assert values(stage, "Invocation5XXErrors", EndpointName="e", VariantName="stable") == 1


def test_a_model_that_kills_its_process_fails_the_call_and_comes_back(stage):
    dies = stage.code.replace("raise RuntimeError(f\"asked to fail with {data['status']}\")", "os._exit(3)")
    assert dies != stage.code
    stage.model(url=stage.put_archive(dies, "dies.tar.gz"))
    stage.config()
    stage.endpoint()
    with pytest.raises(ClientError) as caught:
        stage.invoke({"status": 1})
    assert caught.value.response["Error"]["Code"] == "ModelError"
    assert caught.value.response["OriginalStatusCode"] in (502, 503)
    assert stage.eventually(lambda: stage.invoke()["answer"]["answer"]) == "m"
    assert stage.settled()["EndpointStatus"] == "InService"
