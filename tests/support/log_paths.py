"""What a prediction and its record go through, done once more, and what was seen of it: for tests of rights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rehearsed import LOG, Rehearsed, kill_9, until

from infra.predictions import athena
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.functions.poller import pollers_of
from infra.rehearsal.cloud.journal import Entry
from infra.rehearsal.cloud.overlay.firehose_delivery import flush, waiting

REGION = "eu-west-1"
DOOR, TRANSFORM, REPLAY = f"{LOG}-front-door", f"{LOG}-transform", f"{LOG}-replay"
NOT_FOUND = "mainstage-dev-not-found"
WATCH = "mainstage-dev-release-watch"
DELIVERY = f"{LOG}-delivery"
STREAM, SPOOL = f"{LOG}-predictions", f"{LOG}-spool"
DOWN = AwsError("ServiceUnavailableException", "The service is unavailable.", 503)

IN_VIEW, IN_STREAM, IN_SPOOL = "in the view", "in the stream", "in the spool"
WAITS, REJECTED, LOST = "waits with Firehose", "among the rejects", "lost"
VISIBILITY_SECONDS = 181


@dataclass(frozen=True)
class Seen:
    """What a client got, where the record is, and which calls on its way were refused to the role, with what."""

    status: int
    record: str
    refused: frozenset[str] = frozenset()


def role_of(part: str) -> str:
    return f"{part}-{REGION}"


@dataclass
class Paths:
    rehearsed: Rehearsed
    last_id: str = ""
    """Request id of the newest prediction."""

    # -- what a role did

    def mark(self) -> int:
        return len(self.rehearsed.cloud.journal.entries())

    def calls(self, part: str, since: int) -> list[Entry]:
        """What the role of a part has asked since a mark."""
        sessions = f":assumed-role/{role_of(part)}/"
        return [each for each in self.rehearsed.cloud.journal.entries()[since:] if sessions in each.principal]

    def refused(self, part: str, since: int) -> frozenset[str]:
        """What AWS refused to the role, planted faults left out."""
        return frozenset(
            f"{each.service}.{each.operation} {each.outcome}"
            for each in self.calls(part, since)
            if each.outcome not in ("ok", DOWN.code)
        )

    def hindered(self, part: str, since: int) -> frozenset[str]:
        """What was refused on a record's way: a part's own log is not on it, and may be written later."""
        return frozenset(each for each in self.refused(part, since) if not each.startswith("logs."))

    # -- the paths

    def asked(self, *, firehose_down: bool = False) -> Seen:
        """One prediction, until its record was handed over or lost."""
        since, failed = self.mark(), self.rehearsed.log_metric("LogFailed")
        fault = self.rehearsed.cloud.faults.add("firehose", "PutRecord", DOWN) if firehose_down else None
        try:
            reply = self.rehearsed.ask()
            self.last_id = reply.request_id
            record = until(lambda: self._handed_over(since), "the record is handed over, or lost")
        finally:
            if fault is not None:
                fault.remove()
        if record == LOST:
            until(lambda: self.rehearsed.log_metric("LogFailed") == failed + 1 or None, "the loss is counted")
        return Seen(reply.status, record, self.hindered(DOOR, since))

    def _handed_over(self, since: int) -> str | None:
        ends = {f"{each.service}.{each.operation}": each.outcome for each in self.calls(DOOR, since)}
        if ends.get("firehose.PutRecord") == "ok":
            return IN_STREAM
        if "sqs.SendMessage" in ends:
            return IN_SPOOL if ends["sqs.SendMessage"] == "ok" else LOST
        return None

    def delivered(self) -> Seen:
        """One prediction, until its record lies in the bucket or Firehose was refused what it needs for that."""
        cloud = self.rehearsed.cloud
        since = self.mark()
        asked = self.asked()
        assert asked.record == IN_STREAM, asked

        def ended() -> str | None:
            if flush(cloud, STREAM, 0.05) == 0:
                return IN_VIEW if self.in_view() else REJECTED
            # What the transform does not take within its attempts does not wait.
            waits = any(not each.startswith("lambda.") for each in self.hindered(DELIVERY, since))
            return WAITS if waits else None

        return Seen(asked.status, until(ended, "the record is delivered, or waits"), self.hindered(DELIVERY, since))

    def replayed(self) -> Seen:
        """One prediction while Firehose is down, until its record is replayed or the replay was refused something."""
        since = self.mark()
        asked = self.asked(firehose_down=True)
        assert asked.record == IN_SPOOL, asked

        def ended() -> str | None:
            if not self.depth():
                return IN_STREAM
            return IN_SPOOL if self.hindered(REPLAY, since) else None

        return Seen(asked.status, until(ended, "the record is replayed, or waits"), self.hindered(REPLAY, since))

    def not_found(self) -> int:
        """Status of a path that no model has."""
        return self.rehearsed.door.post("/v1/models/nobody/predictions", b"{}").status

    # -- where things are

    def depth(self) -> int:
        """Messages in the spool, those under way among them."""
        sqs, names = self.rehearsed.client("sqs"), ("", "NotVisible")
        url = sqs.get_queue_url(QueueName=SPOOL)["QueueUrl"]
        counts = sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=[f"ApproximateNumberOfMessages{name}" for name in names]
        )["Attributes"]
        return sum(int(count) for count in counts.values())

    def in_view(self) -> bool:
        """Whether the newest prediction is in the view. Never more than once."""
        count = len(self.rehearsed.sql(f"SELECT 1 AS one FROM predictions WHERE request_id = '{self.last_id}'"))
        assert count <= 1
        return count == 1

    def heals(self) -> bool:
        """Whether the newest prediction comes into the view when everything is allowed again."""
        if self.depth():
            # What a replay has taken and could not end with comes again when its visibility time-out is over.
            self.rehearsed.cloud.clock.advance(VISIBILITY_SECONDS)
            until(lambda: True if not self.depth() else None, "the spool is empty")
        until(lambda: True if flush(self.rehearsed.cloud, STREAM, 5) == 0 else None, "everything is delivered")
        return self.in_view()

    def waiting(self) -> int:
        return waiting(self.rehearsed.cloud, STREAM)

    def polling_problem(self, mapping: str) -> str:
        """Why a mapping could not poll or delete the last time; empty when it could."""
        return pollers_of(self.rehearsed.cloud).problem(mapping)

    # -- what functions say

    def restart(self, function: str) -> None:
        """Ends the processes of a function: the next invocation starts one, and takes the role again."""
        if running := functions.pids(self.rehearsed.cloud, function):
            kill_9(running)
            until(lambda: True if not functions.pids(self.rehearsed.cloud, function) else None, f"{function} ends")

    def lines(self, function: str) -> int:
        """How many lines a function's log has, when everything is written or lost."""
        functions.flush(self.rehearsed.cloud)
        pages = self.rehearsed.client("logs").get_paginator("filter_log_events")
        return sum(len(page["events"]) for page in pages.paginate(logGroupName=f"/aws/lambda/{function}"))

    def log_of(self, function: str, path: Callable[[], Any]) -> tuple[Any, str, frozenset[str]]:
        """What a path showed through a new process of the function, whether that one's lines arrived, what was refused
        to its role."""
        self.restart(function)
        lines, lost = self.lines(function), functions.functions_of(self.rehearsed.cloud).lost_lines(function)
        since = self.mark()
        shown = path()
        new = self.lines(function) - lines
        lost = functions.functions_of(self.rehearsed.cloud).lost_lines(function) - lost
        assert (new > 0) != (lost > 0), f"{new} lines written, {lost} lost"
        return shown, "written" if new else "lost", self.refused(function, since)

    def notes(self, function: str, event: str, since_ms: int) -> list[dict[str, Any]]:
        """What a function has noted under a name."""
        functions.flush(self.rehearsed.cloud)
        events = self.rehearsed.client("logs").filter_log_events(
            logGroupName=f"/aws/lambda/{function}", startTime=since_ms
        )["events"]
        lines = [json.loads(each["message"]) for each in events if each["message"].startswith('{"event"')]
        return [line for line in lines if line["event"] == event]

    def now_ms(self) -> int:
        return int(self.rehearsed.cloud.clock.now().timestamp() * 1000)

    # -- the model that awaits its first version, and hashes

    def hashed(self) -> tuple[int, bool, list[str]]:
        """Asks the awaited model through a new process. Status, whether the record has a pseudonym, what was noted."""
        model, log = "card-fraud", "dev-card-fraud"
        self.restart(f"{log}-front-door")
        since = self.now_ms()
        row = {
            **{"card_token": "tok-4711", "amount_eur": 12.5, "merchant_category": "fuel", "card_present": True},
            **{"requested_at": "2026-01-01T00:00:00Z", "seconds_since_last_payment": None},
        }
        reply = self.rehearsed.door.post(self.rehearsed.door.path_of(model), json.dumps({"instances": [row]}).encode())

        def found() -> list[dict[str, Any]] | None:
            flush(self.rehearsed.cloud, f"{log}-predictions", 5)
            sql = f"SELECT entity_key, input_card_token FROM predictions WHERE request_id = '{reply.request_id}'"
            return list(athena.run(self.rehearsed.rehearsal.target, model, sql).rows) or None

        [record] = until(found, "the record is in the view")
        assert "tok-4711" not in str(record)
        noted = [note["error"] for note in self.notes(f"{log}-front-door", "no_pseudonyms", since)]
        return reply.status, record["entity_key"] is not None, noted
