"""Redrive: messages go back from a dead-letter queue to where they came from, under the permissions it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay import sqs_moves
from tests.rehearsal.functions.conftest import eventually

ARN = "arn:aws:sqs:eu-west-1:111111111111:"
DEAD = f"{ARN}dead"
DEAD_PERMISSIONS = ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


class Queues:
    """Two queues, `one` and `two`, whose dead letters go to `dead`, and `other`."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.sqs: Any = cloud.client("sqs")
        self.urls = {"dead": self.sqs.create_queue(QueueName="dead")["QueueUrl"]}
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": DEAD, "maxReceiveCount": 1})}
        for name, attributes in (("one", redrive), ("two", redrive), ("other", {})):
            self.urls[name] = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def fail(self, name: str, *bodies: str) -> None:
        """Messages that a consumer could not handle: they are dead letters now."""
        for body in bodies:
            kind = {"Kind": {"DataType": "String", "StringValue": body}}
            self.sqs.send_message(QueueUrl=self.urls[name], MessageBody=body, MessageAttributes=kind)
            self.sqs.receive_message(QueueUrl=self.urls[name], VisibilityTimeout=0)
            time.sleep(0.002)  # visible again in the next millisecond
            assert "Messages" not in self.sqs.receive_message(QueueUrl=self.urls[name])

    def bodies(self, name: str) -> list[str]:
        """What is in a queue, whether visible or not."""
        queue = self.cloud.session().client("sqs")
        found = queue.receive_message(QueueUrl=self.urls[name], MaxNumberOfMessages=10, VisibilityTimeout=0)
        return sorted(message["Body"] for message in found.get("Messages", ()))

    def task(self) -> dict[str, Any]:
        """The latest task."""
        return self.sqs.list_message_move_tasks(SourceArn=DEAD)["Results"][0]

    def ended(self) -> dict[str, Any]:
        """The latest task when it has ended."""
        return eventually(lambda: task if (task := self.task())["Status"] not in ("RUNNING", "CANCELLING") else None)


@pytest.fixture
def queues(cloud: Cloud) -> Queues:
    return Queues(cloud)


def refusal(ask: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        ask(**params)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_each_message_goes_back_to_the_queue_it_came_from_as_a_new_one(queues: Queues) -> None:
    queues.fail("one", "a", "b")
    queues.fail("two", "c")
    [first] = queues.sqs.receive_message(QueueUrl=queues.urls["dead"], VisibilityTimeout=0)["Messages"]
    time.sleep(0.002)

    handle = queues.sqs.start_message_move_task(SourceArn=DEAD)["TaskHandle"]

    task = queues.ended()
    assert (task["Status"], task["SourceArn"]) == ("COMPLETED", DEAD)
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (3, 3)
    assert handle
    assert not {"TaskHandle", "DestinationArn", "MaxNumberOfMessagesPerSecond", "FailureReason"} & set(task)
    found = queues.sqs.receive_message(
        QueueUrl=queues.urls["one"], MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
    )["Messages"]
    assert {message["Body"]: message["MessageAttributes"]["Kind"]["StringValue"] for message in found} == {
        "a": "a",
        "b": "b",
    }
    assert first["MessageId"] not in {message["MessageId"] for message in found}
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in found} == {"1"}
    assert (queues.bodies("two"), queues.bodies("dead")) == (["c"], [])


def test_all_of_them_go_where_it_is_asked_for(queues: Queues) -> None:
    queues.fail("one", "a")
    queues.sqs.send_message(QueueUrl=queues.urls["dead"], MessageBody="by hand")

    queues.sqs.start_message_move_task(SourceArn=DEAD, DestinationArn=f"{ARN}other", MaxNumberOfMessagesPerSecond=500)

    task = queues.ended()
    assert (task["Status"], task["DestinationArn"], task["MaxNumberOfMessagesPerSecond"]) == (
        "COMPLETED",
        f"{ARN}other",
        500,
    )
    assert queues.bodies("other") == ["a", "by hand"]


def test_a_message_that_was_sent_to_the_dead_letter_queue_has_nowhere_to_go(queues: Queues) -> None:
    queues.sqs.send_message(QueueUrl=queues.urls["dead"], MessageBody="by hand")

    queues.sqs.start_message_move_task(SourceArn=DEAD)

    task = queues.ended()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert task["ApproximateNumberOfMessagesMoved"] == 0


def test_a_queue_that_is_gone_fails_the_task(queues: Queues) -> None:
    queues.fail("two", "c")
    queues.sqs.delete_queue(QueueUrl=queues.urls["two"])

    queues.sqs.start_message_move_task(SourceArn=DEAD)

    task = queues.ended()
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "AWS.SimpleQueueService.NonExistentQueue")


