"""References between resources."""

from __future__ import annotations

from infra.rehearsal.cloud.api import Call


def check(call: Call) -> None: ...
