"""ModelService: the face that a model's catalog file maps to.

It knows what a person says (a model, its versions, a runtime preset, promises) and turns it into a back end that serves
it: SageMaker for now. It chooses the image, finds the archive in the registry, and wires endpoint, guards, front door,
prediction log and dashboard.
"""

from typing import Any, Optional, cast

import pulumi
import pulumi_aws as aws

from ._endpoint_args import resolve as resolve_endpoint
from ._endpoint_plan import plan_endpoint
from ._log_identity import PredictionLogIdentity
from ._service_args import (
    BACKENDS,
    CapacityArgs,
    KeptVersionArgs,
    LogStorageArgs,
    ModelServiceArgs,
    resolve,
)
from .dashboard import Dashboard, DashboardModelArgs
from .guard_alarms import EndpointIdentity
from .model_route import ModelRoute, front_door_function_name
from .prediction_log import PredictionLog
from .sagemaker_endpoint import SageMakerEndpoint
from .service_alarms import ServiceAlarms, service_alarm_names

__all__ = ["BACKENDS", "CapacityArgs", "KeptVersionArgs", "LogStorageArgs", "ModelService", "ModelServiceArgs"]


class ModelService(pulumi.ComponentResource):
    """A model as a catalog file describes it, served by a back end."""

    endpoint_name: pulumi.Output[str]
    """Name of the endpoint."""
    endpoint_arn: pulumi.Output[str]
    """ARN of the endpoint."""
    endpoint_config_name: pulumi.Output[str]
    """Name of the configuration that is asked for."""
    peak_instance_count: pulumi.Output[float]
    """Most instances at once, both fleets of a release counted."""
    reports_version: pulumi.Output[bool]
    """Whether an answer says which version gave it. False: the runtime preset's image cannot pass it on, and the
    version is recorded as unknown."""
    url: pulumi.Output[str]
    """Address that clients post to."""
    front_door_function_name: pulumi.Output[str]
    """Name of the function that answers them."""
    log_stream_name: pulumi.Output[str]
    """Firehose stream that takes the prediction records."""
    log_database_name: pulumi.Output[str]
    """Glue database of the prediction log."""
    log_workgroup_name: pulumi.Output[str]
    """Athena workgroup that queries of the prediction log run in."""
    dashboard_name: pulumi.Output[str]
    """CloudWatch dashboard of the model."""
    identity: EndpointIdentity
    """Names, ARNs and metric dimensions for alarms, dashboards and callers."""
    log: PredictionLogIdentity
    """Names, ARNs and addresses of the prediction log."""

    def __init__(self, name: str, args: ModelServiceArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ModelService", name, {}, opts)
        resolved = resolve(name, args)
        child = pulumi.ResourceOptions(parent=self)
        plan = plan_endpoint(resolve_endpoint(f"{name}-endpoint", resolved.endpoint))
        # While awaiting there is no endpoint to ask or to show, only its name.
        served: dict[str, Any] = {}
        if plan.configuration_names:
            served = {"endpoint": plan.identity, "configurations": dict(plan.configuration_names)}
        log = PredictionLog(f"{name}-log", resolved.log, opts=child)
        self._route = ModelRoute(
            f"{name}-route",
            resolved.route_args(log=log.identity, **served),
            opts=child,
        )
        # The front door knows a version before it gets traffic: it tells its latency by configuration, which the
        # guards of the release watch.
        self._endpoint = SageMakerEndpoint(
            f"{name}-endpoint",
            resolved.endpoint,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._route.function]),
        )
        told: dict[str, Any] = {}
        if served:
            ServiceAlarms(f"{name}-alarms", resolved.alarms_args(identity=plan.identity, log=log.identity), opts=child)
            told = {"alarm_names": list(service_alarm_names(plan.identity["endpoint_name"], resolved.limits).values())}
        self._shown = cast(
            DashboardModelArgs,
            {
                "model": resolved.model,
                "log": log.identity,
                "function_name": front_door_function_name(resolved.log_name),
                "workgroup_name": resolved.workgroup_name,
                **served,
                **told,
            },
        )
        dashboard = Dashboard(
            f"{name}-overview",
            {
                "account_id": resolved.account.account_id,
                "region": resolved.account.region,
                "partition": resolved.account.partition,
                "dashboard_name": f"{resolved.log_name}-{resolved.account.region}",
                "models": [self.shown],
                "runbook_base_url": resolved.runbook_base_url,
            },
            opts=child,
        )
        self.endpoint_name = self._endpoint.endpoint_name
        self.endpoint_arn = self._endpoint.endpoint_arn
        self.endpoint_config_name = self._endpoint.endpoint_config_name
        self.peak_instance_count = self._endpoint.peak_instance_count
        self.reports_version = pulumi.Output.from_input(resolved.preset.reports_version)
        self.url = self._route.url
        self.front_door_function_name = self._route.function_name
        self.log_stream_name = log.stream_name
        self.log_database_name = log.database_name
        self.log_workgroup_name = log.workgroup_name
        self.dashboard_name = dashboard.dashboard_name
        self.identity = self._endpoint.identity
        self.log = log.identity
        self.register_outputs(
            {
                "endpoint_name": self.endpoint_name,
                "endpoint_arn": self.endpoint_arn,
                "endpoint_config_name": self.endpoint_config_name,
                "peak_instance_count": self.peak_instance_count,
                "reports_version": self.reports_version,
                "url": self.url,
                "front_door_function_name": self.front_door_function_name,
                "log_stream_name": self.log_stream_name,
                "log_database_name": self.log_database_name,
                "log_workgroup_name": self.log_workgroup_name,
                "dashboard_name": self.dashboard_name,
                "identity": self.identity,
                "log": self.log,
            }
        )

    @property
    def shown(self) -> DashboardModelArgs:
        """The model as an argument of Dashboard: an environment's overview shows several."""
        return self._shown

    def grant_predict(self, role_name: pulumi.Input[str], *, grantee: str = "caller") -> "aws.iam.RolePolicy":
        """Lets a role ask for predictions of this model through the front door, and for nothing else. `grantee` names
        the caller, once for each grant."""
        return self._route.grant_predict(role_name, grantee=grantee)

    def grant_invoke(self, role_name: pulumi.Input[str], *, grantee: str = "caller") -> "aws.iam.RolePolicy":
        """Lets a role invoke the endpoint itself, past the front door and its log, and nothing else.

        `grantee` names the caller, once for each grant.
        """
        return self._endpoint.grant_invoke(role_name, grantee=grantee)
