"""Dashboard: what a model, or a whole environment, looks like now.

Without a front door it shows each model in full; with one, it is the overview of an environment: the front door's API,
and a line a model. It takes what other components hand out and rebuilds no name of theirs.
"""

import json
from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account
from ._dashboard_body import Endpoint, Shown, ShownApi, ShownModel, dashboard_body, excess
from ._front_door_identity import FrontDoorIdentity, read_door
from ._lambda_function import FUNCTION_NAME
from ._log_identity import PredictionLogIdentity, read_log_identity
from ._log_names import LogNames
from ._patterns import HTTPS_URL, RESOURCE_NAME, Pattern
from ._policy import holds_output
from ._resolve import Reader
from .guard_alarms import EndpointIdentity

_DASHBOARD_NAME = Pattern(
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    r"[0-9A-Za-z_-]+",
    "a name of letters, digits, _ and -, up to 255 characters",
    maximum=255,
)
_ALARM_NAME = Pattern(r"\S(.*\S)?", "an alarm's name, up to 255 characters", maximum=255)
_VERSION = Pattern(r"[1-9]\d{0,4}", "a version: a whole number from 1 on")
_WORKGROUP_NAME = Pattern(r"[a-zA-Z0-9._-]+", "a name of letters, digits and . _ -", maximum=128)


class DashboardModelArgs(TypedDict):
    """A model as a dashboard shows it."""

    model: str
    """Name of the model in the catalog."""
    log: PredictionLogIdentity
    """Its prediction log, as PredictionLog hands it out."""
    function_name: str
    """Name of its front door's function."""
    workgroup_name: str
    """Athena workgroup of its prediction log."""
    endpoint: NotRequired[EndpointIdentity]
    """Its endpoint, as SageMakerEndpoint hands it out. Omitted: the model awaits its first version."""
    configurations: NotRequired[dict[str, pulumi.Input[str]]]
    """Endpoint configuration of each version that is declared, by version: latency is shown for each. Omitted: for all
    versions as one."""
    alarm_names: NotRequired[list[str]]
    """Names of its alarms beside the endpoint's guards and the log's. Omitted: none."""


class DashboardArgs(AccountArgs):
    """Arguments of Dashboard. `tags` has no effect: dashboards take none."""

    dashboard_name: str
    """Name of the dashboard. Dashboards are global: in one account, each region's needs a name of its own."""
    models: list[DashboardModelArgs]
    """What is shown, in this order."""
    runbook_base_url: str
    """Where the runbooks are read."""
    front_door: NotRequired[FrontDoorIdentity]
    """Makes it the overview of an environment: this API, and a line a model. Omitted: each model in full."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    dashboard_name: str
    body: pulumi.Input[str]


def _model(reader: Reader) -> ShownModel:
    identity = reader.section("endpoint", EndpointIdentity)
    endpoint = None
    if identity is not None:
        for field in ("endpoint_arn", "endpoint_config_name", "model_name"):
            if not identity.has(field):
                identity.refuse(field, None, "the identity of SageMakerEndpoint, unchanged", f"add {field}")
        endpoint = Endpoint(
            endpoint_name=identity.plain("endpoint_name", RESOURCE_NAME),
            variant_name=identity.text("variant_name", RESOURCE_NAME),
            guard_alarm_names={
                guard: name
                for guard, name in identity.text_map("guard_alarm_names", _ALARM_NAME).items()
                if isinstance(name, str)
            },
        )
    configurations = reader.text_map("configurations", RESOURCE_NAME, default={})
    for version in configurations:
        if _VERSION.refuses(version):
            reader.refuse("configurations", version, _VERSION.allowed, "give the version's number as the key")
    if configurations and endpoint is None:
        reader.refuse("configurations", sorted(configurations), "nothing without endpoint", "remove configurations")
    return ShownModel(
        model=reader.plain("model", RESOURCE_NAME),
        log=LogNames(read_log_identity(reader, "log").log_name),
        function_name=reader.plain("function_name", FUNCTION_NAME),
        workgroup_name=reader.plain("workgroup_name", _WORKGROUP_NAME),
        endpoint=endpoint,
        alarm_names=reader.plain_list("alarm_names", _ALARM_NAME, default=()),
        configurations=dict(sorted(configurations.items(), key=lambda item: (len(item[0]), item[0]))),
    )


def _resolve(name: str, args: DashboardArgs) -> _Resolved:
    reader = Reader("Dashboard", name, args, DashboardArgs)
    account = read_account(reader)
    api = None
    if reader.has("front_door"):
        door = read_door(reader, "front_door")
        api = ShownApi(api_id=door.api_id, stage_name=door.stage_name)
    shown = Shown(
        region=account.region,
        alarm_arn_prefix=account.arn("cloudwatch", "alarm:"),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL).rstrip("/"),
        models=[_model(section) for section in reader.sections("models", DashboardModelArgs)],
        api=api,
    )
    if reader.has("models") and not shown.models and api is None:
        reader.refuse("models", [], "at least one model, or front_door", "add a model")
    body = dashboard_body(shown)
    if (too_much := excess(body)) is not None:
        reader.refuse("models", f"{len(shown.models)} models", too_much, "show fewer models, or make more dashboards")
    resolved = _Resolved(
        account=account,
        dashboard_name=reader.plain("dashboard_name", _DASHBOARD_NAME),
        # Sorted and compact: the same facts give the same text.
        body=(
            pulumi.Output.json_dumps(body, sort_keys=True, separators=(",", ":"))
            if holds_output(body)
            else json.dumps(body, sort_keys=True, separators=(",", ":"))
        ),
    )
    reader.finish()
    return resolved


class Dashboard(pulumi.ComponentResource):
    """A CloudWatch dashboard of models, or of an environment: percentiles by version, alarms, log, runbooks."""

    dashboard_name: pulumi.Output[str]
    """Name of the dashboard."""

    def __init__(self, name: str, args: DashboardArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:Dashboard", name, {}, opts)
        resolved = _resolve(name, args)
        dashboard = aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=resolved.dashboard_name,
            dashboard_body=resolved.body,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.dashboard_name = dashboard.dashboard_name
        self.register_outputs({"dashboard_name": self.dashboard_name})
