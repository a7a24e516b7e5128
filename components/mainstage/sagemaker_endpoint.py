"""SageMakerEndpoint: a model version behind InvokeEndpoint, with the role, logs and guards that it needs."""

from collections.abc import Sequence
from typing import Optional

import pulumi
import pulumi_aws as aws

from ._autoscaling import AutoscalingArgs, autoscale
from ._endpoint_args import (
    DataCaptureArgs,
    EndpointNetworkArgs,
    KeptReleaseArgs,
    Resolved,
    SageMakerEndpointArgs,
    resolve,
)
from ._endpoint_plan import plan_endpoint
from ._execution_role import Needs, execution_statements, invoke_statement
from ._policy import Text, document
from ._release import Fleet, Hooks, Release, declare
from ._release_end import deletes_nothing_unless_good, hosted
from ._release_kinds import MODEL, Kind
from ._release_plan import release_plan
from ._release_rules import DeploymentArgs
from ._roles import ServiceRole, service_role
from .guard_alarms import EndpointIdentity, GuardAlarms, guard_alarm_names
from .release_hooks import approval_hooks, endpoint_hooks, room_hooks, run_of

__all__ = [
    "AutoscalingArgs",
    "DataCaptureArgs",
    "DeploymentArgs",
    "EndpointNetworkArgs",
    "KeptReleaseArgs",
    "SageMakerEndpoint",
    "SageMakerEndpointArgs",
]


