"""Every type is found by what an operation records, with the id that the provider gives; similar things are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.validate import ParamValidator
from provider_driver import Driver, Resource
from provider_world import SAMPLES, World

from infra.program import program_for
from infra.recover.decide import Decision, decide
from infra.recover.finding import CannotLook, Look, Place, find, is_missing, plain
from infra.recover.operations import CREATING, Operation
from infra.recover.rules import RULES
from infra.rehearsal.engine import record
from infra.rehearsal.provider.rows import ROWS
from infra.settings import stack_config, stack_file

if TYPE_CHECKING:
    from pathlib import Path

    from infra.rehearsal.cloud.cloud import Cloud


def pending(made: Resource, default: Mapping[str, str], /, **inputs: Any) -> Operation:
    """The operation that a kill inside the resource's Create would have left. inputs: others than it was made with."""
    resource = {"urn": made.urn, "type": made.type, "custom": True, "inputs": {**made.inputs, **inputs}}
    return Operation(CREATING, resource, default)


def sample(type_token: str, world: World) -> dict[str, Any]:
    inputs = SAMPLES[type_token](world)
    if "bucketPrefix" in inputs:  # the provider makes the name in Create, and no operation records it
        inputs["bucket"] = inputs.pop("bucketPrefix") + "bucket"
    return inputs


def decided(operation: Operation, place: Place, *known_ids: str) -> Decision:
    rule = RULES[operation.type]
    return decide(operation, find(rule, operation, place), named=rule.named, known_ids=known_ids)


def test_every_type_has_a_rule(root: Path) -> None:
    """What the provider carries, and what the program registers."""
    assert set(RULES) == set(ROWS)
    platform, models = "platform-prod", "models-prod"
    answers = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
    below = record(program_for(platform), platform, stack_config(stack_file(root, platform)), answers=answers).check()
    outputs = {platform: below.outputs}
    above = record(program_for(models), models, stack_config(stack_file(root, models)), stack_outputs=outputs).check()
    types = {each.type for result in (below, above) for each in result.resources if each.type.startswith("aws:")}
    assert len(types) > 40
    assert types - set(RULES) == set()


def played(template: Any) -> Any:
    """A template with some text in the place of each expression."""
    if isinstance(template, dict):
        return {key: played(item) for key, item in template.items()}
    if isinstance(template, list):
        return [played(item) for item in template]
    return "some-text-of-enough-letters" if str(template).startswith("=") else template


@pytest.mark.parametrize("type_token", sorted(RULES))
def test_every_call_is_one_that_boto3_takes(type_token: str, cloud: Cloud) -> None:
    """By the service's own model: a real client checks what the emulated cloud's does not."""
    rule = RULES[type_token]
    looks = [each for each in (rule.look, rule.detail, rule.tags, rule.every, rule.remove) if not isinstance(each, str)]
    for look in filter(None, looks):
        client = cloud.client(look.service)
        name = client.meta.method_to_api_mapping[look.call]
        shape = client.meta.service_model.operation_model(name).input_shape
        assert ParamValidator().validate(played(look.arguments), shape).generate_report() == ""


SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}
"""What a state holds in the place of a secret."""

ALWAYS_THERE = {
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:sns/topicPolicy:TopicPolicy",
}
"""AWS makes one of each with what it belongs to."""


