"""Runs a program with no cloud at all and gives back what it registered: the harness of component tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.rehearsal.engine.answers import Answer, Answers
from infra.rehearsal.engine.deployment import Policy
from infra.rehearsal.engine.engine import Engine
from infra.rehearsal.engine.program import Program
from infra.rehearsal.engine.results import Result
from infra.rehearsal.engine.values import Secret


def record(
    program: Program,
    stack: str = "platform-dev",
    config: Mapping[str, str] | None = None,
    preview: bool = False,
    stack_outputs: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    secret_keys: Sequence[str] = (),
    secret_outputs: Mapping[str, Sequence[str]] | None = None,
    answers: Mapping[str, Answer] | None = None,
    invokes: Mapping[str, Answer] | None = None,
    policies: Sequence[Policy] = (),
) -> Result:
    """Registers a program's resources and answers each at once; nothing exists and nothing is kept.

    `preview=True` leaves every computed output unknown. `stack_outputs` are the exports that a StackReference finds,
    by stack name, of which `secret_outputs` names the secret ones. `answers` and `invokes` override outputs by type
    and results by function token. An error of the program is in `Result.error`; `Result.check()` raises it.
    """
    engine = recording_engine(
        answers=answers, invokes=invokes, stack_outputs=stack_outputs, secret_outputs=secret_outputs, policies=policies
    )
    run = engine.preview if preview else engine.up
    return run(stack, program, config or {}, secret_keys)


def recording_engine(
    *,
    answers: Mapping[str, Answer] | None = None,
    invokes: Mapping[str, Answer] | None = None,
    stack_outputs: Mapping[str, Mapping[str, Any]] | None = None,
    secret_outputs: Mapping[str, Sequence[str]] | None = None,
    policies: Sequence[Policy] = (),
) -> Engine:
    """The engine behind `record`, for tests that run a program more than once over the same state."""
    wrapped = {
        stack: {
            key: Secret(value) if key in (secret_outputs or {}).get(stack, ()) else value
            for key, value in outputs.items()
        }
        for stack, outputs in (stack_outputs or {}).items()
    }
    provider = Answers(answers, invokes)
    return Engine(
        provider={"*": lambda: provider},
        policies=policies,
        # There is nothing that a hook could look at.
        call_hooks=False,
        stack_outputs=wrapped.get if stack_outputs is not None else None,
    )
