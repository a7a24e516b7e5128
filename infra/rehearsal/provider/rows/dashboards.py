"""Dashboards: internal/service/cloudwatch/dashboard.go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_json
from infra.rehearsal.provider.row import Row, matches, step, valid_json
from infra.rehearsal.provider.translate import Call

_PUT = Call("cloudwatch", "PutDashboard")


def _put_dashboard(op: Operation) -> None:
    """Always the whole body; a foreign dashboard of that name is overwritten in silence."""
    op.send(_PUT)
    op.created(op.inputs["dashboardName"])


def _read_dashboard(op: Operation) -> Mapping[str, Any] | None:
    found = op.found(lambda: op.call("cloudwatch", "GetDashboard", DashboardName=op.id), "ResourceNotFound")
    if found is None:
        return None
    return {
        "dashboardArn": found["DashboardArn"],
        "dashboardBody": json.dumps(json.loads(found["DashboardBody"]), sort_keys=True, separators=(",", ":")),
        "dashboardName": found["DashboardName"],
    }


def _delete_dashboard(op: Operation) -> None:
    """A dashboard that somebody else deleted is an error here: the real provider forgives nothing."""
    op.call("cloudwatch", "DeleteDashboards", DashboardNames=[op.id])


DASHBOARD = Row(
    type="aws:cloudwatch/dashboard:Dashboard",
    source="cloudwatch/dashboard.go",
    label="CloudWatch Dashboard",
    create=_put_dashboard,
    read=_read_dashboard,
    delete=_delete_dashboard,
    calls=(_PUT,),
    steps=(step(_put_dashboard, "dashboardBody"),),
    force_new=frozenset({"dashboardName"}),
    equal={"dashboardBody": same_json},
    rules=(
        valid_json("dashboardBody"),
        matches("dashboardName", r"[-0-9A-Za-z_]{1,255}", "dashboardName takes 1 to 255 letters, digits, - and _"),
    ),
)

ROWS = (DASHBOARD,)
