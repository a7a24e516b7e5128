"""The JSON Schema of a model file, for editors (docs/schemas/model.schema.json)."""

from __future__ import annotations

from typing import Any

from infra.catalog.names import MAXIMUM_VERSION
from infra.catalog.schema import EnvironmentOverlay, Model
from infra.settings.schema import ENVIRONMENTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MERGED = {"capacity": "Capacity", "slo": "Slo"}
_KEPT = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAXIMUM_VERSION}, {"$ref": "#/$defs/KeptVersion"}]}


def json_schema() -> dict[str, Any]:
    """What editors check. Rules over several fields, and what needs the environment's settings, are checked by the
    loader only."""
    schema = Model.model_json_schema()
    definitions = schema["$defs"]
    overlay = EnvironmentOverlay.model_json_schema()
    definitions |= {name: value for name, value in overlay.pop("$defs").items() if name not in definitions}
    for field, definition in _MERGED.items():
        partial = f"{definition}Overlay"
        definitions[partial] = _without_required(definitions[definition])
        described = overlay["properties"][field]["description"]
        overlay["properties"][field] = {"$ref": f"#/$defs/{partial}", "description": described}
    definitions["EnvironmentOverlay"] = overlay
    schema["properties"]["keep"]["items"] = _KEPT
    overlay["properties"]["keep"]["anyOf"][0]["items"] = _KEPT
    schema["properties"]["environments"] = {
        "type": "object",
        "description": "what single environments have otherwise: a mapping of dev, staging or prod to a mapping",
        "properties": {name: {"$ref": "#/$defs/EnvironmentOverlay"} for name in ENVIRONMENTS},
        "additionalProperties": False,
    }
    for definition in (schema, *definitions.values()):
        _drop_titles(definition)
    return {"$schema": DIALECT, **schema, "title": "A Mainstage model file", "$defs": dict(sorted(definitions.items()))}


def _drop_titles(definition: dict[str, Any]) -> None:
    """Pydantic's titles repeat the key; editors show the key anyway."""
    definition.pop("title", None)
    for described in definition.get("properties", {}).values():
        described.pop("title", None)


def _without_required(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key != "required"}
