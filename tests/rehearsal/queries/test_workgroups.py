"""Workgroups, named queries and Glue's catalog as their APIs show them."""

from __future__ import annotations

import pytest
import queries
from botocore.exceptions import ClientError, ParamValidationError


def refused(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_a_workgroup(log):
    found = log.athena.get_work_group(WorkGroup=log.workgroup)["WorkGroup"]
    assert (found["Name"], found["State"]) == (log.workgroup, "ENABLED")
    assert found["Configuration"] == {
        "ResultConfiguration": {"OutputLocation": f"s3://{log.bucket}/queries/dev-iris/"},
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "BytesScannedCutoffPerQuery": 10_485_760,
        "RequesterPaysEnabled": False,
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
    }
    listed = log.athena.list_work_groups()["WorkGroups"]
    assert [one["Name"] for one in listed] == [log.workgroup, "primary"]
    assert "is already created" in refused(log.athena.create_work_group, Name=log.workgroup)
    assert "WorkGroup x is not found." in refused(log.athena.get_work_group, WorkGroup="x")


def test_an_update_changes_what_it_names(log):
    def update(**updates):
        log.athena.update_work_group(WorkGroup=log.workgroup, ConfigurationUpdates=updates)
        return log.athena.get_work_group(WorkGroup=log.workgroup)["WorkGroup"]["Configuration"]

    before = update()
    assert update(RequesterPaysEnabled=True) == {**before, "RequesterPaysEnabled": True}
    assert update(BytesScannedCutoffPerQuery=10_000_000)["BytesScannedCutoffPerQuery"] == 10_000_000
    with pytest.raises(ParamValidationError, match="valid min value: 10000000"):
        update(BytesScannedCutoffPerQuery=9_999_999)
    assert "BytesScannedCutoffPerQuery" not in update(RemoveBytesScannedCutoffPerQuery=True)
    assert update(ResultConfigurationUpdates={"RemoveOutputLocation": True})["ResultConfiguration"] == {}
    log.athena.update_work_group(WorkGroup=log.workgroup, State="DISABLED", Description="off")
    assert log.athena.get_work_group(WorkGroup=log.workgroup)["WorkGroup"]["Description"] == "off"
    assert "is disabled" in refused(log.athena.start_query_execution, QueryString="SELECT 1", WorkGroup=log.workgroup)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"ResultConfiguration": {"OutputLocation": "log-of-tests/x"}}, "is no S3 location"),
        ({"ResultConfiguration": {"OutputLocation": "s3://no-such-bucket/x/"}}, "the bucket s3://no-such-bucket/x/"),
        ({"ResultConfiguration": {"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS"}}}, "KmsKey"),
        (
            {
                "ResultConfiguration": {
                    "EncryptionConfiguration": {
                        "EncryptionOption": "SSE_KMS",
                        "KmsKey": "arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000000",
                    }
                }
            },
            "the KMS key",
        ),
        ({"ManagedQueryResultsConfiguration": {"Enabled": True}}, "NotCarried"),
        ({"EngineVersion": {"SelectedEngineVersion": "Athena engine version 2"}}, "NotCarried"),
    ],
)
def test_configurations_that_are_refused(log, configuration, message):
    assert message in refused(log.athena.create_work_group, Name="other", Configuration=configuration)


def test_deleting_a_workgroup_that_holds_something(log):
    log.execution("SELECT 1")
    named = log.athena.create_named_query(
        Name="one", Database=log.database, QueryString="SELECT 1", WorkGroup=log.workgroup
    )["NamedQueryId"]
    assert "is not empty" in refused(log.athena.delete_work_group, WorkGroup=log.workgroup)
    log.athena.delete_work_group(WorkGroup=log.workgroup, RecursiveDeleteOption=True)
    assert "does not exist" in refused(log.athena.get_named_query, NamedQueryId=named)
    assert "is not found" in refused(log.athena.get_work_group, WorkGroup=log.workgroup)
    assert "cannot be deleted" in refused(log.athena.delete_work_group, WorkGroup="primary")


def test_tags(log):
    arn = f"arn:aws:athena:{log.cloud.region}:{log.cloud.account_id}:workgroup/{log.workgroup}"
    log.athena.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    log.athena.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert log.athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert refused(log.athena.list_tags_for_resource, ResourceARN=f"{arn}-x").startswith("ResourceNotFoundException")


