"""Every emulated path is driven by deployed resources alone: each link is changed with boto3, and AWS's answer is seen.

A fleet that serves goes on serving, as in AWS; a new fleet, a new call or a new action meets the change.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from links import changed
from served import Served

ENDPOINT = "dev-iris"
REQUEST = json.dumps({"instances": [{"sepal_length": 5, "sepal_width": 3, "petal_length": 1, "petal_width": 0.2}]})
WAIT_SECONDS = 60


def predict(served: Served) -> dict[str, Any]:
    answer = served.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="application/json", Body=REQUEST
    )
    return {"body": json.loads(answer["Body"].read()), "attributes": answer.get("CustomAttributes", "")}


def live_config(served: Served) -> dict[str, Any]:
    sagemaker = served.client("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    return sagemaker.describe_endpoint_config(EndpointConfigName=name)


def live_model(served: Served) -> dict[str, Any]:
    name = live_config(served)["ProductionVariants"][0]["ModelName"]
    return served.client("sagemaker").describe_model(ModelName=name)


def release(served: Served, turn: str, model: dict[str, Any] | None = None) -> dict[str, Any]:
    """Updates the endpoint to a copy of its configuration, with another model when one is given."""
    sagemaker = served.client("sagemaker")
    config = live_config(served)
    variant = dict(config["ProductionVariants"][0])
    if model is not None:
        sagemaker.create_model(ModelName=f"model-{turn}", **model)
        variant["ModelName"] = f"model-{turn}"
    sagemaker.create_endpoint_config(EndpointConfigName=f"config-{turn}", ProductionVariants=[variant])
    return update_to(served, f"config-{turn}")


def update_to(served: Served, config_name: str) -> dict[str, Any]:
    """Updates the endpoint to a configuration and waits until it serves or has gone back."""
    sagemaker = served.client("sagemaker")
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=config_name, RetainDeploymentConfig=True)
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end:
        described = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
        if described["EndpointStatus"] != "Updating":
            return described
        time.sleep(0.05)
    raise AssertionError("the endpoint is still updating")


def failure_of_release(served: Served, turn: str, model: dict[str, Any] | None = None) -> str:
    """The reason of a release that did not come up; what served before serves on."""
    before = live_config(served)["EndpointConfigName"]
    described = release(served, turn, model)
    assert described["EndpointConfigName"] == before
    assert described["EndpointStatus"] == "InService"
    assert predict(served)["body"]["predictions"][0]["species"] == "setosa"
    return described["FailureReason"]


def copy_of_model(served: Served, **container: Any) -> dict[str, Any]:
    """Arguments for a Model like the live one, with some of its container's members changed."""
    live = live_model(served)
    kept = {name: live[name] for name in ("ExecutionRoleArn", "VpcConfig") if name in live}
    return {**kept, "PrimaryContainer": {**live["PrimaryContainer"], **container}}


def archive(served: Served) -> tuple[str, str]:
    bucket, _, key = live_model(served)["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").partition("/")
    return bucket, key


def test_a_release_of_the_same_comes_up(served: Served) -> None:
    described = release(served, "same")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "config-same")
    assert predict(served)["attributes"] == "mainstage-version=1"


def test_the_version_that_answers_is_the_models_environment(served: Served) -> None:
    environment = {**live_model(served)["PrimaryContainer"]["Environment"], "MAINSTAGE_MODEL_VERSION": "42"}
    release(served, "version", copy_of_model(served, Environment=environment))
    assert predict(served)["attributes"] == "mainstage-version=42"
    back = {**environment, "MAINSTAGE_MODEL_VERSION": "1"}
    release(served, "version-back", copy_of_model(served, Environment=back))
    assert predict(served)["attributes"] == "mainstage-version=1"


def test_a_deleted_configuration_cannot_be_released(served: Served) -> None:
    sagemaker = served.client("sagemaker")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName="nowhere")
    assert predict(served)["body"]["predictions"]


def test_a_model_that_was_deleted_fails_the_release_by_name(served: Served) -> None:
    sagemaker = served.client("sagemaker")
    sagemaker.create_model(ModelName="model-doomed", **copy_of_model(served))
    variant = {**live_config(served)["ProductionVariants"][0], "ModelName": "model-doomed"}
    sagemaker.create_endpoint_config(EndpointConfigName="config-doomed", ProductionVariants=[variant])
    sagemaker.delete_model(ModelName="model-doomed")
    before = live_config(served)["EndpointConfigName"]
    described = update_to(served, "config-doomed")
    assert described["EndpointConfigName"] == before
    assert "model-doomed" in described["FailureReason"]


