"""CloudFormation's schemas for the services whose botocore models are nearly empty: EC2, EKS, S3, SQS, SNS, ECS.

The schemas come with cfn-lint (`data/schemas`, MIT-0). Only what limits a value is taken from them: enum, pattern,
length,
range, number of items. Names are matched without regard to case; what has another name or another type in the API
than in CloudFormation is left alone, and so is everything that is required or exclusive there.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding, choices, joined, shown
from infra.rehearsal.cloud.validator.patterns import matches

_REGION = "us-east-1"
"""The region whose schemas are used: the one that has every type."""


@dataclass(frozen=True)
class Source:
    """Where the limits of one operation stand."""

    type_name: str
    member: str = ""
    """The member of the input that corresponds to the resource's properties; empty: the input itself."""
    property_name: str = ""
    """The property of the resource that corresponds to the member; empty: the resource itself."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """API name -> property name, where they differ by more than case."""


_EKS_NODEGROUP = Source("AWS::EKS::Nodegroup", renamed={"taints": "Taints"})
_QUEUE = Source("AWS::SQS::Queue", member="Attributes")
_TOPIC = Source("AWS::SNS::Topic", member="Attributes", renamed={"KmsMasterKeyId": "KmsMasterKeyId"})


def _bucket(member: str, property_name: str | None = None) -> Source:
    return Source("AWS::S3::Bucket", member, property_name or member)


SOURCES: Mapping[tuple[str, str], Source] = {
    ("ec2", "CreateVpc"): Source("AWS::EC2::VPC"),
    ("ec2", "CreateSubnet"): Source("AWS::EC2::Subnet"),
    ("ec2", "CreateNatGateway"): Source("AWS::EC2::NatGateway"),
    ("ec2", "CreateRoute"): Source("AWS::EC2::Route"),
    ("ec2", "CreateFlowLogs"): Source("AWS::EC2::FlowLog"),
    ("ec2", "CreateVpcEndpoint"): Source("AWS::EC2::VPCEndpoint"),
    ("ec2", "ModifyVpcEndpoint"): Source("AWS::EC2::VPCEndpoint"),
    ("ec2", "CreateSecurityGroup"): Source("AWS::EC2::SecurityGroup", renamed={"Description": "GroupDescription"}),
    ("ec2", "CreateCapacityReservation"): Source("AWS::EC2::CapacityReservation"),
    ("ec2", "CreatePlacementGroup"): Source("AWS::EC2::PlacementGroup"),
    ("ec2", "CreateLaunchTemplate"): Source("AWS::EC2::LaunchTemplate"),
    ("eks", "CreateCluster"): Source("AWS::EKS::Cluster"),
    ("eks", "CreateNodegroup"): _EKS_NODEGROUP,
    ("eks", "UpdateNodegroupConfig"): _EKS_NODEGROUP,
    ("eks", "CreateFargateProfile"): Source("AWS::EKS::FargateProfile"),
    ("eks", "CreateAccessEntry"): Source("AWS::EKS::AccessEntry"),
    ("eks", "CreateAddon"): Source("AWS::EKS::Addon"),
    ("eks", "UpdateAddon"): Source("AWS::EKS::Addon"),
    ("eks", "CreatePodIdentityAssociation"): Source("AWS::EKS::PodIdentityAssociation"),
    ("s3", "CreateBucket"): Source("AWS::S3::Bucket", renamed={"Bucket": "BucketName"}),
    ("s3", "PutBucketVersioning"): _bucket("VersioningConfiguration"),
    ("s3", "PutPublicAccessBlock"): _bucket("PublicAccessBlockConfiguration"),
    ("s3", "PutBucketOwnershipControls"): _bucket("OwnershipControls"),
    ("s3", "PutBucketLifecycleConfiguration"): _bucket("LifecycleConfiguration"),
    ("s3", "PutBucketCors"): _bucket("CORSConfiguration", "CorsConfiguration"),
    ("s3", "PutBucketReplication"): _bucket("ReplicationConfiguration"),
    ("sqs", "CreateQueue"): _QUEUE,
    ("sqs", "SetQueueAttributes"): _QUEUE,
    ("sns", "CreateTopic"): _TOPIC,
    ("sns", "Subscribe"): Source("AWS::SNS::Subscription"),
    ("apigatewayv2", "CreateApi"): Source("AWS::ApiGatewayV2::Api"),
    ("apigatewayv2", "UpdateApi"): Source("AWS::ApiGatewayV2::Api"),
    ("apigatewayv2", "CreateIntegration"): Source("AWS::ApiGatewayV2::Integration"),
    ("apigatewayv2", "UpdateIntegration"): Source("AWS::ApiGatewayV2::Integration"),
    ("apigatewayv2", "CreateAuthorizer"): Source("AWS::ApiGatewayV2::Authorizer"),
    ("apigatewayv2", "CreateStage"): Source("AWS::ApiGatewayV2::Stage"),
    ("apigatewayv2", "CreateVpcLink"): Source("AWS::ApiGatewayV2::VpcLink"),
    ("ecs", "CreateCluster"): Source("AWS::ECS::Cluster"),
    ("ecs", "RegisterTaskDefinition"): Source("AWS::ECS::TaskDefinition"),
    ("ecs", "CreateService"): Source("AWS::ECS::Service"),
    ("iam", "CreateRole"): Source("AWS::IAM::Role"),
    ("iam", "CreatePolicy"): Source("AWS::IAM::ManagedPolicy", renamed={"PolicyName": "ManagedPolicyName"}),
    ("kms", "CreateKey"): Source("AWS::KMS::Key"),
    ("kms", "CreateAlias"): Source("AWS::KMS::Alias"),
    ("logs", "CreateLogGroup"): Source("AWS::Logs::LogGroup"),
    ("logs", "PutRetentionPolicy"): Source("AWS::Logs::LogGroup"),
    ("ecr", "CreateRepository"): Source("AWS::ECR::Repository"),
}


def check(service: str, operation: str, params: Mapping[str, Any]) -> Iterator[Finding]:
    """What CloudFormation's schema has against the values of a call."""
    source = SOURCES.get((service, operation))
    if source is None:
        return
    value: Any = params.get(source.member) if source.member else params
    if not isinstance(value, Mapping):
        return
    schema = schema_of(source.type_name)
    node: Mapping[str, Any] = schema
    if source.property_name:
        node = _resolved(schema["properties"][source.property_name], schema)
    yield from _object(value, source.member, node, schema, source.renamed)


