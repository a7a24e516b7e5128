"""FrontDoor: the one HTTP API of an environment. Models hang their routes on it; its address outlives any of them."""

import json
from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._front_door_identity import FrontDoorIdentity
from ._http_api import answer_route
from ._lambda_function import FUNCTION_NAME, function_log_group, function_role, runtime_function
from ._patterns import HTTPS_URL, KEY_ARN, LOG_RETENTION_DAYS, Pattern
from ._policy import Text, join
from ._resolve import Reader

AUTHORIZATIONS = {"iam": "AWS_IAM", "jwt": "JWT", "none": "NONE"}
"""How callers prove who they are, and what API Gateway calls it."""

STAGE_NAME = "$default"
"""The stage that is served at the root of the API's address."""

_API_NAME = Pattern(
    FUNCTION_NAME.expression,
    "a name of a-z, 0-9 and hyphen, at most 54 characters, because `-not-found` is added for a function's name",
    maximum=FUNCTION_NAME.maximum - len("-not-found"),
)
_AUDIENCE = Pattern(r"\S+", "an audience: a text without spaces", maximum=256)

_NOT_FOUND_TIMEOUT_SECONDS = 3

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "requestTime": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "responseLength": "$context.responseLength",
    "responseLatencyMs": "$context.responseLatency",
    "integrationLatencyMs": "$context.integrationLatency",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "gatewayError": "$context.error.message",
}
"""One line a request. Never a body, a query string or a token: paths and ids are enough to find the record."""


class JwtArgs(TypedDict):
    """Whose tokens are taken."""

    issuer: str
    """Issuer, an https URL: the claim `iss`. Its keys are read at `<issuer>/.well-known/openid-configuration`."""
    audiences: list[str]
    """Audiences, at least one; a token's claim `aud` or `client_id` has to be one of them."""


class FrontDoorArgs(AccountArgs):
    """Arguments of FrontDoor."""

    api_name: NotRequired[str]
    """Name of the HTTP API and beginning of its function's name. Omitted: the component's name."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the access log, and the function's log and environment."""
    auth: NotRequired[str]
    """How callers prove who they are: `iam` (signed requests), `jwt` (tokens) or `none`. Omitted: `iam`."""
    jwt: NotRequired[JwtArgs]
    """Whose tokens are taken. Required with `jwt`, refused otherwise."""
    allow_unauthenticated: NotRequired[bool]
    """True: everybody on the internet may call. Required with `none`, refused otherwise. Omitted: false."""
    throttle_requests_per_second: NotRequired[float]
    """Requests a second that each route takes on average; the others get 429. Omitted: 1,000."""
    throttle_burst: NotRequired[float]
    """Requests that each route takes at once. Omitted: 2,000."""
    log_retention_days: NotRequired[float]
    """How long logs are kept; one of the values that CloudWatch Logs takes. Omitted: 90."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """The most that the role made here may do. Omitted: no boundary."""
    deletion_protection: NotRequired[bool]
    """True: API and logs are neither deleted nor replaced; another API has another address. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    api_name: str
    kms_key_arn: Text
    authorization: str
    issuer: str
    audiences: tuple[str, ...]
    requests_per_second: int
    burst: int
    log_retention_days: int
    permissions_boundary_arn: Optional[Text]
    deletion_protection: bool
    tags: dict[str, Text]


