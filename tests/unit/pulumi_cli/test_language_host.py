"""tools/pulumi/language_host.py, started and spoken to as the engine does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import language_pb2 as messages
from pulumi.runtime.proto import language_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]
HOST = ROOT / "tools" / "pulumi" / "language_host.py"

# The engine starts the host as the leader of a group of its own (RegisterProcessGroup) and reads its port from it.
ENGINE = """
import subprocess, sys
host = subprocess.Popen([*sys.argv[1:], "127.0.0.1:1"], stdout=subprocess.PIPE, process_group=0)
print(host.pid, host.stdout.readline().decode().strip(), flush=True)
host.wait()
"""
# Stands for a Python program: it starts a process, as a program may, tells both ids and stays.
EXECUTOR = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
file = sys.argv[-1]
with open(file + ".partial", "w") as out:
    out.write(f"{os.getpid()} {child.pid}")
os.rename(file + ".partial", file)
child.wait()
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has waited for does not."""
    if Path("/proc/self/stat").exists():  # a Linux without ps is common, a macOS without it is not
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        asked = ["ps", "-o", "stat=", "-p", str(pid)]
        state = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def until(met: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not met() and time.monotonic() < end:
        time.sleep(0.05)
    return met()


class Engine:
    """A process that stands for the engine, with a host; `call` speaks to the host."""

    def __init__(self, folder: Path):
        (folder / "executor.py").write_text(EXECUTOR)
        self.process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, sys.executable, str(HOST)],
            env={**os.environ, "MAINSTAGE_PULUMI_EXECUTOR": str(folder / "executor.py"), "UV_OFFLINE": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        host, port = self.process.stdout.readline().split()
        self.host = int(host)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.call = language_pb2_grpc.LanguageRuntimeStub(self.channel)

    def end(self) -> None:
        self.channel.close()
        for each in (self.process.pid, self.host):
            if alive(each):
                os.kill(each, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = Engine(tmp_path)
    yield made
    made.end()


def info(folder: Path, entry_point: str = ".", **options: str) -> messages.ProgramInfo:
    chosen = Struct()
    chosen.update(options)
    return messages.ProgramInfo(
        root_directory=str(folder), program_directory=str(folder), entry_point=entry_point, options=chosen
    )


def test_a_host_whose_engine_was_killed_ends_with_its_program_and_what_that_has_started(
    engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    running = engine.call.Run.future(messages.RunRequest(info=info(tmp_path, str(file)), pwd=str(tmp_path)))
    assert until(file.exists)
    assert not running.done()
    started = [engine.host, *map(int, file.read_text().split())]
    assert len(started) == 3
    time.sleep(1)
    assert all(map(alive, started)), "it ends only when its engine does"
    os.kill(engine.process.pid, signal.SIGKILL)
    try:
        assert until(lambda: not any(map(alive, started))), [each for each in started if alive(each)]
    finally:
        for each in filter(alive, started):
            os.kill(each, signal.SIGKILL)


def wheel(folder: Path) -> None:
    """A distribution `tiny` 1.0 with a module of one line."""
    folder.mkdir()
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as file:
        file.writestr("tiny.py", "SAID = 'from the wheel'\n")
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr(f"{about}/WHEEL", tags)
        file.writestr(f"{about}/RECORD", "")


def installed(engine: Engine, folder: Path, **options: str) -> str:
    asked = messages.InstallDependenciesRequest(directory=str(folder), info=info(folder, **options))
    return "".join((each.stdout + each.stderr).decode() for each in engine.call.InstallDependencies(asked))


def test_install_makes_the_environment_of_a_project_and_installs_what_it_requires(
    engine: Engine, tmp_path: Path
) -> None:
    folder = tmp_path / "orders"
    wheel_folder = folder / "dist"
    folder.mkdir()
    wheel(wheel_folder)
    (folder / "requirements.txt").write_text("--no-index\n--find-links dist\ntiny==1.0\n")
    told = installed(engine, folder, toolchain="pip", virtualenv="own")
    assert f"Installing what {folder}/requirements.txt asks for into {folder}/own\n" in told
    python = folder / "own" / "bin" / "python"
    asked = [str(python), "-c", "import tiny; print(tiny.SAID)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "from the wheel\n"
    assert "Installing what" in installed(engine, folder, toolchain="pip", virtualenv="own"), "once more"


def test_install_that_fails_fails_with_the_installers_words(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("--no-index\ntiny==1.0\n")
    with pytest.raises(grpc.RpcError) as raised:
        installed(engine, tmp_path, virtualenv="own")
    assert isinstance(raised.value, grpc.Call)
    details = raised.value.details() or ""
    assert details.startswith(f"{tmp_path}/requirements.txt could not be installed into {tmp_path}/own: ")
    assert "tiny" in details


def test_install_says_what_it_does_not_do(engine: Engine, tmp_path: Path) -> None:
    assert installed(engine, tmp_path, virtualenv=".venv") == (
        f"Nothing to install: {tmp_path} has no requirements.txt. What a pyproject.toml asks for is installed by hand "
        f"into {tmp_path}/.venv.\n"
    )
    (tmp_path / "requirements.txt").write_text("tiny==1.0\n")
    assert installed(engine, tmp_path, toolchain="poetry") == (
        f"Nothing was installed: {tmp_path}/Pulumi.yaml has toolchain poetry, and this language host knows pip alone. "
        "Run poetry there yourself, or install Pulumi's own CLI.\n"
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["executor.py", "requirements.txt"]
