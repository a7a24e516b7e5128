"""What became of an endpoint's releases: one object for each event, written once, where every runner can read it.

`s3://<registry bucket>/releases/<endpoint>/<UTC time to a millisecond>-<id>.json`, encrypted as the bucket is. Events
are never changed. They are listed in the order of their keys and folded by the pure functions below. Their times are
those of whoever wrote them: they order and are shown, and are never held against AWS's own times. Clocks differ, so who
writes because of what is written writes after it (`moment_after`).
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

HISTORY_PREFIX = "releases/"
"""Where in the registry's bucket the history lies: `releases/<endpoint>/`."""

STARTED = "started"
"""An update is about to be sent. `configuration` is asked for, `serves` is what serves until then."""
RELEASED = "released"
"""The new fleet serves everything, and the guards have seen enough requests to say so."""
UNPROVEN = "unproven"
"""The new fleet serves everything, but had fewer requests than the guards need to judge it."""
TAKEN_BACK = "taken_back"
"""An alarm or a person ended the release; `serves` is what serves now."""
FAILED = "failed"
"""The new fleet never came up, or the endpoint is in a state that it does not leave by itself."""
UNKNOWN = "unknown"
"""The verdict could not be had: nobody read the live endpoint back."""
RETRY = "retry"
"""A person allows the version to be released again; `reason` says why."""
ROLLED_BACK = "rolled_back"
"""A person moved the live endpoint away from `version` to `serves`."""
UNASKED = "unasked"
"""The live configuration is one that nobody asked for: `configuration` and `serves` both name it."""

KINDS = (STARTED, RELEASED, UNPROVEN, TAKEN_BACK, FAILED, UNKNOWN, RETRY, ROLLED_BACK, UNASKED)
VERDICTS = (RELEASED, UNPROVEN, TAKEN_BACK, FAILED, UNKNOWN)
"""How a release can end."""

_TAKEN = frozenset({"PreconditionFailed", "412"})
# Another write to the key is under way; S3 wants the write sent again (S3 user guide, "conditional writes").
_CONFLICT = frozenset({"ConditionalRequestConflict", "409"})
_CONFLICT_ATTEMPTS = 3
_READERS = 8
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class HistoryError(RuntimeError):
    """The history cannot be read: an object in it is not an event."""


@dataclass(frozen=True, kw_only=True)
class AlarmSeen:
    """The alarm that ended a release."""

    name: str
    window: str
    """When it fires, in words: `2 of 3 minutes above 0.01`."""
    value_told: str
    """What CloudWatch said of the change into ALARM; empty when it said nothing."""


