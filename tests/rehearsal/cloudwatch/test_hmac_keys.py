"""HMAC keys of KMS: real MACs, under rights, and nothing but MACs."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

MESSAGE = b"mainstage-pseudonym-v1"
ALGORITHM = "HMAC_SHA_256"


@pytest.fixture
def kms(cloud):
    return cloud.client("kms")


def hmac_key(kms, **options):
    options = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC", **options}
    return kms.create_key(**options)["KeyMetadata"]["Arn"]


def mac_of(kms, key, message=MESSAGE, algorithm=ALGORITHM):
    return kms.generate_mac(KeyId=key, Message=message, MacAlgorithm=algorithm)["Mac"]


def test_a_mac_is_of_the_key_and_the_message(kms):
    key, other = hmac_key(kms), hmac_key(kms)
    mac = mac_of(kms, key)
    assert len(mac) == 32
    assert mac == mac_of(kms, key)
    assert len({mac, mac_of(kms, other), mac_of(kms, key, b"x")}) == 3


def test_it_is_an_hmac_of_the_keys_material(cloud, kms):
    from infra.rehearsal.cloud.iam.keys import find_key
    from infra.rehearsal.cloud.overlay.kms_hmac import material

    key = hmac_key(kms)
    found = find_key(cloud.account_id, cloud.region, key)
    assert found is not None
    secret = material(cloud.seed, found)
    assert len(secret) == 32
    assert mac_of(kms, key) == hmac.new(secret, MESSAGE, hashlib.sha256).digest()


@pytest.mark.parametrize(("spec", "size"), [("HMAC_224", 28), ("HMAC_384", 48), ("HMAC_512", 64)])
def test_other_lengths(kms, spec, size):
    key = hmac_key(kms, KeySpec=spec)
    assert len(mac_of(kms, key, algorithm=spec.replace("_", "_SHA_"))) == size


def test_an_alias_stands_for_the_key(kms):
    key = hmac_key(kms)
    kms.create_alias(AliasName="alias/mainstage-dev-pseudonyms", TargetKeyId=key)
    answer = kms.generate_mac(KeyId="alias/mainstage-dev-pseudonyms", Message=MESSAGE, MacAlgorithm=ALGORITHM)
    assert (answer["Mac"], answer["KeyId"]) == (mac_of(kms, key), key)


def test_verifying(kms, refused):
    key = hmac_key(kms)
    asked = {"KeyId": key, "Message": MESSAGE, "MacAlgorithm": ALGORITHM}
    mac = mac_of(kms, key)
    assert kms.verify_mac(**asked, Mac=mac)["MacValid"] is True
    assert refused(kms.verify_mac, **asked, Mac=mac[::-1])[0] == "KMSInvalidMacException"


def test_keys_that_make_no_mac(kms, refused):
    asked = {"Message": MESSAGE, "MacAlgorithm": ALGORITHM}
    symmetric = kms.create_key()["KeyMetadata"]["Arn"]
    assert refused(kms.generate_mac, KeyId=symmetric, **asked) == (
        "InvalidKeyUsageException",
        f"{symmetric} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.",
    )
    key = hmac_key(kms)
    assert refused(kms.generate_mac, KeyId=key, Message=MESSAGE, MacAlgorithm="HMAC_SHA_512") == (
        "InvalidKeyUsageException",
        "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.",
    )
    kms.disable_key(KeyId=key.rpartition("/")[2])
    assert refused(kms.generate_mac, KeyId=key, **asked)[0] == "DisabledException"
    kms.schedule_key_deletion(KeyId=key.rpartition("/")[2])
    assert refused(kms.generate_mac, KeyId=key, **asked)[0] == "KMSInvalidStateException"
    missing = key[:-1] + ("0" if key[-1] != "0" else "1")
    assert refused(kms.generate_mac, KeyId=missing, **asked)[0] == "NotFoundException"


def test_an_hmac_key_encrypts_nothing_and_never_rotates(kms, refused):
    key = hmac_key(kms)
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "InvalidKeyUsageException"
    assert refused(kms.generate_data_key, KeyId=key, KeySpec="AES_256")[0] == "InvalidKeyUsageException"
    assert refused(kms.enable_key_rotation, KeyId=key)[0] == "UnsupportedOperationException"
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


@pytest.mark.parametrize(
    "pair",
    [
        {"KeySpec": "HMAC_256"},
        {"KeyUsage": "GENERATE_VERIFY_MAC"},
        {"KeySpec": "HMAC_256", "KeyUsage": "ENCRYPT_DECRYPT"},
    ],
)
def test_pairs_that_do_not_fit(kms, refused, pair):
    assert refused(kms.create_key, **pair)[0] == "ValidationException"


def test_rights_and_the_algorithm_as_a_condition(cloud, kms, refused):
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName="front-door", AssumeRolePolicyDocument=document(trust))
    key = hmac_key(kms)

    def acting():
        return cloud.assume_role(made["Role"]["Arn"], service="lambda.amazonaws.com", session_name="run").client("kms")

    def grant(algorithm):
        condition = {"StringEquals": {"kms:MacAlgorithm": algorithm}}
        statement = {"Effect": "Allow", "Action": "kms:GenerateMac", "Resource": key, "Condition": condition}
        iam.put_role_policy(RoleName="front-door", PolicyName="own", PolicyDocument=document(statement))

    asked = {"KeyId": key, "Message": MESSAGE, "MacAlgorithm": ALGORITHM}
    code, message = refused(acting().generate_mac, **asked)
    assert code == "AccessDeniedException"
    assert message.endswith("because no identity-based policy allows the kms:GenerateMac action")
    grant("HMAC_SHA_512")
    assert refused(acting().generate_mac, **asked)[0] == "AccessDeniedException"
    grant(ALGORITHM)
    assert len(acting().generate_mac(**asked)["Mac"]) == 32
    owner = {"Effect": "Allow", "Principal": {"AWS": cloud.principals.operator.arn}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(owner))
    assert refused(acting().generate_mac, **asked)[1].endswith(
        "because no resource-based policy allows the kms:GenerateMac action"
    )


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
