"""A module's own `time.sleep`. Patched in `time` itself, it would be that of every thread of the process, and a test
process has threads of clouds, listeners and model hosts that sleep now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest


def sleeps_by(monkeypatch: pytest.MonkeyPatch, module: ModuleType, sleep: Callable[[float], None]) -> None:
    """From now on `module`, which says `time.sleep(seconds)`, calls `sleep` instead."""
    monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), "sleep": sleep}))
