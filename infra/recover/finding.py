"""How a thing that AWS may have is looked for, and whether it is the one that an operation asked for.

In arguments, ids and comparisons, texts that begin with "=" and all other expressions are JMESPath over
`{asked: inputs of the operation, found: the thing, account, region}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from botocore.exceptions import ClientError
from jmespath.exceptions import JMESPathError

from infra.recover.decide import BUSY, FAILED, READY, Found
from infra.recover.operations import Operation

Clients = Callable[[str], Any]
"""A boto3 client by the name of its service."""

_SECRET = "4dabf18193072939515e22adb298388d"


class CannotLook(ValueError):
    """AWS, or what the operation recorded, does not let us look; the message says why."""


@dataclass(frozen=True)
class Look:
    """A call that lists or describes, and where in its answer the things are (a list, one thing, or nothing)."""

    service: str
    call: str
    """boto3's method."""
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    member: str = "@"
    missing: tuple[str, ...] = ()
    """What AWS answers when there is none: an error code, or code:words of its message."""
    decoded: Callable[[Any], Any] = lambda answer: answer


@dataclass(frozen=True)
class Remove:
    """The call that deletes a thing that AWS could not make."""

    service: str
    call: str
    arguments: Mapping[str, Any] = field(hash=False)
    command: str
    """The same for a person; JMESPath."""


@dataclass(frozen=True)
class Rule:
    """How things of one Pulumi type are found."""

    look: Look
    id: str
    """The id that the provider gives."""
    detail: Look | None = None
    """Describes one of what `look` lists."""
    same: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Inputs that tell it from others, and where AWS shows each."""
    tags: str | Look | None = None
    """Where its tags are: a map, or a list of Key and Value. None: it has none, or they say nothing."""
    named: bool = False
    """AWS has one of a name only."""
    within: bool = False
    """Its id is unique within what it belongs to, not in the account."""
    tags_late: bool = False
    """The tags come by a call after the create: a thing without any may be ours."""
    late: frozenset[str] = frozenset()
    """Inputs that come by a call after the create: AWS may not show them yet."""
    status: str = ""
    busy: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    """Statuses, in small letters. What is on its way out is not there."""
    remove: Remove | None = None
    every: Look | None = None
    """Lists all of the type in the account, whole or by name, for what no state knows."""
    left_out: bool = False
    """The provider leaves one that AWS could not make out of the state."""


@dataclass(frozen=True)
class Place:
    """Where things are looked for."""

    clients: Clients
    account: str
    region: str


def find(rule: Rule, operation: Operation, place: Place) -> list[Found]:
    """What AWS has that may be what the operation made. Raises CannotLook, ClientError."""
    scope = {"asked": plain(operation.inputs), "account": place.account, "region": place.region}
    found: list[Found] = []
    for thing in things(rule, rule.look, scope, place):
        here = {**scope, "found": thing}
        status = str(value(rule.status, thing) or "") if rule.status else ""
        if status.lower() in rule.gone:
            continue
        id = value(rule.id, here)
        if not id:
            raise CannotLook(f"{operation.urn}: {rule.look.service}.{rule.look.call} shows no id ({rule.id})")
        wanted = {**operation.default_tags, **(scope["asked"].get("tags") or {})}
        differs = (*_differences(rule, operation.inputs, thing), *_tag_differences(rule, wanted, here, place))
        found.append(Found(str(id), differs, state_of(rule, status), status))
    return found


def state_of(rule: Rule, status: str) -> str:
    """Busy, failed or ready, by AWS's word."""
    word = status.lower()
    return BUSY if word in rule.busy else FAILED if word in rule.failed else READY


def things(rule: Rule, look: Look, scope: Mapping[str, Any], place: Place) -> Iterator[Any]:
    """What a look lists, each described."""
    for thing in ask(look, scope, place):
        if rule.detail is None:
            yield thing
            continue
        try:
            yield from ask(rule.detail, {**scope, "found": thing}, place)
        except ClientError as error:
            # A key of somebody else's that we may not even look at is not ours.
            if error_code(error) not in ("AccessDenied", "AccessDeniedException"):
                raise


