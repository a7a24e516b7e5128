"""What a caller of Athena needs, found by taking it away: the query runs with the caller's rights and no others."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
import queries
from botocore.exceptions import ClientError

SQL = "SELECT request_id FROM predictions WHERE day = '2026-11-20'"


@pytest.fixture
def analyst(log):
    """The log encrypted with one key, answers with another; a role with all that a query needs, in statements."""
    kms, iam, cloud = log.cloud.client("kms"), log.cloud.client("iam"), log.cloud
    data, answers = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    at = datetime(2026, 11, 20, 7)
    log.put([{"request_id": "a", "at": at, "logged_at": at}], ServerSideEncryption="aws:kms", SSEKMSKeyId=data)
    log.athena.update_work_group(
        WorkGroup=log.workgroup,
        ConfigurationUpdates={
            "ResultConfigurationUpdates": {
                "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": answers}
            }
        },
    )
    region, account = cloud.region, cloud.account_id
    glue, bucket = f"arn:aws:glue:{region}:{account}", f"arn:aws:s3:::{log.bucket}"
    tables = [f"{glue}:catalog", f"{glue}:database/{log.database}", f"{glue}:table/{log.database}/*"]
    group = f"arn:aws:athena:{region}:{account}:workgroup/{log.workgroup}"
    athena = ["StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution"]
    statements: dict[str, dict[str, Any]] = {
        "athena": {"Action": [f"athena:{name}" for name in athena], "Resource": group},
        "database": {"Action": "glue:GetDatabase", "Resource": tables[:2]},
        "table": {"Action": "glue:GetTable", "Resource": tables},
        "location": {"Action": "s3:GetBucketLocation", "Resource": bucket},
        "list": {"Action": "s3:ListBucket", "Resource": bucket},
        "read": {"Action": "s3:GetObject", "Resource": f"{bucket}/records/dev-iris/*"},
        "results": {"Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"{bucket}/queries/dev-iris/*"},
        "decrypt": {"Action": "kms:Decrypt", "Resource": data},
        "answers": {"Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": answers},
    }
    role = iam.create_role(
        RoleName="analyst",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                },
            }
        ),
    )["Role"]["Arn"]

    def session(*without: str):
        kept = [{"Effect": "Allow", **one} for name, one in statements.items() if name not in without]
        policy = json.dumps({"Version": "2012-10-17", "Statement": kept})
        iam.put_role_policy(RoleName="analyst", PolicyName="own", PolicyDocument=policy)
        return cloud.assume_role(role, service="lambda.amazonaws.com", session_name="s")

    return session


def test_all_of_it_is_enough(log, analyst):
    assert log.ask(SQL, analyst()) == [{"request_id": "a"}]
    (answer,) = [
        entry["Key"]
        for entry in log.s3.list_objects_v2(Bucket=log.bucket, Prefix="queries/")["Contents"]
        if entry["Key"].endswith(".csv")
    ]
    assert log.s3.head_object(Bucket=log.bucket, Key=answer)["ServerSideEncryption"] == "aws:kms"


@pytest.mark.parametrize(
    ("gone", "start"),
    [
        ("database", "Insufficient permissions to execute the query. User: arn:aws:sts::111111111111:assumed-role/"
         "analyst/s is not authorized to perform: glue:GetDatabase on resource: "
         "arn:aws:glue:eu-west-1:111111111111:catalog"),
        ("table", "Insufficient permissions to execute the query. User: arn:aws:sts::111111111111:assumed-role/"
         "analyst/s is not authorized to perform: glue:GetTable on resource: "
         "arn:aws:glue:eu-west-1:111111111111:catalog"),
        ("list", "PERMISSION_DENIED: Permission denied on S3 path: s3://log-of-tests/records/dev-iris/day=2026-11-20/"),
        ("read", "PERMISSION_DENIED: Permission denied on S3 path: s3://log-of-tests/records/dev-iris/day=2026-11-20/"
         "hour=07/a.parquet"),
        ("decrypt", "PERMISSION_DENIED: Permission denied on S3 path: s3://log-of-tests/records/dev-iris/"
         "day=2026-11-20/hour=07/a.parquet"),
        ("results", "Access denied when writing output to url: s3://log-of-tests/queries/dev-iris/"),
        ("answers", "Access denied when writing output to url: s3://log-of-tests/queries/dev-iris/"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("known", [False, True], ids=["cold", "cached"])
def test_a_query_without_one_fails(log, analyst, gone, start, known):
    """Also when an earlier query of somebody else has fetched the objects already."""
    if known:
        assert log.ask(SQL) == [{"request_id": "a"}]
    session = analyst(gone)
    reason = log.reason(SQL, session)
    assert reason.startswith(f"FAILED: {start}"), reason
    assert log.ask(SQL, analyst()) == [{"request_id": "a"}]


def test_without_the_workgroup_nothing_starts(log, analyst):
    with pytest.raises(ClientError, match=r"athena:StartQueryExecution on resource: .*workgroup/mainstage-dev-iris"):
        log.ask(SQL, analyst("athena"))


def test_without_the_buckets_location_nothing_starts(log, analyst):
    with pytest.raises(ClientError, match="Unable to verify/create output bucket log-of-tests"):
        log.ask(SQL, analyst("location"))


def test_another_workgroups_queries_cannot_be_seen(log, analyst):
    """An execution's actions are asked about its own workgroup."""
    log.athena.create_work_group(
        Name="other", Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{log.bucket}/queries/"}}
    )
    query_id = queries.start(log.cloud, "SELECT 1", "other", log.database)
    queries.finished(log.cloud, query_id)
    athena = analyst().client("athena")
    for call in (athena.get_query_execution, athena.get_query_results, athena.stop_query_execution):
        with pytest.raises(ClientError, match="workgroup/other"):
            call(QueryExecutionId=query_id)


def test_results_need_the_right_to_read_them(log, analyst):
    query_id = queries.start(analyst(), SQL, log.workgroup, log.database)
    queries.finished(log.cloud, query_id)
    with pytest.raises(ClientError, match="AccessDenied"):
        analyst("results").client("athena").get_query_results(QueryExecutionId=query_id)
    assert queries.table(analyst(), query_id) == [["request_id"], ["a"]]
