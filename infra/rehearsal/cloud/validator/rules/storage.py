"""S3 buckets, SQS queues, SNS topics, Lambda sizes."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

BUCKET_POLICY_BYTES = 20 * 1024
INFREQUENT_ACCESS_DAYS = 30
_INFREQUENT_ACCESS = ("STANDARD_IA", "ONEZONE_IA")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@rule("s3", "CreateBucket")
def bucket_name(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""
    name = params.get("Bucket")
    if name is None:
        return
    if not _BUCKET.fullmatch(name) or ".." in name or _is_address(name):
        yield Finding(
            "Bucket",
            f"{shown(name)} is no bucket name: 3 to 63 characters of a-z, 0-9, '-' and '.', beginning and ending with a"
            " letter or a digit, no two dots in a row, no IP address",
        )
    elif name.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or name.endswith(
        ("-s3alias", "--ol-s3", ".mrap", "--x-s3")
    ):
        yield Finding("Bucket", f"{shown(name)} begins or ends as only AWS may name buckets")


@rule("s3", "PutBucketLifecycleConfiguration")
def lifecycle(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html"""
    rules = (params.get("LifecycleConfiguration") or {}).get("Rules") or []
    if len(rules) > 1000:
        yield Finding("LifecycleConfiguration.Rules", f"has {len(rules)} rules, at most 1000 are allowed")
    ids = [entry.get("ID") for entry in rules if entry.get("ID")]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield Finding("LifecycleConfiguration.Rules", f"has the rule id {name!r} more than once")
    for index, entry in enumerate(rules):
        yield from _lifecycle_rule(f"LifecycleConfiguration.Rules[{index}]", entry, partial)


def _lifecycle_rule(path: str, entry: Mapping[str, Any], partial: bool) -> Iterator[Finding]:
    transitions = [("Transitions", t, "Days") for t in entry.get("Transitions") or []]
    transitions += [
        ("NoncurrentVersionTransitions", t, "NoncurrentDays") for t in entry.get("NoncurrentVersionTransitions") or []
    ]
    for member, transition, unit in transitions:
        days, storage = transition.get(unit), transition.get("StorageClass")
        if storage in _INFREQUENT_ACCESS and days is not None and days < INFREQUENT_ACCESS_DAYS:
            yield Finding(f"{path}.{member}", f"moves to {storage} after {days} days, at least 30 are needed")
    expiration = entry.get("Expiration") or {}
    days = expiration.get("Days")
    if days is not None and days < 1:
        yield Finding(f"{path}.Expiration.Days", f"is {days}, at least 1 is needed")
    last = max((t.get("Days") or 0 for t in entry.get("Transitions") or []), default=0)
    if days is not None and last and days <= last:
        yield Finding(f"{path}.Expiration.Days", f"is {days}, and an object moves after {last}; it must be later")
    if sum(expiration.get(name) is not None for name in ("Date", "Days", "ExpiredObjectDeleteMarker")) > 1:
        yield Finding(f"{path}.Expiration", "takes one of Date, Days and ExpiredObjectDeleteMarker")
    actions = ("Expiration", "Transitions", "NoncurrentVersionTransitions", "NoncurrentVersionExpiration",
               "AbortIncompleteMultipartUpload")  # fmt: skip
    if not partial and not any(entry.get(name) for name in actions):
        yield Finding(path, f"does nothing: it needs one of {', '.join(actions)}")
    if entry.get("Filter") is not None and entry.get("Prefix") is not None:
        yield Finding(f"{path}.Prefix", "and Filter exclude each other")


@rule("s3", "PutBucketEncryption")
def encryption(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html"""
    rules = (params.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or []
    for index, entry in enumerate(rules):
        default = entry.get("ApplyServerSideEncryptionByDefault") or {}
        algorithm = default.get("SSEAlgorithm")
        if default.get("KMSMasterKeyID") and algorithm is not None and not algorithm.startswith("aws:kms"):
            yield Finding(
                f"ServerSideEncryptionConfiguration.Rules[{index}].ApplyServerSideEncryptionByDefault.KMSMasterKeyID",
                f"belongs to aws:kms, and SSEAlgorithm is {algorithm}",
            )


@rule("s3", "PutBucketPolicy")
def bucket_policy(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""
    policy = params.get("Policy")
    if policy is None:
        return
    if len(policy.encode()) > BUCKET_POLICY_BYTES:
        yield Finding("Policy", f"has {len(policy.encode())} bytes, at most {BUCKET_POLICY_BYTES} are allowed")
    try:
        json.loads(policy)
    except ValueError as error:
        yield Finding("Policy", f"is no JSON: {error}")


@rule("sqs", "CreateQueue")
def queue_name(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"""
    name = params.get("QueueName")
    if name is None:
        return
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}(?<!\.fifo)|[A-Za-z0-9_-]{1,75}\.fifo", name):
        yield Finding("QueueName", f"{shown(name)} is no queue name: 1 to 80 of A-Z, a-z, 0-9, '-' and '_'")
    is_fifo = (params.get("Attributes") or {}).get("FifoQueue") == "true"
    if name.endswith(".fifo") != is_fifo and not partial:
        yield Finding("QueueName", "ends with .fifo exactly when the attribute FifoQueue is true")


@rule("sns", "CreateTopic")
def topic_name(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html"""
    name = params.get("Name")
    if name is None:
        return
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo", name):
        yield Finding("Name", f"{shown(name)} is no topic name: 1 to 256 of A-Z, a-z, 0-9, '-' and '_'")


@rule("lambda", "CreateFunction", "UpdateFunctionConfiguration")
def function_size(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
    for name, least, most in (("MemorySize", 128, 10_240), ("Timeout", 1, 900)):
        value = params.get(name)
        if value is not None and not least <= value <= most:
            yield Finding(name, f"is {value}, allowed are {least} to {most}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
