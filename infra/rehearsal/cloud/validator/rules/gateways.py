"""API Gateway HTTP APIs: route keys, stages, access logs, throttles, authorizers.

https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-routes.html
https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-stages.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

MOST_SCOPES = 10
MOST_AUDIENCES = 50
_METHODS = "ANY|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT"
_ROUTE_KEY = re.compile(rf"\$default|(?:{_METHODS}) /\S*")
_IDENTITY_SOURCE = re.compile(r"\$request\.(header|querystring)\.[A-Za-z0-9_.-]+")


@rule("apigatewayv2", "CreateRoute", "UpdateRoute")
def route(params: Params, partial: bool) -> Iterator[Finding]:
    key = params.get("RouteKey")
    if key is not None:
        problem = problem_of_key(key)
        if problem:
            yield Finding("RouteKey", f"{shown(key)} is no route key: {problem}")
    target = params.get("Target")
    if target and not re.fullmatch(r"integrations/[A-Za-z0-9-]+", target):
        yield Finding("Target", f"{shown(target)} is no target; write integrations/ID")
    scopes = params.get("AuthorizationScopes") or []
    if len(scopes) > MOST_SCOPES:
        yield Finding("AuthorizationScopes", f"has {len(scopes)} scopes, at most {MOST_SCOPES} are allowed")


def problem_of_key(key: str) -> str:
    """What is wrong with a route key, or ""."""
    if not _ROUTE_KEY.fullmatch(key):
        return 'the form is "<HTTP METHOD> /<path>" or "$default"'
    segments = key.partition(" ")[2].split("/")[1:]
    names: list[str] = []
    for index, segment in enumerate(segments):
        if "{" not in segment and "}" not in segment:
            continue
        variable = re.fullmatch(r"\{([A-Za-z0-9._-]+)(\+?)\}", segment)
        if variable is None:
            return f"{segment!r}: a variable in braces fills a whole segment of the path"
        if variable[2] and index != len(segments) - 1:
            return f"{segment!r}: a greedy variable stands at the end of the path"
        names.append(variable[1])
    return "a variable's name stands twice" if len(set(names)) != len(names) else ""


@rule("apigatewayv2", "CreateStage", "UpdateStage")
def stage(params: Params, partial: bool) -> Iterator[Finding]:
    name = params.get("StageName")
    if name is not None and name != "$default" and not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", name):
        yield Finding("StageName", f"{shown(name)} is no stage name: $default, or letters, digits, - and _")
    yield from _access_log(params.get("AccessLogSettings"), partial)
    yield from _throttle("DefaultRouteSettings", params.get("DefaultRouteSettings"))
    for key, settings in (params.get("RouteSettings") or {}).items():
        problem = problem_of_key(key)
        if problem:
            yield Finding("RouteSettings", f"{shown(key)} is no route key: {problem}")
        yield from _throttle(f"RouteSettings.{key}", settings)


def _access_log(settings: Any, partial: bool) -> Iterator[Finding]:
    """Empty settings take the log away."""
    if not settings or (partial and len(settings) < 2):
        return
    text, destination = settings.get("Format"), settings.get("DestinationArn")
    if not text or not destination:
        yield Finding("AccessLogSettings", "needs both DestinationArn and Format")
        return
    if not re.fullmatch(r"arn:[\w-]+:logs:[a-z0-9-]+:\d{12}:log-group:[^:*]+(:\*)?", destination):
        yield Finding("AccessLogSettings.DestinationArn", f"{shown(destination)} is not the ARN of a log group")
    if "\n" in text or "\r" in text:
        yield Finding("AccessLogSettings.Format", "has several lines; it must be a single line")
    if not re.search(r"\$context\.(requestId|extendedRequestId)\b", text):
        yield Finding("AccessLogSettings.Format", "must include at least $context.requestId")


def _throttle(path: str, settings: Mapping[str, Any] | None) -> Iterator[Finding]:
    for name in ("ThrottlingBurstLimit", "ThrottlingRateLimit"):
        value = (settings or {}).get(name)
        if value is not None and value < 0:
            yield Finding(f"{path}.{name}", f"is {value}, at least 0 is needed")
    for name in ("DataTraceEnabled", "LoggingLevel"):
        value = (settings or {}).get(name)
        if value not in (None, False, "OFF"):
            yield Finding(f"{path}.{name}", "is supported for WebSocket APIs only")


@rule("apigatewayv2", "CreateAuthorizer", "UpdateAuthorizer")
def authorizer(params: Params, partial: bool) -> Iterator[Finding]:
    sources = params.get("IdentitySource") or []
    configuration = params.get("JwtConfiguration")
    if params.get("AuthorizerType") == "JWT":
        if configuration is None and "Name" in params and not partial:
            yield Finding("JwtConfiguration", "is required for a JWT authorizer")
        if len(sources) > 1:
            yield Finding("IdentitySource", f"has {len(sources)} entries; a JWT authorizer has one")
    for index, source in enumerate(sources):
        if not _IDENTITY_SOURCE.fullmatch(source):
            yield Finding(
                f"IdentitySource[{index}]",
                f"{shown(source)} is no source; write $request.header.NAME or $request.querystring.NAME",
            )
    if configuration is None:
        return
    issuer, audience = configuration.get("Issuer"), configuration.get("Audience")
    if issuer is not None and not re.fullmatch(r"https://[^\s/?#]+[^\s?#]*", issuer):
        yield Finding("JwtConfiguration.Issuer", f"{shown(issuer)} is no https URL")
    if issuer is None and not partial:
        yield Finding("JwtConfiguration.Issuer", "is required")
    if not audience and not partial:
        yield Finding("JwtConfiguration.Audience", "needs at least one audience")
    elif audience and len(audience) > MOST_AUDIENCES:
        yield Finding("JwtConfiguration.Audience", f"has {len(audience)} entries, at most {MOST_AUDIENCES} are allowed")
