"""What an upgrade would lose: replaced or deleted where something serves or stores, renamed without an alias.

Pure: a recorded graph and what a preview said of it go in, lines for a person come out.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi

from infra.rehearsal.engine import urns
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import Result, RunFailed, Step

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
MODEL = "aws:sagemaker/model:Model"

SERVES_OR_STORES: Mapping[str, str] = {
    "aws:apigatewayv2/api:Api": "its id is in the host name that clients call",
    "aws:apigatewayv2/authorizer:Authorizer": "callers are refused while it is missing",
    "aws:apigatewayv2/integration:Integration": "its routes answer nothing while it is missing",
    "aws:apigatewayv2/route:Route": "clients get 404 while it is missing",
    "aws:apigatewayv2/stage:Stage": "clients get nothing while it is missing",
    "aws:athena/workgroup:Workgroup": "the history of its queries goes with it",
    "aws:cloudwatch/eventRule:EventRule": "what happens while it is missing is never told",
    "aws:cloudwatch/eventTarget:EventTarget": "what happens while it is missing is never told",
    "aws:cloudwatch/logGroup:LogGroup": "its entries go with it",
    "aws:cloudwatch/logStream:LogStream": "its entries go with it",
    "aws:ec2/routeTable:RouteTable": "its subnets reach nothing while it is missing",
    "aws:ec2/securityGroup:SecurityGroup": "what serves is attached to it, and AWS refuses to delete it",
    "aws:ec2/subnet:Subnet": "what serves stands in it, and AWS refuses to delete it",
    "aws:ec2/vpc:Vpc": "the whole environment stands in it",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "models reach S3, ECR and logs through it and nothing else",
    "aws:ecr/repository:Repository": "its images go with it",
    "aws:glue/catalogDatabase:CatalogDatabase": "its tables and partitions go with it",
    "aws:glue/catalogTable:CatalogTable": "queries of the prediction log find nothing while it is missing",
    "aws:iam/policy:Policy": "roles that run are bounded by it, and IAM refuses to delete it",
    "aws:iam/role:Role": "what runs under it is refused everything while it is missing",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "the records that it has buffered go with it",
    "aws:kms/key:Key": "everything encrypted with it can never be read again",
    "aws:lambda/function:Function": "the front door and the log stop while it is missing",
    "aws:s3/bucket:Bucket": "its objects go with it",
    ENDPOINT: "it serves the model",
    CONFIGURATION: "a live endpoint uses it",
    MODEL: "a live endpoint uses it",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "the registered versions of the model go with it",
    "aws:sns/topic:Topic": "its subscribers go with it, and pages reach nobody",
    "aws:sqs/queue:Queue": "the records that wait in it go with it",
    "pulumi:providers:aws": "everything in the stack hangs on it",
}
"""Why each type may be neither replaced nor deleted by an upgrade."""

REPLACEABLE: Mapping[str, str] = {
    "aws:appautoscaling/policy:Policy": "the endpoint keeps its instances meanwhile",
    "aws:appautoscaling/target:Target": "the endpoint keeps its instances meanwhile",
    "aws:athena/namedQuery:NamedQuery": "a text that is made again",
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": "judged anew from its alarms as soon as it is there",
    "aws:cloudwatch/dashboard:Dashboard": "a drawing that is made again",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "judged anew from the metric's past within a minute",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "adopted, never made or deleted",
    "aws:ec2/flowLog:FlowLog": "what it wrote is in the log group",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "AWS moves it to another table in one call",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "a rule that is made again",
    "aws:iam/rolePolicy:RolePolicy": "the real provider puts it in one call",
    "aws:kms/alias:Alias": "a name; nothing is encrypted through it",
    "aws:lambda/eventSourceMapping:EventSourceMapping": "what it would read waits in the queue",
    "aws:lambda/permission:Permission": "a statement of a policy, gone for a moment",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "a setting of a bucket that stays",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "a setting of a bucket that stays",
    "aws:s3/bucketPolicy:BucketPolicy": "a setting of a bucket that stays",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "a setting of a bucket that stays",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "a setting of a bucket"
    " that stays",
    "aws:s3/bucketVersioning:BucketVersioning": "a setting of a bucket that stays",
    "aws:sns/topicPolicy:TopicPolicy": "a setting of a topic that stays",
    "aws:sqs/queuePolicy:QueuePolicy": "a setting of a queue that stays",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "a rule, gone for a moment",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "a rule, gone for a moment",
}
"""Why each other type may be. A type in neither list is undecided, and a test says so."""

RELEASED = frozenset({MODEL, CONFIGURATION})
"""Named by their content: a release makes new ones and drops old ones, and none of it is a rename."""
_GONE = frozenset({"delete", "forget"})
_FLAGS = (("protect", "protected"), ("retain_on_delete", "kept in AWS when the program drops it"))


@dataclass(frozen=True)
class Loss:
    """One thing that an upgrade must not do."""

    urn: str
    text: str

    def __str__(self) -> str:
        return f"{urns.qualified_type(self.urn).rpartition('$')[2]} {urns.name_of(self.urn)}: {self.text}"


@dataclass(frozen=True)
class Run:
    """What a preview said."""

    steps: Sequence[Step]
    flags: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    """`protect` and `retain_on_delete` by URN, as the program asks for them now."""
    moved: Mapping[str, str] = field(default_factory=dict)
    """The URNs that a resource may have had -> the URN that it has now."""
    failures: Sequence[tuple[str, str]] = ()
    """(URN, what the engine said)."""
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Result) -> Run:
        if isinstance(result.error, RunFailed):
            failures = [(failure.urn, failure.message) for failure in result.error.failures]
        else:
            failures = [] if result.error is None else [("", _words(result.error))]
        return cls(
            steps=tuple(result.steps),
            flags={each.urn: {name: getattr(each.options, name) for name, _ in _FLAGS} for each in result.resources},
            moved={alias: each.urn for each in result.resources for alias in each.options.aliases},
            failures=tuple(failures),
            outputs=result.outputs,
        )


@dataclass(frozen=True)
class Verdict:
    """`lost` is what an upgrade must not do; `changes` all else that it would do."""

    lost: tuple[Loss, ...]
    changes: tuple[str, ...]

    def without(self, accepted: Mapping[str, str]) -> tuple[list[Loss], list[str]]:
        """Losses that no pattern of URNs in `accepted` covers, and the patterns that cover none."""
        left = [loss for loss in self.lost if not any(fnmatch.fnmatchcase(loss.urn, each) for each in accepted)]
        unused = [each for each in accepted if not any(fnmatch.fnmatchcase(loss.urn, each) for loss in self.lost)]
        return left, unused


def judge(before: Sequence[ResourceState], run: Run) -> Verdict:
    """Holds a preview against what stood before it."""
    old = {item.urn: item for item in before}
    ops = _ops(run.steps)
    gone = [old[urn] for urn, step in ops.items() if step.op in _GONE and urn in old]
    made = [urn for urn, step in ops.items() if step.op == "create"]
    released = {item.urn for item in gone if item.type in RELEASED and not _still_used(item, before, ops, run)}
    lost = [
        Loss(urn, f"the plan fails: {message}") if urn else Loss(_stack(before), message)
        for urn, message in run.failures
    ]
    for urn, step in ops.items():
        reason = SERVES_OR_STORES.get(urns.type_of(urn))
        if reason and step.op == "create-replacement":
            keys = ", ".join(step.replace_keys) or "no property says why"
            lost.append(Loss(urn, f"would be replaced ({keys}), but {reason}"))
        elif reason and step.op in _GONE and urn in old and urn not in released:
            lost.append(Loss(urn, f"would be deleted, but {reason}"))
    lost += _renamed(gone, made)
    lost += _bared(before, run)
    blamed = {loss.urn for loss in lost}
    changes = [
        _told(urn, step)
        for urn, step in ops.items()
        if step.op not in ("same", "read", "refresh") and urn not in blamed
    ]
    return Verdict(tuple(lost), tuple(changes))


def _ops(steps: Iterable[Step]) -> dict[str, Step]:
    """The step of each URN; of a replacement the creating half."""
    found: dict[str, Step] = {}
    for step in steps:
        if not urns.is_default_provider(step.urn) and (step.op != "delete-replaced" or step.urn not in found):
            found[step.urn] = step
    return found


def _still_used(item: ResourceState, before: Sequence[ResourceState], ops: Mapping[str, Step], run: Run) -> bool:
    """Whether an endpoint that stays as it is serves from a model or configuration that goes."""
    name = item.outputs.get("name", item.id)
    if item.type == MODEL:
        users = [each for each in before if each.type == CONFIGURATION and name in _models_of(each)]
        # A configuration that stays and is not used by anybody still needs its model, or it can never be used again.
        return any(
            ops.get(run.moved.get(each.urn, each.urn), Step("same", each.urn)).op not in _GONE
            or _still_used(each, before, ops, run)
            for each in users
        )
    for endpoint in before:
        if endpoint.type == ENDPOINT and endpoint.outputs.get("endpointConfigName") == name:
            step = ops.get(run.moved.get(endpoint.urn, endpoint.urn))
            if step is None or step.op == "same" or (step.op == "update" and "endpointConfigName" not in step.keys):
                return True
    return False


def _models_of(configuration: ResourceState) -> list[str]:
    lists = (configuration.outputs.get(each) or [] for each in ("productionVariants", "shadowProductionVariants"))
    return [variant.get("modelName", "") for variants in lists for variant in variants]


def _renamed(gone: Sequence[ResourceState], made: Sequence[str]) -> Iterator[Loss]:
    """One of a type goes and one comes: only an alias says that both are the same. The topmost pair stands for all
    below it."""
    pairs: dict[str, str] = {}
    free = list(made)
    for item in sorted(gone, key=lambda item: item.urn.count("$")):
        if item.type in RELEASED:
            continue
        candidates = [urn for urn in free if urns.type_of(urn) == item.type]
        if candidates:
            pairs[item.urn] = max(candidates, key=lambda urn: _likeness(item.urn, urn))
            free.remove(pairs[item.urn])
    going = {item.urn for item in gone}
    for item in gone:
        if item.urn not in pairs or item.parent in pairs:
            continue
        new = pairs[item.urn]
        below = sum(1 for each in gone if _is_below(each, item.urn, gone, going))
        others = f" (and {below} below it)" if below else ""
        alias = "parent=ITS FORMER PARENT" if urns.name_of(new) == item.name else f"name={item.name!r}"
        yield Loss(
            item.urn,
            f"would be deleted{others} and {_as_child(new)} created: renamed without an alias? "
            f"Give the new one aliases=[pulumi.Alias({alias})]",
        )


def _is_below(item: ResourceState, urn: str, gone: Sequence[ResourceState], going: set[str]) -> bool:
    by_urn = {each.urn: each for each in gone}
    parent = item.parent
    while parent in going:
        if parent == urn:
            return True
        parent = by_urn[parent].parent
    return False


def _likeness(old: str, new: str) -> tuple[bool, bool, float]:
    same_place = urns.qualified_type(old) == urns.qualified_type(new)
    one, other = urns.name_of(old), urns.name_of(new)
    return one == other, same_place, difflib.SequenceMatcher(None, one, other).ratio()


def _as_child(urn: str) -> str:
    return f"{urns.qualified_type(urn).replace('$', ' > ')} {urns.name_of(urn)}"


def _bared(before: Sequence[ResourceState], run: Run) -> Iterator[Loss]:
    for item in before:
        flags = run.flags.get(run.moved.get(item.urn, item.urn))
        if flags is None or item.type not in SERVES_OR_STORES:
            continue
        for name, words in _FLAGS:
            if getattr(item, name) and not flags[name]:
                yield Loss(item.urn, f"would no longer be {words}, but {SERVES_OR_STORES[item.type]}")


def _words(error: BaseException) -> str:
    """What a person is told. The SDK puts what it was doing before what went wrong; our own errors say what it is."""
    return str(error) if isinstance(error, pulumi.RunError) else str(error).strip().rpartition("\n")[2]


def _stack(before: Sequence[ResourceState]) -> str:
    stacks = [item.urn for item in before if item.type == urns.STACK_TYPE]
    return stacks[0] if stacks else urns.make("", "", "", urns.STACK_TYPE, "")


def _told(urn: str, step: Step) -> str:
    keys = f" ({', '.join(step.keys)})" if step.keys and step.op != "create" else ""
    return f"{step.op} {urns.type_of(urn)} {urns.name_of(urn)}{keys}"
