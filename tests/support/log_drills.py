"""Drills of a prediction log: faults for a while, a function's code exchanged, clients that ask all the time."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rehearsed import LOG, Rehearsed, kill_9, until

from infra.front_door import Reply
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.faults import Fault
from infra.rehearsal.traffic import KEPT_BELOW

STREAM = f"{LOG}-predictions"
FRONT_DOOR, TRANSFORM, REPLAY = f"{LOG}-front-door", f"{LOG}-transform", f"{LOG}-replay"
BUCKET = "mainstage-dev-predictions-111111111111-eu-west-1"
LOSS_ALARM = f"{LOG}-log-loss"

DOWN = AwsError("ServiceUnavailableException", "The service is unavailable.", 503)
THROTTLED = AwsError("ThrottlingException", "Rate exceeded", 400)
GONE = AwsError("ResourceNotFoundException", f"Firehose {STREAM} not found under account 111111111111.", 400)

SPOOL_SECONDS = 181
"""After that the spool shows a message again that a replay has not finished: six times the function's time-out."""
CALM_SECONDS = 600
"""After that the loss alarm has forgotten what was."""

RAISES = """
def handler(event, context):
    raise RuntimeError("a mistake in the transform")
"""
LINGERS = """
import importlib, time
def handler(event, context):
    reply = importlib.import_module("{module}").handler(event, context)
    print("drill: done", flush=True)
    time.sleep(3)
    return reply
"""
"""Does its work and does not return: long enough to be killed in between."""


@contextmanager
def planted(rehearsed: Rehearsed, service: str, operation: str, error: AwsError, **options: Any) -> Iterator[Fault]:
    """A fault until the end of the block."""
    fault = rehearsed.cloud.faults.add(service, operation, error, **options)
    try:
        yield fault
    finally:
        fault.remove()


def invokes(function: str) -> Any:
    """Matches invocations of one function: the gateway and others invoke too."""

    def match(call: Call) -> bool:
        return str(call.params["FunctionName"]).split(":function:")[-1].split(":")[0] == function

    return match


@contextmanager
def exchanged(rehearsed: Rehearsed, function: str, source: str) -> Iterator[None]:
    """Deploys `source` as the function's handler, beside its own modules, until the end of the block."""
    lambdas = rehearsed.client("lambda")
    own = functions.functions_of(rehearsed.cloud).deployment(rehearsed.cloud.region, function)
    archive = io.BytesIO(own.code)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("drill.py", source.format(module=own.handler.rpartition(".")[0]))
    lambdas.update_function_code(FunctionName=function, ZipFile=archive.getvalue())
    lambdas.update_function_configuration(FunctionName=function, Handler="drill.handler")
    try:
        yield
    finally:
        lambdas.update_function_code(FunctionName=function, ZipFile=own.code)
        lambdas.update_function_configuration(FunctionName=function, Handler=own.handler)


class Clients:
    """Clients that ask at the same time, together below the front door's throttle however fast the machine is. `ids`
    are the requests that were answered 200."""

    def __init__(self, rehearsed: Rehearsed, count: int = 4):
        self.ids: list[str] = []
        self.others: list[Reply] = []
        self._rehearsed = rehearsed
        self._stop = threading.Event()
        self._pause = count / (KEPT_BELOW * rehearsed.rehearsal.front_door.throttle_requests_per_second)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(40)

    def _run(self) -> None:
        began = time.monotonic()
        for turn in itertools.count(1):
            if self._stop.wait(max(0.0, began + turn * self._pause - time.monotonic())):
                return
            reply = self._rehearsed.ask()
            if reply.status == 200:
                self.ids.append(reply.request_id)
            else:
                self.others.append(reply)

    def more(self, count: int) -> None:
        """Returns when they were answered that often again."""
        wanted = len(self.ids) + count
        until(lambda: len(self.ids) >= wanted or None, f"{count} more answers")


def kill_function(rehearsed: Rehearsed, function: str) -> None:
    """Kills every environment of a function, as it is, and returns when the host has noticed."""
    pids = set(functions.pids(rehearsed.cloud, function))
    kill_9(pids)
    until(lambda: not pids & set(functions.pids(rehearsed.cloud, function)) or None, "the ends noticed")


def logged_once(rehearsed: Rehearsed, ids: Iterable[str]) -> None:
    """Waits until every id is in the view, and sees each there once."""
    wanted = list(ids)
    found = Counter(rehearsed.wait_for_log(wanted))
    assert {each: found[each] for each in wanted if found[each] != 1} == {}


def lines(rehearsed: Rehearsed, function: str, text: str) -> int:
    """How many lines of a function's log hold the text."""
    pages = rehearsed.client("logs").get_paginator("filter_log_events")
    return sum(
        text in event["message"]
        for page in pages.paginate(logGroupName=f"/aws/lambda/{function}")
        for event in page["events"]
    )


def rejected(rehearsed: Rehearsed) -> dict[str, list[dict[str, Any]]]:
    """What lies under the error prefix: each object's lines, with `data` the record's bytes."""
    s3 = rehearsed.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"rejected/{LOG}/")
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in (entry for page in pages for entry in page.get("Contents", [])):
        body = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        found[entry["Key"]] = [json.loads(line) for line in body.splitlines()]
    for line in (line for each in found.values() for line in each):
        line["data"] = base64.b64decode(line["rawData"])
    return found


class LossAlarm:
    """The loss alarm of the log, from calm to calm."""

    def __init__(self, rehearsed: Rehearsed):
        self._rehearsed = rehearsed
        functions.flush(rehearsed.cloud)
        self._since = rehearsed.cloud.clock.advance(CALM_SECONDS)
        assert self._alarm()["StateValue"] == "OK"
        self._told = len(rehearsed.cloud.messages)

    def _alarm(self) -> dict[str, Any]:
        [alarm] = self._rehearsed.client("cloudwatch").describe_alarms(AlarmNames=[LOSS_ALARM])["MetricAlarms"]
        return alarm

    def messages(self) -> list[str]:
        """The states that its topic was told of."""
        told = [json.loads(each.message) for each in self._rehearsed.cloud.messages[self._told :]]
        return [each["NewStateValue"] for each in told if each.get("AlarmName") == LOSS_ALARM]

    def rings_for(self, count: int) -> None:
        """It rings when a second minute shows the loss, shows this many, and is calm when its minutes are over."""
        functions.flush(self._rehearsed.cloud)
        now = self._rehearsed.cloud.clock.advance(180)
        alarm = self._alarm()
        assert (alarm["StateValue"], self.messages()) == ("ALARM", ["ALARM"]), alarm["StateReason"]
        results = self._rehearsed.client("cloudwatch").get_metric_data(
            MetricDataQueries=alarm["Metrics"], StartTime=self._since, EndTime=now
        )["MetricDataResults"]
        assert [max(result["Values"]) for result in results] == [count]
        self._rehearsed.cloud.clock.advance(CALM_SECONDS)
        assert (self._alarm()["StateValue"], self.messages()) == ("OK", ["ALARM", "OK"])
