"""Our own six stacks pass, with no exception."""

from __future__ import annotations

from datetime import date

import pytest
from policy_cases import ROOT, graph

from infra.policy_check import EXCEPTIONS_FILE, as_stack, check, recorded
from infra.settings import ENVIRONMENTS, LAYERS
from policies.exceptions import Exceptions, read
from policies.judging import Judge
from policies.rules import RULES, ResourceRule

TODAY = date(2026, 11, 21)


def test_there_are_no_exceptions() -> None:
    assert read(ROOT / EXCEPTIONS_FILE, [rule.about.name for rule in RULES], TODAY) == Exceptions()


def test_all_six_stacks_pass() -> None:
    checked = check(ROOT, today=TODAY)
    assert [each.stack for each in checked] == [f"{layer}-{name}" for name in ENVIRONMENTS for layer in LAYERS]
    assert [str(violation) for each in checked for violation in each.violations] == []
    assert all(each.resources > 60 for each in checked)


@pytest.mark.parametrize("stack", ["platform-prod", "models-prod"])
def test_a_preview_passes_where_much_is_not_known_yet(stack: str) -> None:
    layer, _, environment = stack.partition("-")
    platform = None if layer == "platform" else recorded(ROOT, f"platform-{environment}")
    previewed = as_stack(stack, recorded(ROOT, stack, platform, preview=True).resources)
    assert previewed.has_unknowns
    assert [str(found) for found in Judge(Exceptions(), TODAY).everything(previewed)] == []


def test_nearly_every_rule_has_something_to_judge_here() -> None:
    """What has nothing is for other stacks, and for layers to come."""
    types = {resource.type for stack in ("platform-prod", "models-prod") for resource in graph(stack).resources}
    idle = [
        rule.about.name
        for rule in RULES
        if isinstance(rule, ResourceRule) and rule.types and types.isdisjoint(rule.types)
    ]
    assert idle == ["chart-pinned"]
