"""`mainstage rehearse` and `mainstage up`: the whole platform, offline."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Group
from rich.padding import Padding
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text
from rich.tree import Tree

from infra.cli import common
from infra.cli.output import emit, errors, fail, note, say
from infra.cli.screen import as_text, visible
from infra.registry.target import ENVIRONMENTS, TargetError
from infra.rehearsal.cloud.pace import SERVED_MINUTE_SECONDS
from infra.rehearsal.progress import Progress, Tell

if TYPE_CHECKING:  # the rest of a rehearsal takes a second to import: only when one runs
    from infra.rehearsal.report import Report, StackReport

STEPS = {
    "environments": "serving environments",
    "training": "training the example",
    "cloud": "emulated AWS",
    "platform": "platform layer",
    "registering": "registering versions",
    "models": "models layer",
    "predictions": "predictions",
    "log": "prediction log",
    "drills": "drills",
}


PAGE = "rehearsal.html"

Environment = Annotated[str, typer.Option("--env", help="Which environment's stack files: dev, staging or prod.")]


def rehearse(
    environment: Environment = "dev",
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep it running until Ctrl-C, for other commands and boto3.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The AWS endpoint's port on 127.0.0.1. Default: a free one.")
    ] = 0,
    predictions: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Good predictions to send to each model.")
    ] = 2000,
    minute_seconds: common.MinuteSecondsOption = SERVED_MINUTE_SECONDS,
    as_json: common.JsonOption = False,
) -> None:
    """Bring the platform up in an emulated AWS, serve the models for real, send them predictions. No account needed."""
    from infra.rehearsal.rehearse import Options, Rehearsal

    root = common.root()
    if serve:
        _check_room(root)
    options = Options(root, environment_of(environment), port, predictions, page=root / PAGE)
    with contextlib.ExitStack() as open_until_the_end:
        with showing() as tell:
            rehearsal = open_until_the_end.enter_context(Rehearsal(options, tell))
            report = rehearsal.run()
        if serve:
            rehearsal.cloud.pace.minute_seconds = minute_seconds
            rehearsal.publish()
        emit(report.as_dict() if as_json else report, as_json=as_json, render=lambda told: render(told, serve))
        for problem in report.problems:
            fail(problem)
        if serve:
            serve_until_stopped(report, rehearsal.cloud.operator_access_key_id, as_json)
    leave(0 if report.ok else 1)


def _check_room(root: Path) -> None:
    """Raises CloudError when the checkout's emulated cloud runs: other commands find one of the two only."""
    from infra.rehearsal import cloud_control, pointer

    if (told := pointer.read(root)) and told.get("kind") and (running := cloud_control.find(root)):
        raise cloud_control.CloudError(
            f"the emulated cloud of {running.environment} runs in this checkout, and a served rehearsal would take its "
            f"place: make rehearse-down ENV={running.environment} or mainstage cloud stop first, or rehearse without "
            "--serve"
        )


def leave(code: int) -> NoReturn:
    """Ends the process at once. Everything is closed by now; the interpreter would search all that moto holds for
    garbage before it ends, for seconds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def up(
    environment: Environment = "dev",
    as_json: common.JsonOption = False,
) -> None:
    """Apply the stack and model files again to the rehearsal that is being served: platform, then models."""
    from infra.rehearsal.update import update

    asked = environment_of(environment)
    where = common.target(None, None, as_json=as_json)
    with showing() as tell:
        done = update(common.root(), where, asked, tell, lambda line: note(line, as_json=as_json))
    emit([each.as_dict() for each in done] if as_json else done, as_json=as_json, render=_up_table)


def environment_of(name: str) -> str:
    if name not in ENVIRONMENTS:
        raise TargetError(f"--env {name!r}: allowed are {', '.join(ENVIRONMENTS)}")
    return name


def serve_until_stopped(report: Report, access_key_id: str, as_json: bool) -> None:
    """Waits for Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    say(
        Text.assemble(
            "\n", ("Serving", "bold"), f" emulated AWS at {report.endpoint_url} until Ctrl-C. From another terminal:"
        ),
        as_json=as_json,
    )
    if report.try_it:
        say(f"  .venv/bin/{report.try_it}", as_json=as_json)
        say(f"  {report.curl}", as_json=as_json)
        model = report.traffic[0].model
        say(f"  .venv/bin/mainstage predictions latency {model}", as_json=as_json)
    say(
        f"  AWS_ACCESS_KEY_ID={access_key_id} AWS_SECRET_ACCESS_KEY=rehearsal aws --region {report.region} "
        f"--endpoint-url {report.endpoint_url} sagemaker list-endpoints",
        as_json=as_json,
    )
    stopped.wait()
    say("stopping", as_json=as_json)


@contextlib.contextmanager
def showing() -> Iterator[Tell]:
    """Shows progress on standard error while the block runs: a live line a step for a person, plain lines otherwise."""
    if not errors.is_terminal:
        yield _lines()
        return
    one_line = {"no_wrap": True, "overflow": "ellipsis"}
    with Bars(
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("{task.fields[detail]}", style="dim", markup=False, table_column=Column(**one_line)),
        console=errors,
    ) as bars:
        current: list[Any] = []

        def end() -> None:
            if current:
                bars.update(current[1], total=1, completed=1, detail="")

        def tell(progress: Progress) -> None:
            if not current or current[0] != progress.step:
                end()
                current[:] = [
                    progress.step,
                    bars.add_task(STEPS.get(progress.step, progress.step), total=None, detail=""),
                ]
            count = f" {progress.done} of {progress.total}" if progress.total else ""
            bars.update(current[1], detail=visible(progress.detail) + count)

        yield tell
        end()


