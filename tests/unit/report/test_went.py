"""The line of an `up` that a drill's timeline shows: what the release hooks say, whatever an engine says around it."""

from __future__ import annotations

import pytest

from infra.rehearsal.drills.went import LONGEST, Went

TAKEN_BACK = "model iris version 2 was taken back from endpoint dev-iris"
ALARM = "dev-iris-guard-errors"
SERVES = "serves now: version 1 (dev-iris-v1-0a1b2c3d)"


@pytest.mark.parametrize(
    ("told", "headline"),
    [
        pytest.param(
            "  aws:sagemaker:Endpoint (iris-endpoint):\n    error: unexpected state 'RollingBack'\n"
            f"    error: {TAKEN_BACK}\n    {SERVES}\n    alarm: {ALARM}\n    runbook: https://example.com\n",
            f"{TAKEN_BACK}; {SERVES}; alarm: {ALARM}",
            id="pulumi, the provider's words first",
        ),
        pytest.param(
            f'  aws:sagemaker:Endpoint (iris):\n    error: after hook "x" failed: {TAKEN_BACK}\n    {SERVES}\n',
            f"{TAKEN_BACK}; {SERVES}",
            id="pulumi, the hook's failure",
        ),
        pytest.param(
            f"up failed:\n  urn:pulumi:models-dev::x::y::iris: update failed\nerror: {TAKEN_BACK}\n{SERVES}",
            f"{TAKEN_BACK}; {SERVES}",
            id="in process",
        ),
        pytest.param(
            "warning: model iris version 2 serves dev-iris, but it is unproven: at most 6\nrequests: 40",
            "model iris version 2 serves dev-iris, but it is unproven: at most 6; requests: 40",
            id="a warning",
        ),
        pytest.param(
            "error: verdict unknown for model iris version 2 on endpoint dev-iris: expired\nthe release goes on",
            "verdict unknown for model iris version 2 on endpoint dev-iris: expired; the release goes on",
            id="an unknown verdict",
        ),
        pytest.param(
            "  aws:sns:Topic (pages):\n    error: Throttling: no\n", "error: Throttling: no", id="no release at all"
        ),
        pytest.param("up failed:\n  name 'x' is not defined", "name 'x' is not defined", id="a program that fails"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_what_the_hooks_say_comes_before_the_provider_s_words(told: str, headline: str) -> None:
    assert Went(False, told).headline == headline
    assert Went(False, told).summary == ": ".join(filter(None, ["up ended with an error", headline]))


def test_a_long_line_is_cut_and_an_up_that_said_nothing_ended_0() -> None:
    headline = Went(False, f"error: {'x' * 1000}").headline
    assert (len(headline), headline[-2:]) == (LONGEST, "x…")
    assert Went(True, "").summary == "up ended 0"
    assert Went(True, "model iris version 2 serves").summary == "up ended 0: model iris version 2 serves"
