"""Changes to model files that leave every other character as it was: comments, order, quotes, spacing.

Each function changes one thing in the file's main part, or in one environment's overlay, and returns an `Edit`; nothing
is written before `Edit.write`. A change that is there already is an Edit with no difference. After each change the new
text is read again and compared with what was meant: a file too unusual to be edited is refused, never half edited.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from infra.catalog.load import CatalogError
from infra.problems import Problem
from infra.settings.schema import ENVIRONMENTS
from infra.yaml_lines import Document, read, read_text

# A key that is new in the main part goes before the first of these, so that versions stay together.
_AFTER_VERSIONS = ("keep", "rollout", "capacity", "slo", "capture", "tags", "environments")


@dataclass(frozen=True)
class Edit:
    """A change to one file, not yet written."""

    path: Path
    before: str
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff; empty when there is none."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True), self.after.splitlines(keepends=True), str(self.path), str(self.path)
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> None:
        """Write the change, whole or not at all."""
        if not self.changes:
            return
        beside = self.path.with_name(f".{self.path.name}.new")
        beside.write_text(self.after, encoding="utf-8", newline="")
        beside.replace(self.path)


def set_stable(path: Path, version: int, environment: str | None = None) -> Edit:
    """Serve `version` from now on; takes the place of `awaiting`. Raises CatalogError for a file it cannot edit."""
    return _edit(path, environment, put=("stable", version), drop="awaiting")


def set_awaiting(path: Path, environment: str | None = None) -> Edit:
    """Declare the model and serve no version; takes the place of `stable`. Raises as `set_stable`."""
    return _edit(path, environment, put=("awaiting", True), drop="stable")


def set_keep(path: Path, versions: Sequence[int], environment: str | None = None) -> Edit:
    """Keep these earlier versions declared. A version that is kept already keeps what is said about it. Raises as
    `set_stable`."""
    document, _ = _read(path)
    section = _section(document.data, environment)
    said = {item["version"]: item for item in section.get("keep") or () if isinstance(item, dict) and "version" in item}
    return _edit(path, environment, put=("keep", [said.get(version, version) for version in versions]), drop=None)


def set_versions(
    path: Path, stable: int, keep: Sequence[int | Mapping[str, Any]], environment: str | None = None
) -> Edit:
    """Serve `stable` from now on, keep these earlier versions declared, all in one change. Raises as `set_stable`.

    keep: numbers, or mappings of `version` and `runtime` for versions of another runtime than the file's.
    """
    document, _ = _read(path)
    section = _section(document.data, environment)
    changes = [_Change("stable", stable, drop="awaiting")]
    # An empty list says nothing, but for an overlay that has to say it against the main part's.
    if keep or "keep" in section or (environment is not None and document.data.get("keep")):
        wanted = [dict(each) if isinstance(each, Mapping) else each for each in keep]
        if _as_mappings(section.get("keep")) != _as_mappings(wanted):
            changes.append(_Change("keep", wanted))
    return _edit_all(path, environment, changes)


def _as_mappings(keep: Any) -> Any:
    """`keep` with every version as a mapping: two ways of writing one thing are no difference."""
    return [{"version": each} if isinstance(each, int) else each for each in keep] if isinstance(keep, list) else keep


@dataclass(frozen=True)
class _Change:
    """A key to put, and one that goes because of it."""

    key: str
    value: Any
    drop: str | None = None


def _edit(path: Path, environment: str | None, *, put: tuple[str, Any], drop: str | None) -> Edit:
    return _edit_all(path, environment, [_Change(put[0], put[1], drop)])


def _edit_all(path: Path, environment: str | None, changes: Sequence[_Change]) -> Edit:
    if environment is not None and environment not in ENVIRONMENTS:
        raise ValueError(f"environment {environment!r}: allowed are {', '.join(ENVIRONMENTS)}")
    document, before = _read(path)
    data, after = document.data, before
    for change in changes:
        wanted = _wanted(data, environment, (change.key, change.value), change.drop)
        if data != wanted:
            after = _Text(after).changed(environment, (change.key, change.value), change.drop)
        data = wanted
    if after == before:
        return Edit(path, before, before)
    check = Document(document.file)
    read_text(after, check)
    if check.problems or check.data != data:
        named = " and ".join(change.key for change in changes)
        fix = f"set {named} by hand{f' under environments.{environment}' if environment else ''}"
        message = "the file's form is too unusual to be edited"
        raise CatalogError([Problem(document.file, 1, changes[0].key, message, fix=fix)])
    return Edit(path, before, after)


def _read(path: Path) -> tuple[Document, str]:
    document = read(path, path.parent.parent.parent)
    if document.problems:
        raise CatalogError(document.problems)
    # newline="": a file with Windows line ends keeps them.
    with path.open(encoding="utf-8-sig", newline="") as file:
        return document, file.read()


def _section(data: dict[str, Any], environment: str | None) -> dict[str, Any]:
    if environment is None:
        return data
    return (data.get("environments") or {}).get(environment) or {}


def _wanted(data: dict[str, Any], environment: str | None, put: tuple[str, Any], drop: str | None) -> dict[str, Any]:
    wanted = deepcopy(data)
    section = wanted
    if environment is not None:
        if not isinstance(wanted.get("environments"), dict):
            wanted["environments"] = {}
        if not isinstance(wanted["environments"].get(environment), dict):
            wanted["environments"][environment] = {}
        section = wanted["environments"][environment]
    if drop is not None:
        section.pop(drop, None)
    section[put[0]] = put[1]
    return wanted


class _Text:
    """The file's text, changed by replacing slices whose places the YAML parser gives."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.root = _mapping(YAML(typ="safe", pure=True).compose(text))

    def changed(self, environment: str | None, put: tuple[str, Any], drop: str | None) -> str:
        """The text with `put` in the section and without `drop`."""
        section = self.section(environment)
        if section is None:
            return self.with_section(environment, put)
        present = [key.value for key, _ in section.value]
        if put[0] in present and drop in present:
            return _Text(self.without(section, drop)).changed(environment, put, None)
        entry = _inline(dict([put]))[1:-1]
        if put[0] == "keep" and "keep" not in present and "stable" in present and not section.flow_style:
            return self.after(section, present.index("stable"), entry)
        return self.with_entry(section, put[0] if put[0] in present else drop, entry)

    def section(self, environment: str | None) -> MappingNode | None:
        if environment is None:
            return self.root
        return _mapping(_value(_mapping(_value(self.root, "environments")), environment))

    def with_section(self, environment: str | None, put: tuple[str, Any]) -> str:
        """The environment's overlay is not there yet; perhaps `environments` is not either."""
        assert self.root is not None
        entry = f"{environment}: {_inline(dict([put]))}"
        environments = _mapping(_value(self.root, "environments"))
        if environments is None or not environments.value:
            return self.with_entry(self.root, "environments", f"environments:{self.newline}  {entry}")
        return self.with_entry(environments, environment, entry)

    def with_entry(self, mapping: MappingNode, replaced: str | None, entry: str) -> str:
        """`entry` in place of the key `replaced`, or as a new one."""
        for key, value in mapping.value:
            if key.value == replaced:
                return self.sliced(key.start_mark.index, self.end_of(key, value), entry)
        if mapping.flow_style:
            inside = mapping.start_mark.index + 1
            return self.sliced(inside, inside, f"{entry}, " if mapping.value else entry)
        following = next(
            (key for key, _ in mapping.value if mapping is self.root and key.value in _AFTER_VERSIONS), None
        )
        if following is None or entry.startswith("environments:"):
            return self.after_last(mapping, entry)
        # In front of the comments that belong to that key.
        lines = self.text.splitlines(keepends=True)
        number = following.start_mark.line
        while number > 0 and lines[number - 1].lstrip().startswith("#"):
            number -= 1
        place = sum(map(len, lines[:number]))
        return self.sliced(place, place, f"{entry}{self.newline}{self.newline}")

    def after_last(self, mapping: MappingNode, entry: str) -> str:
        return self.after(mapping, -1, entry)

    def after(self, mapping: MappingNode, index: int, entry: str) -> str:
        """`entry` on a line of its own below an entry of a block."""
        line_end = self.text.find("\n", self.end_of(*mapping.value[index]))
        indent = " " * mapping.start_mark.column
        if line_end < 0:
            return f"{self.text}{self.newline}{indent}{entry}{self.newline}"
        return self.sliced(line_end + 1, line_end + 1, f"{indent}{entry}{self.newline}")

    def without(self, mapping: MappingNode, name: str | None) -> str:
        index = next(index for index, (key, _) in enumerate(mapping.value) if key.value == name)
        start, end = mapping.value[index][0].start_mark.index, self.end_of(*mapping.value[index])
        if not mapping.flow_style:
            return self.sliced(self.text.rfind("\n", 0, start) + 1, self.text.find("\n", end) + 1 or len(self.text), "")
        if index + 1 < len(mapping.value):
            return self.sliced(start, mapping.value[index + 1][0].start_mark.index, "")
        return self.sliced(self.end_of(*mapping.value[index - 1]) if index else start, end, "")

    def end_of(self, key: Node, value: Node) -> int:
        """Where an entry's text ends: without the comments and blank lines that a block value's mark runs over."""
        if isinstance(value, ScalarNode) and value.value == "" and not value.style:
            return self.text.index(":", key.end_mark.index) + 1
        if not isinstance(value, ScalarNode) and not _is_flow(value) and value.value:
            last = value.value[-1]
            return self.end_of(*last) if isinstance(last, tuple) else self.end_of(last, last)
        return max(value.end_mark.index, key.end_mark.index)

    def sliced(self, start: int, end: int, new: str) -> str:
        return self.text[:start] + new + self.text[end:]


def _is_flow(node: Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _mapping(node: Node | None) -> MappingNode | None:
    return node if isinstance(node, MappingNode) else None


def _value(mapping: MappingNode | None, key: str | None) -> Node | None:
    if mapping is None:
        return None
    return next((value for node, value in mapping.value if node.value == key), None)


def _inline(value: Any) -> str:
    """A value on one line, as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return str(value)
