"""Puts the guard alarms of a live endpoint back into its inputs in the state, where a refresh has dropped them.

A refresh takes over live values of the inputs that the state has; one that is gone once never comes back
(https://github.com/pulumi/pulumi-terraform-bridge/blob/master/pkg/tfbridge/schema.go, ExtractInputsFromOutputs). After
somebody's update without our alarms the state has none of them, `ignore_changes` copies that nothing into every later
update, and `up` refuses for ever (docs/decisions/0012-guards-are-mended-in-the-state.md).

Outputs are left as they are: every refresh reads them anew, and with them lies `__pulumi_raw_state_delta`, which has to
fit them, or the provider cannot read its own state.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from mainstage.guard_alarms import guard_alarm_names

from infra.recover.operations import resources_of
from infra.registry.target import Target

ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
_DEPLOYMENT, _ROLLBACK = "deploymentConfig", "autoRollbackConfiguration"


@dataclass(frozen=True)
class Mend:
    """An endpoint whose inputs have to name its guards again."""

    urn: str
    endpoint: str
    inputs: Mapping[str, Any]
    """As they have to be."""

    def __str__(self) -> str:
        return f"the guard alarms of {self.endpoint} are live and not in the state"


def lacks_guards(inputs: Mapping[str, Any]) -> bool:
    """Whether an endpoint's inputs have no rollback alarms. Others than ours are some: a refresh keeps those true."""
    rollback = (inputs.get(_DEPLOYMENT) or {}).get(_ROLLBACK) or {}
    return not rollback.get("alarms")


def mended(endpoint: str, inputs: Mapping[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The endpoint's inputs with its guards, and with what else of the deployment is missing; None when nothing is to
    be done. Pure.

    live: `LastDeploymentConfig` of the endpoint at rest. Unless it names exactly our guards, nothing is done.
    """
    names = list(guard_alarm_names(endpoint).values())
    alarms = ((live or {}).get("AutoRollbackConfiguration") or {}).get("Alarms") or ()
    if not lacks_guards(inputs) or sorted(each["AlarmName"] for each in alarms) != sorted(names):
        return None
    given = copy.deepcopy(dict(inputs.get(_DEPLOYMENT) or {}))
    given.pop(_ROLLBACK, None)
    ours = {_ROLLBACK: {"alarms": [{"alarmName": name} for name in names]}}  # in the order that the program declares
    return copy.deepcopy(dict(inputs)) | {_DEPLOYMENT: {**_camel(live), **given, **ours}}


def _camel(value: Any) -> Any:
    """`WaitIntervalInSeconds` as the provider's inputs write it."""
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: _camel(each) for key, each in value.items()}
    return [_camel(each) for each in value] if isinstance(value, list) else value


def edited(state: Mapping[str, Any], mends: Iterable[Mend]) -> dict[str, Any]:
    """The exported state with the mended inputs; everything else stays as it is. Pure."""
    result = copy.deepcopy(dict(state))
    inputs = {each.urn: copy.deepcopy(dict(each.inputs)) for each in mends}
    for resource in resources_of(result):
        if resource["urn"] in inputs and not resource.get("delete"):
            resource["inputs"] = inputs[resource["urn"]]
    return result


def unguarded(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The endpoints of an exported state whose inputs have no rollback alarms. AWS is asked of these alone."""
    return [
        each
        for each in resources_of(state)
        if each["type"] == ENDPOINT and not each.get("delete") and lacks_guards(each.get("inputs") or {})
    ]


def mends(state: Mapping[str, Any], target: Target) -> Iterator[Mend]:
    """What has to be mended in an exported state. Raises ClientError."""
    for resource in unguarded(state):
        name = resource["id"]
        inputs = mended(name, resource.get("inputs") or {}, deployment_at_rest(target, name))
        if inputs is not None:
            yield Mend(resource["urn"], name, inputs)


def deployment_at_rest(target: Target, endpoint: str) -> Mapping[str, Any] | None:
    """How the endpoint was last deployed; None when it has something under way, failed, or is not there. Raises
    ClientError."""
    try:
        told = target.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find endpoint" not in str(error):
            raise
        return None
    if told["EndpointStatus"] != "InService" or told.get("PendingDeploymentSummary"):
        return None
    return told.get("LastDeploymentConfig")
