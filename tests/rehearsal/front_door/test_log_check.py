"""The comparison that a rehearsal ends with: what clients received against what the log holds."""

from __future__ import annotations

from rehearsed import MODEL, Rehearsed

from infra.rehearsal.log_check import check_log
from infra.rehearsal.traffic import Sample, Traffic


def test_what_is_in_one_and_not_in_the_other_is_named(rehearsed: Rehearsed) -> None:
    ids = rehearsed.wait_for_log(rehearsed.served(3))
    forgotten = ids[-1]
    received = [*(each for each in ids if each != forgotten), "made-up"]
    sent = Traffic(MODEL, [Sample(1.0, 2.0, 200, "good", request_id, "1") for request_id in received])

    found = check_log(rehearsed.rehearsal.target, sent)

    assert (found.missing, found.unknown, found.repeated) == (["made-up"], [forgotten], 0)
    assert (found.received, found.logged) == (len(received), len(ids))
    assert found.objects > 0
    assert found.scanned_bytes > 0
