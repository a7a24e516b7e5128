"""Where a component's resources live: account, region, partition. Given as arguments, never looked up."""

from dataclasses import dataclass
from typing import NotRequired, Optional, TypedDict

import pulumi

from ._patterns import ACCOUNT_ID, PARTITION, REGION, ROLE_BOUNDARY_ARN, TAG_VALUE
from ._resolve import Reader
from .runtime_presets import partition_of


class AccountArgs(TypedDict):
    """The arguments that every component takes."""

    account_id: str
    """AWS account that the resources belong to: 12 digits. ARNs and trust policies are made from it."""
    region: str
    """AWS region of the resources, for example `eu-west-1`."""
    partition: NotRequired[str]
    """AWS partition. Omitted: the one that the region belongs to (`aws` for most)."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags for every resource that takes tags. Omitted: none but the provider's default tags."""


@dataclass(frozen=True)
class Account:
    """Account, region and partition, checked."""

    account_id: str
    region: str
    partition: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def role_arn(self, resource: str) -> str:
        """An IAM ARN in this account; IAM has no region."""
        return f"arn:{self.partition}:iam::{self.account_id}:{resource}"

    def bucket_arn(self, bucket_name: str) -> str:
        """The ARN of a bucket; S3 ARNs have neither region nor account."""
        return f"arn:{self.partition}:s3:::{bucket_name}"


def read_account(reader: Reader) -> Account:
    """Reads the arguments of `AccountArgs` but the tags."""
    region = reader.plain("region", REGION)
    return Account(
        account_id=reader.plain("account_id", ACCOUNT_ID),
        region=region,
        partition=reader.plain("partition", PARTITION, default=partition_of(region)),
    )


def read_tags(reader: Reader) -> dict[str, pulumi.Input[str]]:
    """Reads `tags`."""
    return reader.text_map("tags", TAG_VALUE, default={})


def read_boundary(reader: Reader) -> Optional[pulumi.Input[str]]:
    """Reads `permissions_boundary_arn`, the argument of every component that makes a role."""
    return reader.optional_text("permissions_boundary_arn", ROLE_BOUNDARY_ARN)
