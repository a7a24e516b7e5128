"""The question that the door asks of every call: may this principal do this?

Everything is read from what is deployed at the moment of the call: the identity's policies and boundary, the session's
policies, the policy of the resource and that of each key that the call uses through another service.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from moto.core.utils import get_service_model

from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.iam import policy_writes, role_takers, sts
from infra.rehearsal.cloud.iam.actions import needed, prefix_of
from infra.rehearsal.cloud.iam.conditions import Keys, encryption_context, request_context
from infra.rehearsal.cloud.iam.decide import decide, denied, refusal_text
from infra.rehearsal.cloud.iam.evaluate import Decision, Question
from infra.rehearsal.cloud.iam.grants import granted
from infra.rehearsal.cloud.iam.key_uses import KeyUse, key_uses, stored_object
from infra.rehearsal.cloud.iam.keys import find_key, is_aws_managed
from infra.rehearsal.cloud.iam.need import Need
from infra.rehearsal.cloud.iam.resource_policies import SERVICES, attached_to, find_bucket
from infra.rehearsal.cloud.iam.s3_actions import bucket_arn

__all__ = ["authorise", "policy_writes", "role_takers", "sts"]
"""The last three register with the overlay when they are imported: where calls are authorised, roles are assumed by
their trust policies, services try the roles that they are given, and malformed policies are refused."""

_UNAUTHORISED_EC2 = "You are not authorized to perform this operation. "
_READING = {"GetObject", "HeadObject"}


def authorise(call: Call) -> None:
    """Raises the AwsError that AWS would answer when the call is not allowed; returns when it is."""
    if call.principal.kind == "operator" and prefix_of(call.service) not in SERVICES:
        _check_keys(call)
        return
    needs = needed(call)
    if needs and not _is_left_to_the_answer(call):
        context = request_context(call)
        for need in needs:
            _check(call, need, context)
        if call.service == "s3" and call.operation in _READING and call.principal.kind != "operator":
            _check_missing_object(call, context)
    _check_keys(call)


def _check(call: Call, need: Need, context: Keys) -> None:
    question, decision = _ask(call, call.principal, need, context)
    if not decision.allowed:
        raise _refusal(call, question, decision)


def _ask(call: Call, principal: Principal, need: Need, context: Keys) -> tuple[Question, Decision]:
    attached = attached_to(need.resource)
    if need.action.startswith("kms:"):
        context = {**context, **_key_context(need.resource)}
    question = Question(principal, need.action, need.resource, {**context, **need.context})
    decision = decide(
        call.cloud,
        question,
        resource=attached.policy,
        resource_decides=attached.decides,
        resource_account=attached.account_id,
    )
    if not decision.allowed and not decision.explicit and need.action.startswith("kms:"):
        key = find_key(principal.account_id, call.region, need.resource)
        if key is not None and granted(key, question):
            return question, replace(decision, allowed=True)
    return question, decision


def _is_left_to_the_answer(call: Call) -> bool:
    """True for a bucket or a key that is not there: AWS says so, whatever the caller may do."""
    if call.service == "s3":
        bucket = call.params.get("Bucket")
        return bool(bucket) and call.operation != "CreateBucket" and find_bucket(bucket) is None
    if call.service == "kms" and call.principal.account_id == call.cloud.account_id:
        name = call.params.get("KeyId") or ""
        return bool(name) and not is_aws_managed(name) and find_key(call.account_id, call.region, name) is None
    return False


def _check_missing_object(call: Call, context: Keys) -> None:
    """S3 tells that an object is missing only to those who may list the bucket; to others it says 403, not 404."""
    bucket = find_bucket(call.params["Bucket"])
    if bucket is None or stored_object(bucket, call.params["Key"], call.params.get("VersionId", "")) is not None:
        return
    _check(call, Need("s3:ListBucket", bucket_arn(call, call.params["Bucket"])), context)


def _check_keys(call: Call) -> None:
    for use in key_uses(call):
        _check_key(call, use)


def _check_key(call: Call, use: KeyUse) -> None:
    key = find_key(call.account_id, call.region, use.key)
    if key is None:
        if not is_aws_managed(use.key):
            raise use.words("missing", f"Key '{use.key}' does not exist")
        if use.principal.kind == "service":
            # AWS's own keys admit the account's identities only (SNS Developer Guide, "Enable compatibility between
            # event sources from AWS services and encrypted topics").
            text = f"{use.principal.arn} can't use {use.key}: the policy of an AWS managed key can't be changed"
            raise use.words("denied", text)
        return
    if key.key_state != "Enabled":
        pending = key.key_state == "PendingDeletion"
        raise use.words(
            "pending" if pending else "disabled", f"{key.arn} is {'pending deletion' if pending else 'disabled'}."
        )
    context: Keys = {
        "aws:requestedregion": (call.region,),
        "kms:calleraccount": (use.principal.account_id,),
        **({"kms:viaservice": (use.via,)} if use.via else {}),
        **({"kms:grantisforawsresource": ("true",)} if use.for_resource else {}),
        **encryption_context(use.encryption_context),
    }
    for action in use.actions:
        question, decision = _ask(call, use.principal, Need(action, key.arn), context)
        if not decision.allowed:
            raise use.words("denied", refusal_text(use.principal, question, decision))


def _key_context(resource: str) -> Keys:
    key = find_key("", "", resource) if resource.startswith("arn:") else None
    if key is None:
        return {}
    keys: Keys = {
        "kms:keyspec": (key.key_spec,),
        "kms:keyusage": (key.key_usage,),
        "kms:keyorigin": (key.origin,),
        "kms:multiregion": ("true" if key.multi_region else "false",),
    }
    if key.aliases:
        keys["kms:resourcealiases"] = tuple(key.aliases)
    return keys


def _refusal(call: Call, question: Question, decision: Decision) -> AwsError:
    """AWS's code and status: they depend on the protocol, and some services have their own."""
    if call.service == "sns":
        return denied(question, decision, "AuthorizationError", 403)
    if call.service == "ec2":
        return denied(question, decision, "UnauthorizedOperation", 403, lead=_UNAUTHORISED_EC2)
    metadata: Any = get_service_model(call.service).metadata
    if metadata["protocol"] in ("query", "rest-xml") or "awsQueryCompatible" in metadata:
        return denied(question, decision, "AccessDenied", 403)
    status = 403 if metadata["protocol"] == "rest-json" else 400
    return denied(question, decision, "AccessDeniedException", status)
