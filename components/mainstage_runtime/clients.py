"""AWS clients, made once a process. botocore is imported here, when the function starts, and nowhere else."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

LOG_CONNECT_SECONDS, LOG_READ_SECONDS, LOG_ATTEMPTS = 1, 2, 2
"""For what is off the reply's path: how long one attempt at it may take, and how many there are."""

HAND_OVER_READ_SECONDS = 1
"""For the record itself, which keeps its environment busy: a put takes 5 to 20 ms, and there is one attempt."""


@lru_cache(maxsize=1)
def _session() -> Any:
    import botocore.session

    return botocore.session.get_session()


def client(
    service: str,
    *,
    connect_seconds: float = LOG_CONNECT_SECONDS,
    read_seconds: float = LOG_READ_SECONDS,
    attempts: int = LOG_ATTEMPTS,
) -> Any:
    """A client of the function's region. Connections stay open between invocations."""
    from botocore.config import Config

    config = Config(
        connect_timeout=connect_seconds,
        read_timeout=read_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        parameter_validation=False,
        tcp_keepalive=True,
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return _session().create_client(service, region_name=region, config=config)