def ask(look: Look, scope: Mapping[str, Any], place: Place) -> list[Any]:
    """Makes the call, all its pages. Raises ClientError, CannotLook."""
    client, arguments = place.clients(look.service), filled(look.arguments, scope)
    try:
        if client.can_paginate(look.call):
            answer = client.get_paginator(look.call).paginate(**arguments).build_full_result()
        else:
            answer = getattr(client, look.call)(**arguments)
    except ClientError as error:
        if is_missing(look, error):
            return []
        raise
    found = value(filled(look.member, scope), look.decoded(answer))
    return found if isinstance(found, list) else [] if found is None else [found]


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(look: Look, error: ClientError) -> bool:
    """Whether AWS says with this error that the thing is not there."""
    message = str(error.response.get("Error", {}).get("Message", ""))
    for one in look.missing:
        code, _, words = one.partition(":")
        if error_code(error) == code and words in message:
            return True
    return False


def filled(template: Any, scope: Mapping[str, Any]) -> Any:
    """A template with values in the places of its expressions. Raises CannotLook where there is no value."""
    if isinstance(template, Mapping):
        return {key: filled(item, scope) for key, item in template.items()}
    if isinstance(template, list):
        return [filled(item, scope) for item in template]
    if not isinstance(template, str) or not template.startswith("="):
        return template
    try:
        found = value(template[1:], scope)
    except JMESPathError:  # a part of a text has no value
        found = None
    if found is None:
        raise CannotLook(f"the operation records no {template[1:].removeprefix('asked.')} to look by")
    return found


def value(expression: str, scope: Any) -> Any:
    return jmespath.search(expression, scope)


def plain(inputs: Any) -> Any:
    """Inputs without secrets: nothing is looked for by what is encrypted in the state."""
    if isinstance(inputs, Mapping):
        kept = {key: plain(item) for key, item in inputs.items()}
        return {key: item for key, item in kept.items() if not (isinstance(item, Mapping) and _SECRET in item)}
    return [plain(item) for item in inputs] if isinstance(inputs, list) else inputs


def _differences(rule: Rule, inputs: Mapping[str, Any], thing: Any) -> Iterator[str]:
    for name, expression in rule.same.items():
        wanted, there = inputs.get(name), value(expression, thing)
        if isinstance(wanted, Mapping) and _SECRET in wanted:  # says nothing
            continue
        if (wanted is None and there in (None, "")) or (there is None and name in rule.late):
            continue
        if _comparable(wanted) != _comparable(there):
            yield f"{name}: asked {_shown(wanted)}, found {_shown(there)}"


def _tag_differences(rule: Rule, wanted: Mapping[str, str], here: Mapping[str, Any], place: Place) -> Iterator[str]:
    live = tags_of(rule, here, place)
    if live is None or (rule.tags_late and not live):
        return
    for key, text in sorted(wanted.items()):
        if live.get(key) != text:
            yield f"tag {key}: asked {_shown(text)}, found {_shown(live.get(key))}"


def tags_of(rule: Rule, here: Mapping[str, Any], place: Place) -> dict[str, str] | None:
    """The tags of a thing; None when the rule does not look at them."""
    if rule.tags is None:
        return None
    found = [value(rule.tags, here["found"])] if isinstance(rule.tags, str) else ask(rule.tags, here, place)
    return dict(_pairs(found))


def _pairs(found: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for each in found:
        if isinstance(each, list):
            yield from _pairs(each)
        elif isinstance(each, Mapping):
            pair = {key.lower().removeprefix("tag"): item for key, item in each.items()}
            if pair.keys() == {"key", "value"}:
                yield pair["key"], pair["value"]
            else:
                yield from each.items()


def _comparable(item: Any) -> Any:
    if isinstance(item, list):
        return sorted(json.dumps(_comparable(each), sort_keys=True) for each in item)
    if isinstance(item, bool) or item is None:
        return item
    if isinstance(item, int | float):
        return float(item)
    return item if isinstance(item, Mapping) else str(item)


def _shown(item: Any) -> str:
    return "nothing" if item in (None, "") else str(item)
