"""Resources as the state file has them: in the words of Pulumi's own checkpoint, secrets encrypted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.values import (
    RESOURCE_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_TEXT,
    ResourceReference,
    Secret,
)
from infra.rehearsal.engine.vault import Vault

# (field, key in the file); a value that equals the field's default is left out
_FIELDS = (
    ("id", "id"),
    ("parent", "parent"),
    ("provider", "provider"),
    ("dependencies", "dependencies"),
    ("property_dependencies", "propertyDependencies"),
    ("protect", "protect"),
    ("retain_on_delete", "retainOnDelete"),
    ("ignore_changes", "ignoreChanges"),
    ("replace_on_changes", "replaceOnChanges"),
    ("additional_secret_outputs", "additionalSecretOutputs"),
    ("aliases", "aliases"),
    ("custom_timeouts", "customTimeouts"),
    ("hooks", "resourceHooks"),
    ("init_errors", "initErrors"),
    ("deleted_with", "deletedWith"),
    ("import_id", "importID"),
    ("external", "external"),
    ("delete", "delete"),
    ("pending_replacement", "pendingReplacement"),
)


class Codec:
    """Writes and reads resources. Secrets go through the vault."""

    def __init__(self, vault: Vault):
        self._vault = vault

    def encode(self, item: ResourceState) -> str:
        """The resource as one line of JSON; made once."""
        if not item._text:
            record: dict[str, Any] = {"urn": item.urn, "type": item.type, "custom": item.custom}
            for name, key in _FIELDS:
                value = getattr(item, name)
                if value:
                    record[key] = list(value) if isinstance(value, tuple) else value
            record["inputs"] = self._seal(item.inputs)
            record["outputs"] = self._seal(item.outputs)
            if item.replacement_trigger is not None:
                record["replacementTrigger"] = self._seal(item.replacement_trigger)
            item._text = json.dumps(record, sort_keys=True)
        return item._text

    def decode(self, record: Mapping[str, Any]) -> ResourceState:
        """The resource that a record describes. KeyError, TypeError or AttributeError where it describes none."""
        values: dict[str, Any] = {}
        for name, key in _FIELDS:
            if key in record:
                value = record[key]
                if isinstance(value, dict) and name != "custom_timeouts":
                    value = {moment: tuple(names) for moment, names in value.items()}
                values[name] = tuple(value) if isinstance(value, list) else value
        return ResourceState(
            urn=record["urn"],
            type=record["type"],
            custom=record["custom"],
            inputs=self._unseal(record["inputs"]),
            outputs=self._unseal(record["outputs"]),
            replacement_trigger=self._unseal(record.get("replacementTrigger")),
            **values,
        )

    def _seal(self, item: Any) -> Any:
        if isinstance(item, Secret):
            return {SIGNATURE: SECRET_SIGNATURE, "ciphertext": self._vault.seal(self._seal(item.value))}
        if isinstance(item, ResourceReference):
            return {SIGNATURE: RESOURCE_SIGNATURE, "urn": item.urn, "id": self._seal(item.id)}
        if item is UNKNOWN:
            return UNKNOWN_TEXT
        if isinstance(item, Mapping):
            return {key: self._seal(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [self._seal(inner) for inner in item]
        return item

    def _unseal(self, item: Any) -> Any:
        if isinstance(item, dict):
            signature = item.get(SIGNATURE)
            if signature == SECRET_SIGNATURE:
                return Secret(self._unseal(self._vault.unseal(item["ciphertext"])))
            if signature == RESOURCE_SIGNATURE:
                return ResourceReference(item["urn"], self._unseal(item["id"]))
            return {key: self._unseal(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [self._unseal(inner) for inner in item]
        return UNKNOWN if item == UNKNOWN_TEXT else item
