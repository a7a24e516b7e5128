"""Which patterns are valid, and what they match."""

from __future__ import annotations

import json

import pytest

from infra.rehearsal.cloud.events.inputs import filled, is_path, sent, value_at
from infra.rehearsal.cloud.events.patterns import NotCarriedPattern, PatternError, matches, parse

EVENT = {
    "version": "0",
    "source": "aws.sagemaker",
    "detail-type": "SageMaker Endpoint State Change",
    "resources": ["arn:aws:sagemaker:eu-west-1:111111111111:endpoint/dev-iris"],
    "detail": {"EndpointName": "dev-iris-eu-west-1", "EndpointStatus": "IN_SERVICE", "count": 5, "none": None,
               "on": True, "Variants": [{"Name": "stable"}, {"Name": "shadow"}], "empty": []},
}  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["aws.sagemaker"]}, True),
        ({"source": ["aws.ec2", "aws.sagemaker"]}, True),
        ({"source": ["aws"]}, False),
        ({"source": ["aws.SageMaker"]}, False),
        ({"source": ["aws.sagemaker"], "detail": {"EndpointStatus": ["FAILED"]}}, False),
        ({"nothing": ["x"]}, False),
        ({"detail": {"EndpointName": [{"prefix": "dev-"}]}}, True),
        ({"detail": {"EndpointName": [{"prefix": "prod-"}, {"prefix": "dev-"}]}}, True),
        ({"detail": {"EndpointName": [{"prefix": "iris"}]}}, False),
        ({"detail": {"EndpointName": [{"suffix": "-eu-west-1"}]}}, True),
        ({"detail": {"count": [{"prefix": "5"}]}}, False),
        ({"resources": [{"prefix": "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/dev-"}]}, True),
        ({"detail": {"EndpointStatus": [{"anything-but": "FAILED"}]}}, True),
        ({"detail": {"EndpointStatus": [{"anything-but": ["FAILED", "IN_SERVICE"]}]}}, False),
        ({"detail": {"EndpointStatus": [{"anything-but": {"prefix": "IN_"}}]}}, False),
        ({"detail": {"missing": [{"anything-but": "x"}]}}, False),
        ({"detail": {"count": [{"numeric": [">", 4, "<=", 5]}]}}, True),
        ({"detail": {"count": [{"numeric": ["=", 5]}]}}, True),
        ({"detail": {"count": [{"numeric": ["<", 5]}]}}, False),
        ({"detail": {"EndpointStatus": [{"numeric": ["<", 5]}]}}, False),
        ({"detail": {"count": [5]}}, True),
        ({"detail": {"count": [5.0]}}, False),
        ({"detail": {"count": ["5"]}}, False),
        ({"detail": {"none": [None]}}, True),
        ({"detail": {"missing": [None]}}, False),
        ({"detail": {"on": [True]}}, True),
        ({"detail": {"on": [1]}}, False),
        ({"detail": {"EndpointName": [{"exists": True}]}}, True),
        ({"detail": {"EndpointName": [{"exists": False}]}}, False),
        ({"detail": {"missing": [{"exists": False}]}}, True),
        ({"absent": {"missing": [{"exists": False}]}}, True),
        ({"detail": [{"exists": True}]}, False),
        ({"detail": {"empty": [{"exists": True}]}}, False),
        ({"detail": {"Variants": {"Name": ["shadow"]}}}, True),
        ({"detail": {"Variants": {"Name": ["other"]}}}, False),
    ],
)  # fmt: skip
def test_what_a_pattern_matches(pattern, expected):
    assert matches(parse(json.dumps(pattern)), EVENT) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{", "Filter is not a valid JSON"),
        ("[]", "Filter is not an object"),
        ("{}", "Empty objects are not allowed"),
        ('{"source": "aws.sagemaker"}', '"source" must be an object or an array'),
        ('{"detail": {"a": 1}}', '"detail.a" must be an object or an array'),
        ('{"source": []}', "Empty arrays are not allowed"),
        ('{"source": [["a"]]}', "Match value must be String, number, true, false, or null"),
        ('{"source": [{"prefix": "a", "suffix": "b"}]}', "Only one key allowed in match expression"),
        ('{"source": [{"begins": "a"}]}', "Unrecognized match type begins"),
        ('{"source": [{"prefix": 1}]}', "prefix match pattern must be a string"),
        ('{"source": [{"exists": "yes"}]}', "exists match pattern must be either true or false."),
        ('{"source": [{"numeric": [">"]}]}', "Value of numeric"),
        ('{"source": [{"numeric": ["!", 1]}]}', "Unrecognized numeric range operator: !"),
        ('{"source": [{"numeric": [">", 6000000000]}]}', "Value must be a number from -5e9 to 5e9"),
        ('{"source": [{"anything-but": []}]}', "Inside anything but list"),
        ('{"source": [{"anything-but": ["a", 1]}]}', "Inside anything but list"),
    ],
)  # fmt: skip
def test_what_is_no_pattern(pattern, reason):
    with pytest.raises(PatternError, match=reason.replace("(", r"\(").replace("[", r"\[")):
        parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "operator"),
    [
        ({"$or": [{"a": ["b"]}]}, "$or"),
        ({"a": [{"wildcard": "x*"}]}, "wildcard"),
        ({"a": [{"cidr": "10.0.0.0/8"}]}, "cidr"),
        ({"a": [{"equals-ignore-case": "x"}]}, "equals-ignore-case"),
        ({"a": [{"prefix": {"equals-ignore-case": "x"}}]}, "prefix with equals-ignore-case"),
        ({"a": [{"anything-but": {"wildcard": "x*"}}]}, "anything-but with wildcard"),
    ],
)
def test_operators_that_are_not_carried_are_named(pattern, operator):
    with pytest.raises(NotCarriedPattern) as caught:
        parse(json.dumps(pattern))
    assert str(caught.value) == operator


def test_paths():
    assert value_at(EVENT, "$.detail.Variants[1].Name") == "shadow"
    assert value_at(EVENT, "$['detail-type']") == value_at(EVENT, "$.detail-type") == EVENT["detail-type"]
    assert value_at(EVENT, "$.detail.missing.deeper") is None
    assert value_at(EVENT, "$") == EVENT
    assert is_path("$.detail.a[0]")
    assert not is_path("$.detail[*]")
    assert not is_path("detail")


def test_what_a_target_is_sent():
    def given(**target):
        return sent(target, EVENT, rule_arn="arn:aws:events:eu-west-1:111111111111:rule/r", now="2026-01-02T03:04:05Z")

    assert json.loads(given()) == EVENT
    assert given(Input='"wake up"') == '"wake up"'
    assert json.loads(given(InputPath="$.detail.Variants")) == EVENT["detail"]["Variants"]
    paths = {"name": "$.detail.EndpointName", "count": "$.detail.count", "lost": "$.detail.missing"}
    words = {"InputPathsMap": paths, "InputTemplate": '"<name> has <count><lost>, says <aws.events.rule-name>"'}
    assert given(InputTransformer=words) == '"dev-iris-eu-west-1 has 5, says r"'
    shaped = {"InputPathsMap": paths, "InputTemplate": '{"endpoint": <name>, "text": "is <name>", "n": <count>}'}
    assert json.loads(given(InputTransformer=shaped)) == {
        "endpoint": "dev-iris-eu-west-1",
        "text": "is dev-iris-eu-west-1",
        "n": 5,
    }
    assert filled("<unknown> stays", {}) == "<unknown> stays"
