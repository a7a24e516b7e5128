"""The project folder of a rehearsal: a copy of Pulumi.yaml and the stack files, links to the code.

`pulumi stack init` and `config set` write into stack files: they would take the `secretsprovider` out of the committed
ones and reformat their comments, so a rehearsal works on copies.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

LAYERS = ("platform", "models")
_LINKED = ("infra", ".venv")


@dataclass(frozen=True)
class Project:
    """One generated project: `folder` has Pulumi.yaml, `backend` the states, `home` takes PULUMI_HOME."""

    root: Path
    """The checkout."""
    folder: Path
    backend: Path
    home: Path

    def stack_file(self, stack: str) -> Path:
        return self.folder / "stacks" / f"Pulumi.{stack}.yaml"


def make_project(root: Path, directory: Path) -> Project:
    """Writes the project under `directory`; one that is there gets the checkout's files anew and keeps its states."""
    root, directory = root.resolve(), directory.resolve()
    project = Project(root, directory / "project", directory / "backend", directory / "home")
    for folder in (project.folder / "stacks", project.backend, project.home):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(root / "Pulumi.yaml", project.folder / "Pulumi.yaml")
    for file in sorted((root / "stacks").glob("Pulumi.*.yaml")):
        _take_over(file, project.folder / "stacks" / file.name)
    for name in _LINKED:
        link = project.folder / name
        if not link.is_symlink():
            link.symlink_to(root / name)
    return project


def _take_over(committed: Path, copy: Path) -> None:
    """The committed stack file without the secrets provider of the real backend, with the salt that `stack init` put
    into the copy."""
    salt = [line for line in _lines(copy) if line.startswith("encryptionsalt:")]
    kept = [line for line in _lines(committed) if not line.startswith(("secretsprovider:", "encryptedkey:"))]
    copy.write_text("\n".join([*salt, *kept]) + "\n", encoding="utf-8")


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
