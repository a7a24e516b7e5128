"""The remedies change how long a program takes, never what it registers."""

from __future__ import annotations

import asyncio
import gc

import pulumi
import pulumi_aws as aws
import pytest
from pulumi import log
from pulumi.runtime import stack

from infra import tuning
from infra.rehearsal.engine import Result, record

ALL = {"MAINSTAGE_TUNE_WAIT": "1", "MAINSTAGE_TUNE_DEBUG": "1"}


@pytest.fixture
def untouched():
    """Leaves the process as it was, whatever a test applied."""
    threshold, genuine, debug = gc.get_threshold(), vars(stack)["asyncio"], log.debug
    yield
    gc.set_threshold(*threshold)
    stack.__dict__["asyncio"] = genuine
    log.debug = debug


def program() -> None:
    parent = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16")
    for index in range(12):
        subnet = aws.ec2.Subnet(f"subnet-{index}", vpc_id=parent.id, cidr_block=f"10.0.{index}.0/24")
        subnet.arn.apply(lambda arn, index=index: pulumi.export(f"arn-{index}", arn))


def graph(result: Result) -> object:
    result.check()
    return sorted((item.urn, item.id, str(sorted(item.inputs.items())), item.options) for item in result.resources)


@pytest.mark.usefixtures("untouched")
def test_the_graph_is_the_same_with_and_without():
    plain = record(program)
    remedies = tuning.apply(ALL)
    assert [(remedy.name, remedy.applied, remedy.why) for remedy in remedies] == [
        ("gc", True, ""),
        ("wait", True, ""),
        ("debug", True, ""),
    ]
    tuned = record(program)
    assert graph(tuned) == graph(plain)
    assert tuned.outputs == plain.outputs
    assert any(line.severity == "debug" for line in plain.logs)
    assert not any(line.severity == "debug" for line in tuned.logs)


@pytest.mark.usefixtures("untouched")
def test_a_failing_apply_still_fails_the_run_early():
    tuning.apply(ALL)

    def failing() -> None:
        bucket = aws.s3.Bucket("logs")
        bucket.arn.apply(lambda _: 1 / 0)

    assert isinstance(record(failing).error, ZeroDivisionError)


@pytest.mark.usefixtures("untouched")
def test_by_default_only_the_threshold_is_raised():
    gc.set_threshold(700, 10, 10)
    remedies = {remedy.name: remedy for remedy in tuning.apply({})}
    assert gc.get_threshold() == tuning.GC_THRESHOLD
    assert vars(stack)["asyncio"] is asyncio
    assert (remedies["wait"].applied, remedies["wait"].why) == (False, "MAINSTAGE_TUNE_WAIT is not 1")
    assert (remedies["debug"].applied, remedies["debug"].why) == (False, "MAINSTAGE_TUNE_DEBUG is not 1")
    remedies["gc"].undo()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.usefixtures("untouched")
def test_the_threshold_can_be_left_alone():
    gc.set_threshold(701, 11, 11)
    remedy = tuning.raise_gc_threshold({"MAINSTAGE_TUNE_GC": "0"})
    assert (remedy.applied, remedy.why) == (False, "MAINSTAGE_TUNE_GC=0")
    assert gc.get_threshold() == (701, 11, 11)


@pytest.mark.usefixtures("untouched")
def test_dropping_debug_messages_alone_is_refused():
    remedy = tuning.drop_debug_messages({"MAINSTAGE_TUNE_DEBUG": "1"})
    assert not remedy.applied
    assert remedy.why == "it needs the linear wait: alone it makes programs slower"


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["wait_for_rpcs", "debug"])
def test_another_source_keeps_a_remedy_off(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tuning, "TESTED_SOURCES", {**tuning.TESTED_SOURCES, name: "0" * 64})
    remedies = {remedy.name: remedy for remedy in tuning.apply(ALL)}
    assert remedies["debug"].applied is False
    assert remedies["wait"].applied is (name == "debug")
    off = remedies["debug" if name == "debug" else "wait"]
    assert off.why.endswith(f"{name} of this SDK is not the one that the remedy was tested with")


@pytest.mark.usefixtures("untouched")
def test_remedies_can_be_undone():
    debug = log.debug
    for remedy in reversed(tuning.apply(ALL)):
        remedy.undo()
    assert vars(stack)["asyncio"] is asyncio
    assert log.debug is debug


def test_a_function_without_source_has_no_hash():
    assert tuning.source_hash(len) == ""
