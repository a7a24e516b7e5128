"""Objects: internal/service/s3/object.go."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, Tagging, conflicts, step
from infra.rehearsal.provider.rows.buckets import empty_bucket
from infra.rehearsal.provider.tags import optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call, To
from infra.rehearsal.provider.values import asset_bytes, decode_base64

_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchBucket")
_HEADERS = frozenset(
    {
        "bucketKeyEnabled",
        "cacheControl",
        "checksumAlgorithm",
        "contentDisposition",
        "contentEncoding",
        "contentLanguage",
        "contentType",
        "kmsKeyId",
        "metadata",
        "serverSideEncryption",
        "storageClass",
        "websiteRedirect",
    }
)
_CONTENT = frozenset({"content", "contentBase64", "source"})
_PUT = Call(
    "s3",
    "PutObject",
    rules={
        "kmsKeyId": "SSEKMSKeyId",
        "websiteRedirect": "WebsiteRedirectLocation",
        "key": To("Key", via=lambda key: clean_key(key)),
    },
    only=frozenset({"bucket", "key", *_HEADERS}),
)
_MAX_TAGS = 10


def clean_key(key: str) -> str:
    """Doubled slashes and ./ go, as the provider cleans keys."""
    cleaned = posixpath.normpath(key).lstrip("/")
    return cleaned + "/" if key.endswith("/") else cleaned


def _body(inputs: Mapping[str, Any]) -> bytes:
    if inputs.get("source") is not None:
        return asset_bytes(inputs["source"])
    if inputs.get("content") is not None:
        return str(inputs["content"]).encode()
    if inputs.get("contentBase64") is not None:
        return decode_base64(str(inputs["contentBase64"]))
    return b""  # no content at all is an empty object


def _upload(op: Operation) -> None:
    params = op.params(_PUT)
    if params.get("SSEKMSKeyId"):
        params["ServerSideEncryption"] = "aws:kms"
    tags = op.wanted_tags()
    op.call(
        "s3",
        "PutObject",
        **params,
        Body=_body(op.inputs),
        **optional("Tagging", urllib.parse.urlencode(sorted(tags.items()))),
    )
    op.created(params["Key"])


def _read(op: Operation) -> Mapping[str, Any] | None:
    asked = {**op.state, **op.inputs}
    bucket, key = asked["bucket"], clean_key(asked.get("key") or op.id)
    head = op.found(lambda: op.call("s3", "HeadObject", Bucket=bucket, Key=key), *_GONE)
    if head is None:
        return None
    live = op.described("s3", "HeadObject", "", head, {"websiteRedirect": "WebsiteRedirectLocation"})
    tags = op.call("s3", "GetObjectTagging", Bucket=bucket, Key=key).get("TagSet")
    return (
        live
        | op.shown_tags(tag_map(tags))
        | {
            "acl": None,
            "arn": f"arn:{op.account.partition}:s3:::{bucket}/{key}",
            "bucket": bucket,
            "bucketKeyEnabled": bool(head.get("BucketKeyEnabled")),
            "checksumAlgorithm": asked.get("checksumAlgorithm"),
            "etag": str(head.get("ETag", "")).strip('"'),
            "key": asked.get("key") or op.id,
            "kmsKeyId": _own_key(op, head.get("SSEKMSKeyId")),
            "metadata": dict(head.get("Metadata") or {}),
            "storageClass": head.get("StorageClass") or "STANDARD",
            "versionId": head.get("VersionId") or "",
        }
    )


def _own_key(op: Operation, arn: str | None) -> str | None:
    """The object's key, unless it is the account's default aws/s3 key (which the provider looks up in KMS)."""
    if not arn:
        return None
    default = op.call("kms", "DescribeKey", KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    return None if arn == default else arn


def _delete(op: Operation) -> None:
    bucket, key = op.state["bucket"], clean_key(op.state.get("key") or op.id)
    if op.state.get("versionId"):
        try:
            empty_bucket(op, bucket, bypass=bool(op.state.get("forceDestroy")), key=key)
        except ApiError as error:
            if not error.is_code(*_GONE):
                raise
    else:
        op.gone(lambda: op.call("s3", "DeleteObject", Bucket=bucket, Key=key), *_GONE)


def _put_tags(op: Operation, _: Mapping[str, str]) -> None:
    if op.changed & (_HEADERS | _CONTENT | {"etag", "sourceHash"}):
        return  # the upload that follows carries them
    tag_set = {"TagSet": tag_list(op.wanted_tags())}
    op.call("s3", "PutObjectTagging", Bucket=op.inputs["bucket"], Key=clean_key(op.inputs["key"]), Tagging=tag_set)


def _object_rules(inputs: Inputs) -> Iterable[Problem]:
    for key in inputs.get("metadata") or {}:
        if key != key.lower():
            yield f"metadata.{key}", "metadata keys must be lower case"
    if len(inputs.get("tags") or {}) > _MAX_TAGS:
        yield "tags", f"an object takes at most {_MAX_TAGS} tags, default tags included"


OBJECT = Row(
    type="aws:s3/bucketObjectv2:BucketObjectv2",
    source="s3/object.go",
    label="S3 Object",
    create=_upload,
    read=_read,
    delete=_delete,
    calls=(_PUT,),
    # All content and header arguments upload again in place: a new version.
    steps=(step(_upload, *_HEADERS, *_CONTENT, "etag", "sourceHash"),),
    name=AutoName(field="key", prefix_field="", exact=True),
    force_new=frozenset({"bucket", "key"}),
    computed=frozenset(
        {
            "acl",
            "bucketKeyEnabled",
            "contentType",
            "etag",
            "kmsKeyId",
            "serverSideEncryption",
            "storageClass",
        }
    ),
    defaults={"forceDestroy": False},
    # Content is not read back: only etag or sourceHash find a change of a local file.
    state_only=frozenset({"content", "contentBase64", "source", "sourceHash", "forceDestroy"}),
    recomputed={
        "etag": _CONTENT | {"sourceHash", "kmsKeyId"},
        "versionId": _CONTENT | _HEADERS | {"sourceHash", "etag"},
    },
    rules=(
        conflicts("source", "content", "contentBase64"),
        conflicts("content", "contentBase64"),
        conflicts("etag", "kmsKeyId"),
        _object_rules,
    ),
    from_id=lambda id: (id.partition("/")[2], {"bucket": id.partition("/")[0], "key": id.partition("/")[2]}),
    tagging=Tagging(put=_put_tags, remove=lambda op, keys: _put_tags(op, {})),
)

ROWS = (OBJECT,)
