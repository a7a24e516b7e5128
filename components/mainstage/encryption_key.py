"""EncryptionKey: the KMS key that everything in an environment is encrypted with."""

from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._key_policy import administered, used_through_policies
from ._patterns import KEY_ARN, Pattern
from ._policy import Statement, document
from ._resolve import Reader

ALIAS = Pattern(
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
    r"(?!aws/)[a-zA-Z0-9/_-]+",
    "an alias without the leading alias/: letters, digits, / _ and -, not starting with aws/",
    maximum=250,
)

SERVICES = ("cloudwatch", "logs")
"""AWS services that can be let in by name: alarms that publish to encrypted topics, and encrypted log groups."""

# What an administrator of the account may do with the key. PutKeyPolicy has to be among them: KMS refuses a policy that
# would lock its maker out. https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
_USE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
_LOG_SERVICE_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class EncryptionKeyArgs(AccountArgs):
    """Arguments of EncryptionKey."""

    alias: NotRequired[str]
    """Alias of the key, without the leading `alias/`. Omitted: the component's name."""
    description: NotRequired[str]
    """What the key is for, as the console shows it. Omitted: a sentence with the component's name."""
    service_principals: NotRequired[list[str]]
    """AWS services that use the key for themselves: `logs` (encrypted log groups), `cloudwatch` (alarms that publish
    to encrypted topics). Omitted: both."""
    deletion_protection: NotRequired[bool]
    """True: the key is neither deleted nor replaced, whatever the program says. A deleted key makes everything under
    it unreadable. Omitted: true."""
    existing_key_arn: NotRequired[pulumi.Input[str]]
    """Adopts this key instead of making one. Its policy has to let in what `service_principals` would; `alias`,
    `description` and `service_principals` are refused beside it. Omitted: a key is made."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    alias: str
    description: str
    services: tuple[str, ...]
    deletion_protection: bool
    existing_key_arn: Optional[pulumi.Input[str]]
    tags: dict[str, pulumi.Input[str]]


def _resolve(name: str, args: EncryptionKeyArgs) -> _Resolved:
    reader = Reader("EncryptionKey", name, args, EncryptionKeyArgs)
    existing = reader.optional_text("existing_key_arn", KEY_ARN)
    if existing is not None:
        for field in ("alias", "description", "service_principals"):
            if reader.has(field):
                reader.refuse(field, reader.raw(field), "nothing beside existing_key_arn", f"remove {field}")
    account = read_account(reader)
    services = reader.plain_list(
        "service_principals", Pattern("|".join(SERVICES), "one of " + ", ".join(SERVICES)), default=SERVICES
    )
    resolved = _Resolved(
        account=account,
        alias=reader.plain("alias", ALIAS, default=name),
        description=reader.plain(
            "description", Pattern(r".+", "one line of text", maximum=8192), default=f"Encrypts the data of {name}"
        ),
        services=services,
        deletion_protection=reader.flag("deletion_protection", default=True),
        existing_key_arn=existing,
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def key_policy(account: Account, services: tuple[str, ...]) -> list[Statement]:
    """The key's policy. The resource `*` in a key policy is the key itself."""
    root = account.role_arn("root")
    statements = [
        administered(account, ADMINISTRATION),
        used_through_policies(
            account, _USE, "roles read and write encrypted objects, archives, topics and queues with their own policies"
        ),
        Statement(
            sid="GrantedToAwsServicesOfThisAccount",
            reason="SageMaker (storage volumes), Lambda (environment variables) and Firehose (what it buffers) use the "
            "key through grants that they make for themselves, as whoever deploys",
            principals={"AWS": [root]},
            actions=["kms:CreateGrant"],
            resources=["*"],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            attached_to_resource=True,
        ),
    ]
    if "logs" in services:
        statements.append(
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
            Statement(
                sid="UsedByLogGroupsOfThisAccount",
                reason="CloudWatch Logs refuses a log group whose key it may not use",
                principals={"Service": [f"logs.{account.region}.amazonaws.com"]},
                actions=_LOG_SERVICE_USE,
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": account.arn("logs", "log-group:*")}},
                attached_to_resource=True,
            )
        )
    if "cloudwatch" in services:
        statements.append(
            # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
            Statement(
                sid="UsedByAlarmsOfThisAccount",
                reason="an alarm cannot publish to a topic whose key CloudWatch may not use: pages stop silently",
                principals={"Service": ["cloudwatch.amazonaws.com"]},
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": account.account_id}},
                attached_to_resource=True,
            )
        )
    return statements


class EncryptionKey(pulumi.ComponentResource):
    """A KMS key with yearly rotation, an alias, and a policy of written-out actions. Or an existing one, adopted."""

    key_arn: pulumi.Output[str]
    """ARN of the key."""
    key_id: pulumi.Output[str]
    """Id of the key: the last part of its ARN."""
    alias_name: pulumi.Output[Optional[str]]
    """Alias with its leading `alias/`; nothing for an adopted key."""

    def __init__(self, name: str, args: EncryptionKeyArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:EncryptionKey", name, {}, opts)
        resolved = _resolve(name, args)
        if resolved.existing_key_arn is None:
            key = aws.kms.Key(
                f"{name}-key",
                description=resolved.description,
                policy=document(key_policy(resolved.account, resolved.services)),
                key_usage="ENCRYPT_DECRYPT",
                customer_master_key_spec="SYMMETRIC_DEFAULT",
                is_enabled=True,
                enable_key_rotation=True,
                rotation_period_in_days=365,
                multi_region=False,
                deletion_window_in_days=30,
                bypass_policy_lockout_safety_check=False,
                tags=resolved.tags,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    protect=resolved.deletion_protection,
                    retain_on_delete=resolved.deletion_protection,
                ),
            )
            alias = aws.kms.Alias(
                f"{name}-alias",
                name=f"alias/{resolved.alias}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.key_arn = key.arn
            self.key_id = key.key_id
            self.alias_name = alias.name.apply(lambda text: text)
        else:
            self.key_arn = pulumi.Output.from_input(resolved.existing_key_arn)
            self.key_id = self.key_arn.apply(lambda arn: arn.rpartition("/")[2])
            self.alias_name = pulumi.Output.from_input(None)
        self.register_outputs({"key_arn": self.key_arn, "key_id": self.key_id, "alias_name": self.alias_name})
