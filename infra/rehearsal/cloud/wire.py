"""From bytes to a named operation with parsed parameters: every AWS protocol, by botocore's models.

`read` finds service and operation, unwraps the body and parses the parameters; `replies.py` is the way back.
Signatures are not verified: the access key in the credential scope says who calls.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

from botocore.exceptions import UnknownServiceError
from botocore.utils import parse_timestamp
from moto.core import utils as moto_utils
from moto.core.loaders import create_loader
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict
from werkzeug.exceptions import NotFound

from infra.rehearsal.cloud.api import AwsError, HttpRequest
from infra.rehearsal.cloud.payload import unwrapped

# One loader for all of moto's models: each new one would list every directory of botocore's first.
moto_utils.create_loader = functools.cache(create_loader)  # pyright: ignore[reportPrivateImportUsage]

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request")
_SERVICES_BY_SIGNING_NAME = {
    "monitoring": ("cloudwatch",),
    "states": ("stepfunctions",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticfilesystem": ("efs",),
    "tagging": ("resourcegroupstaggingapi",),
    "resource-groups": ("resource-groups",),
    "aps": ("amp",),
    "apigateway": ("apigatewayv2", "apigateway"),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "bedrock": ("bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime", "bedrock"),
    "s3": ("s3control", "s3"),
    "ses": ("sesv2", "ses"),
    "servicequotas": ("service-quotas",),
    "lakeformation": ("lakeformation",),
    "sagemaker": ("sagemaker", "sagemaker-runtime"),
}
"""Credential scopes that do not carry botocore's service name, or that several services share. Order: the first that
knows the operation."""


@dataclass(frozen=True)
class Operation:
    """One operation of one service, with the protocol that this request speaks."""

    service: str
    model: Any
    """moto's OperationModel. Untyped, as the properties of botocore's models are."""
    protocol: str

    @property
    def name(self) -> str:
        return str(self.model.name)


@dataclass(frozen=True)
class Scope:
    """What the request's credentials say about it."""

    access_key_id: str
    region: str
    signing_name: str


@dataclass(frozen=True)
class Reading:
    """A request that was understood. `request` is unwrapped: plain body, lower-case header names, S3 in path style."""

    operation: Operation
    scope: Scope
    params: dict[str, Any]
    request: HttpRequest


class NotUnderstood(Exception):
    """A request that cannot be understood, with the error to answer and what is known of the request."""

    def __init__(self, error: AwsError, *, service: str = "", operation: str = "", protocol: str = ""):
        super().__init__(str(error))
        self.error = error
        self.service = service
        self.operation = operation
        self.protocol = protocol


