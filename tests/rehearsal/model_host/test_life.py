"""A container's life: it restarts when it ends, and never outlives who started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

DIES = """
    import os, signal, time

    def model_fn(model_dir):
        return None

    def transform_fn(model, body, content_type, accept):
        if body == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if body == "wait":
            os.write(1, b"waits\\n")  # in one, also beside others
            time.sleep(60)
        return body, "text/plain"
"""


def call(host, body: bytes, **options):
    return host.invoke(body, content_type="text/csv", accept="*/*", **options)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:  # a zombie that init has not taken in yet is gone as well
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return sys.platform == "linux"


def test_a_model_that_dies_under_load_is_a_502_and_comes_back(serve, eventually):
    host = serve(DIES)
    first = host.pid
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(call, host, b"wait") for _ in range(4)]
        eventually(lambda: host.log_lines().count("waits") == 4)
        assert call(host, b"die").status == 502
        answers = [each.result() for each in waiting]
    assert [answer.status for answer in answers] == [502] * 4
    assert answers[0].body == b"502: the container's process ended while it answered (signal SIGKILL)"
    eventually(lambda: host.alive and host.pid != first)
    assert (call(host, b"again").body, host.restarts) == (b"again", 1)
    assert gone(first)
    assert "mainstage-host: the container ended (signal SIGKILL); starting it again in 0.1 s" in host.log_lines()


def test_while_it_starts_again_it_is_a_503(serve, eventually, tmp_path):
    let_go = tmp_path / "go"
    host = serve(
        f"""
        import os, time

        def model_fn(model_dir):
            marker = os.path.join(model_dir, "started")
            while os.path.exists(marker) and not os.path.exists({str(let_go)!r}):
                time.sleep(0.01)
            open(marker, "w").close()

        def transform_fn(model, body, content_type, accept):
            os._exit(9) if body == "die" else None
            return body, "text/plain"
        """
    )
    assert call(host, b"die").status == 502
    eventually(lambda: not host.alive)
    assert call(host, b"x").status == 503
    let_go.touch()
    eventually(lambda: call(host, b"x").status == 200)


def test_one_that_cannot_start_again_is_tried_again_later_each_time(serve, eventually):
    host = serve(
        """
        import os

        def model_fn(model_dir):
            marker = os.path.join(model_dir, "count")
            count = int(open(marker).read()) if os.path.exists(marker) else 0
            open(marker, "w").write(str(count + 1))
            if count in (1, 2):
                raise RuntimeError(f"start {count}")

        def transform_fn(model, body, content_type, accept):
            os._exit(9) if body == "die" else None
            return body, "text/plain"
        """
    )
    call(host, b"die")
    eventually(lambda: call(host, b"x").status == 200)
    notes = [line for line in host.log_lines() if line.startswith("mainstage-host")]
    assert notes == [
        "mainstage-host: the container ended (exit code 9); starting it again in 0.1 s",
        "mainstage-host: the container did not start again: model_fn raised RuntimeError: start 1 "
        "(inference.py line 9); next try in 0.2 s",
        "mainstage-host: the container did not start again: model_fn raised RuntimeError: start 2 "
        "(inference.py line 9); next try in 0.4 s",
    ]
    assert host.restarts == 1


def test_no_answer_in_time_is_a_504_and_the_next_call_is_answered(serve):
    host = serve(DIES)
    answer = call(host, b"wait", timeout_seconds=0.3)
    assert (answer.status, answer.body) == (504, b"504: no answer from the container within 0.3 s")
    assert call(host, b"next").body == b"next"
    assert host.alive


def test_the_models_own_timeout_holds_when_it_is_shorter(serve):
    host = serve(DIES, environment={"SAGEMAKER_MODEL_SERVER_TIMEOUT": "0.2"})
    assert call(host, b"wait", timeout_seconds=60).status == 504


def test_stop_ends_everything_and_keeps_the_log(serve):
    host = serve("import os\nprint('hello', flush=True)\ndef model_fn(d): return None\n")
    pid = host.pid
    host.stop()
    host.stop()
    assert (gone(pid), host.alive) == (True, False)
    assert sorted(path.name for path in host.folder.iterdir()) == ["container.log"]
    assert (host.folder / "container.log").read_text() == "hello\n"
    assert call(host, b"x").status == 503


def test_stop_while_it_starts_ends_the_start(make_host, eventually):
    host = make_host("import time\ntime.sleep(600)\n")
    failed = []

    def start() -> None:
        try:
            host.start(300)
        except RuntimeError as error:
            failed.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    eventually(lambda: host._starting is not None and host._starting._phase == "import")
    pid = host._starting.pid
    host.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert failed == ["the model's process ended while importing the code: signal SIGTERM"]
    assert gone(pid)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("hang", ["while True: pass", "import re; re.match(r'(a|aa)+$', 'a' * 90 + 'b')", "pass"])
def test_a_killed_rehearsal_leaves_no_process_and_no_socket(make_archive, tmp_path, eventually, number, hang):
    """The model has children too: one of its group, one in a session of its own, both deaf to SIGTERM."""
    archive = make_archive(
        f"""
        import os, subprocess, sys, threading

        CHILD = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"

        def model_fn(model_dir):
            children = [
                subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=alone, stdout=subprocess.PIPE)
                for alone in (False, True)
            ]
            for child in children:
                child.stdout.readline()
            return [os.getpid(), os.getppid(), *(child.pid for child in children)]

        def transform_fn(model, body, content_type, accept):
            if body == "hang":
                {hang}
            return " ".join(map(str, model)), "text/plain"
        """
    )
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import threading, time
            from pathlib import Path
            from infra.rehearsal.cloud.model_host import HostSpec, ModelHost, PresetEnvironments

            environment = {{"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}}
            image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
            spec = HostSpec("m", image, environment, Path({str(archive)!r}))
            host = ModelHost(spec, directory=Path({str(tmp_path / "hosts")!r}), environments=PresetEnvironments())
            # From a thread that ends: the container must not depend on it.
            starter = threading.Thread(target=host.start, args=(30,))
            starter.start()
            starter.join()
            answer = host.invoke(b"", content_type="text/csv", accept="*/*")
            threading.Thread(target=lambda: host.invoke(b"hang", content_type="text/csv", accept="*/*")).start()
            time.sleep(0.2)
            print(answer.body.decode(), host._process._socket_folder, flush=True)
            time.sleep(600)
            """
        )
    )
    parent = subprocess.Popen([sys.executable, script], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        *pids, socket_folder = parent.stdout.readline().split()
        assert len(pids) == 4
        assert not any(gone(int(pid)) for pid in pids)
        assert Path(socket_folder).is_dir()
    finally:
        parent.send_signal(number)
        parent.communicate()
    eventually(lambda: all(gone(int(pid)) for pid in pids) and not Path(socket_folder).exists())


def test_a_log_without_end_is_bounded(serve, eventually):
    host = serve(
        """
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            for number in range(20000):
                print(number)
            print("x" * 100_000, flush=True)
            return "", "text/plain"
        """
    )
    count, lines = host.log_since(0)
    assert (count, lines) == (0, [])
    call(host, b"")
    eventually(lambda: host.log_since(0)[0] == 20001)
    lines = host.log_lines()
    assert len(lines) == 5000
    assert lines[-1].endswith("[cut: 100000 characters]")
    assert lines[-2] == "19999"
    assert host.log_since(20000) == (20001, [lines[-1]])
    assert host.log_since(20001) == (20001, [])
