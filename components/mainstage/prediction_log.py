"""PredictionLog: every prediction of a model, kept and asked for by SQL.

A record goes into a Firehose stream, through a transform that checks it, and lies as Parquet in the bucket, by day and
hour. What Firehose does not take waits in a spool queue and is replayed. Delivery is at least once; the view
`predictions` has one row a request. The files are the bucket's: how long they are kept is what the bucket's lifecycle
says.

A release changes nothing here that is replaced: names, destination and partitioning are fixed, columns grow in place.
"""

from dataclasses import dataclass, replace
from typing import Any, NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._log_alarms import Watched, make_log_alarms
from ._log_identity import LogIdentity, PredictionLogIdentity, log_write_statements
from ._log_spool import Spool, make_queues, make_replay
from ._log_stream import Delivery, make_stream, make_transform
from ._log_tables import Tables, make_database, make_named_queries, make_table, make_view, make_workgroup
from ._patterns import ARN, BUCKET_NAME, HTTPS_URL, KEY_ARN, LOG_RETENTION_DAYS, RESOURCE_NAME, TOPIC_ARN, Pattern
from ._policy import document
from ._resolve import Reader
from ._signature_args import SignatureArgs, read_signature

_LOG_NAME = replace(
    RESOURCE_NAME,
    allowed="a name of a-z, 0-9 and hyphen, first and last a letter or digit, up to 52 characters",
    # The stream's name is 12 longer, and Firehose takes 64.
    maximum=52,
)
_DATABASE_NAME = Pattern(r"[a-z_][a-z0-9_]*", "a name of small letters, digits and _, first no digit", maximum=255)
# https://docs.aws.amazon.com/athena/latest/APIReference/API_CreateWorkGroup.html
_WORKGROUP_NAME = Pattern(r"[a-zA-Z0-9._-]+", "a name of letters, digits and . _ -", maximum=128)


class PredictionLogArgs(AccountArgs):
    """Arguments of PredictionLog."""

    log_name: str
    """Name of the log, up to 52 characters; stream, queues, functions and alarms begin with it."""
    model: str
    """Name of the model in the catalog."""
    signature: SignatureArgs
    """What a request and an answer look like: the columns. It may grow; a field may not go or change its type."""
    bucket_name: pulumi.Input[str]
    """Bucket of the log: records, rejects and query results, each below the log's name."""
    bucket_arn: pulumi.Input[str]
    """ARN of that bucket."""
    kms_key_arn: pulumi.Input[str]
    """Key that everything is encrypted with: stream, queues, files, query results, logs."""
    page_topic_arn: pulumi.Input[str]
    """Topic that wakes a person: predictions were lost."""
    ticket_topic_arn: pulumi.Input[str]
    """Topic that waits for the morning: records were refused, or are late."""
    runbook_base_url: str
    """Where the runbooks are read. Each alarm's description ends in `<runbook_base_url>/<slug>.md`."""
    buffer_seconds: NotRequired[float]
    """How long Firehose gathers records before it writes a file, in seconds, 60 to 900. Omitted: 60."""
    buffer_mib: NotRequired[float]
    """How many MiB Firehose gathers at most before it writes a file, 64 to 128. Omitted: 64."""
    scan_limit_mib: NotRequired[float]
    """How many MiB one query may read, at least 10; a query that would read more is ended. Omitted: 10,240."""
    log_retention_days: NotRequired[float]
    """How long the logs of functions and delivery are kept, in days, a value that CloudWatch Logs takes. Omitted:
    365."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """Permissions boundary of every role. Omitted: none."""
    database_name: NotRequired[str]
    """Glue database of the log. Omitted: `mainstage_<log name>` with `_` for `-`."""
    workgroup_name: NotRequired[str]
    """Athena workgroup of the log. Omitted: `mainstage-<log name>`."""
    deletion_protection: NotRequired[bool]
    """True: what holds records or says how to read them is neither deleted nor replaced. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    log_name: str
    model: str
    signature: dict[str, Any]
    bucket_name: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    page_topic_arn: pulumi.Input[str]
    ticket_topic_arn: pulumi.Input[str]
    runbook_base_url: str
    buffer_seconds: int
    buffer_mib: int
    scan_limit_mib: int
    log_retention_days: int
    boundary: Optional[pulumi.Input[str]]
    database_name: str
    workgroup_name: str
    deletion_protection: bool
    tags: dict[str, pulumi.Input[str]]

    def tables(self) -> Tables:
        return Tables(
            account=self.account,
            log_name=self.log_name,
            database_name=self.database_name,
            workgroup_name=self.workgroup_name,
            signature=self.signature,
            bucket_name=self.bucket_name,
            kms_key_arn=self.kms_key_arn,
            scan_limit_mib=self.scan_limit_mib,
            deletion_protection=self.deletion_protection,
            tags=self.tags,
        )

    def delivery(self) -> Delivery:
        return Delivery(
            account=self.account,
            log_name=self.log_name,
            model=self.model,
            signature=self.signature,
            bucket_arn=self.bucket_arn,
            kms_key_arn=self.kms_key_arn,
            database_name=self.database_name,
            buffer_seconds=self.buffer_seconds,
            buffer_mib=self.buffer_mib,
            log_retention_days=self.log_retention_days,
            boundary=self.boundary,
            deletion_protection=self.deletion_protection,
            tags=self.tags,
        )

    def spool(self, delivery: Delivery) -> Spool:
        return Spool(
            account=self.account,
            log_name=self.log_name,
            stream_arn=delivery.stream_arn,
            kms_key_arn=self.kms_key_arn,
            log_retention_days=self.log_retention_days,
            boundary=self.boundary,
            deletion_protection=self.deletion_protection,
            tags=self.tags,
        )


