"""The guide of the API says what the code does: each error code with its status, each rule, each header."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mainstage_runtime import payload, replies

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guides/predictions-api.md").read_text(encoding="utf-8")


def test_each_error_code_stands_in_the_guide_with_its_status() -> None:
    told = {code: int(status) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", GUIDE, re.MULTILINE)}
    assert told == dict(replies.STATUS)


FIELDS = [{"name": "n", "type": "double", "minimum": 0, "maximum": 9}, {"name": "s", "type": "string"}]
BODIES = (
    b"[]",
    b'{"instances": []}',
    b'{"instances": [1, {}, {"n": null, "s": 1}, {"n": -1, "s": "\\ud800"}, {"n": 10, "s": "", "x": 1}]}',
)


def test_each_rule_of_a_payload_stands_in_the_guide() -> None:
    [told] = re.findall(r"^Rules in `problems`: (.*)$", GUIDE, re.MULTILINE)
    check = payload.PayloadCheck({"inputs": FIELDS, "outputs": []})
    rules: set[str] = set()
    for body in BODIES:
        with pytest.raises(payload.InvalidPayload) as refusal:
            check.rows(body)
        rules |= {problem.rule.partition(" ")[0] for problem in refusal.value.problems}
    assert rules == {rule.partition(" ")[0] for rule in re.findall("`([^`]+)`", told)}
