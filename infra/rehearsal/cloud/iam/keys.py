"""KMS keys as other services name them: by id, ARN, alias or alias ARN."""

from __future__ import annotations

from moto.kms.models import Key, kms_backends

from infra.rehearsal.cloud.api import Call
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.need import arn

KEY_ID_LENGTH = 36


def find_key(account_id: str, region: str, name: str) -> Key | None:
    """The key that `name` stands for; an ARN carries its own account and region. None when there is none.

    AWS's own keys (alias/aws/...) are none either: nobody writes their policies.
    """
    parts = arns.split(name)
    if parts is not None:
        account_id, region, name = parts.account_id, parts.region, parts.resource.removeprefix("key/")
    try:
        keys = kms_backends[account_id][region].keys
    except KeyError:  # no such region
        return None
    if name.startswith("alias/"):
        return next((key for key in keys.values() if name in key.aliases), None)
    return keys.get(name)


def key_arn(call: Call, name: str) -> str:
    """The key's ARN, also when the key is missing: then as it would be."""
    key = find_key(call.account_id, call.region, name)
    if key is not None:
        return key.arn
    if name.startswith("arn:"):
        return name
    return arn(call, "kms", name if name.startswith("alias/") else f"key/{name}")


def key_of_ciphertext(blob: bytes) -> str:
    """The id of the key that a ciphertext was made with. The emulated KMS puts it in front."""
    return bytes(blob)[:KEY_ID_LENGTH].decode("ascii", "replace")


def is_aws_managed(name: str) -> bool:
    """True for a key of AWS's own, such as alias/aws/s3."""
    return name.rpartition(":")[2].startswith("alias/aws/")
