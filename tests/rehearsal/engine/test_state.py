"""The state file: there after each step, never with a secret in it, never used by two runs at once."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.rehearsal.engine import ResourceReference, ResourceState, RunFailed, Secret, State, StateError, journal


def program(world: Any) -> Any:
    def body():
        first = world.Thing("first", token=pulumi.Output.secret("s3cret"), size=1)
        world.Thing("second", other=first.arn)
        pulumi.export("token", first.token)  # pyright: ignore[reportAttributeAccessIssue] (set from the properties)
        pulumi.export("arn", first.arn)

    return body


def test_another_engine_goes_on_where_the_first_ended(stored_world):
    world = stored_world
    first = world.up(program(world)).check()
    other = world.another_engine()
    assert other.state.resources("dev") == world.engine.state.resources("dev")
    assert other.state.outputs("dev") == {"arn": first.outputs["arn"], "token": Secret("s3cret")}
    assert other.up("dev", program(world), {}).check().changes["same"] == 3


def test_an_engine_sees_what_another_one_did_meanwhile(stored_world):
    world = stored_world
    other = world.another_engine()
    world.up(program(world)).check()
    assert other.up("dev", program(world), {}).check().changes["same"] == 3


def test_secrets_are_never_in_the_file_and_the_key_is_the_owner_s_alone(stored_world):
    world = stored_world
    world.up(program(world)).check()
    text = world.state_file.read_text()
    assert "s3cret" not in text
    assert "ciphertext" in text
    key = world.state_file.with_name("state.json.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert json.loads(text)["stacks"]["dev"]["resources"][0]["type"] == "pulumi:pulumi:Stack"


def test_no_key_is_made_where_nothing_is_secret(stored_world):
    stored_world.up(lambda: stored_world.Thing("first")).check()
    assert sorted(path.name for path in stored_world.directory.iterdir()) == ["state.json", "state.json.lock"]


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (lambda key: key.unlink(), "is missing, so the secrets in the state can't be read"),
        (lambda key: key.write_bytes(b"nonsense"), "doesn't hold a key"),
        (lambda key: key.write_bytes(b"A" * 43 + b"="), "is not the key that the state's secrets were encrypted with"),
    ],
)
def test_a_lost_or_wrong_key_is_said(stored_world, harm, text):
    world = stored_world
    world.up(program(world)).check()
    harm(world.state_file.with_name("state.json.key"))
    with pytest.raises(StateError, match=text):
        world.another_engine()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", "is not a rehearsal's state"),
        ("[]", "is not a rehearsal's state"),
        (
            '{"version": 99, "stacks": {}}',
            "was written by another version of the rehearsal (format 99, this one reads 1)",
        ),
    ],
)
def test_a_file_that_is_no_state_is_said(tmp_path, content, text):
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(StateError) as caught:
        State(path, project="mainstage", organization="organization")
    assert text in str(caught.value)
    assert "delete it and rehearse anew" in str(caught.value)


def test_each_finished_step_is_on_disk_before_the_next_begins(stored_world):
    world = stored_world
    seen = []

    def look() -> None:
        state = State(world.state_file, project="mainstage", organization="organization")
        seen.append([item.name for item in state.resources("dev")])

    world.provider.before["create", "second"] = look
    world.up(program(world)).check()
    assert seen == [["mainstage-dev", "default", "first"]]
    names = sorted(path.name for path in world.directory.iterdir())
    assert names == ["state.json", "state.json.key", "state.json.lock"]


def test_a_run_that_was_cut_short_is_read_from_its_journal(stored_world):
    """Every point at which a run may be killed gives a state that the next run can go on from."""
    world = stored_world

    def before():
        first = world.Thing("first", zone="a", size=1)
        world.Thing("gone")
        world.Thing("single", kind="test:index:Single", zone="a", other=first.arn)

    def after():
        first = world.Thing("renamed", pulumi.ResourceOptions(aliases=[pulumi.Alias(name="first")]), zone="b", size=2)
        single = world.Thing("single", kind="test:index:Single", zone="b", other=first.arn)
        world.Thing("new", other=single.arn)

    world.up(before).check()
    shots: list[tuple[bytes, bytes]] = []
    lines = world.state_file.with_name("state.json.journal")

    def shoot(event: Any) -> None:
        if event.kind in ("start", "done") and lines.exists():
            shots.append((world.state_file.read_bytes(), lines.read_bytes()))

    world.events = ListLike(shoot)
    world.another_engine().up("dev", after, {}, refresh=False).check()
    assert len(shots) >= 8
    for number, (state, taken) in enumerate(shots):
        for torn in (b"", b'{"put": {"ur'):
            folder = world.directory / f"shot-{number}-{len(torn)}"
            folder.mkdir()
            (folder / "state.json").write_bytes(state)
            (folder / "state.json.journal").write_bytes(taken + torn)
            resources = State(folder / "state.json", project="mainstage", organization="organization").resources("dev")
            seen: set[str] = set()
            for item in resources:
                missing = {need for need in item.needs() if need not in seen}
                assert not missing, f"shot {number}: {item.urn} stands before {missing}"
                seen.add(item.urn)
            assert sum(item.name == "new" for item in resources) <= 1


class ListLike(list):
    """Takes the place of the list of events."""

    def __init__(self, call: Any):
        super().__init__()
        self.append = call


def test_a_preview_writes_nothing(stored_world):
    stored_world.preview(program(stored_world)).check()
    assert not stored_world.state_file.exists()


def test_two_runs_exclude_each_other(stored_world):
    world = stored_world
    other = world.another_engine()
    reached, go = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        assert go.wait(30)

    world.provider.before["create", "first"] = wait
    results = []
    thread = threading.Thread(target=lambda: results.append(world.up(program(world))))
    thread.start()
    assert reached.wait(30)
    try:
        for engine in (world.engine, other):
            error = engine.up("dev", program(world), {}).error
            assert isinstance(error, StateError)
            assert str(error) == f"another run is using {world.state_file}: wait until it has ended"
    finally:
        go.set()
        thread.join()
    assert results[0].check().changes["create"] == 3
    assert other.up("dev", program(world), {}).check().changes["same"] == 3


def test_a_folder_that_can_not_be_written_is_said(make_world, tmp_path):
    (tmp_path / "file").write_text("")
    world = make_world(state_file=tmp_path / "file" / "state.json")
    error = world.up(lambda: world.Thing("first")).error
    assert isinstance(error, StateError)
    assert "the state can't be kept at" in str(error)
    assert world.provider.live == {}


class FullDisk:
    """`os`, but nothing can be written."""

    def write(self, *_: Any) -> int:
        raise OSError(28, "No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def test_a_disk_that_fills_up_stops_the_run(stored_world, monkeypatch):
    world = stored_world
    world.provider.before["create", "first"] = lambda: monkeypatch.setattr(journal, "os", FullDisk())
    result = world.up(program(world))
    assert isinstance(result.error, RunFailed)
    message = f"the state can't be written to {world.state_file}.journal: No space left on device"
    assert [(item.urn, item.message) for item in result.error.failures] == [(world.urn("first"), message)]
    assert world.provider.ops("create") == [("create", "first")]
    # What was made is in the state all the same, as the disk had room again when the run ended.
    monkeypatch.undo()
    assert world.another_engine().up("dev", program(world), {}).check().changes["create"] == 1


def test_a_run_that_is_killed_leaves_the_last_finished_step(tmp_path):
    """kill -9 in the middle of a create: what was finished is there, the lock is free, the next run goes on."""
    state_file = tmp_path / "state.json"
    body = textwrap.dedent(
        f"""
        import importlib.util, os, signal, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("helpers", {str(Path(__file__).with_name("conftest.py"))!r})
        helpers = importlib.util.module_from_spec(spec)
        sys.modules["helpers"] = helpers
        spec.loader.exec_module(helpers)
        world = helpers.World(Path({str(tmp_path)!r}), state_file=Path({str(state_file)!r}))
        world.provider.before["create", "second"] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        def program():
            first = world.Thing("first", size=1)
            world.Thing("second", other=first.arn)
        world.up(program)
        """
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", body], cwd=root, capture_output=True, text=True, timeout=100)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    state = State(state_file, project="mainstage", organization="organization")
    with state.exclusive():
        assert [item.name for item in state.resources("dev")][-1] == "first"


def test_every_field_of_a_resource_survives(tmp_path):
    full = ResourceState(
        urn="urn:pulumi:dev::mainstage::test:index:Thing::full",
        type="test:index:Thing",
        custom=True,
        id="id-1",
        inputs={"a": Secret({"b": [1, 2.5, None, True]}), "reference": ResourceReference("urn", "id")},
        outputs={"list": [Secret("x")], "component": ResourceReference("urn")},
        parent="parent",
        provider="urn::id",
        dependencies=("a", "b"),
        property_dependencies={"a": ("b",)},
        protect=True,
        retain_on_delete=True,
        ignore_changes=("x",),
        replace_on_changes=("y",),
        additional_secret_outputs=("z",),
        aliases=("w",),
        custom_timeouts={"create": 1.5},
        hooks={"before_create": ("h",)},
        init_errors=("e",),
        deleted_with="d",
        import_id="i",
        replacement_trigger=Secret("t"),
        external=True,
        delete=True,
        pending_replacement=True,
    )
    path = tmp_path / "state.json"
    State(path, project="mainstage", organization="organization").save("dev", [full])
    assert State(path, project="mainstage", organization="organization").resources("dev") == (full,)


def test_destroying_the_last_resource_forgets_the_stack(stored_world):
    world = stored_world
    world.up(program(world)).check()
    world.engine.destroy("dev").check()
    assert world.engine.state.stacks() == []
    assert world.another_engine().state.stacks() == []
    assert world.provider.live == {}
