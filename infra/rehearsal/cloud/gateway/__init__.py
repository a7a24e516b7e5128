"""The emulated API Gateway: HTTP APIs that really serve, each on a loopback port of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from infra.rehearsal.cloud.gateway.http_api import HttpApi
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class Gateways:
    """The HTTP APIs of one cloud, by id."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._lock = threading.Lock()
        self._apis: dict[str, HttpApi] = {}

    def open(self, api_id: str, region: str, account_id: str) -> HttpApi:
        """Binds a port and serves; nothing is found there until something is deployed."""
        api = HttpApi(self._cloud, api_id, region, account_id)
        with self._lock:
            self._apis[api_id] = api
        return api

    def get(self, api_id: str) -> HttpApi | None:
        return self._apis.get(api_id)

    def drop(self, api_id: str) -> None:
        with self._lock:
            api = self._apis.pop(api_id, None)
        if api is not None:
            api.close()

    def close(self) -> None:
        with self._lock:
            apis = list(self._apis.values())
            self._apis.clear()
        for api in apis:
            api.close()


def gateways(cloud: Cloud) -> Gateways:
    """The HTTP APIs of a cloud."""
    return state_of(cloud, Gateways)


def base_url(cloud: Cloud, api_id: str) -> str:
    """Where an HTTP API listens, such as "http://127.0.0.1:41234". KeyError for one that is not there."""
    api = gateways(cloud).get(api_id)
    if api is None:
        raise KeyError(f"there is no HTTP API {api_id!r} in the emulated cloud")
    return api.url


def flush_access_logs(cloud: Cloud, api_id: str) -> None:
    """Returns when the access log of an API holds every request that was answered. KeyError as `base_url`."""
    base_url(cloud, api_id)
    api = gateways(cloud).get(api_id)
    if api is not None:
        api.access_log.flush()
