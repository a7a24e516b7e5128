"""SageMaker's state in the emulated cloud: one object a cloud, tables by region and name."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.cloud.overlay.answers import arn
from infra.rehearsal.cloud.overlay.endpoint_guardrails import Watches
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint
from infra.rehearsal.cloud.overlay.endpoint_upkeep import Upkeep
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

Record = dict[str, Any]
Key = tuple[str, str]
"""Region and name; for a model package its ARN stands in the name's place."""

STARTUP_TIMEOUT_SECONDS = 60.0
"""How long a model host may take to answer its first ping where the variant does not say. AWS waits minutes, for
images to be pulled and machines to start; nothing of that happens here."""


class SageMaker:
    """What SageMaker holds. `lock` guards the tables; an endpoint has a lock of its own for its fleets."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.models: dict[Key, Record] = {}
        self.configs: dict[Key, Record] = {}
        self.endpoints: dict[Key, Endpoint] = {}
        self.groups: dict[Key, Record] = {}
        self.group_policies: dict[Key, str] = {}
        self.packages: dict[Key, Record] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.environments = PresetEnvironments()
        self.startup_timeout_seconds = STARTUP_TIMEOUT_SECONDS
        self.random = random.Random(cloud.seed)
        """Draws variants, shadow copies and captured requests; seeded, so that one thread's run repeats."""
        self.upkeep = Upkeep(cloud, self.live_endpoints)
        self.watches = Watches(self)
        """The deployments that wait in the cloud's time."""

    def live_endpoints(self) -> list[Endpoint]:
        with self.lock:
            return list(self.endpoints.values())

    def close(self) -> None:
        """Ends the upkeep and every fleet. What was captured and logged goes to its place first."""
        with self.lock:
            endpoints = list(self.endpoints.values())
            self.endpoints.clear()
        self.watches.close()
        self.upkeep.stop()
        for endpoint in endpoints:
            endpoint.end()


def sagemaker_of(cloud: Cloud) -> SageMaker:
    return state_of(cloud, SageMaker)


def not_found(kind: str, resource_arn: str) -> AwsError:
    """SageMaker's words for a model, endpoint or endpoint configuration that is not there.

    `kind` is "model", "endpoint" or "endpoint configuration". The Terraform provider recognises a deleted one by this
    text (internal/service/sagemaker/{endpoint,endpoint_configuration,model}.go).
    """
    return AwsError("ValidationException", f'Could not find {kind} "{resource_arn}".')


def already_there(kind: str, resource_arn: str) -> AwsError:
    """As SageMaker refuses a name that is taken (aws/sagemaker-python-sdk issue 101, for an endpoint)."""
    return AwsError("ValidationException", f'Cannot create already existing {kind} "{resource_arn}".')


def check_new(call: Call, table: dict[Key, Any], name: str, kind: str, resource: str) -> str:
    """The ARN of a resource that is about to be made; raises when the name is taken."""
    resource_arn = arn(call, f"{resource}/{name}")
    if (call.region, name) in table:
        raise already_there(kind, resource_arn)
    return resource_arn


def in_region(call: Call, table: dict[Key, Record]) -> Iterable[Record]:
    """The region's records. Others may change the table meanwhile."""
    return [record for (region, _), record in list(table.items()) if region == call.region]
