"""The serving process of a model host: imports the person's code, loads the model, answers /ping and /invocations.

It stands in for the AWS image's nginx, gunicorn and Flask. It runs in the preset's environment, so it uses the standard
library alone and imports nothing of the blueprint. What differs from the image: one process with threads in place of
one process a CPU with green threads, HTTP/1.1 over a Unix domain socket in place of TCP port 8080, and the model's
folder is not at /opt/ml but below SAGEMAKER_BASE_DIR, the variable that sagemaker-containers
(src/sagemaker_containers/_env.py) itself reads for that purpose.

    python serving.py SOCKET REPORTS LIFE     REPORTS: an open pipe to write to; LIFE: one to read from, whose end is
    the end

Reports are JSON, one a line: {"phase": "start" | "import" | "load", "pid": ...}, {"ready": {...}}, {"failed": {...}}.
"""

import faulthandler
import http.server
import importlib
import json
import os
import shutil
import signal
import socketserver
import sys
import traceback
import warnings
from typing import cast

import containment
import guard
import script_mode

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Above InvokeEndpoint's limit of 25 MB (SageMaker API reference), which the emulated cloud enforces."""

_OPT_ML = "/opt/ml"


class Failed(Exception):
    """The model cannot be served. `phase` says how far it came."""

    def __init__(self, phase, message):
        super().__init__(message)
        self.phase = phase


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path, functions, model):
        self.functions, self.model = functions, model
        super().__init__(path, Handler)

    def handle_error(self, request, client_address):
        """A caller that gave up (time-out) is no error of the model."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            traceback.print_exc()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        if self.path == "/ping":
            self._send(script_mode.Response(b"", mimetype=script_mode.JSON))
        else:
            self._refuse(405 if self.path == "/invocations" else 404)

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            return self._refuse(413)
        body = self.rfile.read(length)
        if self.path != "/invocations":
            return self._refuse(405 if self.path == "/ping" else 404)
        served = cast(Server, self.server)
        try:
            answer = served.functions.answer(
                served.model, body, self.headers.get("Content-Type"), self.headers.get("Accept")
            )
        except Exception:
            # As Flask does: the traceback is for the log, the caller learns that it failed.
            traceback.print_exc()
            return self._refuse(500)
        self._send(answer)

    def _refuse(self, status):
        phrase = http.server.BaseHTTPRequestHandler.responses[status][0]
        self._send(
            script_mode.Response(
                f"<title>{status} {phrase}</title>\n<h1>{phrase}</h1>\n", status=status, mimetype="text/html"
            )
        )

    def _send(self, answer):
        body = answer.get_data()
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value.replace("\r", " ").replace("\n", " "))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def base_folder():
    return os.environ.get("SAGEMAKER_BASE_DIR", _OPT_ML)


def local_path(path):
    """Where a path of the container lies here."""
    if path == _OPT_ML or path.startswith(_OPT_ML + "/"):
        return base_folder() + path[len(_OPT_ML) :]
    return path


def place_code():
    """Puts the submitted code where the image puts it, and on sys.path. Returns the module to import.

    sagemaker-containers, src/sagemaker_containers/_env.py (SAGEMAKER_PROGRAM, SAGEMAKER_SUBMIT_DIRECTORY), _files.py
    and _modules.py: a folder is copied to /opt/ml/code, then installed with pip together with its requirements.txt.
    """
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    if not program:
        raise Failed(
            "import", "the Model's environment has no SAGEMAKER_PROGRAM: set it to the file in code/ to import"
        )
    code = os.path.join(base_folder(), "code")
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", f"{_OPT_ML}/code")
    if submitted.startswith("s3://"):
        raise Failed(
            "import",
            f"SAGEMAKER_SUBMIT_DIRECTORY is {submitted}: a rehearsal loads code from the model archive alone; "
            f"put it under code/ in model.tar.gz and set {_OPT_ML}/model/code",
        )
    source = local_path(submitted)
    if not os.path.isdir(source):
        raise Failed("import", f"SAGEMAKER_SUBMIT_DIRECTORY is {submitted}, which is not in the model archive")
    if os.path.realpath(source) != os.path.realpath(code):
        shutil.copytree(source, code, dirs_exist_ok=True)
    requirements_are_met(os.path.join(code, "requirements.txt"))
    sys.path.insert(0, code)
    return program[:-3] if program.endswith(".py") else program


def requirements_are_met(path):
    """The image runs `pip install -r requirements.txt` at start, which needs a package index. Here, as on an endpoint
    in private subnets, there is none: what the image already has passes, anything else is refused by name.
    """
    if not os.path.exists(path):
        return
    from importlib import metadata

    missing = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            text = line.split("#", 1)[0].split(";", 1)[0].strip()
            if not text or text.startswith("-"):
                continue
            name = text
            for character in "[<>=!~ @":
                name = name.split(character, 1)[0]
            try:
                have = metadata.version(name)
            except metadata.PackageNotFoundError:
                missing.append(f"{text} (the image has no {name})")
                continue
            exact = text[len(name) :].replace(" ", "")
            if exact.startswith("==") and not exact.endswith("*") and exact[2:] != have:
                missing.append(f"{text} (the image has {have})")
    if missing:
        raise Failed(
            "import",
            f"code/requirements.txt asks for {', '.join(missing)}: an endpoint in private subnets reaches no package "
            "index when it starts. Use what the image has, put pure Python code beside inference.py, or choose another "
            "preset",
        )


def load(report):
    """Imports the code and loads the model, as the image's workers do before their first answer."""
    report({"phase": "import"})
    module = place_code()
    try:
        functions = script_mode.Functions(importlib.import_module(module))
    except script_mode.UserError as error:
        raise Failed("functions", str(error)) from error
    except BaseException as error:  # SystemExit too: a script that calls sys.exit() is no module
        raise Failed("import", f"importing {module}.py raised {describe(error)}") from error
    report({"phase": "load"})
    try:
        model = functions.model_fn(os.path.join(base_folder(), "model"))
    except BaseException as error:
        message = f"model_fn raised {describe(error)}"
        if isinstance(error, FileNotFoundError) and str(error.filename or "").startswith(_OPT_ML):
            message += (
                " (a rehearsal's model folder lies elsewhere: use the model_dir argument, which is right in both)"
            )
        raise Failed("load", message) from error
    return functions, model


