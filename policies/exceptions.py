"""What is let through although a rule says no: `exceptions.yaml`, read and judged.

An analyzer sees nothing free-form beside a resource, so exceptions stand in a file: which rule, which resources, who
answers for it, why, and until when.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .rules.resource import stack_of

FIELDS = ("rule", "urn", "owner", "reason", "expires")
LONGEST = timedelta(days=366)
"""An exception is looked at again once a year, or it is a change of the rule."""

_FORM = '"urn:pulumi:<stack>::<project>::<type>::<name>", with * and ? in any part'


@dataclass(frozen=True)
class Allowance:
    """One well-formed entry."""

    rule: str
    urn: str
    owner: str
    reason: str
    expires: date
    """The last day on which it holds."""
    where: str
    """File and line, for messages."""

    def covers(self, rule: str, urn: str) -> bool:
        """Whether it is about this rule and this resource. A `*` never reaches over a `::`."""
        return rule == self.rule and self.matches(urn)

    def matches(self, urn: str) -> bool:
        parts, wanted = _parts(urn), _parts(self.urn)
        return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))

    def is_for(self, stack: str) -> bool:
        """Whether its glob can match a resource of the stack."""
        return fnmatchcase(stack, stack_of(self.urn))

    def has_expired(self, today: date) -> bool:
        return today > self.expires


@dataclass(frozen=True)
class Exceptions:
    """The file: what of it can be used, and what is wrong with it."""

    allowances: tuple[Allowance, ...] = ()
    problems: tuple[str, ...] = ()


def read(file: Path, rules: Sequence[str], today: date) -> Exceptions:
    """Reads the file. What is malformed is a problem and excuses nothing; a missing file is an empty one."""
    name = f"{file.parent.name}/{file.name}"
    try:
        text = file.read_text(encoding="utf-8")
        if tag := next(_tags(text), ""):
            return Exceptions(problems=(f"{name}:{tag}; allowed: texts and dates without tags",))
        loaded = YAML().load(text)
    except FileNotFoundError:
        return Exceptions()
    except OSError as error:
        return Exceptions(problems=(f"{name}: cannot be read: {error.strerror}; fix: make it a file of exceptions",))
    except (YAMLError, ValueError) as error:
        return Exceptions(problems=(f"{name}: no YAML: {' '.join(str(error).split())}",))
    if loaded is None:
        return Exceptions()
    if not isinstance(loaded, Mapping) or list(loaded) != ["exceptions"]:
        got = ", ".join(map(str, loaded)) if isinstance(loaded, Mapping) and loaded else repr(loaded)
        return Exceptions(problems=(f"{name}: got {got}; allowed: one key `exceptions` with a list",))
    entries = loaded["exceptions"]
    if entries is None:
        return Exceptions()
    if not isinstance(entries, list):
        return Exceptions(problems=(f"{name}: exceptions is {entries!r}; allowed: a list",))
    allowances: list[Allowance] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        where = f"{name}:{entries.lc.item(index)[0] + 1}"  # pyright: ignore[reportAttributeAccessIssue]  # ruamel's
        wrong = list(_wrong(entry, rules, today))
        if not wrong and any((entry["rule"], entry["urn"]) == (known.rule, known.urn) for known in allowances):
            wrong = ["the same rule and urn stand above; fix: remove one of the two"]
        problems += [f"{where}: {text}" for text in wrong]
        if not wrong:
            allowances.append(Allowance(**{name: entry[name] for name in FIELDS}, where=where))
    return Exceptions(tuple(allowances), tuple(problems))


def _tags(text: str) -> Iterator[str]:
    """The line and name of each tag: it makes another type of a value, or a list that has no lines."""
    for event in YAML().parse(text):
        if tag := getattr(event, "tag", None):
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            yield f"{event.start_mark.line + 1}: got a tag, {shown}"


def _wrong(entry: Any, rules: Sequence[str], today: date) -> Iterator[str]:
    if not isinstance(entry, Mapping):
        yield f"got {entry!r}; allowed: the keys {', '.join(FIELDS)}"
        return
    for key in entry:
        if key not in FIELDS:
            yield f"unknown key {key!r}{_nearest(str(key), FIELDS)}; allowed: {', '.join(FIELDS)}"
    for name in FIELDS:
        value = entry.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            yield f"{name} is not set; allowed: {_ALLOWED[name]}"
        elif name == "expires":
            if not isinstance(value, date) or isinstance(value, datetime):
                yield f"expires is {value!r}; allowed: {_ALLOWED[name]}"
            elif value > today + LONGEST:
                yield f"expires is {value}; allowed: {today + LONGEST} at the latest, a year from now"
        elif not isinstance(value, str):
            yield f"{name} is {value!r}; allowed: {_ALLOWED[name]}"
        elif name == "rule" and value not in rules:
            yield f"rule is {value!r}, which no rule is called{_nearest(value, rules)}"
        elif name == "urn" and (not value.startswith("urn:pulumi:") or len(_parts(value)) != 4):
            yield f"urn is {value!r}; allowed: {_FORM}"


_ALLOWED = {
    "rule": "the name of a rule (docs/guides/policies.md)",
    "urn": _FORM,
    "owner": "who answers for it",
    "reason": "why it is right here",
    "expires": "a date, such as 2027-03-31: the last day on which it holds",
}


def _nearest(text: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(text, known, 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _parts(urn: str) -> list[str]:
    return urn.split("::", 3)
