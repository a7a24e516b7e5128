"""What becomes of a pending operation, and the state after it. No cloud."""

from __future__ import annotations

import copy
import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.recover.decide import BUSY, FAILED, READY, Decision, Found, chosen, decide
from infra.recover.edit import edited
from infra.recover.locks import Lock, left_behind, locks_in, locks_of
from infra.recover.operations import CREATING, Operation, accounts_of, default_tags, ids_of, operations_of, stack_tags

VPC = "aws:ec2/vpc:Vpc"
PROVIDER = "urn:pulumi:platform-dev::mainstage::pulumi:providers:aws::aws"
NETWORK = "urn:pulumi:platform-dev::mainstage::mainstage:index:Network::network"
URN = "urn:pulumi:platform-dev::mainstage::mainstage:index:Network$aws:ec2/vpc:Vpc::network-vpc"


def operation(kind: str = CREATING, **inputs: Any) -> Operation:
    resource = {"urn": URN, "type": VPC, "custom": True, "inputs": inputs, "parent": NETWORK}
    return Operation(kind, {**resource, "provider": f"{PROVIDER}::0a1b"})


# Decisions


@pytest.mark.parametrize("kind", ["updating", "deleting", "reading", "importing"])
def test_only_creates_are_looked_for(kind: str) -> None:
    decision = decide(operation(kind), None)
    assert (decision.act, decision.id) == ("forget", "")
    assert decision.reason == f"was {kind}: the state has it, and refresh sees what it is now"


@pytest.mark.parametrize(
    ("type_token", "custom"),
    [("mainstage:index:Network", False), ("pulumi:providers:aws", True), ("pulumi:pulumi:Stack", False)],
)
def test_what_is_pulumis_own_is_not_looked_for(type_token: str, custom: bool) -> None:
    own = Operation(CREATING, {"urn": f"urn:pulumi:a::b::{type_token}::c", "type": type_token, "custom": custom})
    assert decide(own, None).act == "forget"


def test_a_type_without_a_rule_is_a_persons() -> None:
    assert decide(operation(), None).act == "refuse"


@pytest.mark.parametrize(
    ("found", "act", "id"),
    [
        ([], "forget", ""),
        ([Found("vpc-1")], "import", "vpc-1"),
        ([Found("vpc-1", state=BUSY, status="pending")], "wait", "vpc-1"),
        ([Found("vpc-1", state=FAILED, status="failed")], "remove", "vpc-1"),
        ([Found("vpc-1", ("cidrBlock: asked a, found b",))], "forget", ""),
        ([Found("vpc-1"), Found("vpc-2", ("tag Name: asked a, found b",))], "import", "vpc-1"),
        ([Found("vpc-2"), Found("vpc-1")], "refuse", ""),
    ],
)
def test_what_was_found_decides(found: list[Found], act: str, id: str) -> None:
    decision = decide(operation(), found)
    assert (decision.act, decision.id) == (act, id)


def test_several_are_named_and_a_person_chooses() -> None:
    decision = decide(operation(), [Found("vpc-2"), Found("vpc-1")])
    assert decision.reason == "2 fit: vpc-1, vpc-2; say which one it is"
    assert chosen(decision, {}) is decision
    assert chosen(decision, {URN: "vpc-2"}).act == "import"
    assert chosen(decision, {URN: "vpc-2"}).id == "vpc-2"
    assert chosen(decision, {URN: ""}).act == "forget"
    with pytest.raises(ValueError, match="there is no vpc-3 to take; allowed are vpc-1, vpc-2"):
        chosen(decision, {URN: "vpc-3"})


def test_what_is_decided_is_nobodys_to_choose() -> None:
    decision = decide(operation(), [Found("vpc-1")])
    assert chosen(decision, {URN: ""}) is decision


