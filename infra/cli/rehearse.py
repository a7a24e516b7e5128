"""`mainstage rehearse` and `mainstage up`: the whole platform, offline."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.tree import Tree

from infra.cli import common
from infra.cli.output import emit, errors, fail, say
from infra.registry.target import ENVIRONMENTS
from infra.rehearsal.progress import Progress, Tell

if TYPE_CHECKING:  # the rest of a rehearsal takes a second to import: only when one runs
    from infra.rehearsal.report import Report, StackReport

STEPS = {
    "environments": "environments of the serving images",
    "training": "training the example",
    "cloud": "emulated AWS",
    "platform": "platform layer",
    "registering": "registering versions",
    "models": "models layer",
    "predictions": "predictions",
}

ANSWERED_BY = {
    "moto": "answered by moto",
    "overlay": "by what is written for this rehearsal",
    "store": "by a generic store",
    "door": "refused",
}

Environment = Annotated[str, typer.Option("--env", help="Which environment's stack files: dev, staging or prod.")]


def rehearse(
    environment: Environment = "dev",
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep it running until Ctrl-C, for other commands and boto3.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The AWS endpoint's port on 127.0.0.1. Default: a free one.")
    ] = 0,
    predictions: Annotated[int, typer.Option(min=1, max=1_000_000, help="Predictions to send to each model.")] = 1000,
    as_json: common.JsonOption = False,
) -> None:
    """Bring the platform up in an emulated AWS, serve the models for real, send them predictions. No account needed."""
    from infra.rehearsal.rehearse import Options, Rehearsal

    options = Options(common.root(), environment_of(environment), port, predictions)
    with showing() as tell, Rehearsal(options, tell) as rehearsal:
        report = rehearsal.run()
        tell(Progress(""))
        if serve:
            rehearsal.publish()
        emit(report.as_dict() if as_json else report, as_json=as_json, render=render)
        if serve:
            serve_until_stopped(report, as_json)
        if not report.ok:
            for problem in report.problems:
                fail(problem)
            raise typer.Exit(1)


def up(
    environment: Environment = "dev",
    as_json: common.JsonOption = False,
) -> None:
    """Apply the stack and model files again to the rehearsal that is being served: platform, then models."""
    from infra.rehearsal.update import update

    where = common.target(None, None, as_json=as_json)
    with showing() as tell:
        done = update(common.root(), where, environment_of(environment), tell)
        tell(Progress(""))
    emit([each.as_dict() for each in done] if as_json else done, as_json=as_json, render=_up_table)


def environment_of(name: str) -> str:
    if name not in ENVIRONMENTS:
        raise typer.BadParameter(f"--env {name!r}: allowed are {', '.join(ENVIRONMENTS)}")
    return name


def serve_until_stopped(report: Report, as_json: bool) -> None:
    """Waits for Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    say(
        f"\n[bold]Serving[/bold] emulated AWS at {report.endpoint_url} until Ctrl-C. From another terminal:",
        as_json=as_json,
    )
    if report.try_it:
        say(f"  .venv/bin/{escape(report.try_it)}", as_json=as_json)
    say(
        f"  AWS_ACCESS_KEY_ID=AKIAREHEARSALOPERATR AWS_SECRET_ACCESS_KEY=rehearsal aws --region {report.region} "
        f"--endpoint-url {report.endpoint_url} sagemaker list-endpoints",
        as_json=as_json,
    )
    stopped.wait()
    say("stopping", as_json=as_json)


@contextlib.contextmanager
def showing() -> Iterator[Tell]:
    """Shows progress on standard error: live bars for a person, a line a step otherwise. Progress("") ends it."""
    if not errors.is_terminal:
        yield _lines()
        return
    with Bars(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
        console=errors,
        transient=False,
    ) as bars:
        current: list[Any] = []

        def tell(progress: Progress) -> None:
            if not current or current[0] != progress.step:
                if current:
                    bars.update(current[1], total=1, completed=1, detail="")
                current[:] = []
                if not progress.step:
                    return
                description = STEPS.get(progress.step, progress.step)
                current.extend((progress.step, bars.add_task(description, total=None, detail="")))
            bars.update(
                current[1], total=progress.total or None, completed=progress.done, detail=escape(progress.detail[:60])
            )

        yield tell


