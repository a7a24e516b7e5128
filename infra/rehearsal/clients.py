"""How a rehearsal's clients prove who they are, by what the environment's front door asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.front_door import SERVICE
from infra.rehearsal.cloud.gateway.issuers import issuers
from infra.rehearsal.played_issuer import PlayedIssuer

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud
    from infra.settings.schema import FrontDoorSettings


@dataclass(frozen=True)
class Clients:
    """The clients of one rehearsal."""

    curl_options: str
    """What curl needs to be let in, as it can be pasted."""
    predict_options: str = ""
    """What `mainstage predict` needs, with a blank before it; empty when the credentials do."""
    token: str | None = None
    """A bearer token; None where none is asked for."""
    issuer: PlayedIssuer | None = None
    """Who signed it, and can sign others."""
    unsigned_status: int = 403
    """What a request without credentials is owed."""
    refused: tuple[tuple[str, Mapping[str, str], int], ...] = ()
    """Kind, headers and status of credentials that must not be taken."""
    played: tuple[str, ...] = ()
    """What stands in for somebody else, a line for the report each."""


def clients_of(cloud: Cloud, front_door: FrontDoorSettings, *, access_key_id: str, secret_access_key: str) -> Clients:
    """Clients for the front door of these settings. Where it takes tokens, their issuer is played from now on, with a
    key of this run."""
    if front_door.auth == "none":
        return Clients("", unsigned_status=200)
    if front_door.jwt is None:
        signing = f"--aws-sigv4 aws:amz:{cloud.region}:{SERVICE} --user {access_key_id}:{secret_access_key} "
        return Clients(signing)
    issuer = PlayedIssuer(front_door.jwt.issuer, front_door.jwt.audiences)
    issuers(cloud).publish(issuer.url, issuer.key_set)
    token = issuer.token()
    return Clients(
        f"-H 'authorization: Bearer {token}' ",
        f" --token {token}",
        token,
        issuer,
        unsigned_status=401,
        refused=(
            ("wrong audience", _bearer(issuer.token(audience=f"not-{issuer.audiences[0]}")), 401),
            ("expired", _bearer(issuer.token(seconds=-60)), 401),
            ("stranger", _bearer(PlayedIssuer(issuer.url, issuer.audiences).token()), 401),
        ),
        played=(
            f"the issuer of tokens, {issuer.url}: this rehearsal signed them with a key of its own; nobody was asked",
        ),
    )


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