def test_a_name_that_somebody_else_has_stops_it() -> None:
    decision = decide(operation(), [Found("page", ("tag mainstage:environment: asked dev, found prod",))], named=True)
    assert (decision.act, decision.candidates) == ("refuse", ("page",))
    assert decision.reason == (
        "page has the name and is not what was asked for: tag mainstage:environment: asked dev, found prod"
    )


def test_the_old_one_of_a_replacement_is_not_taken() -> None:
    """It stands in the state under the same URN, with other inputs."""
    live = {"cidrBlock": "10.0.0.0/16"}
    found = [Found("vpc-old", ("cidrBlock: asked 10.1.0.0/16, found 10.0.0.0/16",)), Found("vpc-new")]
    decision = decide(operation(cidrBlock="10.1.0.0/16"), found, known_ids=["vpc-old"], live_inputs=live)
    assert (decision.act, decision.id) == ("import", "vpc-new")


def test_what_a_later_up_made_again_is_said() -> None:
    live = {"cidrBlock": "10.0.0.0/16"}
    found = [Found("vpc-2"), Found("vpc-1")]
    decision = decide(operation(**live), found, known_ids=["vpc-2"], live_inputs=live)
    assert (decision.act, decision.reason) == (
        "forget",
        "a later up made another one, which the state has; left over in AWS: vpc-1",
    )
    assert decide(operation(**live), [Found("vpc-2")], known_ids=["vpc-2"], live_inputs=live).reason == (
        "the state has it: a later up made it"
    )


IDS = st.sampled_from(["a", "b", "c", "d"])
FOUND = st.lists(
    st.builds(
        Found,
        id=IDS,
        differs=st.sampled_from([(), ("tag Name: asked x, found y",)]),
        state=st.sampled_from([READY, BUSY, FAILED]),
        status=st.just("status"),
    ),
    unique_by=lambda each: each.id,
)


@given(found=FOUND, known=st.frozensets(IDS), named=st.booleans())
def test_nothing_is_taken_or_removed_that_is_not_the_only_one(
    found: list[Found], known: frozenset[str], named: bool
) -> None:
    """Never what the state knows, never what differs, never one of several; a name in use is never passed over."""
    decision = decide(operation(), found, named=named, known_ids=known)
    strangers = [each for each in found if each.id not in known]
    ours = [each for each in strangers if not each.differs]
    if decision.act in ("import", "remove", "wait"):
        assert [each.id for each in ours] == [decision.id]
        assert {"import": READY, "remove": FAILED, "wait": BUSY}[decision.act] == ours[0].state
    elif decision.act == "forget":
        assert ours == []
        assert not (named and strangers)
    else:
        assert set(decision.candidates) <= {each.id for each in strangers}


# The state


def state(*resources: dict[str, Any], pending: tuple[Operation, ...] = ()) -> dict[str, Any]:
    provider = {
        "urn": PROVIDER,
        "type": "pulumi:providers:aws",
        "custom": True,
        "id": "0a1b",
        "inputs": {
            "allowedAccountIds": '["111111111111"]',
            "defaultTags": json.dumps({"tags": {"mainstage:environment": "dev"}}),
        },
    }
    network = {"urn": NETWORK, "type": "mainstage:index:Network", "custom": False}
    entries = [{"resource": dict(each.resource), "type": each.kind} for each in pending]
    deployment = {"resources": [provider, network, *resources], "pending_operations": entries}
    return {"version": 3, "deployment": deployment}


def imported(id: str, **inputs: Any) -> Decision:
    return Decision("import", operation(**inputs), "", id)


def test_operations_are_read_from_the_state() -> None:
    one = operation(cidrBlock="10.0.0.0/16")
    found = operations_of(state(pending=(one, one, operation("updating"))))
    assert [(each.kind, each.type, each.name) for each in found] == [
        ("creating", VPC, "network-vpc"),
        ("updating", VPC, "network-vpc"),
    ]
    assert [dict(each.default_tags) for each in found] == [{"mainstage:environment": "dev"}] * 2
    assert operations_of({}) == operations_of({"version": 3, "deployment": None}) == []


