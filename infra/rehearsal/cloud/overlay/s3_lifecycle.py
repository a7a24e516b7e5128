"""S3 lifecycle rules come back as they were put. moto drops NewerNoncurrentVersions and the size filters inside And."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after
from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

MINIMUM_SIZE = "all_storage_classes_128K"
"""TransitionDefaultMinimumObjectSize where none is given (API reference, PutBucketLifecycleConfiguration)."""


class Lifecycles:
    """The configuration that was put last, by bucket."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.configurations: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Nothing runs here."""


@after("s3", "PutBucketLifecycleConfiguration")
def keep_lifecycle(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """Keeps what moto has accepted. A rule without an id gets one, as on AWS."""
    rules = copy.deepcopy(call.params["LifecycleConfiguration"]["Rules"])
    for position, rule in enumerate(rules):
        rule.setdefault("ID", stable_uuid(call.params["Bucket"], position))
    size = call.params.get("TransitionDefaultMinimumObjectSize", MINIMUM_SIZE)
    configuration = {"Rules": rules, "TransitionDefaultMinimumObjectSize": size}
    state_of(call.cloud, Lifecycles).configurations[call.params["Bucket"]] = configuration
    return {**output, "TransitionDefaultMinimumObjectSize": size}


@after("s3", "GetBucketLifecycleConfiguration")
def give_lifecycle(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """moto has said that there are rules; which ones is what was put."""
    kept = state_of(call.cloud, Lifecycles).configurations.get(call.params["Bucket"])
    return output if kept is None else {**output, **copy.deepcopy(kept)}
