"""The runtime interface client of emulated functions: loads the handler, then serves invocations until it is ended.

Runs as the first program of an execution environment, in an interpreter without `site`: only the standard library, the
SDK that Lambda's Python runtimes bring, and the deployed code can be imported. Behaviour follows the open source client
of Lambda's Python runtimes (github.com/aws/aws-lambda-python-runtime-interface-client, bootstrap.py).
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback

API = "2018-06-01/runtime"
# One log event: the client joins the lines of an error with carriage returns, so that they stay together.
_LINE_BREAK = "\r"
_OWN_FILE = __file__


class Fault(Exception):
    """A mistake of the function's set-up, as the client names it: errorType, errorMessage, lines of trace."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.trace = list(trace)


class Connection:
    """One keep-alive HTTP/1.1 connection to the Runtime API. Plain sockets: http.client costs half a millisecond."""

    def __init__(self, address):
        host, _, port = address.partition(":")
        self._host = address
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def ask(self, method, path, body=None, headers=()):
        """Status, headers (lower-case names) and body of the answer. ConnectionError when the API is gone."""
        lines = [f"{method} /{API}{path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self._socket.sendall(head + (body or b""))
        return self._answer()

    def _answer(self):
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in rest:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return int(first.split(" ")[1]), headers, body

    def _more(self):
        received = self._socket.recv(1 << 18)
        if not received:
            raise ConnectionError("the Runtime API closed the connection")
        self._buffer += received


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """What a handler gets as its second argument (developer guide, "Python: context")."""

    def __init__(self, headers):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn", "")
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        client = headers.get("lambda-runtime-client-context")
        self.client_context = json.loads(client) if client else None
        self.identity = Identity()
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline_ms - int(time.time() * 1000), 0)


_current = {"id": ""}


class _RequestId(logging.Filter):
    def filter(self, record):
        record.aws_request_id = _current["id"]
        return True


class _LogHandler(logging.Handler):
    def emit(self, record):
        sys.stdout.write(self.format(record))


def _set_up_logging():
    logging.Formatter.converter = time.gmtime
    handler = _LogHandler()
    form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
    handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_RequestId())
    logging.getLogger().addHandler(handler)


def _load(name):
    """The handler's function. Raises Fault for what is wrong with it."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        )
    module_name = module_name.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        trace = [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}']
        raise Fault("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", trace) from error
    function = getattr(module, function_name, None)
    if function is None:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'")
    return function


def _frames(error):
    """The stack trace without this file's own frames and those of the import machinery."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != _OWN_FILE and not frame.filename.startswith("<frozen")]
    own = [frame for frame in own if not frame.filename.endswith(f"importlib{os.sep}__init__.py")]
    return traceback.format_list(own)


def _report(kind, message, trace, request_id=""):
    """The error as Lambda hands it to a caller; also written to the log, as one event."""
    lines = [f"[ERROR] {kind}: {message}" if kind else f"[ERROR] {message}"]
    if trace:
        lines.append("Traceback (most recent call last):")
        # Indented with spaces that do not break, or the console would swallow them.
        lines += [line.rstrip("\n").replace("\n", _LINE_BREAK).replace("  ", "\u00a0\u00a0") for line in trace]
    sys.stdout.write(_LINE_BREAK.join(lines) + "\n")
    error = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}
    return json.dumps(error).encode()


def _serve(api, function):
    while True:
        _, headers, body = api.ask("GET", "/invocation/next")
        request_id = _current["id"] = headers["lambda-runtime-aws-request-id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
        try:
            result = function(json.loads(body), Context(headers))
            answer = _encoded(result)
        except Exception as error:
            if isinstance(error, Fault):
                kind, message, trace = error.kind, error.message, error.trace
            else:
                kind, message, trace = type(error).__name__, str(error), _frames(error)
            report = _report(kind, message, trace, request_id)
            sort = (("Lambda-Runtime-Function-Error-Type", kind), ("Content-Type", "application/json"))
            api.ask("POST", f"/invocation/{request_id}/error", report, sort)
        else:
            api.ask("POST", f"/invocation/{request_id}/response", answer, (("Content-Type", "application/json"),))


def _encoded(result):
    try:
        return json.dumps(result, default=_not_json, ensure_ascii=False).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def _not_json(value):
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def main():
    api = Connection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    _set_up_logging()
    try:
        function = _load(os.environ["_HANDLER"])
    except BaseException as error:
        if isinstance(error, Fault):
            kind, message, trace = error.kind, error.message, error.trace
        else:
            kind, message, trace = type(error).__name__, str(error), _frames(error)
        if not isinstance(error, (Fault, Exception)):
            raise  # sys.exit() at import: the process ends, and Lambda says so
        report = _report(kind, message, trace)
        api.ask("POST", "/init/error", report, (("Lambda-Runtime-Function-Error-Type", kind),))
        sys.exit(1)
    _serve(api, function)


def start():
    """Sets up what may be imported and the network guard, then runs `main`. Arguments: guard's file, import folders."""
    guard_file, *folders = sys.argv[1:]
    task_root = os.environ["LAMBDA_TASK_ROOT"]
    sys.path[:0] = [task_root]
    sys.path += folders
    # The same text as the model hosts' guard, loaded by path: nothing of the rehearsal's packages is importable here.
    space = {"__name__": "sitecustomize", "__file__": guard_file}
    module = type(sys)("sitecustomize")
    module.__dict__.update(space)
    sys.modules["sitecustomize"] = module
    with open(guard_file, encoding="utf-8") as file:
        exec(compile(file.read(), guard_file, "exec"), module.__dict__)
    sys.argv = [sys.argv[0]]
    try:
        main()
    except ConnectionError:
        os._exit(0)  # the host is gone


if __name__ == "__main__":
    start()
