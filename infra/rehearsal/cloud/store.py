"""A store for operations that moto lacks and that need no behaviour: what was put is what comes back.

`store_collections.py` says which operations make, read, change and remove the records of a collection; botocore's
output shapes say how a record looks in an answer. Ids come from the cloud's seed, times from its clock, so runs
repeat.
"""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.store_collections import BY_OPERATION, CASCADES, PARENTS, Collection, Making
from infra.rehearsal.cloud.wire import operation_named

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

Record = dict[str, Any]
Key = tuple[str, ...]
_Place = tuple[str, str, str, str]

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_CONTROL = frozenset({"clientRequestToken", "maxResults", "nextToken", "resolveConflicts", "ExpectedBucketOwner"})
"""Members of inputs that steer the call and are no part of a record."""


class Store:
    """The records of one cloud, by account, region and collection. Thread-safe."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._lock = threading.RLock()
        self._records: dict[_Place, dict[Key, Record]] = {}
        self._random = random.Random(cloud.seed)

    def carries(self, service: str, operation: str) -> bool:
        return (service, operation) in BY_OPERATION

    def answer(self, call: Call) -> dict[str, Any]:
        """The output of a carried operation. Raises AwsError as the collection says."""
        collection, verb = BY_OPERATION[call.service, call.operation]
        collection.requires(call)
        for member in collection.refused:
            if call.params.get(member):
                raise AwsError(
                    "NotCarried",
                    f"The emulated cloud does not carry {call.service}.{call.operation} with {member}.",
                    501,
                )
        with self._lock:
            parent = PARENTS.get(collection)
            if parent is not None:
                self._found(call, parent)
            return getattr(self, f"_{verb}")(call, collection)

    def forget(self, call: Call) -> None:
        """Drops what belonged to the thing that a call has just deleted."""
        for collection, members in CASCADES.get((call.service, call.operation), ()):
            with self._lock:
                table = self._table(call, collection)
                for key, record in list(table.items()):
                    if all(record.get(own) == call.params.get(asked) for own, asked in members.items()):
                        del table[key]

    def reset(self) -> None:
        with self._lock:
            self._records.clear()
            self._random = random.Random(self._cloud.seed)

    def _create(self, call: Call, collection: Collection) -> dict[str, Any]:
        table = self._table(call, collection)
        asked = _asked(call.params)
        token = call.params.get("clientRequestToken")
        for record in table.values():
            if all(record.get(name) == asked.get(name) for name in collection.unique):
                if token is not None and record["_token"] == token:
                    # The same request once more: AWS answers with what the first one made.
                    return self._shown(call, collection, record)
                raise collection.exists(call)
        record = {**collection.made(self._making(call)), **asked, "_token": token}
        table[collection.key_of(record)] = record
        return self._shown(call, collection, record)

    def _put(self, call: Call, collection: Collection) -> dict[str, Any]:
        table = self._table(call, collection)
        record = {**collection.made(self._making(call)), **_asked(call.params)}
        table[collection.key_of(record)] = record
        return self._shown(call, collection, record)

    def _read(self, call: Call, collection: Collection) -> dict[str, Any]:
        return self._shown(call, collection, self._found(call, collection))

    def _update(self, call: Call, collection: Collection) -> dict[str, Any]:
        record = self._found(call, collection)
        record.update(_asked(call.params), **{name: self._cloud.clock.now() for name in collection.modified})
        if not collection.update_type:
            return self._shown(call, collection, record)
        making = self._making(call)
        changed = [(name, value) for name, value in _asked(call.params).items() if name not in collection.key]
        return {
            "update": {
                "id": making.random_id(""),
                "status": "Successful",
                "type": collection.update_type,
                "params": [{"type": name[0].upper() + name[1:], "value": str(value)} for name, value in changed],
                "createdAt": making.now,
                "errors": [],
            }
        }

    def _delete(self, call: Call, collection: Collection) -> dict[str, Any]:
        record = self._found(call, collection)
        del self._table(call, collection)[collection.key_of(record)]
        self.forget(call)
        return self._shown(call, collection, record)

    def _list(self, call: Call, collection: Collection) -> dict[str, Any]:
        asked = _asked(call.params)
        records = [
            record
            for _, record in sorted(self._table(call, collection).items())
            if all(
                record.get(name) == value for name, value in asked.items() if isinstance(value, str) and name in record
            )
        ]
        shape = operation_named(call.service, call.operation).model.output_shape
        item_shape = shape.members[collection.list_member].member
        items = [
            record[collection.listed] if collection.listed else shaped(item_shape, record)
            for record in records
            if not collection.listed or collection.listed in record
        ]
        limit, start = call.params.get("maxResults") or len(items) or 1, int(call.params.get("nextToken") or 0)
        output: dict[str, Any] = {**_echo(shape, call.params), collection.list_member: items[start : start + limit]}
        if start + limit < len(items):
            output["nextToken"] = str(start + limit)
        if "IsTruncated" in shape.members:
            output["IsTruncated"] = False
        return output

    def _shown(self, call: Call, collection: Collection, record: Record) -> dict[str, Any]:
        shape = operation_named(call.service, call.operation).model.output_shape
        if shape is None:
            return {}
        output = _echo(shape, record)
        if collection.member and collection.member in shape.members:
            output[collection.member] = shaped(shape.members[collection.member], record)
        return output

    def _found(self, call: Call, collection: Collection) -> Record:
        record = self._table(call, collection).get(collection.key_of(call.params))
        if record is None:
            raise collection.missing(call)
        return record

    def _table(self, call: Call, collection: Collection) -> dict[Key, Record]:
        place = (call.account_id, call.region if collection.regional else "", collection.service, collection.noun)
        return self._records.setdefault(place, {})

    def _making(self, call: Call) -> Making:
        return Making(call, self._cloud.clock.now(), self._random_id)

    def _random_id(self, prefix: str) -> str:
        return prefix + "".join(self._random.choices(_ID_CHARACTERS, k=18))


def shaped(shape: Any, value: Any) -> Any:
    """The part of a value that an output shape has room for."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        return {
            name: shaped(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None and _fits(member, value[name])
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [shaped(shape.member, item) for item in value]
    return value


def _fits(shape: Any, value: Any) -> bool:
    return {
        "structure": isinstance(value, Mapping),
        "map": isinstance(value, Mapping),
        "list": isinstance(value, list),
    }.get(shape.type_name, not isinstance(value, (Mapping, list)))


def _asked(params: Mapping[str, Any]) -> Record:
    return {name: value for name, value in params.items() if value is not None and name not in _CONTROL}


def _echo(shape: Any, record: Mapping[str, Any]) -> Record:
    """The record's members that stand in the output itself."""
    return {
        name: shaped(member, record[name])
        for name, member in shape.members.items()
        if record.get(name) is not None and name not in _CONTROL and _fits(member, record[name])
    }
