"""Events that arrive at functions, topics and queues, under the policies there, or in a dead-letter queue."""

from __future__ import annotations

import json
import threading

import pytest

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.events import bus as bus_module

from .conftest import ACCOUNT_ID, REGION, SERVICE

SLOW_DOWN = AwsError("ThrottlingException", "Rate exceeded", 429)


def test_a_function_is_run_with_the_event_as_services_send_it(cloud, bus):
    bus.rule()
    bus.target(bus.function())
    bus.allow()
    made = bus.put(EndpointName="iris", EndpointStatus="IN_SERVICE")
    (event,) = bus.got()
    moment = event.pop("time")
    assert moment.endswith("Z")
    assert len(moment) == len("2026-01-02T03:04:05Z")
    assert event == {
        "version": "0",
        "id": made,
        "detail-type": "SageMaker Endpoint State Change",
        "source": "aws.sagemaker",
        "account": ACCOUNT_ID,
        "region": REGION,
        "resources": [f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:endpoint/iris"],
        "detail": {"EndpointName": "iris", "EndpointStatus": "IN_SERVICE"},
    }
    assert (bus.counted("TriggeredRules"), bus.counted("Invocations")) == (1, 1)
    assert bus.counted("FailedInvocations") is None
    ran = [entry for entry in cloud.journal.entries() if (entry.service, entry.operation) == ("lambda", "Invoke")]
    assert [entry.principal for entry in ran] == [SERVICE]


def test_nothing_runs_for_other_events_for_a_disabled_rule_or_after_its_end(bus):
    bus.rule({"source": ["aws.sagemaker"], "detail": {"EndpointName": [{"prefix": "dev-"}]}})
    bus.target(bus.function())
    bus.allow()
    bus.put(EndpointName="prod-iris")
    bus.events.disable_rule(Name="r")
    bus.put(EndpointName="dev-iris", n=1)
    bus.events.enable_rule(Name="r")
    bus.put(EndpointName="dev-iris", n=2)
    bus.events.remove_targets(Rule="r", Ids=["t"])
    bus.put(EndpointName="dev-iris", n=3)
    assert [event["detail"]["n"] for event in bus.got()] == [2]


def test_a_function_that_does_not_admit_the_rule_is_not_run_and_not_tried_again(bus):
    bus.rule()
    dead, dead_arn = bus.queue("dead")
    bus.target(bus.function(), DeadLetterConfig={"Arn": dead_arn})
    bus.put(n=1)
    bus.allow(rule="other")
    bus.put(n=2)
    assert bus.got() == []
    assert bus.counted("FailedInvocations") == 2
    assert bus.counted("InvocationsSentToDlq") == 2
    letters = bus.messages(dead)
    assert sorted(json.loads(letter["Body"])["detail"]["n"] for letter in letters) == [1, 2]
    told = {name: value["StringValue"] for name, value in letters[0]["MessageAttributes"].items()}
    assert told.pop("ERROR_MESSAGE").startswith(f"User: {SERVICE} is not authorized to perform: lambda:InvokeFunction")
    assert told == {
        "RULE_ARN": bus.rule_arn(),
        "TARGET_ARN": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:f",
        "ERROR_CODE": "NO_PERMISSIONS",
        "RETRY_ATTEMPTS": "0",
    }


def test_a_function_that_is_gone_leaves_a_dead_letter_and_a_queue_that_refuses_it_is_counted(bus):
    bus.rule()
    _, dead_arn = bus.queue("dead", admits=False)
    bus.target(bus.function(), DeadLetterConfig={"Arn": dead_arn})
    bus.allow()
    bus.lambdas.delete_function(FunctionName="f")
    bus.put(n=1)
    assert bus.counted("FailedInvocations") == 1
    assert bus.counted("InvocationsFailedToBeSentToDlq") == 1
    assert bus.counted("InvocationsSentToDlq") is None


def test_a_function_that_fails_has_taken_the_event_and_is_run_again_by_lambda(cloud, bus):
    bus.rule()
    bus.target(bus.function())
    bus.allow()
    bus.put(fail=True)
    assert len(bus.got()) == 1
    assert bus.counted("FailedInvocations") is None
    cloud.clock.advance(61)
    cloud.events.wait_until_delivered()
    assert len(bus.got()) == 2


def test_a_throttled_target_is_tried_again_by_the_clouds_clock(cloud, bus):
    url, arn = bus.queue("q")
    bus.rule()
    bus.target(arn)
    fault = cloud.faults.add("sqs", "SendMessage", error=SLOW_DOWN, times=9)
    bus.put(n=1)
    while fault.hits < 9:  # a second, two, four, … by now
        cloud.clock.advance(2 ** (fault.hits - 1) + 0.5)
        cloud.events.wait_until_delivered()
    cloud.clock.advance(200)
    cloud.events.wait_until_delivered()
    assert bus.messages(url) == []
    cloud.clock.advance(56.5)
    cloud.events.wait_until_delivered()
    assert [json.loads(message["Body"])["detail"] for message in bus.messages(url)] == [{"n": 1}]
    assert bus.counted("Invocations") == 1


@pytest.mark.parametrize(
    ("policy", "condition"),
    [
        ({"MaximumRetryAttempts": 0}, "MaximumRetryAttempts"),
        ({"MaximumEventAgeInSeconds": 60}, "MaximumEventAgeInSeconds"),
    ],
)
def test_retries_end_where_the_target_says(cloud, bus, policy, condition):
    _, arn = bus.queue("q")
    dead, dead_arn = bus.queue("dead")
    bus.rule()
    bus.target(arn, RetryPolicy=policy, DeadLetterConfig={"Arn": dead_arn})
    cloud.faults.add("sqs", "SendMessage", SLOW_DOWN, match=lambda call: call.params["QueueUrl"].endswith("/q"))
    bus.put(n=1)
    for _ in range(8):
        cloud.clock.advance(20)
        cloud.events.wait_until_delivered()
    (letter,) = bus.messages(dead)
    told = letter["MessageAttributes"]
    assert told["EXHAUSTED_RETRY_CONDITION"]["StringValue"] == condition
    assert told["ERROR_CODE"]["StringValue"] == "THROTTLING"


def test_a_topic_and_its_key_must_admit_events(cloud, bus):
    kms = cloud.client("kms")
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "kms:*",
            "Resource": "*"}  # fmt: skip
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [root]}))["KeyMetadata"]["Arn"]
    topic = bus.sns.create_topic(Name="page", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    publish = {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": "sns:Publish", "Resource": topic}
    bus.rule()
    bus.target(topic, InputPath="$.detail")
    bus.put(n=1)
    bus.sns.set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": [publish]}),
    )
    bus.put(n=2)
    assert cloud.messages == []
    assert bus.counted("FailedInvocations") == 2
    use = {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
           "Resource": "*"}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, use]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
    bus.put(n=3)
    (message,) = cloud.messages
    assert (message.topic_arn, message.principal, json.loads(message.message)) == (topic, SERVICE, {"n": 3})