def describe(error):
    """The error in one line, with the last line of the person's code that it passed."""
    text = (str(error).strip().splitlines() or [""])[0][:1000]
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    here = os.path.realpath(base_folder()) + os.sep
    if isinstance(error, SyntaxError) and error.filename:
        return (
            f"{line} ({os.path.basename(error.filename)} line {error.lineno})" if error.filename not in line else line
        )
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename).startswith(here)
    ]
    return f"{line} ({os.path.basename(frames[-1].filename)} line {frames[-1].lineno})" if frames else line


class VersionWarnings:
    """Collects what frameworks say about saved objects of another version, and still prints every warning."""

    def __init__(self):
        self.found = []
        self._shown = warnings.showwarning
        warnings.showwarning = self._show

    def _show(self, message, category, filename, lineno, file=None, line=None):
        original = getattr(message, "original_sklearn_version", None)  # sklearn.exceptions.InconsistentVersionWarning
        if original is not None and len(self.found) < 50:
            self.found.append(
                {
                    "package": "scikit-learn",
                    "what": str(getattr(message, "estimator_name", "an estimator")),
                    "saved": str(original),
                    "here": str(getattr(message, "current_sklearn_version", "")),
                }
            )
        self._shown(message, category, filename, lineno, file, line)


def main(arguments):
    path, reports, life = arguments[0], int(arguments[1]), int(arguments[2])
    for descriptor in (reports, life):
        os.set_inheritable(descriptor, False)
    containment.become_contained(life, os.path.dirname(path))
    isolated = containment.enter_network_namespace()
    guard.install()
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    here = os.path.dirname(os.path.realpath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder or ".") != here]
    # A process that the model starts with multiprocessing or joblib would import the main file again: there is none.
    del sys.modules["__main__"].__file__
    script_mode.provide_container_modules()

    def report(message):
        os.write(reports, json.dumps(message).encode() + b"\n")

    report({"phase": "start", "pid": os.getpid()})
    found = VersionWarnings()
    try:
        functions, model = load(report)
        server = Server(path, functions, model)
    except Failed as failure:
        traceback.print_exception(failure.__cause__ or failure)
        sys.stderr.flush()
        report({"failed": {"phase": failure.phase, "message": str(failure), "versions": found.found}})
        os._exit(1)
    report({"ready": {"network_namespace": isolated, "versions": found.found}})
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
