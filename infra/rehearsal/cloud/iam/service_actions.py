"""What the operations of each service act on, as ARNs.

Source: Service Authorization Reference, the "resource types" table of each service's page. Operations that are not told
apart here need `<prefix>:<Operation>` on `*`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam.identities import role_path, user_path
from infra.rehearsal.cloud.iam.keys import find_key, key_arn, key_of_ciphertext
from infra.rehearsal.cloud.iam.need import Need, arn

Resources = Callable[[Call], Sequence[str]]


def _named(call: Call, service: str, templates: Mapping[str, str], *, lower: bool = False) -> list[str]:
    """The ARNs of all parameters that `templates` knows and the call gives. A value that is an ARN stays one."""
    found: list[str] = []
    for name, template in templates.items():
        value = call.params.get(name)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, str) and entry:
                text = entry.lower() if lower else entry
                found.append(entry if entry.startswith("arn:") else arn(call, service, template.format(text)))
    return found


def _sagemaker(call: Call) -> Sequence[str]:
    # SageMaker writes names in ARNs in lower case, and so policies must.
    return _named(
        call,
        "sagemaker",
        {
            "ModelName": "model/{}",
            "EndpointConfigName": "endpoint-config/{}",
            "EndpointName": "endpoint/{}",
            "ModelPackageName": "model-package/{}",
            "ModelPackageArn": "{}",
            "ModelPackageGroupName": "model-package-group/{}",
            "TrainingJobName": "training-job/{}",
            "ProcessingJobName": "processing-job/{}",
            "TransformJobName": "transform-job/{}",
            "PipelineName": "pipeline/{}",
            "InferenceComponentName": "inference-component/{}",
            "MonitoringScheduleName": "monitoring-schedule/{}",
            "TrackingServerName": "mlflow-tracking-server/{}",
            "WorkteamName": "workteam/private-crowd/{}",
            "LabelingJobName": "labeling-job/{}",
            "FeatureGroupName": "feature-group/{}",
            "ResourceArn": "{}",
        },
        lower=True,
    )


def _model_package(call: Call) -> Sequence[str]:
    group = call.params.get("ModelPackageGroupName", "")
    name = f"{group}/*" if group else call.params.get("ModelPackageName", "*")
    return [arn(call, "sagemaker", f"model-package/{name.lower()}")]


def _logs(call: Call) -> Sequence[str]:
    params = call.params
    if params.get("resourceArn") or params.get("resourceIdentifier"):
        return [params.get("resourceArn") or params["resourceIdentifier"]]
    # DescribeLogGroups asks about an empty name even with a prefix (maxbanton/cwh pull request 83, from the wire).
    groups = params.get("logGroupNames") or [params.get("logGroupName") or params.get("logGroupIdentifier") or ""]
    stream = params.get("logStreamName", "")
    # Logs asks for the group's ARN with its stream part, so that a policy on the bare group ARN does not match
    # (Logs User Guide, "Resources and operations": use the form with :*).
    return [
        f"{group.removesuffix(':*') if group.startswith('arn:') else arn(call, 'logs', f'log-group:{group}')}"
        f":log-stream:{stream}"
        for group in groups
    ]


def _log_group_tags(call: Call) -> Sequence[str]:
    return [call.params.get("resourceArn") or arn(call, "logs", f"log-group:{call.params.get('logGroupName', '')}")]


def _cloudwatch(call: Call) -> Sequence[str]:
    return _named(
        call,
        "cloudwatch",
        {"AlarmName": "alarm:{}", "AlarmNames": "alarm:{}", "ResourceARN": "{}", "Name": "metric-stream/{}"},
    )


def _composite_alarms(call: Call) -> Sequence[str]:
    """Whoever asks about composite alarms must be allowed it for all alarms (API reference, DescribeAlarms and
    DescribeAlarmHistory; PutCompositeAlarm likewise)."""
    return [] if "CompositeAlarm" in (call.params.get("AlarmTypes") or ()) else _cloudwatch(call)


def _dashboard(call: Call) -> Sequence[str]:
    names = call.params.get("DashboardNames") or [call.params.get("DashboardName", "")]
    return [arn(call, "cloudwatch", f"dashboard/{name}").replace(f":{call.region}:", "::") for name in names]


def _sns(call: Call) -> Sequence[str]:
    found = _named(call, "sns", {"TopicArn": "{}", "TargetArn": "{}", "ResourceArn": "{}", "Name": "{}"})
    subscription = call.params.get("SubscriptionArn")
    return [*found, *([subscription.rpartition(":")[0]] if subscription else [])]


def _sqs(call: Call) -> Sequence[str]:
    name = call.params.get("QueueName") or str(call.params.get("QueueUrl", "")).rpartition("/")[2]
    return [arn(call, "sqs", name)] if name else []


def _ecr(call: Call) -> Sequence[str]:
    if call.params.get("resourceArn"):
        return [call.params["resourceArn"]]
    names = call.params.get("repositoryNames") or [call.params.get("repositoryName")]
    account = call.params.get("registryId") or call.account_id
    own = f":{call.account_id}:"
    return [arn(call, "ecr", f"repository/{name}").replace(own, f":{account}:") for name in names if name]


def _kms(call: Call) -> Sequence[str]:
    params = call.params
    found = [key_arn(call, params[name]) for name in ("KeyId", "TargetKeyId") if params.get(name)]
    if params.get("AliasName"):
        found.append(arn(call, "kms", params["AliasName"]))
        # The key that an alias stands for has to allow its end too, and its turn to another key (KMS Developer Guide,
        # "Controlling access to aliases").
        known = find_key(call.account_id, call.region, params["AliasName"])
        if known is not None and call.operation in ("DeleteAlias", "UpdateAlias") and known.arn not in found:
            found.append(known.arn)
    if call.operation == "Decrypt" and not found:
        found.append(key_arn(call, key_of_ciphertext(params["CiphertextBlob"])))
    return found


def _iam(call: Call) -> Sequence[str]:
    params = call.params

    def made(kind: str, name: str, path: str) -> str:
        return arn(call, "iam", f"{kind}{path}{name}", region=False)

    found: list[str] = []
    if params.get("RoleName"):
        path = params.get("Path") or role_path(call.account_id, params["RoleName"])
        found.append(made("role", params["RoleName"], path))
    elif params.get("UserName"):
        found.append(
            made("user", params["UserName"], params.get("Path") or user_path(call.account_id, params["UserName"]))
        )
    elif params.get("GroupName"):
        found.append(made("group", params["GroupName"], params.get("Path") or "/"))
    elif params.get("PolicyName"):
        found.append(made("policy", params["PolicyName"], params.get("Path") or "/"))
    elif params.get("PolicyArn"):
        found.append(params["PolicyArn"])
    if params.get("InstanceProfileName"):
        found.append(made("instance-profile", params["InstanceProfileName"], params.get("Path") or "/"))
    if params.get("OpenIDConnectProviderArn"):
        found.append(params["OpenIDConnectProviderArn"])
    return found


def _lambda(call: Call) -> Sequence[str]:
    params = call.params
    if params.get("FunctionName"):
        name = params["FunctionName"]
        if name.startswith("arn:"):
            resource = name
        else:
            resource = arn(call, "lambda", f"function:{name.removeprefix(f'{call.account_id}:function:')}")
        return [f"{resource}:{params['Qualifier']}" if params.get("Qualifier") else resource]
    return _named(call, "lambda", {"LayerName": "layer:{}", "UUID": "event-source-mapping:{}", "Resource": "{}"})


def _firehose(call: Call) -> Sequence[str]:
    return _named(call, "firehose", {"DeliveryStreamName": "deliverystream/{}"})


def _glue(call: Call) -> Sequence[str]:
    params = call.params
    database = params.get("DatabaseName") or params.get("DatabaseInput", {}).get("Name")
    if params.get("Name") and "Database" in call.operation:
        database = params["Name"]
    table = params.get("TableName") or params.get("TableInput", {}).get("Name")
    if params.get("Name") and "Table" in call.operation:
        table = params["Name"]
    if not database:
        return _named(call, "glue", {"JobName": "job/{}", "CrawlerName": "crawler/{}", "ResourceArn": "{}"})
    # Glue asks for the catalog and the database above a table as well.
    found = [arn(call, "glue", "catalog"), arn(call, "glue", f"database/{database}")]
    if table or "Table" in call.operation or "Partition" in call.operation:
        found.append(arn(call, "glue", f"table/{database}/{table or '*'}"))
    return found


def _athena(call: Call) -> Sequence[str]:
    """Every action of Athena's that knows a resource is asked about a workgroup: that of the execution or of the named
    query, where the call names one of those (Service Authorization Reference, Amazon Athena)."""
    from infra.rehearsal.cloud.overlay.athena_store import athena_of  # the overlay imports this package

    params = call.params
    if params.get("ResourceARN"):
        return [params["ResourceARN"]]
    names = {params.get("WorkGroup") or (params.get("Name") if "WorkGroup" in call.operation else None)}
    for query_id in filter(None, (params.get("QueryExecutionId"), *(params.get("QueryExecutionIds") or ()))):
        execution = athena_of(call.cloud).executions.get((call.region, query_id))
        names.add(execution.workgroup if execution is not None else None)
    for query_id in filter(None, (params.get("NamedQueryId"), *(params.get("NamedQueryIds") or ()))):
        names.add(athena_of(call.cloud).named.get((call.region, query_id), {}).get("WorkGroup"))
    if call.operation == "ListWorkGroups":
        return []
    return [arn(call, "athena", f"workgroup/{name}") for name in sorted(filter(None, names)) or ["primary"]]


def _events(call: Call) -> Sequence[str]:
    params = call.params
    if call.operation == "PutEvents":
        buses = {entry.get("EventBusName") or "default" for entry in params.get("Entries", ())}
        return [bus if bus.startswith("arn:") else arn(call, "events", f"event-bus/{bus}") for bus in sorted(buses)]
    if "EventBus" in call.operation:
        return _named(call, "events", {"Name": "event-bus/{}", "EventBusName": "event-bus/{}"})
    rule = params.get("Rule") or (params.get("Name") if "Rule" in call.operation else None)
    if not rule:
        return _named(call, "events", {"ResourceARN": "{}", "ArchiveName": "archive/{}"})
    bus = (params.get("EventBusName") or "default").rpartition("/")[2]
    return [arn(call, "events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")]


def _dynamodb(call: Call) -> Sequence[str]:
    params = call.params
    if call.operation in ("BatchGetItem", "BatchWriteItem"):
        return [arn(call, "dynamodb", f"table/{name}") for name in params.get("RequestItems", {})]
    if call.operation in ("TransactGetItems", "TransactWriteItems"):
        tables = {part["TableName"] for item in params.get("TransactItems", ()) for part in item.values()}
        return [arn(call, "dynamodb", f"table/{name}") for name in sorted(tables)]
    found = _named(call, "dynamodb", {"TableName": "table/{}", "ResourceArn": "{}"})
    return [f"{found[0]}/index/{params['IndexName']}"] if found and params.get("IndexName") else found


def _autoscaling(call: Call) -> Sequence[str]:
    # A target's ARN holds an id that no caller can know before it exists.
    if call.operation.startswith("Describe"):
        return []
    return [call.params.get("ResourceARN") or arn(call, "application-autoscaling", "scalable-target/*")]


_EC2_TYPES = {
    "VpcId": "vpc",
    "SubnetId": "subnet",
    "SubnetIds": "subnet",
    "GroupId": "security-group",
    "Groups": "security-group",
    "SecurityGroupIds": "security-group",
    "NetworkInterfaceId": "network-interface",
    "RouteTableId": "route-table",
    "RouteTableIds": "route-table",
    "InternetGatewayId": "internet-gateway",
    "NatGatewayId": "natgateway",
    "AllocationId": "elastic-ip",
    "VpcEndpointId": "vpc-endpoint",
    "VpcEndpointIds": "vpc-endpoint",
    "FlowLogIds": "vpc-flow-log",
    "InstanceId": "instance",
    "InstanceIds": "instance",
    "LaunchTemplateId": "launch-template",
    "SecurityGroupRuleIds": "security-group-rule",
}
_EC2_MADE = {
    "CreateVpc": "vpc",
    "CreateSubnet": "subnet",
    "CreateSecurityGroup": "security-group",
    "CreateNetworkInterface": "network-interface",
    "CreateRouteTable": "route-table",
    "CreateInternetGateway": "internet-gateway",
    "CreateNatGateway": "natgateway",
    "AllocateAddress": "elastic-ip",
    "CreateVpcEndpoint": "vpc-endpoint",
    "CreateFlowLogs": "vpc-flow-log",
    "CreateLaunchTemplate": "launch-template",
    "AuthorizeSecurityGroupIngress": "security-group-rule",
    "AuthorizeSecurityGroupEgress": "security-group-rule",
}


def _ec2(call: Call) -> Sequence[str]:
    if call.operation.startswith(("Describe", "Get", "List")):
        return []
    made = _EC2_MADE.get(call.operation)
    found = [arn(call, "ec2", f"{made}/*")] if made else []
    for name, kind in _EC2_TYPES.items():
        value = call.params.get(name)
        found.extend(
            arn(call, "ec2", f"{kind}/{entry}")
            for entry in (value if isinstance(value, list) else [value])
            if isinstance(entry, str) and entry
        )
    return found


def _interface_of_permission(call: Call) -> Sequence[str]:
    """Deleting a permission is asked about its interface (Service Authorization Reference, EC2), which the call does
    not name."""
    known = call.cloud.client("ec2", call.region).describe_network_interface_permissions(
        NetworkInterfacePermissionIds=[call.params["NetworkInterfacePermissionId"]]
    )["NetworkInterfacePermissions"]
    interfaces = [permission["NetworkInterfaceId"] for permission in known]
    return [arn(call, "ec2", f"network-interface/{interface}") for interface in interfaces or ["*"]]


_ACCESS_LOGGING = (
    "logs:CreateLogDelivery",
    "logs:CreateLogGroup",
    "logs:DeleteLogDelivery",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""What a user needs on * to activate the access log of an HTTP API: API Gateway developer guide, "Configure logging for
HTTP APIs", "Permissions to activate logging" (that all of them are asked for at the call is unconfirmed)."""


