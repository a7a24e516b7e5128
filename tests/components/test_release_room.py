"""What a release finds under the names that it is about to take, and what becomes of it. A played SageMaker."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
from botocore.exceptions import ClientError
from mainstage import release_hooks
from mainstage._release_kinds import CONFIGURATION, MODEL, Kind
from mainstage._release_leftover import Wanted, differences, make_room
from mainstage._release_verdict import ReleaseError

ACCOUNT, REGION = "111111111111", "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/e"
CONFIG_INPUTS = {
    "name": "e-v6-0000000a",
    "kmsKeyArn": "arn:key",
    "productionVariants": [{"modelName": "e-v6-0000000b", "instanceType": "ml.m5.large", "initialInstanceCount": 2}],
}
MODEL_INPUTS = {
    "name": "e-v6-0000000b",
    "executionRoleArn": ROLE,
    "primaryContainer": {"image": "i", "modelDataUrl": "s3://b/6", "environment": {"A": "1"}, "mode": "SingleModel"},
    "vpcConfig": {"subnets": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]},
}
INPUTS: dict[Kind, dict[str, Any]] = {CONFIGURATION: CONFIG_INPUTS, MODEL: MODEL_INPUTS}


MADE = datetime(2026, 11, 22, tzinfo=UTC)


def refused(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class SageMaker:
    """Holds version 6 as it was once made, and an endpoint that runs version 7."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.denied: set[str] = set()
        self.account = ACCOUNT
        self.endpoint: dict[str, Any] | None = {"EndpointConfigName": "e-v7-0000000c"}
        self.configs = {
            "e-v6-0000000a": {
                "KmsKeyId": "arn:key",
                "ProductionVariants": [{"ModelName": "e-v6-0000000b", "InstanceType": "ml.m5.large"}],
            },
            "e-v7-0000000c": {"ProductionVariants": [{"ModelName": "e-v7-0000000d", "InstanceType": "ml.m5.large"}]},
        }
        self.models = {
            "e-v6-0000000b": {
                "ExecutionRoleArn": ROLE,
                "PrimaryContainer": {"Image": "i", "ModelDataUrl": "s3://b/6", "Environment": {"A": "1"}},
                "VpcConfig": {"Subnets": ["subnet-2", "subnet-1"], "SecurityGroupIds": ["sg-1"]},
            }
        }

    def client(self, service: str) -> SageMaker:
        assert service == "sagemaker"
        return self

    def _called(self, name: str, operation: str) -> None:
        self.calls.append(name)
        if name in self.denied:
            raise refused("AccessDeniedException", "not authorized", operation)

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        self._called("describe_endpoint", "DescribeEndpoint")
        if self.endpoint is None:
            raise refused("ValidationException", f'Could not find endpoint "{EndpointName}".', "DescribeEndpoint")
        return {"EndpointStatus": "InService", "CreationTime": MADE, "LastModifiedTime": MADE, **self.endpoint}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        self._called("describe_endpoint_config", "DescribeEndpointConfig")
        if EndpointConfigName not in self.configs:
            raise refused("ValidationException", "Could not find endpoint configuration", "DescribeEndpointConfig")
        arn = f"arn:aws:sagemaker:{REGION}:{self.account}:endpoint-config/{EndpointConfigName}"
        return {"EndpointConfigArn": arn, **self.configs[EndpointConfigName]}

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        self._called("describe_model", "DescribeModel")
        if ModelName not in self.models:
            raise refused("ValidationException", "Could not find model", "DescribeModel")
        return {"ModelArn": f"arn:aws:sagemaker:{REGION}:{self.account}:model/{ModelName}", **self.models[ModelName]}

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:
        self._called("delete_endpoint_config", "DeleteEndpointConfig")
        del self.configs[EndpointConfigName]

    def delete_model(self, ModelName: str) -> None:
        self._called("delete_model", "DeleteModel")
        del self.models[ModelName]


@pytest.fixture
def sagemaker() -> SageMaker:
    return SageMaker()


