"""Policies that hang on resources, and the boundary: each statement that predictions and their log lean on taken away.

Keys, queues, the bucket of the records, the topic that the loss alarm rings, and the boundary of every role.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from log_paths import (
    IN_SPOOL,
    IN_STREAM,
    IN_VIEW,
    LOST,
    NOT_FOUND,
    REJECTED,
    SPOOL,
    STREAM,
    WAITS,
    WATCH,
    Paths,
    Seen,
    role_of,
)
from rehearsed import LOG, until
from taken_away import (
    boundary_document,
    boundary_without,
    bucket_document,
    bucket_without,
    key_document,
    key_without,
    queue_document,
    queue_without,
    rights_of,
    role_document,
    role_names,
)

DENIED = "AccessDeniedException"
ADMINISTERED, USED = "AdministeredByThisAccount", "UsedThroughPoliciesOfThisAccount"
GRANTED, LOGS, ALARMS = "GrantedToAwsServicesOfThisAccount", "UsedByLogGroupsOfThisAccount", "UsedByAlarmsOfThisAccount"
PLATFORM, PSEUDONYMS = "alias/mainstage-dev", "alias/mainstage-dev-pseudonyms"


def key_arn(paths: Paths, alias: str) -> str:
    return paths.rehearsed.client("kms").describe_key(KeyId=alias)["KeyMetadata"]["Arn"]


def code_of(call: Callable[[], Any]) -> str:
    """The error's code; empty when the call is allowed."""
    try:
        call()
    except ClientError as refused:
        return refused.response["Error"]["Code"]
    return ""


# -- keys


def spools(paths: Paths) -> Any:
    return paths.asked(firehose_down=True)


def delivers(paths: Paths) -> Any:
    return paths.delivered()


def sets_variables(paths: Paths) -> Any:
    """The front door's function, configured as it is."""
    change = {"FunctionName": f"{LOG}-front-door", "KMSKeyArn": key_arn(paths, PLATFORM)}
    return code_of(lambda: paths.rehearsed.client("lambda").update_function_configuration(**change))


def sets_variables_and_encrypts_stream(paths: Paths) -> Any:
    given = {"KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": key_arn(paths, PLATFORM)}
    start = paths.rehearsed.client("firehose").start_delivery_stream_encryption
    refused = code_of(lambda: start(DeliveryStreamName=STREAM, DeliveryStreamEncryptionConfigurationInput=given))
    return sets_variables(paths), refused


def encrypts_logs(paths: Paths) -> Any:
    """The access log's group, given its key again."""
    change = {"logGroupName": "/aws/apigateway/mainstage-dev", "kmsKeyId": key_arn(paths, PLATFORM)}
    return code_of(lambda: paths.rehearsed.client("logs").associate_kms_key(**change))


def rings(paths: Paths) -> Any:
    """How many pages the loss alarm sends when it goes off, and what its history says of the last try."""
    client, name, told = paths.rehearsed.client("cloudwatch"), f"{LOG}-log-loss", paths.rehearsed.cloud.messages
    client.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    before = len(told)
    client.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    pages = [each for each in told[before:] if f'ALARM: "{name}"' in str(each)]
    history = client.describe_alarm_history(AlarmName=name, HistoryItemType="Action", MaxRecords=1)
    return len(pages), history["AlarmHistoryItems"][0]["HistorySummary"].split(" ")[0]


Path = Callable[[Paths], Any]
WHOLE: dict[Path, Any] = {
    spools: Seen(200, IN_SPOOL),
    delivers: Seen(200, IN_VIEW),
    sets_variables: "",
    sets_variables_and_encrypts_stream: ("", ""),
    encrypts_logs: "",
    rings: (1, "Successfully"),
}

LOST_TO_KMS = Seen(200, LOST, frozenset({"sqs.SendMessage KMS.AccessDeniedException"}))
KEY_TAKEN: dict[tuple[str, str], tuple[Path, Any]] = {
    (USED, "kms:Decrypt"): (spools, LOST_TO_KMS),
    (USED, "kms:GenerateDataKey"): (delivers, Seen(200, WAITS, frozenset({"s3.PutObject AccessDenied"}))),
    (USED, "kms:Encrypt"): (sets_variables, "InvalidParameterValueException"),
    (GRANTED, "kms:CreateGrant"): (
        sets_variables_and_encrypts_stream,
        ("InvalidParameterValueException", "InvalidKMSResourceException"),
    ),
    **{
        (LOGS, f"kms:{operation}"): (encrypts_logs, DENIED)
        for operation in ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey")
    },
    (ALARMS, "kms:Decrypt"): (rings, (0, "Failed")),
    (ALARMS, "kms:GenerateDataKey"): (rings, (0, "Failed")),
}

