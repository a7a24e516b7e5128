"""What carries a stack's tags and is in no state of it: AWS could not make it, or an answer was lost.

The provider records an endpoint only when it serves, and a delivery stream only when it is active. One that failed on
the way stays in AWS, keeps its name, and fails the next up with "already exists".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.recover.decide import BUSY, FAILED
from infra.recover.finding import Place, Rule, ask, filled, state_of, tags_of, things, value
from infra.recover.operations import resources_of, stack_tags
from infra.recover.rules import RULES
from infra.registry.target import Target

OWN_TAGS = ("mainstage:environment", "mainstage:layer", "mainstage:managed-by")
"""The default tags that name a stack; without all of them nothing is taken for a stack's own."""


@dataclass(frozen=True)
class Orphan:
    """A thing in AWS that nobody's state knows."""

    type: str
    id: str
    status: str
    """AWS's own word; empty where it has none."""
    state: str
    """ready, busy or failed."""
    command: str
    """What deletes it."""

    @property
    def removable(self) -> bool:
        """Whether it may be deleted without asking: AWS could not make it, so it serves nobody and stores nothing."""
        return self.state == FAILED

    def __str__(self) -> str:
        status = f" ({self.status})" if self.status else ""
        if self.removable:
            advice = "AWS could not make it; mainstage recover --clean --yes removes it"
        elif self.state == BUSY:
            advice = "AWS is still making it; look again when it is done"
        else:
            advice = f"it may serve or hold something; look at it, then: {self.command}"
        return f"{self.type} {self.id}{status}: no state knows it; {advice}"


def orphans(
    state: Mapping[str, Any], target: Target, *, left_out: bool = False, taken: Collection[str] = ()
) -> list[Orphan]:
    """The orphans of a stack. Raises ClientError.

    left_out: only the types that the provider leaves out of the state when they fail, which takes two calls.
    taken: ids that somebody answers for already.
    """
    wanted = stack_tags(state)
    if not all(wanted.get(key) for key in OWN_TAGS):
        return []
    mark = {key: wanted[key] for key in OWN_TAGS}
    known = {str(each["id"]) for each in resources_of(state) if each.get("id")} | set(taken)
    place = Place(target.client, target.account_id, target.region)
    found = []
    for type_token, rule in sorted(RULES.items()):
        if rule.every is None or (left_out and not rule.left_out):
            continue
        found += [each for each, _ in _of_type(type_token, rule, mark, place) if each.id not in known]
    return found


def clean(
    state: Mapping[str, Any], target: Target, say: Callable[[str], None], *, taken: Collection[str] = ()
) -> list[Orphan]:
    """Deletes the orphans that may be deleted without asking, and returns them. Raises ClientError."""
    removed = []
    for orphan in orphans(state, target, taken=taken):
        if not orphan.removable:
            continue
        rule = RULES[orphan.type]
        place = Place(target.client, target.account_id, target.region)
        for again, scope in _of_type(orphan.type, rule, {}, place):
            # Once more as it is now: what is not failed any more stays.
            if again == orphan:
                delete(rule, scope, target)
                say(f"removed {orphan.type} {orphan.id} ({orphan.status})")
                removed.append(orphan)
    return removed


def delete(rule: Rule, scope: Mapping[str, Any], target: Target) -> None:
    """Deletes the thing of `scope`."""
    assert rule.remove is not None
    getattr(target.client(rule.remove.service), rule.remove.call)(**filled(rule.remove.arguments, scope))


def _of_type(
    type_token: str, rule: Rule, mark: Mapping[str, str], place: Place
) -> Iterator[tuple[Orphan, Mapping[str, Any]]]:
    """Everything of a type that carries the tags, with what its expressions are evaluated on."""
    assert rule.every is not None
    scope: dict[str, Any] = {"asked": {}, "account": place.account, "region": place.region}
    for listed in things(rule, rule.every, scope, place):
        whole = ask(rule.look, {**scope, "asked": {"name": listed}}, place) if isinstance(listed, str) else [listed]
        for thing in whole:
            here = {**scope, "found": thing}
            status = str(value(rule.status, thing) or "") if rule.status else ""
            if status.lower() in rule.gone:
                continue
            live = tags_of(rule, here, place) or {}
            if all(live.get(key) == text for key, text in mark.items()):
                command = str(value(rule.remove.command, here)) if rule.remove else ""
                id = str(value(rule.id, here))
                yield Orphan(type_token, id, status, state_of(rule, status), command), here
