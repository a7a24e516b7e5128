"""Each rule on resources of our own stacks: silent as they are, and exact about one change."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from mainstage import _policy
from policy_cases import CASES, REMOVED, STACK_CASES, Case, StackCase, allowing, changed, graph, made, real, rule_named

from infra.settings import ENVIRONMENTS
from policies.rules import RULES, UNKNOWN, Resource, ResourceRule, Stack, StackRule
from policies.rules.access import WILDCARD_ACTIONS
from policies.rules.capacity import FAMILIES, MOST_INSTANCES
from policies.rules.durability import LEAST_LOG_DAYS
from policies.rules.pinning import pinned
from policies.rules.resource import environment_of, get
from policies.rules.rule import message, shown

COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"


def found(rule: str, looked_at: Resource | Stack) -> list[tuple[str, object]]:
    judging = rule_named(rule)
    return [(problem.property, problem.value) for problem in judging.judge(looked_at)]  # pyright: ignore[reportArgumentType]  # the case fits its rule


def _case_id(case: Case | StackCase) -> str:
    return f"{case.rule}-{case.path or 'missing'}"


@pytest.mark.parametrize("case", CASES, ids=_case_id)
def test_a_rule_lets_pass_and_refuses(case: Case) -> None:
    rule = rule_named(case.rule)
    assert isinstance(rule, ResourceRule)
    assert rule.applies_to(case.good().type)
    assert found(case.rule, case.good()) == []
    assert found(case.rule, case.bad) == [case.found]


@pytest.mark.parametrize("case", [case for case in CASES if case.path != "protect"], ids=_case_id)
def test_a_rule_says_nothing_of_what_is_not_known_yet(case: Case) -> None:
    """In a preview; the `up` judges it."""
    assert found(case.rule, changed(case.good(), case.path, UNKNOWN)) == []


@pytest.mark.parametrize("case", STACK_CASES, ids=lambda case: f"{case.rule}-{case.name}")
def test_a_rule_of_a_whole_stack_lets_pass_and_refuses(case: StackCase) -> None:
    assert found(case.rule, case.good) == []
    rule = rule_named(case.rule)
    assert isinstance(rule, StackRule)
    problems = [(problem.urn, problem.property, problem.value) for problem in rule.judge(case.bad)]
    assert problems == [(real(case.at, case.stack).urn, case.named, case.shows)]


def test_every_rule_has_a_case_and_no_case_is_of_no_rule() -> None:
    names = [rule.about.name for rule in RULES]
    assert sorted({case.rule for case in (*CASES, *STACK_CASES)}) == sorted(names)
    assert len(set(names)) == len(names) > 40


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.about.name)
def test_every_rule_says_what_it_asks_why_and_how_to_mend(rule: ResourceRule | StackRule) -> None:
    about = rule.about
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", about.name)
    assert about.asks.endswith(".")
    assert about.reason.endswith(".")
    assert len(about.reason) > 30
    assert about.remedy
    assert not about.remedy.endswith(".")
    assert about.level in ("mandatory", "advisory")


def test_a_message_names_resource_property_value_what_is_allowed_and_the_fix() -> None:
    rule, resource = rule_named("log-retention"), changed(real("iris-route-logs"), "retentionInDays", 30.0)
    assert isinstance(rule, ResourceRule)
    (problem,) = rule.judge(resource)
    assert message(rule.about, resource, problem) == (
        "cloudwatch.LogGroup iris-route-logs: retentionInDays is 30; allowed: 90 days or more in prod; neither 0 nor "
        "left out, which is for ever; fix: set retentionInDays (log_retention_days of the stack file); "
        "rule log-retention"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not set"),
        (True, "true"),
        (3.0, "3"),
        (1209600.0, "1209600"),
        ("a", '"a"'),
        ("a" * 90, f'"{"a" * 77}..."'),
        ([], "[]"),
        (["a", 2.0], '["a", 2]'),
        (list(range(9)), "[0, 1, 2, 3, 4, ...]"),
        ({"a": 1, "b": 2}, "{a, b}"),
    ],
)
def test_values_in_messages_are_short(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("stack", "environment"),
    [
        ("models-dev", "dev"),
        ("platform-staging", "staging"),
        ("models-prod", "prod"),
        ("dev", "dev"),
        # A new name escapes no rule.
        ("models-production", "prod"),
        ("models-dev2", "prod"),
    ],
)
def test_the_stack_says_which_environment_it_is(stack: str, environment: str) -> None:
    assert environment_of(stack) == environment


@pytest.mark.parametrize(
    ("rule", "name", "path", "value"),
    [
        ("deletion-protected", "iris-log-spool", "protect", False),
        ("route-authorized", "iris-route-route", "authorizationType", "NONE"),
        ("prod-two-instances", "iris-endpoint-config", "productionVariants[0].initialInstanceCount", 1),
        ("log-retention", "iris-route-logs", "retentionInDays", 1),
        ("instance-families", "iris-endpoint-config", "productionVariants[0].instanceType", "ml.t2.medium"),
        ("no-forced-deletion", "iris-log-workgroup", "forceDestroy", True),
    ],
)
def test_dev_may_what_prod_may_not(rule: str, name: str, path: str, value: object) -> None:
    assert found(rule, changed(real(name, "models-dev"), path, value)) == []
    assert found(rule, changed(real(name, "models-prod"), path, value)) != []


@pytest.mark.parametrize(
    ("environment", "type_", "allowed"),
    [
        ("dev", "ml.g5.xlarge", True),
        ("dev", "ml.g5.12xlarge", False),
        ("dev", "ml.p5.48xlarge", False),
        ("staging", "ml.g5.12xlarge", True),
        ("staging", "ml.p4d.24xlarge", False),
        ("prod", "ml.p4d.24xlarge", True),
    ],
)
def test_gpu_families_go_by_environment(environment: str, type_: str, allowed: bool) -> None:
    kind = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    resource = made(kind, {"productionVariants": [{"instanceType": type_}]}, f"models-{environment}")
    assert (found("instance-families", resource) == []) is allowed


@pytest.mark.parametrize(
    ("properties", "refused"),
    [
        # AWS refuses a key for instances with disks of their own.
        ({"productionVariants": [{"instanceType": "ml.g5.xlarge"}]}, []),
        ({"productionVariants": [{"instanceType": "ml.m5.large"}]}, [("kmsKeyArn", None)]),
        ({"productionVariants": [{"serverlessConfig": {"memorySizeInMb": 2048}}]}, []),
        ({"productionVariants": [], "dataCaptureConfig": {"enableCapture": False}}, []),
    ],
)
def test_a_key_is_asked_for_where_aws_takes_one(properties: dict[str, object], refused: list[object]) -> None:
    kind = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    assert found("endpoint-encrypted", made(kind, properties)) == refused


def test_a_serverless_variant_counts_no_instances() -> None:
    kind = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
    assert found("prod-two-instances", made(kind, {"productionVariants": [{"serverlessConfig": {}}]})) == []


@pytest.mark.parametrize(
    ("spec", "usage", "refused"),
    [
        ("HMAC_256", "GENERATE_VERIFY_MAC", False),
        ("RSA_2048", "SIGN_VERIFY", False),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", True),
        (None, None, True),
    ],
)
def test_rotation_is_asked_for_where_aws_rotates(spec: str | None, usage: str | None, refused: bool) -> None:
    key = made("aws:kms/key:Key", {"customerMasterKeySpec": spec, "keyUsage": usage})
    assert (found("key-rotated", key) != []) is refused


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.example.com/team/iris:1.2.0", True),
        ("registry.example.com:5000/iris:7", True),
        (f"registry.example.com/iris@sha256:{'a' * 64}", True),
        (f"registry.example.com/iris:latest@sha256:{'a' * 64}", True),
        ("registry.example.com:5000/iris", False),
        ("iris", False),
        ("iris:latest", False),
        ("iris:main", False),
    ],
)
def test_what_pins_an_image(image: str, expected: bool) -> None:
    assert pinned(image) is expected


BUCKET = "arn:aws:s3:::a"
DENY = {"Effect": "Deny", "Principal": "*", "Action": ["s3:*"], "Resource": [BUCKET, f"{BUCKET}/*"]}


def plain_http(**condition: object) -> dict[str, object]:
    return {"Condition": {"Bool": {"aws:SecureTransport": "false", **condition}}}


@pytest.mark.parametrize(
    ("change", "refuses"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": ["false"]}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ({"Principal": {"AWS": "333333333333"}}, False),
        ({"Action": ["s3:GetObject"]}, False),
        ({"Resource": [BUCKET]}, False),
        ({"Effect": "Allow"}, False),
        # Others than these would still get through.
        (plain_http(**{"aws:ViaAWSService": "false"}), False),
        ({"Condition": {**plain_http()["Condition"], "StringEquals": {"aws:PrincipalTag/a": "b"}}}, False),  # pyright: ignore[reportGeneralTypeIssues]  # a mapping
    ],
)
def test_what_refuses_plain_http(change: dict[str, object], refuses: bool) -> None:
    policy = json.dumps({"Statement": {**DENY, **plain_http(), **change}})
    assert (found("bucket-tls-only", made("aws:s3/bucketPolicy:BucketPolicy", {"policy": policy})) == []) is refuses


@pytest.mark.parametrize(
    ("condition", "open_to_everybody"),
    [
        ({"StringEquals": {"aws:SourceAccount": "333333333333"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:333333333333:*"}}, False),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": ["o-a"]}}, False),
        ({"StringLike": {"aws:SourceAccount": "*"}}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "333333333333"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceAccount": "333333333333"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        (None, True),
    ],
)
def test_what_leaves_somebody_of_everybody(condition: object, open_to_everybody: bool) -> None:
    policy = allowing(Principal="*", **({"Condition": condition} if condition else {}))
    queue = made("aws:sqs/queuePolicy:QueuePolicy", {"policy": policy})
    assert (found("no-open-policy", queue) != []) is open_to_everybody


@pytest.mark.parametrize("type_", ["egress", "ingress"])
def test_only_what_comes_in_is_ingress(type_: str) -> None:
    rule = made("aws:ec2/securityGroupRule:SecurityGroupRule", {"type": type_, "cidrBlocks": ["0.0.0.0/0"]})
    assert (found("no-open-ingress", rule) == []) is (type_ == "egress")


def test_an_old_name_of_a_type_escapes_no_rule() -> None:
    versioning = rule_named("bucket-versioned")
    assert isinstance(versioning, ResourceRule)
    assert versioning.applies_to("aws:s3/bucketVersioningV2:BucketVersioningV2")
    assert not versioning.applies_to("aws:s3/bucketV2:BucketV2")
    lone = made("aws:s3/bucketV2:BucketV2", {"bucket": "lone"})
    assert len(found("bucket-complete", Stack("models-prod", (lone,)))) == 5


def test_alarms_made_of_alarms_are_alarms() -> None:
    rule = rule_named("alarm-has-runbook")
    assert isinstance(rule, ResourceRule)
    alarm = made(COMPOSITE, {"alarmActions": [], "alarmDescription": "a", "alarmName": "page"})
    assert rule.applies_to(alarm.type)
    assert found("alarm-has-runbook", alarm) == [("alarmDescription", "a")]
    assert found("alarm-has-action", Stack("models-prod", (alarm,))) == [("alarmActions", [])]


@pytest.mark.parametrize(
    ("rule", "heard"),
    [
        ('ALARM("part") OR ALARM(other)', True),
        ("ALARM('part')", True),
        ("ALARM( part ) AND NOT OK(other)", True),
        ('ALARM("arn:aws:cloudwatch:eu-west-1:111111111111:alarm:part")', True),
        (UNKNOWN, True),
        ("OK(part)", False),
        ('ALARM("part-two")', False),
        (None, False),
    ],
)
def test_an_alarm_is_heard_through_one_that_names_it(rule: object, heard: bool) -> None:
    part = made("aws:cloudwatch/metricAlarm:MetricAlarm", {"name": "part", "alarmActions": []})
    tells = {"alarmName": "page", "alarmRule": rule, "alarmActions": ["arn:aws:sns:eu-west-1:111111111111:page"]}
    stack = Stack("models-prod", (part, made(COMPOSITE, tells)))
    assert (found("alarm-has-action", stack) == []) is heard
    silent = Stack("models-prod", (part, made(COMPOSITE, {**tells, "alarmActions": []})))
    assert len(found("alarm-has-action", silent)) == 2


def test_a_wildcard_of_one_character_is_one() -> None:
    policy = made("aws:iam/policy:Policy", {"policy": allowing(Action=["s3:Get?bject"])})
    assert found("iam-actions-named", policy) == [("policy.Made.Action", "s3:Get?bject")]
    everything_else = made("aws:iam/policy:Policy", {"policy": allowing(NotAction=["s3:GetObject"], Action=[])})
    assert found("iam-actions-named", everything_else) == [("policy.Made.NotAction", ["s3:GetObject"])]


def test_a_queue_of_dead_letters_needs_none_of_its_own() -> None:
    assert found("queue-dead-letters", real("iris-log-spool-dead")) == []


def test_default_tags_of_the_provider_count() -> None:
    function = real("iris-route-function")
    assert found("required-tags", replace(function, properties={})) == []
    assert found("required-tags", replace(function, properties={}, provider={})) == [
        ('tags["mainstage:environment"]', None),
        ('tags["mainstage:owner"]', None),
        ('tags["mainstage:cost-center"]', None),
    ]
    everything = {"mainstage:environment": "prod", "mainstage:owner": "a", "mainstage:cost-center": "b"}
    assert found("required-tags", replace(function, properties={"tagsAll": everything}, provider={})) == []


def test_what_cannot_be_tagged_needs_no_tags() -> None:
    assert found("required-tags", real("iris-route-policy")) == []
    assert found("required-tags", made("kubernetes:core/v1:ConfigMap", {})) == []


def test_a_door_that_is_not_known_yet_may_be_the_endpoints() -> None:
    """A preview of an automatically named endpoint."""
    stack = graph("models-prod")
    endpoint, function = real("iris-endpoint-endpoint"), real("iris-route-function")
    others = [each for each in stack.resources if each not in (endpoint, function)]
    unnamed = replace(endpoint, properties={**endpoint.properties, "name": UNKNOWN})
    asking = changed(function, "environment.variables.MAINSTAGE_ENDPOINT_NAME", UNKNOWN)
    assert found("endpoint-has-front-door", Stack("models-prod", (*others, unnamed, asking))) == []
    assert found("endpoint-has-front-door", Stack("models-prod", (*others, unnamed))) == []
    # The engine knows whose output stands there, before it knows the value.
    needing = replace(asking, needs={"environment": (endpoint.urn,)})
    nameless = Stack("models-prod", (*others, unnamed, changed(needing, "environment.variables", {})))
    assert found("endpoint-logs-predictions", nameless) == [("environment.variables.MAINSTAGE_STREAM_NAME", None)]


def test_a_part_of_a_bucket_whose_name_is_not_known_yet_counts_by_what_it_needs() -> None:
    stack = graph("platform-prod")
    bucket, versioning = real("capture-bucket", "platform-prod"), real("capture-versioning", "platform-prod")
    others = [each for each in stack.resources if each is not versioning]
    unknown = changed(versioning, "bucket", UNKNOWN)
    mine = replace(unknown, needs={"bucket": (bucket.urn,)})
    elsewhere = replace(unknown, needs={"bucket": (real("registry-bucket", "platform-prod").urn,)})
    assert found("bucket-complete", Stack(stack.name, (*others, mine))) == []
    assert found("bucket-complete", Stack(stack.name, (*others, elsewhere))) == [("versioning", None)]


def test_every_environment_has_its_limits() -> None:
    for table in (FAMILIES, MOST_INSTANCES, LEAST_LOG_DAYS):
        assert tuple(table) == ENVIRONMENTS


def test_the_list_of_actions_without_a_resource_is_the_components() -> None:
    assert dict(WILDCARD_ACTIONS) == dict(_policy.WILDCARD_ACTIONS)


def test_an_unknown_value_is_never_taken_for_true_or_false() -> None:
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(UNKNOWN)
    assert get({"a": UNKNOWN}, "a", "b", 0) is UNKNOWN
    assert get({"a": []}, "a", 0) is None
    assert REMOVED is not UNKNOWN