KEY_NOT_MISSED = {
    (USED, "kms:GenerateDataKeyWithoutPlaintext"): "storage volumes of instances, which SageMaker encrypts",
    (LOGS, "kms:ReEncryptFrom"): "AWS's policy for log groups lists it; the emulated Logs encrypts nothing",
    (LOGS, "kms:ReEncryptTo"): "AWS's policy for log groups lists it; the emulated Logs encrypts nothing",
}
"""Rights on the platform's key that nothing emulated here needs, and why they stay.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html"""


def test_every_right_on_a_key_has_an_entry(paths: Paths) -> None:
    kms = paths.rehearsed.client("kms")
    platform = {right for right in rights_of(key_document(kms, key_arn(paths, PLATFORM))) if right[0] != ADMINISTERED}
    assert platform == {*KEY_TAKEN, *KEY_NOT_MISSED}
    assert {
        right for right in rights_of(key_document(kms, key_arn(paths, PSEUDONYMS))) if right[0] != ADMINISTERED
    } == {(USED, "kms:GenerateMac")}


@pytest.mark.parametrize("path", WHOLE)
def test_with_everything_allowed(paths: Paths, path: Path) -> None:
    assert path(paths) == WHOLE[path]
    if path is spools:
        assert paths.heals()


@pytest.mark.parametrize(("sid", "action"), KEY_TAKEN)
def test_the_platforms_key_without(paths: Paths, sid: str, action: str) -> None:
    path, shown = KEY_TAKEN[sid, action]
    with key_without(paths.rehearsed.client("kms"), key_arn(paths, PLATFORM), sid, action):
        assert path(paths) == shown
    if path is delivers:
        assert paths.heals()


def test_the_pseudonym_key_without(paths: Paths) -> None:
    """No pseudonym, and nothing in clear in its place; the answer is as it was."""
    with key_without(paths.rehearsed.client("kms"), key_arn(paths, PSEUDONYMS), USED, "kms:GenerateMac"):
        assert paths.hashed() == (503, False, [DENIED])
    # The next process derives again.
    paths.restart("dev-card-fraud-front-door")


@pytest.mark.parametrize("alias", [PLATFORM, PSEUDONYMS])
def test_each_right_of_a_keys_administrators(paths: Paths, alias: str) -> None:
    """Without its action nobody of the account does it, an administrator neither."""
    kms, key = paths.rehearsed.client("kms"), key_arn(paths, alias)
    members: dict[str, dict[str, Any]] = {
        "CreateAlias": {"AliasName": "alias/another", "TargetKeyId": key},
        "DeleteAlias": {"AliasName": alias},
        "GetKeyPolicy": {"KeyId": key, "PolicyName": "default"},
        "RevokeGrant": {"KeyId": key, "GrantId": "0" * 64},
        "TagResource": {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]},
        "UntagResource": {"KeyId": key, "TagKeys": ["a"]},
        "UpdateAlias": {"AliasName": alias, "TargetKeyId": key},
        "UpdateKeyDescription": {"KeyId": key, "Description": "another"},
    }
    rights = {action for sid, action in rights_of(key_document(kms, key)) if sid == ADMINISTERED}
    refused = {}
    for action in rights - {"kms:PutKeyPolicy"}:
        operation = action.removeprefix("kms:")
        call = getattr(kms, xform_name(operation))
        with key_without(kms, key, ADMINISTERED, action):
            refused[action] = code_of(lambda call=call, o=operation: call(**members.get(o, {"KeyId": key})))
    assert refused == dict.fromkeys(rights - {"kms:PutKeyPolicy"}, DENIED)
    # KMS refuses a policy that nobody could change any more.
    with (
        pytest.raises(kms.exceptions.MalformedPolicyDocumentException, match="will not allow you to update"),
        key_without(kms, key, ADMINISTERED, "kms:PutKeyPolicy"),
    ):
        pass


