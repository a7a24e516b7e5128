"""Approvals: somebody else than who pushed a version says that it may be released (four eyes).

An approval is `models/<model>/<version>/approval.json` in the registry, written once like the archive that it names by
SHA-256. The gate stands in `pulumi up` (the hook on the Model resource reads this object); the status of the SageMaker
model package is a copy for who looks there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from mainstage._release_approval import UNCHECKED, problem

from infra.layers.names import model_package_group_name
from infra.registry.registry import Registry, RegistryError

APPROVAL_NAME = "approval.json"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """That a version may be released."""

    version: int
    archive_sha256: str
    """Of the archive that was approved, in hexadecimal."""
    approved_by: str
    """ARN of who approved it."""
    approved_at: str
    """UTC, ISO 8601."""
    note: str = ""


@dataclass(frozen=True)
class Approved:
    """What `approve` found or did. `new` is False when the version was approved before."""

    model: str
    approval: Approval
    new: bool
    url: str
    warnings: tuple[str, ...] = ()


def read_approval(registry: Registry, model: str, version: int) -> Approval | None:
    """The approval of a version; None when it has none. Raises RegistryError for an object that is none."""
    body = registry.read(model, version, APPROVAL_NAME)
    if body is None:
        return None
    where = registry.url(model, version, APPROVAL_NAME)
    try:
        told = json.loads(body)
        return Approval(**{name: told[name] for name in ("version", "archive_sha256", "approved_by", "approved_at")},
                        note=str(told.get("note", "")))  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{where} is no approval: {error!r}") from error


def approve(registry: Registry, model: str, version: int, *, note: str = "") -> Approved:
    """Approves a version in the name of the target's credentials.

    Done again, it changes nothing. Raises RegistryError: no such version, no card, an archive other than the card's, or
    credentials of who pushed it.
    """
    card = _card(registry, model, version)
    sha256 = card["archive"]["sha256"]
    url = registry.url(model, version, APPROVAL_NAME)
    found = read_approval(registry, model, version)
    if found is None:
        caller = registry.target.client("sts").get_caller_identity()["Arn"]
        _check_other(caller, card, model, version)
        mine = Approval(
            version=version,
            archive_sha256=sha256,
            approved_by=caller,
            approved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            note=note,
        )
        if registry.put_json(model, version, APPROVAL_NAME, asdict(mine)):
            return Approved(model, mine, True, url, _mark_package(registry, model, version))
        found = read_approval(registry, model, version)  # somebody was faster
        if found is None:  # S3 answers so to whoever comes second, also when the first one then fails
            raise RegistryError(f"{url} was being written by somebody else at this moment: approve again")
    if found.archive_sha256 != sha256:
        raise RegistryError(
            f"{url} names another archive (sha256 {found.archive_sha256}) than the card ({sha256}), and it is written "
            "once: push the folder again as a new version and approve that"
        )
    if wrong := problem(version, sha256, card, asdict(found)):  # written by hand: the gate does not take it either
        raise RegistryError(
            f"{url} does not count: {wrong}. It is written once: push the folder again as a new version and approve "
            "that"
        )
    return Approved(model, found, False, url, _mark_package(registry, model, version))


def _card(registry: Registry, model: str, version: int) -> dict[str, Any]:
    """The card of a version whose archive is the card's. Raises RegistryError."""
    numbers = registry.numbers(model)
    known = ", ".join(map(str, numbers)) or "none"
    if version not in numbers:
        raise RegistryError(
            f"{model}: version {version} is not registered in {registry.target}; registered are {known}"
        )
    card = registry.card(model, version)
    if card is None:
        raise RegistryError(f"{model}: version {version} has no card, its push was interrupted: push its folder again")
    archive = registry.archive_sha256(model, version)
    if archive is None:
        raise RegistryError(
            f"{model}: the archive of version {version} is gone, or {UNCHECKED}: push its folder again as a new version"
        )
    if archive != card["archive"]["sha256"]:
        raise RegistryError(
            f"{model}: the archive of version {version} is not the one of its card (sha256 {archive}, "
            f"card {card['archive']['sha256']}): do not release it; push the folder again as a new version"
        )
    return card


def _check_other(caller: str, card: dict[str, Any], model: str, version: int) -> None:
    if caller == card["pushed_by"]:
        raise RegistryError(
            f"{model}: version {version} was pushed by {caller}, and that is you: an approval comes from somebody else "
            "(another identity: --target ENVIRONMENT --profile PROFILE of theirs)"
        )


def _mark_package(registry: Registry, model: str, version: int) -> tuple[str, ...]:
    """Copies the approval to the version's model package. It is a copy: what could not be copied is a warning."""
    client = registry.target.client("sagemaker")
    group = model_package_group_name(registry.target.environment, model)
    try:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        arns = [found["ModelPackageArn"] for page in pages for found in page["ModelPackageSummaryList"]]
        for arn in arns:
            package = client.describe_model_package(ModelPackageName=arn)
            if package.get("CustomerMetadataProperties", {}).get("mainstage_version") != str(version):
                continue
            if package.get("ModelApprovalStatus") != "Approved":
                client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
            return ()
    except ClientError as error:
        return (
            f"the approval counts, but the model package of {model} version {version} could not be marked: {error}",
        )
    return (f"the approval counts, but {group} lists no version {version} of {model}: push its folder again",)
