"""`mainstage predict`: one request to the front door."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from infra.catalog.requests import problem_objects, request_problems
from infra.cli import common
from infra.cli.model import model_named
from infra.cli.output import emit, to_json
from infra.cli.screen import as_text
from infra.front_door import PredictError, ask, error_details


def predict(
    name: Annotated[str, typer.Argument(help="The model.", show_default=False)],
    data: Annotated[str, typer.Argument(help="The request: JSON, @FILE, or - for standard input.", show_default=False)],
    token: Annotated[
        str | None, typer.Option(help="A JWT, where the front door takes those. Default: sign with the credentials.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Hold the request against the signature before it is sent.")
    ] = True,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Send one request to a model and print its answer, version and latency.

    Example: mainstage predict churn '{"instances": [{"months": 5, "plan": "basic"}]}'
    """
    body = read_body(data)
    where = common.target(target, profile, as_json=as_json)
    model = model_named(name, where.environment)
    if model.awaiting:
        raise PredictError(
            f"{name} awaits its first version in {where.environment}: mainstage model push {name} FOLDER, put "
            f"`stable: 1` for `awaiting: true` in stacks/models/{name}.yaml, then {where.bring_up}"
        )
    if check and (problems := request_problems(model.signature, body)):
        message = f"the request does not fit the signature of {name}"
        raise PredictError(
            "\n".join([f"{message}:", *problems]),
            error_details("invalid_payload", message, problems=problem_objects(model.signature, body)),
        )
    answer = ask(where, name, body, token=token)
    emit(answer, as_json=as_json, render=_render)


def read_body(data: str) -> bytes:
    """The request's bytes, checked to be JSON. Raises PredictError naming where it came from."""
    if data == "-":
        source, text = "standard input", sys.stdin.read()
    elif data.startswith("@"):
        source = data[1:]
        try:
            text = Path(source).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise PredictError(f"{source}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise PredictError(f"{source}: {error}") from error
    else:
        source, text = "the request", data
    try:
        json.loads(text)
    except ValueError as error:
        raise PredictError(f"{source} is not JSON: {error}") from error
    return text.encode()


def _render(answer: dict[str, Any]) -> Text:
    told = f"version {answer['version']}, {answer['latency_ms']} ms, request {answer['request_id']}"
    return Text("\n").join([as_text(to_json(answer["answer"], indent=None)), as_text(told, "dim")])
