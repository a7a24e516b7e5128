"""The rules as Pulumi's policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from .exceptions import read
from .judging import EXCEPTIONS, Judge, Violation
from .rules import RULES, UNKNOWN, About, Resource, ResourceRule, Stack, StackRule
from .rules.resource import stack_of

NAME = "mainstage"

_REDACTED = "[secret]"
"""What `pulumi policy analyze --file` puts in place of a secret that it cannot decrypt, whatever its type."""


def policies(exceptions: Path, today: date) -> list[Policy]:
    """Every rule as a policy, and one more that judges the exceptions. `exceptions` is the file of them."""
    judge = Judge(read(exceptions, [rule.about.name for rule in RULES], today), today)
    made = [
        _of_resource(judge, rule) if isinstance(rule, ResourceRule) else _of_stack(judge, rule) for rule in judge.rules
    ]
    return [*made, _of_exceptions(judge)]


def _of_resource(judge: Judge, rule: ResourceRule) -> Policy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if not rule.applies_to(args.resource_type):
            return
        for violation in judge.resource(rule, _resource(args)):
            report(violation.text, None)

    return ResourceValidationPolicy(**_about(rule.about), validate=validate)


def _of_stack(judge: Judge, rule: StackRule) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        _report(judge.stack(rule, _stack(args)), report)

    return StackValidationPolicy(**_about(rule.about), validate=validate)


def _of_exceptions(judge: Judge) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        _report(judge.exceptions(_stack(args)), report)

    return StackValidationPolicy(**_about(EXCEPTIONS), validate=validate)


def _about(about: About) -> dict[str, Any]:
    return {
        "name": about.name,
        "description": about.asks,
        "enforcement_level": EnforcementLevel(about.level),
        "remediation_steps": about.remedy,
    }


def _report(violations: Sequence[Violation], report: ReportViolation) -> None:
    for violation in violations:
        report(violation.text, violation.urn or None)


def _resource(
    args: ResourceValidationArgs | PolicyResource, needs: Mapping[str, tuple[str, ...]] | None = None
) -> Resource:
    return Resource(
        urn=args.urn,
        type=args.resource_type,
        name=args.name,
        properties=plain(args.props),
        protect=bool(args.opts.protect),
        provider=plain(args.provider.props) if args.provider is not None else {},
        needs=needs or {},
    )


def _stack(args: StackValidationArgs) -> Stack:
    resources = tuple(
        _resource(
            resource,
            {key: tuple(other.urn for other in others) for key, others in resource.property_dependencies.items()},
        )
        for resource in args.resources
    )
    return Stack(stack_of(resources[0].urn) if resources else "", resources)


def plain(value: Any) -> Any:
    """What the SDK hands over, as plain dicts and lists. It raises where a value is not known yet: that is UNKNOWN.

    Were it left to raise, the whole rule would turn into advice in a preview, also for the values that are known.
    """
    if isinstance(value, Mapping):
        return {key: plain(_item(value, key)) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(_item(value, index)) for index in range(len(value))]
    return value


def _item(container: Any, key: Any) -> Any:
    try:
        value = container[key]
    except UnknownValueError:
        return UNKNOWN
    return UNKNOWN if value == _REDACTED else value
