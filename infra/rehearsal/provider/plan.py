"""What a plan says before the apply, and what the state holds after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider import diff as differ
from infra.rehearsal.provider.account import Account
from infra.rehearsal.provider.check import DEFAULTS
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.values import UNKNOWN, has_unknown


def changes(
    account: Account, row: Row, state: Mapping[str, Any], news: Mapping[str, Any], ignored: Iterable[str]
) -> list[differ.Change]:
    ignored = tuple(ignored)
    found = differ.changes(row, state, news, ignored)
    if row.tagging is not None and not any(change.top == "tags" for change in found):
        wanted = {**account.settings.default_tags, **(news.get("tags") or {})}
        tags_ignored = any(path.split("[")[0].split(".")[0] in {"tags", "tagsAll"} for path in ignored)
        if not tags_ignored and not has_unknown(wanted) and wanted != (state.get("tagsAll") or {}):
            found.append(differ.Change(("tagsAll",), "update", False))
    here = news.get("region") or account.region
    if row.regional and state.get("region") and state["region"] != here:
        found.append(differ.Change(("region",), "update", True))
    return found


def planned_create(account: Account, row: Row, inputs: Mapping[str, Any], unknown: Any = UNKNOWN) -> dict[str, Any]:
    """What is known before the create: the arguments; all that AWS computes is unknown."""
    planned = {key: value for key, value in inputs.items() if key != DEFAULTS}
    for name in row.schema.outputs:
        if name not in planned and (name in row.schema.output_only or name in row.computed):
            planned[name] = unknown
    if row.regional and inputs.get("region") is None:
        planned["region"] = account.region
    if row.tagging is not None:
        planned["tagsAll"] = {**account.settings.default_tags, **(inputs.get("tags") or {})}
    return {key: value for key, value in planned.items() if value is not None}


def planned_update(
    account: Account, row: Row, state: Mapping[str, Any], news: Mapping[str, Any], found: list[differ.Change]
) -> dict[str, Any]:
    """Computed outputs keep their value, but for those that the change makes anew."""
    kept = {
        key: value for key, value in state.items() if key not in row.schema.inputs or key in row.computed | {"region"}
    }
    planned = {**kept, **{key: value for key, value in news.items() if key != DEFAULTS}}
    changed = {change.top for change in found}
    for output, causes in row.recomputed.items():
        if causes & changed and output not in news:
            planned[output] = UNKNOWN
    if row.tagging is not None:
        planned["tagsAll"] = {**account.settings.default_tags, **(news.get("tags") or {})}
    return planned


def outputs_of(row: Row, operation: Operation, asked: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Live values win; asked forms that mean the same are kept; what is never read stays as it was given."""
    outputs: dict[str, Any] = {}
    for name in row.schema.outputs:
        if name in row.state_only:
            value = asked.get(name)
        else:
            value = differ.settled(row, name, asked.get(name), live.get(name))
        if value is not None:
            outputs[name] = value
    if row.regional:
        outputs["region"] = operation.region
    return outputs


def refreshed_inputs(row: Row, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments after a Read: those that were given, with live values; gone ones leave."""
    result: dict[str, Any] = {}
    for name, value in inputs.items():
        if name == DEFAULTS or name == "region" or name in row.state_only:
            result[name] = value
        else:
            fresh = differ.refreshed_input(row, name, value, outputs.get(name))
            if fresh is not None:
                result[name] = fresh
    return result


def deletes_first(row: Row, state: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """The bridge deletes first where a name was given by hand and stays, as two things cannot share it."""
    if row.delete_before_replace:
        return True
    if (
        row.name is None
        or row.name.exact
        or row.name.field in (news.get(DEFAULTS) or ())
        or news.get(row.name.prefix_field)
    ):
        return False
    return news.get(row.name.field) is not None and news.get(row.name.field) == state.get(row.name.field)
