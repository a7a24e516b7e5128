"""Another team's project installs the library's wheel and previews a component of it by the real `pulumi`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from engine_world import ROOT, EngineWorld
from mainstage.guard_alarms import guard_alarm_names
from other_project import cli_in

WITNESS = """
import atexit, os, sys

@atexit.register
def tell():
    library = sys.modules.get("mainstage")
    if library is not None:
        with open(os.environ["WITNESS"], "w") as file:
            file.write(library.__file__)
"""
"""Python runs it at each start of the project's environment: it tells where a program got the library from."""


def run(*command: str | Path, cwd: Path) -> str:
    # No registry is asked: the wheel is here, and what it needs is linked in below.
    environment = {**os.environ, "UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example in a folder of its own, with an environment of its own that has the wheel of the library.

    pulumi and pulumi-aws are those of this checkout's environment, by path: their folder is on the path of the new
    one, while links to checkouts that lie in it (.pth files) are not followed.
    """
    folder = tmp_path / "orders"
    shutil.copytree(ROOT / "examples" / "other-stack", folder, ignore=shutil.ignore_patterns(".venv", "dist"))
    library = tmp_path / "components"
    shutil.copytree(ROOT / "components", library, ignore=shutil.ignore_patterns("__pycache__", "venv", "dist"))
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "dist", cwd=library)
    (wheel,) = (folder / "dist").glob("mainstage-*-py3-none-any.whl")
    uv = ROOT / ".venv" / "bin" / "uv"
    run(uv, "venv", "--python", sys.executable, ".venv", cwd=folder)
    run(uv, "pip", "install", "--python", ".venv", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = (folder / ".venv" / "lib").glob("python*/site-packages")
    (packages / "of-the-checkout.pth").write_text(f"{Path(pulumi.__file__).parents[1]}\n")
    (packages / "sitecustomize.py").write_text(WITNESS)
    return folder


def test_the_library_comes_from_the_wheel_and_its_component_is_previewed(
    world: EngineWorld, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = tmp_path / "witness"
    monkeypatch.setenv("WITNESS", str(witness))
    cli = cli_in(project, world, tmp_path)
    cli.run("stack", "init", "prod")
    steps = json.loads(cli.run("preview", "--json", "--stack", "prod").stdout)["steps"]
    assert Path(witness.read_text()).is_relative_to(project / ".venv"), "the checkout's library, not the wheel's"
    assert {step["op"] for step in steps} == {"create"}
    found = {}
    for step in steps:
        type_, name = step["urn"].split("::")[2:]
        found[name] = type_.replace("mainstage:index:", "")
    versioned = {name for name in found if name.startswith(("late-orders-model-v3-", "late-orders-config-v3-"))}
    assert len(versioned) == 2
    alarm = "aws:cloudwatch/metricAlarm:MetricAlarm"
    assert {name: type_ for name, type_ in found.items() if name not in versioned} == {
        "orders-prod": "pulumi:pulumi:Stack",
        "aws": "pulumi:providers:aws",
        "late-orders": "SageMakerEndpoint",
        "late-orders-logs": "SageMakerEndpoint$aws:cloudwatch/logGroup:LogGroup",
        "late-orders-execution-role": "SageMakerEndpoint$aws:iam/role:Role",
        "late-orders-execution-policy": "SageMakerEndpoint$aws:iam/rolePolicy:RolePolicy",
        "late-orders-endpoint": "SageMakerEndpoint$aws:sagemaker/endpoint:Endpoint",
        "late-orders-guards": "SageMakerEndpoint$GuardAlarms",
        **{f"late-orders-guards-{guard}": f"SageMakerEndpoint$GuardAlarms${alarm}" for guard in guard_alarm_names("")},
        "late-orders-unused": alarm,
    }
    assert {found[name] for name in versioned} == {
        "SageMakerEndpoint$aws:sagemaker/model:Model",
        "SageMakerEndpoint$aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    }
    assert world.client("sagemaker").list_models()["Models"] == []
    asked = "import importlib.util as found; print(found.find_spec('infra'))"
    assert run(project / ".venv" / "bin" / "python", "-c", asked, cwd=project) == "None", "the blueprint is not needed"
