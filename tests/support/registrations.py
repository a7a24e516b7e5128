"""What a program asks an engine to register, from either engine, in one form that can be compared."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from google.protobuf.json_format import MessageToDict

from infra.rehearsal.engine.monitor import Monitor
from infra.rehearsal.engine.values import ASSET_SIGNATURE, SIGNATURE

CALLS = (
    "RegisterResource",
    "RegisterResourceOutputs",
    "ReadResource",
    "Invoke",
    "RegisterResourceHook",
    "RegisterErrorHook",
)
"""The calls of the monitor that say what a program wants."""

_MADE_BY_THE_RUN = frozenset({"sourcePosition", "stackTrace", "parentStackTraceHandle", "callback"})
"""Where in the sources a request comes from, which begins at the caller of the program; where a hook is called back."""
_PROVIDER_ID = re.compile(r"(::pulumi:providers:\w+::[\w-]+)::[\w-]+")
_AUTO_NAME = re.compile(r".+-[0-9a-f]{7}")

Requests = dict[str, dict[str, Any]]
"""By call, type and name."""


@contextmanager
def recorded() -> Iterator[Requests]:
    """Takes down what in-process engines are asked while the block runs."""
    found: Requests = {}

    def recording(call: str) -> Any:
        asked = getattr(Monitor, call)

        def record(self: Monitor, request: Any) -> Any:
            _keep(found, call, MessageToDict(request))
            return asked(self, request)

        return record

    with mock.patch.multiple(Monitor, **{call: recording(call) for call in CALLS}):
        yield found


def logged(file: Path) -> Requests:
    """What the real engine was asked, from the file that PULUMI_DEBUG_GRPC names."""
    found: Requests = {}
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            service, _, call = entry["method"].rpartition("/")
            if service.endswith("ResourceMonitor") and call in CALLS and entry["progress"] == "request_started":
                _keep(found, call, entry["request"])
    return found


def _keep(found: Requests, call: str, request: Mapping[str, Any]) -> None:
    type_token = request.get("type") or request.get("tok") or ""
    key = f"{call} {type_token} {request.get('name') or request.get('urn', '').rpartition('::')[2]}"
    assert key not in found, f"asked twice: {key}"
    found[key] = _plain({name: value for name, value in request.items() if name not in _MADE_BY_THE_RUN})


def _plain(value: Any) -> Any:
    """Without ids of provider resources, assets by what is in them, lists of URNs in one order, zeros left out."""
    if isinstance(value, str):
        return _PROVIDER_ID.sub(r"\1::<id>", value)
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == ASSET_SIGNATURE and value.get("path"):
            content = hashlib.sha256(Path(value["path"]).read_bytes()).hexdigest()
            value = {**{name: one for name, one in value.items() if name != "path"}, "content": content}
        return {name: _plain(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        plain = [_plain(one) for one in value]
        return sorted(plain) if plain and all(_is_urn(one) for one in plain) else plain
    return value


def _masked(value: Any, names: Set[str]) -> Any:
    """Without the random end of auto-names: seven hexadecimal digits after a resource's own name."""
    if isinstance(value, str):
        return f"{value[:-7]}<random>" if _AUTO_NAME.fullmatch(value) and value[:-8] in names else value
    if isinstance(value, Mapping):
        return {name: _masked(one, names) for name, one in value.items()}
    return [_masked(one, names) for one in value] if isinstance(value, list) else value


def _is_urn(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("urn:pulumi:")


def differences(real: Requests, ours: Requests) -> list[str]:
    """One line for each field of each request that differs."""
    names = {key.rpartition(" ")[2] for key in real}
    lines = [f"{key}: asked of the real engine only" for key in sorted(real.keys() - ours.keys())]
    lines += [f"{key}: asked of the in-process engine only" for key in sorted(ours.keys() - real.keys())]
    for key in sorted(real.keys() & ours.keys()):
        one, other = _masked(real[key], names), _masked(ours[key], names)
        for field in sorted(one.keys() | other.keys()):
            if one.get(field) != other.get(field):
                lines.append(f"{key}: {field}: {one.get(field)!r} of the real engine, here {other.get(field)!r}")
    return lines
