"""EventBridge rules on the default bus. Schedules, other buses, archives and connections are refused as not carried.

Sources: EventBridge API reference, PutRule, DescribeRule, ListRules, DeleteRule, EnableRule, TagResource.
"""

from __future__ import annotations

import json
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.events import patterns
from infra.rehearsal.cloud.events.rules import BUS, Rule, rules_of
from infra.rehearsal.cloud.overlay import before, handler
from infra.rehearsal.cloud.overlay.answers import arn, page, picked, tag_list, tags_of

_SETTINGS = ("Name", "EventPattern", "State", "Description", "RoleArn")
_MOST_LISTED = 100
_NOT_CARRIED = (
    "CreateApiDestination",
    "CreateArchive",
    "CreateConnection",
    "CreateEventBus",
    "CreatePartnerEventSource",
    "PutPartnerEvents",
    "PutPermission",
    "StartReplay",
)


def _refuse(call: Call) -> None:
    raise AwsError("NotCarried", f"The emulated cloud does not carry events.{call.operation}.", 501)


for _operation in _NOT_CARRIED:
    before("events", _operation)(_refuse)


def check_bus(call: Call) -> None:
    """The default bus is the only one."""
    name = (call.params.get("EventBusName") or BUS).rpartition("/")[2]
    if name != BUS:
        raise AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.")


def rule_named(call: Call, name: str) -> Rule:
    """The rule. AwsError ResourceNotFoundException for one that is not there."""
    check_bus(call)
    rule = rules_of(call.cloud).get(call.region, name)
    if rule is None:
        raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {BUS}.")
    return rule


@handler("events", "PutRule")
def put_rule(call: Call) -> dict[str, Any]:
    """Makes the rule or replaces all of its settings. Targets stay; tags count for a new rule only."""
    check_bus(call)
    asked = call.params
    if asked.get("ScheduleExpression"):
        raise AwsError("NotCarried", "The emulated cloud does not carry rules on a schedule.", 501)
    if asked.get("RoleArn"):
        raise AwsError("NotCarried", "The emulated cloud does not carry rules with a role.", 501)
    pattern = _parsed(asked["EventPattern"])
    settings = {"State": "ENABLED", **picked(asked, _SETTINGS)}
    rules = rules_of(call.cloud)
    with rules.lock:
        rule = rules.by_name.get((call.region, asked["Name"]))
        if rule is None:
            made = Rule(arn(call, f"rule/{asked['Name']}"), settings, pattern, tags_of(asked.get("Tags")))
            rule = rules.by_name[call.region, asked["Name"]] = made
        else:
            rule.settings, rule.pattern = settings, pattern
    return {"RuleArn": rule.arn}


def _parsed(text: str) -> dict[str, Any]:
    try:
        return patterns.parse(text)
    except patterns.PatternError as refusal:
        raise AwsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {refusal}") from refusal
    except patterns.NotCarriedPattern as refusal:
        text = f"The emulated EventBridge does not carry patterns with {refusal}."
        raise AwsError("NotCarried", text, 501) from refusal


@handler("events", "DescribeRule")
def describe_rule(call: Call) -> dict[str, Any]:
    return {**rule_named(call, call.params["Name"]).described(), "CreatedBy": call.account_id}


@handler("events", "ListRules")
def list_rules(call: Call) -> dict[str, Any]:
    """In order of name."""
    check_bus(call)
    prefix = call.params.get("NamePrefix") or ""
    found = [rule.described() for rule in rules_of(call.cloud).of(call.region) if rule.name.startswith(prefix)]
    entries, token = page(found, call.params.get("NextToken"), call.params.get("Limit") or _MOST_LISTED)
    return {"Rules": entries, **({"NextToken": token} if token else {})}


@handler("events", "ListRuleNamesByTarget")
def list_rule_names_by_target(call: Call) -> dict[str, Any]:
    check_bus(call)
    wanted = call.params["TargetArn"]
    rules = rules_of(call.cloud)
    with rules.lock:
        found = [
            {"name": rule.name}
            for rule in rules.of(call.region)
            if any(target["Arn"] == wanted for target in rule.targets.values())
        ]
    entries, token = page(found, call.params.get("NextToken"), call.params.get("Limit") or _MOST_LISTED)
    return {"RuleNames": [entry["name"] for entry in entries], **({"NextToken": token} if token else {})}


@handler("events", "DeleteRule")
def delete_rule(call: Call) -> dict[str, Any]:
    """Deleting a rule that is not there succeeds; one that has targets is refused."""
    check_bus(call)
    rules = rules_of(call.cloud)
    with rules.lock:
        rule = rules.by_name.get((call.region, call.params["Name"]))
        if rule is not None and rule.targets:
            raise AwsError("ValidationException", "Rule can't be deleted since it has targets.")
        rules.by_name.pop((call.region, call.params["Name"]), None)
    return {}


@handler("events", "EnableRule")
def enable_rule(call: Call) -> dict[str, Any]:
    return _switch(call, "ENABLED")


@handler("events", "DisableRule")
def disable_rule(call: Call) -> dict[str, Any]:
    return _switch(call, "DISABLED")


def _switch(call: Call, state: str) -> dict[str, Any]:
    rule = rule_named(call, call.params["Name"])
    rule.settings = {**rule.settings, "State": state}
    return {}


@handler("events", "TestEventPattern")
def test_event_pattern(call: Call) -> dict[str, Any]:
    try:
        event = json.loads(call.params["Event"])
    except ValueError as error:
        raise AwsError("ValidationException", f"Event is not a valid JSON: {error}") from error
    return {"Result": patterns.matches(_parsed(call.params["EventPattern"]), event)}


@handler("events", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    _tagged(call).tags.update(tags_of(call.params["Tags"]))
    return {}


@handler("events", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    tags = _tagged(call).tags
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@handler("events", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> dict[str, Any]:
    return {"Tags": tag_list(_tagged(call).tags)}


def _tagged(call: Call) -> Rule:
    wanted = call.params["ResourceARN"]
    for rule in rules_of(call.cloud).of(call.region):
        if rule.arn == wanted:
            return rule
    name = wanted.rpartition("/")[2]
    raise AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {BUS}.")
