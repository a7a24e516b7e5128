"""Where commands act: never on what a shell happens to be set up for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from infra.registry.target import TargetError, resolve
from infra.rehearsal import pointer
from infra.rehearsal.cloud.clients import DoorSession

TOLD = {
    "endpoint": "http://127.0.0.1:9",
    "environment": "dev",
    "account_id": "111111111111",
    "region": "eu-west-1",
    "directory": "/nowhere",
    "state_file": "/nowhere/state.json",
    "access_key_id": "AKIAREHEARSALOPERATR",
    "secret_access_key": "rehearsal",
}


@pytest.fixture
def foreign_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell that is set up for somebody's real account."""
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = us-east-1\nendpoint_url = https://work.example\n")
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "https://work.example",
        "AWS_ACCESS_KEY_ID": "AKIAWORK",
        "AWS_SECRET_ACCESS_KEY": "work",
        "AWS_SESSION_TOKEN": "work",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("foreign_settings")
def test_a_rehearsals_clients_take_nothing_from_the_shell(tmp_path: Path) -> None:
    pointer.write(tmp_path, TOLD)
    target = resolve(tmp_path)
    client = target.client("s3")
    assert client.meta.endpoint_url == "http://127.0.0.1:9"
    credentials = target.session.get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("AKIAREHEARSALOPERATR", None)


@pytest.mark.usefixtures("foreign_settings")
def test_an_in_process_session_takes_nothing_from_the_shell() -> None:
    session = DoorSession(
        lambda request: pytest.fail("nothing is sent here"),
        access_key_id="AKIAREHEARSALOPERATR",
        secret_access_key="rehearsal",
        session_token=None,
        region="eu-west-1",
    )
    assert session.client("sts").meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"


@pytest.mark.usefixtures("foreign_settings")
def test_without_a_rehearsal_there_is_no_target(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="no rehearsal is being served"):
        resolve(tmp_path)


@pytest.mark.usefixtures("foreign_settings")
def test_an_environment_needs_a_named_profile(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="--profile"):
        resolve(tmp_path, "dev")


def test_a_pointer_of_a_dead_process_is_no_target(tmp_path: Path) -> None:
    pointer.write(tmp_path, TOLD)
    path = tmp_path / pointer.POINTER
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": 2**22 + 1}))
    with pytest.raises(TargetError, match="no rehearsal is being served"):
        resolve(tmp_path)


def test_a_process_withdraws_only_its_own_pointer(tmp_path: Path) -> None:
    pointer.write(tmp_path, TOLD)
    path = tmp_path / pointer.POINTER
    mine = json.loads(path.read_text())
    assert mine["pid"] == os.getpid()
    path.write_text(json.dumps({**mine, "pid": 1}))
    pointer.remove(tmp_path)
    assert path.exists()
    path.write_text(json.dumps(mine))
    pointer.remove(tmp_path)
    assert not path.exists()


@pytest.mark.usefixtures("foreign_settings")
def test_a_profile_that_is_not_there_is_told_with_those_that_are(root: Path) -> None:
    with pytest.raises(TargetError) as caught:
        resolve(root, "prod", "nope")
    assert str(caught.value) == (
        "--profile nope: there is no such AWS profile; there are: work. New? aws configure sso --profile nope"
    )
