from __future__ import annotations

import itertools
from dataclasses import dataclass

from infra.rehearsal.cloud.api import AwsError, Principal


@dataclass(frozen=True)
class Credentials:
    access_key_id: str
    secret_access_key: str
    session_token: str = ""


class Principals:
    def __init__(self, cloud):
        self.operator = Principal("operator", f"arn:aws:iam::{cloud.account_id}:user/operator", cloud.account_id)
        self._by_key = {"AKIAREHEARSALOPERATR": self.operator}
        self._n = itertools.count()

    def mint(self, principal):
        if principal is self.operator:
            return Credentials("AKIAREHEARSALOPERATR", "rehearsal")
        key = f"ASIA{next(self._n):016d}"
        self._by_key[key] = principal
        return Credentials(key, "x", "token")

    def of(self, key):
        if key not in self._by_key:
            raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
        return self._by_key[key]

    def assume(self, role_arn, *, service, session_name, source_arn=""):
        return Principal("role", role_arn, self.operator.account_id, role_arn)
