"""Every link that a fleet needs, broken in turn with boto3 after deployment: the new fleet fails with the reason that
names it, the one that is up serves on, and the mended link works."""

from __future__ import annotations

import json
import threading

import pytest

NO_DOWNLOAD = (
    'Failed to download model data for container "container_1" from URL: "s3://registry-of-tests/model.tar.gz". Please '
    "ensure that there is an object located at the URL and that the role passed to CreateModel has permissions to "
    "download the object."
)
NO_PING = "The primary container for production variant stable did not pass the ping health check."
NOBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
WITHOUT_ECR = ("s3:GetObject", "logs:*", "cloudwatch:*")


@pytest.fixture
def up(stage):
    stage.model()
    stage.config()
    assert stage.endpoint()["EndpointStatus"] == "InService"
    stage.config("again")
    return stage


def fails(stage, reason: str) -> str:
    """Both an update of what serves and a new endpoint fail with this reason; what served serves on."""
    updated = stage.update("again")
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "c")
    assert reason in updated["FailureReason"]
    assert stage.invoke()["answer"]["answer"] == "m"
    made = stage.endpoint("other", "again")
    assert made["EndpointStatus"] == "Failed"
    assert reason in made["FailureReason"]
    stage.deleted("other")
    return updated["FailureReason"]


def test_the_role_no_longer_trusts_sagemaker(up):
    up.trust(NOBODY)
    fails(up, f"Could not assume role {up.role_arn}. Please ensure that the role exists and allows principal")


def test_the_role_is_gone(up):
    up.iam.delete_role_policy(RoleName="execution", PolicyName="all")
    up.iam.delete_role(RoleName="execution")
    fails(up, f"Could not assume role {up.role_arn}.")


def test_the_model_is_gone(up):
    up.sagemaker.delete_model(ModelName="m")
    fails(up, 'Could not find model "arn:aws:sagemaker:eu-west-1:111111111111:model/m".')


@pytest.mark.parametrize(
    "action", ["GetAuthorizationToken", "BatchGetImage", "BatchCheckLayerAvailability", "GetDownloadUrlForLayer"]
)
def test_the_role_may_not_pull_the_image(up, action):
    pulls = {"GetAuthorizationToken", "BatchGetImage", "BatchCheckLayerAvailability", "GetDownloadUrlForLayer"}
    up.allow(*WITHOUT_ECR, *(f"ecr:{name}" for name in sorted(pulls - {action})))
    fails(up, f"The role '{up.role_arn}' does not have {action} permission for the image: '{up.image}'.")


def test_the_model_data_is_gone(up):
    up.s3.delete_object(Bucket="registry-of-tests", Key="model.tar.gz")
    fails(up, NO_DOWNLOAD)
    up.put_archive()
    assert up.update("again")["EndpointConfigName"] == "again"


def test_the_model_data_was_replaced(up):
    up.put_archive(up.code.replace('"answer": model', '"answer": "replaced"'))
    assert up.invoke()["answer"]["answer"] == "m"
    up.update("again")
    assert up.invoke()["answer"]["answer"] == "replaced"


def test_the_role_may_not_read_the_data(up):
    up.allow("ecr:*", "logs:*", "cloudwatch:*")
    fails(up, NO_DOWNLOAD)


def test_the_key_of_the_data_no_longer_admits_the_role(stage):
    kms = stage.cloud.client("kms")
    account = {"AWS": "arn:aws:iam::111111111111:root"}
    root = {"Sid": "root", "Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": account}
    document = {"Version": "2012-10-17", "Statement": [root]}
    key = kms.create_key(Policy=json.dumps(document))["KeyMetadata"]["KeyId"]
    stage.put_archive(ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    stage.model()
    stage.config()
    assert stage.endpoint()["EndpointStatus"] == "InService"
    stage.config("again")
    denied = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*", "Principal": {"AWS": stage.role_arn}}
    document["Statement"].append(denied)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))
    reason = fails(stage, NO_DOWNLOAD)
    assert "kms:Decrypt" in reason
    document["Statement"].pop()
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))
    assert stage.update("again")["EndpointConfigName"] == "again"


def test_the_archive_is_no_archive(up):
    up.s3.put_object(Bucket="registry-of-tests", Key="model.tar.gz", Body=b"no archive")
    fails(up, NO_PING)


