"""Somebody is told, knows what to do, and can look at what was predicted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from .resource import UNKNOWN, Resource, Stack, get, items, kind_of
from .rule import About, Problem, ResourceRule, StackRule, must_be

_RUNBOOK = re.compile(r"\bRunbook: https://\S+")
_ALARMS = ("deploymentConfig", "autoRollbackConfiguration", "alarms")
_FUNCTION = "aws:lambda/function:Function"
_ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
_ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
_COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
_NAMES = {_ALARM: "name", _COMPOSITE: "alarmName"}
_NAMED = re.compile(r"""ALARM\(\s*["']?([^"')]+?)["']?\s*\)""")
"""The alarms in a composite's rule whose state ALARM counts."""
_STREAM = "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream"


def _guarded(resource: Resource) -> Iterator[Problem]:
    alarms = resource.get(*_ALARMS)
    if alarms is not UNKNOWN and not items(alarms):
        yield Problem(".".join(_ALARMS), alarms, "the names of one alarm or more")


def _guards_declared(stack: Stack) -> Iterator[Problem]:
    names = {alarm.get("name") for alarm in stack.of_type(_ALARM, _COMPOSITE)}
    if UNKNOWN in names:
        return
    for endpoint in stack.of_type(_ENDPOINT):
        for index, alarm in enumerate(items(endpoint.get(*_ALARMS))):
            name = get(alarm, "alarmName")
            if name is not UNKNOWN and name not in names:
                where = f"{'.'.join(_ALARMS)}[{index}].alarmName"
                yield Problem(where, name, "the name of an alarm of this stack", urn=endpoint.urn)


def _action(stack: Stack) -> Iterator[Problem]:
    """An alarm without an action of its own is heard through a composite alarm that names it and has one.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
    """
    alarms = stack.of_type(_ALARM, _COMPOSITE)
    rules = [alarm.get("alarmRule") for alarm in stack.of_type(_COMPOSITE) if items(alarm.get("alarmActions"))]
    for alarm in alarms:
        if alarm.get("actionsEnabled") is not None:
            for problem in must_be(alarm, True, "actionsEnabled"):
                yield replace(problem, urn=alarm.urn)
        given, name = alarm.get("alarmActions"), alarm.get(_NAMES[kind_of(alarm.type)])
        if given is UNKNOWN or items(given) or UNKNOWN in (name, *rules):
            continue
        named = [each.rpartition(":alarm:")[2] for rule in rules for each in _NAMED.findall(rule or "")]
        if name not in named:
            allowed = "the ARN of the page or the ticket topic, or a composite alarm with one that names this alarm"
            yield Problem("alarmActions", given, allowed, urn=alarm.urn)


def _runbook(resource: Resource) -> Iterator[Problem]:
    text = resource.get("alarmDescription")
    if text is not UNKNOWN and not (isinstance(text, str) and _RUNBOOK.search(text)):
        yield Problem("alarmDescription", text, "a text that ends in `Runbook: https://...`")


def _doors_of(stack: Stack, endpoint: Resource) -> list[Resource] | None:
    """The functions that ask an endpoint; None where it is not known yet which do."""
    name = endpoint.get("name")
    asked = [
        (function, function.get("environment", "variables", "MAINSTAGE_ENDPOINT_NAME"))
        for function in stack.of_type(_FUNCTION)
    ]
    found = [
        function
        for function, whom in asked
        if endpoint.urn in function.needs.get("environment", ()) or (whom is not UNKNOWN and whom and whom == name)
    ]
    if not found and (name is UNKNOWN or any(whom is UNKNOWN for _, whom in asked)):
        return None
    return found


def _front_door(stack: Stack) -> Iterator[Problem]:
    for endpoint in stack.of_type(_ENDPOINT):
        if _doors_of(stack, endpoint) == []:
            yield Problem(
                "front door",
                None,
                "a function with MAINSTAGE_ENDPOINT_NAME of this endpoint in its environment",
                urn=endpoint.urn,
            )


def _log(stack: Stack) -> Iterator[Problem]:
    streams = stack.of_type(_STREAM)
    names = {stream.get("name") for stream in streams}
    urns = {stream.urn for stream in streams}
    for endpoint in stack.of_type(_ENDPOINT):
        for function in _doors_of(stack, endpoint) or ():
            name = function.get("environment", "variables", "MAINSTAGE_STREAM_NAME")
            if name is UNKNOWN or UNKNOWN in names:
                continue
            if not name or (name not in names and urns.isdisjoint(function.needs.get("environment", ()))):
                where = "environment.variables.MAINSTAGE_STREAM_NAME"
                yield Problem(where, name, "the name of a delivery stream of this stack", urn=function.urn)


RULES = (
    ResourceRule(
        About(
            "endpoint-guarded",
            "An endpoint has guard alarms that take a bad release back.",
            "Without them a release that answers every request with an error stays until somebody wakes up.",
            "use ModelService, or name the alarms of GuardAlarms in deploymentConfig.autoRollbackConfiguration",
        ),
        (_ENDPOINT,),
        _guarded,
    ),
    StackRule(
        About(
            "endpoint-guards-declared",
            "The guard alarms that an endpoint names stand in its stack.",
            "SageMaker takes the name of an alarm that is not there, and then nothing takes the release back.",
            "use ModelService, which makes both",
        ),
        _guards_declared,
    ),
    StackRule(
        About(
            "alarm-has-action",
            "An alarm tells somebody: it, or a composite alarm that names it, has an action, and actions are enabled.",
            "An alarm that nobody hears is worse than none: people believe that they would be told.",
            "set alarmActions to the pager's page or ticket topic, or name the alarm in a composite alarm that has one",
        ),
        _action,
    ),
    ResourceRule(
        About(
            "alarm-has-runbook",
            "An alarm's description names its runbook.",
            "Whoever is woken at night has to know what to look at first, and what is safe to do.",
            "end alarmDescription in `Runbook: <address>`, and write the page under docs/runbooks",
        ),
        (_ALARM, _COMPOSITE),
        _runbook,
    ),
    StackRule(
        About(
            "endpoint-has-front-door",
            "An endpoint is asked through a front door.",
            "Only the front door checks payloads against the signature and logs predictions.",
            "use ModelService, or add a ModelRoute for the endpoint",
        ),
        _front_door,
    ),
    StackRule(
        About(
            "endpoint-logs-predictions",
            "An endpoint's front door writes every prediction to a log of its stack.",
            "A prediction that is in no log can neither be explained to a client nor be watched for drift.",
            "use ModelService, or give the ModelRoute the identity of a PredictionLog",
        ),
        _log,
    ),
)
