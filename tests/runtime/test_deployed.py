"""The functions as they are deployed: their files and `mainstage.json` in a folder, in a process of their own, behind
Lambda's Runtime and Extensions APIs."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from runtime_stub import FRONT_DOOR_ENVIRONMENT, PACKAGE, Aws, aws_error, aws_ok, deployed

FRONT_DOOR = "mainstage_runtime.front_door.handler"
EVENT = {
    "version": "2.0",
    "headers": {"content-type": "application/json"},
    "requestContext": {"requestId": "id-1"},
    "body": json.dumps({"instances": [{"months": 5, "plan": "basic"}]}),
    "isBase64Encoded": False,
}


def environment(stub: Aws) -> dict[str, str]:
    return {**FRONT_DOOR_ENVIRONMENT, "AWS_ENDPOINT_URL": stub.address}


def lines(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def test_the_put_is_off_the_replys_path_and_before_the_freeze(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    replied, put = threading.Event(), []

    def waits_for_the_reply(sent: Any) -> Any:
        put.append(replied.wait(5))
        return aws_ok(RecordId="1")

    stub.answers["PutRecord"] = waits_for_the_reply
    with deployed(FRONT_DOOR, tmp_path, environment(stub), plain_signature) as function:
        _, reply = function.invoke(EVENT)
        assert (reply["statusCode"], put) == (200, [])
        replied.set()
        function.wait_idle()
        # At rest, so nothing that matters can be frozen away.
        assert put == [True]
        assert function.registered == [("mainstage-prediction-log", {"events": ["INVOKE"]})]
    told = lines(function.stdout)
    assert [name for line in told for name in ("Served", "HandedOver") if name in line] == ["Served", "HandedOver"]
    assert stub.records()[0]["request_id"] == "id-1"


def test_without_the_extensions_api_the_put_comes_first(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    with deployed(FRONT_DOOR, tmp_path, environment(stub), plain_signature, extensions=False) as function:
        _, reply = function.invoke(EVENT)
        assert (reply["statusCode"], len(stub.records())) == (200, 1)
    assert "extension_not_registered" in function.stdout


def test_an_environment_that_lost_its_extension_replies_logs_and_ends(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    with deployed(FRONT_DOOR, tmp_path, environment(stub), plain_signature) as function:
        function.loses_the_extension = True
        _, reply = function.invoke(EVENT)
        assert reply["statusCode"] == 200
        assert function.process
        assert function.process.wait(10) == 1
    told = lines(function.stdout)
    assert [name for line in told for name in ("Served", "HandedOver") if name in line] == ["Served", "HandedOver"]
    assert [line["event"] for line in told if "event" in line] == ["extension_lost"]
    assert len(stub.records()) == 1


def test_killed_between_reply_and_put_it_was_served_and_not_handed_over(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    killed = threading.Event()

    def never(sent: Any) -> Any:
        killed.wait(5)
        return aws_error("InternalFailure", 500)

    stub.answers["PutRecord"] = never
    with deployed(FRONT_DOOR, tmp_path, environment(stub), plain_signature) as function:
        assert function.invoke(EVENT)[1]["statusCode"] == 200
    killed.set()
    [served] = lines(function.stdout)
    assert (served["Served"], served["LogName"]) == (1, "dev-churn")


def test_the_pseudonym_key_is_derived_before_the_first_request(
    tmp_path: Path, stub: Aws, signature: dict[str, Any]
) -> None:
    row = {"customer": "Jane~Doe", "Phone": None, "age": 41, "months": 5, "spend": 1, "plan": "basic"}
    sent = {**EVENT, "body": json.dumps({"instances": [row]})}
    environ = {**environment(stub), "MAINSTAGE_PSEUDONYM_KEY_ARN": "arn:aws:kms:eu-west-1:111111111111:key/1"}
    with deployed(FRONT_DOOR, tmp_path, environ, signature) as function:
        function.wait_idle()
        assert [name for name, _ in stub.calls] == ["GenerateMac"]
        function.invoke(sent)
        function.invoke(sent)
        function.wait_idle()
    assert [name for name, _ in stub.calls].count("GenerateMac") == 1
    first, second = stub.records()
    assert first["entity_key"] == second["entity_key"] == first["input_customer"][0]
    assert "Jane~Doe" not in function.stdout + json.dumps([first, second])


def test_a_front_door_without_its_environment_does_not_start(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    environ = {name: value for name, value in environment(stub).items() if name != "MAINSTAGE_STREAM_NAME"}
    with deployed(FRONT_DOOR, tmp_path, environ, plain_signature) as function:
        assert function.process is not None
        assert function.process.wait(20) == 1
    assert "KeyError: 'MAINSTAGE_STREAM_NAME'" in function.stdout


def test_transform_replay_and_not_found_start_from_their_archives(
    tmp_path: Path, stub: Aws, plain_signature: dict[str, Any]
) -> None:
    environ = environment(stub)
    with deployed(FRONT_DOOR, tmp_path / "a", environ, plain_signature) as function:
        function.invoke(EVENT)
        function.wait_idle()
    [put] = stub.sent("PutRecord")
    data = put["Record"]["Data"]
    with deployed("mainstage_runtime.transform.handler", tmp_path / "b", environ, plain_signature) as function:
        _, answer = function.invoke({"records": [{"recordId": "1", "data": data}]})
        assert [each["result"] for each in answer["records"]] == ["Ok"]
    with deployed("mainstage_runtime.replay.handler", tmp_path / "c", environ, None) as function:
        message = {"messageId": "m", "body": base64.b64decode(data).decode()}
        assert function.invoke({"Records": [message]})[1] == {"batchItemFailures": []}
    assert len(stub.sent("PutRecordBatch")) == 1
    with deployed("mainstage_runtime.not_found.handler", tmp_path / "d", {}, None) as function:
        assert function.invoke({})[1]["statusCode"] == 404


MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem not in ("__init__", "entrypoint"))


def test_the_modules_take_nothing_but_the_standard_library_until_a_function_starts() -> None:
    """Imported by a Python without site-packages; so no boto3, no Pulumi, nothing of this repository either."""
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
        f"for name in {MODULES!r}:\n"
        "    __import__('mainstage_runtime.' + name)\n"
        "known = set(sys.stdlib_module_names) | {'mainstage_runtime', '__main__'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - known))\n"
    )
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
    assert len(MODULES) > 10


def test_a_started_function_has_botocore_and_nothing_of_ours_besides() -> None:
    script = (
        "import os, sys\n"
        "from mainstage_runtime import front_door\n"
        "front_door.front_door(os.environ, {'inputs': [], 'outputs': []})\n"
        "ours = {'pulumi', 'pulumi_aws', 'infra', 'mainstage', 'boto3', 'moto', 'pydantic'}\n"
        "print(sorted(ours & {name.split('.')[0] for name in sys.modules}))\n"
    )
    environ = {**FRONT_DOOR_ENVIRONMENT, "AWS_DEFAULT_REGION": "eu-west-1", "PYTHONPATH": str(PACKAGE.parent)}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ)
    assert ended.stdout.strip() == "[]"
