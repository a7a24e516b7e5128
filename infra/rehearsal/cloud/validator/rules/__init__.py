"""Rules that no model states: limits between fields, and limits that AWS's documents give in words only.

A rule is a generator over the parameters of one operation. It runs after the shapes found every value well-typed;
fields
may be absent, and with `partial` they may be absent because nobody knows them yet, so a rule never asks for a field
that `partial` may have taken.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.rehearsal.cloud.validator.findings import Finding

Params = Mapping[str, Any]
Rule = Callable[[Params, bool], Iterator[Finding]]

_rules: dict[tuple[str, str], list[Rule]] = {}


def rule(service: str, *operations: str) -> Callable[[Rule], Rule]:
    """Registers a rule: `function(params, partial)` yields findings."""

    def register(function: Rule) -> Rule:
        for operation in operations:
            _rules.setdefault((service, operation), []).append(function)
        return function

    return register


def check(service: str, operation: str, params: Params, *, partial: bool) -> Iterator[Finding]:
    """What the rules have against a call."""
    for function in _all().get((service, operation), ()):
        yield from function(params, partial)
    yield from tags(params)


def tags(params: Params) -> Iterator[Finding]:
    """Tags of any call: no key twice, none of the prefix that AWS keeps for itself, at most 50.

    https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    """
    for path, keys in _tag_keys(params):
        if len(keys) > 50:
            yield Finding(path, f"has {len(keys)} tags, at most 50 are allowed")
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            yield Finding(path, f"has the tag key {key!r} {keys.count(key)} times; a key may stand once")
        for key in keys:
            if key.lower().startswith("aws:"):
                yield Finding(path, f"has the tag key {key!r}; the prefix aws: is reserved for AWS")


def _tag_keys(params: Params) -> Iterator[tuple[str, list[str]]]:
    for name in ("Tags", "tags"):
        given = params.get(name)
        if isinstance(given, Mapping):
            yield name, [str(key) for key in given]
        elif isinstance(given, list):
            yield name, _keys_of(given)
    specifications = params.get("TagSpecifications")
    for index, specification in enumerate(specifications if isinstance(specifications, list) else ()):
        yield f"TagSpecifications[{index}].Tags", _keys_of(specification.get("Tags") or [])


def _keys_of(entries: list[Any]) -> list[str]:
    found = []
    for entry in entries:
        key = (entry.get("Key") or entry.get("key")) if isinstance(entry, Mapping) else None
        if isinstance(key, str):
            found.append(key)
    return found


@functools.cache
def _all() -> Mapping[tuple[str, str], list[Rule]]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _rules
