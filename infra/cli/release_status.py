"""`mainstage model status|clean`: what serves, what is left over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.catalog import load_catalog
from infra.cli import common
from infra.cli.model import model_named
from infra.cli.output import console, emit, on_a_terminal, say
from infra.cli.screen import as_text
from infra.front_door import model_urls
from infra.registry import status as endpoints
from infra.registry.target import Target
from infra.releases import leftovers as left
from infra.releases.status import KIND_WORDS, ReleaseStatus, asked_everywhere, release_status
from infra.releases.words import ReleaseError, aws_command, command

app = typer.Typer()

_COLOURS = {
    "InService": "green",
    "Failed": "red",
    "UpdateRollbackFailed": "red",
    "RollingBack": "red",
    endpoints.NOT_CREATED: "yellow",
}
NOT_IN_CATALOG = "not in the catalog"


@dataclass(frozen=True)
class Shown:
    """One model before a person."""

    endpoint: endpoints.ModelStatus
    release: ReleaseStatus | None
    """None: an endpoint of no model of the catalog."""
    leftovers: tuple[left.Leftover, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self.endpoint),
            "release": None if self.release is None else asdict(self.release),
            "leftovers": [asdict(each) for each in self.leftovers],
        }


@app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="Default: every model of the catalog.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again and again, until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, help="How long --watch waits between two looks, in seconds.")] = 5,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """What the catalog asks for beside what really serves: versions, a release under way and its traffic, alarms, what
    was taken back, what is left over, and the next command."""
    if watch and as_json:
        raise ReleaseError("--watch draws for a person: ask again and again for --json")
    where = common.target(target, profile, as_json=as_json)
    if watch:
        _watch(where, name, every)
        return
    found = _look(where, name)
    emit([each.as_json() for each in found], as_json=as_json, render=lambda _: drawn(found, where))


def _look(where: Target, name: str | None, *, whole: bool = True) -> list[Shown]:
    """whole: also what is left over, which takes a dozen calls a model."""
    root = common.root()
    catalog = load_catalog(root, where.environment).models
    if name is not None:
        model_named(name, where.environment)
    models = [catalog[each] for each in ([name] if name else sorted(catalog))]
    urls = model_urls(where, [each.model for each in models]) if whole else {}
    everywhere = asked_everywhere(root)
    found = [
        Shown(
            endpoints.status(where, each, urls.get(each.model, "")),
            release_status(where, each, everywhere[each.model]),
        )
        for each in models
    ]
    over = left.leftovers(where, models, everything=name is None) if whole else []
    shown = [replace(each, leftovers=tuple(one for one in over if one.model == each.endpoint.model)) for each in found]
    strangers = sorted({each.model for each in over} - {each.model for each in models})
    return [*shown, *(_stranger(where, each, over) for each in strangers)]


def _stranger(where: Target, model: str, over: Sequence[left.Leftover]) -> Shown:
    name = f"{where.environment}-{model}"
    told = where.client("sagemaker").describe_endpoint(EndpointName=name)
    row = endpoints.ModelStatus(
        model, where.environment, NOT_IN_CATALOG, name, told["EndpointStatus"], told.get("FailureReason", "")
    )
    return Shown(row, None, tuple(each for each in over if each.model == model))


def drawn(found: Sequence[Shown], where: Target) -> Group:
    """The table, what to know of each model below it, and where clients ask."""
    table = Table("model", "asked", "live", "endpoint", "instances", "guard alarms", box=None, header_style="bold")
    for shown in found:
        each = shown.endpoint
        state = as_text(each.endpoint_status, _COLOURS.get(each.endpoint_status, "cyan"))
        serving = _serving(shown)
        instances = ", ".join(f"{v.instances} of {v.desired_instances}" for v in each.variants) or "-"
        table.add_row(each.model, each.asked, as_text(serving), state, instances, as_text(each.alarms_text))
    told = [line for shown in found for line in _told(shown, where)]
    addresses = [as_text(f"{each.endpoint.model}: POST {each.endpoint.url}") for each in found if each.endpoint.url]
    for line in (*told, *addresses):
        line.no_wrap, line.overflow = True, "ignore"  # an address or a command that is broken can't be pasted
    return Group(table, *([""] if told else []), *told, *([""] if addresses else []), *addresses)


def _serving(shown: Shown) -> str:
    """What answers: in a deployment each fleet with its counted share, else each variant with its weight."""
    under_way = shown.release.deployment if shown.release is not None else None
    if under_way is not None and under_way.shares:
        return ", ".join(f"{each.version.removeprefix('version ')} ({each.percent:g} %)" for each in under_way.shares)
    variants = shown.endpoint.variants
    if under_way is not None and variants:
        here = ", ".join(each.version for each in variants)
        coming = under_way.version.removeprefix("version ")
        return f"back to {here} from {coming}" if under_way.rolling_back else f"{here}, {coming} on its way"
    return ", ".join(f"{each.version} ({each.traffic_percent:g} %)" for each in variants) or "nothing"


def _told(shown: Shown, where: Target) -> list[Text]:
    model, release = shown.endpoint.model, shown.release
    failure = shown.endpoint.failure_reason if release is None else release.last_failure
    lines = [f"SageMaker says: {failure}"] if failure else []
    if release is not None:
        lines += release.advice
        if len(set(release.asked.values())) > 1:
            lines.append("asked for: " + ", ".join(f"{name} {asked}" for name, asked in release.asked.items()))
        if release.last_verdict is not None:
            lines.append(f"last verdict: {_verdict(release.last_verdict)}")
        others = [number for number in release.blocked if f"version {number}" != release.asked.get(where.environment)]
        if others:
            lines.append(f"refused by up until allowed again: version {', '.join(map(str, others))}")
    lines += [f"left over: {each}" for each in shown.leftovers]
    if any(each.removable for each in shown.leftovers):
        lines.append(f"to delete what is left over: {command(where, 'clean', model, '--yes')}")
    lines += [
        f"to delete it: {aws_command(where, 'sagemaker', 'delete-endpoint', '--endpoint-name', each.name)}"
        for each in shown.leftovers
        if not each.removable
    ]
    return [as_text(f"{model}: {line}") for line in lines]


def _verdict(told: dict[str, Any] | Any) -> str:
    version = "a release" if told["version"] is None else f"version {told['version']}"
    alarm = f" by {told['alarm']['name']}" if told.get("alarm") else ""
    return f"{version} {KIND_WORDS[told['kind']]}{alarm}, {told['at'][:19].replace('T', ' ')} UTC"


def _watch(where: Target, name: str | None, every: float) -> None:
    def look() -> Any:
        at = as_text(time.strftime("%H:%M:%S by this machine's clock; Ctrl-C ends"), "dim")
        try:
            return Group(drawn(_look(where, name, whole=False), where), "", at)
        except (BotoCoreError, ClientError) as error:
            return Group(as_text(f"cannot be seen now: {error}", "red"), "", at)

    try:
        if not on_a_terminal():
            while True:
                console.print(look(), crop=False)
                time.sleep(every)
        with Live(look(), console=console, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                time.sleep(every)
                live.update(look(), refresh=True)
    except KeyboardInterrupt:
        return


@app.command("clean")
def clean(
    name: Annotated[str | None, typer.Argument(help="Default: every model of the catalog.", show_default=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, say what would be deleted.")] = False,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Delete what releases left over: endpoints that never came into service; configurations and models of versions
    that this checkout's catalog neither asks for nor keeps. Nothing that serves, no archive, no log."""
    where = common.target(target, profile, as_json=as_json)
    catalog = load_catalog(common.root(), where.environment).models
    if name is not None and name not in catalog:
        model_named(name, where.environment)
    models = [catalog[name]] if name else list(catalog.values())
    found = left.leftovers(where, models, everything=name is None)
    done = left.clean(where, found, lambda line: say(as_text(line), as_json=as_json)) if yes else []
    value = {"found": [asdict(each) for each in found], "deleted": [asdict(each) for each in done]}
    emit(value, as_json=as_json, render=lambda _: _cleaned_text(found, done, acted=yes))


def _cleaned_text(found: Sequence[left.Leftover], done: Sequence[left.Leftover], *, acted: bool) -> str:
    if not found:
        return "nothing is left over"
    stays = [each for each in found if each not in done]
    if acted:
        return "\n".join(["done", *(f"stays: {each}" for each in stays)])
    removable = [each for each in found if each.removable]
    end = f"{len(removable)} of these would be deleted with --yes" if removable else "none of these is deleted by this"
    return "\n".join([*map(str, found), end])
