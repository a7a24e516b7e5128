"""Registers a version of a model: check it in the serving image's environment, write it once, record its card.

Order: archive (write-once, so it claims the version number), card, SageMaker model package. A push that dies in
between is completed by pushing the same folder again; a number is never used for two archives.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from mainstage.runtime_presets import image_uri, preset_named

from infra.catalog import Model
from infra.layers.names import model_package_group_name
from infra.registry.archive import ARCHIVE_NAME, TRAINING_RECORD, FolderError, Packed, pack, stage
from infra.registry.registry import Registry, RegistryError, read_json
from infra.rehearsal.cloud.model_host import CheckFailed, CheckReport, PresetEnvironments, check_model

CARD_SCHEMA = 1
SAMPLE = "sample.json"
_CLAIM_TRIES = 20

Check = Callable[[Path, str, PresetEnvironments, bytes | None], CheckReport]


@dataclass(frozen=True)
class Pushed:
    """What a push did. `new` is False when this archive was registered before."""

    model: str
    version: int
    new: bool
    url: str
    card: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())


def push(
    model: Model,
    source: Path,
    registry: Registry,
    *,
    environments: PresetEnvironments,
    metrics: Path | None = None,
    data: Path | None = None,
    number: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    check: Check = check_model,
) -> Pushed:
    """Registers the folder (or model.tar.gz) `source` as the next version of `model`.

    `metrics` is a JSON object of numbers, `data` the training data whose SHA-256 goes into the card; both default to
    what training.json in the folder says. `number` seeds a registry with a version of that number (a rehearsal does);
    left out, the next free one is taken. `check` tries the archive (a drill's versions break where they
    serve, not where they were pushed).

    Raises FolderError (no such folder, or the file that model_fn loads is not in it), BadArchive, CheckFailed (the
    model does not load or answer in the image's environment) or RegistryError; nothing is written before every check
    has passed.
    """
    _check_group(registry, model)
    folder = source if source.is_dir() else source.parent
    training = read_json(folder / TRAINING_RECORD) if (folder / TRAINING_RECORD).is_file() else {}
    described = {
        "metrics": _metrics(metrics, training),
        "data": {**training.get("data", {}), **({"sha256": _sha256(data), "file": data.name} if data else {})},
        **_commit(folder),
    }
    with tempfile.TemporaryDirectory(prefix="mainstage-push-") as scratch:
        staged = Path(scratch) / "model"
        progress("packing")
        stage(source, staged)
        packed = pack(staged, Path(scratch) / ARCHIVE_NAME)
        progress(f"loading it with {model.runtime}'s Python and packages")
        try:
            report = check(packed.path, model.runtime, environments, sample_request(model, folder))
        except CheckFailed as failure:
            if missing := missing_artefact(str(failure)):
                raise FolderError(not_trained(model.model, source, missing)) from failure
            raise
        if report.differences and not registry.target.emulated:
            raise RegistryError(
                f"{report.differences[0]}: what loads here may not load there, so it is not registered in "
                f"{registry.target}. "
                "Push from a machine with the image's Python"
            )
        progress("writing")
        number, new = _seed(registry, model.model, packed, number) if number else _claim(registry, model.model, packed)
    card = _card(model, number, packed, report, described, registry)
    if not registry.put_card(model.model, number, card):
        card = registry.card(model.model, number) or card
    _register_package(registry, model, number, card)
    return Pushed(model.model, number, new, registry.url(model.model, number), card, tuple(report.differences))


def sample_request(model: Model, folder: Path) -> bytes | None:
    """The request that a push tries: sample.json of the folder, else none (the model is loaded, not asked)."""
    path = folder / SAMPLE
    return path.read_bytes() if path.is_file() else None


_MISSING = re.compile(r"^model_fn raised FileNotFoundError: .*'[^']*/opt/ml/model/([^']+)'")


def missing_artefact(problem: str) -> str | None:
    """The file of the model that loading it did not find, as far as the error names one."""
    found = _MISSING.match(problem)
    return found[1] if found else None


def not_trained(model: str, source: Path, missing: str) -> str:
    """What to do about a folder without the file that its model is loaded from."""
    script = source / "train.py"
    do = "train the model into this folder again, or give it a train.py, which a rehearsal runs "
    do += "(as examples/models/iris/train.py)"
    if script.is_file():
        built = f"build/{model}"
        run = f"mainstage model python {model} {script} --output {built}"
        do = f"run its train.py with the image's versions, {run}, and push {built}"
    return f"{source}: no {missing}, which its inference.py loads. What training makes is no part of git: {do}"


def _metrics(path: Path | None, training: Mapping[str, Any]) -> dict[str, float]:
    metrics = read_json(path) if path else training.get("metrics", {})
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RegistryError(f"{path or TRAINING_RECORD}: metric {name!r} is {value!r}; a metric is a number")
    return dict(metrics)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise RegistryError(f"--data {path}: {error.strerror or error}") from error


def _commit(folder: Path) -> dict[str, Any]:
    """The git commit that the folder belongs to; empty outside of git."""

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return (
        {"commit": commit, "uncommitted_changes": bool(git("status", "--porcelain", "--", "."))}
        if commit
        else {"commit": None}
    )


def _claim(registry: Registry, model: str, packed: Packed) -> tuple[int, bool]:
    """Writes the archive under the next free number; an archive that is the newest version already keeps its number."""
    for _ in range(_CLAIM_TRIES):
        numbers = registry.numbers(model)
        if numbers and registry.archive_sha256(model, numbers[-1]) == packed.sha256:
            return numbers[-1], False
        number = numbers[-1] + 1 if numbers else 1
        if registry.put_archive(model, number, packed):
            return number, True
    raise RegistryError(f"{model}: {_CLAIM_TRIES} version numbers in a row were taken by other pushes; push again")


def _seed(registry: Registry, model: str, packed: Packed, number: int) -> tuple[int, bool]:
    if registry.put_archive(model, number, packed):
        return number, True
    if registry.archive_sha256(model, number) != packed.sha256:
        raise RegistryError(f"{model}: version {number} is another archive already; versions are written once")
    return number, False


def _card(
    model: Model, number: int, packed: Packed, report: CheckReport, described: Mapping[str, Any], registry: Registry
) -> dict[str, Any]:
    return {
        "schema": CARD_SCHEMA,
        "model": model.model,
        "version": number,
        "pushed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "pushed_by": registry.target.client("sts").get_caller_identity()["Arn"],
        "archive": {"sha256": packed.sha256, "size_bytes": packed.size_bytes, "members": list(packed.members)},
        "runtime": {"preset": model.runtime, "python": report.python, "packages": dict(report.packages)},
        "signature": model.signature.model_dump(mode="json", exclude_none=True),
        **described,
    }


def _check_group(registry: Registry, model: Model) -> None:
    """Refuses before anything is written when there is no place to list the version in."""
    group = model_package_group_name(registry.target.environment, model.model)
    try:
        registry.target.client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
    except ClientError as error:
        if "does not exist" not in str(error):
            raise
        raise RegistryError(
            f"{model.model} has no place in the registry of {registry.target} yet (no model package group {group}). "
            f"Its catalog file has to be deployed first: {registry.target.bring_up}"
        ) from error


def _register_package(registry: Registry, model: Model, number: int, card: Mapping[str, Any]) -> None:
    """Lists the version in the SageMaker model package group, once."""
    client = registry.target.client("sagemaker")
    group = model_package_group_name(registry.target.environment, model.model)
    try:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        packages = [found["ModelPackageArn"] for page in pages for found in page["ModelPackageSummaryList"]]
        for arn in packages:
            properties = client.describe_model_package(ModelPackageName=arn).get("CustomerMetadataProperties", {})
            if properties.get("mainstage_version") == str(number):
                return
        client.create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription=f"{model.model} version {number}",
            ModelApprovalStatus="PendingManualApproval",
            InferenceSpecification={
                "Containers": [
                    {
                        "Image": image_uri(preset_named(model.runtime), registry.target.region),
                        "ModelDataUrl": registry.url(model.model, number),
                    }
                ],
                "SupportedContentTypes": ["application/json"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
            CustomerMetadataProperties={
                "mainstage_version": str(number),
                "archive_sha256": card["archive"]["sha256"],
                **({"commit": card["commit"]} if card.get("commit") else {}),
            },
        )
    except ClientError as error:
        raise RegistryError(
            f"version {number} of {model.model} is in the registry bucket, but the model package group {group} "
            f"did not take it ({error}). "
            f"Is the model's catalog file deployed ({registry.target.bring_up})? "
            "Then push the same folder again: it completes this version."
        ) from error
