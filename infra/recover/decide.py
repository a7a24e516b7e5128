"""What becomes of a pending operation, from what was found in AWS. No calls, no clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.recover.operations import CREATING, Operation

READY, BUSY, FAILED = "ready", "busy", "failed"


@dataclass(frozen=True)
class Found:
    """A thing in AWS that may be what an operation made."""

    id: str
    differs: tuple[str, ...] = ()
    """Where it is not what the operation asked for; empty: it is."""
    state: str = READY
    """ready; busy: AWS is still making it; failed: AWS has given it up."""
    status: str = ""
    """AWS's own word."""

    def __str__(self) -> str:
        return f"{self.id} ({self.status})" if self.status else self.id


@dataclass(frozen=True)
class Decision:
    """What is done about an operation."""

    act: str
    """import: into the state. forget: the operation is dropped. remove: dropped, and the thing deleted. wait: AWS is
    still at work. refuse: a person decides."""
    operation: Operation = field(hash=False)
    reason: str
    id: str = ""
    candidates: tuple[str, ...] = ()
    """The ids that a person chooses from."""

    def as_json(self) -> dict[str, Any]:
        return {
            "act": self.act,
            "operation": self.operation.kind,
            "type": self.operation.type,
            "urn": self.operation.urn,
            "id": self.id,
            "reason": self.reason,
            "candidates": list(self.candidates),
        }

    def __str__(self) -> str:
        there = f" {self.id}" if self.id else ""
        return f"{self.act} {self.operation}{there}: {self.reason}"


def decide(
    operation: Operation,
    found: Sequence[Found] | None,
    *,
    named: bool = False,
    known_ids: Collection[str] = (),
    live_inputs: Mapping[str, Any] | None = None,
) -> Decision:
    """Decides about one operation.

    found: what AWS has; None: there is no rule that finds things of this type.
    named: AWS has one thing of a name only, so that one that differs stands in the way.
    known_ids: the ids of this type that the state knows. live_inputs: those of a resource that stands under the same
    URN in the state.
    """
    if operation.kind != CREATING:
        return Decision("forget", operation, f"was {operation.kind}: the state has it, and refresh sees what it is now")
    if not operation.in_aws:
        return Decision("forget", operation, "stands in the state only; up registers it")
    if found is None:
        return Decision(
            "refuse", operation, "nothing here knows how to find one of its type; look in AWS whether there is one"
        )
    strangers = [each for each in found if each.id not in known_ids]
    ours = [each for each in strangers if not each.differs]
    if live_inputs is not None and dict(live_inputs) == dict(operation.inputs):
        return _made_again(operation, ours)
    if len(ours) > 1:
        ids = tuple(sorted(each.id for each in ours))
        return Decision("refuse", operation, f"{len(ids)} fit: {', '.join(ids)}; say which one it is", candidates=ids)
    if ours:
        return _one(operation, ours[0])
    if named and strangers:
        other = strangers[0]
        reason = f"{other} has the name and is not what was asked for: {'; '.join(other.differs)}"
        return Decision("refuse", operation, reason, candidates=(other.id,))
    return Decision("forget", operation, "AWS has none: the call never arrived, and up makes it")


def _one(operation: Operation, found: Found) -> Decision:
    if found.state == BUSY:
        return Decision("wait", operation, f"AWS is still making it ({found.status})", found.id)
    if found.state == FAILED:
        return Decision("remove", operation, f"AWS could not make it ({found.status}): up makes it anew", found.id)
    return Decision("import", operation, "AWS has it, the state does not", found.id)


def _made_again(operation: Operation, ours: Sequence[Found]) -> Decision:
    """An up without recover in between has made another one, which the state holds."""
    if not ours:
        return Decision("forget", operation, "the state has it: a later up made it")
    ids = ", ".join(sorted(each.id for each in ours))
    return Decision("forget", operation, f"a later up made another one, which the state has; left over in AWS: {ids}")


def chosen(decision: Decision, answers: Mapping[str, str]) -> Decision:
    """A refused decision as a person answered it. answers: by URN the id to take, "" to forget the operation.

    An answer is taken for what was refused only. Raises ValueError for an id that is none of several candidates.
    """
    operation = decision.operation
    if decision.act != "refuse" or operation.urn not in answers:
        return decision
    answer = answers[operation.urn]
    if not answer:
        return Decision("forget", operation, "as you said")
    if decision.candidates and answer not in decision.candidates:
        allowed = ", ".join(decision.candidates)
        raise ValueError(f"{operation.urn}: there is no {answer} to take; allowed are {allowed}")
    return Decision("import", operation, "as you said", answer)
