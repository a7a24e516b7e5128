"""What a drill may see and do of the delivery of streams: flush, processes, what waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from infra.rehearsal.cloud.overlay.firehose_store import Stream, streams_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


def flush(cloud: Cloud, stream_name: str | None = None, timeout_seconds: float = 30) -> int:
    """Delivers now what was acknowledged before, whatever the buffers' hints say; AWS has nothing like it.

    stream_name: one stream; None is all, in every region. Returns how many records wait still when the time is over: 0
    when all were delivered. KeyError for a name that no stream has.
    """
    deadline = time.monotonic() + timeout_seconds
    left = 0
    for stream in _streams(cloud, stream_name):
        before = stream.journal.next
        while stream.journal.waiting(before) and time.monotonic() < deadline:
            stream.process.flush(max(0.0, deadline - time.monotonic()))
            if stream.journal.waiting(before):
                time.sleep(0.05)
        left += stream.journal.waiting(before)
    return left


def pids(cloud: Cloud, stream_name: str) -> list[int]:
    """The delivering processes of a stream that live now: one, or none before the first record. KeyError."""
    return [pid for stream in _streams(cloud, stream_name) for pid in stream.process.pids()]


def waiting(cloud: Cloud, stream_name: str) -> int:
    """Records that were acknowledged and are in no object yet. KeyError."""
    return sum(stream.journal.waiting() for stream in _streams(cloud, stream_name))


def _streams(cloud: Cloud, stream_name: str | None) -> list[Stream]:
    known = list(streams_of(cloud).by_name.values())
    found = [stream for stream in known if stream_name in (None, stream.name)]
    if stream_name is not None and not found:
        names = ", ".join(sorted(stream.name for stream in known)) or "none"
        raise KeyError(f"no delivery stream {stream_name!r}; there are: {names}")
    return found