def _apigateway(call: Call) -> list[Need]:
    """API Gateway's actions are HTTP verbs on the path of the management API, which has no account in its ARN."""
    path = call.request.url.partition("://")[2].partition("/")[2].partition("?")[0]
    resource = arn(call, "apigateway", f"/{path.removeprefix('v2/')}").replace(f":{call.account_id}:", "::")
    needs = [Need(f"apigateway:{call.request.method.upper()}", resource)]
    if (call.params.get("AccessLogSettings") or {}).get("DestinationArn"):
        # Developer guide, "Configure logging for HTTP APIs", permissions to activate logging.
        needs += [Need(action) for action in _ACCESS_LOGGING]
    return needs


BY_SERVICE: dict[str, Resources] = {
    "application-autoscaling": _autoscaling,
    "athena": _athena,
    "cloudwatch": _cloudwatch,
    "dynamodb": _dynamodb,
    "ec2": _ec2,
    "ecr": _ecr,
    "events": _events,
    "firehose": _firehose,
    "glue": _glue,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker,
    "sns": _sns,
    "sqs": _sqs,
}

BY_OPERATION: dict[tuple[str, str], Resources] = {
    ("cloudwatch", "DescribeAlarmHistory"): _composite_alarms,
    ("cloudwatch", "DescribeAlarms"): _composite_alarms,
    ("cloudwatch", "PutCompositeAlarm"): lambda _: [],
    ("cloudwatch", "PutDashboard"): _dashboard,
    ("cloudwatch", "GetDashboard"): _dashboard,
    ("cloudwatch", "DeleteDashboards"): _dashboard,
    ("cloudwatch", "PutMetricData"): lambda _: [],
    ("ec2", "DeleteNetworkInterfacePermission"): _interface_of_permission,
    ("iam", "CreateServiceLinkedRole"): lambda _: [],
    ("kms", "CreateKey"): lambda _: [],
    ("kms", "GenerateRandom"): lambda _: [],
    ("kms", "ListAliases"): lambda _: [],
    ("lambda", "CreateEventSourceMapping"): lambda _: [],
    ("lambda", "UpdateEventSourceMapping"): lambda call: [
        arn(call, "lambda", f"event-source-mapping:{call.params['UUID']}")
    ],
    ("lambda", "ListEventSourceMappings"): lambda _: [],
    ("logs", "ListTagsForResource"): _log_group_tags,
    ("logs", "ListTagsLogGroup"): _log_group_tags,
    ("logs", "TagLogGroup"): _log_group_tags,
    ("logs", "TagResource"): _log_group_tags,
    ("logs", "UntagLogGroup"): _log_group_tags,
    ("logs", "UntagResource"): _log_group_tags,
    ("sagemaker", "CreateModelPackage"): _model_package,
    ("sqs", "ListQueues"): lambda _: [],
}

SPECIAL: dict[str, Callable[[Call], list[Need]]] = {"apigateway": _apigateway, "apigatewayv2": _apigateway}
