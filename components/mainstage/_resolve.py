"""Reads a component's arguments: every problem is collected, and raised once.

Each component's resolver makes one `Reader` over its arguments, reads every field through it, adds its own rules
with `refuse`, and ends with `finish`. A problem says the field, the value got, what is allowed, and how to put it
right. Values that are not known yet (Outputs) are taken where the field allows them, and checked once they are known.
"""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Optional, Union

import pulumi

from ._patterns import Pattern

_SHOWN_LENGTH = 80
_MISSING = object()


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one argument."""

    field: str
    """Path of the argument: `autoscaling.minimum`."""
    got: str
    """The value as it was given, shortened; `nothing` when it was left out."""
    allowed: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: got {self.got}; allowed: {self.allowed}. Fix: {self.fix}"


class ComponentArgsError(pulumi.InputPropertiesError, ValueError):
    """The arguments of a component cannot be used. Holds every problem, not the first one only."""

    def __init__(self, component: str, name: str, problems: Sequence[Problem]):
        self.component = component
        self.name = name
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [f'{component} "{name}": {count} in its arguments', *(f"  - {problem}" for problem in self.problems)]
        super().__init__(
            "\n".join(lines),
            [
                {
                    "property_path": problem.field,
                    "reason": f"got {problem.got}; allowed: {problem.allowed}. Fix: {problem.fix}",
                }
                for problem in self.problems
            ],
        )


def is_known(value: object) -> bool:
    """False for an Output: its value may not exist before the deployment runs."""
    return not isinstance(value, pulumi.Output)


def show(value: object) -> str:
    """A value as it stands in an error. Never the content of an Output, which may be a secret."""
    if not is_known(value):
        return "a value that is known only during the deployment"
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def nearest(word: str, known: Iterable[str]) -> Optional[str]:
    """The known word that `word` was most likely meant to be, or None."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


