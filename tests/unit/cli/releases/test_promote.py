"""`mainstage model promote`: what it changes, says and refuses."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json

from cli import TARGET, Run, error, said
from release_world import FILE, OPERATOR, World, archive, sha256_of, taken_back

COLLEAGUE = "arn:aws:iam::111111111111:user/colleague"
SECOND = "  2. release it: mainstage up --env dev\n"


def test_a_promotion_asks_for_a_version_and_keeps_the_one_before(run: Run, world: World) -> None:
    told = said(run("model", "promote", "iris", "7"))
    assert world.file.read_text() == FILE + "stable: 7\nkeep: [6]\n" + world.file.read_text().split("keep: [6]\n")[1]
    assert told.startswith(
        "note: staging and prod take it too when they are brought up, for stacks/models/iris.yaml gives them no version of "
        "their own; whether it is registered there was not looked up (only for dev: --env dev)\n"
        "stacks/models/iris.yaml, the main part: version 7 for version 6\n"
        "--- stacks/models/iris.yaml\n+++ stacks/models/iris.yaml\n"
    )
    assert "\n-stable: 6\n+stable: 7\n+keep: [6]\n" in told
    assert told.endswith("Next:\n  1. commit stacks/models/iris.yaml\n" + SECOND)
    again = said(run("model", "promote", "iris", "7"))
    assert again == (
        "stacks/models/iris.yaml, the main part: asks for version 7 already; nothing was changed\n"
        "Next: release it: mainstage up --env dev\n"
    )


def test_one_environment_may_get_a_version_of_its_own(run: Run, world: World) -> None:
    before = world.file.read_text()
    said(run("model", "promote", "iris", "7", "--env", "dev"))
    overlay = world.file.read_text().removeprefix(before)
    assert overlay == "environments:\n  dev: {keep: [6], stable: 7}\n" or overlay == (
        "environments:\n  dev: {stable: 7, keep: [6]}\n"
    )
    # From now on that overlay says what dev serves, and is what changes.
    told = json.loads(run("model", "promote", "iris", "5", "--json").out)
    assert (told["part"], told["environments"], told["version"], told["before"], told["keep"]) == (
        "environments.dev", ["dev"], 5, 7, [7, 6],
    )  # fmt: skip
    assert "stable: 6\n" in world.file.read_text()


def test_a_script_reads_what_a_promotion_did(run: Run, world: World) -> None:
    ended = run("model", "promote", "iris", "7", "--json")
    told = json.loads(ended.out)
    assert told | {"diff": ""} == {
        "target": str(TARGET),
        "model": "iris",
        "version": 7,
        "before": 6,
        "keep": [6],
        "file": "stacks/models/iris.yaml",
        "part": "the main part",
        "environments": ["dev", "staging", "prod"],
        "changed": True,
        "diff": "",
        "next": ["commit stacks/models/iris.yaml", "release it: mainstage up --env dev"],
    }
    assert "+stable: 7\n" in told["diff"]
    assert json.loads(run("model", "promote", "iris", "7", "--json").out)["changed"] is False


def test_where_approvals_are_asked_for_the_next_step_is_one(run: Run, world: World) -> None:
    stack = world.root / "stacks" / "Pulumi.models-dev.yaml"
    stack.write_text(
        stack.read_text().replace("config:\n", "config:\n  mainstage:approval: {required: true}\n", 1), encoding="utf-8"
    )
    steps = json.loads(run("model", "promote", "iris", "7", "--json").out)["next"]
    assert steps[0] == f"somebody else than {OPERATOR} approves it: mainstage model approve iris 7"
    world.objects["models/iris/7/approval.json"] = json.dumps(
        {"version": 7, "archive_sha256": sha256_of(7), "approved_by": COLLEAGUE, "approved_at": "2026"}
    ).encode()
    steps = json.loads(run("model", "promote", "iris", "7", "--json").out)["next"]
    assert steps == ["release it: mainstage up --env dev"]


def test_what_cannot_be_released_is_not_promoted(run: Run, world: World) -> None:
    before = world.file.read_text()
    assert error(run("model", "promote", "iris", "8")) == (
        f"iris: version 8 is not registered in {TARGET}; registered are 5, 6, 7"
    )
    world.register(8, runtime="sklearn-1.2-1")
    assert error(run("model", "promote", "iris", "8")) == (
        "iris: version 8 was pushed for the runtime sklearn-1.2-1, and the file says sklearn-1.4-2: write that runtime into "
        "the file, or push the folder again as a new version"
    )
    world.objects["models/iris/9/model.tar.gz"] = archive(9)
    assert error(run("model", "promote", "iris", "9")) == (
        "iris: version 9 has no card: push its folder again; registered are 5, 6, 7, 8, 9"
    )
    assert error(run("model", "promote", "iris", "7", "--env", "prod")) == (
        "--env prod: the target is dev, and what is registered and serves is looked up there: --target prod --profile "
        "PROFILE"
    )
    assert error(run("model", "promote", "iris", "7", "--env", "life")) == (
        "--env 'life': allowed are dev, staging, prod"
    )
    assert error(run("model", "promote", "isis", "7")).startswith("model 'isis' is not in the catalog (stacks/models/)")
    world.history.add(taken_back(7, serves=6))
    assert error(run("model", "promote", "iris", "7")) == (
        "iris: version 7 was taken back on 2026-11-21 12:30:00 UTC (alarm dev-iris-guard-errors (2 of 3 minutes above "
        "0.01); 120 requests to the new fleet; errors), and up would refuse it. Allow it first: "
        "mainstage model retry iris --version 7 --reason WHY"
    )
    assert world.file.read_text() == before


def test_a_file_that_would_be_wrong_is_not_written(run: Run, world: World) -> None:
    world.write("stable: 6\n", "environments:\n  prod: {keep: [7]}\n")
    before = world.file.read_text()
    told = error(run("model", "promote", "iris", "7"))
    assert "environments.prod.keep[0]: version 7 is stable already" in told
    assert world.file.read_text() == before


def test_the_oldest_of_too_many_is_kept_no_longer(run: Run, world: World) -> None:
    world.write("stable: 6\nkeep: [5, 4, 3, 2, 1]\n")
    assert said(run("model", "promote", "iris", "7")).splitlines()[0] == (
        "note: version 1 is kept no longer: a file keeps five"
    )
    assert "stable: 7\nkeep: [6, 5, 4, 3, 2]\n" in world.file.read_text()


def test_what_was_taken_back_is_kept_last_and_goes_first(run: Run, world: World) -> None:
    world.write("stable: 6\nkeep: [5, 4]\n")
    world.serve(5)
    world.history.add(taken_back(6, serves=5))
    said(run("model", "promote", "iris", "7"))
    assert "stable: 7\nkeep: [5, 4, 6]\n" in world.file.read_text()
    world.write("stable: 6\nkeep: [5, 4, 3, 2, 1]\n")
    assert said(run("model", "promote", "iris", "7")).splitlines()[0] == (
        "note: version 6 is kept no longer: a file keeps five"
    )
    assert "stable: 7\nkeep: [5, 4, 3, 2, 1]\n" in world.file.read_text()
