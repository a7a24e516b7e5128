"""What changed, and whether it replaces: state against new arguments, path by path, as Terraform's planner does it.

The real provider compares the *state* with the new arguments, not old arguments with new ones: so drift that Read put
into the state is found, and an argument that AWS fills in (optional and computed) is no change when left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.schema import Property
from infra.rehearsal.provider.values import Path_, dotted, is_unknown


@dataclass(frozen=True)
class Change:
    path: Path_
    kind: str
    """"add", "delete" or "update"."""
    replaces: bool

    @property
    def top(self) -> str:
        return str(self.path[0])

    @property
    def text(self) -> str:
        return dotted(self.path)


def changes(row: Row, state: Mapping[str, Any], news: Mapping[str, Any], ignored: Iterable[str] = ()) -> list[Change]:
    """Every change, sorted by path. `ignored` are property paths of ignoreChanges."""
    skip = tuple(ignored)
    found: list[Change] = []
    for name, wanted in row.schema.inputs.items():
        if name == "region":
            continue
        found += _compare(row, wanted, state.get(name), news.get(name), (name,))
    found = [_conditional(row, change, state, news) for change in found]
    return sorted((change for change in found if not _ignored(change, skip)), key=lambda change: change.text)


def equal(row: Row, name: str, old: Any, new: Any) -> bool:
    """Whether two values of a top-level property mean the same."""
    wanted = row.schema.outputs.get(name) or Property("any")
    return not any(_compare(row, wanted, old, new, (name,)))


def settled(row: Row, name: str, asked: Any, live: Any) -> Any:
    """What the state shows: the asked form where it means the same (plus what AWS filled in), else what is live."""
    if asked is None or not equal(row, name, live, asked):
        return live
    return _filled(asked, live, row, name)


def refreshed_input(row: Row, name: str, asked: Any, live: Any) -> Any:
    """An argument after a Read: as it was, or the live value in the shape of what was given."""
    if equal(row, name, live, asked):
        return asked
    return _pruned(asked, live, row, name)


def _filled(asked: Any, live: Any, row: Row, path: str) -> Any:
    if isinstance(asked, Mapping) and isinstance(live, Mapping):
        merged = {key: value for key, value in live.items() if key not in asked}
        return merged | {key: _filled(value, live.get(key), row, f"{path}.{key}") for key, value in asked.items()}
    if isinstance(asked, list) and isinstance(live, list) and path not in row.sets and len(asked) == len(live):
        return [_filled(one, other, row, path) for one, other in zip(asked, live, strict=True)]
    return asked


def _pruned(asked: Any, live: Any, row: Row, path: str) -> Any:
    if isinstance(asked, Mapping) and isinstance(live, Mapping):
        return {
            key: _pruned(asked.get(key), value, row, f"{path}.{key}")
            for key, value in live.items()
            if key in asked or (f"{path}.{key}" not in row.computed and not _blank(value))
        }
    if isinstance(asked, list) and isinstance(live, list):
        pairs = itertools.zip_longest(live, asked[: len(live)])
        return [_pruned(other, one, row, path) if other is not None else one for one, other in pairs]
    return live


def _blank(value: Any) -> bool:
    """Terraform's SDK takes an unset argument for its type's zero value."""
    return value is None or value is False or value in ("", 0) or value in ([], {})


def _compare(row: Row, wanted: Property, old: Any, new: Any, where: Path_) -> Iterator[Change]:
    plain = ".".join(step for step in where if isinstance(step, str))
    if new is None and plain in row.computed:
        return
    if _blank(old) and _blank(new):
        return
    if is_unknown(new):
        yield Change(where, "add" if old is None else "update", _replaces(row, plain, None))
        return
    # A list's elements stand at the list's own path: what says whether two lists mean the same is not for them.
    same = None if isinstance(where[-1], int) else row.equal.get(plain)
    if same is not None and old is not None and new is not None and same(old, new):
        return
    if wanted.kind == "object":
        yield from _compare_objects(row, wanted, old, new, where, plain)
    elif wanted.kind == "list":
        yield from _compare_lists(row, wanted, old or [], new or [], where, plain)
    elif wanted.kind == "map":
        yield from _compare_maps(row, old or {}, new or {}, where, plain)
    elif old != new and str(old) != str(new):
        yield Change(where, _kind(old, new), row.forces_new(plain))


def _conditional(row: Row, change: Change, state: Mapping[str, Any], news: Mapping[str, Any]) -> Change:
    decide = row.replaces_when.get(".".join(step for step in change.path if isinstance(step, str)))
    if decide is None:
        return change
    top = change.top
    return Change(change.path, change.kind, decide(state.get(top), news.get(top), state))


def _compare_objects(row: Row, wanted: Property, old: Any, new: Any, where: Path_, plain: str) -> Iterator[Change]:
    if not old or not new:
        given = new or old
        before, after = old or {}, new or {}
        inside = [
            change
            for name, part in wanted.members.items()
            for change in _compare(row, part, before.get(name), after.get(name), (*where, name))
        ]
        if inside or old is None or new is None:
            yield Change(where, "delete" if not new else "add", _replaces(row, plain, given))
        return
    for name, part in wanted.members.items():
        yield from _compare(row, part, old.get(name), new.get(name), (*where, name))


def _compare_lists(
    row: Row, wanted: Property, old: list[Any], new: list[Any], where: Path_, plain: str
) -> Iterator[Change]:
    element = wanted.element or Property("any")
    if plain in row.sets:
        if not _same_sets(row, element, old, new, where):
            yield Change(where, _kind(old or None, new or None), row.forces_new(plain))
        return
    for index, (before, after) in enumerate(itertools.zip_longest(old, new)):
        here = (*where, index)
        if index >= len(old) or index >= len(new):
            kind = "add" if index >= len(old) else "delete"
            yield Change(here, kind, _replaces(row, plain, after if index >= len(old) else before))
        else:
            yield from _compare(row, element, before, after, here)


def _same_sets(row: Row, element: Property, old: list[Any], new: list[Any], where: Path_) -> bool:
    if len(old) != len(new):
        return False
    left = list(old)
    for item in new:
        match = next((one for one in left if not any(_compare(row, element, one, item, (*where, 0)))), None)
        if match is None:
            return False
        left.remove(match)
    return True


def _compare_maps(row: Row, old: Any, new: Any, where: Path_, plain: str) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before != after:
            yield Change((*where, key), _kind(before, after), row.forces_new(plain))


def _replaces(row: Row, plain: str, given: Any) -> bool:
    if row.forces_new(plain):
        return True
    below = row.forced_below(plain)
    if not isinstance(given, Mapping):
        return bool(below) and given is None
    return any(_holds(given, path.removeprefix(plain + ".")) for path in below)


def _holds(given: Any, path: str) -> bool:
    for part in path.split("."):
        if isinstance(given, list):
            given = given[0] if given else None
        if not isinstance(given, Mapping):
            return False
        given = given.get(part)
    return not _blank(given)


def _kind(old: Any, new: Any) -> str:
    if old is None:
        return "add"
    return "delete" if new is None else "update"


def _ignored(change: Change, ignored: tuple[str, ...]) -> bool:
    text = change.text
    for path in ignored:
        pattern = path.replace('["', ".").replace('"]', "")
        if text == pattern or text.startswith((pattern + ".", pattern + "[")) or pattern == "*":
            return True
    return False
