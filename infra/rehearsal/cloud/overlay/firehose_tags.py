"""Tags of delivery streams (Firehose API reference)."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import tag_list, tags_of
from infra.rehearsal.cloud.overlay.firehose_store import stream_named

MOST_TAGS = 50


@handler("firehose", "TagDeliveryStream")
def tag_delivery_stream(call: Call) -> dict[str, Any]:
    stream = stream_named(call)
    together = {**stream.tags, **tags_of(call.params["Tags"])}
    if len(together) > MOST_TAGS:
        raise AwsError(
            "LimitExceededException", f"The stream would have {len(together)} tags; {MOST_TAGS} are allowed."
        )
    stream.tags = together
    return {}


@handler("firehose", "UntagDeliveryStream")
def untag_delivery_stream(call: Call) -> dict[str, Any]:
    stream = stream_named(call)
    gone = set(call.params["TagKeys"])
    stream.tags = {key: value for key, value in stream.tags.items() if key not in gone}
    return {}


@handler("firehose", "ListTagsForDeliveryStream")
def list_tags_for_delivery_stream(call: Call) -> dict[str, Any]:
    """Tags by key, after ExclusiveStartTagKey."""
    after, limit = call.params.get("ExclusiveStartTagKey") or "", call.params.get("Limit") or MOST_TAGS
    tags = [tag for tag in tag_list(stream_named(call).tags) if tag["Key"] > after]
    return {"Tags": tags[:limit], "HasMoreTags": len(tags) > limit}
