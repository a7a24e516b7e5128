"""STS behind the door: roles are assumed by their trust policies, and the keys that come out open it."""

from __future__ import annotations

from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam.conditions import user_id
from infra.rehearsal.cloud.iam.trust import DEFAULT_SECONDS, AssumeRequest, assume_role
from infra.rehearsal.cloud.overlay import handler

SESSION_TOKEN_SECONDS = 43_200
"""GetSessionToken's default: twelve hours."""


@handler("sts", "AssumeRole")
def assume(call: Call) -> dict[str, Any]:
    """Keys of the role's session. The caller's own permission and the trust policy are evaluated together here."""
    params = call.params
    request = AssumeRequest(
        role_arn=params["RoleArn"],
        session_name=params["RoleSessionName"],
        external_id=params.get("ExternalId", ""),
        source_identity=params.get("SourceIdentity", ""),
        tags={tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()},
        policy=params.get("Policy", ""),
        policy_arns=tuple(entry["arn"] for entry in params.get("PolicyArns") or ()),
        duration_seconds=params.get("DurationSeconds", DEFAULT_SECONDS),
    )
    session = assume_role(call.cloud, call.principal, request)
    return {
        "Credentials": _credentials(call, session, request.duration_seconds),
        "AssumedRoleUser": {"AssumedRoleId": user_id(session), "Arn": session.arn},
        **({"SourceIdentity": request.source_identity} if request.source_identity else {}),
    }


@handler("sts", "GetCallerIdentity")
def caller_identity(call: Call) -> dict[str, Any]:
    """Who the keys belong to. No policy can refuse it."""
    return {"UserId": user_id(call.principal), "Account": call.principal.account_id, "Arn": call.principal.arn}


@handler("sts", "GetSessionToken")
def session_token(call: Call) -> dict[str, Any]:
    """Keys with an end, of the same principal."""
    if call.principal.kind == "role":
        raise AwsError("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
    seconds = call.params.get("DurationSeconds", SESSION_TOKEN_SECONDS)
    return {"Credentials": _credentials(call, call.principal, seconds)}


@handler("sts", "GetFederationToken")
def federation_token(call: Call) -> dict[str, Any]:
    """Not carried: a federated user's keys would have to be evaluated as such."""
    raise AwsError("NotCarried", "The emulated cloud does not carry sts.GetFederationToken: use sts.AssumeRole.", 501)


def _credentials(call: Call, principal: Any, seconds: int) -> dict[str, Any]:
    made = call.cloud.principals.mint(principal, duration_seconds=seconds)
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
        "Expiration": made.expiration,
    }
