"""Measures what the log costs a caller: the time to the reply with Firehose's put before it, after it, and none.

Run by hand: `python tests/runtime/measure_reply.py [milliseconds of a put] [requests]`. The function runs in a process
of its own behind small servers that speak Lambda's Runtime and Extensions APIs; the model answers at once.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from runtime_stub import FRONT_DOOR_ENVIRONMENT, aws, aws_ok, deployed

SIGNATURE = {
    "inputs": [{"name": name, "type": "double"} for name in ("a", "b", "c", "d")],
    "outputs": [{"name": "label", "type": "string"}, {"name": "score", "type": "double"}],
}


def measured(
    put_ms: float, requests: int, *, extensions: bool, pause_ms: float = 0.0
) -> tuple[list[float], list[float]]:
    """Milliseconds to each reply, and to the rest after it."""
    event = {
        "version": "2.0",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "r"},
        "body": json.dumps({"instances": [{"a": 1.5, "b": 2.5, "c": 3.5, "d": 4.5}]}),
        "isBase64Encoded": False,
    }

    def put(sent: Any) -> Any:
        time.sleep(put_ms / 1000)
        return aws_ok(RecordId="1")

    with tempfile.TemporaryDirectory() as folder, aws() as stub:
        stub.answers["PutRecord"] = put
        environment = {**FRONT_DOOR_ENVIRONMENT, "AWS_ENDPOINT_URL": stub.address}
        replies, rests = [], []
        handler = "mainstage_runtime.front_door.handler"
        with deployed(handler, Path(folder), environment, SIGNATURE, extensions=extensions) as function:
            for number in range(requests + 20):
                started = time.perf_counter()
                seconds, reply = function.invoke(event)
                function.wait_idle()
                assert reply["statusCode"] == 200
                time.sleep(pause_ms / 1000)
                if number >= 20:
                    replies.append(seconds * 1000)
                    rests.append((time.perf_counter() - started) * 1000)
        assert len(stub.records()) == requests + 20
    return replies, rests


def main() -> int:
    put_ms = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    for name, milliseconds, extensions, pause_ms in (
        ("before the reply", put_ms, False, 0.0),
        ("after the reply", put_ms, True, 0.0),
        # A process that slept between two requests is slower than one that did not, whatever it slept for.
        ("after the reply, a put of 0 ms, then a pause", 0.0, True, put_ms),
        ("after the reply, a put of 0 ms, no pause", 0.0, True, 0.0),
    ):
        replies, rests = measured(milliseconds, requests, extensions=extensions, pause_ms=pause_ms)
        cuts = statistics.quantiles(replies, n=100)
        print(
            f"{name}: reply p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms; environment busy p50 "
            f"{statistics.median(rests):.2f} ms"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
