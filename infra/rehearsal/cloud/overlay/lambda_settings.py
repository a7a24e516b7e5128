"""What Lambda keeps of a function and moto drops: logging, SnapStart, dead letters, and how it was last changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


@dataclass
class Settings:
    """Of one function. Published versions share them (unconfirmed that nobody needs them apart)."""

    logging: dict[str, Any] = field(default_factory=dict)
    dead_letter_target: str = ""

    def log_group(self, name: str) -> str:
        return self.logging.get("LogGroup") or f"/aws/lambda/{name}"

    def logging_config(self, name: str) -> dict[str, Any]:
        """As GetFunctionConfiguration shows it, with defaults filled in."""
        return {"LogFormat": "Text", **self.logging, "LogGroup": self.log_group(name)}


class _AllSettings:
    def __init__(self, cloud: Cloud):
        del cloud
        self.by_function: dict[tuple[str, str], Settings] = {}

    def close(self) -> None:
        self.by_function.clear()


def settings_of(cloud: Cloud, region: str, name: str) -> Settings:
    """The settings of a function; made when there are none yet."""
    return state_of(cloud, _AllSettings).by_function.setdefault((region, name), Settings())


def forget_settings(cloud: Cloud, region: str, name: str) -> None:
    """Forgets a function that has been deleted."""
    state_of(cloud, _AllSettings).by_function.pop((region, name), None)
