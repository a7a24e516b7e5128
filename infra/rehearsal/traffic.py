"""A rehearsal's clients: real HTTP requests to the front door, good ones and bad ones, and what came back."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.catalog import Model
from infra.front_door import FrontDoor, PredictError
from infra.registry.push import SAMPLE
from infra.registry.registry import read_json

SEED = 20260101
_WORDS = ("the", "service", "was", "quick", "slow", "good", "bad", "room", "price", "again")
_FOREIGN = "Größe 尺寸 мера 📏 \u0007\u202e"
"""Letters of several scripts, an emoji, a control character, and one that turns the direction of writing."""


@dataclass(frozen=True)
class Shot:
    """One request and the status that the front door owes it."""

    kind: str
    """good, bad, unicode, oversized, unsigned, or one of credentials that must not be taken."""
    body: bytes
    expected: int
    signed: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One reply as the client saw it."""

    at_seconds: float
    """Since the traffic began."""
    latency_ms: float
    status: int
    kind: str
    request_id: str
    version: str


@dataclass
class Traffic:
    """What the clients of one model saw."""

    model: str
    samples: list[Sample] = field(default_factory=list)
    unexpected: Counter[str] = field(default_factory=Counter)
    """What was not answered as it had to be -> how often."""

    @property
    def sent(self) -> int:
        return len(self.samples) + sum(count for what, count in self.unexpected.items() if what.startswith("no answer"))

    @property
    def answered(self) -> list[Sample]:
        """Predictions that were made."""
        return [sample for sample in self.samples if sample.status == 200]

    @property
    def request_ids(self) -> list[str]:
        """Ids that the front door gave: of predictions and of what it refused. The gateway's own refusals have none."""
        return [sample.request_id for sample in self.samples if sample.request_id]

    @property
    def versions(self) -> Counter[str]:
        return Counter(sample.version for sample in self.answered)

    @property
    def by_kind(self) -> dict[str, Counter[int]]:
        """Kind -> status -> how often."""
        kinds: dict[str, Counter[int]] = {}
        for sample in self.samples:
            kinds.setdefault(sample.kind, Counter())[sample.status] += 1
        return kinds

    def percentile_ms(self, percent: float, version: str | None = None) -> float:
        """Nearest-rank percentile of the predictions made, by the client's watch; 0 when there is none."""
        latencies = sorted(each.latency_ms for each in self.answered if version in (None, each.version))
        if not latencies:
            return 0.0
        rank = max(1, -(-len(latencies) * percent // 100))
        return round(latencies[int(rank) - 1], 2)


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
    if each.type.startswith("array<"):
        element = each.model_copy(update={"type": each.type[len("array<") : -1], "nullable": False})
        return [_value(element, dice) for _ in range(dice.randint(0, 3))]
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


def shots(
    model: Model,
    bodies: Iterator[bytes],
    count: int,
    *,
    unsigned_status: int = 403,
    refused: Sequence[tuple[str, Mapping[str, str], int]] = (),
) -> list[Shot]:
    """`count` good requests, and between them, in an order that is always the same, some of each other kind.

    unsigned_status: what a request without credentials is owed: 403 with IAM, 401 with JWTs, 200 where none is asked.
    refused: kind, headers and status of credentials that must not be taken.
    """
    others = max(1, count // 100)
    row = json.loads(next(bodies))["instances"][0]
    mixed = [Shot("good", body, 200) for body in itertools.islice(bodies, count)]
    bad = _bad_bodies(model, row)
    too_long = json.dumps({"instances": [row], "padding": "x" * (model.front_door.maximum_body_kib * 1024)}).encode()
    for number in range(others):
        mixed.append(Shot("bad", bad[number % len(bad)], 400))
        mixed.append(Shot("unicode", *_foreign(model, row)))
        mixed.append(Shot("oversized", too_long, 413))
        mixed.append(Shot("unsigned", mixed[number].body, unsigned_status, signed=False))
        for kind, headers, status in refused:
            mixed.append(Shot(kind, mixed[number].body, status, signed=False, headers=headers))
    random.Random(SEED).shuffle(mixed)
    return mixed


def _bad_bodies(model: Model, row: dict[str, Any]) -> list[bytes]:
    name = next(each.name for each in model.signature.inputs)
    rows: list[Any] = [{**row, name: {"not": ["a", "value"]}}, {**row, "nobody_knows_me": 1}, 5]
    deep = "[" * 3000 + "]" * 3000
    return [
        *(json.dumps({"instances": [each]}).encode() for each in rows),
        b"{not json",
        b"",
        json.dumps({"instances": [{**row, name: float("nan")}]}).encode(),
        b'{"instances": ' + deep.encode() + b"}",
        json.dumps({"instances": []}).encode(),
    ]


def _foreign(model: Model, row: dict[str, Any]) -> tuple[bytes, int]:
    """A request in several scripts: in a text field where the model takes one, else as an unknown field's name."""
    text = next((each.name for each in model.signature.inputs if each.type == "string"), None)
    changed = {**row, text: _FOREIGN} if text else {**row, _FOREIGN: 1}
    return json.dumps({"instances": [changed]}, ensure_ascii=False).encode(), 200 if text else 400


KEPT_BELOW = 0.9
"""Share of the front door's throttle that clients use."""


def send(
    door: FrontDoor,
    model: Model,
    wanted: Sequence[Shot],
    *,
    throttle_per_second: float,
    workers: int = 2,
    progress: Callable[[int], None] = lambda _: None,
) -> Traffic:
    """Sends the requests with `workers` clients at once and tells what came back. On a machine of two cores more
    clients get no more answers in a second: they wait for each other, and the latency would be that of the queue.

    throttle_per_second: requests that the front door takes in a second. On a fast machine they keep below it, as do
    clients that want answers.
    """
    traffic, lock = Traffic(model.model), threading.Lock()
    path, began = door.path_of(model.model), time.perf_counter()

    def one(number: int, shot: Shot) -> None:
        time.sleep(max(0.0, number / (KEPT_BELOW * throttle_per_second) - (time.perf_counter() - began)))
        at = time.perf_counter() - began
        try:
            reply = door.post(path, shot.body, shot.headers, signed=shot.signed)
        except PredictError as error:
            with lock:
                traffic.unexpected[f"no answer to a request that is {shot.kind}: {error}"] += 1
            return
        sample = Sample(at, reply.latency_ms, reply.status, shot.kind, reply.request_id, reply.version)
        with lock:
            traffic.samples.append(sample)
            if reply.status != shot.expected:
                traffic.unexpected[f"{shot.kind}: {reply.status} instead of {shot.expected}: {_said(reply.body)}"] += 1
            done = len(traffic.samples)
        progress(done)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, itertools.count(), wanted))
    traffic.samples.sort(key=lambda sample: sample.at_seconds)
    return traffic


def _said(body: bytes) -> str:
    """What a reply says, without what is of this request alone: the same failure is counted under the same words."""
    try:
        error = json.loads(body)["error"]
        return f"{error['code']}: {error['message']}"
    except (ValueError, TypeError, KeyError):
        return body[:200].decode("utf-8", "replace")
