"""The events that SageMaker sends about endpoints and their deployments.

Shapes: SageMaker developer guide, "Events that Amazon SageMaker AI sends to Amazon EventBridge"
(https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html). Statuses are UPPER_SNAKE
there (IN_SERVICE, UPDATING; the others follow the same rule: unconfirmed), times are milliseconds since the epoch, and
the configuration is that which serves, the new one stands in PendingDeploymentSummary.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint

if TYPE_CHECKING:
    from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker

STATE_CHANGE = "SageMaker Endpoint State Change"
DEPLOYMENT_CHANGE = "SageMaker Endpoint Deployment State Change"
_VARIANT_MEMBERS = (
    "VariantName",
    "CurrentWeight",
    "DesiredWeight",
    "CurrentInstanceCount",
    "DesiredInstanceCount",
    "VariantStatus",
)
_WORD = re.compile(r"(?<!^)(?=[A-Z])")

log = logging.getLogger(__name__)


def tell_state(sagemaker: SageMaker, endpoint: Endpoint) -> None:
    """The endpoint has another status."""
    _tell(sagemaker, endpoint, STATE_CHANGE)


def tell_deployment(sagemaker: SageMaker, endpoint: Endpoint) -> None:
    """A deployment has come to another stage."""
    _tell(sagemaker, endpoint, DEPLOYMENT_CHANGE)


def tell_end(sagemaker: SageMaker, endpoint: Endpoint) -> None:
    """A deployment has come to its end. Told with the lock held: who sees the end may begin the next deployment, and
    the events are about what the endpoint is when they are put."""
    tell_state(sagemaker, endpoint)
    tell_deployment(sagemaker, endpoint)


def _tell(sagemaker: SageMaker, endpoint: Endpoint, detail_type: str) -> None:
    try:
        sagemaker.cloud.events.put(
            source="aws.sagemaker",
            detail_type=detail_type,
            resources=[endpoint.arn],
            region=endpoint.region,
            detail=detail(endpoint.described(), sagemaker.tags.get(endpoint.arn, {})),
        )
    except Exception:
        # A deployment goes on whatever becomes of its events.
        log.exception("the event of endpoint %s could not be put", endpoint.name)


def detail(described: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
    """An event's detail from what DescribeEndpoint answers."""
    found = {
        "EndpointName": described["EndpointName"],
        "EndpointArn": described["EndpointArn"],
        "EndpointConfigName": described["EndpointConfigName"],
        "ProductionVariants": [_variant(each) for each in described.get("ProductionVariants", ())],
        "EndpointStatus": _WORD.sub("_", described["EndpointStatus"]).upper(),
        "CreationTime": _millis(described["CreationTime"]),
        "LastModifiedTime": _millis(described["LastModifiedTime"]),
        "Tags": dict(tags),
    }
    if described.get("FailureReason"):
        found["FailureReason"] = described["FailureReason"]
    pending = described.get("PendingDeploymentSummary")
    if pending:
        found["PendingDeploymentSummary"] = {
            "EndpointConfigName": pending["EndpointConfigName"],
            "StartTime": _millis(pending["StartTime"]),
            "ProductionVariants": [_variant(each) for each in pending.get("ProductionVariants", ())],
        }
    return found


def _variant(summary: Mapping[str, Any]) -> dict[str, Any]:
    found = {member: summary[member] for member in _VARIANT_MEMBERS if member in summary}
    if "VariantStatus" in found:
        found["VariantStatus"] = [{**each, "StartTime": _millis(each["StartTime"])} for each in found["VariantStatus"]]
    return found


def _millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
