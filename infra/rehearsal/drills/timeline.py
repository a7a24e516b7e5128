"""What happened in a drill, by the emulated minute: who answered, how many failed, how slowly, which alarms rang."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Minute:
    """One minute of a model's clients."""

    number: int
    """From 0, in emulated minutes since the drill began."""
    requests: int
    failed: int
    """Requests that were not answered with 200."""
    p99_ms: float
    """By the clients' watch; 0 when nothing was answered."""
    versions: Mapping[str, int]
    """Version -> predictions that it made, by what it said of itself."""
    new_fleet: int = 0
    """Requests that the fleet being released answered or failed, as CloudWatch counts them."""
    endpoint: str = ""
    """SageMaker's word for the endpoint at the minute's end."""
    alarms: Mapping[str, str] = field(default_factory=dict)
    """Guard -> OK, ALARM or INSUFFICIENT_DATA at the minute's end."""

    @property
    def error_ratio(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    def share(self, version: str) -> float:
        """The share of the answered requests that a version answered, 0 to 1."""
        answered = sum(self.versions.values())
        return self.versions.get(version, 0) / answered if answered else 0.0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Mark:
    """Something that was done or told, at a minute."""

    minute: int
    text: str
    kind: str = "done"
    """done (by a person or the drill), told (what `up` ended with) or seen (what the watch or an alarm said)."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Timeline:
    """The minutes of a drill's model, in order."""

    minutes: list[Minute] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    @property
    def versions(self) -> list[str]:
        """Every version that answered, the first one first."""
        return list(dict.fromkeys(version for minute in self.minutes for version in sorted(minute.versions)))

    @property
    def requests(self) -> int:
        return sum(each.requests for each in self.minutes)

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.minutes)

    @property
    def guards(self) -> list[str]:
        """Guards that were in ALARM at a minute's end. One that a person raises may fall back before."""
        return sorted({name for each in self.minutes for name, state in each.alarms.items() if state == "ALARM"})

    def mark(self, text: str, kind: str = "done") -> None:
        """Notes what is done now."""
        self.marks.append(Mark(len(self.minutes), text, kind))
