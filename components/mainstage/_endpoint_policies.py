"""Policies of VPC endpoints: which calls may leave the network through them. AWS's default lets everything through."""

from collections.abc import Mapping
from types import MappingProxyType

from ._account import Account
from ._policy import Statement

_IMAGES = (
    ("ecr", "repository/*", ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")),
    ("ecr", "*", ("ecr:GetAuthorizationToken",)),
)

INTERFACE_ENDPOINTS: Mapping[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = MappingProxyType(
    {
        "ecr.api": _IMAGES,
        "ecr.dkr": _IMAGES,
        "kms": (("kms", "key/*", ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey")),),
        "logs": (
            (
                "logs",
                "log-group:*",
                ("logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"),
            ),
        ),
        "monitoring": (
            ("cloudwatch", "alarm:*", ("cloudwatch:DescribeAlarms",)),
            ("cloudwatch", "*", ("cloudwatch:GetMetricData", "cloudwatch:PutMetricData")),
        ),
        "sagemaker.api": (
            ("sagemaker", "endpoint/*", ("sagemaker:DescribeEndpoint",)),
            ("sagemaker", "endpoint-config/*", ("sagemaker:DescribeEndpointConfig",)),
            ("sagemaker", "model/*", ("sagemaker:DescribeModel",)),
        ),
        "sagemaker.runtime": (("sagemaker", "endpoint/*", ("sagemaker:InvokeEndpoint",)),),
        "sns": (("sns", "topics", ("sns:Publish",)),),
        "sts": (("iam", "role/*", ("sts:AssumeRole",)), ("iam", "*", ("sts:GetCallerIdentity",))),
    }
)
"""AWS services that can be reached inside the network, by the short name after `com.amazonaws.<region>.`, and what
may be called through their endpoint: service in the ARN, resource in this account (`*`: AWS cannot narrow it),
actions."""


def interface_endpoint_policy(account: Account, service: str) -> list[Statement]:
    """What may be called through an interface endpoint, and by whom: this account's principals only."""
    return [
        Statement(
            sid=f"CallsOfThisAccount{index}",
            reason="without a policy an endpoint lets any principal of any account call anything",
            principals={"*": []},
            actions=actions,
            resources=[_resource(account, arn_service, resource)],
            conditions={"StringEquals": {"aws:PrincipalAccount": account.account_id}},
        )
        for index, (arn_service, resource, actions) in enumerate(INTERFACE_ENDPOINTS[service], start=1)
    ]


def _resource(account: Account, arn_service: str, resource: str) -> str:
    if resource == "*":
        return "*"
    if arn_service == "iam":
        return account.role_arn(resource)
    if arn_service == "ecr":
        # The runtime presets' images belong to accounts of AWS.
        return f"arn:{account.partition}:ecr:{account.region}:*:{resource}"
    return account.arn(arn_service, "*" if resource == "topics" else resource)


def s3_endpoint_policy(account: Account) -> list[Statement]:
    """What may be read and written through the S3 gateway endpoint."""
    return [
        Statement(
            sid="BucketsOfThisAccount",
            reason="models read their archives and write captured requests; data leaves to no other account's bucket",
            principals={"*": []},
            actions=["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket", "s3:PutObject"],
            resources=[account.bucket_arn("*")],
            conditions={
                "StringEquals": {
                    "aws:PrincipalAccount": account.account_id,
                    "aws:ResourceAccount": account.account_id,
                }
            },
        ),
        Statement(
            # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms
            sid="ImageLayersOfEcr",
            reason="ECR hands out image layers from a bucket of its own",
            principals={"*": []},
            actions=["s3:GetObject"],
            resources=[account.bucket_arn(f"prod-{account.region}-starport-layer-bucket") + "/*"],
        ),
    ]
