"""A prediction log as it is deployed: what reaches stream or spool is in the view once, and the metrics say so."""

from __future__ import annotations

import base64
import copy
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import mainstage
import pulumi
import pytest
from mainstage._account import AccountArgs
from mainstage._dashboard_body import Shown, ShownModel, dashboard_body, named_metrics
from mainstage._log_names import LogNames
from mainstage.prediction_queries import NAMED_QUERIES, find_request
from mainstage_runtime.record import SCHEMA_VERSION
from taken_away import less, role_names

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay import firehose_delivery
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

BUCKET = "mainstage-dev-predictions"
DATABASE = "mainstage_dev_iris"
NAMES = LogNames("dev-iris")
PATIENCE_SECONDS = 30

Ask = Callable[[str], list[dict[str, str | None]]]


def program_for(account: str, region: str) -> Callable[[], None]:
    here: AccountArgs = {"account_id": account, "region": region}

    def program() -> None:
        key = mainstage.EncryptionKey("key", {**here})
        bucket = mainstage.SecureBucket("bucket", {**here, "bucket_name": BUCKET, "kms_key_arn": key.key_arn})
        pager = mainstage.Pager("pager", {**here, "kms_key_arn": key.key_arn})
        log = mainstage.PredictionLog(
            "log",
            {
                **here,
                "log_name": NAMES.log_name,
                "model": "iris",
                "signature": {
                    "inputs": [
                        {"name": "length", "type": "double"},
                        {"name": "owner", "type": "string", "pii": "drop"},
                    ],
                    "outputs": [{"name": "species", "type": "string"}],
                },
                "bucket_name": bucket.bucket_name,
                "bucket_arn": bucket.bucket_arn,
                "kms_key_arn": key.key_arn,
                "page_topic_arn": pager.page_topic_arn,
                "ticket_topic_arn": pager.ticket_topic_arn,
                "runbook_base_url": "https://example.com/runbooks",
            },
        )
        pulumi.export("spool_url", log.spool_url)

    return program


def logged(number: int, at: datetime, **values: Any) -> bytes:
    """A record as the front door writes it."""
    fields = {
        "schema_version": SCHEMA_VERSION,
        "request_id": f"request-{number}",
        "at": at.strftime("%Y-%m-%d %H:%M:%S.000"),
        "environment": "dev",
        "model": "iris",
        "version": "7",
        "endpoint_name": "dev-iris",
        "variant": "stable",
        "arm": "stable",
        "status": 200,
        "rows": 2,
        "latency_ms": 10.0 + number,
        "model_ms": 8.0,
        "caller": "arn:aws:iam::111111111111:role/shop",
        "input_bytes": 20,
        "output_bytes": 30,
        "truncated": False,
        "replayed": False,
        "input_length": [1.5, None],
        "output_species": ["setosa", "日本"],
    }
    return json.dumps(fields | values).encode()


