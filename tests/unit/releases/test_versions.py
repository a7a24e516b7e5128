"""Which versions a model file asks for after a promotion or a step back."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.catalog import KeptVersion
from infra.releases.versions import MOST_KEPT, Versions, check_kept, serving, step_back
from infra.releases.words import ReleaseError, version_of


def versions(stable: int | None, *kept: int) -> Versions:
    return Versions(stable, tuple(KeptVersion(version=each) for each in kept), "sklearn-1.4-2")


@pytest.mark.parametrize(
    ("before", "version", "after", "dropped"),
    [
        (versions(None), 1, versions(1), ()),
        (versions(1), 2, versions(2, 1), ()),
        (versions(2, 1), 1, versions(1, 2), ()),
        (versions(7, 6, 5, 4, 3, 2), 8, versions(8, 7, 6, 5, 4, 3), (2,)),
        (versions(7, 6), 7, versions(7, 6), ()),
    ],
)
def test_the_version_that_served_is_kept_first(
    before: Versions, version: int, after: Versions, dropped: tuple[int, ...]
) -> None:
    assert serving(before, version) == (after, dropped)
    assert serving(after, version) == (after, ())


@pytest.mark.parametrize(
    ("before", "version", "refused", "after", "dropped"),
    [
        (versions(7, 6, 5), 6, {7}, versions(6, 5, 7), ()),
        (versions(7, 6, 5), 8, {7}, versions(8, 6, 5, 7), ()),
        (versions(6, 7, 5), 5, {6, 7}, versions(5, 6, 7), ()),
        (versions(7, 6, 5, 4, 3, 2), 8, {7}, versions(8, 6, 5, 4, 3, 2), (7,)),
        (versions(8, 7, 6, 5, 4, 3), 9, {7, 5}, versions(9, 8, 6, 4, 3, 7), (5,)),
        (versions(7, 6), 6, {3}, versions(6, 7), ()),
    ],
)
def test_what_up_refuses_is_kept_behind_what_may_serve_again(
    before: Versions, version: int, refused: set[int], after: Versions, dropped: tuple[int, ...]
) -> None:
    assert serving(before, version, refused=refused) == (after, dropped)


def test_a_version_kept_for_another_runtime_is_not_served_by_the_file_s() -> None:
    kept = Versions(7, (KeptVersion(version=5, runtime="sklearn-1.2-1"),), "sklearn-1.4-2")
    with pytest.raises(ReleaseError) as told:
        serving(kept, 5)
    assert str(told.value) == (
        "version 5 is kept for the runtime sklearn-1.2-1 and the file's runtime is sklearn-1.4-2, which every "
        "environment shares: write runtime: sklearn-1.2-1, stable: 5 and keep: [{version: 7, runtime: sklearn-1.4-2}] by hand"
    )


@pytest.mark.parametrize(
    ("asked", "live", "options", "to"),
    [
        (versions(7, 6, 5), 7, {}, 6),
        (versions(7, 5, 6), 7, {}, 6),
        (versions(7, 6, 5), 7, {"blocked": {6}}, 5),
        (versions(7, 6), None, {}, 6),
        (versions(7, 6), 6, {}, 6),  # 7 was taken back, or never brought up
        (versions(6, 7), 7, {}, 6),  # asked for already, not yet brought up
        (versions(6, 7), 7, {"blocked": {6}}, 7),  # the way back was taken back itself
        (versions(6, 7), 7, {"unasked": True}, 7),  # moved by hand
        (versions(6), 9, {"unasked": True}, 9),
        (versions(9, 7, 8), 9, {}, 8),
        (versions(1, 3, 2), 1, {"blocked": {2, 3}}, 1),  # the step was taken: given again, nothing changes
    ],
)
def test_a_step_back_goes_to_what_served_before(asked: Versions, live: int | None, options: dict, to: int) -> None:
    assert step_back(asked, live, **options) == to


@pytest.mark.parametrize(
    ("asked", "blocked", "told"),
    [
        (versions(None), (), "no version is asked for (awaiting: true), so there is nothing to roll back from"),
        (
            versions(7),
            (),
            "nothing is kept beside version 7, so there is nothing to go back to; a registered version can be released "
            "as any other, with its canary",
        ),
        (
            versions(7, 8),
            (),
            "of those kept (8) none is older than version 7; say which one: --to VERSION",
        ),
        (
            versions(7, 6, 5),
            (5, 6),
            "of those kept (6, 5) every older one was taken back itself; say which one: --to VERSION",
        ),
    ],
)
def test_a_step_back_without_a_goal_is_refused(asked: Versions, blocked: tuple[int, ...], told: str) -> None:
    with pytest.raises(ReleaseError) as refusal:
        step_back(asked, asked.stable, blocked=blocked)
    assert str(refusal.value) == told


def test_what_is_none_of_ours_has_no_version_to_ask_for() -> None:
    with pytest.raises(ReleaseError) as told:
        step_back(versions(7, 6), None, unasked=True)
    assert str(told.value) == (
        "what serves is no configuration of ours, so no version stands for it: say which one is to be asked for (--to VERSION), "
        "or let up release the catalog's (mainstage model retry)"
    )


def test_only_what_is_declared_can_be_gone_back_to() -> None:
    check_kept(versions(7, 6), 6)
    check_kept(versions(7, 6), 7)
    with pytest.raises(ReleaseError) as told:
        check_kept(versions(7, 6), 5)
    assert str(told.value) == (
        "version 5 is not kept (kept are: 6), so it stands nowhere any more; a registered version can be promoted like a new one"
    )


@given(st.lists(st.integers(1, 99), min_size=1, max_size=8, unique=True), st.integers(1, 99))
def test_nothing_is_kept_twice_or_beside_itself(numbers: list[int], version: int) -> None:
    before = versions(numbers[0], *numbers[1 : MOST_KEPT + 1])
    after, dropped = serving(before, version)
    assert after.stable == version
    assert version not in after.kept
    assert len(set(after.kept)) == len(after.kept) <= MOST_KEPT
    assert {before.stable, *before.kept} - {version} == {*after.kept, *dropped} - {version}


@pytest.mark.parametrize(
    ("configuration", "number"),
    [
        ("dev-iris-v7-0123abcd", 7),
        ("dev-iris-v7-0123abc", None),
        ("dev-iris-v07-0123abcd", None),
        ("dev-iris-setosa-v7-0123abcd", None),
        ("dev-iris-awaiting", None),
        ("somebody-s", None),
    ],
)
def test_a_configuration_of_ours_says_its_version(configuration: str, number: int | None) -> None:
    assert version_of("dev-iris", configuration) == number
