"""Each link from what lies in S3 to the answer of a query, and from an alarm to who hears it, changed with boto3: what
AWS would answer is seen, with the change and after it was undone."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from links import BUCKET, STREAM, changed
from rehearsed import LOG, Rehearsed, until

from infra.predictions import athena
from infra.rehearsal.cloud.overlay.firehose_delivery import flush

DATABASE = "mainstage_dev_iris"
WORKGROUP = "mainstage-dev-iris"


@contextmanager
def table(rehearsed: Rehearsed, name: str, change: Any) -> Iterator[None]:
    """The Glue table as `change` makes it of what it is."""
    glue = rehearsed.client("glue")
    found = glue.get_table(DatabaseName=DATABASE, Name=name)["Table"]
    members = ("Name", "Description", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    before = {member: found[member] for member in members if member in found}
    after = change(json.loads(json.dumps(before)))
    update = glue.update_table
    with changed(
        lambda: update(DatabaseName=DATABASE, TableInput=after),
        lambda: update(DatabaseName=DATABASE, TableInput=before),
    ):
        yield


def without_petal_width(table: Mapping[str, Any]) -> dict[str, Any]:
    storage = table["StorageDescriptor"]
    left = [column for column in storage["Columns"] if column["Name"] != "input_petal_width"]
    assert len(left) == len(storage["Columns"]) - 1
    return {**table, "StorageDescriptor": {**storage, "Columns": left}}


def test_a_column_that_was_taken_away(rehearsed: Rehearsed) -> None:
    """Firehose leaves it out of what it writes from then on; the view, which names it, cannot be read; what was
    written before has it still when it is back."""
    before = rehearsed.served()
    rehearsed.wait_for_log(before)
    handed = rehearsed.log_metric("HandedOver") + 1
    with table(rehearsed, "records", without_petal_width):
        between = rehearsed.served()
        until(lambda: True if rehearsed.log_metric("HandedOver") >= handed else None, "one handed over")
        assert flush(rehearsed.cloud, STREAM) == 0
        with pytest.raises(athena.QueryError, match=r"COLUMN_NOT_FOUND: .*'input_petal_width' cannot be resolved"):
            rehearsed.sql("SELECT input_petal_width FROM records")
        with pytest.raises(
            athena.QueryError, match=r"INVALID_VIEW: .*'awsdatacatalog.mainstage_dev_iris.predictions': "
        ):
            rehearsed.sql("SELECT request_id FROM predictions")
        [row] = rehearsed.sql(f"SELECT input_petal_length FROM records WHERE request_id = '{between[0]}'")
        assert row == {"input_petal_length": "[1.4]"}
    assert rehearsed.record(before[0])["input_petal_width"] == "[0.2]"
    assert rehearsed.record(between[0])["input_petal_width"] is None


def test_a_table_that_looks_elsewhere_is_empty(rehearsed: Rehearsed) -> None:
    """Projection reads by the template alone, whatever Location says (Athena user guide, "Set up partition
    projection": storage.location.template)."""
    ids = rehearsed.served()
    rehearsed.wait_for_log(ids)

    def template(found: dict[str, Any]) -> dict[str, Any]:
        place = found["Parameters"]["storage.location.template"].replace("/records/", "/elsewhere/")
        return {**found, "Parameters": {**found["Parameters"], "storage.location.template": place}}

    def location(found: dict[str, Any]) -> dict[str, Any]:
        storage = found["StorageDescriptor"]
        place = storage["Location"].replace("/records/", "/elsewhere/")
        return {**found, "StorageDescriptor": {**storage, "Location": place}}

    with table(rehearsed, "records", template):
        assert rehearsed.sql("SELECT request_id FROM predictions") == []
    with table(rehearsed, "records", location):
        assert ids[0] in rehearsed.in_log()
    assert ids[0] in rehearsed.in_log()


def test_days_before_the_projections_range_are_not_read(rehearsed: Rehearsed) -> None:
    ids = rehearsed.served()
    rehearsed.wait_for_log(ids)

    def range_of_the_past(found: dict[str, Any]) -> dict[str, Any]:
        return {**found, "Parameters": {**found["Parameters"], "projection.day.range": "2020-01-01,2020-12-31"}}

    with table(rehearsed, "records", range_of_the_past):
        assert rehearsed.sql("SELECT request_id FROM predictions") == []
    assert ids[0] in rehearsed.in_log()


def test_a_view_that_was_dropped(rehearsed: Rehearsed) -> None:
    glue = rehearsed.client("glue")
    found = glue.get_table(DatabaseName=DATABASE, Name="predictions")["Table"]
    members = ("Name", "Description", "TableType", "Parameters", "StorageDescriptor", "ViewOriginalText")
    made = {member: found[member] for member in (*members, "ViewExpandedText") if member in found}
    with changed(
        lambda: glue.delete_table(DatabaseName=DATABASE, Name="predictions"),
        lambda: glue.create_table(DatabaseName=DATABASE, TableInput=made),
    ):
        with pytest.raises(
            athena.QueryError,
            match=r"TABLE_NOT_FOUND: .*'awsdatacatalog.mainstage_dev_iris.predictions' does not exist",
        ):
            rehearsed.sql("SELECT request_id FROM predictions")
        assert rehearsed.sql("SELECT count(*) AS n FROM records")[0]["n"] > 0
    assert rehearsed.in_log()


@contextmanager
def workgroup(rehearsed: Rehearsed, change: Mapping[str, Any], restore: Mapping[str, Any]) -> Iterator[None]:
    update = rehearsed.client("athena").update_work_group
    with changed(lambda: update(WorkGroup=WORKGROUP, **change), lambda: update(WorkGroup=WORKGROUP, **restore)):
        yield


def test_a_workgroup_that_is_disabled_takes_no_query(rehearsed: Rehearsed) -> None:
    with workgroup(rehearsed, {"State": "DISABLED"}, {"State": "ENABLED"}):
        with pytest.raises(ClientError, match=f"InvalidRequestException.*WorkGroup {WORKGROUP} is disabled"):
            rehearsed.client("athena").start_query_execution(QueryString="SELECT 1", WorkGroup=WORKGROUP)
        assert rehearsed.ask().status == 200
    assert rehearsed.sql("SELECT 1 AS one") == [{"one": 1}]


def test_a_lower_scan_limit_cancels_the_query(rehearsed: Rehearsed) -> None:
    """10 MB is the least that Athena takes."""
    s3, athena_client = rehearsed.client("s3"), rehearsed.client("athena")
    now = rehearsed.cloud.clock.now()
    key = f"records/{LOG}/day={now:%Y-%m-%d}/hour={now:%H}/much.parquet"
    file = io.BytesIO()
    texts = [base64.b64encode(os.urandom(768 * 1024)).decode() for _ in range(12)]
    pq.write_table(pa.table({"caller": texts}), file, use_dictionary=False, compression="NONE")
    limit = athena_client.get_work_group(WorkGroup=WORKGROUP)["WorkGroup"]["Configuration"][
        "BytesScannedCutoffPerQuery"
    ]
    lower = {"ConfigurationUpdates": {"BytesScannedCutoffPerQuery": 10_000_000}}
    back = {"ConfigurationUpdates": {"BytesScannedCutoffPerQuery": limit}}
    sql = "SELECT count(DISTINCT caller) AS n FROM records"
    with changed(
        lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=file.getvalue()),
        lambda: s3.delete_object(Bucket=BUCKET, Key=key),
    ):
        assert rehearsed.sql(sql)[0]["n"] >= 12
        with workgroup(rehearsed, lower, back):
            with pytest.raises(athena.QueryError, match=r"^Bytes scanned limit was exceeded\n.*scan_limit_mib"):
                rehearsed.sql(sql)
            # A query that names its columns and reads less goes through.
            assert rehearsed.sql("SELECT count(status) AS n FROM records")
        assert rehearsed.sql(sql)[0]["n"] >= 12


