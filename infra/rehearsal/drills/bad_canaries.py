"""Drills of versions that do not keep what the model promises, or never come up."""

from __future__ import annotations

from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of
from infra.rehearsal.drills.assertions import always, canary_kept_to_its_share
from infra.rehearsal.drills.behaviour import SLO, Behaviour
from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection
from infra.rehearsal.drills.protections import deaf_guard, without_refusal, without_verdict
from infra.rehearsal.drills.stage import BUSY, FEW, Stage, expect
from infra.rehearsal.drills.went import Went

RUNBOOK = "release-rolled-back.md"
ONE_IN_TWENTY = Behaviour(fails_every=20)
MANY_REQUESTS = 800
"""A p99 guard looks at no fewer than 1,000 requests in its window: a canary's half of three such minutes."""


def erring_canary(stage: Stage) -> None:
    stage.requests = BUSY
    old = stage.begin(minutes=2)
    went = stage.release(2, ONE_IN_TWENTY)
    taken_back(stage, went, guard="errors", version=2)
    always(stage, 1, old=old, next_up_ends_well=False)
    canary_kept_to_its_share(stage, 50)


def slow_canary(stage: Stage) -> None:
    old = stage.begin(slo={**SLO, "p95_ms": 600, "p99_ms": 700})
    stage.batch = MANY_REQUESTS
    went = stage.release(2, Behaviour(slow_every=40, slow_seconds=0.9))
    stage.batch = 0
    taken_back(stage, went, guard="p99", version=2)
    rang = set(stage.timeline.guards)
    if rang & {"p95", "errors"}:
        raise DrillFailed(f"only p99 had to ring, and there rang {', '.join(sorted(rang))}")
    always(stage, 1, old=old, next_up_ends_well=False)


def crash_at_start(stage: Stage) -> None:
    old = stage.begin()
    went = stage.release(2, Behaviour(crashes=True))
    never_came_up(went, "did not pass the ping health check")
    always(stage, 1, old=old, next_up_ends_well=False)
    expect(went := stage.release(3), went.ok, f"the version that mends it was not released: {went.told}")


def never_ready(stage: Stage) -> None:
    old = stage.begin()
    sagemaker = sagemaker_of(stage.world.cloud)
    patience, sagemaker.startup_timeout_seconds = sagemaker.startup_timeout_seconds, 3.0
    try:
        went = stage.release(2, Behaviour(never_ready=True))
        never_came_up(went, "did not pass the ping health check")
        always(stage, 1, old=old, next_up_ends_well=False)
    finally:
        sagemaker.startup_timeout_seconds = patience


def taken_back_then_retry(stage: Stage) -> None:
    other = f"{stage.model}-other"
    stage.serve(1, model=other)
    old = stage.begin()
    stage.requests = BUSY
    taken_back(stage, stage.release(2, ONE_IN_TWENTY), guard="errors", version=2)
    stage.requests = FEW
    went = stage.release(2, model=other)
    expect(went, not went.ok, "an unrelated up ended 0, and version 2 had been taken back")
    expect(went, "blocked" in went.told, f"the refusal does not say why: {went.told}")
    beside = Stage(stage.world, other)
    if not beside.serving.startswith(f"{beside.endpoint}-v2-"):
        raise DrillFailed(f"{other} had to be released all the same, and {beside.serving} serves")
    always(stage, 1, old=old, next_up_ends_well=False)
    from infra.releases.past import retry

    retry(stage.world.target, stage.model, 2, "the table is there now")
    stage.timeline.mark("mainstage model retry: version 2 may be released again")
    stage.requests = BUSY
    taken_back(stage, stage.up(), guard="errors", version=2)


def taken_back(stage: Stage, went: Went, *, guard: str, version: int) -> None:
    """`up` ended with an error that names all that a person needs: what was taken back, why, and what to do next."""
    expect(went, not went.ok, f"version {version} had to be taken back, and up ended 0")
    alarm = f"{stage.endpoint}-guard-{guard}"
    wanted = (f"version {version}", alarm, "window:", f"requests that version {version} answered:", RUNBOOK, "next:")
    missing = [each for each in wanted if each not in went.told]
    if missing:
        raise DrillFailed(f"up does not tell {', '.join(missing)}: {went.told}")


def never_came_up(went: Went, reason: str) -> None:
    expect(went, not went.ok, "a version that never came up had to fail the up, and it ended 0")
    missing = [each for each in ("never came up", reason, "serves now: version 1", RUNBOOK) if each not in went.told]
    if missing:
        raise DrillFailed(f"up does not tell {', '.join(missing)}: {went.told}")


DRILLS = (
    Drill(
        "erring-canary",
        "A canary that fails 5 of 100 requests",
        "It is taken back within its bake, up ends with an error that says why, and no more clients meet an error than "
        "reach the canary.",
        Protection("the errors guard watches the new fleet", deaf_guard("errors", 1.0)),
        erring_canary,
    ),
    Drill(
        "slow-canary",
        "A canary that is slow for 2.5 of 100 requests",
        "What only a high percentile shows is seen: the p99 guard takes it back while p95 and errors are well.",
        Protection("the p99 guard", deaf_guard("p99", 6e7)),
        slow_canary,
    ),
    Drill(
        "crash-at-start",
        "A version that ends while it loads",
        "No client notices, up ends with an error in SageMaker's words although the provider calls the update done, "
        "and the next version is released.",
        Protection("the live endpoint is read back after the update", without_verdict),
        crash_at_start,
    ),
    Drill(
        "never-ready",
        "A container that never answers its health check",
        "No client notices, up ends with an error, and what served before is still declared.",
        Protection("the live endpoint is read back after the update", without_verdict),
        never_ready,
    ),
    Drill(
        "taken-back",
        "An unrelated up after a release was taken back",
        "What was taken back is not released again by accident: up refuses that model and releases the others, until a "
        "person allows it.",
        Protection("what was taken back is remembered", without_refusal("blocked")),
        taken_back_then_retry,
    ),
)
