"""An environment in the emulated cloud that stays: brought up, and taken down, by the unmodified `pulumi`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra import settings
from infra.catalog import Catalog, Model, check_recorded, load_catalog
from infra.front_door import front_door_url
from infra.registry.registry import Registry
from infra.registry.retire import retire
from infra.registry.target import Target
from infra.rehearsal import cloud_control, traffic
from infra.rehearsal.changing import Say, StackDone, change, in_the_cloud
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.cloud_control import CloudError, Running
from infra.rehearsal.disk import naming_it
from infra.rehearsal.progress import Progress, Tell
from infra.rehearsal.pulumi_cli import told
from infra.rehearsal.pulumi_cli.cli import Cli, find
from infra.rehearsal.registering import Registering, approval_required, folder_of, served
from infra.rehearsal.update import check_registered
from infra.settings.load import stack_file

MODEL_PACKAGE_GROUP = "aws:sagemaker/modelPackageGroup:ModelPackageGroup"


@dataclass(frozen=True)
class Stood:
    """An environment that stands."""

    running: Running
    stacks: list[StackDone]
    registered: list[str]
    """Versions that were registered now: "iris 1"."""
    front_door_url: str
    try_it: str | None
    """A command line that sends a prediction; None when nothing is served."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "environment": self.running.environment,
            "account_id": self.running.account_id,
            "region": self.running.region,
            "endpoint_url": self.running.endpoint_url,
            "project": str(self.running.project.folder),
            "stacks": {each.stack: {"changes": each.changes, "seconds": each.seconds} for each in self.stacks},
            "registered": self.registered,
            "front_door_url": self.front_door_url,
            "try": self.try_it,
        }


@dataclass(frozen=True)
class Left:
    """What is left of an environment that was taken down."""

    environment: str
    stacks: list[StackDone] = field(default_factory=list)
    remaining: list[told.Remaining] = field(default_factory=list)
    cloud_stopped: bool = False


def up(root: Path, environment: str, tell: Tell, say: Say) -> Stood:
    """Starts the cloud where it does not run, brings both layers up, and registers the versions that the registry has
    not. Done again, it changes what the files ask to be changed.

    Raises CloudError, PulumiMissing, InputError (settings, catalog), PulumiFailed, RehearsalError (versions that
    nothing here can be registered from), StackLocked, DiskFull, TrainingFailed and what a push refuses.
    """
    find(root)
    catalog = load_catalog(root, environment)
    check_recorded(root, catalog)
    for layer in settings.LAYERS:
        stack = f"{layer}-{environment}"
        settings.load(settings.stack_config(stack_file(root, stack), root), stack, root)
    tell(Progress("cloud"))
    with naming_it(root):
        running, _ = cloud_control.start(root, environment)
        with in_the_cloud(running):
            return _brought_up(running, catalog, tell, say)


def _brought_up(running: Running, catalog: Catalog, tell: Tell, say: Say) -> Stood:
    _check_issuer(running)
    cli = cloud_control.prepare(running)
    platform, models = running.stacks
    done = [_up(cli, platform, running.target, tell, say)]
    with cloud_control.alone(running.root, "register"):  # or a second `up` registers the same versions
        registered = _register(running, list(served(catalog)), tell, say)
    check_registered(running.root, running.target)
    done.append(_up(cli, models, running.target, tell, say))
    url = front_door_url(running.target)
    return Stood(running, done, registered, url, _try_it(running, served(catalog)))


def down(root: Path, environment: str, tell: Tell, say: Say) -> Left:
    """Destroys what is not protected, models first. The cloud is stopped when nothing remains.

    Raises CloudError, PulumiMissing, PulumiFailed, StackLocked, DiskFull.
    """
    running = cloud_control.find(root)
    if running is None:
        return Left(environment)
    running = cloud_control.found(root, environment)
    done, remaining = [], []
    with naming_it(root), in_the_cloud(running):
        cli = cloud_control.prepare(running)
        for stack in reversed(running.stacks):
            if stack == running.stacks[0]:
                _empty_groups(cli, running, stack, say)
            done.append(_destroy(cli, stack, running.target, tell, say))
            remaining += told.remaining(stack, cli.state(stack))
    if not remaining:
        cloud_control.stop(root)
    return Left(environment, done, remaining, cloud_stopped=not remaining)


