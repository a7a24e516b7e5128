"""Invoke runs the deployed zip in a process of its own: answers, errors, limits, surroundings."""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.functions.logs import EnvironmentLog

from .conftest import LOGGING, TRUST, Bench, zipped

IMPORT = "Runtime.ImportModuleError"


def refusal(call: Any, *args: Any, **options: Any) -> tuple[str, str, int]:
    """Code, message and HTTP status of a refused call."""
    with pytest.raises(ClientError) as caught:
        call(*args, **options)
    answer: Any = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_handler_answers_from_its_own_process_and_keeps_it(bench: Bench) -> None:
    bench.deploy("""
        import os
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            return {"event": event, "calls": calls, "pid": os.getpid(), "name": context.function_name,
                    "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn,
                    "left": context.get_remaining_time_in_millis()}
    """)

    first, error = bench.invoke({"größe": [1, None, "ü"]})
    second, _ = bench.invoke({})

    assert error == ""
    assert first["event"] == {"größe": [1, None, "ü"]}
    assert first["pid"] != os.getpid()
    assert (first["calls"], second["calls"]) == (1, 2)
    assert first["pid"] == second["pid"] == bench.pids()[0]
    assert (first["name"], first["memory"]) == ("f", "128")
    assert first["arn"] == "arn:aws:lambda:eu-west-1:111111111111:function:f"
    assert 8_000 < first["left"] <= 10_000


