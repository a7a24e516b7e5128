"""What the release hooks know of a release: plain data, with nothing of Pulumi in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Optional

from ._autoscaling import Autoscaling
from ._endpoint_args import Resolved
from ._endpoint_plan import plan_endpoint
from ._release import Release
from .guard_alarms import guard_alarm_names

ROLLBACK_SECONDS = 3600
"""How long SageMaker may need to take a release back: as long as the provider waits for an endpoint."""


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """One release of an endpoint, as its component asks for it."""

    endpoint: str
    """Name of the endpoint."""
    region: str
    account_id: str
    model: str
    version: int
    configuration: str
    """Name of the endpoint configuration that is asked for."""
    declared: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Version by configuration name: what is asked for and what is kept."""
    variant: str
    instance_type: str
    instance_count: int
    alarms: tuple[str, ...]
    """Names of the guard alarms, the rollback configuration's."""
    minimum_requests: int
    """Requests in a minute below which the guards cannot judge."""
    longest_seconds: int
    """Longest that the deployment may take, rollback included."""
    runbook_base_url: str
    autoscaling: Optional[Autoscaling] = None

    @property
    def title(self) -> str:
        return f"model {self.model} version {self.version}"

    @property
    def runbook(self) -> str:
        return f"{self.runbook_base_url.rstrip('/')}/release-rolled-back.md"

    @property
    def status_command(self) -> str:
        return f"mainstage model status {self.model}"

    @property
    def retry_command(self) -> str:
        return f'mainstage model retry {self.model} --reason "…"'


def release_plan(resolved: Resolved, release: Release) -> ReleasePlan:
    """What the hooks of an endpoint need to know."""
    planned = plan_endpoint(resolved)
    return ReleasePlan(
        endpoint=resolved.endpoint_name,
        region=resolved.account.region,
        account_id=resolved.account.account_id,
        model=resolved.model_name,
        version=release.version,
        configuration=str(planned.identity["endpoint_config_name"]),
        declared={name: int(version) for version, name in planned.configuration_names.items()},
        variant=resolved.variant_name,
        instance_type=resolved.instance_type,
        instance_count=resolved.instance_count,
        alarms=tuple(guard_alarm_names(resolved.endpoint_name).values()),
        minimum_requests=resolved.minimum_requests,
        # A rollback takes its time after the deployment's own.
        longest_seconds=resolved.deployment.execution_seconds + ROLLBACK_SECONDS,
        runbook_base_url=resolved.runbook_base_url,
        autoscaling=resolved.autoscaling,
    )
