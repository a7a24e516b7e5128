"""The policies that hang on resources, read from where they are stored at each call."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mainstage.runtime_presets import PRESETS
from moto.s3.models import FakeBucket, s3_backends

from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, parse
from infra.rehearsal.cloud.iam.keys import find_key

Document = str | dict[str, Any] | None

SERVICES = {"s3", "kms", "sns", "sqs", "ecr", "lambda"}
"""IAM prefixes of the services whose resources carry policies here."""


@dataclass(frozen=True)
class Attached:
    """What a resource says about who may use it."""

    policy: Policy | None
    account_id: str
    """The account that owns the resource; empty when the ARN does not tell and nothing is there."""
    decides: bool = False
    """True for KMS keys: nobody may use one whom its policy does not admit."""


NOTHING = Attached(None, "")


def attached_to(resource: str) -> Attached:
    """The policy of the resource that an action names; a wildcard or a resource without a policy has none."""
    parts = arns.split(resource)
    if parts is None:
        return NOTHING
    read = _READERS.get(parts.service)
    return read(parts) if read is not None else Attached(None, parts.account_id)


def find_bucket(name: str) -> FakeBucket | None:
    """The bucket with this name, in whatever account."""
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return None
    partition, account_id = owner
    return s3_backends[account_id][partition].buckets.get(name)


def find_topic(topic_arn: str) -> Any | None:
    """The SNS topic with this ARN."""
    parts = arns.split(topic_arn)
    backend = _backend("sns", parts.account_id, parts.region) if parts else None
    return backend.topics.get(topic_arn) if backend else None


def find_queue(queue_arn: str) -> Any | None:
    """The SQS queue with this ARN."""
    parts = arns.split(queue_arn)
    backend = _backend("sqs", parts.account_id, parts.region) if parts else None
    return backend.queues.get(parts.resource) if backend and parts else None


def _bucket(parts: arns.Arn) -> Attached:
    name = parts.resource.partition("/")[0]
    bucket = find_bucket(name)
    if bucket is None:
        return NOTHING
    return Attached(_read(bucket.policy.decode() if bucket.policy else None), bucket.account_id)


def _key(parts: arns.Arn) -> Attached:
    if not parts.resource.startswith("key/"):
        return Attached(None, parts.account_id)
    key = find_key(parts.account_id, parts.region, parts.resource.removeprefix("key/"))
    return Attached(_read(key.policy) if key else None, parts.account_id, decides=True)


def _topic(parts: arns.Arn) -> Attached:
    topic = find_topic(_joined(parts))
    return Attached(_read(topic.policy) if topic else None, parts.account_id)


def _queue(parts: arns.Arn) -> Attached:
    queue = find_queue(_joined(parts))
    return Attached(_read(queue.policy) if queue else None, parts.account_id)


def _repository(parts: arns.Arn) -> Attached:
    if _is_aws_image(parts):
        return Attached(_ANYONE_PULLS, parts.account_id)
    backend = _backend("ecr", parts.account_id, parts.region)
    found = backend.repositories.get(parts.resource.removeprefix("repository/")) if backend else None
    return Attached(_read(found.policy, PolicyKind.REPOSITORY) if found else None, parts.account_id)


_ANYONE_PULLS = parse(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
        },
    },
    PolicyKind.REPOSITORY,
)
"""The repositories of AWS's own images admit every account; the caller's identity must allow the pull."""


def _is_aws_image(parts: arns.Arn) -> bool:
    name = parts.resource.removeprefix("repository/")
    return any(
        preset.image_repository == name and preset.registry_accounts.get(parts.region) == parts.account_id
        for preset in PRESETS.values()
    )


def _function(parts: arns.Arn) -> Attached:
    kind, _, rest = parts.resource.partition(":")
    if kind != "function":
        return Attached(None, parts.account_id)
    from moto.awslambda.utils import get_backend  # tells which of moto's two Lambdas is in use; slow to import

    try:
        backend = get_backend(parts.account_id, parts.region)
    except KeyError:  # no such region
        return Attached(None, parts.account_id)
    found = backend._lambdas.get_arn(_joined(parts._replace(resource=f"function:{rest.partition(':')[0]}")))
    # moto hangs a permission without a qualifier on the bare ARN, as AWS does; one for an alias on the alias.
    statements = found.policy.statements if found is not None and found.policy else []
    document = {"Version": "2012-10-17", "Statement": statements} if statements else None
    return Attached(_read(document), parts.account_id)


_READERS: dict[str, Callable[[arns.Arn], Attached]] = {
    "s3": _bucket,
    "kms": _key,
    "sns": _topic,
    "sqs": _queue,
    "ecr": _repository,
    "lambda": _function,
}


def _read(document: Document, kind: PolicyKind = PolicyKind.RESOURCE) -> Policy | None:
    if not document:
        return None
    return parse(document if isinstance(document, str) else json.dumps(document), kind)


def _joined(parts: arns.Arn) -> str:
    return ":".join(("arn", *parts))


@functools.cache
def _backends(service: str) -> Any:
    return getattr(importlib.import_module(f"moto.{service}.models"), f"{service}_backends")


def _backend(service: str, account_id: str, region: str) -> Any | None:
    """moto's backend; None for a region that AWS does not have. Services are imported when first asked about."""
    try:
        return _backends(service)[account_id][region]
    except KeyError:
        return None
