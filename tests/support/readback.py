"""Reads back what a program asked for: each property of each resource, found by boto3 from outside.

`readback_table.py` says where each property is seen. It is written by hand from AWS's API references, on purpose not
from the emulated provider's rows: a row that writes to the wrong place would read from there too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jmespath
from botocore.exceptions import ClientError
from pulumi.runtime.proto import provider_pb2 as pb

from infra.program import program_for
from infra.rehearsal.engine import Engine, Registered, Result
from infra.rehearsal.engine.answers import Answers
from infra.rehearsal.engine.state import State
from infra.rehearsal.engine.values import from_struct, to_struct
from infra.settings import stack_config, stack_file

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Look:
    """A call that describes a resource, and where in its answer the resource is (JMESPath).

    In arguments and member, `{id}` is the resource's id, `{parts[1]}` a part of it between colons, `{arn}` its ARN,
    `{region}` and `{account}` where it is, any other name a property that the program asked for. `decoded` turns the
    answer into what the member is looked for in.
    """

    service: str
    call: str
    arguments: Mapping[str, Any]
    member: str = "@"
    decoded: Change = lambda answer: answer

    def uses(self, name: str) -> bool:
        return f"{{{name}}}" in json.dumps(self.arguments)


@dataclass(frozen=True)
class At:
    """Where a property is seen. `asked` and `found` turn both sides into what can be compared."""

    member: str
    look: Look | None = None
    """None: the resource's own look."""
    asked: Change = lambda value: value
    found: Change = lambda value: value


@dataclass(frozen=True)
class Nowhere:
    """A property that no API of AWS shows."""

    reason: str


def any_order(member: str) -> At:
    """A list whose order says nothing."""
    return At(member, asked=sorted, found=sorted)


def policy(member: str, look: Look | None = None) -> At:
    """A JSON document, compared as what it says; boto3 decodes some of IAM's."""
    return At(member, look, asked=_document, found=_document)


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


class InTheCall:
    """A property that is an argument of the resource's look: it was found under this very value."""


IN_THE_CALL = InTheCall()
Place = str | At | Nowhere | InTheCall


@dataclass(frozen=True)
class Row:
    """Where each property of a type is seen.

    Properties are paths of what the program sends: `[]` for each element of a list of blocks. A property may be a whole
    block or map. `tags`: the call that lists the tags, None for what AWS gives no tags; `arn`: where in the look's
    answer the ARN is, for that call; `implied`: what must be seen though no property says it.
    """

    look: Look
    properties: Mapping[str, Place]
    tags: Look | None = None
    arn: str = ""
    implied: Mapping[str, Any] = field(default_factory=dict)


Table = Mapping[str, Row]

_NOT_FOUND = frozenset({"EntityNotFoundException", "ResourceNotFound", "NoSuchBucketPolicy"})
"""Codes for what is not there, besides those with NotFound in their name."""


@dataclass(frozen=True)
class Asked:
    """A resource as the program asked for it, with the id and ARN that the cloud gave it."""

    resource: Registered
    default_tags: Mapping[str, str]

    @property
    def type(self) -> str:
        return self.resource.type

    @property
    def inputs(self) -> Mapping[str, Any]:
        return self.resource.inputs


class _Replayed(Answers):
    """Answers a program with the ids and computed outputs that a served rehearsal's resources have."""

    def __init__(self, known: Mapping[str, Any]):
        super().__init__()
        self._known = known

    def Create(self, request: Any, context: Any) -> Any:
        state = self._known.get(request.urn)
        if state is None:
            return super().Create(request, context)
        asked = from_struct(request.properties)
        computed = {name: value for name, value in state.outputs.items() if name not in asked}
        return pb.CreateResponse(id=state.id, properties=to_struct({**asked, **computed}))


def asked_of(root: Path, environment: str, state_file: Path) -> list[Asked]:
    """Every AWS resource of both layers, as the program sends it when it meets the ids of the served rehearsal.

    AssertionError when the rehearsal has other resources than the program registers.
    """
    state = State(state_file, project="mainstage", organization="organization")
    found: list[Asked] = []
    outputs: dict[str, Mapping[str, Any]] = {}
    for layer in ("platform", "models"):
        stack = f"{layer}-{environment}"
        known = {item.urn: item for item in state.resources(stack)}
        provider = _Replayed(known)
        # What is replayed has nothing that a hook could look at.
        engine = Engine(provider={"*": lambda provider=provider: provider}, stack_outputs=outputs.get, call_hooks=False)
        result = engine.up(stack, program_for(stack, root), stack_config(stack_file(root, stack))).check()
        outputs[stack] = result.outputs
        asked = resources_of(result)
        deployed = {urn for urn, item in known.items() if item.type.startswith("aws:")}
        assert {each.resource.urn for each in asked} == deployed
        found += asked
    return found


def resources_of(result: Result) -> list[Asked]:
    """The AWS resources of a run."""
    provider = result.one("pulumi:providers:aws")
    tags = provider.inputs["defaultTags"]
    default = (json.loads(tags) if isinstance(tags, str) else tags)["tags"]
    return [Asked(each, default) for each in result.resources if each.type.startswith("aws:")]


