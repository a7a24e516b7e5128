"""Where AWS shows what serving and watching models sets. From AWS's API references, by hand."""

from __future__ import annotations

from typing import Any

from readback import IN_THE_CALL, At, Look, Row, Table, any_order, policy


def _pairs(value: Any) -> Any:
    """A list of Name and Value as a map."""
    return None if value is None else {pair["Name"]: pair["Value"] for pair in value}


def _each_pairs(value: Any) -> Any:
    return [_pairs(one) for one in value]


def _after_colon(value: str) -> str:
    return value.rpartition(":")[2]


_APP = "application-autoscaling"
_TARGET = Look(
    _APP,
    "describe_scalable_targets",
    {
        "ServiceNamespace": "{serviceNamespace}",
        "ResourceIds": ["{resourceId}"],
        "ScalableDimension": "{scalableDimension}",
    },
    "ScalableTargets[0]",
)
_POLICY = Look(
    _APP,
    "describe_scaling_policies",
    {"ServiceNamespace": "{serviceNamespace}", "PolicyNames": ["{name}"], "ResourceId": "{resourceId}"},
    "ScalingPolicies[0]",
)
_TRACKING = "targetTrackingScalingPolicyConfiguration"
_TRACKED = "TargetTrackingScalingPolicyConfiguration"

SCALING: Table = {
    "aws:appautoscaling/target:Target": Row(
        _TARGET,
        {
            "maxCapacity": "MaxCapacity",
            "minCapacity": "MinCapacity",
            "resourceId": "ResourceId",
            "scalableDimension": "ScalableDimension",
            "serviceNamespace": "ServiceNamespace",
        },
        tags=Look(_APP, "list_tags_for_resource", {"ResourceARN": "{arn}"}, "Tags"),
        arn="ScalableTargetARN",
    ),
    "aws:appautoscaling/policy:Policy": Row(
        _POLICY,
        {
            "name": "PolicyName",
            "policyType": "PolicyType",
            "resourceId": "ResourceId",
            "scalableDimension": "ScalableDimension",
            "serviceNamespace": "ServiceNamespace",
            f"{_TRACKING}.disableScaleIn": f"{_TRACKED}.DisableScaleIn",
            f"{_TRACKING}.predefinedMetricSpecification.predefinedMetricType": (
                f"{_TRACKED}.PredefinedMetricSpecification.PredefinedMetricType"
            ),
            f"{_TRACKING}.scaleInCooldown": f"{_TRACKED}.ScaleInCooldown",
            f"{_TRACKING}.scaleOutCooldown": f"{_TRACKED}.ScaleOutCooldown",
            f"{_TRACKING}.targetValue": f"{_TRACKED}.TargetValue",
        },
    ),
}

_ALARM = Look("cloudwatch", "describe_alarms", {"AlarmNames": ["{name}"]}, "MetricAlarms[0]")
_QUERY, _STAT = "metricQueries[].metric", "Metrics[].MetricStat"

