"""The way of a record into the log: each right of transform, delivery and replay taken away in turn, and what is seen.

Predictions go on, whatever is missing here. The tables have an entry for each action of each statement; a statement
that is added to a role has to be added here.
"""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError
from log_paths import (
    DELIVERY,
    DOOR,
    DOWN,
    IN_SPOOL,
    IN_STREAM,
    IN_VIEW,
    NOT_FOUND,
    REJECTED,
    REPLAY,
    STREAM,
    TRANSFORM,
    WAITS,
    WATCH,
    Paths,
    Seen,
    role_of,
)
from rehearsed import LOG, kill_9, until
from taken_away import (
    another_account,
    another_service,
    rights_of,
    role_document,
    role_names,
    role_without,
    trust_changed,
)

from infra.rehearsal.cloud.overlay.firehose_delivery import flush, pids

DENIED = "AccessDeniedException"
AWAITED_LOG = "dev-card-fraud"

DELIVERED_WITHOUT = {
    ("WriteRecords", "s3:PutObject"): Seen(200, WAITS, frozenset({"s3.PutObject AccessDenied"})),
    ("LookAtBucket", "s3:GetBucketLocation"): Seen(200, WAITS, frozenset({"s3.GetBucketLocation AccessDenied"})),
    ("EncryptRecords", "kms:GenerateDataKey"): Seen(200, WAITS, frozenset({"s3.PutObject AccessDenied"})),
    ("ReadColumns", "glue:GetTableVersions"): Seen(200, WAITS, frozenset({f"glue.GetTableVersions {DENIED}"})),
    # Four attempts, then the records go to the error prefix as they came.
    ("Transform", "lambda:InvokeFunction"): Seen(200, REJECTED, frozenset({f"lambda.Invoke {DENIED}"})),
}

NOT_MISSED = {
    **dict.fromkeys(
        [
            ("WriteRecords", "s3:AbortMultipartUpload"),
            ("WriteRecords", "s3:GetObject"),
            ("LookAtBucket", "s3:ListBucket"),
            ("LookAtBucket", "s3:ListBucketMultipartUploads"),
            ("EncryptRecords", "kms:Decrypt"),
        ],
        "files that AWS's Firehose uploads in parts, which the emulated one never does: "
        "https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3",
    ),
    ("Transform", "lambda:GetFunctionConfiguration"): (
        "AWS's policy for the role lists it beside InvokeFunction; when it is asked for is not documented: "
        "https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3"
    ),
    **dict.fromkeys(
        [("ReadColumns", "glue:GetTable"), ("ReadColumns", "glue:GetTableVersion")],
        "AWS's policy for the role lists three ways to a table's columns; the emulated Firehose takes one: "
        "https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-glue",
    ),
}
"""Rights that nothing emulated needs, and why they stay."""

DELIVERY_LOG = ("WriteOwnLogs", "logs:PutLogEvents")

REPLAYED_WITHOUT = {
    ("TakeFromSpool", "sqs:ReceiveMessage"): frozenset({"sqs.ReceiveMessage AccessDenied"}),
    ("DecryptSpool", "kms:Decrypt"): frozenset({"sqs.ReceiveMessage KMS.AccessDeniedException"}),
    ("PutAgain", "firehose:PutRecordBatch"): frozenset({f"firehose.PutRecordBatch {DENIED}"}),
    ("TakeFromSpool", "sqs:DeleteMessage"): frozenset({"sqs.DeleteMessageBatch AccessDenied"}),
}
MAPPING_ONLY = ("TakeFromSpool", "sqs:GetQueueAttributes")
"""Lambda asks for it when the mapping is made or changed; that a mapping that runs goes on without is unconfirmed."""

LOG_RIGHTS = {
    ("WriteOwnLogs", "logs:CreateLogStream"): frozenset({f"logs.CreateLogStream {DENIED}"}),
    ("WriteOwnLogs", "logs:PutLogEvents"): frozenset({f"logs.PutLogEvents {DENIED}"}),
}


def test_every_right_has_an_entry(paths: Paths) -> None:
    iam = paths.rehearsed.client("iam")

    def rights(part: str) -> set[tuple[str, str]]:
        return rights_of(role_document(iam, role_of(part))[1])

    assert rights(DELIVERY) == {*DELIVERED_WITHOUT, *NOT_MISSED, DELIVERY_LOG}
    assert rights(TRANSFORM) == set(LOG_RIGHTS)
    assert rights(REPLAY) == {*REPLAYED_WITHOUT, MAPPING_ONLY, *LOG_RIGHTS}


