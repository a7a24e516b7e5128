"""Pulumi's language host for Python, as far as this repository needs it.

A `pulumi` that was built from its Go module has no language host beside it: the module that holds Pulumi's own is not
published with a version. The engine starts the executable `pulumi-language-python` that lies beside it
(https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/workspace/plugins.go), which runs this file. It speaks
pulumirpc.LanguageRuntime (proto/pulumi/language.proto) and runs programs, policy packs and component providers with
the virtual environment of the project. Where Pulumi is installed, its own host is used and this file is not.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import language_pb2 as messages
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

VERSION = "3.259.0"
EXITED_WITH_ERRORS_SHOWN = 32
"""Exit code of a program whose error was printed: the engine adds nothing."""

SECONDS_BETWEEN_LOOKS = 0.5


def executor() -> Path:
    """The file of Pulumi's Go module that sets up a Python program; it lies beside the executable that started us."""
    beside = os.environ.get("MAINSTAGE_PULUMI_EXECUTOR")
    if not beside:
        raise SystemExit("MAINSTAGE_PULUMI_EXECUTOR is not set; run make pulumi again")
    return Path(beside)


def options_of(info: Any) -> dict[str, Any]:
    """What runtime.options of the project's file says."""
    return MessageToDict(info.options) if info.HasField("options") else {}


def python_of(info: Any) -> str:
    """The interpreter of a program: of the virtual environment that its project names, looked for upwards from the
    project's folder, else of `.venv` there, else the one that runs this host."""
    root = Path(info.root_directory or ".").resolve()
    for name in (options_of(info).get("virtualenv"), ".venv"):
        if not name:
            continue
        for folder in (root, *root.parents):
            python = folder / str(name) / "bin" / "python"
            if python.exists():
                return str(python)
    return sys.executable


