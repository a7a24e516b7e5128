"""Pure decisions: equal policies, changes, names, translation there and back."""

from __future__ import annotations

import json
import random
from typing import Any

import boto3
import pytest
from botocore.model import Shape
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.provider.diff import changes, equal, refreshed_input, settled
from infra.rehearsal.provider.names import AutoName, unique_suffix
from infra.rehearsal.provider.policies import normalised_policy, same_json, same_lifecycle_policy, same_policy
from infra.rehearsal.provider.rows import ROWS
from infra.rehearsal.provider.schema import schema_of
from infra.rehearsal.provider.translate import Call, from_api, to_api
from infra.rehearsal.provider.values import UNKNOWN, Secrets, from_struct, has_unknown, known, to_struct

CONFIGURATION = ROWS["aws:sagemaker/endpointConfiguration:EndpointConfiguration"]
ENDPOINT = ROWS["aws:sagemaker/endpoint:Endpoint"]
assert CONFIGURATION.schema.inputs  # loads the SDK's module before any example is timed
assert ENDPOINT.schema.inputs

words = st.sampled_from(["s3:GetObject", "s3:PutObject", "kms:Decrypt", "sns:Publish"])
statements = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.lists(words, min_size=1, max_size=3, unique=True)},
    optional={"Sid": st.text("abc", min_size=1, max_size=3), "Resource": st.sampled_from(["*", "arn:aws:s3:::b"])},
)
policies = st.lists(statements, min_size=1, max_size=4).map(lambda found: {"Version": "2012-10-17", "Statement": found})


def shuffled(document: Any, source: random.Random) -> Any:
    """The same policy in another order, single lists as strings."""
    if isinstance(document, dict):
        items = [(key, shuffled(value, source)) for key, value in document.items()]
        source.shuffle(items)
        return dict(items)
    if isinstance(document, list):
        found = [shuffled(one, source) for one in document]
        source.shuffle(found)
        return found[0] if len(found) == 1 and isinstance(found[0], str) else found
    return document


@given(policies, st.randoms())
def test_policy_written_another_way_means_the_same(document: dict[str, Any], source: random.Random) -> None:
    other = json.dumps(shuffled(document, source), indent=source.choice([None, 2]))
    assert same_policy(json.dumps(document), other)
    assert same_policy(other, normalised_policy(other))


@given(policies)
def test_policy_with_another_effect_does_not(document: dict[str, Any]) -> None:
    other = json.loads(json.dumps(document))
    first = other["Statement"][0]
    first["Effect"] = "Deny" if first["Effect"] == "Allow" else "Allow"
    assume_other = sorted(map(repr, other["Statement"])) != sorted(map(repr, document["Statement"]))
    assert same_policy(json.dumps(document), json.dumps(other)) is not assume_other


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "{}", True),
        ("{", "{", False),
        (
            '{"Statement":[{"Principal":{"AWS":"111111111111"}}]}',
            '{"Statement":{"Principal":{"AWS":["arn:aws:iam::111111111111:root"]}}}',
            True,
        ),
        ('{"Statement":[{"Principal":"*"}]}', '{"Statement":[{"Principal":{"AWS":"*"}}]}', True),
        ('{"Statement":[{"Principal":"*"}]}', '{"Statement":[{"Principal":{"Service":"*"}}]}', False),
        (
            '{"Statement":[{"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}',
            '{"Statement":[{"Condition":{"Bool":{"aws:SecureTransport":false}}}]}',
            True,
        ),
    ],
)
def test_policy_equivalence_cases(old: str, new: str, expected: bool) -> None:
    assert same_policy(old, new) is expected


def test_plain_json_keeps_order_of_lists_and_image_policies_do_not() -> None:
    assert same_json('{"a": [1, 2], "b": 1}', '{"b":1,"a":[1,2]}')
    assert not same_json('{"a": [1, 2]}', '{"a": [2, 1]}')
    assert same_lifecycle_policy('{"rules": [1, 2]}', '{"rules": [2, 1]}')


def test_normalised_policy_has_its_version_first_and_leaves_what_is_no_json() -> None:
    assert (
        normalised_policy('{ "Statement": [], "Id": "x", "Version": "1" }') == '{"Version":"1","Id":"x","Statement":[]}'
    )
    assert normalised_policy("{oops") == "{oops"


scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=3)
trees = st.dictionaries(st.text("xy", min_size=1, max_size=2), scalars, max_size=3)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | trees, max_leaves=8)

captures = st.fixed_dictionaries(
    {},
    optional={
        "destinationS3Uri": st.none() | st.text("s3:/", max_size=4),
        "enableCapture": st.none() | st.booleans(),
        "initialSamplingPercentage": st.none() | st.integers(0, 3),
        "captureOptions": st.none()
        | st.lists(st.fixed_dictionaries({"captureMode": st.text("IO", max_size=2)}), max_size=3),
        "captureContentTypeHeader": st.none()
        | st.fixed_dictionaries({}, optional={"jsonContentTypes": st.lists(st.text("ab", max_size=2), max_size=2)}),
    },
)


def unset(tree: Any) -> Any:
    """Without what Terraform's SDK cannot tell from unset."""
    if isinstance(tree, dict):
        found = {key: unset(value) for key, value in tree.items()}
        return {key: value for key, value in found.items() if value not in (None, "", 0, [], {})}
    return [unset(one) for one in tree] if isinstance(tree, list) else tree


@given(captures, captures)
def test_a_block_equals_itself_and_only_what_means_the_same(old: Any, new: Any) -> None:
    assert equal(CONFIGURATION, "dataCaptureConfig", old, old)
    same = equal(CONFIGURATION, "dataCaptureConfig", old, new)
    assert same == equal(CONFIGURATION, "dataCaptureConfig", new, old)
    if same:  # an empty block beside none is a change, as in Terraform; everything else unset is not
        assert unset(old) == unset(new)


@given(st.sampled_from([None, "", 0, False, [], {}]), st.sampled_from([None, "", 0, False, [], {}]))
def test_zero_values_and_unset_are_the_same(old: Any, new: Any) -> None:
    assert equal(CONFIGURATION, "kmsKeyArn", old, new)


def test_change_inside_a_list_has_its_index_and_replaces() -> None:
    state = {"productionVariants": [{"variantName": "a"}, {"variantName": "b", "initialInstanceCount": 1}]}
    news = {"productionVariants": [{"variantName": "a"}, {"variantName": "b", "initialInstanceCount": 2}]}
    (change,) = changes(CONFIGURATION, state, news)
    assert (change.text, change.kind, change.replaces) == ("productionVariants[1].initialInstanceCount", "update", True)


def test_computed_volume_is_no_change_for_production_but_for_shadow() -> None:
    state = {"shadowProductionVariants": [{"variantName": "a", "volumeSizeInGb": 30}]}
    news = {"shadowProductionVariants": [{"variantName": "a"}]}
    assert [change.text for change in changes(CONFIGURATION, state, news)] == [
        "shadowProductionVariants[0].volumeSizeInGb"
    ]
    state = {"productionVariants": state["shadowProductionVariants"]}
    assert changes(CONFIGURATION, state, {"productionVariants": news["shadowProductionVariants"]}) == []


def test_deployment_block_that_brings_alarms_replaces_and_one_without_does_not() -> None:
    traffic = {"blueGreenUpdatePolicy": {"trafficRoutingConfiguration": {"type": "ALL_AT_ONCE"}}}
    alarms = {"autoRollbackConfiguration": {"alarms": [{"alarmName": "a"}]}}
    (plain,) = changes(ENDPOINT, {}, {"deploymentConfig": traffic})
    (guarded,) = changes(ENDPOINT, {}, {"deploymentConfig": {**traffic, **alarms}})
    assert (plain.replaces, guarded.replaces) == (False, True)


def test_state_keeps_the_asked_form_and_takes_what_aws_filled_in() -> None:
    asked = [{"variantName": "a", "instanceType": "ml.m5.large"}]
    live = [{"variantName": "a", "instanceType": "ml.m5.large", "volumeSizeInGb": 30}]
    assert settled(CONFIGURATION, "productionVariants", asked, live) == live
    assert refreshed_input(CONFIGURATION, "productionVariants", asked, live) == asked
    drifted = [{**live[0], "instanceType": "ml.m5.xlarge"}]
    assert refreshed_input(CONFIGURATION, "productionVariants", asked, drifted) == [
        {"variantName": "a", "instanceType": "ml.m5.xlarge"}
    ]


