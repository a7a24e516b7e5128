"""Kinds of things that a parameter may name, and how to see whether one exists. They look, they never change
anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from moto import backends
from moto.awslambda.utils import get_backend as lambda_backend
from moto.ec2.exceptions import EC2ClientError
from moto.iam.models import iam_backends

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.keys import find_key, is_aws_managed
from infra.rehearsal.cloud.iam.resource_policies import find_bucket


@dataclass(frozen=True)
class Kind:
    """A kind of thing: its name for messages, and the look."""

    name: str
    exists: Callable[[Call, str], bool]


def _backend(call: Call, service: str, region: str | None = None) -> Any:
    """moto's backend of a service in the call's account."""
    of_account = cast(Any, backends.get_backend)(service)[call.account_id]
    return of_account[region or call.region]


def _elsewhere(call: Call, value: str, *, other_region_too: bool = False) -> bool:
    """Whether an ARN lies outside this account (or region), where nothing can be seen."""
    parts = arns.split(value)
    if parts is None:
        return False
    other_account = bool(parts.account_id) and parts.account_id != call.account_id
    return other_account or (other_region_too and bool(parts.region) and parts.region != call.region)


def _iam(call: Call) -> Any:
    return iam_backends[call.account_id][arns.partition_of(call.region)]


def _role(call: Call, value: str) -> bool:
    if _elsewhere(call, value):
        return True
    roles = list(_iam(call).roles.values())
    # A role is named by its ARN, path included; a few services take the bare name.
    return any(role.arn == value if value.startswith("arn:") else role.name == value for role in roles)


def _principal(call: Call, value: str) -> bool:
    if ":user/" in value:
        return _elsewhere(call, value) or any(user.arn == value for user in list(_iam(call).users.values()))
    return _role(call, value)


def _policy(call: Call, value: str) -> bool:
    parts = arns.split(value)
    if parts is not None and parts.account_id not in (call.account_id, "aws"):
        return True
    return value in _iam(call).managed_policies


def _bucket(call: Call, value: str) -> bool:
    """By name, ARN or S3 URI."""
    name = value.removeprefix("s3://")
    parts = arns.split(value)
    if parts is not None:
        if parts.service != "s3":
            return True
        name = parts.resource
    return find_bucket(name.split("/", 1)[0]) is not None


def _flow_log_bucket(call: Call, value: str) -> bool:
    # EC2 makes a log group that is missing; only a bucket has to be there.
    return _bucket(call, value) if ":s3:::" in value else True


def _key(call: Call, value: str) -> bool:
    """A key that can be used: one that waits for its deletion is as good as missing."""
    if is_aws_managed(value) or _elsewhere(call, value):
        return True
    parts = arns.split(value)
    if parts is not None and parts.region != call.region:
        # Services use keys of their own region only.
        return False
    key = find_key(call.account_id, call.region, value)
    return key is not None and key.key_state != "PendingDeletion"


def _from_ec2(look: Callable[[Any, str], Any]) -> Callable[[Call, str], bool]:
    def exists(call: Call, value: str) -> bool:
        try:
            return look(_backend(call, "ec2"), value) is not None
        except EC2ClientError:
            return False

    return exists


def _nat_gateway(backend: Any, value: str) -> Any:
    gateway = backend.nat_gateways.get(value)
    return gateway if gateway is not None and gateway.state not in ("deleted", "deleting", "failed") else None


def _gateway(backend: Any, value: str) -> Any:
    # Virtual private gateways share the parameter.
    return backend.get_vpn_gateway(value) if value.startswith("vgw-") else _internet_gateway(backend, value)


def _internet_gateway(backend: Any, value: str) -> Any:
    if value == "local" or value.startswith("vpce-"):
        return value
    return backend.get_internet_gateway(value)


def _topic(call: Call, value: str) -> bool:
    return _elsewhere(call, value, other_region_too=True) or value in _backend(call, "sns").topics


def _queue(call: Call, value: str) -> bool:
    parts = arns.split(value)
    if _elsewhere(call, value, other_region_too=True) or parts is None:
        return True
    return parts.resource in _backend(call, "sqs").queues


def _function(call: Call, value: str) -> bool:
    parts = arns.split(value)
    if _elsewhere(call, value, other_region_too=True) or parts is None:
        return True
    name = parts.resource.split(":")[1]
    # moto keeps functions in one of two backends, by whether it runs them in Docker.
    functions = lambda_backend(call.account_id, call.region).list_functions()
    return any(function.function_name == name for function in functions)


def _log_group(call: Call, value: str) -> bool:
    if _elsewhere(call, value, other_region_too=True):
        return True
    name = value.split(":log-group:", 1)[-1].removesuffix(":*")
    return name in _backend(call, "logs").groups


def _stream(call: Call, value: str) -> bool:
    parts = arns.split(value)
    if _elsewhere(call, value, other_region_too=True) or parts is None:
        return True
    from infra.rehearsal.cloud.overlay.firehose_store import streams_of  # the overlay imports this module

    return (call.region, parts.resource.removeprefix("deliverystream/")) in streams_of(call.cloud).by_name


def _of_http_api(records: str, prefix: str = "") -> Callable[[Call, str], bool]:
    """A part of the HTTP API that the call names. A missing API is no matter of this look: the call is refused."""

    def exists(call: Call, value: str) -> bool:
        apis = _backend(call, "apigatewayv2").apis
        api_id = call.params.get("ApiId")
        if api_id is not None and api_id not in apis:
            return True
        searched = list(apis.values()) if api_id is None else [apis[api_id]]
        return any(value.removeprefix(prefix) in getattr(api, records) for api in searched)

    return exists


def _cluster(call: Call, value: str) -> bool:
    return value in _backend(call, "eks").clusters


def _by_service(**looks: Callable[[Call, str], bool]) -> Callable[[Call, str], bool]:
    """The look by the ARN's service. What is no ARN, or of a service that is not looked at, passes."""

    def exists(call: Call, value: str) -> bool:
        parts = arns.split(value)
        look = looks.get({"lambda": "function"}.get(parts.service, parts.service)) if parts is not None else None
        return True if look is None else look(call, value)

    return exists


