"""Settings: what a stack file says, read once, typed and frozen.

A stack is `<layer>-<environment>`; its file is stacks/Pulumi.<stack>.yaml. Keys stand in the namespace `mainstage:`.
"""

from infra.settings.load import (
    NAMESPACE,
    SettingsError,
    load,
    load_models,
    load_platform,
    split_stack,
    stack_config,
    stack_file,
)
from infra.settings.schema import (
    ENVIRONMENTS,
    LAYERS,
    PLACEHOLDER_ACCOUNT_IDS,
    Environment,
    LayerSettings,
    Limits,
    ModelsSettings,
    NetworkSettings,
    PlatformSettings,
)

__all__ = [
    "ENVIRONMENTS",
    "LAYERS",
    "NAMESPACE",
    "PLACEHOLDER_ACCOUNT_IDS",
    "Environment",
    "LayerSettings",
    "Limits",
    "ModelsSettings",
    "NetworkSettings",
    "PlatformSettings",
    "SettingsError",
    "load",
    "load_models",
    "load_platform",
    "split_stack",
    "stack_config",
    "stack_file",
]
