"""The clients of a rehearsal keep below the front door's throttle, however fast the machine is."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.rehearsal import traffic
from infra.rehearsal.traffic import Shot


def test_requests_are_sent_below_the_throttle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only sleep moves is the fastest machine there is."""
    now, lock = [0.0], traffic.threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            now[0] += seconds

    monkeypatch.setattr(traffic, "time", SimpleNamespace(perf_counter=lambda: now[0], sleep=sleep))
    ids = itertools.count()

    class Door:
        def path_of(self, model: str) -> str:
            return f"/v1/models/{model}/predictions"

        def post(self, *_: Any, **__: Any) -> Any:
            return SimpleNamespace(latency_ms=1.0, status=200, request_id=str(next(ids)), version="1", body=b"")

    shots = [Shot("good", b"{}", 200) for _ in range(181)]
    model = cast(Any, SimpleNamespace(model="iris"))
    sent = traffic.send(cast(Any, Door()), model, shots, throttle_per_second=100, workers=1)
    assert (sent.sent, sent.unexpected) == (181, {})
    assert [sample.at_seconds for sample in sent.samples] == pytest.approx([number / 90 for number in range(181)])