def _empty_groups(cli: Cli, running: Running, stack: str, say: Say) -> None:
    """Takes the versions out of model package groups that may go: SageMaker deletes none that lists any. Protected
    ones keep theirs."""
    for each in told.resources(cli.state(stack)):
        if each["type"] != MODEL_PACKAGE_GROUP or each.get("protect"):
            continue
        model = each["outputs"]["modelPackageGroupName"].removeprefix(f"{running.environment}-")
        if versions := retire(running.target, model):
            numbers = ", ".join(sorted(versions))
            say(f"{model}: took version {numbers} out of the registry's list, whose group goes only when it is empty")


def _up(cli: Cli, stack: str, target: Target, tell: Tell, say: Say) -> StackDone:
    # The rest goes on when one endpoint refuses; the command still ends with an error.
    options = ("--yes", "--skip-preview", "--continue-on-error", "--policy-pack", str(cli.project.root / "policies"))
    return change(cli, stack, target, ("up", *options), tell, say)


def _destroy(cli: Cli, stack: str, target: Target, tell: Tell, say: Say) -> StackDone:
    return change(cli, stack, target, ("destroy", "--yes", "--skip-preview", "--exclude-protected"), tell, say)


def _register(running: Running, models: list[Model], tell: Tell, say: Say) -> list[str]:
    """Registers the versions that the catalog asks for and the registry has not; those without a folder here are told
    by `check_registered`."""
    registry = Registry.of(running.target)
    registering = Registering(
        PresetEnvironments(running.root / ".mainstage" / "environments"),
        _trained(running),
        tell,
        approve=approval_required(running.root, running.environment),
    )
    registered = []
    for model in models:
        wanted = (*model.keep_versions, model.stable)
        missing = [number for number in wanted if number is not None and registry.card(model.model, number) is None]
        folder = folder_of(running.root, model.model)
        if not missing or folder is None:
            continue
        approved = registering.register(model, registering.train(model, folder), running.target)
        for each in approved:
            by = each.approval.approved_by
            say(f"{each.model} version {each.approval.version} was approved as {by}, who is played: nobody was asked")
        registered += [f"{model.model} {number}" for number in missing]
    return registered


def _trained(running: Running) -> Path:
    """Where training puts what it makes; it goes when the cloud does."""
    return running.directory / "trained"


def _check_issuer(running: Running) -> None:
    """Raises CloudError when the front door is to take tokens of an issuer that this cloud does not play."""
    stack = running.stacks[0]
    loaded = settings.load_platform(
        settings.stack_config(stack_file(running.root, stack), running.root), stack, running.root
    )
    jwt = loaded.front_door.jwt
    if loaded.front_door.auth == "jwt" and jwt is not None and jwt.issuer != running.issuer:
        raise CloudError(
            f"stacks/Pulumi.{stack}.yaml: mainstage:front_door.jwt.issuer {jwt.issuer}: the emulated cloud plays the "
            f"issuer that the file named when it started ({running.issuer or 'none'}): mainstage cloud stop, then "
            f"make rehearse-up ENV={running.environment}"
        )


def _try_it(running: Running, models: list[Model]) -> str | None:
    """A command line that sends one prediction to the first model."""
    if not models:
        return None
    model = models[0]
    folder = _trained(running) / model.model
    body = next(traffic.requests_for(model, folder if folder.is_dir() else None)).decode()
    token = f" --token {running.token}" if running.token else ""
    return f"mainstage predict {model.model} '{body}'{token}"
