"""`mainstage model …`: scaffold a model, register versions of it, look at what is registered and what serves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from mainstage_runtime.record import pii_action
from rich.table import Table

from infra import settings
from infra.catalog import Model, load_catalog, record_signature
from infra.cli import common
from infra.cli.output import emit, note, say, working
from infra.cli.screen import as_text
from infra.registry import status as live
from infra.registry.infer import infer
from infra.registry.push import Pushed, push
from infra.registry.registry import Registry, RegistryError
from infra.registry.retire import check_serves_nothing, listed, retire
from infra.registry.scaffold import DEFAULT_PRESET, scaffold
from infra.registry.target import ENVIRONMENTS
from infra.rehearsal.cloud.model_host import PresetEnvironments

app = typer.Typer(help="Scaffold, register and look at models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The model's name, as in stacks/models/NAME.yaml.", show_default=False)]


@app.command("new")
def new(
    name: Annotated[
        str, typer.Argument(help="The new model's name: small letters, digits, hyphens.", show_default=False)
    ],
    sample: Annotated[
        Path | None,
        typer.Option(help="Rows to infer the signature from: .jsonl (an object a line) or .csv with a header."),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", help="A column of the sample that the model answers with (the label)."),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where inference.py goes. Default: models/NAME.", show_default=False)
    ] = None,
    runtime: Annotated[str, typer.Option(help="The runtime preset: which AWS image serves it.")] = DEFAULT_PRESET,
    owner: Annotated[str, typer.Option(help="The team that owns it. Default: your user name.")] = "",
    as_json: common.JsonOption = False,
) -> None:
    """Write inference.py and the catalog file of a new model; with --sample the signature is inferred from rows."""
    root = common.root()
    inferred = infer(sample, answer or ()) if sample else None
    made = scaffold(
        name,
        root=root,
        folder=folder or root / "models" / name,
        inferred=inferred,
        preset=runtime,
        owner=owner,
        instances=_fewest_instances(root),
    )
    where = os.path.relpath(made.inference.parent)
    steps = [
        f"write a training script that ends in joblib.dump(model, '{where}/model.joblib'), and run it with the image's "
        f"versions: mainstage model python {name} SCRIPT.py",
        f"look through the signature in {os.path.relpath(made.catalog)} (pii: true for personal data), then record and "
        f"declare it: mainstage catalog record {name}; mainstage up --env dev",
        f"register it: mainstage model push {name} {where}",
        f"serve it: mainstage model promote {name} 1; mainstage up --env dev",
        f"ask it: mainstage predict {name} '{made.sample_request}'",
    ]
    value = {"inference": made.inference, "catalog": made.catalog, "sample_request": made.sample_request, "next": steps}
    emit(value, as_json=as_json, render=lambda _: _new_text(made.inference, made.catalog, steps))


def _new_text(inference: Path, catalog: Path, steps: list[str]) -> str:
    lines = [f"wrote {os.path.relpath(inference)}", f"wrote {os.path.relpath(catalog)}", "", "Next:"]
    return "\n".join([*lines, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))])


@app.command("python", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def python(
    context: typer.Context,
    name: Name,
    environment: Annotated[str, typer.Option("--env", help="Which environment's settings of the model count.")] = "dev",
) -> None:
    """Run Python with the versions of the model's serving image: mainstage model python NAME train.py …

    What is trained and saved by it can be loaded by the image.
    """
    found = model_named(name, environment)
    with working(f"environment of {found.runtime}"):
        runtime = _environments().ensure(found.runtime)
    raise typer.Exit(subprocess.run([str(runtime.python), *context.args]).returncode)


@app.command("push")
def push_command(
    name: Name,
    folder: Annotated[
        Path, typer.Argument(help="The folder with inference.py and the model's files, or a model.tar.gz.")
    ],
    metrics: Annotated[
        Path | None, typer.Option(help="A JSON object of numbers for the card. Default: training.json.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The training data; its SHA-256 goes into the card.")] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Check a model in its serving environment and register it as the next version, with its card."""
    where = common.target(target, profile, as_json=as_json)
    model = model_named(name, where.environment)
    registry = Registry.of(where)
    with working(f"pushing {name}") as status:
        done = push(
            model,
            folder,
            registry,
            environments=_environments(),
            metrics=metrics,
            data=data,
            progress=lambda step: status.update(f"pushing {name}: {step}"),
        )
    for warning in done.warnings:
        note(warning, as_json=as_json)
    if written := record_signature(common.root(), model):
        say(
            f"wrote {os.path.relpath(written)}: what predictions of {name} are logged with from now on. Commit it: "
            "a later signature is held against it",
            as_json=as_json,
        )
    emit(done, as_json=as_json, render=_pushed_text)


def _pushed_text(done: Pushed) -> str:
    metrics = ", ".join(f"{name} {value}" for name, value in done.card["metrics"].items()) or "no metrics"
    what = "registered" if done.new else "was registered already: nothing new in this folder"
    return f"{done.model} version {done.version} {what}\n  {done.url}\n  {metrics}"


