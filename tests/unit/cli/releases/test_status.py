"""`mainstage model status`: what a person sees of a release."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cli import Run, lines
from mainstage_runtime.release_history import RELEASED, RETRY, ROLLED_BACK, STARTED, TAKEN_BACK, UNPROVEN
from release_world import (
    ALARM,
    API,
    ENDPOINT,
    HOSTILE,
    SHOWN,
    World,
    configuration,
    event,
    refused,
)
from release_world import STARTED as BEGAN
from sleeps import sleeps_by

from infra.cli import release_status

pytestmark = pytest.mark.usefixtures("in_service")
URL = f"{API}/v1/models/iris/predictions"


def test_what_serves_as_asked_needs_no_more_words(run: Run) -> None:
    head, row, empty, address = lines(run("model", "status", "iris"))
    assert head.split() == ["model", "asked", "live", "endpoint", "instances", "guard", "alarms"]
    assert row.split() == ["iris", "version", "6", "6", "(100", "%)", "InService", "2", "of", "2", "7", "OK"]
    assert (empty, address) == ("", f"iris: POST {URL}")


def test_a_script_reads_the_same(run: Run, world: World) -> None:
    told = json.loads(run("model", "status", "--json").out)[0]
    assert (told["model"], told["url"], told["leftovers"]) == ("iris", URL, [])
    assert told["release"] == {
        "model": "iris",
        "asked": {"dev": "version 6", "staging": "version 6", "prod": "version 6"},
        "serves": "version 6",
        "agrees": True,
        "deployment": None,
        "unguarded": [],
        "unasked": False,
        "last_verdict": None,
        "last_failure": "",
        "blocked": {},
        "history_problem": "",
        "advice": [],
    }
    world.routes = []
    assert json.loads(run("model", "status", "iris", "--json").out)[0]["url"] == ""
    world.readable = False
    assert json.loads(run("model", "status", "iris", "--json").out)[0]["url"] == ""


def test_an_address_or_a_command_is_never_broken(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.serve(5)
    monkeypatch.setenv("COLUMNS", "40")
    told = lines(run("model", "status", "iris"))
    assert told[-1] == f"iris: POST {URL}"
    assert "iris: version 6 is asked for, version 5 serves: mainstage up --env dev" in told


def test_an_endpoint_that_failed_says_why_and_how_to_be_rid_of_it(run: Run, world: World) -> None:
    world.serve(6, status="Failed")
    assert world.endpoint is not None
    world.endpoint |= {"FailureReason": HOSTILE, "ProductionVariants": []}
    told = lines(run("model", "status", "iris"))
    assert f"iris: SageMaker says: {SHOWN}" in told
    assert f"iris: left over: endpoint {ENDPOINT}: its first release never came into service ({SHOWN})" in told
    assert "iris: to delete what is left over: mainstage model clean iris --yes" in told


def test_a_model_that_is_not_there_yet(run: Run, world: World) -> None:
    world.endpoint = None
    told = lines(run("model", "status", "iris"))
    assert told[1].split()[:6] == ["iris", "version", "6", "nothing", "not", "created"]
    assert "iris: version 6 is asked for, nothing serves: mainstage up --env dev" in told
    world.write("awaiting: true\n")
    assert lines(run("model", "status", "iris"))[1].split()[:2] == ["iris", "awaiting"]


def test_a_release_under_way_shows_its_traffic_by_fleet(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.bake(7)
    told = lines(run("model", "status", "iris"))
    assert "6, 7 on its way" in told[1]
    assert told[3:6] == [
        "iris: version 7 is being released since 2026-11-21 12:00:00 UTC (Baking): 50 % first, the rest after 10 minutes",
        "iris: traffic: CloudWatch has counted no request of this deployment yet, and AWS tells no shares",
        "iris: to take it back: mainstage model abort iris",
    ]
    minutes = [BEGAN + timedelta(minutes=each) for each in (1, 2, 3, 4)]
    world.counted = [
        {"Id": "old0", "Timestamps": minutes, "Values": [900.0, 60.0, 60.0, 60.0]},
        {"Id": "new0", "Timestamps": minutes[1:], "Values": [20.0, 20.0, 20.0]},
    ]
    told = lines(run("model", "status", "iris"))
    assert "6 (75 %), 7 (25 %)" in told[1]
    assert told[4] == (
        "iris: traffic: version 6 75 % (old fleet), version 7 25 % (new fleet); counted from Invocations by configuration over "
        "the last 3 minutes told"
    )
    deployment = json.loads(run("model", "status", "iris", "--json").out)[0]["release"]["deployment"]
    assert [(each["fleet"], each["requests"], each["percent"]) for each in deployment["shares"]] == [
        ("old", 180.0, 75.0),
        ("new", 60.0, 25.0),
    ]
    assert world.endpoint is not None
    world.endpoint["EndpointStatus"] = "RollingBack"
    world.counted = []
    told = lines(run("model", "status", "iris"))
    assert "iris: version 7 is being taken back; version 6 serves" in told
    assert "back to 6 from 7" in told[1]


def test_what_was_taken_back_is_told_with_its_alarm(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.history.add(event(TAKEN_BACK, 5, at="11:00:00", serves=6))
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(TAKEN_BACK, 7, serves=6, alarm=ALARM, requests=1200))
    told = lines(run("model", "status", "iris"))
    assert told[3] == (
        "iris: version 7 was taken back on 2026-11-21 12:30:00 UTC (alarm dev-iris-guard-errors (2 of 3 minutes above 0.01); "
        "1,200 requests to the new fleet), and up refuses it. mainstage model rollback iris asks for what serves; a new "
        "version is promoted; or mainstage model retry iris --reason WHY"
    )
    assert "iris: last verdict: version 7 taken back by dev-iris-guard-errors, 2026-11-21 12:30:00 UTC" in told
    assert "iris: refused by up until allowed again: version 5" in told
    world.history.add(event(RETRY, 7, at="12:40:00", serves=6, reason="again"))
    told = lines(run("model", "status", "iris"))
    assert told[3] == "iris: version 7 is asked for, version 6 serves: mainstage up --env dev"


WHY = "An alarm fired: dev-iris-guard-errors"


def failure(run: Run) -> tuple[list[str], str]:
    """(what a person is told of AWS's reason, what a script reads)."""
    told = lines(run("model", "status", "iris"))
    script = json.loads(run("model", "status", "iris", "--json").out)[0]
    assert script["failure_reason"] == WHY  # AWS's own, as it stands
    return [line.removeprefix("iris: SageMaker says: ") for line in told if WHY in line], script["release"][
        "last_failure"
    ]


def test_aws_s_reason_is_told_while_what_was_tried_last_does_not_serve(run: Run, world: World) -> None:
    assert world.endpoint is not None
    world.endpoint["FailureReason"] = WHY
    assert failure(run) == ([WHY], WHY)  # nothing is known of what was tried
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(TAKEN_BACK, 7, serves=6, alarm=ALARM))
    assert failure(run) == ([WHY], WHY)
    world.history.add(event(RETRY, 7, at="12:35:00", serves=6, reason="again"))
    assert failure(run) == ([WHY], WHY)
    world.history.add(event(STARTED, 7, at="12:40:00", serves=6))
    world.bake(7)
    assert failure(run) == ([], "")  # something else is being tried
    world.endpoint["EndpointStatus"] = "RollingBack"
    assert failure(run) == ([WHY], WHY)


