"""Reads stacks/models/*.yaml into a catalog, or raises once with everything that is wrong in any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infra.catalog.overlay import merge, written_at
from infra.catalog.schema import EnvironmentOverlay, Model
from infra.catalog.signature_file import signature_problems
from infra.problems import InputError, Problem, nearest, shown
from infra.sections import known_keys, problems_of
from infra.settings.schema import ENVIRONMENTS
from infra.yaml_lines import Document, Location, display_path, dotted, read

FOLDER = Path("stacks") / "models"


class CatalogError(InputError):
    """Everything that is wrong in the model files."""

    subject = "model catalog"


@dataclass(frozen=True)
class Source:
    """Where a model's values stand, for errors that are found later."""

    document: Document
    environment: str
    main: Mapping[str, Any]
    overlay: Mapping[str, Any]

    def place(self, location: Location) -> tuple[str, int, Location]:
        """File, line and the field as written, for a location in the model."""
        written = written_at(location, self.environment, self.main, self.overlay)
        return self.document.file, self.document.line_of(written), written


@dataclass(frozen=True)
class Catalog:
    """The models of one environment, by name, in the order of their names."""

    environment: str
    models: Mapping[str, Model]
    sources: Mapping[str, Source] = field(default_factory=dict)

    def with_awaiting(self, name: str) -> Catalog:
        """The same catalog with one model declared only: no version of it serves."""
        declared = self.models[name].model_copy(update={"awaiting": True, "stable": None, "keep": ()})
        return replace(self, models={**self.models, name: declared})

    def problem(self, name: str, location: Location, message: str, **details: str) -> Problem:
        """A problem with one model's value, with file and line where the model was read from a file."""
        source = self.sources.get(name)
        file, line, written = source.place(location) if source else ((FOLDER / f"{name}.yaml").as_posix(), 1, location)
        return Problem(file, line, dotted(written), message, **details)


def load_catalog(root: Path, environment: str) -> Catalog:
    """The models that `environment` serves, from the model files under `root`.

    Every file is checked for every environment: a mistake in prod's overlay is found before it gets there. Raises
    CatalogError with every problem of every file.
    """
    if environment not in ENVIRONMENTS:
        raise ValueError(f"environment {environment!r}: allowed are {', '.join(ENVIRONMENTS)}")
    problems: list[Problem] = []
    models: dict[str, Model] = {}
    sources: dict[str, Source] = {}
    paths, misplaced = _model_files(root)
    problems += misplaced
    named_by: dict[str, list[Document]] = {}
    for path in paths:
        document = read(path, root)
        problems += document.problems
        if not document.data:
            continue
        name = document.data.get("model")
        if isinstance(name, str):
            named_by.setdefault(name, []).append(document)
            problems += _file_name_problems(document, name, path)
        read_model, found = _read_model(document, environment)
        problems += found
        if read_model:
            model, source = read_model
            problems += signature_problems(root, model, source)
            models[model.model] = model
            sources[model.model] = source
    for name, documents in named_by.items():
        problems += _duplicate_problems(name, documents)
    if problems:
        raise CatalogError(problems)
    return Catalog(environment, dict(sorted(models.items())), sources)


def _model_files(root: Path) -> tuple[list[Path], list[Problem]]:
    folder = root / FOLDER
    if not folder.is_dir():
        return [], []
    paths: list[Path] = []
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*")):
        if path.name.startswith(".") or path.is_dir() or path.suffix.lower() not in (".yaml", ".yml"):
            continue
        if path.parent == folder and path.suffix == ".yaml":
            paths.append(path)
            continue
        fix = f"move it to {(FOLDER / (path.stem + '.yaml')).as_posix()}"
        message = "a model file lies directly in stacks/models and ends in .yaml; this one would not be read"
        problems.append(Problem(display_path(path, root), 1, "", message, fix=fix))
    return paths, problems


def _file_name_problems(document: Document, name: str, path: Path) -> Iterable[Problem]:
    if name == path.stem:
        return
    fix = f"rename the file to {name}.yaml, or write model: {path.stem}"
    line = document.line_of(("model",))
    yield Problem(document.file, line, "model", "differs from the file's name", shown(name), path.stem, "", fix)


def _duplicate_problems(name: str, documents: list[Document]) -> Iterable[Problem]:
    for document in documents[1:]:
        other = documents[0]
        message = f"this model stands in {other.file}:{other.line_of(('model',))} already"
        line = document.line_of(("model",))
        yield Problem(document.file, line, "model", message, shown(name), fix="give each model one file and one name")


def _read_model(document: Document, environment: str) -> tuple[tuple[Model, Source] | None, list[Problem]]:
    main = {key: value for key, value in document.data.items() if key != "environments"}
    overlays, problems = _overlays(document)
    wanted: tuple[Model, Source] | None = None
    by_environment: dict[str, set[Problem]] = {}
    for name in ENVIRONMENTS:
        merged, left = merge(main, overlays[name])
        source = Source(document, name, left, overlays[name])
        found = by_environment.setdefault(name, set())
        try:
            model = Model.model_validate(merged)
        except ValidationError as error:
            found.update(problems_of(error, Model, place=source.place))
        else:
            if name == environment:
                wanted = (model, source)
    problems += _told_once(by_environment)
    return wanted, problems


def _overlays(document: Document) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """Each environment's overlay, reduced to the keys that an overlay may have, and what else was there."""
    overlays: dict[str, dict[str, Any]] = {name: {} for name in ENVIRONMENTS}
    problems: list[Problem] = []

    def refuse(location: Location, message: str, allowed: str, near: str = "", fix: str = "") -> None:
        value: Any = document.data
        for part in location:
            value = value[part]
        line = document.line_of(location)
        problems.append(Problem(document.file, line, dotted(location), message, shown(value), allowed, near, fix))

    given = document.data.get("environments")
    if given is None:
        return overlays, problems
    if not isinstance(given, Mapping):
        refuse(("environments",), "takes a mapping (key: value)", ", ".join(ENVIRONMENTS))
        return overlays, problems
    known = known_keys(EnvironmentOverlay, ())
    for name, overlay in given.items():
        here: Location = ("environments", name)
        if name not in ENVIRONMENTS:
            refuse(here, "unknown environment", ", ".join(ENVIRONMENTS), nearest(name, ENVIRONMENTS))
        elif overlay is not None and not isinstance(overlay, Mapping):
            refuse(here, "takes a mapping (key: value)", ", ".join(known))
        for key, value in overlay.items() if isinstance(overlay, Mapping) else ():
            if key in known:
                overlays.setdefault(name, {})[key] = value
            elif key in Model.model_fields:
                fix = "set it in the main part"
                refuse((*here, key), "is the same in every environment", ", ".join(known), fix=fix)
            else:
                near = nearest(key, known)
                refuse(
                    (*here, key),
                    "unknown field",
                    ", ".join(known),
                    near,
                    f"rename it to {near}" if near else "remove it",
                )
    return overlays, problems


def _told_once(by_environment: Mapping[str, set[Problem]]) -> list[Problem]:
    """A problem of the main part once for all environments; one that an overlay brings about, with the environment's
    name."""
    told: list[Problem] = []
    for problem in set().union(*by_environment.values()):
        where = [name for name, found in by_environment.items() if problem in found]
        if len(where) == len(by_environment) or problem.field.startswith("environments."):
            told.append(problem)
        else:
            told.append(replace(problem, message=f"{problem.message} (in {' and '.join(where)})"))
    return told