def test_put_events_reaches_the_same_rules_and_entries_fail_one_by_one(cloud, bus):
    url, arn = bus.queue("q")
    bus.rule({"source": ["mine"]})
    bus.target(arn)
    answer = bus.events.put_events(
        Entries=[
            {"Source": "mine", "DetailType": "d", "Detail": '{"n": 1}', "Resources": ["a"]},
            {"Source": "mine", "Detail": "{}"},
            {"Source": "mine", "DetailType": "d", "Detail": "no JSON"},
            {"Source": "aws.sagemaker", "DetailType": "d", "Detail": "{}"},
        ]
    )
    cloud.events.wait_until_delivered()
    assert answer["FailedEntryCount"] == 3
    assert [entry.get("ErrorCode") for entry in answer["Entries"]] == [
        None,
        "InvalidArgument",
        "MalformedDetail",
        "NotAuthorizedForSource",
    ]
    (message,) = bus.messages(url)
    event = json.loads(message["Body"])
    assert (event["id"], event["detail"], event["resources"]) == (answer["Entries"][0]["EventId"], {"n": 1}, ["a"])


def test_events_of_another_region_set_off_no_rule_here(cloud, bus):
    url, arn = bus.queue("q")
    bus.rule({"source": ["mine"]})
    bus.target(arn)
    cloud.events.put(source="mine", detail_type="d", detail={}, region="us-east-1")
    cloud.events.wait_until_delivered()
    assert bus.messages(url) == []


def test_an_emptied_cloud_has_no_rules(cloud, bus):
    bus.rule()
    cloud.reset()
    assert cloud.client("events").list_rules()["Rules"] == []
    cloud.events.put(source="aws.sagemaker", detail_type="SageMaker Endpoint State Change", detail={})
    cloud.events.wait_until_delivered()


def test_a_delivery_that_is_under_way_has_ended_when_the_cloud_is_empty(bus, monkeypatch):
    """Or it would reach a queue of the same name that the next tenant makes."""
    _, arn = bus.queue("q")
    bus.rule()
    bus.target(arn)
    began, may_go, ended, deliver = threading.Event(), threading.Event(), [], bus_module.deliver

    def slow(*given):
        began.set()
        may_go.wait(10)
        ended.append(deliver(*given))

    monkeypatch.setattr(bus_module, "deliver", slow)
    bus.cloud.events.put(source="aws.sagemaker", detail_type="SageMaker Endpoint State Change", detail={})
    assert began.wait(10)
    threading.Timer(0.3, may_go.set).start()
    bus.cloud.reset()
    assert len(ended) == 1