class SageMakerEndpoint(pulumi.ComponentResource):
    """One model version behind InvokeEndpoint: role, logs, guards, model, configuration, endpoint, autoscaling.

    While `awaiting`, everything but the last four is there, and the names that it will have are handed out.
    """

    endpoint_name: pulumi.Output[str]
    """Name of the endpoint. While awaiting, the name that it will have."""
    endpoint_arn: pulumi.Output[str]
    """ARN of the endpoint. While awaiting, the one that it will have."""
    endpoint_config_name: pulumi.Output[str]
    """Name of the configuration that is asked for; `<endpoint>-awaiting` while awaiting."""
    execution_role_arn: pulumi.Output[str]
    """ARN of the role that the model runs under."""
    log_group_name: pulumi.Output[str]
    """Log group of the containers."""
    peak_instance_count: pulumi.Output[float]
    """Most instances at once: both fleets during a release, at autoscaling's maximum."""
    identity: EndpointIdentity
    """Names, ARNs and metric dimensions for alarms, dashboards and callers."""

    def __init__(self, name: str, args: SageMakerEndpointArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments, and every release that AWS would refuse.

        What `opts.depends_on` names is there before the endpoint takes traffic, and before each release.
        """
        super().__init__("mainstage:index:SageMakerEndpoint", name, {}, opts)
        resolved = resolve(name, args)
        self._name = name
        group_id, rules = self._security_group(resolved)
        logs = self._log_group(resolved)
        taken = self._execution_role(resolved, group_id)
        fleet = self._fleet(resolved, taken, group_id, [taken.policy, *rules])
        self.identity = plan_endpoint(resolved).identity
        guards = GuardAlarms(
            f"{name}-guards",
            {
                "identity": self.identity,
                "slo": args["slo"],
                "page_topic_arn": resolved.page_topic_arn,
                "ticket_topic_arn": resolved.ticket_topic_arn,
                "runbook_base_url": resolved.runbook_base_url,
                "tags": resolved.tags,
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        served: Optional[pulumi.Output[None]] = None
        if resolved.release is not None:
            after = [*guards.resources, logs, taken.policy, *_after(opts)]
            served = self._serve(resolved, fleet, resolved.release, after)
        self.endpoint_name = pulumi.Output.from_input(resolved.endpoint_name)
        self.endpoint_arn = pulumi.Output.from_input(self.identity["endpoint_arn"])
        self.endpoint_config_name = pulumi.Output.from_input(self.identity["endpoint_config_name"])
        self.execution_role_arn = taken.role.arn
        self.log_group_name = logs.name
        instances = resolved.autoscaling.maximum if resolved.autoscaling else resolved.instance_count
        self.peak_instance_count = pulumi.Output.from_input(float(resolved.deployment.peak_instances(instances)))
        self.register_outputs(
            {
                "endpoint_name": self.endpoint_name,
                "endpoint_arn": self.endpoint_arn,
                "endpoint_config_name": self.endpoint_config_name,
                "execution_role_arn": self.execution_role_arn,
                "log_group_name": self.log_group_name,
                "peak_instance_count": self.peak_instance_count,
                "identity": self.identity,
                # A host waits for what it registers, and not for what is computed from it as a program does.
                **({"served": served} if served is not None and hosted() else {}),
            }
        )

    def grant_invoke(self, role_name: pulumi.Input[str], *, grantee: str = "caller") -> "aws.iam.RolePolicy":
        """Lets a role invoke this endpoint and nothing else. `grantee` names the caller, once for each grant."""
        return aws.iam.RolePolicy(
            f"{self._name}-invoke-by-{grantee}",
            role=role_name,
            policy=document([invoke_statement(self.identity["endpoint_arn"])]),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _security_group(self, resolved: Resolved) -> tuple[Optional[Text], list[pulumi.Resource]]:
        """The model's own group: nothing comes in; out go HTTPS to S3 and to endpoints inside the VPC."""
        network = resolved.network
        if network is None:
            return None, []
        child = pulumi.ResourceOptions(parent=self)
        group = aws.ec2.SecurityGroup(
            f"{self._name}-security-group",
            vpc_id=network.vpc_id,
            # A changed description replaces the group, which hangs while a model uses it: it never changes.
            description="A model in SageMaker: HTTPS to S3 and to interface endpoints, nothing else",
            tags={**resolved.tags, "Name": resolved.endpoint_name},
            opts=child,
        )
        to_s3 = aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-https-to-s3",
            security_group_id=group.id,
            description="HTTPS to S3",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            prefix_list_id=network.s3_prefix_list_id,
            tags=resolved.tags,
            opts=child,
        )
        to_endpoints = aws.vpc.SecurityGroupEgressRule(
            f"{self._name}-https-to-endpoints",
            security_group_id=group.id,
            description="HTTPS to interface endpoints in the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=network.cidr_block,
            tags=resolved.tags,
            opts=child,
        )
        return group.id, [to_s3, to_endpoints]

    def _log_group(self, resolved: Resolved) -> "aws.cloudwatch.LogGroup":
        return aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            name=resolved.log_group_name,
            # Left out, logs are kept for ever.
            retention_in_days=resolved.log_retention_days,
            kms_key_id=resolved.kms_key_arn,
            log_group_class="STANDARD",
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=resolved.deletion_protection,
                retain_on_delete=resolved.deletion_protection,
            ),
        )

    def _execution_role(self, resolved: Resolved, group_id: Optional[Text]) -> ServiceRole:
        account = resolved.account
        needs = Needs(
            account=account,
            endpoint_name=resolved.endpoint_name,
            repository_arns=resolved.repository_arns,
            registry_objects=resolved.registry_objects,
            kms_key_arn=resolved.kms_key_arn,
            log_group_name=resolved.log_group_name,
            capture_objects=resolved.capture_objects,
            subnet_ids=resolved.network.subnet_ids if resolved.network else None,
            security_group_id=group_id,
        )
        return service_role(
            f"{self._name}-execution",
            parent=self,
            # Not made from the component's name: a long one and the random tail would be more than IAM's 64 characters.
            # IAM knows no regions, hence the region.
            role_name=f"{resolved.endpoint_name}-{account.region}",
            service="sagemaker.amazonaws.com",
            account_id=account.account_id,
            source_arn=account.arn("sagemaker", "*"),
            description=f"What the endpoint {resolved.endpoint_name} may do",
            statements=execution_statements(needs),
            boundary=resolved.permissions_boundary_arn,
            tags=resolved.tags,
        )

    def _fleet(
        self,
        resolved: Resolved,
        taken: ServiceRole,
        group_id: Optional[Text],
        depends_on: Sequence[pulumi.Resource],
    ) -> Fleet:
        return Fleet(
            name=self._name,
            parent=self,
            endpoint_name=resolved.endpoint_name,
            variant_name=resolved.variant_name,
            instance_type=resolved.instance_type,
            instance_count=resolved.instance_count,
            network_isolation=resolved.network_isolation,
            subnet_ids=resolved.network.subnet_ids if resolved.network else None,
            security_group_id=group_id,
            kms_key_arn=resolved.kms_key_arn,
            capture=resolved.capture,
            retain=resolved.deletion_protection,
            role_arn=taken.role.arn,
            depends_on=depends_on,
            tags=resolved.tags,
        )

    def _hooks(self, resolved: Resolved) -> Hooks:
        account = resolved.account

        def hooks(kind: Kind, name: str, release: Release) -> pulumi.ResourceHookBinding:
            room = room_hooks(
                name,
                kind,
                account_id=account.account_id,
                region=account.region,
                endpoint=resolved.endpoint_name,
                owner=self,
            )
            if kind is not MODEL or not resolved.approval_required:
                return room
            approval = approval_hooks(
                name,
                account_id=account.account_id,
                region=account.region,
                model=resolved.model_name,
                version=release.version,
                url=release.model_data_url,
            )
            return pulumi.ResourceHookBinding.merge(approval, room)

        return hooks

    def _serve(
        self, resolved: Resolved, fleet: Fleet, release: Release, depends_on: Sequence[pulumi.Resource]
    ) -> pulumi.Output[None]:
        """Declares what serves. What it gives back fails when it does not serve at the end of this run."""
        before = self._hooks(resolved)
        for earlier in resolved.keep:
            declare(fleet, earlier, hooks=before)
        declared = declare(fleet, release, hooks=before)
        run = run_of(release_plan(resolved, release))
        hooks = endpoint_hooks(f"{self._name}-endpoint", run, _bucket_name(resolved.registry_bucket_arn))
        endpoint = aws.sagemaker.Endpoint(
            f"{self._name}-endpoint",
            name=resolved.endpoint_name,
            # Known by itself: see where the configuration is declared.
            endpoint_config_name=declared.config_name,
            # The alarms are in it from the first version: adding one later replaces the live endpoint.
            deployment_config=resolved.deployment.block(list(guard_alarm_names(resolved.endpoint_name).values())),
            tags=resolved.tags,
            # Single resources, never the component of the alarms: that would mean all its children, a quadratic chain.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=resolved.deletion_protection,
                depends_on=[*depends_on, declared.configuration],
                # A changed set replaces the live endpoint (provider source, endpoint.go: ForceNew), and a refresh reads
                # none after an update by somebody else. The set never changes here; an update without it is refused.
                ignore_changes=["deploymentConfig.autoRollbackConfiguration"],
                hooks=hooks,
            ),
        )
        if resolved.autoscaling is not None:
            autoscale(self._name, resolved.autoscaling, parent=self, endpoint=endpoint, variant=resolved.variant_name)
        return deletes_nothing_unless_good(endpoint, run)


def _bucket_name(bucket_arn: Text) -> pulumi.Output[str]:
    return pulumi.Output.from_input(bucket_arn).apply(lambda arn: arn.rpartition(":")[2])


def _after(opts: Optional[pulumi.ResourceOptions]) -> Sequence[pulumi.Resource]:
    """What the component was told to come after. Pulumi does not pass it on to a component's children."""
    after = None if opts is None else opts.depends_on
    if isinstance(after, pulumi.Resource):
        return [after]
    return [each for each in after if isinstance(each, pulumi.Resource)] if isinstance(after, Sequence) else []
