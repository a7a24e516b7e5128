"""What `pulumi` tells while it works, read from the lines it prints, and what a stack's state says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# " +  aws:s3/bucket:Bucket dev-registry creating (0s)"
_STEP = re.compile(r"^ *[-+~><=.]{1,2} +(?P<type>[\w-]+:\S+:\w+) (?P<name>\S+) (?P<doing>[a-z][a-z ]*[a-z])")
# "    + 75 created", "    +-3 replaced", "    75 unchanged", "    78 changes. 53 unchanged"
_COUNT = re.compile(r"^ +(?:[-+~><=]{1,2} ?)?(?:\d+ changes\. )?(?P<count>\d+) (?P<kind>[a-z]+)$")


def step(line: str) -> str | None:
    """ "creating dev-registry" of a line that tells of a resource; None of any other."""
    found = _STEP.match(line)
    return f"{found['doing']} {found['name']}" if found else None


def changes(output: str) -> dict[str, int]:
    """What a command counted under "Resources:": {"created": 75, "unchanged": 2}."""
    counted: dict[str, int] = {}
    lines = iter(output.splitlines())
    for line in lines:
        if line.strip() == "Resources:":
            break
    for line in lines:
        found = _COUNT.match(line)
        if not found:
            break
        counted[found["kind"]] = int(found["count"])
    return counted


# "  aws:sagemaker:Endpoint (churn-endpoint):"
_HEADING = re.compile(r"^  [\w-]+:\S+ \(.*\):$")
_STACK = "  pulumi:pulumi:Stack "


def diagnostics(output: str) -> str:
    """The part of a failed command's output that says why: policies that were violated and what stands under
    "Diagnostics:", or the end of it. What was refused comes first, then warnings, the stack's own lines last."""
    lines = output.strip().splitlines()
    policies = _under("Policies:", lines)
    sections = sorted(_sections(_under("Diagnostics:", lines)), key=_rank)
    told = [policies if "[mandatory]" in policies else "", "\n\n".join(sections)]
    return "\n".join(filter(None, told)) or "\n".join(lines[-20:])


def _sections(text: str) -> list[str]:
    """One text a resource, in pulumi's order: it lists resources as their first line came."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if _HEADING.match(line) or not found:
            found.append([])
        found[-1].append(line)
    return ["\n".join(lines).rstrip() for lines in found]


def _rank(section: str) -> int:
    if section.startswith(_STACK):
        return 2
    return 0 if "\n    error: " in section else 1


def _under(heading: str, lines: list[str]) -> str:
    """What stands indented under the last line that begins so."""
    starts = [number for number, line in enumerate(lines) if line.startswith(heading)]
    if not starts:
        return ""
    return "\n".join(itertools.takewhile(lambda line: not line or line[0] == " ", lines[starts[-1] + 1 :])).strip("\n")


@dataclass(frozen=True)
class Remaining:
    """A resource that a destroy left."""

    stack: str
    type: str
    name: str
    id: str
    protected: bool

    @property
    def reason(self) -> str:
        return "protected" if self.protected else "a protected one needs it"


def resources(state: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What an exported state holds that is in the cloud: no components, no stack, no provider, nothing only read."""
    held = (state.get("deployment") or {}).get("resources") or ()
    return [
        each
        for each in held
        if each.get("custom") and not each.get("external") and not each["type"].startswith("pulumi:providers:")
    ]


def remaining(stack: str, state: Mapping[str, Any]) -> list[Remaining]:
    """What is left of a stack, the protected first, by type and name."""
    found: Iterable[Remaining] = (
        Remaining(stack, each["type"], each["urn"].rpartition("::")[2], each.get("id", ""), bool(each.get("protect")))
        for each in resources(state)
    )
    return sorted(found, key=lambda each: (not each.protected, each.type, each.name))
