"""Runs `mainstage` in processes of their own that a process forks which has imported it already.

A command line is a new process all the same, with its own folder, environment, signals and exit; only the second or two
of importing are saved. Where there is no safe fork, the command is run as a person's is.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

CAN_FORK = sys.platform == "linux"
REHEARSES = ("rehearse", "up")
"""Commands that import the emulated cloud. The others get a process in which it is not imported, as theirs is not."""

_lock = threading.Lock()
_stems: dict[tuple[str, ...], subprocess.Popen[str]] = {}


def run(
    root: Path, words: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` of `python -m infra.cli WORDS` in the folder would give back, with its exceptions."""
    command = [sys.executable, "-m", "infra.cli", *words]
    if not CAN_FORK:
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    modules = ("infra.cli", "infra.rehearsal.rehearse") if words[:1] and words[0] in REHEARSES else ("infra.cli",)
    with tempfile.TemporaryDirectory() as folder, _lock:
        out, err = Path(folder, "out"), Path(folder, "err")
        asked = {
            "words": list(words),
            "folder": str(root),
            "environment": dict(environment),
            "out": str(out),
            "err": str(err),
            "seconds": timeout_seconds,
        }
        stem = _stem(modules, environment)
        assert stem.stdin is not None
        assert stem.stdout is not None
        stem.stdin.write(json.dumps(asked) + "\n")
        stem.stdin.flush()
        answer = stem.stdout.readline()
        assert answer, f"the process that {modules} were imported in has ended"
        code = json.loads(answer)
        said = (out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
    if code is None:
        raise subprocess.TimeoutExpired(command, timeout_seconds, *said)
    return subprocess.CompletedProcess(command, code, *said)


def _stem(modules: tuple[str, ...], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """The process that has imported these modules; it ends with this one."""
    if modules not in _stems:
        _stems[modules] = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            cwd=Path(__file__).resolve().parents[2],
            text=True,
        )
        atexit.register(_end, _stems[modules])
    return _stems[modules]


def _end(stem: subprocess.Popen[str]) -> None:
    for pipe in (stem.stdin, stem.stdout):
        if pipe is not None:
            pipe.close()
    stem.wait(10)


def _serve(modules: Sequence[str]) -> None:
    """Forks a command for each line of standard input and writes its exit code; null when it took too long."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.insert(0, os.getcwd())  # as `python -m` has it
    for name in modules:
        importlib.import_module(name)
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
            return
        print(json.dumps(_wait(pid, asked["seconds"])), flush=True)


def _become(asked: dict[str, object]) -> None:
    """Runs the command line in this forked process. Its exit is the process's."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(str(asked["folder"]))
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, str(asked["out"]), os.O_WRONLY | os.O_CREAT),
        (2, str(asked["err"]), os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    environment, words = asked["environment"], asked["words"]
    assert isinstance(environment, dict)
    assert isinstance(words, list)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["mainstage", *words]
    from infra.cli import main

    main()


def _wait(pid: int, seconds: float) -> int | None:
    """The exit code as `subprocess` tells it; None, and the process is gone, when it takes longer than this."""
    late = False

    def stop() -> None:
        nonlocal late
        late = True
        os.killpg(pid, signal.SIGKILL)

    timer = threading.Timer(seconds, stop)
    timer.start()
    _, status = os.waitpid(pid, 0)
    timer.cancel()
    timer.join()  # the next fork wants no other thread
    return None if late else os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    _serve(sys.argv[1:])
