"""Rules of the default event bus and their targets, by region and name."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.events import patterns
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.rehearsal.cloud.cloud import Cloud

BUS = "default"


@dataclass
class Rule:
    """One rule. `pattern` is that of `settings`, parsed."""

    arn: str
    settings: dict[str, Any]
    """The members of PutRule."""
    pattern: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id, as PutTargets gave them, in the order in which they came."""

    @property
    def name(self) -> str:
        return self.settings["Name"]

    @property
    def enabled(self) -> bool:
        return self.settings["State"] != "DISABLED"

    def described(self) -> dict[str, Any]:
        """As ListRules gives it; DescribeRule adds who made it."""
        members = ("Name", "EventPattern", "State", "Description", "RoleArn", "ScheduleExpression")
        shown = {member: self.settings[member] for member in members if self.settings.get(member)}
        return {**shown, "Arn": self.arn, "EventBusName": BUS}


class Rules:
    """The rules of one cloud. Thread-safe where it answers; whoever changes a rule holds `lock`."""

    def __init__(self, cloud: Cloud):
        self.lock = threading.RLock()
        self.by_name: dict[tuple[str, str], Rule] = {}

    def close(self) -> None:
        """Nothing runs here."""

    def of(self, region: str) -> list[Rule]:
        """The region's rules in order of name."""
        with self.lock:
            return [self.by_name[key] for key in sorted(self.by_name) if key[0] == region]

    def get(self, region: str, name: str) -> Rule | None:
        with self.lock:
            return self.by_name.get((region, name))

    def matching(self, region: str, event: Mapping[str, Any]) -> list[tuple[Rule, list[dict[str, Any]]]]:
        """The rules that the event sets off, each with the targets that it has now."""
        with self.lock:
            return [
                (rule, [dict(target) for target in rule.targets.values()])
                for rule in self.of(region)
                if rule.enabled and patterns.matches(rule.pattern, event)
            ]


def rules_of(cloud: Cloud) -> Rules:
    return state_of(cloud, Rules)
