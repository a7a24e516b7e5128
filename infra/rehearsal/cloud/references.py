"""References between resources: what a call names must exist.

moto checks few of them, so a table says which parameter of which operation names what. A missing thing is refused
with the code that AWS uses for that call, and the message names the parameter and the thing.

What lies in another account is nobody's to check here and passes. Where AWS accepts the call and fails later without
a word,
the rehearsal refuses at once and says so: a rehearsal that lets such a call pass proves nothing about the wiring.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.cloud import reference_kinds as kinds
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.reference_kinds import Kind

AWS_IS_SILENT = " AWS accepts this call and fails later in silence; the rehearsal refuses it here."


@dataclass(frozen=True)
class Reference:
    """One row: this parameter of this operation names a thing of this kind."""

    service: str
    operation: str
    path: str
    """As in "VpcConfig.Subnets[]"; a list is entered by [], a map's value by its key."""
    kind: Kind
    code: str = "ValidationException"
    status: int = 400
    silent: bool = False
    """AWS does not check this at the call."""


def _rows(
    service: str, operations: str, paths: Mapping[str, Kind], code: str, *, status: int = 400, silent: bool = False
) -> Iterator[Reference]:
    for operation in operations.split():
        for path, kind in paths.items():
            yield Reference(service, operation, path, kind, code, status, silent)


_S3_DESTINATION = {
    "RoleARN": kinds.ROLE,
    "BucketARN": kinds.BUCKET,
    "EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN": kinds.KEY,
    "CloudWatchLoggingOptions.LogGroupName": kinds.LOG_GROUP,
}
_CONVERSION = "ExtendedS3DestinationConfiguration.DataFormatConversionConfiguration"
_QUERY_RESULTS = {"OutputLocation": kinds.BUCKET, "EncryptionConfiguration.KmsKey": kinds.KEY}
_ALARM_ACTIONS = {name: kinds.ALARM_ACTION for name in ("AlarmActions[]", "OKActions[]", "InsufficientDataActions[]")}

