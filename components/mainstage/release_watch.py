"""ReleaseWatch: writes down what became of an environment's releases, and pages a person when one went wrong. It needs
no `up` that is still alive.
"""

import json
from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws
from mainstage_runtime.release_history import HISTORY_PREFIX
from mainstage_runtime.watch_decision import DETAIL_TYPES, NOTES_PREFIX

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._lambda_function import function_log_group, function_role, runtime_function
from ._patterns import ARN, BUCKET_NAME, HTTPS_URL, KEY_ARN, LOG_RETENTION_DAYS, RESOURCE_NAME, TOPIC_ARN, Pattern
from ._policy import Statement, Text, document, join, via_service
from ._resolve import Reader
from ._watch_alarms import WatchedWatch, make_watch_alarms

EVENTS_SERVICE = "events.amazonaws.com"
TIMEOUT_SECONDS = 60
MEMORY_MIB = 256

OLDEST_EVENT_SECONDS = 3600
"""How long EventBridge tries to hand an event over. After that it counts as failed, and an alarm pages: a page about a
release that comes a day later helps nobody."""
RETENTION_SECONDS = 14 * 24 * 3600
"""The longest that SQS keeps a message."""

_WATCH_NAME = Pattern(
    RESOURCE_NAME.expression,
    "a name of a-z, 0-9 and hyphen, at most 58 characters, because more is added for the queue and the alarms",
    maximum=58,
)
_ENDPOINT_PREFIX = Pattern(
    r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-", "what all endpoints' names begin with: a-z, 0-9 and hyphen, ending in a hyphen"
)


class ReleaseWatchArgs(AccountArgs):
    """Arguments of ReleaseWatch."""

    watch_name: NotRequired[str]
    """Name of the function and of the rule; the queue is called `<name>-dead`. Omitted: the component's name."""
    environment_label: str
    """The environment that the pages speak of, for example `prod`: what `mainstage --target` takes."""
    endpoint_prefix: str
    """What the names of the endpoints to watch begin with, for example `prod-`. What follows it is the model's name."""
    registry_bucket_name: pulumi.Input[str]
    """Bucket that holds the history of releases, under `releases/`, and the watch's notes, under `release-watch/`."""
    registry_bucket_arn: pulumi.Input[str]
    """ARN of that bucket."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person: a release that was taken back, an endpoint that does not leave a bad state by itself,
    a live configuration that nobody asked for; and when the watch may have missed one of these."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning: runs of the watch that are tried again."""
    runbook_base_url: str
    """Where the runbooks are read: pages and alarms name `<runbook_base_url>/<slug>.md`."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the bucket, the topics, the function's log and environment, and the queue."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """The most that the role made here may do. Omitted: no boundary."""
    log_retention_days: NotRequired[float]
    """How long the function's log is kept; one of the values that CloudWatch Logs takes. Omitted: 90."""
    deletion_protection: NotRequired[bool]
    """True: the function's log and the queue are neither deleted nor replaced. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    watch_name: str
    environment_label: str
    endpoint_prefix: str
    registry_bucket_name: Text
    registry_bucket_arn: Text
    page_topic_arn: Text
    ticket_topic_arn: Text
    runbook_base_url: str
    kms_key_arn: Text
    permissions_boundary_arn: Optional[Text]
    log_retention_days: int
    deletion_protection: bool
    tags: dict[str, Text]

    @property
    def dead_name(self) -> str:
        return f"{self.watch_name}-dead"

    @property
    def dead_arn(self) -> str:
        return self.account.arn("sqs", self.dead_name)

    @property
    def rule_arn(self) -> str:
        return self.account.arn("events", f"rule/{self.watch_name}")

    @property
    def statements(self) -> list[Statement]:
        """What the function's role needs beside its own log. Each is needed: a test takes one after the other away."""
        account, prefix = self.account, self.endpoint_prefix
        places = [f"{HISTORY_PREFIX}{prefix}*", f"{NOTES_PREFIX}{prefix}*"]
        return [
            Statement(
                sid="LookAtEndpoints",
                reason="an event only says that there is something to look at",
                actions=["sagemaker:DescribeEndpoint"],
                resources=[account.arn("sagemaker", f"endpoint/{prefix}*")],
            ),
            Statement(
                sid="LookAtGuards",
                reason="a page says which alarm took the release back, and why",
                actions=["cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"],
                resources=[account.arn("cloudwatch", f"alarm:{prefix}*")],
            ),
            Statement(
                sid="ListHistory",
                reason="the history is the objects under an endpoint's name",
                actions=["s3:ListBucket"],
                resources=[self.registry_bucket_arn],
                conditions={"StringLike": {"s3:prefix": places}},
            ),
            Statement(
                sid="ReadAndWriteHistory",
                reason="what was seen is written down once, and read by whoever looks next",
                actions=["s3:GetObject", "s3:PutObject"],
                resources=[join(self.registry_bucket_arn, f"/{place}") for place in places],
            ),
            Statement(
                sid="EncryptHistory",
                reason="the bucket is encrypted with this key",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self.kms_key_arn],
                conditions=via_service("s3", account.region),
            ),
            Statement(
                sid="Page",
                reason="a person is woken through this topic, and no other",
                actions=["sns:Publish"],
                resources=[self.page_topic_arn],
            ),
            Statement(
                # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
                sid="EncryptPages",
                reason="the topic is encrypted with this key, and SNS asks for its data keys as whoever publishes",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self.kms_key_arn],
                conditions=via_service("sns", account.region),
            ),
            Statement(
                # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
                sid="KeepDeadEvents",
                reason="Lambda lays an event that failed three times into the queue under the function's role",
                actions=["sqs:SendMessage"],
                resources=[self.dead_arn],
            ),
            Statement(
                sid="EncryptDeadEvents",
                reason="the queue is encrypted with this key, and SQS asks for its data keys as whoever sends",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self.kms_key_arn],
                conditions=via_service("sqs", account.region),
            ),
        ]


