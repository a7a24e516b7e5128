"""Work off the reply's path: done after the reply has gone, before the environment is frozen.

Lambda freezes an environment as soon as the runtime and every extension have asked for the next event. An *internal
extension* is a thread of the function's own process that asks for it too: while it works the environment stays awake,
and the reply, which the runtime posted meanwhile, is with the caller already.

- The protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
- The idea: "Running code after returning a response from an AWS Lambda function", AWS Compute Blog.
- An internal extension may register for INVOKE, not for SHUTDOWN (same page, "Register"); it has to before the first
  event, so this is done while the module is imported.

Where no registration is possible the same thread does the work before the reply goes, and the reply waits for it at
most `LONGEST_WAIT_SECONDS`. An exception in the work never reaches the caller.

A registration cannot be taken back. Lambda ends an invocation when the runtime and every extension have asked for the
next event (same page, "Invoke phase"), so an environment whose extension cannot ask any more would be busy until the
function's time-out with each invocation. It hands its last record over and ends the process; Lambda then starts another
environment. What Lambda makes of a process that ends after its reply was posted is unconfirmed: by the blog above the
caller has the reply by then, and Lambda counts one error of the function.
"""

from __future__ import annotations

import http.client
import json
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from mainstage_runtime import emf

EXTENSION_NAME = "mainstage-prediction-log"
API_VERSION = "2020-01-01"
REGISTER_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 0.5
REPLY_SECONDS = 1.0
"""What the reply has, before the process ends, to go from the handler to Lambda. It takes milliseconds."""
MOST_WAITING = 64
"""Pieces of work that wait for the thread. There is one at most, unless the reply does not wait to its end."""

Work = TypeVar("Work")


class _Extension:
    """This process's registration with the Extensions API."""

    def __init__(self, connection: http.client.HTTPConnection, identifier: str) -> None:
        self._connection, self._identifier = connection, identifier

    @classmethod
    def register(cls, runtime_api: str) -> _Extension | None:
        """None when the API does not take it, or is not there."""
        connection = http.client.HTTPConnection(runtime_api, timeout=REGISTER_SECONDS)
        try:
            connection.request(
                "POST",
                f"/{API_VERSION}/extension/register",
                body=json.dumps({"events": ["INVOKE"]}),
                headers={"Lambda-Extension-Name": EXTENSION_NAME, "Content-Type": "application/json"},
            )
            reply = connection.getresponse()
            reply.read()
        except (OSError, http.client.HTTPException) as error:
            emf.note("extension_not_registered", error=type(error).__name__)
            return None
        finally:
            connection.close()
        identifier = reply.getheader("Lambda-Extension-Identifier")
        if reply.status != 200 or not identifier:
            emf.note("extension_not_registered", status=reply.status)
            return None
        # Asking for the next event takes as long as there is none.
        return cls(http.client.HTTPConnection(runtime_api, timeout=None), identifier)

    def next(self) -> dict[str, Any]:
        """Says that everything is done, and waits for the next invocation.

        Raises OSError, HTTPException or ValueError."""
        self._connection.request(
            "GET", f"/{API_VERSION}/extension/event/next", headers={"Lambda-Extension-Identifier": self._identifier}
        )
        reply = self._connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise http.client.HTTPException(f"status {reply.status}")
        return json.loads(body)

    def close(self) -> None:
        self._connection.close()


class _Job(Generic[Work]):
    def __init__(self, work: Work | None) -> None:
        self.work = work
        self.done = threading.Event()


class Deferred(Generic[Work]):
    """One thread that does what the handler leaves it, in order."""

    def __init__(
        self,
        do: Callable[[Work], None],
        *,
        runtime_api: str | None,
        handler_seconds: float = 30.0,
        end: Callable[[], None] = lambda: os._exit(1),
    ) -> None:
        """`do` does one piece of work. `runtime_api` is Lambda's AWS_LAMBDA_RUNTIME_API, None outside Lambda.
        `handler_seconds` is the longest that the handler takes; `end` ends the process."""
        self._do, self._handler_seconds, self._end = do, handler_seconds, end
        self._lost = False
        self._jobs: queue.Queue[_Job[Work]] = queue.Queue(maxsize=MOST_WAITING)
        self._extension = _Extension.register(runtime_api) if runtime_api else None
        threading.Thread(target=self._run, name="deferred", daemon=True).start()

    @property
    def after_reply(self) -> bool:
        """Whether the work is done after the reply."""
        return self._extension is not None

    def leave(self, work: Work | None) -> bool:
        """To be called exactly once an invocation, last: None when there is nothing to do. Returns whether it was
        taken; never raises."""
        job = _Job(work)
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            return False
        if self._extension is None:
            job.done.wait(LONGEST_WAIT_SECONDS)
        return True

    def _run(self) -> None:
        while not self._lost:
            job = self._jobs.get() if self._extension is None else self._job_of_invocation(self._extension)
            if job is not None:
                self._work(job)
        try:
            # An invocation may be under way. If none is, none comes: Lambda waits for us.
            self._work(self._jobs.get(timeout=self._handler_seconds))
            time.sleep(REPLY_SECONDS)
        except queue.Empty:
            pass
        self._end()

    def _work(self, job: _Job[Work]) -> None:
        try:
            if job.work is not None:
                self._do(job.work)
        except Exception as error:
            emf.note("deferred_work_failed", error=type(error).__name__)
        finally:
            job.done.set()

    def _job_of_invocation(self, extension: _Extension) -> _Job[Work] | None:
        """The work that the handler leaves during the next invocation; None when it leaves none until its deadline."""
        try:
            event = extension.next()
            seconds = max(0.0, float(event["deadlineMs"]) / 1000 - time.time())
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            emf.note("extension_lost", error=type(error).__name__)
            self._extension, self._lost = None, True
            extension.close()
            return None
        try:
            return self._jobs.get(timeout=seconds)
        except queue.Empty:
            return None
