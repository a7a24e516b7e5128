"""Runs `mainstage` in processes of their own, forked from one that has imported it already.

A command line is a new process all the same, with its own folder, environment, signals and exit; what is saved are the
seconds of importing and of reading AWS's models. Where there is no safe fork, the command is run as a person's is.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CAN_FORK = sys.platform == "linux"
LOOK_SECONDS = 0.02
EMULATES = ("rehearse", "up")
"""Commands that import the emulated cloud. The others get a process in which it is not imported, as theirs is not."""
PROVIDER_MODULES = """
apigatewayv2 appautoscaling athena cloudwatch ec2 ecr glue iam kinesis kms lambda_ s3 sagemaker sns sqs vpc
"""
SERVICES = """
apigatewayv2 application-autoscaling athena cloudwatch ec2 ecr firehose glue iam kms lambda logs s3 s3control sagemaker
sagemaker-runtime sns sqs sts
"""

_lock = threading.Lock()
_stems: dict[str, subprocess.Popen[str]] = {}


class Process:
    """A command line under way. `pid` leads a process group of its own."""

    def __init__(self, stem: subprocess.Popen[str], pid: int):
        self.pid = pid
        self._stem = stem
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code as `subprocess` tells it; None as long as it runs."""
        if self._code is None:
            self._code = _ask(self._stem, {"wait": self.pid})
        return self._code

    def wait(self, timeout: float) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(LOOK_SECONDS)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it and what it started."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def start(root: Path, words: Sequence[str], environment: Mapping[str, str], out: Path, err: Path) -> Process:
    """Starts `mainstage` with these words in a folder; what it says is written to the two files. Linux only."""
    stem = _stem("emulating" if words[:1] and words[0] in EMULATES else "calling", environment)
    asked = {
        "words": list(words),
        "folder": str(root),
        "environment": dict(environment),
        "out": str(out),
        "err": str(err),
    }
    pid = _ask(stem, asked)
    assert pid is not None
    return Process(stem, pid)


def run(
    root: Path, words: Sequence[str], environment: Mapping[str, str], timeout_seconds: float
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` of `python -m infra.cli WORDS` in the folder would give back, with its exceptions."""
    command = [sys.executable, "-m", "infra.cli", *words]
    if not CAN_FORK:
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(root, words, environment, out, err)
        try:
            code = process.wait(timeout_seconds)
        except BaseException:
            process.kill()
            process.wait(10)
            raise
        return subprocess.CompletedProcess(
            command, code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
        )


def _stem(kind: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """The process that has imported what such commands import; it ends with this one."""
    with _lock:
        if kind not in _stems:
            _stems[kind] = subprocess.Popen(
                [sys.executable, __file__, kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=dict(environment),
                cwd=Path(__file__).resolve().parents[2],
                text=True,
            )
            atexit.register(_end, _stems[kind])
        return _stems[kind]


def _ask(stem: subprocess.Popen[str], what: Mapping[str, object]) -> int | None:
    with _lock:
        assert stem.stdin is not None
        assert stem.stdout is not None
        stem.stdin.write(json.dumps(what) + "\n")
        stem.stdin.flush()
        answer = stem.stdout.readline()
    assert answer, f"the process that command lines are forked from has ended: {stem.args}"
    return json.loads(answer)


def _end(stem: subprocess.Popen[str]) -> None:
    for pipe in (stem.stdin, stem.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    stem.wait(10)


def _serve(kind: str) -> None:
    """Answers each line of standard input: with the process id of a command line it forked, or with an exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.insert(0, os.getcwd())  # as `python -m` has it
    importlib.import_module("infra.cli")
    if kind == "emulating":
        _read_models()
    gc.freeze()
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                _become(asked)
                return
        print(json.dumps(answer), flush=True)


def _read_models() -> None:
    """What a rehearsal reads before its first call is answered; no cloud lives yet."""
    importlib.import_module("infra.rehearsal.rehearse")
    import pulumi_aws
    from moto.core.routing import get_service_router

    from infra.rehearsal.cloud import wire
    from infra.rehearsal.cloud.clients import warm_up

    for name in PROVIDER_MODULES.split():
        getattr(getattr(pulumi_aws, name), "__all__", None)  # the first look at what it has loads it
    for name in SERVICES.split():
        wire.service_model(name)
        get_service_router(name)
    warm_up(SERVICES.split())


def _become(asked: Mapping[str, object]) -> None:
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


if __name__ == "__main__":
    _serve(sys.argv[1])
