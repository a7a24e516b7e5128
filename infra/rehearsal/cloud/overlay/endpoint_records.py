"""What an endpoint is made of: its record, its fleets, and the variants that serve."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.model_host import ModelHost
from infra.rehearsal.cloud.overlay.data_capture import Capture
from infra.rehearsal.cloud.overlay.host_usage import Usage

if TYPE_CHECKING:
    import boto3

END_WAIT_SECONDS = 30.0
"""How long the end of an endpoint waits for what is still done for it."""
_GOLDEN_RATIO = 0.6180339887498949


class InFlight:
    """The calls that a variant is answering, so that an old fleet ends only after its last answer."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def enter(self) -> None:
        with self._changed:
            self.count += 1

    def leave(self) -> None:
        with self._changed:
            self.count -= 1
            self._changed.notify_all()

    def wait(self, timeout_seconds: float) -> None:
        """Until nothing is in flight, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self.count == 0, timeout_seconds)


@dataclass
class Variant:
    """One variant that is up: a model host, and what was made for it under the model's execution role."""

    config: Mapping[str, Any]
    """Its entry in the endpoint configuration."""
    weight: float
    instance_count: int
    host: ModelHost
    session: boto3.Session
    """A session of the execution role, as SageMaker took it when the fleet came up."""
    directory: Path
    image: str
    resolved_image: str
    resolved_at: datetime
    log_stream: str
    log_lock: threading.Lock = field(default_factory=threading.Lock)
    log_open: bool = False
    """Whether the log stream was made."""
    log_shipped: int = 0
    """Where the host's log is to be read on (ModelHost.log_since)."""
    network_interfaces: list[tuple[str, str]] = field(default_factory=list)
    """(network interface id, permission id), made in the model's subnets."""
    capture: Capture | None = None
    log_retry_at: datetime | None = None
    """Set after Logs refused lines: when to try again, by the cloud's clock."""
    usage: Usage | None = None
    """The last look at what the host's process uses."""
    calls: InFlight = field(default_factory=InFlight)

    @property
    def name(self) -> str:
        return self.config["VariantName"]

    @property
    def serverless(self) -> bool:
        return "ServerlessConfig" in self.config

    def summary(self) -> dict[str, Any]:
        """As DescribeEndpoint gives it."""
        images = [
            {
                "SpecifiedImage": self.image,
                "ResolvedImage": self.resolved_image,
                "ResolutionTime": self.resolved_at,
            }
        ]
        shared = {
            "VariantName": self.name,
            "DeployedImages": images,
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
        }
        if self.serverless:
            serverless = self.config["ServerlessConfig"]
            return {**shared, "CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
        summary = {
            **shared,
            "CurrentInstanceCount": self.instance_count,
            "DesiredInstanceCount": self.instance_count,
        }
        for member in ("ManagedInstanceScaling", "RoutingConfig"):
            if self.config.get(member) is not None:
                summary[member] = self.config[member]
        return summary


@dataclass
class Fleet:
    """The variants of one endpoint configuration that are up. Production variants keep the configuration's order."""

    config_name: str
    config: Mapping[str, Any]
    """The endpoint configuration as it was when the fleet came up: deleting it changes nothing here."""
    production: dict[str, Variant] = field(default_factory=dict)
    shadow: dict[str, Variant] = field(default_factory=dict)

    def variants(self) -> list[Variant]:
        return [*self.production.values(), *self.shadow.values()]


@dataclass
class Endpoint:
    """One endpoint. `lock` guards its fields; the fleet's hosts take many calls at once."""

    name: str
    arn: str
    region: str
    account_id: str
    config_name: str
    created: datetime
    modified: datetime
    take_down: Callable[[Endpoint, Fleet, bool], None]
    """Ends a fleet: (endpoint, fleet, whether what was made under the role is given back)."""
    status: str = "Creating"
    failure_reason: str = ""
    fleet: Fleet | None = None
    green: Fleet | None = None
    """The new fleet while a deployment moves traffic to it."""
    green_share: float = 0.0
    """Of the requests, how many the new fleet gets: 0 to 1."""
    routed: int = 0
    """Requests since the new fleet came up."""
    deployment_config: Mapping[str, Any] | None = None
    last_deployment_config: Mapping[str, Any] | None = None
    pending: Mapping[str, Any] | None = None
    """PendingDeploymentSummary while a deployment is under way."""
    threads: list[threading.Thread] = field(default_factory=list)
    """What is done for it now: a deployment, the end of an old fleet."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    ended: bool = False

    @property
    def log_group(self) -> str:
        return f"/aws/sagemaker/Endpoints/{self.name}"

    @property
    def log_group_arn(self) -> str:
        partition = self.arn.split(":")[1]
        return f"arn:{partition}:logs:{self.region}:{self.account_id}:log-group:{self.log_group}"

    def fleets(self) -> list[Fleet]:
        """What runs: the fleet that serves, and the new one beside it."""
        with self.lock:
            return [fleet for fleet in (self.fleet, self.green) if fleet is not None]

    def next_fleet(self) -> Fleet | None:
        """The fleet that takes the next request. SageMaker draws; here the share is spread evenly, by the golden
        ratio, so that a small canary gets its share in every minute and a run repeats."""
        if self.green is None:
            return self.fleet
        self.routed += 1
        return self.green if self.routed * _GOLDEN_RATIO % 1 < self.green_share else self.fleet

    def described(self) -> dict[str, Any]:
        """As DescribeEndpoint gives it."""
        with self.lock:
            answer: dict[str, Any] = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.config_name,
                "EndpointStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
            }
            if self.failure_reason:
                answer["FailureReason"] = self.failure_reason
            if self.last_deployment_config:
                answer["LastDeploymentConfig"] = self.last_deployment_config
            if self.pending:
                answer["PendingDeploymentSummary"] = self.pending
            if self.fleet is not None:
                answer |= _fleet_members(self.fleet)
            return answer

    def run(self, work: Callable[[], None]) -> None:
        """Does it in a thread of its own, which the end of the endpoint waits for."""
        thread = threading.Thread(target=work, name=f"mainstage-endpoint-{self.name}", daemon=True)
        with self.lock:
            self.threads = [*filter(threading.Thread.is_alive, self.threads), thread]
            thread.start()

    def wait(self, timeout_seconds: float) -> None:
        """Until nothing is done for it any more, but what this thread does, or the time is over."""
        deadline = time.monotonic() + timeout_seconds
        while (left := deadline - time.monotonic()) > 0:
            with self.lock:
                others = [each for each in self.threads if each.is_alive() and each is not threading.current_thread()]
            if not others:
                return
            others[0].join(left)

    def end(self) -> None:
        """Ends whatever runs, at the end of the cloud. Nothing is given back: the account goes with it."""
        with self.lock:
            self.ended = True
        self.wait(END_WAIT_SECONDS)
        with self.lock:
            fleets = self.fleets()
            self.fleet = self.green = None
        for fleet in fleets:
            self.take_down(self, fleet, False)


def _fleet_members(fleet: Fleet) -> dict[str, Any]:
    members: dict[str, Any] = {"ProductionVariants": [variant.summary() for variant in fleet.production.values()]}
    if fleet.shadow:
        members["ShadowProductionVariants"] = [variant.summary() for variant in fleet.shadow.values()]
    capture = fleet.config.get("DataCaptureConfig")
    if capture:
        members["DataCaptureConfig"] = {
            "EnableCapture": capture.get("EnableCapture", False),
            "CaptureStatus": "Started" if capture.get("EnableCapture", False) else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            # The service answers an empty string where no key was given (the member is required).
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    for member in ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig"):
        if fleet.config.get(member) is not None:
            members[member] = fleet.config[member]
    return members
