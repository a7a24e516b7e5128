"""`mainstage model restore-guards`: the rollback alarms of a live endpoint, there and in the state."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.catalog import Model
from infra.cli import common
from infra.cli.model import Name, model_named
from infra.cli.output import emit, note, working
from infra.cli.steps import release_next, with_steps
from infra.registry.target import Target
from infra.releases import guards, mending
from infra.releases.words import command

app = typer.Typer()


@app.command("restore-guards")
def restore_guards(
    name: Name,
    wait: Annotated[
        float | None,
        typer.Option(
            min=0, help="How long to wait for the deployment's end, in seconds. Default: as long as it may take."
        ),
    ] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Bring our rollback alarms back onto a live endpoint that somebody updated without them, and into the state.

    Deploys what serves once more, by the catalog's rollout and under the guards; up releases again after it.
    """
    where = common.target(target, profile, as_json=as_json)
    root = common.root()
    model = model_named(name, where.environment)
    done = guards.restore(where, model)
    again = command(where, "restore-guards", name)
    told = f"{done.endpoint}: the guards are among its rollback alarms already; nothing was changed"
    if done.changed:
        copied = f" as {done.configuration}, a copy" if done.copied_from else ""
        told = f"{done.endpoint}: {done.serves} is deployed once more{copied}, under the guards"
        if not _arrived(where, model, wait, again, as_json=as_json):
            steps = [
                f"see it arrive: {command(where, 'status', name, '--watch')}",
                f"then give the state its guards again: {again}",
                *release_next(where),
            ]
            value = {**vars(done), "at_rest": False, "state": None, "next": steps}
            emit(value, as_json=as_json, render=lambda _: with_steps(told, steps))
            return
    state = mending.mend(root, where, lambda line: note(line, as_json=as_json))
    steps = release_next(where)
    if state.problem:
        note(f"{state.stack}: the state was not looked at: {state.problem}", as_json=as_json)
        steps = [f"put the guards into the state, where a refresh has dropped them: {state.command}", *steps]
    elif done.endpoint in state.put_back:
        told += f"\n{state.stack}: the state had lost them, and has them again"
    value = {**vars(done), "at_rest": True, "state": vars(state), "next": steps}
    emit(value, as_json=as_json, render=lambda _: with_steps(told, steps))


def _arrived(where: Target, model: Model, wait: float | None, again: str, *, as_json: bool) -> bool:
    """Waits until the guarded deployment is over. Ctrl-C ends the waiting and nothing else."""
    try:
        with working(f"waiting until {model.model} is deployed once more") as shown:
            return guards.arrived(where, model, shown.update, wait) is not None
    except KeyboardInterrupt:
        note(
            f"the deployment goes on without this command. When it is over, the same again puts the guards into the "
            f"state: {again}",
            as_json=as_json,
        )
        raise
