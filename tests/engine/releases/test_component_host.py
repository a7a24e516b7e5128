"""A release by another language's program: the hooks run in the library's plugin host, and say what they say there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from other_project import project_in
from pair import Pair

from infra.rehearsal.drills.behaviour import Behaviour
from infra.rehearsal.drills.real_pulumi import RealPulumi
from infra.rehearsal.drills.world import PLATFORM
from infra.rehearsal.pulumi_cli.cli import Cli

ROOT = Path(__file__).resolve().parents[3]
UP = ("up", "--yes", "--skip-preview", "--continue-on-error", "--stack", "test")
PROGRAM = """
import json
from pathlib import Path

import pulumi
import pulumi_aws as aws


class SageMakerEndpoint(pulumi.ComponentResource):
    def __init__(self, name, properties, opts=None):
        super().__init__("mainstage:index:SageMakerEndpoint", name, properties, opts, remote=True)


asked = json.loads(Path("asked.json").read_text())
here = aws.Provider("here", region=asked["region"])
SageMakerEndpoint("hosted", asked, pulumi.ResourceOptions(providers={"aws": here}))
"""
SETTINGS = """\
name: hosted
runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}
options: {refresh: always}
plugins: {providers: [{name: mainstage, path: ../components}]}
"""


def test_a_version_that_never_comes_up_is_told_through_the_host(pair: Pair, tmp_path: Path) -> None:
    good = pair.next_version(pair)
    crashing = pair.next_version(pair, behaviour=Behaviour(crashes=True))
    pair.ask_for(good)  # its own files are another test's
    cli, file = _consumer(pair, tmp_path)
    try:
        file.write_text(json.dumps(_asked(pair, good, kept=())))
        cli.run(*UP)
        sagemaker = pair.client("sagemaker")
        served = sagemaker.describe_endpoint(EndpointName="hosted")
        assert served["EndpointConfigName"].startswith(f"hosted-v{good}-")
        file.write_text(json.dumps(_asked(pair, crashing, kept=(good,))))
        done = cli.try_run(*UP)
        assert done.code != 0
        for words in (
            f"version {crashing} never came up on endpoint hosted",
            f"serves now: version {good} ({served['EndpointConfigName']})",
            "runbook: https://example.com/runbooks/release-rolled-back.md",
            "next: ",
            "so this run deletes nothing: what serves stays",
        ):
            assert words in done.told
        assert sagemaker.describe_endpoint(EndpointName="hosted")["EndpointConfigName"] == served["EndpointConfigName"]
        file.write_text(json.dumps(_asked(pair, good, kept=())))
        cli.run(*UP)
        assert cli.try_run("preview", "--expect-no-changes", "--stack", "test").code == 0
    finally:
        cli.run("destroy", "--yes", "--skip-preview", "--stack", "test")


def _consumer(pair: Pair, folder: Path) -> tuple[Cli, Path]:
    """A program that knows the library by its token only, and the file with what it asks for."""
    shutil.copytree(ROOT / "components", folder / "components", ignore=shutil.ignore_patterns("__pycache__", "venv"))
    program = folder / "hosted"
    program.mkdir()
    (program / "__main__.py").write_text(PROGRAM)
    (program / "Pulumi.yaml").write_text(SETTINGS)
    (program / ".venv").symlink_to(ROOT / ".venv")
    engines = pair.world.engines
    assert isinstance(engines, RealPulumi)
    cli = Cli(project_in(program, folder), engines.cli.emulated)
    cli.select("test")
    return cli, program / "asked.json"


def _asked(pair: Pair, version: int, *, kept: tuple[int, ...]) -> dict[str, object]:
    engines = pair.world.engines
    assert isinstance(engines, RealPulumi)
    platform = engines.cli.outputs(PLATFORM)
    region = platform["region"]

    def of_version(number: int) -> dict[str, object]:
        return {
            "version": number,
            "imageUri": f"141502667606.dkr.ecr.{region}.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            "modelDataUrl": f"s3://{platform['registry_bucket_name']}/models/{pair.model}/{number}/model.tar.gz",
            "containerEnvironment": {
                "SAGEMAKER_PROGRAM": "inference.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
            },
        }

    return {
        **of_version(version),
        "keep": [of_version(number) for number in kept],
        "accountId": platform["account_id"],
        "region": region,
        "modelName": pair.model,
        "registryBucketArn": platform["registry_bucket_arn"],
        "repositoryArns": [f"arn:aws:ecr:{region}:141502667606:repository/sagemaker-scikit-learn"],
        "kmsKeyArn": platform["kms_key_arn"],
        "instanceType": "ml.m5.large",
        "instanceCount": 2,
        "slo": {"p95Ms": 3000, "p99Ms": 4000, "errorRatio": 0.01},
        "pageTopicArn": platform["page_topic_arn"],
        "ticketTopicArn": platform["ticket_topic_arn"],
        "runbookBaseUrl": "https://example.com/runbooks",
        "deletionProtection": False,
    }
