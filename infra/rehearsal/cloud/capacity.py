"""What the account may have and what AWS has: quotas of instances, and instance types that are sold out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping


class Capacity:
    """Instances by type. Everything is there until a test or a drill says otherwise. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: dict[str, int] = {}
        self._exhausted: dict[str, float] = {}

    def limit(self, instance_type: str, count: int) -> None:
        """The account's quota for endpoints: more instances than this are refused at the call."""
        if count < 0:
            raise ValueError(f"Capacity.limit: count is {count}; a quota is 0 or more")
        with self._lock:
            self._limits[instance_type] = count

    def exhaust(self, instance_type: str, after_seconds: float = 0) -> None:
        """AWS has no more of them: a fleet that needs new ones fails after so many seconds of the cloud's time."""
        if after_seconds < 0:
            raise ValueError(f"Capacity.exhaust: after_seconds is {after_seconds}; give 0 or more")
        with self._lock:
            self._exhausted[instance_type] = after_seconds

    def restore(self, instance_type: str) -> None:
        """The type is to be had again, without a quota."""
        with self._lock:
            self._limits.pop(instance_type, None)
            self._exhausted.pop(instance_type, None)

    def clear(self) -> None:
        with self._lock:
            self._limits.clear()
            self._exhausted.clear()

    def over(self, used: Mapping[str, int], asked: Mapping[str, int]) -> tuple[str, int] | None:
        """The first type, by name, of which `asked` beside `used` is more than its quota, with the quota."""
        with self._lock:
            for instance_type in sorted(asked):
                quota = self._limits.get(instance_type)
                if (
                    quota is not None
                    and asked[instance_type]
                    and used.get(instance_type, 0) + asked[instance_type] > quota
                ):
                    return instance_type, quota
        return None

    def patience_seconds(self, instance_types: Iterable[str]) -> float | None:
        """How long AWS tries before it gives up; None when all the types are to be had."""
        with self._lock:
            return min((self._exhausted[each] for each in instance_types if each in self._exhausted), default=None)
