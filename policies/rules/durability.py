"""What is stored is kept: versions, retention, protection from deletion."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule, must_be, must_be_given

LEAST_LOG_DAYS = {"dev": 1, "staging": 14, "prod": 90}
"""Days that log entries are kept at least, by environment."""

LEAST_KEY_DAYS = 30
"""Days in which a deleted key can be taken back, in staging and prod: the most that AWS gives."""

STORES = (
    "aws:s3/bucket:Bucket",
    "aws:kms/key:Key",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:ecr/repository:Repository",
    "aws:sqs/queue:Queue",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
    "aws:glue/catalogDatabase:CatalogDatabase",
    "aws:dynamodb/table:Table",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    "aws:sagemaker/endpoint:Endpoint",
    "aws:apigatewayv2/api:Api",
)
"""What holds data, or the address that clients know."""


def _versioned(resource: Resource) -> Iterator[Problem]:
    yield from must_be(resource, "Enabled", "versioningConfiguration", "status")


def _retention(resource: Resource) -> Iterator[Problem]:
    days, least = resource.get("retentionInDays"), LEAST_LOG_DAYS[resource.environment]
    if days is not UNKNOWN and (not isinstance(days, int | float) or days < least):
        allowed = f"{least} days or more in {resource.environment}; neither 0 nor left out, which is for ever"
        yield Problem("retentionInDays", days, allowed)


def _function_logs(resource: Resource) -> Iterator[Problem]:
    yield from must_be_given(
        resource, "loggingConfig", "logGroup", allowed="the name of a log group that the program makes"
    )


def _lifecycle(resource: Resource) -> Iterator[Problem]:
    rules = resource.get("rules")
    if rules is UNKNOWN or any(rule is UNKNOWN for rule in items(rules)):
        return
    enabled = [rule for rule in items(rules) if rule.get("status") == "Enabled"]
    for part, allowed in (
        ("noncurrentVersionExpiration", "days after which old versions go"),
        ("abortIncompleteMultipartUpload", "days after which unfinished uploads go"),
    ):
        if not any(rule.get(part) is not None for rule in enabled):
            yield Problem(f"rules[].{part}", None, f"{allowed}, in an enabled rule")


def _protected(resource: Resource) -> Iterator[Problem]:
    if not resource.is_development and not resource.protect:
        yield Problem("protect (resource option)", False, "true in staging and prod")


def _force(resource: Resource) -> Iterator[Problem]:
    for key in ("forceDestroy", "forceDelete"):
        if not resource.is_development and resource.get(key) is True:
            yield Problem(key, True, "false in staging and prod")


def _key_window(resource: Resource) -> Iterator[Problem]:
    days = resource.get("deletionWindowInDays")
    if not resource.is_development and isinstance(days, int | float) and days < LEAST_KEY_DAYS:
        yield Problem("deletionWindowInDays", days, f"{LEAST_KEY_DAYS} in staging and prod")


RULES = (
    ResourceRule(
        About(
            "bucket-versioned",
            "A bucket keeps the versions of its objects.",
            "An archive that is overwritten or deleted by mistake could not be brought back.",
            'use SecureBucket, or set versioningConfiguration.status to "Enabled"',
        ),
        ("aws:s3/bucketVersioning:BucketVersioning",),
        _versioned,
    ),
    ResourceRule(
        About(
            "bucket-lifecycle",
            "A bucket's old versions and unfinished uploads end some day.",
            "Both are invisible in a listing and cost money for ever; old versions also keep what had to be deleted.",
            "use SecureBucket, or add noncurrentVersionExpiration and abortIncompleteMultipartUpload",
        ),
        ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",),
        _lifecycle,
    ),
    ResourceRule(
        About(
            "log-retention",
            "A log group keeps entries for a stated time: in staging at least 14 days, in prod at least 90.",
            "Left out, entries are paid for without end; too short, an intrusion is found after its traces are gone.",
            "set retentionInDays (log_retention_days of the stack file)",
        ),
        ("aws:cloudwatch/logGroup:LogGroup",),
        _retention,
    ),
    ResourceRule(
        About(
            "function-logs-kept",
            "A function writes to a log group that the program has made.",
            "Lambda makes one by itself otherwise: without encryption, without an end, and it outlives the function.",
            "set loggingConfig.logGroup to a LogGroup with retention and key",
        ),
        ("aws:lambda/function:Function",),
        _function_logs,
    ),
    ResourceRule(
        About(
            "deletion-protected",
            "In staging and prod what stores data or is known to clients is protected from deletion.",
            "A rename or a removed line would otherwise delete a registry, a log or an address on the next `up`.",
            "set deletion_protection of the stack file to true; in a component, ResourceOptions(protect=True)",
        ),
        STORES,
        _protected,
    ),
    ResourceRule(
        About(
            "no-forced-deletion",
            "In staging and prod nothing is deleted together with what it holds.",
            "AWS refuses to delete a bucket or repository that is not empty: these switches take that check away.",
            "set forceDestroy and forceDelete to false",
        ),
        ("aws:s3/bucket:Bucket", "aws:ecr/repository:Repository", "aws:athena/workgroup:Workgroup"),
        _force,
    ),
    ResourceRule(
        About(
            "key-deletion-window",
            f"In staging and prod a deleted key can be taken back for {LEAST_KEY_DAYS} days.",
            "Without its key everything that was encrypted with it is gone; a week may pass before anybody notices.",
            f"set deletionWindowInDays to {LEAST_KEY_DAYS}",
        ),
        ("aws:kms/key:Key",),
        _key_window,
    ),
)
