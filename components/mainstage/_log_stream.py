"""How records get into the bucket: the transform function and the Firehose stream with its role and its log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account
from ._lambda_function import (
    function_arn,
    function_log_group,
    function_role,
    function_role_name,
    runtime_function,
)
from ._log_names import LogNames
from ._log_tables import records_prefix
from ._policy import Statement, Text, join, via_service
from ._roles import ServiceRole, service_role
from .prediction_queries import TABLE

TRANSFORM_MODULES = ("emf", "record", "record_check", "redact", "settings", "transform", "values")
TRANSFORM_HANDLER = "mainstage_runtime.transform.handler"
TRANSFORM_TIMEOUT_SECONDS = 60
TRANSFORM_MEMORY_MIB = 512

LOG_STREAM = "delivery"
"""Stream of the delivery's log group: what Firehose could not do, and why."""

RETRY_SECONDS = 7200
"""How long a delivery to one partition's prefix is tried again; the most that Firehose takes.

What comes after, AWS does not say: "the period of time during which Firehose retries to deliver data to the specified
destination" (https://docs.aws.amazon.com/firehose/latest/APIReference/API_RetryOptions.html). Where S3 itself is the
destination "Firehose keeps retrying until the retention period ends", which is 24 hours for DirectPut; then the records
are lost (https://docs.aws.amazon.com/firehose/latest/dev/troubleshooting.html and …/retry.html). Should records go to
the error prefix after this time all the same (unconfirmed), they do so long after the alarm on late deliveries rang.
"""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What the stream is made for."""

    account: Account
    log_name: str
    model: str
    signature: Mapping[str, Any]
    bucket_arn: Text
    kms_key_arn: Text
    database_name: str
    buffer_seconds: int
    buffer_mib: int
    log_retention_days: int
    boundary: Optional[Text]
    deletion_protection: bool
    tags: Mapping[str, Text]

    @property
    def stream_name(self) -> str:
        return LogNames(self.log_name).stream

    @property
    def stream_arn(self) -> str:
        return self.account.arn("firehose", f"deliverystream/{self.stream_name}")

    @property
    def transform_name(self) -> str:
        return LogNames(self.log_name).transform

    @property
    def log_group_name(self) -> str:
        return f"/aws/kinesisfirehose/{self.stream_name}"


def rejected_prefix(log_name: str) -> str:
    """Where the records lie that could not be delivered, by what failed."""
    return f"rejected/{log_name}/"


def make_transform(name: str, delivery: Delivery, *, parent: pulumi.Resource) -> "aws.lambda_.Function":
    """Makes `<name>-transform-…`: the function that checks each record before it is stored."""
    child = f"{name}-transform"
    logs = function_log_group(
        child,
        parent=parent,
        function_name=delivery.transform_name,
        retention_days=delivery.log_retention_days,
        kms_key_arn=delivery.kms_key_arn,
        deletion_protection=delivery.deletion_protection,
        tags=delivery.tags,
    )
    role = function_role(
        child,
        parent=parent,
        account=delivery.account,
        function_name=delivery.transform_name,
        description=f"What the transform of the prediction log {delivery.log_name} may do",
        statements=[],
        boundary=delivery.boundary,
        tags=delivery.tags,
    )
    return runtime_function(
        child,
        parent=parent,
        function_name=delivery.transform_name,
        handler=TRANSFORM_HANDLER,
        modules=TRANSFORM_MODULES,
        config={"signature": delivery.signature},
        environment={"MAINSTAGE_LOG_NAME": delivery.log_name, "MAINSTAGE_MODEL": delivery.model},
        timeout_seconds=TRANSFORM_TIMEOUT_SECONDS,
        memory_mib=TRANSFORM_MEMORY_MIB,
        role=role,
        log_group=logs,
        kms_key_arn=delivery.kms_key_arn,
        description=f"Checks and stamps the prediction records of {delivery.log_name}",
        tags=delivery.tags,
    )


def delivery_statements(delivery: Delivery) -> list[Statement]:
    """What Firehose does under its role, each statement narrowed to this log.

    https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3 and #using-iam-glue
    """
    account = delivery.account
    prefixes = (records_prefix(delivery.log_name), rejected_prefix(delivery.log_name))
    files = [join(delivery.bucket_arn, f"/{prefix}*") for prefix in prefixes]
    function = function_arn(account, delivery.transform_name)
    table = f"{delivery.database_name}/{TABLE}"
    return [
        Statement(
            sid="WriteRecords",
            reason="files of records, and the rejects, are written under this role; large ones in parts",
            actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            resources=files,
        ),
        Statement(
            sid="LookAtBucket",
            reason="Firehose asks where the bucket lies, and which uploads it has begun there",
            actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
            resources=[delivery.bucket_arn],
        ),
        Statement(
            sid="EncryptRecords",
            reason="files are encrypted with this key; a file in parts is decrypted while it is put together",
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[delivery.kms_key_arn],
            conditions={
                **via_service("s3", account.region),
                # With a bucket key, as the predictions bucket has, the context is the bucket, else the file:
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/configuring-bucket-key.html
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": [delivery.bucket_arn, *files]},
            },
        ),
        Statement(
            sid="Transform",
            reason="each record passes the transform, and Firehose looks at the function's time-out first",
            actions=["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"],
            # The stream names the function with its qualifier; whoever looks at it names it without.
            resources=[function, f"{function}:$LATEST"],
        ),
        Statement(
            sid="ReadColumns",
            reason="records are turned into Parquet by the table's columns",
            actions=["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            resources=[
                account.arn("glue", "catalog"),
                account.arn("glue", f"database/{delivery.database_name}"),
                account.arn("glue", f"table/{table}"),
            ],
        ),
        Statement(
            sid="WriteOwnLogs",
            reason="what could not be delivered, and why, is written to the stream's own log",
            actions=["logs:PutLogEvents"],
            resources=[account.arn("logs", f"log-group:{delivery.log_group_name}:log-stream:{LOG_STREAM}")],
        ),
    ]


def make_stream(
    name: str,
    delivery: Delivery,
    *,
    transform: "aws.lambda_.Function",
    table: "aws.glue.CatalogTable",
    parent: pulumi.Resource,
) -> "aws.kinesis.FirehoseDeliveryStream":
    """Makes `<name>-stream` with `<name>-stream-logs`, `<name>-stream-log` and `<name>-stream-role`.

    Nothing that a release changes is among what replaces a stream: its name, its destination, dynamic partitioning.
    """
    logs = aws.cloudwatch.LogGroup(
        f"{name}-stream-logs",
        name=delivery.log_group_name,
        # Left out, logs are kept for ever.
        retention_in_days=delivery.log_retention_days,
        kms_key_id=delivery.kms_key_arn,
        log_group_class="STANDARD",
        tags=dict(delivery.tags),
        opts=pulumi.ResourceOptions(
            parent=parent, protect=delivery.deletion_protection, retain_on_delete=delivery.deletion_protection
        ),
    )
    log = aws.cloudwatch.LogStream(
        f"{name}-stream-log", name=LOG_STREAM, log_group_name=logs.name, opts=pulumi.ResourceOptions(parent=parent)
    )
    taken = _role(name, delivery, parent)
    return aws.kinesis.FirehoseDeliveryStream(
        f"{name}-stream",
        name=delivery.stream_name,
        destination="extended_s3",
        server_side_encryption={
            "enabled": True,
            "key_type": "CUSTOMER_MANAGED_CMK",
            "key_arn": delivery.kms_key_arn,
        },
        extended_s3_configuration={
            "role_arn": taken.role.arn,
            "bucket_arn": delivery.bucket_arn,
            "kms_key_arn": delivery.kms_key_arn,
            "prefix": _partitioned(records_prefix(delivery.log_name)),
            # Partition keys are not known of a record that was refused: the day is that of its arrival.
            "error_output_prefix": (
                f"{rejected_prefix(delivery.log_name)}!{{firehose:error-output-type}}/day=!{{timestamp:yyyy-MM-dd}}/"
            ),
            "buffering_interval": delivery.buffer_seconds,
            "buffering_size": delivery.buffer_mib,
            # The files are Parquet, which is compressed inside.
            "compression_format": "UNCOMPRESSED",
            "custom_time_zone": "UTC",
            "s3_backup_mode": "Disabled",
            "dynamic_partitioning_configuration": {"enabled": True, "retry_duration": RETRY_SECONDS},
            "processing_configuration": {
                "enabled": True,
                # Parameters at their default (3 retries, 1 MiB, 60 s) are not read back: written out, they would
                # differ in every preview. terraform-provider-aws, kinesis_firehose_delivery_stream
                "processors": [
                    {
                        "type": "Lambda",
                        "parameters": [
                            {"parameter_name": "LambdaArn", "parameter_value": join(transform.arn, ":$LATEST")}
                        ],
                    }
                ],
            },
            "data_format_conversion_configuration": {
                "enabled": True,
                "input_format_configuration": {
                    "deserializer": {
                        "open_x_json_ser_de": {
                            # Columns are in lower case; a key is found whatever its case.
                            "case_insensitive": True,
                            "convert_dots_in_json_keys_to_underscores": False,
                        }
                    }
                },
                "output_format_configuration": {"serializer": {"parquet_ser_de": {"compression": "SNAPPY"}}},
                "schema_configuration": {
                    "role_arn": taken.role.arn,
                    "database_name": delivery.database_name,
                    "table_name": table.name,
                    "region": delivery.account.region,
                    "version_id": "LATEST",
                },
            },
            "cloudwatch_logging_options": {
                "enabled": True,
                "log_group_name": logs.name,
                "log_stream_name": log.name,
            },
        },
        tags=dict(delivery.tags),
        opts=pulumi.ResourceOptions(
            parent=parent,
            # What was taken and not yet delivered goes with a stream.
            protect=delivery.deletion_protection,
            depends_on=[taken.policy],
        ),
    )


def _role(name: str, delivery: Delivery, parent: pulumi.Resource) -> ServiceRole:
    account = delivery.account
    return service_role(
        f"{name}-stream",
        parent=parent,
        role_name=function_role_name(f"{delivery.log_name}-delivery", account.region),
        service="firehose.amazonaws.com",
        account_id=account.account_id,
        # Firehose's guide has no condition on the stream's ARN in a trust policy; the account is bound.
        source_arn=None,
        description=f"What the stream of the prediction log {delivery.log_name} may do",
        statements=delivery_statements(delivery),
        boundary=delivery.boundary,
        tags=delivery.tags,
    )


def _partitioned(prefix: str) -> str:
    """The prefix of a record's partition: the transform says day and hour, from the record itself."""
    return f"{prefix}day=!{{partitionKeyFromLambda:day}}/hour=!{{partitionKeyFromLambda:hour}}/"