@app.command("retire")
def retire_command(
    name: Name,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="NAME", help="The model's name, once more. Default: it is asked for."),
    ] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Take a model's versions out of the registry's list, so that its catalog file can be removed.

    The model must serve nothing any more. Archives, cards and the prediction log stay. It cannot be undone: a version
    that is taken out comes back only as a push of the same folder.
    """
    where = common.target(target, profile, as_json=as_json)
    check_serves_nothing(where, name)
    versions = sorted(listed(where, name).values())
    if not versions:
        raise RegistryError(f"{name}: no version is listed in {where}; nothing to take out")
    if confirm is None and not as_json and sys.stdin.isatty():
        confirm = typer.prompt(
            f"Takes versions {', '.join(versions)} of {name} out of {where}. Type its name", err=True
        )
    if confirm != name:
        raise RegistryError(f"nothing was taken out: to take out versions {', '.join(versions)}, --confirm {name}")
    done = sorted(retire(where, name))
    emit({"model": name, "versions": done}, as_json=as_json, render=lambda _: _retired_text(name, done))


def _retired_text(name: str, versions: list[str]) -> str:
    return (
        f"{name}: versions {', '.join(versions)} are taken out; archives and cards stay in the bucket. "
        f"Next: remove stacks/models/{name}.yaml and bring it up"
    )


@app.command("list")
def list_command(
    target: common.TargetOption = None, profile: common.ProfileOption = None, as_json: common.JsonOption = False
) -> None:
    """The models of the catalog and the versions registered for each."""
    where = common.target(target, profile, as_json=as_json)
    registry = Registry.of(where)
    catalog = load_catalog(common.root(), where.environment).models
    names = sorted({*catalog, *registry.models()})
    rows = [
        {
            "model": name,
            "in_catalog": name in catalog,
            "asked": live.asked(catalog.get(name)),
            "versions": registry.numbers(name),
            "owner": catalog[name].owner if name in catalog else None,
        }
        for name in names
    ]
    emit(rows, as_json=as_json, render=_list_table)


def _list_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("model", "owner", "catalog asks for", "registered versions", box=None, header_style="bold")
    for row in rows:
        versions = ", ".join(str(number) for number in row["versions"]) or "none"
        asked = row["asked"] if row["in_catalog"] else "not in the catalog"
        table.add_row(*(as_text(cell) for cell in (row["model"], row["owner"] or "", asked, versions)))
    return table


@app.command("show")
def show(
    name: Name,
    version: Annotated[int | None, typer.Argument(help="Default: the newest.", show_default=False)] = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """The card of a version: metrics, data, commit, framework versions, signature."""
    where = common.target(target, profile, as_json=as_json)
    registry = Registry.of(where)
    numbers = registry.numbers(name)
    if not numbers:
        raise RegistryError(
            f"{name}: no version is registered in {where}; registered models: {', '.join(registry.models()) or 'none'}"
        )
    number = version or numbers[-1]
    card = registry.card(name, number)
    if card is None:
        known = ", ".join(str(n) for n in numbers)
        raise RegistryError(
            f"{name}: version {number} "
            + (
                f"is not registered; registered are {known}"
                if number not in numbers
                else "has no card: push its folder again"
            )
        )
    emit(card, as_json=as_json, render=_card_table)


def _card_table(card: dict[str, Any]) -> Table:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(card["runtime"]["packages"].items()))
    rows = {
        "model": f"{card['model']} version {card['version']}",
        "pushed": f"{card['pushed_at']} by {card['pushed_by']}",
        "archive": f"{card['archive']['size_bytes']} bytes, sha256 {card['archive']['sha256']}",
        "runtime": f"{card['runtime']['preset']} (Python {card['runtime']['python']}; {packages})",
        "metrics": ", ".join(f"{k} {v}" for k, v in card["metrics"].items()) or "none",
        "data": ", ".join(f"{k} {v}" for k, v in card["data"].items()) or "unknown",
        "commit": (card.get("commit") or "none")
        + (" with uncommitted changes" if card.get("uncommitted_changes") else ""),
        **{side: ", ".join(_field(each) for each in card["signature"][side]) for side in ("inputs", "outputs")},
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, as_text(value))
    return table


def _field(field: Mapping[str, Any]) -> str:
    stored = {"keep": "", "hash": " (personal data: logged as a hash)", "drop": " (personal data: not logged)"}
    return f"{field['name']}: {field['type']}{stored[pii_action(field)]}"


def model_named(name: str, environment: str) -> Model:
    catalog = load_catalog(common.root(), environment).models
    if name not in catalog:
        known = ", ".join(sorted(catalog)) or "none"
        raise RegistryError(
            f"model {name!r} is not in the catalog (stacks/models/); there are: {known}. "
            f"New? mainstage model new {name}"
        )
    return catalog[name]


def _fewest_instances(root: Path) -> dict[str, int]:
    """The fewest instances that each environment's stack file allows an endpoint."""
    found = {}
    for environment in ENVIRONMENTS:
        stack = f"models-{environment}"
        config = settings.stack_config(root / "stacks" / f"Pulumi.{stack}.yaml")
        loaded = settings.load(config, stack, root)
        assert isinstance(loaded, settings.ModelsSettings)
        found[environment] = loaded.limits.minimum_instances
    return found


def _environments() -> PresetEnvironments:
    return PresetEnvironments(common.root() / ".mainstage" / "environments")
