"""The one provider of a stack: this account, this region, and the tags that every resource carries."""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_aws as aws

from infra.settings import LayerSettings, ModelsSettings, PlatformSettings


def default_tags(settings: PlatformSettings | ModelsSettings) -> dict[str, str]:
    """Tags of every resource: where it belongs, who answers for it, who pays; a stack's own tags come on top."""
    return {
        **settings.tags,
        "mainstage:environment": settings.environment,
        "mainstage:layer": settings.layer,
        "mainstage:owner": settings.owner,
        "mainstage:cost-center": settings.cost_center,
        "mainstage:managed-by": "pulumi",
    }


def make_provider(settings: PlatformSettings | ModelsSettings) -> aws.Provider:
    """A provider that refuses every account but the settings'. Credentials come from where it runs."""
    return aws.Provider(
        "aws",
        region=settings.region,
        allowed_account_ids=[settings.account_id],
        default_tags=aws.ProviderDefaultTagsArgs(tags=default_tags(settings)),
    )


def with_provider(provider: aws.Provider) -> pulumi.ResourceOptions:
    """Options of a component at the top of a stack: it and everything in it uses `provider`."""
    return pulumi.ResourceOptions(providers=[provider])


class AccountArguments(TypedDict):
    """The arguments that every component takes."""

    account_id: str
    region: str


def account_arguments(settings: LayerSettings) -> AccountArguments:
    """Account and region of the stack."""
    return {"account_id": settings.account_id, "region": settings.region}
