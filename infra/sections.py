"""Pydantic models for files that people write: strict, frozen, every problem at once, each with its line.

A `Section` is a pydantic model that also has `rules`: checks over several fields. Pydantic alone stops before such
checks as soon as one field is wrong; a Section runs them on whatever is valid, so that a person sees the whole list
in one go. `problems_of` turns pydantic's errors into `Problem`s with the line, the nearest known key and the fix.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from infra.problems import Problem, nearest, shown
from infra.yaml_lines import Location, at, dotted

_FINDING = "finding"


@dataclass(frozen=True)
class Finding:
    """What a rule found: where (relative to the section), what, and what to do."""

    location: Location
    message: str
    allowed: str = ""
    nearest: str = ""
    fix: str = ""


class Section(BaseModel):
    """Base of every model of settings and catalog."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, validate_default=False)

    @classmethod
    def rules(cls, values: Mapping[str, Any]) -> Iterator[Finding]:
        """Checks over several fields. `values` holds the fields that are valid (defaults included), and only those."""
        yield from ()

    @model_validator(mode="wrap")
    @classmethod
    def _collect(cls, data: Any, handler: Callable[[Any], Self]) -> Self:
        errors: list[InitErrorDetails] = []
        model: Self | None = None
        try:
            model = handler(data)
            values: dict[str, Any] = dict(model)
        except ValidationError as error:
            if not isinstance(data, Mapping):
                raise
            details = error.errors(include_url=False)
            errors.extend(_again(detail) for detail in details)
            values = _valid_values(cls, data, broken={detail["loc"][0] for detail in details if detail["loc"]})
        for finding in cls.rules(values):
            context = {"message": finding.message, "allowed": finding.allowed}
            context |= {"nearest": finding.nearest, "fix": finding.fix}
            kind = PydanticCustomError(_FINDING, "{message}", context)
            errors.append(InitErrorDetails(type=kind, loc=finding.location, input=at(data, finding.location)))
        if errors or model is None:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        return model


def _again(detail: ErrorDetails) -> InitErrorDetails:
    """An error that pydantic reported, in the form in which it takes one."""
    context = detail.get("ctx", {})
    # Pydantic's own kinds are named; those of rules were raised by an inner section and are carried on as they are.
    kind = PydanticCustomError(_FINDING, "{message}", context) if detail["type"] == _FINDING else detail["type"]
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)


def _valid_values(section: type[BaseModel], data: Mapping[str, Any], broken: set[int | str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, adapter in _adapters(section).items():
        field = section.model_fields[name]
        if name in broken:
            continue
        if name in data:
            values[name] = adapter.validate_python(data[name])
        elif not field.is_required():
            values[name] = field.get_default(call_default_factory=True)
    return values


@cache
def _adapters(section: type[BaseModel]) -> dict[str, TypeAdapter[Any]]:
    adapters: dict[str, TypeAdapter[Any]] = {}
    for name, field in section.model_fields.items():
        annotation: Any = field.annotation
        # The constraints travel with the type; the rest of a FieldInfo means nothing to an adapter.
        for constraint in field.metadata:
            annotation = Annotated[annotation, constraint]
        adapters[name] = TypeAdapter(annotation)
    return adapters


def problems_of(
    error: ValidationError,
    section: type[BaseModel],
    *,
    place: Callable[[Location], tuple[str, int, Location]],
) -> Iterator[Problem]:
    """Each of pydantic's errors as a `Problem`. `place` gives file, line and the field as written for a location in
    the validated data."""
    for detail in error.errors(include_url=False):
        location: Location = tuple(detail["loc"])
        file, line, written = place(location)
        yield _problem(detail, section, location, file, line, dotted(written))


def _problem(
    detail: ErrorDetails, section: type[BaseModel], location: Location, file: str, line: int, field: str
) -> Problem:
    kind = detail["type"]
    context = detail.get("ctx", {})
    got = shown(detail["input"])
    if kind == _FINDING:
        return Problem(
            file, line, field, context["message"], "" if detail["input"] is None else got,
            context["allowed"], context["nearest"], context["fix"],
        )  # fmt: skip
    if kind == "extra_forbidden":
        known = sorted(known_keys(section, location[:-1]))
        near = nearest(location[-1], known)
        fix = f"rename it to {near}" if near else "remove it"
        if not near and detail["input"] is None:
            fix += "; a text with a comma takes quotes inside {…}"
        return Problem(file, line, field, "unknown field", got, ", ".join(known), near, fix)
    if kind == "missing":
        wanted = described(section, location)
        return Problem(file, line, field, "missing", "", wanted, "", f"add {location[-1]}")
    allowed = described(section, location)
    if kind == "literal_error":
        choices = literals(section, location)
        words = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices]
        told = ", ".join(words)
        if any(detail["input"] == str(choice) for choice in choices):
            return Problem(file, line, field, "takes a number", got, told, "", "write it without quotes")
        return Problem(file, line, field, "not one of the choices", got, told, nearest(detail["input"], words))
    if kind in _WRONG_TYPE:
        wanted = _WRONG_TYPE[kind]
        return Problem(file, line, field, f"takes {wanted}", got, allowed, "", _retype(kind, detail["input"]))
    if kind == "string_pattern_mismatch":
        return Problem(file, line, field, "does not have the form that is taken here", got, allowed)
    return Problem(file, line, field, _sentence(detail["msg"]), got, allowed)


_WRONG_TYPE = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}


