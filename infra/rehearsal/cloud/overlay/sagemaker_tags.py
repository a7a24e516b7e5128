"""Tags of SageMaker resources."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page, tag_list, tags_of
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

MOST_TAGS = 50
"""A resource's limit (API reference, AddTags)."""


@handler("sagemaker", "AddTags")
def add_tags(call: Call) -> dict[str, Any]:
    """Adds tags or overwrites their values. Answers all tags of the resource."""
    tags = _tags(call)
    together = {**tags, **tags_of(call.params["Tags"])}
    if len(together) > MOST_TAGS:
        raise AwsError(
            "ResourceLimitExceeded", f"The resource would have {len(together)} tags; {MOST_TAGS} are allowed."
        )
    tags.update(together)
    return {"Tags": tag_list(tags)}


@handler("sagemaker", "DeleteTags")
def delete_tags(call: Call) -> dict[str, Any]:
    tags = _tags(call)
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@handler("sagemaker", "ListTags")
def list_tags(call: Call) -> dict[str, Any]:
    """A resource's tags, 50 a page at most."""
    entries, token = page(tag_list(_tags(call)), call.params.get("NextToken"), call.params.get("MaxResults") or 50)
    return {"Tags": entries, **({"NextToken": token} if token else {})}


def _tags(call: Call) -> dict[str, str]:
    """The tags of the resource that the call names. The wording for a missing one is unconfirmed."""
    wanted = call.params["ResourceArn"]
    tags = sagemaker_of(call.cloud).tags.get(wanted)
    if tags is None:
        raise AwsError("ValidationException", f'Could not find resource "{wanted}".')
    return tags
