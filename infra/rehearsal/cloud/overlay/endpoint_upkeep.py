"""What SageMaker does beside the calls: ships logs, writes captured data, publishes utilisation. One thread a cloud."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.endpoint_logs import ship_log
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Variant
from infra.rehearsal.cloud.overlay.host_usage import cpu_percent, look, memory_percent

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

TICK_SECONDS = 1.0
"""Of real time."""
NAMESPACE = "/aws/sagemaker/Endpoints"

log = logging.getLogger(__name__)


class Upkeep:
    """Runs `tick` every second from the first fleet on. Utilisation is published once a minute of the cloud's clock."""

    def __init__(self, cloud: Cloud, endpoints: Callable[[], list[Endpoint]]):
        self._cloud = cloud
        self._endpoints = endpoints
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._minute = -1

    def start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="mainstage-sagemaker-upkeep", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:
                # The next tick must come whatever one endpoint's end did to this one.
                log.exception("the upkeep of the emulated SageMaker failed")

    def tick(self) -> None:
        """One round over all variants that serve."""
        now = self._cloud.clock.now()
        minute = int(now.timestamp() // 60)
        new_minute, self._minute = minute != self._minute, minute
        for endpoint in self._endpoints():
            for variant in [each for fleet in endpoint.fleets() for each in fleet.variants()]:
                ship_log(self._cloud, endpoint, variant)
                if variant.capture is not None:
                    variant.capture.flush_old(now)
                if new_minute:
                    publish_utilisation(endpoint, variant)


def publish_utilisation(endpoint: Endpoint, variant: Variant) -> None:
    """Puts the host's real use under the execution role, with SageMaker's metric names.

    The role's `cloudwatch:PutMetricData` is for these metrics (developer guide, "SageMaker roles"); without it they are
    missing and nothing else. Percent: CPU of one core (0 to 100 times the cores), memory and disk of the machine.
    """
    usage, disk = look(variant.host.pid), _disk_percent(variant)
    if usage is None or disk is None:
        return  # it has just ended
    values = {
        "CPUUtilization": cpu_percent(variant.usage, usage),
        "MemoryUtilization": memory_percent(usage),
        "DiskUtilization": disk,
    }
    variant.usage = usage
    dimensions = [
        {"Name": "EndpointName", "Value": endpoint.name},
        {"Name": "VariantName", "Value": variant.name},
    ]
    try:
        variant.session.client("cloudwatch", region_name=endpoint.region).put_metric_data(
            Namespace=NAMESPACE,
            MetricData=[
                {"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": "Percent"}
                for name, value in values.items()
            ],
        )
    except ClientError as refusal:
        log.warning("%s/%s: utilisation could not be published: %s", endpoint.name, variant.name, refusal)


def _disk_percent(variant: Variant) -> float | None:
    """None when its folder is gone."""
    try:
        disk = shutil.disk_usage(variant.directory)
    except FileNotFoundError:
        return None
    return disk.used / disk.total * 100