def unnamed(table: Table, resource: Registered) -> list[str]:
    """What a resource asks for and the table does not name, as "type: property"."""
    row = table.get(resource.type)
    if row is None:
        return [f"{resource.type}: the whole type"]
    known = {*row.properties, *(("tags",) if row.tags else ())}
    return [f"{resource.type}: {path}" for path in paths(resource.inputs, known)]


def paths(value: Any, known: set[str] | frozenset[str] = frozenset(), at: str = "") -> Iterator[str]:
    """Paths of the leaves that no path of `known` covers; a path covers all below it."""
    if at in known:
        return
    if isinstance(value, Mapping) and (value or not at):
        for name, inner in value.items():
            yield from paths(inner, known, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        seen = dict.fromkeys(path for inner in value for path in paths(inner, known, f"{at}[]"))
        yield from seen
    else:
        yield at


def covered(inputs: Mapping[str, Any], path: str) -> bool:
    """Whether a resource asks for the property at all."""
    return _given(take(inputs, path))


def _given(value: Any) -> bool:
    if isinstance(value, list):
        return not value or any(_given(each) for each in value)
    return value is not None


def take(document: Any, path: str) -> Any:
    """What stands at a path; for `blocks[].name` the name of each block, None where one has none."""
    head, each, rest = path.partition("[]")
    value = jmespath.search(head, document) if head and document is not None else document
    if not each or value is None:
        return value
    rest = rest.removeprefix(".")
    return [take(inner, rest) if rest else inner for inner in value]


class Reader:
    """Looks at resources through boto3. `client` makes a client of a service."""

    def __init__(self, table: Table, client: Callable[[str], Any]):
        self._table = table
        self._client = client
        self._clients: dict[str, Any] = {}

    def differences(self, asked: Asked) -> list[str]:
        """Where the cloud shows something else than was asked for, each as a line."""
        row, where = self._table[asked.type], f"{asked.type} {asked.resource.name}"
        main = self.see(row.look, asked)
        if main is None:
            return [f"{where}: not found by {row.look.service}.{row.look.call}"]
        arn = take(main, row.arn) if row.arn else ""
        lines = []
        for path, place in row.properties.items():
            wanted = take(asked.inputs, path)
            if not _given(wanted):
                continue
            if isinstance(place, InTheCall):
                assert row.look.uses(path), f"{asked.type}: {path} is no argument of {row.look.call}"
            elif not isinstance(place, Nowhere):
                place = At(place) if isinstance(place, str) else place
                seen = take(main if place.look is None else self.see(place.look, asked, arn), place.member)
                lines += _compare(f"{where}: {path}", place.asked(wanted), place.found(seen))
        for path, wanted in row.implied.items():
            lines += _compare(f"{where}: {path}", wanted, take(main, path))
        if row.tags is not None:
            expected = {**asked.default_tags, **(asked.inputs.get("tags") or {})}
            lines += _compare(f"{where}: tags", expected, _tag_map(self.see(row.tags, asked, arn)))
        return lines

    def see(self, look: Look, asked: Asked, arn: str = "") -> Any:
        client = self._client_of(look.service)
        words = {
            "arn": arn,
            "region": client.meta.region_name,
            "account": self._account_id,
            **{name: value for name, value in asked.inputs.items() if isinstance(value, str)},
            "id": asked.resource.id,
            "parts": asked.resource.id.split(":"),
        }
        try:
            answer = getattr(client, look.call)(**_filled(look.arguments, words))
        except ClientError as error:
            if "NotFound" in (code := error.response["Error"]["Code"]) or code in _NOT_FOUND:
                return None
            raise
        return jmespath.search(look.member.format_map(words), look.decoded(answer))

    def _client_of(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._client(service)
        return self._clients[service]

    @cached_property
    def _account_id(self) -> str:
        return self._client_of("sts").get_caller_identity()["Account"]


def _filled(template: Any, words: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        return template.format_map(words)
    if isinstance(template, Mapping):
        return {name: _filled(value, words) for name, value in template.items()}
    return [_filled(value, words) for value in template]


def _compare(where: str, wanted: Any, seen: Any) -> list[str]:
    return [] if _agree(wanted, seen) else [f"{where}: asked for {wanted!r}, found {seen!r}"]


def _agree(wanted: Any, seen: Any) -> bool:
    """Equal; of a list of blocks only those elements are compared that ask for something."""
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(
            one is None or _agree(one, other) for one, other in zip(wanted, seen, strict=True)
        )
    return (type(wanted) is type(seen) and wanted == seen) or (_number(wanted) and _number(seen) and wanted == seen)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tag_map(tags: Any) -> dict[str, str]:
    """Tags in any of the forms that AWS's services have."""
    if isinstance(tags, Mapping):
        return dict(tags)
    return {tag.get("Key", tag.get("TagKey")): tag.get("Value", tag.get("TagValue")) for tag in tags or ()}
