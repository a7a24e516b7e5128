"""What a rehearsal did: resources, predictions, times, and what was emulated and what was real."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.rehearsal.drills.drill import Outcome
from infra.rehearsal.traffic import Traffic
from policies.rules import RULES

REAL = (
    "the Pulumi program, its components and the Pulumi SDK",
    "every AWS call: parsed and checked by botocore's service models, then authorised by the deployed policies",
    "your inference.py in a process of its own, from the archive in the registry bucket, with the network closed",
    "every Lambda function, from its deployed archive, in processes of its own, under its own role",
    "HTTP from the client to the front door, its signatures checked; the records, the Parquet they become, the SQL",
)
EMULATED = (
    "the Pulumi engine (an in-process one; no pulumi command is needed)",
    "AWS itself: moto, with SageMaker, API Gateway, Lambda, Firehose, Athena and CloudWatch written for this rehearsal",
    "the serving image's HTTP stack and its machine: one process a variant stands for all its instances",
    "Athena's engine is DuckDB: the same SQL, translated; its speed says nothing about AWS",
    "time: while a release bakes, a minute of the emulated AWS takes a fraction of a second; Firehose's buffer is "
    "flushed early; nothing costs money",
)


ANSWERED_BY = {
    "moto": "answered by moto",
    "overlay": "by what is written for this rehearsal",
    "store": "by a generic store",
    "door": "refused",
}


@dataclass(frozen=True)
class ResourceLine:
    """One resource for the tree."""

    urn: str
    parent: str
    type: str
    name: str
    dependencies: tuple[str, ...] = ()
    """URNs of what it takes values from."""


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


@dataclass(frozen=True)
class VersionLatency:
    """A row of the log's latency query."""

    version: str
    predictions: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass
class LogCheck:
    """What the log of one model holds after the traffic, by SQL."""

    received: int
    """Request ids that clients were given."""
    logged: int
    """Rows of the view `predictions`: one a request id."""
    missing: list[str] = field(default_factory=list)
    """Ids that clients hold and the log does not."""
    unknown: list[str] = field(default_factory=list)
    """Ids that the log holds and no client was given."""
    repeated: int = 0
    """Rows whose request id stands on another row too."""
    latencies: list[VersionLatency] = field(default_factory=list)
    scanned_bytes: int = 0
    objects: int = 0
    """Parquet objects that hold the records."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Refusal:
    """Calls that the door refused, of one kind."""

    call: str
    code: str
    principal: str
    count: int


@dataclass
class Report:
    """Everything that `mainstage rehearse` tells. `ok` is False when a prediction failed or a metric disagrees."""

    environment: str
    account_id: str
    region: str
    endpoint_url: str = ""
    stacks: list[StackReport] = field(default_factory=list)
    front_door_url: str = ""
    traffic: list[Traffic] = field(default_factory=list)
    slow_answers: Mapping[str, int] = field(default_factory=dict)
    """Model -> answers that the rehearsal delayed on purpose."""
    logs: dict[str, LogCheck] = field(default_factory=dict)
    """Model -> what its log holds."""
    refusals: list[Refusal] = field(default_factory=list)
    """AWS calls that were refused at the door, such as by a policy."""
    violations: dict[str, list[str]] = field(default_factory=dict)
    """Stack -> what the policy pack found in it."""
    published_invocations: Mapping[str, float] = field(default_factory=dict)
    """Model -> the Sum of AWS/SageMaker Invocations that CloudWatch holds."""
    drills: list[Outcome] = field(default_factory=list)
    """Drills that were played, in their order."""
    not_served: dict[str, str] = field(default_factory=dict)
    """Model -> why this rehearsal does not serve it, though nothing is wrong."""
    refused: dict[str, str] = field(default_factory=dict)
    """Model -> why its folder could not be registered."""
    differences: list[str] = field(default_factory=list)
    """Where the model's environment is not the image's, one line each."""
    played: list[str] = field(default_factory=list)
    """Who was stood in for in this run, besides EMULATED, one line each."""
    calls: Mapping[str, int] = field(default_factory=dict)
    """Who answered the AWS calls: overlay, store, moto, door (a refusal)."""
    seconds: dict[str, float] = field(default_factory=dict)
    try_it: str = ""
    curl: str = ""
    """A curl command that asks the front door, as it can be pasted."""
    page: str = ""
    """Path of the HTML page, relative to the checkout."""

    @property
    def calls_told(self) -> str:
        """`calls` for a person."""
        return ", ".join(f"{count:,} {ANSWERED_BY.get(name, name)}" for name, count in self.calls.items())

    @property
    def policies_told(self) -> str:
        """The policy pack's verdict for a person; empty where it has not judged."""
        if not self.violations:
            return ""
        broken = sum(map(len, self.violations.values()))
        judged = f"{len(RULES)} rules over {' and '.join(self.violations)}"
        return f"{judged}: {broken} broken" if broken else f"{judged}: none is broken"

    @property
    def emulated(self) -> list[str]:
        return [*EMULATED, *self.played]

    @property
    def problems(self) -> list[str]:
        found = [f"{model} could not be registered and is not served: {why}" for model, why in self.refused.items()]
        found += [f"{stack}: {text}" for stack, texts in self.violations.items() for text in texts]
        for each in self.traffic:
            for error, count in each.unexpected.most_common(3):
                found.append(
                    f"{each.model}: {count} of {each.sent} requests were not answered as they had to be: {error}"
                )
            counted = self.published_invocations.get(each.model, 0)
            if not each.unexpected and counted != len(each.answered):
                found.append(
                    f"{each.model}: {len(each.answered)} predictions were made, but CloudWatch counts {counted:g}"
                )
            found += self._log_problems(each.model)
        found += [f"drill {each.name}: {each.problem}" for each in self.drills if not each.kept]
        return found

    def _log_problems(self, model: str) -> list[str]:
        log = self.logs.get(model)
        if log is None:
            return []
        found = []
        if log.missing:
            found.append(
                f"{model}: {len(log.missing)} of {log.received} requests are not in the log: {log.missing[0]}, …"
            )
        if log.unknown:
            found.append(f"{model}: the log holds {len(log.unknown)} requests that no client made: {log.unknown[0]}, …")
        if log.repeated:
            found.append(f"{model}: {log.repeated} rows of the log repeat a request id")
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
                    "answered": len(each.answered),
                    "unexpected": dict(each.unexpected),
                    "replies": {
                        kind: {str(status): count for status, count in sorted(counts.items())}
                        for kind, counts in sorted(each.by_kind.items())
                    },
                    "versions": dict(each.versions),
                    "p50_ms": each.percentile_ms(50),
                    "p95_ms": each.percentile_ms(95),
                    "p99_ms": each.percentile_ms(99),
                    "published_invocations": self.published_invocations.get(each.model, 0),
                }
                for each in self.traffic
            },
            "front_door_url": self.front_door_url,
            "log": {model: log.as_dict() for model, log in self.logs.items()},
            "policies": {stack: list(texts) for stack, texts in self.violations.items()},
            "drills": [each.as_dict() for each in self.drills],
            "refused_calls": [asdict(each) for each in self.refusals],
            "not_served": dict(self.not_served),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "aws_calls": dict(self.calls),
            "real": list(REAL),
            "emulated": self.emulated,
            "differences": self.differences,
            "page": self.page,
            "try": self.try_it,
        }