TABLE: tuple[Reference, ...] = (
    *_rows(
        "sagemaker",
        "CreateModel",
        {
            "ExecutionRoleArn": kinds.ROLE,
            "VpcConfig.Subnets[]": kinds.SUBNET,
            "VpcConfig.SecurityGroupIds[]": kinds.SECURITY_GROUP,
        },
        "ValidationException",
    ),
    *_rows(
        "sagemaker",
        "CreateEndpointConfig",
        {
            "ExecutionRoleArn": kinds.ROLE,
            "KmsKeyId": kinds.KEY,
            "DataCaptureConfig.DestinationS3Uri": kinds.BUCKET,
            "DataCaptureConfig.KmsKeyId": kinds.KEY,
            "AsyncInferenceConfig.OutputConfig.S3OutputPath": kinds.BUCKET,
            "AsyncInferenceConfig.OutputConfig.NotificationConfig.SuccessTopic": kinds.TOPIC,
            "AsyncInferenceConfig.OutputConfig.NotificationConfig.ErrorTopic": kinds.TOPIC,
            "VpcConfig.Subnets[]": kinds.SUBNET,
            "VpcConfig.SecurityGroupIds[]": kinds.SECURITY_GROUP,
        },
        "ValidationException",
    ),
    *_rows("cloudwatch", "PutMetricAlarm PutCompositeAlarm", _ALARM_ACTIONS, "ValidationError", silent=True),
    *_rows("logs", "CreateLogGroup AssociateKmsKey", {"kmsKeyId": kinds.KEY}, "InvalidParameterException"),
    *_rows("logs", "PutSubscriptionFilter", {"roleArn": kinds.ROLE}, "InvalidParameterException"),
    *_rows(
        "logs",
        "PutMetricFilter PutSubscriptionFilter PutRetentionPolicy",
        {"logGroupName": kinds.LOG_GROUP},
        "ResourceNotFoundException",
    ),
    *_rows("sns", "CreateTopic", {"Attributes.KmsMasterKeyId": kinds.KEY}, "InvalidParameter", silent=True),
    *_rows(
        "sqs",
        "CreateQueue SetQueueAttributes",
        {"Attributes.KmsMasterKeyId": kinds.KEY},
        "InvalidAttributeValue",
        silent=True,
    ),
    *_rows(
        "s3",
        "PutBucketEncryption",
        {
            "ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault.KMSMasterKeyID": kinds.KEY,
        },
        "KMS.NotFoundException",
        silent=True,
    ),
    *_rows("s3", "PutObject CreateMultipartUpload CopyObject", {"SSEKMSKeyId": kinds.KEY}, "KMS.NotFoundException"),
    *_rows(
        "s3",
        "PutBucketReplication",
        {
            "ReplicationConfiguration.Role": kinds.ROLE,
            "ReplicationConfiguration.Rules[].Destination.Bucket": kinds.BUCKET,
            "ReplicationConfiguration.Rules[].Destination.EncryptionConfiguration.ReplicaKmsKeyID": kinds.KEY,
        },
        "InvalidRequest",
    ),
    *_rows(
        "s3",
        "PutBucketNotificationConfiguration",
        {
            "NotificationConfiguration.TopicConfigurations[].TopicArn": kinds.TOPIC,
            "NotificationConfiguration.QueueConfigurations[].QueueArn": kinds.QUEUE,
            "NotificationConfiguration.LambdaFunctionConfigurations[].LambdaFunctionArn": kinds.FUNCTION,
        },
        "InvalidArgument",
    ),
    *_rows(
        "s3",
        "PutBucketLogging",
        {"BucketLoggingStatus.LoggingEnabled.TargetBucket": kinds.BUCKET},
        "InvalidTargetBucketForLogging",
    ),
    *_rows("ecr", "CreateRepository", {"encryptionConfiguration.kmsKey": kinds.KEY}, "KmsException"),
    *_rows(
        "iam",
        "CreateRole PutRolePermissionsBoundary",
        {"PermissionsBoundary": kinds.POLICY},
        "NoSuchEntity",
        status=404,
    ),
    *_rows("ec2", "CreateRoute ReplaceRoute", {"NatGatewayId": kinds.NAT_GATEWAY}, "InvalidNatGatewayID.NotFound"),
    *_rows("ec2", "CreateRoute ReplaceRoute", {"GatewayId": kinds.GATEWAY}, "InvalidGatewayID.NotFound"),
    *_rows(
        "ec2",
        "CreateFlowLogs",
        {"DeliverLogsPermissionArn": kinds.ROLE, "LogDestination": kinds.FLOW_LOG_BUCKET},
        "InvalidParameter",
    ),
    *_rows("ec2", "CreateVpcEndpoint", {"VpcId": kinds.VPC}, "InvalidVpcId.NotFound"),
    *_rows("ec2", "CreateVpcEndpoint", {"SubnetIds[]": kinds.SUBNET}, "InvalidSubnetID.NotFound"),
    *_rows("ec2", "ModifyVpcEndpoint", {"AddSubnetIds[]": kinds.SUBNET}, "InvalidSubnetID.NotFound"),
    *_rows("ec2", "CreateVpcEndpoint", {"RouteTableIds[]": kinds.ROUTE_TABLE}, "InvalidRouteTableId.NotFound"),
    *_rows("ec2", "ModifyVpcEndpoint", {"AddRouteTableIds[]": kinds.ROUTE_TABLE}, "InvalidRouteTableId.NotFound"),
    *_rows("ec2", "CreateVpcEndpoint", {"SecurityGroupIds[]": kinds.SECURITY_GROUP}, "InvalidGroup.NotFound"),
    *_rows("ec2", "ModifyVpcEndpoint", {"AddSecurityGroupIds[]": kinds.SECURITY_GROUP}, "InvalidGroup.NotFound"),
    *_rows("ec2", "CreateNetworkInterface", {"Groups[]": kinds.SECURITY_GROUP}, "InvalidGroup.NotFound"),
    *_rows(
        "ec2",
        "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress",
        {"IpPermissions[].UserIdGroupPairs[].GroupId": kinds.SECURITY_GROUP},
        "InvalidGroup.NotFound",
    ),
    *_rows(
        "eks",
        "CreateCluster",
        {
            "roleArn": kinds.ROLE,
            "resourcesVpcConfig.subnetIds[]": kinds.SUBNET,
            "resourcesVpcConfig.securityGroupIds[]": kinds.SECURITY_GROUP,
            "encryptionConfig[].provider.keyArn": kinds.KEY,
            "computeConfig.nodeRoleArn": kinds.ROLE,
        },
        "InvalidParameterException",
    ),
    *_rows("eks", "CreateNodegroup", {"nodeRole": kinds.ROLE, "subnets[]": kinds.SUBNET}, "InvalidParameterException"),
    *_rows(
        "eks",
        "CreateFargateProfile",
        {"podExecutionRoleArn": kinds.ROLE, "subnets[]": kinds.SUBNET},
        "InvalidParameterException",
    ),
    *_rows(
        "eks",
        "CreatePodIdentityAssociation UpdatePodIdentityAssociation",
        {"roleArn": kinds.ROLE},
        "InvalidParameterException",
    ),
    *_rows("eks", "CreateAccessEntry", {"principalArn": kinds.PRINCIPAL}, "InvalidParameterException"),
    *_rows(
        "eks",
        "CreateAddon UpdateAddon",
        {"serviceAccountRoleArn": kinds.ROLE, "podIdentityAssociations[].roleArn": kinds.ROLE},
        "InvalidParameterException",
    ),
    *_rows(
        "eks",
        "CreateAccessEntry CreateAddon CreatePodIdentityAssociation",
        {"clusterName": kinds.CLUSTER},
        "ResourceNotFoundException",
        status=404,
    ),
    *_rows(
        "firehose",
        "CreateDeliveryStream",
        {
            **{f"ExtendedS3DestinationConfiguration.{path}": kind for path, kind in _S3_DESTINATION.items()},
            f"{_CONVERSION}.SchemaConfiguration.RoleARN": kinds.ROLE,
            "KinesisStreamSourceConfiguration.RoleARN": kinds.ROLE,
        },
        "InvalidArgumentException",
    ),
    *_rows(
        "firehose",
        "UpdateDestination",
        {f"ExtendedS3DestinationUpdate.{path}": kind for path, kind in _S3_DESTINATION.items()},
        "InvalidArgumentException",
    ),
    *_rows(
        "firehose",
        "CreateDeliveryStream StartDeliveryStreamEncryption",
        {"DeliveryStreamEncryptionConfigurationInput.KeyARN": kinds.KEY},
        "InvalidKMSResourceException",
    ),
    *_rows(
        "lambda",
        "CreateFunction UpdateFunctionConfiguration",
        {
            "KMSKeyArn": kinds.KEY,
            "DeadLetterConfig.TargetArn": kinds.QUEUE_OR_TOPIC,
            "VpcConfig.SubnetIds[]": kinds.SUBNET,
            "VpcConfig.SecurityGroupIds[]": kinds.SECURITY_GROUP,
        },
        "InvalidParameterValueException",
    ),
    *_rows(
        "apigatewayv2",
        "CreateRoute UpdateRoute",
        {"Target": kinds.INTEGRATION, "AuthorizerId": kinds.AUTHORIZER},
        "BadRequestException",
    ),
    *_rows(
        "apigatewayv2",
        "CreateStage UpdateStage",
        {"AccessLogSettings.DestinationArn": kinds.LOG_GROUP},
        "BadRequestException",
    ),
    *_rows(
        "events",
        "PutTargets",
        {
            "Targets[].Arn": kinds.TARGET,
            "Targets[].RoleArn": kinds.ROLE,
            "Targets[].DeadLetterConfig.Arn": kinds.QUEUE,
        },
        "ValidationException",
        silent=True,
    ),
    *_rows(
        "scheduler",
        "CreateSchedule UpdateSchedule",
        {"Target.Arn": kinds.TARGET, "Target.RoleArn": kinds.ROLE},
        "ValidationException",
    ),
    *_rows("stepfunctions", "CreateStateMachine", {"roleArn": kinds.ROLE}, "AccessDeniedException"),
    *_rows("sns", "Subscribe", {"Endpoint": kinds.SUBSCRIBER}, "InvalidParameter"),
    *_rows("glue", "CreateJob CreateCrawler", {"Role": kinds.ROLE}, "InvalidInputException"),
    *_rows(
        "athena",
        "CreateWorkGroup",
        {f"Configuration.ResultConfiguration.{path}": kind for path, kind in _QUERY_RESULTS.items()},
        "InvalidRequestException",
        silent=True,
    ),
    *_rows(
        "athena",
        "UpdateWorkGroup",
        {f"ConfigurationUpdates.ResultConfigurationUpdates.{path}": kind for path, kind in _QUERY_RESULTS.items()},
        "InvalidRequestException",
        silent=True,
    ),
    *_rows(
        "glue",
        "CreateTable UpdateTable",
        {"TableInput.StorageDescriptor.Location": kinds.BUCKET},
        "InvalidInputException",
        silent=True,
    ),
    *_rows("dynamodb", "CreateTable", {"SSESpecification.KMSMasterKeyId": kinds.KEY}, "ValidationException"),
    *_rows("secretsmanager", "CreateSecret", {"KmsKeyId": kinds.KEY}, "InvalidRequestException"),
)
"""Every reference that the emulated cloud checks. What the overlay owns (models, configurations, images, alarms of a
deployment) it checks itself."""


