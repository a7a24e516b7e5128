"""AWS_IAM: signatures verified for real, then execute-api:Invoke by the policies that are deployed."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.credentials import Credentials
from gateway_world import ACCOUNT_ID, BODY, FORBIDDEN, JSON, PATH, REGION, ROUTE_KEY, World

from infra.rehearsal.cloud.gateway import signature


@pytest.fixture
def signed_world(empty: World) -> World:
    """An API whose route wants signatures."""
    empty.open_api()
    empty.allow_gateway()
    empty.route(AuthorizationType="AWS_IAM")
    empty.stage()
    return empty


@pytest.fixture
def caller(signed_world: World) -> Credentials:
    return signed_world.user(signed_world.may_invoke())


def refused(world: World, why: str, caplog: pytest.LogCaptureFixture, **request: Any) -> None:
    """The request is answered 403 with a body that says nothing; the log says why."""
    count = len(world.function.events)
    with caplog.at_level(logging.INFO, logger="infra.rehearsal.cloud.gateway"):
        reply = world.send(**request)
    assert (reply.status, reply.body) == (403, FORBIDDEN)
    assert why in caplog.text
    assert len(world.function.events) == count


def test_a_signed_request_of_one_who_may(signed_world: World, caller: Credentials) -> None:
    reply = signed_world.send(headers=signed_world.signed(caller))
    assert (reply.status, reply.body) == (200, b"ok")
    event = signed_world.function.events[-1]
    assert event["requestContext"]["authorizer"]["iam"] == {
        "accessKey": caller.access_key,
        "accountId": ACCOUNT_ID,
        "callerId": "caller",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::{ACCOUNT_ID}:user/caller",
        "userId": "caller",
    }


def test_query_headers_and_odd_paths_are_part_of_the_signature(signed_world: World) -> None:
    caller = signed_world.user({"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"})
    signed_world.route("ANY /{proxy+}", AuthorizationType="AWS_IAM")
    for path in ("/a%20b/c%2Fd", "/a?b=2&a=1&a=0&c", "/a?x=y%2Fz&e=%C3%BC", "/~tilde/-_.", "/caf%C3%A9"):
        headers = {**JSON, "x-custom": "  two   words  "}
        reply = signed_world.send(path=path, headers=signed_world.signed(caller, path=path, headers=headers))
        assert reply.status == 200, path


def test_unsigned(signed_world: World, caplog: pytest.LogCaptureFixture) -> None:
    refused(signed_world, "the request is not signed", caplog)
    refused(signed_world, "is no Signature Version 4", caplog, headers={"Authorization": "Bearer abc"})


def test_a_wrong_secret(signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture) -> None:
    wrong = Credentials(caller.access_key, caller.secret_key[:-1] + "x")
    refused(signed_world, "does not match", caplog, headers=signed_world.signed(wrong))


def test_an_unknown_key(signed_world: World, caplog: pytest.LogCaptureFixture) -> None:
    headers = signed_world.signed(Credentials("AKIAUNKNOWNUNKNOWN12", "secret"))
    refused(signed_world, "the access key AKIAUNKNOWNUNKNOWN12 is not known", caplog, headers=headers)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"body": BODY + b" "}, "does not match"),
        ({"path": f"{PATH}?extra=1"}, "does not match"),
        ({"method": "PUT"}, "does not match"),
    ],
)
def test_what_was_signed_is_what_comes(
    signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture, change: dict[str, Any], why: str
) -> None:
    signed_world.route(f"PUT {PATH}", AuthorizationType="AWS_IAM")
    refused(signed_world, why, caplog, headers=signed_world.signed(caller), **change)


def test_a_changed_header(signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture) -> None:
    headers = signed_world.signed(caller, headers={**JSON, "x-custom": "one"})
    assert signed_world.send(headers=headers).status == 200
    refused(signed_world, "does not match", caplog, headers={**headers, "x-custom": "two"})
    left_out = {name: value for name, value in headers.items() if name != "x-custom"}
    refused(signed_world, "the signed header x-custom is missing", caplog, headers=left_out)
    added = {**headers, "x-amz-meta": "not signed"}
    refused(signed_world, "the header x-amz-meta is not signed", caplog, headers=added)


def test_the_hash_that_a_client_claims(
    signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    headers = signed_world.signed(caller, headers={**JSON, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    refused(signed_world, "the body is not the one that was signed", caplog, headers=headers)


def test_another_region_or_service(signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture) -> None:
    refused(signed_world, "signed for lambda in", caplog, headers=signed_world.signed(caller, service="lambda"))
    headers = signed_world.signed(caller, region="us-east-1")
    refused(signed_world, "signed for execute-api in us-east-1", caplog, headers=headers)


@pytest.mark.parametrize(("minutes", "status"), [(-6, 403), (-4, 200), (4, 200), (6, 403)])
def test_a_signature_may_be_five_minutes_off(
    signed_world: World, caller: Credentials, monkeypatch: pytest.MonkeyPatch, minutes: int, status: int
) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: at.replace(tzinfo=None))
    headers = signed_world.signed(caller)
    assert headers["X-Amz-Date"] == at.strftime("%Y%m%dT%H%M%SZ")
    assert signed_world.send(headers=headers).status == status


def test_the_clouds_clock_expires_no_signature(signed_world: World, caller: Credentials) -> None:
    """Clients sign by their own clock, which no drill advances."""
    signed_world.cloud.clock.advance(3600)
    assert signed_world.send(headers=signed_world.signed(caller)).status == 200


def test_signed_in_the_query(signed_world: World, caller: Credentials, caplog: pytest.LogCaptureFixture) -> None:
    path = signed_world.presigned(caller)
    assert signed_world.send(path=path, body=b"", headers={}).status == 200
    assert "X-Amz-Signature" in signed_world.function.events[-1]["rawQueryString"]
    refused(signed_world, "does not match", caplog, path=path, headers={}, body=BODY)
    refused(signed_world, "does not match", caplog, path=f"{path}&more=1", headers={}, body=b"")
    too_long = signed_world.presigned(caller, expires=604_801)
    refused(signed_world, "X-Amz-Expires is '604801'", caplog, path=too_long, headers={})


@pytest.mark.parametrize(("seconds_ago", "status"), [(50, 200), (70, 403)])
def test_a_presigned_request_expires(
    signed_world: World, caller: Credentials, monkeypatch: pytest.MonkeyPatch, seconds_ago: int, status: int
) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: at.replace(tzinfo=None))
    path = signed_world.presigned(caller, expires=60)
    assert signed_world.send(path=path, body=b"", headers={}).status == status


def test_one_without_a_permission(signed_world: World, caplog: pytest.LogCaptureFixture) -> None:
    nobody = signed_world.user(name="nobody")
    why = "is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:"
    refused(signed_world, why, caplog, headers=signed_world.signed(nobody))


@pytest.mark.parametrize(
    ("resource", "status"),
    [
        ("$default/POST/v1/models/iris/predictions", 200),
        ("$default/POST/v1/models/*", 200),
        ("*", 200),
        ("$default/POST/v1/models/rose/predictions", 403),
        ("$default/GET/v1/models/iris/predictions", 403),
        ("dev/POST/v1/models/iris/predictions", 403),
    ],
)
def test_the_permission_names_stage_method_and_path(signed_world: World, resource: str, status: int) -> None:
    caller = signed_world.user(signed_world.may_invoke(resource))
    assert signed_world.send(headers=signed_world.signed(caller)).status == status


def test_an_explicit_deny_wins(signed_world: World, caller: Credentials) -> None:
    deny = {"Effect": "Deny", "Action": "execute-api:*", "Resource": "*"}
    denied = signed_world.user(signed_world.may_invoke(), deny, name="denied")
    assert signed_world.send(headers=signed_world.signed(denied)).status == 403
    assert signed_world.send(headers=signed_world.signed(caller)).status == 200


def make_role(world: World, *statements: dict[str, Any]) -> Credentials:
    """A session of a role that anybody of the account may take."""
    iam = world.cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trust]}
    arn = iam.create_role(RoleName="client", AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName="client", PolicyName="own", PolicyDocument=policy)
    keys = world.cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=900)["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def test_a_role_needs_its_session_token(signed_world: World, caplog: pytest.LogCaptureFixture) -> None:
    role = make_role(signed_world, signed_world.may_invoke())
    assert signed_world.send(headers=signed_world.signed(role)).status == 200
    iam = signed_world.function.events[-1]["requestContext"]["authorizer"]["iam"]
    assert iam["userArn"] == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/client/me"
    without = Credentials(role.access_key, role.secret_key)
    refused(signed_world, "the session token is not that of", caplog, headers=signed_world.signed(without))
    other = Credentials(role.access_key, role.secret_key, "another")
    refused(signed_world, "the session token is not that of", caplog, headers=signed_world.signed(other))


def test_a_session_expires(signed_world: World, caplog: pytest.LogCaptureFixture) -> None:
    role = make_role(signed_world, signed_world.may_invoke())
    signed_world.cloud.clock.advance(901)
    refused(signed_world, "ExpiredToken", caplog, headers=signed_world.signed(role))


def test_a_role_without_invoke(signed_world: World) -> None:
    assert signed_world.send(headers=signed_world.signed(make_role(signed_world))).status == 403


def test_a_key_that_is_switched_off(signed_world: World, caller: Credentials) -> None:
    signed_world.cloud.client("iam").update_access_key(
        UserName="caller", AccessKeyId=caller.access_key, Status="Inactive"
    )
    assert signed_world.send(headers=signed_world.signed(caller)).status == 403


def test_the_operator_may(signed_world: World) -> None:
    keys = signed_world.cloud.principals.mint(signed_world.cloud.principals.operator)
    operator = Credentials(keys.access_key_id, keys.secret_access_key)
    assert signed_world.send(headers=signed_world.signed(operator)).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/execute-api/aws4_request, SignedHeaders=x;host, Signature="
        + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20260101/eu-west-1/execute-api/aws4_request, SignedHeaders=host, Signature=xyz",
    ],
)
def test_malformed_signatures(signed_world: World, authorization: str) -> None:
    headers = {"Authorization": authorization, "x-amz-date": "20260101T000000Z"}
    assert signed_world.send(headers=headers).status == 403


def test_dot_segments_are_removed_before_signing() -> None:
    """The guide's CanonicalUri."""
    assert signature._normal_path("/a/./b//../c/") == "/a/c/"
    assert signature._normal_path("/..") == "/"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_signs_as_printed(signed_world: World, caller: Credentials) -> None:
    def curl(user: str) -> str:
        command = ["curl", "--silent", "--show-error", "--write-out", " %{http_code}", "--request", "POST"]
        command += ["--aws-sigv4", f"aws:amz:{REGION}:execute-api", "--user", user]
        command += ["--header", "content-type: application/json", "--data", BODY.decode()]
        return subprocess.run([*command, signed_world.url + PATH], capture_output=True, text=True, check=True).stdout

    assert curl(f"{caller.access_key}:{caller.secret_key}") == "ok 200"
    assert signed_world.function.events[-1]["routeKey"] == ROUTE_KEY
    assert curl(f"{caller.access_key}:wrong") == f"{FORBIDDEN.decode()} 403"
