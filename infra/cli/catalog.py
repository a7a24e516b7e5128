"""`mainstage catalog …`: check every stack and model file without credentials; print the JSON Schema."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from infra import catalog, settings
from infra.cli import common
from infra.cli.output import emit, fail
from infra.registry.target import ENVIRONMENTS

app = typer.Typer(help="Check the stack and model files.", no_args_is_help=True)


@app.command("check")
def check(as_json: common.JsonOption = False) -> None:
    """Read every stack file and every model file for every environment; report every problem with file and line."""
    root = common.root()
    problems: dict[str, None] = {}
    models: dict[str, list[str]] = {}
    for environment in ENVIRONMENTS:
        for layer in ("platform", "models"):
            stack = f"{layer}-{environment}"
            try:
                settings.load(settings.stack_config(root / "stacks" / f"Pulumi.{stack}.yaml"), stack, root)
            except settings.SettingsError as error:
                problems.update(dict.fromkeys(str(error).splitlines()))
        try:
            models[environment] = sorted(catalog.load_catalog(root, environment).models)
        except catalog.CatalogError as error:
            problems.update(dict.fromkeys(str(error).splitlines()))
    result = {"ok": not problems, "problems": list(problems), "models": models}
    if problems and not as_json:
        fail("\n".join(problems))
    else:
        emit(result, as_json=as_json, render=_render)
    if problems:
        raise typer.Exit(1)


def _render(result: dict[str, Any]) -> str:
    lines = [f"{environment}: {', '.join(names) or 'no models'}" for environment, names in result["models"].items()]
    return "\n".join(["6 stack files and every model file are in order", *lines])


@app.command("schema")
def schema(
    write: Annotated[
        bool, typer.Option("--write", help="Write docs/schemas/model.schema.json instead of printing.")
    ] = False,
) -> None:
    """The JSON Schema of a model file, for editors."""
    text = json.dumps(catalog.json_schema(), indent=2, ensure_ascii=False) + "\n"
    if write:
        path = common.root() / "docs" / "schemas" / "model.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
