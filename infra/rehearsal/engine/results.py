"""What a run gives back: what was registered, what was done, what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """One line of progress. `kind` is "start", "done", "failed" or "log"; `seconds` is 0 at a start."""

    kind: str
    urn: str
    op: str
    seconds: float = 0.0
    message: str = ""


Progress = Callable[[Event], None]


@dataclass(frozen=True)
class Options:
    """The resource options that reached the engine."""

    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()
    delete_before_replace: bool | None = None
    replace_on_changes: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """URNs of every dependency, those from properties included; a component counts as its children."""
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    """URNs."""
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Hook names by moment: "before_create", "after_create", ..., "on_error"."""
    custom_timeouts: Mapping[str, float] = field(default_factory=dict)
    """Seconds by operation."""
    provider: str = ""
    """`<urn>::<id>` of the provider; empty for a component."""
    additional_secret_outputs: tuple[str, ...] = ()
    deleted_with: str = ""
    import_id: str = ""
    version: str = ""


@dataclass(frozen=True)
class Registered:
    """A resource that the program registered or read, as the engine saw it."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: dict[str, Any]
    """What the program asked for, camelCase, secrets unwrapped, unknown leaves `UNKNOWN`."""
    outputs: dict[str, Any]
    id: str
    """Empty for a component and where it is not known yet."""
    options: Options
    secrets: tuple[str, ...]
    """Property paths of secret inputs, then of secret outputs."""
    external: bool = False
    """True for what was read and is not managed (`get`, StackReference)."""


@dataclass(frozen=True)
class Step:
    """One thing that was done (or, in a preview, would be)."""

    op: str
    """create, update, same, delete, read, import, refresh, create-replacement, delete-replaced, or forget:

    it left the state alone.
    """
    urn: str
    keys: tuple[str, ...] = ()
    """The properties that differ."""
    replace_keys: tuple[str, ...] = ()
    """Those of them that force a replacement."""


@dataclass(frozen=True)
class Log:
    """A line that the program, a provider or the engine logged. `severity` is debug, info, warning or error."""

    severity: str
    message: str
    urn: str = ""


@dataclass(frozen=True)
class Failure:
    """One resource's failure, in the provider's own words."""

    urn: str
    op: str
    message: str

    def __str__(self) -> str:
        return f"{self.urn}: {self.message}" if self.urn else self.message


class RunFailed(Exception):
    """A run that failed in at least one resource. `failures` has them all, the first first."""

    def __init__(self, what: str, failures: Sequence[Failure]):
        self.failures = tuple(failures)
        super().__init__("\n".join([f"{what} failed:", *(f"  {failure}" for failure in self.failures)]))


class StateError(Exception):
    """The state file can't be used; the message says why and what to do."""


@dataclass
class Result:
    """What a run did."""

    stack: str
    changes: dict[str, int] = field(default_factory=dict)
    """Resources by operation: create, update, replace, delete, same, and read, import, refresh where there were any.
    The stack itself counts, as in the CLI's summary; default providers do not."""
    resources: list[Registered] = field(default_factory=list)
    """In the order in which they were finished, parents first. Without the stack itself and default providers."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's exports, secrets unwrapped; in a preview `UNKNOWN` where not known yet."""
    secret_outputs: tuple[str, ...] = ()
    """Names of exports that hold a secret."""
    steps: list[Step] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    invokes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Every function call that reached the engine: (token, arguments)."""
    error: BaseException | None = None
    seconds: float = 0.0

    def check(self) -> Result:
        """Raises the run's error, if it had one; gives itself back otherwise."""
        if self.error is not None:
            raise self.error
        return self

    def of_type(self, type_: str) -> list[Registered]:
        """Every resource of a type, for example "aws:sagemaker/endpoint:Endpoint"."""
        return [resource for resource in self.resources if resource.type == type_]

    def one(self, type_: str, name: str | None = None) -> Registered:
        """The only resource of a type (and name). LookupError names what there is."""
        found = [resource for resource in self.of_type(type_) if name is None or resource.name == name]
        if len(found) == 1:
            return found[0]
        known = [f"{resource.type}::{resource.name}" for resource in self.resources]
        wanted = type_ if name is None else f"{type_}::{name}"
        raise LookupError(f"{len(found)} resources are {wanted}; registered: {', '.join(known) or 'nothing'}")

    def named(self, name: str) -> Registered:
        """The only resource with a logical name."""
        found = [resource for resource in self.resources if resource.name == name]
        if len(found) == 1:
            return found[0]
        names = [resource.name for resource in self.resources]
        raise LookupError(f"{len(found)} resources are named {name!r}; registered: {', '.join(names) or 'nothing'}")

    def ops(self) -> dict[str, str]:
        """Operation by URN; of a replacement the creating half."""
        found: dict[str, str] = {}
        for step in self.steps:
            if step.op not in ("delete-replaced", "refresh") or step.urn not in found:
                found[step.urn] = step.op
        return found
