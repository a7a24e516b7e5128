"""Puts guard alarms that are live again back into the state of the models stack, wherever that state is kept.

Why it has to be done: infra/recover/guards.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra.recover import Unresolved, command_of, mend_guards
from infra.recover.checkout import CheckoutPulumi, NoPulumi
from infra.recover.flow import Say
from infra.recover.guards import ENDPOINT, deployment_at_rest, lacks_guards, mended
from infra.recover.locks import StackLocked, wait_for_others
from infra.registry.target import Target

if TYPE_CHECKING:  # the engine is loaded only where there is a state of its own
    from infra.rehearsal.engine.resource_state import ResourceState


@dataclass(frozen=True)
class Mended:
    """What became of the state."""

    stack: str
    put_back: tuple[str, ...] = ()
    """The endpoints whose guards were missing in the state."""
    problem: str = ""
    """Why the state could not be reached; empty: it was, and lacks no guards that are live."""
    command: str = ""
    """The command that does it then."""


def mend(root: Path, target: Target, say: Say) -> Mended:
    """Mends the state of the models stack: of a served rehearsal, of the emulated cloud's project, or in the backend
    that the checkout's `pulumi` is logged in to. Raises ClientError."""
    stack = f"models-{target.environment}"
    if target.emulated and target.state_file is not None:
        return mend_state_file(target, stack)
    from infra.rehearsal import cloud_control
    from infra.rehearsal.cloud_control import CloudError
    from infra.rehearsal.pulumi_cli.cli import PulumiFailed, PulumiMissing

    try:
        if not target.emulated:
            done = mend_guards(CheckoutPulumi(root), stack, target, say)
        else:
            cli = cloud_control.prepare(cloud_control.found(root, target.environment))
            with cloud_control.alone(root, "recover"):
                wait_for_others(cli.environment()["PULUMI_BACKEND_URL"], stack, say)
                done = mend_guards(cli, stack, target, say)
    except (Unresolved, NoPulumi, StackLocked, CloudError, PulumiMissing, PulumiFailed) as error:
        return Mended(stack, problem=str(error), command=command_of(stack, target))
    return Mended(stack, tuple(each.endpoint for each in done.guards))


def mend_state_file(target: Target, stack: str) -> Mended:
    """The same for the in-process engine's state file. Raises ClientError."""
    from infra.rehearsal.engine.results import StateError
    from infra.rehearsal.engine.state import ORGANIZATION, PROJECT, State

    put_back: list[str] = []

    def change(resource: ResourceState) -> ResourceState:
        if resource.type != ENDPOINT or resource.delete or not lacks_guards(resource.inputs):
            return resource
        inputs = mended(resource.id, resource.inputs, deployment_at_rest(target, resource.id))
        if inputs is None:
            return resource
        put_back.append(resource.id)
        return replace(resource, inputs=inputs)

    assert target.state_file is not None
    try:
        State(target.state_file, project=PROJECT, organization=ORGANIZATION).edit(stack, change)
    except StateError as error:
        return Mended(stack, problem=str(error), command=target.bring_up)
    return Mended(stack, tuple(put_back))
