"""The model host: serves a deployed model for real, in an environment with the pinned framework of its AWS image.

Real: the deployed archive, the person's code, the framework at the image's version, HTTP. Emulated: the image's serving
stack (nginx, gunicorn, Flask), whose contract `container/` follows and names.
"""

from infra.rehearsal.cloud.model_host.archive import BadArchive, unpack_model_archive
from infra.rehearsal.cloud.model_host.check import CheckFailed, CheckReport, check_model
from infra.rehearsal.cloud.model_host.client import HostAnswer
from infra.rehearsal.cloud.model_host.environments import (
    EnvironmentUnavailable,
    PresetEnvironments,
    PresetRuntime,
    hosted_presets,
)
from infra.rehearsal.cloud.model_host.host import HostSpec, ModelHost
from infra.rehearsal.cloud.model_host.process import HostFailed

__all__ = [
    "BadArchive",
    "CheckFailed",
    "CheckReport",
    "EnvironmentUnavailable",
    "HostAnswer",
    "HostFailed",
    "HostSpec",
    "ModelHost",
    "PresetEnvironments",
    "PresetRuntime",
    "check_model",
    "hosted_presets",
    "unpack_model_archive",
]
