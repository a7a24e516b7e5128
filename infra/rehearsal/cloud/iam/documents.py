"""Reads policy documents into one normal form and names what is wrong with them.

The grammar is that of the IAM User Guide, "Grammar of the IAM JSON policy language". A single string and a list of one
mean the same, so two documents that differ in that, in order or in spaces give equal `Policy` objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

VERSION_WITH_VARIABLES = "2012-10-17"
VERSIONS = ("2008-10-17", VERSION_WITH_VARIABLES)
"""Policy variables are plain text in documents of the older version, which is also the version of one that has none."""

_BASE_OPERATORS = (
    *(f"String{suffix}" for suffix in ("Equals", "NotEquals", "Like", "NotLike")),
    *("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *(f"Arn{suffix}" for suffix in ("Equals", "NotEquals", "Like", "NotLike")),
    *(
        f"{kind}{suffix}"
        for kind in ("Numeric", "Date")
        for suffix in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    ),
    *("Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
)
_OPERATOR_NAMES = {name.lower(): name for name in _BASE_OPERATORS}

_POLICY_KEYS = {"Version", "Id", "Statement"}
_STATEMENT_KEYS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_PRINCIPAL_KINDS = ("AWS", "Service", "Federated", "CanonicalUser")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_AWS_PRINCIPAL = re.compile(r"\*|\d{12}|arn:[a-z-]+:(iam|sts)::\d{12}:[\w+=,.@/*-]+|A[A-Z]{3}[A-Z0-9]{12,}")
_IDENTITY_SID = re.compile(r"[A-Za-z0-9]*")


class PolicyKind(Enum):
    """Where a document stands: it decides which elements AWS demands and which it refuses."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"
    REPOSITORY = "repository policy"


class PolicyError(ValueError):
    """A document that AWS would not store. `problems` names each place and what is allowed there."""

    def __init__(self, problems: tuple[str, ...]):
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Condition:
    """One key of one operator: all conditions of a statement must hold, one of `values` is enough."""

    operator: str
    """The operator without qualifier and suffix, in AWS's spelling: "StringLike"."""
    key: str
    """Lower case: key names are not case-sensitive."""
    values: tuple[str, ...]
    if_exists: bool = False
    quantifier: str = ""
    """"ForAnyValue", "ForAllValues" or empty."""


@dataclass(frozen=True)
class Statement:
    """One statement, its lists sorted. An element that is absent is None, which is not the same as an empty one."""

    effect: str
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: tuple[tuple[str, str], ...] | None
    """Pairs of kind and value, for example ("Service", "logs.eu-west-1.amazonaws.com"); "*" alone is ("AWS", "*")."""
    not_principals: tuple[tuple[str, str], ...] | None
    conditions: tuple[Condition, ...]
    variables: bool
    """True when `${...}` in this statement is a policy variable."""
    sid: str = ""

    @property
    def denies(self) -> bool:
        return self.effect == "Deny"


@dataclass(frozen=True)
class Policy:
    """A document in normal form."""

    version: str
    statements: tuple[Statement, ...]


def parse(document: str | Mapping[str, Any], kind: PolicyKind) -> Policy:
    """The document in normal form. Texts are parsed once and kept. Raises PolicyError with every problem."""
    return _parse_text(document if isinstance(document, str) else json.dumps(document), kind)


def split_operator(name: str) -> tuple[str, str, bool] | None:
    """("ForAllValues", "StringLike", True) for "ForAllValues:StringLikeIfExists"; None for a name AWS does not have."""
    quantifier, colon, rest = name.rpartition(":")
    if colon and quantifier.lower() not in ("foranyvalue", "forallvalues"):
        return None
    if_exists = rest.lower().endswith("ifexists")
    base = _OPERATOR_NAMES.get((rest[: -len("ifexists")] if if_exists else rest).lower())
    if base is None or (base == "Null" and if_exists):
        return None
    qualifiers = {"": "", "foranyvalue": "ForAnyValue", "forallvalues": "ForAllValues"}
    return qualifiers[quantifier.lower()], base, if_exists