def test_every_role_is_tested(paths: Paths) -> None:
    """The endpoints' roles are in test_statements.py, the front doors' in test_front_door_statements.py, the watch's in
    sagemaker/test_release_watch.py."""
    parts = [DOOR, TRANSFORM, REPLAY, DELIVERY]
    awaited = [part.replace(LOG, AWAITED_LOG) for part in parts]
    assert role_names(paths.rehearsed.client("iam")) == {
        role_of(part) for part in [LOG, AWAITED_LOG, NOT_FOUND, WATCH, *parts, *awaited]
    }


def test_with_everything_allowed(paths: Paths) -> None:
    assert paths.delivered() == Seen(200, IN_VIEW)
    assert paths.replayed() == Seen(200, IN_STREAM)
    assert paths.heals()


@pytest.mark.parametrize(("sid", "action"), DELIVERED_WITHOUT)
def test_the_delivery_without(paths: Paths, sid: str, action: str) -> None:
    seen = DELIVERED_WITHOUT[sid, action]
    with role_without(paths.rehearsed.client("iam"), role_of(DELIVERY), sid, action):
        assert paths.delivered() == seen
        assert paths.waiting() == (1 if seen.record == WAITS else 0)
    assert paths.heals() is (seen.record == WAITS)
    if seen.record == REJECTED:
        assert rejects(paths)[paths.last_id] == "Lambda.InvokeAccessDenied"


def rejects(paths: Paths) -> dict[str, str]:
    """Error codes of what lies under the error prefix, by request id."""
    s3 = paths.rehearsed.client("s3")
    bucket = f"mainstage-dev-predictions-{paths.rehearsed.rehearsal.target.account_id}-eu-west-1"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"rejected/{LOG}/processing-failed/")
    lines = [
        json.loads(line)
        for page in pages
        for entry in page.get("Contents", ())
        for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read().splitlines()
    ]
    return {json.loads(base64.b64decode(line["rawData"]))["request_id"]: line["errorCode"] for line in lines}


@pytest.mark.parametrize(("sid", "action"), NOT_MISSED)
def test_the_delivery_goes_on_without(paths: Paths, sid: str, action: str) -> None:
    """When one of these fails, its entry has to go to the table above."""
    with role_without(paths.rehearsed.client("iam"), role_of(DELIVERY), sid, action):
        assert paths.delivered() == Seen(200, IN_VIEW)


@pytest.mark.parametrize("allowed", [True, False])
def test_what_could_not_be_delivered_is_said_in_the_streams_log(paths: Paths, allowed: bool) -> None:
    logs, cloud = paths.rehearsed.client("logs"), paths.rehearsed.cloud

    def lines() -> int:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/kinesisfirehose/{STREAM}")
        return sum(len(page["events"]) for page in pages)

    def fails_once() -> None:
        fault = cloud.faults.add(
            "s3", "PutObject", DOWN, times=1, match=lambda call: role_of(DELIVERY) in call.principal.arn
        )
        paths.asked()
        until(lambda: True if flush(cloud, STREAM, 1) == 0 else None, "the record is delivered")
        assert fault.hits == 1
        assert paths.in_view()

    before, since = lines(), paths.mark()
    if allowed:
        fails_once()
        assert (lines() - before, paths.refused(DELIVERY, since)) == (1, frozenset())
        return
    with role_without(paths.rehearsed.client("iam"), role_of(DELIVERY), *DELIVERY_LOG):
        fails_once()
    assert (lines() - before, paths.refused(DELIVERY, since)) == (0, {f"logs.PutLogEvents {DENIED}"})


def test_the_transforms_log_without(paths: Paths) -> None:
    """Records are delivered; what the transform counts is lost."""
    accepted = paths.rehearsed.log_metric("Accepted")
    for right, refused in LOG_RIGHTS.items():
        with role_without(paths.rehearsed.client("iam"), role_of(TRANSFORM), *right):
            assert paths.log_of(TRANSFORM, paths.delivered) == (Seen(200, IN_VIEW), "lost", refused)
    assert paths.rehearsed.log_metric("Accepted") == accepted
    assert paths.log_of(TRANSFORM, paths.delivered) == (Seen(200, IN_VIEW), "written", frozenset())
    assert paths.rehearsed.log_metric("Accepted") == accepted + 1


