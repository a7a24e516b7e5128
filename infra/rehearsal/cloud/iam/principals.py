"""Who may knock at the door: access keys and whose they are.

Signatures are not verified: whoever knows an access key id is its principal. So a cloud that other processes can reach
gets an operator's key of its own (`Cloud.operator_access_key_id`), which only the person who started it can read, and
its other keys come from the system's randomness.
"""

from __future__ import annotations

import hmac
import random
import secrets
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from infra.rehearsal.cloud.api import AwsError, Principal
from infra.rehearsal.cloud.iam.identities import invalid_token
from infra.rehearsal.cloud.iam.trust import AssumeRequest, assume_role

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

OPERATOR_ACCESS_KEY_ID = "AKIAREHEARSALOPERATR"
"""The operator's key of a cloud that only its own process reaches."""
OPERATOR_SECRET_ACCESS_KEY = "rehearsal"
_KEY_CHARACTERS = string.ascii_uppercase + "234567"
_TOKEN_CHARACTERS = string.ascii_letters + string.digits


def new_operator_access_key_id() -> str:
    """An operator's key that nobody can guess: AKIA and 80 random bits."""
    return "AKIA" + "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(16))


@dataclass(frozen=True)
class Credentials:
    """Keys as STS hands them out. `session_token` is empty for keys that do not expire by design."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expiration: datetime | None = None
    """UTC. None: the keys hold until the cloud is emptied."""


@dataclass
class _Minted:
    principal: Principal
    credentials: Credentials


@dataclass
class _Keys:
    by_id: dict[str, _Minted] = field(default_factory=dict)
    by_principal: dict[tuple[Any, ...], Credentials] = field(default_factory=dict)


class Principals:
    """The access keys of one cloud. Keys repeat for the same seed and the same order of calls. Thread-safe."""

    def __init__(self, cloud: Cloud):
        self._cloud = cloud
        self._lock = threading.Lock()
        self._keys = _Keys()
        self._random = self._new_random()
        self.operator = Principal(
            kind="operator",
            arn=f"arn:aws:iam::{cloud.account_id}:user/rehearsal-operator",
            account_id=cloud.account_id,
        )
        cloud.on_reset(self.reset)

    def _new_random(self) -> random.Random:
        own = self._cloud.operator_access_key_id == OPERATOR_ACCESS_KEY_ID
        return random.Random(self._cloud.seed) if own else random.SystemRandom()

    def mint(self, principal: Principal, *, duration_seconds: int | None = None) -> Credentials:
        """Keys for a principal.

        duration_seconds: when given, new keys that expire by the cloud's clock; when omitted, keys that do not expire,
        the same ones at each call for the same principal.
        """
        if principal == self.operator:
            return Credentials(self._cloud.operator_access_key_id, OPERATOR_SECRET_ACCESS_KEY)
        with self._lock:
            lasting = duration_seconds is None
            known = self._keys.by_principal.get(_identity_key(principal)) if lasting else None
            if known is not None:
                return known
            made = Credentials(
                "ASIA" + self._text(_KEY_CHARACTERS, 16),
                self._text(_TOKEN_CHARACTERS, 40),
                self._text(_TOKEN_CHARACTERS, 120),
                None if duration_seconds is None else self._cloud.clock.now() + timedelta(seconds=duration_seconds),
            )
            self._keys.by_id[made.access_key_id] = _Minted(principal, made)
            if lasting:
                self._keys.by_principal[_identity_key(principal)] = made
            return made

    def of(self, access_key_id: str) -> Principal:
        """Whose key it is. AwsError InvalidClientTokenId for an unknown one, ExpiredToken after its time."""
        if hmac.compare_digest(access_key_id, self._cloud.operator_access_key_id):
            return self.operator
        minted = self._keys.by_id.get(access_key_id)
        if minted is None:
            return _user_of(access_key_id)
        expiration = minted.credentials.expiration
        if expiration is not None and self._cloud.clock.now() >= expiration:
            raise AwsError("ExpiredToken", "The security token included in the request is expired", 403)
        return minted.principal

    def credentials_of(self, access_key_id: str) -> Credentials | None:
        """The secret and the session token that belong to a key, for whoever verifies a signature; None for an unknown
        key. Says nothing of expiry: `of` does."""
        if hmac.compare_digest(access_key_id, self._cloud.operator_access_key_id):
            return Credentials(access_key_id, OPERATOR_SECRET_ACCESS_KEY)
        minted = self._keys.by_id.get(access_key_id)
        return minted.credentials if minted is not None else _credentials_of_user(access_key_id)

    def assume(self, role_arn: str, *, service: str, session_name: str, source_arn: str = "") -> Principal:
        """A session of an AWS service under a role. AwsError AccessDenied when its trust refuses or no role is there.

        service: the service principal, such as "sagemaker.amazonaws.com". source_arn: the resource on whose behalf; its
        account, else this cloud's, is aws:SourceAccount in the trust policy's conditions.
        """
        context = {"aws:SourceAccount": self._cloud.account_id}
        if source_arn:
            context["aws:SourceArn"] = source_arn
        caller = Principal("service", service, self._cloud.account_id, context=context)
        return assume_role(self._cloud, caller, AssumeRequest(role_arn, session_name))

    def reset(self) -> None:
        """Forgets every key but the operator's and starts the sequence of keys again."""
        with self._lock:
            self._keys = _Keys()
            self._random = self._new_random()

    def _text(self, characters: str, length: int) -> str:
        return "".join(self._random.choices(characters, k=length))


def _identity_key(principal: Principal) -> tuple[Any, ...]:
    def frozen(value: Any) -> Any:
        return tuple(sorted(value.items())) if isinstance(value, Mapping) else value

    return tuple(frozen(value) for value in (type(principal), *vars(principal).values()))


def _user_of(access_key_id: str) -> Principal:
    for account_id in list(iam_backends):
        for partition in list(iam_backends[account_id]):
            user = iam_backends[account_id][partition].get_user_from_access_key_id(access_key_id)
            if user is not None:
                return Principal("user", user.arn, account_id, context={"aws:username": user.name})
    raise invalid_token()


def _credentials_of_user(access_key_id: str) -> Credentials | None:
    for account_id in list(iam_backends):
        for partition in list(iam_backends[account_id]):
            for user in list(iam_backends[account_id][partition].users.values()):
                for key in list(user.access_keys):
                    if key.access_key_id == access_key_id and key.status == "Active":
                        return Credentials(access_key_id, key.secret_access_key)
    return None
