"""The pure parts: values on the wire, paths, URNs, what to do, in which order to delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.engine import UNKNOWN, ResourceReference, ResourceState, Secret, paths, steps, urns, values
from infra.rehearsal.engine.steps import Decision, Diff, Wish, decide

KEYS = st.text("abcXYZ._é ", min_size=1, max_size=4)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.just(UNKNOWN),
    st.builds(ResourceReference, st.text("urn", min_size=1), st.one_of(st.none(), st.just(UNKNOWN), st.just("id"))),
)
ITEMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3), st.builds(Secret, inner)
    ),
    max_leaves=12,
)
MAPS = st.dictionaries(KEYS, ITEMS.filter(lambda item: item is not None), max_size=4)


# values


@given(MAPS)
def test_values_survive_the_wire(properties):
    assert values.from_struct(values.to_struct(properties)) == properties


@given(MAPS)
def test_without_secrets_on_the_wire_nothing_is_marked(properties):
    sent = values.from_struct(values.to_struct(properties, keep_secrets=False))
    assert not values.contains_secret(sent)
    assert values.contains_unknown(sent) == values.contains_unknown(properties)


@given(MAPS)
def test_plain_values_hold_no_marks_and_redacted_ones_no_secrets(properties):
    assert not values.contains_secret(values.plain(properties))
    assert not values.contains_secret(values.redacted(properties))
    assert bool(list(values.secret_paths(properties))) == values.contains_secret(properties)


def test_secrets_and_unknowns_do_not_show_in_a_repr():
    assert repr({"a": Secret("s3cret"), "b": UNKNOWN}) == "{'a': Secret(...), 'b': UNKNOWN}"


def test_secret_paths_read_as_a_person_writes_them():
    found = values.secret_paths({"a": {"b": [1, Secret(2)]}, "c": Secret(3)})
    assert list(found) == ["a.b[1]", "c"]


def test_outputs_are_marked_like_inputs():
    inputs = {"token": Secret("s"), "deep": {"key": Secret("k"), "x": 1}, "list": [Secret(1)]}
    outputs = {"token": "s", "deep": {"key": "k", "x": 1}, "list": [1], "arn": "a"}
    assert values.mark_like(outputs, inputs) == {
        "token": Secret("s"),
        "deep": {"key": Secret("k"), "x": 1},
        "list": Secret([1]),
        "arn": "a",
    }


def test_what_is_no_property_value_is_refused():
    with pytest.raises(TypeError, match="a property can't hold object"):
        values.to_struct({"a": object()})


# paths


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0].c", ("a", "b", 0, "c")),
        ('a["b.c"][*]', ("a", "b.c", "*")),
        ('["x"]', ("x",)),
        ('tags["say \\"hi\\""]', ("tags", 'say "hi"')),
        ("*", ("*",)),
        ("a]b", None),
        ("", None),
    ],
)
def test_paths_are_read(text, path):
    assert paths.parse(text) == path


@pytest.mark.parametrize(
    ("path", "old", "new", "expected", "done"),
    [
        ("a", {"a": 1}, {"a": 2, "b": 3}, {"a": 1, "b": 3}, True),
        ("a", {}, {"a": 2}, {}, True),
        ("a", {"a": 1}, {}, {"a": 1}, True),
        ("a.b", {"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, {"a": {"b": 1, "c": 3}}, True),
        ("a.b", {}, {"a": {"b": 2, "c": 3}}, {"a": {"c": 3}}, True),
        ("a.b", {"a": {"b": 1}}, {}, {}, False),
        ("a.b.c", {}, {"a": {"b": {"c": 2}}}, {"a": {"b": {"c": 2}}}, False),
        ("a.b", {}, {}, {}, True),
        ("a[0].b", {"a": [{"b": 1}]}, {"a": [{"b": 2}]}, {"a": [{"b": 1}]}, True),
        ("a[1].b", {"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": 3}]}, {"a": [{"b": 2}, {"b": 3}]}, False),
        ("a[*].b", {"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 3}, {"b": 4}]}, {"a": [{"b": 1}, {"b": 2}]}, True),
        ("a[*].b", {"a": [{"b": 1}]}, {"a": []}, {"a": []}, False),
        ("a.*", {"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1}}, True),
        ("a", {"a": Secret(1)}, {"a": 2}, {"a": Secret(1)}, True),
        ("a.b", {"a": Secret({"b": 1})}, {"a": {"b": 2}}, {"a": Secret({"b": 1})}, True),
    ],
)
def test_resetting_a_path(path, old, new, expected, done):
    assert paths.ignore(new, old, [path]) == (expected, [] if done else [path])


@given(MAPS, MAPS, KEYS)
def test_a_reset_takes_one_value_and_leaves_the_rest(old, new, key):
    changed, done = paths.reset((key,), old, new)
    assert done
    assert changed.get(key) == old.get(key)
    assert {name: item for name, item in changed.items() if name != key} == {
        name: item for name, item in new.items() if name != key
    }


# URNs


def test_urns_name_every_parent_but_the_stack():
    stack = urns.make("dev", "p", "", urns.STACK_TYPE, "p-dev")
    outer = urns.make("dev", "p", stack, "m:index:A", "a")
    inner = urns.make("dev", "p", outer, "m:index:B", "b")
    leaf = urns.make("dev", "p", inner, "aws:s3/bucket:Bucket", "c::d")
    assert leaf == "urn:pulumi:dev::p::m:index:A$m:index:B$aws:s3/bucket:Bucket::c::d"
    assert (urns.type_of(leaf), urns.name_of(leaf)) == ("aws:s3/bucket:Bucket", "c::d")
    assert urns.split_reference("urn:pulumi:dev::p::pulumi:providers:aws::x::id") == (
        "urn:pulumi:dev::p::pulumi:providers:aws::x",
        "id",
    )


def test_aliases_multiply_by_the_parent_s():
    parent = "urn:pulumi:dev::p::m:index:New::app"
    urn = urns.make("dev", "p", parent, "t:index:T", "app-x")
    found = urns.aliases_of(urn, [urns.Alias(name="app-y")], parent, ["urn:pulumi:dev::p::m:index:Old::was"])
    assert found == [
        "urn:pulumi:dev::p::m:index:New$t:index:T::app-y",
        "urn:pulumi:dev::p::m:index:Old$t:index:T::was-x",
        "urn:pulumi:dev::p::m:index:Old$t:index:T::was-y",
    ]


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        (urns.Alias(urn="u"), "u"),
        (urns.Alias(type="t:index:Old"), "urn:pulumi:dev::p::m:index:A$t:index:Old::x"),
        (urns.Alias(no_parent=True), "urn:pulumi:dev::p::t:index:T::x"),
        (urns.Alias(stack="prod", project="q"), "urn:pulumi:prod::q::m:index:A$t:index:T::x"),
        (urns.Alias(parent="urn:pulumi:dev::p::m:index:B::b"), "urn:pulumi:dev::p::m:index:B$t:index:T::x"),
    ],
)
def test_each_part_of_an_alias(alias, expected):
    parent = "urn:pulumi:dev::p::m:index:A::a"
    assert urns.aliases_of(urns.make("dev", "p", parent, "t:index:T", "x"), [alias], parent, []) == [expected]


# decisions


def state(name: str, *needs: str, **changes: Any) -> ResourceState:
    return replace(
        ResourceState(urn=f"urn:pulumi:d::p::t::{name}", type="t", custom=True, dependencies=needs), **changes
    )


OLD = state("x")
UPDATE = Diff(changed=True, keys=("a",))
REPLACE = Diff(changed=True, keys=("a",), replace_keys=("a",))
FIRST = replace(REPLACE, delete_before_replace=True)


@pytest.mark.parametrize(
    ("old", "diff", "wish", "expected"),
    [
        (None, Diff(), Wish(), Decision("create")),
        (OLD, Diff(), Wish(), Decision("same")),
        (OLD, UPDATE, Wish(), Decision("update", ("a",))),
        (OLD, REPLACE, Wish(), Decision("replace", ("a",), ("a",))),
        (OLD, FIRST, Wish(), Decision("replace", ("a",), ("a",), delete_first=True)),
        (OLD, FIRST, Wish(delete_before_replace=False), Decision("replace", ("a",), ("a",))),
        (OLD, REPLACE, Wish(delete_before_replace=True), Decision("replace", ("a",), ("a",), delete_first=True)),
        (OLD, UPDATE, Wish(replace_on_changes=["a"]), Decision("replace", ("a",), ("a",))),
        (OLD, UPDATE, Wish(replace_on_changes=["b"]), Decision("update", ("a",))),
        (OLD, Diff(), Wish(replace_on_changes=["a"]), Decision("same")),
        (OLD, Diff(), Wish(replaced_with=True), Decision("replace", ("replaceWith",), ("replaceWith",))),
        (replace(OLD, init_errors=("e",)), Diff(), Wish(), Decision("update")),
        (replace(OLD, external=True), Diff(), Wish(), Decision("replace")),
        (replace(OLD, pending_replacement=True), Diff(), Wish(), Decision("replace", delete_first=True)),
        (OLD, Diff(), Wish(trigger="t"), Decision("same")),
        (replace(OLD, replacement_trigger="t"), Diff(), Wish(trigger="t"), Decision("same")),
        (
            replace(OLD, replacement_trigger="t"),
            Diff(),
            Wish(trigger=UNKNOWN),
            Decision("replace", ("replacementTrigger",), ("replacementTrigger",)),
        ),
    ],
)
def test_what_becomes_of_a_resource(old, diff, wish, expected):
    assert decide(old, diff, wish) == expected


def test_full_paths_are_matched_where_the_provider_gives_them():
    diff = Diff(changed=True, keys=("spec",), paths=("spec.size[0]",))
    assert steps.forced_by(diff, ["spec.size"]) == ["spec"]
    assert steps.forced_by(diff, ["spec.size[1]"]) == []
    assert steps.forced_by(diff, ["spec"]) == ["spec"]


@given(st.lists(st.sets(st.integers(0, 11)), max_size=12))
def test_nothing_is_deleted_before_what_needs_it(edges):
    resources = [
        state(str(index), *(f"urn:pulumi:d::p::t::{other}" for other in sorted(needs) if other < index))
        for index, needs in enumerate(edges)
    ]
    waves = steps.deletion_waves(resources)
    assert sorted(item.urn for wave in waves for item in wave) == sorted(item.urn for item in resources)
    wave_of = {item.urn: number for number, wave in enumerate(waves) for item in wave}
    for item in resources:
        for need in item.needs():
            assert wave_of[need] > wave_of[item.urn]
    # And not later than it must.
    for number, wave in enumerate(waves[1:]):
        for item in wave:
            assert any(item.urn in other.needs() for other in waves[number])


@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=10))
def test_dependents_and_needs_are_each_other_s_opposite(edges):
    resources = [
        state(str(index), *(f"urn:pulumi:d::p::t::{other}" for other in sorted(needs) if other < index))
        for index, needs in enumerate(edges)
    ]
    dependents = {item.urn for item in steps.dependents(resources[0], resources)}
    assert dependents == {item.urn for item in resources[1:] if resources[0].urn in steps.needed_by([item], resources)}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("1h30m", 5400), ("1.5h", 5400), ("10s", 10), ("250ms", 0.25), ("5m0s", 300)]
)
def test_durations(text, seconds):
    assert steps.duration_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "10", "10 s", "1h30", "-5s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="give numbers with units"):
        steps.duration_seconds(text)


def test_a_rename_turns_every_reference():
    before, after = "urn:pulumi:d::p::t::before", "urn:pulumi:d::p::t::after"
    item = state(
        "x",
        before,
        "other",
        parent=before,
        provider=f"{before}::id",
        deleted_with=before,
        property_dependencies={"a": (before,)},
    )
    renamed = item.renamed(before, after)
    assert renamed.needs() == {after, "other"}
    assert renamed.provider == f"{after}::id"
    assert item.renamed("nobody", after) is item