def _resolve(name: str, args: PredictionLogArgs) -> _Resolved:
    reader = Reader("PredictionLog", name, args, PredictionLogArgs)
    log_name = reader.plain("log_name", _LOG_NAME)
    buffer_seconds, buffer_mib, scan_limit_mib = read_log_sizes(reader)
    resolved = _Resolved(
        account=read_account(reader),
        log_name=log_name,
        model=reader.plain("model", RESOURCE_NAME),
        signature=read_signature(reader, "signature"),
        bucket_name=reader.text("bucket_name", BUCKET_NAME),
        bucket_arn=reader.text("bucket_arn", ARN),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        page_topic_arn=reader.text("page_topic_arn", TOPIC_ARN),
        ticket_topic_arn=reader.text("ticket_topic_arn", TOPIC_ARN),
        runbook_base_url=reader.plain("runbook_base_url", HTTPS_URL).rstrip("/"),
        buffer_seconds=buffer_seconds,
        buffer_mib=buffer_mib,
        scan_limit_mib=scan_limit_mib,
        log_retention_days=reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=365),
        boundary=read_boundary(reader),
        database_name=reader.plain(
            "database_name", _DATABASE_NAME, default=f"mainstage_{log_name}".replace("-", "_") if log_name else "_"
        ),
        workgroup_name=reader.plain(
            "workgroup_name", _WORKGROUP_NAME, default=f"mainstage-{log_name}" if log_name else "_"
        ),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def read_log_sizes(reader: Reader) -> tuple[int, int, int]:
    """Reads `buffer_seconds`, `buffer_mib` and `scan_limit_mib`."""
    return (
        # https://docs.aws.amazon.com/firehose/latest/APIReference/API_BufferingHints.html. With dynamic partitioning
        # there is no buffering of 0 s (https://docs.aws.amazon.com/firehose/latest/dev/buffering.html); below 60 s each
        # file is an upload in parts, and there are many of them (…/buffering-hints.html). Of MiB Firehose then refuses
        # less than 64: terraform-provider-aws, internal/service/firehose/delivery_stream_test.go
        reader.whole("buffer_seconds", minimum=60, maximum=900, default=60),
        reader.whole("buffer_mib", minimum=64, maximum=128, default=64),
        # https://docs.aws.amazon.com/athena/latest/APIReference/API_WorkGroupConfiguration.html
        reader.whole("scan_limit_mib", minimum=10, maximum=7_000_000, default=10_240),
    )


