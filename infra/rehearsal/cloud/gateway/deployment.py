"""What serves: a snapshot of an API's routes, integrations and authorizers, as a deployment took it.

Source: API Gateway developer guide, "Manage stages for HTTP APIs"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html): a change reaches clients when it is
deployed; a stage with automatic deployment gets one at each change. AWS deploys a few seconds later; here at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.rehearsal.cloud.gateway.access_log import Settings
from infra.rehearsal.cloud.gateway.routes import Table
from infra.rehearsal.cloud.gateway.throttle import ACCOUNT_BURST, ACCOUNT_RATE, Bucket
from infra.rehearsal.cloud.gateway.tokens import JwtAuthorizer

DEFAULT_TIMEOUT_MS = 30_000
_FUNCTION = re.compile(
    r"(?:arn:aws[\w-]*:apigateway:[a-z0-9-]+:lambda:path/2015-03-31/functions/)?"
    r"(arn:aws[\w-]*:lambda:([a-z0-9-]+):\d{12}:function:[A-Za-z0-9-_]+(?::[A-Za-z0-9$_-]+)?)(?:/invocations)?"
)


def function_of(integration_uri: str) -> str:
    """The ARN of the function in an IntegrationUri (its ARN, or its invoke ARN); "" when there is none."""
    found = _FUNCTION.fullmatch(integration_uri)
    return found[1] if found else ""


@dataclass(frozen=True)
class Route:
    """One route as it was deployed."""

    key: str
    authorization: str
    """NONE, AWS_IAM or JWT."""
    scopes: tuple[str, ...]
    jwt: JwtAuthorizer | None
    function_arn: str
    """"" for a route without an integration."""
    timeout_seconds: float


@dataclass(frozen=True)
class Snapshot:
    """A deployment."""

    deployment_id: str
    description: str
    created: datetime
    auto_deployed: bool
    table: Table
    routes: Mapping[str, Route]

    @classmethod
    def of(cls, api: Any, deployment_id: str, *, description: str, created: datetime, auto_deployed: bool) -> Snapshot:
        """The API as it is now. api: moto's."""
        routes = {route.route_key: _route(api, route) for route in list(api.routes.values())}
        return cls(deployment_id, description, created, auto_deployed, Table(routes), routes)


def _route(api: Any, route: Any) -> Route:
    integration = api.integrations.get((route.target or "").removeprefix("integrations/"))
    authorizer = api.authorizers.get(route.authorizer_id) if route.authorization_type == "JWT" else None
    jwt = None
    if authorizer is not None:
        configured = authorizer.jwt_config or {}
        sources = authorizer.identity_source or ["$request.header.Authorization"]
        jwt = JwtAuthorizer(configured.get("issuer", ""), tuple(configured.get("audience") or ()), sources[0])
    return Route(
        key=route.route_key,
        authorization=route.authorization_type or "NONE",
        scopes=tuple(route.authorization_scopes or ()),
        jwt=jwt,
        function_arn=function_of(integration.integration_uri or "") if integration is not None else "",
        timeout_seconds=(integration.timeout_in_millis or DEFAULT_TIMEOUT_MS) / 1000 if integration is not None else 0,
    )


class LiveStage:
    """A stage as it serves. Its settings hold at once, its routes when they are deployed."""

    def __init__(self, stage: Any, snapshot: Snapshot | None, before: LiveStage | None):
        """stage: moto's. before: what served until now; throttles that did not change keep their tokens."""
        self.name: str = stage.name
        self.snapshot = snapshot
        self.variables: Mapping[str, str] = dict(stage.stage_variables or {})
        logged = stage.access_log_settings or {}
        self.access_log = (
            Settings.of(logged["destinationArn"], logged["format"])
            if logged.get("destinationArn") and logged.get("format")
            else None
        )
        self._settings: dict[str, Mapping[str, Any]] = dict(stage.route_settings or {})
        self._default: Mapping[str, Any] = dict(stage.default_route_settings or {})
        self._buckets: dict[str, Bucket] = {} if before is None else dict(before._buckets)

    def bucket(self, route_key: str) -> Bucket:
        """The tokens of a route. That the stage's default limits hold for each route by itself is unconfirmed."""
        rate = float(self._setting(route_key, "throttlingRateLimit", ACCOUNT_RATE))
        burst = int(self._setting(route_key, "throttlingBurstLimit", ACCOUNT_BURST))
        bucket = self._buckets.get(route_key)
        if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
            bucket = self._buckets[route_key] = Bucket(rate, burst)
        return bucket

    def has_detailed_metrics(self, route_key: str) -> bool:
        return bool(self._setting(route_key, "detailedMetricsEnabled", False))

    def _setting(self, route_key: str, name: str, otherwise: Any) -> Any:
        value = self._settings.get(route_key, {}).get(name)
        if value is None:
            value = self._default.get(name)
        return otherwise if value is None else value