ROLE = Kind("role", _role)
PRINCIPAL = Kind("role or user", _principal)
POLICY = Kind("policy", _policy)
BUCKET = Kind("bucket", _bucket)
FLOW_LOG_BUCKET = Kind("bucket", _flow_log_bucket)
KEY = Kind("KMS key", _key)
SUBNET = Kind("subnet", _from_ec2(lambda backend, value: backend.get_subnet(value)))
SECURITY_GROUP = Kind("security group", _from_ec2(lambda backend, value: backend.get_security_group_from_id(value)))
VPC = Kind("VPC", _from_ec2(lambda backend, value: backend.get_vpc(value)))
ROUTE_TABLE = Kind("route table", _from_ec2(lambda backend, value: backend.get_route_table(value)))
NAT_GATEWAY = Kind("NAT gateway", _from_ec2(_nat_gateway))
GATEWAY = Kind("gateway", _from_ec2(_gateway))
TOPIC = Kind("SNS topic", _topic)
QUEUE = Kind("SQS queue", _queue)
QUEUE_OR_TOPIC = Kind("queue or topic", _by_service(sqs=_queue, sns=_topic))
FUNCTION = Kind("Lambda function", _function)
INTEGRATION = Kind("integration", _of_http_api("integrations", "integrations/"))
AUTHORIZER = Kind("authorizer", _of_http_api("authorizers"))
LOG_GROUP = Kind("log group", _log_group)
CLUSTER = Kind("EKS cluster", _cluster)
ALARM_ACTION = Kind("alarm action", _by_service(sns=_topic, function=_function))
SUBSCRIBER = Kind("subscriber", _by_service(sqs=_queue, function=_function, firehose=_stream))
TARGET = Kind("target", _by_service(sqs=_queue, sns=_topic, function=_function, firehose=_stream, logs=_log_group))
