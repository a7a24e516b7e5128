"""One emulated minute of a model's clients: real requests to the front door, then the cloud's clock moves on."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from infra.front_door import PredictError
from infra.layers.names import endpoint_name
from infra.registry.status import guard_prefix
from infra.rehearsal.cloud.overlay.alarm_store import alarms_of
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of
from infra.rehearsal.drills.behaviour import REQUEST
from infra.rehearsal.drills.timeline import Minute

if TYPE_CHECKING:
    from infra.rehearsal.drills.world import World

WORKERS = 2
"""Clients that ask the front door at the same time. Each one more is a Lambda process more, of every deployment of the
model's route, which is most of what a drill costs."""
BATCH_WORKERS = 8
SECONDS = 60
WAITING = frozenset({"Baking", "ActivatingTraffic"})
"""Variant statuses of a deployment that waits for time to pass (API reference, ProductionVariantStatus)."""


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    """0: no answer."""
    latency_ms: float
    request_id: str
    told: str
    """The version that the reply's header names."""
    by: str
    """The version that the process itself named, from its own archive; empty for a failure."""


def send(world: World, model: str, requests: int) -> list[Answer]:
    """Sends so many requests at once and waits for all answers."""
    if not requests:
        return []
    with ThreadPoolExecutor(min(WORKERS, requests), thread_name_prefix="mainstage-drill") as pool:
        return list(pool.map(lambda _: _ask(world, model), range(requests)))


def _ask(world: World, model: str) -> Answer:
    try:
        reply = world.door.predict(model, REQUEST)
    except PredictError:
        return Answer(0, 0.0, "", "", "")
    by = ""
    if reply.status == 200:
        by = str(json.loads(reply.body)["predictions"][0]["answered_by"])
    return Answer(reply.status, reply.latency_ms, reply.request_id, reply.version, by)


def ask_itself(world: World, model: str, requests: int) -> None:
    """Sends so many requests straight to the endpoint."""
    if not requests:
        return
    runtime = world.client("sagemaker-runtime")
    name = endpoint_name(world.target.environment, model)

    def ask(_: int) -> None:
        with suppress(runtime.exceptions.ClientError):
            runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=REQUEST)

    with ThreadPoolExecutor(BATCH_WORKERS, thread_name_prefix="mainstage-drill-batch") as pool:
        list(pool.map(ask, range(requests)))


def let_pass(world: World, model: str, number: int, answers: Sequence[Answer]) -> Minute:
    """Moves the clock to the next minute, which has everything that is due done, and says what the last one was."""
    clock = world.cloud.clock
    began = clock.now().replace(second=0, microsecond=0)
    clock.advance(max(0.0, (began + timedelta(seconds=SECONDS) - clock.now()).total_seconds()) + 0.01)
    good = [each for each in answers if each.status == 200]
    return Minute(
        number=number,
        requests=len(answers),
        failed=len(answers) - len(good),
        p99_ms=percentile([each.latency_ms for each in answers if each.status], 99),
        versions=dict(Counter(each.by for each in good)),
        endpoint=str(described(world, model).get("EndpointStatus", "")),
        alarms=guards(world, model),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    return round(sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1], 2)


def described(world: World, model: str) -> dict[str, Any]:
    """The endpoint as SageMaker describes it; empty when it is not there. Past the door: a drill sees it also while
    nobody's credentials are taken."""
    name = endpoint_name(world.target.environment, model)
    endpoint = sagemaker_of(world.cloud).endpoints.get((world.cloud.region, name))
    return endpoint.described() if endpoint is not None else {}


def all_described(world: World) -> list[dict[str, Any]]:
    """Every endpoint of the world."""
    return [each.described() for each in sagemaker_of(world.cloud).live_endpoints()]


def waits(endpoint: Mapping[str, Any]) -> bool:
    """Whether a described endpoint waits for time to pass."""
    if endpoint.get("EndpointStatus") == "RollingBack":
        return True
    variants = (endpoint.get("PendingDeploymentSummary") or {}).get("ProductionVariants") or ()
    told = {each.get("Status") for variant in variants for each in variant.get("VariantStatus") or ()}
    return endpoint.get("EndpointStatus") == "Updating" and bool(told & WAITING)


def at_rest(endpoint: Mapping[str, Any]) -> bool:
    """Whether nothing is under way at a described endpoint."""
    return endpoint.get("EndpointStatus", "InService") in ("InService", "Failed", "UpdateRollbackFailed")


def guards(world: World, model: str) -> dict[str, str]:
    """Guard -> its alarm's state. Past the door, as `described`: whoever waits for an `up` looks all the time."""
    prefix = guard_prefix(endpoint_name(world.target.environment, model))
    alarms = alarms_of(world.cloud).of(world.cloud.region)
    return {alarm.name.removeprefix(prefix): alarm.state for alarm in alarms if alarm.name.startswith(prefix)}


def invocations(world: World, model: str, configuration: str, start: Any, end: Any) -> int:
    """Requests that a configuration's fleet got, as CloudWatch counts them."""
    name = endpoint_name(world.target.environment, model)
    dimensions = {"EndpointName": name, "VariantName": "stable", "EndpointConfigName": configuration}
    points = world.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=start,
        EndTime=end,
        Period=SECONDS,
        Statistics=["Sum"],
    )["Datapoints"]
    return int(sum(point["Sum"] for point in points))
