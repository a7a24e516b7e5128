"""Every rule of the pack."""

from __future__ import annotations

from . import access, buckets, capacity, durability, encryption, exposure, pinning, queues, tagging, transport, watching
from .resource import UNKNOWN, Resource, Stack
from .rule import About, Problem, ResourceRule, Rule, StackRule

RULES: tuple[Rule, ...] = (
    *encryption.RULES,
    *transport.RULES,
    *exposure.RULES,
    *durability.RULES,
    *tagging.RULES,
    *access.RULES,
    *capacity.RULES,
    *watching.RULES,
    *pinning.RULES,
    *queues.RULES,
    *buckets.RULES,
)

__all__ = ["RULES", "UNKNOWN", "About", "Problem", "Resource", "ResourceRule", "Rule", "Stack", "StackRule"]