WATCHING: Table = {
    "aws:cloudwatch/logGroup:LogGroup": Row(
        Look("logs", "describe_log_groups", {"logGroupNamePrefix": "{id}"}, "logGroups[?logGroupName=='{id}'] | [0]"),
        {
            "kmsKeyId": "kmsKeyId",
            "logGroupClass": "logGroupClass",
            "name": "logGroupName",
            "retentionInDays": "retentionInDays",
        },
        tags=Look("logs", "list_tags_for_resource", {"resourceArn": "{arn}"}, "tags"),
        arn="logGroupArn",
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Row(
        _ALARM,
        {
            "actionsEnabled": "ActionsEnabled",
            "alarmActions": "AlarmActions",
            "alarmDescription": "AlarmDescription",
            "comparisonOperator": "ComparisonOperator",
            "datapointsToAlarm": "DatapointsToAlarm",
            "dimensions": At("Dimensions", found=_pairs),
            "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
            "evaluationPeriods": "EvaluationPeriods",
            "extendedStatistic": "ExtendedStatistic",
            "insufficientDataActions": "InsufficientDataActions",
            "metricName": "MetricName",
            "metricQueries[].expression": "Metrics[].Expression",
            "metricQueries[].id": "Metrics[].Id",
            "metricQueries[].label": "Metrics[].Label",
            "metricQueries[].returnData": "Metrics[].ReturnData",
            f"{_QUERY}.dimensions": At(f"{_STAT}.Metric.Dimensions", found=_each_pairs),
            f"{_QUERY}.metricName": f"{_STAT}.Metric.MetricName",
            f"{_QUERY}.namespace": f"{_STAT}.Metric.Namespace",
            f"{_QUERY}.period": f"{_STAT}.Period",
            f"{_QUERY}.stat": f"{_STAT}.Stat",
            "name": "AlarmName",
            "namespace": "Namespace",
            "okActions": "OKActions",
            "period": "Period",
            "statistic": "Statistic",
            "threshold": "Threshold",
            "treatMissingData": "TreatMissingData",
        },
        tags=Look("cloudwatch", "list_tags_for_resource", {"ResourceARN": "{arn}"}, "Tags"),
        arn="AlarmArn",
    ),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Row(
        Look(
            "cloudwatch",
            "describe_alarms",
            {"AlarmNames": ["{alarmName}"], "AlarmTypes": ["CompositeAlarm"]},
            "CompositeAlarms[0]",
        ),
        {
            "actionsEnabled": "ActionsEnabled",
            "alarmActions": any_order("AlarmActions"),
            "alarmDescription": "AlarmDescription",
            "alarmName": "AlarmName",
            "alarmRule": "AlarmRule",
            "insufficientDataActions": any_order("InsufficientDataActions"),
            "okActions": any_order("OKActions"),
        },
        tags=Look("cloudwatch", "list_tags_for_resource", {"ResourceARN": "{arn}"}, "Tags"),
        arn="AlarmArn",
    ),
    "aws:cloudwatch/eventRule:EventRule": Row(
        Look("events", "describe_rule", {"Name": "{name}"}),
        {
            "description": "Description",
            "eventBusName": "EventBusName",
            "eventPattern": policy("EventPattern"),
            "name": "Name",
            "state": "State",
        },
        tags=Look("events", "list_tags_for_resource", {"ResourceARN": "{arn}"}, "Tags"),
        arn="Arn",
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Row(
        Look(
            "events",
            "list_targets_by_rule",
            {"Rule": "{rule}", "EventBusName": "{eventBusName}"},
            "Targets[?Id=='{targetId}'] | [0]",
        ),
        {
            "arn": "Arn",
            "deadLetterConfig.arn": "DeadLetterConfig.Arn",
            "eventBusName": IN_THE_CALL,
            "input": "Input",
            "inputPath": "InputPath",
            "inputTransformer.inputPaths": "InputTransformer.InputPathsMap",
            "inputTransformer.inputTemplate": "InputTransformer.InputTemplate",
            "retryPolicy.maximumEventAgeInSeconds": "RetryPolicy.MaximumEventAgeInSeconds",
            "retryPolicy.maximumRetryAttempts": "RetryPolicy.MaximumRetryAttempts",
            "rule": IN_THE_CALL,
            "targetId": "Id",
        },
    ),
    "aws:cloudwatch/dashboard:Dashboard": Row(
        Look("cloudwatch", "get_dashboard", {"DashboardName": "{dashboardName}"}),
        {"dashboardBody": policy("DashboardBody"), "dashboardName": "DashboardName"},
    ),
    "aws:sns/topic:Topic": Row(
        Look("sns", "get_topic_attributes", {"TopicArn": "{id}"}, "Attributes"),
        {
            "displayName": "DisplayName",
            "kmsMasterKeyId": "KmsMasterKeyId",
            "name": At("TopicArn", found=_after_colon),
            "signatureVersion": At("SignatureVersion", asked=str),
        },
        tags=Look("sns", "list_tags_for_resource", {"ResourceArn": "{arn}"}, "Tags"),
        arn="TopicArn",
    ),
    "aws:sns/topicPolicy:TopicPolicy": Row(
        Look("sns", "get_topic_attributes", {"TopicArn": "{arn}"}, "Attributes"),
        {"arn": "TopicArn", "policy": policy("Policy")},
    ),
}

_TAGS = Look("sagemaker", "list_tags", {"ResourceArn": "{arn}"}, "Tags")
_BLUE_GREEN, _SHIFT = "deploymentConfig.blueGreenUpdatePolicy", "trafficRoutingConfiguration"
_LAST, _SHIFTED = "LastDeploymentConfig.BlueGreenUpdatePolicy", "TrafficRoutingConfiguration"
_CAPTURE, _CAPTURED = "dataCaptureConfig", "DataCaptureConfig"
_VARIANT, _VARIANTS = "productionVariants[]", "ProductionVariants[]"

SERVING: Table = {
    "aws:sagemaker/endpoint:Endpoint": Row(
        Look("sagemaker", "describe_endpoint", {"EndpointName": "{name}"}),
        {
            "deploymentConfig.autoRollbackConfiguration.alarms[].alarmName": (
                "LastDeploymentConfig.AutoRollbackConfiguration.Alarms[].AlarmName"
            ),
            f"{_BLUE_GREEN}.maximumExecutionTimeoutInSeconds": f"{_LAST}.MaximumExecutionTimeoutInSeconds",
            f"{_BLUE_GREEN}.terminationWaitInSeconds": f"{_LAST}.TerminationWaitInSeconds",
            f"{_BLUE_GREEN}.{_SHIFT}.canarySize.type": f"{_LAST}.{_SHIFTED}.CanarySize.Type",
            f"{_BLUE_GREEN}.{_SHIFT}.canarySize.value": f"{_LAST}.{_SHIFTED}.CanarySize.Value",
            f"{_BLUE_GREEN}.{_SHIFT}.type": f"{_LAST}.{_SHIFTED}.Type",
            f"{_BLUE_GREEN}.{_SHIFT}.waitIntervalInSeconds": f"{_LAST}.{_SHIFTED}.WaitIntervalInSeconds",
            "endpointConfigName": "EndpointConfigName",
            "name": "EndpointName",
        },
        tags=_TAGS,
        arn="EndpointArn",
        implied={"EndpointStatus": "InService"},
    ),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": Row(
        Look("sagemaker", "describe_endpoint_config", {"EndpointConfigName": "{name}"}),
        {
            f"{_CAPTURE}.captureContentTypeHeader.csvContentTypes": (
                f"{_CAPTURED}.CaptureContentTypeHeader.CsvContentTypes"
            ),
            f"{_CAPTURE}.captureContentTypeHeader.jsonContentTypes": (
                f"{_CAPTURED}.CaptureContentTypeHeader.JsonContentTypes"
            ),
            f"{_CAPTURE}.captureOptions[].captureMode": f"{_CAPTURED}.CaptureOptions[].CaptureMode",
            f"{_CAPTURE}.destinationS3Uri": f"{_CAPTURED}.DestinationS3Uri",
            f"{_CAPTURE}.enableCapture": f"{_CAPTURED}.EnableCapture",
            f"{_CAPTURE}.initialSamplingPercentage": f"{_CAPTURED}.InitialSamplingPercentage",
            f"{_CAPTURE}.kmsKeyId": f"{_CAPTURED}.KmsKeyId",
            "kmsKeyArn": "KmsKeyId",
            "name": "EndpointConfigName",
            f"{_VARIANT}.containerStartupHealthCheckTimeoutInSeconds": (
                f"{_VARIANTS}.ContainerStartupHealthCheckTimeoutInSeconds"
            ),
            f"{_VARIANT}.enableSsmAccess": f"{_VARIANTS}.EnableSSMAccess",
            f"{_VARIANT}.initialInstanceCount": f"{_VARIANTS}.InitialInstanceCount",
            f"{_VARIANT}.initialVariantWeight": f"{_VARIANTS}.InitialVariantWeight",
            f"{_VARIANT}.instanceType": f"{_VARIANTS}.InstanceType",
            f"{_VARIANT}.modelDataDownloadTimeoutInSeconds": f"{_VARIANTS}.ModelDataDownloadTimeoutInSeconds",
            f"{_VARIANT}.modelName": f"{_VARIANTS}.ModelName",
            f"{_VARIANT}.variantName": f"{_VARIANTS}.VariantName",
        },
        tags=_TAGS,
        arn="EndpointConfigArn",
    ),
    "aws:sagemaker/model:Model": Row(
        Look("sagemaker", "describe_model", {"ModelName": "{name}"}),
        {
            "enableNetworkIsolation": "EnableNetworkIsolation",
            "executionRoleArn": "ExecutionRoleArn",
            "name": "ModelName",
            "primaryContainer.environment": "PrimaryContainer.Environment",
            "primaryContainer.image": "PrimaryContainer.Image",
            "primaryContainer.mode": "PrimaryContainer.Mode",
            "primaryContainer.modelDataUrl": "PrimaryContainer.ModelDataUrl",
            "vpcConfig.securityGroupIds": any_order("VpcConfig.SecurityGroupIds"),
            "vpcConfig.subnets": any_order("VpcConfig.Subnets"),
        },
        tags=_TAGS,
        arn="ModelArn",
    ),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Row(
        Look("sagemaker", "describe_model_package_group", {"ModelPackageGroupName": "{modelPackageGroupName}"}),
        {
            "modelPackageGroupDescription": "ModelPackageGroupDescription",
            "modelPackageGroupName": "ModelPackageGroupName",
        },
        tags=_TAGS,
        arn="ModelPackageGroupArn",
        implied={"ModelPackageGroupStatus": "Completed"},
    ),
}
