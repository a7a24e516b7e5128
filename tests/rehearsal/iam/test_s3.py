"""S3 through the door: bucket policies, keys of encrypted objects, what listing tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import Principal

Refused = Callable[..., tuple[str, str]]
FAR = "999999999999"


@pytest.fixture
def bucket(account: Any) -> str:
    return account.make_bucket()


def put_policy(account: Any, *statements: dict[str, Any]) -> None:
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=account.document(*statements))


def objects(account: Any, path: str = "*") -> str:
    return f"arn:aws:s3:::{account.bucket}/{path}"


class TestBucketPolicy:
    def test_a_tls_only_policy_leaves_in_process_and_loopback_calls_alone(self, account: Any, bucket: str) -> None:
        insecure = {"Bool": {"aws:SecureTransport": "false"}}
        both = [f"arn:aws:s3:::{bucket}", objects(account)]
        put_policy(account, account.deny("s3:*", both, Principal="*", Condition=insecure))
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        client = account.acting(account.allow("s3:GetObject", objects(account))).client("s3")
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"

    def test_a_deny_binds_the_operator_too(self, account: Any, bucket: str, refused: Refused) -> None:
        put_policy(account, account.deny("s3:DeleteObject", objects(account), Principal="*"))
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        for method, rest in (
            (account.s3.delete_object, {"Key": "k"}),
            (account.s3.delete_objects, {"Delete": {"Objects": [{"Key": "k"}]}}),
        ):
            code, message = refused(method, Bucket=bucket, **rest)
            assert code == "AccessDenied"
            assert message == (
                f"User: {account.cloud.principals.operator.arn} is not authorized to perform: s3:DeleteObject on "
                f'resource: "{objects(account, "k")}" with an explicit deny in a resource-based policy'
            )

    def test_a_role_can_be_admitted_by_the_bucket_alone(self, account: Any, bucket: str, refused: Refused) -> None:
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        client = account.acting().client("s3")
        role = account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        put_policy(account, account.allow("s3:GetObject", objects(account), Principal={"AWS": role}))
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
        account.s3.delete_bucket_policy(Bucket=bucket)
        assert refused(client.get_object, Bucket=bucket, Key="k")[0] == "AccessDenied"

    def test_writes_only_where_nothing_is(self, account: Any, bucket: str, refused: Refused) -> None:
        condition = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}
        put_policy(
            account, account.deny("s3:PutObject", objects(account, "models/*"), Principal="*", Condition=condition)
        )
        asked = {"Bucket": bucket, "Key": "models/iris/1/card.json", "Body": b"{}"}
        assert refused(account.s3.put_object, **asked)[0] == "AccessDenied"
        account.s3.put_object(**asked, IfNoneMatch="*")
        assert refused(account.s3.put_object, **asked, IfNoneMatch="*")[0] == "PreconditionFailed"
        account.s3.put_object(Bucket=bucket, Key="elsewhere", Body=b"")
        upload = account.s3.create_multipart_upload(Bucket=bucket, Key="models/big")["UploadId"]
        part = {"Bucket": bucket, "Key": "models/big", "UploadId": upload}
        tag = account.s3.upload_part(**part, PartNumber=1, Body=b"x")["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        assert refused(account.s3.complete_multipart_upload, **part, MultipartUpload=parts)[0] == "AccessDenied"
        account.s3.complete_multipart_upload(**part, MultipartUpload=parts, IfNoneMatch="*")

    def test_another_accounts_role_needs_bucket_and_identity(self, account: Any, bucket: str, refused: Refused) -> None:
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        far = account.cloud.session(Principal("operator", f"arn:aws:iam::{FAR}:user/op", FAR)).client("iam")
        trusted = {"Effect": "Allow", "Principal": {"Service": account.service}, "Action": "sts:AssumeRole"}
        role = far.create_role(RoleName="far", AssumeRolePolicyDocument=account.document(trusted))["Role"]["Arn"]
        client = account.session(role).client("s3")
        asked = {"Bucket": bucket, "Key": "k"}
        assert refused(client.get_object, **asked)[1].endswith(
            "because no resource-based policy allows the s3:GetObject action"
        )
        put_policy(account, account.allow("s3:GetObject", objects(account), Principal={"AWS": role}))
        assert refused(client.get_object, **asked)[1].endswith(
            "because no identity-based policy allows the s3:GetObject action"
        )
        own = account.document(account.allow("s3:GetObject", objects(account)))
        far.put_role_policy(RoleName="far", PolicyName="p", PolicyDocument=own)
        assert client.get_object(**asked)["Body"].read() == b"v"
        account.s3.delete_bucket_policy(Bucket=bucket)
        assert refused(client.get_object, **asked)[0] == "AccessDenied"


class TestListing:
    def test_listing_is_a_permission_on_the_bucket(self, account: Any, bucket: str, refused: Refused) -> None:
        client = account.acting(account.allow("s3:*", objects(account))).client("s3")
        code, message = refused(client.list_objects_v2, Bucket=bucket)
        assert code == "AccessDenied"
        assert f's3:ListBucket on resource: "arn:aws:s3:::{bucket}"' in message

    def test_a_missing_object_is_404_only_to_who_may_list(self, account: Any, bucket: str, refused: Refused) -> None:
        client = account.acting(account.allow("s3:GetObject", objects(account))).client("s3")
        code, message = refused(client.get_object, Bucket=bucket, Key="missing")
        assert code == "AccessDenied"
        assert "s3:ListBucket" in message
        assert refused(client.head_object, Bucket=bucket, Key="missing")[0] == "403"
        account.grant(account.allow(["s3:GetObject", "s3:ListBucket"]))
        assert refused(client.get_object, Bucket=bucket, Key="missing")[0] == "NoSuchKey"
        assert refused(client.head_object, Bucket=bucket, Key="missing")[0] == "404"

    def test_a_missing_bucket_is_said_to_be_missing(self, account: Any, refused: Refused) -> None:
        client = account.acting().client("s3")
        assert refused(client.list_objects_v2, Bucket="missing-of-tests")[0] == "NoSuchBucket"


class TestKeys:
    READ = "s3:GetObject"

    def put(self, account: Any, key_arn: str) -> None:
        account.encrypt_bucket(key_arn)
        account.s3.put_object(Bucket=account.bucket, Key="k", Body=b"v")

    def test_reading_needs_decrypt_on_the_objects_key(self, account: Any, bucket: str, refused: Refused) -> None:
        key = account.make_key()
        self.put(account, key)
        session = account.acting(account.allow(self.READ))
        client = session.client("s3")
        code, message = refused(client.get_object, Bucket=bucket, Key="k")
        assert code == "AccessDenied"
        assert message == (
            f"User: arn:aws:sts::{account.id}:assumed-role/reader/run is not authorized to perform: kms:Decrypt on "
            f"resource: {key} because no identity-based policy allows the kms:Decrypt action"
        )
        account.grant(account.allow(self.READ), account.allow("kms:Decrypt", key))
        assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"

    def test_writing_needs_a_data_key_and_a_multipart_upload_decrypt_too(
        self, account: Any, bucket: str, refused: Refused
    ) -> None:
        account.encrypt_bucket(account.make_key())
        client = account.acting(account.allow("s3:PutObject")).client("s3")
        assert "kms:GenerateDataKey" in refused(client.put_object, Bucket=bucket, Key="k", Body=b"")[1]
        account.grant(account.allow(["s3:PutObject", "kms:GenerateDataKey"]))
        client.put_object(Bucket=bucket, Key="k", Body=b"")
        assert "kms:Decrypt" in refused(client.create_multipart_upload, Bucket=bucket, Key="k")[1]
        account.grant(account.allow(["s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt"]))
        upload = client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
        client.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")

    def test_a_key_named_in_the_request_counts_before_the_buckets(
        self, account: Any, bucket: str, refused: Refused
    ) -> None:
        first, second = account.make_key(), account.make_key()
        account.encrypt_bucket(first)
        client = account.acting(account.allow("s3:PutObject"), account.allow("kms:GenerateDataKey", first)).client("s3")
        client.put_object(Bucket=bucket, Key="k", Body=b"")
        _, message = refused(
            client.put_object,
            Bucket=bucket,
            Key="k",
            Body=b"",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=second,
        )
        assert second in message

    def test_without_the_key_policys_consent_nothing_is_read(self, account: Any, bucket: str, refused: Refused) -> None:
        key = account.make_key()
        self.put(account, key)
        client = account.acting(account.allow([self.READ, "kms:Decrypt"])).client("s3")
        asked = {"Bucket": bucket, "Key": "k"}
        assert client.get_object(**asked)["Body"].read() == b"v"
        operator = account.cloud.principals.operator.arn
        closed = account.document(account.allow("kms:*", Principal={"AWS": operator}))
        account.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=closed)
        assert refused(client.get_object, **asked)[1].endswith(
            "because no resource-based policy allows the kms:Decrypt action"
        )

    def test_the_key_policy_may_ask_for_the_service_and_the_object(
        self, account: Any, bucket: str, refused: Refused
    ) -> None:
        session = account.acting(account.allow([self.READ, "kms:Decrypt"]))
        role = account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        condition = {
            "StringEquals": {"kms:ViaService": f"s3.{account.region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": objects(account, "allowed/*")},
        }
        admitted = account.allow("kms:Decrypt", Principal={"AWS": role}, Condition=condition)
        account.encrypt_bucket(account.make_key(admitted))
        for name in ("allowed/k", "other/k"):
            account.s3.put_object(Bucket=bucket, Key=name, Body=b"v")
        client = session.client("s3")
        assert client.get_object(Bucket=bucket, Key="allowed/k")["Body"].read() == b"v"
        assert refused(client.get_object, Bucket=bucket, Key="other/k")[0] == "AccessDenied"

    def test_with_a_bucket_key_the_context_is_the_bucket(self, account: Any, bucket: str) -> None:
        session = account.acting(account.allow(self.READ))
        role = account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        condition = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}}
        admitted = account.allow("kms:Decrypt", Principal={"AWS": role}, Condition=condition)
        account.encrypt_bucket(account.make_key(admitted), bucket_key=True)
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        assert session.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"

    def test_a_disabled_or_dying_key_opens_nothing_even_to_the_operator(
        self, account: Any, bucket: str, refused: Refused
    ) -> None:
        key = account.make_key()
        self.put(account, key)
        # The emulated KMS takes these calls by id only.
        asked, key_id = {"Bucket": bucket, "Key": "k"}, key.rpartition("/")[2]
        account.kms.disable_key(KeyId=key_id)
        assert refused(account.s3.get_object, **asked) == ("KMS.DisabledException", f"{key} is disabled.")
        account.kms.enable_key(KeyId=key_id)
        account.s3.get_object(**asked)
        account.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
        assert refused(account.s3.get_object, **asked)[0] == "KMS.KMSInvalidStateException"

    def test_a_copy_reads_the_source_and_writes_the_target(self, account: Any, bucket: str, refused: Refused) -> None:
        account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
        client = account.acting(account.allow("s3:PutObject")).client("s3")
        asked = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "k"}}
        code, message = refused(client.copy_object, **asked)
        assert code == "AccessDenied"
        assert objects(account, "k") in message
        account.grant(account.allow(["s3:PutObject", "s3:GetObject"]))
        client.copy_object(**asked)
        assert account.s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"v"

    def test_an_old_version_is_a_permission_of_its_own(self, account: Any, bucket: str, refused: Refused) -> None:
        account.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        version = account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")["VersionId"]
        client = account.acting(account.allow("s3:GetObject")).client("s3")
        client.get_object(Bucket=bucket, Key="k")
        asked = {"Bucket": bucket, "Key": "k", "VersionId": version}
        assert "s3:GetObjectVersion" in refused(client.get_object, **asked)[1]
        account.grant(account.allow("s3:GetObjectVersion"))
        assert client.get_object(**asked)["Body"].read() == b"v"


def test_a_head_that_is_refused_is_a_bare_403(account: Any, bucket: str) -> None:
    account.s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    with pytest.raises(ClientError) as caught:
        account.acting().client("s3").head_object(Bucket=bucket, Key="k")
    assert caught.value.response["Error"]["Code"] == "403"