def test_a_task_that_fails_inside_ends_and_lets_the_next_one_begin(
    queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.fail("one", "a")
    with monkeypatch.context() as broken:
        broken.setattr(sqs_moves, "_url", lambda _: 1 / 0)
        queues.sqs.start_message_move_task(SourceArn=DEAD)
        task = queues.ended()
    assert (task["Status"], task["FailureReason"][:33]) == ("FAILED", "InternalFailure: ZeroDivisionErro")

    queues.sqs.start_message_move_task(SourceArn=DEAD)
    assert queues.ended()["Status"] == "COMPLETED"


def test_one_at_a_time_and_it_can_be_cancelled(queues: Queues) -> None:
    queues.fail("one", *"abcdefghij")  # more than it moves while this looks on, however slow the machine is
    handle = queues.sqs.start_message_move_task(SourceArn=DEAD, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    eventually(lambda: queues.task()["ApproximateNumberOfMessagesMoved"])

    assert queues.task()["TaskHandle"] == handle
    assert refusal(queues.sqs.start_message_move_task, SourceArn=DEAD) == (
        "InvalidParameterValue",
        "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
    )
    moved = queues.sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    task = queues.ended()
    assert task["Status"] == "CANCELLED"
    assert task["ApproximateNumberOfMessagesMoved"] - moved in (0, 1)  # one may have been on its way
    assert 1 <= moved < 9
    assert len(queues.bodies("one")) == task["ApproximateNumberOfMessagesMoved"]
    assert refusal(queues.sqs.cancel_message_move_task, TaskHandle=handle) == (
        "InvalidParameterValue",
        "Only active tasks can be cancelled.",
    )
    assert refusal(queues.sqs.cancel_message_move_task, TaskHandle="x") == (
        "ResourceNotFoundException",
        "Task does not exist.",
    )


def test_the_latest_task_is_listed_first_and_alone_unless_more_are_asked_for(queues: Queues) -> None:
    queues.sqs.start_message_move_task(SourceArn=DEAD)
    queues.ended()
    queues.sqs.start_message_move_task(SourceArn=DEAD, DestinationArn=f"{ARN}one")
    queues.ended()

    both = queues.sqs.list_message_move_tasks(SourceArn=DEAD, MaxResults=10)["Results"]
    assert [task.get("DestinationArn") for task in both] == [f"{ARN}one", None]
    assert queues.sqs.list_message_move_tasks(SourceArn=DEAD)["Results"] == both[:1]


@pytest.mark.parametrize(
    ("params", "code", "told"),
    [
        ({"SourceArn": f"{ARN}gone"}, "ResourceNotFoundException", "for the SourceArn parameter doesn't exist"),
        ({"SourceArn": "dead"}, "ResourceNotFoundException", "for the SourceArn parameter doesn't exist"),
        ({"SourceArn": f"{ARN}one"}, "InvalidParameterValue", "must be configured as a Dead Letter Queue"),
        (
            {"SourceArn": DEAD, "DestinationArn": f"{ARN}gone"},
            "ResourceNotFoundException",
            "for the DestinationArn parameter doesn't exist",
        ),
        ({"SourceArn": DEAD, "DestinationArn": DEAD}, "InvalidParameterValue", "cannot be the same"),
        ({"SourceArn": DEAD, "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "between 1 and 500"),
        ({"SourceArn": DEAD, "MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue", "between 1 and 500"),
    ],
)
def test_what_cannot_be_moved_is_refused(queues: Queues, params: dict[str, Any], code: str, told: str) -> None:
    refused = refusal(queues.sqs.start_message_move_task, **params)
    assert refused[0] == code
    assert told in refused[1]


def test_fifo_queues_are_refused_and_lists_have_their_limits(queues: Queues) -> None:
    arn = f"{ARN}dead.fifo"
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    queues.sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})
    queues.sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true", "RedrivePolicy": redrive})

    assert refusal(queues.sqs.start_message_move_task, SourceArn=arn)[0] == "UnsupportedOperation"
    assert refusal(queues.sqs.list_message_move_tasks, SourceArn=DEAD, MaxResults=11)[0] == "InvalidParameterValue"
    assert queues.sqs.list_message_move_tasks(SourceArn=DEAD)["Results"] == []


def acting(cloud: Cloud, *statements: dict[str, Any]) -> Any:
    """An SQS client of an operator with just these permissions."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    arn = iam.create_role(RoleName="operator", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName="operator", PolicyName="own", PolicyDocument=policy)
    return cloud.assume_role(arn, service="sagemaker.amazonaws.com", session_name="on-call").client("sqs")


def allowed(actions: list[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


@pytest.mark.parametrize("missing", DEAD_PERMISSIONS)
def test_it_takes_every_permission_on_the_dead_letter_queue(cloud: Cloud, queues: Queues, missing: str) -> None:
    queues.fail("one", "a")
    sqs = acting(
        cloud, allowed([one for one in DEAD_PERMISSIONS if one != missing], DEAD), allowed(["sqs:*"], f"{ARN}one")
    )

    code, message = refusal(sqs.start_message_move_task, SourceArn=DEAD)

    assert code == "AccessDenied"
    assert f"not authorized to perform: {missing.lower()} on resource: {DEAD}" in message


def test_the_task_fails_where_its_owner_may_not_send(cloud: Cloud, queues: Queues) -> None:
    queues.fail("one", "a")
    queues.fail("two", "b")
    sqs = acting(cloud, allowed(DEAD_PERMISSIONS, DEAD), allowed(["sqs:SendMessage"], f"{ARN}one"))

    sqs.start_message_move_task(SourceArn=DEAD)

    task = queues.ended()
    assert (task["Status"], task["FailureReason"], task["ApproximateNumberOfMessagesMoved"]) == (
        "FAILED",
        "AccessDenied",
        1,
    )
    assert queues.bodies("one") == ["a"]
    assert refusal(sqs.start_message_move_task, SourceArn=DEAD, DestinationArn=f"{ARN}two")[0] == "AccessDenied"
    assert refusal(sqs.list_message_move_tasks, SourceArn=DEAD)[0] == "AccessDenied"


def test_the_key_of_an_encrypted_queue_is_needed_too(cloud: Cloud, queues: Queues) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    queues.sqs.set_queue_attributes(QueueUrl=queues.urls["dead"], Attributes={"KmsMasterKeyId": key})
    queues.fail("one", "a")
    sqs = acting(cloud, allowed(DEAD_PERMISSIONS, DEAD), allowed(["sqs:SendMessage"], f"{ARN}one"))

    sqs.start_message_move_task(SourceArn=DEAD)

    assert queues.ended()["FailureReason"] == "KMS.AccessDeniedException"
