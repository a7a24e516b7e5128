"""Issuers of tokens that are no user pool of this cloud: whoever plays one publishes its keys here.

API Gateway fetches an issuer's keys from the `jwks_uri` of `<issuer>/.well-known/openid-configuration`
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html). A rehearsal leaves loopback
for nobody, so a key set takes the place of that fetch. It is a JSON Web Key Set, RFC 7517, of RSA keys.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class Issuers:
    """Key sets of one cloud, by the issuer's URL, letter for letter. A reset of the cloud forgets them."""

    def __init__(self, cloud: Cloud):
        self._lock = threading.Lock()
        self._keys: dict[str, dict[str, RSAPublicKey]] = {}

    def publish(self, issuer: str, key_set: Mapping[str, Any]) -> None:
        """Takes `{"keys": [{"kty": "RSA", "kid", "n", "e"}…]}` as what the issuer publishes from now on.

        Raises ValueError for a key that has no id or is not RSA: API Gateway could not use it.
        """
        keys: dict[str, RSAPublicKey] = {}
        for key in key_set["keys"]:
            if key.get("kty") != "RSA" or not key.get("kid"):
                raise ValueError(
                    f"{issuer}: a key of kind {key.get('kty')!r} with id {key.get('kid')!r}; RSA with an id"
                )
            keys[key["kid"]] = RSAPublicNumbers(n=_number(key["n"]), e=_number(key["e"])).public_key()
        with self._lock:
            self._keys[issuer] = keys

    def keys_of(self, issuer: str) -> Mapping[str, RSAPublicKey] | None:
        """The keys by id; None for an issuer that nobody plays."""
        with self._lock:
            return self._keys.get(issuer)

    def close(self) -> None:
        with self._lock:
            self._keys.clear()


def issuers(cloud: Cloud) -> Issuers:
    """The issuers that are played in a cloud."""
    return state_of(cloud, Issuers)


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
