"""PseudonymKey: the KMS key that personal data are hashed with before anything is stored."""

from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._key_policy import administered, used_through_policies
from ._patterns import KEY_ARN
from ._policy import Statement, Text, document
from ._resolve import Reader
from .encryption_key import ADMINISTRATION, ALIAS

MAC_ALGORITHM = "HMAC_SHA_256"
"""Algorithm of the key, and the only one that a role may ask for."""

# An HMAC key is not rotated: https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
# GetKeyRotationStatus stays: the provider asks it of every key.
_ROTATION = ("kms:DisableKeyRotation", "kms:EnableKeyRotation", "kms:ListKeyRotations", "kms:RotateKeyOnDemand")
_ADMINISTRATION = tuple(action for action in ADMINISTRATION if action not in _ROTATION)


class PseudonymKeyArgs(AccountArgs):
    """Arguments of PseudonymKey."""

    alias: NotRequired[str]
    """Alias of the key, without the leading `alias/`. Omitted: the component's name."""
    deletion_protection: NotRequired[bool]
    """True: the key is neither deleted nor replaced. With another key the same person gets another pseudonym: what was
    logged before and after could never be joined. Omitted: true."""
    existing_key_arn: NotRequired[pulumi.Input[str]]
    """Adopts this HMAC_256 key instead of making one; `alias` is refused beside it. Omitted: a key is made."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    alias: str
    deletion_protection: bool
    existing_key_arn: Optional[Text]
    tags: dict[str, Text]


def _resolve(name: str, args: PseudonymKeyArgs) -> _Resolved:
    reader = Reader("PseudonymKey", name, args, PseudonymKeyArgs)
    existing = reader.optional_text("existing_key_arn", KEY_ARN)
    if existing is not None and reader.has("alias"):
        reader.refuse("alias", reader.raw("alias"), "nothing beside existing_key_arn", "remove alias")
    resolved = _Resolved(
        account=read_account(reader),
        alias=reader.plain("alias", ALIAS, default=name),
        deletion_protection=reader.flag("deletion_protection", default=True),
        existing_key_arn=existing,
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def pseudonym_statement(key_arn: Text) -> Statement:
    """What a function needs that hashes personal data: it derives its secret from the key when it starts."""
    return Statement(
        sid="DerivePseudonyms",
        reason="personal data are hashed with a secret that only this key can derive",
        actions=["kms:GenerateMac"],
        resources=[key_arn],
        conditions={"StringEquals": {"kms:MacAlgorithm": MAC_ALGORITHM}},
    )


def _key_policy(account: Account) -> list[Statement]:
    """The key's policy."""
    return [
        administered(account, _ADMINISTRATION),
        used_through_policies(
            account,
            ["kms:GenerateMac"],
            "front doors derive their secret with their own policies; nothing else is ever made with the key",
            {"StringEquals": {"kms:MacAlgorithm": MAC_ALGORITHM}},
        ),
    ]


class PseudonymKey(pulumi.ComponentResource):
    """An HMAC key in KMS: pseudonyms are made with it, and it never leaves KMS. Or an existing one, adopted.

    It is never rotated: a pseudonym stands for the same person for as long as the log is kept.
    """

    key_arn: pulumi.Output[str]
    """ARN of the key."""

    def __init__(self, name: str, args: PseudonymKeyArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:PseudonymKey", name, {}, opts)
        resolved = _resolve(name, args)
        if resolved.existing_key_arn is None:
            key = aws.kms.Key(
                f"{name}-key",
                description="Makes the pseudonyms of personal data in the prediction logs",
                policy=document(_key_policy(resolved.account)),
                key_usage="GENERATE_VERIFY_MAC",
                customer_master_key_spec="HMAC_256",
                is_enabled=True,
                enable_key_rotation=False,
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
            aws.kms.Alias(
                f"{name}-alias",
                name=f"alias/{resolved.alias}",
                target_key_id=key.key_id,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.key_arn = key.arn
        else:
            self.key_arn = pulumi.Output.from_input(resolved.existing_key_arn)
        self.register_outputs({"key_arn": self.key_arn})
