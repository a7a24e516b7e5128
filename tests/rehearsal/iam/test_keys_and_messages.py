"""KMS itself, and the services that use its keys: SNS, SQS, Logs, ECR, SageMaker; their resource policies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.rehearsal.cloud.api import Principal

Refused = Callable[..., tuple[str, str]]
ALARMS = "cloudwatch.amazonaws.com"


@pytest.fixture
def alarms(account: Any) -> Any:
    """CloudWatch as it publishes an alarm of this account."""
    alarm = f"arn:aws:cloudwatch:{account.region}:{account.id}:alarm:a"
    context = {"aws:SourceAccount": account.id, "aws:SourceArn": alarm}
    return account.cloud.session(Principal("service", ALARMS, account.id, context=context)).client("sns")


class TestKms:
    def test_account_delegation_needs_the_identitys_permission(self, account: Any, refused: Refused) -> None:
        key = account.make_key()
        client = account.acting().client("kms")
        code, message = refused(client.encrypt, KeyId=key, Plaintext=b"x")
        assert (code, message) == (
            "AccessDeniedException",
            f"User: arn:aws:sts::{account.id}:assumed-role/reader/run is not authorized to perform: kms:Encrypt on "
            f"resource: {key} because no identity-based policy allows the kms:Encrypt action",
        )
        account.grant(account.allow("kms:Encrypt", key))
        blob = client.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        assert "kms:Decrypt" in refused(client.decrypt, CiphertextBlob=blob)[1]
        account.grant(account.allow(["kms:Encrypt", "kms:Decrypt"], key))
        assert client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"

    def test_the_identitys_permission_is_nothing_without_the_key_policy(self, account: Any, refused: Refused) -> None:
        key = account.make_key(account.allow("kms:Decrypt", Principal={"Service": ALARMS}))
        client = account.acting(account.allow("kms:*")).client("kms")
        assert refused(client.describe_key, KeyId=key)[1].endswith(
            "because no resource-based policy allows the kms:DescribeKey action"
        )

    def test_even_the_operator_is_bound_by_a_key_policy(self, account: Any, refused: Refused) -> None:
        role = account.role(name="owner")
        only_owner = account.document(account.allow("kms:*", Principal={"AWS": role}))
        made = account.kms.create_key(Policy=only_owner, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
        assert refused(account.kms.describe_key, KeyId=made)[0] == "AccessDeniedException"
        assert account.session(role).client("kms").describe_key(KeyId=made)["KeyMetadata"]["Arn"] == made

    def test_an_alias_is_the_key_that_it_names(self, account: Any, refused: Refused) -> None:
        key = account.make_key()
        account.kms.create_alias(AliasName="alias/models", TargetKeyId=key)
        by_alias = account.allow(
            "kms:Encrypt", Condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/models"}}
        )
        client = account.acting(by_alias).client("kms")
        client.encrypt(KeyId="alias/models", Plaintext=b"x")
        client.encrypt(KeyId=key, Plaintext=b"x")
        assert refused(client.encrypt, KeyId=account.make_key(), Plaintext=b"x")[0] == "AccessDeniedException"

    def test_the_key_of_an_alias_allows_its_change_and_its_end(self, account: Any, refused: Refused) -> None:
        key, other = account.make_key(), account.make_key()
        account.kms.create_alias(AliasName="alias/models", TargetKeyId=key)
        names = ["kms:DeleteAlias", "kms:UpdateAlias"]
        alias = f"arn:aws:kms:{account.kms.meta.region_name}:{account.id}:alias/models"
        client = account.acting(account.allow(names, [alias, other])).client("kms")
        for call, members in ((client.delete_alias, {}), (client.update_alias, {"TargetKeyId": other})):
            assert key in refused(call, AliasName="alias/models", **members)[1]
        account.grant(account.allow(names, [alias, other, key]))
        client.update_alias(AliasName="alias/models", TargetKeyId=other)
        client.delete_alias(AliasName="alias/models")

    def test_a_missing_key_is_said_to_be_missing(self, account: Any, refused: Refused) -> None:
        client = account.acting(account.allow("kms:*")).client("kms")
        missing = "00000000-0000-0000-0000-000000000000"
        assert refused(client.describe_key, KeyId=missing)[0] == "NotFoundException"

    def test_a_grant_stands_beside_the_policy(self, account: Any, refused: Refused) -> None:
        session = account.acting()
        role = account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        key, client = account.make_key(), session.client("kms")
        made = account.kms.create_grant(
            KeyId=key,
            GranteePrincipal=role,
            Operations=["Encrypt"],
            Constraints={"EncryptionContextSubset": {"model": "iris"}},
        )
        client.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"model": "iris", "version": "1"})
        assert refused(client.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
        account.kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
        assert (
            refused(client.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext={"model": "iris"})[0]
            == "AccessDeniedException"
        )


class TestSns:
    def topic(self, account: Any, *statements: dict[str, Any], key: str = "") -> str:
        attributes = {"KmsMasterKeyId": key} if key else {}
        arn = account.sns.create_topic(Name="pages", Attributes=attributes)["TopicArn"]
        if statements:
            account.sns.set_topic_attributes(
                TopicArn=arn,
                AttributeName="Policy",
                AttributeValue=account.document(*[{**one, "Resource": arn} for one in statements]),
            )
        return arn

    def test_the_default_policy_admits_services_that_act_for_the_account(self, account: Any, alarms: Any) -> None:
        alarms.publish(TopicArn=self.topic(account), Message="m")

    def test_a_topic_policy_admits_the_service_it_names(self, account: Any, alarms: Any, refused: Refused) -> None:
        condition = {"StringEquals": {"aws:SourceAccount": account.id}}
        admitted = account.allow("SNS:Publish", Principal={"Service": ALARMS}, Condition=condition)
        arn = self.topic(account, admitted)
        alarms.publish(TopicArn=arn, Message="m")
        self.topic(account, {**admitted, "Principal": {"Service": "events.amazonaws.com"}})
        code, message = refused(alarms.publish, TopicArn=arn, Message="m")
        assert (code, message) == (
            "AuthorizationError",
            f"User: {ALARMS} is not authorized to perform: SNS:Publish on resource: {arn} "
            "because no resource-based policy allows the SNS:Publish action",
        )

    def test_another_accounts_alarm_is_kept_out_by_its_source(self, account: Any, refused: Refused) -> None:
        condition = {"StringEquals": {"aws:SourceAccount": account.id}}
        arn = self.topic(account, account.allow("SNS:Publish", Principal={"Service": ALARMS}, Condition=condition))
        stranger = Principal("service", ALARMS, account.id, context={"aws:SourceAccount": "999999999999"})
        client = account.cloud.session(stranger).client("sns")
        assert refused(client.publish, TopicArn=arn, Message="m")[0] == "AuthorizationError"

    def test_an_encrypted_topic_needs_the_keys_consent_for_the_service(
        self, account: Any, alarms: Any, refused: Refused
    ) -> None:
        arn = self.topic(account, key=account.make_key())
        code, message = refused(alarms.publish, TopicArn=arn, Message="m")
        assert code == "KMSAccessDenied"
        assert "no resource-based policy allows the kms:GenerateDataKey action" in message
        admitted = account.allow(["kms:GenerateDataKey*", "kms:Decrypt"], Principal={"Service": ALARMS})
        account.sns.set_topic_attributes(
            TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=account.make_key(admitted)
        )
        alarms.publish(TopicArn=arn, Message="m")

    def test_the_default_key_of_sns_is_closed_to_services(self, account: Any, alarms: Any, refused: Refused) -> None:
        arn = self.topic(account, key="alias/aws/sns")
        assert refused(alarms.publish, TopicArn=arn, Message="m")[0] == "KMSAccessDenied"
        account.acting(account.allow("sns:Publish")).client("sns").publish(TopicArn=arn, Message="m")

    def test_a_role_publishes_with_topic_and_key_permissions(self, account: Any, refused: Refused) -> None:
        key = account.make_key()
        arn = self.topic(account, key=key)
        client = account.acting(account.allow("sns:Publish", arn)).client("sns")
        assert refused(client.publish, TopicArn=arn, Message="m")[0] == "KMSAccessDenied"
        account.grant(account.allow("sns:Publish", arn), account.allow(["kms:GenerateDataKey", "kms:Decrypt"], key))
        client.publish(TopicArn=arn, Message="m")


class TestSqs:
    def test_a_queue_policy_and_a_queue_key(self, account: Any, refused: Refused) -> None:
        key = account.make_key()
        url = account.sqs.create_queue(QueueName="q", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
        session = account.acting()
        client, role = session.client("sqs"), account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        arn = f"arn:aws:sqs:{account.region}:{account.id}:q"
        code, message = refused(client.send_message, QueueUrl=url, MessageBody="m")
        assert (code, f"sqs:sendmessage on resource: {arn} because" in message) == ("AccessDenied", True)
        policy = account.document(account.allow("sqs:SendMessage", arn, Principal={"AWS": role}))
        account.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        assert refused(client.send_message, QueueUrl=url, MessageBody="m")[0] == "KMS.AccessDeniedException"
        account.grant(account.allow(["kms:GenerateDataKey", "kms:Decrypt"], key))
        client.send_message(QueueUrl=url, MessageBody="m")


class TestLogs:
    def test_a_log_group_with_a_key_needs_the_keys_consent_for_logs(self, account: Any, refused: Refused) -> None:
        client = account.cloud.client("logs")
        service = f"logs.{account.region}.amazonaws.com"
        group = f"arn:aws:logs:{account.region}:{account.id}:log-group:/aws/sagemaker/*"
        actions = ["kms:Encrypt*", "kms:Decrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        admitted = account.allow(
            actions,
            Principal={"Service": service},
            Condition={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": group}},
        )
        key = account.make_key(admitted)
        client.create_log_group(logGroupName="/aws/sagemaker/g", kmsKeyId=key)
        other = f"arn:aws:logs:{account.region}:{account.id}:log-group:/other"
        assert refused(client.create_log_group, logGroupName="/other", kmsKeyId=key) == (
            "AccessDeniedException",
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{other}'",
        )
        closed = account.make_key()
        assert refused(client.create_log_group, logGroupName="/aws/sagemaker/h", kmsKeyId=closed)[0] == (
            "AccessDeniedException"
        )


class TestEcr:
    def test_a_repository_policy_admits_a_role(self, account: Any, refused: Refused) -> None:
        ecr = account.cloud.client("ecr")
        ecr.create_repository(repositoryName="models")
        session = account.acting()
        client, role = session.client("ecr"), account.iam.get_role(RoleName="reader")["Role"]["Arn"]
        asked = {"repositoryNames": ["models"]}
        assert refused(client.describe_repositories, **asked)[0] == "AccessDeniedException"
        statement = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "ecr:DescribeRepositories"}
        ecr.set_repository_policy(repositoryName="models", policyText=account.document(statement))
        assert client.describe_repositories(**asked)["repositories"][0]["repositoryName"] == "models"

    def test_a_repository_with_a_key_is_made_under_the_callers_grants(self, account: Any, refused: Refused) -> None:
        key = account.make_key()
        client = account.acting(account.allow("ecr:*")).client("ecr")
        asked = {
            "repositoryName": "models",
            "encryptionConfiguration": {"encryptionType": "KMS", "kmsKey": key},
        }
        code, message = refused(client.create_repository, **asked)
        assert (code, "kms:DescribeKey" in message) == ("KmsException", True)
        account.grant(
            account.allow("ecr:*"),
            account.allow("kms:DescribeKey", key),
            account.allow("kms:CreateGrant", key, Condition={"Bool": {"kms:GrantIsForAWSResource": "true"}}),
        )
        client.create_repository(**asked)


def test_a_function_policy_admits_the_service_it_names(account: Any, refused: Refused) -> None:
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("app.py", "def handle(event, context): return event")
    role = account.role(
        trust={"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )
    functions = account.cloud.client("lambda")
    functions.create_function(
        FunctionName="f", Runtime="python3.12", Role=role, Handler="app.handle", Code={"ZipFile": archive.getvalue()}
    )
    rule = f"arn:aws:events:{account.region}:{account.id}:rule/r"
    events = Principal("service", "events.amazonaws.com", account.id, context={"aws:SourceArn": rule})
    client = account.cloud.session(events).client("lambda")
    asked = {"FunctionName": "f", "Payload": json.dumps({}).encode(), "InvocationType": "DryRun"}
    assert refused(client.invoke, **asked)[0] == "AccessDeniedException"
    functions.add_permission(
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    assert client.invoke(**asked)["StatusCode"] in (200, 204)