def wanted(kind: Kind, **changed: Any) -> Wanted:
    word = "config" if kind is CONFIGURATION else "model"
    return Wanted(
        kind=kind,
        account_id=ACCOUNT,
        region=REGION,
        endpoint="e",
        urn=f"urn:pulumi:dev::p::mainstage:index:SageMakerEndpoint${kind.type}::thing-{word}-v6",
        owner_urn="urn:pulumi:dev::p::mainstage:index:SageMakerEndpoint::thing",
        inputs={**INPUTS[kind], **changed},
    )


def made(sagemaker: SageMaker, kind: Kind, **changed: Any) -> str | None:
    return make_room(wanted(kind, **changed), lambda: sagemaker)


def taken(sagemaker: SageMaker, kind: Kind, **changed: Any) -> str:
    with pytest.raises(ReleaseError) as caught:
        made(sagemaker, kind, **changed)
    assert not [call for call in sagemaker.calls if call.startswith("delete")]
    return str(caught.value)


@pytest.mark.parametrize(("kind", "call"), [(CONFIGURATION, "describe_endpoint_config"), (MODEL, "describe_model")])
def test_a_name_that_is_free_costs_one_call(sagemaker: SageMaker, kind: Kind, call: str) -> None:
    assert made(sagemaker, kind, name="e-v8-0000000e") is None
    assert sagemaker.calls == [call]


@pytest.mark.parametrize("kind", [CONFIGURATION, MODEL])
@pytest.mark.parametrize(
    "endpoint",
    [{"EndpointConfigName": "e-v7-0000000c"}, {"EndpointStatus": "Failed"}, None],
    ids=["another", "never-came-up", "none"],
)
def test_what_nobody_uses_is_deleted(sagemaker: SageMaker, kind: Kind, endpoint: dict[str, Any] | None) -> None:
    sagemaker.endpoint = endpoint
    name = INPUTS[kind]["name"]
    assert (
        made(sagemaker, kind)
        == f"{name}, left by an earlier release and used by nothing, was deleted: it is made again"
    )
    assert name not in (*sagemaker.configs, *sagemaker.models)


@pytest.mark.parametrize("kind", [CONFIGURATION, MODEL])
@pytest.mark.parametrize(
    ("endpoint", "what"),
    [
        ({"EndpointConfigName": "e-v6-0000000a"}, "runs it"),
        (
            {
                "EndpointConfigName": "e-v7-0000000c",
                "PendingDeploymentSummary": {"EndpointConfigName": "e-v6-0000000a"},
            },
            "is being deployed to it",
        ),
    ],
)
def test_what_the_endpoint_uses_is_left(sagemaker: SageMaker, kind: Kind, endpoint: dict[str, Any], what: str) -> None:
    sagemaker.endpoint = endpoint
    lines = taken(sagemaker, kind).splitlines()
    name, logical = INPUTS[kind]["name"], wanted(kind).urn.rpartition("::")[2]
    assert lines == [
        f"the {kind.word} {name} is there already and not in this state: the endpoint e {what}, so it is neither "
        "deleted nor made again",
        f"next: take it into the state, then up again: pulumi import {kind.type} {logical} {name} "
        "--parent 'owner=urn:pulumi:dev::p::mainstage:index:SageMakerEndpoint::thing' --protect=false "
        "--generate-code=false",
    ]


def test_a_model_whose_user_cannot_be_told_is_left(sagemaker: SageMaker) -> None:
    del sagemaker.configs["e-v7-0000000c"]
    assert "the configuration e-v7-0000000c that e runs is gone" in taken(sagemaker, MODEL)


