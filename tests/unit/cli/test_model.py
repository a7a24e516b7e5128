"""`mainstage model show` and `status`: what a person sees of a card and of what serves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cli import Ended, runner

from infra.cli import model
from infra.cli.screen import Screen

Run = Callable[..., Ended]

HOSTILE = "[red]x[/b]\x1b[2J"
SHOWN = r"[red]x[/b]\x1b[2J"
URL = "https://abc.execute-api.eu-west-1.amazonaws.com/v1/models/iris/predictions"


def refused(operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation)


class Cloud:
    """An endpoint that failed, its alarms, and a front door with the routes that it is told to have."""

    def __init__(self) -> None:
        self.routes: list[str] = ["POST /v1/models/iris/predictions", "$default"]
        self.readable = True

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName != "dev-iris":
            raise ClientError({"Error": {"Code": "V", "Message": "Could not find endpoint"}}, "DescribeEndpoint")
        return {"EndpointStatus": "Failed", "FailureReason": HOSTILE}

    def get_paginator(self, operation: str) -> Cloud:
        self.operation = operation
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        if self.operation == "describe_alarms":
            prefix = given["AlarmNamePrefix"]
            states = {"errors": "OK", "latency": "INSUFFICIENT_DATA"}
            yield {"MetricAlarms": [{"AlarmName": f"{prefix}{n}", "StateValue": s} for n, s in states.items()]}
        elif not self.readable:
            raise refused(self.operation)
        elif self.operation == "get_apis":
            address = URL.split("/v1")[0]
            yield {"Items": [{"Name": "mainstage-dev", "ApiEndpoint": address, "ApiId": "abc"}]}
        else:
            assert (self.operation, given) == ("get_routes", {"ApiId": "abc"})
            yield {"Items": [{"RouteKey": key} for key in self.routes]}


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cloud: Cloud) -> Run:
    return runner(monkeypatch, capsys, dict.fromkeys(("sagemaker", "cloudwatch", "apigatewayv2"), cloud))


def test_a_status_shows_the_address_the_alarms_and_why_it_failed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("model", "status", "iris")
    assert (ended.code, ended.err) == (0, "")
    _, _, row, reason, empty, address = ended.out.splitlines()
    assert row.split()[:2] == ["iris", "version"]
    assert row.rstrip().endswith("1 OK; without data yet: latency")
    assert reason.strip() == SHOWN
    assert (empty, address) == ("", f"iris: POST {URL}")
    monkeypatch.setenv("COLUMNS", "40")  # an address that is broken can't be pasted
    assert run("model", "status", "iris").out.splitlines()[-1] == f"iris: POST {URL}"


def test_a_script_reads_the_address_of_each_model(run: Run, cloud: Cloud) -> None:
    found = {each["model"]: each["url"] for each in json.loads(run("model", "status", "--json").out)}
    assert found == {"card-fraud": "", "iris": URL}
    cloud.routes = []
    assert json.loads(run("model", "status", "iris", "--json").out)[0]["url"] == ""
    assert run("model", "status", "iris").out.splitlines()[-1].strip() == SHOWN


def test_who_may_not_read_the_front_door_still_gets_a_status(run: Run, cloud: Cloud) -> None:
    cloud.readable = False
    ended = run("model", "status", "iris", "--json")
    assert (ended.code, json.loads(ended.out)[0]["url"]) == (0, "")


def test_a_card_shows_what_is_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    card = {
        "model": "churn",
        "version": 3,
        "pushed_at": "2026-01-31",
        "pushed_by": HOSTILE,
        "archive": {"size_bytes": 5, "sha256": "ab"},
        "runtime": {"preset": "sklearn", "python": "3.10", "packages": {"numpy": "1[a]"}},
        "metrics": {HOSTILE: 0.5},
        "data": {},
        "signature": {
            "inputs": [
                {"name": "months", "type": "integer"},
                {"name": "email", "type": "string", "pii": True},
                {"name": "phone", "type": "string", "pii": "drop"},
            ],
            "outputs": [{"name": "churned", "type": "boolean", "pii": False}],
        },
    }
    Screen(width=200).print(model._card_table(card))
    rows = {line.split()[0]: line.split(maxsplit=1)[1].rstrip() for line in capsys.readouterr().out.splitlines()}
    assert rows["inputs"] == (
        "months: integer, email: string (personal data: logged as a hash), phone: string (personal data: not logged)"
    )
    assert rows["outputs"] == "churned: boolean"
    assert rows["pushed"] == f"2026-01-31 by {SHOWN}"
    assert rows["metrics"] == f"{SHOWN} 0.5"
    assert rows["runtime"] == "sklearn (Python 3.10; numpy 1[a])"
