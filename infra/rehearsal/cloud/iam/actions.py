"""From an operation to the IAM actions and resources that it needs.

Source: Service Authorization Reference. An operation that nothing here tells apart needs `<prefix>:<Operation>` on `*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam import s3_actions
from infra.rehearsal.cloud.iam.keys import key_arn, key_of_ciphertext
from infra.rehearsal.cloud.iam.message_moves import message_move
from infra.rehearsal.cloud.iam.need import Need
from infra.rehearsal.cloud.iam.service_actions import BY_OPERATION, BY_SERVICE, SPECIAL

_PREFIXES = {
    "amp": "aps",
    "apigatewayv2": "apigateway",
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "bedrock-runtime": "bedrock",
    "dynamodbstreams": "dynamodb",
    "efs": "elasticfilesystem",
    "elbv2": "elasticloadbalancing",
    "opensearch": "es",
    "resourcegroupstaggingapi": "tag",
    "s3control": "s3",
    "sagemaker-featurestore-runtime": "sagemaker",
    "sagemaker-runtime": "sagemaker",
    "service-quotas": "servicequotas",
    "sesv2": "ses",
    "stepfunctions": "states",
}
"""Prefixes of actions that are not botocore's service name."""

_ACTIONS = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeAsync"): "InvokeFunction",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
    ("sns", "PublishBatch"): "Publish",
    ("sqs", "SendMessageBatch"): "SendMessage",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
    ("dynamodb", "ExecuteStatement"): "PartiQLSelect",
    ("bedrock-runtime", "Converse"): "InvokeModel",
    ("bedrock-runtime", "ConverseStream"): "InvokeModelWithResponseStream",
}

_PASSED_ROLES: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("sagemaker", "CreateModel"): (("ExecutionRoleArn", "sagemaker.amazonaws.com"),),
    ("sagemaker", "CreateEndpointConfig"): (("ExecutionRoleArn", "sagemaker.amazonaws.com"),),
    ("sagemaker", "CreateTrainingJob"): (("RoleArn", "sagemaker.amazonaws.com"),),
    ("sagemaker", "CreateProcessingJob"): (("RoleArn", "sagemaker.amazonaws.com"),),
    ("sagemaker", "CreatePipeline"): (("RoleArn", "sagemaker.amazonaws.com"),),
    ("ec2", "CreateFlowLogs"): (("DeliverLogsPermissionArn", "vpc-flow-logs.amazonaws.com"),),
    ("lambda", "CreateFunction"): (("Role", "lambda.amazonaws.com"),),
    ("lambda", "UpdateFunctionConfiguration"): (("Role", "lambda.amazonaws.com"),),
    ("application-autoscaling", "RegisterScalableTarget"): (("RoleARN", "application-autoscaling.amazonaws.com"),),
    ("firehose", "CreateDeliveryStream"): (
        ("ExtendedS3DestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
        ("S3DestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
        ("IcebergDestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
    ),
    ("firehose", "UpdateDestination"): (("ExtendedS3DestinationUpdate.RoleARN", "firehose.amazonaws.com"),),
    ("glue", "CreateJob"): (("Role", "glue.amazonaws.com"),),
    ("glue", "CreateCrawler"): (("Role", "glue.amazonaws.com"),),
    ("events", "PutRule"): (("RoleArn", "events.amazonaws.com"),),
    ("events", "PutTargets"): (("Targets[].RoleArn", "events.amazonaws.com"),),
    ("scheduler", "CreateSchedule"): (("Target.RoleArn", "scheduler.amazonaws.com"),),
    ("stepfunctions", "CreateStateMachine"): (("roleArn", "states.amazonaws.com"),),
    ("logs", "PutSubscriptionFilter"): (("roleArn", "logs.amazonaws.com"),),
    ("eks", "CreateCluster"): (("roleArn", "eks.amazonaws.com"),),
}
"""Operations that hand a role to a service: the caller needs iam:PassRole on it (IAM User Guide, "Granting a user
permissions to pass a role to an AWS service"). Parameter path, service that gets it."""

OPEN = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "AssumeRole")}
"""No permission needed, or evaluated with the trust policy where the operation is answered."""


def prefix_of(service: str) -> str:
    """The prefix of a service's IAM actions."""
    return _PREFIXES.get(service, service)


def needed(call: Call) -> list[Need]:
    """Everything that the caller must be allowed for this call; all of it, not one."""
    if (call.service, call.operation) in OPEN:
        return []
    return [*_own(call), *_passed_roles(call)]


def _own(call: Call) -> list[Need]:
    if call.service == "s3":
        return s3_actions.needs(call)
    special = SPECIAL.get(call.service)
    if special is not None:
        return special(call)
    if (call.service, call.operation) == ("kms", "ReEncrypt"):
        return _re_encrypt(call)
    if call.service == "sqs" and "MessageMoveTask" in call.operation:
        return message_move(call)
    name = _ACTIONS.get((call.service, call.operation), call.operation)
    action = f"{prefix_of(call.service)}:{name}"
    resources = BY_OPERATION.get((call.service, call.operation)) or BY_SERVICE.get(call.service)
    found = resources(call) if resources is not None else ()
    return [Need(action, resource) for resource in found or ("*",)]


def _re_encrypt(call: Call) -> list[Need]:
    params = call.params
    source = params.get("SourceKeyId") or key_of_ciphertext(params["CiphertextBlob"])
    return [
        Need("kms:ReEncryptFrom", key_arn(call, source)),
        Need("kms:ReEncryptTo", key_arn(call, params["DestinationKeyId"])),
    ]


def _passed_roles(call: Call) -> list[Need]:
    return [
        Need("iam:PassRole", role_arn, {"iam:passedtoservice": (service,)})
        for path, service in _PASSED_ROLES.get((call.service, call.operation), ())
        for role_arn in _values(call.params, path)
    ]


def _values(params: Mapping[str, Any], path: str) -> list[str]:
    found: list[Any] = [params]
    for part in path.split("."):
        name, is_list, _ = part.partition("[]")
        found = [entry[name] for entry in found if isinstance(entry, Mapping) and entry.get(name)]
        if is_list:
            found = [item for entry in found for item in entry]
    return [str(entry) for entry in found]
