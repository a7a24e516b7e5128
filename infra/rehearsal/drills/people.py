"""Drills of what people do to a live endpoint, knowingly or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from infra.catalog import load_catalog
from infra.rehearsal.drills.assertions import always
from infra.rehearsal.drills.bad_canaries import RUNBOOK
from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection
from infra.rehearsal.drills.protections import both, made_into, without_refusal
from infra.rehearsal.drills.stage import FEW, Stage, expect
from infra.releases.abort import abort as raise_stop
from infra.releases.guards import restore
from infra.releases.guards import unguarded as unguarded_by
from infra.releases.live import serving
from infra.releases.past import retry
from infra.releases.words import ReleaseError

APPROVAL = "mainstage:approval"


def aborted(stage: Stage) -> None:
    old = stage.begin()
    running = stage.start_release(2)
    try:
        raise_stop(stage.world.target, stage.model, reason="wrong table", wait_seconds=0)
    except ReleaseError as error:
        raise DrillFailed(f"the release could not be aborted: {error}") from error
    stage.timeline.mark("mainstage model abort, on another machine")
    went = stage.end(running)
    expect(went, not went.ok, "an aborted release ended 0")
    missing = [each for each in (f"{stage.endpoint}-guard-stop", RUNBOOK) if each not in went.told]
    expect(went, not missing, f"up does not tell {', '.join(missing)}: {went.told}")
    always(stage, 1, old=old, next_up_ends_well=False)


def failing_old(stage: Stage) -> None:
    stage.requests = 6
    stage.serve(1)
    went = stage.release(2, Behaviour(fails_every=2))
    expect(went, went.ok, f"nobody asked version 2 anything, and it was not released: {went.told}")
    stage.requests = 2 * FEW
    stage.minutes(4)
    if stage.timeline.minutes[-1].alarms.get("errors") != "ALARM":
        raise DrillFailed(f"half of all requests fail and no guard rings: {stage.timeline.minutes[-1].alarms}")
    stage.ask_for(1, keep=(2,))
    went = stage.up()
    expect(went, went.ok, f"the way back from a version that fails was not taken: {went.told}")
    stage.minutes(1)
    if stage.timeline.minutes[-1].failed:
        raise DrillFailed("version 1 serves, and clients still meet errors")
    always(stage, 1, old="", old_version_fails=True)


def console_rollback(stage: Stage) -> None:
    other = f"{stage.model}-other"
    stage.serve(1, model=other)
    old = stage.begin(minutes=0)
    expect(went := stage.release(2), went.ok, went.told)
    update(stage, old, RetainDeploymentConfig=True)
    stage.timeline.mark("a person moves the endpoint back to version 1 in the console")
    until_at_rest(stage)
    went = stage.release(2, model=other)
    expect(went, not went.ok, "an unrelated up released again what a person had moved away from")
    always(stage, 1, old=old, next_up_ends_well=False)
    beside = Stage(stage.world, other)
    expect(beside.serving, "-v2-" in beside.serving, f"{other} had to be released all the same")


def unapproved(stage: Stage) -> None:
    old = stage.begin(minutes=0)
    stage.config = {APPROVAL: json.dumps({"required": True})}
    stage.timeline.mark("the settings ask for approvals from now on")
    went = stage.release(2)
    expect(went, not went.ok, "a version that nobody has approved was released")
    expect(went, "approv" in went.told, f"the refusal does not speak of the approval: {went.told}")
    stage.minutes(1)
    always(stage, 1, old=old, next_up_ends_well=False)


def unguarded(stage: Stage) -> None:
    old = stage.begin()
    update(stage, copy_of(stage, old))
    stage.timeline.mark("somebody updates the endpoint from a notebook, without the guards")
    until_at_rest(stage)
    previewed = stage.preview()
    replaces = [urn for op, urns in previewed.urns.items() if "replac" in op for urn in urns]
    expect(replaces, not replaces, "the preview would replace")
    went = stage.release(2)
    expect(went, not went.ok, "a release without guards was sent")
    expect(went, "restore-guards" in went.told, f"the refusal does not name the command that helps: {went.told}")
    restore_guards(stage)
    went = stage.up()
    expect(went, not went.ok and "unguarded:" not in went.told, f"restored guards are not seen: {went.told}")
    expect(went, "unasked:" in went.told, f"version 2 was to be refused for the notebook's configuration: {went.told}")
    retry(stage.world.target, stage.model, 2, "looked at: the notebook's copy of version 1")
    stage.timeline.mark("mainstage model retry")
    went = stage.up()
    expect(went, went.ok, f"guarded again, version 2 was not released: {went.told}")
    expect_guards(stage)
    always(stage, 2, old=old)
    quiet = stage.preview()
    changes = {op: count for op, count in quiet.changes.items() if count and op not in ("same", "read")}
    expect(changes, quiet.ok and not changes, "the preview after it is not quiet")


def restore_guards(stage: Stage) -> None:
    """`mainstage model restore-guards`: the minutes that its update needs, and the state after it."""
    model = load_catalog(stage.world.root, stage.world.target.environment).models[stage.model]
    restore(stage.world.target, model)
    stage.timeline.mark("mainstage model restore-guards")
    until_at_rest(stage)
    expect_guards(stage)
    mended = stage.world.engines.mend_guards()
    expect(mended, mended == [stage.endpoint], "the state did not get the guards back")


def expect_guards(stage: Stage) -> None:
    """The last deployment was told of all guards. Raises DrillFailed."""
    found = serving(stage.world.target, stage.model)
    expect(found.rollback_alarms, not unguarded_by(found), "the last deployment was sent without the guards")


def update(stage: Stage, configuration: str, **options: Any) -> None:
    """Somebody's own UpdateEndpoint."""
    stage.client("sagemaker").update_endpoint(EndpointName=stage.endpoint, EndpointConfigName=configuration, **options)


