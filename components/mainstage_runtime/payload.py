"""Holds a request's body against the model's signature: which field, what stood there, what is taken.

A request is {"instances": [{field: value}, ...]}. A category that the signature does not list is no problem: models
meet new values, and the monitor counts them. The checks are made once, when the process starts; a request that fits
costs a few calls a value.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mainstage_runtime.values import IS_TYPE, element_type, is_double, is_integer, number_text

MOST_PROBLEMS = 10
"""Problems that are told; of a request with more of them the number is."""

_SHOWN_CHARACTERS = 60
_LONGEST_NAME_COMPARED = 128
"""Characters. Longer names resemble nothing, and comparing costs quadratic time."""


@dataclass(frozen=True)
class Problem:
    """One thing that does not fit."""

    field: str
    """Where: `instances[0].rooms`."""
    value: Any
    """What stood there, as JSON; long texts, lists and objects are cut to a text. None also where nothing stood."""
    rule: str
    """What is asked: `type integer`, `minimum 0`, `required`, `no null`, `known field`, `object`, `text`."""
    said: str
    """The same for a person: `2.5 is no integer`."""
    place: str = ""
    """The field as the log may have it: a name that the signature does not know may itself be personal data, so it is
    left out."""

    def __str__(self) -> str:
        return f"{self.field}: {self.said}"

    def as_json(self) -> dict[str, Any]:
        return {"field": self.field, "value": self.value, "rule": self.rule, "message": self.said}


class InvalidJson(ValueError):
    """A body that is no JSON. The message says where it ends to be."""


class InvalidPayload(ValueError):
    """A body that is JSON, and no request that the signature takes."""

    def __init__(self, message: str, *, problems: tuple[Problem, ...] = (), count: int = 0, rows: int = 0) -> None:
        super().__init__(message)
        self.problems = problems
        """The first ones, at most MOST_PROBLEMS."""
        self.count = count
        """Values that do not fit; 0 when the request has not even the form of one."""
        self.rows = rows
        """Rows that were asked for."""


class _NoNumber(ValueError):
    """NaN or an infinity."""


class _Twice(ValueError):
    """A name that stands twice in one object."""


Row = dict[str, Any]


class PayloadCheck:
    """The check of one signature, in the form of a catalog file's."""

    def __init__(self, signature: Mapping[str, Any]) -> None:
        self._fields: dict[str, Mapping[str, Any]] = {field["name"]: field for field in signature["inputs"]}
        self._fits = {name: _fits(field) for name, field in self._fields.items()}
        self._needed = frozenset(
            name
            for name, field in self._fields.items()
            if field.get("required", True) and not field.get("nullable", False)
        )

    def rows(self, body: bytes) -> list[Row]:
        """The rows of a request. Raises InvalidJson or InvalidPayload, whatever the bytes."""
        return self._checked(parsed(body), body)

    def _checked(self, request: Any, body: bytes) -> list[Row]:
        rows = request.get("instances") if type(request) is dict else None
        if type(rows) is not list:
            shape = 'a request is an object with a list of rows: {"instances": [{field: value}, ...]}'
            field = "instances" if type(request) is dict else ""
            got = request.get("instances") if field else request
            raise InvalidPayload(shape, problems=(Problem(field, _told(got), "list of rows", shape, field),))
        if not rows:
            empty = "instances is empty: send at least one row"
            raise InvalidPayload(
                empty, problems=(Problem("instances", _shown(rows), "at least one row", empty, "instances"),)
            )
        if len(request) > 1:
            others = [self._unasked(name, request[name]) for name in request if name != "instances"]
            told = tuple(others[:MOST_PROBLEMS])
            raise InvalidPayload(_counted(len(others)), problems=told, count=len(others), rows=len(rows))
        # Only an escape can write half a surrogate pair.
        escapes = b"\\ud" in body or b"\\uD" in body
        if all(map(self._row_fits, rows)) and not (escapes and _halves(rows)):
            return rows
        first, count = [], 0
        for problem in self._problems(rows):
            count += 1
            if count <= MOST_PROBLEMS:
                first.append(problem())
        raise InvalidPayload(_counted(count), problems=tuple(first), count=count, rows=len(rows))

    def _row_fits(self, row: Any) -> bool:
        if type(row) is not dict:
            return False
        fits = self._fits
        for name, value in row.items():
            check = fits.get(name)
            if check is None or not check(value):
                return False
        return len(row) == len(fits) or self._needed <= row.keys()

    def _problems(self, rows: list[Any]) -> Iterator[Callable[[], Problem]]:
        """Each problem as a function that words it: only the first ones are worded."""
        for number, row in enumerate(rows):
            at = f"instances[{number}]"
            if type(row) is not dict:
                yield lambda at=at, row=row: Problem(
                    at, _told(row), "object", f"{_shown(row)} instead of an object of field names and values", at
                )
                continue
            for name in row:
                if name not in self._fields:
                    yield lambda at=at, name=name, row=row: self._unknown(at, name, row[name])
            for name, field in self._fields.items():
                place = f"{at}.{name}"
                if name not in row:
                    if name in self._needed:
                        yield lambda place=place, field=field: Problem(
                            place, None, "required", f"missing ({field['type']})", place
                        )
                elif not self._fits[name](row[name]) or _halves(row[name]):
                    yield lambda place=place, field=field, value=row[name]: _problem(place, field, value)

    def _unknown(self, at: str, name: str, value: Any) -> Problem:
        like = _nearest(name, self._fields)
        meant = f"did you mean {like}?" if like else f"the model takes {', '.join(self._fields)}"
        return Problem(f"{at}.{_cut(name)}", _told(value), "known field", f"no such field; {meant}", at)

    @staticmethod
    def _unasked(name: str, value: Any) -> Problem:
        return Problem(_cut(name), _told(value), "known field", "no such field; a request has nothing but instances")


