"""What a model may do while it is served: one statement for each thing that SageMaker does under its role.

https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createmodel-perms, narrowed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import pulumi

from ._account import Account
from ._policy import Statement, Text, in_region, join, via_service
from .guard_alarms import guard_alarm_names
from .role_boundary import NETWORK_LOOKUPS


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the role is made for. None: the endpoint does not use it."""

    account: Account
    endpoint_name: str
    repository_arns: Sequence[Text]
    registry_objects: Text
    """ARN pattern of the archives: `arn:aws:s3:::bucket/models/iris/*`."""
    kms_key_arn: Text
    log_group_name: str
    capture_objects: Optional[Text]
    subnet_ids: Optional[pulumi.Input[Sequence[Text]]]
    security_group_id: Optional[Text]


def execution_statements(needs: Needs) -> list[Statement]:
    """The role's statements. Each is needed: a test takes one after the other away and sees something fail."""
    account = needs.account
    group = account.arn("logs", f"log-group:{needs.log_group_name}")
    alarms = [account.arn("cloudwatch", f"alarm:{name}") for name in guard_alarm_names(needs.endpoint_name).values()]
    statements = [
        Statement(
            sid="PullImage",
            reason="SageMaker pulls the container's image under this role",
            actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            resources=list(needs.repository_arns),
        ),
        Statement(
            sid="LogInToRegistry",
            reason="pulling an image begins with a token for the registry",
            actions=["ecr:GetAuthorizationToken"],
            resources=["*"],
            conditions=in_region(account.region),
        ),
        Statement(
            sid="ReadArchive",
            reason="SageMaker downloads model.tar.gz under this role, again for every instance that is replaced",
            actions=["s3:GetObject"],
            resources=[needs.registry_objects],
        ),
        Statement(
            sid="DecryptArchive",
            reason="archives are encrypted with this key, and S3 decrypts them as whoever reads",
            actions=["kms:Decrypt"],
            resources=[needs.kms_key_arn],
            conditions=via_service("s3", account.region),
        ),
        Statement(
            sid="WriteLogs",
            reason="the container's output goes to the endpoint's own log group",
            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            # A stream's ARN begins with its group's; the group alone is what DescribeLogStreams asks for.
            resources=[group, f"{group}:*"],
        ),
        Statement(
            sid="PublishUtilisation",
            reason="SageMaker publishes CPU, memory and disk use of the instances under this role",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
        ),
        Statement(
            sid="WatchGuards",
            reason="a release is taken back by alarms that SageMaker reads under this role",
            actions=["cloudwatch:DescribeAlarms"],
            resources=alarms,
        ),
    ]
    if needs.capture_objects is not None:
        statements += _capture(needs, needs.capture_objects)
    if needs.subnet_ids is not None and needs.security_group_id is not None:
        statements += _network(needs, needs.subnet_ids, needs.security_group_id)
    return statements


def invoke_statement(endpoint_arn: Text) -> Statement:
    """What a caller of the endpoint needs."""
    return Statement(
        sid="InvokeEndpoint",
        reason="a caller sends requests to this endpoint, and to no other",
        actions=["sagemaker:InvokeEndpoint"],
        resources=[endpoint_arn],
    )


def _capture(needs: Needs, objects: Text) -> list[Statement]:
    return [
        Statement(
            sid="WriteCapture",
            reason="captured requests and answers are written under this role",
            actions=["s3:PutObject"],
            resources=[objects],
        ),
        Statement(
            sid="EncryptCapture",
            reason="what is captured is encrypted with this key",
            actions=["kms:GenerateDataKey"],
            resources=[needs.kms_key_arn],
            conditions=via_service("s3", needs.account.region),
        ),
    ]


def _network(needs: Needs, subnet_ids: pulumi.Input[Sequence[Text]], group_id: Text) -> list[Statement]:
    account = needs.account
    interfaces = account.arn("ec2", "network-interface/*")
    group = join(account.arn("ec2", "security-group/"), group_id)
    subnet_prefix = account.arn("ec2", "subnet/")
    if isinstance(subnet_ids, Sequence):
        places: pulumi.Input[Sequence[Text]] = [
            interfaces,
            group,
            *(join(subnet_prefix, subnet_id) for subnet_id in subnet_ids),
        ]
    else:
        places = pulumi.Output.all(group, subnet_ids).apply(
            lambda known: [interfaces, known[0], *(f"{subnet_prefix}{subnet_id}" for subnet_id in known[1])]
        )
    return [
        Statement(
            sid="MakeNetworkInterfaces",
            reason="a model in a VPC has network interfaces in these subnets, and in no others",
            actions=["ec2:CreateNetworkInterface"],
            resources=places,
        ),
        Statement(
            sid="HandOverNetworkInterfaces",
            reason="SageMaker hands the interfaces to its instances, and removes them with the endpoint",
            actions=[
                "ec2:CreateNetworkInterfacePermission",
                "ec2:DeleteNetworkInterface",
                "ec2:DeleteNetworkInterfacePermission",
            ],
            resources=[interfaces],
        ),
        Statement(
            sid="LookAtNetwork",
            reason="SageMaker looks at the subnets and groups before it makes an interface in them",
            actions=NETWORK_LOOKUPS,
            resources=["*"],
            conditions=in_region(account.region),
        ),
    ]
