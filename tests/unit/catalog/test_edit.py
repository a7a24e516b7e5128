"""Edits of model files change one thing and leave every other character as it was."""

# ruff: noqa: E501 -- a row of a table is one line, before beside after

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.catalog import CatalogError, load_catalog, set_awaiting, set_keep, set_stable, set_versions

HEAD = """\
# yaml-language-server: $schema=../../docs/schemas/model.schema.json
model:  'iris'   # in quotes, with a comment
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs: [{name: x, type: double}]
  outputs:
  -   {name: y,   type: double}

"""
TAIL = """
capacity: {instance_type: ml.m5.large}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "stacks" / "models"
    folder.mkdir(parents=True)
    return folder / "iris.yaml"


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stable: 1   # since May\n", "stable: 2   # since May\n"),
        ("# Not served yet.\nawaiting: true\n", "# Not served yet.\nstable: 2\n"),
        ("awaiting: false\nstable: 1\n", "awaiting: false\nstable: 2\n"),
        ("stable: 2\n", "stable: 2\n"),
        ("", "stable: 2\n\n"),
    ],
)
def test_the_stable_version_is_set(path: Path, before: str, after: str) -> None:
    write(path, HEAD + before + "# size\n" + TAIL.lstrip())
    if "awaiting: false" in before:
        after = "stable: 2\n"  # what says the contrary goes
    set_stable(path, 2).write()
    assert path.read_text() == HEAD + after + "# size\n" + TAIL.lstrip()
    assert load_catalog(path.parents[2], "dev").models["iris"].stable == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("environments:\n  # why\n  prod: {stable: 1}   # careful\n", "environments:\n  # why\n  prod: {stable: 2}   # careful\n"),
        ("environments:\n  prod: {}\n", "environments:\n  prod: {stable: 2}\n"),
        ("environments:\n  prod:\n", "environments:\n  prod: {stable: 2}\n"),
        ("environments:\n", "environments:\n  prod: {stable: 2}\n"),
        ("environments: {}\n", "environments:\n  prod: {stable: 2}\n"),
        ("", "environments:\n  prod: {stable: 2}\n"),
        ("environments: {dev: {stable: 3}}\n", "environments: {prod: {stable: 2}, dev: {stable: 3}}\n"),
        ("environments:\n  prod: {slo: {p95_ms: 9}}\n", "environments:\n  prod: {stable: 2, slo: {p95_ms: 9}}\n"),
        ("environments:\n  prod: {awaiting: true, slo: {p95_ms: 9}}\n", "environments:\n  prod: {stable: 2, slo: {p95_ms: 9}}\n"),
        (
            "environments:\n    prod:\n        awaiting: true\n        # size\n        capacity: {instance_count: 2}\n    dev: {stable: 4}\n",
            "environments:\n    prod:\n        stable: 2\n        # size\n        capacity: {instance_count: 2}\n    dev: {stable: 4}\n",
        ),
        (
            "environments:\n  prod:\n    capacity:\n      instance_count: 2\n    # end of prod\n  dev: {stable: 4}\n",
            "environments:\n  prod:\n    capacity:\n      instance_count: 2\n    stable: 2\n    # end of prod\n  dev: {stable: 4}\n",
        ),
        ("environments: {dev: {stable: 4}}", "environments: {prod: {stable: 2}, dev: {stable: 4}}"),
    ],
)  # fmt: skip
def test_an_environment_s_version_is_set(path: Path, before: str, after: str) -> None:
    write(path, HEAD + "stable: 1\n" + TAIL + before)
    edit = set_stable(path, 2, "prod")
    edit.write()
    assert path.read_text() == HEAD + "stable: 1\n" + TAIL + after
    catalog = load_catalog(path.parents[2], "prod")
    assert catalog.models["iris"].stable == 2
    again = set_stable(path, 2, "prod")
    assert (again.changes, again.diff()) == (False, "")


def test_awaiting_takes_the_place_of_a_version(path: Path) -> None:
    write(path, HEAD + "stable: 1 # first\n" + TAIL)
    set_awaiting(path).write()
    assert path.read_text() == HEAD + "awaiting: true # first\n" + TAIL
    assert not set_awaiting(path).changes


def test_kept_versions_keep_what_is_said_about_them(path: Path) -> None:
    write(path, HEAD + "stable: 7\nkeep:\n  - {version: 6, runtime: sklearn-1.2-1}\n  - 5\n" + TAIL)
    set_keep(path, [6, 4]).write()
    assert path.read_text() == HEAD + "stable: 7\nkeep: [{version: 6, runtime: sklearn-1.2-1}, 4]\n" + TAIL
    set_keep(path, []).write()
    assert path.read_text() == HEAD + "stable: 7\nkeep: []\n" + TAIL


def test_the_difference_is_shown_and_written_only_when_asked(path: Path) -> None:
    write(path, HEAD + "stable: 1\n" + TAIL)
    edit = set_stable(path, 2)
    assert path.read_text() == HEAD + "stable: 1\n" + TAIL
    assert [line for line in edit.diff().splitlines() if line[0] in "+-"][2:] == ["-stable: 1", "+stable: 2"]
    edit.write()
    assert path.read_text() == edit.after
    assert [file.name for file in path.parent.iterdir()] == ["iris.yaml"]


def test_windows_line_ends_stay(path: Path) -> None:
    write(path, (HEAD + "stable: 1\n" + TAIL).replace("\n", "\r\n"))
    set_stable(path, 2, "prod").write()
    content = path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert content.endswith(b"environments:\r\n  prod: {stable: 2}\r\n")


def test_a_file_too_unusual_is_refused_not_half_edited(path: Path) -> None:
    text = HEAD + "stable: 1\n" + TAIL + "environments:\n  dev: &same {stable: 1}\n  prod: *same\n"
    write(path, text)
    with pytest.raises(
        CatalogError, match=r"too unusual to be edited; fix: set stable by hand under environments\.prod"
    ):
        set_stable(path, 2, "prod")
    assert path.read_text() == text


def test_a_file_that_cannot_be_read_is_refused(path: Path) -> None:
    with pytest.raises(CatalogError, match="the file does not exist"):
        set_stable(path, 2)
    write(path, "a:\n\tb")
    with pytest.raises(CatalogError, match="a tab stands where"):
        set_awaiting(path)
    with pytest.raises(ValueError, match="environment 'live'"):
        set_stable(path, 2, "live")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.integers(1, 99_999),
    environment=st.sampled_from([None, "dev", "staging", "prod"]),
    name=st.sampled_from(["card-fraud", "iris"]),
    kept=st.lists(st.integers(1, 99), max_size=3, unique=True),
)
def test_the_committed_files_can_be_edited_in_any_order(
    path: Path, root: Path, version: int, environment: str | None, name: str, kept: list[int]
) -> None:
    path = path.with_name(f"{name}.yaml")
    write(path, (root / "stacks" / "models" / f"{name}.yaml").read_text(encoding="utf-8"))
    comments = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip().startswith("#")]
    kept = [number for number in kept if number != version]
    set_keep(path, kept, environment).write()
    set_stable(path, version, environment).write()
    for served in [environment] if environment else ["dev", "staging", "prod"]:
        model = load_catalog(path.parents[2], served).models[name]
        assert (model.stable, model.keep_versions, model.awaiting) == (version, tuple(kept), False)
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip().startswith("#")] == comments
    path.unlink()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("stable: 6  # since May\n", "stable: 7  # since May\nkeep: [6]\n"),
        ("keep: [5] # of April\nstable: 6\n", "keep: [6] # of April\nstable: 7\n"),
        ("stable: 6\nkeep:\n  - 5\n", "stable: 7\nkeep: [6]\n"),
        ("stable: 7\nkeep:\n  - 6  # fine as it is\n", "stable: 7\nkeep:\n  - 6  # fine as it is\n"),
        ("stable: 7\nkeep: [{version: 6}]\n", "stable: 7\nkeep: [{version: 6}]\n"),
        ("awaiting: true\n", "stable: 7\nkeep: [6]\n"),
    ],
)
def test_stable_and_kept_versions_change_together(path: Path, before: str, after: str) -> None:
    write(path, HEAD + before + TAIL)
    set_versions(path, 7, [6]).write()
    assert path.read_text() == HEAD + after + TAIL
    model = load_catalog(path.parents[2], "dev").models["iris"]
    assert (model.stable, model.keep_versions) == (7, (6,))
    assert not set_versions(path, 7, [6]).changes


def test_no_kept_version_is_written_only_where_it_says_something(path: Path) -> None:
    write(path, HEAD + "stable: 1\n" + TAIL)
    set_versions(path, 2, []).write()
    assert path.read_text() == HEAD + "stable: 2\n" + TAIL
    write(path, HEAD + "stable: 2\nkeep: [1]\n" + TAIL)
    set_versions(path, 1, [], "prod").write()
    assert path.read_text().endswith(
        TAIL + "environments:\n  prod: {stable: 1, keep: []}\n"
    ) or path.read_text().endswith(TAIL + "environments:\n  prod: {keep: [], stable: 1}\n")
    assert load_catalog(path.parents[2], "prod").models["iris"].keep == ()
    assert load_catalog(path.parents[2], "dev").models["iris"].keep_versions == (1,)


def test_a_kept_version_may_be_of_another_runtime(path: Path) -> None:
    write(path, HEAD + "stable: 6\n" + TAIL)
    set_versions(path, 7, [{"version": 6, "runtime": "sklearn-1.4-2"}, 5]).write()
    assert "keep: [{version: 6, runtime: sklearn-1.4-2}, 5]\n" in path.read_text()


def test_a_change_of_versions_is_refused_whole(path: Path) -> None:
    text = HEAD + "stable: 1\n" + TAIL + "environments:\n  dev: &same {stable: 1}\n  prod: *same\n"
    write(path, text)
    with pytest.raises(CatalogError, match=r"fix: set stable and keep by hand under environments\.prod"):
        set_versions(path, 2, [1], "prod")
    assert path.read_text() == text
