"""JSON web tokens of JWT authorizers, verified for real.

Source: API Gateway developer guide, "Control access to HTTP APIs with JWT authorizers"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html): only RSA algorithms; the
claims kid, iss, aud or client_id, exp, nbf, iat, and scope or scp where the route asks for scopes. Time is the
machine's, as for signatures: tokens are minted by it.

The keys of an issuer are those that somebody publishes for it in this cloud (issuers.py), or those of this cloud's
Cognito user pools. No other issuer can be reached in a rehearsal: its tokens are refused, and the log says so by name.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from infra.rehearsal.cloud.gateway.answer import Refused, forbidden, unauthorized
from infra.rehearsal.cloud.gateway.issuers import issuers
from infra.rehearsal.cloud.gateway.request import Request

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_ISSUER = re.compile(r"https://cognito-idp\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([\w-]+)")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "RS256": hashes.SHA256(),
    "RS384": hashes.SHA384(),
    "RS512": hashes.SHA512(),
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JwtAuthorizer:
    """A JWT authorizer as it was deployed."""

    issuer: str
    audience: tuple[str, ...]
    identity_source: str
    """"$request.header.Authorization" or "$request.querystring.NAME"."""


def authorise(
    cloud: Cloud, authorizer: JwtAuthorizer, request: Request, scopes: Collection[str], now: float
) -> dict[str, Any]:
    """requestContext.authorizer for a request with a good token. Refused (401, 403) for any other.

    now: seconds since the epoch.
    """
    token = _token(request, authorizer.identity_source)
    if not token:
        raise _invalid("", scopes)
    try:
        claims = _claims(cloud, authorizer, token, now)
    except _Bad as bad:
        log.info("a token for %s was refused: %s", authorizer.issuer, bad)
        raise _invalid(str(bad), scopes) from None
    held = _scopes(claims)
    if scopes and not set(scopes) & set(held):
        raise forbidden(("www-authenticate", _challenge(scopes, "insufficient_scope", "the scope is missing")))
    return {"jwt": {"claims": {name: _text(value) for name, value in claims.items()}, "scopes": list(scopes) or None}}


class _Bad(Exception):
    """Why a token is not accepted."""


def _token(request: Request, identity_source: str) -> str:
    place, _, name = identity_source.removeprefix("$request.").partition(".")
    if place == "header":
        value = request.headers.get(name.lower(), "")
    else:
        value = next((v for n, _, v in (part.partition("=") for part in request.query.split("&")) if n == name), "")
    return value[7:].strip() if value[:7].lower() == "bearer " else value.strip()


def _claims(cloud: Cloud, authorizer: JwtAuthorizer, token: str, now: float) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        raise _Bad("the token is no JSON web token")
    header, claims = _json(parts[0]), _json(parts[1])
    algorithm = _HASHES.get(str(header.get("alg")))
    if algorithm is None:
        raise _Bad(f"the algorithm {header.get('alg')!r} is not carried; RSA signatures only")
    # Before the key is asked for: a token may not choose whose keys judge it.
    if claims.get("iss") != authorizer.issuer:
        raise _Bad(f"the issuer is {claims.get('iss')!r}")
    key = _key_of(cloud, authorizer.issuer, str(header.get("kid", "")))
    try:
        key.verify(_decoded(parts[2]), f"{parts[0]}.{parts[1]}".encode(), PKCS1v15(), algorithm)
    except InvalidSignature:
        raise _Bad("the signature does not match") from None
    audience = claims["aud"] if "aud" in claims else claims.get("client_id")
    given = audience if isinstance(audience, list) else [audience]
    if not set(map(str, given)) & set(authorizer.audience):
        raise _Bad(f"the audience is {audience!r}")
    expires = _time(claims, "exp")
    if expires is None or expires <= now:
        raise _Bad("the token has expired")
    for name in ("nbf", "iat"):
        since = _time(claims, name)
        if since is not None and since > now:
            raise _Bad(f"the token is not valid yet ({name})")
    return claims


def _key_of(cloud: Cloud, issuer: str, key_id: str) -> RSAPublicKey:
    published = issuers(cloud).keys_of(issuer)
    if published is not None:
        if key_id not in published:
            raise _Bad(f"the issuer has no key {key_id!r}")
        return published[key_id]
    found = _ISSUER.fullmatch(issuer)
    pool = _pool(cloud, found[1], found[2]) if found else None
    if pool is None:
        log.warning(
            "tokens of %s cannot be checked in a rehearsal, so they are refused: nobody plays this issuer here, and it"
            " is no Cognito user pool of the emulated cloud, https://cognito-idp.<region>.amazonaws.com/<pool>",
            issuer,
        )
        raise _Bad("the issuer's keys cannot be had")
    # Every pool signs with one key, under the id that its JWKS document has.
    numbers = pool.json_web_key.as_dict(private=False)
    if key_id != _pool_key_id():
        raise _Bad(f"the issuer has no key {key_id!r}")
    return _rsa(str(numbers["n"]), str(numbers["e"]))


def _pool(cloud: Cloud, region: str, pool_id: str) -> Any | None:
    from moto.cognitoidp.models import cognitoidp_backends  # slow to import, and few rehearsals need it

    try:
        return cognitoidp_backends[cloud.account_id][region].user_pools.get(pool_id)
    except KeyError:  # no such region
        return None


@functools.cache
def _pool_key_id() -> str:
    from moto.cognitoidp.responses import CognitoIdpJsonWebKeyResponse

    return str(json.loads(CognitoIdpJsonWebKeyResponse.json_web_key)["keys"][0]["kid"])


@functools.lru_cache(maxsize=16)
def _rsa(modulus: str, exponent: str) -> RSAPublicKey:
    numbers = [int.from_bytes(_decoded(text), "big") for text in (modulus, exponent)]
    return RSAPublicNumbers(n=numbers[0], e=numbers[1]).public_key()


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part))
    except ValueError:
        raise _Bad("the token is no JSON web token") from None
    if not isinstance(value, dict):
        raise _Bad("the token is no JSON web token")
    return value


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _Bad("the token is not base64url") from None


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Bad(f"{name} is no number")
    return float(value)


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    held = claims.get("scope", claims.get("scp", ""))
    return [str(one) for one in held] if isinstance(held, list) else str(held).split()


def _text(value: Any) -> str:
    """Claims are texts in the event, lists in brackets."""
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    return value if isinstance(value, str) else json.dumps(value)


def _invalid(why: str, scopes: Collection[str]) -> Refused:
    return unauthorized(("www-authenticate", _challenge(scopes, "invalid_token", why) if why else "Bearer"))


def _challenge(scopes: Collection[str], error: str, why: str) -> str:
    """The header's form is RFC 6750's; the descriptions are unconfirmed."""
    description = re.sub(r'[^\x20-\x7e]|["\\]', "'", why)
    return f'Bearer scope="{" ".join(scopes)}" error="{error}" error_description="{description}"'
