"""Approvals: whose they are, what they name, that they are written once."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cli import TARGET, Ended, runner
from release_world import BUCKET, OPERATOR, World, archive, refused, sha256_of

from infra.cli import common
from infra.registry.approval import approve, read_approval
from infra.registry.registry import Registry, RegistryError
from infra.registry.target import Target
from infra.rehearsal import approving

COLLEAGUE = "arn:aws:iam::111111111111:user/colleague"
URL = f"s3://{BUCKET}/models/iris/1/approval.json"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    world.write("stable: 1\n")
    world.register(1)
    world.arn = COLLEAGUE
    monkeypatch.setattr(Target, "client", lambda self, service: world.clients[service])
    return world


@pytest.fixture
def registry(world: World) -> Registry:
    return Registry.of(TARGET)


def test_an_approval_names_the_archive_and_who_gave_it(world: World, registry: Registry) -> None:
    done = approve(registry, "iris", 1, note="looked at the metrics")
    stored = json.loads(world.objects["models/iris/1/approval.json"])
    assert stored == {
        "version": 1,
        "archive_sha256": sha256_of(1),
        "approved_by": COLLEAGUE,
        "approved_at": done.approval.approved_at,
        "note": "looked at the metrics",
    }
    assert (done.new, done.url, done.warnings) == (True, URL, ())
    assert read_approval(registry, "iris", 1) == done.approval
    assert world.done("update_model_package") == [
        {"ModelPackageArn": "arn:package/1", "ModelApprovalStatus": "Approved"}
    ]
    again = approve(registry, "iris", 1, note="once more")
    assert (again.new, again.approval) == (False, done.approval)


def test_who_pushed_does_not_approve(world: World, registry: Registry) -> None:
    world.arn = OPERATOR
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 1)
    assert str(told.value) == (
        f"iris: version 1 was pushed by {OPERATOR}, and that is you: an approval comes from somebody else (another identity: "
        "--target ENVIRONMENT --profile PROFILE of theirs)"
    )
    assert read_approval(registry, "iris", 1) is None
    assert world.calls == []


def test_what_is_not_whole_is_not_approved(world: World, registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"^iris: version 2 is not registered in .*; registered are 1$"):
        approve(registry, "iris", 2)
    world.objects["models/iris/2/model.tar.gz"] = archive(2)
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 2)
    assert str(told.value) == "iris: version 2 has no card, its push was interrupted: push its folder again"
    world.objects["models/iris/1/model.tar.gz"] = b"another"
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 1)
    assert str(told.value) == (
        f"iris: the archive of version 1 is not the one of its card (sha256 {sha256(b'another').hexdigest()}, card "
        f"{sha256_of(1)}): do not release it; push the folder again as a new version"
    )


def test_an_archive_that_s3_has_not_checked_is_not_approved(
    world: World, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "head_object", lambda **_: {"Metadata": {"sha256": sha256_of(1)}})
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 1)
    assert str(told.value) == (
        "iris: the archive of version 1 is gone, or it was uploaded without a SHA-256 for S3 to check (up to 0.1.0, or not by "
        "mainstage model push): push its folder again as a new version"
    )


def test_an_approval_of_another_archive_is_told(world: World, registry: Registry) -> None:
    approve(registry, "iris", 1)
    world.register(1)
    stored = json.loads(world.objects["models/iris/1/approval.json"])
    world.objects["models/iris/1/approval.json"] = json.dumps(stored | {"archive_sha256": "sha-0"}).encode()
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 1)
    assert str(told.value) == (
        f"{URL} names another archive (sha256 sha-0) than the card ({sha256_of(1)}), and it is written once: push the folder again as a "
        "new version and approve that"
    )
    world.objects["models/iris/1/approval.json"] = b"{}"
    with pytest.raises(RegistryError, match="is no approval: KeyError"):
        read_approval(registry, "iris", 1)


def test_an_approval_that_the_gate_refuses_is_none(world: World, registry: Registry) -> None:
    approve(registry, "iris", 1)
    stored = json.loads(world.objects["models/iris/1/approval.json"])
    world.objects["models/iris/1/approval.json"] = json.dumps(stored | {"approved_by": OPERATOR}).encode()
    with pytest.raises(RegistryError) as told:
        approve(registry, "iris", 1)
    assert str(told.value) == (
        f"{URL} does not count: {OPERATOR} pushed it and approved it: an approval comes from somebody else. It is written "
        "once: push the folder again as a new version and approve that"
    )


def test_two_who_approve_at_once(world: World, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one's write is under way, and may yet fail."""

    def put_object(**_: object) -> None:
        raise refused("ConditionalRequestConflict", "no", "PutObject")

    monkeypatch.setattr(world, "put_object", put_object)
    with pytest.raises(RegistryError, match="was being written by somebody else at this moment: approve again"):
        approve(registry, "iris", 1)


def test_a_copy_that_cannot_be_made_is_a_warning(world: World, registry: Registry) -> None:
    world.refuses["update_model_package"] = refused("AccessDeniedException", "no", "UpdateModelPackage")
    done = approve(registry, "iris", 1)
    assert done.new
    assert done.warnings == (
        "the approval counts, but the model package of iris version 1 could not be marked: An error occurred "
        "(AccessDeniedException) when calling the UpdateModelPackage operation: no",
    )


def test_in_a_rehearsal_a_colleague_is_played_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "root", lambda: world.root)
    monkeypatch.setattr(approving, "approver", lambda target: target)
    run: Callable[..., Ended] = runner(monkeypatch, capsys, world.clients)
    told = run("model", "approve", "iris", "1").out.splitlines()
    assert told[1] == f"note: a rehearsal plays the colleague who approves, {COLLEAGUE}"
    assert told[2].startswith(f"iris version 1 approved by {COLLEAGUE} at 20")
    assert told[3:] == [f"  archive sha256 {sha256_of(1)}", f"  {URL}", "Next: mainstage model promote iris 1"]
    again = json.loads(run("model", "approve", "iris", "1", "--json").out)
    assert (again["new"], again["approval"]["approved_by"], again["next"]) == (
        False, COLLEAGUE, ["mainstage model promote iris 1"],
    )  # fmt: skip


def test_approvals_are_played_in_emulated_accounts_only() -> None:
    real = Target("prod", "333333333333", "eu-west-1", None, profile="prod")
    with pytest.raises(ValueError, match="approvals are played in the emulated cloud only"):
        approving.approver(real)
