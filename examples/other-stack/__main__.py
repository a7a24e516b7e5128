"""The orders team's own stack: one endpoint with its guards from Mainstage, and an alarm of the team's own on it."""

import pulumi
import pulumi_aws as aws
from mainstage import SageMakerEndpoint

config = pulumi.Config()
account_id, region = config.require("account_id"), config.require("region")
models_bucket = config.require("models_bucket")
page, ticket = config.require("page_topic_arn"), config.require("ticket_topic_arn")
runbooks = "https://example.com/orders/runbooks"

here = pulumi.ResourceOptions(provider=aws.Provider("aws", region=region, allowed_account_ids=[account_id]))

late_orders = SageMakerEndpoint(
    "late-orders",
    {
        "account_id": account_id,
        "region": region,
        "model_name": "late-orders",
        "version": 3,
        # 141502667606 is AWS's own account for scikit-learn images in eu-west-1.
        "image_uri": f"141502667606.dkr.ecr.{region}.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
        "repository_arns": [f"arn:aws:ecr:{region}:141502667606:repository/sagemaker-scikit-learn"],
        "model_data_url": f"s3://{models_bucket}/models/late-orders/3/model.tar.gz",
        "registry_bucket_arn": f"arn:aws:s3:::{models_bucket}",
        "kms_key_arn": config.require("kms_key_arn"),
        "instance_type": "ml.m5.large",
        "instance_count": 2,
        "deployment": {"strategy": "canary", "percent": 50, "bake_minutes": 15},
        "slo": {"p95_ms": 300, "p99_ms": 800, "error_ratio": 0.01},
        "page_topic_arn": page,
        "ticket_topic_arn": ticket,
        "runbook_base_url": runbooks,
    },
    here,
)

# An alarm takes the endpoint's identity: names and dimensions come from there, and never from here.
aws.cloudwatch.MetricAlarm(
    "late-orders-unused",
    name=f"{late_orders.identity['endpoint_name']}-unused",
    alarm_description=f"Nobody has asked for an hour. {runbooks}/unused.md",
    namespace="AWS/SageMaker",
    metric_name="Invocations",
    dimensions={
        "EndpointName": late_orders.identity["endpoint_name"],
        "VariantName": late_orders.identity["variant_name"],
    },
    statistic="Sum",
    period=3600,
    evaluation_periods=1,
    threshold=1,
    comparison_operator="LessThanThreshold",
    treat_missing_data="breaching",
    alarm_actions=[ticket],
    opts=here,
)

pulumi.export("endpoint_name", late_orders.endpoint_name)
