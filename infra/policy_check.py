"""The policy pack in process: over the graph that a run has recorded, without a CLI and without an account.

Pulumi runs the same rules with `--policy-pack policies`; docs/guides/policies.md has the three ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from infra import settings
from infra.program import program_for
from infra.rehearsal.engine import UNKNOWN, Registered, Result, record
from infra.rehearsal.engine.urns import split_reference
from policies import rules
from policies.exceptions import Exceptions, read
from policies.judging import EXCEPTIONS, Judge, Violation

EXCEPTIONS_FILE = Path("policies") / "exceptions.yaml"

_PROVIDER = "pulumi:providers:"

_ANSWERS = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
"""What the recorder's made-up answers lack: a prefix list that looks like one."""


class NotRecorded(ValueError):
    """A stack has no graph to judge: its program failed; the message names the stack and has the program's words."""


@dataclass(frozen=True)
class Checked:
    """One stack and what the rules found."""

    stack: str
    resources: int
    violations: tuple[Violation, ...]


def check(root: Path, environments: Sequence[str] = settings.ENVIRONMENTS, today: date | None = None) -> list[Checked]:
    """Both layers of each environment, recorded from the files under `root` and judged. `today` decides which
    exceptions have expired; what is wrong with their file itself, `file_problems` tells. Raises NotRecorded."""
    today = today or date.today()
    exceptions = replace(_exceptions(root, today), problems=())
    found = []
    for environment in environments:
        platform = recorded(root, f"platform-{environment}")
        models = recorded(root, f"models-{environment}", platform)
        found += [_judged(result, Judge(exceptions, today)) for result in (platform, models)]
    return found


def file_problems(root: Path, today: date | None = None) -> list[str]:
    """What is wrong with the file of exceptions, whatever the stacks register: entries that are malformed, and those
    that are for none of the checkout's stacks."""
    read_now = _exceptions(root, today or date.today())
    stacks = [f"{layer}-{environment}" for environment in settings.ENVIRONMENTS for layer in settings.LAYERS]
    nowhere = [
        f"{each.where}: urn is {each.urn!r}, which is for no stack; allowed: {', '.join(stacks)}"
        for each in read_now.allowances
        if not any(map(each.is_for, stacks))
    ]
    return [f"{text}; rule {EXCEPTIONS.name}" for text in (*read_now.problems, *nowhere)]


def recorded(root: Path, stack: str, platform: Result | None = None, *, preview: bool = False) -> Result:
    """The graph of a stack. The models layer needs the run of its platform. Raises NotRecorded."""
    config = settings.stack_config(settings.stack_file(root, stack))
    outputs = None if platform is None else {platform.stack: platform.outputs}
    program = program_for(stack, root)
    result = record(program, stack, config, preview=preview, answers=_ANSWERS, stack_outputs=outputs)
    if result.error is not None:
        raise NotRecorded(f"{stack}: {result.error}") from result.error
    return result


def _judged(result: Result, judge: Judge) -> Checked:
    """What the rules find in the graph of a run that has ended well."""
    stack = as_stack(result.stack, result.resources)
    return Checked(result.stack, len(stack.resources), tuple(judge.everything(stack)))


def _exceptions(root: Path, today: date) -> Exceptions:
    """Those of a checkout."""
    return read(root / EXCEPTIONS_FILE, [rule.about.name for rule in rules.RULES], today)


class Policing:
    """The pack in one run of the in-process engine, as Pulumi runs it: a mandatory rule stops the resource that breaks
    it before anything is done to it; `at_the_end` has what only the whole stack shows."""

    def __init__(self, root: Path, today: date | None = None):
        today = today or date.today()
        self._judge = Judge(_exceptions(root, today), today)
        self._providers: dict[str, dict[str, Any]] = {}

    def __call__(self, registered: Registered) -> list[str]:
        if registered.type.startswith(_PROVIDER):
            self._providers[registered.urn] = registered.inputs
        resource = _as_resource(registered, self._providers)
        return [
            violation.text
            for rule in self._judge.rules
            if isinstance(rule, rules.ResourceRule) and rule.about.level == "mandatory"
            for violation in self._judge.resource(rule, resource)
        ]

    def at_the_end(self, result: Result) -> Checked:
        """All rules over a run that has ended well."""
        return _judged(result, self._judge)


def as_stack(name: str, registered: Iterable[Registered]) -> rules.Stack:
    """A recorded graph as the rules see it. What was only read (`get`, a StackReference) is somebody else's."""
    found = list(registered)
    providers = {each.urn: each.inputs for each in found if each.type.startswith(_PROVIDER)}
    return rules.Stack(name, tuple(_as_resource(each, providers) for each in found if not each.external))


def _as_resource(registered: Registered, providers: dict[str, dict[str, Any]]) -> rules.Resource:
    reference = registered.options.provider
    return rules.Resource(
        urn=registered.urn,
        type=registered.type,
        name=registered.name,
        properties=_plain(registered.inputs),
        protect=registered.options.protect,
        provider=_plain(providers.get(split_reference(reference)[0], {})) if reference else {},
        needs=registered.options.property_dependencies,
    )


def _plain(value: Any) -> Any:
    if value is UNKNOWN:
        return rules.UNKNOWN
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
