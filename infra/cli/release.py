"""`mainstage model approve|promote|rollback|abort|retry`: what a person decides about a release."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from mainstage_runtime.release_history import ReleaseEvent
from rich.text import Text

from infra import settings
from infra.catalog import CatalogError, Model
from infra.cli import common
from infra.cli.model import Name, model_named
from infra.cli.output import emit, note, working
from infra.cli.screen import as_text
from infra.cli.steps import release_next, with_steps
from infra.registry import approval as approvals
from infra.registry.registry import Registry, RegistryError
from infra.registry.target import Target
from infra.rehearsal.approving import approve_as_colleague
from infra.releases import abort as aborting
from infra.releases.catalog_change import Change, part_of, serve
from infra.releases.live import MIXED, Live, live
from infra.releases.past import blocked_versions, history_of, is_unasked
from infra.releases.past import retry as allow_again
from infra.releases.rollback_now import Moved, move
from infra.releases.status import KIND_WORDS, because
from infra.releases.versions import check_kept, step_back
from infra.releases.words import ReleaseError, command, release_command

app = typer.Typer()

Version = Annotated[int, typer.Argument(min=1, help="A registered version, a whole number.", show_default=False)]
Environment = Annotated[
    str | None,
    typer.Option(
        "--env",
        help="Give this environment, the target's, a version of its own (environments.ENV of the file). Default: "
        "change the part of the file that says what the target serves.",
    ),
]


@app.command("approve")
def approve(
    name: Name,
    version: Version,
    text: Annotated[str, typer.Option("--note", help="What you looked at; stands in the approval.")] = "",
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Let a version that somebody else pushed be released, where the environment asks for it (mainstage:approval).

    Names the archive by its SHA-256, is written once, and counts only from another identity than the push.
    """
    where = common.target(target, profile, as_json=as_json)
    model_named(name, where.environment)
    done = _approved(where, name, version, text, as_json=as_json)
    for warning in done.warnings:
        note(warning, as_json=as_json)
    next_step = command(where, "promote", name, str(version))
    emit({**vars(done), "next": [next_step]}, as_json=as_json, render=lambda _: _approved_text(done, next_step))


def _approved(where: Target, name: str, version: int, text: str, *, as_json: bool) -> approvals.Approved:
    """In a rehearsal who pushed and who approves have the same credentials: there a colleague is played, and told."""
    if not where.emulated:
        return approvals.approve(Registry.of(where), name, version, note=text)
    done = approve_as_colleague(where, name, version, text)
    if done.new:
        note(f"a rehearsal plays the colleague who approves, {done.approval.approved_by}", as_json=as_json)
    return done


def _approved_text(done: approvals.Approved, next_step: str) -> str:
    given = done.approval
    what = "approved" if done.new else "was approved already"
    return (
        f"{done.model} version {given.version} {what} by {given.approved_by} at {given.approved_at}\n"
        f"  archive sha256 {given.archive_sha256}\n  {done.url}\nNext: {next_step}"
    )


