"""One serving process: launched, watched until it is ready or has failed, called, ended."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.rehearsal.cloud.model_host.client import Client, HostAnswer
from infra.rehearsal.cloud.model_host.logbook import LogBook

_SERVING = Path(__file__).with_name("container") / "serving.py"
_PING_TIMEOUT_SECONDS = (
    2.0  # what SageMaker allows a /ping (SageMaker guide, "Custom inference code with hosting services")
)
_MAX_LINE_BYTES = 1024 * 1024
_SETTLE_SECONDS = 5.0
_STACK_SECONDS = 1.0
"""For a hanging process to write where it stands, which it does at once when it gets a core."""
_DOING = {"start": "starting Python", "import": "importing the code", "load": "running model_fn"}


class HostFailed(RuntimeError):
    """A model that does not come up. `reason` is one or a few sentences for a person, `log_tail` the container's last
    lines.

    `kind`: "archive", "environment", "import", "functions", "load", "version" (saved with another framework version),
    "hang" (deadline passed), "died" (the process ended).
    """

    def __init__(self, kind: str, reason: str, log_tail: str = "", versions: list[dict[str, str]] | None = None):
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.log_tail = log_tail
        self.versions = versions or []


class ContainerProcess:
    """Runs `container/serving.py` in a preset's environment. Not started twice; a restart is a new one."""

    def __init__(
        self, python: Path, environment: Mapping[str, str], working_folder: Path, base_folder: Path, log: LogBook
    ):
        self.pid = 0
        self.ready: Mapping[str, Any] = {}
        self.ended = threading.Event()
        self._python = python
        self._environment = dict(environment)
        self._working_folder = working_folder
        self._base_folder = base_folder
        self._log = log
        self._phase = "start"
        self._stopping = threading.Lock()
        self._reading = threading.Condition()
        self._read_bytes = 0
        self._cancelled = False
        # A socket's path is limited to 104 bytes on macOS and 108 on Linux: a short folder of its own, not the work
        # folder.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="mainstage-", dir="/tmp" if os.path.isdir("/tmp") else None))
        self._socket = str(self._socket_folder / "http")
        self._client = Client(self._socket)
        self._process: subprocess.Popen[bytes] | None = None
        self._life = -1

    def start(self, timeout_seconds: float) -> None:
        """Returns when /ping answers 200. Raises HostFailed; the process is gone then."""
        deadline = time.monotonic() + timeout_seconds
        try:
            with self._stopping:
                if self._cancelled:
                    raise HostFailed("died", "it was stopped before it started")
                reports = self._launch()
            try:
                self._follow(reports, deadline, timeout_seconds)
            finally:
                os.close(reports)
            self._ping(deadline, timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> int:
        reports, to_reports = os.pipe()
        life, self._life = os.pipe()
        try:
            process = subprocess.Popen(
                [str(self._python), "-u", str(_SERVING), self._socket, str(to_reports), str(life)],
                env=self._environment,
                cwd=self._working_folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(to_reports, life),
                start_new_session=True,
            )
        except OSError as error:
            os.close(reports)
            raise HostFailed("environment", f"{self._python} cannot be started: {error}") from error
        finally:
            os.close(to_reports)
            os.close(life)
        self._process = process
        self._reader = threading.Thread(target=self._read_log, args=(process,), name="mainstage-host-log", daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, args=(process,), name="mainstage-host-wait", daemon=True).start()
        return reports

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        rest = b""
        while True:
            poll.poll()
            with self._reading:  # read and noted in one: see settle_log
                chunk = os.read(descriptor, 65536)
                self._read_bytes += len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._log.add(line)
                if rest and (not chunk or len(rest) > _MAX_LINE_BYTES):  # the end, or a model that prints no newline
                    self._log.add(rest)
                    rest = b""
                if not chunk:
                    process.stdout.close()
                self._reading.notify_all()
                if not chunk:
                    return

    def settle_log(self) -> None:
        """Returns when all that the container has printed until now is in the log. At most 5 s."""
        with self._reading:
            stream = self._process.stdout if self._process else None
            if stream is None or stream.closed:
                return
            waiting = fcntl.ioctl(stream.fileno(), termios.FIONREAD, bytes(4))
            printed = self._read_bytes + int.from_bytes(waiting, sys.byteorder)
            self._reading.wait_for(lambda: self._read_bytes >= printed or stream.closed, _SETTLE_SECONDS)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        if self.pid:
            with suppress(OSError):  # nobody left, which is usual: the init has ended them
                os.killpg(self.pid, signal.SIGKILL)
        self.ended.set()
        self._client.close()

    def _follow(self, reports: int, deadline: float, timeout_seconds: float) -> None:
        buffer = b""
        poll = select.poll()  # not select(): a rehearsal may have more than 1024 files open
        poll.register(reports, select.POLLIN)
        while not self.ready:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise self._hung(timeout_seconds)
            chunk = os.read(reports, 65536)
            if not chunk:
                raise self._died()
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    def _take(self, report: Mapping[str, Any]) -> None:
        self._phase = report.get("phase", self._phase)
        self.pid = report.get("pid", self.pid)
        self.ready = report.get("ready", self.ready)
        failed = report.get("failed")
        if failed:
            self._await_last_words()
            raise HostFailed(failed["phase"], failed["message"], self._log.tail(), failed["versions"])

    def _ping(self, deadline: float, timeout_seconds: float) -> None:
        """Until it answers, as SageMaker asks again and again until the start-up's time is over."""
        answer = None
        while answer is None:
            left = deadline - time.monotonic()
            try:
                answer = self._client.request("GET", "/ping", None, {}, min(_PING_TIMEOUT_SECONDS, max(0.1, left)))
            except TimeoutError as error:
                if left <= 0:
                    raise self._hung(timeout_seconds) from error
            except OSError as error:
                raise self._died() from error
        if answer.status != 200:
            raise HostFailed("died", f"GET /ping answered {answer.status} instead of 200", self._log.tail())

    def _hung(self, timeout_seconds: float) -> HostFailed:
        if self.pid:
            with suppress(OSError):
                os.kill(self.pid, signal.SIGUSR1)  # faulthandler writes where every thread stands
            until = time.monotonic() + _STACK_SECONDS
            while not self._standing() and time.monotonic() < until:
                time.sleep(0.02)
        doing = _DOING.get(self._phase, self._phase)
        reason = f"the model was not ready within {timeout_seconds:g} s: still {doing}{self._standing()}"
        self.stop()
        return HostFailed("hang", reason, self._log.tail())

    def _standing(self) -> str:
        """The person's line that the stack dump names first, such as " (inference.py line 12, in model_fn)"."""
        code = str(self._base_folder)
        for line in self._log.lines():
            text = line.strip()
            if text.startswith('File "') and code in text:
                path, _, rest = text[6:].partition('", ')
                return f" ({Path(path).name} {rest.replace(' in ', ', in ')})"
        return ""

    def _died(self) -> HostFailed:
        self.ended.wait(3)
        self._await_last_words()
        return HostFailed(
            "died", f"the model's process ended while {_DOING[self._phase]}: {self.end_text()}", self._log.tail()
        )

    def end_text(self) -> str:
        """How the process ended: "exit code 3", "signal SIGSEGV"."""
        code = self._process.returncode if self._process else None
        if code is None:
            return "it is still ending"
        number = -code if code < 0 else code - 128
        with suppress(ValueError):
            if number > 0:
                return f"signal {signal.Signals(number).name}"
        return f"exit code {code}"

    def _await_last_words(self) -> None:
        """Waits for the last words of a process that has ended."""
        self.ended.wait(3)
        self._reader.join(1)

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> HostAnswer:
        """POST /invocations. Raises as Client.request does."""
        answer = self._client.request("POST", "/invocations", body, headers, timeout_seconds)
        if answer.status >= 500:
            self.settle_log()  # whoever looks for the reason now finds it
        return answer

    def stop(self) -> None:
        """Ends the process and all that it started: SIGTERM, a second later SIGKILL. May be called again."""
        with self._stopping:
            self._cancelled = True
            if self._life >= 0:
                os.close(self._life)  # the init sees it and ends everything
                self._life = -1
            if self._process is not None and not self.ended.wait(4):
                self._process.kill()
                self.ended.wait(2)
            if self._process is not None:
                self._reader.join(1)  # for its last words
            self._client.close()
            shutil.rmtree(self._socket_folder, ignore_errors=True)
