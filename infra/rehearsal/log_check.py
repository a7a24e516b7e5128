"""Holds the prediction log against what clients saw: the same request ids, and the latencies by version out of SQL."""

from __future__ import annotations

from mainstage.prediction_queries import VIEW, latency_by_version

from infra.layers.names import database_name, log_name, predictions_bucket_name
from infra.predictions import athena
from infra.registry.target import Target
from infra.rehearsal.report import LogCheck, VersionLatency
from infra.rehearsal.traffic import Traffic


def check_log(target: Target, sent: Traffic) -> LogCheck:
    """Asks Athena for every request id in the log and for the latencies. Raises QueryError."""
    database = database_name(target.environment, sent.model)
    ids = athena.run(target, sent.model, f'SELECT "request_id" FROM "{database}"."{VIEW}"')
    latencies = athena.run(target, sent.model, latency_by_version(database))
    received, logged = set(sent.request_ids), [row["request_id"] for row in ids.rows]
    return LogCheck(
        received=len(received),
        logged=len(logged),
        missing=sorted(received - set(logged)),
        unknown=sorted(set(logged) - received),
        repeated=len(logged) - len(set(logged)),
        latencies=[
            VersionLatency(row["version"], row["requests"], row["p50_ms"], row["p95_ms"], row["p99_ms"])
            for row in latencies.rows
        ],
        scanned_bytes=ids.scanned_bytes + latencies.scanned_bytes,
        objects=_objects(target, sent.model),
    )


def _objects(target: Target, model: str) -> int:
    bucket = predictions_bucket_name(target.environment, target.account_id, target.region)
    pages = (
        target.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=bucket, Prefix=f"records/{log_name(target.environment, model)}/")
    )
    return sum(page["KeyCount"] for page in pages)