def test_what_the_provider_says_is_read_in_either_form() -> None:
    assert default_tags({"defaultTags": {"tags": {"a": "b"}}}) == default_tags({"defaultTags": '{"tags":{"a":"b"}}'})
    assert default_tags({}) == default_tags({"defaultTags": {}}) == {}
    assert stack_tags(state()) == {"mainstage:environment": "dev"}
    assert accounts_of(state()) == {"111111111111"}
    assert accounts_of({}) == frozenset()
    vpc = {"urn": URN, "type": VPC, "custom": True, "id": "vpc-1"}
    assert ids_of(state(vpc), VPC, URN) == {"vpc-1"}
    assert ids_of(state(vpc), VPC, NETWORK) == frozenset()
    assert (ids_of(state(vpc), VPC), ids_of(state(vpc), "aws:ec2/subnet:Subnet")) == ({"vpc-1"}, frozenset())


def test_an_import_stands_behind_what_it_refers_to() -> None:
    """With its inputs as outputs, secrets as they are; everything else unchanged, and nothing pending any more."""
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
    later = {"urn": "urn:pulumi:platform-dev::mainstage::aws:sns/topic:Topic::page", "type": "aws:sns/topic:Topic"}
    before = state(later, pending=(operation(),))
    kept = copy.deepcopy(before)
    after = edited(before, [imported("vpc-1", cidrBlock="10.0.0.0/16", password=secret)])
    assert before == kept
    urns = [each["urn"] for each in after["deployment"]["resources"]]
    assert urns == [PROVIDER, NETWORK, URN, later["urn"]]
    taken = after["deployment"]["resources"][2]
    assert taken["id"] == "vpc-1"
    assert taken["outputs"] == taken["inputs"] == {"cidrBlock": "10.0.0.0/16", "password": secret}
    assert "pending_operations" not in after["deployment"]


def test_the_one_that_is_replaced_is_left_to_be_deleted() -> None:
    old = {"urn": URN, "type": VPC, "custom": True, "id": "vpc-old", "inputs": {}}
    resources = edited(state(old), [imported("vpc-new")])["deployment"]["resources"]
    assert [(each.get("id"), each.get("delete")) for each in resources[2:]] == [("vpc-new", None), ("vpc-old", True)]
    deleted = {**old, "pendingReplacement": True}
    resources = edited(state(deleted), [imported("vpc-new")])["deployment"]["resources"]
    assert [each.get("id") for each in resources[2:]] == ["vpc-new"]
    leaving = {**old, "delete": True}
    resources = edited(state(leaving), [imported("vpc-new")])["deployment"]["resources"]
    assert [(each.get("id"), each.get("delete")) for each in resources[2:]] == [("vpc-new", None), ("vpc-old", True)]


@given(data=st.data())
def test_a_recovered_state_is_one_that_pulumi_takes(data: st.DataObject) -> None:
    """Each import stands behind what it refers to, no URN lives twice, the rest keeps its order.

    What is under way refers to nothing that is under way.
    """
    count = data.draw(st.integers(0, 6))
    urns = [f"urn:pulumi:platform-dev::mainstage::aws:ec2/vpc:Vpc::r{number}" for number in range(count)]
    resources = [
        {
            "urn": each,
            "type": VPC,
            "custom": True,
            "id": f"id-{number}",
            "dependencies": data.draw(st.lists(st.sampled_from(urns[:number]), unique=True)) if number else [],
            **data.draw(st.sampled_from([{}, {"delete": True}, {"pendingReplacement": True}])),
        }
        for number, each in enumerate(urns)
    ]
    names = data.draw(st.lists(st.sampled_from([*urns, f"{URN}1", f"{URN}2"]), unique=True, max_size=4))
    lives = {each["urn"] for each in resources if not each.get("delete")}
    done = sorted(lives - set(names))
    decisions = []
    for name in names:
        depends = data.draw(st.lists(st.sampled_from(done), unique=True)) if done else []
        made = {"urn": name, "type": VPC, "custom": True, "parent": NETWORK, "dependencies": depends}
        decisions.append(Decision("import", Operation(CREATING, made), "", f"new-{name}"))
    after = edited(state(*resources), decisions)["deployment"]["resources"]
    living = [each["urn"] for each in after if not each.get("delete")]
    assert len(living) == len(set(living))
    assert {each["id"] for each in after[2:]} >= {f"new-{name}" for name in names}
    for place, each in enumerate(after):
        if each.get("id", "").startswith("new-"):
            before = {other["urn"] for other in after[:place]}
            assert {NETWORK, *each["dependencies"]} <= before
    kept = [each["id"] for each in after[2:] if not each["id"].startswith("new-")]
    assert kept == [each["id"] for each in resources if each["id"] in kept]


