"""One batch of records through the transform function.

Sources: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html,
…/data-transformation-failure-handling.html, …/data-transformation-status-model.html; codes and sentences from
…/monitoring-with-cloudwatch-logs.html. Unconfirmed: that a batch with a missing or doubled record id fails whole, and
how long Firehose waits between two attempts.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from infra.rehearsal.cloud.delivery.journal import Entry
from infra.rehearsal.cloud.delivery.settings import Settings

PAYLOAD_BYTES = 6 * 1024 * 1024
"""Of a synchronous invocation, each way (Lambda quotas)."""
WAIT_SECONDS = 0.1
"""Before the first repetition; doubled each time."""

_SENTENCES = {
    "Lambda.FunctionError": "The Lambda function was successfully invoked but it returned an error result.",
    "Lambda.FunctionTimedOut": "The Lambda function did not answer in time.",
    "Lambda.InvokeAccessDenied": "Access was denied. Ensure that the access policy allows access to the Lambda"
    " function.",
    "Lambda.InvokeLimitExceeded": "The Lambda concurrent execution limit is exceeded. Increase the concurrent execution"
    " limit.",
    "Lambda.ResourceNotFound": "The specified Lambda function does not exist. Use a different function that does"
    " exist.",
    "Lambda.JsonProcessingException": "There was an error parsing returned records from the Lambda function. Ensure"
    " that the returned records follow the status model required by Kinesis Firehose.",
    "Lambda.DuplicatedRecordId": "Multiple records were returned with the same record ID. Ensure that the Lambda"
    " function returns unique record IDs for each record.",
    "Lambda.MissingRecordId": "One or more record IDs were not returned. Ensure that the Lambda function returns all"
    " received record IDs.",
}
_CODES = {
    "AccessDeniedException": "Lambda.InvokeAccessDenied",
    "AccessDenied": "Lambda.InvokeAccessDenied",
    "TooManyRequestsException": "Lambda.InvokeLimitExceeded",
    "ResourceNotFoundException": "Lambda.ResourceNotFound",
}


class BatchFailed(Exception):
    """An attempt that failed for all records of the batch."""

    def __init__(self, code: str, message: str = ""):
        self.code = code
        self.message = message or _SENTENCES.get(code, code)
        super().__init__(f"{self.code}: {self.message}")


@dataclass(frozen=True)
class Transformed:
    """A record that comes on."""

    entry: Entry
    data: bytes
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Failed:
    """A record that goes to the error prefix."""

    entry: Entry
    code: str
    message: str
    attempts: int


@dataclass
class Outcome:
    ok: list[Transformed] = field(default_factory=list)
    dropped: list[Entry] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    attempts: list[tuple[bool, float]] = field(default_factory=list)
    """(successful, milliseconds) of each invocation."""
    error: BatchFailed | None = None
    """Why the whole batch failed."""


def transform(
    settings: Settings, entries: Sequence[Entry], client: Callable[[], Any], sleep: Callable[[float], None] = time.sleep
) -> Outcome:
    """Invokes the function with the batch, again as often as NumberOfRetries says.

    client: gives a Lambda client of the processor's role, each time anew; what it raises goes through.
    """
    assert settings.transform is not None
    event = _event(settings, entries)
    outcome = Outcome()
    for attempt in range(settings.transform.retries + 1):
        if attempt:
            sleep(WAIT_SECONDS * 2 ** min(attempt - 1, 6))
        lambda_client = client()
        started = time.perf_counter()
        try:
            answers = _answers(_invoke(lambda_client, settings.transform.function, event), entries)
        except BatchFailed as failure:
            outcome.error = failure
            outcome.attempts.append((False, (time.perf_counter() - started) * 1000))
            continue
        outcome.error = None
        outcome.attempts.append((True, (time.perf_counter() - started) * 1000))
        _sort(outcome, entries, answers)
        return outcome
    assert outcome.error is not None
    made = settings.transform.retries + 1
    outcome.failed = [Failed(entry, outcome.error.code, outcome.error.message, made) for entry in entries]
    return outcome


def record_id(number: int) -> str:
    """A record's id, as PutRecord answers it and the function sees it: digits, in order."""
    return f"4957{number:052d}"


def _event(settings: Settings, entries: Sequence[Entry]) -> bytes:
    return json.dumps(
        {
            "invocationId": str(uuid.uuid4()),
            "deliveryStreamArn": settings.arn,
            "region": settings.region,
            "records": [
                {
                    "recordId": record_id(entry.number),
                    "approximateArrivalTimestamp": entry.arrived_us // 1000,
                    "data": base64.b64encode(entry.data).decode(),
                }
                for entry in entries
            ],
        }
    ).encode()


def _invoke(client: Any, function: str, event: bytes) -> bytes:
    try:
        answer = client.invoke(FunctionName=function, InvocationType="RequestResponse", Payload=event)
        payload = answer["Payload"].read()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        known = _CODES.get(code)
        raise BatchFailed(known or f"Lambda.{code}", "" if known else error.response["Error"]["Message"]) from error
    except ReadTimeoutError as error:
        raise BatchFailed("Lambda.FunctionTimedOut") from error
    except BotoCoreError as error:
        raise BatchFailed("Lambda.NetworkError", str(error)) from error
    if answer.get("FunctionError") or len(payload) > PAYLOAD_BYTES:
        raise BatchFailed("Lambda.FunctionError")
    return payload


def _answers(payload: bytes, entries: Sequence[Entry]) -> dict[str, Mapping[str, Any]]:
    """The function's records by id."""
    try:
        records = json.loads(payload)["records"]
        answers: dict[str, Mapping[str, Any]] = {}
        for record in records:
            if record["recordId"] in answers:
                raise BatchFailed("Lambda.DuplicatedRecordId")
            if record["result"] not in ("Ok", "Dropped", "ProcessingFailed"):
                raise BatchFailed("Lambda.JsonProcessingException")
            answers[record["recordId"]] = record
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BatchFailed("Lambda.JsonProcessingException") from error
    if any(record_id(entry.number) not in answers for entry in entries):
        raise BatchFailed("Lambda.MissingRecordId")
    for record in answers.values():
        if record["result"] == "Ok":
            _data(record)
            _keys(record)
    return answers


def _data(record: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(record["data"], validate=True)
    except (KeyError, TypeError, binascii.Error, ValueError) as error:
        raise BatchFailed("Lambda.JsonProcessingException") from error


def _keys(record: Mapping[str, Any]) -> Mapping[str, str]:
    metadata = record.get("metadata") or {}
    keys = metadata.get("partitionKeys") or {} if isinstance(metadata, Mapping) else None
    if not isinstance(keys, Mapping):
        raise BatchFailed("Lambda.JsonProcessingException")
    found = {str(name): str(value) for name, value in keys.items() if value is not None}
    try:
        "".join(found.values()).encode()
    except UnicodeEncodeError as error:  # no object could be named so
        raise BatchFailed("Lambda.JsonProcessingException") from error
    return found


def _sort(outcome: Outcome, entries: Sequence[Entry], answers: Mapping[str, Mapping[str, Any]]) -> None:
    for entry in entries:
        record = answers[record_id(entry.number)]
        if record["result"] == "Ok":
            outcome.ok.append(Transformed(entry, _data(record), _keys(record)))
        elif record["result"] == "Dropped":
            outcome.dropped.append(entry)
        else:
            outcome.failed.append(
                Failed(entry, "Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record", 1)
            )
