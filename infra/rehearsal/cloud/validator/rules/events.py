"""EventBridge rules and targets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from infra.rehearsal.cloud.events.inputs import is_path
from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

_INPUTS = ("Input", "InputPath", "InputTransformer")


@rule("events", "PutRule")
def rule_settings(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""
    if not partial and not params.get("EventPattern") and not params.get("ScheduleExpression"):
        yield Finding("EventPattern", "or ScheduleExpression must be given")


@rule("events", "PutTargets")
def targets(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html"""
    ids = [target.get("Id") for target in params.get("Targets", ())]
    for one in sorted({one for one in ids if one is not None and ids.count(one) > 1}):
        yield Finding("Targets", f"has the id {one!r} more than once")
    for index, target in enumerate(params.get("Targets", ())):
        path = f"Targets[{index}]"
        given = [name for name in _INPUTS if target.get(name) is not None]
        if len(given) > 1:
            yield Finding(path, f"has {' and '.join(given)}; only one of Input, InputPath and InputTransformer goes")
        yield from _inputs(path, target)
        dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
        if dead_letters is not None:
            yield from _dead_letters(f"{path}.DeadLetterConfig.Arn", dead_letters)


def _inputs(path: str, target: dict[str, Any]) -> Iterator[Finding]:
    if target.get("Input") is not None and not _is_json(target["Input"]):
        yield Finding(f"{path}.Input", f"is no JSON text: {shown(target['Input'])}")
    if target.get("InputPath") is not None and not is_path(target["InputPath"]):
        yield Finding(f"{path}.InputPath", f"is no path of names and indexes such as $.detail: {target['InputPath']}")
    paths = (target.get("InputTransformer") or {}).get("InputPathsMap") or {}
    for name, value in paths.items():
        if name.lower().startswith("aws"):
            yield Finding(f"{path}.InputTransformer.InputPathsMap", f"has the key {name}; AWS is reserved")
        if not is_path(value):
            yield Finding(f"{path}.InputTransformer.InputPathsMap.{name}", f"is no path such as $.detail: {value}")


def _dead_letters(path: str, arn: str) -> Iterator[Finding]:
    """A standard queue (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html)."""
    if arn.split(":")[2:3] != ["sqs"]:
        yield Finding(path, f"is no queue: {arn}")
    elif arn.endswith(".fifo"):
        yield Finding(path, f"is a FIFO queue; EventBridge wants a standard one: {arn}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
