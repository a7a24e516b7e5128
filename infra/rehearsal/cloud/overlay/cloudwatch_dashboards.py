"""CloudWatch dashboards: one set for the account, whatever the region.

User guide, "Creating a customized CloudWatch dashboard": dashboards are global.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.dashboards import Message, validate
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page, partition_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_A_PAGE = 1000
"""Entries of one ListDashboards answer (API reference, ListDashboards)."""


@dataclass(frozen=True)
class Dashboard:
    name: str
    arn: str
    body: str
    modified: datetime


class Dashboards:
    """The dashboards of a cloud by name."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.Lock()
        self.by_name: dict[str, Dashboard] = {}

    def close(self) -> None:
        """Nothing runs here."""


@handler("cloudwatch", "PutDashboard")
def put_dashboard(call: Call) -> dict[str, Any]:
    """Makes the dashboard or overwrites it. What AWS refuses about a body is refused; unknown properties are kept, and
    a message says that they are ignored."""
    name, body = call.params["DashboardName"], call.params["DashboardBody"]
    if not _NAME.fullmatch(name):
        raise AwsError(
            "InvalidParameterValue",
            f"The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, "
            "dash (-) and underscore (_).",
        )
    found = validate(body)
    if found.errors:
        raise _refusal(found.errors)
    if found.uncarried:
        kinds = ", ".join(sorted(set(found.uncarried)))
        raise AwsError("NotCarried", f"The emulated cloud does not carry dashboard widgets of type {kinds}.", 501)
    dashboards = state_of(call.cloud, Dashboards)
    made = Dashboard(name, _arn(call, name), body, call.cloud.clock.now())
    with dashboards.lock:
        dashboards.by_name[name] = made
    return {"DashboardValidationMessages": [_message(warning) for warning in found.warnings]}


def _refusal(errors: list[Message]) -> AwsError:
    """DashboardInvalidInputError as the service words it; a body that is no JSON has no list of places."""
    if not errors[0].path and errors[0].text.startswith("The field DashboardBody"):
        return AwsError("InvalidParameterInput", errors[0].text)
    listed = json.dumps([{"dataPath": each.path, "message": each.text} for each in errors], indent=2)
    return AwsError(
        "InvalidParameterInput",
        f"The dashboard body is invalid, there are {len(errors)} validation errors:\n{listed}",
        dashboardValidationMessages=[_message(error) for error in errors],
    )


def _message(found: Message) -> dict[str, str]:
    return {"DataPath": found.path, "Message": found.text}


@handler("cloudwatch", "GetDashboard")
def get_dashboard(call: Call) -> dict[str, Any]:
    found = state_of(call.cloud, Dashboards).by_name.get(call.params["DashboardName"])
    if found is None:
        raise _missing([call.params["DashboardName"]])
    return {"DashboardArn": found.arn, "DashboardBody": found.body, "DashboardName": found.name}


@handler("cloudwatch", "ListDashboards")
def list_dashboards(call: Call) -> dict[str, Any]:
    """In order of name."""
    dashboards = state_of(call.cloud, Dashboards)
    with dashboards.lock:
        known = [dashboards.by_name[name] for name in sorted(dashboards.by_name)]
    found = [
        {
            "DashboardName": each.name,
            "DashboardArn": each.arn,
            "LastModified": each.modified,
            "Size": len(each.body.encode()),
        }
        for each in known
        if each.name.startswith(call.params.get("DashboardNamePrefix") or "")
    ]
    entries, token = page(found, call.params.get("NextToken"), _A_PAGE, error="InvalidParameterValue")
    return {"DashboardEntries": entries, **({"NextToken": token} if token else {})}


@handler("cloudwatch", "DeleteDashboards")
def delete_dashboards(call: Call) -> dict[str, Any]:
    """Deletes all named dashboards, or none when one of them does not exist (API reference, DeleteDashboards)."""
    dashboards = state_of(call.cloud, Dashboards)
    with dashboards.lock:
        missing = [name for name in call.params["DashboardNames"] if name not in dashboards.by_name]
        if missing:
            raise _missing(missing)
        for name in call.params["DashboardNames"]:
            dashboards.by_name.pop(name, None)
    return {}


def _missing(names: list[str]) -> AwsError:
    """DashboardNotFoundError; its wording is unconfirmed."""
    return AwsError("ResourceNotFound", f"Dashboard {', '.join(names)} does not exist", 404)


def _arn(call: Call, name: str) -> str:
    return f"arn:{partition_of(call.region)}:cloudwatch::{call.account_id}:dashboard/{name}"
