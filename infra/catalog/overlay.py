"""A model file's main part with one environment's overlay laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.yaml_lines import Location, depth


def merge(main: Mapping[str, Any], overlay: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(merged, the main part that is left in it).

    Mappings are merged key by key, everything else is replaced, null takes a value away. Two groups are one decision
    each, and replaced whole: `stable` or `awaiting`, and `rollout`.
    """
    left = dict(main)
    if "stable" in overlay or "awaiting" in overlay:
        left.pop("stable", None)
        left.pop("awaiting", None)
    if "rollout" in overlay:
        left.pop("rollout", None)
    return _merged(left, overlay), left


def _merged(main: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(main)
    for key, value in overlay.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def written_at(location: Location, environment: str, main: Mapping[str, Any], overlay: Mapping[str, Any]) -> Location:
    """Where in the file the value at `location` of the merged data comes from; for a missing one, where it belongs."""
    in_overlay, in_main = depth(overlay, location), depth(main, location)
    if in_overlay == len(location) and location:
        return ("environments", environment, *location)
    if in_main == len(location) or in_main >= in_overlay:
        return location
    return ("environments", environment, *location)
