"""The host of a cloud's functions: finds the deployment, admits, hands over, accounts for what happened."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import UnknownFunctionException
from moto.awslambda.utils import get_backend

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.functions.deadlines import Deadlines
from infra.rehearsal.cloud.functions.deployment import CodeStore, Deployment, deployment_of
from infra.rehearsal.cloud.functions.environment import Environment, Gone, InitFailed, InitTimedOut, Launch
from infra.rehearsal.cloud.functions.invocation import Answer, Invocation, error_payload
from infra.rehearsal.cloud.functions.keeper import Keeper
from infra.rehearsal.cloud.functions.logs import EnvironmentLog, Shipper
from infra.rehearsal.cloud.functions.measures import publish_invocation, publish_throttle
from infra.rehearsal.cloud.functions.pool import Drained, Pool
from infra.rehearsal.cloud.functions.pump import Pump
from infra.rehearsal.cloud.functions.report import init_start, report_line
from infra.rehearsal.cloud.functions.surroundings import ASSUMED_BY, check_key, runtime_folder, variables_of
from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.lambda_settings import settings_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

INIT_SECONDS = 10.0
"""The init phase of an on-demand function (developer guide, "Lambda execution environment lifecycle")."""
ACCOUNT_CONCURRENCY = 1000
"""An account's default; a young account may have less (developer guide, "Lambda quotas")."""
FLUSH_SECONDS = 2.0
_Key = tuple[str, str]
_folders = itertools.count(1)


