"""The event history: who did it, and when, as a runbook asks for it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.door import UNPARSED

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        },
    }
)


def somebody(cloud: Cloud) -> Any:
    """An SNS client of a role's session `jane` that may list topics and nothing else."""
    iam = cloud.client("iam")
    arn = iam.create_role(RoleName="console", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    allowed = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sns:ListTopics", "Resource": "*"}}
    iam.put_role_policy(RoleName="console", PolicyName="own", PolicyDocument=json.dumps(allowed))
    return cloud.assume_role(arn, service="lambda.amazonaws.com", session_name="jane").client("sns")


def events(cloud: Cloud, **options: Any) -> list[dict[str, Any]]:
    return cloud.client("cloudtrail").lookup_events(**options)["Events"]


def named(name: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}]}


def test_it_tells_who_did_what_also_when_it_was_refused(cloud: Cloud) -> None:
    sns = somebody(cloud)
    sns.list_topics()
    with pytest.raises(ClientError):
        sns.create_topic(Name="alerts")

    [listed] = events(cloud, **named("ListTopics"))
    [refused] = events(cloud, **named("CreateTopic"))

    assert (listed["Username"], listed["EventSource"], listed["ReadOnly"]) == ("jane", "sns.amazonaws.com", "true")
    assert (refused["Username"], refused["ReadOnly"]) == ("jane", "false")
    assert refused["Resources"] == [{"ResourceName": "alerts"}]
    record = json.loads(refused["CloudTrailEvent"])
    assert record["userIdentity"] == {"arn": "arn:aws:sts::111111111111:assumed-role/console/jane"}
    assert (record["errorCode"], record["requestParameters"]) == ("AuthorizationError", {"name": "alerts"})
    assert (record["eventID"], record["awsRegion"]) == (refused["EventId"], cloud.region)
    assert "errorCode" not in json.loads(listed["CloudTrailEvent"])


def test_newest_first_page_by_page_and_by_time(cloud: Cloud) -> None:
    sns = cloud.client("sns")
    for name in ("a", "b", "c"):
        sns.create_topic(Name=name)
        cloud.clock.advance(60)
    made = named("CreateTopic")

    pages = cloud.client("cloudtrail").get_paginator("lookup_events")
    found = [page["Events"] for page in pages.paginate(**made, PaginationConfig={"PageSize": 2})]
    assert [[event["Resources"][0]["ResourceName"] for event in each] for each in found] == [["c", "b"], ["a"]]
    times = [event["EventTime"] for each in found for event in each]
    within = events(cloud, **made, StartTime=times[1] - timedelta(seconds=1), EndTime=times[1] + timedelta(seconds=1))
    assert [event["Resources"][0]["ResourceName"] for event in within] == ["b"]
    by_resource = [{"AttributeKey": "ResourceName", "AttributeValue": "a"}]
    assert [event["EventName"] for event in events(cloud, LookupAttributes=by_resource)] == ["CreateTopic"]
    assert cloud.client("cloudtrail", "us-east-1").lookup_events(**made)["Events"] == []


def test_calls_on_data_are_not_in_it(cloud: Cloud) -> None:
    s3, sqs = cloud.client("s3"), cloud.client("sqs")
    s3.create_bucket(Bucket="b-of-tests", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    s3.put_object(Bucket="b-of-tests", Key="k", Body=b"x")
    s3.list_objects_v2(Bucket="b-of-tests")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    cloud.client("cloudwatch").put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1}])

    names = [event["EventName"] for event in events(cloud)]

    assert [name for name in names if name != "LookupEvents"] == ["CreateQueue", "CreateBucket"]


def test_lambdas_names_carry_their_dates(cloud: Cloud) -> None:
    with pytest.raises(ClientError):
        cloud.client("lambda").delete_function(FunctionName="gone")
    [event] = events(cloud, **named("DeleteFunction20150331"))
    assert event["EventSource"] == "lambda.amazonaws.com"


def test_a_service_that_acts_for_itself_is_told_as_the_one_that_invoked(cloud: Cloud) -> None:
    service = Principal("service", "config.amazonaws.com", cloud.account_id)
    with pytest.raises(AwsError):
        cloud.answer(Call(cloud, "sqs", "ListQueues", {}, cloud.region, service, UNPARSED))
    [event] = events(cloud, **named("ListQueues"))
    assert "Username" not in event
    identity = json.loads(event["CloudTrailEvent"])["userIdentity"]
    assert identity == {"type": "AWSService", "invokedBy": "config.amazonaws.com"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"MaxResults": 51}, "ValidationException"),
        ({"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "a"}] * 2},
         "InvalidLookupAttributesException"),
        ({"StartTime": "2026-01-02", "EndTime": "2026-01-01"}, "InvalidTimeRangeException"),
        ({"NextToken": "x"}, "InvalidNextTokenException"),
        ({"EventCategory": "insight"}, "NotCarried"),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(cloud: Cloud, options: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        events(cloud, **options)
    assert refused.value.response["Error"]["Code"] == code
