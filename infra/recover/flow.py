"""Clears up after an update that was killed: what it made goes into the state, or is removed, or a person is asked.
Guard alarms that are live again and missing in the state go back into it (guards.py).

    recover_before(pulumi, "platform-dev", target, say)       # acts; Unresolved stops what would follow
    plan(pulumi, "platform-dev", target)                      # only looks

A bare `pulumi up` makes such things a second time, without a word (docs/decisions/0008-recover-before-up.md).
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from botocore.exceptions import ClientError

from infra.recover.decide import Decision, Found, chosen, decide
from infra.recover.edit import edited
from infra.recover.finding import CannotLook, Place, ask, find
from infra.recover.guards import Mend, mends, unguarded
from infra.recover.guards import edited as with_guards
from infra.recover.locks import Lock, left_behind, locks_in, locks_of
from infra.recover.operations import CREATING, Operation, accounts_of, ids_of, operations_of, resources_of
from infra.recover.orphans import delete, orphans
from infra.recover.rules import RULES
from infra.registry.target import Target

WAIT_SECONDS = 3600.0
"""How long AWS may take for what it is still making: an endpoint takes minutes, the provider waits 60."""
POLL_SECONDS = 15.0
SETTLE_SECONDS, EMULATED_SETTLE_SECONDS = 20.0, 1.5
"""Before a thing is called missing we look again after that time: AWS shows new things late, and a provider that has
outlived its engine may still be trying."""

Say = Callable[[str], None]


class Unresolved(ValueError):
    """Something is left that a person has to decide: nothing may be brought up before. The message says what to do."""

    def __init__(self, message: str, decisions: Sequence[Decision] = ()):
        super().__init__(message)
        self.details = {"decisions": [each.as_json() for each in decisions]}


class Ended(Protocol):
    """A command that has ended."""

    @property
    def code(self) -> int: ...
    @property
    def stdout(self) -> str: ...
    @property
    def told(self) -> str: ...


class Pulumi(Protocol):
    """Runs `pulumi` commands in a project: the rehearsal's Cli, or one for a real backend."""

    def try_run(self, *arguments: str) -> Ended: ...
    def environment(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Recovered:
    """What was done, or would be."""

    stack: str
    decisions: tuple[Decision, ...] = ()
    guards: tuple[Mend, ...] = ()
    """Endpoints whose guard alarms are live, and are or were missing in the state."""
    acted: bool = False
    state: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The exported state: as it is now."""

    @property
    def open(self) -> tuple[Decision, ...]:
        """What a person has to decide, or AWS has still to finish."""
        return tuple(each for each in self.decisions if each.act in ("refuse", "wait"))

    def as_json(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "acted": self.acted,
            "decisions": [each.as_json() for each in self.decisions],
            "guards": [each.endpoint for each in self.guards],
        }


def recover_before(pulumi: Pulumi, stack: str, target: Target, say: Say) -> Recovered:
    """Call it before every preview, up, refresh and destroy. Says nothing when nothing is left of an earlier one.

    Raises Unresolved when a person has to decide first, or when another update runs.
    """
    recovered = recover(pulumi, stack, target, say)
    try:
        for each in orphans(recovered.state, target, left_out=True):
            say(str(each))
    except ClientError as error:  # no reason to stop: the update would say so itself
        say(f"{stack}: cannot look for what failed creates left: {error}")
    return recovered


def plan(
    pulumi: Pulumi,
    stack: str,
    target: Target,
    answers: Mapping[str, str] | None = None,
    *,
    must_exist: bool = False,
) -> Recovered:
    """What would be done; nothing is. Raises Unresolved when an update runs, the state is another account's, or an
    answer is to no open operation."""
    _own_locks(pulumi, stack)
    state = state_of(pulumi, stack, must_exist=must_exist)
    decisions = tuple(_decided(state, stack, target, answers or {}))
    return Recovered(stack, decisions, _guards(state, stack, target), state=state)


def recover(
    pulumi: Pulumi,
    stack: str,
    target: Target,
    say: Say,
    *,
    answers: Mapping[str, str] | None = None,
    must_exist: bool = False,
    wait_seconds: float = WAIT_SECONDS,
) -> Recovered:
    """Decides about every pending operation and does it, and puts guard alarms that are live again back into the state.
    Raises Unresolved, and then nothing was done.

    answers: what a person says about operations that were refused, by URN: the id to take, or "" to forget it.
    must_exist: a stack that is not there is an error, not one without anything to recover.
    """
    if left := _own_locks(pulumi, stack):
        _unlock(pulumi, stack, left, say)
    state = state_of(pulumi, stack, must_exist=must_exist)
    operations = operations_of(state)
    if not operations:
        _check_answers(stack, operations, answers or {})
        return _mended(pulumi, Recovered(stack, state=state), target, say)
    say(f"{stack}: an update was interrupted, {len(operations)} operations are open")
    decisions = _waited_for(state, stack, target, answers or {}, say, wait_seconds)
    for each in decisions:
        say(str(each))
    result = Recovered(stack, tuple(decisions), acted=True)
    if result.open:
        raise Unresolved(what_to_do(result, target), result.open)
    result = replace(result, state=edited(state, decisions))
    _write(pulumi, stack, result.state, say)
    for each in decisions:
        if each.act == "remove":
            _remove(each, target, say)
    say(f"{stack}: recovered; up goes on from here")
    return _mended(pulumi, result, target, say)


def mend_guards(pulumi: Pulumi, stack: str, target: Target, say: Say) -> Recovered:
    """Puts guard alarms that are live again back into the state, and does nothing else.

    Raises Unresolved when the state cannot be read or written, or when an update was killed: an import of the state
    would forget what is open.
    """
    if _own_locks(pulumi, stack) or operations_of(state := state_of(pulumi, stack)):
        raise Unresolved(f"{stack}: an update was interrupted, and is cleared up first")
    return _mended(pulumi, Recovered(stack, state=state), target, say)


def _mended(pulumi: Pulumi, recovered: Recovered, target: Target, say: Say) -> Recovered:
    try:
        found = _guards(recovered.state, recovered.stack, target)
    except ClientError as error:  # no reason to stop: the update refuses what has no guards
        say(f"{recovered.stack}: cannot look for guard alarms that the state lacks: {error}")
        return recovered
    if not found:
        return recovered
    state = with_guards(recovered.state, found)
    _write(pulumi, recovered.stack, state, say)
    for each in found:
        say(f"{recovered.stack}: {each}: put back")
    return replace(recovered, guards=found, acted=True, state=state)


def _guards(state: Mapping[str, Any], stack: str, target: Target) -> tuple[Mend, ...]:
    if not unguarded(state):
        return ()
    _check_account(state, stack, target)
    return tuple(mends(state, target))


def command_of(stack: str, target: Target) -> str:
    """The command that recovers a stack."""
    where = "" if target.emulated else f" --target {target.environment} --profile {target.profile}"
    return f"mainstage recover --stack {stack}{where} --yes"


def what_to_do(recovered: Recovered, target: Target) -> str:
    """The words for a person whose decision is wanted."""
    command = command_of(recovered.stack, target)
    lines = [f"{recovered.stack}: nothing is brought up before these are decided"]
    for each in recovered.open:
        lines.append(f"- {each}")
        if each.act == "wait":
            lines.append(f"  when AWS is done: {command}")
            continue
        take = each.candidates[0] if each.candidates else "ID"
        lines.append(f"  it is this stack's: {command} --take {shlex.quote(f'{each.operation.urn}={take}')}")
        lines.append(f"  it is not, or you have deleted it: {command} --forget {shlex.quote(each.operation.urn)}")
    return "\n".join(lines)


def state_of(pulumi: Pulumi, stack: str, *, must_exist: bool = False) -> dict[str, Any]:
    """The exported state, secrets as ciphertexts; {} for a stack that is not there yet. Raises Unresolved."""
    done = pulumi.try_run("stack", "export", "--stack", stack)
    if done.code == 0:
        return json.loads(done.stdout)
    if "no stack named" in done.told and not must_exist:
        return {}
    if "no stack named" in done.told:
        backend = _backend(pulumi) or "of this login"
        raise Unresolved(f"{stack}: there is no such stack in the backend {backend}; pulumi stack ls shows which are")
    raise Unresolved(f"{stack}: its state cannot be read, so nothing is brought up: {done.told}")


def _waited_for(
    state: Mapping[str, Any], stack: str, target: Target, answers: Mapping[str, str], say: Say, wait_seconds: float
) -> list[Decision]:
    poll_seconds = 0.2 if target.emulated else POLL_SECONDS
    end = time.monotonic() + wait_seconds
    told: set[str] = set()
    settled = False
    while True:
        decisions = _decided(state, stack, target, answers)
        waiting = [each for each in decisions if each.act == "wait"]
        for each in waiting:
            if each.operation.urn not in told:
                say(f"{each}; waiting up to {wait_seconds:g} s")
                told.add(each.operation.urn)
        missing = any(
            each.act == "forget" and each.operation.kind == CREATING and each.operation.in_aws for each in decisions
        )
        if not waiting and missing and not settled:
            settled = True
            time.sleep(EMULATED_SETTLE_SECONDS if target.emulated else SETTLE_SECONDS)
            continue
        if not waiting or time.monotonic() >= end:
            return decisions
        time.sleep(poll_seconds)


def _decided(state: Mapping[str, Any], stack: str, target: Target, answers: Mapping[str, str]) -> list[Decision]:
    _check_account(state, stack, target)
    place = Place(target.client, target.account_id, target.region)
    live = {each["urn"]: each.get("inputs") or {} for each in resources_of(state) if not each.get("delete")}
    operations = operations_of(state)
    _check_answers(stack, operations, answers)
    return [chosen(_decide(each, state, live.get(each.urn), place), answers) for each in operations]


def _check_account(state: Mapping[str, Any], stack: str, target: Target) -> None:
    allowed = accounts_of(state)
    if allowed and target.account_id not in allowed:
        raise Unresolved(
            f"{stack}: its state belongs to account {', '.join(sorted(allowed))}, "
            f"but the target is account {target.account_id}: name the target of that account"
        )


def _check_answers(stack: str, operations: Sequence[Operation], answers: Mapping[str, str]) -> None:
    unknown = sorted(set(answers) - {each.urn for each in operations})
    if unknown:
        raise Unresolved(f"{stack}: no operation is open for {', '.join(unknown)}; see mainstage recover")


def known_ids(state: Mapping[str, Any], operation: Operation) -> frozenset[str]:
    """The ids that the state has, so that they are not what the operation made."""
    rule = RULES.get(operation.type)
    urn = operation.urn if rule is not None and rule.within else None
    return ids_of(state, operation.type, urn)


def _decide(
    operation: Operation, state: Mapping[str, Any], live_inputs: Mapping[str, Any] | None, place: Place
) -> Decision:
    rule = RULES.get(operation.type)
    found: list[Found] | None = None
    if operation.kind == CREATING and rule is not None:
        try:
            found = find(rule, operation, place)
        except (CannotLook, ClientError) as error:
            return Decision("refuse", operation, f"cannot look for it: {error}")
    return decide(
        operation,
        found,
        named=rule is not None and rule.named,
        known_ids=known_ids(state, operation),
        live_inputs=live_inputs,
    )


def _write(pulumi: Pulumi, stack: str, state: Mapping[str, Any], say: Say) -> None:
    """Imports the state. Raises Unresolved when Pulumi does not take it."""
    handle, name = tempfile.mkstemp(prefix="mainstage-state-", suffix=".json")  # readable by its owner only
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(state, file)
        done = pulumi.try_run("stack", "import", "--stack", stack, "--file", name)
        if done.code and (left := _own(locks_in(done.told), stack)):  # of a backend whose locks are no files
            _unlock(pulumi, stack, left, say)
            done = pulumi.try_run("stack", "import", "--stack", stack, "--file", name)
        if done.code:
            raise Unresolved(f"{stack}: the recovered state was not taken, nothing has changed: {done.told}")
    finally:
        Path(name).unlink(missing_ok=True)


def _own_locks(pulumi: Pulumi, stack: str) -> Sequence[Lock]:
    """What killed updates left. Raises Unresolved when another update may be running."""
    return _own(locks_of(_backend(pulumi), stack.rpartition("/")[2]), stack)


def _backend(pulumi: Pulumi) -> str:
    """Empty: the one that this machine is logged in to."""
    return pulumi.environment().get("PULUMI_BACKEND_URL", "")


def _own(locks: Sequence[Lock], stack: str) -> Sequence[Lock]:
    if not locks or left_behind(locks):
        return locks
    held = "; ".join(map(str, locks))
    raise Unresolved(
        f"{stack}: another update holds the lock: {held}. Wait for it. If you know that it is dead: "
        f"pulumi cancel --stack {stack}"
    )


def _unlock(pulumi: Pulumi, stack: str, left: Sequence[Lock], say: Say) -> None:
    done = pulumi.try_run("cancel", "--yes", "--stack", stack)
    if done.code:
        raise Unresolved(f"{stack}: the lock of the killed update stays: {done.told}")
    for each in left:
        say(f"{stack}: removed a lock left by {each}, which is gone")


def _remove(decision: Decision, target: Target, say: Say) -> None:
    """Deletes what AWS could not make. The state has forgotten it by then: what fails here is found as an orphan."""
    rule = RULES[decision.operation.type]
    place = Place(target.client, target.account_id, target.region)
    scope = {"asked": decision.operation.inputs, "account": target.account_id, "region": target.region}
    for thing in ask(rule.look, scope, place):
        delete(rule, {**scope, "found": thing}, target)
        say(f"removed {decision.operation} {decision.id}")
