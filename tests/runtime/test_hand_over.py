"""A record is handed over within a bound, whatever hangs: what gave no answer is left alone for a while."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from mainstage_runtime.hand_over import (
    AT_ONCE_SECONDS,
    QUEUE_FIRST_PAUSE_SECONDS,
    QUEUE_PAUSE_SECONDS,
    STREAM_PAUSE_SECONDS,
    Breaker,
    HandOver,
)
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.redact import Pseudonyms


class Hung(Exception):
    """No answer, as botocore tells it: without a response."""


class Answered(Exception):
    """An error that AWS answered with."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Service:
    """Firehose or SQS: each call takes `seconds` of the clock and ends with `error`."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self.seconds, self.errors, self.calls = clock, 0.0, list[Exception](), 0
        self.error: Exception | None = None

    def _call(self, **sent: Any) -> None:
        self.calls += 1
        self._clock.now += self.seconds
        error = self.errors.pop(0) if self.errors else self.error
        if error is not None:
            raise error

    put_record = send_message = _call


class World:
    def __init__(self, signature: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
        self.clock, self._capsys = Clock(), capsys
        self.firehose, self.sqs = Service(self.clock), Service(self.clock)
        pseudonyms = Pseudonyms(None)
        writer = RecordWriter(signature, environment="dev", model="m", endpoint_name="", pseudonyms=pseudonyms)
        self._hand_over = HandOver(
            writer,
            pseudonyms,
            log_name="dev-m",
            stream_name="s",
            spool_url="q",
            firehose=self.firehose,
            sqs=self.sqs,
            clock=self.clock,
        )

    def hand_over(self) -> tuple[str, float]:
        """What became of one record, and the seconds that it took."""
        started = self.clock.now
        self._hand_over(Served("id-1", time.time_ns() // 1_000_000))
        lines = [json.loads(each) for each in self._capsys.readouterr().out.splitlines()]
        counted = {name for line in lines for name in ("HandedOver", "Spooled", "LogFailed") if name in line}
        self.notes = [line for line in lines if "event" in line]
        return "+".join(sorted(counted)), self.clock.now - started


@pytest.fixture
def world(plain_signature: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> World:
    return World(plain_signature, capsys)


def test_a_stream_that_hangs_is_asked_once_in_a_while(world: World) -> None:
    world.firehose.seconds, world.firehose.error = 1.0, Hung()
    assert world.hand_over() == ("HandedOver+Spooled", 1.0)
    assert world.notes == [{"event": "spooled", "request_id": "id-1", "stream": "Hung"}]
    for _ in range(5):
        assert world.hand_over() == ("HandedOver+Spooled", 0.0)
    assert world.notes == [{"event": "spooled", "request_id": "id-1", "stream": "gave no answer a moment ago"}]
    assert world.firehose.calls == 1
    world.clock.now += 2 * STREAM_PAUSE_SECONDS
    assert world.hand_over() == ("HandedOver+Spooled", 1.0)
    assert world.hand_over() == ("HandedOver+Spooled", 0.0)
    assert world.firehose.calls == 2
    world.clock.now += 2 * STREAM_PAUSE_SECONDS
    world.firehose.seconds, world.firehose.error = 0.01, None
    for _ in range(3):
        assert world.hand_over()[0] == "HandedOver"
    assert (world.firehose.calls, world.sqs.calls) == (5, 8)


def test_a_spool_that_hangs_too_costs_a_second_and_the_loss_is_counted_at_once(world: World) -> None:
    for service in (world.firehose, world.sqs):
        service.seconds, service.error = 1.0, Hung()
    assert world.hand_over() == ("LogFailed", 2.0)
    assert world.hand_over() == ("LogFailed", 0.0)
    [note] = world.notes
    assert (note["event"], note["stream"], note["queue"]) == ("record_lost", *["gave no answer a moment ago"] * 2)
    world.clock.now += 2 * QUEUE_PAUSE_SECONDS
    world.sqs.seconds, world.sqs.error = 0.0, None
    assert world.hand_over() == ("HandedOver+Spooled", 0.0)
    assert world.firehose.calls == 1


def test_one_silence_of_both_loses_the_records_of_two_seconds_and_no_more(world: World) -> None:
    for service in (world.firehose, world.sqs):
        service.seconds, service.error = 1.0, Hung()
    assert world.hand_over() == ("LogFailed", 2.0)
    for service in (world.firehose, world.sqs):
        service.seconds, service.error = 0.01, None
    assert world.hand_over()[0] == "LogFailed"
    world.clock.now += 2 * QUEUE_FIRST_PAUSE_SECONDS
    assert world.hand_over()[0] == "HandedOver+Spooled"


def test_a_spool_that_goes_on_hanging_is_asked_less_and_less_often(world: World) -> None:
    for service in (world.firehose, world.sqs):
        service.seconds, service.error = 0.0, Hung()  # only the clock of the test makes time pass
    asked = list[int]()
    for _ in range(60):
        before = world.sqs.calls
        world.hand_over()
        asked.append(world.sqs.calls - before)
        world.clock.now += 1
    times = [second for second, calls in enumerate(asked) if calls]
    assert times[0] == 0
    assert 5 <= len(times) <= 9  # five to come to the longest pause, then each 10 to 20 s
    assert all(later - earlier <= 2 * QUEUE_PAUSE_SECONDS for earlier, later in pairwise(times))


@pytest.mark.parametrize("code", [("ThrottlingException", 400), ("ResourceNotFoundException", 400)])
def test_a_stream_that_refuses_is_asked_with_each_record(world: World, code: tuple[str, int]) -> None:
    world.firehose.error = Answered(*code)
    for _ in range(3):
        assert world.hand_over()[0] == "HandedOver+Spooled"
    assert world.firehose.calls == 3


@pytest.mark.parametrize("error", [Hung(), Answered("InternalFailure", 500)])
def test_what_fails_at_once_is_tried_once_more(world: World, error: Exception) -> None:
    """A connection that was closed while the environment was frozen; an error of the moment."""
    world.firehose.errors = [error]
    assert world.hand_over()[0] == "HandedOver"
    assert (world.firehose.calls, world.sqs.calls) == (2, 0)
    world.firehose.errors = [error, error]
    world.sqs.errors = [error]
    assert world.hand_over()[0] == "HandedOver+Spooled"
    assert (world.firehose.calls, world.sqs.calls) == (4, 2)


def test_what_takes_its_time_to_fail_is_not(world: World) -> None:
    world.firehose.seconds, world.firehose.error = AT_ONCE_SECONDS * 1.01, Answered("InternalFailure", 500)
    assert world.hand_over()[0] == "HandedOver+Spooled"
    assert world.firehose.calls == 1


def test_a_breaker_by_itself() -> None:
    clock = Clock()
    breaker = Breaker(30.0, clock=clock, draw=lambda: 0.5)
    assert breaker.lets_through()
    breaker.no_answer()
    assert not breaker.lets_through()
    clock.now += 44.99
    assert not breaker.lets_through()
    clock.now += 0.01
    assert breaker.lets_through()
    breaker.no_answer()
    breaker.answer()
    assert breaker.lets_through()


def test_a_pause_doubles_with_each_silence_in_a_row_up_to_the_longest() -> None:
    clock = Clock()
    breaker = Breaker(10.0, first_seconds=1.0, clock=clock, draw=lambda: 0.0)
    pauses = list[float]()
    for _ in range(6):
        breaker.no_answer()
        began = clock.now
        while not breaker.lets_through():
            clock.now += 0.25
        pauses.append(clock.now - began)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    breaker.answer()
    breaker.no_answer()
    clock.now += 1.0
    assert breaker.lets_through()


def test_environments_that_meet_a_silence_together_do_not_try_again_together() -> None:
    clock = Clock()
    breakers = [Breaker(30.0, clock=clock) for _ in range(50)]
    for breaker in breakers:
        breaker.no_answer()
    clock.now += 29.9
    assert not any(breaker.lets_through() for breaker in breakers)
    clock.now += 15
    assert 5 < sum(breaker.lets_through() for breaker in breakers) < 45
    clock.now += 15.2
    assert all(breaker.lets_through() for breaker in breakers)