def test_an_exception_is_a_function_error_with_type_message_and_trace(bench: Bench) -> None:
    bench.deploy("""
        def inner():
            raise ValueError("no such flower: ü")
        def handler(event, context):
            inner()
    """)

    answer, error = bench.invoke({})

    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("ValueError", "no such flower: ü")
    assert [frame.split(", in ")[1].split("\n")[0] for frame in answer["stackTrace"]] == ["handler", "inner"]
    assert bench.metric("Errors") == 1


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("import nowhere", "app.handler", IMPORT, "Unable to import module 'app': No module named 'nowhere'"),
        ("import pulumi", "app.handler", IMPORT, "Unable to import module 'app': No module named 'pulumi'"),
        ("import infra", "app.handler", IMPORT, "Unable to import module 'app': No module named 'infra'"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("x = 1", "other.handler", IMPORT, "Unable to import module 'other': No module named 'other'"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        ("def handler(e, c):\n    return {1, 2}", "app.handler", "Runtime.MarshalError",
         "Unable to marshal response: Object of type set is not JSON serializable"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_code_is_said_as_lambda_says_it(
    bench: Bench, source: str, handler: str, kind: str, message: str
) -> None:
    bench.deploy(source, Handler=handler)

    answer, error = bench.invoke({})

    assert (error, answer["errorType"], answer["errorMessage"]) == ("Unhandled", kind, message)


def test_a_process_that_exits_is_answered_for_and_replaced(bench: Bench) -> None:
    bench.deploy("""
        import os
        def handler(event, context):
            if "exit" in event:
                os._exit(event["exit"])
            return os.getpid()
    """)
    before, _ = bench.invoke({})

    failed, error = bench.invoke({"exit": 3})
    after, _ = bench.invoke({})

    assert error == "Unhandled"
    assert failed["errorType"] == "Runtime.ExitError"
    assert failed["errorMessage"].endswith(" Error: Runtime exited with error: exit status 3")
    assert after != before


def test_nothing_of_this_process_reaches_a_function(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAGE_SECRET_OF_THE_TESTER", "1")
    bench.deploy(
        """
        import os, sys
        def handler(event, context):
            return {"variables": dict(os.environ), "path": sys.path, "folder": os.getcwd()}
        """,
        Environment={"Variables": {"OWN": "1"}},
    )

    found, _ = bench.invoke({})

    names = set(found["variables"])
    assert {name for name in names if not name.startswith(("AWS_", "LAMBDA_", "PYTHON", "_"))} == {
        "LANG", "TZ", "PATH", "HOME", "TMPDIR", "OWN", "LC_CTYPE",
    } - ({"LC_CTYPE"} - names)  # fmt: skip
    assert found["variables"]["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert found["variables"]["_HANDLER"] == "app.handler"
    assert found["variables"]["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/f"
    assert found["variables"]["AWS_ENDPOINT_URL"] == bench.cloud.serve()
    assert found["path"][0] == found["variables"]["LAMBDA_TASK_ROOT"] == found["folder"]
    assert not any("site-packages" in entry for entry in found["path"])


def test_the_sdk_acts_under_the_role_and_only_under_it(bench: Bench) -> None:
    bench.deploy("""
        import boto3
        def handler(event, context):
            found = boto3.client("sts").get_caller_identity()["Arn"]
            try:
                boto3.client("s3").list_buckets()
            except Exception as error:
                return [found, type(error).__name__]
    """)

    assert bench.invoke({})[0] == ["arn:aws:sts::111111111111:assumed-role/f-role/f", "AccessDenied"]

    bench.allow("f-role", LOGGING, {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
    assert bench.invoke({})[0] is None


def test_a_function_cannot_leave_this_machine(bench: Bench) -> None:
    bench.deploy("""
        import socket, subprocess, sys
        PROGRAM = "import socket; socket.create_connection(('192.0.2.1', 443), 0.1)"
        def handler(event, context):
            try:
                socket.create_connection(("192.0.2.1", 443), 0.1)
            except OSError as error:
                own = str(error)
            child = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
            return [own, child.stderr]
    """)

    own, child = bench.invoke({})[0]

    assert "network guard refused it: TCP connection to 192.0.2.1:443 (app.py line" in own
    assert "mainstage-guard: refused TCP connection to 192.0.2.1:443" in child


def test_payload_limits(bench: Bench) -> None:
    bench.deploy("""
        def handler(event, context):
            return "x" * event if isinstance(event, int) else len(event)
    """)
    longest = json.dumps("x" * (6_291_456 - 2)).encode()

    assert json.loads(bench.lambdas.invoke(FunctionName="f", Payload=longest)["Payload"].read()) == 6_291_454
    assert refusal(bench.lambdas.invoke, FunctionName="f", Payload=longest + b" ") == (
        "RequestEntityTooLargeException",
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
        413,
    )
    assert refusal(bench.lambdas.invoke, FunctionName="f", InvocationType="Event", Payload=longest[:1_048_577]) == (
        "RequestEntityTooLargeException",
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
        413,
    )
    assert bench.invoke(6_291_554) == ("x" * 6_291_554, "")
    answer, error = bench.invoke(6_291_555)
    assert (error, answer["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")
    assert bench.invoke(3) == ("xxx", "")


def test_what_is_no_json_is_refused_and_no_payload_is_an_empty_event(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return event")

    code, _, status = refusal(bench.lambdas.invoke, FunctionName="f", Payload=b"{")

    assert (code, status) == ("InvalidRequestContentException", 400)
    assert json.loads(bench.lambdas.invoke(FunctionName="f")["Payload"].read()) == {}


def test_a_missing_function_and_a_dry_run(bench: Bench) -> None:
    bench.deploy("raise SystemExit('must not run')")

    assert bench.lambdas.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    assert bench.pids() == []
    assert refusal(bench.lambdas.invoke, FunctionName="g") == (
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:eu-west-1:111111111111:function:g",
        404,
    )


def test_versions_and_aliases_run_their_own_code(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return ['one', context.function_version]")
    version = bench.lambdas.publish_version(FunctionName="f")["Version"]
    bench.lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion=version)
    bench.lambdas.update_function_code(
        FunctionName="f", ZipFile=zipped("def handler(event, context):\n    return ['two', context.function_version]")
    )

    assert bench.invoke({})[0] == ["two", "$LATEST"]
    assert bench.invoke({}, Qualifier=version)[0] == ["one", version]
    assert bench.invoke({}, name="f:live")[0] == ["one", version]


def test_the_tail_of_the_log_comes_when_it_is_asked_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deploy("def handler(event, context):\n    print('hello', event)")
    tail = EnvironmentLog.tail

    def tail_after_the_next_has_begun(log: EnvironmentLog, *given: int) -> bytes:
        log.note("START of the next")
        return tail(log, *given)

    monkeypatch.setattr(EnvironmentLog, "tail", tail_after_the_next_has_begun)
    answer = bench.lambdas.invoke(FunctionName="f", Payload=b"1", LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()

    assert [line.split(" ")[0] for line in lines] == ["START", "hello", "END", "REPORT"]
    assert "LogResult" not in bench.lambdas.invoke(FunctionName="f", Payload=b"1")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"Runtime": "nodejs22.x"}, "runtime nodejs22.x"),
        ({"Runtime": "java21"}, "runtime java21"),
    ],
)
def test_what_is_not_run_here_is_refused_by_name(bench: Bench, options: dict[str, Any], what: str) -> None:
    bench.deploy("x = 1", **options)

    code, message, status = refusal(bench.lambdas.invoke, FunctionName="f", Payload=b"1")

    assert (code, status) == ("NotCarried", 501)
    assert what in message


def test_a_role_that_is_gone_or_no_longer_trusts_lambda(bench: Bench) -> None:
    bench.deploy("def handler(event, context):\n    return 1")
    nobody = {**TRUST, "Statement": {**TRUST["Statement"], "Principal": {"Service": "ec2.amazonaws.com"}}}
    sentence = "The role defined for the function cannot be assumed by Lambda."

    bench.iam.update_assume_role_policy(RoleName="f-role", PolicyDocument=json.dumps(nobody))
    assert refusal(bench.lambdas.invoke, FunctionName="f") == ("AccessDeniedException", sentence, 403)
    bench.iam.update_assume_role_policy(RoleName="f-role", PolicyDocument=json.dumps(TRUST))
    assert bench.invoke({}) == (1, "")

    other = bench.role("nobody", trust=nobody)
    assert refusal(bench.deploy, "x = 1", "g", role=other) == ("InvalidParameterValueException", sentence, 400)


def test_the_key_of_the_variables_must_be_usable(bench: Bench) -> None:
    kms: Any = bench.cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]
    bench.deploy("import os\ndef handler(event, context):\n    return os.environ['OWN']", KMSKeyArn=key["Arn"],
                 Environment={"Variables": {"OWN": "b"}})  # fmt: skip

    kms.disable_key(KeyId=key["KeyId"])
    code, message, status = refusal(bench.lambdas.invoke, FunctionName="f")
    assert (code, status) == ("KMSDisabledException", 502)
    assert message.startswith(
        "Lambda was unable to decrypt the environment variables because the KMS key used is disabled."
    )
    kms.enable_key(KeyId=key["KeyId"])
    assert bench.invoke({}) == ("b", "")


def test_the_log_says_once_that_versions_differ(bench: Bench) -> None:
    own = f"python3.{sys.version_info.minor}"
    other = "python3.10"
    bench.deploy("def handler(event, context):\n    return 1", Runtime=other)
    bench.deploy("def handler(event, context):\n    return 1", "same", Runtime=own)
    for _ in range(2):
        bench.invoke({})
        bench.invoke({}, name="same")

    said = [line for line in bench.log_lines() if "Rehearsal" in line]

    version = f"INIT_START Runtime Version: python:{sys.version.split()[0]}"
    assert said == [f"{version}\tRehearsal: runs on {own}, the function asks for {other}"]
    assert not any("Rehearsal" in line for line in bench.log_lines("same"))
