"""Roles and policies: internal/service/iam/role.go, policy.go, role_policy.go, role_policy_attachment.go."""

from __future__ import annotations

import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import normalised_policy, same_policy
from infra.rehearsal.provider.row import Row, between, matches, step, valid_json
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call, To

_GONE = ("NoSuchEntity",)


def _policy_text(document: Any) -> str:
    """IAM answers documents URL-encoded; botocore decodes them to objects."""
    if isinstance(document, str):
        return urllib.parse.unquote(document)
    return json.dumps(document, separators=(",", ":"))


def _propagating(error: ApiError) -> bool:
    return error.is_code("MalformedPolicyDocument") and error.says("Invalid principal in policy")


# -- aws:iam/role:Role -------------------------------------------------------------------------------------

_CREATE_ROLE = Call(
    "iam",
    "CreateRole",
    rules={"name": "RoleName", "assumeRolePolicy": To("AssumeRolePolicyDocument", via=normalised_policy)},
    only=frozenset({"assumeRolePolicy", "description", "maxSessionDuration", "name", "path", "permissionsBoundary"}),
)


def _create_role(op: Operation) -> None:
    name = op.name_from()
    answer = op.retry(
        lambda: op.send(_CREATE_ROLE, RoleName=name, **optional("Tags", tag_list(op.wanted_tags()))),
        _propagating,
        "2 min",
    )
    try:
        for policy in op.inputs.get("inlinePolicies") or []:
            _put_inline(op, name, policy)
    except ApiError:
        op.call("iam", "DeleteRole", RoleName=name)
        raise
    # The id is recorded only after these: a failed attachment leaves a role that no state knows.
    for arn in op.inputs.get("managedPolicyArns") or []:
        op.call("iam", "AttachRolePolicy", RoleName=name, PolicyArn=arn)
    op.created(answer["Role"]["RoleName"])


def _put_inline(op: Operation, role: str, policy: Mapping[str, Any]) -> None:
    if policy.get("policy") and policy.get("name"):
        op.call("iam", "PutRolePolicy", RoleName=role, PolicyName=policy["name"], PolicyDocument=policy["policy"])


