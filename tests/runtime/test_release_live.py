"""What is read of an endpoint and its guards: moments are UTC, whatever the machine's time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mainstage_runtime.release_live import read_guards, read_live

HERE = timezone(timedelta(hours=9))
AT = datetime(2026, 11, 22, 13, 0, tzinfo=HERE)
"""botocore gives moments in the machine's time zone (botocore.utils.parse_timestamp)."""


class Aws:
    def describe_endpoint(self, **_: Any) -> dict[str, Any]:
        return {
            "EndpointStatus": "Updating",
            "EndpointConfigName": "e-v6-00000000",
            "CreationTime": AT,
            "LastModifiedTime": AT,
            "PendingDeploymentSummary": {"EndpointConfigName": "e-v7-00000000", "StartTime": AT},
        }

    def describe_alarms(self, **_: Any) -> dict[str, Any]:
        return {"MetricAlarms": [{"AlarmName": "stop", "StateValue": "OK", "StateUpdatedTimestamp": AT}]}


def test_moments_are_utc() -> None:
    live = read_live(Aws(), "e")
    assert live is not None
    (guard,) = read_guards(Aws(), ["stop"])
    for moment in (live.created, live.modified, live.pending_since, guard.since):
        assert moment is not None
        assert (moment, moment.tzinfo) == (AT, UTC)