@pytest.mark.parametrize("type_token", sorted(SAMPLES))
def test_what_was_made_is_found(
    type_token: str, shared: World, place_of_shared: Place, default_tags: dict[str, str]
) -> None:
    """And nothing is before it was made, or for another environment, or with other tags of its own."""
    place, rule, inputs = place_of_shared, RULES[type_token], sample(type_token, shared)
    checked = Resource(type_token, "sample", inputs=shared.engine.check(type_token, "sample", inputs))
    if type_token not in ALWAYS_THERE:
        found = decided(pending(checked, default_tags), place)
        assert (found.act, found.id) == ("forget", ""), found

    made = shared.engine.create(type_token, "sample", **inputs)
    operation = pending(made, default_tags)
    assert [(each.id, each.differs) for each in find(rule, operation, place) if each.id == made.id] == [(made.id, ())]
    found = decided(operation, place)
    assert (found.act, found.id) == ("import", made.id)
    assert decided(operation, place, made.id).act == "forget"
    if rule.tags is None:
        return
    elsewhere = replace(operation, default_tags={**default_tags, "mainstage:environment": "staging"})
    other = decided(elsewhere, place)
    told = "tag mainstage:environment: asked staging, found dev"
    if rule.named:
        assert (other.act, other.candidates) == ("refuse", (made.id,))
        assert told in other.reason
    else:
        assert other.act == "forget"
    assert decided(pending(made, default_tags, tags={"team": "another"}), place).act != "import"


TWINS: Mapping[str, dict[str, Any]] = {
    "aws:ec2/vpc:Vpc": {},
    "aws:ec2/eip:Eip": {},
    "aws:kms/key:Key": {},
    "aws:apigatewayv2/api:Api": {},
    "aws:ec2/subnet:Subnet": {"cidrBlock": "10.0.3.0/24"},
    "aws:ec2/routeTable:RouteTable": {},
}


@pytest.mark.parametrize("type_token", sorted(TWINS))
def test_of_several_of_one_account_the_right_one_is_found(
    type_token: str, engine: Driver, world: World, place: Place, default_tags: dict[str, str]
) -> None:
    inputs = sample(type_token, world)
    first = engine.create(type_token, "first", **{**inputs, "tags": {"Name": "first"}})
    engine.create(type_token, "second", **{**inputs, **TWINS[type_token], "tags": {"Name": "second"}})
    assert decided(pending(first, default_tags), place).id == first.id


@pytest.mark.parametrize("type_token", ["aws:ec2/vpc:Vpc", "aws:kms/key:Key", "aws:apigatewayv2/api:Api"])
def test_of_two_alike_a_person_chooses(
    type_token: str, engine: Driver, world: World, place: Place, default_tags: dict[str, str]
) -> None:
    inputs = sample(type_token, world)
    if type_token == "aws:apigatewayv2/api:Api":
        inputs["name"] = "twins"
    made = [engine.create(type_token, "same", **inputs) for _ in range(2)]
    ids = tuple(sorted(each.id for each in made))
    found = decided(pending(made[0], default_tags), place)
    assert (found.act, found.candidates) == ("refuse", ids)
    # One that the state has is not asked about.
    assert decided(pending(made[0], default_tags), place, made[1].id).id == made[0].id


