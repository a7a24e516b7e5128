"""Every field that is about to be deployed has to be in the model's signature file: what is deployed is logged.

Were it not, a field could be added, logged, and given another type, and nothing would know of the rows between.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from infra.catalog.load import Catalog, CatalogError
from infra.catalog.signature_file import SignatureFileError, signature_path, unrecorded
from infra.problems import Problem
from infra.yaml_lines import display_path


def check_recorded(root: Path, catalog: Catalog) -> None:
    """Raises CatalogError for every field of every model, awaiting ones too, that its signature file does not hold.

    A rule on files alone. `mainstage catalog record NAME` adds what is missing.
    """
    problems = [problem for name in catalog.models for problem in _problems(root, catalog, name)]
    if problems:
        raise CatalogError(problems)


def _problems(root: Path, catalog: Catalog, name: str) -> Iterator[Problem]:
    file = display_path(signature_path(root, name), root)
    fix = f"mainstage catalog record {name}, and commit {file}"
    try:
        new = unrecorded(root, catalog.models[name])
    except SignatureFileError as broken:
        yield Problem(file, 1, broken.field, f"is no record of a signature: {broken.why}", broken.got, broken.allowed)
        return
    if new is None:
        message = f"once deployed its fields are logged, and {file} is not there to remember them"
        yield catalog.problem(name, ("signature",), message, fix=fix)
        return
    for side, fields in new.items():
        for index, field in fields:
            message = f"{field} is logged once deployed, and not in {file} yet"
            yield catalog.problem(name, ("signature", side, index, "name"), message, fix=fix)