def _read_role(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("iam", "GetRole", RoleName=op.id), *_GONE)
    if answer is None:
        return None
    role = answer["Role"]
    attached = op.call("iam", "ListAttachedRolePolicies", RoleName=op.id)["AttachedPolicies"]
    inline = []
    for name in op.call("iam", "ListRolePolicies", RoleName=op.id)["PolicyNames"]:
        found = op.call("iam", "GetRolePolicy", RoleName=op.id, PolicyName=name)
        inline.append({"name": name, "policy": _policy_text(found["PolicyDocument"])})
    boundary = role.get("PermissionsBoundary") or {}
    return op.shown_tags(tag_map(role.get("Tags"))) | {
        "arn": role["Arn"],
        "assumeRolePolicy": normalised_policy(_policy_text(role["AssumeRolePolicyDocument"])),
        "createDate": role["CreateDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "description": role.get("Description") or "",
        "inlinePolicies": inline,
        "managedPolicyArns": sorted(one["PolicyArn"] for one in attached),
        "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
        "name": role["RoleName"],
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "path": role.get("Path") or "/",
        "permissionsBoundary": boundary.get("PermissionsBoundaryArn") or "",
        "uniqueId": role["RoleId"],
    }


def _update_trust(op: Operation) -> None:
    op.retry(
        lambda: op.call("iam", "UpdateAssumeRolePolicy", RoleName=op.id, PolicyDocument=op.inputs["assumeRolePolicy"]),
        _propagating,
        "2 min",
    )


def _update_boundary(op: Operation) -> None:
    boundary = op.inputs.get("permissionsBoundary")
    if boundary:
        op.call("iam", "PutRolePermissionsBoundary", RoleName=op.id, PermissionsBoundary=boundary)
    else:
        op.call("iam", "DeleteRolePermissionsBoundary", RoleName=op.id)


def _update_inline(op: Operation) -> None:
    """What changed or went is deleted first, then put: for a moment the role is without it."""
    old = {one["name"]: one.get("policy") for one in op.state.get("inlinePolicies") or [] if one.get("name")}
    new = {one["name"]: one for one in op.inputs.get("inlinePolicies") or [] if one.get("name")}
    for name, text in old.items():
        if name not in new or not same_policy(text, new[name].get("policy")):
            op.gone(lambda name=name: op.call("iam", "DeleteRolePolicy", RoleName=op.id, PolicyName=name), *_GONE)
    for name, policy in new.items():
        if name not in old or not same_policy(old[name], policy.get("policy")):
            _put_inline(op, op.id, policy)


def _update_attached(op: Operation) -> None:
    old, new = set(op.state.get("managedPolicyArns") or []), set(op.inputs.get("managedPolicyArns") or [])
    for arn in sorted(old - new):
        op.gone(lambda arn=arn: op.call("iam", "DetachRolePolicy", RoleName=op.id, PolicyArn=arn), *_GONE)
    for arn in sorted(new - old):
        op.call("iam", "AttachRolePolicy", RoleName=op.id, PolicyArn=arn)


def _delete_role(op: Operation) -> None:
    profiles = op.found(lambda: op.call("iam", "ListInstanceProfilesForRole", RoleName=op.id), *_GONE)
    if profiles is None:
        return
    for profile in profiles["InstanceProfiles"]:
        op.call(
            "iam",
            "RemoveRoleFromInstanceProfile",
            InstanceProfileName=profile["InstanceProfileName"],
            RoleName=op.id,
        )
    forced = bool(op.state.get("forceDetachPolicies"))
    if forced:
        for one in op.call("iam", "ListAttachedRolePolicies", RoleName=op.id)["AttachedPolicies"]:
            op.call("iam", "DetachRolePolicy", RoleName=op.id, PolicyArn=one["PolicyArn"])
        for name in op.call("iam", "ListRolePolicies", RoleName=op.id)["PolicyNames"]:
            op.call("iam", "DeleteRolePolicy", RoleName=op.id, PolicyName=name)
    op.retry(
        lambda: op.gone(lambda: op.call("iam", "DeleteRole", RoleName=op.id), *_GONE),
        lambda error: error.is_code("DeleteConflict"),
        "2 min",
    )


ROLE = Row(
    type="aws:iam/role:Role",
    source="iam/role.go",
    label="IAM Role",
    create=_create_role,
    read=_read_role,
    delete=_delete_role,
    calls=(_CREATE_ROLE,),
    steps=(
        step(_update_trust, "assumeRolePolicy"),
        step(
            lambda op: op.call(
                "iam", "UpdateRoleDescription", RoleName=op.id, Description=op.inputs.get("description") or ""
            ),
            "description",
        ),
        step(
            lambda op: op.call("iam", "UpdateRole", RoleName=op.id, MaxSessionDuration=op.inputs["maxSessionDuration"]),
            "maxSessionDuration",
        ),
        step(_update_boundary, "permissionsBoundary"),
        step(_update_inline, "inlinePolicies"),
        step(_update_attached, "managedPolicyArns"),
    ),
    name=AutoName(max_length=64),
    force_new=frozenset({"name", "namePrefix", "path"}),
    # Unset they only mirror; set, the role owns the whole list and fights RolePolicy and RolePolicyAttachment.
    computed=frozenset({"inlinePolicies", "managedPolicyArns", "name", "namePrefix"}),
    defaults={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
    sets=frozenset({"inlinePolicies", "managedPolicyArns"}),
    equal={"assumeRolePolicy": same_policy, "inlinePolicies.policy": same_policy},
    state_only=frozenset({"forceDetachPolicies"}),
    never_sent=frozenset({"namePrefix"}),
    rules=(
        valid_json("assumeRolePolicy", "inlinePolicies.policy"),
        between("maxSessionDuration", 3600, 43200),
        matches("name", r"[\w+=,.@-]{1,64}", "name takes 1 to 64 of letters, digits and +=,.@-_"),
        matches("namePrefix", r"[\w+=,.@-]{1,38}", "namePrefix takes 1 to 38 of letters, digits and +=,.@-_"),
        matches(
            "description", r"[^\u201c\u201d\u2018\u2019]{0,1000}", "description takes 1,000 characters, no curly quotes"
        ),
        matches("permissionsBoundary", r"arn:.*", "permissionsBoundary must be an ARN"),
    ),
    tagging=listed_tagging("iam", "TagRole", "UntagRole", "RoleName"),
)

# -- aws:iam/policy:Policy ----------------------------------------------------------------------------------

_MAX_VERSIONS = 5
_CREATE_POLICY = Call(
    "iam",
    "CreatePolicy",
    rules={"name": "PolicyName", "policy": To("PolicyDocument", via=normalised_policy)},
    only=frozenset({"description", "name", "path", "policy"}),
)


def _create_policy(op: Operation) -> None:
    answer = op.send(_CREATE_POLICY, PolicyName=op.name_from(), **optional("Tags", tag_list(op.wanted_tags())))
    op.created(answer["Policy"]["Arn"])


def _read_policy(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("iam", "GetPolicy", PolicyArn=op.id), *_GONE)
    if answer is None:
        return None
    policy = answer["Policy"]
    version = op.call("iam", "GetPolicyVersion", PolicyArn=op.id, VersionId=policy["DefaultVersionId"])
    return op.shown_tags(tag_map(policy.get("Tags"))) | {
        "arn": policy["Arn"],
        "attachmentCount": policy.get("AttachmentCount", 0),
        "description": policy.get("Description") or "",
        "name": policy["PolicyName"],
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "path": policy["Path"],
        "policy": normalised_policy(_policy_text(version["PolicyVersion"]["Document"])),
        "policyId": policy["PolicyId"],
    }


def _update_policy(op: Operation) -> None:
    """Makes room, adds a version that is not the default, waits five seconds (here: shorter), makes it the default."""
    versions = op.call("iam", "ListPolicyVersions", PolicyArn=op.id)["Versions"]
    if len(versions) >= _MAX_VERSIONS:
        oldest = min(
            (one for one in versions if not one["IsDefaultVersion"]), key=lambda one: int(one["VersionId"][1:])
        )
        op.call("iam", "DeletePolicyVersion", PolicyArn=op.id, VersionId=oldest["VersionId"])
    created = op.call(
        "iam",
        "CreatePolicyVersion",
        PolicyArn=op.id,
        PolicyDocument=op.inputs["policy"],
        SetAsDefault=False,
    )
    time.sleep(op.timing.settle_seconds)
    op.call(
        "iam",
        "SetDefaultPolicyVersion",
        PolicyArn=op.id,
        VersionId=created["PolicyVersion"]["VersionId"],
    )


def _delete_policy(op: Operation) -> None:
    versions = op.found(lambda: op.call("iam", "ListPolicyVersions", PolicyArn=op.id), *_GONE)
    if versions is None:
        return
    for one in versions["Versions"]:
        if not one["IsDefaultVersion"]:
            op.call("iam", "DeletePolicyVersion", PolicyArn=op.id, VersionId=one["VersionId"])
    # A policy that is still attached fails at once: no retry.
    op.gone(lambda: op.call("iam", "DeletePolicy", PolicyArn=op.id), *_GONE)


POLICY = Row(
    type="aws:iam/policy:Policy",
    source="iam/policy.go",
    label="IAM Policy",
    create=_create_policy,
    read=_read_policy,
    delete=_delete_policy,
    calls=(_CREATE_POLICY,),
    steps=(step(_update_policy, "policy"),),
    name=AutoName(max_length=128),
    force_new=frozenset({"description", "name", "namePrefix", "path"}),
    computed=frozenset({"name", "namePrefix"}),
    defaults={"path": "/"},
    equal={"policy": same_policy},
    state_only=frozenset({"delayAfterPolicyCreationInMs"}),
    never_sent=frozenset({"namePrefix"}),
    rules=(
        valid_json("policy"),
        matches("name", r"[\w+=,.@-]{1,128}", "name takes 1 to 128 of letters, digits and +=,.@-_"),
        matches("namePrefix", r"[\w+=,.@-]{1,102}", "namePrefix takes 1 to 102 of letters, digits and +=,.@-_"),
    ),
    tagging=listed_tagging("iam", "TagPolicy", "UntagPolicy", "PolicyArn", by_arn),
)

# -- aws:iam/rolePolicy:RolePolicy --------------------------------------------------------------------------

_PUT_ROLE_POLICY = Call(
    "iam",
    "PutRolePolicy",
    rules={
        "name": "PolicyName",
        "role": "RoleName",
        "policy": To("PolicyDocument", via=normalised_policy),
    },
    only=frozenset({"name", "policy", "role"}),
)


def _create_role_policy(op: Operation) -> None:
    name = op.name_from()
    op.send(_PUT_ROLE_POLICY, PolicyName=name)
    op.created(f"{op.inputs['role']}:{name}")


def _read_role_policy(op: Operation) -> Mapping[str, Any] | None:
    role, _, name = op.id.partition(":")
    found = op.found(lambda: op.call("iam", "GetRolePolicy", RoleName=role, PolicyName=name), *_GONE)
    if found is None:
        return None
    return {
        "name": name,
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "policy": normalised_policy(_policy_text(found["PolicyDocument"])),
        "role": role,
    }


def _delete_role_policy(op: Operation) -> None:
    role, _, name = op.id.partition(":")
    op.gone(lambda: op.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=name), *_GONE)


ROLE_POLICY = Row(
    type="aws:iam/rolePolicy:RolePolicy",
    source="iam/role_policy.go",
    label="IAM Role Policy",
    create=_create_role_policy,
    read=_read_role_policy,
    delete=_delete_role_policy,
    calls=(_PUT_ROLE_POLICY,),
    steps=(step(lambda op: op.send(_PUT_ROLE_POLICY), "policy"),),
    name=AutoName(max_length=128),
    force_new=frozenset({"role", "name", "namePrefix"}),
    computed=frozenset({"name", "namePrefix"}),
    equal={"policy": same_policy},
    never_sent=frozenset({"namePrefix"}),
    rules=(
        valid_json("policy"),
        matches("name", r"[\w+=,.@-]{1,128}", "name takes 1 to 128 of letters, digits and +=,.@-_"),
    ),
)

# -- aws:iam/rolePolicyAttachment:RolePolicyAttachment ------------------------------------------------------

_ATTACH = Call("iam", "AttachRolePolicy", rules={"role": "RoleName"}, only=frozenset({"policyArn", "role"}))


def _create_attachment(op: Operation) -> None:
    op.retry(lambda: op.send(_ATTACH), lambda error: error.is_code("ConcurrentModification"), "2 min")
    op.created(f"{op.inputs['role']}/{op.inputs['policyArn']}")


def _read_attachment(op: Operation) -> Mapping[str, Any] | None:
    role, _, arn = op.id.partition("/")
    answer = op.found(lambda: op.call("iam", "ListAttachedRolePolicies", RoleName=role), *_GONE)
    attached = {one["PolicyArn"] for one in (answer or {}).get("AttachedPolicies", [])}
    return {"role": role, "policyArn": arn} if arn in attached else None


def _delete_attachment(op: Operation) -> None:
    role, _, arn = op.id.partition("/")
    op.gone(lambda: op.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn), *_GONE)


ROLE_POLICY_ATTACHMENT = Row(
    type="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    source="iam/role_policy_attachment.go",
    label="IAM Role Policy Attachment",
    create=_create_attachment,
    read=_read_attachment,
    delete=_delete_attachment,
    calls=(_ATTACH,),
    force_new=frozenset({"policyArn", "role"}),
)

ROWS = (ROLE, POLICY, ROLE_POLICY, ROLE_POLICY_ATTACHMENT)
