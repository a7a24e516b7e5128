"""HMAC keys: GenerateMac and VerifyMac, and what such a key refuses.

Sources: KMS API reference, GenerateMac, VerifyMac, CreateKey, EnableKeyRotation; developer guide, "HMAC keys in AWS
KMS". A key's material follows from the cloud's seed and the key's ARN, so that runs repeat; nothing ever answers it.
Wordings of the errors are AWS's where the exception's documentation has one, else unconfirmed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from moto.kms.models import Key

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam.keys import find_key, key_arn
from infra.rehearsal.cloud.overlay import before, handler

USAGE = "GENERATE_VERIFY_MAC"
_DEFAULT_USAGE = "ENCRYPT_DECRYPT"
_DIGEST = {"HMAC_224": "sha224", "HMAC_256": "sha256", "HMAC_384": "sha384", "HMAC_512": "sha512"}
"""Each key spec takes one algorithm (API reference, GenerateMac, MacAlgorithm)."""
_OTHER_OPERATIONS = ("Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext")


@handler("kms", "GenerateMac")
def generate_mac(call: Call) -> dict[str, Any]:
    key = _usable(call)
    mac = _mac(call, key)
    return {"Mac": mac, "MacAlgorithm": call.params["MacAlgorithm"], "KeyId": key.arn}


@handler("kms", "VerifyMac")
def verify_mac(call: Call) -> dict[str, Any]:
    """Answers MacValid true, or refuses: a MAC that does not match is an error (API reference)."""
    key = _usable(call)
    if not hmac.compare_digest(_mac(call, key), bytes(call.params["Mac"])):
        raise AwsError("KMSInvalidMacException", "")
    return {"KeyId": key.arn, "MacValid": True, "MacAlgorithm": call.params["MacAlgorithm"]}


def _mac(call: Call, key: Key) -> bytes:
    return hmac.digest(material(call.cloud.seed, key), bytes(call.params["Message"]), _DIGEST[key.key_spec])


def material(seed: int, key: Key) -> bytes:
    """The key's secret: as long as its spec says."""
    size = int(key.key_spec.removeprefix("HMAC_")) // 8
    return hashlib.shake_256(f"{seed}\x00{key.arn}".encode()).digest(size)


def _usable(call: Call) -> Key:
    key = find_key(call.account_id, call.region, call.params["KeyId"])
    if key is None:
        raise AwsError("NotFoundException", f"Key '{key_arn(call, call.params['KeyId'])}' does not exist")
    if key.key_state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    if not key.enabled:
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    algorithm = call.params["MacAlgorithm"]
    if key.key_usage != USAGE or algorithm != key.key_spec.replace("HMAC_", "HMAC_SHA_"):
        text = f"Algorithm {algorithm} is incompatible with key spec {key.key_spec}."
        if key.key_usage != USAGE:
            text = f"{key.arn} key usage is {key.key_usage or _DEFAULT_USAGE} which is not valid for {call.operation}."
        raise AwsError("InvalidKeyUsageException", text)
    if call.params.get("DryRun"):
        raise AwsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
    return key


@before("kms", "CreateKey")
def a_fitting_pair(call: Call) -> None:
    """An HMAC spec goes with GENERATE_VERIFY_MAC and with nothing else (API reference, CreateKey, KeyUsage)."""
    spec = call.params.get("KeySpec") or call.params.get("CustomerMasterKeySpec") or "SYMMETRIC_DEFAULT"
    usage = call.params.get("KeyUsage") or _DEFAULT_USAGE
    if (spec in _DIGEST) != (usage == USAGE):
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")


@before("kms", "EnableKeyRotation")
def no_rotation(call: Call) -> None:
    """Only symmetric encryption keys rotate by themselves; AWS refuses others (API reference, EnableKeyRotation)."""
    key = find_key(call.account_id, call.region, call.params["KeyId"])
    if key is not None and key.key_spec != "SYMMETRIC_DEFAULT":
        raise AwsError("UnsupportedOperationException", "")


def _no_encryption(call: Call) -> None:
    key = find_key(call.account_id, call.region, call.params["KeyId"])
    if key is not None and key.key_usage == USAGE:
        raise AwsError(
            "InvalidKeyUsageException", f"{key.arn} key usage is {USAGE} which is not valid for {call.operation}."
        )


for _operation in _OTHER_OPERATIONS:
    before("kms", _operation)(_no_encryption)