def test_aws_s_reason_is_not_told_once_a_later_release_serves(run: Run, world: World) -> None:
    world.write("stable: 7\nkeep: [6]\n")
    world.serve(7)
    assert world.endpoint is not None
    world.endpoint["FailureReason"] = WHY
    world.history.add(event(TAKEN_BACK, 5, at="11:00:00", serves=6))
    world.history.add(event(STARTED, 7, at="12:00:00", serves=6))
    world.history.add(event(RELEASED, 7, serves=7))
    assert failure(run) == ([], "")
    # Broken later, whatever the history says of its release.
    world.endpoint["EndpointStatus"] = "UpdateRollbackFailed"
    assert failure(run) == ([WHY], WHY)


def test_aws_s_reason_is_not_told_of_a_version_that_a_person_moved_away_from(run: Run, world: World) -> None:
    assert world.endpoint is not None
    world.endpoint["FailureReason"] = WHY
    world.history.add(event(STARTED, 7, at="12:00:00", serves=5))
    world.history.add(event(ROLLED_BACK, 7, serves=6))
    assert failure(run) == ([], "")


def test_the_last_verdict_says_all_that_is_known_of_it(run: Run, world: World) -> None:
    world.history.add(event(STARTED, 6, at="12:00:00", serves=5))
    world.history.add(event(UNPROVEN, 6, at="12:20:00", serves=6, requests=8))
    world.history.add(event(RELEASED, 6, at="12:20:01", serves=6, by="watch"))
    assert (
        "iris: last verdict: version 6 released, unproven (too few requests to judge it), 2026-11-21 12:20:00 UTC"
        in (lines(run("model", "status", "iris")))
    )


