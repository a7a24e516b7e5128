"""Whose it is and who pays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .resource import UNKNOWN, Resource, document, get
from .rule import About, Problem, ResourceRule

ENVIRONMENT_TAG = "mainstage:environment"
REQUIRED = (ENVIRONMENT_TAG, "mainstage:owner", "mainstage:cost-center")

TAGGED = (
    "aws:apigatewayv2/api:Api",
    "aws:apigatewayv2/stage:Stage",
    "aws:athena/workgroup:Workgroup",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:dynamodb/table:Table",
    "aws:ec2/securityGroup:SecurityGroup",
    "aws:ec2/subnet:Subnet",
    "aws:ec2/vpc:Vpc",
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "aws:ecr/repository:Repository",
    "aws:glue/catalogDatabase:CatalogDatabase",
    "aws:iam/policy:Policy",
    "aws:iam/role:Role",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
    "aws:kms/key:Key",
    "aws:lambda/eventSourceMapping:EventSourceMapping",
    "aws:lambda/function:Function",
    "aws:s3/bucket:Bucket",
    "aws:sagemaker/endpoint:Endpoint",
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    "aws:sagemaker/model:Model",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    "aws:sns/topic:Topic",
    "aws:sqs/queue:Queue",
)
"""Types that are judged even where the program says nothing of tags."""


def tags_of(resource: Resource) -> Any:
    """Every tag that the resource will have: its own and its provider's default tags. UNKNOWN where not known yet."""
    default = get(document(resource.provider.get("defaultTags")), "tags")
    found: dict[str, Any] = {}
    for tags in (document(default), resource.get("tagsAll"), resource.get("tags")):
        if isinstance(tags, Mapping):
            found.update(tags)
        elif tags is UNKNOWN:
            return UNKNOWN
    return found


def _tags(resource: Resource) -> Iterator[Problem]:
    taggable = resource.type in TAGGED or not {"tags", "tagsAll"}.isdisjoint(resource.properties)
    if not resource.type.startswith("aws:") or not taggable:
        return
    tags = tags_of(resource)
    if tags is UNKNOWN:
        return
    for name in REQUIRED:
        value = tags.get(name)
        if value is None or value == "":
            yield Problem(f'tags["{name}"]', value, "a value, of the resource or of its provider's default tags")
    environment = tags.get(ENVIRONMENT_TAG)
    if isinstance(environment, str) and environment and environment != resource.environment:
        yield Problem(f'tags["{ENVIRONMENT_TAG}"]', environment, f'"{resource.environment}", as the stack is')


RULES = (
    ResourceRule(
        About(
            "required-tags",
            f"What can be tagged has {', '.join(REQUIRED)}, and the environment's tag is true.",
            "Nobody can be asked about what has no owner, and nobody pays; budgets and clean-ups go by these tags.",
            "set owner and cost_center in the stack file; a provider of your own needs default_tags",
        ),
        (),
        _tags,
    ),
)