def test_named_queries(log):
    log.put([{"request_id": "a"}])
    given = {"Name": "all", "Database": log.database, "QueryString": "SELECT request_id FROM records"}
    named = log.athena.create_named_query(**given, WorkGroup=log.workgroup, Description="d")["NamedQueryId"]
    found = log.athena.get_named_query(NamedQueryId=named)["NamedQuery"]
    assert found == {**given, "NamedQueryId": named, "WorkGroup": log.workgroup, "Description": "d"}
    assert queries.run(log.cloud, found["QueryString"], found["WorkGroup"], found["Database"]) == [{"request_id": "a"}]
    assert log.athena.list_named_queries(WorkGroup=log.workgroup)["NamedQueryIds"] == [named]
    assert log.athena.list_named_queries()["NamedQueryIds"] == []
    log.athena.update_named_query(NamedQueryId=named, Name="other", QueryString="SELECT 2")
    batch = log.athena.batch_get_named_query(NamedQueryIds=[named, "nothing"])
    assert [one["Name"] for one in batch["NamedQueries"]] == ["other"]
    assert [one["NamedQueryId"] for one in batch["UnprocessedNamedQueryIds"]] == ["nothing"]
    log.athena.delete_named_query(NamedQueryId=named)
    assert "does not exist" in refused(log.athena.delete_named_query, NamedQueryId=named)


# -- Glue


def test_a_tables_versions(log):
    columns = {"request_id": "string"}
    place = {"DatabaseName": log.database, "TableName": "records"}
    first = log.glue.get_table(DatabaseName=log.database, Name="records")["Table"]
    assert first["VersionId"] == "1"
    log.glue.update_table(DatabaseName=log.database, TableInput=log.table_input("records", columns), VersionId="1")
    latest = log.glue.get_table_version(**place)["TableVersion"]
    assert latest["VersionId"] == "2"
    assert [column["Name"] for column in latest["Table"]["StorageDescriptor"]["Columns"]] == ["request_id"]
    old = log.glue.get_table_version(**place, VersionId="1")["TableVersion"]["Table"]
    assert len(old["StorageDescriptor"]["Columns"]) > 1
    versions = log.glue.get_table_versions(**place)["TableVersions"]
    assert [one["VersionId"] for one in versions] == ["2", "1"]
    changed = log.table_input("records", columns)
    assert refused(log.glue.update_table, DatabaseName=log.database, TableInput=changed, VersionId="1").startswith(
        "ConcurrentModificationException"
    )
    missing = log.table_input("nothing", columns)
    assert refused(log.glue.update_table, DatabaseName=log.database, TableInput=missing).startswith(
        "EntityNotFoundException"
    )


def test_databases_and_lists(log):
    database = log.glue.get_database(Name=log.database)["Database"]
    assert database["CreateTableDefaultPermissions"] == [
        {"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}
    ]
    first = log.glue.get_tables(DatabaseName=log.database, MaxResults=1)
    second = log.glue.get_tables(DatabaseName=log.database, MaxResults=1, NextToken=first["NextToken"])
    assert {first["TableList"][0]["Name"], second["TableList"][0]["Name"]} == {"records", "predictions"}
    log.glue.delete_database(Name=log.database)
    assert refused(log.glue.get_table, DatabaseName=log.database, Name="records").startswith("EntityNotFound")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Name": "Records"}, "has upper-case letters"),
        ({"PartitionKeys": [{"Name": "day", "Type": "text"}, {"Name": "hour", "Type": "string"}]}, "'text' is no type"),
        ({"PartitionKeys": [{"Name": "day", "Type": "string"}] * 2}, "stands twice"),
        ({"Parameters": {"projection.enabled": "true"}}, "projection needs one for each partition key (day)"),
        ({"TableType": "VIRTUAL_VIEW", "ViewOriginalText": "SELECT 1"}, "is no view that Athena can read"),
        ({"StorageDescriptor": {"Columns": [{"Name": "a", "Type": "array<int"}]}}, "HIVE_INVALID_METADATA"),
        ({"StorageDescriptor": {"Columns": [], "Location": "s3://no-such-bucket/"}}, "which does not exist"),
    ],
)
def test_tables_that_are_refused(log, changes, message):
    given = {**log.table_input("odd", {"a": "string"}), **changes}
    found = refused(log.glue.create_table, DatabaseName=log.database, TableInput=given)
    assert message in found, found


def test_a_database_with_capitals_is_refused(log):
    assert "has upper-case letters" in refused(log.glue.create_database, DatabaseInput={"Name": "Iris"})
