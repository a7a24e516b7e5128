"""The `mainstage` command: rehearse the platform, ship a model, look at what serves."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version

import typer
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli import (
    catalog,
    cloud,
    drill,
    model,
    pager,
    policies,
    predict,
    predictions,
    recover,
    rehearse,
    rehearse_layers,
    release,
    release_history,
    release_status,
    restore_guards,
)
from infra.cli.arguments import AnyArgument
from infra.cli.output import console, document, fail

STOPPED = 130
"""Exit code after Ctrl-C, SIGTERM or SIGHUP."""

app = typer.Typer(
    name="mainstage",
    help="Your company's AI platform on AWS: rehearse it offline, bring it up, ship models onto it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("rehearse")(rehearse.rehearse)
app.command("up")(rehearse.up)
app.command("rehearse-up")(rehearse_layers.rehearse_up)
app.command("rehearse-down")(rehearse_layers.rehearse_down)
app.command("recover")(recover.recover)
app.command("predict", cls=AnyArgument)(predict.predict)
app.add_typer(cloud.app, name="cloud")
for part in (release.app, restore_guards.app, release_status.app, release_history.app):
    model.app.add_typer(part)  # without a name: its commands are those of `model`
app.add_typer(model.app, name="model")
app.add_typer(catalog.app, name="catalog")
app.add_typer(predictions.app, name="predictions")
app.add_typer(pager.app, name="pager")
app.add_typer(policies.app, name="policies")
app.add_typer(drill.app, name="drill")


@app.callback(invoke_without_command=True)
def root(show_version: bool = typer.Option(False, "--version", help="Print the release and exit.")) -> None:
    if show_version:
        console.print(version("mainstage"))
        raise typer.Exit


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line. A person's mistake or AWS's refusal is one line and exit code 1; a bug is a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    document.begin()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # As Ctrl-C does: what is open is closed, children end, scratch folders go.
        signal.signal(number, _stop)
    try:
        app(args=words)
    except SystemExit as ended:
        if ended.code == STOPPED:  # typer makes it of a KeyboardInterrupt
            fail("stopped; nothing is left running on this machine", as_json=as_json)
        elif as_json and (refused := _command_line(ended)):
            document.write({"error": refused})
        raise
    except (ClientError, BotoCoreError, OSError) as error:
        fail(str(error), as_json=as_json)
        sys.exit(1)
    except Exception as error:
        if not type(error).__module__.startswith(("infra.", "mainstage.", "mainstage_runtime.")):
            raise
        fail(str(error), as_json=as_json, details=getattr(error, "details", None))
        sys.exit(1)


def _command_line(ended: SystemExit) -> str:
    """What was wrong with the command line, where that is why it ended: typer has told a person already."""
    told = getattr(ended.__context__, "format_message", None)
    return told() if told is not None else ""