class PredictionLog(pulumi.ComponentResource):
    """A Firehose stream with its transform, a spool with its replay, and tables and queries over what was logged."""

    stream_name: pulumi.Output[str]
    """Firehose stream that takes the records."""
    stream_arn: pulumi.Output[str]
    """ARN of the stream."""
    spool_url: pulumi.Output[str]
    """URL of the queue that takes a record when the stream does not."""
    spool_arn: pulumi.Output[str]
    """ARN of that queue."""
    database_name: pulumi.Output[str]
    """Glue database of the log."""
    table_name: pulumi.Output[str]
    """Table of the records, in which a request may stand more than once."""
    view_name: pulumi.Output[str]
    """View of the predictions, one row a request."""
    workgroup_name: pulumi.Output[str]
    """Athena workgroup that limits what a query may read."""
    identity: PredictionLogIdentity
    """What whoever writes to the log takes: names, ARNs and addresses."""

    def __init__(self, name: str, args: PredictionLogArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:PredictionLog", name, {}, opts)
        resolved = _resolve(name, args)
        self._name = name
        self._region = resolved.account.region
        tables, delivery = resolved.tables(), resolved.delivery()
        spool = resolved.spool(delivery)

        database = make_database(name, tables, parent=self)
        table = make_table(name, tables, database, parent=self)
        view = make_view(name, tables, database, table, parent=self)
        workgroup = make_workgroup(name, tables, parent=self)
        make_named_queries(name, tables, workgroup, view, parent=self)
        transform = make_transform(name, delivery, parent=self)
        stream = make_stream(name, delivery, transform=transform, table=table, parent=self)
        queue, policies = make_queues(name, spool, parent=self)
        make_replay(name, spool, queue, stream, parent=self)
        make_log_alarms(name, _watched(resolved, delivery, spool), parent=self)

        self.stream_name = stream.name
        self.stream_arn = stream.arn
        # Whoever takes the queue comes after its policy.
        self.spool_url = pulumi.Output.all(queue.url, *(policy.id for policy in policies)).apply(lambda parts: parts[0])
        self.spool_arn = queue.arn
        self.database_name = database.name
        self.table_name = table.name
        self.view_name = view.name
        self.workgroup_name = workgroup.name
        self.identity = {
            "log_name": resolved.log_name,
            "stream_name": self.stream_name,
            "stream_arn": delivery.stream_arn,
            "spool_url": self.spool_url,
            "spool_arn": spool.queue_arn,
            "kms_key_arn": resolved.kms_key_arn,
        }
        self.register_outputs(
            {
                "stream_name": self.stream_name,
                "stream_arn": self.stream_arn,
                "spool_url": self.spool_url,
                "spool_arn": self.spool_arn,
                "database_name": self.database_name,
                "table_name": self.table_name,
                "view_name": self.view_name,
                "workgroup_name": self.workgroup_name,
                "identity": self.identity,
            }
        )

    def grant_write(self, role_name: pulumi.Input[str], *, grantee: str = "writer") -> "aws.iam.RolePolicy":
        """Lets a role write to this log and nothing else. `grantee` names the writer, once for each grant."""
        return aws.iam.RolePolicy(
            f"{self._name}-written-by-{grantee}",
            role=role_name,
            policy=document(log_write_statements(LogIdentity(**self.identity), self._region)),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _watched(resolved: _Resolved, delivery: Delivery, spool: Spool) -> Watched:
    return Watched(
        log_name=resolved.log_name,
        stream_name=delivery.stream_name,
        transform_name=delivery.transform_name,
        spool_name=spool.queue_name,
        dead_name=spool.dead_name,
        buffer_seconds=resolved.buffer_seconds,
        page_topic_arn=resolved.page_topic_arn,
        ticket_topic_arn=resolved.ticket_topic_arn,
        runbook_base_url=resolved.runbook_base_url,
        tags=resolved.tags,
    )
