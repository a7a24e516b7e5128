"""YAML files that people write, read with the line of every value.

The reader keeps what a plain parser throws away: where each key and value stands, and every key that is given twice.
Anchors, aliases and merge keys work. What it returns is plain data: mappings with text keys, lists, text, bool, int,
float and None. YAML 1.2 rules hold, as in Pulumi's own reader: `yes` and `on` are text, and a date is text.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from infra.problems import Problem, shown

Location = tuple[str | int, ...]

MAXIMUM_BYTES = 1_000_000
REMEMBERED_LENGTH = 50_000  # characters of a file whose parsed form is kept
MAXIMUM_VALUES = 20_000  # aliases multiply: a few lines of nested anchors can stand for billions of values

_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOATS = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}
_LONGEST_NUMBER = 400  # characters; Python refuses to read integers of more than 4,300 digits


@dataclass
class Document:
    """One file as plain data, with the line of each value and the problems found while reading it."""

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Location, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, location: Location) -> int:
        """The line of the value at `location`, or of the nearest thing around it that is in the file."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def dotted(location: Location) -> str:
    """("signature", "inputs", 2, "type") as `signature.inputs[2].type`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def display_path(path: Path, root: Path) -> str:
    """The path as messages show it: relative to the repository where it lies inside."""
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(path)


def read(path: Path, root: Path) -> Document:
    """Read one file. Whatever is wrong with it is in `problems`; `data` then holds what could be understood."""
    document = Document(display_path(path, root))
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        document.problems.append(Problem(document.file, 1, "", f"the file {reason}", fix="check the path"))
        return document
    if len(content) > MAXIMUM_BYTES:
        message = f"the file has {len(content)} bytes"
        document.problems.append(Problem(document.file, 1, "", message, allowed=f"up to {MAXIMUM_BYTES} bytes"))
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        document.problems.append(Problem(document.file, line, "", message, fix="save the file as UTF-8"))
        return document
    read_text(text, document)
    return document


def read_text(text: str, document: Document) -> None:
    """Fill `document` from YAML text: one mapping with text keys at the top."""
    try:
        node = _composed(text) if len(text) <= REMEMBERED_LENGTH else _compose(text)
    except RecursionError:
        document.problems.append(Problem(document.file, 1, "", "values are nested too deeply", fix="flatten the file"))
        return
    except YAMLError as error:
        document.problems.append(_syntax_problem(error, text, document.file))
        return
    if node is None:
        document.problems.append(Problem(document.file, 1, "", "the file is empty", allowed="a mapping (key: value)"))
        return
    if not isinstance(node, MappingNode):
        kind = "a list" if isinstance(node, SequenceNode) else "a single value"
        document.problems.append(
            Problem(document.file, _line(node), "", f"the file holds {kind}", allowed="a mapping (key: value)")
        )
        return
    try:
        document.data = _Builder(document).mapping(node, ())
    except RecursionError:
        document.problems.append(Problem(document.file, 1, "", "values are nested too deeply", fix="flatten the file"))
    except _TooMany:
        message = f"the file stands for more than {MAXIMUM_VALUES} values, aliases counted"
        document.problems.append(Problem(document.file, 1, "", message, fix="use fewer aliases"))


def _compose(text: str) -> Node | None:
    return YAML(typ="safe", pure=True).compose(text)


_composed = functools.lru_cache(maxsize=64)(_compose)
"""The same files are read again and again by what checks, previews and releases them, and nobody changes the nodes."""


class _TooMany(Exception):
    pass


class _Builder:
    """Turns parsed nodes into plain data; writes lines and problems to the document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[Node] = []
        self.count = 0

    def value(self, node: Node, location: Location) -> Any:
        self.count += 1
        if self.count > MAXIMUM_VALUES:
            raise _TooMany
        self.document.lines.setdefault(location, _line(node))
        if isinstance(node, ScalarNode):
            return self.scalar(node, location)
        if any(node is ancestor for ancestor in self.open):
            self.problem(node, location, "an alias points at something that contains it", fix="write the value out")
            return None
        self.open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*location, index)) for index, item in enumerate(node.value)]
            return self.mapping(node, location)
        finally:
            self.open.pop()

    def mapping(self, node: Node, location: Location) -> dict[str, Any]:
        self.document.lines.setdefault(location, _line(node))
        built: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                for key, value in self.merge(value_node, location).items():
                    merged.setdefault(key, value)
                continue
            key = self.key(key_node, location)
            if key is None:
                continue
            here = (*location, key)
            if key in first_lines:
                message = f"this key stands twice; the first is on line {first_lines[key]}"
                self.problem(key_node, here, message, fix="keep one of the two")
                continue
            first_lines[key] = _line(key_node)
            self.document.lines[here] = _line(key_node)
            built[key] = self.value(value_node, here)
        return {**{key: value for key, value in merged.items() if key not in built}, **built}

    def merge(self, node: Node, location: Location) -> dict[str, Any]:
        """`<<: *defaults` or `<<: [*a, *b]`: keys that the mapping itself does not give."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, MappingNode):
                self.problem(source, location, "a merge key (<<) takes mappings", fix="point it at a mapping")
                continue
            found = self.value(source, location)
            for key, value in (found or {}).items():
                merged.setdefault(key, value)
        return merged

    def key(self, node: Node, location: Location) -> str | None:
        if isinstance(node, ScalarNode) and (node.style or isinstance(_plain(node.value), str)):
            return str(node.value)
        got = shown(node.value) if isinstance(node, ScalarNode) else "a list or mapping"
        self.problem(node, location, "keys are text", got=got, fix="quote the key or correct it")
        return None

    def scalar(self, node: ScalarNode, location: Location) -> Any:
        text = str(node.value)
        tag = str(node.tag or "")
        if tag.startswith("tag:yaml.org,2002:") and tag.removeprefix("tag:yaml.org,2002:") in _KNOWN_TAGS:
            if node.style or tag.endswith(":str"):
                return text
            if len(text) > _LONGEST_NUMBER and (_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)):
                self.problem(node, location, "the number is too long", got=shown(text), fix="give a shorter number")
                return None
            return _plain(text)
        self.problem(node, location, f"the tag {tag} is not used here", got=shown(text), fix="remove the tag")
        return None

    def problem(self, node: Node, location: Location, message: str, *, got: str = "", fix: str = "") -> None:
        self.document.problems.append(
            Problem(self.document.file, _line(node), dotted(location), message, got=got, fix=fix)
        )


_KNOWN_TAGS = frozenset({"str", "int", "float", "bool", "null", "timestamp", "merge", "value"})


def _plain(text: str) -> Any:
    """An unquoted scalar by YAML 1.2's core rules."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if text.lower() in _SPECIAL_FLOATS:
        return _SPECIAL_FLOATS[text.lower()]
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _is_merge(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value == "<<"


def _line(node: Node) -> int:
    return node.start_mark.line + 1


def _syntax_problem(error: YAMLError, text: str, file: str) -> Problem:
    mark = None
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
    if mark is None:
        position = getattr(error, "position", 0)
        line = text[:position].count("\n") + 1 if isinstance(position, int) else 1
        reason = str(getattr(error, "reason", "") or error).splitlines()[0]
        return Problem(file, line, "", f"not readable as YAML: {reason}", fix="remove the character or correct it")
    lines = text.splitlines()
    content = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in content[: len(content) - len(content.lstrip())] or content[mark.column : mark.column + 1] == "\t":
        message = "a tab stands where YAML takes spaces only"
        return Problem(file, mark.line + 1, "", message, fix="replace the tab with spaces")
    reason = getattr(error, "problem", None) or getattr(error, "context", None) or "syntax error"
    place = f"column {mark.column + 1}"
    return Problem(file, mark.line + 1, "", f"not readable as YAML: {reason} ({place})", fix="correct the syntax")


def _holds(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and part < len(data)
    return isinstance(data, Mapping) and part in data


def depth(data: Any, location: Location) -> int:
    """How many parts of `location` exist in `data`."""
    for count, part in enumerate(location):
        if not _holds(data, part):
            return count
        data = data[part]
    return len(location)


def at(data: Any, location: Location) -> Any:
    """The value at `location`, or None where nothing stands."""
    for part in location:
        if not _holds(data, part):
            return None
        data = data[part]
    return data
