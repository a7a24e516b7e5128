"""A model before AWS as `mainstage model` sees it: a checkout of one model file, and the few calls that are made."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from cli import TARGET
from mainstage.guard_alarms import guard_alarm_names
from mainstage_runtime.release_history import TAKEN_BACK, AlarmSeen, ReleaseEvent, ReleaseHistory

from infra.registry.registry import registry_bucket_name

BUCKET = registry_bucket_name(TARGET)
ENDPOINT = "dev-iris"
OPERATOR = "arn:aws:iam::111111111111:user/rehearsal-operator"
API = "https://abc.execute-api.eu-west-1.amazonaws.com"
STARTED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

FILE = """\
# The example model.
model: iris
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs: [{name: x, type: double}]
  outputs: [{name: y, type: double}]

"""
CAPACITY = """
capacity: {instance_type: ml.m5.large, instance_count: 2} # two
rollout: {strategy: canary, percent: 50, bake_minutes: 10}
"""


HOSTILE = "[red]x[/b]\x1b[2J"
"""What others wrote: markup, and what a terminal obeys."""
SHOWN = r"[red]x[/b]\x1b[2J"
"""The same as it has to be shown."""
ALARM = AlarmSeen(name=f"{ENDPOINT}-guard-errors", window="2 of 3 minutes above 0.01", value_told="0.05")


def refused(code: str, message: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def archive(version: int) -> bytes:
    """The archive of a version that `register` has made."""
    return f"archive {version}".encode()


def sha256_of(version: int) -> str:
    return hashlib.sha256(archive(version)).hexdigest()


def configuration(version: int, tail: str = "0000000a") -> str:
    return f"{ENDPOINT}-v{version}-{tail}"


def event(kind: str, version: int, *, at: str = "12:30:00", serves: int | None = None, **more: Any) -> ReleaseEvent:
    """at: the time of 2026-11-21, by its writer's clock. more: other fields of the event."""
    given: dict[str, Any] = {
        "at": f"2026-11-21T{at}.000Z",
        "kind": kind,
        "endpoint": ENDPOINT,
        "model": "iris",
        "configuration": configuration(version),
        "version": version,
        "serves": configuration(serves) if serves else None,
        "by": "arn:aws:iam::111111111111:user/ann",
    }
    return ReleaseEvent(**given | more)


def taken_back(version: int, serves: int) -> ReleaseEvent:
    """What the watch writes of a release that an alarm ended."""
    return event(TAKEN_BACK, version, serves=serves, by="watch", reason="errors", alarm=ALARM, requests=120)


