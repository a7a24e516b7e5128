"""Takes single protections of the platform away, in this process and for a while, to see that a drill notices."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

_OURS = ("mainstage", "mainstage_runtime", "infra")


@contextmanager
def replaced(place: str, made: Callable[[Any], Any]) -> Iterator[None]:
    """Replaces `module:name` wherever one of our modules has it, or `module:Class.method`, while the block runs.

    made: the original to what takes its place. LookupError when there is nothing of that name: a protection must not
    be removed in vain.
    """
    module_name, _, path = place.partition(":")
    owner: Any = import_module(module_name)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each, None)
    original = getattr(owner, name, None)
    if original is None:
        raise LookupError(f"{place}: there is no such thing to take away")
    replacement = made(original)
    if not classes:
        modules = [each for key, each in list(sys.modules.items()) if key.partition(".")[0] in _OURS]
        holders = [(module, key) for module in modules for key, value in vars(module).items() if value is original]
    else:
        holders = [(owner, name)]
    for holder, key in holders:
        setattr(holder, key, replacement)
    try:
        yield
    finally:
        for holder, key in holders:
            setattr(holder, key, original)


def made_into(place: str, instead: Callable[..., Any]) -> Callable[[], Any]:
    """For a Protection: while it is removed, the function at `place` is `instead`, called with the original first."""
    return lambda: replaced(place, lambda original: lambda *given, **named: instead(original, *given, **named))


def both(*removals: Callable[[], Any]) -> Callable[[], Any]:
    """For a Protection that stands in more than one place."""

    @contextmanager
    def removed() -> Iterator[None]:
        with ExitStack() as until_the_end:
            for each in removals:
                until_the_end.enter_context(each())
            yield

    return removed


def without_refusal(rule: str) -> Callable[[], Any]:
    """`before_update` without one of its refusals."""

    def filtered(original: Any, *given: Any, **named: Any) -> Any:
        return [each for each in original(*given, **named) if each.rule != rule]

    return made_into("mainstage._release_refusals:refusals", filtered)


def _always_good(_: Any, plan: Any, *_given: Any, **_named: Any) -> Any:
    from mainstage._release_verdict import Verdict

    return Verdict(kind="released", serves=plan.configuration, requests=1000)


without_verdict = made_into("mainstage._release_verdict:judge", _always_good)
"""Whatever the endpoint does, the hooks call the release a good one."""


def deaf_guard(guard: str, threshold: float) -> Callable[[], Any]:
    """A guard alarm that cannot fire: its threshold is what is never reached."""

    def watched(original: Any, name: str, *given: Any, **named: Any) -> dict[str, Any]:
        found = original(name, *given, **named)
        return {**found, "threshold": threshold} if name == guard else found

    return made_into("mainstage.guard_alarms:_watched", watched)
