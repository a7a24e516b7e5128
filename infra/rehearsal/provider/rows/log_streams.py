"""Log streams: internal/service/logs/stream.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Row, matches
from infra.rehearsal.provider.translate import Call

_GONE = ("ResourceNotFoundException",)
_CREATE = Call("logs", "CreateLogStream", rules={"name": "logStreamName"})


def _create(op: Operation) -> None:
    name = op.name_from()
    op.send(_CREATE, logStreamName=name)
    op.created(name)


def _read(op: Operation) -> Mapping[str, Any] | None:
    group = op.state.get("logGroupName") or op.inputs.get("logGroupName")
    answer = op.found(
        lambda: op.call("logs", "DescribeLogStreams", logGroupName=group, logStreamNamePrefix=op.id), *_GONE
    )
    streams = (answer or {}).get("logStreams", ())
    stream = next((one for one in streams if one["logStreamName"] == op.id), None)
    if stream is None:
        return None
    return {"arn": stream["arn"], "logGroupName": group, "name": op.id}


def _delete(op: Operation) -> None:
    op.gone(
        lambda: op.call("logs", "DeleteLogStream", logGroupName=op.state["logGroupName"], logStreamName=op.id), *_GONE
    )


def _from_id(given: str) -> tuple[str, Mapping[str, Any]]:
    """`group:stream`; neither name may hold a colon."""
    group, _, name = given.partition(":")
    return name, {"logGroupName": group}


LOG_STREAM = Row(
    type="aws:cloudwatch/logStream:LogStream",
    source="logs/stream.go",
    label="CloudWatch Logs Log Stream",
    create=_create,
    read=_read,
    delete=_delete,
    calls=(_CREATE,),
    name=AutoName(max_length=512),
    force_new=frozenset({"logGroupName", "name"}),
    computed=frozenset({"name"}),
    from_id=_from_id,
    rules=(
        # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html
        matches("name", r"[^:*]{1,512}", "name takes 1 to 512 characters, : and * not among them"),
    ),
)

ROWS = (LOG_STREAM,)
