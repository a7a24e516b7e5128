"""The model file after a promotion or a step back: found, changed in memory, and checked before it is written."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.catalog import Edit, KeptVersion, Model, load_catalog, set_versions
from infra.catalog.load import FOLDER
from infra.releases.versions import Versions, serving
from infra.releases.words import ReleaseError
from infra.settings.schema import ENVIRONMENTS
from infra.yaml_lines import read


@dataclass(frozen=True)
class Part:
    """The part of a model file whose versions are changed."""

    path: Path
    environment: str | None
    """None: the main part, which every environment serves that has no versions of its own."""
    versions: Versions
    affected: tuple[str, ...]
    """Environments that serve what this part asks for."""

    @property
    def name(self) -> str:
        return "the main part" if self.environment is None else f"environments.{self.environment}"


@dataclass(frozen=True)
class Change:
    """A change of versions, not yet written."""

    part: Part
    asked: Versions
    dropped: tuple[int, ...]
    """Versions that were kept and are no longer."""
    edit: Edit

    @property
    def changes(self) -> bool:
        return self.edit.changes


def part_of(root: Path, model: Model, *, serves_in: str, environment: str | None) -> Part:
    """The part that says what `serves_in` serves: its overlay where that has versions of its own, else the main part;
    with `environment` its overlay in any case.

    Raises ReleaseError when `environment` is another one than the target's.
    """
    if environment is not None and environment not in ENVIRONMENTS:
        raise ReleaseError(f"--env {environment!r}: allowed are {', '.join(ENVIRONMENTS)}")
    if environment is not None and environment != serves_in:
        raise ReleaseError(
            f"--env {environment}: the target is {serves_in}, and what is registered and serves is looked up there: "
            f"--target {environment} --profile PROFILE"
        )
    path = root / FOLDER / f"{model.model}.yaml"
    data = read(path, root).data
    own = [each for each in ENVIRONMENTS if _has_versions(data, each)]
    if environment is not None or serves_in in own:
        return Part(path, serves_in, _asked(model), (serves_in,))
    return Part(path, None, _of_main_part(data, model), tuple(each for each in ENVIRONMENTS if each not in own))


def _of_main_part(data: Mapping[str, Any], model: Model) -> Versions:
    """What the main part asks for, overlays left aside."""
    stable = data.get("stable")
    keep = tuple(
        KeptVersion(version=each) if isinstance(each, int) else KeptVersion.model_validate(each)
        for each in data.get("keep") or ()
    )
    return Versions(stable if isinstance(stable, int) else None, keep, model.runtime)


def _has_versions(data: Mapping[str, Any], environment: str) -> bool:
    overlay = (data.get("environments") or {}).get(environment) or {}
    return any(overlay.get(key) is not None for key in ("stable", "awaiting"))


def _asked(model: Model) -> Versions:
    return Versions(model.stable, tuple(model.keep), model.runtime)


def serve(root: Path, part: Part, version: int, *, refused: Collection[int] = ()) -> Change:
    """The change that makes the part ask for `version`. Nothing is written. refused: as for `serving`.

    Raises ReleaseError (kept for another runtime), CatalogError (a file that cannot be edited, or would be wrong).
    """
    asked, dropped = serving(part.versions, version, refused=refused)
    if asked == part.versions:
        # An overlay that would say what the main part says is no change.
        return Change(part, asked, dropped, Edit(part.path, "", ""))
    keep: list[int | Mapping[str, Any]] = [
        each.version if each.runtime is None else {"version": each.version, "runtime": each.runtime}
        for each in asked.keep
    ]
    edit = set_versions(part.path, version, keep, part.environment)
    if edit.changes:
        _check(root, edit)
    return Change(part, asked, dropped, edit)


def _check(root: Path, edit: Edit) -> None:
    """Reads the changed file as `up` would, for every environment. Raises CatalogError."""
    with tempfile.TemporaryDirectory(prefix="mainstage-catalog-") as scratch:
        folder = Path(scratch) / FOLDER
        folder.mkdir(parents=True)
        for beside in (root / FOLDER).glob(f"{edit.path.stem}.signature.json"):
            shutil.copy(beside, folder)
        (folder / edit.path.name).write_text(edit.after, encoding="utf-8", newline="")
        load_catalog(Path(scratch), ENVIRONMENTS[0])
