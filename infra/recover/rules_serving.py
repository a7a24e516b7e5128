"""How what serves, watches and scales models is found. From the references of SageMaker, CloudWatch, SNS and others."""

from __future__ import annotations

from collections.abc import Mapping

from infra.recover.finding import Look, Remove, Rule

_TAGS = "list_tags"


def _sagemaker(call: str, argument: str, asked: str, arn: str, *missing: str) -> tuple[Look, Look]:
    look = Look("sagemaker", call, {argument: f"=asked.{asked}"}, missing=missing)
    return look, Look("sagemaker", _TAGS, {"ResourceArn": f"=found.{arn}"}, "Tags")


_MODEL, _MODEL_TAGS = _sagemaker(
    "describe_model", "ModelName", "name", "ModelArn", "ValidationException:Could not find", "ResourceNotFound"
)
_CONFIG, _CONFIG_TAGS = _sagemaker(
    "describe_endpoint_config",
    "EndpointConfigName",
    "name",
    "EndpointConfigArn",
    "ValidationException:Could not find",
)
_ENDPOINT, _ENDPOINT_TAGS = _sagemaker(
    "describe_endpoint", "EndpointName", "name", "EndpointArn", "ValidationException:Could not find"
)
_GROUP, _GROUP_TAGS = _sagemaker(
    "describe_model_package_group",
    "ModelPackageGroupName",
    "modelPackageGroupName",
    "ModelPackageGroupArn",
    "ValidationException:does not exist",
    "ResourceNotFound",
)

SERVING: Mapping[str, Rule] = {
    "aws:sagemaker/model:Model": Rule(_MODEL, "found.ModelName", tags=_MODEL_TAGS, named=True),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": Rule(
        _CONFIG, "found.EndpointConfigName", tags=_CONFIG_TAGS, named=True
    ),
    "aws:sagemaker/endpoint:Endpoint": Rule(
        _ENDPOINT,
        "found.EndpointName",
        same={"endpointConfigName": "EndpointConfigName"},
        tags=_ENDPOINT_TAGS,
        named=True,
        status="EndpointStatus",
        busy=frozenset({"creating", "updating", "systemupdating", "rollingback"}),
        failed=frozenset({"failed"}),
        gone=frozenset({"deleting"}),
        every=Look("sagemaker", "list_endpoints", {}, "Endpoints[].EndpointName"),
        left_out=True,
        remove=Remove(
            "sagemaker",
            "delete_endpoint",
            {"EndpointName": "=found.EndpointName"},
            "join('', ['aws sagemaker delete-endpoint --endpoint-name ', found.EndpointName])",
        ),
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Rule(
        _GROUP,
        "found.ModelPackageGroupName",
        tags=_GROUP_TAGS,
        named=True,
        status="ModelPackageGroupStatus",
        busy=frozenset({"pending", "inprogress"}),
        failed=frozenset({"failed"}),
        gone=frozenset({"deleting"}),
        remove=Remove(
            "sagemaker",
            "delete_model_package_group",
            {"ModelPackageGroupName": "=found.ModelPackageGroupName"},
            "join('', ['aws sagemaker delete-model-package-group --model-package-group-name ',"
            " found.ModelPackageGroupName])",
        ),
    ),
}

_APP = "application-autoscaling"

SCALING: Mapping[str, Rule] = {
    "aws:appautoscaling/target:Target": Rule(
        Look(
            _APP,
            "describe_scalable_targets",
            {
                "ServiceNamespace": "=asked.serviceNamespace",
                "ResourceIds": ["=asked.resourceId"],
                "ScalableDimension": "=asked.scalableDimension",
            },
            "ScalableTargets",
        ),
        "found.ResourceId",
        named=True,
    ),
    "aws:appautoscaling/policy:Policy": Rule(
        Look(
            _APP,
            "describe_scaling_policies",
            {
                "ServiceNamespace": "=asked.serviceNamespace",
                "ResourceId": "=asked.resourceId",
                "PolicyNames": ["=asked.name"],
            },
            "ScalingPolicies",
        ),
        "found.PolicyName",
        within=True,
        named=True,
    ),
}

_BUS = "=asked.eventBusName || 'default'"
_NO_RULE = ("ResourceNotFoundException",)

WATCHING: Mapping[str, Rule] = {
    "aws:cloudwatch/logGroup:LogGroup": Rule(
        Look(
            "logs",
            "describe_log_groups",
            {"logGroupNamePrefix": "=asked.name"},
            "=join('', ['logGroups[?logGroupName==`\"', asked.name, '\"`]'])",
        ),
        "found.logGroupName",
        tags=Look("logs", "list_tags_for_resource", {"resourceArn": "=found.logGroupArn"}, "tags"),
        named=True,
    ),
    "aws:cloudwatch/logStream:LogStream": Rule(
        Look(
            "logs",
            "describe_log_streams",
            {"logGroupName": "=asked.logGroupName", "logStreamNamePrefix": "=asked.name"},
            "logStreams",
            ("ResourceNotFoundException",),
        ),
        "found.logStreamName",
        within=True,
        same={"name": "logStreamName"},
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Rule(
        Look(
            "cloudwatch",
            "describe_alarms",
            {"AlarmNames": ["=asked.name"], "AlarmTypes": ["MetricAlarm"]},
            "MetricAlarms",
        ),
        "found.AlarmName",
        tags=Look("cloudwatch", "list_tags_for_resource", {"ResourceARN": "=found.AlarmArn"}, "Tags"),
        named=True,
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Rule(
        Look(
            "cloudwatch",
            "describe_alarms",
            {"AlarmNames": ["=asked.alarmName"], "AlarmTypes": ["CompositeAlarm"]},
            "CompositeAlarms",
        ),
        "found.AlarmName",
        tags=Look("cloudwatch", "list_tags_for_resource", {"ResourceARN": "=found.AlarmArn"}, "Tags"),
        named=True,
    ),
    "aws:cloudwatch/eventRule:EventRule": Rule(
        Look("events", "describe_rule", {"Name": "=asked.name", "EventBusName": _BUS}, missing=_NO_RULE),
        "found.Name",
        tags=Look("events", "list_tags_for_resource", {"ResourceARN": "=found.Arn"}, "Tags"),
        named=True,
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Rule(
        Look("events", "list_targets_by_rule", {"Rule": "=asked.rule", "EventBusName": _BUS}, "Targets", _NO_RULE),
        "join('-', [asked.rule, found.Id])",
        same={"arn": "Arn", "targetId": "Id"},
    ),
    "aws:cloudwatch/dashboard:Dashboard": Rule(
        Look(
            "cloudwatch",
            "get_dashboard",
            {"DashboardName": "=asked.dashboardName"},
            missing=("ResourceNotFound", "DashboardNotFoundError"),
        ),
        "found.DashboardName",
        named=True,
    ),
    "aws:sns/topic:Topic": Rule(
        Look(
            "sns",
            "get_topic_attributes",
            {"TopicArn": "=join(':', ['arn:aws:sns', region, account, asked.name])"},
            "Attributes",
            ("NotFound", "NotFoundException"),
        ),
        "found.TopicArn",
        tags=Look("sns", "list_tags_for_resource", {"ResourceArn": "=found.TopicArn"}, "Tags"),
        named=True,
    ),
    "aws:sns/topicPolicy:TopicPolicy": Rule(
        Look(
            "sns",
            "get_topic_attributes",
            {"TopicArn": "=asked.arn"},
            "Attributes",
            ("NotFound", "NotFoundException"),
        ),
        "found.TopicArn",
    ),
}
