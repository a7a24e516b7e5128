"""Applies the stack and model files again to a rehearsal that another process serves (`mainstage up`)."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

from pulumi import RunError

from infra import settings
from infra.catalog import check_recorded, load_catalog
from infra.policy_check import Policing
from infra.program import program_for
from infra.registry.registry import Registry
from infra.registry.retire import left_behind
from infra.registry.target import Target
from infra.rehearsal.engine import Engine, Result
from infra.rehearsal.progress import Progress, Tell
from infra.rehearsal.provider import AwsProvider
from infra.rehearsal.rehearse import RehearsalError, stack_report
from infra.rehearsal.report import StackReport
from infra.releases.mending import mend_state_file

LAYERS = ("platform", "models")


def update(
    root: Path,
    target: Target,
    environment: str,
    tell: Tell = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> list[StackReport]:
    """Brings both layers of `environment` to what the files say, through the served rehearsal's address.

    say: takes what a person should be warned of, though the update goes on.

    Raises RehearsalError when the rehearsal is of another environment, when another `up` is under way, or when a layer
    fails; what was done before stays done, and the next `up` goes on.
    """
    if environment != target.environment:
        raise RehearsalError(
            f"the served rehearsal is of {target.environment}, not {environment}: "
            f"mainstage up --env {target.environment}, "
            f"or serve the other one: make rehearse ENV={environment} ARGS=--serve"
        )
    if target.state_file is None and target.endpoint_url:
        raise RehearsalError(
            "what runs is an emulated cloud for the real pulumi (mainstage cloud status), and mainstage up has an "
            f"engine of its own: make rehearse-up ENV={environment}"
        )
    if target.state_file is None:
        raise RehearsalError(
            "mainstage up works on a served rehearsal; for AWS itself: pulumi up -s platform-dev, then models-dev"
        )
    catalog = load_catalog(root, environment)
    check_recorded(root, catalog)
    reports = []
    with (target.state_file.parent / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RehearsalError("another mainstage up is under way on this rehearsal; wait for it to end") from None
        if left := left_behind(Registry.of(target), set(catalog.models)):
            raise RehearsalError("\n".join(left))
        for layer in LAYERS:
            stack = f"{layer}-{environment}"
            tell(Progress(layer))
            if layer == "models":
                check_registered(root, target)
                mend_state_file(target, stack)  # as `mainstage recover` does before the real pulumi
            policing = Policing(root)
            engine = Engine(
                provider=AwsProvider(lambda: target.session),
                state_file=target.state_file,
                policies=[policing],
                progress=lambda event, layer=layer: tell(
                    Progress(layer, f"{event.op} {event.urn.rpartition('::')[2]}")
                ),
                environment=target.variables,
            )
            config = settings.stack_config(root / "stacks" / f"Pulumi.{stack}.yaml")
            # A model that refuses keeps no other from being released; the command still ends with an error.
            result = engine.up(stack, program_for(stack, root), config, continue_on_error=True)
            reports.append(stack_report(result))
            for warning in said(result, "warning"):
                say(warning)
            if result.error is not None:
                raise RehearsalError(f"{stack}: " + "\n".join(failure(result, result.error))) from result.error
            if violations := policing.at_the_end(result).violations:
                raise RehearsalError("\n".join(f"{stack}: {violation}" for violation in violations))
    return reports


def failure(result: Result, error: BaseException) -> list[str]:
    """How a failed run is told. What a hook says of a release stands first: it has the alarm, what serves, and the next
    command. What the program itself ended with stands last, as `pulumi` tells it."""
    ended = [str(error.__cause__)] if isinstance(error.__cause__, RunError) else []
    return [*said(result, "error"), str(error), *ended]


def said(result: Result, severity: str) -> list[str]:
    """What was logged of single resources, as hooks do: after a half-done update the engine drops what one raises."""
    failed = str(result.error)
    found = (log.message for log in result.logs if log.severity == severity and log.urn)
    return [message for message in dict.fromkeys(found) if message not in failed]


def check_registered(root: Path, target: Target) -> None:
    """Raises RehearsalError when the catalog asks for a version that the registry does not hold."""
    registry = Registry.of(target)
    missing = []
    for model in load_catalog(root, target.environment).models.values():
        numbers = registry.numbers(model.model)
        missing += [
            f"stacks/models/{model.model}.yaml asks for version {wanted} of {model.model}; registered are "
            f"{', '.join(map(str, numbers)) or 'none'}: mainstage model push {model.model} FOLDER, "
            "or put awaiting: true"
            for wanted in (*model.keep_versions, *([] if model.stable is None else [model.stable]))
            if wanted not in numbers
        ]
    if missing:
        raise RehearsalError("\n".join(missing))
