"""Keys and aliases: internal/service/kms/key.go, alias.go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_policy
from infra.rehearsal.provider.row import Inputs, Problem, Row, between, matches, step, valid_json
from infra.rehearsal.provider.tags import listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

_GONE = ("NotFoundException",)

# -- aws:kms/key:Key ----------------------------------------------------------------------------------------

_RULES = {
    "customerMasterKeySpec": "KeySpec",
    "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
}
_CREATE_KEY = Call(
    "kms",
    "CreateKey",
    rules=_RULES,
    only=frozenset(
        {"bypassPolicyLockoutSafetyCheck", "customerMasterKeySpec", "description", "keyUsage", "multiRegion", "policy"}
    ),
)


def _create_key(op: Operation) -> None:
    answer = op.retry(
        lambda: op.send(_CREATE_KEY, **optional("Tags", tag_list(op.wanted_tags(), "TagKey", "TagValue"))),
        lambda error: error.is_code("MalformedPolicyDocumentException"),
        "2 min",
    )
    op.created(answer["KeyMetadata"]["KeyId"])
    if op.inputs.get("enableKeyRotation"):
        _set_rotation(op)
    if op.inputs.get("isEnabled") is False:
        op.call("kms", "DisableKey", KeyId=op.id)
    if op.inputs.get("policy"):
        _wait_policy(op)


def _wait_policy(op: Operation) -> None:
    """The provider goes on only when the policy reads back equal (five times running on AWS, ten minutes at most)."""
    op.wait(
        lambda: "equal" if same_policy(_key_policy(op), op.inputs["policy"]) else "propagating",
        pending={"propagating"},
        target={"equal"},
        timeout_seconds=600,
        what=f"KMS Key ({op.id}) policy propagation",
    )


def _key_policy(op: Operation) -> str:
    return op.call("kms", "GetKeyPolicy", KeyId=op.id, PolicyName="default")["Policy"]


def _set_rotation(op: Operation) -> None:
    if not op.inputs.get("enableKeyRotation"):
        op.call("kms", "DisableKeyRotation", KeyId=op.id)
        return
    op.retry(
        lambda: op.call(
            "kms",
            "EnableKeyRotation",
            KeyId=op.id,
            **optional("RotationPeriodInDays", op.inputs.get("rotationPeriodInDays")),
        ),
        lambda error: error.is_code("NotFoundException", "DisabledException"),
        "10 min",
    )


def _read_key(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("kms", "DescribeKey", KeyId=op.id), *_GONE)
    # A key that waits for its deletion counts as gone: the next up makes a new one in its place.
    if answer is None or answer["KeyMetadata"]["KeyState"] == "PendingDeletion":
        return None
    key = answer["KeyMetadata"]
    rotation = op.call("kms", "GetKeyRotationStatus", KeyId=op.id)
    tags = op.call("kms", "ListResourceTags", KeyId=op.id).get("Tags")
    return op.shown_tags(tag_map(tags, "TagKey", "TagValue")) | {
        "arn": key["Arn"],
        "customKeyStoreId": key.get("CustomKeyStoreId") or "",
        "customerMasterKeySpec": key.get("KeySpec") or key.get("CustomerMasterKeySpec"),
        "description": key.get("Description") or "",
        "enableKeyRotation": bool(rotation.get("KeyRotationEnabled")),
        "isEnabled": bool(key.get("Enabled")),
        "keyId": key["KeyId"],
        "keyUsage": key.get("KeyUsage"),
        "multiRegion": bool(key.get("MultiRegion")),
        "policy": _key_policy(op),
        "rotationPeriodInDays": rotation.get("RotationPeriodInDays"),
        "xksKeyId": "",
    }


def _enable(op: Operation) -> None:
    if op.inputs.get("isEnabled"):
        op.call("kms", "EnableKey", KeyId=op.id)


def _disable(op: Operation) -> None:
    if op.inputs.get("isEnabled") is False:
        op.call("kms", "DisableKey", KeyId=op.id)


def _put_policy(op: Operation) -> None:
    op.retry(
        lambda: op.call(
            "kms",
            "PutKeyPolicy",
            KeyId=op.id,
            PolicyName="default",
            Policy=op.inputs["policy"],
            BypassPolicyLockoutSafetyCheck=bool(op.inputs.get("bypassPolicyLockoutSafetyCheck")),
        ),
        lambda error: error.is_code("MalformedPolicyDocumentException"),
        "2 min",
    )
    _wait_policy(op)


def _delete_key(op: Operation) -> None:
    """Nothing asks who uses the key; the window is the one in the state."""
    days = op.state.get("deletionWindowInDays")
    try:
        op.call("kms", "ScheduleKeyDeletion", KeyId=op.id, **optional("PendingWindowInDays", days))
    except ApiError as error:
        if error.is_code(*_GONE) or (error.is_code("KMSInvalidStateException") and error.says("is pending deletion")):
            return
        raise
    op.wait(
        lambda: op.call("kms", "DescribeKey", KeyId=op.id)["KeyMetadata"]["KeyState"],
        pending={"Enabled", "Disabled"},
        target={"PendingDeletion"},
        timeout_seconds=1200,
        what=f"KMS Key ({op.id}) delete",
    )


def _key_rules(inputs: Inputs) -> Iterable[Problem]:
    if inputs.get("rotationPeriodInDays") is not None and not inputs.get("enableKeyRotation"):
        yield "rotationPeriodInDays", "rotationPeriodInDays needs enableKeyRotation"


KEY = Row(
    type="aws:kms/key:Key",
    source="kms/key.go",
    label="KMS Key",
    create=_create_key,
    read=_read_key,
    delete=_delete_key,
    calls=(_CREATE_KEY,),
    # Enable first, disable last: a disabled key takes no other change.
    steps=(
        step(_enable, "isEnabled"),
        step(_set_rotation, "enableKeyRotation", "rotationPeriodInDays"),
        step(
            lambda op: op.call(
                "kms", "UpdateKeyDescription", KeyId=op.id, Description=op.inputs.get("description") or ""
            ),
            "description",
        ),
        step(_put_policy, "policy"),
        step(_disable, "isEnabled"),
    ),
    force_new=frozenset({"customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"}),
    computed=frozenset({"description", "multiRegion", "policy", "rotationPeriodInDays"}),
    defaults={
        "bypassPolicyLockoutSafetyCheck": False,
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "enableKeyRotation": False,
        "isEnabled": True,
        "keyUsage": "ENCRYPT_DECRYPT",
    },
    equal={"policy": same_policy},
    state_only=frozenset({"bypassPolicyLockoutSafetyCheck", "deletionWindowInDays"}),
    rules=(
        valid_json("policy"),
        between("deletionWindowInDays", 7, 30),
        between("rotationPeriodInDays", 90, 2560),
        _key_rules,
    ),
    tagging=listed_tagging("kms", "TagResource", "UntagResource", "KeyId", key="TagKey", value="TagValue"),
)

# -- aws:kms/alias:Alias ------------------------------------------------------------------------------------

_CREATE_ALIAS = Call("kms", "CreateAlias", rules={"name": "AliasName"}, only=frozenset({"name", "targetKeyId"}))


def _key_id(value: str) -> str:
    return value.rpartition("/")[2]


def _create_alias(op: Operation) -> None:
    name = op.inputs.get("name") or op.name_from()
    op.retry(lambda: op.send(_CREATE_ALIAS, AliasName=name), lambda error: error.is_code(*_GONE), "10 min")
    op.created(name)


def _read_alias(op: Operation) -> Mapping[str, Any] | None:
    pages = op.call("kms", "ListAliases", Limit=100)
    aliases = list(pages["Aliases"])
    while pages.get("Truncated"):
        pages = op.call("kms", "ListAliases", Limit=100, Marker=pages["NextMarker"])
        aliases += pages["Aliases"]
    alias = next((one for one in aliases if one["AliasName"] == op.id and one.get("TargetKeyId")), None)
    if alias is None:
        return None
    key_arn = alias["AliasArn"].replace(op.id, f"key/{alias['TargetKeyId']}")
    return {
        "arn": alias["AliasArn"],
        "name": alias["AliasName"],
        "namePrefix": op.inputs.get("namePrefix") or op.state.get("namePrefix") or "",
        "targetKeyArn": key_arn,
        "targetKeyId": alias["TargetKeyId"],
    }


def _retarget(op: Operation) -> None:
    op.call("kms", "UpdateAlias", AliasName=op.id, TargetKeyId=op.inputs["targetKeyId"])


def _delete_alias(op: Operation) -> None:
    op.gone(lambda: op.call("kms", "DeleteAlias", AliasName=op.id), *_GONE)


ALIAS = Row(
    type="aws:kms/alias:Alias",
    source="kms/alias.go",
    label="KMS Alias",
    create=_create_alias,
    read=_read_alias,
    delete=_delete_alias,
    calls=(_CREATE_ALIAS,),
    steps=(step(_retarget, "targetKeyId"),),
    name=AutoName(transform=lambda name: name if name.startswith("alias/") else f"alias/{name}"),
    force_new=frozenset({"name", "namePrefix"}),
    computed=frozenset({"name", "namePrefix"}),
    # A key's id and its ARN are the same key.
    equal={"targetKeyId": lambda old, new: _key_id(old) == _key_id(new)},
    never_sent=frozenset({"namePrefix"}),
    recomputed={"targetKeyArn": frozenset({"targetKeyId"})},
    rules=(
        matches("name", r"alias/(?!aws/)[a-zA-Z0-9/_-]+", "name must begin with alias/, not alias/aws/"),
        matches("namePrefix", r"alias/(?!aws/)[a-zA-Z0-9/_-]+", "namePrefix must begin with alias/, not alias/aws/"),
    ),
)

ROWS = (KEY, ALIAS)
