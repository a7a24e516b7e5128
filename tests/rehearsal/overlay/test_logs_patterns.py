"""Filter patterns of CloudWatch Logs."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay.logs_patterns import read

LINES = ["START of a request", "Task timed out after 3 s", "ERROR signal: killed", 'ERROR said "no" twice']


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [0, 1, 2, 3]),
        ("ERROR", [2, 3]),
        ("error", []),
        ("ERROR killed", [2]),
        ('"timed out"', [1]),
        ('?"Task timed out" ?"signal: killed"', [1, 2]),
        ("?START ?twice", [0, 3]),
        ("ERROR -killed", [3]),
        ('-"of a"', [1, 2, 3]),
        ("?START ERROR", [2, 3]),
        (r'"said \"no\""', [3]),
        ("nowhere", []),
    ],
)
def test_what_a_pattern_finds(pattern: str, found: list[int]) -> None:
    assert [at for at, line in enumerate(LINES) if read(pattern).matches(line)] == found


@pytest.mark.parametrize("pattern", ['{ $.level = "error" }', "[ip, user]", "%err[0-9]%"])
def test_what_is_not_carried_is_refused(pattern: str) -> None:
    with pytest.raises(AwsError, match="carries filter patterns of terms and phrases"):
        read(pattern)


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(AwsError, match="Invalid filter pattern"):
        read('"without an end')


def test_events_are_filtered(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    at = int(cloud.clock.now().timestamp() * 1000)
    logs.put_log_events(
        logGroupName="g", logStreamName="s", logEvents=[{"timestamp": at, "message": line} for line in LINES]
    )
    events = logs.filter_log_events(logGroupName="g", filterPattern='?"timed out" ?killed')["events"]
    assert [event["message"] for event in events] == LINES[1:3]
    assert len(logs.filter_log_events(logGroupName="g")["events"]) == 4
    with pytest.raises(ClientError, match="NotCarried"):
        logs.filter_log_events(logGroupName="g", filterPattern="{ $.a = 1 }")
