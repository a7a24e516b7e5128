"""Benchmarks of the prediction path: the front door's own work, the transform, queries over many logged rows."""

from __future__ import annotations

import json
import queue
import statistics
import sys
import tempfile
import threading
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

Figures = dict[str, float]

SIGNATURE = {
    "inputs": [{"name": f"feature_{number:02d}", "type": "double"} for number in range(20)],
    "outputs": [{"name": "label", "type": "string"}, {"name": "score", "type": "double"}],
}
ROW = {f"feature_{number:02d}": number + 0.123456 for number in range(20)}
REQUESTS_A_SECOND = 200
ENVIRONMENTS = 3
"""Function processes. More would wait for this machine's processors, not for requests."""


def percentile(values: Sequence[float], rank: int) -> float:
    return statistics.quantiles(values, n=100)[rank - 1]


def front_door(figures: Figures, requests: int = 3000) -> None:
    """The front door's overhead at 200 requests a second, with a model that answers at once.

    The function runs as it is deployed, in processes of its own behind servers that speak Lambda's Runtime and
    Extensions APIs. Two figures: the handler's own work (out of each prediction record: its time without the call to
    the endpoint), and the whole way from the event to the posted reply, AWS's client and loopback HTTP included.
    """
    from runtime_stub import FRONT_DOOR_ENVIRONMENT, aws, deployed

    event = {
        "version": "2.0",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "r"},
        "body": json.dumps({"instances": [ROW]}),
        "isBase64Encoded": False,
    }
    with ExitStack() as stack:
        stub = stack.enter_context(aws())
        environment = {**FRONT_DOOR_ENVIRONMENT, "AWS_ENDPOINT_URL": stub.address}
        idle: queue.Queue[Any] = queue.Queue()
        for _ in range(ENVIRONMENTS):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            started = deployed("mainstage_runtime.front_door.handler", folder, environment, SIGNATURE)
            idle.put(stack.enter_context(started))
        late, whole = 0, []

        def one() -> None:
            function = idle.get()
            seconds, _ = function.invoke(event)
            whole.append(seconds * 1000)
            function.wait_idle()
            idle.put(function)

        for _ in range(20 * ENVIRONMENTS):
            one()
        stub.calls.clear()
        whole.clear()
        threads, began = [], time.perf_counter()
        for number in range(requests):
            due = began + number / REQUESTS_A_SECOND
            pause = due - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            elif pause < -0.01:
                late += 1
            threads.append(threading.Thread(target=one))
            threads[-1].start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - began
        own = [record["latency_ms"] - record["model_ms"] for record in stub.records()]
    if len(own) != requests:
        raise RuntimeError(f"{requests} requests, but {len(own)} records")
    figures["front door: requests a second"] = requests / seconds
    figures["front door: requests sent more than 10 ms late, share"] = late / requests
    figures["front door: own work p50, ms"] = percentile(own, 50)
    figures["front door: own work p99, ms"] = percentile(own, 99)
    figures["front door: event to reply p50, ms"] = percentile(whole, 50)
    figures["front door: event to reply p99, ms"] = percentile(whole, 99)


def transform(figures: Figures, batches: int = 60) -> None:
    """Records a second and core of the transform, beside a parser that does nothing with them (the baseline)."""
    from mainstage_runtime.prediction import RecordWriter, Served
    from mainstage_runtime.redact import Pseudonyms
    from mainstage_runtime.transform import Transform

    writer = RecordWriter(
        SIGNATURE, environment="dev", model="churn", endpoint_name="dev-churn", pseudonyms=Pseudonyms(None)
    )
    body = json.dumps({"instances": [ROW]}).encode()
    answer = json.dumps({"predictions": [{"label": "yes", "score": 0.5}]}).encode()
    data = []
    for number in range(500):
        served = Served(f"request-{number:032d}", int(time.time() * 1000), body=body, rows=[ROW], row_count=1)
        served.status, served.version, served.variant, served.answer = 200, "7", "stable", answer
        served.latency_ms, served.model_ms = 12.3 + number, 10.1 + number
        data.append(writer.write(served))
    event = {
        "records": [
            {"recordId": str(number), "data": b2a_base64(each, newline=False).decode()}
            for number, each in enumerate(data)
        ]
    }
    handler = Transform(SIGNATURE, model="churn", log_name="dev-churn")
    assert all(each["result"] == "Ok" for each in _quiet(lambda: handler.handle(event))["records"])

    def parse() -> None:
        for record in event["records"]:
            json.loads(a2b_base64(record["data"]))

    figures["transform: bytes a record"] = sum(map(len, data)) / len(data)
    parsing, transforming = _medians(batches, parse, lambda: _quiet(lambda: handler.handle(event)))
    figures["transform: parser alone (baseline), records/s"] = 500 / parsing
    figures["transform: records/s"] = 500 / transforming


def _medians(times: int, *works: Callable[[], object]) -> list[float]:
    """Median seconds of CPU of each work. They take turns: a machine that slows down slows all of them."""
    samples: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, own in zip(works, samples, strict=True):
            started = time.process_time()
            work()
            own.append(time.process_time() - started)
    return [statistics.median(own) for own in samples]