@dataclass(frozen=True, kw_only=True)
class ReleaseEvent:
    """One thing that happened to an endpoint."""

    at: str
    """Moment in UTC by its writer's clock: `2026-11-21T14:23:21.123Z`."""
    kind: str
    """One of KINDS."""
    endpoint: str
    model: str
    configuration: str
    """Endpoint configuration that the event is about."""
    version: int | None = None
    """Model version that the event is about; None: it cannot be told."""
    serves: str | None = None
    """Endpoint configuration that serves after it; None: none, or nobody knows."""
    by: str
    """ARN of who did it, or `watch`."""
    reason: str = ""
    alarm: AlarmSeen | None = None
    requests: int | None = None
    """Requests that the new fleet answered; None: not counted."""
    modified: str | None = None
    """When AWS had last changed the endpoint before the update was sent, by AWS's own clock; None: not noted."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a release event is one of {', '.join(KINDS)}, not {self.kind!r}")


def moment(at: datetime | None = None) -> str:
    """A moment as events write it. Omitted: now."""
    text = (datetime.now(UTC) if at is None else at.astimezone(UTC)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def moment_after(events: Iterable[ReleaseEvent]) -> str:
    """Now, for an event that has to be read after these; a millisecond after the newest where that writer's clock was
    ahead."""
    now, newest = moment(), max((event.at for event in events), default="")
    return now if now > newest else moment(datetime.fromisoformat(newest) + timedelta(milliseconds=1))


def event_text(event: ReleaseEvent) -> str:
    """The event as the JSON text that is stored."""
    return json.dumps(asdict(event), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def event_from(value: Mapping[str, Any]) -> ReleaseEvent:
    """The event of a stored object. Fields that this release does not know are left out. Raises TypeError, ValueError
    when it is none."""
    known = {field.name: value[field.name] for field in fields(ReleaseEvent) if field.name in value}
    alarm = known.get("alarm")
    if alarm is not None:
        known["alarm"] = AlarmSeen(**{field.name: str(alarm.get(field.name, "")) for field in fields(AlarmSeen)})
    return ReleaseEvent(**known)


class ReleaseHistory:
    """The history of one endpoint in the registry's bucket. Errors of S3 (botocore's ClientError) reach the caller."""

    def __init__(self, s3_client: Any, bucket: str, endpoint: str):
        self._s3 = s3_client
        self._bucket = bucket
        self._prefix = f"{HISTORY_PREFIX}{endpoint}/"

    def add(self, event: ReleaseEvent, id: str | None = None) -> bool:
        """Writes an event once. With an `id` (letters, digits, hyphens) the same event is written once however often
        it is told; False: it was there. Raises ValueError for another id."""
        if id is not None and _ID.fullmatch(id) is None:
            raise ValueError(f"{id!r} is no id of an event: give 1 to 64 letters, digits and hyphens")
        stamp = re.sub(r"[-:.]", "", event.at)
        key = f"{self._prefix}{stamp}-{id or uuid.uuid4().hex[:12]}.json"
        for attempt in range(1, _CONFLICT_ATTEMPTS + 1):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=event_text(event).encode(),
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
                return True
            except Exception as error:
                code = error_code(error)
                if code in _TAKEN:
                    return False
                if code not in _CONFLICT or attempt == _CONFLICT_ATTEMPTS:
                    raise
        return False

    def events(self) -> list[ReleaseEvent]:
        """Every event, oldest first. Raises HistoryError naming an object that is no event."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        keys = sorted(found["Key"] for page in pages for found in page.get("Contents", []))
        with ThreadPoolExecutor(_READERS) as pool:
            return list(pool.map(self._read, keys))

    def _read(self, key: str) -> ReleaseEvent:
        body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        try:
            return event_from(json.loads(body))
        except (TypeError, ValueError, AttributeError) as error:
            raise HistoryError(f"s3://{self._bucket}/{key} is no release event: {error}") from error


def error_code(error: BaseException) -> str:
    """The code of AWS's answer; empty when the error is none of AWS's."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, Mapping) else ""


def _blocks(event: ReleaseEvent) -> bool:
    return event.kind in (TAKEN_BACK, ROLLED_BACK) or (event.kind == FAILED and event.alarm is not None)


def blocked(events: Iterable[ReleaseEvent], version: int) -> ReleaseEvent | None:
    """The event that keeps a version from being released again: it was taken back, or moved away from, and no person
    has allowed it again since. None: it may be released."""
    found: ReleaseEvent | None = None
    for event in events:
        if event.version != version:
            continue
        if _blocks(event):
            found = event
        elif event.kind == RETRY:
            found = None
    return found


def expected_configurations(events: Iterable[ReleaseEvent]) -> frozenset[str]:
    """Configurations that may rightly serve now: what was asked for last and, while nobody has told its end, what
    served before it. Empty: nothing is known, so nothing can be wrong.

    A `retry` accepts the configuration that was told as unasked before it: a person has looked.
    """
    expected: frozenset[str] = frozenset()
    unasked: str | None = None
    for event in events:
        served = frozenset() if event.serves is None else frozenset({event.serves})
        if event.kind == STARTED:
            expected = served | {event.configuration}
        elif event.kind in (RELEASED, UNPROVEN):
            expected = frozenset({event.configuration})
        elif event.kind in (TAKEN_BACK, FAILED, ROLLED_BACK):
            expected = served or expected
        elif event.kind == UNASKED:
            unasked = event.configuration
        elif event.kind == RETRY and unasked is not None:
            expected |= {unasked}
            unasked = None
    return expected


def asked_configuration(events: Sequence[ReleaseEvent]) -> str | None:
    """The configuration that somebody asked for last. None: nobody yet."""
    for event in reversed(events):
        if event.kind in (STARTED, RELEASED, UNPROVEN):
            return event.configuration
        if event.kind == ROLLED_BACK and event.serves is not None:
            return event.serves
    return None
