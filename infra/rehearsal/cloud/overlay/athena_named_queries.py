"""Athena's named queries, and what of Athena is not carried."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page
from infra.rehearsal.cloud.overlay.athena_store import PRIMARY, Record, athena_of, invalid, workgroup


@handler("athena", "CreateNamedQuery")
def create_named_query(call: Call) -> dict[str, Any]:
    """The text is not read: Athena takes any (that it does is unconfirmed)."""
    athena, asked = athena_of(call.cloud), call.params
    group = asked.get("WorkGroup") or PRIMARY
    workgroup(call, group)
    key = (call.region, asked["ClientRequestToken"]) if asked.get("ClientRequestToken") else None
    wanted = {name: asked.get(name) for name in ("Name", "Database", "QueryString", "Description", "WorkGroup")}
    with athena.lock:
        known = athena.tokens.get(key) if key else None
        if known is not None:
            if known[0] != wanted:
                raise invalid("Idempotent parameters do not match")
            return {"NamedQueryId": known[1]}
        query_id = athena.new_id()
        athena.named[call.region, query_id] = {
            "Name": asked["Name"],
            "Description": asked.get("Description", ""),
            "Database": asked["Database"],
            "QueryString": asked["QueryString"],
            "NamedQueryId": query_id,
            "WorkGroup": group,
        }
        if key:
            athena.tokens[key] = (wanted, query_id)
    return {"NamedQueryId": query_id}


@handler("athena", "GetNamedQuery")
def get_named_query(call: Call) -> dict[str, Any]:
    return {"NamedQuery": dict(_named(call))}


@handler("athena", "BatchGetNamedQuery")
def batch_get_named_query(call: Call) -> dict[str, Any]:
    named = athena_of(call.cloud).named
    ids = call.params["NamedQueryIds"]
    return {
        "NamedQueries": [dict(named[call.region, one]) for one in ids if (call.region, one) in named],
        "UnprocessedNamedQueryIds": [
            {"NamedQueryId": one, "ErrorCode": "INTERNAL_FAILURE", "ErrorMessage": f"NamedQuery {one} was not found"}
            for one in ids
            if (call.region, one) not in named
        ],
    }


@handler("athena", "ListNamedQueries")
def list_named_queries(call: Call) -> dict[str, Any]:
    group = call.params.get("WorkGroup") or PRIMARY
    workgroup(call, group)
    found = [
        {"id": one["NamedQueryId"]}
        for (region, _), one in athena_of(call.cloud).named.items()
        if region == call.region and one["WorkGroup"] == group
    ]
    limit = 50 if call.params.get("MaxResults") is None else call.params["MaxResults"]
    entries, token = page(found, call.params.get("NextToken"), limit or 50, error="InvalidRequestException")
    return {"NamedQueryIds": [one["id"] for one in entries], **({"NextToken": token} if token else {})}


@handler("athena", "UpdateNamedQuery")
def update_named_query(call: Call) -> dict[str, Any]:
    record = _named(call)
    for member in ("Name", "Description", "QueryString"):
        if member in call.params:
            record[member] = call.params[member]
    return {}


@handler("athena", "DeleteNamedQuery")
def delete_named_query(call: Call) -> dict[str, Any]:
    _named(call)
    athena_of(call.cloud).named.pop((call.region, call.params["NamedQueryId"]), None)
    return {}


def _named(call: Call) -> Record:
    """The Terraform provider takes "does not exist" in the message for gone (internal/service/athena/named_query.go);
    the rest of the sentence is unconfirmed."""
    query_id = call.params["NamedQueryId"]
    found = athena_of(call.cloud).named.get((call.region, query_id))
    if found is None:
        raise invalid(f"NamedQuery {query_id} does not exist")
    return found


def _refuse(operation: str) -> None:
    """moto would answer these with nothing behind them."""

    @handler("athena", operation)
    def refuse(call: Call) -> dict[str, Any]:
        raise AwsError("NotCarried", f"The emulated cloud does not carry athena.{call.operation}.", 501)


for _operation in (
    "CreatePreparedStatement", "GetPreparedStatement", "CreateDataCatalog", "GetDataCatalog", "ListDataCatalogs",
    "GetDatabase", "ListDatabases", "CreateCapacityReservation", "GetCapacityReservation",
    "ListCapacityReservations", "UpdateCapacityReservation", "GetQueryRuntimeStatistics",
):  # fmt: skip
    _refuse(_operation)
