"""RoleBoundary: the most that any role made by these components may ever do."""

from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._patterns import ACCOUNT_ID, BUCKET_NAME, RESOURCE_NAME
from ._policy import Statement, document, in_region
from ._resolve import Reader
from .runtime_presets import PRESETS

_MOST_CHARACTERS = 6144
"""Longest managed policy: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

NETWORK_LOOKUPS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
)
"""What SageMaker asks EC2 before it puts a model into a VPC:
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms"""


class RoleBoundaryArgs(AccountArgs):
    """Arguments of RoleBoundary."""

    policy_name: NotRequired[str]
    """Name of the managed policy. Omitted: the component's name."""
    bucket_names: list[str]
    """Buckets whose objects the roles may reach at most: those of the registry, of captured requests and of the
    prediction logs, for example."""
    image_account_ids: NotRequired[list[str]]
    """AWS accounts whose images in ECR the roles may pull, beside this account's own. Omitted: the accounts that own
    the runtime presets' images in the region."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    policy_name: str
    document: str
    tags: dict[str, pulumi.Input[str]]


def _resolve(name: str, args: RoleBoundaryArgs) -> _Resolved:
    reader = Reader("RoleBoundary", name, args, RoleBoundaryArgs)
    account = read_account(reader)
    policy_name = reader.plain("policy_name", RESOURCE_NAME, default=name)
    bucket_names = reader.plain_list("bucket_names", BUCKET_NAME, minimum=1)
    image_account_ids = reader.plain_list("image_account_ids", ACCOUNT_ID, default=preset_accounts(account.region))
    text = document(boundary_statements(account, bucket_names, image_account_ids))
    if not isinstance(text, str):
        raise TypeError("a boundary is made of plain values only")
    # AWS does not count white space.
    length = len("".join(text.split()))
    if length > _MOST_CHARACTERS:
        reader.refuse("bucket_names", f"a policy of {length} characters", f"{_MOST_CHARACTERS}", "name fewer buckets")
    resolved = _Resolved(account=account, policy_name=policy_name, document=text, tags=read_tags(reader))
    reader.finish()
    return resolved


def preset_accounts(region: str) -> tuple[str, ...]:
    """The accounts that own the images of the runtime presets in a region."""
    found = {preset.registry_accounts[region] for preset in PRESETS.values() if region in preset.registry_accounts}
    return tuple(sorted(found))


def boundary_statements(
    account: Account, bucket_names: tuple[str, ...], image_account_ids: tuple[str, ...]
) -> list[Statement]:
    """Everything that some role of these components needs, and nothing else: a boundary grants nothing by itself."""
    buckets = [account.bucket_arn(bucket_name) for bucket_name in bucket_names]
    image_owners = sorted({account.account_id, *image_account_ids})
    images = [f"arn:{account.partition}:ecr:{account.region}:{owner}:repository/*" for owner in image_owners]
    return [
        Statement(
            sid="Images",
            reason="a container starts from an image of this account or of AWS",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=images,
        ),
        Statement(
            sid="ImageLogin",
            reason="pulling an image begins with a token for the registry",
            actions=["ecr:GetAuthorizationToken"],
            resources=["*"],
            conditions=in_region(account.region),
        ),
        Statement(
            sid="Objects",
            reason="archives are read from the registry; captured requests and prediction records are written",
            actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            resources=[f"{bucket}/*" for bucket in buckets],
        ),
        Statement(
            # https://docs.aws.amazon.com/firehose/latest/dev/controlling-access.html#using-iam-s3
            sid="Buckets",
            reason="Firehose looks at its bucket, and at uploads that it has not finished",
            actions=["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
            resources=buckets,
        ),
        Statement(
            sid="Keys",
            reason="buckets and queues are encrypted with keys of this account, pseudonyms made with one of them",
            actions=["kms:Decrypt", "kms:GenerateDataKey", "kms:GenerateMac"],
            resources=[account.arn("kms", "key/*")],
        ),
        Statement(
            sid="Logs",
            reason="containers, functions, streams and flow logs write to log groups of this account",
            actions=["logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            resources=[account.arn("logs", "log-group:*")],
        ),
        Statement(
            sid="Metrics",
            reason="SageMaker publishes the utilisation of an endpoint's instances under its role",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
        ),
        Statement(
            sid="Guards",
            reason="SageMaker reads the guard alarms of a release under the endpoint's role; so does the watch",
            actions=["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"],
            resources=[account.arn("cloudwatch", "alarm:*")],
        ),
        Statement(
            sid="Predictions",
            reason="a front door asks its endpoint, and the watch looks at it",
            actions=["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"],
            resources=[account.arn("sagemaker", "endpoint/*")],
        ),
        Statement(
            sid="Records",
            reason="records go to a stream, from the front door and from the spool",
            actions=["firehose:PutRecord", "firehose:PutRecordBatch"],
            resources=[account.arn("firehose", "deliverystream/*")],
        ),
        Statement(
            sid="Spools",
            reason="what a stream does not take waits in a queue, and is read from there",
            actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"],
            resources=[account.arn("sqs", "*")],
        ),
        Statement(
            sid="Pages",
            reason="the watch wakes a person when a release went wrong",
            actions=["sns:Publish"],
            resources=[account.arn("sns", "*")],
        ),
        Statement(
            sid="Transforms",
            reason="a stream calls the function that checks its records",
            actions=["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"],
            resources=[account.arn("lambda", "function:*")],
        ),
        Statement(
            sid="Tables",
            reason="a stream reads the schema of the table that it writes for",
            actions=["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            resources=[
                account.arn("glue", "catalog"),
                account.arn("glue", "database/*"),
                account.arn("glue", "table/*"),
            ],
        ),
        Statement(
            sid="NetworkInterfaces",
            reason="a model inside a VPC has network interfaces there",
            actions=[
                "ec2:CreateNetworkInterface",
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            resources=[
                account.arn("ec2", "network-interface/*"),
                account.arn("ec2", "security-group/*"),
                account.arn("ec2", "subnet/*"),
            ],
        ),
        Statement(
            sid="NetworkLookups",
            reason="SageMaker looks at the subnets and security groups before it makes an interface in them",
            actions=NETWORK_LOOKUPS,
            resources=["*"],
            conditions=in_region(account.region),
        ),
    ]


class RoleBoundary(pulumi.ComponentResource):
    """A managed policy that serves as the permissions boundary of every role. It grants nothing by itself."""

    policy_arn: pulumi.Output[str]
    """ARN of the managed policy: the `permissions_boundary_arn` of the other components."""

    def __init__(self, name: str, args: RoleBoundaryArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:RoleBoundary", name, {}, opts)
        resolved = _resolve(name, args)
        policy = aws.iam.Policy(
            f"{name}-policy",
            name=resolved.policy_name,
            # A changed description replaces the policy, and with it the boundary of every role: it never changes.
            description="The most that a role made by Mainstage may do",
            policy=resolved.document,
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.policy_arn = policy.arn
        self.register_outputs({"policy_arn": self.policy_arn})
