"""What comes next, as commands about releases tell it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from infra.cli.screen import as_text
from infra.registry.target import Target
from infra.releases.words import release_command


def release_next(where: Target) -> list[str]:
    """The one step that is left when the catalog asks for what is to serve."""
    return [f"release what the catalog asks for: {release_command(where)}"]


def with_steps(told: str, steps: Sequence[str]) -> Text:
    """What was done, and the steps after it; numbered when there are several."""
    if len(steps) == 1:
        return as_text(f"{told}\nNext: {steps[0]}")
    return as_text("\n".join([told, "Next:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]))
