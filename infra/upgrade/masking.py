"""Puts fixed values where AWS chose one, so that two recordings of one release are the same text.

Names that Pulumi makes need none of this: the in-process engine derives them from the URN.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Resources of EC2, UUIDs (KMS keys, Lambda's revisions, event source mappings), IAM's unique ids.
_CHOSEN = re.compile(
    r"\b(?:vpc|subnet|sg|sgr|rtb|rtbassoc|vpce|eni|acl|igw|fl|dopt|pl)-[0-9a-f]{8,17}\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\bA(?:ROA|NPA|GPA|IDA)[0-9A-Z]{12,20}\b"
)
_BY_ID = frozenset(
    {
        "aws:apigatewayv2/api:Api",
        "aws:apigatewayv2/authorizer:Authorizer",
        "aws:apigatewayv2/integration:Integration",
        "aws:apigatewayv2/route:Route",
    }
)
"""Types whose ids have no shape of their own."""
_TIME = re.compile(r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?")
TIME = "2026-01-01T00:00:00Z"
_DOOR = re.compile(r"\bhttp://127\.0\.0\.1:\d+")
DOOR = "https://front-door.invalid"
"""What stands for the emulated front door, whose port is another one each time."""
_ALPHABETS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)


class Masks:
    """Replaces what AWS chose. `records` are all resources of the stacks that refer to each other, in any order; each
    has `urn`, `type`, `id`, `inputs` and `outputs`."""

    def __init__(self, records: Sequence[Mapping[str, Any]]):
        self._fixed: dict[str, str] = {}
        ordered = sorted(records, key=lambda record: record["urn"])
        for record in ordered:
            # A resource's own id first: it follows from the URN, wherever else it stands.
            if record["type"] in _BY_ID and len(record.get("id", "")) > 5:
                self._fix(record["id"], record["urn"])
            for text in _CHOSEN.findall(record.get("id", "")):
                self._fix(text, record["urn"])
        for record in ordered:
            for path, text in _texts(record, ""):
                for at, found in enumerate(_CHOSEN.findall(text)):
                    self._fix(found, f"{record['urn']} {path} {at}")
        longest_first = sorted(self._fixed, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def _fix(self, text: str, owner: str) -> None:
        self._fixed.setdefault(text, _like(text, owner))

    def apply(self, value: Any) -> Any:
        """The value with all that AWS chose replaced, keys of maps too."""
        if isinstance(value, str):
            text = _DOOR.sub(DOOR, _TIME.sub(TIME, value))
            return self._pattern.sub(lambda found: self._fixed[found.group()], text) if self._pattern else text
        if isinstance(value, Mapping):
            return {self.apply(key): self.apply(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.apply(inner) for inner in value]
        return value


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _texts(value[key], f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{at}]")


def _like(text: str, owner: str) -> str:
    """A text of the same shape that follows from `owner`: digits for digits, letters for letters; hexadecimal stays so.
    What stands before the first dash or is IAM's prefix stays."""
    kept = re.match(r"A(?:ROA|NPA|GPA|IDA)|[a-z]+-(?=[0-9a-f]+$)", text)
    head = kept.group() if kept else ""
    body = text[len(head) :]
    hexadecimal = re.fullmatch(r"[0-9a-f-]+", body) is not None
    noise = hashlib.sha256(owner.encode()).digest() * (len(body) // 32 + 1)
    made = []
    for letter, byte in zip(body, noise, strict=False):
        if hexadecimal:
            made.append(letter if letter == "-" else string.hexdigits[byte % 16])
        else:
            alphabet = next((each for each in _ALPHABETS if letter in each), letter)
            made.append(alphabet[byte % len(alphabet)])
    return head + "".join(made)
