"""Another process with plain boto3 over loopback: its keys are whose they are, and unknown ones open nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from infra.rehearsal.cloud.iam.principals import OPERATOR_ACCESS_KEY_ID, OPERATOR_SECRET_ACCESS_KEY, Credentials

SCRIPT = """
import json, sys
import boto3
from botocore.exceptions import ClientError

asked = json.load(sys.stdin)
session = boto3.Session(**asked["session"])

def run(service, method, params):
    try:
        answer = getattr(session.client(service, endpoint_url=asked["url"]), method)(**params)
    except ClientError as error:
        return [error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]]
    return answer.get("Arn") or answer.get("KeyCount")

print(json.dumps([run(*call) for call in asked["calls"]]))
"""


def run(account: Any, keys: Credentials, *calls: tuple[str, str, dict[str, Any]]) -> list[Any]:
    session = {
        "aws_access_key_id": keys.access_key_id,
        "aws_secret_access_key": keys.secret_access_key,
        "aws_session_token": keys.session_token or None,
        "region_name": account.region,
    }
    asked = json.dumps({"session": session, "url": account.cloud.serve(), "calls": calls})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=asked, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_key_is_its_principal(account: Any) -> None:
    account.make_bucket()
    who, listing = ("sts", "get_caller_identity", {}), ("s3", "list_objects_v2", {"Bucket": account.bucket})
    writing = ("s3", "put_object", {"Bucket": account.bucket, "Key": "k"})
    publishing = ("sns", "publish", {"TopicArn": f"arn:aws:sns:{account.region}:{account.id}:t", "Message": "m"})
    operator = Credentials(OPERATOR_ACCESS_KEY_ID, OPERATOR_SECRET_ACCESS_KEY)
    assert run(account, operator, who, listing) == [f"arn:aws:iam::{account.id}:user/rehearsal-operator", 0]

    role = account.role(account.allow("s3:ListBucket"))
    minted = account.cloud.principals.mint(
        account.cloud.principals.assume(role, service=account.service, session_name="run")
    )
    assert run(account, minted, who, listing, writing, publishing) == [
        f"arn:aws:sts::{account.id}:assumed-role/reader/run",
        0,
        ["AccessDenied", 403],
        ["AuthorizationError", 403],
    ]

    unknown = Credentials("AKIAUNKNOWNUNKNOWNUN", "x")
    assert run(account, unknown, who, listing) == [["InvalidClientTokenId", 403], ["InvalidClientTokenId", 403]]


def test_keys_repeat_for_the_same_seed_and_are_one_per_principal(account: Any) -> None:
    principals = account.cloud.principals
    role = account.role()
    session = principals.assume(role, service=account.service, session_name="run")
    other = principals.assume(role, service=account.service, session_name="other")
    first = principals.mint(session)
    assert principals.mint(session) == first
    assert principals.mint(other) != first
    assert principals.mint(session, duration_seconds=900) != first
    principals.reset()
    assert principals.mint(session) == first
    assert first.access_key_id.startswith("ASIA")
    assert len(first.access_key_id) == 20
