"""The issuer of tokens that a rehearsal plays: a key of this run, tokens signed with it, and the set that publishes it.

An environment with `front_door: {auth: jwt}` takes the tokens of somebody else's identity provider. A rehearsal reaches
nobody, so it stands in for that provider: the front door is deployed with the issuer and the audiences of the settings,
and every token is really verified.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

TOKEN_SECONDS = 12 * 3600
"""A served rehearsal's token lasts for a day's work."""

SUBJECT = "rehearsal-client"


class PlayedIssuer:
    """An issuer with one RSA key, made with it and never stored."""

    def __init__(self, url: str, audiences: Sequence[str]):
        self.url = url
        self.audiences = tuple(audiences)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(8)

    @property
    def key_set(self) -> dict[str, Any]:
        """The public key, as an issuer's `jwks_uri` answers."""
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self._key_id}
        return {"keys": [{**key, "n": _encoded_number(numbers.n), "e": _encoded_number(numbers.e)}]}

    def token(self, *, audience: str | None = None, subject: str = SUBJECT, seconds: int = TOKEN_SECONDS) -> str:
        """A token, RS256, for the first audience unless one is named; `seconds` below 0 make one that has expired."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": self.audiences[0] if audience is None else audience,
            "sub": subject,
            "iat": now + min(0, seconds),
            "exp": now + seconds,
        }
        signed = f"{_encoded({'alg': 'RS256', 'kid': self._key_id, 'typ': 'JWT'})}.{_encoded(claims)}"
        signature = self._key.sign(signed.encode(), PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _encoded_number(number: int) -> str:
    return _base64(number.to_bytes(-(-number.bit_length() // 8), "big"))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
