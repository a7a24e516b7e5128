"""One execution environment: a process, its Runtime API, its freezing, its end."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from infra.rehearsal.cloud.functions.deployment import Deployment
from infra.rehearsal.cloud.functions.invocation import MOST_RESPONSE_BYTES, Invocation, error_payload
from infra.rehearsal.cloud.functions.logs import EnvironmentLog
from infra.rehearsal.cloud.functions.messages import Malformed, Reader, Request, answer
from infra.rehearsal.cloud.functions.pump import Pump
from infra.rehearsal.cloud.functions.replies import event, exit_text, refused, unknown_extension

BOOTSTRAP = Path(__file__).with_name("child") / "bootstrap.py"
GUARD = Path(__file__).parents[1] / "model_host" / "container" / "guard.py"
MOST_EXTENSIONS = 10
"""https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html"""
_RUNTIME, _EXTENSION = "/2018-06-01/runtime", "/2020-01-01/extension"

log = logging.getLogger(__name__)


class InitFailed(Exception):
    """The environment did not get ready. `payload` is what the caller of the invocation gets."""

    def __init__(self, payload: bytes):
        super().__init__(payload.decode("utf-8", "replace"))
        self.payload = payload


class InitTimedOut(Exception):
    """The environment was not ready in time; it is gone."""


class Gone(Exception):
    """The environment ended before it got the invocation."""


@dataclass
class _Extension:
    name: str
    events: frozenset[str]
    waiting: socket.socket | None = None
    asked: bool = False
    """Whether it has asked for its first event: the init phase waits for that."""


@dataclass(frozen=True)
class Launch:
    """What a process is started with."""

    variables: Mapping[str, str]
    """The whole environment but AWS_LAMBDA_RUNTIME_API."""
    task_folder: Path
    make_log: Callable[[int], EnvironmentLog]
    """From the read end of the process's output."""


@dataclass
class _Phase:
    """What is guarded by the environment's lock."""

    runtime_waiting: socket.socket | None = None
    runtime_asked: bool = False
    extensions: dict[str, _Extension] = field(default_factory=dict)
    ready: bool = False
    init_error: bytes = b""
    current: Invocation | None = None
    ended: bool = False


