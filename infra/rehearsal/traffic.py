"""Requests for a rehearsal: from the model's own sample, else made from its signature; sent over loopback HTTP."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.catalog import Model
from infra.invoke import version_of
from infra.registry.push import SAMPLE
from infra.registry.registry import read_json

SEED = 20260101
_WORDS = ("the", "service", "was", "quick", "slow", "good", "bad", "room", "price", "again")


@dataclass
class Traffic:
    """What a client saw. Latencies are the client's own, in milliseconds, sorted."""

    model: str
    sent: int = 0
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)

    def percentile_ms(self, percent: float) -> float:
        """Nearest-rank percentile of the answered requests; 0 when there is none."""
        if not self.latencies_ms:
            return 0.0
        rank = max(1, -(-len(self.latencies_ms) * percent // 100))
        return round(self.latencies_ms[int(rank) - 1], 2)


def requests_for(model: Model, folder: Path | None) -> Iterator[bytes]:
    """An endless run of single-row requests for `model`, the same in every run."""
    sample = folder / SAMPLE if folder else None
    if sample and sample.is_file():
        instances: Sequence[Any] = read_json(sample)["instances"]
    else:
        dice = random.Random(SEED)
        instances = [_instance(model, dice) for _ in range(200)]
    return itertools.cycle([json.dumps({"instances": [instance]}).encode() for instance in instances])


def _instance(model: Model, dice: random.Random) -> dict[str, Any]:
    return {each.name: _value(each, dice) for each in model.signature.inputs}


def _value(each: Any, dice: random.Random) -> Any:
    if each.nullable and dice.random() < 0.05:
        return None
    if each.categories:
        return dice.choice(list(each.categories))
    low = 0.0 if each.minimum is None else float(each.minimum)
    high = low + 10 if each.maximum is None else float(each.maximum)
    match each.type:
        case "double":
            return round(dice.uniform(low, high), 3)
        case "integer":
            return dice.randint(int(low), int(high))
        case "boolean":
            return dice.random() < 0.5
        case "timestamp":
            return f"2026-01-{dice.randint(1, 28):02d}T{dice.randint(0, 23):02d}:00:00Z"
    return " ".join(dice.choices(_WORDS, k=6))


def send(
    runtime: Any,
    endpoint: str,
    model: Model,
    bodies: Iterator[bytes],
    count: int,
    *,
    workers: int = 4,
    progress: Callable[[int], None] = lambda _: None,
) -> Traffic:
    """Sends `count` requests with `workers` clients at once and tells what came back."""
    traffic, lock = Traffic(model.model), threading.Lock()

    def one(body: bytes) -> None:
        started = time.perf_counter()
        try:
            reply = runtime.invoke_endpoint(
                EndpointName=endpoint, Body=body, ContentType="application/json", Accept="application/json"
            )
            json.loads(reply["Body"].read())
            error, version = "", str(version_of(reply.get("CustomAttributes", "")))
        except (ClientError, ValueError) as failure:
            error, version = str(failure), ""
        elapsed_ms = (time.perf_counter() - started) * 1000
        with lock:
            traffic.sent += 1
            if error:
                traffic.errors[error] += 1
            else:
                traffic.answered += 1
                traffic.versions[version] += 1
                traffic.latencies_ms.append(elapsed_ms)
        progress(traffic.sent)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, itertools.islice(bodies, count)))
    traffic.latencies_ms.sort()
    return traffic
