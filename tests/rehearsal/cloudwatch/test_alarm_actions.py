"""What a change of state sets off: a page that arrives, or a history that says why not."""

from __future__ import annotations

import json

import pytest

from infra.rehearsal.cloud.overlay.alarm_store import alarms_of

ALARM_ARN = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:errors"


def statement(topic, **changes):
    return {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        **changes,
    }


class Pager:
    def __init__(self, cloud):
        self.cloud, self.cloudwatch, self.sns = cloud, cloud.client("cloudwatch"), cloud.client("sns")
        self.topic = self.sns.create_topic(Name="page")["TopicArn"]
        self.policy(statement(self.topic))

    def policy(self, *statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.sns.set_topic_attributes(TopicArn=self.topic, AttributeName="Policy", AttributeValue=document)

    def alarm(self, **changes):
        settings = {
            "AlarmName": "errors",
            "AlarmDescription": "runbook",
            "Namespace": "AWS/SageMaker",
            "MetricName": "Invocation5XXErrors",
            "Dimensions": [{"Name": "EndpointName", "Value": "iris"}],
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 3,
            "Threshold": 0.0,
            "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [self.topic],
            **changes,
        }
        self.cloudwatch.put_metric_alarm(**settings)

    def state(self, value):
        self.cloudwatch.set_alarm_state(AlarmName="errors", StateValue=value, StateReason="a drill")

    def actions(self):
        """Summaries and data of the actions that ran, newest first."""
        items = self.cloudwatch.describe_alarm_history(HistoryItemType="Action")["AlarmHistoryItems"]
        return [(item["HistorySummary"], json.loads(item["HistoryData"])) for item in items]


@pytest.fixture
def pager(cloud):
    return Pager(cloud)


def test_a_page_arrives_with_cloudwatchs_message(pager):
    pager.alarm()
    pager.state("ALARM")
    (message,) = pager.cloud.messages
    assert message.topic_arn == pager.topic
    assert message.subject == 'ALARM: "errors" in EU (Ireland)'
    assert message.principal == "cloudwatch.amazonaws.com"
    text = json.loads(message.message)
    assert (text["AlarmName"], text["AlarmDescription"], text["AlarmArn"]) == ("errors", "runbook", ALARM_ARN)
    assert (text["OldStateValue"], text["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert text["NewStateReason"] == "a drill"
    assert text["AlarmActions"] == [pager.topic]
    assert text["Region"] == "EU (Ireland)"
    assert text["Trigger"]["Dimensions"] == [{"value": "iris", "name": "EndpointName"}]
    assert text["Trigger"]["Statistic"] == "AVERAGE"
    ((summary, data),) = pager.actions()
    assert summary == f"Successfully executed action {pager.topic}"
    assert (data["actionState"], data["notificationResource"]) == ("Succeeded", pager.topic)


def test_it_reaches_a_queue_that_is_subscribed(pager):
    sqs = pager.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    document = {"Version": "2012-10-17", "Statement": [{**allowed, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(document)})
    pager.sns.subscribe(TopicArn=pager.topic, Protocol="sqs", Endpoint=arn)
    pager.alarm()
    pager.state("ALARM")
    (received,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(json.loads(received["Body"])["Message"])["AlarmName"] == "errors"


def test_only_a_change_pages_and_only_into_the_state_that_has_actions(pager):
    pager.alarm()
    pager.state("OK")
    assert pager.cloud.messages == []
    pager.state("ALARM")
    pager.state("ALARM")
    assert len(pager.cloud.messages) == 1
    pager.alarm(OKActions=[pager.topic])
    pager.state("OK")
    assert [message.subject for message in pager.cloud.messages] == [
        'ALARM: "errors" in EU (Ireland)',
        'OK: "errors" in EU (Ireland)',
    ]


def test_switched_off_actions_stay_silent(pager):
    pager.alarm()
    pager.cloudwatch.disable_alarm_actions(AlarmNames=["errors"])
    pager.state("ALARM")
    assert (pager.cloud.messages, pager.actions()) == ([], [])
    pager.state("OK")
    pager.cloudwatch.enable_alarm_actions(AlarmNames=["errors"])
    pager.state("ALARM")
    assert len(pager.cloud.messages) == 1


def test_a_topic_that_is_gone_shows_in_the_history(pager):
    pager.alarm()
    pager.sns.delete_topic(TopicArn=pager.topic)
    pager.state("ALARM")
    assert pager.cloud.messages == []
    ((summary, data),) = pager.actions()
    assert summary == f'Failed to execute action {pager.topic}. Received error: "Topic does not exist"'
    assert (data["actionState"], data["error"]) == ("Failed", "Topic does not exist")


def test_a_topic_whose_policy_does_not_admit_cloudwatch(pager):
    pager.alarm()
    pager.policy(statement(pager.topic, Principal={"AWS": "arn:aws:iam::111111111111:root"}))
    pager.state("ALARM")
    assert pager.cloud.messages == []
    ((summary, _),) = pager.actions()
    assert summary == (
        f'Failed to execute action {pager.topic}. Received error: "Resource: {ALARM_ARN} is not authorized to perform: '
        f'SNS:Publish on resource: {pager.topic}"'
    )


def test_the_policy_sees_the_alarm_and_the_account(pager):
    pager.alarm()
    other = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:other"
    pager.policy(statement(pager.topic, Condition={"ArnLike": {"aws:SourceArn": other}}))
    pager.state("ALARM")
    assert pager.cloud.messages == []
    both = {"ArnLike": {"aws:SourceArn": ALARM_ARN}, "StringEquals": {"aws:SourceAccount": "111111111111"}}
    pager.policy(statement(pager.topic, Condition=both))
    pager.state("OK")
    pager.state("ALARM")
    assert len(pager.cloud.messages) == 1


def test_an_encrypted_topic_needs_a_key_that_admits_cloudwatch(pager):
    kms = pager.cloud.client("kms")
    root = {
        "Effect": "Allow",
        "Action": "kms:*",
        "Resource": "*",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
    }
    service = {
        "Effect": "Allow",
        "Action": ["kms:GenerateDataKey*", "kms:Decrypt"],
        "Resource": "*",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
    }

    def policy(*statements):
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    key = kms.create_key(Policy=policy(root))["KeyMetadata"]["Arn"]
    pager.sns.set_topic_attributes(TopicArn=pager.topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
    pager.alarm()
    pager.state("ALARM")
    assert pager.cloud.messages == []
    ((summary, data),) = pager.actions()
    assert summary.startswith(f"Failed to execute action {pager.topic}. Received error: ")
    assert data["actionState"] == "Failed"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy(root, service))
    pager.state("OK")
    pager.state("ALARM")
    assert len(pager.cloud.messages) == 1


def test_an_action_that_is_no_topic_is_not_pretended(pager):
    action = "arn:aws:automate:eu-west-1:ec2:recover"
    pager.alarm(AlarmActions=[action, pager.topic])
    pager.state("ALARM")
    outcomes = {data["notificationResource"]: data["actionState"] for _, data in pager.actions()}
    assert outcomes == {action: "Failed", pager.topic: "Succeeded"}


def test_a_page_tells_of_its_own_change_also_when_the_alarm_has_changed_again(pager):
    """Another thread evaluates it before the action of the one that set it has run."""
    alarms = alarms_of(pager.cloud)
    pager.alarm(OKActions=[pager.topic])

    def back(region, name, value):
        if value == "ALARM":
            alarms.set_state(region, name, "OK", "evaluated", "")

    alarms.watchers.append(back)
    pager.state("ALARM")
    pages = [json.loads(each.message) for each in pager.cloud.messages]
    told = [(page["OldStateValue"], page["NewStateValue"], page["NewStateReason"]) for page in pages]
    assert sorted(told) == [("ALARM", "OK", "evaluated"), ("INSUFFICIENT_DATA", "ALARM", "a drill")]
