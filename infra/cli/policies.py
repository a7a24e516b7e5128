"""`mainstage policies …`: the policy pack over every stack, without the Pulumi CLI and without an account."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from infra.cli import common
from infra.cli.output import emit, fail
from infra.cli.screen import as_text

app = typer.Typer(help="Run the policy pack over the stacks, offline.", no_args_is_help=True)


@app.command("check")
def check(as_json: common.JsonOption = False) -> None:
    """Judge what every stack file and model file would register, in all environments; report every violation.

    Pulumi runs the same rules on a live stack: pulumi preview --policy-pack policies.
    """
    from infra import policy_check
    from policies.rules import RULES

    problems = policy_check.file_problems(common.root())
    checked = policy_check.check(common.root())
    violations = [{"stack": each.stack, "message": str(found)} for each in checked for found in each.violations]
    result = {
        "ok": not (problems or violations),
        "rules": len(RULES),
        "resources": {each.stack: each.resources for each in checked},
        "exceptions": problems,
        "violations": violations,
    }
    if not result["ok"] and not as_json:
        fail("\n".join([*problems, *(f"{each['stack']}: {each['message']}" for each in violations)]))
    else:
        emit(result, as_json=as_json, render=_render)
    if not result["ok"]:
        raise typer.Exit(1)


def _render(result: dict[str, Any]) -> Text:
    counted = sum(result["resources"].values())
    return as_text(
        f"{result['rules']} rules over {counted} resources of {', '.join(result['resources'])}: none is broken"
    )
