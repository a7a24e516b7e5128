"""Drills of releases that meet another one, lose the process that waits for them, or are the first."""

from __future__ import annotations

import os
import signal
from typing import Any

from infra.catalog import load_catalog
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.drills.assertions import always
from infra.rehearsal.drills.bad_canaries import ONE_IN_TWENTY, RUNBOOK
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection
from infra.rehearsal.drills.protections import made_into, without_refusal
from infra.rehearsal.drills.stage import BUSY, FEW, Stage, expect
from infra.rehearsal.drills.world import OBSERVER
from infra.releases.past import history_of
from infra.releases.rollback_now import move

EXPIRED = AwsError("ExpiredTokenException", "The security token included in the request is expired", 403)
SERVICES = ("sagemaker", "cloudwatch", "s3", "sts")


def two_updates(stage: Stage) -> None:
    first = stage.begin()
    expect(went := stage.release(2), went.ok, went.told)
    old = stage.serving
    model = load_catalog(stage.world.root, stage.world.target.environment).models[stage.model]
    move(stage.world.target, model, 1, "a colleague wants version 1 back")
    stage.timeline.mark("a colleague: mainstage model rollback --now, to version 1")
    stage.until(stage.waits, "the bake of the way back")
    stage.minute()
    stage.prepare(3, keep=(1, 2))
    went = stage.up_at_once()
    expect(went, not went.ok, "a second update of an endpoint that has one under way")
    missing = [each for each in ("pending:", "mainstage model abort") if each not in went.told]
    expect(went, not missing, f"the refusal does not tell {', '.join(missing)}: {went.told}")
    stage.settle()
    if stage.serving != first:
        raise DrillFailed(f"the colleague's update was disturbed: {stage.serving} serves instead of {first}")
    always(stage, 3, old=old)


def killed_up(stage: Stage) -> None:
    stage.requests = BUSY
    old = stage.begin()
    stage.prepare(2, ONE_IN_TWENTY)
    process = stage.world.engines.start_process(stage.config)
    try:
        stage.until(stage.waits, "the bake")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    stage.timeline.mark("up is killed with signal 9 in the bake")
    before = len(stage.world.cloud.messages)
    stage.settle()
    stage.minutes(1)
    stage.world.cloud.events.wait_until_delivered(20)
    if stage.serving != old:
        raise DrillFailed(f"{stage.serving} serves, and {old} had to")
    pages = [str(each) for each in stage.world.cloud.messages[before:]]
    if not any(RUNBOOK in page and stage.endpoint in page and "version 2" in page for page in pages):
        raise DrillFailed(f"nobody was paged of the rollback; {len(pages)} messages: {pages[:3]}")
    stage.timeline.mark("the watch pages: version 2 was taken back", "seen")
    kinds = [each.kind for each in history_of(stage.world.target, stage.model).events()]
    expect(kinds, "taken_back" in kinds, "the history does not tell that version 2 was taken back")
    always(stage, 1, old=old, next_up_ends_well=False)


def expired(stage: Stage) -> None:
    old = stage.begin()
    running = stage.start_release(2)
    faults = [stage.world.cloud.faults.add(each, "*", EXPIRED, match=_of_up) for each in SERVICES]
    stage.timeline.mark("the credentials of up expire")
    try:
        went = stage.end(running)
    finally:
        for fault in faults:
            fault.remove()
    expect(went, not went.ok, "up ended 0, and nobody could know what serves")
    expect(went, "verdict unknown" in went.told, f"up does not say that it cannot know: {went.told}")
    stage.settle()
    always(stage, 2, old=old)


def first_release(stage: Stage) -> None:
    stage.requests = 0
    stage.world.write(stage.model)
    went = stage.release(1, Behaviour(crashes=True), keep=())
    expect(went, not went.ok, "a first release that never came up ended 0")
    expect(went, "was deleted" in went.told, f"up does not say what became of the endpoint: {went.told}")
    went = stage.release(2, keep=())
    expect(went, went.ok, f"the next up, with a version that works, did not end well: {went.told}")
    stage.requests = FEW
    stage.minutes(1)
    always(stage, 2, old="")


def _of_up(call: Call) -> bool:
    """Calls of who runs `up`; the drill's own eyes are another principal."""
    return call.principal.kind == "operator" and call.principal.arn != OBSERVER


def _certain(original: Any, *given: Any, **named: Any) -> Any:
    """What cannot be read is taken for a good sign."""
    try:
        return original(*given, **named)
    except Exception as error:
        if "verdict unknown" not in str(error):
            raise
        return None


DRILLS: tuple[Drill, ...] = (
    Drill(
        "two-updates",
        "Two updates at once",
        "A second release of a model that is in its bake is refused and the first one goes on; then the second goes.",
        Protection("a deployment under way is looked for", without_refusal("pending")),
        two_updates,
    ),
    Drill(
        "killed-up",
        "up killed in the bake",
        "Nobody needs to be there: the release is taken back, a person is paged, the history says so, and the next up "
        "refuses what was taken back.",
        Protection(
            "the watch",
            made_into("mainstage.release_watch:event_pattern", lambda *_given, **_named: '{"source": ["nobody"]}'),
        ),
        killed_up,
    ),
    Drill(
        "expired",
        "Credentials that expire in the bake",
        "An up that cannot see how it ended says so and ends with an error; the next one finds out.",
        Protection("what cannot be read is no success", made_into("mainstage._release_run:ReleaseRun.after", _certain)),
        expired,
    ),
    Drill(
        "first-release",
        "A first release that never comes up",
        "The endpoint that never served is taken away, up says so, and the next up works.",
        Protection(
            "a failed first endpoint is removed",
            made_into("mainstage._release_run:ReleaseRun._never_served", lambda *_given, **_named: False),
        ),
        first_release,
    ),
)
