"""`mainstage predict`: one request to a model's endpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.catalog.requests import request_problems
from infra.cli import common
from infra.cli.model import model_named
from infra.cli.output import emit
from infra.invoke import PredictError, ask
from infra.layers.names import endpoint_name


def predict(
    name: Annotated[str, typer.Argument(help="The model.", show_default=False)],
    data: Annotated[str, typer.Argument(help="The request: JSON, @FILE, or - for standard input.", show_default=False)],
    variant: Annotated[str | None, typer.Option(help="Ask this variant instead of one by weight.")] = None,
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
    if problems := request_problems(model.signature, body):
        raise PredictError("\n".join([f"the request does not fit the signature of {name}:", *problems]))
    answer = ask(where, endpoint_name(where.environment, name), body, variant)
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


def _render(answer: dict[str, Any]) -> str:
    shown = json.dumps(answer["answer"], ensure_ascii=False)
    return f"{shown}\n[dim]version {answer['version']}, variant {answer['variant']}, {answer['latency_ms']} ms[/dim]"