@pytest.mark.timeout(180)
def test_what_is_written_is_in_the_view_once(cloud: Cloud, tmp_path: Path) -> None:
    cloud.serve()
    engine = Engine(provider=AwsProvider(cloud.session), state_file=tmp_path / "state.json")
    program = program_for(cloud.account_id, cloud.region)
    up = engine.up("models-dev", program, {}).check()
    again = engine.preview("models-dev", program, {}).check()
    assert {kind for kind, count in again.changes.items() if count} == {"same"}
    firehose, sqs = cloud.client("firehose"), cloud.client("sqs")
    now = cloud.clock.now()
    for number in range(20):
        record = logged(number, now - timedelta(minutes=number))
        firehose.put_record(DeliveryStreamName=NAMES.stream, Record={"Data": record})
    firehose.put_record(DeliveryStreamName=NAMES.stream, Record={"Data": b"no record"})
    # Five of them once more: the stream took them, and the front door never heard of it.
    for number in range(15, 25):
        body = logged(number, now - timedelta(minutes=number)).decode()
        sqs.send_message(QueueUrl=up.outputs["spool_url"], MessageBody=body)
    _wait_for(lambda: _spooled(cloud, up.outputs["spool_url"]) == 0)
    assert firehose_delivery.flush(cloud, NAMES.stream, PATIENCE_SECONDS) == 0

    def ask(sql: str) -> list[dict[str, str | None]]:
        return _asked(cloud, sql)

    everything = f"SELECT request_id, replayed FROM {DATABASE}.predictions"
    assert sorted((row["request_id"], row["replayed"]) for row in ask(everything)) == sorted(
        (f"request-{number}", "true" if number >= 20 else "false") for number in range(25)
    )
    assert ask(f"SELECT count(*) AS n FROM {DATABASE}.records") == [{"n": "30"}]
    (latency,) = ask(NAMED_QUERIES["latency-by-version"].sql(DATABASE))
    assert (latency["version"], latency["requests"]) == ("7", "25")
    assert float(latency["p99_ms"] or 0) == pytest.approx(34, abs=1)
    (found,) = ask(find_request(DATABASE, "request-21"))
    assert (found["input_length"], found["output_species"]) == ("[1.5, null]", "[setosa, 日本]")
    assert "input_owner" not in found

    keys = [each["Key"] for each in cloud.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    kinds = {key.split("/day=")[0] for key in keys if not key.startswith("queries/")}
    assert kinds == {"records/dev-iris", "rejected/dev-iris/processing-failed"}
    _publishes(cloud)


@pytest.mark.timeout(180)
def test_what_ends_among_the_rejects_rings_and_comes_back_as_the_runbook_says(
    cloud: Cloud, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.serve()
    engine = Engine(provider=AwsProvider(cloud.session), state_file=tmp_path / "state.json")
    engine.up("models-dev", program_for(cloud.account_id, cloud.region), {}).check()
    firehose, now = cloud.client("firehose"), cloud.clock.now()
    put_back = _put_back(cloud, root, monkeypatch)

    def send(number: int) -> None:
        firehose.put_record(DeliveryStreamName=NAMES.stream, Record={"Data": logged(number, now)})
        assert firehose_delivery.flush(cloud, NAMES.stream, PATIENCE_SECONDS) == 0

    cloud.clock.advance(1200)  # every alarm is OK
    refused = {}
    for number, (code, broken) in enumerate(UNINVOKED.items()):
        told = len(cloud.messages)
        with broken(cloud):
            send(number)
        refused[number] = code
        cloud.clock.advance(1200)
        assert _told(cloud, told) == [("transform-errors", "ALARM"), ("transform-errors", "OK")], code
    assert {
        int(each["data"]["latency_ms"]) - 10: each["errorCode"] for each in _rejects(cloud, "processing-failed")
    } == (refused)

    told = len(cloud.messages)
    with _retyped(cloud, "latency_ms", "boolean"):
        send(10)
    cloud.clock.advance(1200)
    assert _told(cloud, told) == [("rejected", "ALARM"), ("rejected", "OK")]
    (unconverted,) = _rejects(cloud, "format-conversion-failed")
    assert "logged_at" in unconverted["data"]

    def ids() -> list[str]:
        return sorted(
            row["request_id"] or "" for row in _asked(cloud, f"SELECT request_id FROM {DATABASE}.predictions")
        )

    assert ids() == []
    for kind, count in (("processing-failed", len(UNINVOKED)), ("format-conversion-failed", 1)):
        assert put_back(f"rejected/{NAMES.log_name}/{kind}/") == f"{count} records put back\n"
    assert firehose_delivery.flush(cloud, NAMES.stream, PATIENCE_SECONDS) == 0
    assert ids() == sorted(f"request-{number}" for number in (*range(len(UNINVOKED)), 10))


@contextmanager
def _throttled(cloud: Cloud) -> Iterator[None]:
    lambdas = cloud.client("lambda")
    lambdas.put_function_concurrency(FunctionName=NAMES.transform, ReservedConcurrentExecutions=0)
    yield
    lambdas.delete_function_concurrency(FunctionName=NAMES.transform)


@contextmanager
def _gone(cloud: Cloud) -> Iterator[None]:
    error = AwsError("ResourceNotFoundException", f"Function not found: {NAMES.transform}", 404)
    fault = cloud.faults.add("lambda", "Invoke", error)
    yield
    fault.remove()


@contextmanager
def _forbidden(cloud: Cloud) -> Iterator[None]:
    iam = cloud.client("iam")
    (role,) = (each for each in role_names(iam) if each.startswith(f"{NAMES.log_name}-delivery"))
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    without = less(document, "Transform", "lambda:InvokeFunction")
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(without))
    yield
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


UNINVOKED = {
    "Lambda.InvokeLimitExceeded": _throttled,
    "Lambda.ResourceNotFound": _gone,
    "Lambda.InvokeAccessDenied": _forbidden,
}
"""What Firehose says of a transform that it cannot invoke, by how that comes."""


@contextmanager
def _retyped(cloud: Cloud, column: str, kind: str) -> Iterator[None]:
    """A column of the table with another type, as if changed by hand."""
    glue = cloud.client("glue")
    table = glue.get_table(DatabaseName=DATABASE, Name="records")["Table"]
    taken = ("Name", "Description", "Retention", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    own = {name: table[name] for name in taken if name in table}
    changed = copy.deepcopy(own)
    for each in changed["StorageDescriptor"]["Columns"]:
        if each["Name"] == column:
            each["Type"] = kind
    assert changed != own
    glue.update_table(DatabaseName=DATABASE, TableInput=changed)
    yield
    glue.update_table(DatabaseName=DATABASE, TableInput=own)


def _rejects(cloud: Cloud, kind: str) -> list[dict[str, Any]]:
    """The lines below the error prefix, with the record as `data`."""
    s3 = cloud.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"rejected/{NAMES.log_name}/{kind}/")["Contents"]
    bodies = [s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in found]
    lines = [json.loads(line) for body in bodies for line in body.splitlines()]
    return [{**line, "data": json.loads(base64.b64decode(line["rawData"]))} for line in lines]


def _told(cloud: Cloud, since: int) -> list[tuple[str, str]]:
    """Alarms and their states that the topics were told of since then."""
    told = [json.loads(each.message) for each in cloud.messages[since:]]
    return [(each["AlarmName"].removeprefix(f"{NAMES.log_name}-log-"), each["NewStateValue"]) for each in told]


def _put_back(cloud: Cloud, root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """The script of the runbook on rejected records: takes a prefix, gives what it printed."""
    text = (root / "docs" / "runbooks" / "log-rejected.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    def run(prefix: str) -> str:
        said = io.StringIO()
        with monkeypatch.context() as patched, redirect_stdout(said):
            patched.setattr(boto3, "client", cloud.client)
            patched.setattr(sys, "argv", ["put_back.py", BUCKET, prefix, NAMES.stream])
            exec(compile(script, "put_back.py", "exec"), {})
        return said.getvalue()

    return run


def _publishes(cloud: Cloud) -> None:
    """What a dashboard names of stream, transform, spool and replay is in the cloud's metrics."""
    shown = ShownModel(model="iris", log=NAMES, function_name="dev-iris-front-door", workgroup_name="w", endpoint=None)
    body = dashboard_body(
        Shown(region=cloud.region, alarm_arn_prefix="", runbook_base_url="", models=[shown], api=None)
    )
    of_the_front_door = {"Served", "HandedOver", "Replies4XX", "Replies5XX", "Spooled", "LogFailed"}
    # Nothing was throttled, and every record that passed the transform became a row.
    absent = {*of_the_front_door, "ThrottledRecords", "FailedConversion.Records"}
    named = {
        (namespace, name, dimensions)
        for namespace, name, dimensions in named_metrics(body)
        if name not in absent and ("FunctionName", "dev-iris-front-door") not in dimensions
    }

    def missing() -> set[Any]:
        pages = cloud.client("cloudwatch").get_paginator("list_metrics").paginate()
        published = {
            (each["Namespace"], each["MetricName"], tuple(sorted((d["Name"], d["Value"]) for d in each["Dimensions"])))
            for page in pages
            for each in page["Metrics"]
        }
        return named - published

    cloud.clock.advance(60)
    _wait_for(lambda: not missing(), missing)


def _spooled(cloud: Cloud, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(value) for value in found.values())


def _asked(cloud: Cloud, sql: str) -> list[dict[str, str | None]]:
    athena = cloud.client("athena")
    query = athena.start_query_execution(QueryString=sql, WorkGroup="mainstage-dev-iris")["QueryExecutionId"]

    def status() -> dict[str, Any]:
        return athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]

    _wait_for(lambda: status()["State"] not in ("QUEUED", "RUNNING"), status)
    assert status()["State"] == "SUCCEEDED", status()
    header, *rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    names = [cell["VarCharValue"] for cell in header["Data"]]
    return [dict(zip(names, (cell.get("VarCharValue") for cell in row["Data"]), strict=True)) for row in rows]


def _wait_for(done: Callable[[], bool], seen: Callable[[], Any] = lambda: None) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < end, seen()
        time.sleep(0.1)