def parsed(body: bytes) -> Any:
    """The body's value. Raises InvalidJson, whatever the bytes."""
    try:
        text = body.decode("utf-8")
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM", text, 0)
        return _decode(text)
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not JSON: byte {error.start} is no UTF-8") from None
    except _Twice as error:
        raise InvalidJson(f"not JSON that is taken: {_shown(str(error))} stands twice in one object") from None
    except RecursionError:
        raise InvalidJson("not JSON that can be read: nested too deeply") from None
    except (json.JSONDecodeError, _NoNumber) as error:
        raise InvalidJson(f"not JSON: {error}" if body.strip() else "not JSON: the body is empty") from None
    except ValueError:  # more digits than Python takes
        raise InvalidJson("not JSON that can be read: a number of thousands of digits") from None


def _refuse_constant(word: str) -> Any:
    raise _NoNumber(f"{word} is no JSON value; send null for a missing number")


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """The object of these members. Readers differ in which of two with one name they take: what we check has to be what
    the container sees."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise _Twice(name)
            names.add(name)
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse_constant).decode
"""Made once: json.loads would make a decoder a call."""


Fits = Callable[[Any], bool]


def _fits(field: Mapping[str, Any]) -> Fits:
    """Whether a value fits the field, as one call."""
    kind = field["type"]
    inner = element_type(kind)
    fits = _within(IS_TYPE[inner or kind], field.get("minimum"), field.get("maximum"))
    if inner:
        fits = _each(fits)
    return _or_null(fits) if field.get("nullable", False) else fits


def _within(is_type: Fits, low: float | None, high: float | None) -> Fits:
    if low is None and high is None:
        return is_type
    lowest = float("-inf") if low is None else low
    highest = float("inf") if high is None else high
    return lambda value: is_type(value) and lowest <= value <= highest


def _each(fits: Fits) -> Fits:
    return lambda value: type(value) is list and all(map(fits, value))


def _or_null(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def _problem(place: str, field: Mapping[str, Any], value: Any) -> Problem:
    """What is wrong with a value that does not fit."""
    kind = field["type"]
    if value is None:
        return Problem(place, None, "no null", f"null, but a value is needed ({kind})", place)
    inner = element_type(kind)
    elements = value if inner and type(value) is list else [value]
    is_type = IS_TYPE[inner or kind]
    if (inner and type(value) is not list) or not all(map(is_type, elements)):
        told = f"{_shown(value)} is no {kind}"
        if type(value) is int and not inner and is_type in (is_integer, is_double):
            told = f"{_shown(value)} is beyond 64 bits"
        return Problem(place, _told(value), f"type {kind}", told, place)
    low, high = field.get("minimum"), field.get("maximum")
    for each in elements:
        if low is not None and each < low:
            told = number_text(low)
            return Problem(place, _told(value), f"minimum {told}", f"{each} is below the minimum, {told}", place)
        if high is not None and each > high:
            told = number_text(high)
            return Problem(place, _told(value), f"maximum {told}", f"{each} is above the maximum, {told}", place)
    return Problem(place, _told(value), "text", "holds half a surrogate pair, which is no character", place)


def _halves(value: Any) -> bool:
    """Whether a text in the value has half a surrogate pair: JSON can write one, nothing can store it."""
    if type(value) is str:
        return not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)
    if type(value) is list:
        return any(map(_halves, value))
    return any(map(_halves, value.values())) if type(value) is dict else False


def _counted(count: int) -> str:
    return f"{count} value{'s do' if count > 1 else ' does'} not fit the model's signature"


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    if len(name) > _LONGEST_NAME_COMPARED:
        return ""
    import difflib  # only a request with a misspelt field needs it

    by_lower = {each.lower(): each for each in known}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[matches[0]] if matches else ""


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."


def _shown(value: Any) -> str:
    """A value as a person would recognise it, cut where it is long. Never raises, however deep the value."""
    text = ""
    try:
        for piece in json.JSONEncoder(ensure_ascii=False).iterencode(value):
            text += piece
            if len(text) > _SHOWN_CHARACTERS:
                return f"{text[: _SHOWN_CHARACTERS - 3]}..."
    except ValueError:  # an integer of more digits than Python prints
        return "a number of thousands of digits"
    return text


def _told(value: Any) -> Any:
    """A value for a reply: itself where it is short and single, else a text."""
    if value is None or type(value) is bool or is_double(value):
        return value
    if type(value) is str and len(value) <= _SHOWN_CHARACTERS:
        return value
    return _shown(value)