def check(call: Call) -> None:
    """Refuses a call that names something that is not there. Raises AwsError with everything that is missing."""
    missing: list[tuple[Reference, str]] = []
    for row in _BY_OPERATION.get((call.service, call.operation), ()):
        for path, value in values_at(call.params, row.path):
            if isinstance(value, str) and value and not row.kind.exists(call, value):
                text = f"{path} names the {row.kind.name} {value}, which does not exist"
                missing.append((row, text + (f".{AWS_IS_SILENT}" if row.silent else "")))
    if missing:
        row = missing[0][0]
        texts = "; ".join(text for _, text in missing)
        where = f"account {call.account_id}, region {call.region}"
        raise AwsError(row.code, f"{call.operation}: {texts} ({where})", row.status)


def values_at(params: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """(path with indices, value) of every value that a path of the table leads to."""
    yield from _walk(params, re.findall(r"[^.\[\]]+|\[\]", path), "")


def _walk(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
        return
    step, rest = steps[0], steps[1:]
    if step == "[]":
        for index, item in enumerate(value if isinstance(value, list) else ()):
            yield from _walk(item, rest, f"{path}[{index}]")
    elif isinstance(value, Mapping) and value.get(step) is not None:
        yield from _walk(value[step], rest, f"{path}.{step}" if path else step)


def _by_operation() -> Mapping[tuple[str, str], list[Reference]]:
    rows: dict[tuple[str, str], list[Reference]] = defaultdict(list)
    for row in TABLE:
        rows[row.service, row.operation].append(row)
    return dict(rows)


_BY_OPERATION = _by_operation()
