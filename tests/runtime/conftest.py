"""What tests of the runtime share: a signature with everything in it, and the strategies for its requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mainstage_runtime import clients
from runtime_stub import CREDENTIALS, Aws, aws

_SIGNATURE: dict[str, Any] = {
    "inputs": [
        {"name": "customer", "type": "string", "pii": "hash"},
        {"name": "Phone", "type": "string", "pii": "drop", "nullable": True},
        {"name": "age", "type": "integer", "pii": "hash", "nullable": True},
        {"name": "months", "type": "integer", "minimum": 0},
        {"name": "spend", "type": "double", "nullable": True},
        {"name": "since", "type": "timestamp", "required": False},
        {"name": "active", "type": "boolean", "required": False, "nullable": True},
        {"name": "calls", "type": "array<integer>", "required": False},
        {"name": "days", "type": "array<timestamp>", "required": False},
        {"name": "plan", "type": "string"},
    ],
    "outputs": [
        {"name": "label", "type": "string"},
        {"name": "score", "type": "double"},
        {"name": "name", "type": "string", "pii": "hash"},
    ],
    "confidence": "score",
    "entity_key": "customer",
}


@pytest.fixture
def signature() -> dict[str, Any]:
    """Every type, personal data of both kinds, an entity key."""
    return copy.deepcopy(_SIGNATURE)


@pytest.fixture
def plain_signature() -> dict[str, Any]:
    """No personal data."""
    return {
        "inputs": [{"name": "months", "type": "integer"}, {"name": "plan", "type": "string", "nullable": True}],
        "outputs": [{"name": "label", "type": "string"}, {"name": "score", "type": "double"}],
    }


@pytest.fixture
def stub() -> Iterator[Aws]:
    """Firehose, SQS, KMS and SageMaker on loopback."""
    with aws() as found:
        yield found


@pytest.fixture
def client(stub: Aws, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The runtime's own clients, of the stub."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": stub.address}.items():
        monkeypatch.setenv(name, value)
    clients._session.cache_clear()
    return clients.client