def test_the_image_is_gone(stage):
    ecr = stage.cloud.client("ecr")
    ecr.create_repository(repositoryName="own")
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + "0" * 64},
        "layers": [],
    }
    ecr.put_image(repositoryName="own", imageTag="1", imageManifest=json.dumps(manifest))
    image = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/own:1"
    stage.model(PrimaryContainer={"Image": image, "ModelDataUrl": "s3://registry-of-tests/model.tar.gz"})
    stage.config()
    assert f"a rehearsal cannot run the image {image}" in stage.endpoint("first")["FailureReason"]
    ecr.batch_delete_image(repositoryName="own", imageIds=[{"imageTag": "1"}])
    assert stage.endpoint("second")["FailureReason"] == (
        "Please make sure all images included in the model for the production variant stable exist, and that the "
        "execution role used to create the model has permissions to access them."
    )


def test_a_role_without_logs_serves_without_logs(up):
    up.allow("s3:GetObject", "ecr:*", "cloudwatch:*")
    assert up.endpoint("silent", "again")["EndpointStatus"] == "InService"
    groups = up.cloud.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/silent")
    assert groups["logGroups"] == []
    refused = up.cloud.journal.entries("logs", outcome="AccessDeniedException")
    assert refused
    assert all("assumed-role/execution" in entry.principal for entry in refused)


def test_a_role_without_put_metric_data_publishes_no_utilisation(up):
    up.allow("s3:GetObject", "ecr:*", "logs:*")
    assert up.endpoint("silent", "again")["EndpointStatus"] == "InService"
    found = up.cloud.client("cloudwatch").list_metrics(
        Namespace="/aws/sagemaker/Endpoints", Dimensions=[{"Name": "EndpointName", "Value": "silent"}]
    )
    assert found["Metrics"] == []


def test_a_rollback_alarm_that_is_not_there(up):
    deployment = {
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}},
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "there"}, {"AlarmName": "missing"}]},
    }
    cloudwatch = up.cloud.client("cloudwatch")
    alarm = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocations",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "LessThanThreshold",
    }
    cloudwatch.put_metric_alarm(AlarmName="there", **alarm)
    found = up.update("again", DeploymentConfig=deployment)
    assert (found["EndpointConfigName"], found["FailureReason"]) == (
        "c",
        "Could not find the auto-rollback alarms: missing.",
    )
    cloudwatch.put_metric_alarm(AlarmName="missing", **alarm)
    up.allow("s3:GetObject", "ecr:*", "logs:*", "cloudwatch:PutMetricData")
    found = up.update("again", DeploymentConfig=deployment)
    assert found["FailureReason"].startswith("The auto-rollback alarms could not be read under the execution role:")
    up.allow("s3:GetObject", "ecr:*", "logs:*", "cloudwatch:*")
    assert up.update("again", DeploymentConfig=deployment)["EndpointConfigName"] == "again"


def test_a_failed_endpoint_can_only_be_deleted(stage, refused):
    stage.put_archive("raise RuntimeError('no')")
    stage.model()
    stage.config()
    assert stage.endpoint()["EndpointStatus"] == "Failed"
    code, message = refused(stage.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c")
    assert (code, message.endswith('with status "Failed".')) == ("ValidationException", True)
    stage.deleted()


def test_pipelines_and_multi_model_containers_are_refused_by_name(stage):
    container = {"Image": stage.image, "ModelDataUrl": "s3://registry-of-tests/model.tar.gz"}
    stage.sagemaker.create_model(ModelName="pipe", ExecutionRoleArn=stage.role_arn, Containers=[container, container])
    stage.config(variants={"stable": {"ModelName": "pipe"}})
    assert "inference pipelines are not carried" in stage.endpoint()["FailureReason"]
    stage.model("many", PrimaryContainer={**container, "Mode": "MultiModel"})
    stage.config("multi", variants={"stable": {"ModelName": "many"}})
    assert "MultiModel is not carried" in stage.endpoint("f", "multi")["FailureReason"]


def test_a_reset_ends_every_host_and_thread(up):
    (variant,) = up.cloud_variants()
    up.cloud.reset()
    assert not variant.host.alive
    names = [thread.name for thread in threading.enumerate()]
    assert [name for name in names if name.startswith(("mainstage-sagemaker", "mainstage-endpoint"))] == []
