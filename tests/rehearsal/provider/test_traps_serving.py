"""Traps of images, topics, logs, alarms, models and configurations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import ACCOUNT_ID, REGION, CheckFailed, Driver
from provider_world import IMAGES_OLDER_THAN_TEN, SAMPLES, World

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import InitializationFailed, ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
TOPIC = "aws:sns/topic:Topic"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
GROUP = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"
MODEL = "aws:sagemaker/model:Model"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"

# -- ECR ---------------------------------------------------------------------------------------------------------------


def test_repository_with_images_goes_only_with_force_in_the_state(engine: Driver, world: World, cloud: Cloud) -> None:
    repository = world.repository
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
    cloud.client("ecr").put_image(repositoryName="world", imageManifest=manifest, imageTag="1")
    with pytest.raises(ProviderError, match=r"RepositoryNotEmptyException.*consider using forceDelete"):
        engine.delete(repository)
    forced = engine.update(repository, name="world", forceDelete=True)
    engine.delete(forced)
    assert engine.read(forced) is None


def test_repository_encryption_replaces_so_images_are_lost(engine: Driver, world: World) -> None:
    made = engine.create(REPOSITORY, "r", name="models")
    assert engine.changed(made, name="models") == {}
    news = {
        "name": "models",
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": world.key.outputs["arn"]}],
    }
    assert set(engine.changed(made, **news).values()) == {True}


def test_image_lifecycle_policy_is_deleted_before_its_replacement(engine: Driver, world: World) -> None:
    """The id is the repository: created first, the late delete would take the new policy away."""
    made = engine.create(LIFECYCLE, "l", **SAMPLES[LIFECYCLE](world))
    changed = IMAGES_OLDER_THAN_TEN.replace("10", "5")
    answer = engine.diff(made, repository=world.repository.id, policy=changed)
    assert list(answer.replaces) == ["policy"]
    assert answer.deleteBeforeReplace is True


def test_image_lifecycle_policy_compares_without_order(engine: Driver, world: World) -> None:
    made = engine.create(LIFECYCLE, "l", **SAMPLES[LIFECYCLE](world))
    document = json.loads(IMAGES_OLDER_THAN_TEN)
    document["rules"] = [dict(reversed(document["rules"][0].items()))]
    same = json.dumps(document, indent=2)
    assert engine.changed(made, repository=world.repository.id, policy=same) == {}


# -- SNS ---------------------------------------------------------------------------------------------------------------


def test_topic_that_exists_is_adopted(engine: Driver, cloud: Cloud) -> None:
    arn = cloud.client("sns").create_topic(Name="pages")["TopicArn"]
    assert engine.create(TOPIC, "pages", name="pages").id == arn


def test_topic_policy_deleted_puts_the_owners_default_back(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(TOPIC_POLICY, "p", **SAMPLES[TOPIC_POLICY](world))
    engine.delete(made)
    live = json.loads(cloud.client("sns").get_topic_attributes(TopicArn=world.topic.id)["Attributes"]["Policy"])
    (statement,) = live["Statement"]
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT_ID}}
    assert "cloudwatch.amazonaws.com" not in json.dumps(live)


def test_topic_policy_of_the_topic_is_no_diff_of_the_topic(engine: Driver, world: World) -> None:
    topic = world.topic
    engine.create(TOPIC_POLICY, "p", **SAMPLES[TOPIC_POLICY](world))
    seen = engine.read(topic)
    assert seen is not None
    assert engine.changed(seen, name="world") == {}


def test_topic_whose_attribute_fails_is_in_state(engine: Driver, cloud: Cloud) -> None:
    cloud.faults.add("sns", "SetTopicAttributes", AwsError("InvalidParameter", "key is not there"))
    with pytest.raises(InitializationFailed, match="the real provider goes on for 2 min") as caught:
        engine.create(TOPIC, "pages", name="pages", displayName="Pages")
    assert caught.value.id == f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:pages"


# -- log groups --------------------------------------------------------------------------------------------------------


def test_log_group_that_a_service_made_first_fails_the_create(engine: Driver, cloud: Cloud) -> None:
    cloud.client("logs").create_log_group(logGroupName="/aws/sagemaker/Endpoints/iris")
    with pytest.raises(ProviderError, match="ResourceAlreadyExistsException"):
        engine.create(LOG_GROUP, "l", name="/aws/sagemaker/Endpoints/iris")


def test_log_group_arn_has_no_star_and_retention_defaults_to_for_ever(engine: Driver) -> None:
    made = engine.create(LOG_GROUP, "l", name="/a")
    assert made.outputs["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/a"
    assert made.outputs["retentionInDays"] == 0


def test_log_group_retention_changed_by_hand_is_drift(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(LOG_GROUP, "l", name="/a", retentionInDays=30)
    cloud.client("logs").put_retention_policy(logGroupName="/a", retentionInDays=7)
    drifted = engine.read(made)
    assert drifted is not None
    assert engine.changed(drifted, name="/a", retentionInDays=30) == {"retentionInDays": False}


def test_log_group_retention_outside_the_list_is_refused(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(LOG_GROUP, "l", name="/a", retentionInDays=31)
    assert "got 31" in caught.value.failures["retentionInDays"]


def test_log_group_under_deletion_protection_is_not_deleted(engine: Driver) -> None:
    made = engine.create(LOG_GROUP, "l", name="/a", deletionProtectionEnabled=True)
    with pytest.raises(ProviderError, match="DeleteLogGroup"):
        engine.delete(made)
    assert engine.changed(made, name="/a") == {}  # computed: left out is no change
    released = engine.update(made, name="/a", deletionProtectionEnabled=False)
    engine.delete(released)
    assert engine.read(released) is None


def test_log_group_with_skip_destroy_stays(engine: Driver) -> None:
    made = engine.create(LOG_GROUP, "l", name="/a", skipDestroy=True)
    engine.delete(made)
    assert engine.read(made) is not None


# -- alarms ------------------------------------------------------------------------------------------------------------


def alarm(**changes: Any) -> dict[str, Any]:
    inputs = {
        "name": "a",
        "namespace": "AWS/SageMaker",
        "metricName": "Invocations",
        "statistic": "Sum",
        "period": 60,
        "evaluationPeriods": 1,
        "comparisonOperator": "LessThanThreshold",
        **changes,
    }
    return {key: value for key, value in inputs.items() if value is not None}


def test_alarm_overwrites_a_foreign_one_of_the_same_name(engine: Driver, cloud: Cloud) -> None:
    engine.create(ALARM, "one", **alarm(threshold=1))
    engine.create(ALARM, "two", **alarm(threshold=2))
    (live,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["a"])["MetricAlarms"]
    assert live["Threshold"] == 2


def test_alarm_without_a_threshold_gets_zero_and_missing_data_is_missing(engine: Driver) -> None:
    made = engine.create(ALARM, "a", **alarm())
    assert (made.outputs["threshold"], made.outputs["treatMissingData"]) == (0, "missing")
    assert engine.changed(made, **alarm()) == {}


def test_alarm_from_metric_to_queries_is_in_place(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(ALARM, "a", **alarm(threshold=1))
    metric = {"namespace": "AWS/SageMaker", "metricName": "Invocations", "period": 60, "stat": "Sum"}
    queries = [
        {"id": "calls", "metric": {**metric, "dimensions": {"EndpointName": "iris"}}},
        {"id": "rate", "expression": "calls / 60", "label": "a second", "returnData": True},
    ]
    news = alarm(threshold=1, namespace=None, metricName=None, statistic=None, period=None, metricQueries=queries)
    assert set(engine.changed(made, **news).values()) == {False}
    updated = engine.update(made, **news)
    refreshed = engine.read(updated)
    assert refreshed is not None
    assert engine.changed(refreshed, **news) == {}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"metricName": None}, "metricName"),
        ({"comparisonOperator": None}, "comparisonOperator"),
        ({"extendedStatistic": "p99"}, "statistic"),
        ({"statistic": None}, "statistic"),
        ({"threshold": 1, "thresholdMetricId": "t"}, "threshold"),
        ({"metricName": None, "metricQueries": [{"id": "a", "expression": "1"}]}, "metricQueries"),
        ({"treatMissingData": "maybe"}, "treatMissingData"),
        ({"okActions": ["a"] * 6}, "okActions"),
        ({"comparisonOperator": "Greater"}, "comparisonOperator"),
        ({"period": 45}, "period"),
        ({"datapointsToAlarm": 2}, "datapointsToAlarm"),
        ({"evaluationCriteria": {}, "metricName": None}, "metricName"),
    ],
)
def test_alarm_plan_time_checks(engine: Driver, changes: dict[str, Any], path: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(ALARM, "a", **alarm(**changes))
    assert path in caught.value.failures


# -- SageMaker ---------------------------------------------------------------------------------------------------------


def test_model_refused_by_sagemaker_fails_late_with_the_same_text(engine: Driver, world: World) -> None:
    inputs = world.model_inputs()
    inputs["executionRoleArn"] = f"arn:aws:iam::{ACCOUNT_ID}:role/none"
    with pytest.raises(ProviderError) as caught:
        engine.create(MODEL, "m", **inputs)
    assert "CreateModel: ValidationException" in str(caught.value)
    assert "role/none" in str(caught.value)
    assert "the real provider goes on for 2 min" in str(caught.value)


def test_model_inference_mode_plans_an_update_that_calls_nothing(engine: Driver, world: World, cloud: Cloud) -> None:
    first = {key: value for key, value in world.model_inputs()["primaryContainer"].items()}
    containers = [{**first, "containerHostname": name} for name in ("one", "two")]
    inputs = {**world.model_inputs(), "containers": containers, "inferenceExecutionConfig": {"mode": "Serial"}}
    del inputs["primaryContainer"]
    made = engine.create(MODEL, "m", **inputs)
    news = {**inputs, "inferenceExecutionConfig": {"mode": "Direct"}}
    assert engine.changed(made, **news) == {"inferenceExecutionConfig.mode": False}
    before = len(cloud.journal.entries("sagemaker"))
    engine.update(made, **news)
    calls = {entry.operation for entry in cloud.journal.entries("sagemaker")[before:]}
    assert calls <= {"DescribeModel", "ListTags"}


def test_model_container_change_replaces_and_vpc_order_does_not_count(engine: Driver, world: World) -> None:
    made = engine.create(MODEL, "m", **world.model_inputs())
    changed = world.model_inputs()
    changed["primaryContainer"]["environment"]["NEW"] = "1"
    assert engine.changed(made, **changed) == {"primaryContainer.environment.NEW": True}
    assert made.outputs["primaryContainer"]["mode"] == "SingleModel"
    vpc = {**world.model_inputs(), "vpcConfig": {"subnets": [world.subnet.id], "securityGroupIds": [world.group.id]}}
    assert engine.changed(made, **vpc) == {"vpcConfig": True}


def test_configuration_is_deleted_under_whatever_uses_it_and_twice(engine: Driver, world: World) -> None:
    made = world.configuration
    engine.delete(made)
    assert engine.read(made) is None
    engine.delete(made)


def test_variant_without_a_name_gets_a_fresh_random_one(engine: Driver, world: World) -> None:
    names = []
    for name in ("one", "two"):
        inputs = world.configuration_inputs(name)
        del inputs["productionVariants"][0]["variantName"]
        made = engine.create(CONFIGURATION, name, **inputs)
        names.append(made.outputs["productionVariants"][0]["variantName"])
        assert engine.changed(made, **inputs) == {}
    assert names[0] != names[1]


def test_capture_without_the_switch_captures_nothing(engine: Driver, world: World) -> None:
    inputs = SAMPLES[CONFIGURATION](world)
    del inputs["dataCaptureConfig"]["enableCapture"]
    made = engine.create(CONFIGURATION, "c", **inputs)
    assert made.outputs["dataCaptureConfig"]["enableCapture"] is False


def test_weight_zero_is_kept_and_left_out_is_one(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs = world.configuration_inputs("weights")
    first = inputs["productionVariants"][0]
    inputs["productionVariants"] = [first, {**first, "variantName": "dark", "initialVariantWeight": 0}]
    made = engine.create(CONFIGURATION, "c", **inputs)
    live = cloud.client("sagemaker").describe_endpoint_config(EndpointConfigName="weights")["ProductionVariants"]
    assert [one["InitialVariantWeight"] for one in live] == [1.0, 0.0]
    assert engine.changed(made, **inputs) == {}


def test_group_with_versions_refuses_its_delete(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(GROUP, "g", modelPackageGroupName="iris")
    image = world.model_inputs()["primaryContainer"]["image"]
    cloud.client("sagemaker").create_model_package(
        ModelPackageGroupName="iris",
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": world.archive_url}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    with pytest.raises(ProviderError, match="DeleteModelPackageGroup"):
        engine.delete(made)


def test_serverless_memory_in_steps(engine: Driver) -> None:
    variant = {
        "variantName": "stable",
        "modelName": "m",
        "serverlessConfig": {"maxConcurrency": 201, "memorySizeInMb": 1500},
    }
    with pytest.raises(CheckFailed) as caught:
        engine.preview(CONFIGURATION, "c", productionVariants=[variant])
    assert set(caught.value.failures) == {
        "productionVariants[0].serverlessConfig.memorySizeInMb",
        "productionVariants[0].serverlessConfig.maxConcurrency",
    }