def _resolve(name: str, args: FrontDoorArgs) -> _Resolved:
    reader = Reader("FrontDoor", name, args, FrontDoorArgs)
    account = read_account(reader)
    auth = reader.choice("auth", tuple(AUTHORIZATIONS), default="iam")
    open_to_all = reader.flag("allow_unauthenticated", default=False)
    if auth == "none" and not open_to_all:
        fix = "choose iam or jwt; or write allow_unauthenticated: true beside it"
        reader.refuse("auth", auth, "iam or jwt: with none, everybody on the internet may call every model", fix)
    if auth != "none" and open_to_all:
        fix = "remove allow_unauthenticated"
        reader.refuse("allow_unauthenticated", True, f"nothing with auth {auth}: every request is authorized", fix)
    issuer, audiences = _read_jwt(reader, auth)
    resolved = _Resolved(
        account=account,
        api_name=reader.plain("api_name", _API_NAME, default=name),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        authorization=AUTHORIZATIONS[auth],
        issuer=issuer,
        audiences=audiences,
        # Left out, or 0, API Gateway throttles every request.
        requests_per_second=reader.whole("throttle_requests_per_second", minimum=1, maximum=10_000, default=1000),
        burst=reader.whole("throttle_burst", minimum=1, maximum=5_000, default=2000),
        log_retention_days=reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=90),
        permissions_boundary_arn=read_boundary(reader),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def _read_jwt(reader: Reader, auth: str) -> tuple[str, tuple[str, ...]]:
    if auth != "jwt":
        if reader.has("jwt"):
            reader.refuse("jwt", reader.raw("jwt"), f"nothing with auth {auth}", "write auth: jwt, or remove jwt")
        return "", ()
    section = reader.section("jwt", JwtArgs)
    if section is None:
        if not reader.has("jwt"):
            allowed = "issuer and audiences: without them no token can be checked"
            reader.refuse("jwt", None, allowed, "add jwt with issuer and audiences")
        return "", ()
    return section.plain("issuer", HTTPS_URL), section.plain_list("audiences", _AUDIENCE, minimum=1, maximum=50)