def _lines() -> Tell:
    last = [""]

    def tell(progress: Progress) -> None:
        if progress.step != last[0]:
            errors.print(f"- {STEPS.get(progress.step, progress.step)}")
        last[0] = progress.step

    return tell


def render(report: Report, served: bool = False) -> Group:
    """The report for a person: what stands, what answered, how long it took, what was real."""
    from infra.rehearsal.report import REAL

    where = f" (account {report.account_id}, {report.region}), rehearsed offline"
    head = Text.assemble((report.environment, "bold"), where)
    parts: list[Any] = [head, *(_tree(each) for each in report.stacks), ""]
    for heading, lines in (("Real", REAL), ("Emulated", report.emulated)):
        parts += [Text(heading, "bold"), *(Padding(as_text(line), (0, 0, 0, 2)) for line in lines)]
    parts += [Padding(as_text(line, "yellow"), (0, 0, 0, 2)) for line in report.differences]
    parts += ["", _times(report), as_text(f"AWS calls: {report.calls_told}")]
    if report.policies_told:
        parts.append(as_text(f"Policies: {report.policies_told}"))
    parts += ["", _predictions(report)]
    if any(log.latencies for log in report.logs.values()):
        parts.append(Padding(as_text("the clients' watch holds the way there and back as well", "dim"), (0, 0, 0, 1)))
    parts += _replies(report)
    parts += [as_text(f"{name}: {reason}") for name, reason in report.not_served.items()]
    if report.ok:
        parts += ["", Text("Everything answered as it had to.", "green")]
        if not served:
            parts.append("Keep it running and try your own model: make rehearse ARGS=--serve")
    if report.page:
        parts.append(as_text(f"The whole run as a page: {report.page}"))
    return Group(*parts)


def _tree(stack: StackReport) -> Tree:
    told = f"  {len(stack.resources)} resources in {stack.seconds:.1f} s"
    tree = Tree(Text.assemble((stack.stack, "bold"), told))
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
        tree.add(Text.assemble(as_text(line.name), " ", as_text(kind, "dim")))
        return
    components = [child for child in below if child.urn in children]
    plain = [child for child in below if child.urn not in children]
    branch = tree.add(Text.assemble(as_text(line.name, "cyan"), " ", as_text(kind)))
    counted: dict[str, int] = {}
    for child in plain:
        name = child.type.split(":")[-1]
        counted[name] = counted.get(name, 0) + 1
    if counted:
        names = (f"{count}×{name}" if count > 1 else name for name, count in sorted(counted.items()))
        branch.add(as_text(", ".join(names), "dim"))
    for child in components:
        _branch(branch, child, children)


def _predictions(report: Report) -> Table:
    """Each version twice: by the clients' watch, and by the log's SQL."""
    headers = ("version", "measured by", "predictions", "p50 ms", "p95 ms", "p99 ms")
    table = Table(Column("model", no_wrap=True), *headers, box=None, header_style="bold")
    for each in report.traffic:
        for version, count in each.versions.items():
            percentiles = (f"{each.percentile_ms(p, version):.1f}" for p in (50, 95, 99))
            table.add_row(each.model, as_text(version), "clients", f"{count:,}", *percentiles)
        log = report.logs.get(each.model)
        for row in log.latencies if log else ():
            percentiles = (f"{value:.1f}" for value in (row.p50_ms, row.p95_ms, row.p99_ms))
            table.add_row(each.model, as_text(row.version), "the log, by SQL", f"{row.predictions:,}", *percentiles)
    return table


def _replies(report: Report) -> list[Text]:
    lines = []
    for each in report.traffic:
        kinds = (
            f"{kind} " + " + ".join(f"{count:,}×{status}" for status, count in sorted(counts.items()))
            for kind, counts in sorted(each.by_kind.items())
        )
        lines.append(f"{each.model}: {each.sent:,} requests: {', '.join(kinds)}")
        log = report.logs.get(each.model)
        if log is not None:
            lines.append(
                f"{each.model}: {log.received:,} request ids received, {log.logged:,} in the log, "
                f"{len(log.missing) + len(log.unknown)} differ; CloudWatch counts "
                f"{report.published_invocations.get(each.model, 0):,g} invocations"
            )
    return [as_text(line) for line in lines]


def _times(report: Report) -> Text:
    total = sum(report.seconds.values())
    each = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
    return as_text(f"Seconds: {each}; all {total:.1f}")


def _up_table(done: list[StackReport]) -> Table:
    table = Table(
        "stack", "created", "updated", "replaced", "deleted", "unchanged", "seconds", box=None, header_style="bold"
    )
    for each in done:
        counts = [str(each.changes.get(kind, 0)) for kind in ("create", "update", "replace", "delete", "same")]
        table.add_row(each.stack, *counts, f"{each.seconds:.1f}")
    return table
