"""The same call from this process and from another one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_ACCESS_KEY_ID, OPERATOR_SECRET_ACCESS_KEY

OPERATOR = (OPERATOR_ACCESS_KEY_ID, OPERATOR_SECRET_ACCESS_KEY, "")


class PlainClient:
    """A second process with plain boto3."""

    def __init__(self, url: str, region: str):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("plain_client.py")), url, region],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def call(
        self, service: str, operation: str, params: dict[str, Any], keys: tuple[str, str, str] = OPERATOR
    ) -> dict[str, Any]:
        """code ("ok" or the error's), message, status, and the output where there is one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        names = ("access_key_id", "secret_access_key", "session_token")
        line = {"service": service, "operation": operation, "params": params, **dict(zip(names, keys, strict=True))}
        self._process.stdin.write(json.dumps(line, default=_encoded) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def in_process(client: Any, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    """The same as `PlainClient.call`, by a client of this process."""
    try:
        output = getattr(client, xform_name(operation))(**params)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return {
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
            "status": status,
        }
    return {"code": "ok", "message": "", "status": output["ResponseMetadata"]["HTTPStatusCode"]}


@pytest.fixture(scope="session")
def in_process_call() -> Any:
    return in_process


@pytest.fixture(scope="session")
def plain_client(shared_cloud: Cloud) -> Iterator[PlainClient]:
    client = PlainClient(shared_cloud.serve(), shared_cloud.region)
    yield client
    client.close()


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return str(value)
