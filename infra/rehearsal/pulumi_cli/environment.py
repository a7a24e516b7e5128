"""What a `pulumi` sees in a rehearsal: emulated AWS, a backend of files, nothing that is the person's."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.rehearsal.pulumi_cli.project import Project

_FOREIGN = ("AWS_", "PULUMI_", "AZURE_", "GOOGLE_", "ARM_")
"""Prefixes of variables that could lead to a real account or another backend."""


@dataclass(frozen=True)
class Emulated:
    """Where the emulated cloud is."""

    endpoint_url: str
    provider_port: int
    region: str
    access_key_id: str
    secret_access_key: str


def variables(emulated: Emulated, project: Project) -> dict[str, str]:
    """The variables that make an unmodified `pulumi`, `aws` or boto3 work on the emulated cloud and on nothing else."""
    return {
        "AWS_ENDPOINT_URL": emulated.endpoint_url,
        "AWS_ACCESS_KEY_ID": emulated.access_key_id,
        "AWS_SECRET_ACCESS_KEY": emulated.secret_access_key,
        "AWS_REGION": emulated.region,
        "AWS_DEFAULT_REGION": emulated.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PULUMI_DEBUG_PROVIDERS": f"aws:{emulated.provider_port}",
        "PULUMI_BACKEND_URL": project.backend.as_uri(),
        "PULUMI_HOME": str(project.home),
        "PULUMI_CONFIG_PASSPHRASE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "1",
    }


def environment(
    emulated: Emulated, project: Project, binaries: Path, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The whole environment of a `pulumi` that a rehearsal starts; it asks nobody. binaries: the folder of it."""
    own = {name: value for name, value in inherited.items() if not name.startswith(_FOREIGN)}
    path = f"{binaries}{os.pathsep}{own.get('PATH', os.defpath)}"
    return {**own, "PATH": path, "PYTHONDONTWRITEBYTECODE": "", "CI": "1", **variables(emulated, project)}


def shell_lines(
    emulated: Emulated, project: Project, binaries: Path, inherited: Mapping[str, str] = os.environ
) -> list[str]:
    """What a POSIX shell evaluates to work on the emulated cloud by hand, and nowhere else: what could lead to another
    account or backend is unset. There a person answers pulumi's questions: no CI. MAINSTAGE_PROJECT is the folder to
    work in."""
    wanted = variables(emulated, project)
    foreign = sorted(name for name in inherited if name.startswith(_FOREIGN) and name not in wanted)
    return [
        *(f"unset {name}" for name in foreign),
        *(f"export {name}={shlex.quote(value)}" for name, value in wanted.items()),
        f"export MAINSTAGE_PROJECT={shlex.quote(str(project.folder))}",
        f'export PATH={shlex.quote(str(binaries))}"${{PATH:+:$PATH}}"',
    ]
