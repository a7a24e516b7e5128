"""`mainstage rehearse-up` and `rehearse-down`: both layers of an environment, by the unmodified `pulumi`, offline."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table
from rich.text import Text

from infra.cli import common
from infra.cli.output import console, emit, fail, say
from infra.cli.rehearse import Environment, environment_of, leave, showing
from infra.cli.screen import as_text

if TYPE_CHECKING:  # a second of imports: only when a command runs
    from infra.rehearsal.standing import Left, StackDone, Stood

STOPPED = 130
"""Exit code after Ctrl-C, SIGTERM or SIGHUP, as of every command."""

_KINDS = ("created", "updated", "replaced", "deleted", "unchanged")


def rehearse_up(environment: Environment = "dev", as_json: common.JsonOption = False) -> None:
    """Bring both layers up with the real pulumi, in an emulated AWS that stays. No account needed."""
    from infra.rehearsal import standing

    asked = environment_of(environment)
    with _interruptible(as_json), showing() as tell:
        done = standing.up(common.root(), asked, tell, lambda line: say(line, as_json=as_json))
    emit(done.as_dict() if as_json else done, as_json=as_json, render=_stood)


def rehearse_down(environment: Environment = "dev", as_json: common.JsonOption = False) -> None:
    """Destroy what rehearse-up made, with the real pulumi; what is protected remains and is listed."""
    from infra.rehearsal import standing

    asked = environment_of(environment)
    with _interruptible(as_json), showing() as tell:
        left = standing.down(common.root(), asked, tell, lambda line: say(line, as_json=as_json))
    shown = {
        "environment": left.environment,
        "stacks": {each.stack: {"changes": each.changes, "seconds": each.seconds} for each in left.stacks},
        "remaining": [
            {"stack": each.stack, "type": each.type, "name": each.name, "id": each.id, "reason": each.reason}
            for each in left.remaining
        ],
        "cloud_stopped": left.cloud_stopped,
    }
    emit(shown if as_json else left, as_json=as_json, render=_left)


@contextlib.contextmanager
def _interruptible(as_json: bool) -> Iterator[None]:
    """After Ctrl-C pulumi has stopped in order; the emulated cloud stays, with what stands in it."""
    try:
        yield
    except KeyboardInterrupt:
        fail(
            "stopped; pulumi has ended what it had under way. Run the same again to go on; what may run still: "
            "mainstage cloud status",
            as_json=as_json,
        )
        leave(STOPPED)


def _stood(done: Stood) -> None:
    running = done.running
    where = f"{running.endpoint_url} (account {running.account_id}, {running.region})"
    parts: list[Any] = [
        Text.assemble((running.environment, "bold"), as_text(f" stands in emulated AWS at {where}")),
        _table(done.stacks),
    ]
    if done.registered:
        parts.append(as_text(f"registered: {', '.join(done.registered)}"))
    parts += [as_text(f"front door: {done.front_door_url}"), "", Text("Try", "bold")]
    lines = [done.try_it] if done.try_it else []
    if done.try_it:
        lines.append(f"mainstage predictions latency {done.try_it.split()[2]}")
    parts += [as_text(f"  .venv/bin/{line}") for line in lines]
    parts += [
        '  eval "$(.venv/bin/mainstage cloud env)"   # then pulumi and aws work on it, from this shell',
        as_text(f"  make rehearse-down ENV={running.environment}"),
    ]
    _print(parts)


def _left(left: Left) -> None:
    if not left.stacks:
        return _print(["no emulated cloud runs, so nothing stands"])
    parts: list[Any] = [_down_table(left)]
    if not left.remaining:
        return _print([*parts, f"Nothing remains of {left.environment}; its emulated cloud is stopped."])
    kept = [each for each in left.remaining if each.protected]
    needed = Counter(each.type for each in left.remaining if not each.protected)
    parts += [
        "",
        as_text(f"{len(kept)} are protected (mainstage:deletion_protection is on in {left.environment}):", "bold"),
        *_columns([(each.stack, each.type, each.name) for each in kept]),
    ]
    if needed:
        listed = ", ".join(f"{count} {kind.rpartition(':')[2]}" for kind, count in sorted(needed.items()))
        parts.append(as_text(f"{needed.total()} more remain because these need them: {listed}"))
    return _print(
        [
            *parts,
            "",
            f"Bring the rest up again: make rehearse-up ENV={left.environment}",
            "Forget all of it, with the emulated cloud: .venv/bin/mainstage cloud stop",
            "How a real environment is removed for good: docs/going-to-aws.md",
        ]
    )


def _print(parts: list[Any]) -> None:
    """One below the other. Lines are never broken: a person pastes commands from them."""
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str | Text), crop=False)


def _columns(rows: list[tuple[str, ...]]) -> list[Text]:
    """Lines under each other. A table would cut names to the width of the screen, and names are pasted."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        as_text("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()) for row in rows
    ]


def _down_table(left: Left) -> Table:
    """Without pulumi's "unchanged", which counts components, and nothing where nothing was left to delete."""
    table = Table(Column("stack", no_wrap=True), "deleted", "remain in AWS", "seconds", box=None, header_style="bold")
    remaining = Counter(each.stack for each in left.remaining)
    for each in left.stacks:
        deleted = str(each.changes.get("deleted", 0))
        table.add_row(each.stack, deleted, str(remaining[each.stack]), f"{each.seconds:.1f}")
    return table


def _table(done: list[StackDone]) -> Table:
    table = Table(Column("stack", no_wrap=True), *_KINDS, "seconds", box=None, header_style="bold")
    for each in done:
        table.add_row(each.stack, *(str(each.changes.get(kind, 0)) for kind in _KINDS), f"{each.seconds:.1f}")
    return table