def test_what_nobody_asked_for_and_missing_guards_are_told(run: Run, world: World) -> None:
    world.history.add(event(RELEASED, 6))
    world.serve(5, guarded=False)
    told = lines(run("model", "status", "iris"))
    assert told[3:5] == [
        f"iris: version 5 ({configuration(5)}) serves and nobody asked for it here: somebody moved the endpoint by hand, and up "
        "refuses to go over it. mainstage model rollback iris asks for what serves; mainstage model retry iris --reason WHY "
        "lets up release the catalog's",
        "iris: the last update was made without our rollback alarms (7 of them are missing), and up releases nothing unguarded: "
        "mainstage model restore-guards iris",
    ]


def test_what_somebody_moved_to_and_the_catalog_asks_for_is_well(run: Run, world: World) -> None:
    world.history.add(event(RELEASED, 5))
    assert world.endpoint is not None  # version 6 serves and is asked for
    assert lines(run("model", "status", "iris"))[3:4] == [
        "iris: last verdict: version 5 released, 2026-11-21 12:30:00 UTC"
    ]
    assert json.loads(run("model", "status", "iris", "--json").out)[0]["release"]["unasked"] is True


def test_what_serves_and_was_taken_back_once_is_told_with_what_that_means(run: Run, world: World) -> None:
    world.history.add(event(TAKEN_BACK, 6, serves=5, alarm=ALARM))
    told = lines(run("model", "status", "iris"))
    assert told[3] == (
        "iris: version 6 serves and is asked for, and was taken back on 2026-11-21 12:30:00 UTC (alarm dev-iris-guard-errors "
        "(2 of 3 minutes above 0.01)): up leaves it as it is, and refuses to release a change of it. mainstage model retry "
        "iris --reason WHY allows that"
    )
    assert not any("up refuses it" in line for line in told)


def test_versions_that_differ_by_environment_are_told(run: Run, world: World) -> None:
    world.write("stable: 6\n", "environments:\n  prod: {stable: 4}\n")
    told = lines(run("model", "status", "iris"))
    assert "iris: asked for: dev version 6, staging version 6, prod version 4" in told


def test_a_history_that_may_not_be_read_is_told(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_object(**_: object) -> None:
        raise refused("AccessDenied", "no", "GetObject")

    world.history.add(event(RELEASED, 6))
    monkeypatch.setattr(world, "get_object", get_object)
    told = lines(run("model", "status", "iris"))
    assert told[3] == (
        "iris: the history of releases cannot be read, so what was taken back is not known: An error occurred (AccessDenied) "
        "when calling the GetObject operation: no"
    )


def test_watching_draws_again_until_stopped(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 2:
            raise KeyboardInterrupt

    sleeps_by(monkeypatch, release_status, sleep)
    ended = run("model", "status", "iris", "--watch", "--every", "2")
    assert (ended.code, ended.err, looks) == (0, "", [2.0, 2.0])
    assert ended.out.count("7 OK") == 2
    assert ended.out.count("by this machine's clock; Ctrl-C ends") == 2
    assert run("model", "status", "iris", "--watch", "--json").code == 1
