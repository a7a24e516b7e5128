"""What recovering looks for, in an account that has everything: each thing is found, and taken for no other."""

from __future__ import annotations

import pytest
from engine_world import MODELS, PLATFORM, EngineWorld

from infra.recover.decide import decide
from infra.recover.finding import Place, find
from infra.recover.flow import known_ids
from infra.recover.operations import CREATING, Operation, resources_of, stack_tags
from infra.recover.orphans import orphans
from infra.recover.rules import RULES


@pytest.mark.parametrize("stack", [PLATFORM, MODELS])
def test_every_resource_of_dev_is_told_from_all_others(standing: EngineWorld, stack: str) -> None:
    """As if each had been under way alone: it is found, and nothing else is."""
    state, target = standing.cli.state(stack), standing.target
    place, tags = Place(target.client, target.account_id, target.region), stack_tags(state)
    resources = [each for each in resources_of(state) if each["type"].startswith("aws:")]
    assert len(resources) > 50
    wrong = []
    for each in resources:
        rule, operation = RULES[each["type"]], Operation(CREATING, each, tags)
        others = [other for other in resources if other is not each]
        known = known_ids({"deployment": {"resources": others}}, operation)
        decision = decide(operation, find(rule, operation, place), named=rule.named, known_ids=known)
        if (decision.act, decision.id) != ("import", each["id"]):
            wrong.append(str(decision))
    assert wrong == []
    assert orphans(state, target) == []
