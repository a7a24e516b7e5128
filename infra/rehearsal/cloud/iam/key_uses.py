"""KMS keys that a call uses through another service: whose permission they need, and what AWS answers without it.

Sources: S3 User Guide, "Using server-side encryption with AWS KMS keys" and "Required permissions for Amazon S3 API
operations"; SNS Developer Guide, "Key management"; SQS Developer Guide, "Key management"; CloudWatch Logs User Guide,
"Encrypt log data"; ECR User Guide, "Encryption at rest"; SageMaker Developer Guide, "API permissions: actions,
permissions, and resources reference".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, s3_backends

from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.iam.resource_policies import find_bucket, find_queue, find_topic
from infra.rehearsal.cloud.iam.s3_actions import bucket_arn, copy_source, object_arn
from infra.rehearsal.cloud.iam.service_actions import BY_SERVICE

READ = ("kms:Decrypt",)
WRITE = ("kms:GenerateDataKey",)
WRITE_PARTS = ("kms:GenerateDataKey", "kms:Decrypt")
"""A multipart upload decrypts its data key again for each part."""

Words = Callable[[str, str], AwsError]
"""(kind of failure, AWS's sentence) -> the service's own error. Kinds: denied, disabled, pending, missing."""


@dataclass(frozen=True)
class KeyUse:
    """One key, the actions that the principal must be allowed on it, and how the service words a failure."""

    key: str
    actions: tuple[str, ...]
    principal: Principal
    via: str
    """kms:ViaService; empty for a service that uses the key as itself."""
    words: Words
    encryption_context: Mapping[str, str] = field(default_factory=dict)
    for_resource: bool = False
    """kms:GrantIsForAWSResource: the grant is made by the service on the caller's behalf."""


def key_uses(call: Call) -> list[KeyUse]:
    """The keys that this call uses besides what it names as a KMS call."""
    find = _BY_SERVICE.get(call.service)
    return find(call) if find is not None else []


# ---- S3


def _s3(call: Call) -> list[KeyUse]:
    params = call.params
    bucket = find_bucket(params.get("Bucket", ""))
    if bucket is None or "Key" not in params:
        return []
    key, version = params["Key"], params.get("VersionId", "")
    if call.operation in ("GetObject", "SelectObjectContent", "GetObjectAttributes"):
        return _s3_reads(call, bucket, key, version)
    if call.operation == "HeadObject" and params.get("ChecksumMode") == "ENABLED":
        return _s3_reads(call, bucket, key, version)
    if call.operation == "PutObject":
        return _s3_writes(call, bucket, WRITE)
    if call.operation == "CreateMultipartUpload":
        return _s3_writes(call, bucket, WRITE_PARTS)
    if call.operation in ("CopyObject", "UploadPartCopy"):
        source_bucket, source_key, source_version = copy_source(call)
        source = find_bucket(source_bucket)
        reads = _s3_reads(call, source, source_key, source_version) if source is not None else []
        actions = WRITE if call.operation == "CopyObject" else WRITE_PARTS
        return [*reads, *_s3_writes(call, bucket, actions)]
    if call.operation in ("UploadPart", "CompleteMultipartUpload"):
        return _s3_writes(call, bucket, WRITE_PARTS)
    return []


def _s3_reads(call: Call, bucket: FakeBucket, key: str, version: str) -> list[KeyUse]:
    found = stored_object(bucket, key, version)
    if found is None or not str(found.encryption or "").startswith("aws:kms") or not found.kms_key_id:
        return []
    return [_s3_use(call, bucket.name, key, found.kms_key_id, READ, by_bucket=_is_true(found.bucket_key_enabled))]


def _s3_writes(call: Call, bucket: FakeBucket, actions: tuple[str, ...]) -> list[KeyUse]:
    params = call.params
    default = (bucket.encryption or {}).get("Rule", {})
    default = default[0] if isinstance(default, list) else default
    by_default = default.get("ApplyServerSideEncryptionByDefault", {})
    upload = bucket.multiparts.get(params.get("UploadId", "")) if "UploadId" in params else None
    asked = params.get("ServerSideEncryption") or (upload.sse_encryption if upload is not None else None)
    algorithm = asked or by_default.get("SSEAlgorithm", "")
    if not str(algorithm).startswith("aws:kms"):
        return []
    key_id = params.get("SSEKMSKeyId") or (upload.kms_key_id if upload is not None else None)
    key_id = key_id or by_default.get("KMSMasterKeyID")
    if not key_id:  # AWS's own key, which everybody in the account may use through S3
        return []
    enabled = _is_true(params.get("BucketKeyEnabled", default.get("BucketKeyEnabled")))
    return [_s3_use(call, bucket.name, params["Key"], key_id, actions, by_bucket=enabled)]


def _is_true(value: Any) -> bool:
    """moto keeps the flag as it came: a boolean, or the text of a header or of XML."""
    return str(value).lower() == "true"


def stored_object(bucket: FakeBucket, key: str, version: str = "") -> FakeKey | None:
    """The object or the version; None when there is none or only its delete marker."""
    partition, account_id = s3_backends.bucket_accounts[bucket.name]
    found = s3_backends[account_id][partition].get_object(bucket.name, key, version_id=version or None)
    return found if isinstance(found, FakeKey) else None


def _s3_use(call: Call, bucket: str, key: str, key_id: str, actions: tuple[str, ...], *, by_bucket: bool) -> KeyUse:
    resource = bucket_arn(call, bucket) if by_bucket else object_arn(call, bucket, key)
    context = {"aws:s3:arn": resource}
    return KeyUse(key_id, actions, call.principal, f"s3.{call.region}.amazonaws.com", _s3_words, context)


def _s3_words(kind: str, text: str) -> AwsError:
    codes = {
        "disabled": "KMS.DisabledException",
        "pending": "KMS.KMSInvalidStateException",
        "missing": "KMS.NotFoundException",
    }
    return AwsError("AccessDenied", text, 403) if kind == "denied" else AwsError(codes[kind], text, 400)


# ---- SNS, SQS


def _sns(call: Call) -> list[KeyUse]:
    if call.operation not in ("Publish", "PublishBatch"):
        return []
    topic_arn = call.params.get("TopicArn") or call.params.get("TargetArn") or ""
    topic = find_topic(topic_arn)
    if topic is None or not topic.kms_master_key_id:
        return []
    via = "" if call.principal.kind == "service" else f"sns.{call.region}.amazonaws.com"
    context = {"aws:sns:topicArn": topic_arn}
    return [KeyUse(topic.kms_master_key_id, WRITE_PARTS, call.principal, via, _sns_words, context)]


def _sns_words(kind: str, text: str) -> AwsError:
    codes = {
        "denied": "KMSAccessDenied",
        "disabled": "KMSDisabled",
        "pending": "KMSInvalidState",
        "missing": "KMSNotFound",
    }
    return AwsError(codes[kind], text, 400)


def _sqs(call: Call) -> list[KeyUse]:
    sending = call.operation in ("SendMessage", "SendMessageBatch")
    if not sending and call.operation != "ReceiveMessage":
        return []
    queue_arn = next(iter(BY_SERVICE["sqs"](call)), "")
    queue = find_queue(queue_arn)
    key = getattr(queue, "kms_master_key_id", None)
    if not key:
        return []
    via = "" if call.principal.kind == "service" else f"sqs.{call.region}.amazonaws.com"
    actions = WRITE_PARTS if sending else READ
    return [KeyUse(key, actions, call.principal, via, _sqs_words, {"aws:sqs:queueArn": queue_arn})]


def _sqs_words(kind: str, text: str) -> AwsError:
    codes = {
        "denied": "KMS.AccessDeniedException",
        "disabled": "KMS.DisabledException",
        "pending": "KMS.InvalidStateException",
        "missing": "KMS.NotFoundException",
    }
    return AwsError(codes[kind], text, 400)


# ---- CloudWatch Logs, ECR, SageMaker

LOGS_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey")
"""What Logs does with a log group's key, under its own regional principal."""


def _logs(call: Call) -> list[KeyUse]:
    key = call.params.get("kmsKeyId")
    if call.operation not in ("CreateLogGroup", "AssociateKmsKey") or not key:
        return []
    group = f"arn:aws:logs:{call.region}:{call.account_id}:log-group:{call.params.get('logGroupName', '')}"
    service = Principal("service", f"logs.{call.region}.amazonaws.com", call.account_id)

    def words(kind: str, text: str) -> AwsError:
        # Logs does not tell a missing key from a policy that does not admit it.
        del kind, text
        sentence = f"The specified KMS key does not exist or is not allowed to be used with Arn '{group}'"
        return AwsError("AccessDeniedException", sentence, 400)

    return [KeyUse(key, LOGS_ACTIONS, service, "", words, {"aws:logs:arn": group})]


def _ecr(call: Call) -> list[KeyUse]:
    key = (call.params.get("encryptionConfiguration") or {}).get("kmsKey")
    if call.operation != "CreateRepository" or not key:
        return []
    actions = ("kms:DescribeKey", "kms:CreateGrant")
    return [_granting(call, key, actions, "ecr", "KmsException")]


def _sagemaker(call: Call) -> list[KeyUse]:
    if call.operation not in ("CreateEndpoint", "UpdateEndpoint"):
        return []
    key = _key_of_configuration(call)
    return [_granting(call, key, ("kms:CreateGrant",), "sagemaker", "AccessDeniedException")] if key else []


def _firehose(call: Call) -> list[KeyUse]:
    """Firehose makes itself a grant in the caller's name (API reference, DeliveryStreamEncryptionConfigurationInput).
    That a new stream is refused at once, as StartDeliveryStreamEncryption is, is unconfirmed."""
    key = (call.params.get("DeliveryStreamEncryptionConfigurationInput") or {}).get("KeyARN")
    if call.operation not in ("CreateDeliveryStream", "StartDeliveryStreamEncryption") or not key:
        return []
    return [_granting(call, key, ("kms:CreateGrant",), "firehose", "InvalidKMSResourceException")]


def _lambda(call: Call) -> list[KeyUse]:
    """Lambda makes itself a grant in the caller's name and encrypts the variables (developer guide, "Securing Lambda
    environment variables"). The wording is that of hashicorp/terraform-provider-aws issues."""
    key = call.params.get("KMSKeyArn")
    if call.operation not in ("CreateFunction", "UpdateFunctionConfiguration") or not key:
        return []

    def words(kind: str, text: str) -> AwsError:
        del kind
        sentence = (
            "Lambda was unable to configure access to your environment variables because the KMS key is invalid for"
            f" CreateGrant. Please check your KMS key settings. KMS Exception: {text}"
        )
        return AwsError("InvalidParameterValueException", sentence, 400)

    via = f"lambda.{call.region}.amazonaws.com"
    return [
        KeyUse(key, ("kms:CreateGrant",), call.principal, via, words, for_resource=True),
        KeyUse(key, ("kms:Encrypt",), call.principal, via, words),
    ]


def _key_of_configuration(call: Call) -> str:
    from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of  # the overlay imports this package

    config: dict[str, Any] = (
        sagemaker_of(call.cloud).configs.get((call.region, call.params["EndpointConfigName"])) or {}
    )
    return str(config.get("KmsKeyId") or "")


def _granting(call: Call, key: str, actions: tuple[str, ...], service: str, code: str) -> KeyUse:
    via = f"{service}.{call.region}.amazonaws.com"
    return KeyUse(key, actions, call.principal, via, lambda _, text: AwsError(code, text, 400), for_resource=True)


_BY_SERVICE: dict[str, Callable[[Call], list[KeyUse]]] = {
    "ecr": _ecr,
    "firehose": _firehose,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "sagemaker": _sagemaker,
    "sns": _sns,
    "sqs": _sqs,
}
