"""The project folder of a rehearsal: a copy of Pulumi.yaml and the stack files, links to the code.

`pulumi stack init` and `config set` write into stack files: they would take the `secretsprovider` out of the committed
ones and reformat their comments, so a rehearsal works on copies.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LAYERS = ("platform", "models")
_LINKED = ("infra", "policies", ".venv")
"""policies: for `--policy-pack policies`, as in the checkout; the pack's environment is ../.venv."""


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

    def checkpoint(self, stack: str) -> Path:
        """The file with the stack's state; there as soon as the stack is
        (https://github.com/pulumi/pulumi/blob/v3.259.0/pkg/backend/diy/store.go, projectReferenceStore)."""
        return self.backend / ".pulumi" / "stacks" / "mainstage" / f"{stack}.json"


def project_at(root: Path, directory: Path) -> Project:
    """The project of a checkout under `directory`, whether it is written or not."""
    root, directory = root.resolve(), directory.resolve()
    return Project(root, directory / "project", directory / "backend", directory / "home")


def make_project(root: Path, directory: Path) -> Project:
    """Writes the project under `directory`; one that is there gets the checkout's files anew, and keeps its states.

    `root` may be another checkout than the last time: the links follow it. A pulumi that reads the folder meanwhile
    finds every file whole.
    """
    project = project_at(root, directory)
    for folder in (project.folder / "stacks", project.backend, project.home):
        folder.mkdir(parents=True, exist_ok=True)
    _replace(project.folder / "Pulumi.yaml", (project.root / "Pulumi.yaml").read_text(encoding="utf-8"))
    for file in sorted((project.root / "stacks").glob("Pulumi.*.yaml")):
        copy = project.folder / "stacks" / file.name
        _replace(copy, _taken_over(file, copy))
    for name in _LINKED:
        _link(project.folder / name, project.root / name)
    return project


def _taken_over(committed: Path, copy: Path) -> str:
    """The committed stack file without the secrets provider of the real backend, with the salt that `stack init` put
    into the copy."""
    salt = [line for line in _lines(copy) if line.startswith("encryptionsalt:")]
    own = ("secretsprovider:", "encryptedkey:", "encryptionsalt:")
    kept = [line for line in _lines(committed) if not line.startswith(own)]
    return "\n".join([*salt, *kept]) + "\n"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _replace(file: Path, text: str) -> None:
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _link(link: Path, to: Path) -> None:
    if link.is_symlink() and Path(os.readlink(link)) == to:
        return
    partial = link.with_name(f".{link.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(to)
    partial.replace(link)
