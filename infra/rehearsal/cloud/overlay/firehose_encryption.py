"""Server-side encryption of a stream: started, stopped, and what a put needs of the key.

Source: API reference, StartDeliveryStreamEncryption and DeliveryStreamEncryptionConfigurationInput: with a customer's
key Firehose makes a KMS grant for itself, in the caller's name (the caller needs kms:CreateGrant: iam/key_uses.py); a
producer needs no right on the key. PutRecord answers InvalidKMSResourceException when KMS refuses Firehose. Encryption
takes effect at once; AWS takes seconds (ENABLING, DISABLING).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam.keys import find_key
from infra.rehearsal.cloud.overlay import handler
from infra.rehearsal.cloud.overlay.firehose_store import Stream, stream_named

_OPERATIONS = ["Encrypt", "Decrypt", "GenerateDataKey", "DescribeKey"]


@handler("firehose", "StartDeliveryStreamEncryption")
def start_delivery_stream_encryption(call: Call) -> dict[str, Any]:
    """Starts, or changes the key. AWS's own key when none is named."""
    asked = call.params.get("DeliveryStreamEncryptionConfigurationInput") or {"KeyType": "AWS_OWNED_CMK"}
    encrypt(call, stream_named(call), asked)
    return {}


@handler("firehose", "StopDeliveryStreamEncryption")
def stop_delivery_stream_encryption(call: Call) -> dict[str, Any]:
    stream = stream_named(call)
    _retire(call, stream)
    stream.encryption = {"Status": "DISABLED"}
    return {}


def encrypt(call: Call, stream: Stream, asked: dict[str, Any]) -> None:
    """Encrypts from now on. The grant stands in KMS, where it can be seen and revoked."""
    wanted: dict[str, Any] = {"KeyType": asked["KeyType"], "Status": "ENABLED"}
    grant_id = ""
    if asked.get("KeyARN"):
        wanted["KeyARN"] = asked["KeyARN"]
        key = find_key(call.account_id, call.region, asked["KeyARN"])
        if key is None:
            raise _refused("NotFoundException", f"Key '{asked['KeyARN']}' does not exist")
        if key.key_spec != "SYMMETRIC_DEFAULT":
            raise _refused("InvalidKeyUsageException", f"{key.arn} is no symmetric key")
        # Whether the caller may has been asked already, with kms:GrantIsForAWSResource: iam/key_uses.py.
        grant_id = key.add_grant("", "firehose.amazonaws.com", _OPERATIONS, constraints={}, retiring_principal="").id
    _retire(call, stream)
    stream.grant_id, stream.encryption = grant_id, wanted


def check_key(call: Call, stream: Stream) -> None:
    """Raises InvalidKMSResourceException when Firehose may not use the stream's key any more."""
    if not stream.grant_id:
        return
    key = find_key(call.account_id, call.region, stream.encryption["KeyARN"])
    if key is None:
        raise _refused("NotFoundException", f"Key '{stream.encryption['KeyARN']}' does not exist")
    if key.key_state != "Enabled":
        pending = key.key_state == "PendingDeletion"
        code, state = ("KMSInvalidStateException", "pending deletion") if pending else ("DisabledException", "disabled")
        raise _refused(code, f"{key.arn} is {state}.")
    if stream.grant_id not in key.grants:
        raise _refused("AccessDeniedException", f"The grant of {stream.name} on {key.arn} was revoked.")


def is_encrypted(stream: Stream) -> bool:
    return stream.encryption["Status"] == "ENABLED"


def _retire(call: Call, stream: Stream) -> None:
    if stream.grant_id:
        with suppress(ClientError):  # someone has revoked it already
            call.cloud.client("kms", call.region).revoke_grant(
                KeyId=stream.encryption["KeyARN"], GrantId=stream.grant_id
            )
        stream.grant_id = ""


def _refused(code: str, message: str) -> AwsError:
    """`code` is KMS's own; the error's shape has it as a member, and AwsError as its own name, so it is in the text."""
    return AwsError("InvalidKMSResourceException", f"{code}: {message}")
