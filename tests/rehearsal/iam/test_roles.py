"""A role's permissions through the door: what is deployed decides, at the moment of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Principal

Refused = Callable[..., tuple[str, str]]
ALL_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def test_a_role_without_policies_is_refused_in_each_protocols_words(account: Any, refused: Refused) -> None:
    session = account.acting()
    arn = f"arn:aws:sts::{account.id}:assumed-role/reader/run"
    account.make_bucket()

    def worded(action: str, resource: str) -> str:
        return (
            f"User: {arn} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )

    place = f"{account.region}:{account.id}"
    topic = f"arn:aws:sns:{place}:t"
    asked: list[tuple[str, str, dict[str, Any], str, str]] = [
        ("s3", "put_object", {"Bucket": account.bucket, "Key": "k"}, "AccessDenied",
         worded("s3:PutObject", f'"arn:aws:s3:::{account.bucket}/k"')),
        ("sns", "publish", {"TopicArn": topic, "Message": "m"}, "AuthorizationError", worded("SNS:Publish", topic)),
        ("sqs", "list_queues", {}, "AccessDenied", worded("sqs:listqueues", "*")),
        ("iam", "get_role", {"RoleName": "reader"}, "AccessDenied",
         worded("iam:GetRole", f"arn:aws:iam::{account.id}:role/reader")),
        ("cloudwatch", "describe_alarms", {}, "AccessDenied", worded("cloudwatch:DescribeAlarms", "*")),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation",
         "You are not authorized to perform this operation. " + worded("ec2:DescribeVpcs", "*")),
        ("logs", "create_log_group", {"logGroupName": "/g"}, "AccessDeniedException",
         worded("logs:CreateLogGroup", f"arn:aws:logs:{place}:log-group:/g:log-stream:")),
        ("sagemaker", "describe_endpoint", {"EndpointName": "Iris"}, "AccessDeniedException",
         worded("sagemaker:DescribeEndpoint", f"arn:aws:sagemaker:{place}:endpoint/iris")),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "iris", "Body": b"{}"}, "AccessDeniedException",
         worded("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{place}:endpoint/iris")),
        ("ecr", "describe_repositories", {"repositoryNames": ["models"]}, "AccessDeniedException",
         worded("ecr:DescribeRepositories", f"arn:aws:ecr:{place}:repository/models")),
        ("application-autoscaling", "describe_scalable_targets", {"ServiceNamespace": "sagemaker"},
         "AccessDeniedException", worded("application-autoscaling:DescribeScalableTargets", "*")),
    ]  # fmt: skip
    for service, method, params, code, message in asked:
        assert refused(getattr(session.client(service), method), **params) == (code, message)


def test_the_http_status_is_that_of_the_protocol(account: Any) -> None:
    session = account.acting()
    account.make_bucket()

    def status(service: str, method: str, **params: Any) -> int:
        with pytest.raises(ClientError) as caught:
            getattr(session.client(service), method)(**params)
        return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]

    assert status("s3", "list_objects_v2", Bucket=account.bucket) == 403
    assert status("logs", "describe_log_groups") == 400
    assert status("sagemaker-runtime", "invoke_endpoint", EndpointName="iris", Body=b"{}") == 403


def test_inline_and_attached_policies_count_and_their_removal_too(account: Any, refused: Refused) -> None:
    account.make_bucket()
    client = account.acting().client("s3")
    asked = {"Bucket": account.bucket}
    account.grant(account.allow("s3:ListBucket"))
    assert client.list_objects_v2(**asked)["KeyCount"] == 0
    account.iam.delete_role_policy(RoleName="reader", PolicyName="own")
    assert refused(client.list_objects_v2, **asked)[0] == "AccessDenied"
    policy = account.iam.create_policy(
        PolicyName="lists", PolicyDocument=account.document(account.allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    account.iam.attach_role_policy(RoleName="reader", PolicyArn=policy)
    assert client.list_objects_v2(**asked)["KeyCount"] == 0
    account.iam.create_policy_version(
        PolicyArn=policy, PolicyDocument=account.document(account.allow("s3:GetObject")), SetAsDefault=True
    )
    assert refused(client.list_objects_v2, **asked)[0] == "AccessDenied"


def test_an_explicit_deny_is_named(account: Any, refused: Refused) -> None:
    account.make_bucket()
    client = account.acting(ALL_S3, account.deny("s3:ListBucket")).client("s3")
    assert refused(client.list_objects_v2, Bucket=account.bucket)[1].endswith(
        "with an explicit deny in an identity-based policy"
    )


def test_a_boundary_narrows_and_says_so(account: Any, refused: Refused) -> None:
    account.make_bucket()
    boundary = account.iam.create_policy(
        PolicyName="boundary", PolicyDocument=account.document(account.allow("s3:ListBucket"))
    )["Policy"]["Arn"]
    client = account.acting(ALL_S3, PermissionsBoundary=boundary).client("s3")
    assert client.list_objects_v2(Bucket=account.bucket)["KeyCount"] == 0
    code, message = refused(client.put_object, Bucket=account.bucket, Key="k")
    assert code == "AccessDenied"
    assert message.endswith("because no permissions boundary allows the s3:PutObject action")
    account.iam.delete_role_permissions_boundary(RoleName="reader")
    client.put_object(Bucket=account.bucket, Key="k")


def test_the_session_of_a_deleted_role_is_dead_also_when_the_role_is_made_again(account: Any, refused: Refused) -> None:
    account.make_bucket()
    client = account.acting(ALL_S3).client("s3")
    account.iam.delete_role_policy(RoleName="reader", PolicyName="own")
    account.iam.delete_role(RoleName="reader")
    assert refused(client.list_buckets)[0] == "InvalidClientTokenId"
    account.role(ALL_S3)
    assert refused(client.list_buckets)[0] == "InvalidClientTokenId"


def test_passing_a_role_needs_a_permission_of_its_own(account: Any, refused: Refused) -> None:
    execution = account.role(name="execution")
    client = account.acting(account.allow("sagemaker:*")).client("sagemaker")
    asked = {
        "ModelName": "m",
        "ExecutionRoleArn": execution,
        "PrimaryContainer": {"Image": f"{account.id}.dkr.ecr.{account.region}.amazonaws.com/r:1"},
    }
    code, message = refused(client.create_model, **asked)
    assert code == "AccessDeniedException"
    assert f"not authorized to perform: iam:PassRole on resource: {execution} because no identity-based" in message
    to_service = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    account.grant(account.allow("sagemaker:*"), account.allow("iam:PassRole", execution, Condition=to_service))
    assert "iam:PassRole" in refused(client.create_model, **asked)[1]
    to_service["StringEquals"]["iam:PassedToService"] = "sagemaker.amazonaws.com"
    account.grant(account.allow("sagemaker:*"), account.allow("iam:PassRole", execution, Condition=to_service))
    assert "iam:PassRole" not in str(_outcome(client.create_model, asked))


def _outcome(method: Callable[..., Any], params: dict[str, Any]) -> Any:
    """The answer or the error: whatever comes after the permission was given."""
    try:
        return method(**params)
    except ClientError as error:
        return error


def test_conditions_on_the_request_decide(account: Any, refused: Refused) -> None:
    only_own = {"StringEquals": {"cloudwatch:namespace": "Mainstage"}}
    client = account.acting(account.allow("cloudwatch:PutMetricData", Condition=only_own)).client("cloudwatch")
    data = [{"MetricName": "m", "Value": 1}]
    client.put_metric_data(Namespace="Mainstage", MetricData=data)
    assert refused(client.put_metric_data, Namespace="Other", MetricData=data)[0] == "AccessDenied"


def test_log_groups_are_named_with_their_streams_as_aws_asks(account: Any, refused: Refused) -> None:
    place = f"arn:aws:logs:{account.region}:{account.id}:log-group:/g"
    client = account.acting(account.allow("logs:CreateLogGroup", place)).client("logs")
    assert refused(client.create_log_group, logGroupName="/g")[0] == "AccessDeniedException"
    account.grant(account.allow("logs:CreateLogGroup", f"{place}:*"))
    client.create_log_group(logGroupName="/g")


def test_a_user_of_iam_is_let_in_by_its_key(account: Any, refused: Refused) -> None:
    account.make_bucket()
    account.iam.create_user(UserName="ann")
    account.iam.create_group(GroupName="people")
    account.iam.add_user_to_group(GroupName="people", UserName="ann")
    key = account.iam.create_access_key(UserName="ann")["AccessKey"]
    principal = account.cloud.principals.of(key["AccessKeyId"])
    assert principal == Principal(
        "user", f"arn:aws:iam::{account.id}:user/ann", account.id, context={"aws:username": "ann"}
    )
    client = account.cloud.session(principal).client("s3")
    assert refused(client.list_objects_v2, Bucket=account.bucket)[0] == "AccessDenied"
    own = account.allow("s3:ListBucket", Condition={"StringEquals": {"s3:prefix": "${aws:username}/"}})
    account.iam.put_group_policy(GroupName="people", PolicyName="p", PolicyDocument=account.document(own))
    assert client.list_objects_v2(Bucket=account.bucket, Prefix="ann/")["KeyCount"] == 0
    assert refused(client.list_objects_v2, Bucket=account.bucket, Prefix="bob/")[0] == "AccessDenied"


def test_an_unknown_key_is_refused(account: Any) -> None:
    with pytest.raises(AwsError) as caught:
        account.cloud.principals.of("AKIAUNKNOWNUNKNOWNUN")
    assert (caught.value.code, caught.value.status) == ("InvalidClientTokenId", 403)
    assert caught.value.message == "The security token included in the request is invalid"
