"""Reading arguments, policies, names, presets: the pure parts."""

from __future__ import annotations

import json
from typing import Any, NotRequired, TypedDict

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mainstage._names import fingerprint, release_name
from mainstage._patterns import KEY_ARN, RESOURCE_NAME, Pattern
from mainstage._policy import WILDCARD_ACTIONS, Statement, document, trust
from mainstage._resolve import ComponentArgsError, Reader, nearest, show
from mainstage.runtime_presets import (
    PRESETS,
    container_environment,
    image_uri,
    partition_of,
    preset_named,
    preset_of_image,
    repository_arn,
)


class Inner(TypedDict):
    size: float


class Example(TypedDict):
    name: str
    count: NotRequired[float]
    ratio: NotRequired[float]
    on: NotRequired[bool]
    kind: NotRequired[str]
    words: NotRequired[list[str]]
    tags: NotRequired[dict[str, str]]
    inner: NotRequired[Inner]
    inners: NotRequired[list[Inner]]


ANY = Pattern(r".*", "any text", maximum=10)


def reader(**args: Any) -> Reader:
    return Reader("Thing", "a", args, Example)


def problems(read: Reader) -> list[str]:
    return [str(problem) for problem in read.problems]


class TestReader:
    @given(st.integers(-5, 20))
    def test_whole_numbers_come_as_floats_from_other_languages(self, number: int) -> None:
        for value in (number, float(number)):
            read = reader(name="a", count=value)
            result = read.whole("count", minimum=0, maximum=10)
            assert bool(read.problems) == (not 0 <= number <= 10)
            if not read.problems:
                assert result == number
                assert type(result) is int

    @pytest.mark.parametrize("value", [True, "3", 2.5, None, [], float("nan"), float("inf")])
    def test_what_is_no_whole_number(self, value: Any) -> None:
        read = reader(name="a", count=value)
        read.whole("count", minimum=0)
        assert len(read.problems) == 1

    @pytest.mark.parametrize("value", ["true", 1, 0, "no"])
    def test_only_booleans_are_switches(self, value: Any) -> None:
        read = reader(name="a", on=value)
        read.flag("on")
        assert problems(read) == [
            f"on: got {value!r}; allowed: true or false. Fix: write true or false, without quotes"
        ]

    def test_zero_false_and_empty_are_values_and_not_left_out(self) -> None:
        read = reader(name="", count=0, on=False, ratio=0.0, words=[], tags={})
        assert read.plain("name", ANY, default="other") == ""
        assert read.whole("count", default=5) == 0
        assert read.flag("on", default=True) is False
        assert read.number("ratio", default=0.5) == 0.0
        assert read.plain_list("words", ANY, default=("x",)) == ()
        assert read.text_map("tags", ANY, default={"a": "b"}) == {}
        assert read.problems == ()

    def test_none_counts_as_left_out(self) -> None:
        read = reader(name="a", count=None)
        assert not read.has("count")
        assert read.whole("count", default=5) == 5

    def test_paths_of_nested_problems(self) -> None:
        read = reader(name="a", inner={"size": 0, "sise": 1}, inners=[{"size": 1}, {"size": "x"}, 5])
        inner = read.section("inner", Inner)
        assert inner is not None
        inner.whole("size", minimum=1)
        for item in read.sections("inners", Inner):
            item.whole("size", minimum=1)
        assert [problem.field for problem in read.problems] == [
            "inner.sise",
            "inner.size",
            "inners[2]",
            "inners[1].size",
        ]
        assert read.problems[0].fix == 'write "size"'

    def test_outputs_where_the_choice_of_resources_depends_on_them(self) -> None:
        unknown = pulumi.Output.from_input(5)
        read = reader(name=unknown, count=unknown, on=unknown, kind=unknown, words=[unknown], inner=unknown)
        read.plain("name", ANY)
        read.whole("count")
        read.flag("on")
        read.choice("kind", ("a", "b"))
        read.plain_list("words", ANY)
        read.section("inner", Inner)
        assert {problem.got for problem in read.problems} == {"a value that is known only during the deployment"}
        assert len(read.problems) == 6

    def test_one_error_with_everything(self) -> None:
        read = reader(nme="x", count=11)
        read.plain("name", RESOURCE_NAME)
        read.whole("count", maximum=10)
        with pytest.raises(ComponentArgsError) as caught:
            read.finish()
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, pulumi.InputPropertiesError)
        assert str(caught.value).splitlines() == [
            'Thing "a": 3 problems in its arguments',
            "  - nme: got 'x'; allowed: count, inner, inners, kind, name, on, ratio, tags, words. Fix: write \"name\"",
            f"  - name: got nothing; allowed: {RESOURCE_NAME.allowed}. Fix: add name",
            "  - count: got 11; allowed: a whole number, at most 10. Fix: give 10 or less",
        ]
        assert [detail["property_path"] for detail in caught.value.errors or []] == ["nme", "name", "count"]

    def test_arguments_that_are_no_mapping(self) -> None:
        read = Reader("Thing", "a", "text", Example)  # type: ignore[arg-type]  # wrong on purpose
        assert problems(read)[0].startswith("args: got 'text'; allowed: a mapping of named arguments")

    def test_long_values_are_shortened_and_outputs_never_shown(self) -> None:
        assert len(show("x" * 500)) == 80
        assert "secret" not in show(pulumi.Output.secret("secret"))

    def test_nearest(self) -> None:
        assert nearest("instance_cout", ["instance_count", "image_uri"]) == "instance_count"
        assert nearest("zebra", ["instance_count"]) is None


