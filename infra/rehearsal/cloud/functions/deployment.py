"""What one execution environment runs: a function's configuration and code at one moment."""

from __future__ import annotations

import io
import re
import shutil
import stat
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.overlay.lambda_settings import Settings

_PYTHON = re.compile(r"python3\.\d+")
MOST_UNZIPPED_BYTES = 250 * 1024**2
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


@dataclass(frozen=True)
class Deployment:
    """Equal deployments may share environments; one that differs in anything starts new ones."""

    region: str
    account_id: str
    name: str
    version: str
    """ "$LATEST" or a number."""
    handler: str
    runtime: str
    role_arn: str
    timeout_seconds: int
    memory_mb: int
    variables: tuple[tuple[str, str], ...]
    code_sha256: str
    kms_key_arn: str
    log_group: str
    reserved_concurrency: int | None = field(compare=False)
    code: bytes = field(compare=False, repr=False)

    @property
    def arn(self) -> str:
        """Of the function, without a version."""
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.name}"


def deployment_of(function: Any, settings: Settings) -> Deployment:
    """The snapshot of moto's function. AwsError NotCarried for what is not run here.

    settings: what the overlay keeps beside moto.
    """
    if function.package_type != "Zip":
        raise _not_run(function, "a container image")
    if not _PYTHON.fullmatch(function.run_time or ""):
        raise _not_run(function, f"runtime {function.run_time}; Python runtimes are run")
    if function.layers:
        raise _not_run(function, "layers")
    reserved = function.reserved_concurrency
    return Deployment(
        region=function.region,
        account_id=function.account_id,
        name=function.function_name,
        version=str(function.version),
        handler=function.handler or "",
        runtime=function.run_time,
        role_arn=function.role,
        timeout_seconds=int(function.timeout),
        memory_mb=int(function.memory_size),
        variables=tuple(sorted((function.environment_vars or {}).items())),
        code_sha256=function.code_sha_256,
        kms_key_arn=function.kms_key_arn or "",
        log_group=settings.log_group(function.function_name),
        reserved_concurrency=None if reserved is None else int(reserved),
        code=function.code_bytes,
    )


def _not_run(function: Any, what: str) -> AwsError:
    text = f"The emulated cloud does not carry lambda.Invoke of {function.function_name}: it has {what}."
    return AwsError("NotCarried", text, 501)


class CodeStore:
    """Unzipped code, one folder for each different archive. Thread-safe."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._folders: dict[str, Path] = {}

    def folder_of(self, deployment: Deployment) -> Path:
        """The folder that holds the deployment's code, as /var/task does."""
        with self._lock:
            known = self._folders.get(deployment.code_sha256)
            if known is None:
                known = self._folder / f"task-{len(self._folders)}"
                shutil.rmtree(known, ignore_errors=True)
                unzip(deployment.code, known)
                self._folders[deployment.code_sha256] = known
            return known


def unzip(code: bytes, folder: Path) -> None:
    """Unpacks a deployment package. ValueError for what is no zip, too large, or leads out of the folder."""
    folder.mkdir(parents=True)
    with _opened(code) as archive:
        for member in archive.infolist():
            target = folder / member.filename
            if not target.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{member.filename!r} leads out of the archive")
            archive.extract(member, folder)
            mode = member.external_attr >> 16
            if not member.is_dir() and mode & stat.S_IXUSR:
                target.chmod(0o755)


def check_zip(code: bytes) -> None:
    """ValueError, with Lambda's words, for bytes that Lambda would not take as a deployment package.

    Wording: aws/aws-cli issues and the developer guide's "Troubleshoot deployment issues in Lambda".
    """
    with _opened(code) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MOST_UNZIPPED_BYTES:
        raise ValueError(f"Unzipped size must be smaller than {MOST_UNZIPPED_BYTES} bytes")


def _opened(code: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(code))
    except zipfile.BadZipFile:
        raise ValueError("Could not unzip uploaded file. Please check your file, then try to upload again.") from None
