"""The account that a configured provider speaks to: clients, identity, default tags."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel, Shape

from infra.rehearsal.provider.errors import ApiError, ProviderError

_RETRIES = Config(retries={"mode": "standard", "total_max_attempts": 3})
"""Throttling is tried again as in the real provider, but three times, not twenty-five."""


@dataclass(frozen=True)
class ProviderSettings:
    """The arguments of `aws.Provider` that the rehearsal honours."""

    region: str = ""
    allowed_account_ids: tuple[str, ...] = ()
    forbidden_account_ids: tuple[str, ...] = ()
    default_tags: Mapping[str, str] = field(default_factory=dict)
    ignored_tag_keys: frozenset[str] = frozenset()
    ignored_tag_prefixes: tuple[str, ...] = ()


_HONOURED = frozenset({"region", "allowedAccountIds", "forbiddenAccountIds", "defaultTags", "ignoreTags"})
_WITHOUT_EFFECT = frozenset(
    {
        "maxRetries",
        "retryMode",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "s3UsePathStyle",
        "stsRegion",
        "useDualstackEndpoint",
        "useFipsEndpoint",
    }
)
"""They choose how the real provider reaches AWS; in a rehearsal nothing hangs on them."""
_ENGINE_KEYS = frozenset({"version", "pluginDownloadURL", "__internal"})


def settings_problems(arguments: Mapping[str, Any], known: frozenset[str]) -> list[tuple[str, str]]:
    """(argument, reason) for what a rehearsal's provider cannot honour."""
    problems = []
    for name, value in arguments.items():
        if value is None or name in _ENGINE_KEYS or name in _HONOURED or name in _WITHOUT_EFFECT:
            continue
        if name not in known:
            problems.append((name, f"aws.Provider has no argument {name}"))
        else:
            problems.append(
                (
                    name,
                    f"the rehearsal's provider has no rule for {name}: credentials and endpoints are the rehearsal's",
                )
            )
    return problems


def settings_from(arguments: Mapping[str, Any]) -> ProviderSettings:
    """Provider arguments arrive as strings, nested ones as JSON text."""
    values = {name: _decoded(value) for name, value in arguments.items() if name in _HONOURED}
    ignore = values.get("ignoreTags") or {}
    return ProviderSettings(
        region=values.get("region") or "",
        allowed_account_ids=tuple(values.get("allowedAccountIds") or ()),
        forbidden_account_ids=tuple(values.get("forbiddenAccountIds") or ()),
        default_tags=dict((values.get("defaultTags") or {}).get("tags") or {}),
        ignored_tag_keys=frozenset(ignore.get("keys") or ()),
        ignored_tag_prefixes=tuple(ignore.get("keyPrefixes") or ()),
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        return json.loads(value)
    return value


class Account:
    """Clients by service and region, made once. Safe for many threads."""

    def __init__(self, session_for: Callable[[], boto3.Session], settings: ProviderSettings) -> None:
        self.settings = settings
        self._session = session_for()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        region = settings.region or self._session.region_name
        if not region:
            raise ProviderError("the provider has no region: give aws.Provider(region=...), for example eu-west-1")
        self.region: str = region
        identity = self.call("sts", "GetCallerIdentity", self.region, {})
        self.account_id: str = identity["Account"]
        self.caller_arn: str = identity["Arn"]
        self.caller_id: str = identity["UserId"]
        self._refuse_other_accounts()

    @property
    def partition(self) -> str:
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def client(self, service: str, region: str = "") -> Any:
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._session.client(service, region_name=key[1], config=_RETRIES)
            return self._clients[key]

    def model(self, service: str, operation: str) -> OperationModel:
        return self.client(service).meta.service_model.operation_model(operation)

    def input_shape(self, service: str, operation: str) -> Shape | None:
        return cast("Shape | None", self.model(service, operation).input_shape)

    def call(self, service: str, operation: str, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Makes the call. ApiError with AWS's code and words when it is refused."""
        client = self.client(service, region)
        try:
            return getattr(client, xform_name(operation))(**params)
        except ClientError as error:
            details = error.response.get("Error", {})
            raise ApiError(
                service, operation, str(details.get("Code", "Unknown")), str(details.get("Message", ""))
            ) from error
        except BotoCoreError as error:
            raise ApiError(service, operation, type(error).__name__, str(error)) from error

    def _refuse_other_accounts(self) -> None:
        allowed, forbidden = self.settings.allowed_account_ids, self.settings.forbidden_account_ids
        if allowed and self.account_id not in allowed:
            raise ProviderError(
                f"AWS account ID not allowed: {self.account_id}; this provider allows {', '.join(allowed)}. "
                "Use the credentials of an allowed account, or correct account_id in the stack file"
            )
        if self.account_id in forbidden:
            raise ProviderError(f"AWS account ID not allowed: {self.account_id} is in forbiddenAccountIds")
