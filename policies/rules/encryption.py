"""Everything that is stored is encrypted with a key of the account, and keys are rotated."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule, must_be, must_be_given

_OWN_KEY = "the ARN of a KMS key of the account"
_WHY = "With a key of AWS's own nobody can say who may read the data, and nobody can take a reader's access away."

LOCAL_STORAGE = ("g4dn", "g5", "g6", "g6e", "p4d", "p4de", "p5", "p5e", "p5en", "m5d", "c5d", "r5d", "trn1")
"""Instance families with NVMe disks of their own, which AWS encrypts on the instance and for which it refuses a key:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html (KmsKeyId)"""


def _bucket(resource: Resource) -> Iterator[Problem]:
    rules = resource.get("rules")
    if rules is UNKNOWN:
        return
    if not items(rules):
        yield Problem("rules", rules, "a rule with aws:kms and a key")
    for index, _ in enumerate(items(rules)):
        default = ("rules", index, "applyServerSideEncryptionByDefault")
        yield from must_be(resource, "aws:kms", *default, "sseAlgorithm")
        yield from must_be_given(resource, *default, "kmsMasterKeyId", allowed=_OWN_KEY)
        yield from must_be(resource, True, "rules", index, "bucketKeyEnabled")


def _queue(resource: Resource) -> Iterator[Problem]:
    yield from must_be_given(resource, "kmsMasterKeyId", allowed=_OWN_KEY)


def _log_group(resource: Resource) -> Iterator[Problem]:
    yield from must_be_given(resource, "kmsKeyId", allowed=_OWN_KEY)


def _repository(resource: Resource) -> Iterator[Problem]:
    yield from must_be(resource, "KMS", "encryptionConfigurations", 0, "encryptionType")
    yield from must_be_given(resource, "encryptionConfigurations", 0, "kmsKey", allowed=_OWN_KEY)


def _stream(resource: Resource) -> Iterator[Problem]:
    yield from must_be(resource, "CUSTOMER_MANAGED_CMK", "serverSideEncryption", "keyType")
    if resource.get("extendedS3Configuration") is not None:
        yield from must_be_given(resource, "extendedS3Configuration", "kmsKeyArn", allowed=_OWN_KEY)


def _endpoint(resource: Resource) -> Iterator[Problem]:
    variants = items(resource.get("productionVariants")) + items(resource.get("shadowProductionVariants"))
    types = [variant.get("instanceType") for variant in variants if variant is not UNKNOWN]
    with_disks = [type_ for type_ in types if isinstance(type_, str) and _family(type_) not in LOCAL_STORAGE]
    if with_disks:
        yield from must_be_given(resource, "kmsKeyArn", allowed=_OWN_KEY)
    capture = resource.get("dataCaptureConfig", "enableCapture")
    if capture is not UNKNOWN and capture:
        yield from must_be_given(resource, "dataCaptureConfig", "kmsKeyId", allowed=_OWN_KEY)


def _family(instance_type: str) -> str:
    return instance_type.removeprefix("ml.").partition(".")[0]


def _workgroup(resource: Resource) -> Iterator[Problem]:
    result = ("configuration", "resultConfiguration", "encryptionConfiguration")
    yield from must_be(resource, "SSE_KMS", *result, "encryptionOption")
    yield from must_be_given(resource, *result, "kmsKeyArn", allowed=_OWN_KEY)
    yield from must_be(
        resource,
        True,
        "configuration",
        "enforceWorkgroupConfiguration",
        allowed="true: else a client chooses for itself",
    )


def _rotation(resource: Resource) -> Iterator[Problem]:
    # AWS rotates only these by itself.
    spec, usage = resource.get("customerMasterKeySpec"), resource.get("keyUsage")
    if spec in (None, "SYMMETRIC_DEFAULT") and usage in (None, "ENCRYPT_DECRYPT"):
        yield from must_be(resource, True, "enableKeyRotation")


RULES = (
    ResourceRule(
        About(
            "bucket-encrypted",
            "A bucket encrypts with a KMS key of the account and uses a bucket key.",
            f"{_WHY} Without a bucket key each object costs a call of KMS.",
            "use SecureBucket, or a BucketServerSideEncryptionConfiguration with kmsMasterKeyId and bucketKeyEnabled",
        ),
        ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",),
        _bucket,
    ),
    ResourceRule(
        About(
            "queue-encrypted",
            "A queue encrypts with a KMS key of the account.",
            _WHY,
            "set kmsMasterKeyId to the environment's key",
        ),
        ("aws:sqs/queue:Queue",),
        _queue,
    ),
    ResourceRule(
        About(
            "topic-encrypted",
            "A topic encrypts with a KMS key of the account.",
            f"{_WHY} Alarms cannot publish to a topic with AWS's own key.",
            "set kmsMasterKeyId to the environment's key",
        ),
        ("aws:sns/topic:Topic",),
        _queue,
    ),
    ResourceRule(
        About(
            "log-group-encrypted",
            "A log group encrypts with a KMS key of the account.",
            f"{_WHY} Logs hold parts of requests.",
            "set kmsKeyId to the environment's key, whose policy has to let the logs service use it",
        ),
        ("aws:cloudwatch/logGroup:LogGroup",),
        _log_group,
    ),
    ResourceRule(
        About(
            "repository-encrypted",
            "An image repository encrypts with a KMS key of the account.",
            f"{_WHY} The key of a repository cannot be changed later.",
            "set encryptionConfigurations to KMS with the environment's key",
        ),
        ("aws:ecr/repository:Repository",),
        _repository,
    ),
    ResourceRule(
        About(
            "stream-encrypted",
            "A delivery stream encrypts what it buffers and what it writes with a KMS key of the account.",
            f"{_WHY} A stream of predictions holds whole requests.",
            "set serverSideEncryption with keyType CUSTOMER_MANAGED_CMK, and extendedS3Configuration.kmsKeyArn",
        ),
        ("aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",),
        _stream,
    ),
    ResourceRule(
        About(
            "endpoint-encrypted",
            "An endpoint's disks and captured requests are encrypted with a KMS key of the account.",
            f"{_WHY} Families with disks of their own are left out: AWS encrypts those on the instance.",
            "set kmsKeyArn, and dataCaptureConfig.kmsKeyId where requests are captured",
        ),
        ("aws:sagemaker/endpointConfiguration:EndpointConfiguration",),
        _endpoint,
    ),
    ResourceRule(
        About(
            "query-results-encrypted",
            "A workgroup encrypts query results with a KMS key of the account, whatever a client asks for.",
            f"{_WHY} The results of a query are a copy of the data.",
            "set resultConfiguration.encryptionConfiguration to SSE_KMS and enforceWorkgroupConfiguration to true",
        ),
        ("aws:athena/workgroup:Workgroup",),
        _workgroup,
    ),
    ResourceRule(
        About(
            "key-rotated",
            "A key that encrypts data is rotated every year.",
            "A key that leaked once, unseen, would open everything for ever. AWS rotates no key of another kind.",
            "set enableKeyRotation to true",
        ),
        ("aws:kms/key:Key",),
        _rotation,
    ),
)
