"""The Pulumi program of a stack: the same for the CLI (`infra/__main__.py`) and for the in-process engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import config as engine_config

from infra import settings as stack_settings
from infra.catalog import Catalog, check_limits, check_recorded, load_catalog
from infra.layers.outputs import PlatformNotUp, read_platform
from infra.problems import InputError
from infra.settings import PlatformSettings
from infra.version import ReleaseMismatch, check_release

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""


def program_for(stack: str, root: Path = ROOT, *, catalog: Catalog | None = None) -> Callable[[], None]:
    """The program of `stack` (`<layer>-<environment>`), to be run by an engine.

    What it registers follows from the files under `root`, the stack's configuration and, for the models layer, the
    platform stack's outputs; from nothing else. `catalog` takes the place of the files under stacks/models. What a
    person can mend (settings, catalog, release, a platform that is not up) ends the run as `pulumi.RunError`, which
    the engine shows without a trace back; the cause is attached.
    """

    async def main() -> Mapping[str, Any]:
        try:
            return await compose(stack, root, engine_configuration(), catalog)
        except (InputError, ReleaseMismatch, PlatformNotUp, pulumi.InputPropertiesError) as error:
            raise pulumi.RunError(str(error)) from error

    return lambda: pulumi.run(main)


async def compose(stack: str, root: Path, config: Mapping[str, str], catalog: Catalog | None = None) -> dict[str, Any]:
    """Registers the stack's resources and returns its outputs."""
    # First of all: another release may have other settings, and then every further message would mislead.
    if pinned := config.get(f"{stack_settings.NAMESPACE}:release"):
        check_release(pinned, stack)
    settings = stack_settings.load(config, stack, root)
    models = catalog if catalog is not None else load_catalog(root, settings.environment)
    check_recorded(root, models)
    if isinstance(settings, PlatformSettings):
        from infra.layers import platform

        return platform.compose(settings, models)

    from infra.layers import models as models_layer

    check_limits(models, settings)
    return models_layer.compose(settings, models, await read_platform(settings.environment))


def engine_configuration() -> dict[str, str]:
    """The whole configuration that the engine handed over; `pulumi.Config` gives single keys only."""
    return {**engine_config.get_config_env(), **engine_config.CONFIG.get()}
