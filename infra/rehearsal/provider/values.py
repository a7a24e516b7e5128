"""Property values on the wire: protobuf structs, secrets, unknowns, assets."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict

from infra.rehearsal.provider.errors import Unsupported

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The sentinel that stands for a value not known before the apply (pulumi.runtime.rpc.UNKNOWN)."""

SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_ARCHIVE_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, 0o100644

Path_ = tuple[str | int, ...]
"""Where a value stands: ("variants", 0, "name")."""


@dataclass(frozen=True)
class Secrets:
    """The places of a property map whose values are secret."""

    paths: frozenset[Path_] = frozenset()

    def wrap(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Wraps what is secret again. Where the exact place is gone, the whole property becomes secret."""
        wrapped = dict(values)
        mirrored = {("tagsAll", *path[1:]) for path in self.paths if path[:1] == ("tags",)}
        for path in sorted(self.paths | mirrored, key=len):
            if path[0] in wrapped and not _is_secret(wrapped[path[0]]):
                wrapped[str(path[0])] = _wrap_at(wrapped[path[0]], path[1:])
        return wrapped

    def __or__(self, other: Secrets) -> Secrets:
        return Secrets(self.paths | other.paths)


def from_struct(struct: struct_pb2.Struct) -> tuple[dict[str, Any], Secrets]:
    """Plain values (whole numbers as int) and where secrets were."""
    paths: set[Path_] = set()
    return _plain(MessageToDict(struct), (), paths), Secrets(frozenset(paths))


def to_struct(values: Mapping[str, Any], secrets: Secrets | None = None) -> struct_pb2.Struct:
    """A struct of the values; None members are left out, as the bridge leaves unset properties out."""
    struct = struct_pb2.Struct()
    struct.update(without_none(secrets.wrap(values) if secrets else values))
    return struct


def without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value


def is_unknown(value: Any) -> bool:
    return value == UNKNOWN


def has_unknown(value: Any) -> bool:
    """True when the value, or anything inside it, is unknown."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return is_unknown(value)


def known(value: Any) -> Any:
    """The value without its unknown leaves."""
    if isinstance(value, Mapping):
        return {key: known(item) for key, item in value.items() if not is_unknown(item)}
    if isinstance(value, list | tuple):
        return [known(item) for item in value if not is_unknown(item)]
    return value


def dotted(path: Iterable[str | int]) -> str:
    """("a", 0, "b") as "a[0].b", the way the engine writes property paths."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def is_asset(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(SIGNATURE) in {ASSET, ARCHIVE}


def asset_bytes(value: Mapping[str, Any]) -> bytes:
    """The bytes that an asset or archive stands for.

    An archive of a folder or of members becomes a zip that depends on names and contents alone: members in order of
    name, one time, one mode, and stored, since what a deflater writes differs between builds of zlib.
    """
    if "text" in value and value["text"] is not None:
        return str(value["text"]).encode()
    path = _local_path(value)
    if path is not None and path.is_file():
        return path.read_bytes()
    if value.get(SIGNATURE) == ARCHIVE:
        members = dict(_archive_members(value, ""))
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(members):
                entry = zipfile.ZipInfo(name, _ARCHIVE_TIME)
                entry.create_system = _UNIX
                entry.external_attr = _MODE << 16
                archive.writestr(entry, members[name])
        return buffer.getvalue()
    raise Unsupported(f"the asset's file {path or value.get('uri')!s} is not there: give a path that exists")


def _local_path(value: Mapping[str, Any]) -> Path | None:
    if value.get("path"):
        return Path(value["path"])
    uri = value.get("uri")
    if uri and uri.startswith("file://"):
        return Path(uri.removeprefix("file://"))
    if uri:
        raise Unsupported(f"remote assets are not fetched in a rehearsal: {uri}; use a local file")
    return None


def _archive_members(value: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, bytes]]:
    path = _local_path(value)
    if path is not None:
        for folder, _, files in os.walk(path):
            for file in files:
                full = Path(folder) / file
                yield prefix + full.relative_to(path).as_posix(), full.read_bytes()
        return
    for name, item in (value.get("assets") or {}).items():
        if item.get(SIGNATURE) == ARCHIVE:
            yield from _archive_members(item, f"{prefix}{name}/")
        else:
            yield prefix + name, asset_bytes(item)


def decode_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _plain(value: Any, path: Path_, secrets: set[Path_]) -> Any:
    if isinstance(value, dict):
        if _is_secret(value):
            secrets.add(path)
            return _plain(value.get("value"), path, secrets)
        return {key: _plain(item, (*path, key), secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, (*path, index), secrets) for index, item in enumerate(value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _is_secret(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(SIGNATURE) == _SECRET


def _wrap_at(value: Any, path: Path_) -> Any:
    if not path or _is_secret(value):
        return value if _is_secret(value) else {SIGNATURE: _SECRET, "value": value}
    step = path[0]
    if isinstance(value, Mapping) and step in value:
        return {**value, step: _wrap_at(value[step], path[1:])}
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return [_wrap_at(item, path[1:]) if index == step else item for index, item in enumerate(value)]
    return {SIGNATURE: _SECRET, "value": value}
