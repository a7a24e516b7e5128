"""The policy pack, run by the real `pulumi`: before an update, in it, and on a state."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from engine_world import MODELS, PLATFORM, ROOT, EngineWorld

from infra.rehearsal.pulumi_cli.cli import Cli
from infra.rehearsal.pulumi_cli.project import make_project

PACK = ROOT / "policies"
WITH_PACK = ("--policy-pack", "policies")
"""As a person writes it, in the project's folder."""

GROUP = "/made/on-purpose"
BAD = """
import pulumi
import pulumi_aws as aws

TAGS = {"mainstage:environment": "dev", "mainstage:owner": "ml-platform", "mainstage:cost-center": "ai-dev"}
aws_dev = aws.Provider("aws", region="eu-west-1", default_tags={"tags": TAGS})
options = pulumi.ResourceOptions(provider=aws_dev)
%s
aws.cloudwatch.LogGroup("made", name="/made/on-purpose", kms_key_id=key_arn, opts=options)
"""
NOT_KNOWN_YET = 'key_arn = aws.kms.Key("key", enable_key_rotation=True, opts=options).arn'
KNOWN = 'key_arn = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"'
# The provider's own default stands there when a rule looks.
TOLD = (
    "cloudwatch.LogGroup made: retentionInDays is 0; allowed: 1 days or more in dev; neither 0 nor left out, "
    "which is for ever; fix: set retentionInDays (log_retention_days of the stack file); rule log-retention"
)


@pytest.fixture
def program(standing: EngineWorld, tmp_path: Path) -> Callable[[str], Cli]:
    """A project with a program of the test's own, on the cloud of `standing`, with a state of its own."""

    def written(text: str) -> Cli:
        project = make_project(ROOT, tmp_path / "bad")
        infra = project.folder / "infra"
        if infra.is_symlink():
            infra.unlink()
            infra.mkdir()
        (infra / "__main__.py").write_text(text, encoding="utf-8")
        cli = Cli(project, standing.emulated)
        cli.select(MODELS)
        return cli

    return written


def pack_with(folder: Path, expires: date) -> tuple[str, str]:
    """A copy of the pack that excepts the log group until a day."""
    copy = folder / f"policies-{expires}"
    shutil.copytree(PACK, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "exceptions.yaml").write_text(
        "exceptions:\n"
        "  - rule: log-retention\n"
        f'    urn: "urn:pulumi:{MODELS}::mainstage::aws:cloudwatch/logGroup:LogGroup::made"\n'
        "    owner: ml-platform\n"
        "    reason: made for a test\n"
        f"    expires: {expires}\n",
        encoding="utf-8",
    )
    return "--policy-pack", str(copy)


@pytest.mark.parametrize("stack", [PLATFORM, MODELS])
def test_our_stacks_pass(standing: EngineWorld, stack: str) -> None:
    done = standing.cli.preview(stack, "--expect-no-changes", *WITH_PACK)
    assert "✅ mainstage@v0.1.0" in done.told
    assert "[mandatory]" not in done.told
    assert "[advisory]" not in done.told


def test_our_states_pass_and_a_bad_one_does_not(standing: EngineWorld, tmp_path: Path) -> None:
    standing.cli.run("policy", "analyze", "--stack", MODELS, *WITH_PACK)
    state = standing.cli.state(PLATFORM)
    for resource in state["deployment"]["resources"]:
        if resource["urn"].endswith("::capture-versioning"):
            resource["inputs"]["versioningConfiguration"]["status"] = "Suspended"
    file = tmp_path / "state.json"
    file.write_text(json.dumps(state), encoding="utf-8")
    done = standing.cli.try_run("policy", "analyze", "--file", str(file), *WITH_PACK)
    assert done.code != 0
    assert done.told.count("[mandatory]") == 1
    assert 's3.BucketVersioning capture-versioning: versioningConfiguration.status is "Suspended"' in done.told


def test_a_bad_stack_is_stopped_beside_a_value_that_is_not_known_yet(program: Callable[[str], Cli]) -> None:
    done = program(BAD % NOT_KNOWN_YET).try_run("preview", "--stack", MODELS, *WITH_PACK)
    assert done.code != 0
    assert done.told.count("[mandatory]") == 1
    assert "[advisory]" not in done.told
    assert TOLD in " ".join(done.told.split())


def test_an_update_stops_before_the_resource_is_made(standing: EngineWorld, program: Callable[[str], Cli]) -> None:
    done = program(BAD % KNOWN).try_run("up", "--yes", "--skip-preview", "--stack", MODELS, *WITH_PACK)
    assert done.code != 0
    assert TOLD in " ".join(done.told.split())
    groups = standing.client("logs").describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert groups == []


def test_an_exception_lets_through_until_it_expires(program: Callable[[str], Cli], tmp_path: Path) -> None:
    cli = program(BAD % NOT_KNOWN_YET)
    today = date.today()
    passed = cli.try_run("preview", "--stack", MODELS, *pack_with(tmp_path, today + timedelta(days=30)))
    assert passed.code == 0, passed.told
    expired = cli.try_run("preview", "--stack", MODELS, *pack_with(tmp_path, today - timedelta(days=1)))
    assert expired.code != 0
    told = " ".join(expired.told.split())
    assert TOLD in told
    assert f"exceptions.yaml:2: the exception from log-retention for urn:pulumi:{MODELS}" in told
    assert f"expired on {today - timedelta(days=1)}" in told
