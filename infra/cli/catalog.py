"""`mainstage catalog …`: check every stack and model file without credentials; record signatures; the JSON Schema."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from infra import settings
from infra.catalog import check_limits, check_recorded, json_schema, load_catalog, record_signature
from infra.cli import common
from infra.cli.model import model_named
from infra.cli.output import emit, fail
from infra.cli.screen import as_text
from infra.problems import InputError, Problem
from infra.registry.target import ENVIRONMENTS

app = typer.Typer(help="Check the stack and model files.", no_args_is_help=True)


@app.command("check")
def check(as_json: common.JsonOption = False) -> None:
    """Read every stack file and every model file for every environment; report every problem with file and line."""
    root = common.root()
    problems: dict[Problem, None] = {}
    models: dict[str, list[str]] = {}
    placeholders: set[str] = set()
    for environment in ENVIRONMENTS:
        loaded = {}
        for layer in ("platform", "models"):
            stack = f"{layer}-{environment}"
            try:
                loaded[layer] = settings.load(
                    settings.stack_config(root / "stacks" / f"Pulumi.{stack}.yaml"), stack, root
                )
                placeholders |= {loaded[layer].account_id} & set(settings.PLACEHOLDER_ACCOUNT_IDS)
            except InputError as error:
                problems.update(dict.fromkeys(error.problems))
        if len(loaded) == 2:
            problems.update(dict.fromkeys(_disagreements(environment, loaded["platform"], loaded["models"])))
        with _collecting(problems):
            catalog = load_catalog(root, environment)
            models[environment] = sorted(catalog.models)
            with _collecting(problems):
                check_recorded(root, catalog)
            if isinstance(found := loaded.get("models"), settings.ModelsSettings):
                check_limits(catalog, found)
    result = {
        "ok": not problems,
        "problems": [each.as_json() for each in problems],
        "models": models,
        "placeholder_account_ids": sorted(placeholders),
    }
    if problems and not as_json:
        fail("\n".join(str(each) for each in problems))
    else:
        emit(result, as_json=as_json, render=_render)
    if problems:
        raise typer.Exit(1)


@contextlib.contextmanager
def _collecting(problems: dict[Problem, None]) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        problems.update(dict.fromkeys(error.problems))


def _disagreements(environment: str, platform: Any, models: Any) -> list[Problem]:
    """Both layers of an environment lie in one account and region."""
    return [
        Problem(
            f"stacks/Pulumi.models-{environment}.yaml",
            1,
            f"mainstage:{name}",
            "both layers of an environment lie in one account and region",
            got=getattr(models, name),
            allowed=f"{getattr(platform, name)}, as in stacks/Pulumi.platform-{environment}.yaml",
        )
        for name in ("account_id", "region")
        if getattr(platform, name) != getattr(models, name)
    ]


def _render(result: dict[str, Any]) -> Text:
    lines = [as_text("6 stack files and every model file are in order")]
    for environment, names in result["models"].items():
        lines.append(as_text(f"{environment}: {', '.join(names) or 'no models'}"))
    if placeholders := result["placeholder_account_ids"]:
        told = (
            f" {', '.join(placeholders)} are placeholders; put your accounts into stacks/ before the first pulumi up "
            "(a rehearsal needs no real ones)"
        )
        lines.append(Text.assemble(("note:", "yellow"), as_text(told)))
    return Text("\n").join(lines)


@app.command("record")
def record(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models of the catalog.", show_default=False)],
    as_json: common.JsonOption = False,
) -> None:
    """Add the signature's new fields to stacks/models/NAME.signature.json: before they are deployed, and so logged.

    Only ever adds; what is recorded already stays as it is.
    """
    root = common.root()
    found = [model_named(name, ENVIRONMENTS[0]) for name in names]  # a signature is the same in every environment
    written = [path for model in found if (path := record_signature(root, model))]
    result = {"written": [path.relative_to(root).as_posix() for path in written]}
    emit(result, as_json=as_json, render=lambda _: _recorded_text(written))


def _recorded_text(written: list[Path]) -> str:
    if not written:
        return "every field is recorded already"
    return "\n".join(
        f"wrote {os.path.relpath(path)}: commit it; a later signature is held against it" for path in written
    )


@app.command("schema")
def schema(
    write: Annotated[
        bool, typer.Option("--write", help="Write docs/schemas/model.schema.json instead of printing.")
    ] = False,
) -> None:
    """The JSON Schema of a model file, for editors."""
    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if write:
        path = common.root() / "docs" / "schemas" / "model.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
