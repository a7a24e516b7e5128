"""What the validator knows of functions beyond botocore's model; archives that are the same everywhere."""

from __future__ import annotations

import hashlib
import zipfile
from io import BytesIO
from typing import Any

import pytest

from infra.rehearsal.cloud.validator import validate
from infra.rehearsal.provider.values import ARCHIVE, ASSET, SIGNATURE, asset_bytes

FUNCTION: dict[str, Any] = {
    "FunctionName": "dev-iris-front-door",
    "Runtime": "python3.13",
    "Role": "arn:aws:iam::111111111111:role/r",
    "Handler": "app.handler",
    "Code": {"ZipFile": b"zip"},
    "Timeout": 900,
    "MemorySize": 10_240,
    "Environment": {"Variables": {"OWN": "x" * 4093}},
}
LAYER = "arn:aws:lambda:eu-west-1:111111111111:layer:a:1"


def test_a_function_at_every_limit_is_fine() -> None:
    assert validate("lambda", "CreateFunction", FUNCTION) == []


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"Timeout": 901}, "Timeout", "allowed are 1 to 900"),
        ({"MemorySize": 127}, "MemorySize", "at least 128"),
        ({"MemorySize": 10_241}, "MemorySize", "allowed are 128 to 10240"),
        ({"Runtime": "python9"}, "Runtime", "nearest is 'python3.9'"),
        ({"FunctionName": "x" * 65}, "FunctionName", "at most 64"),
        ({"FunctionName": "a b"}, "FunctionName", "does not match"),
        ({"Handler": None}, "Handler", "is required"),
        ({"Runtime": None}, "Runtime", "is required"),
        ({"Code": {}}, "Code", "is required, with one of"),
        ({"Code": {"S3Bucket": "code"}}, "Code.S3Key", "go together"),
        ({"Code": {"ZipFile": b"x", "S3Bucket": "code", "S3Key": "k"}}, "Code", "give one of them"),
        ({"Environment": {"Variables": {"OWN": "x" * 4094}}}, "Environment.Variables", "at most 4096"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "Environment.Variables", "reserved keys"),
        ({"Environment": {"Variables": {"1A": "x"}}}, "Environment.Variables[key '1A']", "does not match"),
        ({"Layers": [LAYER] * 6}, "Layers", "at most 5"),
    ],
)
def test_what_lambda_refuses_of_a_function(change: dict[str, Any], path: str, message: str) -> None:
    params = {name: value for name, value in {**FUNCTION, **change}.items() if value is not None}

    [finding] = validate("lambda", "CreateFunction", params)

    assert finding.path == path
    assert message in finding.message


def test_an_action_of_another_service_in_a_permission() -> None:
    params = {"FunctionName": "f", "StatementId": "a", "Action": "s3:GetObject", "Principal": "s3.amazonaws.com"}

    assert [finding.path for finding in validate("lambda", "AddPermission", params)] == ["Action"]
    assert validate("lambda", "AddPermission", {**params, "Action": "lambda:InvokeFunction"}) == []


def _archive(**texts: str) -> dict[str, Any]:
    assets = {name: {SIGNATURE: ASSET, "text": text} for name, text in texts.items()}
    return {SIGNATURE: ARCHIVE, "assets": assets}


def test_an_archive_depends_on_names_and_contents_alone() -> None:
    one = asset_bytes(_archive(a="1" * 1000, b="2"))

    assert one == asset_bytes(_archive(b="2", a="1" * 1000))
    assert one != asset_bytes(_archive(a="1" * 1000, b="3"))
    # Pinned: another Python, zlib or system gives the same bytes.
    assert hashlib.sha256(one).hexdigest() == "a0e81c9d8b976f737cb6614e4929212575d0ead164015ba318d6d0b52f042fcd"
    with zipfile.ZipFile(BytesIO(one)) as archive:
        assert [(member.filename, member.external_attr >> 16) for member in archive.infolist()] == [
            ("a", 0o100644),
            ("b", 0o100644),
        ]