def _resolve(name: str, args: ReleaseWatchArgs) -> _Resolved:
    reader = Reader("ReleaseWatch", name, args, ReleaseWatchArgs)
    resolved = _Resolved(
        account=read_account(reader),
        watch_name=reader.plain("watch_name", _WATCH_NAME, default=name),
        environment_label=reader.plain("environment_label", RESOURCE_NAME),
        endpoint_prefix=reader.plain("endpoint_prefix", _ENDPOINT_PREFIX),
        registry_bucket_name=reader.text("registry_bucket_name", BUCKET_NAME),
        registry_bucket_arn=reader.text("registry_bucket_arn", ARN),
        page_topic_arn=reader.text("page_topic_arn", TOPIC_ARN),
        ticket_topic_arn=reader.text("ticket_topic_arn", TOPIC_ARN),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL).rstrip("/"),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        permissions_boundary_arn=read_boundary(reader),
        log_retention_days=reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=90),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def event_pattern(endpoint_prefix: str) -> str:
    """Both kinds of events of the endpoints whose names begin so. By name, not by ARN: the ARN of SageMaker's example
    is in small letters where the name is not (watch_decision has the page)."""
    return json.dumps(
        {
            "source": ["aws.sagemaker"],
            "detail-type": list(DETAIL_TYPES),
            "detail": {"EndpointName": [{"prefix": endpoint_prefix}]},
        }
    )


