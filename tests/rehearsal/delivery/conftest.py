"""A stream with all that it needs: bucket, role, function, table, log group; and a function that tests write in
Python."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from infra.rehearsal.cloud import overlay
from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import firehose_delivery

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

STREAM = "dev-iris-predictions"
BUCKET = "predictions-of-tests"
GROUP = f"/aws/kinesisfirehose/{STREAM}"
PREFIX = "records/day=!{partitionKeyFromLambda:day}/"
ERRORS = "rejected/!{firehose:error-output-type}/day=!{timestamp:yyyy-MM-dd}/"
COLUMNS = [
    {"Name": "request_id", "Type": "string"},
    {"Name": "amount", "Type": "double"},
    {"Name": "count", "Type": "int"},
]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def trusting(service: str) -> str:
    return document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


class World:
    """Deployed resources of one stream; every piece with a working default."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.firehose, self.s3, self.glue = cloud.client("firehose"), cloud.client("s3"), cloud.client("glue")
        self.iam, self.logs, self.kms = cloud.client("iam"), cloud.client("logs"), cloud.client("kms")
        self.function = f"arn:aws:lambda:{cloud.region}:{cloud.account_id}:function:transform"
        self.stream_arn = f"arn:aws:firehose:{cloud.region}:{cloud.account_id}:deliverystream/{STREAM}"
        self.role = ""

    # -- what is deployed

    def statements(self) -> dict[str, dict[str, Any]]:
        """The role's statements by name: exactly what delivery needs, and no more."""
        glue = f"arn:aws:glue:{self.cloud.region}:{self.cloud.account_id}"
        logs = f"arn:aws:logs:{self.cloud.region}:{self.cloud.account_id}"
        return {
            "bucket": allow("s3:GetBucketLocation", f"arn:aws:s3:::{BUCKET}"),
            "objects": allow("s3:PutObject", [f"arn:aws:s3:::{BUCKET}/records/*", f"arn:aws:s3:::{BUCKET}/rejected/*"]),
            "transform": allow("lambda:InvokeFunction", self.function),
            "schema": allow(
                "glue:GetTableVersions",
                [f"{glue}:catalog", f"{glue}:database/predictions", f"{glue}:table/predictions/records"],
            ),
            "log": allow("logs:PutLogEvents", f"{logs}:log-group:{GROUP}:log-stream:delivery"),
        }

    def grant(self, *without: str) -> None:
        wanted = [statement for name, statement in self.statements().items() if name not in without]
        self.iam.put_role_policy(RoleName="delivery", PolicyName="delivery", PolicyDocument=document(*wanted))

    def around(self) -> None:
        """Everything but the stream."""
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": self.cloud.region})
        made = self.iam.create_role(RoleName="delivery", AssumeRolePolicyDocument=trusting("firehose.amazonaws.com"))
        self.role = made["Role"]["Arn"]
        self.grant()
        function_role = self.iam.create_role(
            RoleName="function", AssumeRolePolicyDocument=trusting("lambda.amazonaws.com")
        )
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("app.py", "def handler(event, context):\n    raise NotImplementedError\n")
        self.cloud.client("lambda").create_function(
            FunctionName="transform", Runtime="python3.13", Handler="app.handler",
            Role=function_role["Role"]["Arn"], Code={"ZipFile": archive.getvalue()},
        )  # fmt: skip
        self.glue.create_database(DatabaseInput={"Name": "predictions"})
        self.glue.create_table(DatabaseName="predictions", TableInput=self.table(COLUMNS))
        self.logs.create_log_group(logGroupName=GROUP)
        self.logs.create_log_stream(logGroupName=GROUP, logStreamName="delivery")

    def table(self, columns: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "Name": "records",
            "TableType": "EXTERNAL_TABLE",
            "StorageDescriptor": {"Columns": columns, "Location": f"s3://{BUCKET}/records/"},
        }

    def transformed(self, **parameters: str) -> dict[str, Any]:
        given = {"LambdaArn": self.function, **parameters}
        return {
            "Enabled": True,
            "Processors": [
                {
                    "Type": "Lambda",
                    "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in given.items()],
                }
            ],
        }

    def converted(self, **schema: str) -> dict[str, Any]:
        table = {"RoleARN": self.role, "DatabaseName": "predictions", "TableName": "records", **schema}
        return {
            "SchemaConfiguration": table,
            "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
            "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
        }

    def destination(self, **changes: Any) -> dict[str, Any]:
        """Parquet by day, through the function; changes replace members, None leaves one out."""
        members = {
            "RoleARN": self.role,
            "BucketARN": f"arn:aws:s3:::{BUCKET}",
            "Prefix": PREFIX,
            "ErrorOutputPrefix": ERRORS,
            "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
            "CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": GROUP, "LogStreamName": "delivery"},
            "ProcessingConfiguration": self.transformed(),
            "DataFormatConversionConfiguration": self.converted(),
            "DynamicPartitioningConfiguration": {"Enabled": True},
            **changes,
        }
        return {name: value for name, value in members.items() if value is not None}

    def plain(self, **changes: Any) -> dict[str, Any]:
        """A destination that writes what came as it came."""
        nothing = dict.fromkeys(
            ("ProcessingConfiguration", "DataFormatConversionConfiguration", "DynamicPartitioningConfiguration")
        )
        members: dict[str, Any] = {"Prefix": "records/", "ErrorOutputPrefix": None, **nothing, **changes}
        return self.destination(**members)

    def create(self, destination: dict[str, Any], name: str = STREAM, **options: Any) -> str:
        return self.firehose.create_delivery_stream(
            DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination, **options
        )["DeliveryStreamARN"]

    # -- what is done with it

    def put(self, *records: Any) -> None:
        """One batch; what is no bytes is written as JSON."""
        self.firehose.put_record_batch(
            DeliveryStreamName=STREAM, Records=[{"Data": _bytes(record)} for record in records]
        )

    def flush(self, timeout_seconds: float = 30) -> int:
        return firehose_delivery.flush(self.cloud, STREAM, timeout_seconds)

    def waiting(self) -> int:
        return firehose_delivery.waiting(self.cloud, STREAM)

    def pids(self) -> list[int]:
        return firehose_delivery.pids(self.cloud, STREAM)

    def update(self, **change: Any) -> None:
        shown = self.described()
        self.firehose.update_destination(
            DeliveryStreamName=STREAM,
            CurrentDeliveryStreamVersionId=shown["VersionId"],
            DestinationId=shown["Destinations"][0]["DestinationId"],
            ExtendedS3DestinationUpdate=change,
        )

    def described(self) -> dict[str, Any]:
        return self.firehose.describe_delivery_stream(DeliveryStreamName=STREAM)["DeliveryStreamDescription"]

    # -- what came of it

    def names(self, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", [])]

    def body(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def rows(self, prefix: str = "records/") -> list[dict[str, Any]]:
        """Rows of all Parquet objects."""
        return [
            row for key in self.names(prefix) for row in pq.ParquetFile(io.BytesIO(self.body(key))).read().to_pylist()
        ]

    def errors(self, kind: str) -> list[dict[str, Any]]:
        keys = self.names(f"rejected/{kind}/")
        return [json.loads(line) for key in keys for line in self.body(key).splitlines()]

    def error_log(self) -> list[dict[str, Any]]:
        events = self.logs.get_log_events(logGroupName=GROUP, logStreamName="delivery")["events"]
        return [json.loads(event["message"]) for event in events]

    def metric(self, name: str, statistic: str = "Sum") -> float | None:
        now = self.cloud.clock.now().timestamp()
        points = self.cloud.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Firehose",
            MetricName=name,
            Dimensions=[{"Name": "DeliveryStreamName", "Value": STREAM}],
            StartTime=now - 7200 - now % 60,
            EndTime=now + 60,
            Period=86400,
            Statistics=[statistic],
        )["Datapoints"]
        values = [point[statistic] for point in points]
        return None if not values else max(values) if statistic == "Maximum" else sum(values)


def _bytes(record: Any) -> bytes:
    return record if isinstance(record, bytes) else json.dumps(record).encode()


def eventually(look: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Waits until it is so."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"not so after {seconds} s: {what}"
        time.sleep(0.02)


@pytest.fixture
def until() -> Callable[..., None]:
    return eventually


@pytest.fixture
def world(cloud: Cloud) -> World:
    made = World(cloud)
    made.around()
    return made


Function = Callable[[dict[str, Any]], Any]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stands for the function: the list's last entry answers invocations. An entry takes the event and gives the
    answer, raises AwsError, or gives bytes, which go out as they are; "FunctionError" in an answer marks a failure."""
    current: list[Any] = [by_day]

    def invoke(call: Call) -> dict[str, Any]:
        payload = call.params["Payload"]
        answer = current[-1](json.loads(payload if isinstance(payload, bytes) else payload.read()))
        if isinstance(answer, bytes):
            return {"StatusCode": 200, "Payload": answer}
        failed = {"FunctionError": "Unhandled"} if "FunctionError" in answer else {}
        return {"StatusCode": 200, "Payload": json.dumps(answer).encode(), **failed}

    overlay.find("lambda", "Invoke")
    monkeypatch.setitem(overlay._handlers, ("lambda", "Invoke"), invoke)
    return current


def by_day(event: dict[str, Any]) -> dict[str, Any]:
    """Lets every record pass, partitioned by one day."""
    return {
        "records": [
            {
                "recordId": record["recordId"],
                "result": "Ok",
                "data": record["data"],
                "metadata": {"partitionKeys": {"day": "2026-11-21"}},
            }
            for record in event["records"]
        ]
    }
