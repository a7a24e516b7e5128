"""Runs a Pulumi program in this process, on a thread, event loop and context of its own, as often as wanted."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pulumi
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import settings as pulumi_settings

from infra.rehearsal.engine.deployment import Settings

Program = Callable[[], object]
"""The body of a stack: registers resources, may be a coroutine function."""

PARALLEL_OPERATIONS = 64
"""How many operations run at once. The SDK waits for each in a thread of its own."""


def run(
    program: Program,
    settings: Settings,
    secret_keys: Sequence[str],
    monitor: Any,
    engine: Any,
    *,
    interrupt: Callable[[], None],
) -> BaseException | None:
    """Runs the program and gives back what it raised.

    `interrupt` is called when the person interrupts: what is under way then ends by itself, and the interruption is
    raised again.
    """
    outcome: list[BaseException | None] = [None]
    context = contextvars.copy_context()

    def body() -> None:
        try:
            _run(program, settings, secret_keys, monitor, engine)
        except BaseException as error:
            outcome[0] = error

    thread = threading.Thread(target=context.run, args=(body,), name=f"pulumi-{settings.stack}")
    thread.start()
    try:
        thread.join()
    except BaseException:
        interrupt()
        thread.join()
        raise
    error = outcome[0]
    if error is not None:
        _tidy_up(error)
    return error


def _run(program: Program, settings: Settings, secret_keys: Sequence[str], monitor: Any, engine: Any) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # What a task raised is in the ledger or is raised below; asyncio would print it a second time.
    loop.set_exception_handler(lambda _loop, _context: None)
    loop.set_default_executor(ThreadPoolExecutor(PARALLEL_OPERATIONS, thread_name_prefix=f"pulumi-{settings.stack}"))
    try:
        _configure(settings.config, settings, secret_keys, monitor, engine)
        loop.run_until_complete(pulumi.runtime.run_in_stack(program))  # pyright: ignore[reportArgumentType] (it takes any result)
    finally:
        try:
            _drain(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def _configure(
    config: Mapping[str, str], settings: Settings, secret_keys: Sequence[str], monitor: Any, engine: Any
) -> None:
    pulumi_settings.ROOT.set(None)
    pulumi_config.set_all_config(dict(config), list(secret_keys))
    pulumi_settings.configure(
        pulumi_settings.Settings(
            project=settings.project,
            stack=settings.stack,
            monitor=monitor,
            engine=engine,
            dry_run=settings.preview,
            organization=settings.organization,
            root_directory=".",
        )
    )


def _tidy_up(error: BaseException) -> None:
    """Lets go of what a failed run left behind, in silence.

    The SDK makes coroutines that it awaits one after the other; when the first fails, Python would complain about the
    others whenever it next collects garbage, in the middle of something else. To collect it here would look through
    everything that the process holds, which takes up to a second.
    """
    warnings.filterwarnings("ignore", r"coroutine '[\w.<>]+' was never awaited", RuntimeWarning)
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            traceback.clear_frames(link.__traceback__)
            chain += [link.__cause__, link.__context__]


def _drain(loop: asyncio.AbstractEventLoop) -> None:
    """Lets operations under way finish, then ends every task that waits for something that won't come."""
    loop.run_until_complete(loop.shutdown_default_executor())
    for _ in range(100):  # a cancelled task may start others; none does so for ever
        pending = asyncio.all_tasks(loop)
        if not pending:
            break
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