def test_an_archive_outside_the_models_folder_is_refused(served: Served) -> None:
    """The role reads its own model's folder of the registry, and nothing beside it."""
    bucket, key = archive(served)
    s3 = served.client("s3")
    s3.copy_object(Bucket=bucket, Key="elsewhere/model.tar.gz", CopySource={"Bucket": bucket, "Key": key})
    url = f"s3://{bucket}/elsewhere/model.tar.gz"
    with pytest.raises(ClientError, match=f"Could not access model data at {url}.*Forbidden"):
        served.client("sagemaker").create_model(ModelName="model-elsewhere", **copy_of_model(served, ModelDataUrl=url))


def test_what_answers_is_the_object_behind_the_url(served: Served) -> None:
    bucket, key = archive(served)
    other = key.replace("/1/", "/777/")
    s3 = served.client("s3")
    s3.put_object(Bucket=bucket, Key=other, Body=archive_saying("hello"), IfNoneMatch="*")
    # This archive has no entry point of Mainstage's.
    environment = {**live_model(served)["PrimaryContainer"]["Environment"], "SAGEMAKER_PROGRAM": "inference.py"}
    changed_model = copy_of_model(served, ModelDataUrl=f"s3://{bucket}/{other}", Environment=environment)
    back = live_config(served)["EndpointConfigName"]
    described = release(served, "other", changed_model)
    assert (described["EndpointStatus"], described.get("FailureReason")) == ("InService", None)
    assert predict(served)["body"] == "hello"
    update_to(served, back)
    assert predict(served)["body"]["predictions"][0]["species"] == "setosa"


def test_an_archive_that_is_gone_fails_the_release(served: Served) -> None:
    bucket, key = archive(served)
    with pytest.raises(ClientError, match=r"models/iris/99/model\.tar\.gz"):
        served.client("sagemaker").create_model(
            ModelName="model-gone",
            **copy_of_model(served, ModelDataUrl=f"s3://{bucket}/{key.replace('/1/', '/99/')}"),
        )


def test_an_image_that_does_not_exist_is_refused(served: Served) -> None:
    image = live_model(served)["PrimaryContainer"]["Image"].rpartition(":")[0] + ":9.9-9-cpu-py3"
    with pytest.raises(ClientError, match=f"Requested image {image} not found"):
        served.client("sagemaker").create_model(ModelName="model-image", **copy_of_model(served, Image=image))


def test_an_image_that_was_deleted_fails_the_release(served: Served) -> None:
    ecr = served.client("ecr")
    repository = ecr.describe_repositories(repositoryNames=["mainstage-dev"])["repositories"][0]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": f"sha256:{'a' * 64}"},
        "layers": [],
    }
    ecr.put_image(repositoryName="mainstage-dev", imageManifest=json.dumps(manifest), imageTag="doomed")
    model = copy_of_model(served, Image=f"{repository['repositoryUri']}:doomed")
    served.client("sagemaker").create_model(ModelName="model-doomed-image", **model)
    ecr.batch_delete_image(repositoryName="mainstage-dev", imageIds=[{"imageTag": "doomed"}])
    variant = {**live_config(served)["ProductionVariants"][0], "ModelName": "model-doomed-image"}
    served.client("sagemaker").create_endpoint_config(
        EndpointConfigName="config-doomed-image", ProductionVariants=[variant]
    )
    before = live_config(served)["EndpointConfigName"]
    described = update_to(served, "config-doomed-image")
    assert described["EndpointConfigName"] == before
    assert "the execution role used to create the model has permissions to access them" in described["FailureReason"]


def test_a_role_that_does_not_trust_sagemaker_fails_the_release(served: Served) -> None:
    iam, role = served.client("iam"), live_model(served)["ExecutionRoleArn"].rpartition("/")[2]
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    other = json.loads(json.dumps(trust).replace("sagemaker.amazonaws.com", "lambda.amazonaws.com"))
    with changed(
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(other)),
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust)),
    ):
        assert f"Could not assume role {live_model(served)['ExecutionRoleArn']}" in failure_of_release(served, "trust")


