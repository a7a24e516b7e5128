"""The resource graph of a rehearsal: which component takes values from which, laid out in columns. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

STACK_TYPE = "pulumi:pulumi:Stack"


class Resource(Protocol):
    @property
    def urn(self) -> str: ...
    @property
    def parent(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def dependencies(self) -> Sequence[str]: ...


@dataclass
class Node:
    """A component with the resources that it makes itself (those of a component inside it are that one's)."""

    urn: str
    name: str
    kind: str
    resources: Counter[str] = field(default_factory=Counter)
    """Type -> how many."""
    column: int = 0
    row: int = 0

    @property
    def count(self) -> int:
        return sum(self.resources.values())


@dataclass(frozen=True)
class Graph:
    nodes: Sequence[Node]
    edges: Sequence[tuple[int, int]]
    """(from, to) by position in `nodes`: `from` takes values from `to`."""

    @property
    def columns(self) -> int:
        return max((node.column for node in self.nodes), default=-1) + 1

    @property
    def rows(self) -> int:
        return max((node.row for node in self.nodes), default=-1) + 1


def graph_of(resources: Sequence[Resource]) -> Graph:
    """The component graph of one stack.

    A component stands right of everything it takes values from. What takes values from each other in a circle (two
    components may: one's role from the other's bucket, and back) stays in the column that was found first.
    """
    by_urn = {each.urn: each for each in resources}
    nodes: dict[str, Node] = {}
    for each in resources:
        if each.type == STACK_TYPE or each.type.startswith("pulumi:providers:"):
            continue
        owner = _owner(each, by_urn)
        if owner is None or each.urn == owner.urn:
            continue
        node = nodes.setdefault(owner.urn, Node(owner.urn, owner.name, short_type(owner.type)))
        if not is_component(each.type):
            node.resources[short_type(each.type)] += 1
    nodes = {urn: node for urn, node in nodes.items() if node.resources}
    needs = _needs(resources, by_urn, nodes)
    _place(nodes, needs)
    order = {urn: position for position, urn in enumerate(nodes)}
    edges = sorted((order[urn], order[other]) for urn, others in needs.items() for other in others)
    return Graph(list(nodes.values()), edges)


def is_component(kind: str) -> bool:
    return kind.startswith("mainstage:")


def short_type(kind: str) -> str:
    """`aws:iam/role:Role` is a Role."""
    return kind.rpartition(":")[2]


def _owner(resource: Resource, by_urn: Mapping[str, Resource]) -> Resource | None:
    """The nearest component that a resource belongs to; the resource itself when it stands alone in the stack."""
    at = by_urn.get(resource.parent)
    while at is not None and at.type != STACK_TYPE:
        if is_component(at.type):
            return at
        at = by_urn.get(at.parent)
    return resource if is_component(resource.type) else None


def _needs(
    resources: Sequence[Resource], by_urn: Mapping[str, Resource], nodes: Mapping[str, Node]
) -> dict[str, set[str]]:
    needs: dict[str, set[str]] = {urn: set() for urn in nodes}
    for each in resources:
        owner = _owner(each, by_urn)
        if owner is None or owner.urn not in nodes:
            continue
        for urn in each.dependencies:
            other = by_urn.get(urn)
            provider = None if other is None else _owner(other, by_urn)
            if provider is not None and provider.urn != owner.urn and provider.urn in nodes:
                needs[owner.urn].add(provider.urn)
    return needs


def _place(nodes: Mapping[str, Node], needs: Mapping[str, set[str]]) -> None:
    columns: dict[str, int] = {}

    def column(urn: str, above: frozenset[str]) -> int:
        if urn not in columns:
            others = sorted(needs[urn] - above - {urn})
            columns[urn] = max((column(other, above | {urn}) + 1 for other in others), default=0)
        return columns[urn]

    filled: Counter[int] = Counter()
    for urn in nodes:
        nodes[urn].column = column(urn, frozenset())
    for urn in sorted(nodes, key=lambda each: nodes[each].name):
        nodes[urn].row = filled[nodes[urn].column]
        filled[nodes[urn].column] += 1
