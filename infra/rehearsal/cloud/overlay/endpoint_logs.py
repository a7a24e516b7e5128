"""An endpoint's log: the container's lines go to CloudWatch Logs under the model's execution role.

A role that may not write logs does not keep an endpoint from serving, on AWS neither: the log group stays empty.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Variant

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

RETRY_SECONDS = 60
MOST_EVENTS = 10_000
"""Of one PutLogEvents (API reference)."""
LONGEST_LINE = 65_536
"""Characters of one event; longer lines are cut. At four bytes each they fit an event's 256 KiB."""

log = logging.getLogger(__name__)


def open_log(endpoint: Endpoint, logs: Any, stream: str) -> None:
    """Makes the stream, and the group when nobody declared it: the calls that the developer guide lists for the
    role."""
    try:
        logs.describe_log_streams(logGroupName=endpoint.log_group, logStreamNamePrefix=stream)
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        logs.create_log_group(logGroupName=endpoint.log_group)
    logs.create_log_stream(logGroupName=endpoint.log_group, logStreamName=stream)


def ship_log(cloud: Cloud, endpoint: Endpoint, variant: Variant) -> None:
    """Hands over the lines that the host has written since the last time; the first time it makes the stream, lines or
    not. What was refused is tried again a minute later."""
    with variant.log_lock:
        _ship(cloud, endpoint, variant)


def _ship(cloud: Cloud, endpoint: Endpoint, variant: Variant) -> None:
    now = cloud.clock.now()
    if variant.log_retry_at is not None and now < variant.log_retry_at:
        return
    position, lines = variant.host.log_since(variant.log_shipped)
    if variant.log_open and not lines:
        return
    logs = variant.session.client("logs", region_name=endpoint.region)
    millis = int(now.timestamp() * 1000)
    # Logs refuses events without text.
    events = [{"timestamp": millis, "message": line[:LONGEST_LINE] or " "} for line in lines]
    try:
        if not variant.log_open:
            open_log(endpoint, logs, variant.log_stream)
            variant.log_open = True
        for start in range(0, len(events), MOST_EVENTS):
            logs.put_log_events(
                logGroupName=endpoint.log_group,
                logStreamName=variant.log_stream,
                logEvents=events[start : start + MOST_EVENTS],
            )
    except ClientError as refusal:
        variant.log_retry_at = now + timedelta(seconds=RETRY_SECONDS)
        log.warning("%s/%s: log lines could not be written: %s", endpoint.name, variant.name, refusal)
        return
    variant.log_shipped, variant.log_retry_at = position, None
