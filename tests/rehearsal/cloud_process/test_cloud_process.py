"""The process of an emulated cloud: one a checkout, found by everybody, gone without a trace however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli import Ended, runner
from served import checkout, mainstage

from infra.problems import InputError
from infra.registry.target import resolve
from infra.rehearsal import cloud_control, pointer
from infra.rehearsal.cloud_control import CloudError

JWT = """\
  mainstage:front_door:
    auth: jwt
    jwt:
      issuer: https://login.example.com/pool
      audiences: [clients]
    throttle_requests_per_second"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    made = checkout(tmp_path)
    yield made
    cloud_control.stop(made)


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    monkeypatch.chdir(root)
    return runner(monkeypatch, capsys, {})


def bound(to_be: socket.socket) -> int:
    """Binds a socket to a port that the system gives to nobody who names none, and returns it: such a one is still free
    when a cloud has come up, however many sockets other tests open meanwhile."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else 49152
    for port in range(lowest - 1 - os.getpid() % 5000, 1024, -1):
        try:
            to_be.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    to_be.bind(("127.0.0.1", 0))  # this system gives every port to anybody
    return to_be.getsockname()[1]


def until_gone(pid: int) -> None:
    limit = time.monotonic() + 60
    while pointer.alive(pid):
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_it_starts_once_answers_and_stops_without_a_trace(root: Path) -> None:
    running, started = cloud_control.start(root, "staging")
    assert (started, running.environment, running.account_id, running.region, running.token) == (
        True, "staging", "222222222222", "eu-west-1", None,
    )  # fmt: skip
    assert cloud_control.start(root, "staging") == (running, False)
    assert cloud_control.found(root) == cloud_control.found(root, "staging") == running
    # Other commands find it as they find a served rehearsal; its stacks are no in-process engine's.
    target = resolve(root)
    assert (target.endpoint_url, target.state_file) == (running.endpoint_url, None)
    assert target.bring_up == "make rehearse-up ENV=staging"
    assert target.client("sts").get_caller_identity()["Account"] == "222222222222"
    assert oct((root / pointer.POINTER).stat().st_mode)[-3:] == "600"

    assert cloud_control.stop(root) == running
    until_gone(running.pid)
    assert (cloud_control.find(root), cloud_control.stop(root)) == (None, None)
    assert not (root / pointer.POINTER).exists()
    assert list((root / pointer.RUNS).iterdir()) == []
    assert (root / cloud_control.LOG).read_text() == ""


def test_there_is_one_at_a_time(root: Path) -> None:
    running, _ = cloud_control.start(root, "dev")
    said = r"^the emulated cloud of dev runs in this checkout, not that of prod, .*make rehearse-down ENV=dev"
    with pytest.raises(CloudError, match=said):
        cloud_control.start(root, "prod")
    with pytest.raises(CloudError, match=said):
        cloud_control.found(root, "prod")
    with pytest.raises(
        CloudError, match=rf"^the emulated cloud of dev runs already, at {running.endpoint_url}, not on"
    ):
        cloud_control.start(root, "dev", 1)
    assert cloud_control.find(root) == running


def test_kill_9_leaves_nothing_that_blocks_the_next_one(root: Path) -> None:
    first, _ = cloud_control.start(root, "dev")
    assert cloud_control.lives(first)
    os.kill(first.pid, signal.SIGKILL)
    until_gone(first.pid)
    assert not cloud_control.lives(first)
    limit = time.monotonic() + 30
    with (root / cloud_control.LOCK).open() as lock:  # the threads of a process that is gone may end after it
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < limit
                time.sleep(0.02)
    # Its process id may be somebody's by now: the lock says that it is not the cloud's.
    told = json.loads((root / pointer.POINTER).read_text())
    (root / pointer.POINTER).write_text(json.dumps({**told, "pid": os.getpid()}))
    assert cloud_control.find(root) is None
    second, started = cloud_control.start(root, "prod")
    assert (started, second.environment) == (True, "prod")
    assert (cloud_control.lives(first), cloud_control.lives(second)) == (False, True)
    assert [path.name for path in (root / pointer.RUNS).iterdir()] == [f"{second.pid}-rehearsal"]


def test_one_that_dies_while_it_is_being_stopped_is_stopped(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running, _ = cloud_control.start(root, "dev")

    def too_late(pid: int, number: int) -> None:
        os.kill(pid, signal.SIGKILL)
        until_gone(pid)
        raise ProcessLookupError(pid, number)

    monkeypatch.setattr(cloud_control, "os", SimpleNamespace(**{**vars(os), "kill": too_late}))
    assert cloud_control.stop(root) == running
    assert not (root / pointer.POINTER).exists()
    assert list((root / pointer.RUNS).iterdir()) == []


def test_a_start_that_is_killed_takes_the_cloud_along(root: Path) -> None:
    """Nobody was told of it: it would run for ever."""
    script = (
        f"from pathlib import Path; from infra.rehearsal import cloud_control as c; c.start(Path({str(root)!r}), 'dev')"
    )
    starter = subprocess.Popen([sys.executable, "-c", script])
    lock = root / cloud_control.LOCK
    limit = time.monotonic() + 60
    while not (lock.exists() and lock.read_text()):
        assert time.monotonic() < limit
        time.sleep(0.01)
    starter.kill()
    starter.wait()
    until_gone(int(lock.read_text()))
    running, started = cloud_control.start(root, "dev")
    assert (started, running.environment) == (True, "dev")


def test_a_cloud_that_nobody_answers_ends(root: Path) -> None:
    """Killed between the line and its answer: what was written is no proof that it was read."""
    starter, its = socket.socketpair()
    asked = ["--root", str(root), "--env", "dev", "--ready", str(its.fileno())]
    with its:
        cloud = subprocess.Popen(
            [sys.executable, "-m", "infra.rehearsal.cloud_process", *asked], pass_fds=[its.fileno()]
        )
    with starter, starter.makefile() as told:
        assert json.loads(told.readline())["pid"] == cloud.pid
        assert cloud_control.find(root) is not None
    assert cloud.wait(60) == 1
    assert not (root / pointer.POINTER).exists()


def test_a_port_in_use_is_named(root: Path) -> None:
    with socket.socket() as taken:
        port = bound(taken)
        taken.listen()
        with pytest.raises(CloudError, match=rf"port {port} on 127.0.0.1 is in use"):
            cloud_control.start(root, "dev", port)
    assert cloud_control.find(root) is None
    assert cloud_control.start(root, "dev", port)[0].endpoint_url == f"http://127.0.0.1:{port}"


def test_a_broken_stack_file_is_told_before_anything_starts(root: Path) -> None:
    file = root / "stacks" / "Pulumi.platform-dev.yaml"
    file.write_text(file.read_text().replace('"111111111111"', "12"))
    with pytest.raises(InputError, match=r"Pulumi\.platform-dev\.yaml:\d+: mainstage:account_id"):
        cloud_control.start(root, "dev")
    assert not (root / cloud_control.LOCK).exists()


def test_a_cloud_that_does_not_come_up_is_told_with_its_log(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CloudError, match=r"^the emulated cloud ended before it answered; its log, .*:\n\(nothing\)$"):
        cloud_control.start(root, "dev")


def test_a_rehearsal_that_is_served_has_its_place(root: Path) -> None:
    pointer.write(root, {"environment": "dev", "endpoint": "http://127.0.0.1:9"})
    try:
        for call in (lambda: cloud_control.start(root, "dev"), lambda: cloud_control.stop(root)):
            with pytest.raises(CloudError, match=r"^a rehearsal of dev is being served .*Ctrl-C where it runs$"):
                call()
    finally:
        pointer.remove(root)


def test_the_issuer_of_a_jwt_stack_is_played(root: Path) -> None:
    file = root / "stacks" / "Pulumi.platform-dev.yaml"
    text = file.read_text()
    door = re.compile(r"  mainstage:front_door:\n    auth: iam\n(?:    #.*\n)*    throttle_requests_per_second")
    assert door.search(text)
    file.write_text(door.sub(JWT, text))
    running, _ = cloud_control.start(root, "dev")
    assert running.issuer == "https://login.example.com/pool"
    assert running.token
    assert running.token.count(".") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cloud", "start", "--env", "qa"], "error: --env 'qa': allowed are dev, staging, prod\n"),
        (["rehearse-up", "--env", "qa"], "error: --env 'qa': allowed are dev, staging, prod\n"),
        (["rehearse-down", "--env", "qa"], "error: --env 'qa': allowed are dev, staging, prod\n"),
        (["rehearse-up"], "error: this runs the real Pulumi CLI, and it is not here yet: make pulumi\n"),
    ],
)
def test_a_mistake_is_one_line(run: Callable[..., Ended], words: list[str], said: str) -> None:
    done = run(*words)
    assert (done.code, done.out, done.err) == (1, "", said)


def test_without_a_cloud_the_shell_that_evaluates_is_told(run: Callable[..., Ended]) -> None:
    """What it had set stays: without it the shell would work on a real account."""
    done = run("cloud", "env")
    assert (done.code, done.err) == (1, "error: no emulated cloud runs: mainstage cloud start --env dev\n")
    evaluated = subprocess.run(["sh", "-c", f'eval "{done.out}" && echo went on'], capture_output=True, text=True)
    assert (evaluated.returncode, evaluated.stdout, evaluated.stderr) == (1, "", "")
    in_json = run("cloud", "env", "--json")
    assert (in_json.code, list(json.loads(in_json.out))) == (1, ["error"])


def test_with_nothing_running_there_is_nothing_to_take_down(run: Callable[..., Ended]) -> None:
    for words, said in (
        (["cloud", "stop"], "no emulated cloud runs\n"),
        (["cloud", "status"], "no emulated cloud runs: mainstage cloud start\n"),
        (["rehearse-down"], "no emulated cloud runs, so nothing stands\n"),
    ):
        done = run(*words)
        assert (done.code, done.out, done.err) == (0, said, "")


def test_without_pulumi_a_shell_can_still_use_the_cloud(root: Path) -> None:
    running, _ = cloud_control.start(root, "dev")
    done = mainstage(root, "cloud", "env")
    assert done.returncode == 0
    assert f"export AWS_ENDPOINT_URL={running.endpoint_url}\n" in done.stdout
    assert done.stdout.splitlines()[-1] == f"# then: cd {running.project.folder} && pulumi up --stack platform-dev"
    assert "make pulumi" in done.stderr
    assert {path.name for path in running.project.folder.iterdir()} == {
        "Pulumi.yaml", ".venv", "infra", "policies", "stacks",
    }  # fmt: skip
