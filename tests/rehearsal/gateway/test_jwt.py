"""JWT authorizers: tokens verified for real, with the keys of this cloud's user pools."""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from gateway_world import FORBIDDEN, PATH, REGION, World, token
from moto.cognitoidp.models import cognitoidp_backends

UNAUTHORIZED = b'{"message":"Unauthorized"}'


@pytest.fixture
def pool(empty: World) -> str:
    return empty.cloud.client("cognito-idp").create_user_pool(PoolName="people")["UserPool"]["Id"]


@pytest.fixture
def issuer(pool: str) -> str:
    return f"https://cognito-idp.{REGION}.amazonaws.com/{pool}"


@pytest.fixture
def key(empty: World, pool: str) -> Any:
    """The pool's own key."""
    jwk = cognitoidp_backends[empty.cloud.account_id][REGION].user_pools[pool].json_web_key
    return load_pem_private_key(jwk.as_pem(private=True), None)


def open_with(
    world: World, issuer: str, *, scopes: list[str] | None = None, source: str = "header.Authorization"
) -> str:
    world.open_api()
    world.allow_gateway()
    authorizer = world.gateway.create_authorizer(
        ApiId=world.api_id,
        Name="people",
        AuthorizerType="JWT",
        IdentitySource=[f"$request.{source}"],
        JwtConfiguration={"Issuer": issuer, "Audience": ["predictions", "others"]},
    )["AuthorizerId"]
    world.route(AuthorizationType="JWT", AuthorizerId=authorizer, AuthorizationScopes=scopes or [])
    world.stage()
    return authorizer


@pytest.fixture
def guarded(empty: World, issuer: str) -> World:
    open_with(empty, issuer)
    return empty


@pytest.fixture
def claims(issuer: str) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": issuer,
        "aud": "predictions",
        "exp": now + 60,
        "iat": now - 1,
        "sub": "someone",
        "groups": ["a", "b"],
    }


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}", "content-type": "application/json"}


def test_a_good_token(guarded: World, key: Any, claims: dict[str, Any]) -> None:
    reply = guarded.send(headers=bearer(token(key, claims)))
    assert (reply.status, reply.body) == (200, b"ok")
    jwt = guarded.function.events[-1]["requestContext"]["authorizer"]["jwt"]
    assert jwt["scopes"] is None
    assert jwt["claims"] == {
        "iss": claims["iss"],
        "aud": "predictions",
        "exp": str(claims["exp"]),
        "iat": str(claims["iat"]),
        "sub": "someone",
        "groups": "[a b]",
    }
    bare = {"authorization": token(key, claims)}
    assert guarded.send(headers=bare).status == 200


def test_a_token_that_the_pool_minted(guarded: World, pool: str) -> None:
    """An access token has client_id instead of aud."""
    cognito = guarded.cloud.client("cognito-idp")
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="cli", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="ann")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ann", Password="Secret-1234", Permanent=True)
    signed_in = cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": "Secret-1234"},
    )["AuthenticationResult"]
    assert guarded.send(headers=bearer(signed_in["AccessToken"])).status == 401
    authorizer = guarded.gateway.get_authorizers(ApiId=guarded.api_id)["Items"][0]
    guarded.gateway.update_authorizer(
        ApiId=guarded.api_id,
        AuthorizerId=authorizer["AuthorizerId"],
        JwtConfiguration={**authorizer["JwtConfiguration"], "Audience": [client]},
    )
    for name in ("AccessToken", "IdToken"):
        assert guarded.send(headers=bearer(signed_in[name])).status == 200, name


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"aud": "strangers"}, "the audience is 'strangers'"),
        ({"aud": None, "client_id": "strangers"}, "the audience is None"),
        ({"iss": "https://issuer.example"}, "the issuer is 'https://issuer.example'"),
        ({"exp": 1}, "the token has expired"),
        ({"exp": None}, "the token has expired"),
        ({"exp": "soon"}, "exp is no number"),
        ({"nbf": 9_999_999_999}, "the token is not valid yet (nbf)"),
        ({"iat": 9_999_999_999}, "the token is not valid yet (iat)"),
    ],
)
def test_claims_that_do_not_hold(
    guarded: World, key: Any, claims: dict[str, Any], caplog: pytest.LogCaptureFixture, change: dict[str, Any], why: str
) -> None:
    with caplog.at_level(logging.INFO):
        reply = guarded.send(headers=bearer(token(key, {**claims, **change})))
    assert (reply.status, reply.body) == (401, UNAUTHORIZED)
    assert why in caplog.text
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]
    assert guarded.function.events == []


