"""The table: one row per Pulumi type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.rows import (
    autoscaling,
    bucket_sides,
    buckets,
    catalogue,
    cloudwatch,
    composite_alarms,
    dashboards,
    ecr,
    endpoints,
    event_rules,
    firehose,
    functions,
    gateways,
    http_apis,
    http_routes,
    iam,
    kms,
    lifecycle,
    log_streams,
    network,
    objects,
    queries,
    queues,
    routes,
    sagemaker,
    security_groups,
    sns,
    vpc_endpoints,
)


def _table(*groups: Iterable[Row]) -> Mapping[str, Row]:
    table: dict[str, Row] = {}
    for group in groups:
        for row in group:
            if row.type in table:
                raise ValueError(f"{row.type} has two rows")
            table[row.type] = row
    return table


ROWS: Mapping[str, Row] = _table(
    network.ROWS,
    gateways.ROWS,
    http_apis.ROWS,
    http_routes.ROWS,
    routes.ROWS,
    vpc_endpoints.ROWS,
    security_groups.ROWS,
    iam.ROWS,
    kms.ROWS,
    buckets.ROWS,
    bucket_sides.ROWS,
    lifecycle.ROWS,
    objects.ROWS,
    ecr.ROWS,
    sns.ROWS,
    cloudwatch.ROWS,
    composite_alarms.ROWS,
    log_streams.ROWS,
    dashboards.ROWS,
    event_rules.ROWS,
    sagemaker.ROWS,
    endpoints.ROWS,
    autoscaling.ROWS,
    firehose.ROWS,
    catalogue.ROWS,
    queries.ROWS,
    functions.ROWS,
    queues.ROWS,
)
