"""Every command about releases says where it acts, and takes no credentials that nobody named."""

# ruff: noqa: E501 -- messages stand here as they are printed

from __future__ import annotations

import pytest
from cli import TARGET, Run
from release_world import World

from infra.cli import common


def test_every_command_wants_credentials_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], world: World
) -> None:
    from infra import cli

    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(common, "root", lambda: world.root)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAAMBIENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ambient")
    lines = (
        "approve iris 7", "promote iris 7", "rollback iris", "abort iris", "retry iris --reason x", "restore-guards iris",
        "status", "history iris", "clean",
    )  # fmt: skip
    for line in lines:
        for where, told in (
            ([], "no rehearsal is being served"),
            (["--target", "prod"], "--target prod is an AWS account; say which credentials to use: --profile PROFILE"),
        ):
            with pytest.raises(SystemExit) as ended:
                cli.main(["model", *line.split(), *where])
            assert ended.value.code == 1
            assert told in capsys.readouterr().err, line


@pytest.mark.usefixtures("in_service")
def test_the_target_is_told(run: Run) -> None:
    for command in (["status"], ["history", "iris"], ["clean"]):
        assert run("model", *command).out.splitlines()[0] == f"target: {TARGET}"
