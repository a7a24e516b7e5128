"""Previews this checkout's program on what an earlier release left behind. No cloud: a plan reads the recorded state.

Whether a property changes, and whether that replaces, the emulated provider's rows say, as in every rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra import settings
from infra.program import program_for
from infra.rehearsal.cloud.api import HttpRequest, HttpResponse
from infra.rehearsal.cloud.clients import DoorSession
from infra.rehearsal.engine import Engine
from infra.rehearsal.engine.values import contains_unknown
from infra.rehearsal.provider import AwsProvider
from infra.upgrade.judge import Run
from infra.upgrade.recorded import STACKS, Release, read_stack, stack_outputs
from infra.version import RELEASE

_IDENTITY = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{account}:user/plan</Arn><UserId>AIDAPLAN</UserId><Account>{account}</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""

Programs = Callable[[str, Path], Callable[[], object]]
"""Makes the program of a stack from the folder that has `stacks/`."""


class PlanAsksAws(RuntimeError):
    """A plan made a call other than "who am I"; what it would have read is not in the recorded graph."""


def plan(release: Release, stacks: Sequence[str] = STACKS, *, programs: Programs = program_for) -> dict[str, Run]:
    """What `pulumi up` of this checkout would do to each stack that `release` made, with the settings it was made with.

    A models layer reads what its platform would export then; of a platform that is not among `stacks`, what it exports.
    """
    runs: dict[str, Run] = {}
    exports: dict[str, Mapping[str, Any]] = {}
    for stack in stacks:
        platform = stack.replace("models-", "platform-")
        if platform not in exports:
            exports[platform] = stack_outputs(read_stack(release, platform))
        runs[stack] = _plan(release, stack, programs, exports)
    return runs


def _plan(release: Release, stack: str, programs: Programs, exports: dict[str, Mapping[str, Any]]) -> Run:
    config = dict(settings.stack_config(settings.stack_file(release.folder, stack)))
    config["mainstage:release"] = RELEASE
    session = _who_am_i(config["mainstage:account_id"], config["mainstage:region"])
    engine = Engine(provider=lambda: AwsProvider(lambda: session), stack_outputs=exports.get)
    before = read_stack(release, stack)
    # Protection would end the preview at the first loss; the judge looks at it, and at all losses.
    engine.state.keep(stack, [replace(item, protect=False) for item in before])
    run = Run.of(engine.preview(stack, programs(stack, release.folder), config, refresh=False))
    exports[stack] = _exported(run, stack_outputs(before))
    return run


def _exported(run: Run, before: Mapping[str, Any]) -> dict[str, Any]:
    """What the stack would export. A value that an update leaves open is as it was: none decides which resources there
    are. A plan that failed exports what it did."""
    if run.failures:
        return dict(before)
    return {name: before.get(name, value) if contains_unknown(value) else value for name, value in run.outputs.items()}


def _who_am_i(account_id: str, region: str) -> DoorSession:
    def answer(request: HttpRequest) -> HttpResponse:
        if b"Action=GetCallerIdentity" in request.body:
            text = _IDENTITY.format(account=account_id)
            return HttpResponse(200, {"content-type": "text/xml"}, text.encode())
        raise PlanAsksAws(f"{request.method} {request.url}: a plan knows the recorded graph and nothing else")

    return DoorSession(answer, access_key_id="plan", secret_access_key="plan", session_token=None, region=region)