def _retype(kind: str, value: object) -> str:
    if kind == "string_type" and value is None:
        return "write a text; the word null itself takes quotes"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return "put it in quotes: YAML reads it as a " + ("truth value" if isinstance(value, bool) else "number")
    if kind in ("int_type", "float_type", "bool_type") and isinstance(value, str):
        return "write it without quotes" if _looks_right(kind, value) else ""
    return ""


def _looks_right(kind: str, text: str) -> bool:
    if kind == "bool_type":
        return text.lower() in ("true", "false")
    try:
        float(text)
    except ValueError:
        return False
    return kind == "float_type" or text.lstrip("+-").isdigit()


def _sentence(message: str) -> str:
    """Pydantic's "Input should be less than or equal to 100" as "must be less than or equal to 100"."""
    for subject in ("Input", "Value", "String", "Tuple", "List", "Dictionary"):
        message = message.replace(f"{subject} should ", "must ")
    return message[:1].lower() + message[1:]


def unwrapped(annotation: Any) -> Any:
    """The annotation inside Annotated and Optional."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            inner = [argument for argument in get_args(annotation) if argument is not type(None)]
            annotation = inner[0]
        else:
            return annotation


def _section_at(section: type[BaseModel], location: Location) -> type[BaseModel] | None:
    current: Any = section
    for part in location:
        origin = get_origin(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            if part not in current.model_fields:
                return None
            current = unwrapped(current.model_fields[str(part)].annotation)
        elif origin in (tuple, list):
            current = unwrapped(get_args(current)[0])
        elif origin is dict:
            current = unwrapped(get_args(current)[1])
        else:
            return None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def known_keys(section: type[BaseModel], location: Location) -> list[str]:
    """The fields that a person may write in the section at `location`."""
    found = _section_at(section, location)
    return [name for name, field in found.model_fields.items() if not field.exclude] if found else []


def described(section: type[BaseModel], location: Location) -> str:
    """What the field at `location` takes, in its own words: the part of its description before the first full stop."""
    for end in range(len(location), 0, -1):
        holder = _section_at(section, location[: end - 1])
        if holder and location[end - 1] in holder.model_fields:
            description = holder.model_fields[str(location[end - 1])].description or ""
            return description.split(". ")[0].rstrip(".")
    return ""


def literals(section: type[BaseModel], location: Location) -> tuple[object, ...]:
    """The choices of a Literal field, also inside a list."""
    for end in range(len(location), 0, -1):
        holder = _section_at(section, location[: end - 1])
        if holder and location[end - 1] in holder.model_fields:
            annotation = unwrapped(holder.model_fields[str(location[end - 1])].annotation)
            while get_origin(annotation) in (tuple, list):
                annotation = unwrapped(get_args(annotation)[0])
            return get_args(annotation) if get_origin(annotation) is typing.Literal else ()
    return ()