@lru_cache(maxsize=4096)
def _parse_text(text: str, kind: PolicyKind) -> Policy:
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise PolicyError((f"the document is not JSON: {error}",)) from None
    if not isinstance(raw, dict):
        raise PolicyError((f"the document must be a JSON object, got {type(raw).__name__}",))
    return _Reader(kind).policy(raw)


class _Reader:
    """Collects the problems of one document while it builds the normal form."""

    def __init__(self, kind: PolicyKind):
        self.kind = kind
        self.problems: list[str] = []

    def policy(self, raw: dict[str, Any]) -> Policy:
        self._unknown(raw, _POLICY_KEYS, "policy")
        version = raw.get("Version", VERSIONS[0])
        if version not in VERSIONS:
            self._problem("Version", version, f"one of {', '.join(VERSIONS)}")
        listed = raw.get("Statement")
        entries = listed if isinstance(listed, list) else [listed]
        if not listed:
            self.problems.append("Statement: at least one statement is required")
            entries = []
        statements = []
        for index, entry in enumerate(entries):
            path = f"Statement[{index}]"
            if isinstance(entry, dict):
                statements.append(self._statement(entry, path, version == VERSION_WITH_VARIABLES))
            else:
                self._problem(path, entry, "an object")
        sids = [statement.sid for statement in statements if statement.sid]
        for sid in sorted({sid for sid in sids if sids.count(sid) > 1}):
            self.problems.append(f"Sid {sid!r} stands on more than one statement; ids must be unique in a policy")
        if self.problems:
            raise PolicyError(tuple(self.problems))
        return Policy(version, tuple(statements))

    def _statement(self, raw: dict[str, Any], path: str, variables: bool) -> Statement:
        self._unknown(raw, _STATEMENT_KEYS, path)
        effect = raw.get("Effect")
        if effect not in ("Allow", "Deny"):
            self._problem(f"{path}.Effect", effect, "Allow or Deny")
        sid = raw.get("Sid", "")
        if not isinstance(sid, str) or (self.kind is PolicyKind.IDENTITY and not _IDENTITY_SID.fullmatch(sid)):
            self._problem(f"{path}.Sid", sid, "letters and digits")
        self._one_of(raw, path, "Action", required=True)
        needs_resource = self.kind in (PolicyKind.IDENTITY, PolicyKind.RESOURCE)
        self._one_of(raw, path, "Resource", required=needs_resource, banned=self.kind is PolicyKind.TRUST)
        is_identity = self.kind is PolicyKind.IDENTITY
        self._one_of(raw, path, "Principal", required=not is_identity, banned=is_identity)
        return Statement(
            effect=str(effect),
            actions=self._actions(raw, path, "Action"),
            not_actions=self._actions(raw, path, "NotAction"),
            resources=self._resources(raw, path, "Resource"),
            not_resources=self._resources(raw, path, "NotResource"),
            principals=self._principals(raw, path, "Principal"),
            not_principals=self._principals(raw, path, "NotPrincipal"),
            conditions=self._conditions(raw.get("Condition"), f"{path}.Condition"),
            variables=variables,
            sid=str(sid),
        )

    def _one_of(self, raw: dict[str, Any], path: str, name: str, *, required: bool, banned: bool = False) -> None:
        present = [key for key in (name, f"Not{name}") if key in raw]
        if banned and present:
            self.problems.append(f"{path}: {present[0]} is not allowed ({self.kind.value})")
        elif len(present) == 2:
            self.problems.append(f"{path}: {name} and Not{name} exclude each other")
        elif required and not present:
            self.problems.append(f"{path}: {name} or Not{name} is required ({self.kind.value})")

    def _actions(self, raw: dict[str, Any], path: str, name: str) -> tuple[str, ...] | None:
        values = self._strings(raw, path, name)
        for value in values or ():
            if not _ACTION.fullmatch(value):
                self._problem(f"{path}.{name}", value, "service:Operation, wildcards in the operation, or *")
        return None if values is None else tuple(sorted({value.lower() for value in values}))

    def _resources(self, raw: dict[str, Any], path: str, name: str) -> tuple[str, ...] | None:
        values = self._strings(raw, path, name)
        for value in values or ():
            if not value.startswith(("arn:", "*", "${")):
                self._problem(f"{path}.{name}", value, "an ARN or *")
        return values

    def _principals(self, raw: dict[str, Any], path: str, name: str) -> tuple[tuple[str, str], ...] | None:
        if name not in raw:
            return None
        value = raw[name]
        if value == "*":
            return (("AWS", "*"),)
        if not isinstance(value, dict) or not value:
            self._problem(f"{path}.{name}", value, f"* or an object with {', '.join(_PRINCIPAL_KINDS)}")
            return ()
        found: set[tuple[str, str]] = set()
        for kind in value:
            if kind not in _PRINCIPAL_KINDS:
                self._problem(f"{path}.{name}", kind, f"one of {', '.join(_PRINCIPAL_KINDS)}")
                continue
            for entry in self._strings(value, f"{path}.{name}", kind) or ():
                if kind == "AWS" and not _AWS_PRINCIPAL.fullmatch(entry):
                    self._problem(f"{path}.{name}.AWS", entry, "*, an account id or the ARN of an IAM or STS principal")
                if kind == "AWS" and entry.endswith("*") and entry != "*":
                    self._problem(f"{path}.{name}.AWS", entry, "a whole ARN: wildcards stand alone in a principal")
                found.add((kind, entry))
        return tuple(sorted(found))

    def _conditions(self, raw: Any, path: str) -> tuple[Condition, ...]:
        if raw is None:
            return ()
        if not isinstance(raw, dict):
            self._problem(path, raw, "an object of operators")
            return ()
        found: list[Condition] = []
        for operator, keys in raw.items():
            parts = split_operator(operator)
            if parts is None:
                self._problem(path, operator, f"one of {', '.join(_BASE_OPERATORS)}, with ForAnyValue:, ...IfExists")
                continue
            if not isinstance(keys, dict):
                self._problem(f"{path}.{operator}", keys, "an object of condition keys")
                continue
            quantifier, base, if_exists = parts
            for key in keys:
                if ":" not in key:
                    self._problem(f"{path}.{operator}", key, "a condition key such as aws:SourceArn")
                values = self._scalars(keys[key], f"{path}.{operator}.{key}")
                found.append(Condition(base, key.lower(), values, if_exists, quantifier))
        return tuple(sorted(found, key=lambda one: (one.operator, one.key, one.quantifier, one.if_exists)))

    def _strings(self, raw: dict[str, Any], path: str, name: str) -> tuple[str, ...] | None:
        if name not in raw:
            return None
        value = raw[name]
        entries = value if isinstance(value, list) else [value]
        if not entries:
            self._problem(f"{path}.{name}", value, "at least one entry")
        for entry in entries:
            if not isinstance(entry, str) or not entry:
                self._problem(f"{path}.{name}", entry, "text")
        return tuple(sorted({entry for entry in entries if isinstance(entry, str)}))

    def _scalars(self, value: Any, path: str) -> tuple[str, ...]:
        entries = value if isinstance(value, list) else [value]
        found: set[str] = set()
        for entry in entries:
            if isinstance(entry, bool):
                found.add("true" if entry else "false")
            elif isinstance(entry, str | int | float):
                found.add(str(entry))
            else:
                self._problem(path, entry, "text, a number or true/false")
        return tuple(sorted(found))

    def _unknown(self, raw: dict[str, Any], allowed: set[str], path: str) -> None:
        for key in raw:
            if key not in allowed:
                self._problem(path, key, f"only {', '.join(sorted(allowed))}")

    def _problem(self, path: str, got: Any, allowed: str) -> None:
        self.problems.append(f"{path}: got {got!r}; allowed: {allowed}")