@pytest.mark.parametrize(("sid", "action"), REPLAYED_WITHOUT)
def test_the_replay_without(paths: Paths, sid: str, action: str) -> None:
    """The record waits in the spool, and comes once it may: one that was put again and not deleted is there twice, and
    in the view once."""
    since = paths.now_ms()
    with role_without(paths.rehearsed.client("iam"), role_of(REPLAY), sid, action):
        assert paths.replayed() == Seen(200, IN_SPOOL, REPLAYED_WITHOUT[sid, action])
        noted = {note["error"] for note in paths.notes(REPLAY, "replay_failed", since)}
    assert noted == ({DENIED} if sid == "PutAgain" else set())
    assert paths.heals()
    wanted = [True] * (2 if action == "sqs:DeleteMessage" else 1)

    def stored() -> bool | None:
        paths.rehearsed.in_log()
        rows = paths.rehearsed.sql(f"SELECT replayed FROM records WHERE request_id = '{paths.last_id}'")
        return True if [row["replayed"] for row in rows] == wanted else None

    until(stored, f"the record in the table, {len(wanted)} times")


def test_the_mapping_without(paths: Paths) -> None:
    client = paths.rehearsed.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=REPLAY)["EventSourceMappings"]
    change = {"UUID": mapping["UUID"], "BatchSize": mapping["BatchSize"]}
    with role_without(paths.rehearsed.client("iam"), role_of(REPLAY), *MAPPING_ONLY):
        assert paths.replayed() == Seen(200, IN_STREAM)
        with pytest.raises(ClientError, match="does not have permissions to call GetQueueAttributes on SQS"):
            client.update_event_source_mapping(**change)
    client.update_event_source_mapping(**change)
    assert paths.heals()


def test_the_replays_log_without(paths: Paths) -> None:
    replayed = paths.rehearsed.log_metric("Replayed")
    for right, refused in LOG_RIGHTS.items():
        with role_without(paths.rehearsed.client("iam"), role_of(REPLAY), *right):
            assert paths.log_of(REPLAY, paths.replayed) == (Seen(200, IN_STREAM), "lost", refused)
        assert paths.heals()
    assert paths.rehearsed.log_metric("Replayed") == replayed
    assert paths.log_of(REPLAY, paths.replayed) == (Seen(200, IN_STREAM), "written", frozenset())
    assert paths.rehearsed.log_metric("Replayed") == replayed + 1


def test_a_transform_whose_role_does_not_trust_lambda(paths: Paths) -> None:
    """No process starts: after four attempts the records lie among the rejects."""
    with trust_changed(paths.rehearsed.client("iam"), role_of(TRANSFORM), another_account):
        paths.restart(TRANSFORM)
        refused = frozenset({f"lambda.Invoke {DENIED}"})
        assert paths.delivered() == Seen(200, REJECTED, refused)
    assert paths.delivered() == Seen(200, IN_VIEW)


def test_a_delivery_whose_role_does_not_trust_firehose(paths: Paths) -> None:
    """A process that begins anew gets no credentials: what Firehose has taken waits there until the role can be taken
    again."""
    cloud = paths.rehearsed.cloud
    with trust_changed(paths.rehearsed.client("iam"), role_of(DELIVERY), another_service):
        kill_9(pids(cloud, STREAM))
        since = paths.mark()
        assert paths.asked() == Seen(200, IN_STREAM)
        until(lambda: pids(cloud, STREAM) or None, "the delivering process is started again")
        assert flush(cloud, STREAM, 2) == 1
        assert paths.calls(DELIVERY, since) == []
    assert paths.heals()


def test_a_replay_whose_role_does_not_trust_lambda(paths: Paths) -> None:
    """The mapping polls under the same role."""
    client = paths.rehearsed.client("lambda")
    [mapping] = client.list_event_source_mappings(FunctionName=REPLAY)["EventSourceMappings"]
    with trust_changed(paths.rehearsed.client("iam"), role_of(REPLAY), another_account):
        since = paths.mark()
        assert paths.asked(firehose_down=True) == Seen(200, IN_SPOOL)
        until(lambda: paths.polling_problem(mapping["UUID"]) or None, "the mapping cannot take the role")
        assert "sts:AssumeRole" in paths.polling_problem(mapping["UUID"])
        assert (paths.depth(), paths.calls(REPLAY, since)) == (1, [])
    assert paths.heals()