@dataclass
class World:
    """Every service in one object: what it holds is changed by the calls, and `calls` remembers those that write."""

    root: Path
    objects: dict[str, bytes] = field(default_factory=dict)
    endpoint: dict[str, Any] | None = None
    others: list[dict[str, Any]] = field(default_factory=list)
    """Further endpoints: EndpointName, EndpointArn, EndpointStatus."""
    tags: dict[str, str] = field(default_factory=lambda: {"mainstage:environment": "dev"})
    configs: dict[str, str] = field(default_factory=dict)
    """Configuration -> instance type."""
    models: list[str] = field(default_factory=list)
    alarms: dict[str, str] = field(default_factory=lambda: dict.fromkeys(guard_alarm_names(ENDPOINT).values(), "OK"))
    watched: str = ""
    scaled: bool = False
    counted: list[dict[str, Any]] = field(default_factory=list)
    refuses: dict[str, ClientError] = field(default_factory=dict)
    arn: str = OPERATOR
    readable: bool = True
    """Whether the front door may be read."""
    routes: list[str] = field(default_factory=lambda: ["POST /v1/models/iris/predictions", "$default"])
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / "stacks" / "models" / "iris.yaml"

    @property
    def clients(self) -> dict[str, Any]:
        services = ("s3", "sagemaker", "cloudwatch", "sts", "apigatewayv2", "application-autoscaling")
        return dict.fromkeys(services, self)

    @property
    def history(self) -> ReleaseHistory:
        return ReleaseHistory(self, BUCKET, ENDPOINT)

    def written(self) -> list[ReleaseEvent]:
        return self.history.events()

    def write(self, versions: str, rest: str = "") -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(FILE + versions + CAPACITY + rest, encoding="utf-8")

    def register(self, *versions: int, runtime: str = "sklearn-1.4-2", pushed_by: str = OPERATOR) -> None:
        for version in versions:
            card = {"archive": {"sha256": sha256_of(version)}, "pushed_by": pushed_by, "runtime": {"preset": runtime}}
            self.objects[f"models/iris/{version}/card.json"] = json.dumps(card).encode()
            self.objects[f"models/iris/{version}/model.tar.gz"] = archive(version)

    def serve(self, version: int, *, guarded: bool = True, status: str = "InService") -> None:
        """An endpoint that serves a version whose configuration is there."""
        self.configs.setdefault(configuration(version), "ml.m5.large")
        alarms = [{"AlarmName": name} for name in self.alarms] if guarded else []
        self.watched = configuration(version)
        self.endpoint = {
            "EndpointName": ENDPOINT,
            "EndpointArn": f"arn:aws:sagemaker:eu-west-1:111111111111:endpoint/{ENDPOINT}",
            "EndpointConfigName": configuration(version),
            "EndpointStatus": status,
            "ProductionVariants": [
                {"VariantName": "main", "CurrentWeight": 1.0, "CurrentInstanceCount": 2, "DesiredInstanceCount": 2}
            ],
            "LastDeploymentConfig": {
                "AutoRollbackConfiguration": {"Alarms": alarms},
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "WaitIntervalInSeconds": 600,
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    }
                },
            },
        }

    def bake(self, version: int) -> None:
        """The endpoint is on its way to a version."""
        assert self.endpoint is not None
        self.configs.setdefault(configuration(version), "ml.m5.large")
        self.endpoint |= {
            "EndpointStatus": "Updating",
            "PendingDeploymentSummary": {
                "EndpointConfigName": configuration(version),
                "StartTime": STARTED,
                "ProductionVariants": [{"VariantName": "main", "VariantStatus": [{"Status": "Baking"}]}],
            },
        }

    # S3

    def head_bucket(self, Bucket: str) -> dict[str, Any]:
        assert Bucket == BUCKET
        return {}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise refused("NoSuchKey", "no")
        return {"Body": io.BytesIO(self.objects[Key])}

    def head_object(self, Bucket: str, Key: str, ChecksumMode: str) -> dict[str, Any]:
        assert ChecksumMode == "ENABLED"
        if Key not in self.objects:
            raise refused("404", "no")
        digest = hashlib.sha256(self.objects[Key]).digest()
        return {"ChecksumSHA256": base64.b64encode(digest).decode()}

    def put_object(self, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str, **_: Any) -> dict[str, Any]:
        assert IfNoneMatch == "*"
        if Key in self.objects:
            raise refused("PreconditionFailed", "no")
        self.objects[Key] = Body
        return {}

    # paginated: S3, SageMaker, CloudWatch, API Gateway

    def get_paginator(self, operation: str) -> Any:
        world = self

        class Pages:
            def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
                yield world.page(operation, given)

        return Pages()

    def page(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        contains = given.get("NameContains", "")
        if operation == "list_objects_v2":
            keys = [key for key in self.objects if key.startswith(given["Prefix"])]
            length = len(given["Prefix"])
            folders = sorted({key[: length + key[length:].find("/") + 1] for key in keys if "/" in key[length:]})
            return {
                "Contents": [{"Key": key} for key in keys],
                "CommonPrefixes": [{"Prefix": each} for each in folders],
            }
        if operation == "describe_alarms":
            return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in self.alarms.items()]}
        if operation == "list_endpoint_configs":
            names = sorted((name for name in self.configs if contains in name), reverse=True)
            return {"EndpointConfigs": [{"EndpointConfigName": name} for name in names]}
        if operation == "list_models":
            return {"Models": [{"ModelName": name} for name in self.models if contains in name]}
        if operation == "list_endpoints":
            return {"Endpoints": [*([self.endpoint] if self.endpoint else []), *self.others]}
        if operation == "list_model_packages":
            return {"ModelPackageSummaryList": [{"ModelPackageArn": "arn:package/1"}]}
        if not self.readable:
            raise refused("AccessDeniedException", "no", operation)
        if operation == "get_apis":
            return {"Items": [{"Name": "mainstage-dev", "ApiEndpoint": API, "ApiId": "abc"}]}
        assert (operation, given) == ("get_routes", {"ApiId": "abc"})
        return {"Items": [{"RouteKey": key} for key in self.routes]}

    # SageMaker

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        for each in ([self.endpoint] if self.endpoint else []) + self.others:
            if each["EndpointName"] == EndpointName:
                return each
        raise refused("ValidationException", f'Could not find endpoint "{EndpointName}".')

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        if EndpointConfigName not in self.configs:
            raise refused("ValidationException", f'Could not find endpoint configuration "{EndpointConfigName}".')
        variant = {
            "VariantName": "main",
            "ModelName": EndpointConfigName.replace("0000000a", "0000000b"),
            "InstanceType": self.configs[EndpointConfigName],
        }
        return {"EndpointConfigArn": "arn:config", "ProductionVariants": [variant]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        version = ModelName.rpartition("-v")[2].partition("-")[0]
        return {"PrimaryContainer": {"Environment": {"MAINSTAGE_MODEL_VERSION": version}}}

    def describe_model_package_group(self, ModelPackageGroupName: str) -> dict[str, Any]:
        return {}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return {
            "CustomerMetadataProperties": {"mainstage_version": "1"},
            "ModelApprovalStatus": "PendingManualApproval",
        }

    def list_tags(self, ResourceArn: str) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def __getattr__(self, name: str) -> Any:
        """Calls that only have to be remembered, or refused."""
        if name.startswith("__") or name not in (
            "update_endpoint",
            "create_endpoint_config",
            "update_model_package",
            "put_metric_alarm",
            "set_alarm_state",
            "delete_endpoint",
            "delete_endpoint_config",
            "delete_model",
        ):
            raise AttributeError(name)

        def call(**given: Any) -> dict[str, Any]:
            self.calls.append((name, given))
            if name in self.refuses:
                raise self.refuses.pop(name)
            if name == "set_alarm_state":
                self.alarms[given["AlarmName"]] = given["StateValue"]
            if name == "update_endpoint" and self.endpoint is not None and "DeploymentConfig" in given:
                self.endpoint["LastDeploymentConfig"] = given["DeploymentConfig"]
            return {}

        return call

    # CloudWatch, STS, autoscaling

    def describe_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        dimensions = [
            {"Name": "EndpointName", "Value": ENDPOINT},
            {"Name": "EndpointConfigName", "Value": self.watched},
        ]
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": self.alarms[name], "Dimensions": dimensions, "Threshold": 1.0}
                for name in AlarmNames
                if name in self.alarms
            ]
        }

    def get_metric_data(self, **given: Any) -> dict[str, Any]:
        assert given["StartTime"] < STARTED < given["EndTime"]
        return {"MetricDataResults": self.counted}

    def get_caller_identity(self) -> dict[str, Any]:
        return {"Arn": self.arn}

    def describe_scalable_targets(self, **given: Any) -> dict[str, Any]:
        return {"ScalableTargets": [{}] if self.scaled else []}

    def done(self, name: str) -> list[dict[str, Any]]:
        return [given for called, given in self.calls if called == name]
