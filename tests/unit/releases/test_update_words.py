"""What `mainstage up` tells of a release: the hook's words, which the engine itself may drop."""

from __future__ import annotations

from pulumi import RunError

from infra.rehearsal.engine import Result
from infra.rehearsal.engine.results import Log
from infra.rehearsal.update import failure, said

ENDPOINT = "urn:pulumi:models-dev::mainstage::aws:sagemaker/endpoint:Endpoint::iris-endpoint"


def result(error: str, *logs: Log) -> Result:
    return Result(stack="models-dev", changes={}, resources=[], logs=list(logs), error=RuntimeError(error))


def test_what_a_hook_logs_is_told_once_by_severity() -> None:
    taken_back = Log("error", "model iris version 3 was taken back", ENDPOINT)
    unproven = Log("warning", "version 4 is unproven", ENDPOINT)
    found = result("unexpected state 'RollingBack'", taken_back, taken_back, unproven)
    assert said(found, "error") == ["model iris version 3 was taken back"]
    assert said(found, "warning") == ["version 4 is unproven"]


def test_what_the_error_says_already_and_what_is_of_no_resource_is_not_told_again() -> None:
    found = result("up failed: was refused", Log("error", "was refused", ENDPOINT), Log("error", "update failed"))
    assert said(found, "error") == []


def test_what_the_program_ended_with_is_told_last() -> None:
    error = RuntimeError("up failed")
    taken_back = Log("error", "model iris version 3 was taken back", ENDPOINT)
    found = Result(stack="models-dev", changes={}, resources=[], logs=[taken_back], error=error)
    assert failure(found, error) == ["model iris version 3 was taken back", "up failed"]
    error.__cause__ = RunError("this run deletes nothing")
    assert failure(found, error) == ["model iris version 3 was taken back", "up failed", "this run deletes nothing"]
