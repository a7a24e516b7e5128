"""Rules and targets through the API: what is kept, what is refused, who may."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from .conftest import ACCOUNT_ID, REGION, STATE_CHANGES


def refusal(method, **params):
    with pytest.raises(ClientError) as caught:
        method(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_rule_reads_back_and_is_replaced_whole(bus):
    arn = bus.rule(Description="watches", Tags=[{"Key": "team", "Value": "ml"}])
    assert arn == bus.rule_arn()
    found = bus.events.describe_rule(Name="r")
    found.pop("ResponseMetadata")
    assert json.loads(found.pop("EventPattern")) == STATE_CHANGES
    assert found == {
        "Name": "r",
        "Arn": arn,
        "State": "ENABLED",
        "Description": "watches",
        "EventBusName": "default",
        "CreatedBy": ACCOUNT_ID,
    }
    bus.rule({"source": ["mine"]}, State="DISABLED", Tags=[{"Key": "team", "Value": "other"}])
    (listed,) = bus.events.list_rules(NamePrefix="r")["Rules"]
    assert (listed["State"], listed["EventPattern"]) == ("DISABLED", '{"source": ["mine"]}')
    assert "Description" not in listed
    assert bus.events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "ml"}]
    bus.events.enable_rule(Name="r")
    assert bus.events.describe_rule(Name="r")["State"] == "ENABLED"
    assert bus.events.list_rules(NamePrefix="q")["Rules"] == []


def test_tags_change(bus):
    arn = bus.rule()
    bus.events.tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    bus.events.untag_resource(ResourceARN=arn, TagKeys=["a"])
    assert bus.events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_targets_are_listed_replaced_and_removed(bus):
    bus.rule()
    _, queue = bus.queue("q")
    bus.target(queue, Input='{"a": 1}', RetryPolicy={"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60})
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == [
        {
            "Id": "t",
            "Arn": queue,
            "Input": '{"a": 1}',
            "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
        }
    ]
    bus.target(queue)
    assert bus.events.list_targets_by_rule(Rule="r")["Targets"] == [{"Id": "t", "Arn": queue}]
    assert bus.events.list_rule_names_by_target(TargetArn=queue)["RuleNames"] == ["r"]
    assert refusal(bus.events.delete_rule, Name="r") == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    bus.events.remove_targets(Rule="r", Ids=["t", "other"])
    bus.events.delete_rule(Name="r")
    bus.events.delete_rule(Name="r")
    assert refusal(bus.events.describe_rule, Name="r") == (
        "ResourceNotFoundException",
        "Rule r does not exist on EventBus default.",
    )
    assert refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "t", "Arn": queue}])[0] == (
        "ResourceNotFoundException"
    )


def test_a_rule_has_five_targets_at_most(bus):
    bus.rule()
    _, queue = bus.queue("q")
    six = [{"Id": str(number), "Arn": queue} for number in range(6)]
    assert refusal(bus.events.put_targets, Rule="r", Targets=six)[0] == "LimitExceededException"
    bus.events.put_targets(Rule="r", Targets=six[:5])
    assert len(bus.events.list_targets_by_rule(Rule="r")["Targets"]) == 5


def test_what_is_missing_is_named(bus):
    bus.rule()
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:gone"
    code, message = refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "t", "Arn": function}])
    assert code == "ValidationException"
    assert f"Targets[0].Arn names the target {function}, which does not exist" in message
    _, queue = bus.queue("q")
    lost = {"Id": "t", "Arn": queue, "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:gone"}}
    code, message = refusal(bus.events.put_targets, Rule="r", Targets=[lost])
    assert "Targets[0].DeadLetterConfig.Arn names the SQS queue" in message


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({}, "ValidationException", "EventPattern: or ScheduleExpression must be given"),
        ({"EventPattern": '{"source": "a"}'}, "InvalidEventPatternException",
         'Event pattern is not valid. Reason: "source" must be an object or an array'),
        ({"EventPattern": '{"source": [{"wildcard": "a*"}]}'}, "NotCarried", "patterns with wildcard"),
        ({"ScheduleExpression": "rate(1 minute)"}, "NotCarried", "rules on a schedule"),
        ({"EventPattern": '{"source": ["a"]}', "EventBusName": "own"}, "ResourceNotFoundException",
         "Event bus own does not exist."),
    ],
)  # fmt: skip
def test_rules_that_are_refused(bus, settings, code, words):
    found = refusal(bus.events.put_rule, Name="r", **settings)
    assert found[0] == code
    assert words in found[1]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"Input": "{}", "InputPath": "$.detail"}, "has Input and InputPath; only one of"),
        ({"Input": "hello"}, "Targets[0].Input: is no JSON text"),
        ({"InputPath": "$.detail[*]"}, "Targets[0].InputPath: is no path"),
        ({"DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:q.fifo"}}, "is a FIFO queue"),
        ({"InputTransformer": {"InputPathsMap": {"AWSx": "$.a"}, "InputTemplate": '"<AWSx>"'}}, "AWS is reserved"),
    ],
)
def test_targets_that_are_refused(bus, target, words):
    bus.rule()
    _, queue = bus.queue("q")
    code, message = refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "t", "Arn": queue, **target}])
    assert code == "ValidationException"
    assert words in message


def test_what_is_not_carried_says_so(bus):
    bus.rule()
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT_ID}:stream/s"
    assert refusal(bus.events.put_targets, Rule="r", Targets=[{"Id": "t", "Arn": stream}])[0] == "NotCarried"
    assert refusal(bus.events.create_event_bus, Name="own")[0] == "NotCarried"


def test_patterns_can_be_tried(bus):
    event = json.dumps({"id": "1", "source": "aws.sagemaker", "detail-type": "SageMaker Endpoint State Change"})
    ask = bus.events.test_event_pattern
    assert ask(EventPattern=json.dumps(STATE_CHANGES), Event=event)["Result"] is True
    assert ask(EventPattern='{"source": ["other"]}', Event=event)["Result"] is False


def test_a_role_needs_the_action_on_the_rule_and_may_be_held_to_targets(cloud, bus):
    bus.rule()
    _, queue = bus.queue("q")
    _, other = bus.queue("other")
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allowed = {
        "Effect": "Allow",
        "Action": "events:PutTargets",
        "Resource": bus.rule_arn(),
        "Condition": {"ArnEquals": {"events:TargetArn": queue}},
    }
    own = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*",
           "Condition": {"StringEquals": {"events:source": "mine"}}}  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed, own]})
    iam.put_role_policy(RoleName="deployer", PolicyName="own", PolicyDocument=policy)
    events = cloud.assume_role(role, service="codebuild.amazonaws.com", session_name="x").client("events")

    events.put_targets(Rule="r", Targets=[{"Id": "t", "Arn": queue}])
    assert refusal(events.put_targets, Rule="r", Targets=[{"Id": "t", "Arn": other}])[0] == "AccessDeniedException"
    assert refusal(events.delete_rule, Name="r")[0] == "AccessDeniedException"
    entry = {"Source": "mine", "DetailType": "d", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    assert refusal(events.put_events, Entries=[{**entry, "Source": "theirs"}])[0] == "AccessDeniedException"
