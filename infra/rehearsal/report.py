"""What a rehearsal did: resources, predictions, times, and what was emulated and what was real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.rehearsal.traffic import Traffic

REAL = (
    "the Pulumi program, its components and the Pulumi SDK",
    "every AWS call: parsed and checked by botocore's service models, then authorised by the deployed policies",
    "your inference.py in a process of its own, from the archive in the registry bucket, with the network closed",
    "HTTP between client and endpoint, data capture, the metrics that SageMaker publishes",
)
EMULATED = (
    "the Pulumi engine (an in-process one; no pulumi command is needed)",
    "AWS itself: moto, with SageMaker, CloudWatch and Application Auto Scaling written for this rehearsal",
    "the serving image's HTTP stack and its machine: one process a variant stands for all its instances",
    "time: nothing waits as long as AWS makes it wait; nothing costs money",
)


@dataclass(frozen=True)
class ResourceLine:
    """One resource for the tree."""

    urn: str
    parent: str
    type: str
    name: str


@dataclass
class StackReport:
    stack: str
    changes: Mapping[str, int]
    resources: Sequence[ResourceLine]
    seconds: float

    @property
    def by_type(self) -> Mapping[str, int]:
        return dict(sorted(Counter(line.type for line in self.resources).items()))

    def as_dict(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "total": len(self.resources),
            "changes": dict(self.changes),
            "by_type": dict(self.by_type),
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Report:
    """Everything that `mainstage rehearse` tells. `ok` is False when a prediction failed or a metric disagrees."""

    environment: str
    account_id: str
    region: str
    endpoint_url: str = ""
    stacks: list[StackReport] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    published_invocations: Mapping[str, float] = field(default_factory=dict)
    """Model -> the Sum of AWS/SageMaker Invocations that CloudWatch holds."""
    not_served: dict[str, str] = field(default_factory=dict)
    """Model -> why this rehearsal does not serve it, though nothing is wrong."""
    refused: dict[str, str] = field(default_factory=dict)
    """Model -> why its folder could not be registered."""
    differences: list[str] = field(default_factory=list)
    """Where the model's environment is not the image's, one line each."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Who answered the AWS calls: overlay, store, moto, door (a refusal)."""
    seconds: dict[str, float] = field(default_factory=dict)
    try_it: str = ""

    @property
    def problems(self) -> list[str]:
        found = [f"{model} could not be registered and is not served: {why}" for model, why in self.refused.items()]
        for each in self.traffic:
            for error, count in each.errors.most_common(3):
                found.append(f"{each.model}: {count} of {each.sent} predictions failed: {error}")
            if not each.errors and self.published_invocations.get(each.model) != each.sent:
                found.append(
                    f"{each.model}: {each.sent} predictions were sent, but CloudWatch counts "
                    f"{self.published_invocations.get(each.model, 0):g}"
                )
        return found

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The one object that --json prints."""
        return {
            "ok": self.ok,
            "problems": self.problems,
            "environment": self.environment,
            "account_id": self.account_id,
            "region": self.region,
            "endpoint_url": self.endpoint_url,
            "resources": {each.stack: each.as_dict() for each in self.stacks},
            "predictions": {
                each.model: {
                    "sent": each.sent,
                    "answered": each.answered,
                    "errors": dict(each.errors),
                    "versions": dict(each.versions),
                    "p50_ms": each.percentile_ms(50),
                    "p95_ms": each.percentile_ms(95),
                    "p99_ms": each.percentile_ms(99),
                    "published_invocations": self.published_invocations.get(each.model, 0),
                }
                for each in self.traffic
            },
            "not_served": dict(self.not_served),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "aws_calls": dict(self.calls),
            "real": list(REAL),
            "emulated": list(EMULATED),
            "differences": self.differences,
            "try": self.try_it,
        }
