"""Which versions a model file asks for after a promotion or a step back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from infra.catalog import KeptVersion
from infra.releases.words import ReleaseError

MOST_KEPT = 5
"""What a model file may keep (infra/catalog/schema.py)."""


@dataclass(frozen=True)
class Versions:
    """The versions that one part of a model file asks for."""

    stable: int | None
    """None: awaiting."""
    keep: tuple[KeptVersion, ...] = ()
    """The one that served last comes first, what `up` refuses last."""
    runtime: str = ""
    """The preset of `stable`, and of those kept that name none."""

    @property
    def kept(self) -> tuple[int, ...]:
        return tuple(each.version for each in self.keep)


def serving(versions: Versions, version: int, *, refused: Collection[int] = ()) -> tuple[Versions, tuple[int, ...]]:
    """(what is asked for when `version` serves, the versions that are kept no longer).

    The one that served is kept, first of all: going back to it needs nothing built. refused: versions that `up` refuses
    and that do not serve. They are kept last, and are the first to go: nobody goes back to them. Raises ReleaseError
    when `version` is kept for another runtime than the file's.
    """
    if versions.stable == version:
        return versions, ()
    for each in versions.keep:
        if each.version == version and each.runtime not in (None, versions.runtime):
            raise ReleaseError(
                f"version {version} is kept for the runtime {each.runtime} and the file's runtime is "
                f"{versions.runtime}, which every environment shares: write runtime: {each.runtime}, stable: {version} "
                f"and keep: [{{version: {versions.stable}, runtime: {versions.runtime}}}] by hand"
            )
    others = [each for each in versions.keep if each.version != version]
    keep = others if versions.stable is None else [KeptVersion(version=versions.stable), *others]
    keep = sorted(keep, key=lambda each: each.version in refused)
    return (
        Versions(version, tuple(keep[:MOST_KEPT]), versions.runtime),
        tuple(each.version for each in keep[MOST_KEPT:]),
    )


def step_back(versions: Versions, live: int | None, *, blocked: Collection[int] = (), unasked: bool = False) -> int:
    """The version that a rollback goes to.

    live: the version that serves, None when none of ours does. When it is another one than the catalog asks for, it is
    the end of a step back: either the catalog asks for an older one already, or what it asks for was taken back (or
    never released) and the live one is what there is. Else it is the newest one kept that is older than stable and was
    not taken back itself. unasked: somebody moved the endpoint by hand; then what serves is what is to be asked for.
    Raises ReleaseError when there is none.
    """
    stable = versions.stable
    if stable is None:
        raise ReleaseError("no version is asked for (awaiting: true), so there is nothing to roll back from")
    if unasked and live is None:
        raise ReleaseError(
            "what serves is no configuration of ours, so no version stands for it: say which one is to be asked for "
            "(--to VERSION), or let up release the catalog's (mainstage model retry)"
        )
    if live is not None and live != stable:
        return live if live < stable or unasked or stable in blocked else stable
    if not versions.keep:
        raise ReleaseError(
            f"nothing is kept beside version {stable}, so there is nothing to go back to; a registered version can be "
            "released as any other, with its canary"
        )
    older = [each for each in versions.kept if each < stable]
    found = [each for each in older if each not in blocked]
    if not older and live == stable and all(each in blocked for each in versions.kept):
        return stable  # the step back is done: all that is kept was taken back
    if not found:
        why = f"of those kept ({_listed(versions.kept)}) none is older than version {stable}"
        if older:
            why = f"of those kept ({_listed(versions.kept)}) every older one was taken back itself"
        raise ReleaseError(f"{why}; say which one: --to VERSION")
    return max(found)


def check_kept(versions: Versions, version: int) -> None:
    """Raises ReleaseError for a step back to what is not declared."""
    if version != versions.stable and version not in versions.kept:
        raise ReleaseError(
            f"version {version} is not kept (kept are: {_listed(versions.kept)}), so it stands nowhere any more; a "
            "registered version can be promoted like a new one"
        )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