def _object(
    value: Mapping[str, Any],
    path: str,
    node: Mapping[str, Any],
    schema: Mapping[str, Any],
    renamed: Mapping[str, str],
) -> Iterator[Finding]:
    properties = _by_lower_name(id(node), node)
    for name, item in value.items():
        found = properties.get(renamed.get(name, name).lower())
        if found is not None and item is not None:
            yield from _value(item, joined(path, name), _resolved(found, schema), schema)


def _value(value: Any, path: str, node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Finding]:
    kinds = node.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if isinstance(value, Mapping):
        if "object" in kinds or "properties" in node:
            yield from _object(value, path, node, schema, {})
    elif isinstance(value, (list, tuple)):
        if "array" in kinds:
            yield from _array(value, path, node, schema)
    elif isinstance(value, bool):
        return
    elif isinstance(value, str):
        if "string" in kinds:
            yield from _text(value, path, node)
        elif kinds & {"integer", "number"}:
            # Attribute maps (SQS, SNS) carry numbers as text.
            yield from _numeric_text(value, path, node)
    elif isinstance(value, (int, float)) and kinds & {"integer", "number"}:
        yield from _number(value, path, node)


def _array(
    value: list[Any] | tuple[Any, ...], path: str, node: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[Finding]:
    most = node.get("maxItems")
    if most is not None and len(value) > most:
        yield Finding(path, f"has {len(value)} entries, at most {most} are allowed")
    items = node.get("items")
    if isinstance(items, Mapping):
        resolved = _resolved(items, schema)
        for index, item in enumerate(value):
            yield from _value(item, f"{path}[{index}]", resolved, schema)


def _text(value: str, path: str, node: Mapping[str, Any]) -> Iterator[Finding]:
    most, least, pattern, enum = (node.get(key) for key in ("maxLength", "minLength", "pattern", "enum"))
    if most is not None and len(value) > most:
        yield Finding(path, f"has {len(value)} characters, at most {most} are allowed")
    if least is not None and len(value) < least:
        yield Finding(path, f"has {len(value)} characters, at least {least} are needed")
    if enum and value not in enum:
        yield Finding(path, f"{shown(value)} is not allowed; {choices(value, enum)}")
    elif pattern and not matches(pattern, value, whole=False):
        yield Finding(path, f"{shown(value)} does not match the pattern {pattern}")


def _numeric_text(value: str, path: str, node: Mapping[str, Any]) -> Iterator[Finding]:
    try:
        number = float(value)
    except ValueError:
        yield Finding(path, f"must be a number, got {shown(value)}")
        return
    yield from _number(int(number) if number.is_integer() else number, path, node)


def _number(value: float, path: str, node: Mapping[str, Any]) -> Iterator[Finding]:
    most, least, enum = (node.get(key) for key in ("maximum", "minimum", "enum"))
    if most is not None and value > most:
        yield Finding(path, f"is {value}, at most {most} is allowed")
    if least is not None and value < least:
        yield Finding(path, f"is {value}, at least {least} is needed")
    if enum and value not in enum:
        yield Finding(path, f"is {value}; {choices(value, enum)}")


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        target: Any = schema
        for part in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


@functools.cache
def schema_of(type_name: str) -> Mapping[str, Any]:
    folder = _folder()
    resource = _resources(folder)[type_name]
    return json.loads((folder / "resources" / f"{resource}.json").read_text(encoding="utf-8"))


@functools.cache
def _resources(folder: Path) -> Mapping[str, str]:
    return json.loads((folder / "providers" / f"{_REGION}.json").read_text(encoding="utf-8"))


def _folder() -> Path:
    # Found, not imported: cfn-lint takes half a second to import and only its data is wanted.
    spec = importlib.util.find_spec("cfnlint")
    if spec is None or spec.origin is None:
        raise RuntimeError("cfn-lint is not installed, and its schemas are needed: run `make bootstrap`")
    return Path(spec.origin).parent / "data" / "schemas"


_lower_names: dict[int, Mapping[str, Mapping[str, Any]]] = {}


def _by_lower_name(key: int, node: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    # By identity: schemas are cached for the life of the process, so their nodes keep their ids.
    known = _lower_names.get(key)
    if known is None:
        known = _lower_names[key] = {name.lower(): child for name, child in node.get("properties", {}).items()}
    return known
