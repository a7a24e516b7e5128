"""What functions print: in CloudWatch Logs under their role, and as metrics where it is the embedded format."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.functions.logs import make_stream

from .conftest import LOGGING, Bench

EMF = """
    import json
    def handler(event, context):
        print(json.dumps(event))
"""


def embedded(at_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "_aws": {
            "Timestamp": at_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Mainstage",
                    "Dimensions": [["LogName"], ["LogName", "Version"], []],
                    "Metrics": [{"Name": "Latency", "Unit": "Milliseconds"}, {"Name": "Served", "Unit": "Count"}],
                }
            ],
        },
        "LogName": "dev-iris",
        "Version": "7",
        "Latency": [1, 2.5, 9],
        "Served": 1,
        **more,
    }


def test_lines_come_in_order_between_start_end_and_report(bench: Bench) -> None:
    bench.deploy("""
        import logging, sys
        print("loading")
        def handler(event, context):
            print("one\\n\\ntwo")
            print("three", file=sys.stderr)
            logging.getLogger().error("four")
            logging.getLogger().info("not asked for")
            return 1
    """)
    bench.invoke({})

    lines = bench.log_lines()

    request = next(line for line in lines if line.startswith("START")).split()[2]
    assert lines[1:6] == ["loading", f"START RequestId: {request} Version: $LATEST", "one", "two", "three"]
    level, when, identifier, message = lines[6].split("\t")
    assert (level, identifier, message) == ("[ERROR]", request, "four")
    assert when.endswith("Z")
    assert lines[7] == f"END RequestId: {request}"
    assert lines[8].startswith(f"REPORT RequestId: {request}\tDuration: ")
    assert "\tMemory Size: 128 MB\t" in lines[8]
    assert "\tInit Duration: " in lines[8]
    assert len(lines) == 9


def test_an_exception_is_one_event(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return {}['missing']")
    bench.invoke({})

    [line] = [line for line in bench.log_lines() if "ERROR" in line]

    first, second, *frames = line.split("\r")
    assert (first, second) == ("[ERROR] KeyError: 'missing'", "Traceback (most recent call last):")
    assert frames[0].replace("\u00a0", " ").startswith('  File "')


def test_a_group_is_made_when_the_role_may_and_lines_are_lost_when_it_may_not(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    print('hello')")
    bench.invoke({})
    assert "hello" in bench.log_lines()

    only_own = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/g:*",
    }
    bench.deploy("def handler(event, context):\n    print('hello')", "g", role=bench.role("g-role", only_own))
    bench.invoke({}, name="g")
    assert bench.log_lines("g") == []
    lost = functions.functions_of(bench.cloud).lost_lines("g")
    assert lost >= 4

    bench.logs.create_log_group(logGroupName="/aws/lambda/g")
    bench.invoke({}, name="g")
    assert bench.log_lines("g").count("hello") == 1
    assert functions.functions_of(bench.cloud).lost_lines("g") == lost


def test_another_log_group(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return context.log_group_name", LoggingConfig={"LogGroup": "/own"})

    assert bench.invoke({}) == ("/own", "")
    functions.flush(bench.cloud)

    assert bench.logs.describe_log_streams(logGroupName="/own")["logStreams"][0]["storedBytes"] >= 0
    shown = bench.lambdas.get_function_configuration(FunctionName="f")["LoggingConfig"]
    assert shown == {"LogFormat": "Text", "LogGroup": "/own"}


def test_embedded_metrics_keep_their_time_dimensions_units_and_values(bench: Bench) -> None:
    bench.deploy(EMF)
    at = (time.time() // 60 - 10) * 60
    bench.invoke(embedded(int(at * 1000) + 59_999))
    metric = {"namespace": "Mainstage"}

    for dimensions in ({"LogName": "dev-iris"}, {"LogName": "dev-iris", "Version": "7"}):
        assert bench.metric("Latency", "SampleCount", **metric, **dimensions) == 3
        assert bench.metric("Latency", "Sum", **metric, **dimensions) == 12.5
        assert bench.metric("Served", "Sum", **metric, **dimensions) == 1
    assert bench.metric("Served", "Sum", **metric, LogName="other") is None
    found = bench.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Mainstage",
        MetricName="Latency",
        Dimensions=[{"Name": "LogName", "Value": "dev-iris"}],
        StartTime=at - 600,
        EndTime=at + 1200,
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    assert [(point["Timestamp"].timestamp(), point["Maximum"], point["Unit"]) for point in found] == [
        (at, 9.0, "Milliseconds")
    ]


@pytest.mark.parametrize(
    "event",
    [
        embedded(0, LogName=7),
        {**embedded(0), "_aws": {"CloudWatchMetrics": []}},
        {"_aws": "words"},
        {"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["LogName"]]}]}},
        {"message": '"_aws"'},
        {**embedded(0), "Latency": "fast", "Served": True},
    ],
)
def test_what_is_no_embedded_metric_is_only_a_line(bench: Bench, event: dict[str, Any]) -> None:
    bench.deploy(EMF)
    bench.invoke(event)

    assert json.dumps(event) in bench.log_lines()
    assert list(bench.cloud.metrics.metrics(region=bench.cloud.region, namespace="Mainstage")) == []


def test_metrics_come_only_from_what_reached_cloudwatch_logs(bench: Bench) -> None:
    bench.deploy(EMF, role=bench.role("mute"))
    bench.invoke(embedded(int(time.time() * 1000)))
    functions.flush(bench.cloud)
    assert list(bench.cloud.metrics.metrics(region=bench.cloud.region, namespace="Mainstage")) == []

    bench.allow("mute", LOGGING)
    bench.invoke(embedded(int(time.time() * 1000)))
    assert bench.metric("Served", namespace="Mainstage", LogName="dev-iris") == 1


def test_a_metric_printed_by_a_process_that_is_then_killed_still_counts(bench: Bench) -> None:
    bench.deploy("""
        import json, os, signal
        def handler(event, context):
            print(json.dumps(event))
            os.kill(os.getpid(), signal.SIGKILL)
    """)

    assert bench.invoke(embedded(int(time.time() * 1000)))[1] == "Unhandled"

    assert bench.metric("Served", namespace="Mainstage", LogName="dev-iris") == 1


def test_a_drill_that_moves_the_clock_loses_no_lines(bench: Bench) -> None:
    bench.deploy(EMF)
    bench.invoke(1)
    bench.cloud.clock.advance(40 * 86_400)

    bench.invoke(embedded(int(time.time() * 1000)))

    assert bench.metric("Served", namespace="Mainstage", LogName="dev-iris") == 1
    assert any("_aws" in line for line in bench.log_lines())


def test_metrics_of_a_process_that_sees_real_time_are_of_the_clouds_minute(bench: Bench) -> None:
    """By the offset that the clock had at the metric's time: what was served before an advance is not moved by it."""
    bench.deploy(EMF)
    before = int(time.time() * 1000)
    bench.invoke(embedded(before))
    bench.cloud.clock.advance(3600)
    after = int(time.time() * 1000)
    bench.invoke(embedded(after))
    bench.invoke(embedded(before, Served=5))

    lines = [json.loads(line) for line in bench.log_lines() if "_aws" in line]

    moved = [line["_aws"]["Timestamp"] for line in lines]
    assert (moved[0], moved[2]) == (before, before)
    assert 0 <= moved[1] - after - 3_600_000 < 5_000
    found = bench.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="Mainstage",
        MetricName="Served",
        Dimensions=[{"Name": "LogName", "Value": "dev-iris"}],
        StartTime=before / 1000 - 120,
        EndTime=before / 1000 + 7200,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert sorted((point["Timestamp"].timestamp(), point["Sum"]) for point in found) == [
        (before // 60_000 * 60, 6.0),
        (moved[1] // 60_000 * 60, 1.0),
    ]


def test_events_that_are_too_old_or_too_new_are_refused_by_index_and_are_no_metrics(bench: Bench) -> None:
    bench.logs.create_log_group(logGroupName="/g")
    bench.logs.create_log_stream(logGroupName="/g", logStreamName="s")
    now = int(bench.cloud.clock.now().timestamp() * 1000)
    day = 86_400_000
    times = (now - 16 * day, now - 15 * day, now, now + day, now + 2 * day)
    events = [{"timestamp": at, "message": json.dumps(embedded(now))} for at in times]

    answer = bench.logs.put_log_events(logGroupName="/g", logStreamName="s", logEvents=events)

    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 3}
    assert bench.metric("Served", namespace="Mainstage", LogName="dev-iris") == 1


def test_two_environments_make_their_group_at_the_same_moment(cloud: Cloud) -> None:
    """What the later one printed is not lost because the earlier one was there first."""
    logs = cloud.client("logs")

    class Later:
        """A client that is a moment late: the group appears between its two calls."""

        def create_log_group(self, **given: str) -> None:
            logs.create_log_group(**given)
            logs.create_log_group(**given)

        def create_log_stream(self, **given: str) -> None:
            logs.create_log_stream(**given)

    make_stream(Later(), "/aws/lambda/f", "later")
    make_stream(Later(), "/aws/lambda/f", "later")
    [stream] = logs.describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    assert stream["logStreamName"] == "later"
