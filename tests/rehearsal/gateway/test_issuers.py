"""Issuers that somebody plays: their tokens are verified as any other's, with the keys that they publish."""

from __future__ import annotations

import logging

import pytest
from gateway_world import World

from infra.rehearsal.clients import Clients, clients_of
from infra.rehearsal.cloud.gateway.issuers import issuers
from infra.rehearsal.played_issuer import SUBJECT, PlayedIssuer
from infra.settings.schema import FrontDoorSettings

URL = "https://login.example.com/tenant/v2.0"


@pytest.fixture(scope="module")
def issuer() -> PlayedIssuer:
    return PlayedIssuer(URL, ["predictions", "others"])


@pytest.fixture
def guarded(empty: World, issuer: PlayedIssuer) -> World:
    """A route that takes the issuer's tokens; the issuer has published nothing yet."""
    empty.open_api()
    empty.allow_gateway()
    authorizer = empty.gateway.create_authorizer(
        ApiId=empty.api_id,
        Name="people",
        AuthorizerType="JWT",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": URL, "Audience": list(issuer.audiences)},
    )["AuthorizerId"]
    empty.route(AuthorizationType="JWT", AuthorizerId=authorizer)
    empty.stage()
    return empty


def status(world: World, token: str) -> int:
    return world.send(headers={"authorization": f"Bearer {token}", "content-type": "application/json"}).status


def test_tokens_of_a_played_issuer_are_verified(guarded: World, issuer: PlayedIssuer) -> None:
    assert status(guarded, issuer.token()) == 401
    issuers(guarded.cloud).publish(URL, issuer.key_set)
    assert status(guarded, issuer.token()) == 200
    claims = guarded.function.events[-1]["requestContext"]["authorizer"]["jwt"]["claims"]
    assert (claims["iss"], claims["aud"], claims["sub"]) == (URL, "predictions", SUBJECT)
    assert status(guarded, issuer.token(audience="others", subject="ann")) == 200
    assert len(guarded.function.events) == 2


def test_no_other_token_is_taken(guarded: World, issuer: PlayedIssuer) -> None:
    issuers(guarded.cloud).publish(URL, issuer.key_set)
    head, claims, signature = issuer.token().split(".")
    stranger = PlayedIssuer(URL, issuer.audiences)
    twin = PlayedIssuer(URL, issuer.audiences)
    twin._key_id = issuer._key_id
    for refused in (
        issuer.token(audience="strangers"),
        issuer.token(seconds=-1),
        stranger.token(),
        twin.token(),
        PlayedIssuer(URL + "/", issuer.audiences).token(),
        f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
    ):
        assert status(guarded, refused) == 401
    assert guarded.send().status == 401
    assert guarded.function.events == []


def test_a_key_that_was_replaced_is_no_longer_taken(guarded: World, issuer: PlayedIssuer) -> None:
    issuers(guarded.cloud).publish(URL, issuer.key_set)
    next_one = PlayedIssuer(URL, issuer.audiences)
    issuers(guarded.cloud).publish(URL, next_one.key_set)
    assert [status(guarded, each.token()) for each in (issuer, next_one)] == [401, 200]


def test_a_reset_forgets_them(guarded: World, issuer: PlayedIssuer) -> None:
    issuers(guarded.cloud).publish(URL, issuer.key_set)
    assert list(issuers(guarded.cloud).keys_of(URL) or ()) == [issuer.key_set["keys"][0]["kid"]]
    guarded.cloud.reset()
    assert issuers(guarded.cloud).keys_of(URL) is None


@pytest.mark.parametrize("key", [{"kty": "EC", "kid": "a"}, {"kty": "RSA", "kid": ""}])
def test_keys_that_no_gateway_could_use(empty: World, key: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"login\.example\.com/tenant/v2\.0: a key of kind"):
        issuers(empty.cloud).publish(URL, {"keys": [key]})


def of_settings(world: World, **front_door: object) -> Clients:
    settings = FrontDoorSettings.model_validate(front_door)
    return clients_of(world.cloud, settings, access_key_id="AKID", secret_access_key="secret")


def test_clients_prove_themselves_as_the_settings_ask(guarded: World, caplog: pytest.LogCaptureFixture) -> None:
    signing = of_settings(guarded)
    assert (signing.token, signing.unsigned_status, signing.refused, signing.played) == (None, 403, (), ())
    assert signing.curl_options == "--aws-sigv4 aws:amz:eu-west-1:execute-api --user AKID:secret "
    opened = of_settings(guarded, auth="none")
    assert (opened.token, opened.unsigned_status, opened.curl_options) == (None, 200, "")

    jwt = {"issuer": URL, "audiences": ["predictions", "others"]}
    tokens = of_settings(guarded, auth="jwt", jwt=jwt)
    assert tokens.token is not None
    assert tokens.unsigned_status == 401
    assert tokens.curl_options == f"-H 'authorization: Bearer {tokens.token}' "
    assert tokens.predict_options == f" --token {tokens.token}"
    assert len(tokens.played) == 1
    assert URL in tokens.played[0]
    assert status(guarded, tokens.token) == 200
    with caplog.at_level(logging.INFO):
        answers = [(kind, guarded.send(headers=headers).status) for kind, headers, _ in tokens.refused]
    assert answers == [("wrong audience", 401), ("expired", 401), ("stranger", 401)]
    for why in ("the audience is 'not-predictions'", "the token has expired", "the issuer has no key"):
        assert why in caplog.text
