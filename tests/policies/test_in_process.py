"""The pack in the in-process engine, in a rehearsal's report, and as a command."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest
from policy_cases import ROOT

from infra import policy_check
from infra.cli import main
from infra.policy_check import Checked, NotRecorded, Policing, check, file_problems, recorded
from infra.rehearsal import page
from infra.rehearsal.engine import record
from infra.rehearsal.report import Report
from policies.judging import Violation
from policies.rules import RULES

TODAY = date(2026, 11, 21)
TAGS = {"mainstage:environment": "dev", "mainstage:owner": "ml-platform", "mainstage:cost-center": "ai-dev"}
KEY = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"


def log_group(**more: object) -> None:
    provider = aws.Provider("aws", region="eu-west-1", default_tags={"tags": TAGS})
    options = pulumi.ResourceOptions(provider=provider)
    aws.cloudwatch.LogGroup("made", kms_key_id=KEY, opts=options, **more)  # pyright: ignore[reportArgumentType]  # what the test gives


def lone_bucket() -> None:
    provider = aws.Provider("aws", region="eu-west-1", default_tags={"tags": TAGS})
    aws.s3.Bucket("lone", bucket="lone", opts=pulumi.ResourceOptions(provider=provider))


def test_what_a_rule_refuses_is_not_made() -> None:
    result = record(log_group, "models-dev", policies=[Policing(ROOT, TODAY)])
    assert result.error is not None
    assert "cloudwatch.LogGroup made: retentionInDays is not set; allowed: 1 days or more in dev" in str(result.error)
    assert result.of_type("aws:cloudwatch/logGroup:LogGroup") == []


def test_what_keeps_to_the_rules_is_made() -> None:
    policing = Policing(ROOT, TODAY)
    result = record(lambda: log_group(retention_in_days=30), "models-dev", policies=[policing]).check()
    assert policing.at_the_end(result) == Checked("models-dev", 2, ())


def test_what_only_the_whole_stack_shows_comes_at_the_end() -> None:
    policing = Policing(ROOT, TODAY)
    result = record(lone_bucket, "platform-dev", policies=[policing]).check()
    missing = [str(found).partition(";")[0] for found in policing.at_the_end(result).violations]
    assert missing == [
        f"s3.Bucket lone: {part} is not set"
        for part in ("encryption", "public access block", "versioning", "policy", "lifecycle")
    ]


def test_the_rules_look_for_the_exceptions_of_the_checkout(tmp_path: Path) -> None:
    file = tmp_path / "policies" / "exceptions.yaml"
    file.parent.mkdir()
    file.write_text(
        "exceptions:\n"
        "  - rule: log-retention\n"
        '    urn: "urn:pulumi:models-dev::mainstage::*::made"\n'
        "    owner: ml-platform\n"
        "    reason: made for a test\n"
        "    expires: 2026-11-21\n",
        encoding="utf-8",
    )
    policing = Policing(tmp_path, TODAY)
    result = record(log_group, "models-dev", policies=[policing]).check()
    assert policing.at_the_end(result).violations == ()
    late = record(log_group, "models-dev", policies=[Policing(tmp_path, date(2026, 11, 22))])
    assert late.error is not None


def test_a_rehearsals_report_tells_the_verdict() -> None:
    report = Report("dev", "111111111111", "eu-west-1", violations={"platform-dev": [], "models-dev": []})
    assert report.ok
    assert report.policies_told == f"{len(RULES)} rules over platform-dev and models-dev: none is broken"
    assert report.as_dict()["policies"] == {"platform-dev": [], "models-dev": []}
    assert report.policies_told in page.render(report)


def test_a_rehearsal_that_breaks_a_rule_has_failed() -> None:
    report = Report("dev", "111111111111", "eu-west-1", violations={"models-dev": ["<b>a</b> is not set"]})
    assert not report.ok
    assert report.problems == ["models-dev: <b>a</b> is not set"]
    assert report.policies_told == f"{len(RULES)} rules over models-dev: 1 broken"
    assert "&lt;b&gt;a&lt;/b&gt; is not set" in page.render(report)


def test_a_rehearsal_that_came_to_no_stack_says_nothing() -> None:
    assert Report("dev", "111111111111", "eu-west-1").policies_told == ""


def test_a_stack_whose_program_fails_is_named_with_the_cause(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    file = tmp_path / "stacks" / "Pulumi.platform-dev.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("nat: none", "nat: two"), encoding="utf-8")
    with pytest.raises(NotRecorded, match=r"(?s)^platform-dev: .*network\.nat: .*two"):
        recorded(tmp_path, "platform-dev")


def with_exception(root: Path, urn: str, owner: str = "ml-platform") -> Path:
    file = root / "policies" / "exceptions.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "exceptions:\n"
        "  - rule: log-retention\n"
        f'    urn: "{urn}"\n'
        f"    owner: {owner}\n"
        "    reason: made for a test\n"
        "    expires: 2026-12-31\n",
        encoding="utf-8",
    )
    return root


@pytest.mark.parametrize("stack", ["models-qa", "model-*", "prod"])
def test_an_exception_for_no_stack_of_the_checkout_is_an_error(tmp_path: Path, stack: str) -> None:
    urn = f"urn:pulumi:{stack}::mainstage::*::iris"
    assert file_problems(with_exception(tmp_path, urn), TODAY) == [
        f"policies/exceptions.yaml:2: urn is {urn!r}, which is for no stack; allowed: platform-dev, models-dev, "
        "platform-staging, models-staging, platform-prod, models-prod; rule exceptions"
    ]


@pytest.mark.parametrize("stack", ["models-prod", "*-dev", "*"])
def test_an_exception_for_a_stack_of_the_checkout_is_none(tmp_path: Path, stack: str) -> None:
    assert file_problems(with_exception(tmp_path, f"urn:pulumi:{stack}::mainstage::*::iris"), TODAY) == []


def test_what_is_wrong_with_the_file_is_told_once_for_all_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_check, "recorded", lambda _, stack, platform=None: recorded(ROOT, stack, platform))
    with_exception(tmp_path, "urn:pulumi:models-dev::mainstage::*::iris", owner='""')
    assert file_problems(tmp_path, TODAY) == [
        "policies/exceptions.yaml:2: owner is not set; allowed: who answers for it; rule exceptions"
    ]
    assert [each.violations for each in check(tmp_path, ["dev"], TODAY)] == [(), ()]


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(policy_check, "file_problems", lambda root: found)
    return found


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, problems: list[str]) -> list[Checked]:
    found = [Checked("platform-dev", 70, ()), Checked("models-dev", 128, ())]
    monkeypatch.setattr(policy_check, "check", lambda root: found)
    return found


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_fails_with_what_is_wrong_with_the_exceptions(
    checked: list[Checked], problems: list[str], capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    problems.append("policies/exceptions.yaml:2: owner is not set")
    with pytest.raises(SystemExit) as ended:
        main(["policies", "check", *(["--json"] if as_json else [])])
    assert ended.value.code == 1
    told = capsys.readouterr()
    if as_json:
        assert [json.loads(told.out)[key] for key in ("ok", "exceptions", "violations")] == [False, problems, []]
    else:
        assert told.err.count("policies/exceptions.yaml:2: owner is not set") == 1


def test_the_command_tells_that_none_is_broken(checked: list[Checked], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["policies", "check"])
    assert ended.value.code in (0, None)
    told = " ".join(capsys.readouterr().out.split())
    assert told == f"{len(RULES)} rules over 198 resources of platform-dev, models-dev: none is broken"


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_fails_with_each_violation(
    checked: list[Checked], capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    checked[1] = Checked("models-dev", 128, (Violation(RULES[0].about, "urn:a", "a is not set"),))
    with pytest.raises(SystemExit) as ended:
        main(["policies", "check", *(["--json"] if as_json else [])])
    assert ended.value.code == 1
    told = capsys.readouterr()
    if as_json:
        assert json.loads(told.out) == {
            "ok": False,
            "rules": len(RULES),
            "resources": {"platform-dev": 70, "models-dev": 128},
            "exceptions": [],
            "violations": [{"stack": "models-dev", "message": "a is not set"}],
        }
    else:
        assert "models-dev: a is not set" in told.err
