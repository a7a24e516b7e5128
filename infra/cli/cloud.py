"""`mainstage cloud`: the emulated AWS that stays, for the real `pulumi`, `aws` and boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from infra.cli import common
from infra.cli.output import console, emit, note, say
from infra.cli.rehearse import Environment, environment_of, showing
from infra.cli.screen import as_text
from infra.rehearsal.cloud.pace import SERVED_MINUTE_SECONDS
from infra.rehearsal.progress import Progress

if TYPE_CHECKING:  # a second of imports: only when a command runs
    from infra.rehearsal.cloud_control import Running

app = typer.Typer(
    help="The emulated AWS that stays, for the real pulumi: one environment's account at a time.", no_args_is_help=True
)


@app.command("start")
def start(
    environment: Environment = "dev",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The AWS endpoint's port on 127.0.0.1. Default: a free one.")
    ] = 0,
    minute_seconds: common.MinuteSecondsOption = SERVED_MINUTE_SECONDS,
    as_json: common.JsonOption = False,
) -> None:
    """Start the emulated cloud of an environment, in a process of its own, and say where it is."""
    from infra.rehearsal import cloud_control

    asked = environment_of(environment)
    with showing() as tell:
        tell(Progress("cloud"))
        running, started = cloud_control.start(common.root(), asked, port, minute_seconds)
    if as_json:
        emit({**told(running), "started": started}, as_json=True, render=lambda _: None)
        return
    say(f"{'started' if started else 'runs already'}: {running}")
    say(f"  both layers, by pulumi:  make rehearse-up ENV={asked}")
    say('  this shell works on it:  eval "$(.venv/bin/mainstage cloud env)"')
    say("  the end of it:           .venv/bin/mainstage cloud stop")


@app.command("stop")
def stop(as_json: common.JsonOption = False) -> None:
    """Stop the emulated cloud. What stands in it, and pulumi's states of it, are gone then."""
    from infra.rehearsal import cloud_control

    running = cloud_control.stop(common.root())
    if as_json:
        emit({"stopped": running is not None}, as_json=True, render=lambda _: None)
    else:
        say(f"stopped: {running}" if running else "no emulated cloud runs")


@app.command("status")
def status(as_json: common.JsonOption = False) -> None:
    """Which emulated cloud runs, and what stands in it."""
    from infra.rehearsal import cloud_control

    running = cloud_control.find(common.root())
    if running is None:
        emit({"running": False}, as_json=as_json, render=lambda _: "no emulated cloud runs: mainstage cloud start")
        return
    stacks = _stacks(running)
    emit(
        {"running": True, **told(running), "stacks": stacks},
        as_json=as_json,
        render=lambda shown: _status(running, shown["stacks"]),
    )


@app.command("env")
def env(as_json: common.JsonOption = False) -> None:
    """Print what makes pulumi, aws and boto3 of a shell work on the emulated cloud: eval "$(mainstage cloud env)".

    Without a cloud the eval fails, and the shell keeps what it has set.
    """
    from infra.rehearsal import cloud_control
    from infra.rehearsal.pulumi_cli.cli import BINARIES, PulumiMissing
    from infra.rehearsal.pulumi_cli.environment import shell_lines, variables

    root = common.root()
    try:
        running = cloud_control.found(root)
    except cloud_control.CloudError:
        if not as_json:
            # `eval` of nothing succeeds. What the shell has set stays: without it, it would work on a real account.
            console.file.write("false\n")
        raise
    try:
        cloud_control.prepare(running)
    except PulumiMissing as error:
        note(str(error), as_json=True)  # standard output is the shell's
    project, binaries = running.project, (root / BINARIES).resolve()
    if as_json:
        values = {**variables(running.emulated, project), "project": str(project.folder), "path": str(binaries)}
        emit(values, as_json=True, render=lambda _: None)
        return
    lines = [
        f"# {running}. The project has copies of the stack files as they are now; run this again when you change one.",
        *shell_lines(running.emulated, project, binaries),
        f"# then: cd {project.folder} && pulumi up --stack {running.stacks[0]}",
    ]
    console.file.write("\n".join(lines) + "\n")


def told(running: Running) -> dict[str, Any]:
    """A cloud for a script."""
    return {
        "environment": running.environment,
        "account_id": running.account_id,
        "region": running.region,
        "endpoint_url": running.endpoint_url,
        "provider_port": running.provider_port,
        "pid": running.pid,
        "project": str(running.project.folder),
        "log": str(running.log),
        "token": running.token,
    }


def _stacks(running: Running) -> list[dict[str, Any]]:
    """What pulumi's states hold, read from the files of the backend."""
    from infra.rehearsal.cloud_control import checkpoint
    from infra.rehearsal.pulumi_cli.told import resources

    found = []
    for stack in running.stacks:
        written = checkpoint(running, stack)
        if written is None:
            continue
        deployment = written["checkpoint"].get("latest") or {}
        held = resources({"deployment": deployment})
        found.append(
            {
                "stack": stack,
                "resources": len(held),
                "protected": sum(bool(each.get("protect")) for each in held),
                "pending": len(deployment.get("pending_operations") or ()),
            }
        )
    return found


def _status(running: Running, stacks: list[dict[str, Any]]) -> Text:
    """Lines, which are not broken: paths are pasted."""
    rows = [
        ("runs", f"{running}, process {running.pid}"),
        ("provider", f"PULUMI_DEBUG_PROVIDERS=aws:{running.provider_port}"),
        ("project", str(running.project.folder)),
        ("log", str(running.log)),
    ]
    for each in stacks:
        pending = f", {each['pending']} interrupted" if each["pending"] else ""
        rows.append((each["stack"], f"{each['resources']} resources in AWS, {each['protected']} protected{pending}"))
    if running.token:
        rows.append(("token", f"{running.token} (of the issuer {running.issuer}, which is played)"))
    width = max(len(name) for name, _ in rows)
    return Text("\n").join(Text.assemble((f"{name:{width}}", "bold"), "  ", as_text(value)) for name, value in rows)
