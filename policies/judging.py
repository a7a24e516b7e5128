"""Runs the rules over resources and takes out what is excepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from .exceptions import Allowance, Exceptions
from .rules import RULES, About, Problem, Resource, ResourceRule, Rule, Stack, StackRule
from .rules.rule import message

EXCEPTIONS = About(
    "exceptions",
    "policies/exceptions.yaml is well formed, and each entry is still needed and has not expired.",
    "An exception that nobody needs or remembers hides the next violation.",
    "mend or remove the entry; one that has expired needs a new decision, and a new date",
)


@dataclass(frozen=True)
class Violation:
    """One resource that breaks one rule, or (without a resource) one entry of the exceptions."""

    rule: About
    urn: str
    """Empty: the stack's."""
    text: str

    def __str__(self) -> str:
        return self.text


class Judge:
    """The rules and the exceptions of one run. What it excused is remembered, so that unused exceptions show."""

    def __init__(self, exceptions: Exceptions, today: date, rules: Sequence[Rule] = RULES):
        self.rules = tuple(rules)
        self._exceptions = exceptions
        self._today = today
        self._used: set[Allowance] = set()

    def resource(self, rule: ResourceRule, resource: Resource) -> list[Violation]:
        """What a rule finds at one resource."""
        if not rule.applies_to(resource.type):
            return []
        return list(self._unexcused(rule, ((resource, problem) for problem in rule.judge(resource))))

    def stack(self, rule: StackRule, stack: Stack) -> list[Violation]:
        """What a rule finds in a stack."""
        by_urn = {resource.urn: resource for resource in stack.resources}
        return list(self._unexcused(rule, ((by_urn.get(problem.urn), problem) for problem in rule.judge(stack))))

    def exceptions(self, stack: Stack) -> list[Violation]:
        """What is wrong with the exceptions, as far as this stack can tell.

        Unused is one that could match resources of this stack and excused none. While a value that its rule could
        look at is not known yet, nothing is said: only the `up` will use it.
        """
        texts = list(self._exceptions.problems)
        for allowance in self._exceptions.allowances:
            if not allowance.is_for(stack.name):
                continue
            if allowance.has_expired(self._today):
                texts.append(
                    f"{allowance.where}: the exception from {allowance.rule} for {allowance.urn} expired on "
                    f"{allowance.expires}; fix: mend the resource and remove it, or let {allowance.owner} decide again"
                )
            elif not self._is_used(allowance, stack):
                texts.append(
                    f"{allowance.where}: nothing in {stack.name} needs the exception from {allowance.rule} for "
                    f"{allowance.urn}; fix: remove it, or name only the stacks that need it"
                )
        return [Violation(EXCEPTIONS, "", f"{text}; rule {EXCEPTIONS.name}") for text in texts]

    def everything(self, stack: Stack) -> list[Violation]:
        """All rules over a whole stack, then the exceptions."""
        found: list[Violation] = []
        for rule in self.rules:
            if isinstance(rule, StackRule):
                found += self.stack(rule, stack)
            else:
                for resource in stack.resources:
                    found += self.resource(rule, resource)
        return found + self.exceptions(stack)

    def _unexcused(self, rule: Rule, found: Iterator[tuple[Resource | None, Problem]]) -> Iterator[Violation]:
        for resource, problem in found:
            urn = resource.urn if resource is not None else ""
            if not self._excuse(rule.about.name, urn):
                yield Violation(rule.about, urn, message(rule.about, resource, problem))

    def _excuse(self, rule: str, urn: str) -> bool:
        for allowance in self._exceptions.allowances:
            if allowance.covers(rule, urn) and not allowance.has_expired(self._today):
                self._used.add(allowance)
                return True
        return False

    def _is_used(self, allowance: Allowance, stack: Stack) -> bool:
        if allowance in self._used:
            return True
        rule = next(rule for rule in self.rules if rule.about.name == allowance.rule)
        if isinstance(rule, StackRule):
            return stack.has_unknowns or any(allowance.matches(problem.urn) for problem in rule.judge(stack))
        return any(
            resource.has_unknowns or any(rule.judge(resource))
            for resource in stack.resources
            if rule.applies_to(resource.type) and allowance.matches(resource.urn)
        )