def _quiet(work: Callable[[], Any]) -> Any:
    """Runs without the metrics that a function prints."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        return work()


def queries(figures: Figures, rows: int = 10_000_000) -> None:
    """Seconds of the latency question over ten million logged rows, and of the same over the table below the view (the
    baseline: what one row a request id costs). A rehearsal's own log, its table filled from outside."""
    from mainstage.prediction_queries import TABLE, VIEW, Span, latency_by_version

    from infra.layers.names import database_name
    from infra.predictions import athena
    from infra.rehearsal.rehearse import Options, Rehearsal

    with Rehearsal(Options(ROOT, predictions=1)) as rehearsal:
        rehearsal.run()
        target = rehearsal.target
        day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
        size = _fill(rehearsal, day, rows)
        span = Span(day, day + timedelta(days=1))
        hour = Span(day + timedelta(hours=7), day + timedelta(hours=8))
        database = database_name(target.environment, "iris")
        asked = {
            "the latency question over one day": latency_by_version(database, span),
            "the same without one row a request id (baseline)": latency_by_version(database, span).replace(
                f'"{VIEW}"', f'"{TABLE}"'
            ),
            "the latency question over one hour": latency_by_version(database, hour),
        }
        figures["log: rows"] = rows
        figures["log: bytes a row in Parquet"] = size / rows
        for name, sql in asked.items():
            athena.run(target, "iris", sql)  # brings the objects out of the emulated S3
            runs = [athena.run(target, "iris", sql) for _ in range(3)]
            assert sum(row["requests"] for row in runs[0].rows) in (rows, rows // 24)
            figures[f"log: {name}, s"] = statistics.median(run.seconds for run in runs)
            figures[f"log: {name}, MB scanned"] = runs[0].scanned_bytes / 1e6


def _fill(rehearsal: Any, day: datetime, rows: int) -> int:
    """Writes a day of records, an object an hour, into the log's table. Returns their bytes."""
    import duckdb

    from infra.layers.names import log_name, predictions_bucket_name

    target, size = rehearsal.target, 0
    bucket = predictions_bucket_name(target.environment, target.account_id, target.region)
    s3 = rehearsal.cloud.client("s3")
    with tempfile.TemporaryDirectory() as folder:
        for hour in range(24):
            start = (day + timedelta(hours=hour)).strftime("%Y-%m-%d %H:%M:%S")
            path = Path(folder) / f"{hour:02d}.parquet"
            duckdb.sql(f"COPY ({_records(start, rows // 24 + (rows % 24 if hour == 23 else 0))}) TO '{path}'")
            size += path.stat().st_size
            key = f"records/{log_name(target.environment, 'iris')}/day={day:%Y-%m-%d}/hour={hour:02d}/bench.parquet"
            s3.upload_file(str(path), bucket, key)
            path.unlink()
    return size


def _records(start: str, rows: int) -> str:
    moment = f"TIMESTAMP '{start}' + to_milliseconds((i * 3600000 // {rows})::BIGINT)"
    inputs = ", ".join(
        f"[random() * 10] AS input_{name}" for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")
    )
    return f"""
        SELECT 1::INTEGER AS schema_version, uuid()::VARCHAR AS request_id, {moment} AS at, 'dev' AS environment,
               'iris' AS model, CASE WHEN i % 10 = 0 THEN '2' ELSE '1' END AS version, 'dev-iris' AS endpoint_name,
               'stable' AS variant, 'stable' AS arm, 200::INTEGER AS status, NULL::VARCHAR AS error_code,
               NULL::VARCHAR AS error_field, 1::INTEGER AS rows, 5 + 20 * random() AS latency_ms,
               4 + 18 * random() AS model_ms, 'arn:aws:iam::111111111111:user/client' AS caller,
               NULL::VARCHAR AS entity_key, 104::BIGINT AS input_bytes, sha256(i::VARCHAR) AS input_sha256,
               65::BIGINT AS output_bytes, false AS truncated, false AS replayed,
               {moment} + INTERVAL 30 SECOND AS logged_at, {inputs},
               ['setosa'] AS output_species, [random()] AS output_confidence
        FROM range({rows}) AS t(i)
    """


def show(figures: Figures) -> None:
    """The ratios that matter, in words."""
    if "transform: records/s" in figures:
        share = figures["transform: records/s"] / figures["transform: parser alone (baseline), records/s"]
        print(f"transform: {figures['transform: records/s']:,.0f} records/s, {share:.2f} of the parser alone")
    if "front door: own work p99, ms" in figures:
        p50, p99 = figures["front door: own work p50, ms"], figures["front door: own work p99, ms"]
        print(f"front door: own work p50 {p50:.2f} ms, p99 {p99:.2f} ms (promise: p99 below 3 ms)")
        p50, p99 = figures["front door: event to reply p50, ms"], figures["front door: event to reply p99, ms"]
        print(f"front door: event to reply, AWS's client and HTTP included: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    whole = "log: the latency question over one day, s"
    if whole in figures:
        base = figures["log: the same without one row a request id (baseline), s"]
        print(f"log: one row a request id takes {figures[whole] / base:.2f} of the table's time")


if __name__ == "__main__":
    told: Figures = {}
    chosen = sys.argv[1:] or ["front_door", "transform", "queries"]
    for each in chosen:
        {"front_door": front_door, "transform": transform, "queries": queries}[each](told)
    for name, value in told.items():
        print(f"{name:70} {value:12.3f}")
    show(told)
