"""`mainstage recover`: clear up after an update that was killed, before it makes things a second time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from infra.cli import common
from infra.cli.output import emit, fail, say
from infra.cli.screen import as_text
from infra.registry.target import REHEARSAL, Target, TargetError, resolve
from infra.settings import LAYERS

if TYPE_CHECKING:  # only when the command runs
    from infra.recover import Pulumi, Recovered
    from infra.recover.orphans import Orphan

Stack = Annotated[str | None, typer.Option("--stack", help="One stack. Default: both of the target's environment.")]
Answer = Annotated[
    list[str] | None,
    typer.Option("--take", metavar="URN=ID", help="Of what was refused: this one is the stack's. Repeatable."),
]
Nothing = Annotated[
    list[str] | None,
    typer.Option("--forget", metavar="URN", help="Of what was refused: none of it is the stack's. Repeatable."),
]


def recover(
    stack: Stack = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, say what would be done.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Also delete what AWS could not make and no state knows (with --yes).")
    ] = False,
    take: Answer = None,
    forget: Nothing = None,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Find what a killed pulumi left half done in AWS, and take it into the state. Deletes nothing that works."""
    from infra import recover as recovering
    from infra.recover import orphans as left

    pulumi, where = _place(target, profile)
    say(f"target: {where}", "dim", as_json=as_json)

    def tell(line: str) -> None:
        say(as_text(line), as_json=as_json)

    stacks = _stacks(stack, where)
    answers = _answers(take or [], forget or [], stacks)
    done: list[Recovered] = []
    found: list[Orphan] = []
    for name in stacks:
        own = {urn: answer for urn, answer in answers.items() if _is_of(urn, name)}
        if yes:
            each = recovering.recover(pulumi, name, where, tell, answers=own, must_exist=stack is not None)
        else:
            each = recovering.plan(pulumi, name, where, own, must_exist=stack is not None)
        taken = {decision.id for decision in each.decisions} | {
            one for decision in each.decisions for one in decision.candidates
        }
        if clean and yes:
            left.clean(each.state, where, tell, taken=taken)
        done.append(each)
        found += left.orphans(each.state, where, taken=taken)
    shown = {"stacks": [each.as_json() for each in done], "orphans": [_orphan(each) for each in found]}
    emit(shown, as_json=as_json, render=lambda _: _lines(done, found, acted=yes, clean=clean))
    waiting = [each for each in done if each.open]
    if waiting:
        told = "\n".join(recovering.what_to_do(each, where) for each in waiting)
        fail(told, as_json=as_json)
        raise typer.Exit(1)


def _place(name: str | None, profile: str | None) -> tuple[Pulumi, Target]:
    """The pulumi and the account. Raises TargetError."""
    from infra.recover.checkout import CheckoutPulumi
    from infra.rehearsal import cloud_control

    root = common.root()
    if name is not None and name != REHEARSAL:
        return CheckoutPulumi(root), resolve(root, name, profile)
    running = cloud_control.find(root)
    if running is None:
        raise TargetError(
            "no emulated cloud runs, so there is nothing of it to recover "
            "(or name an AWS environment: --target dev --profile PROFILE)"
        )
    return cloud_control.prepare(running), running.target


def _stacks(stack: str | None, where: Target) -> list[str]:
    """Those that are looked at. Raises TargetError for one that is not the target's."""
    of_target = [f"{layer}-{where.environment}" for layer in LAYERS]
    if stack is None:
        return of_target
    if stack.rpartition("/")[2] not in of_target:
        raise TargetError(
            f"--stack {stack}: the target is {where.environment}, whose stacks are {' and '.join(of_target)} "
            "(another environment's: --target ENVIRONMENT --profile PROFILE)"
        )
    return [stack]


def _is_of(urn: str, stack: str) -> bool:
    """Whether a resource is of a stack, which may be named with its organization and project."""
    return urn.startswith(f"urn:pulumi:{stack.rpartition('/')[2]}::")


def _answers(take: list[str], forget: list[str], stacks: list[str]) -> dict[str, str]:
    """By URN the id, "" for none. Raises TargetError."""
    answers = dict.fromkeys(forget, "")
    for each in take:
        urn, _, id = each.rpartition("=")
        if not urn.startswith("urn:pulumi:") or not id:
            raise TargetError(f"--take {each!r}: write it as URN=ID, in single quotes: 'urn:pulumi:…=vpc-0123'")
        if answers.setdefault(urn, id) != id:
            raise TargetError(f"two answers for {urn}: say one of --take and --forget, once")
    for urn in forget:
        if not urn.startswith("urn:pulumi:"):
            raise TargetError(f"--forget {urn!r}: write the URN, in single quotes: 'urn:pulumi:…'")
    for urn in answers:
        if not any(_is_of(urn, stack) for stack in stacks):
            raise TargetError(f"{urn} is of none of the stacks looked at: {', '.join(stacks)}")
    return answers


def _orphan(orphan: Orphan) -> dict[str, Any]:
    return {
        "type": orphan.type,
        "id": orphan.id,
        "status": orphan.status,
        "removable": orphan.removable,
        "command": orphan.command,
    }


def _lines(done: list[Recovered], found: list[Orphan], *, acted: bool, clean: bool) -> Text:
    lines: list[Text] = []
    for each in done:
        if not each.decisions and not each.guards:
            lines.append(as_text(f"{each.stack}: nothing is left of an interrupted update"))
        if each.decisions and not acted:
            lines.append(as_text(f"{each.stack}: an update was interrupted; mainstage recover --yes would"))
            lines += [as_text(f"  {decision}") for decision in each.decisions]
        if not acted:
            lines += [as_text(f"{each.stack}: {mend}; mainstage recover --yes puts them back") for mend in each.guards]
    lines += [as_text(str(each)) for each in found]
    if clean and not acted:
        failed = ", ".join(each.id for each in found if each.removable)
        told = f"--clean deletes nothing without --yes; with it: {failed}"
        lines.append(as_text(told if failed else "--clean: there is nothing for it to delete"))
    return Text("\n").join(lines)