class TestPolicy:
    @pytest.mark.parametrize("action", ["*", "s3:*", "s3:Get*", "GetObject", "s3:"])
    def test_actions_are_written_out(self, action: str) -> None:
        with pytest.raises(ValueError, match="write the action"):
            Statement(sid="A", reason="r", actions=[action], resources=["arn:aws:s3:::b"])

    def test_everything_as_resource_only_where_aws_cannot_narrow_it(self) -> None:
        with pytest.raises(ValueError, match="can be narrowed to a resource"):
            Statement(sid="A", reason="r", actions=["s3:GetObject"], resources=["*"], conditions={"Bool": {"a": "b"}})
        with pytest.raises(ValueError, match="needs a condition"):
            Statement(sid="A", reason="r", actions=["ecr:GetAuthorizationToken"], resources=["*"])

    def test_each_exception_names_its_page(self) -> None:
        for action, page in WILDCARD_ACTIONS.items():
            assert page.startswith("https://docs.aws.amazon.com/service-authorization/latest/reference/list_"), action

    def test_a_document_of_known_parts_is_text(self) -> None:
        text = document(
            [Statement(sid="A", reason="never shown", actions=["s3:PutObject", "s3:GetObject"], resources=["arn"])]
        )
        assert isinstance(text, str)
        assert json.loads(text) == {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "A", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn"]}
            ],
        }
        later = pulumi.Output.from_input("arn")
        assert isinstance(
            document([Statement(sid="A", reason="r", actions=["s3:GetObject"], resources=[later])]), pulumi.Output
        )

    def test_trust(self) -> None:
        (statement,) = json.loads(trust("x.amazonaws.com", account_id="1", source_arn="arn:1"))["Statement"]
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": "1"},
            "ArnLike": {"aws:SourceArn": "arn:1"},
        }


class TestNames:
    @given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
    def test_equal_inputs_equal_names_whatever_their_order(self, inputs: dict[str, Any]) -> None:
        turned = dict(reversed(list(inputs.items())))
        assert fingerprint(inputs) == fingerprint(turned)
        assert len(fingerprint(inputs)) == 8
        assert fingerprint(inputs | {"more": 1, "and": 2}) != fingerprint(inputs | {"more": 2, "and": 2})

    def test_what_is_not_known_yet_is_left_out(self) -> None:
        later = pulumi.Output.from_input("x")
        assert fingerprint({"a": 1, "b": later, "c": [later, 2]}) == fingerprint({"a": 1, "c": [2]})

    def test_release_name(self) -> None:
        assert release_name("iris", 7, {"a": 1}) == f"iris-v7-{fingerprint({'a': 1})}"


class TestPresets:
    @pytest.mark.parametrize("name", sorted(PRESETS))
    def test_images_lead_back_to_their_preset(self, name: str) -> None:
        preset = preset_named(name)
        for region, account in preset.registry_accounts.items():
            uri = image_uri(preset, region)
            assert uri.startswith(f"{account}.dkr.ecr.{region}.")
            assert len(uri) <= 255
            assert preset_of_image(uri) == preset
            assert repository_arn(preset, region).endswith(
                f":ecr:{region}:{account}:repository/{preset.image_repository}"
            )

    def test_known_images(self) -> None:
        sklearn = preset_named("sklearn-1.4-2")
        assert image_uri(sklearn, "eu-west-1") == (
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
        )
        assert image_uri(sklearn, "cn-north-1").startswith("450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/")
        assert repository_arn(sklearn, "us-gov-west-1") == (
            "arn:aws-us-gov:ecr:us-gov-west-1:414596584902:repository/sagemaker-scikit-learn"
        )
        assert (sklearn.python, sklearn.packages["scikit-learn"]) == ("3.10", "1.4.2")

    @pytest.mark.parametrize(
        "uri",
        [
            "111111111111.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            "141502667606.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3",
            "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:9",
            "docker.io/library/python:3.11",
        ],
    )
    def test_other_images_have_none(self, uri: str) -> None:
        assert preset_of_image(uri) is None

    def test_mistakes_name_the_way_out(self) -> None:
        with pytest.raises(
            ValueError, match=r"'sklearn-1.4' does not exist: choose one of .*did you mean sklearn-1.4-2\?"
        ):
            preset_named("sklearn-1.4")
        with pytest.raises(ValueError, match=r"no image of the runtime preset sklearn-1\.4-2 in region 'mars-1'"):
            image_uri(preset_named("sklearn-1.4-2"), "mars-1")

    def test_environment(self) -> None:
        assert container_environment(preset_named("sklearn-1.4-2"), 7) == {
            "MAINSTAGE_MODEL_VERSION": "7",
            "SAGEMAKER_PROGRAM": "mainstage_entrypoint.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        }

    @pytest.mark.parametrize(
        ("region", "partition"),
        [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-isob-east-1", "aws-iso-b"),
        ],
    )
    def test_partitions(self, region: str, partition: str) -> None:
        assert partition_of(region) == partition

    def test_the_key_pattern(self) -> None:
        assert not KEY_ARN.refuses("arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001")
        assert not KEY_ARN.refuses("arn:aws:kms:eu-west-1:111111111111:key/mrk-1234")
        assert KEY_ARN.refuses("alias/mine")
