"""The delivering process's clients: short-lived credentials of the stream's roles, against the one door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.session import Session

from infra.rehearsal.cloud.delivery.settings import Conversion

RENEW_BEFORE_SECONDS = 60
INVOKE_SECONDS = 310
"""Firehose waits five minutes for its function (guide, "Data transformation")."""


class RoleRefused(Exception):
    """Firehose cannot take a role: it is gone, or its trust policy says no."""


class NoSchema(Exception):
    """The table cannot be had now. The records wait; whether AWS sends them to the error prefix is unconfirmed."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class _Session:
    session: Session
    credentials: Credentials
    """Signers hold this very object: new keys are put into it."""
    expires: float = 0.0
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)


class Clients:
    """Clients by role, service and region. A role's keys are renewed when they are about to expire, and when they are
    refused as expired: the cloud's clock can leap before this process is told, and on AWS no session that a service
    holds under a role expires for its own calls.

    credentials: gives a role's keys (access_key_id, secret_access_key, session_token, expires) or raises RoleRefused,
    which a call by a client raises too when it finds its keys expired.
    """

    def __init__(self, url: str, credentials: Callable[[str], Mapping[str, Any]], now: Callable[[], datetime]):
        self._url = url
        self._credentials = credentials
        self._now = now
        self._sessions: dict[str, _Session] = {}
        self._loader = Loader()

    def client(self, role: str, service: str, region: str) -> Any:
        held = self._sessions.get(role) or self._begin()
        if self._now().timestamp() > held.expires - RENEW_BEFORE_SECONDS:
            self._renew(role, held)
            self._sessions[role] = held
        found = held.clients.get((service, region))
        if found is None:
            found = held.clients[service, region] = self._make(role, held, service, region)
        return found

    def _begin(self) -> _Session:
        session = Session()
        session.register_component("data_loader", self._loader)
        session.set_credentials("", "")
        return _Session(session, session.get_credentials())

    def _renew(self, role: str, held: _Session) -> None:
        keys, own = self._credentials(role), held.credentials
        own.access_key, own.secret_key, own.token = (
            keys[name] for name in ("access_key_id", "secret_access_key", "session_token")
        )
        held.expires = keys["expires"]

    def _make(self, role: str, held: _Session, service: str, region: str) -> Any:
        client = held.session.create_client(
            service,
            region_name=region,
            endpoint_url=self._url,
            config=Config(
                # Firehose repeats by rules of its own.
                retries={"total_max_attempts": 1},
                read_timeout=INVOKE_SECONDS,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

        def renewed(response: Any, attempts: int, **_: Any) -> float | None:
            """Seconds until the request is signed and sent again; None: it is not."""
            code = response[1].get("Error", {}).get("Code", "") if response else ""
            if attempts > 1 or not code.startswith("ExpiredToken"):
                return None
            self._renew(role, held)
            return 0.0

        client.meta.events.register("needs-retry", renewed)
        return client


def table_columns(conversion: Conversion, glue: Any) -> list[dict[str, Any]]:
    """The table's columns as they are now. Raises NoSchema.

    The guide's policy for the role lists glue:GetTable, GetTableVersion and GetTableVersions; the newest version comes
    by GetTableVersions here, a numbered one by GetTableVersion. Which of them AWS calls when is unconfirmed.
    """
    table = {"DatabaseName": conversion.database, "TableName": conversion.table}
    if conversion.catalog:
        table["CatalogId"] = conversion.catalog
    try:
        if conversion.version != "LATEST":
            found = glue.get_table_version(**table, VersionId=conversion.version)["TableVersion"]
        else:
            versions = glue.get_table_versions(**table)["TableVersions"]
            found = max(versions, key=lambda one: int(one["VersionId"]))
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        raise NoSchema(f"DataFormatConversion.{code}", message) from error
    return found["Table"].get("StorageDescriptor", {}).get("Columns", [])
