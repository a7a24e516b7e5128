"""Generic store."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import Call


class Store:
    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud

    def carries(self, service: str, operation: str) -> bool:
        return False

    def answer(self, call: Call) -> dict[str, Any]:
        return {}

    def reset(self) -> None: ...
