"""What an account holds, by kind: to see that nothing is left of an environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.registry.target import Target

Client = Callable[[str], Any]

_PAGED: tuple[tuple[str, str, str, str], ...] = (
    ("apigatewayv2", "get_apis", "Items", "Name"),
    ("application-autoscaling:sagemaker", "describe_scalable_targets", "ScalableTargets", "ResourceId"),
    ("athena", "list_work_groups", "WorkGroups", "Name"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("events", "list_rules", "Rules", "Name"),
    ("firehose", "list_delivery_streams", "DeliveryStreamNames", ""),
    ("glue", "get_databases", "DatabaseList", "Name"),
    ("iam", "list_policies:Local", "Policies", "PolicyName"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("sagemaker", "list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName"),
    ("sagemaker", "list_model_packages", "ModelPackageSummaryList", "ModelPackageArn"),
    ("sagemaker", "list_models", "Models", "ModelName"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", ""),
)


def census(target: Target) -> dict[str, list[str]]:
    """Names or ids by kind, sorted; kinds of which there is nothing are left out. Of keys, those not yet scheduled for
    deletion: AWS keeps a deleted one for a week. EC2 shows VPC endpoints for a while after they were deleted."""
    found: dict[str, list[str]] = {}
    for service, operation, member, key in _PAGED:
        name, _, namespace = service.partition(":")
        verb, _, scope = operation.partition(":")
        words = {"ServiceNamespace": namespace} if namespace else {"Scope": scope} if scope else {}
        answer = getattr(target.client(name), verb)(**words)
        held = [each for each in answer.get(member, ()) if not key or each.get("State") != "deleted"]
        if names := sorted(each[key] if key else each for each in held):
            found[f"{name} {member}"] = names
    kms = target.client("kms")
    keys = [each["KeyId"] for each in kms.list_keys()["Keys"]]
    states = {key: kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys}
    if live := sorted(key for key, state in states.items() if state != "PendingDeletion"):
        found["kms Keys"] = live
    return found
