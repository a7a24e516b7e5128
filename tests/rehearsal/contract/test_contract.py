"""The emulated cloud carries what components register, what runs under their roles, and what the tools call."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mainstage
import pulumi
import pulumi_aws as aws
import pytest
from contract import actions_of, complaints, operations_in, uncarried

from infra.program import program_for
from infra.rehearsal.engine import Engine, Result, record
from infra.rehearsal.provider import AwsProvider
from infra.rehearsal.provider.rows import ROWS
from infra.settings import ENVIRONMENTS, stack_config, stack_file

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

ROOT = Path(__file__).resolve().parents[3]
ANSWERS = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
COMPONENTS = sorted(
    name
    for name in mainstage.__all__
    if isinstance(found := getattr(mainstage, name), type) and issubclass(found, pulumi.ComponentResource)
)
ARGUMENTS: Mapping[str, Mapping[str, Any]] = runpy.run_path(str(ROOT / "tests/components/conftest.py"))["COMPLETE"]
"""Complete arguments of each component, as the tests of components have them."""
TOOLS = [
    *sorted(path for folder in ("registry", "cli", "predictions") for path in (ROOT / "infra" / folder).rglob("*.py")),
    *(ROOT / "infra" / name for name in ("front_door.py", "rehearsal/rehearse.py", "rehearsal/log_check.py")),
]
SOURCES = {
    "tools": TOOLS,
    "runtime": sorted((ROOT / "components" / "mainstage_runtime").glob("*.py")),
    **{path.stem: [path] for path in sorted((ROOT / "infra" / "rehearsal" / "provider" / "rows").glob("*.py"))},
}
"""Sources that name AWS operations; a service that one file names counts for all of its group."""


def build(component: str) -> Callable[[], object]:
    return lambda: getattr(mainstage, component)("thing", ARGUMENTS[component])


def layers(environment: str) -> list[Result]:
    """Both layers, recorded."""
    platform, models = f"platform-{environment}", f"models-{environment}"
    below = record(program_for(platform), platform, stack_config(stack_file(ROOT, platform)), answers=ANSWERS).check()
    above = record(
        program_for(models),
        models,
        stack_config(stack_file(ROOT, models)),
        stack_outputs={platform: below.outputs},
    ).check()
    return [below, above]


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_cloud_carries_every_component(cloud: Cloud, component: str) -> None:
    result = record(build(component), stack="platform-dev").check()
    assert complaints(result.resources, ROWS, cloud.carried_by) == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_provider_takes_every_input_of_every_component(cloud: Cloud, component: str) -> None:
    """A preview through the real rows: an input that no rule takes, or that AWS would refuse, is named there."""
    engine = Engine(provider=AwsProvider(cloud.session))
    result = engine.preview("platform-dev", build(component), {"aws:region": cloud.region})
    assert result.error is None, str(result.error)
    assert {resource.type for resource in result.resources} > {f"mainstage:index:{component}"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_cloud_carries_both_layers(cloud: Cloud, environment: str) -> None:
    resources = [resource for result in layers(environment) for resource in result.resources]
    assert len(resources) > 50
    assert complaints(resources, ROWS, cloud.carried_by) == []


@pytest.mark.parametrize("group", SOURCES)
def test_the_cloud_carries_what_is_called(cloud: Cloud, group: str) -> None:
    assert uncarried(operations_in(SOURCES[group]), cloud.carried_by) == []


def test_the_sources_call_something() -> None:
    """The scan does see calls: some that are known."""
    found = {operation for sources in SOURCES.values() for operation in operations_in(sources)}
    assert len(found) > 100
    assert operations_in(SOURCES["runtime"]) == {
        ("sagemaker-runtime", "InvokeEndpoint"),
        ("firehose", "PutRecord"),
        ("firehose", "PutRecordBatch"),
        ("sqs", "SendMessage"),
        ("kms", "GenerateMac"),
        ("cloudwatch", "DescribeAlarmHistory"),
        ("cloudwatch", "DescribeAlarms"),
        ("cloudwatch", "GetMetricStatistics"),
        ("s3", "GetObject"),
        ("s3", "ListObjectsV2"),
        ("s3", "PutObject"),
        ("sagemaker", "DescribeEndpoint"),
        ("sns", "Publish"),
    }
    assert {
        ("apigatewayv2", "GetApis"),
        ("athena", "StartQueryExecution"),
        ("ec2", "CreateVpc"),
        ("sagemaker", "CreateModelPackage"),
        ("s3", "PutObject"),
        ("sagemaker-runtime", "InvokeEndpoint"),
        ("application-autoscaling", "PutScalingPolicy"),
    } <= found


class Planted(pulumi.ComponentResource):
    """A component that needs what the emulated cloud does not have."""

    def __init__(self, name: str, action: str):
        super().__init__("mainstage:index:Planted", name)
        child = pulumi.ResourceOptions(parent=self)
        aws.mq.Configuration(
            f"{name}-broker", engine_type="ActiveMQ", engine_version="5.17.6", data="<broker/>", opts=child
        )
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        aws.iam.RolePolicy(f"{name}-policy", role="somebody", policy=pulumi.Output.json_dumps(document), opts=child)


@pytest.mark.parametrize(
    ("action", "problem"),
    [
        ("mq:Promote", "the emulated cloud does not carry mq.Promote"),
        ("mq:NoSuchThing", "no operation is known for this action: name it in contract.py"),
    ],
)
def test_a_planted_component_is_named(cloud: Cloud, action: str, problem: str) -> None:
    result = record(lambda: Planted("odd", action), stack="platform-dev").check()
    policy = result.named("odd-policy")
    assert actions_of(policy) == [action]
    assert sorted(complaints(result.resources, ROWS, cloud.carried_by)) == [
        f"Planted odd, aws:iam/rolePolicy:RolePolicy odd-policy: {action}: {problem}",
        "Planted odd, aws:mq/configuration:Configuration odd-broker: "
        "the provider's table has no row for aws:mq/configuration:Configuration",
    ]


def test_a_planted_call_is_named(cloud: Cloud, tmp_path: Path) -> None:
    source = tmp_path / "tool.py"
    source.write_text('def go(session):\n    session.client("mq").promote(BrokerId="b")\n')
    assert uncarried(operations_in([source]), cloud.carried_by) == ["the emulated cloud does not carry mq.Promote"]