@given(st.text("abcXYZ-", min_size=1, max_size=80), st.binary(min_size=1, max_size=8))
def test_made_names_fit_and_repeat(logical: str, seed: bytes) -> None:
    request = pb.CheckRequest(urn="u", randomSeed=seed)
    rule = AutoName(max_length=63, transform=str.lower)
    made = rule.make(logical, request)
    assert made is not None
    assert len(made) <= 63
    assert made == made.lower() == rule.make(logical, request)


def test_suffixes_are_26_characters_and_differ() -> None:
    made = {unique_suffix() for _ in range(200)}
    assert len(made) == 200
    assert {len(one) for one in made} == {26}


def shape(service: str, operation: str, *, output: bool = False) -> Any:
    client = boto3.client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    model = client.meta.service_model.operation_model(operation)
    return model.output_shape if output else model.input_shape


def test_translation_names_what_nothing_takes_with_its_index() -> None:
    found = to_api(
        shape("sagemaker", "CreateEndpointConfig"),
        {"productionVariants": [{"variantName": "a"}, {"oops": 1}], "nope": 2},
        Call("sagemaker", "CreateEndpointConfig"),
    )
    assert found.untaken == ["productionVariants[1].oops", "nope"]
    assert found.params["ProductionVariants"][0] == {"VariantName": "a"}


def test_translation_maps_member_paths_back_past_pruned_elements() -> None:
    request: Shape = shape("sagemaker", "CreateEndpointConfig")
    values = {"productionVariants": [UNKNOWN, {"variantName": "a", "routingConfigs": [{"routingStrategy": "RANDOM"}]}]}
    call = Call("sagemaker", "CreateEndpointConfig", rules={"productionVariants.routingConfigs": "RoutingConfig"})
    found = to_api(request, values, call)
    assert found.params == {
        "ProductionVariants": [{"VariantName": "a", "RoutingConfig": {"RoutingStrategy": "RANDOM"}}]
    }
    assert found.property_path("ProductionVariants[0].VariantName") == "productionVariants[1].variantName"
    path = "productionVariants[1].routingConfigs[0].routingStrategy"
    assert found.property_path(".ProductionVariants[0].RoutingConfig.RoutingStrategy") == path
    assert found.property_path("ProductionVariants[0].Nothing") == "productionVariants[1]"


def test_translation_there_and_back_is_the_same() -> None:
    given_ = {
        "asyncInferenceConfig": {"outputConfig": {"s3OutputPath": "s3://b/x"}},
        "productionVariants": [
            {
                "variantName": "a",
                "initialVariantWeight": 0.5,
                "serverlessConfig": {"maxConcurrency": 5, "memorySizeInMb": 1024},
            }
        ],
    }
    call = Call("sagemaker", "CreateEndpointConfig")
    params = to_api(shape("sagemaker", "CreateEndpointConfig"), given_, call).params
    back = from_api(
        shape("sagemaker", "DescribeEndpointConfig", output=True),
        params,
        schema_of("aws:sagemaker/endpointConfiguration:EndpointConfiguration").outputs,
        {},
    )
    assert back == given_


@given(values)
def test_known_leaves_no_unknown(value: Any) -> None:
    tree = {"a": value, "b": [UNKNOWN, value], "c": {"d": UNKNOWN}}
    assert has_unknown(tree)
    assert not has_unknown(known(tree))


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text("xyz", max_size=3), min_size=1, max_size=4))
def test_secrets_survive_the_wire(tree: dict[str, str]) -> None:
    path = (sorted(tree)[0],)
    plain, found = from_struct(to_struct(tree, Secrets(frozenset({path}))))
    assert plain == tree
    assert found.paths == {path}


def test_secret_whose_place_is_gone_makes_the_whole_property_secret() -> None:
    wrapped = Secrets(frozenset({("list", 3, "a")})).wrap({"list": [{"a": 1}]})
    assert from_struct(to_struct(wrapped))[1].paths == {("list",)}
