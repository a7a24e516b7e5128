"""Execution environments: freezing, time-outs, ends, concurrency, changes, extensions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.functions import host as host_module

from .conftest import LOGGING, Bench, eventually, zipped
from .test_invoke import refusal

EXTENSION = """
    import http.client, json, os, threading, time
    API = os.environ["AWS_LAMBDA_RUNTIME_API"]
    def ask(method, path, body=None, headers={}):
        connection = http.client.HTTPConnection(API)
        connection.request(method, "/2020-01-01/extension" + path, body, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), json.loads(answer.read() or b"null")
    def register(name="spooler", events=("INVOKE",)):
        body = json.dumps({"events": list(events)})
        return ask("POST", "/register", body, {"Lambda-Extension-Name": name})
"""
DEFERRED = (
    EXTENSION
    + """
    work = {"until": "", "ready": threading.Event()}
    def loop(identifier):
        while True:
            _, _, event = ask("GET", "/event/next", None, {"Lambda-Extension-Identifier": identifier})
            work["ready"].wait()
            work["ready"].clear()
            while work["until"] and not os.path.exists(work["until"]):
                time.sleep(0.005)
            print("deferred", event["eventType"], event["requestId"], flush=True)
    status, headers, body = register()
    identifier = headers["Lambda-Extension-Identifier"]
    threading.Thread(target=loop, args=(identifier,), daemon=True).start()
    def handler(event, context):
        work["until"] = event.get("until", "")
        work["ready"].set()
        return {"pid": os.getpid(), "registered": [status, body], "request": context.aws_request_id}
