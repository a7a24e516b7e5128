"""One HTTP API as it serves: from a request to its answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.gateway import access_log, callers
from infra.rehearsal.cloud.gateway.answer import Answer, Refused, internal_error, not_found, too_many
from infra.rehearsal.cloud.gateway.deployment import LiveStage, Snapshot
from infra.rehearsal.cloud.gateway.event import event_of
from infra.rehearsal.cloud.gateway.integration import invoke
from infra.rehearsal.cloud.gateway.listener import THREADS, Listener
from infra.rehearsal.cloud.gateway.request import Request
from infra.rehearsal.cloud.gateway.routes import DEFAULT, Pattern
from infra.rehearsal.cloud.gateway.workers import Workers
from infra.rehearsal.cloud.iam.arns import partition_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/ApiGateway"

log = logging.getLogger(__name__)


class HttpApi:
    """Listener, stages and deployments of one API."""

    def __init__(self, cloud: Cloud, api_id: str, region: str, account_id: str):
        self.api_id = api_id
        self.region = region
        self.account_id = account_id
        self.stages: Mapping[str, LiveStage] = {}
        self.enabled = True
        """False: disableExecuteApiEndpoint, nothing is served."""
        self.deployments: dict[str, Snapshot] = {}
        self.stage_deployments: dict[str, str] = {}
        """Deployment by stage."""
        self.changing = threading.RLock()
        """Held by whoever changes stages or deployments."""
        self.access_log = access_log.AccessLog(cloud)
        self._cloud = cloud
        self._arn = f"arn:{partition_of(region)}:execute-api:{region}:{account_id}:{api_id}"
        self._workers = Workers(THREADS, f"integration-{api_id}")
        self.listener = Listener(api_id, self.answer, cloud.clock.now)

    @property
    def url(self) -> str:
        return self.listener.url

    def close(self) -> None:
        """Stops serving: who waits for a function is answered, the port is free."""
        self._workers.close()
        self.listener.close()
        self.access_log.close()

    def answer(self, request: Request) -> Answer:
        """The answer to a request. Never raises."""
        started = time.perf_counter()
        integration_ms: list[float] = []
        stage: LiveStage | None = None
        try:
            stage, path = self._stage_of(request)
            answer = self._answered(request, stage, path, integration_ms)
        except Refused as refused:
            answer = refused.answer
        except Exception:
            # A client must see a failure of the emulation as AWS would show one of its own.
            log.exception("%s %s failed inside the emulated HTTP API %s", request.method, request.path, self.api_id)
            answer = internal_error().answer
        latency_ms = (time.perf_counter() - started) * 1000
        took_ms = integration_ms[0] if integration_ms else None
        self._count(request, answer, stage, latency_ms, took_ms)
        if stage is not None and stage.access_log is not None:
            self.access_log.add(
                stage.access_log,
                f"{self.api_id}/{stage.name}",
                int(request.received.timestamp() * 1000),
                lambda: access_log.values_of(
                    request,
                    answer,
                    account_id=self.account_id,
                    api_id=self.api_id,
                    latency_ms=latency_ms,
                    integration_ms=took_ms,
                ),
            )
        return answer

    def _answered(self, request: Request, stage: LiveStage, path: str, integration_ms: list[float]) -> Answer:
        refused = request.notes.get("refused")
        if isinstance(refused, Answer):
            return refused
        snapshot = stage.snapshot
        found = snapshot.table.find(request.method, path) if snapshot is not None else None
        if snapshot is None or found is None:
            raise not_found()
        pattern, variables = found
        route = snapshot.routes[pattern.key]
        request.route_key, request.variables = route.key, variables
        # Throttled before it is authorised, so that the authorizer is protected too. Unconfirmed.
        if not stage.bucket(route.key).take():
            raise too_many()
        resource = f"{self._arn}/{stage.name}/{request.method}{path}"
        callers.authorise(
            self._cloud, route, request, resource=resource, region=self.region, account_id=self.account_id
        )
        if not route.function_arn:
            # A route without an integration. Unconfirmed.
            raise not_found()
        event = event_of(
            request,
            account_id=self.account_id,
            api_id=self.api_id,
            stage_variables=stage.variables,
            port=self.listener.port,
        )
        source_arn = f"{self._arn}/{stage.name}/{_source(pattern, request.method)}"
        started = time.perf_counter()
        try:
            return invoke(
                self._cloud,
                self._workers,
                route,
                event,
                source_arn=source_arn,
                account_id=self.account_id,
                notes=request.notes,
            )
        finally:
            integration_ms.append((time.perf_counter() - started) * 1000)

    def _stage_of(self, request: Request) -> tuple[LiveStage, str]:
        """The stage, and the path below it. A named stage is the path's first segment, $default has the root."""
        if not self.enabled:
            raise not_found()
        stages = self.stages
        name, slash, rest = request.path[1:].partition("/")
        stage = stages.get(name) if name != DEFAULT else None
        path = f"/{rest}" if slash else "/"
        if stage is None:
            stage, path = stages.get(DEFAULT), request.path
        if stage is None:
            raise not_found()
        request.stage = stage.name
        return stage, path

    def _count(
        self,
        request: Request,
        answer: Answer,
        stage: LiveStage | None,
        latency_ms: float,
        integration_ms: float | None,
    ) -> None:
        """Metrics of a request: developer guide, "Monitor CloudWatch metrics for HTTP APIs"
        (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html). That 4xx and 5xx have a 0
        for every other request, so that their average is a rate, is documented for REST APIs only."""
        dimensions: list[dict[str, str]] = [{"ApiId": self.api_id}]
        if stage is not None:
            dimensions.append({"ApiId": self.api_id, "Stage": stage.name})
            if request.route_key and stage.has_detailed_metrics(request.route_key):
                method, _, resource = request.route_key.partition(" ")
                dimensions.append({**dimensions[1], "Method": method, "Resource": resource or method})
        values: list[tuple[str, float, str]] = [
            ("Count", 1, "Count"),
            ("4xx", 400 <= answer.status < 500, "Count"),
            ("5xx", answer.status >= 500, "Count"),
            ("Latency", latency_ms, "Milliseconds"),
            ("DataProcessed", len(request.body) + len(answer.body), "Bytes"),
        ]
        if integration_ms is not None:
            values.append(("IntegrationLatency", integration_ms, "Milliseconds"))
        put: Any = self._cloud.metrics.put
        for dimension in dimensions:
            for name, value, unit in values:
                put(
                    NAMESPACE,
                    name,
                    float(value),
                    region=self.region,
                    dimensions=dimension,
                    unit=unit,
                    at=request.received,
                )


def _source(pattern: Pattern, method: str) -> str:
    return pattern.key if pattern.key == DEFAULT else f"{method}{pattern.path}"
