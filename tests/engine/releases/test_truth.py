"""Bad canaries by the real `pulumi`: what `up` says on both of the provider's faces, and what works after it."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

from pair import Pair, no_poll_meets_a_rollback_of, of_who_runs_up, serving_version

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.real_pulumi import RealPulumi
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.world import MODELS
from infra.rehearsal.provider import UNKNOWN

ROOT = Path(__file__).resolve().parents[3]
ERRS = Behaviour(fails_every=20)
SERVICES = ("sagemaker", "cloudwatch", "s3", "sts")


def test_up_tells_the_same_on_both_faces_and_good_versions_follow(pair: Pair) -> None:
    seen, missed = pair.stages
    pair.minute()
    good = [stage.serving for stage in pair.stages]
    bad = pair.next_version(seen, missed, behaviour=ERRS)
    with no_poll_meets_a_rollback_of(missed):
        went = pair.up()
    assert not went.ok
    told = {stage.model: _told(went.told, stage) for stage in pair.stages}
    assert "unexpected state 'RollingBack'" in told[seen.model]
    assert "RollingBack" not in told[missed.model]
    assert [stage.serving for stage in pair.stages] == good
    messages = [_message(told[stage.model], stage, bad) for stage in pair.stages]
    assert messages[0] == messages[1]

    # An `up` for another model's sake goes on with that one and refuses the one that was taken back.
    mended = pair.next_version(seen)
    went = pair.up()
    assert not went.ok
    assert serving_version(seen) == mended
    assert missed.serving == good[1]
    refused = _told(went.told, missed)
    assert f"version {bad}" in refused
    assert f"mainstage model retry {missed.model}" in refused
    assert f"({seen.model}" not in went.told, "nothing is said of the model that was released"
    engines = pair.world.engines
    assert isinstance(engines, RealPulumi)
    outputs = engines.cli.outputs(MODELS)
    assert outputs["models"][missed.model]["endpoint_name"] == missed.endpoint
    assert UNKNOWN not in json.dumps(outputs), "who reads the stack's outputs still can"

    # A good version of it ends with 0, and nothing is left to be done.
    mended = pair.next_version(missed)
    went = pair.up()
    assert went.ok, went.told
    assert serving_version(missed) == mended
    quiet = engines.cli.try_run("preview", "--expect-no-changes", "--stack", MODELS)
    assert quiet.code == 0, quiet.told


def _told(told: str, stage: Stage) -> str:
    """What stands under the endpoint of a stage's model in pulumi's diagnostics."""
    sections = re.split(r"\n?^  (?=\S+ \(.*\):$)", told, flags=re.MULTILINE)
    [section] = [each for each in sections if each.startswith(f"aws:sagemaker:Endpoint ({stage.model}-")]
    return section


def _message(told: str, stage: Stage, bad: int) -> list[str]:
    """The lines of the message, held against what a person needs; the model's name and the numbers left out."""
    lines = [line.strip() for line in told.splitlines()]
    [start] = [number for number, line in enumerate(lines) if f"{stage.model} version {bad} was taken back" in line]
    [end] = [number for number, line in enumerate(lines) if line.startswith("next: ")]
    lines = [lines[start][lines[start].index(f"model {stage.model}") :], *lines[start + 1 : end + 1]]
    named = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    assert named["serves now"].startswith(f"version {serving_version(stage)} ({stage.serving}")
    assert named["alarm"] == f"{stage.endpoint}-guard-errors"
    assert int(named[f"requests that version {bad} answered"]) > 0
    runbook = named["runbook"]
    assert runbook.endswith("/release-rolled-back.md")
    assert (ROOT / "docs" / "runbooks" / "release-rolled-back.md").is_file()
    assert f"mainstage model retry {stage.model}" in named["next"]
    assert re.search(r"\d", named["window"]), named["window"]
    return [re.sub(r"-[0-9a-f]{8}\b|\d+(\.\d+)?", "N", line.replace(stage.model, "MODEL")) for line in lines]


def test_an_up_that_is_killed_in_the_bake(pair: Pair) -> None:
    """The watch ends what it began: a person is paged, and the next `up` refuses what was taken back."""
    stage, _ = pair.stages
    old = stage.serving
    bad = pair.next_version(stage, behaviour=ERRS)
    process = pair.world.engines.start_process({})
    try:
        pair.until(stage.waits, "the bake")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    before = len(pair.world.cloud.messages)
    pair.settle()
    pair.minutes(2)
    pair.world.cloud.events.wait_until_delivered(20)
    assert stage.serving == old
    pages = [json.dumps(message, default=str) for message in pair.world.cloud.messages[before:]]
    assert [page for page in pages if "release-rolled-back.md" in page and stage.endpoint in page], pages
    went = pair.up()
    assert not went.ok
    assert f"version {bad}" in _told(went.told, stage)
    assert stage.serving == old


def test_credentials_that_expire_in_the_bake(pair: Pair) -> None:
    """`up` says that it cannot know; the release goes on without it, and the next `up` finds out."""
    stage, _ = pair.stages
    good = pair.next_version(stage)
    running = pair.start_up()
    running.until(stage.waits, "the bake")
    pair.minute()
    expired = AwsError("ExpiredTokenException", "The security token included in the request is expired", 403)
    faults = [pair.world.cloud.faults.add(service, "*", expired, match=of_who_runs_up) for service in SERVICES]
    try:
        went = running.wait()
    finally:
        for fault in faults:
            fault.remove()
    assert not went.ok
    assert "verdict unknown" in _told(went.told, stage)
    pair.settle()
    assert serving_version(stage) == good
    went = pair.up()
    assert went.ok, went.told
    assert serving_version(stage) == good
