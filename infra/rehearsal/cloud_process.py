"""The process of an emulated cloud that stays: one environment's account behind an HTTP endpoint, and the provider that
the real `pulumi` attaches to. `mainstage cloud start` starts it (infra/rehearsal/cloud_control.py).

It lives until SIGTERM. Its run folder holds everything there is of it, the pulumi project with its states too, so that
states last exactly as long as the cloud that they describe.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from infra import settings
from infra.problems import InputError
from infra.rehearsal import disk, pointer
from infra.rehearsal.clients import clients_of
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY, new_operator_access_key_id
from infra.rehearsal.cloud.pace import SERVED_MINUTE_SECONDS
from infra.rehearsal.cloud_control import HEARD, KIND, LOCK, PROJECT
from infra.rehearsal.provider.served import ServedProvider
from infra.settings.load import stack_file


class AlreadyRuns(ValueError):
    """Another process of this checkout has its cloud, or starts it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a cloud to its end. Tells the socket --ready one line of JSON: what the pointer says, or {"error"}."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--env", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--minute-seconds", type=float, default=SERVED_MINUTE_SECONDS)
    parser.add_argument("--ready", type=int, required=True)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    code = 0
    with socket.socket(fileno=asked.ready) as starter:
        try:
            with running(asked.root, asked.env, asked.port, asked.minute_seconds) as told:
                if _is_heard(starter, told):
                    stopped.wait()
                else:
                    code = 1
        except (AlreadyRuns, InputError, OSError) as error:
            code = 1
            _is_heard(starter, {"error": _words(error, asked.root)})
    sys.stderr.flush()
    os._exit(code)  # everything is closed; the interpreter would search all that moto holds for garbage, for seconds


def _is_heard(starter: socket.socket, told: dict[str, Any]) -> bool:
    """Tells whoever started this, and waits for the answer. Without one nobody knows of this cloud: a starter that was
    killed an instant ago still takes a line, and reads nothing."""
    try:
        starter.sendall((json.dumps(told) + "\n").encode())
        return starter.recv(1) == HEARD
    except OSError:
        return False
    finally:
        starter.close()


def _words(error: Exception, root: Path) -> str:
    return disk.told(error, root) if isinstance(error, OSError) else str(error)


@contextlib.contextmanager
def running(
    root: Path, environment: str, port: int = 0, minute_seconds: float = SERVED_MINUTE_SECONDS
) -> Iterator[dict[str, Any]]:
    """The cloud of an environment, published in the pointer file; yields what the pointer says.

    Raises AlreadyRuns, SettingsError (a broken stack file), OSError (the port is in use).
    """
    stack = f"platform-{environment}"
    loaded = settings.load_platform(settings.stack_config(stack_file(root, stack), root), stack, root)
    with contextlib.ExitStack() as open_until_the_end:
        open_until_the_end.enter_context(_only_one(root))
        folder = pointer.make_run_folder(root)
        open_until_the_end.callback(shutil.rmtree, folder, ignore_errors=True)
        cloud = open_until_the_end.enter_context(
            Cloud(
                account_id=loaded.account_id,
                region=loaded.region,
                directory=folder / "cloud",
                operator_access_key_id=new_operator_access_key_id(),
            )
        )
        cloud.pace.minute_seconds = minute_seconds
        endpoint = cloud.serve(port)
        clients = clients_of(
            cloud,
            loaded.front_door,
            access_key_id=cloud.operator_access_key_id,
            secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
        )
        provider = open_until_the_end.enter_context(ServedProvider(cloud.session))
        told = {
            "kind": KIND,
            "endpoint": endpoint,
            "environment": environment,
            "account_id": loaded.account_id,
            "region": loaded.region,
            "directory": str(folder),
            "access_key_id": cloud.operator_access_key_id,
            "secret_access_key": OPERATOR_SECRET_ACCESS_KEY,
            "provider_port": provider.port,
            "pulumi": str(folder / PROJECT),
            "token": clients.token,
            "issuer": clients.issuer.url if clients.issuer else None,
        }
        open_until_the_end.callback(pointer.remove, root)
        pointer.write(root, told)
        yield {"pid": os.getpid(), **told}


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Holds the checkout's lock, and leaves this process's id in it."""
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise AlreadyRuns(
                f"the emulated cloud of this checkout is starting or ending, process {holder}: try again in a moment"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


if __name__ == "__main__":
    main()