"""
)


def test_an_idle_environment_is_frozen_and_thaws_for_the_next_invocation(bench: Bench, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    bench.deploy("""
        import os, threading, time
        ticks = 0
        def tick(path):
            global ticks
            with open(path, "wb", buffering=0) as file:
                while True:
                    ticks += 1
                    file.write(b".")
                    time.sleep(0.001)
        def handler(path, context):
            if not ticks:
                threading.Thread(target=tick, args=(path,), daemon=True).start()
            before = ticks
            while ticks < before + 3:
                time.sleep(0.001)
            return os.getpid()
    """)
    pid, _ = bench.invoke(str(ticks))
    assert bench.pids() == [pid]
    eventually(lambda: _states(pid) == {"T"})

    frozen = ticks.stat().st_size
    time.sleep(0.15)
    assert (_states(pid), ticks.stat().st_size) == ({"T"}, frozen)

    assert bench.invoke(str(ticks)) == (pid, "")
    assert ticks.stat().st_size >= frozen + 3


def _state(pid: int) -> str:
    return _state_in(Path(f"/proc/{pid}/stat"))


def _states(pid: int) -> set[str]:
    """Of its threads."""
    return {_state_in(stat) for stat in Path(f"/proc/{pid}/task").glob("*/stat")}


def _state_in(stat: Path) -> str:
    return stat.read_text().rpartition(")")[2].split()[0]


def test_the_reply_does_not_wait_for_an_extension_but_the_environment_does(bench: Bench, tmp_path: Path) -> None:
    bench.deploy(DEFERRED)
    answer, _ = bench.invoke({})
    eventually(lambda: _state(answer["pid"]) == "T")
    let_go = tmp_path / "go"

    slow, _ = bench.invoke({"until": str(let_go)})
    replied = time.perf_counter()
    other, _ = bench.invoke({})
    held_ms = (time.perf_counter() - replied) * 1000
    let_go.touch()

    assert answer["registered"] == [200, {"functionName": "f", "functionVersion": "$LATEST", "handler": "app.handler"}]
    assert slow["pid"] == answer["pid"]
    assert other["pid"] != slow["pid"]
    eventually(lambda: f"deferred INVOKE {slow['request']}" in bench.log_lines())
    after_ms = bench.metric("PostRuntimeExtensionsDuration", "Maximum")
    assert after_ms >= held_ms
    assert bench.metric("Duration", "Maximum") >= after_ms
    assert bench.metric("Errors") == 0


def test_the_time_out_counts_until_the_extension_is_done(bench: Bench) -> None:
    bench.deploy(DEFERRED, Timeout=1)
    bench.invoke({})

    answer, error = bench.invoke({"until": "/nowhere"})

    assert error == ""  # the caller had its reply already
    eventually(lambda: answer["pid"] not in bench.pids())
    lines = bench.log_lines()
    assert f"deferred INVOKE {answer['request']}" not in lines
    assert any(line.endswith(f"{answer['request']} Task timed out after 1.00 seconds") for line in lines)
    assert bench.metric("Errors") == 1
    assert bench.invoke({})[1] == ""


@pytest.mark.parametrize(
    ("call", "status", "kind"),
    [
        ("register(name='')", 403, "Extension.InvalidExtensionName"),
        ("register(events=['SHUTDOWN'])", 403, "Extension.InvalidEventType"),
        ("register(events=['INVOKE', 'LUNCH'])", 403, "Extension.InvalidEventType"),
        ("(register('spooler'), register('spooler'))[1]", 403, "Extension.AlreadyRegistered"),
        ("[register(str(n)) for n in range(11)][-1]", 403, "Extension.TooManyExtensions"),
        ("ask('POST', '/register', b'{', {'Lambda-Extension-Name': 'x'})", 403, "InvalidRequestFormat"),
        ("ask('GET', '/event/next')", 403, "Extension.MissingHeader"),
        ("ask('GET', '/event/next', None, {'Lambda-Extension-Identifier': 'x'})", 403,
         "Extension.UnknownExtensionIdentifier"),
        ("ask('GET', '/nothing')", 404, "InvalidRequest"),
    ],
)  # fmt: skip
def test_the_extensions_api_refuses_as_lambdas_does(bench: Bench, call: str, status: int, kind: str) -> None:
    found = textwrap.dedent(EXTENSION) + f"answer = {call}\nraise RuntimeError(json.dumps([answer[0], answer[2]]))\n"
    bench.deploy(found)

    answer, error = bench.invoke({})

    assert error == "Unhandled"
    assert answer["errorType"] == "RuntimeError"
    got = json.loads(answer["errorMessage"])
    assert (got[0], got[1]["errorType"]) == (status, kind)


def test_registration_is_closed_once_the_runtime_is_ready(bench: Bench) -> None:
    bench.deploy(textwrap.dedent(EXTENSION) + "def handler(event, context):\n    return register()[::2]\n")

    status, body = bench.invoke({})[0]

    assert (status, body["errorType"]) == (403, "Extension.RegistrationClosed")


def test_a_function_that_is_too_slow_is_killed_and_said_so(bench: Bench) -> None:
    bench.deploy(
        """
        import os, time
        def handler(event, context):
            print("began", flush=True)
            os.write(1, b"no newline")
            time.sleep(event)
            return os.getpid()
        """,
        Timeout=1,
    )
    before, _ = bench.invoke(0)

    answer, error = bench.invoke(30)

    assert error == "Unhandled"
    assert answer["errorType"] == "Sandbox.Timedout"
    assert answer["errorMessage"].endswith(" Error: Task timed out after 1.00 seconds")
    lines = bench.log_lines()
    assert lines.count("began") == 2
    # What a killed process had written still arrives, whole lines or not.
    assert lines.count("no newline") == 2
    [report] = [line for line in lines if line.startswith("REPORT") and line.endswith("Status: timeout")]
    assert "Duration: 1000.00 ms\tBilled Duration: 1000 ms" in report
    after, _ = bench.invoke(0)
    assert after != before
    assert bench.metric("Errors") == 1
    assert bench.metric("Invocations") == 3


def test_kill_9_in_flight_is_answered_and_kill_9_at_rest_goes_unnoticed(bench: Bench) -> None:
    bench.deploy("""
        import os, time
        def handler(event, context):
            print("begun", flush=True)
            time.sleep(event)
            return os.getpid()
    """)
    first, _ = bench.invoke(0)
    eventually(lambda: _state(first) == "T")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: bench.pids() == [])
    second, error = bench.invoke(0)
    assert error == ""
    eventually(lambda: _state(second) == "T")

    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(bench.invoke(30)))
    caller.start()
    eventually(lambda: bench.log_lines_now().count("begun") == 3)
    os.kill(second, signal.SIGKILL)
    caller.join(30)

    [(answer, error)] = answers
    assert error == "Unhandled"
    assert answer["errorType"] == "Runtime.ExitError"
    assert answer["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    third, error = bench.invoke(0)
    assert (third in bench.pids(), error) == (True, "")
    assert "Runtime.ExitError" in bench.log_lines()


def test_init_that_takes_too_long_is_tried_again_within_the_functions_time_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_module, "INIT_SECONDS", 0.3)
    bench.deploy("import time\ntime.sleep(0.6)\ndef handler(event, context):\n    return 'late'")
    bench.deploy("import time\ntime.sleep(30)", "never", Timeout=1)

    assert bench.invoke({}) == ("late", "")
    answer, error = bench.invoke({}, name="never")

    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert answer["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert sum(line.endswith("Status: timeout") for line in bench.log_lines("never")) == 2


def test_the_account_tells_its_limits_and_what_is_left_unreserved(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return 1")
    bench.deploy("def handler(event, context):\n    return 2", "g")
    bench.lambdas.put_function_concurrency(FunctionName="g", ReservedConcurrentExecutions=50)

    settings = bench.lambdas.get_account_settings()

    assert settings["AccountLimit"] == {
        "TotalCodeSize": 80_530_636_800,
        "CodeSizeUnzipped": 262_144_000,
        "CodeSizeZipped": 52_428_800,
        "ConcurrentExecutions": 1000,
        "UnreservedConcurrentExecutions": 950,
    }
    sizes = [bench.lambdas.get_function(FunctionName=name)["Configuration"]["CodeSize"] for name in ("f", "g")]
    assert settings["AccountUsage"] == {"TotalCodeSize": sum(sizes), "FunctionCount": 2}


def test_busy_environments_are_not_shared_and_a_reservation_throttles(bench: Bench, tmp_path: Path) -> None:
    let_go = tmp_path / "go"
    bench.deploy("""
        import os, time
        def handler(event, context):
            print("begun", flush=True)
            while not os.path.exists(event):
                time.sleep(0.005)
            return os.getpid()
    """)
    bench.lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    answers: list[Any] = []
    callers = [threading.Thread(target=lambda: answers.append(bench.invoke(str(let_go)))) for _ in range(2)]
    for caller in callers:
        caller.start()
    eventually(lambda: bench.log_lines_now().count("begun") == 2)

    refused = refusal(bench.lambdas_once().invoke, FunctionName="f")
    let_go.touch()
    for caller in callers:
        caller.join()

    assert len({pid for pid, _ in answers}) == 2
    assert refused == ("TooManyRequestsException", "Rate Exceeded.", 429)
    assert bench.metric("Throttles") == 1
    assert bench.metric("Invocations") == 2
    assert bench.metric("ConcurrentExecutions", "Maximum") == 2
    bench.lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    assert refusal(bench.lambdas_once().invoke, FunctionName="f")[0] == "TooManyRequestsException"
    assert bench.lambdas.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    bench.lambdas.delete_function_concurrency(FunctionName="f")
    assert bench.invoke(str(let_go))[1] == ""


def test_many_callers_are_all_served_one_at_a_time_each(bench: Bench) -> None:
    bench.deploy("""
        import threading
        lock = threading.Lock()
        def handler(event, context):
            assert lock.acquire(blocking=False)
            lock.release()
            return event
    """)
    answers: list[Any] = []

    def call(start: int) -> None:
        answers.extend(bench.invoke(start + number) for number in range(20))

    callers = [threading.Thread(target=call, args=(100 * number,)) for number in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert sorted(value for value, _ in answers) == sorted(100 * a + b for a in range(8) for b in range(20))
    assert {error for _, error in answers} == {""}
    assert bench.metric("Invocations") == 160


def test_a_change_while_callers_wait_for_the_first_environment_serves_them_all(bench: Bench, tmp_path: Path) -> None:
    """Nobody insists on what was deployed when the call arrived, or two callers replace each other's for ever."""
    let_go = tmp_path / "go"
    bench.deploy(
        f"""
        import os, time
        while not os.path.exists({str(let_go)!r}):
            time.sleep(0.005)
        def handler(event, context):
            return os.environ['OWN']
        """,
        Environment={"Variables": {"OWN": "one"}},
    )
    answers: list[Any] = []
    callers = [threading.Thread(target=lambda: answers.append(bench.invoke()), daemon=True) for _ in range(2)]
    callers[0].start()
    first = eventually(bench.pids)

    bench.lambdas.update_function_configuration(FunctionName="f", Environment={"Variables": {"OWN": "two"}})
    callers[1].start()
    eventually(lambda: bench.pids() not in ([], first))
    let_go.touch()
    for caller in callers:
        caller.join(30)

    assert answers == [("two", "")] * 2