class Functions:
    """Runs the functions of one cloud. Thread-safe."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        # Of its own: a former host, which a reset ends, takes its folder away.
        self._folder = cloud.directory / "functions" / str(next(_folders))
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._code = CodeStore(self._folder)
        self._packages = runtime_folder(self._folder / "runtime")
        self._keeper = Keeper()
        self._pump = Pump()
        self._deadlines = Deadlines()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._choosing = threading.Lock()
        """Held while a deployment is read and its pool chosen, or a caller with an older reading would replace the pool
        of a newer one."""
        self._pools: dict[tuple[str, str, str], Pool] = {}
        self._environments: set[Environment] = set()
        """Every one whose process has not ended, those of drained pools too."""
        self._busy: Counter[_Key] = Counter()
        self._ended_logs: list[EnvironmentLog] = []
        self._retiring = threading.Lock()
        """Held while logs of environments that have ended are shipped: whoever flushes waits for those that another
        thread has taken."""
        self._lost: Counter[str] = Counter()
        self._closed = False
        self._shipper = Shipper(self._logs)  # last: it looks at all this

    # -- what callers use

    def invoke(
        self,
        region: str,
        name: str,
        payload: bytes,
        *,
        qualifier: str | None = None,
        client_context: str = "",
        tail: bool = False,
    ) -> Answer:
        """Runs a function (name or ARN) and returns as soon as its runtime has posted the response.

        payload: JSON. tail: waits for the end of the invocation and brings the end of its log. AwsError for what Lambda
        refuses: ResourceNotFoundException, TooManyRequestsException, AccessDeniedException, KMS….
        """
        if self._closed:
            raise AwsError("ServiceException", "The emulated cloud is closing.", 500)
        deployment = self.deployment(region, name, qualifier)
        invocation = Invocation(
            stable_uuid(self._cloud.seed, "invocation", next(self._numbers)),
            payload,
            arn=f"{deployment.arn}:{qualifier}" if qualifier else deployment.arn,
            client_context=client_context,
            at=self._cloud.clock.now(),
        )
        busy = self._admit(deployment)
        environment = None
        try:
            environment = self._begin(invocation, region, name, qualifier)
        except InitFailed as failure:
            invocation.answer(failure.payload, "Unhandled")
            publish_invocation(self._cloud, deployment, invocation, busy)
            self._leave(deployment)
            return Answer(failure.payload, "Unhandled", deployment.version)
        except BaseException:
            self._leave(deployment)
            raise
        invocation.answered.wait()
        log_tail = b""
        if tail:
            invocation.over.wait()
            assert environment.log is not None
            log_tail = environment.log.tail(invocation.log_position, invocation.log_end)
        return Answer(invocation.reply, invocation.function_error, environment.deployment.version, log_tail)

    def deployment(self, region: str, name: str, qualifier: str | None = None) -> Deployment:
        """What is deployed under a name or ARN now. AwsError ResourceNotFoundException."""
        backend = get_backend(self._cloud.account_id, region)
        try:
            function = backend.get_function(name.rpartition(":function:")[2] or name, qualifier)
        except UnknownFunctionException as missing:
            raise AwsError("ResourceNotFoundException", str(missing.message), 404, Type="User") from None
        return deployment_of(function, settings_of(self._cloud, region, function.function_name))

    def pids(self, name: str, region: str | None = None) -> list[int]:
        """The processes of a function's execution environments."""
        wanted = region or self._cloud.region
        with self._lock:
            pools = [pool for (where, owner, _), pool in self._pools.items() if (where, owner) == (wanted, name)]
        return sorted(one.pid for pool in pools for one in pool.members())

    def flush(self) -> None:
        """Returns when every line that was written so far has reached CloudWatch Logs, or is lost.

        Waits before that, two seconds at most, for the invocations under way to end.
        """
        deadline = time.monotonic() + FLUSH_SECONDS
        while self._busy.total() and time.monotonic() < deadline:
            time.sleep(0.002)
        for log in self._logs():
            log.drain()
            log.ship()

    def lost_lines(self, name: str) -> int:
        """Log lines of a function that its role may not write."""
        with self._lock:
            running = [one.log for one in self._environments if one.deployment.name == name]
        return self._lost[name] + sum(log.lost for log in running if log is not None)

    def forget(self, region: str, name: str, version: str | None = None) -> None:
        """Ends the environments of a function, or of one version, that has been deleted."""
        with self._lock:
            keys = [key for key in self._pools if key[:2] == (region, name) and version in (None, key[2])]
            pools = [self._pools.pop(key) for key in keys]
        for pool in pools:
            pool.drain()

    def close(self) -> None:
        """Ends every process and thread."""
        with self._lock:
            self._closed = True
            pools, self._pools = list(self._pools.values()), {}
        self._shipper.close()
        for pool in pools:
            pool.drain()
        with self._lock:
            left = list(self._environments)
        for one in left:
            one.kill()
        self._deadlines.close()
        self._pump.close()
        self._keeper.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- admission

    def _admit(self, deployment: Deployment) -> int:
        """Counts the invocation in and returns how many run then. AwsError TooManyRequestsException."""
        key = (deployment.region, deployment.name)
        reserved = deployment.reserved_concurrency
        with self._lock:
            if reserved is not None and self._busy[key] >= reserved:
                reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
            elif reserved is None and self._busy.total() >= ACCOUNT_CONCURRENCY:
                reason = "ConcurrentInvocationLimitExceeded"
            else:
                self._busy[key] += 1
                return self._busy[key]
        publish_throttle(self._cloud, deployment)
        raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429, Reason=reason, Type="User")

    def _leave(self, deployment: Deployment) -> None:
        with self._lock:
            self._busy[deployment.region, deployment.name] -= 1

    # -- environments

    def _begin(self, invocation: Invocation, region: str, name: str, qualifier: str | None) -> Environment:
        """Hands the invocation to an environment of what is deployed then: also when that changes while it waits."""
        while True:
            try:
                environment = self._pool(region, name, qualifier).acquire()
            except Drained:
                if self._closed:
                    raise AwsError("ServiceException", "The emulated cloud is closing.", 500) from None
                continue
            seconds = environment.deployment.timeout_seconds
            invocation.started = time.perf_counter()
            self._deadlines.add(time.monotonic() + seconds, partial(environment.time_out, invocation))
            try:
                environment.begin(invocation, int((time.time() + seconds) * 1000))
            except Gone:
                continue
            return environment

    def _pool(self, region: str, name: str, qualifier: str | None) -> Pool:
        """The pool of what is deployed now. One of an older deployment of the same version is drained."""
        with self._choosing:
            deployment = self.deployment(region, name, qualifier)
            key = (deployment.region, deployment.name, deployment.version)
            with self._lock:
                if self._closed:
                    raise AwsError("ServiceException", "The emulated cloud is closing.", 500)
                known = self._pools.get(key)
                if known is not None and known.deployment == deployment:
                    return known
                fresh = self._pools[key] = Pool(deployment, self._start)
        if known is not None:
            known.drain()
        return fresh

    def _start(self, pool: Pool) -> Environment:
        """An environment that is ready. After an init phase that took too long, it is tried once more within the
        function's own time-out, as Lambda does (developer guide, "Failures during the init phase")."""
        deployment = pool.deployment
        check_key(self._cloud, deployment)
        try:
            return self._launch(pool, INIT_SECONDS)
        except InitTimedOut:
            pass
        try:
            return self._launch(pool, deployment.timeout_seconds)
        except InitTimedOut:
            seconds = deployment.timeout_seconds
            text = f"RequestId: {self._stable('init')} Error: Task timed out after {seconds:.2f} seconds"
            raise InitFailed(error_payload("Sandbox.Timedout", text)) from None

    def _launch(self, pool: Pool, seconds: float) -> Environment:
        deployment = pool.deployment
        principal = self._assumed(deployment)
        credentials = self._cloud.principals.mint(principal)
        number = next(self._numbers)
        stream = self._stream(deployment, number)
        folder = self._folder / f"environment-{number}"
        (folder / "tmp").mkdir(parents=True)
        task = self._code.folder_of(deployment)
        environment = Environment(
            deployment,
            self._pump,
            on_free=lambda one, invocation: self._free(pool, one, invocation),
            on_end=lambda one, invocation, text: self._end(pool, one, invocation, text, folder),
        )
        variables = variables_of(
            deployment,
            credentials,
            endpoint_url=self._cloud.serve(),
            stream=stream,
            task=task,
            folder=folder,
            packages=self._packages,
        )
        started = time.perf_counter()

        def make_log(pipe: int) -> EnvironmentLog:
            log = EnvironmentLog(self._cloud, principal, deployment.region, deployment.log_group, stream, pipe)
            log.note(init_start(deployment))
            return log

        with self._lock:
            self._environments.add(environment)
        try:
            environment.launch(Launch(variables, task, make_log), self._keeper.add)
        except BaseException:
            with self._lock:
                self._environments.discard(environment)
            raise
        if not pool.joined(environment):
            environment.kill()
            raise Drained
        try:
            environment.wait_ready(seconds)
        except (InitFailed, InitTimedOut) as failure:
            status = "timeout" if isinstance(failure, InitTimedOut) else "error"
            ms = (time.perf_counter() - started) * 1000
            self._note(environment, f"INIT_REPORT Init Duration: {ms:.2f} ms\tPhase: init\tStatus: {status}")
            raise
        return environment

    def _assumed(self, deployment: Deployment) -> Any:
        """A session under the execution role. AwsError AccessDeniedException when it cannot be had (code unconfirmed;
        API Gateway's execution log shows status 403 with this sentence)."""
        try:
            principal = self._cloud.principals.assume(
                deployment.role_arn, service=ASSUMED_BY, session_name=deployment.name
            )
        except AwsError:
            text = "The role defined for the function cannot be assumed by Lambda."
            raise AwsError("AccessDeniedException", text, 403, Type="User") from None
        # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
        return replace(principal, context={**principal.context, "lambda:SourceFunctionArn": deployment.arn})

    def _stream(self, deployment: Deployment, number: int) -> str:
        day = self._cloud.clock.now().strftime("%Y/%m/%d")
        digits = stable_uuid(self._cloud.seed, "environment", deployment.name, number).replace("-", "")
        return f"{day}/[{deployment.version}]{digits}"

    def _stable(self, what: str) -> str:
        return stable_uuid(self._cloud.seed, what, next(self._numbers))

    # -- what happens to an invocation

    def _free(self, pool: Pool, environment: Environment, invocation: Invocation) -> None:
        """Runtime and extensions are done: the account of the invocation, then the environment is free."""
        self._account(environment, invocation)
        pool.release(environment)

    def _end(
        self, pool: Pool, environment: Environment, invocation: Invocation | None, text: str, folder: Path
    ) -> None:
        """The process is gone, with or without an invocation under way."""
        pool.gone(environment)
        self._keeper.drop(environment.pid)
        assert environment.log is not None
        if invocation is not None:
            request = invocation.request_id
            if invocation.timed_out:
                seconds = pool.deployment.timeout_seconds
                sentence = f"Task timed out after {seconds:.2f} seconds"
                stamp = self._cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
                environment.log.note(f"{stamp}Z {request} {sentence}", "")
                payload = error_payload("Sandbox.Timedout", f"RequestId: {request} Error: {sentence}")
            else:
                environment.log.note(f"RequestId: {request} Error: {text}", "Runtime.ExitError")
                payload = error_payload("Runtime.ExitError", f"RequestId: {request} Error: {text}")
            invocation.answer(payload, "Unhandled")
            # Counted as an error even when the caller had its answer: the invoke phase did not end well.
            self._account(environment, invocation, failed=True)
        with self._lock:
            self._environments.discard(environment)
            self._ended_logs.append(environment.log)
        shutil.rmtree(folder, ignore_errors=True)

    def _account(self, environment: Environment, invocation: Invocation, *, failed: bool = False) -> None:
        deployment = environment.deployment
        ms = (time.perf_counter() - invocation.started) * 1000
        if invocation.timed_out:
            ms = min(ms, deployment.timeout_seconds * 1000)
        with self._lock:
            busy = self._busy[deployment.region, deployment.name]
        self._note(
            environment,
            f"END RequestId: {invocation.request_id}",
            report_line(environment, invocation, ms, failed=failed),
        )
        publish_invocation(self._cloud, deployment, invocation, busy, duration_ms=ms, failed=failed)
        self._leave(deployment)
        assert environment.log is not None
        invocation.log_end = environment.log.position
        invocation.over.set()

    def _note(self, environment: Environment, *lines: str) -> None:
        """Adds lines of Lambda itself. The log of an environment that has ended may have been shipped just before: it
        is shipped again."""
        assert environment.log is not None
        environment.log.note(*lines)
        with self._lock:
            if environment not in self._environments:
                self._ended_logs.append(environment.log)

    def _logs(self) -> list[EnvironmentLog]:
        """The logs of all environments. Those that have ended it ships itself, also what another thread has taken."""
        with self._retiring:
            with self._lock:
                running = [one.log for one in self._environments if one.log is not None]
                ended, self._ended_logs = self._ended_logs, []
            for log in ended:
                log.ship()
                self._lost[log.group.removeprefix("/aws/lambda/")] += log.take_lost()
        return running


def functions_of(cloud: Cloud) -> Functions:
    """The host of this cloud's functions."""
    return state_of(cloud, Functions)


def pids(cloud: Cloud, function_name: str) -> list[int]:
    """The processes of a function's execution environments, for drills."""
    return functions_of(cloud).pids(function_name)


def flush(cloud: Cloud) -> None:
    """Returns when everything that functions have printed so far has reached CloudWatch Logs, or is lost."""
    functions_of(cloud).flush()