def read(request: HttpRequest) -> Reading:
    """Understands a request. Raises NotUnderstood when no operation is found or its parameters cannot be parsed."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    scope = scope_of(request, headers)
    services = _services(scope.signing_name)
    if not services:
        raise NotUnderstood(
            AwsError("NotCarried", f"The emulated cloud carries no service that signs as {scope.signing_name!r}.", 501),
            service=scope.signing_name,
            operation=_asked_name(headers, request.body),
            protocol=_guess_protocol(headers),
        )
    is_object = scope.signing_name == "s3"
    try:
        headers, body = unwrapped(headers, request.body, is_object=is_object)
    except AwsError as error:
        raise NotUnderstood(error, service=str(services[0].service_name), protocol=_guess_protocol(headers)) from error
    url = _path_style(request.url, headers) if is_object else request.url
    if url != request.url:
        headers = {**headers, "host": urlsplit(url).netloc}
    plain = HttpRequest(request.method, url, headers, body)
    operation, labels, values = _route(services, plain)
    try:
        params = _parse(operation, plain, labels, values)
    except AwsError as error:
        raise NotUnderstood(
            error, service=operation.service, operation=operation.name, protocol=operation.protocol
        ) from error
    return Reading(operation, scope, params, plain)


def scope_of(request: HttpRequest, headers: Mapping[str, str]) -> Scope:
    """The credential scope, from the Authorization header or from a presigned URL."""
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    if found is None and "X-Amz-Credential=" in request.url:
        credential = parse_qs(urlsplit(request.url).query).get("X-Amz-Credential", [""])[0]
        found = _CREDENTIAL.search(f"Credential={credential}")
    if found is None:
        raise NotUnderstood(
            AwsError(
                "MissingAuthenticationToken",
                "Request is missing Authentication Token: the emulated cloud tells service and region by the credential"
                " scope of a signed request (AWS Signature Version 4).",
                403,
            ),
            operation=_asked_name(headers, request.body),
            protocol=_guess_protocol(headers),
        )
    return Scope(found[1], found[3], found[4])


def service_model(service: str) -> Any:
    """moto's model of a service, with every operation made. UnknownServiceError when there is none.

    moto's `operation_model` and botocore's below it are cached under one key: for a moment botocore's own stands there,
    without what moto's router asks for, and another thread may take it. So they are all made before anyone asks.
    """
    with _making_models:
        model: Any = get_service_model(service)
        if service not in _made:
            for name in model.operation_names:
                model.operation_model(name)
            _made.add(service)
    return model


_making_models = threading.Lock()
_made: set[str] = set()


@functools.cache
def operation_named(service: str, operation: str) -> Operation:
    """An operation by botocore's names, in the service's main protocol. KeyError when there is none."""
    try:
        model: Any = service_model(service)
    except UnknownServiceError:
        raise KeyError(f"botocore has no service {service!r}") from None
    if operation not in model.operation_names:
        raise KeyError(f"botocore's {service} has no operation {operation!r}")
    return Operation(service, model.operation_model(operation), str(model.protocol))


def aware_timestamp(value: Any) -> datetime:
    """Timestamps of requests as aware UTC datetimes."""
    return parse_timestamp(value).astimezone(UTC)


@functools.cache
def _services(signing_name: str) -> tuple[Any, ...]:
    models = []
    for name in _SERVICES_BY_SIGNING_NAME.get(signing_name, (signing_name,)):
        try:
            models.append(service_model(name))
        except UnknownServiceError:
            continue
    return tuple(models)


def _route(services: tuple[Any, ...], request: HttpRequest) -> tuple[Operation, dict[str, Any], MultiDict[str, str]]:
    """Operation, labels of the path, and query or form values."""
    target = request.headers.get("x-amz-target", "")
    content_type = request.headers.get("content-type", "")
    if target:
        prefix, _, name = target.rpartition(".")
        for service in services:
            if service.metadata.get("targetPrefix") == prefix and name in service.operation_names:
                operation = Operation(str(service.service_name), service.operation_model(name), "json")
                return operation, {}, MultiDict()
        raise _unknown(services[0], name or target, "json")
    is_form = content_type.startswith("application/x-www-form-urlencoded")
    if is_form and services[0].protocol not in ("rest-xml", "rest-json"):
        values = MultiDict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        return _by_action(services, request, values)
    if services[0].protocol in ("query", "ec2"):
        return _by_action(services, request, MultiDict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True)))
    for service in services:
        found = _by_path(service, request)
        if found is not None:
            return found
    raise _unknown(services[-1], f"{request.method} {urlsplit(request.url).path}", str(services[-1].protocol))


def _by_action(
    services: tuple[Any, ...], request: HttpRequest, values: MultiDict[str, str]
) -> tuple[Operation, dict[str, Any], MultiDict[str, str]]:
    action, version = values.get("Action", ""), values.get("Version", "")
    known = [service for service in services if action in service.operation_names]
    # Two generations of one service (elb, elbv2) share scope and names; the API version tells them apart.
    known.sort(key=lambda service: service.api_version != version)
    if not known:
        raise _unknown(services[0], action or "(no Action)", "query")
    service = known[0]
    protocol = "ec2" if service.protocol == "ec2" else "query"
    labels: dict[str, Any] = {}
    if service.service_name == "sqs" and "QueueUrl" not in values:
        values["QueueUrl"] = request.url.split("?", 1)[0]
    return Operation(str(service.service_name), service.operation_model(action), protocol), labels, values


def _by_path(service: Any, request: HttpRequest) -> tuple[Operation, dict[str, Any], MultiDict[str, str]] | None:
    if service.protocol not in ("rest-xml", "rest-json"):
        return None
    # The router reads path, query and headers only: no body is copied for it.
    wanted = {name: value for name, value in request.headers.items() if name not in ("content-length", "content-type")}
    routed = Request.from_primitives(request.method, request.url, wanted)
    try:
        model, labels = get_service_router(str(service.service_name)).match(routed)
    except NotFound:
        return None
    return Operation(str(service.service_name), model, str(service.protocol)), dict(labels), routed.args


def _parse(
    operation: Operation, request: HttpRequest, uri_params: dict[str, Any], values: MultiDict[str, str]
) -> dict[str, Any]:
    parser = PROTOCOL_PARSERS[operation.protocol](operation.model, timestamp_parser=aware_timestamp)
    try:
        parsed = parser.parse(
            {
                "method": request.method,
                "values": values,
                "headers": Headers(list(request.headers.items())),
                "body": request.body,
                "url_path": urlsplit(request.url).path,
                "url_params": uri_params,
            }
        )
    except Exception as error:
        # The parser meets whatever a client sent: any failure in it is the client's malformed request.
        raise AwsError(
            "MalformedXML" if operation.service == "s3" else "SerializationException",
            f"{operation.service}.{operation.name}: the request does not fit the operation's input: {error}",
        ) from error
    if not isinstance(parsed, dict):
        raise AwsError(
            "SerializationException", f"{operation.service}.{operation.name}: the request's body is no structure"
        )
    return {name: value for name, value in parsed.items() if value is not None}


def _path_style(url: str, headers: Mapping[str, str]) -> str:
    """An S3 URL with the bucket in the path, however the client addressed it."""
    parts = urlsplit(url)
    host = headers.get("host") or parts.netloc
    name = host.rsplit(":", 1)[0]
    bucket = ""
    for suffix in (r"\.s3[.-]([a-z0-9-]+\.)?amazonaws\.com(\.cn)?", r"\.localhost"):
        found = re.fullmatch(rf"(.+?){suffix}", name)
        if found:
            bucket = found[1]
            break
    if not bucket or bucket == "s3":
        return url
    path = f"/{quote(bucket)}{parts.path if parts.path.startswith('/') else '/' + parts.path}"
    # Without the bucket in the host as well, or the router would take the bucket in the path for a part of the key.
    server = host[len(bucket) + 1 :]
    return f"{parts.scheme}://{server}{path.removesuffix('/') if path.count('/') == 2 else path}" + (
        f"?{parts.query}" if parts.query else ""
    )


def _unknown(service: Any, asked: str, protocol: str) -> NotUnderstood:
    name = str(service.service_name)
    return NotUnderstood(
        AwsError(
            "NotCarried",
            f"The emulated cloud does not carry {name}.{asked}: botocore's {name} has no such operation.",
            501,
        ),
        service=name,
        operation=asked,
        protocol=protocol,
    )


def _asked_name(headers: Mapping[str, str], body: bytes) -> str:
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    if target:
        return target
    found = re.search(rb"(?:^|&)Action=(\w+)", body[:4096])
    return found[1].decode() if found else ""


def _guess_protocol(headers: Mapping[str, str]) -> str:
    content_type = headers.get("content-type", "")
    if "json" in content_type or "x-amz-target" in headers:
        return "json"
    return "query" if "form-urlencoded" in content_type else "rest-xml"