class Environment:
    """Serves one invocation at a time. Thread-safe.

    `on_free(environment, invocation)` is called when runtime and extensions have both asked for the next event,
    `on_end(environment, invocation or None, exit text)` when the process is gone; each on a thread of its own.
    """

    def __init__(
        self,
        deployment: Deployment,
        pump: Pump,
        *,
        on_free: Callable[[Environment, Invocation], None],
        on_end: Callable[[Environment, Invocation | None, str], None],
    ):
        self.deployment = deployment
        self.pid = 0
        self.init_ms: float | None = None
        self.log: EnvironmentLog | None = None
        self._pump = pump
        self._on_free = on_free
        self._on_end = on_end
        self._lock = threading.Lock()
        self._phase = _Phase()
        self._settled = threading.Event()
        """Set when the init phase is over, in whatever way."""
        self._frozen = False
        self._process: subprocess.Popen[bytes] | None = None
        self._waiter: threading.Thread | None = None

    # -- life

    def launch(self, launch: Launch, watch: Callable[[int], None]) -> None:
        """Starts the process. `watch` gets its group at once."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._listener = listener
        read_end, write_end = os.pipe()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-S", "-P", str(BOOTSTRAP), str(GUARD)],
                env={**launch.variables, "AWS_LAMBDA_RUNTIME_API": address},
                cwd=launch.task_folder,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            os.close(read_end)
            listener.close()
            raise
        finally:
            os.close(write_end)
        self.pid = self._process.pid
        watch(self.pid)
        self.log = launch.make_log(read_end)
        self._pump.watch(read_end, self.log.drain)
        self._pump.watch(listener, self._accept)
        self._waiter = threading.Thread(target=self._wait, name=f"lambda-{self.deployment.name}", daemon=True)
        self._waiter.start()

    def wait_ready(self, seconds: float) -> None:
        """Returns when runtime and extensions wait for their first event.

        Raises InitFailed, or InitTimedOut after `seconds`; the process has ended then.
        """
        started = time.perf_counter()
        if not self._settled.wait(seconds):
            self.kill()
            raise InitTimedOut
        with self._lock:
            ready, error = self._phase.ready, self._phase.init_error
        if not ready:
            self.kill()
            raise InitFailed(error)
        self.init_ms = (time.perf_counter() - started) * 1000

    def freeze(self) -> None:
        """Stops the process and what it has started, as Lambda freezes an environment that waits."""
        self._frozen = True
        self._signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Ends the process at once and returns when it is gone."""
        self._signal(signal.SIGKILL)
        waiter = self._waiter
        if waiter is not None and waiter is not threading.current_thread():
            waiter.join(5)

    def _signal(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)  # not self.pid, which is 0 for a moment yet: that is our own group

    def _wait(self) -> None:
        process = self._process
        assert process is not None
        assert self.log is not None
        if hasattr(os, "waitid"):  # not on macOS before Python 3.13
            # Seen before it is reaped: its number is still its own while the rest of its group is ended.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        text = exit_text(process.wait())
        with self._lock:
            self._phase.ended = True
            current, self._phase.current = self._phase.current, None
            if not self._phase.ready and not self._phase.init_error:
                self._phase.init_error = error_payload("Runtime.ExitError", f"RequestId: {uuid.uuid4()} Error: {text}")
        self.log.end()
        self._settled.set()
        self._pump.forget(self._listener)
        self._pump.forget(self.log.pipe)
        self._on_end(self, current, text)

    @property
    def ended(self) -> bool:
        """Whether the process is gone; `on_end` comes after that."""
        return self._phase.ended

    # -- invocations

    def begin(self, invocation: Invocation, deadline_ms: int) -> None:
        """Hands the invocation over. Gone when the process has ended meanwhile."""
        assert self.log is not None
        with self._lock:
            phase = self._phase
            if phase.ended or phase.runtime_waiting is None or self._dead():
                raise Gone
            phase.current = invocation
            # Here, so that it is the invocation's first line, and that one which is not handed over has none.
            invocation.log_position = self.log.position
            self.log.note(f"START RequestId: {invocation.request_id} Version: {self.deployment.version}")
            runtime, phase.runtime_waiting = phase.runtime_waiting, None
            extensions = [one for one in phase.extensions.values() if "INVOKE" in one.events]
            sockets = [one.waiting for one in extensions if one.waiting is not None]
            for one in extensions:
                one.waiting = None
        invocation.init_ms, self.init_ms = self.init_ms, None
        trace = f"Root=1-{int(time.time()):08x}-{invocation.request_id.replace('-', '')[:24]};Sampled=0"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": trace,
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)
        # A process that ends now is seen by its waiter, which answers for it.
        with suppress(OSError):
            for one in sockets:
                one.sendall(event(invocation, deadline_ms, trace))
            runtime.sendall(answer(200, invocation.payload, headers))
        invocation.payload = b""

    def _dead(self) -> bool:
        """Whether the process has ended, which its waiter may not have noticed yet."""
        if not hasattr(os, "waitid"):
            return False
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:  # reaped
            return True

    def time_out(self, invocation: Invocation) -> bool:
        """Ends the process when it is still busy with this invocation. False when it is not."""
        with self._lock:
            if self._phase.current is not invocation:
                return False
            invocation.timed_out = True
        self._signal(signal.SIGKILL)
        return True

    # -- the Runtime and Extensions APIs

    def _accept(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return True
        except OSError:
            return False
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._serve, args=(connection,), name="lambda-runtime-api", daemon=True).start()
        return True

    def _serve(self, connection: socket.socket) -> None:
        reader = Reader(connection)
        with connection:
            try:
                while (request := reader.next()) is not None:
                    reply, then = self._handle(request, connection)
                    if reply:
                        connection.sendall(reply)
                    if then is not None:
                        then()
            except (OSError, Malformed, ValueError) as problem:
                log.debug("%s: Runtime API: %s", self.deployment.name, problem)
            finally:
                self._hung_up(connection)

    def _hung_up(self, connection: socket.socket) -> None:
        with self._lock:
            if self._phase.runtime_waiting is connection:
                self._phase.runtime_waiting = None
            for one in self._phase.extensions.values():
                if one.waiting is connection:
                    one.waiting = None

    def _handle(self, request: Request, connection: socket.socket) -> tuple[bytes, Callable[[], None] | None]:
        """The answer (nothing while it waits for an invocation) and what is to be done after it has been sent."""
        asked = (request.method, request.path.partition("?")[0])
        if asked == ("GET", f"{_RUNTIME}/invocation/next"):
            return self._next(connection)
        if asked == ("POST", f"{_RUNTIME}/init/error"):
            return self._init_error(request)
        if asked == ("POST", f"{_EXTENSION}/register"):
            return self._register(request), None
        if asked == ("GET", f"{_EXTENSION}/event/next"):
            return self._next_event(request, connection)
        if asked in (("POST", f"{_EXTENSION}/init/error"), ("POST", f"{_EXTENSION}/exit/error")):
            return self._extension_error(request)
        prefix, _, kind = asked[1].rpartition("/")
        base, _, request_id = prefix.rpartition("/")
        if request.method == "POST" and base == f"{_RUNTIME}/invocation" and kind in ("response", "error"):
            return self._result(request_id, kind, request.body), None
        return refused(404, "InvalidRequest", f"No such resource: {request.method} {asked[1]}"), None

    def _next(self, connection: socket.socket) -> tuple[bytes, Callable[[], None] | None]:
        with self._lock:
            phase = self._phase
            current = phase.current
            if phase.runtime_waiting is not None or (current is not None and not current.answered.is_set()):
                text = "State transition from Running to Ready is not allowed: the invocation has no response yet"
                return refused(403, "InvalidStateTransition", text), None
            phase.runtime_waiting, phase.runtime_asked = connection, True
            return b"", self._settle()

    def _next_event(self, request: Request, connection: socket.socket) -> tuple[bytes, Callable[[], None] | None]:
        with self._lock:
            extension = self._phase.extensions.get(request.headers.get("lambda-extension-identifier", ""))
            if extension is None:
                return unknown_extension(request), None
            extension.waiting, extension.asked = connection, True
            return b"", self._settle()

    def _settle(self) -> Callable[[], None] | None:
        """What follows when all wait: the end of the init phase, or of the invocation. The lock is held."""
        phase = self._phase
        # An extension that asked for no event still has to say that it is ready, once.
        waits = all(one.waiting is not None or (one.asked and not one.events) for one in phase.extensions.values())
        if phase.runtime_waiting is None or not waits or phase.ended:
            return None
        if not phase.ready:
            phase.ready = True
            return self._settled.set
        current, phase.current = phase.current, None
        return (lambda: self._on_free(self, current)) if current is not None else None

    def _init_error(self, request: Request) -> tuple[bytes, Callable[[], None] | None]:
        with self._lock:
            if self._phase.ready or self._phase.runtime_asked:
                return refused(403, "InvalidStateTransition", "The init phase is over"), None
            self._phase.init_error = request.body or error_payload("Runtime.Unknown", "")
        return answer(202, b'{"status":"OK"}'), self._settled.set

    def _register(self, request: Request) -> bytes:
        """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#extensions-registration-api-a

        Error types: aws/aws-lambda-runtime-interface-emulator, internal/lambda/rapi/handler/constants.go.
        """
        name = request.headers.get("lambda-extension-name", "")
        if not name:
            return refused(403, "Extension.InvalidExtensionName", "Empty extension name")
        try:
            events = json.loads(request.body or b"{}").get("events") or []
        except (ValueError, AttributeError) as error:
            return refused(403, "InvalidRequestFormat", str(error))
        with self._lock:
            phase = self._phase
            if phase.runtime_asked:
                return refused(403, "Extension.RegistrationClosed", "Extension registration closed already")
            for wanted in events:
                if wanted == "SHUTDOWN":
                    text = "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension"
                    return refused(403, "Extension.InvalidEventType", text)
                if wanted != "INVOKE":
                    return refused(403, "Extension.InvalidEventType", f"{wanted}: ErrorInvalidEventType")
            if any(one.name == name for one in phase.extensions.values()):
                return refused(403, "Extension.AlreadyRegistered", "Extension already registered")
            if len(phase.extensions) >= MOST_EXTENSIONS:
                text = f"Extension limit ({MOST_EXTENSIONS}) reached"
                return refused(403, "Extension.TooManyExtensions", text)
            identifier = str(uuid.uuid4())
            phase.extensions[identifier] = _Extension(name, frozenset(events))
        body = {
            "functionName": self.deployment.name,
            "functionVersion": self.deployment.version,
            "handler": self.deployment.handler,
        }
        return answer(200, json.dumps(body).encode(), {"Lambda-Extension-Identifier": identifier})

    def _extension_error(self, request: Request) -> tuple[bytes, Callable[[], None] | None]:
        with self._lock:
            if request.headers.get("lambda-extension-identifier", "") not in self._phase.extensions:
                return unknown_extension(request), None
            kind = request.headers.get("lambda-extension-function-error-type", "Extension.Unknown")
            self._phase.init_error = self._phase.init_error or error_payload(
                kind, request.body.decode("utf-8", "replace")
            )
        return answer(202, b'{"status":"OK"}'), lambda: self._signal(signal.SIGKILL)

    def _result(self, request_id: str, kind: str, body: bytes) -> bytes:
        with self._lock:
            current = self._phase.current
        if current is None or current.request_id != request_id:
            return refused(400, "InvalidRequestID", "Invalid request ID")
        if len(body) > MOST_RESPONSE_BYTES:
            text = f"Response payload size exceeded maximum allowed payload size ({MOST_RESPONSE_BYTES} bytes)."
            current.answer(error_payload("Function.ResponseSizeTooLarge", text), "Unhandled")
            return refused(
                413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({MOST_RESPONSE_BYTES} bytes)."
            )
        if not current.answer(body, "" if kind == "response" else "Unhandled"):
            return refused(403, "InvalidStateTransition", "The invocation has its response already")
        return answer(202, b'{"status":"OK"}')
