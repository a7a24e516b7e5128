"""The delivery streams of a cloud, with their journals and delivering processes."""

from __future__ import annotations

import itertools
import shutil
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.delivery.journal import Journal
from infra.rehearsal.cloud.delivery.process import DeliveryProcess
from infra.rehearsal.cloud.delivery.settings import settings_of
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

CLOCK_SECONDS = 0.05
"""How often the delivering processes are told a clock that has changed."""
_folders = itertools.count(1)


@dataclass
class Stream:
    name: str
    arn: str
    region: str
    created: datetime
    destination: dict[str, Any]
    """The ExtendedS3DestinationDescription, with every default."""
    source: dict[str, Any] | None
    journal: Journal
    process: DeliveryProcess
    updated: datetime | None = None
    version: int = 1
    tags: dict[str, str] = field(default_factory=dict)
    encryption: dict[str, Any] = field(default_factory=lambda: {"Status": "DISABLED"})
    grant_id: str = ""
    """Of the KMS grant that Firehose works with; "" without a customer's key."""

    @property
    def destination_id(self) -> str:
        return "destinationId-000000000001"


class Streams:
    """State of one cloud. Ends every delivering process at the cloud's reset or end."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.lock = threading.RLock()
        self.by_name: dict[tuple[str, str], Stream] = {}
        """By region and name."""
        self._closing = threading.Event()
        self._ticker: threading.Thread | None = None

    def close(self) -> None:
        self._closing.set()
        with self.lock:
            streams = list(self.by_name.values())
            self.by_name.clear()
        for stream in streams:
            _end(stream)
        if self._ticker is not None:
            self._ticker.join()

    def make(self, call: Call, name: str, destination: dict[str, Any], source: dict[str, Any] | None) -> Stream:
        """A new stream in the region of the call; its journal is a folder of its own."""
        arn = f"arn:aws:firehose:{call.region}:{call.account_id}:deliverystream/{name}"
        folder = self.cloud.directory / "firehose" / f"{next(_folders)}-{name}"
        if folder.exists():
            shutil.rmtree(folder)  # of an earlier cloud in the same place
        stream = Stream(
            name=name,
            arn=arn,
            region=call.region,
            created=self.cloud.clock.now(),
            destination=destination,
            source=source,
            journal=Journal(folder),
            process=DeliveryProcess(self.cloud, folder, settings_of(name, arn, call.region, "1", destination)),
        )
        self.by_name[call.region, name] = stream
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, name="firehose-clock", daemon=True)
            self._ticker.start()
        return stream

    def remove(self, stream: Stream) -> None:
        """A deleted stream's records are gone with it (API reference, DeleteDeliveryStream)."""
        with self.lock:
            self.by_name.pop((stream.region, stream.name), None)
        _end(stream)

    def _tick(self) -> None:
        while not self._closing.wait(CLOCK_SECONDS):
            for stream in list(self.by_name.values()):
                stream.process.tell_time()


def _end(stream: Stream) -> None:
    stream.process.stop()
    stream.journal.close()
    shutil.rmtree(stream.journal.folder, ignore_errors=True)


def streams_of(cloud: Cloud) -> Streams:
    return state_of(cloud, Streams)


def stream_named(call: Call) -> Stream:
    """The stream that the call names."""
    name = call.params["DeliveryStreamName"]
    found = streams_of(call.cloud).by_name.get((call.region, name))
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Firehose {name} under account {call.account_id} not found.")
    return found
