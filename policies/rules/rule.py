"""What a rule is: what it asks, why, how to mend, and the function that judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .resource import UNKNOWN, Resource, Stack, kind_of

Level = Literal["mandatory", "advisory"]


@dataclass(frozen=True)
class Problem:
    """One property that a rule refuses."""

    property: str
    """Its path, such as `rules[0].status`."""
    value: Any
    allowed: str
    fix: str = ""
    """What to do here, where the rule's own remedy can be said more exactly."""
    urn: str = ""
    """Of the resource, where a rule looks at a whole stack."""


@dataclass(frozen=True)
class About:
    """What every rule says of itself."""

    name: str
    asks: str
    """One sentence."""
    reason: str
    """What goes wrong without it; one sentence."""
    remedy: str
    """What to write, here or in the resource's component."""
    level: Level = "mandatory"


@dataclass(frozen=True)
class ResourceRule:
    """Judges one resource by what the program asks for."""

    about: About
    types: tuple[str, ...]
    """Empty: every type."""
    judge: Callable[[Resource], Iterator[Problem]]

    def applies_to(self, type_: str) -> bool:
        return not self.types or kind_of(type_) in self.types


@dataclass(frozen=True)
class StackRule:
    """Judges what stands beside what; only a whole stack shows it."""

    about: About
    judge: Callable[[Stack], Iterator[Problem]]


Rule = ResourceRule | StackRule


def message(about: About, resource: Resource | None, problem: Problem) -> str:
    """What a person reads: resource, property, value, what is allowed, what to do."""
    who = f"{short(resource.type)} {resource.name}" if resource is not None else "this stack"
    return (
        f"{who}: {problem.property} is {shown(problem.value)}; allowed: {problem.allowed}; "
        f"fix: {problem.fix or about.remedy}; rule {about.name}"
    )


def short(type_: str) -> str:
    """s3.Bucket of aws:s3/bucket:Bucket."""
    _, _, rest = type_.partition(":")
    module, _, name = rest.partition(":")
    return f"{module.partition('/')[0]}.{name}" if name else type_


def shown(value: Any) -> str:
    """A value in a message: short, numbers as a person writes them."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 80 else f'"{value[:77]}..."'
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(shown(inner) for inner in value[:5])}{', ...' if len(value) > 5 else ''}]"
    return str(value)


def must_be(resource: Resource, wanted: Any, *path: str | int, allowed: str = "") -> Iterator[Problem]:
    """A problem unless the value at the path is the wanted one, or not known yet."""
    value = resource.get(*path)
    if value is not UNKNOWN and value != wanted:
        yield Problem(dotted(*path), value, allowed or shown(wanted))


def must_be_given(resource: Resource, *path: str | int, allowed: str) -> Iterator[Problem]:
    """A problem unless something stands at the path; what is not known yet stands there."""
    value = resource.get(*path)
    if value is not UNKNOWN and (value is None or value == "" or value == []):
        yield Problem(dotted(*path), value, allowed)


def dotted(*path: str | int) -> str:
    """a.b[0].c"""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")