class ReleaseWatch(pulumi.ComponentResource):
    """An EventBridge rule on the state changes of an environment's endpoints, and the function that it calls."""

    function_name: pulumi.Output[str]
    """Name of the function."""
    rule_name: pulumi.Output[str]
    """Name of the EventBridge rule."""
    role_name: pulumi.Output[str]
    """Name of the function's role."""
    dead_letter_queue_url: pulumi.Output[str]
    """Queue of the events that the function could not deal with."""
    alarm_names: pulumi.Output[list[str]]
    """Names of the alarms on the watch itself."""

    def __init__(self, name: str, args: ReleaseWatchArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ReleaseWatch", name, {}, opts)
        resolved = _resolve(name, args)
        role = function_role(
            name,
            parent=self,
            account=resolved.account,
            function_name=resolved.watch_name,
            description=f"What the release watch of {resolved.environment_label} may do",
            statements=resolved.statements,
            boundary=resolved.permissions_boundary_arn,
            tags=resolved.tags,
        )
        logs = function_log_group(
            name,
            parent=self,
            function_name=resolved.watch_name,
            retention_days=resolved.log_retention_days,
            kms_key_arn=resolved.kms_key_arn,
            deletion_protection=resolved.deletion_protection,
            tags=resolved.tags,
        )
        dead = self._queue(name, resolved)
        function = runtime_function(
            name,
            parent=self,
            function_name=resolved.watch_name,
            handler="mainstage_runtime.release_watch.handler",
            modules=["release_watch"],
            config=None,
            environment={
                "MAINSTAGE_ENVIRONMENT": resolved.environment_label,
                "MAINSTAGE_ENDPOINT_PREFIX": resolved.endpoint_prefix,
                "MAINSTAGE_REGISTRY_BUCKET": resolved.registry_bucket_name,
                "MAINSTAGE_PAGE_TOPIC_ARN": resolved.page_topic_arn,
                "MAINSTAGE_RUNBOOK_BASE_URL": resolved.runbook_base_url,
            },
            timeout_seconds=TIMEOUT_SECONDS,
            memory_mib=MEMORY_MIB,
            role=role,
            log_group=logs,
            kms_key_arn=resolved.kms_key_arn,
            description=f"Watches the releases of {resolved.environment_label}",
            dead_letter_arn=dead.arn,
            tags=resolved.tags,
        )
        rule = self._rule(name, resolved, function)
        alarms = make_watch_alarms(
            name,
            WatchedWatch(
                watch_name=resolved.watch_name,
                function_name=resolved.watch_name,
                rule_name=resolved.watch_name,
                dead_name=resolved.dead_name,
                page_topic_arn=resolved.page_topic_arn,
                ticket_topic_arn=resolved.ticket_topic_arn,
                runbook_base_url=resolved.runbook_base_url,
                tags=resolved.tags,
            ),
            parent=self,
        )
        self.function_name = function.name
        self.rule_name = rule.name
        self.role_name = role.role.name
        self.dead_letter_queue_url = dead.url
        self.alarm_names = pulumi.Output.all(*(alarm.name for alarm in alarms))
        self.register_outputs(
            {
                "function_name": self.function_name,
                "rule_name": self.rule_name,
                "role_name": self.role_name,
                "dead_letter_queue_url": self.dead_letter_queue_url,
                "alarm_names": self.alarm_names,
            }
        )

    def _rule(self, name: str, resolved: _Resolved, function: "aws.lambda_.Function") -> "aws.cloudwatch.EventRule":
        """The rule, who may call the function, and last the target, so that no event comes before it may.

        The target has no queue of its own: EventBridge would need the key for it, by a statement that AWS shows without
        a condition (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html). What it cannot
        deliver is counted and pages; the watch looks at the endpoint anyway, whatever the event said.
        """
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=resolved.watch_name,
            event_bus_name="default",
            description=f"State changes of the endpoints of {resolved.environment_label}",
            event_pattern=event_pattern(resolved.endpoint_prefix),
            # Left out, one that somebody switched off is seen by no refresh.
            state="ENABLED",
            tags=resolved.tags,
            opts=child,
        )
        permission = aws.lambda_.Permission(
            f"{name}-permission",
            action="lambda:InvokeFunction",
            function=function.name,
            principal=EVENTS_SERVICE,
            source_arn=resolved.rule_arn,
            opts=child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            event_bus_name="default",
            target_id="watch",
            arn=function.arn,
            # Left out, EventBridge tries for a day.
            retry_policy={"maximum_event_age_in_seconds": OLDEST_EVENT_SECONDS, "maximum_retry_attempts": 185},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        return rule

    def _queue(self, name: str, resolved: _Resolved) -> "aws.sqs.Queue":
        queue = aws.sqs.Queue(
            f"{name}-dead",
            name=resolved.dead_name,
            fifo_queue=False,
            delay_seconds=0,
            max_message_size=1024 * 1024,
            message_retention_seconds=RETENTION_SECONDS,
            receive_wait_time_seconds=20,
            visibility_timeout_seconds=TIMEOUT_SECONDS,
            kms_master_key_id=resolved.kms_key_arn,
            kms_data_key_reuse_period_seconds=300,
            # The function's dead letters, and those of no other queue.
            redrive_allow_policy=json.dumps({"redrivePermission": "denyAll"}),
            tags=dict(resolved.tags),
            opts=pulumi.ResourceOptions(parent=self, protect=resolved.deletion_protection),
        )
        aws.sqs.QueuePolicy(
            f"{name}-dead-policy",
            queue_url=queue.url,
            policy=document(
                [
                    Statement(
                        sid="RefusePlainHttp",
                        reason="what an event says never crosses the network in the clear",
                        effect="Deny",
                        principals={"*": []},
                        actions=[
                            "sqs:ChangeMessageVisibility",
                            "sqs:DeleteMessage",
                            "sqs:GetQueueAttributes",
                            "sqs:ReceiveMessage",
                            "sqs:SendMessage",
                        ],
                        resources=[resolved.dead_arn],
                        conditions={"Bool": {"aws:SecureTransport": "false"}},
                    )
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return queue
