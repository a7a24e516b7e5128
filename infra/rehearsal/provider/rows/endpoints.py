"""The live endpoint: internal/service/sagemaker/endpoint.go as of 2026 (issue #48997, pull request #49020 open)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.rehearsal.provider.errors import UnexpectedState, WaitTimeout
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.row import Inputs, Problem, Row, between, matches, one_of, step
from infra.rehearsal.provider.rows.sagemaker import TAGGING, create_tags, live_tags
from infra.rehearsal.provider.translate import Call

_WAIT_SECONDS = 60 * 60
_PENDING = frozenset({"Creating", "Updating", "SystemUpdating"})
"""RollingBack is not among them: a poll that meets it fails; a poll after the rollback finds InService."""
_NOT_FOUND = ("Could not find endpoint",)

_CREATE = Call(
    "sagemaker",
    "CreateEndpoint",
    rules={"name": "EndpointName"},
    only=frozenset({"deploymentConfig", "endpointConfigName", "name"}),
)


def _endpoint(op: Operation, name: str) -> dict[str, Any] | None:
    return op.found(lambda: op.call("sagemaker", "DescribeEndpoint", EndpointName=name), says=_NOT_FOUND)


def _wait_in_service(op: Operation, name: str, doing: str) -> None:
    op.wait(
        lambda: (_endpoint(op, name) or {"EndpointStatus": "missing"})["EndpointStatus"],
        pending=_PENDING,
        target={"InService"},
        timeout_seconds=_WAIT_SECONDS,
        what=f"SageMaker Endpoint ({name}) {doing}",
        reason=lambda: str((_endpoint(op, name) or {}).get("FailureReason", "")),
    )


def _create(op: Operation) -> None:
    name = op.inputs["name"]
    op.send(_CREATE, **create_tags(op))
    try:
        _wait_in_service(op, name, "create")
    except (UnexpectedState, WaitTimeout) as error:
        # The id is recorded only after InService: what was made is in AWS, but in no state.
        raise type(error)(
            f'{error}. The endpoint {name} is left in AWS and no state knows it: the next up fails with "already'
            ' existing". Correct the cause, delete it (`mainstage recover --clean --yes`, or aws sagemaker'
            f" delete-endpoint --endpoint-name {name}), and run up again"
        ) from error
    op.created(name)


def _read(op: Operation) -> Mapping[str, Any] | None:
    endpoint = _endpoint(op, op.id)
    if endpoint is None or endpoint["EndpointStatus"] == "Deleting":
        return None
    live = {
        "arn": endpoint["EndpointArn"],
        "endpointConfigName": endpoint.get("EndpointConfigName"),
        "name": endpoint["EndpointName"],
        "deploymentConfig": None,
    }
    last = endpoint.get("LastDeploymentConfig")
    if last:
        # An update that was sent without one has cleared it, which shows as a change of a ForceNew block.
        found = {"LastDeploymentConfig": last}
        rules = {"deploymentConfig": "LastDeploymentConfig"}
        live |= op.described("sagemaker", "DescribeEndpoint", "", found, rules)
    return live | live_tags(op, endpoint["EndpointArn"])


def _update(op: Operation) -> None:
    """Sent without RetainAllVariantProperties: counts and weights go back to the configuration's initial ones."""
    params = op.params(_CREATE)
    op.call("sagemaker", "UpdateEndpoint", **params)
    _wait_in_service(op, op.id, "update")


def _delete(op: Operation) -> None:
    if op.gone(lambda: op.call("sagemaker", "DeleteEndpoint", EndpointName=op.id), says=_NOT_FOUND):
        return
    op.wait(
        lambda: (_endpoint(op, op.id) or {"EndpointStatus": "gone"})["EndpointStatus"],
        pending={"Deleting"},
        target={"gone"},
        timeout_seconds=600,
        what=f"SageMaker Endpoint ({op.id}) delete",
    )


_BLUE_GREEN = "deploymentConfig.blueGreenUpdatePolicy"
_TRAFFIC = f"{_BLUE_GREEN}.trafficRoutingConfiguration"
_ROLLING = "deploymentConfig.rollingUpdatePolicy"


def _alarm_rules(inputs: Inputs) -> Iterable[Problem]:
    rollback = (inputs.get("deploymentConfig") or {}).get("autoRollbackConfiguration") or {}
    alarms = rollback.get("alarms") if isinstance(rollback, Mapping) else None
    if isinstance(alarms, list) and len(alarms) > 10:
        where = "deploymentConfig.autoRollbackConfiguration.alarms"
        yield where, f"at most 10 alarms may roll a deployment back, got {len(alarms)}"


ENDPOINT = Row(
    type="aws:sagemaker/endpoint:Endpoint",
    source="sagemaker/endpoint.go",
    label="SageMaker Endpoint",
    create=_create,
    read=_read,
    delete=_delete,
    calls=(_CREATE,),
    steps=(step(_update, "deploymentConfig", "endpointConfigName"),),
    name=AutoName(max_length=63),
    # Adding, removing or changing the set of rollback alarms replaces the live endpoint.
    force_new=frozenset({"name", "deploymentConfig.autoRollbackConfiguration"}),
    computed=frozenset({"name"}),
    defaults={f"{_BLUE_GREEN}.terminationWaitInSeconds": 0},
    sets=frozenset({"deploymentConfig.autoRollbackConfiguration.alarms"}),
    rules=(
        matches("name", r"[0-9A-Za-z](-*[0-9A-Za-z]){0,62}", "name takes 1 to 63 letters, digits and hyphens"),
        one_of(f"{_TRAFFIC}.type", "ALL_AT_ONCE", "CANARY", "LINEAR"),
        between(f"{_TRAFFIC}.waitIntervalInSeconds", 0, 3600),
        between(f"{_BLUE_GREEN}.terminationWaitInSeconds", 0, 3600),
        # 600 to 14,400 here, although the service takes 28,800.
        between(f"{_BLUE_GREEN}.maximumExecutionTimeoutInSeconds", 600, 14400),
        between(f"{_ROLLING}.maximumExecutionTimeoutInSeconds", 600, 14400),
        between(f"{_ROLLING}.waitIntervalInSeconds", 0, 3600),
        _alarm_rules,
    ),
    tagging=TAGGING,
)

ROWS = (ENDPOINT,)