def test_a_key_that_does_not_let_the_role_decrypt_fails_the_release(served: Served) -> None:
    kms = served.client("kms")
    bucket, _ = archive(served)
    rules = served.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    key = rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    role = live_model(served)["ExecutionRoleArn"]
    deny = {
        "Sid": "Deny",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "kms:Decrypt",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
    }
    narrowed = {**policy, "Statement": [*policy["Statement"], deny]}
    with changed(
        lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(narrowed)),
        lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy)),
    ):
        reason = failure_of_release(served, "key")
        assert "kms:Decrypt" in reason
        assert "explicit deny" in reason


def test_a_model_cannot_reach_s3_without_the_gateway_endpoint(served: Served) -> None:
    ec2 = served.client("ec2")
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    gateway = next(found for found in endpoints if found["VpcEndpointType"] == "Gateway")
    with changed(
        lambda: ec2.modify_vpc_endpoint(
            VpcEndpointId=gateway["VpcEndpointId"], RemoveRouteTableIds=gateway["RouteTableIds"]
        ),
        lambda: ec2.modify_vpc_endpoint(
            VpcEndpointId=gateway["VpcEndpointId"], AddRouteTableIds=gateway["RouteTableIds"]
        ),
    ):
        assert "route to an S3 VPC endpoint" in failure_of_release(served, "route")


def test_an_alarm_reaches_its_topic_and_says_when_it_cannot(served: Served) -> None:
    cloudwatch, sns = served.client("cloudwatch"), served.client("sns")
    alarm = cloudwatch.describe_alarms(AlarmNames=[f"{ENDPOINT}-guard-stop"])["MetricAlarms"][0]
    topic = alarm["AlarmActions"][0]

    def ring() -> str:
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="ALARM", StateReason="test")
        history = cloudwatch.describe_alarm_history(
            AlarmName=alarm["AlarmName"], HistoryItemType="Action", MaxRecords=1
        )["AlarmHistoryItems"]
        cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="test over")
        return history[0]["HistorySummary"] + history[0]["HistoryData"]

    assert "Successfully executed action" in ring()
    policy = sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    silent = json.loads(policy)
    silent["Statement"] = [each for each in silent["Statement"] if "cloudwatch" not in json.dumps(each)]
    owner = {
        "Sid": "Owner",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{served.target.account_id}:root"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    silent["Statement"].append(owner)
    with changed(
        lambda: sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(silent)),
        lambda: sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy),
    ):
        assert "Failed to execute action" in ring()
    assert "Successfully executed action" in ring()


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "named"),
    [
        ("sagemaker", "create_endpoint", {"EndpointName": "e", "EndpointConfigName": "nowhere"}, "nowhere"),
        (
            "sagemaker",
            "create_endpoint_config",
            {
                "EndpointConfigName": "c",
                "ProductionVariants": [
                    {
                        "VariantName": "v",
                        "ModelName": "no-model",
                        "InitialInstanceCount": 1,
                        "InstanceType": "ml.m5.large",
                    }
                ],
            },
            "no-model",
        ),
        (
            "cloudwatch",
            "put_metric_alarm",
            {
                "AlarmName": "a",
                "Namespace": "N",
                "MetricName": "M",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanThreshold",
                "AlarmActions": ["arn:aws:sns:eu-west-1:111111111111:nowhere"],
            },
            "nowhere",
        ),
        (
            "application-autoscaling",
            "register_scalable_target",
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": "endpoint/nowhere/variant/stable",
                "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
                "MinCapacity": 1,
                "MaxCapacity": 2,
            },
            "nowhere",
        ),
    ],
)
def test_a_reference_to_something_missing_is_named(
    served: Served, service: str, operation: str, arguments: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError, match=named):
        getattr(served.client(service), operation)(**arguments)


def archive_saying(text: str) -> bytes:
    """A model archive whose every answer is `text`."""
    import io
    import tarfile

    code = f"def model_fn(d): return 1\ndef input_fn(b, t): return b\ndef predict_fn(b, m): return {text!r}\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(code)
        tar.addfile(member, io.BytesIO(code.encode()))
    return buffer.getvalue()