def test_a_topic_that_was_deleted_fails_the_alarms_action(rehearsed: Rehearsed) -> None:
    """The alarm rings all the same, and its history says that nobody heard it."""
    cloudwatch, sns = rehearsed.client("cloudwatch"), rehearsed.client("sns")
    [alarm] = cloudwatch.describe_alarms(AlarmNames=[f"{LOG}-log-rejected"])["MetricAlarms"]
    [topic] = alarm["AlarmActions"]
    found = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    attributes = {name: found[name] for name in ("Policy", "KmsMasterKeyId", "DisplayName") if found.get(name)}
    tags = sns.list_tags_for_resource(ResourceArn=topic)["Tags"]

    def ring() -> dict[str, Any]:
        name = alarm["AlarmName"]
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
        [item] = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action", MaxRecords=1)[
            "AlarmHistoryItems"
        ]
        assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"] == "ALARM"
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test over")
        return item

    with changed(
        lambda: sns.delete_topic(TopicArn=topic),
        lambda: sns.create_topic(Name=topic.rpartition(":")[2], Attributes=attributes, Tags=tags),
    ):
        item = ring()
        assert item["HistorySummary"] == f'Failed to execute action {topic}. Received error: "Topic does not exist"'
    assert ring()["HistorySummary"] == f"Successfully executed action {topic}"