def test_a_change_starts_new_environments_and_drains_the_old_ones(bench: Bench) -> None:
    bench.deploy(
        """
        import os, time
        def handler(event, context):
            print("began", flush=True)
            time.sleep(event)
            return [os.getpid(), os.environ['OWN']]
        """,
        Environment={"Variables": {"OWN": "one"}},
    )
    (first, _), _ = bench.invoke(0)
    eventually(lambda: _state(first) == "T")
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(bench.invoke(0.5)))
    caller.start()
    eventually(lambda: bench.log_lines_now().count("began") == 2)

    bench.lambdas.update_function_configuration(FunctionName="f", Environment={"Variables": {"OWN": "two"}})
    (second, value), _ = bench.invoke(0)
    caller.join()

    assert value == "two"
    assert second != first
    assert answers == [([first, "one"], "")]
    eventually(lambda: bench.pids() == [second])

    bench.lambdas.update_function_code(FunctionName="f", ZipFile=zipped("def handler(event, context):\n    return 3"))
    assert bench.invoke(0) == (3, "")
    bench.lambdas.delete_function(FunctionName="f")
    assert bench.pids() == []


def test_code_from_a_bucket_is_read_at_each_change(bench: Bench) -> None:
    s3: Any = bench.cloud.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="code", Key="f.zip", Body=zipped("def handler(event, context):\n    return 1"))
    bench.deploy("", Code={"S3Bucket": "code", "S3Key": "f.zip"})
    assert bench.invoke({}) == (1, "")

    s3.put_object(Bucket="code", Key="f.zip", Body=zipped("def handler(event, context):\n    return 2"))
    assert bench.invoke({}) == (1, "")
    bench.lambdas.update_function_code(FunctionName="f", S3Bucket="code", S3Key="f.zip")
    assert bench.invoke({}) == (2, "")

    s3.put_object(Bucket="code", Key="f.zip", Body=b"no zip")
    code, message, _ = refusal(bench.lambdas.update_function_code, FunctionName="f", S3Bucket="code", S3Key="f.zip")
    assert code == "InvalidParameterValueException"
    assert message == "Could not unzip uploaded file. Please check your file, then try to upload again."


