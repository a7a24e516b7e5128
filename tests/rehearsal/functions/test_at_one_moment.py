"""What comes at the same moment: an environment's end, its log on the way, an answer, the start of the host. Each test
forces the order in which something was lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.functions import host as host_module
from infra.rehearsal.cloud.functions.environment import Environment
from infra.rehearsal.cloud.functions.invocation import Invocation
from infra.rehearsal.cloud.functions.logs import EnvironmentLog

from .conftest import Bench, eventually


@pytest.mark.parametrize("source", ["import time\ntime.sleep(30)", "import os\nos._exit(3)"])
def test_how_init_went_reaches_the_log_also_when_it_was_shipped_just_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    end = host_module.Functions._end

    def end_and_ship(host: host_module.Functions, *given: Any) -> None:
        end(host, *given)
        host._logs()  # what the shipper does a few times a second

    monkeypatch.setattr(host_module.Functions, "_end", end_and_ship)
    if "sleep" in source:
        monkeypatch.setattr(host_module, "INIT_SECONDS", 0.3)
    bench.deploy(source, Timeout=1)

    assert bench.invoke({})[1] == "Unhandled"
    lines = bench.log_lines()
    assert [line.partition("\t")[2] for line in lines if line.startswith("INIT_REPORT")] == (
        ["Phase: init\tStatus: timeout"] * 2 if "sleep" in source else ["Phase: init\tStatus: error"]
    )


def test_a_flush_ships_the_lines_of_an_environment_that_is_just_ending(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, seen = host_module.Functions._account, list[str]()

    def account_and_flush(host: host_module.Functions, *given: Any, **options: Any) -> None:
        account(host, *given, **options)
        seen.extend(bench.log_lines())

    monkeypatch.setattr(host_module.Functions, "_account", account_and_flush)
    bench.deploy("""
        import os
        def handler(event, context):
            print("before the end", flush=True)
            os._exit(3)
    """)

    assert bench.invoke({})[1] == "Unhandled"
    eventually(lambda: seen)
    assert [line for line in seen if line in ("before the end", "Runtime.ExitError")] == [
        "before the end",
        "Runtime.ExitError",
    ]


def test_a_flush_waits_for_the_log_of_an_ended_environment_that_is_being_shipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.deploy("import os\ndef handler(event, context):\n    os._exit(3)")
    host = functions.functions_of(bench.cloud)
    host._shipper.close()  # its part is played here
    ship, shipping, go_on = EnvironmentLog.ship, threading.Event(), threading.Event()

    def slow(log: EnvironmentLog) -> None:
        if threading.current_thread() is shipper:
            shipping.set()
            go_on.wait(20)
        ship(log)

    monkeypatch.setattr(EnvironmentLog, "ship", slow)
    seen: list[str] = []
    shipper = threading.Thread(target=host._logs)
    reader = threading.Thread(target=lambda: seen.extend(bench.log_lines()))

    assert bench.invoke({})[1] == "Unhandled"
    eventually(lambda: host._ended_logs)
    shipper.start()
    assert shipping.wait(20)
    reader.start()
    reader.join(0.3)
    go_on.set()
    reader.join()
    shipper.join()

    assert "Runtime.ExitError" in seen


def test_a_process_that_ended_before_its_pool_knew_it_is_none_of_its_members(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = host_module.Pool.joined

    def late(pool: host_module.Pool, environment: Environment) -> bool:
        eventually(lambda: environment not in functions.functions_of(bench.cloud)._environments)
        return joined(pool, environment)

    monkeypatch.setattr(host_module.Pool, "joined", late)
    bench.deploy("import os\nos._exit(3)")

    assert bench.invoke({})[1] == "Unhandled"
    assert bench.pids() == []


def test_an_environment_that_ended_before_it_got_the_invocation_has_no_line_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.deploy("import os\ndef handler(event, context):\n    return os.getpid()")
    first, _ = bench.invoke()
    bench.log_lines()
    acquire, end, over = host_module.Pool.acquire, host_module.Functions._end, threading.Event()

    def killed(pool: host_module.Pool) -> Environment:
        environment = acquire(pool)
        if environment.pid == first:
            os.kill(first, signal.SIGKILL)
            eventually(environment._dead)
        return environment

    def late(host: host_module.Functions, *given: Any) -> None:
        over.wait(20)
        end(host, *given)

    monkeypatch.setattr(host_module.Pool, "acquire", killed)
    monkeypatch.setattr(host_module.Functions, "_end", late)

    second, error = bench.invoke()
    over.set()
    eventually(lambda: bench.pids() == [second])

    assert error == ""
    starts = [line.split()[2] for line in bench.log_lines() if line.startswith("START")]
    assert len(set(starts)) == len(starts) == 2


def test_two_answers_to_one_invocation_do_not_mix() -> None:
    """The response that a process has posted, and what is answered for a process that has ended."""
    invocation = Invocation("r", b"{}", arn="a", client_context="", at=datetime.now(UTC))
    both_looked = threading.Barrier(2)

    class Answered(threading.Event):
        def is_set(self) -> bool:
            found = super().is_set()
            with suppress(threading.BrokenBarrierError):
                both_looked.wait(0.3)
            return found

    invocation.answered = Answered()
    given = (b"posted", ""), (b"ended", "Unhandled")
    taken: list[tuple[bytes, str]] = []
    threads = [threading.Thread(target=lambda one=one: invocation.answer(*one) and taken.append(one)) for one in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert taken == [(invocation.reply, invocation.function_error)]


def test_a_host_is_whole_before_its_logs_are_shipped(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped: list[list[EnvironmentLog]] = []

    class Eager:
        def __init__(self, logs: Callable[[], list[EnvironmentLog]]):
            shipped.append(logs())

        def close(self) -> None: ...

    monkeypatch.setattr(host_module, "Shipper", Eager)
    functions.functions_of(cloud)
    assert shipped == [[]]


def test_an_end_that_comes_as_the_process_is_started_ends_that_process_and_not_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "killpg", lambda *given: ended.append(given))
    given: Any = SimpleNamespace(returncode=None, pid=4711)
    environment = Environment(given, given, on_free=given, on_end=given)
    environment._process = given

    environment.kill()

    assert ended == [(4711, signal.SIGKILL)]
