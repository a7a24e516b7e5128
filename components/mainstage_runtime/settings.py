"""What a function was deployed with: its environment, and `mainstage.json` at the root of its archive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONFIGURATION = Path(__file__).resolve().parent.parent / "mainstage.json"


def deployed_signature(path: Path = _CONFIGURATION) -> dict[str, Any]:
    """The model's signature, defaults left out: `inputs`, `outputs`, maybe `confidence` and `entity_key`."""
    return json.loads(path.read_text(encoding="utf-8"))["signature"]


@dataclass(frozen=True)
class FrontDoorSettings:
    """The front door's environment variables, `MAINSTAGE_` and the field's name in upper case."""

    environment: str
    model: str
    endpoint_name: str
    """Empty while the model awaits its first version."""
    log_name: str
    stream_name: str
    spool_url: str
    pseudonym_key_arn: str
    """Empty where nothing is hashed."""
    deadline_ms: int
    maximum_body_bytes: int
    configurations: Mapping[str, str]
    """Name of the endpoint configuration of each declared version."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> FrontDoorSettings:
        """Raises KeyError or ValueError for what is missing or no number: a wrong deployment fails at its start."""
        return cls(
            environment=environ["MAINSTAGE_ENVIRONMENT"],
            model=environ["MAINSTAGE_MODEL"],
            endpoint_name=environ.get("MAINSTAGE_ENDPOINT_NAME", ""),
            log_name=environ["MAINSTAGE_LOG_NAME"],
            stream_name=environ["MAINSTAGE_STREAM_NAME"],
            spool_url=environ["MAINSTAGE_SPOOL_URL"],
            pseudonym_key_arn=environ.get("MAINSTAGE_PSEUDONYM_KEY_ARN", ""),
            deadline_ms=int(environ["MAINSTAGE_DEADLINE_MS"]),
            maximum_body_bytes=int(environ["MAINSTAGE_MAXIMUM_BODY_BYTES"]),
            configurations=json.loads(environ.get("MAINSTAGE_CONFIGURATIONS") or "{}"),
        )
