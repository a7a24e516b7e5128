"""Where AWS shows what functions and queues set. From the API references of Lambda and SQS, by hand."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from readback import IN_THE_CALL, At, Look, Row, Table, policy


def _function_name(arn: str) -> str:
    """The name in a function's ARN, whatever stands behind it."""
    return arn.partition(":function:")[2].partition(":")[0]


def _code_sha256(archive: Mapping[str, Any]) -> str:
    """What Lambda says of an archive of assets: a zip of its files by name, stored, of one time and one mode."""
    files = {
        name: Path(asset["path"]).read_bytes() if asset.get("path") else asset["text"].encode()
        for name, asset in archive["assets"].items()
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as written:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            written.writestr(entry, files[name])
    return base64.b64encode(hashlib.sha256(packed.getvalue()).digest()).decode()


def _statements(answer: Mapping[str, Any]) -> Any:
    return json.loads(answer["Policy"])["Statement"]


_FUNCTION = Look("lambda", "get_function", {"FunctionName": "{name}"})
_ALLOWED = Look("lambda", "get_policy", {"FunctionName": "{function}"}, "[?Sid=='{id}'] | [0]", _statements)
_MAPPING = Look("lambda", "get_event_source_mapping", {"UUID": "{id}"})

FUNCTIONS: Table = {
    "aws:lambda/function:Function": Row(
        _FUNCTION,
        {
            "architectures": "Configuration.Architectures",
            "code": At("Configuration.CodeSha256", asked=_code_sha256),
            "deadLetterConfig.targetArn": "Configuration.DeadLetterConfig.TargetArn",
            "description": "Configuration.Description",
            "environment.variables": "Configuration.Environment.Variables",
            "handler": "Configuration.Handler",
            "kmsKeyArn": "Configuration.KMSKeyArn",
            "loggingConfig.logFormat": "Configuration.LoggingConfig.LogFormat",
            "loggingConfig.logGroup": "Configuration.LoggingConfig.LogGroup",
            "memorySize": "Configuration.MemorySize",
            "name": "Configuration.FunctionName",
            "packageType": "Configuration.PackageType",
            "role": "Configuration.Role",
            "runtime": "Configuration.Runtime",
            "timeout": "Configuration.Timeout",
            "tracingConfig.mode": "Configuration.TracingConfig.Mode",
        },
        tags=Look("lambda", "list_tags", {"Resource": "{arn}"}, "Tags"),
        arn="Configuration.FunctionArn",
        implied={"Configuration.State": "Active", "Configuration.LastUpdateStatus": "Successful"},
    ),
    "aws:lambda/permission:Permission": Row(
        _ALLOWED,
        {
            "action": "Action",
            "function": At("Resource", found=_function_name),
            "principal": "Principal.Service",
            "sourceArn": 'Condition.ArnLike."AWS:SourceArn"',
        },
        implied={"Effect": "Allow"},
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Row(
        _MAPPING,
        {
            "batchSize": "BatchSize",
            "enabled": At("State", found=lambda state: {"Enabled": True, "Disabled": False}.get(state, state)),
            "eventSourceArn": "EventSourceArn",
            "functionName": At("FunctionArn", found=_function_name),
            "functionResponseTypes": "FunctionResponseTypes",
            "scalingConfig.maximumConcurrency": "ScalingConfig.MaximumConcurrency",
        },
        tags=Look("lambda", "list_tags", {"Resource": "{arn}"}, "Tags"),
        arn="EventSourceMappingArn",
    ),
}


def _number(attribute: str) -> At:
    """SQS writes every attribute as text."""
    return At(f"Attributes.{attribute}", found=int)


def _attributes(url: str) -> Look:
    return Look("sqs", "get_queue_attributes", {"QueueUrl": url, "AttributeNames": ["All"]})


QUEUES: Table = {
    "aws:sqs/queue:Queue": Row(
        _attributes("{id}"),
        {
            "delaySeconds": _number("DelaySeconds"),
            # A standard queue has no such attribute.
            "fifoQueue": At("Attributes.FifoQueue", found=lambda value: value == "true"),
            "kmsDataKeyReusePeriodSeconds": _number("KmsDataKeyReusePeriodSeconds"),
            "kmsMasterKeyId": "Attributes.KmsMasterKeyId",
            "maxMessageSize": _number("MaximumMessageSize"),
            "messageRetentionSeconds": _number("MessageRetentionPeriod"),
            "name": At("Attributes.QueueArn", found=lambda arn: arn.rpartition(":")[2]),
            "receiveWaitTimeSeconds": _number("ReceiveMessageWaitTimeSeconds"),
            "redriveAllowPolicy": policy("Attributes.RedriveAllowPolicy"),
            "redrivePolicy": policy("Attributes.RedrivePolicy"),
            "visibilityTimeoutSeconds": _number("VisibilityTimeout"),
        },
        tags=Look("sqs", "list_queue_tags", {"QueueUrl": "{id}"}, "Tags"),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Row(
        _attributes("{queueUrl}"), {"policy": policy("Attributes.Policy"), "queueUrl": IN_THE_CALL}
    ),
}
