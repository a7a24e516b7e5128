"""Subnets of a VPC by pure arithmetic.

The layout never depends on how many zones are asked for, nor on whether there are public subnets: a zone that is added
later, or a NAT gateway, moves no subnet, and a moved subnet would be replaced with everything in it.

    lower half      private subnets, one slot of a sixteenth of the VPC for each of eight zones
    third quarter   public subnets, one slot of a thirty-second of the VPC for each of eight zones
    fourth quarter  nothing: room for a cluster's pods or another tier
"""

import ipaddress
from dataclasses import dataclass

_SLOT_BITS = 3

MOST_ZONES = 6
"""The layout has room for eight. No region of AWS has more than six."""

LARGEST_VPC, SMALLEST_VPC = 16, 23
"""Prefix lengths. AWS takes a VPC of /16 to /28 and no subnet smaller than /28, which the layout reaches at /23:
https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


@dataclass(frozen=True)
class SubnetPlan:
    """CIDR blocks by zone, in the order of the zones."""

    private: tuple[str, ...]
    public: tuple[str, ...]


def plan_subnets(cidr_block: str, zones: int) -> SubnetPlan:
    """The subnets of `zones` zones. Raises ValueError for a block outside /16 to /23 and for too many zones."""
    network = ipaddress.IPv4Network(cidr_block)
    if not LARGEST_VPC <= network.prefixlen <= SMALLEST_VPC:
        raise ValueError(f"{cidr_block}: the layout needs a block of /{LARGEST_VPC} to /{SMALLEST_VPC}")
    if not 1 <= zones <= MOST_ZONES:
        raise ValueError(f"{zones} zones: the layout takes 1 to {MOST_ZONES}")
    lower, upper = network.subnets(prefixlen_diff=1)
    third_quarter = next(upper.subnets(prefixlen_diff=1))
    return SubnetPlan(
        private=tuple(str(block) for block in list(lower.subnets(prefixlen_diff=_SLOT_BITS))[:zones]),
        public=tuple(str(block) for block in list(third_quarter.subnets(prefixlen_diff=_SLOT_BITS))[:zones]),
    )