def copy_of(stage: Stage, configuration: str) -> str:
    """A configuration of somebody's own, with the same model behind it."""
    sagemaker = stage.client("sagemaker")
    found = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
    name = f"{stage.endpoint}-notebook"
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{k: v for k, v in each.items() if v is not None} for each in found["ProductionVariants"]],
    )
    return name


def until_at_rest(stage: Stage) -> None:
    """Minutes pass until the endpoint has nothing under way."""
    stage.settle()


def _any_fleet(original: Any, guard: str, resolved: Any) -> Any:
    """Guards watch the endpoint's fleets together."""
    resolved.dimensions.pop("EndpointConfigName", None)
    return original(guard, resolved)


def _sent_without_stop(original: Any, deployment: Any, alarm_names: Any) -> Any:
    """The rollback configuration is without the stop guard."""
    return original(deployment, _without_stop(alarm_names))


def _wanted_without_stop(original: Any, *given: Any) -> Any:
    """And the hooks don't miss it there."""
    plan = original(*given)
    return replace(plan, alarms=_without_stop(plan.alarms))


def _without_stop(alarm_names: Sequence[str]) -> tuple[str, ...]:
    return tuple(each for each in alarm_names if not each.endswith("-stop"))


DRILLS = (
    Drill(
        "failing-old",
        "The way back from a version that fails",
        "A version that fails cannot keep its own guards ringing against the way back: the catalog names the one "
        "before, up ends 0, the errors end.",
        Protection(
            "guards watch the fleet that is being released, not the one that fails",
            made_into("mainstage.guard_alarms:_watched", _any_fleet),
        ),
        failing_old,
    ),
    Drill(
        "abort",
        "A release aborted from another machine",
        "One command on any machine takes a release back in its bake; the up that waits says who stopped it and what "
        "serves.",
        Protection(
            "the stop guard is among the rollback alarms",
            both(
                made_into("mainstage._release_rules:Deployment.block", _sent_without_stop),
                made_into("mainstage._release_plan:release_plan", _wanted_without_stop),
            ),
        ),
        aborted,
    ),
    Drill(
        "console-rollback",
        "Moved back in the console, then an unrelated up",
        "What a person moved back by hand is not moved forward by the next up: it refuses that model and releases the "
        "others.",
        Protection("a live configuration that nobody asked for is noticed", without_refusal("unasked")),
        console_rollback,
    ),
    Drill(
        "unapproved",
        "A hand-edited catalog with an unapproved version",
        "Where settings ask for approvals, a version that nobody approved is not released, whoever edits the file.",
        Protection("the gate in up", made_into("mainstage._release_approval:problem", lambda *_given: None)),
        unapproved,
    ),
    Drill(
        "unguarded",
        "An update made by somebody without the guards",
        "The next preview replaces nothing, up refuses to release unguarded, and one command brings the guards back.",
        Protection("up looks at what guards the live endpoint", without_refusal("unguarded")),
        unguarded,
    ),
)