def _lines() -> Tell:
    last = [""]

    def tell(progress: Progress) -> None:
        if progress.step and progress.step != last[0]:
            errors.print(f"- {STEPS.get(progress.step, progress.step)}")
        last[0] = progress.step

    return tell


def render(report: Report) -> Group:
    """The report for a person: what stands, what answered, how long it took, what was real."""
    from infra.rehearsal.report import EMULATED, REAL

    head = f"[bold]{report.environment}[/bold] (account {report.account_id}, {report.region}), rehearsed offline"
    parts: list[Any] = [head, *(_tree(each) for each in report.stacks), "", _predictions(report), "", _times(report)]
    for name, reason in report.not_served.items():
        parts.append(f"[yellow]{name}:[/yellow] {reason}")
    calls = ", ".join(f"{count} {ANSWERED_BY.get(name, name)}" for name, count in report.calls.items())
    parts += ["", f"AWS calls: {calls}"]
    parts += [
        "",
        "[bold]Real[/bold]",
        *(f"  {line}" for line in REAL),
        "[bold]Emulated[/bold]",
        *(f"  {line}" for line in EMULATED),
    ]
    parts += [f"  [yellow]{line}[/yellow]" for line in report.differences]
    if report.ok:
        parts += [
            "",
            "[green]Everything answered.[/green] Keep it running and try your own model: make rehearse ARGS=--serve",
        ]
    return Group(*parts)


def _tree(stack: StackReport) -> Tree:
    tree = Tree(f"[bold]{stack.stack}[/bold]  {len(stack.resources)} resources in {stack.seconds:.1f} s")
    children: dict[str, list[Any]] = {}
    for line in stack.resources:
        children.setdefault(line.parent, []).append(line)
    known = {line.urn for line in stack.resources}
    for line in (each for each in stack.resources if each.parent not in known or each.type == "pulumi:pulumi:Stack"):
        _branch(tree, line, children)
    return tree


def _branch(tree: Tree, line: Any, children: dict[str, list[Any]]) -> None:
    below = children.get(line.urn, [])
    if line.type == "pulumi:pulumi:Stack":
        for child in below:
            _branch(tree, child, children)
        return
    if line.type.startswith("pulumi:providers:"):
        return
    kind = line.type.split(":")[-1]
    if not below:
        tree.add(f"{line.name} [dim]{kind}[/dim]")
        return
    components = [child for child in below if child.urn in children]
    plain = [child for child in below if child.urn not in children]
    branch = tree.add(f"[cyan]{line.name}[/cyan] {kind}")
    counted: dict[str, int] = {}
    for child in plain:
        name = child.type.split(":")[-1]
        counted[name] = counted.get(name, 0) + 1
    if counted:
        names = (f"{count} {name}" if count > 1 else name for name, count in sorted(counted.items()))
        branch.add(f"[dim]{', '.join(names)}[/dim]")
    for child in components:
        _branch(branch, child, children)


def _predictions(report: Report) -> Table:
    table = Table(
        "model",
        "version",
        "predictions",
        "errors",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "per second",
        "CloudWatch counts",
        box=None,
        header_style="bold",
    )
    for each in report.traffic:
        versions = ", ".join(
            f"{version} ({count})" if len(each.versions) > 1 else version for version, count in each.versions.items()
        )
        table.add_row(
            each.model,
            versions or "-",
            f"{each.answered} of {each.sent}",
            str(sum(each.errors.values())),
            *(f"{each.percentile_ms(p):.1f}" for p in (50, 95, 99)),
            f"{each.sent / each.seconds:.0f}" if each.seconds else "-",
            f"{report.published_invocations.get(each.model, 0):g}",
        )
    return table


def _times(report: Report) -> str:
    total = sum(report.seconds.values())
    return (
        "Seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items()) + f"; all {total:.1f}"
    )


def _up_table(done: list[StackReport]) -> Table:
    table = Table(
        "stack", "created", "updated", "replaced", "deleted", "unchanged", "seconds", box=None, header_style="bold"
    )
    for each in done:
        counts = [str(each.changes.get(kind, 0)) for kind in ("create", "update", "replace", "delete", "same")]
        table.add_row(each.stack, *counts, f"{each.seconds:.1f}")
    return table
