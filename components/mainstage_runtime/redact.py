"""Personal data never reaches anything that is stored: it is dropped, or a pseudonym stands for it.

A pseudonym is the keyed hash (HMAC-SHA256) of a value, its first 32 hexadecimal digits. Equal values have equal
pseudonyms, so that rows can be counted and joined; without the key nobody can guess a value and compare. The key is
derived when the process starts and is never stored:

    kms:GenerateMac(KeyId, Message=b"mainstage-pseudonym-v1", MacAlgorithm="HMAC_SHA_256")

While KMS does not answer there are no pseudonyms, and null is logged in their place. A prediction never waits for it.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from mainstage_runtime.emf import error_name
from mainstage_runtime.record import input_column, output_column, pii_action
from mainstage_runtime.values import element_type

KEY_MESSAGE = b"mainstage-pseudonym-v1"
"""What is signed to derive the key. Another message would be other pseudonyms for the same values."""

MAC_ALGORITHM = "HMAC_SHA_256"
PSEUDONYM_DIGITS = 32
SECONDS_BETWEEN_TRIES = 30.0

is_pseudonym = re.compile(f"[0-9a-f]{{{PSEUDONYM_DIGITS}}}").fullmatch


class Pseudonyms:
    """Pseudonyms of one key. Never raises: without a key the answer is None."""

    def __init__(self, derive: Callable[[], bytes] | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`derive` gives the key, at least 16 bytes, or raises; None where the model needs no pseudonyms."""
        self._derive, self._clock = derive, clock
        self._key: bytes | None = None
        self._next_try = 0.0
        self.failure = ""
        """Name of the error that the last try ended with; empty when there is a key or none is needed."""

    def prepare(self) -> bool:
        """Derives the key where it is missing, at most once in SECONDS_BETWEEN_TRIES. True: there is a key."""
        if self._key is None and self._derive is not None and self._clock() >= self._next_try:
            try:
                key = self._derive()
                if len(key) < 16:
                    raise ValueError("the key is too short")
                self._key, self.failure = bytes(key), ""
            except Exception as error:
                self._next_try = self._clock() + SECONDS_BETWEEN_TRIES
                self.failure = error_name(error)
        return self._key is not None

    def of(self, text: str) -> str | None:
        if self._key is None:
            return None
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:PSEUDONYM_DIGITS]


def derived_key(kms: Any, key_arn: str) -> bytes:
    """The key, from a KMS client."""
    return kms.generate_mac(KeyId=key_arn, Message=KEY_MESSAGE, MacAlgorithm=MAC_ALGORITHM)["Mac"]


def canonical(kind: str, value: Any) -> str:
    """The text that is hashed for a value of a type. 3 and 3.0 are one double and have one text."""
    if element_type(kind):
        inner = element_type(kind) or ""
        return json.dumps([canonical(inner, each) for each in value])
    if kind == "double":
        return repr(float(value))
    if kind == "boolean":
        return "true" if value else "false"
    return str(value)


def needs_pseudonyms(signature: Mapping[str, Any]) -> bool:
    """Whether a record of this signature has pseudonyms, that of a token's subject apart."""
    fields = [*signature["inputs"], *signature["outputs"]]
    return bool(signature.get("entity_key")) or any(pii_action(field) == "hash" for field in fields)


def has_personal_inputs(signature: Mapping[str, Any]) -> bool:
    """Whether a request holds personal data. A hash of such a body could be found by trying."""
    return any(pii_action(field) != "keep" for field in signature["inputs"])


def dropped_columns(signature: Mapping[str, Any]) -> frozenset[str]:
    """The columns that fields of which nothing is logged would have. No record has one."""
    return frozenset(
        {
            *(input_column(field["name"]) for field in signature["inputs"] if pii_action(field) == "drop"),
            *(output_column(field["name"]) for field in signature["outputs"] if pii_action(field) == "drop"),
        }
    )


def pseudonym_columns(signature: Mapping[str, Any]) -> frozenset[str]:
    """The columns of a record that hold pseudonyms and nothing else, in clear text never."""
    return frozenset(
        {
            "entity_key",
            *(input_column(field["name"]) for field in signature["inputs"] if pii_action(field) == "hash"),
            *(output_column(field["name"]) for field in signature["outputs"] if pii_action(field) == "hash"),
        }
    )
