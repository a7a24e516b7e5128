"""Athena's executions: started in the background with the caller's rights, watched, stopped, their results given in
pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.answers import page
from infra.rehearsal.cloud.overlay.athena_execution import ENDED, SUCCEEDED, Execution
from infra.rehearsal.cloud.overlay.athena_store import PRIMARY, Record, athena_of, invalid, workgroup
from infra.rehearsal.cloud.queries import results, statement, storage
from infra.rehearsal.cloud.queries.failures import NotAStatement, QueryFailure
from infra.rehearsal.cloud.queries.run import Run
from infra.rehearsal.cloud.queries.statement import Show

MOST_ROWS = 1000
"""Rows of a page, the header's among them (API reference, GetQueryResults)."""


@handler("athena", "StartQueryExecution")
def start_query_execution(call: Call) -> dict[str, Any]:
    """Checks the text, the workgroup and the output bucket at once, as Athena does; the rest happens in a thread."""
    athena, asked = athena_of(call.cloud), call.params
    group = workgroup(call, asked.get("WorkGroup") or PRIMARY)
    if group["State"] == "DISABLED":
        raise invalid(f"WorkGroup {group['Name']} is disabled.", "WORKGROUP_DISABLED")
    for member in ("ResultReuseConfiguration", "EngineConfiguration"):
        if (asked.get(member) or {}).get("ResultReuseByAgeConfiguration", {}).get("Enabled"):
            raise AwsError("NotCarried", f"The emulated Athena does not carry {member}.", 501)
    context = asked.get("QueryExecutionContext") or {}
    catalog = (context.get("Catalog") or "awsdatacatalog").lower()
    if catalog != "awsdatacatalog":
        raise invalid(f"Catalog {catalog} does not exist", "CATALOG_NOT_FOUND")
    if len(asked["QueryString"].encode()) > statement.LONGEST_BYTES:
        raise invalid(
            f"Query string length {len(asked['QueryString'].encode())} is greater than the limit"
            f" {statement.LONGEST_BYTES}"
        )
    key = (call.region, asked["ClientRequestToken"]) if asked.get("ClientRequestToken") else None
    wanted = {name: value for name, value in asked.items() if name != "ClientRequestToken"}
    known = athena.tokens.get(key) if key else None
    if known is not None:
        if known[0] != wanted:
            raise invalid("Idempotent parameters do not match")
        return {"QueryExecutionId": known[1]}
    read = _read(asked)
    result = _result_configuration(group["Configuration"], asked.get("ResultConfiguration") or {})
    _bucket_is_there(call, result["OutputLocation"])
    query_id = athena.new_id()
    suffix = "txt" if isinstance(read, Show) else "csv"
    url = f"{result['OutputLocation'].rstrip('/')}/{query_id}.{suffix}"
    execution = Execution(
        cloud=call.cloud,
        region=call.region,
        principal=call.principal,
        id=query_id,
        query=asked["QueryString"],
        workgroup=group["Name"],
        submitted=call.cloud.clock.now(),
        result_configuration={**result, "OutputLocation": url},
        context={name.title(): value for name, value in context.items()},
        publishes=bool(group["Configuration"].get("PublishCloudWatchMetricsEnabled")),
        parameters=list(asked.get("ExecutionParameters") or ()),
        run=Run(
            statement=read,
            database=context.get("Database", ""),
            output_location=url,
            encryption=_encryption(result),
            folder=athena.folder / "runs" / query_id,
            cache=athena.cache,
            now=call.cloud.clock.now(),
            cutoff=group["Configuration"].get("BytesScannedCutoffPerQuery") or None,
        ),
    )
    with athena.lock:
        if key and key in athena.tokens:
            return {"QueryExecutionId": athena.tokens[key][1]}
        if key:
            athena.tokens[key] = (wanted, query_id)
        athena.executions[call.region, query_id] = execution
    athena.pool.submit(execution.go)
    return {"QueryExecutionId": query_id}


def _read(asked: Mapping[str, Any]) -> statement.Statement:
    try:
        return statement.read(asked["QueryString"], asked.get("ExecutionParameters") or ())
    except statement.NotCarried as error:
        raise AwsError("NotCarried", error.message, 501) from error
    except NotAStatement as error:
        raise invalid(error.message, "MALFORMED_QUERY") from error
    except QueryFailure as error:
        raise invalid(error.message.partition(": ")[2] or error.message, "INVALID_INPUT") from error


def _result_configuration(group: Record, asked: Record) -> Record:
    """Where the answer goes: the workgroup's word is the only one when it is enforced, else the caller's comes first
    (Athena User Guide, "Override client-side settings")."""
    own = group.get("ResultConfiguration") or {}
    chosen = dict(own) if group.get("EnforceWorkGroupConfiguration") else {**own, **asked}
    if not chosen.get("OutputLocation"):
        raise invalid(
            "No output location provided. An output location is required either through the Workgroup result"
            " configuration setting or as an API input."
        )
    if (chosen.get("EncryptionConfiguration") or {}).get("EncryptionOption") == "CSE_KMS":
        raise AwsError("NotCarried", "The emulated Athena does not carry the encryption option CSE_KMS.", 501)
    return chosen


