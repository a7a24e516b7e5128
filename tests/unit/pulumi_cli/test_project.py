"""The generated project: the checkout's files without what belongs to the real backend."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from infra.rehearsal.pulumi_cli.environment import Emulated, environment, shell_lines, variables
from infra.rehearsal.pulumi_cli.project import Project, make_project

STACK_FILE = """# A comment that stays.
secretsprovider: awskms://alias/state?region=eu-west-1
encryptedkey: AQICAHh
config:
  mainstage:region: eu-west-1  # here too
"""
EMULATED = Emulated("http://127.0.0.1:1", 2, "eu-west-1", "AKIAREHEARSAL", "rehearsal")


def checkout(folder: Path) -> Path:
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: mainstage\n")
    (folder / "stacks" / "Pulumi.platform-dev.yaml").write_text(STACK_FILE)
    (folder / "stacks" / "models").mkdir()
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(checkout(tmp_path / "checkout"), tmp_path / "run")


def test_a_copy_has_no_secrets_provider_and_the_committed_file_is_untouched(project: Project) -> None:
    copy = project.stack_file("platform-dev").read_text()
    assert copy == "# A comment that stays.\nconfig:\n  mainstage:region: eu-west-1  # here too\n"
    assert (project.root / "stacks" / "Pulumi.platform-dev.yaml").read_text() == STACK_FILE
    assert (project.folder / "infra").readlink() == project.root / "infra"
    assert sorted(path.name for path in project.folder.rglob("*")) == sorted(
        ["Pulumi.yaml", "stacks", "Pulumi.platform-dev.yaml", "infra", "policies", ".venv"]
    )


def test_written_again_it_follows_the_files_and_keeps_the_stacks_salt(project: Project) -> None:
    copy = project.stack_file("platform-dev")
    copy.write_text(f"encryptionsalt: v1:abc=\n{copy.read_text()}")
    (project.root / "stacks" / "Pulumi.platform-dev.yaml").write_text("config:\n  mainstage:region: us-east-1\n")
    make_project(project.root, project.folder.parent)
    assert copy.read_text() == "encryptionsalt: v1:abc=\nconfig:\n  mainstage:region: us-east-1\n"


def test_written_from_another_checkout_its_links_lead_there(project: Project, tmp_path: Path) -> None:
    other = checkout(tmp_path / "other")
    again = make_project(other, project.folder.parent)
    assert (again.folder, again.backend, again.home) == (project.folder, project.backend, project.home)
    links = ("infra", "policies", ".venv")
    assert [(again.folder / name).readlink() for name in links] == [other / name for name in links]


def test_what_pulumi_inherits_leads_nowhere_else(project: Project) -> None:
    inherited = {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "token",
        "PULUMI_ACCESS_TOKEN": "pul-1",
        "PULUMI_STACK": "prod",
        "AZURE_CLIENT_ID": "1",
    }
    found = environment(EMULATED, project, Path("/tools"), inherited)
    kept = {"PATH": f"/tools{os.pathsep}/usr/bin", "HOME": "/home/ada", "PYTHONDONTWRITEBYTECODE": "", "CI": "1"}
    assert found == {**variables(EMULATED, project), **kept}


def test_a_shell_that_evaluates_the_lines_works_on_the_emulated_cloud_alone(project: Project, tmp_path: Path) -> None:
    binaries = tmp_path / "it's here"
    foreign = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "https://work", "PULUMI_STACK": "prod"}
    lines = shell_lines(EMULATED, project, binaries, foreign)
    assert lines[:3] == ["unset AWS_ENDPOINT_URL_S3", "unset AWS_PROFILE", "unset PULUMI_STACK"]
    script = 'eval "$LINES_TO_EVALUATE"; env'
    inherited = {**foreign, "PATH": "/usr/bin:/bin", "LINES_TO_EVALUATE": "\n".join(["# said", *lines])}
    done = subprocess.run(["sh", "-euc", script], env=inherited, capture_output=True, text=True, check=True)
    told = ("AWS_", "PULUMI_", "PATH", "MAINSTAGE_")
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith(told))
    more = {"PATH": f"{binaries}:/usr/bin:/bin", "MAINSTAGE_PROJECT": str(project.folder)}
    assert seen == {**variables(EMULATED, project), **more}
    assert shlex.split(lines[-1])[0] == "export"
