"""URNs as the engine forms them: `urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`, and aliases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
STACK_REFERENCE_TYPE = "pulumi:pulumi:StackReference"


@dataclass(frozen=True)
class Alias:
    """Another URN that a resource may have had.

    Empty parts mean "as now"; `no_parent` means directly under the stack.
    """

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource. The stack's own type never stands in a child's URN."""
    parent_type = qualified_type(parent) if parent else ""
    if parent_type and parent_type != STACK_TYPE:
        type_ = f"{parent_type}${type_}"
    return f"urn:pulumi:{stack}::{project}::{type_}::{name}"


def qualified_type(urn: str) -> str:
    """`a:b:Parent$c:d:Child`."""
    return urn.split("::", 3)[2]


def type_of(urn: str) -> str:
    """The resource's own type, without its parents'."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def name_of(urn: str) -> str:
    """The logical name."""
    return urn.split("::", 3)[3]


def package_of(type_or_token: str) -> str:
    """The package that serves a type or function token; a provider resource belongs to the package that it
    configures.
    """
    if type_or_token.startswith(PROVIDER_PREFIX):
        return type_or_token.removeprefix(PROVIDER_PREFIX)
    return type_or_token.split(":", 1)[0]


def is_provider(type_: str) -> bool:
    """Whether the type is that of a provider resource."""
    return type_.startswith(PROVIDER_PREFIX)


def is_default_provider(urn: str) -> bool:
    """Whether the URN is that of a provider that no program registers: the engine makes it where none is given."""
    name = name_of(urn)
    return is_provider(type_of(urn)) and (name == "default" or name.startswith("default_"))


def split_reference(reference: str) -> tuple[str, str]:
    """A provider reference, `<urn>::<id>`, as (urn, id)."""
    urn, _, id_ = reference.rpartition("::")
    return urn, id_


def aliases_of(urn: str, aliases: Iterable[Alias], parent: str, parent_aliases: Iterable[str]) -> list[str]:
    """Every URN under which a resource may stand in old state: its own aliases, multiplied by its parent's.

    A child whose name starts with its parent's name follows the parent's rename.
    """
    stack, project = urn.split("::", 3)[0].removeprefix("urn:pulumi:"), urn.split("::", 3)[1]
    own_type, own_name = type_of(urn), name_of(urn)

    def collapse(alias: Alias) -> str:
        if alias.urn:
            return alias.urn
        parent_urn = "" if alias.no_parent else alias.parent or parent
        return make(
            alias.stack or stack, alias.project or project, parent_urn, alias.type or own_type, alias.name or own_name
        )

    def inherited(type_: str, name: str, parent_alias: str) -> str:
        parent_name = name_of(parent) if parent else ""
        if parent_name and name.startswith(parent_name):
            name = name_of(parent_alias) + name[len(parent_name) :]
        return make(stack, project, parent_alias, type_, name)

    found = [collapse(alias) for alias in aliases]
    own = list(found)
    for parent_alias in parent_aliases:
        found.append(inherited(own_type, own_name, parent_alias))
        found.extend(inherited(type_of(alias), name_of(alias), parent_alias) for alias in own)
    return [alias for alias in dict.fromkeys(found) if alias != urn]