class Reader:
    """Reads one set of arguments. `args_type` is the TypedDict that names the allowed keys and which are required."""

    def __init__(
        self,
        component: str,
        name: str,
        args: Optional[Mapping[str, Any]],
        args_type: type,
        *,
        path: str = "",
        problems: Optional[list[Problem]] = None,
        explained: Mapping[str, str] = MappingProxyType({}),
    ):
        """`explained` says of some unknown arguments why they are not there and what to do instead."""
        self.component = component
        self.name = name
        self._path = path
        self._problems: list[Problem] = [] if problems is None else problems
        self._known = tuple(_annotations(args_type))
        self._explained = explained
        self._required = frozenset(getattr(args_type, "__required_keys__", ()))
        given = {} if args is None else args
        if not isinstance(given, Mapping):
            self.refuse("", given, "a mapping of named arguments", "pass a dictionary")
            given = {}
        # None means "left out": another language's SDK sends nothing, a Python caller may pass None on.
        self._values = {key: value for key, value in given.items() if value is not None}
        self._refuse_unknown()

    def _refuse_unknown(self) -> None:
        for key in self._values:
            if key in self._known:
                continue
            close = nearest(str(key), self._known)
            fix = self._explained.get(str(key)) or (f'write "{close}"' if close else "remove it")
            self.refuse(str(key), self._values[key], ", ".join(sorted(self._known)), fix)

    # -- problems ------------------------------------------------------------------------

    def refuse(self, field: str, got: object, allowed: str, fix: str) -> None:
        """Adds a problem. The reading goes on, so that a person sees all of them at once."""
        shown = "nothing" if got is _MISSING else show(got)
        self._problems.append(Problem(self._full(field), shown, allowed, fix))

    def add(self, problem: Problem) -> None:
        """Adds a problem that was found elsewhere."""
        self._problems.append(problem)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was refused so far."""
        return tuple(self._problems)

    def finish(self) -> None:
        """Raises one `ComponentArgsError` when anything was refused."""
        if self._problems:
            raise ComponentArgsError(self.component, self.name, self._problems)

    def has(self, field: str) -> bool:
        """True when the argument was given."""
        return field in self._values

    def raw(self, field: str) -> Any:
        """The argument as it was given, or None. For rules between fields; values go through the methods below."""
        return self._values.get(field)

    def _full(self, field: str) -> str:
        return ".".join(part for part in (self._path, field) if part) or "args"

    def _take(self, field: str, default: object, allowed: str) -> Any:
        if field in self._values:
            return self._values[field]
        if default is _MISSING:
            self.refuse(field, _MISSING, allowed, f"add {field}")
        return default

    # -- text ----------------------------------------------------------------------------

    def text(self, field: str, pattern: Pattern, *, default: Any = _MISSING) -> pulumi.Input[str]:
        """A text that may be an Output: checked now when it is known, else as soon as it is."""
        value = self._take(field, default, pattern.allowed)
        if value is _MISSING:
            return ""
        return self._checked(field, value, pattern)

    def optional_text(self, field: str, pattern: Pattern) -> Optional[pulumi.Input[str]]:
        """As `text`; None when it was left out."""
        return self.text(field, pattern) if self.has(field) else None

    def plain(self, field: str, pattern: Pattern, *, default: Any = _MISSING) -> str:
        """A text that has to be known now, because names or the choice of resources follow from it."""
        value = self._take(field, default, pattern.allowed)
        if value is _MISSING or self._refuse_output(field, value, pattern.allowed):
            return ""
        checked = self._checked(field, value, pattern)
        return checked if isinstance(checked, str) else ""

    def choice(self, field: str, options: Sequence[str], *, default: Any = _MISSING) -> str:
        """One word of a fixed list. An enum member counts as its value."""
        allowed = "one of " + ", ".join(options)
        value = self._take(field, default, allowed)
        if value is _MISSING or self._refuse_output(field, value, allowed):
            return options[0]
        word = getattr(value, "value", value)
        if word not in options:
            close = nearest(str(word), options)
            self.refuse(field, word, allowed, f'write "{close}"' if close else f"choose {allowed}")
            return options[0]
        return word

    def _checked(self, field: str, value: Any, pattern: Pattern) -> pulumi.Input[str]:
        if not is_known(value):
            component, name, path = self.component, self.name, self._full(field)

            def check(text: str) -> str:
                if not isinstance(text, str) or pattern.refuses(text):
                    raise ComponentArgsError(component, name, [_text_problem(path, text, pattern)])
                return text

            return pulumi.Output.from_input(value).apply(check)
        if not isinstance(value, str) or pattern.refuses(value):
            self._problems.append(_text_problem(self._full(field), value, pattern))
            return ""
        return value

    def _refuse_output(self, field: str, value: object, allowed: str) -> bool:
        if is_known(value):
            return False
        self.refuse(field, value, allowed, "give a plain value: which resources exist, and their names, follow from it")
        return True

    # -- numbers and switches ------------------------------------------------------------

    def whole(
        self,
        field: str,
        *,
        minimum: Optional[int] = None,
        maximum: Optional[int] = None,
        one_of: Optional[Sequence[int]] = None,
        default: Any = _MISSING,
    ) -> int:
        """A whole number. Other languages send 3 as 3.0, which is the same number."""
        allowed = _range_text("a whole number", minimum, maximum, one_of)
        value = self._take(field, default, allowed)
        if value is _MISSING or self._refuse_output(field, value, allowed):
            return minimum or 0
        if isinstance(value, bool) or not isinstance(value, int | float) or not float(value).is_integer():
            self.refuse(field, value, allowed, "give a whole number")
            return minimum or 0
        number = int(value)
        self._refuse_outside(field, number, allowed, minimum, maximum, one_of)
        return number

    def optional_whole(
        self, field: str, *, minimum: Optional[int] = None, maximum: Optional[int] = None
    ) -> Optional[int]:
        """As `whole`; None when it was left out."""
        return self.whole(field, minimum=minimum, maximum=maximum) if self.has(field) else None

    def number(
        self, field: str, *, minimum: Optional[float] = None, maximum: Optional[float] = None, default: Any = _MISSING
    ) -> float:
        """Any number between `minimum` and `maximum`, both included."""
        allowed = _range_text("a number", minimum, maximum, None)
        value = self._take(field, default, allowed)
        if value is _MISSING or self._refuse_output(field, value, allowed):
            return minimum or 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.refuse(field, value, allowed, "give a number")
            return minimum or 0.0
        self._refuse_outside(field, value, allowed, minimum, maximum, None)
        return float(value)

    def flag(self, field: str, *, default: Any = _MISSING) -> bool:
        """True or false, nothing that merely looks like it."""
        value = self._take(field, default, "true or false")
        if value is _MISSING or self._refuse_output(field, value, "true or false"):
            return False
        if not isinstance(value, bool):
            self.refuse(field, value, "true or false", "write true or false, without quotes")
            return False
        return value

    def _refuse_outside(
        self,
        field: str,
        number: float,
        allowed: str,
        minimum: Optional[float],
        maximum: Optional[float],
        one_of: Optional[Sequence[int]],
    ) -> None:
        if minimum is not None and number < minimum:
            self.refuse(field, number, allowed, f"give {minimum} or more")
        elif maximum is not None and number > maximum:
            self.refuse(field, number, allowed, f"give {maximum} or less")
        elif one_of is not None and number not in one_of:
            close = min(one_of, key=lambda option: abs(option - number))
            self.refuse(field, number, allowed, f"the nearest is {close}")

    # -- lists, maps and nested arguments ------------------------------------------------

    def plain_list(
        self, field: str, pattern: Pattern, *, minimum: int = 0, maximum: Optional[int] = None, default: Any = _MISSING
    ) -> tuple[str, ...]:
        """A list of known, different texts."""
        values = self._list(field, pattern.allowed, minimum, maximum, default)
        read: list[str] = []
        for index, value in enumerate(values):
            path = f"{field}[{index}]"
            if self._refuse_output(path, value, pattern.allowed):
                continue
            checked = self._checked(path, value, pattern)
            if isinstance(checked, str) and checked:
                if checked in read:
                    self.refuse(path, checked, "each value once", "remove the repetition")
                read.append(checked)
        return tuple(read)

    def text_list(
        self, field: str, pattern: Pattern, *, minimum: int = 0, maximum: Optional[int] = None, default: Any = _MISSING
    ) -> pulumi.Input[Sequence[pulumi.Input[str]]]:
        """A list of texts; each of them, or the whole list, may be an Output."""
        if not is_known(self._values.get(field)):
            return self._values[field]
        values = self._list(field, pattern.allowed, minimum, maximum, default)
        return [self._checked(f"{field}[{index}]", value, pattern) for index, value in enumerate(values)]

    def text_map(self, field: str, pattern: Pattern, *, default: Any = _MISSING) -> dict[str, pulumi.Input[str]]:
        """A map of texts by text keys. The keys are known, the values may be Outputs."""
        allowed = f"a map of {pattern.allowed}"
        value = self._take(field, default, allowed)
        if value is _MISSING or self._refuse_output(field, value, allowed):
            return {}
        if not isinstance(value, Mapping):
            self.refuse(field, value, allowed, "give a map of names to values")
            return {}
        return {str(key): self._checked(f"{field}.{key}", item, pattern) for key, item in value.items()}

    def section(self, field: str, args_type: type) -> Optional["Reader"]:
        """A reader for a nested set of arguments, or None when it was left out. Its problems are this reader's."""
        if not self.has(field):
            if field in self._required:
                self.refuse(field, _MISSING, "a set of named arguments", f"add {field}")
            return None
        value = self._values[field]
        allowed = ", ".join(_annotations(args_type))
        if self._refuse_output(field, value, allowed):
            return None
        if not isinstance(value, Mapping):
            self.refuse(field, value, allowed, "give a map with these names")
            return None
        return Reader(self.component, self.name, value, args_type, path=self._full(field), problems=self._problems)

    def sections(self, field: str, args_type: type, *, maximum: Optional[int] = None) -> list["Reader"]:
        """A reader for each item of a list of nested arguments; empty when it was left out, which is refused when it is
        required."""
        default = _MISSING if field in self._required else ()
        values = self._list(field, "a set of named arguments", 0, maximum, default)
        readers = []
        for index, value in enumerate(values):
            path = f"{field}[{index}]"
            if not isinstance(value, Mapping):
                self.refuse(path, value, ", ".join(_annotations(args_type)), "give a map with these names")
                continue
            readers.append(
                Reader(self.component, self.name, value, args_type, path=self._full(path), problems=self._problems)
            )
        return readers

    def _list(self, field: str, item: str, minimum: int, maximum: Optional[int], default: Any) -> Sequence[Any]:
        allowed = _range_text(f"a list, each item {item}", minimum or None, maximum, None)
        value = self._take(field, default, allowed)
        if value is _MISSING or self._refuse_output(field, value, allowed):
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.refuse(field, value, allowed, "give a list")
            return ()
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            self.refuse(field, f"{len(value)} items", allowed, "change the number of items")
        return value


def _annotations(args_type: type) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for base in reversed(args_type.__mro__):
        known.update(getattr(base, "__annotations__", {}))
    return known


def _text_problem(path: str, value: object, pattern: Pattern) -> Problem:
    if not isinstance(value, str):
        fix = f'write it as text: "{value}"' if isinstance(value, int | float) else "give a text"
    elif len(value) > pattern.maximum:
        fix = f"shorten it to {pattern.maximum} characters (it has {len(value)})"
    else:
        fix = "give a text of that form"
    return Problem(path, show(value), pattern.allowed, fix)


def _range_text(
    what: str, minimum: Optional[float], maximum: Optional[float], one_of: Optional[Sequence[Union[int, str]]]
) -> str:
    if one_of is not None:
        return "one of " + ", ".join(str(option) for option in one_of)
    if minimum is not None and maximum is not None:
        return f"{what} from {minimum} to {maximum}"
    if minimum is not None:
        return f"{what}, at least {minimum}"
    if maximum is not None:
        return f"{what}, at most {maximum}"
    return what
