"""What a target is sent of an event: all of it, a part, a constant text, or a template that is filled in.

Source: EventBridge User Guide, "Amazon EventBridge input transformation" (eb-transform-target-input.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([\w-]+)|\[(\d+)\]|\['([^']+)'\]")
_PLACE = re.compile(r"<([\w.-]+)>")
_QUOTE = re.compile(r'(?<!\\)"')


def is_path(path: str) -> bool:
    """Whether it is a JSON path of the kind that EventBridge takes: $, names and indexes; no filters, no slices."""
    return path.startswith("$") and _STEP.sub("", path[1:]) == ""


def sent(target: Mapping[str, Any], event: Mapping[str, Any], *, rule_arn: str, now: str) -> str:
    """The text that the target gets. now: when the event was taken, as in an event's `time`."""
    if target.get("Input") is not None:
        return target["Input"]
    if target.get("InputPath") is not None:
        return json.dumps(value_at(event, target["InputPath"]))
    transformer = target.get("InputTransformer")
    if transformer is None:
        return json.dumps(event)
    values = {name: value_at(event, path) for name, path in (transformer.get("InputPathsMap") or {}).items()}
    own = {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event.ingestion-time": now,
        "aws.events.event": {name: value for name, value in event.items() if name != "detail"},
        "aws.events.event.json": event,
    }
    return filled(transformer["InputTemplate"], {**own, **values})


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with each <name> replaced by its value as JSON, and by the bare words of a text where the template
    has it between quotes. A name that has no value stays as it is; one whose path led nowhere leaves nothing."""

    def place(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in values:
            return found.group(0)
        value = values[name]
        if value is None:
            return ""
        in_quotes = len(_QUOTE.findall(template, 0, found.start())) % 2 == 1
        return json.dumps(value)[1:-1] if isinstance(value, str) and in_quotes else json.dumps(value)

    return _PLACE.sub(place, template)


def value_at(event: Mapping[str, Any], path: str) -> Any:
    """What a path leads to; None for nothing."""
    value: Any = event
    for name, index, quoted in _STEP.findall(path):
        if index:
            value = value[int(index)] if isinstance(value, list) and int(index) < len(value) else None
        else:
            value = value.get(name or quoted) if isinstance(value, Mapping) else None
    return value