@app.command("promote")
def promote(
    name: Name,
    version: Version,
    environment: Environment = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Ask for a registered version: write it into the model's file as stable, and keep the one that served.

    Changes stacks/models/NAME.yaml and nothing else; the release itself is the next up. Comments stay.
    """
    where = common.target(target, profile, as_json=as_json)
    root = common.root()
    model = model_named(name, where.environment)
    card = _registered(where, model, version)
    blocked = blocked_versions(history_of(where, name).events())
    _check_not_blocked(where, name, version, blocked)
    part = part_of(root, model, serves_in=where.environment, environment=environment)
    change = serve(root, part, version, refused=_refused(blocked, live(where, name)))
    change.edit.write()
    steps = []
    if _needs_approval(root, where, name, version):
        steps.append(
            f"somebody else than {card['pushed_by']} approves it: {command(where, 'approve', name, str(version))}"
        )
    steps += _release_steps(root, where, change)
    _tell_change(change, where, root, as_json=as_json)
    emit(_changed(change, where, root, steps), as_json=as_json, render=lambda _: _change_text(change, root, steps))


@app.command("rollback")
def rollback(
    name: Name,
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="Which kept version. Default: the newest older one that was not taken back."),
    ] = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="Move the live endpoint first, by the steps of its last deployment; then the file."),
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; stands in the history (with --now).")] = "",
    environment: Environment = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Go back to a version that is kept: write it into the model's file, and with --now move the endpoint first.

    After a release that was taken back it asks for what serves. Given again before the next up, it changes nothing.
    """
    where = common.target(target, profile, as_json=as_json)
    root = common.root()
    model = model_named(name, where.environment)
    found = live(where, name)
    events = history_of(where, name).events()
    part = part_of(root, model, serves_in=where.environment, environment=environment)
    blocked = blocked_versions(events)
    serves = None if found is None else found.version
    mixed = now and found is not None and found.status == MIXED and serves is not None
    version = to or (serves if mixed else None)  # of a mix the old fleet comes back, whatever the file asks for
    version = version or step_back(part.versions, serves, blocked=blocked, unasked=is_unasked(found, events))
    if version != serves:  # of what serves up releases nothing, so it refuses nothing either
        check_kept(part.versions, version)
        _check_not_blocked(where, name, version, blocked)
    left = {serves} if now and serves is not None else set()  # it is refused from then on
    problem: Exception | None = None
    change: Change | None = None
    try:
        change = serve(root, part, version, refused=_refused(blocked, found) | left)
    except (ReleaseError, CatalogError) as error:
        if not now:
            raise
        problem = error
    moved = None
    if now:
        with working(f"moving {name} to version {version}"):
            moved = move(where, model, version, reason)
        for alarm in moved.quietened:
            note(f"{alarm} rang for the fleet that is left and was taken out of ALARM", as_json=as_json)
    if change is None:
        assert problem is not None
        raise ReleaseError(f"{_moved_text(moved)}but the file could not be changed: {problem}")
    change.edit.write()
    if moved is not None and moved.unwritten:
        file = os.path.relpath(change.edit.path, root)
        raise ReleaseError(
            f"{_moved_text(moved)}{file} asks for it, but the history could not be written ({moved.unwritten}): up "
            f"does not refuse what is left, {moved.left}, and the watch may page that nobody asked for what serves"
        )
    steps = _rollback_steps(root, where, change, moved, found)
    _tell_change(change, where, root, as_json=as_json)
    value = {**_changed(change, where, root, steps), "moved": None if moved is None else vars(moved)}
    emit(value, as_json=as_json, render=lambda _: _change_text(change, root, steps, before=_moved_text(moved)))


def _moved_text(moved: Moved | None) -> str:
    if moved is None:
        return ""
    if not moved.changed:
        return f"{moved.endpoint} serves version {moved.version} already, or is on its way to it\n"
    return f"{moved.endpoint} is on its way from {moved.left} to version {moved.version}: {moved.steps}\n"


def _rollback_steps(root: Path, where: Target, change: Change, moved: Moved | None, found: Live | None) -> list[str]:
    name = change.edit.path.stem
    watch = command(where, "status", name, "--watch")
    if moved is not None and moved.changed:
        after = _release_steps(root, where, change, already=True)
        return [f"see it arrive: {watch}", *after]
    if found is not None and found.pending is not None:
        return [
            f"take back what is being released: {command(where, 'abort', name)}",
            *_release_steps(root, where, change),
        ]
    if found is not None and found.version == change.asked.stable:
        return _release_steps(root, where, change, already=True)
    return _release_steps(root, where, change)


@app.command("abort")
def abort(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; stands in the alarm's history.")] = "",
    wait: Annotated[
        float, typer.Option(min=0, help="How long to look for the rollback, in seconds; 0 looks for nothing.")
    ] = aborting.WAIT_SECONDS,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Take back the release that is under way, from any machine: raises the stop alarm, which SageMaker obeys.

    The up that waits for the release ends with an error, as for any alarm. Refused when nothing is being released.
    """
    where = common.target(target, profile, as_json=as_json)
    model_named(name, where.environment)
    with working(f"aborting the release of {name}"):
        done = aborting.abort(where, name, reason=reason, wait_seconds=wait)
    steps = [
        f"see it arrive: {command(where, 'status', name, '--watch')}",
        f"ask for what serves: {command(where, 'rollback', name)}",
    ]
    emit({**vars(done), "next": steps}, as_json=as_json, render=lambda _: _aborted_text(done, steps))


def _aborted_text(done: aborting.Aborted, steps: Sequence[str]) -> Text:
    what = "the release" if done.version is None else f"the release of version {done.version}"
    if not done.raised:
        told = f"{what} is being taken back already"
    elif done.seen:
        told = f"{what} is being taken back"
    else:
        told = f"{done.alarm} is raised; SageMaker was not yet seen taking {what} back"
    return with_steps(f"{done.endpoint}: {told}; {done.serves} serves", steps)


@app.command("retry")
def retry(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why it will go well this time; stands in the history.")],
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Default: the one that the catalog asks for.")
    ] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Allow a version that was taken back to be released again, or over a configuration that nobody asked for."""
    where = common.target(target, profile, as_json=as_json)
    model = model_named(name, where.environment)
    number = version or model.stable
    if number is None:
        raise ReleaseError(f"{name} awaits its first version: there is nothing to allow (or say --version)")
    event, new = allow_again(where, name, number, reason)
    steps = release_next(where)
    if number != model.stable:
        steps = [f"ask for it: {command(where, 'promote', name, str(number))}", *steps]
    what = "may be released again" if new else "was allowed already"
    told = f"{name}: version {number} {what} (by {event.by}: {event.reason})"
    value = {"model": name, "version": number, "new": new, "event": event, "next": steps}
    emit(value, as_json=as_json, render=lambda _: with_steps(told, steps))


def _registered(where: Target, model: Model, version: int) -> dict[str, Any]:
    """The version's card. Raises RegistryError when it cannot be served."""
    registry = Registry.of(where)
    card = registry.card(model.model, version)
    if card is None:
        numbers = registry.numbers(model.model)
        known = ", ".join(map(str, numbers)) or "none"
        why = "has no card: push its folder again" if version in numbers else f"is not registered in {where}"
        raise RegistryError(f"{model.model}: version {version} {why}; registered are {known}")
    preset = card["runtime"]["preset"]
    if preset != model.runtime:
        raise RegistryError(
            f"{model.model}: version {version} was pushed for the runtime {preset}, and the file says {model.runtime}: "
            "write that runtime into the file, or push the folder again as a new version"
        )
    return card


def _refused(blocked: Collection[int], found: Live | None) -> set[int]:
    """Versions that up refuses and that do not serve: nobody goes back to them."""
    return set(blocked) - ({found.version} if found is not None else set())


def _check_not_blocked(where: Target, name: str, version: int, blocked: Mapping[int, ReleaseEvent]) -> None:
    """Raises ReleaseError for a version that up would refuse."""
    ended = blocked.get(version)
    if ended is not None:
        again = command(where, "retry", name, "--version", str(version), "--reason", "WHY")
        raise ReleaseError(
            f"{name}: version {version} was {KIND_WORDS[ended.kind]} on {ended.at[:19].replace('T', ' ')} UTC"
            f"{because(ended)}, and up would refuse it. Allow it first: {again}"
        )


def _needs_approval(root: Path, where: Target, name: str, version: int) -> bool:
    stack = f"models-{where.environment}"
    loaded = settings.load_models(settings.stack_config(settings.stack_file(root, stack), root), stack, root)
    return loaded.approval.required and approvals.read_approval(Registry.of(where), name, version) is None


def _release_steps(root: Path, where: Target, change: Change, *, already: bool = False) -> list[str]:
    """What comes after the file was changed. already: what it asks for serves, or is on its way."""
    file = os.path.relpath(change.edit.path, root)
    commit = [f"commit {file}"] if change.changes else []
    what = "then nothing is left to release" if already else "release it"
    return [*commit, f"{what}: {release_command(where)}"]


def _tell_change(change: Change, where: Target, root: Path, *, as_json: bool) -> None:
    if change.dropped:
        numbers = ", ".join(map(str, change.dropped))
        note(f"version {numbers} is kept no longer: a file keeps five", as_json=as_json)
    others = [each for each in change.part.affected if each != where.environment]
    if change.changes and others:
        file = os.path.relpath(change.edit.path, root)
        note(
            f"{' and '.join(others)} take it too when they are brought up, for {file} gives them no version of their "
            "own; whether it is registered there was not looked up (only for "
            f"{where.environment}: --env {where.environment})",
            as_json=as_json,
        )


def _diff(change: Change, root: Path) -> str:
    path = str(change.edit.path)
    return change.edit.diff().replace(path, os.path.relpath(path, root)) if change.changes else ""


def _changed(change: Change, where: Target, root: Path, steps: Sequence[str]) -> dict[str, Any]:
    """What a script reads of a change to a model file."""
    return {
        "target": str(where),
        "model": change.edit.path.stem,
        "version": change.asked.stable,
        "before": change.part.versions.stable,
        "keep": list(change.asked.kept),
        "file": os.path.relpath(change.edit.path, root),
        "part": change.part.name,
        "environments": list(change.part.affected),
        "changed": change.changes,
        "diff": _diff(change, root),
        "next": list(steps),
    }


def _change_text(change: Change, root: Path, steps: Sequence[str], *, before: str = "") -> Text:
    file, part = os.path.relpath(change.edit.path, root), change.part
    if change.changes:
        was = "nothing" if part.versions.stable is None else f"version {part.versions.stable}"
        told = f"{file}, {part.name}: version {change.asked.stable} for {was}\n{_diff(change, root).rstrip()}"
    else:
        told = f"{file}, {part.name}: asks for version {change.asked.stable} already; nothing was changed"
    return as_text(before) + with_steps(told, steps)
