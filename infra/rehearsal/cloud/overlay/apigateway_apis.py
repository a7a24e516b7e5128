"""HTTP APIs: each one listens, and its ApiEndpoint is where.

moto keeps the records. What is not carried is refused by name: WebSocket APIs, quick create, import, CORS.
"""

from __future__ import annotations

from typing import Any

from moto.apigatewayv2.models import apigatewayv2_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.gateway import gateways
from infra.rehearsal.cloud.gateway.http_api import HttpApi
from infra.rehearsal.cloud.overlay import after, before

_NOT_SERVED = "moto would keep the record, and nothing would come of it"
_QUICK_CREATE = ("CredentialsArn", "RouteKey", "Target")


def not_carried(call: Call, what: str) -> AwsError:
    return AwsError("NotCarried", f"The emulated cloud does not carry apigatewayv2.{call.operation} with {what}.", 501)


def not_found(kind: str, identifier: str) -> AwsError:
    """As moto words it, after AWS."""
    return AwsError("NotFoundException", f"Invalid {kind} identifier specified {identifier}", 404)


def api_of(call: Call) -> Any:
    """moto's record of the API that the call names. AwsError NotFoundException when there is none."""
    api = apigatewayv2_backends[call.account_id][call.region].apis.get(call.params["ApiId"])
    if api is None:
        raise not_found("API", call.params["ApiId"])
    return api


def serving(call: Call) -> HttpApi:
    """The API that the call names, as it serves. AwsError NotFoundException when there is none."""
    api = gateways(call.cloud).get(call.params["ApiId"])
    if api is None:
        raise not_found("API", call.params["ApiId"])
    return api


@before("apigatewayv2", "CreateApi")
def carried_kinds(call: Call) -> None:
    if call.params["ProtocolType"] != "HTTP":
        raise not_carried(call, f"ProtocolType {call.params['ProtocolType']}")
    for member in _QUICK_CREATE:
        if call.params.get(member):
            raise not_carried(call, f"{member} (quick create)")
    _no_cors(call)
    _address_type(call)


@before("apigatewayv2", "UpdateApi")
def carried_changes(call: Call) -> None:
    api_of(call)
    for member in _QUICK_CREATE:
        if call.params.get(member):
            raise not_carried(call, f"{member} (quick create)")
    _no_cors(call)
    _address_type(call)


def _no_cors(call: Call) -> None:
    if call.params.get("CorsConfiguration"):
        raise not_carried(call, "CorsConfiguration")


def _address_type(call: Call) -> None:
    if call.params.get("IpAddressType", "ipv4") != "ipv4":
        raise not_carried(call, f"IpAddressType {call.params['IpAddressType']}")


def _refuse(operation: str) -> None:
    @before("apigatewayv2", operation)
    def refuse(call: Call) -> None:
        raise AwsError("NotCarried", f"The emulated cloud does not carry apigatewayv2.{operation}: {_NOT_SERVED}.", 501)


for _operation in (
    *("CreateApiMapping", "CreateDomainName", "CreateIntegrationResponse", "CreateModel", "CreateRouteResponse"),
    *("CreateVpcLink", "ReimportApi"),
):
    _refuse(_operation)


@after("apigatewayv2", "CreateApi")
def listen(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    api = gateways(call.cloud).open(output["ApiId"], call.region, call.account_id)
    api.enabled = not call.params.get("DisableExecuteApiEndpoint", False)
    return _shown(call, output)


@after("apigatewayv2", "UpdateApi")
def change(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    serving(call).enabled = not output.get("DisableExecuteApiEndpoint", False)
    return _shown(call, output)


@after("apigatewayv2", "GetApi")
def show(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return _shown(call, output)


@after("apigatewayv2", "GetApis")
def show_all(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return {**output, "Items": [_shown(call, item) for item in output.get("Items", ())]}


def _shown(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    api = gateways(call.cloud).get(output.get("ApiId", ""))
    return output if api is None else {**output, "ApiEndpoint": api.url, "IpAddressType": "ipv4"}


@before("apigatewayv2", "DeleteApi")
def is_there(call: Call) -> None:
    api_of(call)


@after("apigatewayv2", "DeleteApi")
def close(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    gateways(call.cloud).drop(call.params["ApiId"])
    return output