@pytest.mark.parametrize(
    ("kind", "changed", "told"),
    [
        (MODEL, {"executionRoleArn": "arn:other"}, f"ExecutionRoleArn is '{ROLE}' and not 'arn:other'"),
        (CONFIGURATION, {"kmsKeyArn": "arn:other"}, "KmsKeyId is 'arn:key' and not 'arn:other'"),
    ],
)
def test_what_is_not_the_same_is_left(sagemaker: SageMaker, kind: Kind, changed: dict[str, Any], told: str) -> None:
    """What a replacement in place would find: the engine deletes the old one after the new one is made."""
    message = taken(sagemaker, kind, **changed)
    assert message.startswith(f"another {kind.word} has the name {INPUTS[kind]['name']}: {told}\n")


def test_another_account_s_is_left(sagemaker: SageMaker) -> None:
    sagemaker.account = "222222222222"
    assert "the credentials are of account 222222222222" in taken(sagemaker, CONFIGURATION)


def test_who_may_not_look_goes_on(sagemaker: SageMaker) -> None:
    """SageMaker makes nothing twice: the provider would be refused."""
    sagemaker.denied = {"describe_endpoint_config"}
    told = made(sagemaker, CONFIGURATION) or ""
    assert told.startswith("whether e-v6-0000000a is left over from an earlier release is not known: ")
    assert "AccessDeniedException" in told


def test_who_may_not_delete_is_told_the_command(sagemaker: SageMaker) -> None:
    sagemaker.denied = {"delete_model"}
    with pytest.raises(ReleaseError) as caught:
        made(sagemaker, MODEL)
    assert str(caught.value).splitlines() == [
        "the model e-v6-0000000b is there already, and could not be cleared away: "
        "DeleteModel was answered with AccessDeniedException: not authorized",
        "next: aws sagemaker delete-model --model-name e-v6-0000000b --region eu-west-1 when nothing uses it, then up "
        "again",
    ]


def test_lists_are_compared_in_any_order_and_nothing_as_empty() -> None:
    there = {"ExecutionRoleArn": "r", "VpcConfig": {"Subnets": ["b", "a"]}}
    assert differences(MODEL, {"executionRoleArn": "r", "vpcConfig": {"subnets": ["a", "b"]}}, there) == []
    assert differences(MODEL, {"executionRoleArn": "r", "vpcConfig": {"subnets": ["a"]}}, there) == [
        "VpcConfig.Subnets is ['b', 'a'] and not ['a']"
    ]


def test_of_the_environment_only_names_are_told() -> None:
    """It may hold a token, on either side."""
    asked = {"primaryContainer": {"environment": {"A": "1", "TOKEN": "new-token", "ONLY_HERE": "x"}}}
    there = {"PrimaryContainer": {"Environment": {"A": "1", "TOKEN": "old-token"}}}
    assert differences(MODEL, asked, there) == ["PrimaryContainer.Environment differs in ONLY_HERE, TOKEN"]
    assert differences(MODEL, {}, there) == ["PrimaryContainer.Environment differs in A, TOKEN"]


@pytest.mark.parametrize("name", ["primaryContainer", "executionRoleArn"])
def test_a_secret_among_the_inputs_is_compared_as_what_it_is(
    sagemaker: SageMaker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A hook is given an Output of the whole input that a secret is part of."""
    monkeypatch.setattr(release_hooks, "ambient", lambda region: lambda: sagemaker)
    monkeypatch.setattr(pulumi.log, "info", lambda *_: None)
    monkeypatch.setattr(pulumi, "ResourceHook", lambda _, callback: SimpleNamespace(callback=callback))

    async def made() -> None:
        inputs = {**MODEL_INPUTS, name: pulumi.Output.secret(MODEL_INPUTS[name])}
        owner = cast(pulumi.Resource, SimpleNamespace(urn=pulumi.Output.from_input("urn:owner")))
        binding = release_hooks.room_hooks("m", MODEL, account_id=ACCOUNT, region=REGION, endpoint="e", owner=owner)
        (hook,) = cast(Any, binding.before_create)
        await hook.callback(SimpleNamespace(urn=wanted(MODEL).urn, new_inputs=inputs))

    asyncio.run(made())
    assert sagemaker.calls[-1] == "delete_model"
