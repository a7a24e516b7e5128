"""Athena's state in the emulated cloud: workgroups, named queries, executions, and the threads that run them."""

from __future__ import annotations

import random
import shutil
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay.state import state_of
from infra.rehearsal.cloud.queries.storage import Cache

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud
    from infra.rehearsal.cloud.overlay.athena_execution import Execution

Record = dict[str, Any]
PRIMARY = "primary"
ENGINE = "Athena engine version 3"
AT_ONCE = 4
"""Queries that run at a time; more wait QUEUED. Athena's own number is a quota of the account."""


class Athena:
    """What Athena holds. Keys begin with the region."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.workgroups: dict[tuple[str, str], Record] = {}
        self.named: dict[tuple[str, str], Record] = {}
        self.executions: dict[tuple[str, str], Execution] = {}
        self.tokens: dict[tuple[str, str], tuple[Any, str]] = {}
        """By region and ClientRequestToken: what was asked, and the id that was given."""
        self.tags: dict[str, dict[str, str]] = {}
        self.random = random.Random(cloud.seed)
        self.folder = cloud.directory / "athena"
        self.cache = Cache(self.folder / "cache")
        self.pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="athena")

    def new_id(self) -> str:
        with self.lock:
            return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def close(self) -> None:
        """Cancels what runs and waits for it to have ended."""
        with self.lock:
            running = list(self.executions.values())
            self.executions.clear()
        for execution in running:
            execution.stop()
        self.pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def athena_of(cloud: Cloud) -> Athena:
    return state_of(cloud, Athena)


def invalid(message: str, code: str = "INVALID_INPUT") -> AwsError:
    """InvalidRequestException with AthenaErrorCode."""
    return AwsError("InvalidRequestException", message, 400, AthenaErrorCode=code)


def workgroup_arn(call: Call, name: str) -> str:
    from infra.rehearsal.cloud.overlay.answers import arn

    return arn(call, f"workgroup/{name}")


def workgroup(call: Call, name: str) -> Record:
    """The workgroup; `primary` is there from the start. InvalidRequestException when there is none."""
    athena = athena_of(call.cloud)
    with athena.lock:
        found = athena.workgroups.get((call.region, name))
        if found is None and name == PRIMARY:
            found = athena.workgroups[call.region, name] = {
                "Name": PRIMARY,
                "State": "ENABLED",
                "Configuration": with_defaults({"EnforceWorkGroupConfiguration": False}),
                "Description": "",
                "CreationTime": call.cloud.clock.now(),
            }
    if found is None:
        raise invalid(f"WorkGroup {name} is not found.", "WORKGROUP_NOT_FOUND")
    return found


def with_defaults(configuration: Record) -> Record:
    """A workgroup's configuration with what the service fills in (API reference, WorkGroupConfiguration; that
    EnforceWorkGroupConfiguration and PublishCloudWatchMetricsEnabled are true when left out is unconfirmed)."""
    return {
        "ResultConfiguration": {},
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": True,
        "RequesterPaysEnabled": False,
        "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": ENGINE},
        **configuration,
    }
