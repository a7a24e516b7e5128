"""Nothing is read or written over plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .resource import UNKNOWN, Resource, document
from .rule import About, Problem, ResourceRule
from .statements import covers, everybody, resources, statements

_WHY = "Keys and data that go over plain HTTP can be read by everything between client and AWS."


_PLAIN_HTTP = (
    {"Bool": {"aws:SecureTransport": "false"}},
    {"Bool": {"aws:SecureTransport": ["false"]}},
    {"Bool": {"aws:SecureTransport": False}},
)
"""As conditions are written. A second condition beside it would let others through."""


def _refuses_plain_http(policy: object, operations: tuple[str, ...]) -> bool:
    """Whether one statement denies everybody these operations where the connection is not TLS."""
    return any(
        statement.get("Effect") == "Deny"
        and everybody(statement)
        and statement.get("Condition") in _PLAIN_HTTP
        and all(covers(statement, operation) for operation in operations)
        and _covers_contents(statement)
        for statement in statements(policy)
    )


def _covers_contents(statement: Mapping[str, Any]) -> bool:
    """A bucket's ARN alone is not that of its objects."""
    named = resources(statement)
    return not any(arn.startswith("arn:aws") and ":s3:::" in arn for arn in named) or any(
        arn.endswith("/*") for arn in named
    )


def _judge(resource: Resource, operations: tuple[str, ...]) -> Iterator[Problem]:
    policy = document(resource.get("policy"))
    if policy is not UNKNOWN and not _refuses_plain_http(policy, operations):
        found = [statement.get("Sid", statement.get("Effect")) for statement in statements(policy)]
        yield Problem(
            "policy",
            found,
            f"a Deny of {' and '.join(operations)} for everybody where aws:SecureTransport is false",
        )


def _bucket(resource: Resource) -> Iterator[Problem]:
    return _judge(resource, ("s3:GetObject", "s3:PutObject"))


def _queue(resource: Resource) -> Iterator[Problem]:
    return _judge(resource, ("sqs:SendMessage", "sqs:ReceiveMessage"))


def _topic(resource: Resource) -> Iterator[Problem]:
    return _judge(resource, ("sns:Publish",))


RULES = (
    ResourceRule(
        About(
            "bucket-tls-only",
            "A bucket's policy refuses plain HTTP.",
            _WHY,
            "use SecureBucket, or add the Deny statement to the bucket's policy",
        ),
        ("aws:s3/bucketPolicy:BucketPolicy",),
        _bucket,
    ),
    ResourceRule(
        About(
            "queue-tls-only",
            "A queue's policy refuses plain HTTP.",
            _WHY,
            "add the Deny statement to the queue's policy",
        ),
        ("aws:sqs/queuePolicy:QueuePolicy",),
        _queue,
    ),
    ResourceRule(
        About(
            "topic-tls-only",
            "A topic's policy refuses plain HTTP.",
            _WHY,
            "add the Deny statement to the topic's policy",
        ),
        ("aws:sns/topicPolicy:TopicPolicy",),
        _topic,
    ),
)
