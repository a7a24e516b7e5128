"""Options and look-ups that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.output import say
from infra.registry.target import Target, TargetError, resolve

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
MinuteSecondsOption = Annotated[
    float,
    typer.Option(
        "--minute-seconds", min=0, help="Real seconds that a minute of the emulated cloud takes while a release waits."
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option("--target", help="Where to act: rehearsal (the default when one is served), dev, staging or prod."),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", help="The AWS profile to use with --target dev|staging|prod.")
]


def root() -> Path:
    """The checkout: the folder above the current one that holds Pulumi.yaml. From the project folder of a rehearsal,
    which has a copy, it is the checkout that the folder belongs to.

    Raises TargetError outside of a checkout.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "stacks").is_dir():
            code = folder / "infra"
            return code.resolve().parent if code.is_symlink() else folder
    raise TargetError(f"{here} is not inside a Mainstage checkout (no Pulumi.yaml above it); change into one")


def target(name: str | None, profile: str | None, *, as_json: bool) -> Target:
    """Resolves the target and says which one it is."""
    found = resolve(root(), name, profile)
    say(f"target: {found}", "dim", as_json=as_json)
    return found
