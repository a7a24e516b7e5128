"""What an endpoint will be called, known before any of it is made: whoever stands before it can be told."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from ._endpoint_args import Resolved
from ._release import Shape, config_name_of
from .guard_alarms import EndpointIdentity, guard_alarm_names


@dataclass(frozen=True)
class EndpointPlan:
    """Names of an endpoint. Plain texts, in a preview too."""

    identity: EndpointIdentity
    configuration_names: Mapping[str, str]
    """Endpoint configurations by version, of what is served and of what is kept. Empty while awaiting."""


def plan_endpoint(resolved: Resolved) -> EndpointPlan:
    """The names that follow from an endpoint's arguments."""
    network = resolved.network
    shape = Shape(
        endpoint_name=resolved.endpoint_name,
        variant_name=resolved.variant_name,
        instance_type=resolved.instance_type,
        instance_count=resolved.instance_count,
        network_isolation=resolved.network_isolation,
        subnet_ids=None if network is None else network.subnet_ids,
        # The endpoint makes its own group. No name follows from an id that is not known yet.
        security_group_id=None if network is None else pulumi.Output.from_input(""),
        kms_key_arn=resolved.kms_key_arn,
        capture=resolved.capture,
    )
    releases = () if resolved.release is None else (resolved.release, *resolved.keep)
    names = {str(release.version): config_name_of(shape, release) for release in releases}
    asked = f"{resolved.endpoint_name}-awaiting"
    if resolved.release is not None:
        asked = names[str(resolved.release.version)]
    return EndpointPlan(
        {
            "endpoint_name": resolved.endpoint_name,
            "endpoint_arn": resolved.account.arn("sagemaker", f"endpoint/{resolved.endpoint_name}"),
            "endpoint_config_name": asked,
            "variant_name": resolved.variant_name,
            "model_name": resolved.model_name,
            "guard_alarm_names": guard_alarm_names(resolved.endpoint_name),
        },
        names,
    )
