"""The two statements that the policy of every KMS key begins with. The resource `*` in a key policy is the key itself.

https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ._account import Account
from ._policy import Statement


def administered(account: Account, actions: Sequence[str]) -> Statement:
    """Policies of the account say who administers the key."""
    return Statement(
        sid="AdministeredByThisAccount",
        reason="policies of this account say who administers the key; without it nobody could change it",
        principals={"AWS": [account.role_arn("root")]},
        actions=actions,
        resources=["*"],
        attached_to_resource=True,
    )


def used_through_policies(
    account: Account, actions: Sequence[str], reason: str, conditions: Mapping[str, Mapping[str, Any]] | None = None
) -> Statement:
    """Policies of the account say who uses the key."""
    return Statement(
        sid="UsedThroughPoliciesOfThisAccount",
        reason=reason,
        principals={"AWS": [account.role_arn("root")]},
        actions=actions,
        resources=["*"],
        conditions=conditions or {},
        attached_to_resource=True,
    )
