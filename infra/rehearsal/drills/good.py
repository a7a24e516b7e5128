"""Drills of versions that work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.rehearsal.drills.assertions import always
from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection
from infra.rehearsal.drills.protections import made_into
from infra.rehearsal.drills.stage import FEW, Stage, expect

BAKE_MINUTES = 5
"""Long enough for two minutes of three, and for the minute that CloudWatch posts late."""


def good_canary(stage: Stage) -> None:
    stage.requests = 2 * FEW  # enough that each minute shows the shares
    old = stage.begin(minutes=2)
    went = stage.release(2)
    expect(went, went.ok, f"a good version was not released: {went.told}")
    shared = [each for each in stage.timeline.minutes if 0.2 < each.share("2") < 0.8]
    if len(shared) < BAKE_MINUTES - 1:
        raise DrillFailed(f"{len(shared)} minutes with traffic on both versions; {BAKE_MINUTES} had to bake")
    always(stage, 2, old=old)
    expect(stage.timeline.minutes, not any(each.failed for each in stage.timeline.minutes), "clients met errors")


def thin_bake(stage: Stage) -> None:
    stage.requests = 6
    old = stage.begin()
    went = stage.release(2)
    expect(went, went.ok, f"a version that nothing speaks against was not released: {went.told}")
    expect(went, "unproven" in went.told, f"up does not say that nothing was proved: {went.told!r}")
    always(stage, 2, old=old)


def _all_at_once(original: Any, deployment: Any, alarm_names: Any) -> Any:
    """Every rollout is sent as all at once, with no bake."""
    routing = {"type": "ALL_AT_ONCE", "wait_interval_in_seconds": 0}
    policy = {"traffic_routing_configuration": routing, "termination_wait_in_seconds": 0}
    return {**original(deployment, alarm_names), "blue_green_update_policy": policy}


def _no_minimum(original: Any, plan: Any, *given: Any, **named: Any) -> Any:
    """One request is enough for a verdict."""
    return original(replace(plan, minimum_requests=0), *given, **named)


DRILLS = (
    Drill(
        "good-canary",
        "A good version takes over",
        "A version that keeps what the model promises takes over by its canary's share first, then everything, and up "
        "ends 0; no client notices.",
        Protection(
            "traffic moves in steps that bake", made_into("mainstage._release_rules:Deployment.block", _all_at_once)
        ),
        good_canary,
    ),
    Drill(
        "thin-bake",
        "A bake with too little traffic",
        "A release that too few requests have tried is let through, and up says that it is unproven.",
        Protection(
            "a verdict asks for a minimum of requests", made_into("mainstage._release_verdict:judge", _no_minimum)
        ),
        thin_bake,
    ),
)
