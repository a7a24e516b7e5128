"""Property values as the engine keeps them: plain Python, plus unknowns, secrets and resource references.

The wire format is a protobuf Struct in which such values are marked by signature keys (sdk/go/common/resource in
pulumi/pulumi). Whole numbers come back as `int`: a Struct only knows floats.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import struct_pb2

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE_SIGNATURE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET_SIGNATURE = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown(enum.Enum):
    """The type of `UNKNOWN`, a value that only the real run will know."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """A secret value. Its repr never shows it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


@dataclass(frozen=True)
class ResourceReference:
    """A resource handed over whole, as a component does in its outputs. `id` is None for a component."""

    urn: str
    id: Any = None


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Reads a property map. Properties that are null are left out, as the real engine does.

    Keys come in order, because a protobuf map has none and what a run prints should not change from run to run.
    """
    fields = struct.fields
    return {key: item for key in sorted(fields) if (item := from_value(fields[key])) is not None}


def from_value(value: struct_pb2.Value) -> Any:
    """Reads one value."""
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [from_value(item) for item in value.list_value.values]
        case "struct_value":
            return _from_map(value.struct_value)
        case _:
            return None


def _from_map(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    if SIGNATURE not in fields:
        return {key: from_value(fields[key]) for key in sorted(fields)}
    signature = fields[SIGNATURE].string_value
    if signature == SECRET_SIGNATURE:
        return Secret(from_value(fields["value"]))
    if signature == RESOURCE_SIGNATURE:
        return ResourceReference(fields["urn"].string_value, from_value(fields["id"]) if "id" in fields else None)
    if signature == OUTPUT_SIGNATURE:
        item = from_value(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(item) if "secret" in fields and fields["secret"].bool_value else item
    return {key: from_value(fields[key]) for key in sorted(fields)}  # assets and archives stay maps


def to_struct(
    properties: Mapping[str, Any], *, keep_secrets: bool = True, keep_references: bool = True
) -> struct_pb2.Struct:
    """Writes a property map. Without `keep_secrets`, secrets are sent plain, as to a provider that takes none."""
    struct = struct_pb2.Struct()
    for key, item in properties.items():
        _write(struct.fields[key], item, keep_secrets, keep_references)
    return struct


def _write(target: struct_pb2.Value, item: Any, keep_secrets: bool, keep_references: bool) -> None:
    if item is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif item is UNKNOWN:
        target.string_value = UNKNOWN_TEXT
    elif isinstance(item, bool):
        target.bool_value = item
    elif isinstance(item, int | float):
        target.number_value = item
    elif isinstance(item, str):
        target.string_value = item
    elif isinstance(item, Secret):
        if keep_secrets:
            target.struct_value.fields[SIGNATURE].string_value = SECRET_SIGNATURE
            _write(target.struct_value.fields["value"], item.value, keep_secrets, keep_references)
        else:
            _write(target, item.value, keep_secrets, keep_references)
    elif isinstance(item, ResourceReference):
        if keep_references:
            fields = target.struct_value.fields
            fields[SIGNATURE].string_value = RESOURCE_SIGNATURE
            fields["urn"].string_value = item.urn
            if item.id is not None:
                fields["id"].string_value = UNKNOWN_TEXT if item.id is UNKNOWN else item.id
        else:
            _write(target, item.urn if item.id is None else item.id, keep_secrets, keep_references)
    elif isinstance(item, Mapping):
        fields = target.struct_value.fields
        if not item:
            target.struct_value.SetInParent()
        for key, inner in item.items():
            _write(fields[key], inner, keep_secrets, keep_references)
    elif isinstance(item, Sequence):
        if not item:
            target.list_value.SetInParent()
        for inner in item:
            _write(target.list_value.values.add(), inner, keep_secrets, keep_references)
    else:
        raise TypeError(f"a property can't hold {type(item).__name__}: {item!r}")


def plain(item: Any) -> Any:
    """The value without secret marks; references become an id or a URN; internal keys such as `__defaults` go."""
    if isinstance(item, Secret):
        return plain(item.value)
    if isinstance(item, ResourceReference):
        return item.urn if item.id is None else item.id
    if isinstance(item, Mapping):
        return {key: plain(inner) for key, inner in item.items() if not key.startswith("__")}
    if isinstance(item, list | tuple):
        return [plain(inner) for inner in item]
    return item


def redacted(item: Any) -> Any:
    """The value as it may be shown to a person: secrets read `[secret]`, unknowns `[unknown]`."""
    if isinstance(item, Secret):
        return "[secret]"
    if item is UNKNOWN:
        return "[unknown]"
    if isinstance(item, Mapping):
        return {key: redacted(inner) for key, inner in item.items()}
    if isinstance(item, list | tuple):
        return [redacted(inner) for inner in item]
    return item


def contains_unknown(item: Any) -> bool:
    """Whether the value, or anything inside it, is unknown."""
    if item is UNKNOWN:
        return True
    if isinstance(item, Secret):
        return contains_unknown(item.value)
    if isinstance(item, ResourceReference):
        return item.id is UNKNOWN
    if isinstance(item, Mapping):
        return any(contains_unknown(inner) for inner in item.values())
    if isinstance(item, list | tuple):
        return any(contains_unknown(inner) for inner in item)
    return False


def contains_secret(item: Any) -> bool:
    """Whether the value, or anything inside it, is secret."""
    return next(secret_paths(item), None) is not None


def secret_paths(item: Any, path: str = "") -> Iterator[str]:
    """The property paths of the outermost secrets, for example `environment.variables.TOKEN`."""
    if isinstance(item, Secret):
        yield path
    elif isinstance(item, Mapping):
        for key, inner in item.items():
            yield from secret_paths(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(item, list | tuple):
        for index, inner in enumerate(item):
            yield from secret_paths(inner, f"{path}[{index}]")


def as_secret(item: Any) -> Secret:
    """Marks a value secret, once."""
    return item if isinstance(item, Secret) else Secret(item)


def mark_like(outputs: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Marks outputs secret where the input of the same name is.

    This is what the engine does for a provider that takes no secrets (annotateSecrets,
    pkg/resource/plugin/provider_plugin.go).
    """
    marked: dict[str, Any] = {}
    for key, item in outputs.items():
        source = inputs.get(key)
        if isinstance(source, Secret):
            marked[key] = as_secret(item)
        elif isinstance(item, dict) and isinstance(source, Mapping):
            marked[key] = mark_like(item, source)
        elif isinstance(item, list) and isinstance(source, list) and contains_secret(source):
            marked[key] = Secret(plain(item))
        else:
            marked[key] = item
    return marked
