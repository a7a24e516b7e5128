"""Property paths, as `ignore_changes` and `replace_on_changes` take them: `a.b[0]["c.d"]`; `*` is every element."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from infra.rehearsal.engine.values import Secret

Path = tuple[str | int, ...]

_PART = re.compile(
    r"""\.?(?:(?P<name>[^.\[\]"]+)|\[(?P<index>\d+)\]|\[(?P<star>\*)\]|\[?"(?P<quoted>(?:[^"\\]|\\.)*)"\]?)"""
)


def parse(text: str) -> Path | None:
    """The path's steps; None for a text that is no path (which the real engine passes over)."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part.end() == position:
            return None
        if part["index"] is not None:
            steps.append(int(part["index"]))
        elif part["star"] is not None:
            steps.append("*")
        elif part["quoted"] is not None:
            steps.append(part["quoted"].replace('\\"', '"'))
        else:
            steps.append(part["name"])
        position = part.end()
    return tuple(steps) or None


def reset(path: Path, old: Any, new: Any) -> tuple[Any, bool]:
    """`new` with what stands at `path` taken from `old`.

    The flag is False when the path runs through an element that only one of the two has: such a change can't be
    ignored.
    """
    if isinstance(old, Secret) or isinstance(new, Secret):
        inner, done = reset(
            path, old.value if isinstance(old, Secret) else old, new.value if isinstance(new, Secret) else new
        )
        return (Secret(inner) if isinstance(old, Secret) or isinstance(new, Secret) else inner), done
    step, rest = path[0], path[1:]
    if step == "*":
        return _reset_every(rest, old, new)
    if isinstance(new, dict) and isinstance(old, dict | None) and isinstance(step, str):
        changed = dict(new)
        if not rest:
            if old is not None and step in old:
                changed[step] = old[step]
            else:
                changed.pop(step, None)
            return changed, True
        if old is None:
            return new, False
        if step not in new:
            return new, step not in old
        # What only the new one has is looked into: a last step that the old one lacks is taken out of it.
        changed[step], done = reset(rest, old.get(step), new[step])
        return changed, done
    if isinstance(new, list) and isinstance(old, list) and isinstance(step, int):
        if step >= len(new) and step >= len(old):
            return new, True
        if step >= len(new) or step >= len(old):
            return new, False
        elements = list(new)
        if rest:
            elements[step], done = reset(rest, old[step], new[step])
            return elements, done
        elements[step] = old[step]
        return elements, True
    return new, old == new


def _reset_every(rest: Path, old: Any, new: Any) -> tuple[Any, bool]:
    if isinstance(new, list) and isinstance(old, list):
        if not rest:
            return list(old), True
        if len(old) != len(new):
            return new, False
        pairs = [reset(rest, before, after) for before, after in zip(old, new, strict=True)]
        return [item for item, _ in pairs], all(done for _, done in pairs)
    if isinstance(new, dict) and isinstance(old, dict):
        if not rest:
            return dict(old), True
        if old.keys() != new.keys():
            return new, False
        results = {key: reset(rest, old[key], new[key]) for key in new}
        return {key: item for key, (item, _) in results.items()}, all(done for _, done in results.values())
    return new, old == new


def ignore(
    inputs: dict[str, Any], old_inputs: dict[str, Any], ignored: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Inputs with every ignored path as it was, and the paths that could not be ignored."""
    failed: list[str] = []
    for text in ignored:
        path = parse(text)
        if path is None:
            continue
        inputs, done = reset(path, old_inputs, inputs)
        if not done:
            failed.append(text)
    return inputs, failed


def covers(pattern: Path, path: Path) -> bool:
    """Whether a change at `path` lies at or below `pattern`, or above it."""
    return all(want in ("*", got) for want, got in zip(pattern, path, strict=False))