class FrontDoor(pulumi.ComponentResource):
    """One HTTP API with its stage, access log, throttle and authorizer, and the answer to every path that is no model.

    A path without a route is authorized like any other, then answered 404 by a function of its own.
    """

    api_id: pulumi.Output[str]
    """Id of the HTTP API."""
    api_endpoint: pulumi.Output[str]
    """Address that clients call, without a slash at the end."""
    execution_arn: pulumi.Output[str]
    """Beginning of the ARN of everything that can be called."""
    authorizer_id: pulumi.Output[str]
    """Id of the authorizer that checks tokens; empty unless `auth` is `jwt`."""
    authorization_type: pulumi.Output[str]
    """How routes are authorized: `AWS_IAM`, `JWT` or `NONE`."""
    stage_name: pulumi.Output[str]
    """Stage that is called: `$default`."""
    access_log_group_name: pulumi.Output[str]
    """Log group with one line a request."""
    identity: FrontDoorIdentity
    """What the models' routes take."""

    def __init__(self, name: str, args: FrontDoorArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:FrontDoor", name, {}, opts)
        resolved = _resolve(name, args)
        self._name = name
        child = pulumi.ResourceOptions(parent=self)
        api = aws.apigatewayv2.Api(
            f"{name}-api",
            name=resolved.api_name,
            protocol_type="HTTP",
            description="Clients ask the models of Mainstage for predictions here",
            disable_execute_api_endpoint=False,
            tags=resolved.tags,
            # Another API has another host name: every client would have to change.
            opts=pulumi.ResourceOptions(parent=self, protect=resolved.deletion_protection),
        )
        logs = self._access_log(resolved)
        stage = self._stage(resolved, api, logs)
        authorizer_id: Text = ""
        if resolved.authorization == "JWT":
            authorizer_id = aws.apigatewayv2.Authorizer(
                f"{name}-authorizer",
                api_id=api.id,
                name=f"{resolved.api_name}-jwt",
                authorizer_type="JWT",
                identity_sources=["$request.header.Authorization"],
                jwt_configuration={"issuer": resolved.issuer, "audiences": list(resolved.audiences)},
                opts=child,
            ).id
        self._not_found(resolved, api, authorizer_id)
        self.api_id = api.id
        self.api_endpoint = api.api_endpoint
        self.execution_arn = api.execution_arn
        self.authorizer_id = pulumi.Output.from_input(authorizer_id)
        self.authorization_type = pulumi.Output.from_input(resolved.authorization)
        self.stage_name = stage.name
        self.access_log_group_name = logs.name
        self.identity = {
            "api_id": api.id,
            "api_endpoint": api.api_endpoint,
            "execution_arn": api.execution_arn,
            "authorizer_id": authorizer_id,
            "authorization_type": resolved.authorization,
            "stage_name": STAGE_NAME,
        }
        self.register_outputs(
            {
                "api_id": self.api_id,
                "api_endpoint": self.api_endpoint,
                "execution_arn": self.execution_arn,
                "authorizer_id": self.authorizer_id,
                "authorization_type": self.authorization_type,
                "stage_name": self.stage_name,
                "access_log_group_name": self.access_log_group_name,
                "identity": self.identity,
            }
        )

    def _access_log(self, resolved: _Resolved) -> "aws.cloudwatch.LogGroup":
        return aws.cloudwatch.LogGroup(
            f"{self._name}-access-log",
            name=f"/aws/apigateway/{resolved.api_name}",
            # Left out, logs are kept for ever.
            retention_in_days=resolved.log_retention_days,
            kms_key_id=resolved.kms_key_arn,
            log_group_class="STANDARD",
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self, protect=resolved.deletion_protection, retain_on_delete=resolved.deletion_protection
            ),
        )

    def _stage(
        self, resolved: _Resolved, api: "aws.apigatewayv2.Api", logs: "aws.cloudwatch.LogGroup"
    ) -> "aws.apigatewayv2.Stage":
        return aws.apigatewayv2.Stage(
            f"{self._name}-stage",
            api_id=api.id,
            name=STAGE_NAME,
            description="What clients call",
            # Left out, no change of a route ever goes live.
            auto_deploy=True,
            access_log_settings={"destination_arn": logs.arn, "format": json.dumps(_ACCESS_LOG)},
            default_route_settings={
                # The block is sent whole: a throttle that is left out is sent as 0, and everything is throttled.
                "throttling_rate_limit": float(resolved.requests_per_second),
                "throttling_burst_limit": resolved.burst,
                # By route, or what the gateway itself refuses could not be told apart by model.
                "detailed_metrics_enabled": True,
            },
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=resolved.deletion_protection),
        )

    def _not_found(self, resolved: _Resolved, api: "aws.apigatewayv2.Api", authorizer_id: Text) -> None:
        """The route of last resort: every path that no model has is answered 404, in the words of the other errors."""
        name, function_name = f"{self._name}-not-found", f"{resolved.api_name}-not-found"
        logs = function_log_group(
            name,
            parent=self,
            function_name=function_name,
            retention_days=resolved.log_retention_days,
            kms_key_arn=resolved.kms_key_arn,
            deletion_protection=resolved.deletion_protection,
            tags=resolved.tags,
        )
        role = function_role(
            name,
            parent=self,
            account=resolved.account,
            function_name=function_name,
            description=f"What the function {function_name} may do",
            statements=[],
            boundary=resolved.permissions_boundary_arn,
            tags=resolved.tags,
        )
        function = runtime_function(
            name,
            parent=self,
            function_name=function_name,
            handler="mainstage_runtime.not_found.handler",
            modules=["not_found"],
            config=None,
            environment={},
            timeout_seconds=_NOT_FOUND_TIMEOUT_SECONDS,
            memory_mib=128,
            role=role,
            log_group=logs,
            kms_key_arn=resolved.kms_key_arn,
            description="Answers what asks for a model that is not there",
            tags=resolved.tags,
        )
        answer_route(
            name,
            parent=self,
            api_id=api.id,
            function=function,
            # The route of last resort takes every method and path.
            source_arn=join(api.execution_arn, "/*/*"),
            route_key="$default",
            timeout_ms=(_NOT_FOUND_TIMEOUT_SECONDS + 2) * 1000,
            authorization_type=resolved.authorization,
            authorizer_id=authorizer_id,
        )
