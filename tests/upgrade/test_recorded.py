"""The files that a release is recorded in: what they hold, what they leave out, and that they come out the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.engine import UNKNOWN, ResourceState, Secret
from infra.rehearsal.engine.urns import STACK_TYPE, make
from infra.rehearsal.provider.values import ARCHIVE, SIGNATURE
from infra.upgrade import RecordedError, Release, read_stack, releases
from infra.upgrade.planning import PlanAsksAws, _who_am_i
from infra.upgrade.recorded import record_stacks, stack_outputs

STACK = make("platform-dev", "mainstage", "", STACK_TYPE, "mainstage-platform-dev")
PROVIDER = make("platform-dev", "mainstage", STACK, "pulumi:providers:aws", "aws")
VPC = make("platform-dev", "mainstage", STACK, "aws:ec2/vpc:Vpc", "network-vpc")
FUNCTION = make("platform-dev", "mainstage", STACK, "aws:lambda/function:Function", "door")
TAGS = {"mainstage:owner": "ml"}


def state(vpc_id: str = "vpc-0123456789abcdef0", port: int = 4566, **of_vpc: Any) -> list[ResourceState]:
    """A stack as the cloud gives it; ids and ports are others each time."""
    provider_id = f"{PROVIDER}::0a1b2c3d-0000-4000-8000-00000000000{vpc_id[-1]}"
    inputs = {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "main"}, "instanceTenancy": "default"}
    vpc: dict[str, Any] = {
        "id": vpc_id,
        "parent": STACK,
        "provider": provider_id,
        "protect": True,
        "inputs": {**inputs, "__defaults": ["instanceTenancy"]},
        "outputs": {
            **inputs,
            "instanceTenancy": None,
            "arn": f"arn:aws:ec2:eu-west-1:111111111111:vpc/{vpc_id}",
            "tagsAll": {"Name": "main", **TAGS},
        },
        **of_vpc,
    }
    code = {SIGNATURE: ARCHIVE, "hash": "abc", "assets": {"app.py": {"path": f"/home/somebody/{port}/app.py"}}}
    return [
        ResourceState(STACK, STACK_TYPE, False, outputs={"vpc_id": vpc_id, "url": f"http://127.0.0.1:{port}"}),
        ResourceState(
            PROVIDER, "pulumi:providers:aws", True, provider_id.rpartition("::")[2], parent=STACK,
            inputs={"defaultTags": json.dumps({"tags": TAGS})},
        ),
        ResourceState(VPC, "aws:ec2/vpc:Vpc", True, **vpc),
        ResourceState(
            FUNCTION, "aws:lambda/function:Function", True, "door", parent=STACK, provider=provider_id,
            inputs={"code": code}, outputs={"code": code, "lastModified": f"2026-11-21T10:00:0{vpc_id[-1]}Z"},
        ),
    ]  # fmt: skip


def recorded(tmp_path: Path, resources: list[ResourceState]) -> Release:
    release = Release("0.1.0", tmp_path)
    (tmp_path / "graphs").mkdir(exist_ok=True)
    for stack, text in record_stacks({"platform-dev": resources}).items():
        release.graph(stack).write_text(text, encoding="utf-8")
    return release


def test_two_recordings_are_the_same_text() -> None:
    one = record_stacks({"platform-dev": state()})
    two = record_stacks({"platform-dev": state("vpc-0fedcba9876543211", 9000)[::-1]})
    assert one == two
    assert "vpc-0123456789abcdef0" not in one["platform-dev"]


def test_what_is_read_is_what_stood(tmp_path: Path) -> None:
    _, provider, vpc, function = read_stack(recorded(tmp_path, state()), "platform-dev")
    assert (vpc.urn, vpc.parent, vpc.custom, vpc.protect, vpc.retain_on_delete) == (VPC, STACK, True, True, False)
    assert vpc.provider == f"{provider.urn}::{provider.id}"
    assert vpc.id.startswith("vpc-")
    assert len(vpc.id) == len("vpc-0123456789abcdef0")
    assert vpc.inputs == {
        "cidrBlock": "10.0.0.0/16",
        "tags": {"Name": "main"},
        "instanceTenancy": "default",
        "__defaults": ["instanceTenancy"],
    }
    assert vpc.outputs == {
        "cidrBlock": "10.0.0.0/16",
        "tags": {"Name": "main"},
        "tagsAll": {"Name": "main", **TAGS},
        "arn": f"arn:aws:ec2:eu-west-1:111111111111:vpc/{vpc.id}",
    }
    assert function.inputs["code"] == {SIGNATURE: ARCHIVE, "hash": "abc", "assets": {}}
    assert function.outputs == {"code": function.inputs["code"]}


def test_exports_are_masked_like_the_rest(tmp_path: Path) -> None:
    resources = read_stack(recorded(tmp_path, state()), "platform-dev")
    assert stack_outputs(resources) == {"vpc_id": resources[2].id, "url": "https://front-door.invalid"}


def test_each_comes_after_its_parent_and_its_provider(tmp_path: Path) -> None:
    resources = read_stack(recorded(tmp_path, state()), "platform-dev")
    assert [item.urn for item in resources] == [STACK, PROVIDER, VPC, FUNCTION]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"token": Secret("x")}, "holds a secret: a committed graph must not"),
        ({"arn": UNKNOWN}, "holds a value that is not known: record after an up"),
    ],
)
def test_secrets_and_unknown_values_are_not_recorded(outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordedError, match=message):
        record_stacks({"platform-dev": state(outputs=outputs)})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"stack": "x"}',
        '{"tags": {}, "resources": [{}]}',
        '{"tags": {}, "resources": [{"name": "a:b:C::c", "parent": "a:b:P::gone"}]}',
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    release = recorded(tmp_path, state())
    release.graph("platform-dev").write_text(text)
    with pytest.raises(RecordedError, match=r"platform-dev\.json is no recorded graph .* restore it from git"):
        read_stack(release, "platform-dev")


def test_releases_come_in_order_and_nothing_else_lies_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "upgrade" / "releases"
    for name in ("v0.10.0", "v0.2.0", "v0.9.1"):
        (folder / name).mkdir(parents=True)
    assert [release.version for release in releases(tmp_path)] == ["0.2.0", "0.9.1", "0.10.0"]
    (folder / "next").mkdir()
    with pytest.raises(RecordedError, match=r"is named vX\.Y\.Z"):
        releases(tmp_path)


def test_a_plan_may_ask_who_it_is_and_nothing_else() -> None:
    session = _who_am_i("333333333333", "eu-west-1")
    assert session.client("sts").get_caller_identity()["Account"] == "333333333333"
    with pytest.raises(PlanAsksAws, match="a plan knows the recorded graph and nothing else"):
        session.client("ec2").describe_vpcs()