def test_an_asynchronous_invocation_is_tried_again_by_the_clouds_clock_and_then_buried(bench: Bench) -> None:
    queue = bench.sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = "arn:aws:sqs:eu-west-1:111111111111:dead"
    sending = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    bench.deploy(
        "def handler(event, context):\n    raise ValueError(event)",
        role=bench.role("f-role", LOGGING, sending),
        DeadLetterConfig={"TargetArn": arn},
    )

    answer = bench.lambdas.invoke(FunctionName="f", InvocationType="Event", Payload=b'"poison"')

    assert answer["StatusCode"] == 202
    for attempts, pause in ((1, 61), (2, 121)):
        eventually(lambda attempts=attempts: bench.metric("Errors") == attempts)
        assert "Messages" not in bench.sqs.receive_message(QueueUrl=queue)
        bench.cloud.clock.advance(pause)
    eventually(lambda: bench.metric("Errors") == 3)
    [message] = eventually(
        lambda: bench.sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages")
    )
    assert message["Body"] == '"poison"'
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "poison"


def test_processes_end_with_their_cloud_even_when_frozen(tmp_path: Path) -> None:
    """kill -9 of the process that hosts the cloud: nobody can clean up, and frozen processes notice nothing."""
    program = textwrap.dedent(f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parents[3])]!r}
        from pathlib import Path
        from infra.rehearsal.cloud.cloud import Cloud
        from tests.rehearsal.functions.conftest import Bench
        cloud = Cloud(account_id="111111111111", region="eu-west-1", directory=Path({str(tmp_path)!r}))
        cloud.start()
        bench = Bench(cloud)
        bench.deploy("def handler(event, context):\\n    return 1")
        bench.invoke({{}})
        print(*bench.pids(), flush=True)
        sys.stdin.read()
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    eventually(lambda: _state(pid) == "T")

    process.kill()
    process.communicate()

    eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_reset_ends_every_process(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return 1")
    bench.invoke({})
    [pid] = bench.pids()

    bench.cloud.reset()

    assert not Path(f"/proc/{pid}").exists()
    assert functions.pids(bench.cloud, "f") == []
