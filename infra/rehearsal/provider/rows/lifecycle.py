"""Bucket lifecycle: internal/service/s3/bucket_lifecycle_configuration.go (plugin framework)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, step
from infra.rehearsal.provider.rows.buckets import NO_BUCKET
from infra.rehearsal.provider.tags import tag_list, tag_map
from infra.rehearsal.provider.translate import Call, To

_TAGS = To("Tags", via=tag_list, back=tag_map)
_RULES = {
    "rules": "LifecycleConfiguration.Rules",
    "rules.id": "ID",
    "rules.filter.and.tags": _TAGS,
}
_READ_RULES = {"rules": "Rules", "rules.id": "ID", "rules.filter.and.tags": _TAGS}
_PUT = Call(
    "s3",
    "PutBucketLifecycleConfiguration",
    rules=_RULES,
    only=frozenset({"bucket", "rules", "transitionDefaultMinimumObjectSize"}),
)
_DEFAULT_SIZE = "all_storage_classes_128K"


def _put(op: Operation) -> None:
    params = op.params(_PUT)
    for rule in params["LifecycleConfiguration"]["Rules"]:
        # A rule with neither filter nor prefix is one for the whole bucket.
        if not rule.get("Filter") and rule.get("Prefix") is None:
            rule["Filter"] = {"Prefix": ""}
    op.retry(
        lambda: op.call("s3", "PutBucketLifecycleConfiguration", **params),
        lambda error: error.is_code("NoSuchBucket"),
        "2 min",
    )
    wanted = {(rule.get("ID"), rule["Status"]) for rule in params["LifecycleConfiguration"]["Rules"]}
    # Compared by id and status alone, three times ten seconds apart on AWS.
    op.wait(
        lambda: "equal" if _live_rules(op) == wanted else "propagating",
        pending={"propagating"},
        target={"equal"},
        timeout_seconds=180,
        what=f"S3 Bucket Lifecycle Configuration ({op.inputs['bucket']})",
    )
    op.created(op.inputs["bucket"])


def _live_rules(op: Operation) -> set[tuple[Any, str]]:
    answer = op.call("s3", "GetBucketLifecycleConfiguration", Bucket=op.inputs["bucket"])
    return {(rule.get("ID"), rule["Status"]) for rule in answer.get("Rules") or []}


def _read(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(
        lambda: op.call("s3", "GetBucketLifecycleConfiguration", Bucket=op.id),
        *NO_BUCKET,
        "NoSuchLifecycleConfiguration",
    )
    if answer is None:
        return None
    live = op.described("s3", "GetBucketLifecycleConfiguration", "", answer, _READ_RULES)
    asked = op.inputs.get("transitionDefaultMinimumObjectSize") or op.state.get("transitionDefaultMinimumObjectSize")
    live["transitionDefaultMinimumObjectSize"] = (
        answer.get("TransitionDefaultMinimumObjectSize") or asked or _DEFAULT_SIZE
    )
    return {**live, "bucket": op.id, "expectedBucketOwner": ""}


def _delete(op: Operation) -> None:
    op.gone(lambda: op.call("s3", "DeleteBucketLifecycle", Bucket=op.id), *NO_BUCKET, "NoSuchLifecycleConfiguration")


def _has_rules(inputs: Inputs) -> Iterable[Problem]:
    if not inputs.get("rules"):
        yield "rules", "at least one rule is needed"


LIFECYCLE = Row(
    type="aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    source="s3/bucket_lifecycle_configuration.go",
    label="S3 Bucket Lifecycle Configuration",
    create=_put,
    read=_read,
    delete=_delete,
    calls=(_PUT,),
    steps=(step(_put, "rules", "transitionDefaultMinimumObjectSize"),),
    force_new=frozenset({"bucket", "expectedBucketOwner"}),
    computed=frozenset(
        {
            "rules.expiration.days",
            "rules.expiration.expiredObjectDeleteMarker",
            "rules.filter",
            "rules.filter.prefix",
            "rules.filter.and.prefix",
            "rules.filter.objectSizeGreaterThan",
            "rules.filter.objectSizeLessThan",
            "rules.prefix",
            "rules.transitions.days",
            "transitionDefaultMinimumObjectSize",
        }
    ),
    sets=frozenset({"rules.transitions", "rules.noncurrentVersionTransitions"}),
    state_only=frozenset({"timeouts"}),
    rules=(_has_rules,),
    framework=True,
)

ROWS = (LIFECYCLE,)