def distribution_of(folder: Path) -> str:
    """The distribution that a plugin's folder holds, whose module is the plugin; empty where a __main__.py is."""
    project = folder / "pyproject.toml"
    if (folder / "__main__.py").exists() or not project.exists():
        return ""
    return tomllib.loads(project.read_text(encoding="utf-8")).get("project", {}).get("name", "")


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs what the engine asks for, each in a process of its own."""

    def __init__(self, engine_address: str):
        self._engine_address = engine_address

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine_address = request.engine_address or self._engine_address
        return messages.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPlugins(self, request: Any, context: Any) -> Any:
        return messages.GetRequiredPluginsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:
        """None: nothing is downloaded for a program; its providers are attached or installed by hand."""
        return messages.GetRequiredPackagesResponse()

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return messages.GetProgramDependenciesResponse()

    def About(self, request: Any, context: Any) -> Any:
        return messages.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return messages.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:
        """Makes the project's virtual environment and installs its requirements.txt, as Pulumi's pip toolchain does.

        What else a project may have is told and left alone. A plugin's environment is made by hand.
        """
        folder = Path(request.info.root_directory or request.directory or ".")
        options = options_of(request.info)
        environment, asked = folder / str(options.get("virtualenv") or ".venv"), folder / "requirements.txt"
        toolchain = str(options.get("toolchain") or "pip").lower()
        if request.is_plugin:
            return
        if toolchain != "pip":
            yield _told(
                f"Nothing was installed: {folder}/Pulumi.yaml has toolchain {toolchain}, and this language host knows "
                f"pip alone. Run {toolchain} there yourself, or install Pulumi's own CLI."
            )
        elif not asked.exists():
            yield _told(
                f"Nothing to install: {folder} has no requirements.txt. What a pyproject.toml asks for is installed by "
                f"hand into {environment}."
            )
        else:
            yield _told(f"Installing what {asked} asks for into {environment}")
            try:
                yield _told(_install(asked, environment))
            except OSError as error:
                context.abort(grpc.StatusCode.UNKNOWN, f"{asked} could not be installed into {environment}: {error}")

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Run(self, request: Any, context: Any) -> Any:
        folder = request.info.program_directory or request.pwd
        command = [
            *(python_of(request.info), "-u", str(executor())),
            *("--monitor", request.monitor_address, "--engine", self._engine_address),
            *("--project", request.project, "--stack", request.stack, "--organization", request.organization),
            *("--root_directory", request.info.root_directory, "--pwd", folder),
            *("--dry_run", "true" if request.dryRun else "false", "--parallel", str(request.parallel)),
            request.info.entry_point or request.program or ".",
        ]
        environment = {
            **os.environ,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        code = subprocess.run(command, cwd=folder, env=environment, check=False).returncode
        if code == 0:
            return messages.RunResponse()
        if code == EXITED_WITH_ERRORS_SHOWN:
            return messages.RunResponse(bail=True)
        return messages.RunResponse(error=f"program exited with code {code}")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        python, folder = python_of(request.info), request.info.program_directory or request.info.root_directory
        if request.kind == "analyzer":
            command = [python, "-u", "-m", "pulumi.policy", *request.args[:1], folder]
        elif folder and (distribution := distribution_of(Path(folder))):
            command = [python, "-u", "-m", "pulumi.run.plugin", distribution, *request.args]
        else:
            command = [python, "-u", folder or request.program, *request.args]
        environment = dict(entry.split("=", 1) for entry in request.env) or dict(os.environ)
        process = subprocess.Popen(
            command, cwd=request.pwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        context.add_callback(lambda: _end(process))
        yield from _output(process)
        yield messages.RunPluginResponse(exitcode=process.wait())


def _told(text: str) -> Any:
    return messages.InstallDependenciesResponse(stdout=f"{text.rstrip()}\n".encode())


def _install(asked: Path, environment: Path) -> str:
    """Installs a requirements file and returns what was said meanwhile. By uv, which `make install` has put beside our
    own interpreter: Python's venv and pip are not on every machine. Raises OSError."""
    uv = str(Path(sys.executable).with_name("uv"))
    commands = [[uv, "pip", "install", "--python", str(environment), "-r", str(asked)]]
    if not (environment / "bin" / "python").exists():
        commands.insert(0, [uv, "venv", "--python", sys.executable, str(environment)])
    said = ""
    for command in commands:
        done = subprocess.run(
            command,
            cwd=asked.parent,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise OSError(done.stdout.strip())
        said += done.stdout
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()


def _output(process: subprocess.Popen[bytes]) -> Iterator[Any]:
    """What the process prints, as it prints it, until it closes both of its outputs."""
    printed: queue.Queue[tuple[str, bytes] | None] = queue.Queue()

    def read(stream: IO[bytes], name: str) -> None:
        while chunk := os.read(stream.fileno(), 65536):
            printed.put((name, chunk))
        printed.put(None)

    streams = [(process.stdout, "stdout"), (process.stderr, "stderr")]
    for stream, name in streams:
        threading.Thread(target=read, args=(stream, name), daemon=True).start()
    for _ in streams:
        while (chunk := printed.get()) is not None:
            name, data = chunk
            yield (
                messages.RunPluginResponse(stdout=data) if name == "stdout" else messages.RunPluginResponse(stderr=data)
            )


def end_with(engine: int) -> None:
    """Ends this process, and everything that it has started, when the engine is gone.

    An engine that ends as it should ends its hosts; one that is killed cannot. Its children get another parent then,
    at once. The engine makes each host the leader of a process group, and what a host starts is in that group.
    """
    while os.getppid() == engine:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Serves until it is ended. Prints its port, as the engine expects; ends quietly on Ctrl-C, which it gets too."""
    # The shell that became this process has noted its parent first: the engine may be gone by the time Python runs.
    engine = int(os.environ.pop("MAINSTAGE_PULUMI_ENGINE", "") or os.getppid())
    threading.Thread(target=end_with, args=(engine,), daemon=True).start()
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32), options=_GRPC_CHANNEL_OPTIONS)
    host = LanguageHost(addresses[0] if addresses else "")
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
