"""KMS key rotation: the period, which moto drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.overlay import after
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

DEFAULT_DAYS = 365
"""API reference, EnableKeyRotation."""


class Rotations:
    """Periods by region and key id."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.days: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        """Nothing runs here."""


def _key(call: Call) -> tuple[str, str]:
    return call.region, call.params["KeyId"].rpartition("/")[2]


@after("kms", "EnableKeyRotation")
def keep_period(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """A period that is left out keeps the one that stands, at first 365 days."""
    days = state_of(call.cloud, Rotations).days
    days[_key(call)] = call.params.get("RotationPeriodInDays") or days.get(_key(call), DEFAULT_DAYS)
    return output


@after("kms", "GetKeyRotationStatus")
def give_period(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    if not output.get("KeyRotationEnabled"):
        return output
    return {**output, "RotationPeriodInDays": state_of(call.cloud, Rotations).days.get(_key(call), DEFAULT_DAYS)}
