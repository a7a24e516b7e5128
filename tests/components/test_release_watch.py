"""ReleaseWatch: exact inputs, and that each alarm and each page has a runbook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mainstage._watch_alarms import WATCH_RUNBOOK_SLUGS
from mainstage.release_watch import event_pattern
from mainstage_runtime.watch_page import RUNBOOKS

from infra.rehearsal.cloud.events.patterns import matches, parse
from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
PAGE = "arn:aws:sns:eu-west-1:111111111111:mainstage-page"
TICKET = "arn:aws:sns:eu-west-1:111111111111:mainstage-ticket"
NAME = "mainstage-prod-release-watch"
RULE_ARN = f"arn:aws:events:eu-west-1:111111111111:rule/{NAME}"


def test_children(build: Build, tree: Tree) -> None:
    assert tree(build("ReleaseWatch")) == [
        ("aws:cloudwatch/eventRule:EventRule", "thing-rule", "thing"),
        ("aws:cloudwatch/eventTarget:EventTarget", "thing-target", "thing"),
        ("aws:cloudwatch/logGroup:LogGroup", "thing-logs", "thing"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "thing-dead-letters", "thing"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "thing-errors", "thing"),
        ("aws:cloudwatch/metricAlarm:MetricAlarm", "thing-lost", "thing"),
        ("aws:iam/role:Role", "thing-role", "thing"),
        ("aws:iam/rolePolicy:RolePolicy", "thing-policy", "thing"),
        ("aws:lambda/function:Function", "thing-function", "thing"),
        ("aws:lambda/permission:Permission", "thing-permission", "thing"),
        ("aws:sqs/queue:Queue", "thing-dead", "thing"),
        ("aws:sqs/queuePolicy:QueuePolicy", "thing-dead-policy", "thing"),
        ("mainstage:index:ReleaseWatch", "thing", ""),
    ]


def test_the_rule_its_target_and_who_may_call(build: Build, inputs: Inputs) -> None:
    result = build("ReleaseWatch")
    rule = inputs(result, "thing-rule")
    assert json.loads(rule.pop("eventPattern")) == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"],
        "detail": {"EndpointName": [{"prefix": "prod-"}]},
    }
    assert rule == {
        "name": NAME,
        "eventBusName": "default",
        "description": "State changes of the endpoints of prod",
        "state": "ENABLED",
        "tags": {"team": "ml"},
    }
    assert inputs(result, "thing-target") == {
        "rule": NAME,
        "eventBusName": "default",
        "targetId": "watch",
        "arn": result.named("thing-function").outputs["arn"],
        "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 185},
    }
    assert inputs(result, "thing-permission") == {
        "action": "lambda:InvokeFunction",
        "function": NAME,
        "principal": "events.amazonaws.com",
        "sourceArn": RULE_ARN,
    }
    # No event comes before the function may be called.
    assert result.named("thing-permission").urn in result.named("thing-target").options.depends_on


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"detail-type": "SageMaker Endpoint State Change"}, True),
        ({"detail-type": "SageMaker Endpoint Config State Change"}, False),
        ({"source": "my.app"}, False),
        ({"detail": {"EndpointName": "dev-iris"}}, False),
        ({"detail": {"EndpointName": "production-iris"}}, False),
    ],
)
def test_what_the_rule_takes(change: dict[str, Any], fits: bool) -> None:
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Endpoint Deployment State Change",
        "detail": {"EndpointName": "prod-iris", "EndpointStatus": "UPDATING"},
    }
    assert matches(parse(event_pattern("prod-")), {**event, **change}) is fits


def test_the_function_and_the_queue_of_its_dead_letters(build: Build, inputs: Inputs) -> None:
    result = build("ReleaseWatch")
    function = inputs(result, "thing-function")
    modules = function.pop("code")["assets"]
    needed = ["release_history", "release_live", "release_watch", "values", "watch_decision", "watch_page"]
    assert {f"mainstage_runtime/{module}.py" for module in needed} <= set(modules)
    assert "mainstage.json" not in modules
    dead = result.named("thing-dead").outputs["arn"]
    assert function == {
        "name": NAME,
        "description": "Watches the releases of prod",
        "packageType": "Zip",
        "runtime": "python3.13",
        "architectures": ["arm64"],
        "handler": "mainstage_runtime.release_watch.handler",
        "role": result.named("thing-role").outputs["arn"],
        "timeout": 60,
        "memorySize": 256,
        "environment": {
            "variables": {
                "MAINSTAGE_ENVIRONMENT": "prod",
                "MAINSTAGE_ENDPOINT_PREFIX": "prod-",
                "MAINSTAGE_REGISTRY_BUCKET": "mainstage-registry",
                "MAINSTAGE_PAGE_TOPIC_ARN": PAGE,
                "MAINSTAGE_RUNBOOK_BASE_URL": "https://example.com/runbooks",
            }
        },
        "kmsKeyArn": KEY_ARN,
        "deadLetterConfig": {"targetArn": dead},
        "tracingConfig": {"mode": "PassThrough"},
        "loggingConfig": {"logFormat": "Text", "logGroup": f"/aws/lambda/{NAME}"},
        "tags": {"team": "ml"},
    }
    queue = inputs(result, "thing-dead")
    assert (queue["name"], queue["kmsMasterKeyId"]) == (f"{NAME}-dead", KEY_ARN)
    assert json.loads(queue["redriveAllowPolicy"]) == {"redrivePermission": "denyAll"}
    assert queue["messageRetentionSeconds"] == 14 * 24 * 3600
    assert result.named("thing-dead").options.protect
    assert result.named("thing-logs").options.protect


def test_its_role_may_do_ten_things(build: Build, inputs: Inputs) -> None:
    result = build("ReleaseWatch")
    assert inputs(result, "thing-role")["name"] == f"{NAME}-eu-west-1"

    def allow(actions: list[str], *resources: str, **conditions: Any) -> dict[str, Any]:
        block: dict[str, Any] = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
        return {**block, "Condition": conditions} if conditions else block

    def key(service: str) -> dict[str, Any]:
        via = {"kms:ViaService": f"{service}.eu-west-1.amazonaws.com"}
        return allow(["kms:Decrypt", "kms:GenerateDataKey"], KEY_ARN, StringEquals=via)

    text = json.loads(inputs(result, "thing-policy")["policy"])["Statement"]
    bucket = "arn:aws:s3:::mainstage-registry"
    assert {statement.pop("Sid"): statement for statement in text} == {
        "LookAtEndpoints": allow(
            ["sagemaker:DescribeEndpoint"], "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/prod-*"
        ),
        "LookAtGuards": allow(
            ["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"],
            "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:prod-*",
        ),
        "ListHistory": allow(
            ["s3:ListBucket"], bucket, StringLike={"s3:prefix": ["releases/prod-*", "release-watch/prod-*"]}
        ),
        "ReadAndWriteHistory": allow(
            ["s3:GetObject", "s3:PutObject"], f"{bucket}/releases/prod-*", f"{bucket}/release-watch/prod-*"
        ),
        "EncryptHistory": key("s3"),
        "Page": allow(["sns:Publish"], PAGE),
        "EncryptPages": key("sns"),
        "KeepDeadEvents": allow(["sqs:SendMessage"], f"arn:aws:sqs:eu-west-1:111111111111:{NAME}-dead"),
        "EncryptDeadEvents": key("sqs"),
        "WriteOwnLogs": allow(
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            f"arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/{NAME}:*",
        ),
    }


def test_its_alarms(build: Build, inputs: Inputs) -> None:
    result = build("ReleaseWatch")
    topics = {"dead-letters": PAGE, "lost": PAGE, "errors": TICKET}
    for alarm, topic in topics.items():
        found = inputs(result, f"thing-{alarm}")
        assert found["name"] == f"{NAME}-{alarm}"
        assert found["alarmActions"] == found["okActions"] == [topic]
        assert (found["treatMissingData"], found["threshold"]) == ("notBreaching", 0)
        assert (found["evaluationPeriods"], found["datapointsToAlarm"]) == (1, 1)
        assert found["alarmDescription"].endswith(" Runbook: https://example.com/runbooks/release-watch.md")
    dead = inputs(result, "thing-dead-letters")
    assert (dead["metricName"], dead["dimensions"]) == (
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": f"{NAME}-dead"},
    )
    lost = inputs(result, "thing-lost")["metricQueries"]
    assert [(q["metric"]["metricName"], q["metric"]["dimensions"]) for q in lost[:-1]] == [
        ("FailedInvocations", {"RuleName": NAME}),
        ("DeadLetterErrors", {"FunctionName": NAME}),
    ]
    assert lost[-1]["expression"] == "FILL(undelivered, 0) + FILL(unburied, 0)"
    assert result.outputs["alarm_names"] == [f"{NAME}-{alarm}" for alarm in topics]


@pytest.mark.parametrize("slug", sorted({*WATCH_RUNBOOK_SLUGS.values(), *RUNBOOKS.values()}))
def test_every_alarm_and_every_page_has_a_runbook(root: Path, slug: str) -> None:
    text = (root / "docs" / "runbooks" / f"{slug}.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What it means", "## First look", "## Act", "## Afterwards"]
    assert f"]({slug}.md)" in (root / "docs" / "runbooks" / "README.md").read_text()


def test_refusals(refused: Refused) -> None:
    found = refused(
        "ReleaseWatch",
        watch_name="W",
        environment_label="Prod",
        endpoint_prefix="prod",
        page_topic_arn="page",
        runbook_base_url="http://example.com",
        log_retention_days=31,
    )
    assert [(field, got) for field, got, _, _ in found] == [
        ("watch_name", "'W'"),
        ("environment_label", "'Prod'"),
        ("endpoint_prefix", "'prod'"),
        ("page_topic_arn", "'page'"),
        ("runbook_base_url", "'http://example.com'"),
        ("log_retention_days", "31"),
    ]
