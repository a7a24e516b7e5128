"""Athena's workgroups and named queries: internal/service/athena/workgroup.go, named_query.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import ALL, Inputs, Problem, Row, matches, one_of, step, values_at
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

# -- aws:athena/workgroup:Workgroup -------------------------------------------------------------------------

LEAST_CUTOFF = 10_485_760
_RESULT = "configuration.resultConfiguration"
_RULES = {f"{_RESULT}.encryptionConfiguration.kmsKeyArn": "KmsKey"}
_CREATE = Call("athena", "CreateWorkGroup", rules=_RULES, only=frozenset({"configuration", "description", "name"}))


def _configuration(op: Operation) -> dict[str, Any] | None:
    """The configuration as it is sent: a cutoff of 0 is left out, the effective engine version never goes."""
    sent = op.params(_CREATE).get("Configuration")
    if sent is None:
        return None
    if not sent.get("BytesScannedCutoffPerQuery"):
        sent.pop("BytesScannedCutoffPerQuery", None)
    sent.get("EngineVersion", {}).pop("EffectiveEngineVersion", None)
    return sent


def _create_workgroup(op: Operation) -> None:
    name = op.name_from()
    op.call(
        "athena",
        "CreateWorkGroup",
        Name=name,
        **optional("Configuration", _configuration(op)),
        **optional("Description", op.inputs.get("description")),
        **optional("Tags", tag_list(op.wanted_tags())),
    )
    op.created(name)
    if op.inputs.get("state") == "DISABLED":
        op.call("athena", "UpdateWorkGroup", WorkGroup=name, State="DISABLED")


def _update_configuration(op: Operation) -> None:
    """Absent cutoff, location, owner and ACL are taken away; an encryption block that is gone is not, and a
    configuration that is gone altogether changes nothing."""
    sent = _configuration(op)
    if sent is None:
        return
    updates = {name: value for name, value in sent.items() if name != "ResultConfiguration"}
    if "BytesScannedCutoffPerQuery" not in updates:
        updates["RemoveBytesScannedCutoffPerQuery"] = True
    result = sent.get("ResultConfiguration")
    if result is not None:
        changes = dict(result)
        for member in ("OutputLocation", "ExpectedBucketOwner"):
            if not changes.get(member):
                changes.pop(member, None)
                changes[f"Remove{member}"] = True
        updates["ResultConfigurationUpdates"] = changes
    op.call("athena", "UpdateWorkGroup", WorkGroup=op.id, ConfigurationUpdates=updates)


def _update_workgroup(op: Operation) -> None:
    if "configuration" in op.changed:
        _update_configuration(op)
    others = {}
    if "description" in op.changed:
        others["Description"] = op.inputs.get("description") or ""
    if "state" in op.changed:
        others["State"] = op.inputs.get("state") or "ENABLED"
    if others:
        op.call("athena", "UpdateWorkGroup", WorkGroup=op.id, **others)


def _arn(op: Operation) -> str:
    return f"arn:aws:athena:{op.region}:{op.account.account_id}:workgroup/{op.id}"


def _read_workgroup(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("athena", "GetWorkGroup", WorkGroup=op.id), says=("is not found",))
    if answer is None:
        return None
    workgroup = answer["WorkGroup"]
    live = op.described("athena", "GetWorkGroup", "WorkGroup", workgroup, _RULES)
    configuration = dict(live.get("configuration") or {})
    configuration.setdefault("bytesScannedCutoffPerQuery", 0)
    tags = op.call("athena", "ListTagsForResource", ResourceARN=_arn(op)).get("Tags")
    return (
        live
        | op.shown_tags(tag_map(tags))
        | {"arn": _arn(op), "configuration": configuration, "name": workgroup["Name"], "state": workgroup["State"]}
    )


def _delete_workgroup(op: Operation) -> None:
    """What is in it goes too only when forceDestroy is in the state. One that is gone already is an error."""
    op.call(
        "athena",
        "DeleteWorkGroup",
        WorkGroup=op.id,
        RecursiveDeleteOption=bool(op.state.get("forceDestroy")),
    )


def _cutoff(inputs: Inputs) -> Iterable[Problem]:
    for where, value in values_at(inputs, "configuration.bytesScannedCutoffPerQuery"):
        if isinstance(value, int | float) and value != 0 and value < LEAST_CUTOFF:
            yield where, f"expected {where} to be at least ({LEAST_CUTOFF}) or 0, got {value:g}"


WORKGROUP = Row(
    type="aws:athena/workgroup:Workgroup",
    source="athena/workgroup.go",
    label="Athena WorkGroup",
    create=_create_workgroup,
    read=_read_workgroup,
    delete=_delete_workgroup,
    calls=(_CREATE,),
    steps=(step(_update_workgroup, "configuration", "description", "state"),),
    name=AutoName(max_length=128),
    force_new=frozenset({"name"}),
    nothing=frozenset({"forceDestroy"}),
    computed=frozenset(
        {
            "configuration",
            "configuration.engineVersion",
            "configuration.engineVersion.effectiveEngineVersion",
            "name",
        }
    ),
    defaults={
        "configuration.enforceWorkgroupConfiguration": True,
        "configuration.publishCloudwatchMetricsEnabled": True,
        "configuration.requesterPaysEnabled": False,
        "configuration.engineVersion.selectedEngineVersion": "AUTO",
        "forceDestroy": False,
        "state": "ENABLED",
    },
    state_only=frozenset({"forceDestroy"}),
    never_sent=frozenset({"state"}),
    rules=(
        matches("name", r"[a-zA-Z0-9._-]{1,128}", "name takes letters, digits, periods, underscores and hyphens"),
        one_of("state", "ENABLED", "DISABLED"),
        one_of(f"{_RESULT}.encryptionConfiguration.encryptionOption", "SSE_S3", "SSE_KMS", "CSE_KMS"),
        matches(f"{_RESULT}.encryptionConfiguration.kmsKeyArn", r"arn:.+", "kmsKeyArn must be an ARN"),
        _cutoff,
    ),
    tagging=listed_tagging("athena", "TagResource", "UntagResource", "ResourceARN", by_arn),
)

# -- aws:athena/namedQuery:NamedQuery -----------------------------------------------------------------------

_QUERY_RULES = {"query": "QueryString", "workgroup": "WorkGroup"}
_CREATE_QUERY = Call("athena", "CreateNamedQuery", rules=_QUERY_RULES)


def _create_query(op: Operation) -> None:
    answer = op.send(_CREATE_QUERY, Name=op.name_from())
    op.created(answer["NamedQueryId"])


def _read_query(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("athena", "GetNamedQuery", NamedQueryId=op.id), says=("does not exist",))
    return (
        None
        if answer is None
        else op.described("athena", "GetNamedQuery", "NamedQuery", answer["NamedQuery"], _QUERY_RULES)
    )


def _delete_query(op: Operation) -> None:
    """One that is gone already is an error."""
    op.call("athena", "DeleteNamedQuery", NamedQueryId=op.id)


NAMED_QUERY = Row(
    type="aws:athena/namedQuery:NamedQuery",
    source="athena/named_query.go",
    label="Athena Named Query",
    create=_create_query,
    read=_read_query,
    delete=_delete_query,
    calls=(_CREATE_QUERY,),
    name=AutoName(max_length=128),
    # The SQL too: a changed query has a new id.
    force_new=frozenset({ALL}),
    computed=frozenset({"name"}),
    defaults={"workgroup": "primary"},
)

ROWS = (WORKGROUP, NAMED_QUERY)
