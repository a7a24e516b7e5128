"""A stage for SageMaker's tests: role, bucket, models with a tiny inference.py, endpoints; all through boto3."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from mainstage.runtime_presets import image_uri, preset_named

from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud
    from infra.rehearsal.cloud.overlay.endpoint_records import Variant

BUCKET = "registry-of-tests"
ROLE = "execution"
CODE = """
import json, os

def model_fn(directory):
    return os.environ.get("ANSWER", "")

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, model):
    if "status" in data:
        raise RuntimeError(f"asked to fail with {data['status']}")
    return {"answer": model, "asked": data}

def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = ("s3:GetObject", "s3:PutObject", "ecr:*", "logs:*", "cloudwatch:*", "ec2:*", "kms:*")
ENVIRONMENT = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}


def archive_of(code: str) -> bytes:
    """A model.tar.gz with this inference.py."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(code.encode())
        tar.addfile(member, io.BytesIO(code.encode()))
    return stream.getvalue()


class Stage:
    """What most tests need, each with a working default."""

    code = CODE
    environment = ENVIRONMENT

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.iam, self.s3 = cloud.client("iam"), cloud.client("s3")
        self.sagemaker, self.runtime = cloud.client("sagemaker"), cloud.client("sagemaker-runtime")
        self.image = image_uri(preset_named("sklearn-1.4-2"), cloud.region)
        made = self.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(TRUST))
        self.role_arn: str = made["Role"]["Arn"]
        self.allow(*ALLOWED)
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": cloud.region})
        self.put_archive()

    def allow(self, *actions: str) -> None:
        """Replaces what the execution role may do."""
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
        self.iam.put_role_policy(RoleName=ROLE, PolicyName="all", PolicyDocument=json.dumps(document))

    def trust(self, document: Mapping[str, Any]) -> None:
        self.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps(document))

    def put_archive(self, code: str = CODE, key: str = "model.tar.gz", **options: Any) -> str:
        """Uploads an archive and answers its URL."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive_of(code), **options)
        return f"s3://{BUCKET}/{key}"

    def model(self, name: str = "m", *, url: str | None = None, answer: str = "", **options: Any) -> str:
        container = {
            "Image": self.image,
            "ModelDataUrl": url or f"s3://{BUCKET}/model.tar.gz",
            "Environment": {**ENVIRONMENT, "ANSWER": answer or name},
        }
        asked = {"ModelName": name, "ExecutionRoleArn": self.role_arn, "PrimaryContainer": container, **options}
        return self.sagemaker.create_model(**asked)["ModelArn"]

    def config(self, name: str = "c", variants: Mapping[str, Any] | None = None, **options: Any) -> str:
        """`variants`: name to members that differ from the default, which serves model "m"."""
        members = [
            {
                "VariantName": variant,
                "ModelName": "m",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                **changes,
            }
            for variant, changes in (variants or {"stable": {}}).items()
        ]
        asked = {"EndpointConfigName": name, "ProductionVariants": members, **options}
        return self.sagemaker.create_endpoint_config(**asked)["EndpointConfigArn"]

    def endpoint(self, name: str = "e", config: str = "c", **options: Any) -> dict[str, Any]:
        """Creates the endpoint and waits until it is up or failed."""
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **options)
        return self.settled(name)

    def update(self, config: str, name: str = "e", **options: Any) -> dict[str, Any]:
        self.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **options)
        return self.settled(name)

    def settled(self, name: str = "e", also: str = "") -> dict[str, Any]:
        """The endpoint's description once nothing is under way; `also`: a status that is waited out as well."""
        deadline = time.monotonic() + 60
        while True:
            found = self.sagemaker.describe_endpoint(EndpointName=name)
            if found["EndpointStatus"] not in ("Creating", "Updating", also):
                return found
            assert time.monotonic() < deadline, f"endpoint {name} is still {found['EndpointStatus']}"
            time.sleep(0.02)

    def deleted(self, name: str = "e") -> None:
        """Deletes the endpoint and waits until it is gone."""
        self.sagemaker.delete_endpoint(EndpointName=name)
        deadline = time.monotonic() + 60
        while any(entry["EndpointName"] == name for entry in self.sagemaker.list_endpoints()["Endpoints"]):
            assert time.monotonic() < deadline, f"endpoint {name} does not go"
            time.sleep(0.02)

    def cloud_variants(self, name: str = "e") -> list[Variant]:
        """The live production variants, from inside the emulated cloud."""
        fleet = sagemaker_of(self.cloud).endpoints[self.cloud.region, name].fleet
        return list(fleet.production.values()) if fleet else []

    def green_variants(self, name: str = "e") -> list[Variant]:
        """The production variants of the new fleet while a deployment moves traffic to it."""
        fleet = sagemaker_of(self.cloud).endpoints[self.cloud.region, name].green
        return list(fleet.production.values()) if fleet else []

    def shadows(self, name: str = "e") -> list[Variant]:
        fleet = sagemaker_of(self.cloud).endpoints[self.cloud.region, name].fleet
        return list(fleet.shadow.values()) if fleet else []

    def eventually(self, ask: Callable[[], Any]) -> Any:
        """The first answer that comes without an error of the service."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except ClientError:
                assert time.monotonic() < deadline, "no answer came"
                time.sleep(0.05)

    def joined(self, name: str = "e") -> None:
        """Waits until the endpoint's deployment has ended, its old fleet with it."""
        sagemaker_of(self.cloud).endpoints[self.cloud.region, name].wait(30)

    def invoke(self, body: Any = None, name: str = "e", **options: Any) -> dict[str, Any]:
        """The answer, with the body read and parsed as `answer`."""
        asked = {"ContentType": "application/json", **options}
        got = self.runtime.invoke_endpoint(EndpointName=name, Body=json.dumps(body or {}).encode(), **asked)
        return {**got, "answer": json.loads(got["Body"].read())}


@pytest.fixture
def stage(cloud: Cloud) -> Stage:
    return Stage(cloud)


@pytest.fixture
def refused() -> Callable[..., tuple[str, str]]:
    """Calls a client's method and answers code and message of the error that must come."""

    def call(method: Callable[..., Any], **params: Any) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            method(**params)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return call
