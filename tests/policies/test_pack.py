"""The pack as the engine talks to it: a process of its own, over gRPC."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.struct_pb2 import Struct
from policy_cases import ROOT, allowing, changed, graph, real
from pulumi.runtime.proto import analyzer_pb2 as messages
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE
from ruamel.yaml import YAML

from infra.version import RELEASE
from policies.judging import EXCEPTIONS
from policies.rules import RULES, UNKNOWN, Resource

PACK = ROOT / "policies"


@contextmanager
def started(folder: Path) -> Iterator[Any]:
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(folder)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def pack() -> Iterator[Any]:
    with started(PACK) as stub:
        yield stub


def on_the_wire(resource: Resource) -> dict[str, Any]:
    """The fields that requests about one resource and about a stack have in common."""
    return {
        "type": resource.type,
        "urn": resource.urn,
        "name": resource.name,
        "properties": struct(resource.properties),
        "options": messages.AnalyzerResourceOptions(protect=resource.protect),
        "provider": messages.AnalyzerProviderResource(
            type="pulumi:providers:aws", name="aws", urn="urn:aws", properties=struct(resource.provider)
        ),
    }


def struct(values: Mapping[str, Any]) -> Struct:
    made = Struct()
    made.update(_sent(values))
    return made


def _sent(value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_STRING_VALUE
    if isinstance(value, Mapping):
        return {key: _sent(inner) for key, inner in value.items()}
    return [_sent(inner) for inner in value] if isinstance(value, list) else value


def analyze(pack: Any, resource: Resource) -> list[tuple[str, int, str]]:
    answer = pack.Analyze(messages.AnalyzeRequest(**on_the_wire(resource)))
    return [(each.policyName, each.enforcementLevel, each.message.partition("\n")[2]) for each in answer.diagnostics]


def analyze_stack(pack: Any, resources: list[Resource]) -> list[tuple[str, str, str]]:
    request = messages.AnalyzeStackRequest(
        resources=[
            messages.AnalyzerResource(
                **on_the_wire(resource),
                propertyDependencies={
                    key: messages.AnalyzerPropertyDependencies(urns=urns) for key, urns in resource.needs.items()
                },
            )
            for resource in resources
        ]
    )
    return [(each.policyName, each.urn, each.message) for each in pack.AnalyzeStack(request).diagnostics]


def test_the_pack_has_the_release_s_version() -> None:
    described = YAML(typ="safe", pure=True).load(PACK / "PulumiPolicy.yaml")
    assert described["version"] == RELEASE


def test_every_rule_is_a_policy_with_its_level_and_remedy(pack: Any) -> None:
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == "mainstage"
    told = [(each.name, each.description, each.enforcementLevel, each.remediation_steps) for each in info.policies]
    abouts = [*(rule.about for rule in RULES), EXCEPTIONS]
    levels = {"advisory": messages.ADVISORY, "mandatory": messages.MANDATORY}
    assert told == [(about.name, about.asks, levels[about.level], about.remedy) for about in abouts]


def test_our_resources_pass_one_by_one_and_together(pack: Any) -> None:
    for stack in ("platform-prod", "models-prod"):
        resources = list(graph(stack).resources)
        assert [found for resource in resources for found in analyze(pack, resource)] == []
        assert analyze_stack(pack, resources) == []


def test_a_known_violation_is_mandatory_beside_a_value_that_is_not_known_yet(pack: Any) -> None:
    """Were the unknown one read, the SDK would turn the rule into advice, and the preview would go on."""
    group = changed(changed(real("iris-route-logs"), "kmsKeyId", UNKNOWN), "retentionInDays", 1)
    ((rule, level, text),) = analyze(pack, group)
    assert (rule, level) == ("log-retention", messages.MANDATORY)
    assert text.startswith(
        "cloudwatch.LogGroup iris-route-logs: retentionInDays is 1; allowed: 90 days or more in prod;"
    )
    configuration = changed(real("iris-endpoint-config"), "productionVariants[0].initialInstanceCount", 1)
    configuration = changed(configuration, "productionVariants[0].modelName", UNKNOWN)
    assert [found[:2] for found in analyze(pack, configuration)] == [("prod-two-instances", messages.MANDATORY)]


def test_what_is_not_known_yet_is_not_told_either(pack: Any) -> None:
    assert analyze(pack, changed(real("iris-route-policy"), "policy", UNKNOWN)) == []


def test_a_secret_that_cannot_be_read_is_not_judged(pack: Any) -> None:
    """Of a state file whose key is elsewhere."""
    assert analyze(pack, changed(real("iris-route-policy"), "policy", "[secret]")) == []


def test_a_violation_of_a_stack_names_the_resource(pack: Any) -> None:
    left = [resource for resource in graph("models-prod").resources if resource.name != "iris-log-stream"]
    ((rule, urn, _),) = analyze_stack(pack, left)
    assert (rule, urn) == ("endpoint-logs-predictions", real("iris-route-function").urn)


def test_a_copy_of_the_pack_runs_with_its_own_exceptions(tmp_path: Path) -> None:
    copy = tmp_path / "our-rules"
    shutil.copytree(PACK, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "exceptions.yaml").write_text(
        "exceptions:\n"
        "  - rule: iam-actions-named\n"
        '    urn: "urn:pulumi:models-prod::mainstage::*::iris-route-policy"\n'
        "    owner: ml-platform\n"
        "    reason: tried here\n"
        "    expires: 2000-01-01\n",
        encoding="utf-8",
    )
    bad = changed(real("iris-route-policy"), "policy", allowing(Action="s3:*"))
    with started(copy) as pack:
        assert [found[0] for found in analyze(pack, bad)] == ["iam-actions-named"]
        ((rule, urn, text),) = analyze_stack(pack, list(graph("models-prod").resources))
    assert (rule, urn) == ("exceptions", "")
    assert "exceptions.yaml:2: the exception from iam-actions-named" in text
    assert "expired on 2000-01-01" in text
