"""Puts a checkout's models into an emulated registry: trains them where they have a train.py, and pushes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from infra import settings
from infra.catalog import Catalog, Model
from infra.registry.approval import Approved
from infra.registry.archive import ARCHIVE_NAME
from infra.registry.push import push
from infra.registry.registry import Registry
from infra.registry.target import Target
from infra.rehearsal import child
from infra.rehearsal.approving import approve_as_colleague
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.progress import Progress, Tell

TRAINING_SECONDS = 300
_FOLDERS = ("models", "examples/models")


class TrainingFailed(ValueError):
    """A train.py that did not end well; the message has its last lines."""


def folder_of(root: Path, model: str) -> Path | None:
    """The folder of the checkout that makes the model: models/<model> or examples/models/<model>."""
    candidates = (root / folder / model for folder in _FOLDERS)
    return next((folder for folder in candidates if (folder / "inference.py").is_file()), None)


@dataclass(frozen=True)
class Registering:
    """What training and pushing need. `scratch` takes what is trained."""

    environments: PresetEnvironments
    scratch: Path
    tell: Tell = lambda _: None
    approve: bool = False
    """Whether a played colleague approves what is pushed (mainstage:approval)."""

    def train(self, model: Model, folder: Path) -> Path:
        """Runs the folder's train.py with the image's Python. Returns what is to be pushed: without a train.py, the
        folder itself. Raises TrainingFailed."""
        script = folder / "train.py"
        if not script.is_file():
            return folder
        output = self.scratch / model.model
        self.tell(Progress("training", model.model))
        python = self.environments.ensure(model.runtime).python
        command = [str(python), str(script), "--output", str(output)]
        try:
            done = child.run(command, timeout_seconds=TRAINING_SECONDS)
        except TimeoutError:
            raise TrainingFailed(f"{script}: not done after {TRAINING_SECONDS} s") from None
        if done.returncode != 0 or not (output / ARCHIVE_NAME).is_file():
            tail = "\n".join(done.output.strip().splitlines()[-12:])
            raise TrainingFailed(f"{script}: ended with {done.returncode} and wrote no {ARCHIVE_NAME}\n{tail}")
        return output

    def register(self, model: Model, source: Path, target: Target) -> list[Approved]:
        """Registers the version that the catalog asks for, and those it keeps, from the one folder there is. Returns
        the approvals that were played."""
        self.tell(Progress("registering", model.model))
        registry = Registry.of(target)
        approved = []
        for number in (*model.keep_versions, model.stable):
            done = push(model, source, registry, environments=self.environments, number=number)
            if self.approve and done.new:
                approved.append(approve_as_colleague(target, model.model, done.version))
        return approved


def approval_required(root: Path, environment: str) -> bool:
    """Whether the environment's settings ask for approvals."""
    stack = f"models-{environment}"
    config = settings.stack_config(settings.stack_file(root, stack), root)
    return settings.load_models(config, stack, root).approval.required


def served(catalog: Catalog) -> list[Model]:
    """The models of a catalog that do not await their first version."""
    return [model for model in catalog.models.values() if not model.awaiting]
