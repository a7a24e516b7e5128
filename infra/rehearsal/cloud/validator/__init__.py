"""Validator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.rehearsal.cloud.api import AwsError


@dataclass(frozen=True)
class Finding:
    path: str
    message: str


def validate(service: str, operation: str, params: dict[str, Any], *, partial: bool = False) -> list[Finding]:
    return []


def refusal(service: str, operation: str, findings: list[Finding]) -> AwsError:
    return AwsError("ValidationException", "; ".join(f"{f.path}: {f.message}" for f in findings))
