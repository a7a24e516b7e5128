"""Resources of our own stacks, and what each rule refuses of them when one property is changed."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from infra.policy_check import as_stack, recorded
from policies.rules import RULES, Resource, Rule, Stack

ROOT = Path(__file__).resolve().parents[2]
REMOVED = object()
"""As a value: the property is taken away."""


@cache
def graph(stack: str) -> Stack:
    """One of our stacks as it would be registered."""
    layer, environment = stack.split("-")
    platform = None if layer == "platform" else recorded(ROOT, f"platform-{environment}")
    return as_stack(stack, recorded(ROOT, stack, platform).resources)


def real(name: str, stack: str = "models-prod") -> Resource:
    """A resource by the beginning of its name (that of a release ends in a hash)."""
    found = [each for each in graph(stack).resources if each.name == name or each.name.startswith(f"{name}-v1-")]
    assert len(found) == 1, (name, [each.name for each in graph(stack).resources])
    return found[0]


def made(type_: str, properties: dict[str, Any], stack: str = "models-prod") -> Resource:
    """A resource of a type that our stacks do not have."""
    return Resource(f"urn:pulumi:{stack}::mainstage::{type_}::made", type_, "made", properties)


def changed(resource: Resource, path: str, value: Any) -> Resource:
    """The resource with another value at a path, such as `rules[0].status`; `protect` is the option."""
    if path == "protect":
        return replace(resource, protect=value)
    properties = copy.deepcopy(dict(resource.properties))
    *inner, last = [int(key[1:-1]) if key.startswith("[") else key for key in re.findall(r"\[\d+\]|[^.\[\]]+", path)]
    target: Any = properties
    for key in inner:
        target = target[key]
    if value is REMOVED:
        del target[last]
    else:
        target[last] = value
    return replace(resource, properties=properties)


def without_statements(text: str, effect: str) -> str:
    """A policy document without its statements of an effect."""
    document = json.loads(text)
    kept = [statement for statement in document["Statement"] if statement["Effect"] != effect]
    return json.dumps({**document, "Statement": kept})


def allowing(**more: Any) -> str:
    """A policy document with one statement that allows."""
    statement = {"Sid": "Made", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::a/*"], **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Case:
    """A change that one rule refuses."""

    rule: str
    good: Callable[[], Resource]
    path: str
    """What is changed."""
    value: Any
    named: str = ""
    """What the rule names. Empty: the path."""
    shows: Any = field(default=REMOVED)
    """The value that the rule shows. REMOVED: the changed one; of a property that was taken away, None."""

    @property
    def bad(self) -> Resource:
        return changed(self.good(), self.path, self.value)

    @property
    def found(self) -> tuple[str, Any]:
        value = (None if self.value is REMOVED else self.value) if self.shows is REMOVED else self.shows
        return (self.named or self.path, value)


@dataclass(frozen=True)
class StackCase:
    """A change of a stack that a rule refuses: a resource that is missing, or one property of it."""

    rule: str
    stack: str
    name: str
    """The resource that is changed, or (without a path) missing."""
    at: str
    """The resource that the rule names."""
    named: str
    shows: Any
    path: str = ""
    value: Any = None

    @property
    def good(self) -> Stack:
        return graph(self.stack)

    @property
    def bad(self) -> Stack:
        resource = real(self.name, self.stack)
        others = [each for each in self.good.resources if each is not resource]
        return Stack(self.stack, (*others, changed(resource, self.path, self.value)) if self.path else tuple(others))


def rule_named(name: str) -> Rule:
    return next(rule for rule in RULES if rule.about.name == name)


def platform(name: str) -> Callable[[], Resource]:
    return lambda: real(name, "platform-prod")


def models(name: str) -> Callable[[], Resource]:
    return lambda: real(name)


_DEFAULT = "rules[0].applyServerSideEncryptionByDefault"
_RESULT = "configuration.resultConfiguration.encryptionConfiguration"
_ALARMS = "deploymentConfig.autoRollbackConfiguration.alarms"
_OPEN = {"Principal": "*", "Action": ["s3:GetObject"]}
_IMAGE = "registry.example.com/team/"


def _function_url() -> Resource:
    return made("aws:lambda/functionUrl:FunctionUrl", {"authorizationType": "AWS_IAM"})


def _secret_policy() -> Resource:
    return made("aws:secretsmanager/secretPolicy:SecretPolicy", {"policy": allowing(Principal={"AWS": "333333333333"})})


def _chart() -> Resource:
    return made("kubernetes:helm.sh/v3:Release", {"chart": "keda", "version": "2.17.2"})


def _deployment() -> Resource:
    pod = {"containers": [{"name": "web", "image": f"{_IMAGE}web:1.4.2"}]}
    return made("kubernetes:apps/v1:Deployment", {"spec": {"template": {"spec": pod}}})


def _attachment() -> Resource:
    arn = "arn:aws:iam::333333333333:policy/mainstage-prod-reader"
    return made("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"role": "a", "policyArn": arn})


CASES = (
    Case("bucket-encrypted", platform("capture-encryption"), f"{_DEFAULT}.sseAlgorithm", "AES256"),
    Case("bucket-encrypted", platform("capture-encryption"), f"{_DEFAULT}.kmsMasterKeyId", REMOVED),
    Case("bucket-encrypted", platform("capture-encryption"), "rules[0].bucketKeyEnabled", False),
    Case("bucket-encrypted", platform("capture-encryption"), "rules", []),
    Case("queue-encrypted", models("iris-log-spool"), "kmsMasterKeyId", REMOVED),
    Case("topic-encrypted", platform("pager-page"), "kmsMasterKeyId", REMOVED),
    Case("log-group-encrypted", models("iris-route-logs"), "kmsKeyId", REMOVED),
    Case(
        "repository-encrypted", platform("registry-repository"), "encryptionConfigurations[0].encryptionType", "AES256"
    ),
    Case("repository-encrypted", platform("registry-repository"), "encryptionConfigurations[0].kmsKey", REMOVED),
    Case("stream-encrypted", models("iris-log-stream"), "serverSideEncryption.keyType", "AWS_OWNED_CMK"),
    Case("stream-encrypted", models("iris-log-stream"), "extendedS3Configuration.kmsKeyArn", REMOVED),
    Case("endpoint-encrypted", models("iris-endpoint-config"), "kmsKeyArn", REMOVED),
    Case("endpoint-encrypted", models("iris-endpoint-config"), "dataCaptureConfig.kmsKeyId", REMOVED),
    Case("query-results-encrypted", models("iris-log-workgroup"), f"{_RESULT}.encryptionOption", "SSE_S3"),
    Case("query-results-encrypted", models("iris-log-workgroup"), f"{_RESULT}.kmsKeyArn", REMOVED),
    Case("query-results-encrypted", models("iris-log-workgroup"), "configuration.enforceWorkgroupConfiguration", False),
    Case("key-rotated", platform("key-key"), "enableKeyRotation", False),
    Case("bucket-tls-only", platform("capture-policy"), "policy", allowing(), shows=["Made"]),
    Case("queue-tls-only", models("iris-log-spool-policy"), "policy", allowing(), shows=["Made"]),
    Case("topic-tls-only", platform("pager-page-policy"), "policy", allowing(), shows=["Made"]),
    Case("bucket-not-public", platform("capture-public-access"), "blockPublicAcls", False),
    Case("bucket-not-public", platform("capture-public-access"), "restrictPublicBuckets", REMOVED),
    Case("no-open-policy", platform("capture-policy"), "policy", allowing(**_OPEN), "policy.Made.Principal", "*"),
    Case("no-open-policy", _secret_policy, "policy", allowing(**_OPEN), "policy.Made.Principal", "*"),
    Case("function-callers-named", models("iris-route-permission"), "sourceArn", REMOVED),
    Case("function-callers-named", models("iris-route-permission"), "principal", "*"),
    Case("no-open-ingress", platform("network-endpoints-https"), "cidrIpv4", "0.0.0.0/0"),
    Case(
        "no-open-ingress",
        platform("network-endpoints"),
        "ingress",
        [{"cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}],
        "ingress[0].cidrBlocks",
        "0.0.0.0/0",
    ),
    Case("route-authorized", models("iris-route-route"), "authorizationType", "NONE"),
    Case("route-authorized", models("iris-route-route"), "authorizationType", REMOVED),
    Case("route-authorized", _function_url, "authorizationType", "NONE"),
    Case("model-isolated", models("iris-endpoint-model"), "enableNetworkIsolation", False),
    Case("model-isolated", models("iris-endpoint-model"), "vpcConfig", REMOVED),
    Case("bucket-versioned", platform("capture-versioning"), "versioningConfiguration.status", "Suspended"),
    Case(
        "bucket-lifecycle",
        platform("capture-lifecycle"),
        "rules[0].noncurrentVersionExpiration",
        REMOVED,
        "rules[].noncurrentVersionExpiration",
    ),
    Case("log-retention", models("iris-route-logs"), "retentionInDays", 30),
    Case("log-retention", models("iris-route-logs"), "retentionInDays", 0),
    Case("log-retention", models("iris-route-logs"), "retentionInDays", REMOVED),
    Case("function-logs-kept", models("iris-route-function"), "loggingConfig", REMOVED, "loggingConfig.logGroup"),
    Case("deletion-protected", platform("capture-bucket"), "protect", False, "protect (resource option)"),
    Case("deletion-protected", models("iris-endpoint-endpoint"), "protect", False, "protect (resource option)"),
    Case("no-forced-deletion", platform("capture-bucket"), "forceDestroy", True),
    Case("no-forced-deletion", platform("registry-repository"), "forceDelete", True),
    Case("key-deletion-window", platform("key-key"), "deletionWindowInDays", 7),
    Case(
        "required-tags",
        models("iris-route-function"),
        "tags",
        {"mainstage:owner": ""},
        'tags["mainstage:owner"]',
        "",
    ),
    Case(
        "required-tags",
        models("iris-route-function"),
        "tags",
        {"mainstage:environment": "dev"},
        'tags["mainstage:environment"]',
        "dev",
    ),
    Case(
        "iam-actions-named",
        models("iris-route-policy"),
        "policy",
        allowing(Action="s3:*"),
        "policy.Made.Action",
        "s3:*",
    ),
    Case(
        "iam-actions-named",
        models("iris-route-role"),
        "inlinePolicies",
        [{"policy": allowing(Action=["*"])}],
        "inlinePolicies[0].policy.Made.Action",
        "*",
    ),
    Case(
        "iam-resources-named",
        models("iris-route-policy"),
        "policy",
        allowing(Resource="*", Condition={"Bool": {"a": "true"}}),
        "policy.Made.Resource",
        "*",
    ),
    Case(
        "iam-resources-named",
        platform("boundary-policy"),
        "policy",
        allowing(Action="ecr:GetAuthorizationToken", Resource="*"),
        "policy.Made.Condition",
        None,
    ),
    Case("iam-no-broad-policies", _attachment, "policyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess"),
    Case(
        "iam-no-broad-policies",
        models("iris-route-role"),
        "managedPolicyArns",
        ["arn:aws:iam::aws:policy/AdministratorAccess"],
        "managedPolicyArns[0]",
        "arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    Case("role-boundary", models("iris-route-role"), "permissionsBoundary", REMOVED),
    Case(
        "role-trust-named",
        models("iris-route-role"),
        "assumeRolePolicy",
        allowing(Principal={"AWS": "*"}),
        "assumeRolePolicy.Made.Principal",
        "*",
    ),
    Case("instance-families", models("iris-endpoint-config"), "productionVariants[0].instanceType", "ml.t2.medium"),
    Case("instance-families", models("iris-endpoint-config"), "productionVariants[0].instanceType", "ml.p3.2xlarge"),
    Case("prod-two-instances", models("iris-endpoint-config"), "productionVariants[0].initialInstanceCount", 1),
    Case("prod-two-instances", models("iris-endpoint-scaling-target"), "minCapacity", 1),
    Case("instance-limit", models("iris-endpoint-config"), "productionVariants[0].initialInstanceCount", 60),
    Case("instance-limit", models("iris-endpoint-scaling-target"), "maxCapacity", 60),
    Case("endpoint-guarded", models("iris-endpoint-endpoint"), _ALARMS, []),
    Case("endpoint-guarded", models("iris-endpoint-endpoint"), "deploymentConfig", REMOVED, _ALARMS),
    Case("alarm-has-runbook", models("iris-endpoint-guards-errors"), "alarmDescription", "Errors. Runbook: ask Ann"),
    Case("alarm-has-runbook", models("iris-endpoint-guards-errors"), "alarmDescription", REMOVED),
    Case("image-pinned", models("iris-endpoint-model"), "primaryContainer.image", f"{_IMAGE}iris:latest"),
    Case("image-pinned", models("iris-endpoint-model"), "primaryContainer.image", f"{_IMAGE}iris"),
    Case("image-pinned", models("iris-route-function"), "imageUri", "registry.example.com:5000/door"),
    Case(
        "image-pinned",
        _deployment,
        "spec.template.spec.containers[0].image",
        f"{_IMAGE}web:gpu-latest",
        "containers[0].image",
    ),
    Case("repository-immutable", platform("registry-repository"), "imageTagMutability", "MUTABLE"),
    Case("repository-immutable", platform("registry-repository"), "imageScanningConfiguration.scanOnPush", False),
    Case("chart-pinned", _chart, "version", "^2.17"),
    Case("chart-pinned", _chart, "version", REMOVED),
    Case("queue-dead-letters", models("iris-log-spool"), "redrivePolicy", REMOVED),
)
"""Of rules that look at one resource."""

_STREAM_NAME = "environment.variables.MAINSTAGE_STREAM_NAME"
_ENDPOINT = "iris-endpoint-endpoint"

_ERRORS = "iris-endpoint-guards-errors"

STACK_CASES = (
    StackCase("alarm-has-action", "models-prod", _ERRORS, _ERRORS, "alarmActions", [], "alarmActions", []),
    StackCase("alarm-has-action", "models-prod", _ERRORS, _ERRORS, "actionsEnabled", False, "actionsEnabled", False),
    StackCase(
        "endpoint-guards-declared",
        "models-prod",
        "iris-endpoint-guards-drift",
        _ENDPOINT,
        f"{_ALARMS}[4].alarmName",
        "prod-iris-guard-drift",
    ),
    StackCase("endpoint-has-front-door", "models-prod", "iris-route-function", _ENDPOINT, "front door", None),
    StackCase(
        "endpoint-logs-predictions",
        "models-prod",
        "iris-log-stream",
        "iris-route-function",
        _STREAM_NAME,
        "prod-iris-predictions",
    ),
    StackCase(
        "endpoint-logs-predictions",
        "models-prod",
        "iris-route-function",
        "iris-route-function",
        _STREAM_NAME,
        "",
        "environment.variables.MAINSTAGE_STREAM_NAME",
        "",
    ),
    *(
        StackCase("bucket-complete", "platform-prod", f"capture-{part}", "capture-bucket", named, None)
        for part, named in (
            ("encryption", "encryption"),
            ("public-access", "public access block"),
            ("versioning", "versioning"),
            ("policy", "policy"),
            ("lifecycle", "lifecycle"),
        )
    ),
)
"""Of rules that look at a whole stack."""
