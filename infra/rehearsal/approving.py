"""The colleague that a rehearsal plays: approves what the rehearsal pushed itself, where the environment asks for four
eyes (mainstage:approval).

An IAM user of the emulated account with an approver's rights and nothing else, so that the gate in `up` sees another
identity than the push, and the rights that an approver needs are tried. Nobody is asked: reports say so.
"""

from __future__ import annotations

import json
from dataclasses import replace

from botocore.exceptions import ClientError

from infra.registry.approval import Approved, approve
from infra.registry.registry import Registry
from infra.registry.target import Target

APPROVER = "rehearsal-approver"
NOTE = "approved by a played colleague: a rehearsal asks nobody"


def approver(target: Target) -> Target:
    """The same emulated target under the colleague's credentials. ValueError for a real one."""
    if not target.emulated:
        raise ValueError(f"{target}: approvals are played in the emulated cloud only")
    iam = target.client("iam")
    try:
        iam.create_user(UserName=APPROVER)
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityAlreadyExists":
            raise
        for key in iam.list_access_keys(UserName=APPROVER)["AccessKeyMetadata"]:  # a user has two at most
            iam.delete_access_key(UserName=APPROVER, AccessKeyId=key["AccessKeyId"])
    iam.put_user_policy(
        UserName=APPROVER, PolicyName="approve-versions", PolicyDocument=json.dumps(approver_policy(target))
    )
    key = iam.create_access_key(UserName=APPROVER)["AccessKey"]
    return replace(target, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])


def approver_policy(target: Target) -> dict[str, object]:
    """What an approver needs: reading versions, writing approvals, marking model packages."""
    registry = Registry.of(target)
    rules = target.client("s3").get_bucket_encryption(Bucket=registry.bucket)["ServerSideEncryptionConfiguration"]
    key_arn = rules["Rules"][0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    bucket = f"arn:aws:s3:::{registry.bucket}"
    packages = f"arn:aws:sagemaker:{target.region}:{target.account_id}"
    statements = [
        {"Action": ["s3:ListBucket"], "Resource": [bucket]},
        {"Action": ["s3:GetObject"], "Resource": [f"{bucket}/models/*"]},
        {"Action": ["s3:PutObject"], "Resource": [f"{bucket}/models/*/approval.json"]},
        {"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": [key_arn]},
        {
            "Action": ["sagemaker:ListModelPackages"],
            # Takes no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
            "Resource": ["*"],
        },
        {
            "Action": ["sagemaker:DescribeModelPackage", "sagemaker:UpdateModelPackage"],
            "Resource": [f"{packages}:model-package/*"],
        },
    ]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]}


def approve_as_colleague(target: Target, model: str, version: int, note: str = NOTE) -> Approved:
    """Approves a version as the played colleague. Raises what `approve` raises."""
    return approve(Registry.of(approver(target)), model, version, note=note)