@pytest.mark.parametrize("act", ["forget", "remove"])
def test_what_is_not_imported_leaves_no_trace(act: str) -> None:
    after = edited(state(pending=(operation(),)), [Decision(act, operation(), "", "vpc-1")])
    assert after["deployment"] == {"resources": state()["deployment"]["resources"]}


@pytest.mark.parametrize("act", ["refuse", "wait"])
def test_a_state_with_something_undecided_is_not_written(act: str) -> None:
    with pytest.raises(ValueError, match="is not decided: why"):
        edited(state(), [Decision(act, operation(), "why")])


# Locks

_FILE = "s3://bucket/.pulumi/locks/organization/mainstage/platform-dev"
REFUSED = f"""error: the stack is currently locked by 2 lock(s). Either wait for the other process(es) to end or
 delete the lock file with `pulumi cancel`.
  {_FILE}/a.json: created by ci@runner-7 (pid 311) at 2026-11-21T19:37:34Z
  {_FILE}/b.json: created by ana@laptop (pid 12) at 2026-11-21T19:37:35Z"""


def test_locks_are_read_from_what_pulumi_says() -> None:
    assert locks_in(REFUSED) == [
        Lock("ci", "runner-7", 311, "2026-11-21T19:37:34Z"),
        Lock("ana", "laptop", 12, "2026-11-21T19:37:35Z"),
    ]
    assert locks_in("error: no stack named x; created by a@b (pid 1) at noon") == []


def test_locks_are_read_from_a_backend_of_files(tmp_path: Path) -> None:
    root = tmp_path / "back end"
    folder = root / ".pulumi" / "locks" / "organization" / "mainstage" / "platform-dev"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text('{"pid":12,"username":"ana","hostname":"laptop","timestamp":"2026-11-21T19:37:34Z"}')
    assert locks_of(f"{root.as_uri()}?no_tmp_dir=true", "platform-dev") == [
        Lock("ana", "laptop", 12, "2026-11-21T19:37:34Z")
    ]
    assert locks_of(root.as_uri(), "models-dev") == []
    assert locks_of("s3://bucket?region=eu-west-1", "platform-dev") == []


@pytest.mark.parametrize(
    ("locks", "expected"),
    [
        ([], False),
        ([Lock("ana", "laptop", 12, "")], True),
        ([Lock("ana", "laptop", 13, "")], False),
        ([Lock("ana", "elsewhere", 12, "")], False),
        ([Lock("bob", "laptop", 12, "")], False),
        ([Lock("ana", "laptop", 12, ""), Lock("ana", "elsewhere", 12, "")], False),
    ],
)
def test_only_the_lock_of_a_dead_process_of_this_machine_is_left_behind(locks: list[Lock], expected: bool) -> None:
    assert left_behind(locks, host="laptop", user="ana", lives=lambda pid: pid == 13) == expected


def test_a_living_process_is_seen() -> None:
    assert not left_behind([Lock(getpass.getuser(), socket.gethostname(), os.getpid(), "")])