def _encryption(result: Record) -> dict[str, str]:
    """Arguments of PutObject: without an option the bucket's default applies."""
    given = result.get("EncryptionConfiguration") or {}
    option = given.get("EncryptionOption")
    if option == "SSE_KMS":
        return {"ServerSideEncryption": "aws:kms", **({"SSEKMSKeyId": given["KmsKey"]} if given.get("KmsKey") else {})}
    return {"ServerSideEncryption": "AES256"} if option == "SSE_S3" else {}


def _bucket_is_there(call: Call, location: str) -> None:
    bucket = storage.split(location)[0]
    try:
        call.cloud.session(call.principal).client("s3", region_name=call.region).get_bucket_location(Bucket=bucket)
    except ClientError as error:
        raise invalid(f"Unable to verify/create output bucket {bucket}") from error


@handler("athena", "GetQueryExecution")
def get_query_execution(call: Call) -> dict[str, Any]:
    return {"QueryExecution": _execution(call).described()}


@handler("athena", "BatchGetQueryExecution")
def batch_get_query_execution(call: Call) -> dict[str, Any]:
    known = athena_of(call.cloud).executions
    ids = call.params["QueryExecutionIds"]
    return {
        "QueryExecutions": [known[call.region, one].described() for one in ids if (call.region, one) in known],
        "UnprocessedQueryExecutionIds": [
            {"QueryExecutionId": one, "ErrorCode": "INTERNAL_FAILURE", "ErrorMessage": _missing(one)}
            for one in ids
            if (call.region, one) not in known
        ],
    }


@handler("athena", "ListQueryExecutions")
def list_query_executions(call: Call) -> dict[str, Any]:
    """Ids of a workgroup, newest first."""
    group = call.params.get("WorkGroup") or PRIMARY
    workgroup(call, group)
    found = [
        {"id": one.id}
        for (region, _), one in reversed(list(athena_of(call.cloud).executions.items()))
        if region == call.region and one.workgroup == group
    ]
    limit = call.params.get("MaxResults") or 50
    entries, token = page(found, call.params.get("NextToken"), limit, error="InvalidRequestException")
    return {"QueryExecutionIds": [one["id"] for one in entries], **({"NextToken": token} if token else {})}


@handler("athena", "StopQueryExecution")
def stop_query_execution(call: Call) -> dict[str, Any]:
    """A query that has ended already stays as it is."""
    _execution(call).stop()
    return {}


@handler("athena", "GetQueryResults")
def get_query_results(call: Call) -> dict[str, Any]:
    """A page of what lies in the output location, read with the caller's rights: GetQueryResults gives nothing that the
    caller could not read there (API reference, GetQueryResults)."""
    execution = _execution(call)
    if execution.state not in ENDED:
        raise invalid(f"Query has not yet finished. Current state: {execution.state}", "QUERY_NOT_FINISHED")
    if execution.state != SUCCEEDED:
        raise invalid(f"Query did not finish successfully. Final query state: {execution.state}")
    columns, rows = _stored(call, execution)
    start = call.params.get("NextToken") or "0"
    if not start.isdecimal():
        raise invalid("Invalid token")
    first, most = int(start), call.params.get("MaxResults") or MOST_ROWS
    taken = rows[first : first + most]
    answer: dict[str, Any] = {
        "UpdateCount": 0,
        "ResultSet": {
            "Rows": [results.row_of(row) for row in taken],
            "ResultSetMetadata": {"ColumnInfo": columns},
        },
    }
    if first + most < len(rows):
        answer["NextToken"] = str(first + most)
    return answer


def _stored(call: Call, execution: Execution) -> tuple[list[Mapping[str, Any]], list[list[results.Text]]]:
    """Columns and rows, the header's first for a SELECT."""
    url = execution.run.output_location
    if isinstance(execution.run.statement, Show):
        what = execution.run.statement.what
        names = {"databases": ["database_name"], "tables": ["tab_name"]}.get(what, ["col_name", "data_type", "comment"])
        columns: list[Mapping[str, Any]] = [results.column_info(results.Column(name, "VARCHAR")) for name in names]
        lines = _object(call, url).decode().splitlines()
        return columns, [list(line.split("\t")) for line in lines if line]
    rows = results.read_csv(_object(call, url).decode())
    return results.read_metadata(_object(call, f"{url}.metadata")), rows


def _object(call: Call, url: str) -> bytes:
    bucket, key = storage.split(url)
    s3 = call.cloud.session(call.principal).client("s3", region_name=call.region)
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        detail = error.response.get("Error", {})
        if detail.get("Code") in ("NoSuchKey", "NoSuchBucket"):
            raise invalid("Could not find results") from error
        # The wording is unconfirmed.
        raise AwsError("AccessDeniedException", f"Access denied to {url}: {detail.get('Message')}", 400) from error


def _execution(call: Call) -> Execution:
    query_id = call.params["QueryExecutionId"]
    found = athena_of(call.cloud).executions.get((call.region, query_id))
    if found is None:
        raise invalid(_missing(query_id))
    return found


def _missing(query_id: str) -> str:
    return f"QueryExecution {query_id} was not found"
