"""Watches an environment's endpoints: writes down what became of their releases, and pages a person once an incident.

It runs for each SageMaker event of an endpoint (`watch_decision` says which), needs no `up` that is still alive, and
rests on nothing that an event says but that there is something to look at: it reads the endpoint, its history and its
own notes, and decides anew. Notes lie beside the history, `release-watch/<endpoint>/<note>.json`, each written once.

A page is never lost in silence. Whoever writes an incident's `told-` note first tells it; Lambda runs a failed event
twice more (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html), and the note says that
it is its own; an event that fails to the end lies in the dead-letter queue, and an alarm pages for that. A page whose
`done-` note could not be written may come twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mainstage_runtime import clients, emf
from mainstage_runtime.release_history import ReleaseHistory, error_code, moment, moment_after
from mainstage_runtime.release_live import Live, fired, read_guards, read_live
from mainstage_runtime.watch_decision import (
    BROKEN,
    NOTES_PREFIX,
    RELEASED,
    UNASKED,
    Incident,
    Told,
    decide,
    seen_note,
    told_of,
)
from mainstage_runtime.watch_page import Cause, Where, event_of, page_of

READ_SECONDS, ATTEMPTS = 10, 4
"""For each call of AWS: how long one attempt may take, and how many there are."""

_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_TRUNCATED = timedelta(seconds=1)
"""An event's time has whole seconds."""


class Notes:
    """The watch's notes of one endpoint. Errors of S3 (botocore's ClientError) reach the caller."""

    def __init__(self, s3: Any, bucket: str, endpoint: str) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, f"{NOTES_PREFIX}{endpoint}/"

    def names(self) -> frozenset[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        keys = (found["Key"] for page in pages for found in page.get("Contents", ()))
        return frozenset(key.removeprefix(self._prefix).removesuffix(".json") for key in keys)

    def add(self, name: str, **said: str) -> bool:
        """Writes a note once. False: it was there."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{name}.json",
                Body=json.dumps(said, sort_keys=True).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except Exception as error:
            if error_code(error) not in _TAKEN:
                raise
            return False
        return True

    def read(self, name: str) -> dict[str, Any]:
        """What a note says; nothing when there is none."""
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=f"{self._prefix}{name}.json")["Body"].read()
        except Exception as error:
            if error_code(error) not in ("NoSuchKey", "404"):
                raise
            return {}
        return json.loads(body)


@dataclass(frozen=True, kw_only=True)
class ReleaseWatch:
    """The watch of one environment."""

    s3: Any
    sagemaker: Any
    cloudwatch: Any
    sns: Any
    bucket: str
    topic_arn: str
    where: Where

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Deals with one event; says what was noted, recorded and told. Errors of AWS reach the caller: Lambda tries
        the event again."""
        told = told_of(event)
        if not told.endpoint.startswith(self.where.endpoint_prefix):
            return {"told": None}
        kept = ReleaseHistory(self.s3, self.bucket, told.endpoint)
        notes = Notes(self.s3, self.bucket, told.endpoint)
        # The endpoint first: what serves now was asked for before now, so that the history read after has it.
        live = read_live(self.sagemaker, told.endpoint)
        written = notes.names()
        events = kept.events()
        decision = decide(told, live, events, written)
        for note in decision.notes:
            since = live.pending_since if live is not None and note.startswith("seen-") else None
            notes.add(note, event=told.id, **({} if since is None else {"since": moment(since)}))
        incident = decision.incident
        if live is None or incident is None or not self._claims(notes, incident, told):
            return {"told": None}
        asks = incident.known is None and incident.what not in (BROKEN, RELEASED, UNASKED)
        cause = self._cause(notes, incident, told, live) if asks else Cause()
        recorded = event_of(incident, told, live, self.where, cause, moment_after(events))
        if incident.known is None:
            kept.add(recorded, id=incident.name)
        if incident.pages:
            subject, message = page_of(incident, recorded, told, live, self.where, cause)
            self.sns.publish(TopicArn=self.topic_arn, Subject=subject, Message=message)
        notes.add(f"done-{incident.name}", event=told.id)
        emf.note("told", incident=incident.name, endpoint=told.endpoint, kind=recorded.kind, paged=incident.pages)
        return {"told": incident.name}

    def _claims(self, notes: Notes, incident: Incident, told: Told) -> bool:
        """Whether this event is the one to tell the incident: nobody else has begun to, or this very event has and
        failed."""
        if notes.add(f"told-{incident.name}", event=told.id):
            return True
        return notes.read(f"told-{incident.name}").get("event") == told.id

    def _cause(self, notes: Notes, incident: Incident, told: Told, live: Live) -> Cause:
        """Which alarm ended the release. A page without its alarm is better than none, so that nothing is raised."""
        try:
            # The role may ask for alarms of this environment only; one refused name would refuse them all.
            prefix = self.where.endpoint_prefix
            guards = read_guards(self.cloudwatch, sorted(n for n in live.rollback_alarms if n.startswith(prefix)))
            ringing = [guard for guard in guards if guard.state == "ALARM"]
            said = notes.read(seen_note(incident.start)).get("since") if incident.start is not None else None
            since = datetime.fromisoformat(said) if said else live.pending_since
            if since is None:
                since = min((guard.since for guard in ringing), default=None)
                if since is None:
                    return Cause(note="when it began is not known")
            until = max(live.modified, _moment_of(told.at) or live.modified) + _TRUNCATED
            # A change at the very moment counts: what `fired` takes is later than `after`.
            after = {guard.name: since - _TRUNCATED for guard in guards}
            alarm = fired(self.cloudwatch, guards, after=after, until=until, told=live.failure_reason)
            return Cause(alarm=alarm, known=bool(guards))
        except Exception as error:
            emf.note("alarms_not_read", endpoint=told.endpoint, error=emf.error_name(error))
            return Cause(note=f"the alarms could not be read: {emf.error_name(error)}")


def _moment_of(text: str) -> datetime | None:
    """An event's time: RFC 3339, or milliseconds since 1970 as in SageMaker's example; None for another text."""
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


_deployed: ReleaseWatch | None = None


def _start(environ: Mapping[str, str]) -> ReleaseWatch:
    def client(service: str) -> Any:
        return clients.client(service, read_seconds=READ_SECONDS, attempts=ATTEMPTS)

    return ReleaseWatch(
        s3=client("s3"),
        sagemaker=client("sagemaker"),
        cloudwatch=client("cloudwatch"),
        sns=client("sns"),
        bucket=environ["MAINSTAGE_REGISTRY_BUCKET"],
        topic_arn=environ["MAINSTAGE_PAGE_TOPIC_ARN"],
        where=Where(
            environment=environ["MAINSTAGE_ENVIRONMENT"],
            endpoint_prefix=environ["MAINSTAGE_ENDPOINT_PREFIX"],
            runbook_base_url=environ["MAINSTAGE_RUNBOOK_BASE_URL"],
        ),
    )


def handler(event: Any, context: Any) -> dict[str, Any]:
    """What Lambda calls."""
    global _deployed
    if _deployed is None:
        _deployed = _start(os.environ)
    return _deployed.handle(event)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # Lambda's Init phase
    _deployed = _start(os.environ)