def test_either_of_aud_and_client_id(guarded: World, key: Any, claims: dict[str, Any]) -> None:
    del claims["aud"]
    assert guarded.send(headers=bearer(token(key, {**claims, "client_id": "others"}))).status == 200
    assert guarded.send(headers=bearer(token(key, {**claims, "aud": ["x", "others"]}))).status == 200
    assert guarded.send(headers=bearer(token(key, claims))).status == 401


def test_no_token(guarded: World) -> None:
    reply = guarded.send()
    assert (reply.status, reply.body, reply.headers["www-authenticate"]) == (401, UNAUTHORIZED, "Bearer")


def test_a_strangers_key(guarded: World, claims: dict[str, Any]) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert guarded.send(headers=bearer(token(stranger, claims))).status == 401


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256", "kid": "dummy"}, {"alg": "RS256", "kid": "x"}])
def test_headers_that_do_not_hold(guarded: World, key: Any, claims: dict[str, Any], header: dict[str, str]) -> None:
    assert guarded.send(headers=bearer(token(key, claims, header))).status == 401


def test_a_changed_claim(guarded: World, key: Any, claims: dict[str, Any]) -> None:
    head, _, signature = token(key, claims).split(".")
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "boss"}).encode()).rstrip(b"=").decode()
    assert guarded.send(headers=bearer(f"{head}.{changed}.{signature}")).status == 401


@pytest.mark.parametrize("text", ["x", "a.b", "a.b.c", "....", "ü.ü.ü", "bnVsbA.bnVsbA.bnVsbA"])
def test_what_is_no_token(guarded: World, text: str) -> None:
    headers = {"authorization": f"Bearer {text}".encode().decode("latin-1")}
    assert guarded.send(headers=headers).status == 401


def test_scopes(empty: World, issuer: str, key: Any, claims: dict[str, Any]) -> None:
    open_with(empty, issuer, scopes=["predict", "admin"])
    reply = empty.send(headers=bearer(token(key, claims)))
    assert (reply.status, reply.body) == (403, FORBIDDEN)
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    assert empty.send(headers=bearer(token(key, {**claims, "scope": "read write"}))).status == 403
    assert empty.send(headers=bearer(token(key, {**claims, "scope": "read predict"}))).status == 200
    assert empty.send(headers=bearer(token(key, {**claims, "scp": ["admin"]}))).status == 200
    assert empty.function.events[-1]["requestContext"]["authorizer"]["jwt"]["scopes"] == ["predict", "admin"]


def test_a_token_in_the_query(empty: World, issuer: str, key: Any, claims: dict[str, Any]) -> None:
    open_with(empty, issuer, source="querystring.token")
    assert empty.send(path=f"{PATH}?token={token(key, claims)}").status == 200
    assert empty.send(headers=bearer(token(key, claims))).status == 401


@pytest.mark.parametrize(
    "foreign",
    ["https://issuer.example", f"https://cognito-idp.{REGION}.amazonaws.com/{REGION}_missing"],
)
def test_an_issuer_out_of_reach_is_refused_and_named(
    empty: World, key: Any, claims: dict[str, Any], caplog: pytest.LogCaptureFixture, foreign: str
) -> None:
    open_with(empty, foreign)
    with caplog.at_level(logging.WARNING):
        reply = empty.send(headers=bearer(token(key, {**claims, "iss": foreign})))
    assert (reply.status, reply.body) == (401, UNAUTHORIZED)
    assert f"tokens of {foreign} cannot be checked in a rehearsal" in caplog.text
