"""How much is bought, and that prod does not stand on one instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from .resource import PRODUCTION, UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule

_GENERAL = ("ml.m5.*", "ml.m6i.*", "ml.m7i.*", "ml.c5.*", "ml.c6i.*", "ml.c7i.*", "ml.r5.*", "ml.r6i.*", "ml.r7i.*")

FAMILIES: Mapping[str, tuple[str, ...]] = {
    # One GPU, the smallest machine that has it.
    "dev": (*_GENERAL, "ml.t2.*", "ml.t3.*", "ml.g4dn.xlarge", "ml.g5.xlarge", "ml.g6.xlarge"),
    "staging": (*_GENERAL, "ml.g4dn.*", "ml.g5.*", "ml.g6.*"),
    # Without the burstable ones, which slow down when their credits are used up.
    "prod": (*_GENERAL, "ml.g4dn.*", "ml.g5.*", "ml.g6.*", "ml.g6e.*", "ml.p4d.*", "ml.p5.*", "ml.inf2.*"),
}
"""Instance types that an endpoint may have, by environment."""

MOST_INSTANCES: Mapping[str, int] = {"dev": 4, "staging": 8, "prod": 50}
"""Instances of one variant, by environment: ten times what is usual, so that a slip of the keyboard is found."""

LEAST_INSTANCES = 2
"""Of a variant in prod, where nobody sees a gap when an instance is replaced."""

_VARIANTS = ("productionVariants", "shadowProductionVariants")
_CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
_TARGET = "aws:appautoscaling/target:Target"


def _variants(resource: Resource, *lists: str) -> Iterator[tuple[str, Mapping]]:
    for name in lists or _VARIANTS:
        for index, variant in enumerate(items(resource.get(name))):
            if variant is not UNKNOWN:
                yield f"{name}[{index}]", variant


def _families(resource: Resource) -> Iterator[Problem]:
    allowed = FAMILIES[resource.environment]
    for where, variant in _variants(resource):
        type_ = variant.get("instanceType")
        if isinstance(type_, str) and not any(fnmatchcase(type_, pattern) for pattern in allowed):
            yield Problem(f"{where}.instanceType", type_, f"{', '.join(allowed)} in {resource.environment}")


def _least(resource: Resource) -> Iterator[Problem]:
    if resource.environment != PRODUCTION:
        return
    if resource.type == _TARGET:
        counts = [("minCapacity", resource.get("minCapacity"))] if _scales_endpoint(resource) else []
    else:
        counts = [
            (f"{where}.initialInstanceCount", variant.get("initialInstanceCount"))
            for where, variant in _variants(resource, "productionVariants")
            if variant.get("serverlessConfig") is None
        ]
    for where, count in counts:
        if count is not UNKNOWN and (not isinstance(count, int | float) or count < LEAST_INSTANCES):
            yield Problem(where, count, f"{LEAST_INSTANCES} or more in prod")


def _most(resource: Resource) -> Iterator[Problem]:
    most = MOST_INSTANCES[resource.environment]
    if resource.type == _TARGET:
        counts = [("maxCapacity", resource.get("maxCapacity"))] if _scales_endpoint(resource) else []
    else:
        counts = [(f"{where}.initialInstanceCount", v.get("initialInstanceCount")) for where, v in _variants(resource)]
    for where, count in counts:
        if isinstance(count, int | float) and count > most:
            yield Problem(where, count, f"{most} at most in {resource.environment}")


def _scales_endpoint(resource: Resource) -> bool:
    return resource.get("serviceNamespace") == "sagemaker"


RULES = (
    ResourceRule(
        About(
            "instance-families",
            "An endpoint has an instance type that its environment may buy: one GPU in dev, none that bursts in prod.",
            "A p5 instance left on in dev over a weekend costs more than the team's month.",
            "choose another capacity.instance_type in the model's file, or change FAMILIES in rules/capacity.py",
        ),
        (_CONFIGURATION,),
        _families,
    ),
    ResourceRule(
        About(
            "prod-two-instances",
            f"In prod a variant has at least {LEAST_INSTANCES} instances, also when it is scaled in.",
            "One instance is one zone, and none while AWS replaces it.",
            "set capacity.instance_count, and autoscaling.minimum, in the model's overlay of prod",
        ),
        (_CONFIGURATION, _TARGET),
        _least,
    ),
    ResourceRule(
        About(
            "instance-limit",
            "A variant has no more instances than its environment's limit: "
            + ", ".join(f"{count} in {name}" for name, count in MOST_INSTANCES.items())
            + ".",
            "A slip of the keyboard, 60 for 6, is seen on the bill a month later.",
            "lower the count in the model's file, or change MOST_INSTANCES in rules/capacity.py",
        ),
        (_CONFIGURATION, _TARGET),
        _most,
    ),
)