def test_an_endpoint_and_its_scaling(
    engine: Driver, world: World, cloud: Cloud, place: Place, default_tags: dict[str, str]
) -> None:
    """One that AWS is still making, that serves, that could not be made, that is on its way out."""
    made = engine.create("aws:sagemaker/endpoint:Endpoint", "iris", **world.endpoint_inputs())
    operation = pending(made, default_tags)
    assert (decided(operation, place).act, decided(operation, place).id) == ("import", "iris")
    other = decided(pending(made, default_tags, endpointConfigName="another"), place)
    assert (other.act, other.candidates) == ("refuse", ("iris",))
    assert "endpointConfigName: asked another, found world" in other.reason
    scaling = {
        "serviceNamespace": "sagemaker",
        "resourceId": "endpoint/iris/variant/stable",
        "scalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    goal = engine.create("aws:appautoscaling/target:Target", "scaling", **scaling, minCapacity=1, maxCapacity=2)
    assert decided(pending(goal, default_tags), place).id == goal.id
    tracking = {"predefinedMetricSpecification": {"predefinedMetricType": "SageMakerVariantInvocationsPerInstance"}}
    policy = engine.create(
        "aws:appautoscaling/policy:Policy",
        "scaling",
        **scaling,
        name="invocations",
        policyType="TargetTrackingScaling",
        targetTrackingScalingPolicyConfiguration={**tracking, "targetValue": 10},
    )
    assert decided(pending(policy, default_tags), place).id == policy.id
    for status, act in (("Creating", "wait"), ("Failed", "remove"), ("Deleting", "forget")):
        there = find(RULES[made.type], operation, _with_status(place, status))
        assert decide(operation, there, named=True).act == act


def _with_status(place: Place, status: str) -> Place:
    """AWS, which answers another status for endpoints."""

    def clients(service: str) -> Any:
        client = place.clients(service)

        class Changed:
            def __getattr__(self, name: str) -> Any:
                return getattr(client, name)

            def describe_endpoint(self, **arguments: Any) -> Any:
                return {**client.describe_endpoint(**arguments), "EndpointStatus": status}

        return Changed()

    return replace(place, clients=clients)


def test_a_bucket_without_tags_yet_is_ours_and_a_foreign_one_is_not(
    world: World, cloud: Cloud, place: Place, default_tags: dict[str, str]
) -> None:
    """CreateBucket comes before PutBucketTagging: a kill in between leaves a bucket without tags."""
    made = world.bucket
    cloud.client("s3").delete_bucket_tagging(Bucket=made.id)
    assert decided(pending(made, default_tags), place).act == "import"
    cloud.client("s3").put_bucket_tagging(Bucket=made.id, Tagging={"TagSet": [{"Key": "team", "Value": "other"}]})
    found = decided(pending(made, default_tags), place)
    assert found.act == "refuse"
    assert "tag mainstage:environment: asked dev, found nothing" in found.reason


def test_a_secret_says_nothing(engine: Driver, world: World, place: Place, default_tags: dict[str, str]) -> None:
    """What is told by its tags is found by the others."""
    inputs = {"description": "for eyes", "tags": {"Name": "key", "code": "hidden"}}
    made = engine.create("aws:kms/key:Key", "key", **inputs)
    assert decided(pending(made, default_tags, description=SECRET, tags=SECRET), place).id == made.id
    assert decided(pending(made, default_tags, tags={"Name": "key", "code": SECRET}), place).id == made.id
    assert decided(pending(made, default_tags, tags={"Name": "other", "code": SECRET}), place).act == "forget"
    # The program's own tags go over the default ones.
    own = engine.create("aws:kms/key:Key", "own", tags={"mainstage:environment": "shared"})
    assert decided(pending(own, default_tags), place).id == own.id


def test_nothing_is_looked_for_by_a_secret(place: Place) -> None:
    assert plain({"name": SECRET, "list": [{"a": SECRET, "b": 1}], "tags": {"x": "y"}}) == {
        "list": [{"b": 1}],
        "tags": {"x": "y"},
    }
    type_token = "aws:iam/role:Role"
    with pytest.raises(CannotLook, match="records no name to look by"):
        find(RULES[type_token], pending(Resource(type_token, "x", inputs={"name": SECRET}), {}), place)
    type_token = "aws:s3/bucket:Bucket"
    with pytest.raises(CannotLook, match="records no join"):
        find(RULES[type_token], pending(Resource(type_token, "x", inputs={"bucketPrefix": "a-"}), {}), place)


def test_only_what_says_that_it_is_not_there_is_taken_for_missing(cloud: Cloud, place: Place) -> None:
    from botocore.exceptions import ClientError

    error = ClientError({"Error": {"Code": "ValidationException", "Message": "Could not find model"}}, "DescribeModel")
    assert is_missing(Look("sagemaker", "x", missing=("ValidationException:Could not find",)), error)
    assert not is_missing(Look("sagemaker", "x", missing=("ValidationException:does not exist",)), error)
    assert not is_missing(Look("sagemaker", "x", missing=("ResourceNotFound",)), error)
