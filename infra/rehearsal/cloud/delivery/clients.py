"""The delivering process's clients: short-lived credentials of the stream's roles, against the one door."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.config import Config
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
    session: Any
    expires: float
    clients: dict[tuple[str, str], Any]


class Clients:
    """Clients by role, service and region; made anew when the role's credentials are about to expire.

    credentials: gives a role's keys (access_key_id, secret_access_key, session_token, expires) or raises RoleRefused.
    """

    def __init__(self, url: str, credentials: Callable[[str], Mapping[str, Any]], now: Callable[[], datetime]):
        self._url = url
        self._credentials = credentials
        self._now = now
        self._sessions: dict[str, _Session] = {}
        self._loader = Loader()

    def client(self, role: str, service: str, region: str) -> Any:
        held = self._sessions.get(role)
        if held is None or self._now().timestamp() > held.expires - RENEW_BEFORE_SECONDS:
            keys = self._credentials(role)
            session = Session()
            session.register_component("data_loader", self._loader)
            session.set_credentials(keys["access_key_id"], keys["secret_access_key"], keys["session_token"])
            held = self._sessions[role] = _Session(session, keys["expires"], {})
        found = held.clients.get((service, region))
        if found is None:
            found = held.clients[service, region] = held.session.create_client(
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
        return found


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