# -- plain HTTP


def in_plain_http(paths: Paths, service: str) -> Any:
    """A client of an administrator whose calls are not encrypted."""
    cloud = paths.rehearsed.cloud
    caller = replace(cloud.principals.operator, context={"aws:SecureTransport": "false"})
    return cloud.session(caller).client(service, region_name=cloud.region)


QUEUE_CALLS: dict[str, dict[str, Any]] = {
    "GetQueueAttributes": {"AttributeNames": ["QueueArn"]},
    "ReceiveMessage": {"WaitTimeSeconds": 0},
    "DeleteMessage": {"ReceiptHandle": "none"},
    "ChangeMessageVisibility": {"ReceiptHandle": "none", "VisibilityTimeout": 0},
    "SendMessage": {"MessageBody": "no record"},
}


@pytest.mark.parametrize("name", [SPOOL, f"{SPOOL}-dead"])
def test_a_queue_refuses_plain_http(paths: Paths, name: str) -> None:
    sqs, plain = paths.rehearsed.client("sqs"), in_plain_http(paths, "sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    assert rights_of(queue_document(sqs, url)) == {("RefusePlainHttp", f"sqs:{operation}") for operation in QUEUE_CALLS}
    for operation, members in QUEUE_CALLS.items():
        call = getattr(plain, xform_name(operation))
        assert code_of(lambda call=call, m=members: call(QueueUrl=url, **m)) == "AccessDenied"
        with queue_without(sqs, url, "RefusePlainHttp", f"sqs:{operation}"):
            without = code_of(lambda call=call, m=members: call(QueueUrl=url, **m))
        assert without == ("ReceiptHandleIsInvalid" if "ReceiptHandle" in members else ""), operation
    until(lambda: True if not paths.depth() else None, "what is no record has left the spool")


BUCKET_CALLS: dict[str, dict[str, Any]] = {
    "s3:PutObject": {"Key": "queries/a", "Body": b"a"},
    "s3:GetObject": {"Key": "queries/a"},
    "s3:ListBucket": {},
    "s3:DeleteObject": {"Key": "queries/a"},
}


def test_the_bucket_of_the_records_refuses_plain_http(paths: Paths) -> None:
    s3, plain = paths.rehearsed.client("s3"), in_plain_http(paths, "s3")
    bucket = f"mainstage-dev-predictions-{paths.rehearsed.rehearsal.target.account_id}-eu-west-1"
    assert rights_of(bucket_document(s3, bucket)) == {("RefusePlainHttp", action) for action in BUCKET_CALLS}
    # Deleted in the end by the last call, the one that is allowed.
    for action, members in BUCKET_CALLS.items():
        operation = "ListObjectsV2" if action == "s3:ListBucket" else action.removeprefix("s3:")
        call = getattr(plain, xform_name(operation))
        assert code_of(lambda call=call, m=members: call(Bucket=bucket, **m)) == "AccessDenied", action
        with bucket_without(s3, bucket, "RefusePlainHttp", action):
            assert code_of(lambda call=call, m=members: call(Bucket=bucket, **m)) == "", action


def test_the_loss_alarm_needs_the_topics_policy(paths: Paths) -> None:
    sns = paths.rehearsed.client("sns")
    [topic] = [each["TopicArn"] for each in sns.list_topics()["Topics"] if each["TopicArn"].endswith("-page")]
    document = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    kept = [each for each in document["Statement"] if each["Sid"] != "AlarmsOfThisAccountPublish"]
    assert len(kept) == len(document["Statement"]) - 1
    change = {"TopicArn": topic, "AttributeName": "Policy"}
    sns.set_topic_attributes(**change, AttributeValue=json.dumps({**document, "Statement": kept}))
    try:
        assert rings(paths) == (0, "Failed")
    finally:
        sns.set_topic_attributes(**change, AttributeValue=json.dumps(document))
    assert rings(paths) == WHOLE[rings]


# -- the boundary


def asks(paths: Paths) -> Any:
    return paths.asked()


def looks_for_nobody(paths: Paths) -> Any:
    return paths.log_of(NOT_FOUND, paths.not_found)


BOUNDARY: dict[tuple[str, str], tuple[Path, Any]] = {
    ("Predictions", "sagemaker:InvokeEndpoint"): (
        asks,
        Seen(500, IN_STREAM, frozenset({f"sagemaker-runtime.InvokeEndpoint {DENIED}"})),
    ),
    ("Records", "firehose:PutRecord"): (asks, Seen(200, IN_SPOOL, frozenset({f"firehose.PutRecord {DENIED}"}))),
    ("Spools", "sqs:SendMessage"): (spools, Seen(200, LOST, frozenset({"sqs.SendMessage AccessDenied"}))),
    ("Keys", "kms:GenerateDataKey"): (spools, LOST_TO_KMS),
    ("Objects", "s3:PutObject"): (delivers, Seen(200, WAITS, frozenset({"s3.PutObject AccessDenied"}))),
    ("Buckets", "s3:GetBucketLocation"): (
        delivers,
        Seen(200, WAITS, frozenset({"s3.GetBucketLocation AccessDenied"})),
    ),
    ("Tables", "glue:GetTableVersions"): (delivers, Seen(200, WAITS, frozenset({f"glue.GetTableVersions {DENIED}"}))),
    ("Transforms", "lambda:InvokeFunction"): (delivers, Seen(200, REJECTED, frozenset({f"lambda.Invoke {DENIED}"}))),
    ("Logs", "logs:PutLogEvents"): (looks_for_nobody, (404, "lost", frozenset({f"logs.PutLogEvents {DENIED}"}))),
}
"""One right of each statement that predictions and their log need. That roles need each other one is shown elsewhere,
and that the boundary has none that no role has, below."""

ENDPOINTS_ONLY = {"Images", "ImageLogin", "Metrics", "Guards", "NetworkInterfaces", "NetworkLookups"}
WATCH_ONLY = {"Pages"}
"""What the release watch needs is taken away in sagemaker/test_release_watch.py."""


@pytest.mark.parametrize(("sid", "action"), BOUNDARY)
def test_the_boundary_without(paths: Paths, sid: str, action: str) -> None:
    path, shown = BOUNDARY[sid, action]
    with boundary_without(paths.rehearsed.client("iam"), boundary_arn(paths), sid, action):
        assert path(paths) == shown
    if action == "firehose:PutRecord" or (isinstance(shown, Seen) and shown.record == WAITS):
        assert paths.heals()


def boundary_arn(paths: Paths) -> str:
    return f"arn:aws:iam::{paths.rehearsed.rehearsal.target.account_id}:policy/mainstage-dev-boundary"


def test_the_boundary_has_what_roles_have_and_nothing_else(paths: Paths) -> None:
    iam = paths.rehearsed.client("iam")
    boundary = boundary_document(iam, boundary_arn(paths))
    assert {each["Sid"] for each in boundary["Statement"]} == {sid for sid, _ in BOUNDARY} | ENDPOINTS_ONLY | WATCH_ONLY
    allowed = {action for _, action in rights_of(boundary)}
    used = {action for role in role_names(iam) for _, action in rights_of(role_document(iam, role)[1])}
    # Only flow logs list groups, and dev has none.
    assert allowed == used | {"logs:DescribeLogGroups"}


def test_no_role_of_a_prediction_or_its_log_reaches_everything(paths: Paths) -> None:
    """Actions written out, resources that name this environment's own, keys by their ARN."""
    iam = paths.rehearsed.client("iam")
    endpoints = {f"{LOG}-eu-west-1", "dev-card-fraud-eu-west-1"}
    # The watch looks at every endpoint of its environment: components/test_release_watch.py has its role word by word.
    checked = role_names(iam) - endpoints - {role_of(WATCH)}
    assert len(checked) == 9
    for role in checked:
        for statement in role_document(iam, role)[1]["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in statement["Action"]:
                assert "*" not in action
            for resource in statement["Resource"]:
                assert resource.endswith(("/*", ":*")) or "*" not in resource, (role, resource)
                own = ("dev-iris", "dev-card-fraud", "mainstage-dev", "mainstage_dev")
                assert any(name in resource for name in own) or ":kms:" in resource or resource.endswith(":catalog")
