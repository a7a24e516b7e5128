"""The delivering process of one stream, seen from the cloud: started at the first record, started again when it dies.

The clock lives here: its offset from real time goes down the pipe whenever it has changed. So does the right to act:
the process asks for keys of the stream's roles, and the role's trust policy decides each time.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import infra
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.delivery.settings import Settings

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

NAMESPACE = "AWS/Firehose"
SERVICE = "firehose.amazonaws.com"
KEYS_SECONDS = 900
"""How long the process's keys hold, by the cloud's clock. A trust policy is asked again after that."""
OFFSET_SECONDS = 0.001
"""A change of the clock below this is the cost of looking."""
LONGEST_PAUSE_SECONDS = 5.0
"""Before a process that dies at once is started again."""

log = logging.getLogger(__name__)


class DeliveryProcess:
    """One stream's delivering process and the thread that keeps it alive. Thread-safe."""

    def __init__(self, cloud: Cloud, folder: Path, settings: Settings):
        self.cloud = cloud
        self.folder = folder
        self.settings = settings
        self.restarts = 0
        """How often it was started again after a death."""
        self._process: subprocess.Popen[bytes] | None = None
        self._offset = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._sending = threading.RLock()
        """Held while what to tell is looked up, told, or given to a process that starts: the last thing told is so."""
        self._thread: threading.Thread | None = None
        self._flushes = itertools.count(1)
        self._answers: dict[int, threading.Event] = {}

    def ensure(self) -> None:
        """Starts it when it has not been started. Returns at once."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._keep, name=f"firehose-{self.settings.stream}", daemon=True)
                self._thread.start()

    def update(self, settings: Settings) -> None:
        """New settings, for what is written from now on."""
        with self._sending:
            self.settings = settings
            self._send({"settings": settings.as_json()})

    def tell_time(self) -> None:
        """Tells the clock's offset when it has changed."""
        with self._sending:
            offset = self._real_offset()
            if abs(offset - self._offset) > OFFSET_SECONDS:
                self._offset = offset
                self._send({"offset": offset})

    def flush(self, timeout_seconds: float) -> None:
        """Returns when the process has tried everything that waits, or died, or the time is over."""
        self.ensure()
        number = next(self._flushes)
        done = self._answers[number] = threading.Event()
        try:
            with self._sending:
                sent = self._send({"flush": number, "offset": self._real_offset()})
            if sent:
                done.wait(timeout_seconds)
            else:
                time.sleep(min(0.02, max(0.0, timeout_seconds)))  # it is starting
        finally:
            self._answers.pop(number, None)

    def pids(self) -> list[int]:
        process = self._process
        return [process.pid] if process is not None and process.poll() is None else []

    def stop(self) -> None:
        """Ends it at once, with all that it has in hand."""
        with self._lock:
            self._stopping.set()
            process = self._process
            if process is not None and process.poll() is None:
                process.kill()
        if self._thread is not None:
            self._thread.join()

    # -- the thread -----------------------------------------------------------------------------------------

    def _keep(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            started = time.monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                with self._sending:
                    process = self._process = self._launch()
            try:
                self._listen(process)
            finally:
                process.kill()
                process.wait()
                with self._sending:
                    if process.stdin is not None:
                        with suppress(BrokenPipeError):
                            process.stdin.close()
                    if process.stdout is not None:
                        process.stdout.close()
            for waiting in list(self._answers.values()):
                waiting.set()
            if not self._stopping.is_set():
                self.restarts += 1
                log.warning("%s: the delivering process ended (%s); it is started again",
                            self.settings.stream, process.returncode)  # fmt: skip
            lived = time.monotonic() - started
            pause = 0.0 if lived > 2 * LONGEST_PAUSE_SECONDS else min(LONGEST_PAUSE_SECONDS, max(0.05, pause * 2))

    def _launch(self) -> subprocess.Popen[bytes]:
        root = str(Path(infra.__file__ or "").resolve().parents[1])
        self._offset = self._real_offset()
        start = {
            "folder": str(self.folder),
            "url": self.cloud.serve(),
            "settings": self.settings.as_json(),
            "offset": self._offset,
        }
        with (self.folder / "log").open("ab") as own_log:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.rehearsal.cloud.delivery.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=own_log,
                cwd=self.folder,
                # Nothing of a person's AWS settings reaches it.
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "PYTHONPATH": root,
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "AWS_CONFIG_FILE": os.devnull,
                    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "TZ": "UTC",
                },
                start_new_session=True,
            )
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(start).encode() + b"\n")
            process.stdin.flush()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith(b"\n"):
                return  # it died while it wrote
            report = json.loads(line)
            if "ask" in report:
                self._send(self._keys(report["ask"]))
            elif "flushed" in report:
                waiting = self._answers.get(report["flushed"])
                if waiting is not None:
                    waiting.set()
            else:
                self._post(report["metrics"])

    def _keys(self, role: str) -> dict[str, Any]:
        try:
            principal = self.cloud.principals.assume(
                role, service=SERVICE, session_name=self.settings.stream, source_arn=self.settings.arn
            )
        except AwsError as error:
            return {"role": role, "refused": error.message}
        keys = self.cloud.principals.mint(principal, duration_seconds=KEYS_SECONDS)
        assert keys.expiration is not None
        return {
            "role": role,
            "keys": {
                "access_key_id": keys.access_key_id,
                "secret_access_key": keys.secret_access_key,
                "session_token": keys.session_token,
                "expires": keys.expiration.timestamp(),
            },
        }

    def _post(self, metrics: list[list[Any]]) -> None:
        at = self.cloud.clock.now()
        for name, value, unit in metrics:
            self.cloud.metrics.put(
                NAMESPACE,
                name,
                value,
                region=self.settings.region,
                dimensions={"DeliveryStreamName": self.settings.stream},
                unit=unit,
                at=at,
            )

    def _send(self, message: dict[str, Any]) -> bool:
        """False when there is nobody to take it; a process that starts gets everything with its start."""
        with self._sending:
            process = self._process
            if process is None or process.stdin is None or process.stdin.closed or process.poll() is not None:
                return False
            try:
                process.stdin.write(json.dumps(message).encode() + b"\n")
                process.stdin.flush()
            except (BrokenPipeError, ValueError):
                return False
            return True

    def _real_offset(self) -> float:
        return (self.cloud.clock.now() - datetime.now(UTC)).total_seconds()
