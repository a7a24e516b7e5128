"""What the platform layer hands to the models layer: its stack outputs, by fixed names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import pulumi

from infra.settings import ModelsSettings

PROJECT = "mainstage"


class PlatformNotUp(Exception):
    """The models layer cannot be composed, for the platform layer is missing or another one; says what to run."""


@dataclass(frozen=True)
class PlatformOutputs:
    """The platform layer's outputs, as plain values."""

    account_id: str
    region: str
    kms_key_arn: str
    vpc_id: str
    vpc_cidr_block: str
    private_subnet_ids: tuple[str, ...]
    s3_prefix_list_id: str
    registry_bucket_name: str
    registry_bucket_arn: str
    repository_arn: str
    repository_url: str
    capture_bucket_name: str
    capture_bucket_arn: str
    page_topic_arn: str
    ticket_topic_arn: str
    front_door_api_id: str
    front_door_api_endpoint: str
    front_door_execution_arn: str
    front_door_authorizer_id: str
    """Empty unless callers have tokens."""
    front_door_authorization_type: str
    front_door_stage_name: str
    predictions_bucket_name: str
    predictions_bucket_arn: str
    pseudonym_key_arn: str
    permissions_boundary_arn: str
    release: str

    @classmethod
    def of(cls, values: Mapping[str, Any], settings: ModelsSettings) -> PlatformOutputs:
        """Checks the platform stack's outputs against the models stack's settings. Raises PlatformNotUp."""
        environment = settings.environment
        missing = [name for name in OUTPUT_NAMES if not values.get(name) and name not in _MAY_BE_EMPTY]
        if missing:
            nothing = len(missing) == len(OUTPUT_NAMES) - len(_MAY_BE_EMPTY)
            raise _not_up(environment, f"it has no {'outputs' if nothing else ', '.join(missing)}")
        for name in ("account_id", "region"):
            platform, models = values[name], getattr(settings, name)
            if platform != models:
                raise PlatformNotUp(
                    f"platform-{environment} is up with {name} {platform}, models-{environment} asks for {models}. "
                    f"Write the same mainstage:{name} in stacks/Pulumi.platform-{environment}.yaml "
                    f"and stacks/Pulumi.models-{environment}.yaml."
                )
        plain = {name: values.get(name, "") for name in OUTPUT_NAMES}
        return cls(**{**plain, "private_subnet_ids": tuple(plain["private_subnet_ids"])})


OUTPUT_NAMES = tuple(field.name for field in fields(PlatformOutputs))
"""The platform stack's outputs, in the order in which they are exported."""


_MAY_BE_EMPTY = ("front_door_authorizer_id",)


async def read_platform(environment: str) -> Mapping[str, Any]:
    """The outputs of the platform stack, as plain values. Raises PlatformNotUp when there is no such stack."""
    stack = f"{pulumi.get_organization()}/{PROJECT}/platform-{environment}"
    try:
        values = await pulumi.StackReference(stack).outputs.future()
    except Exception as error:  # the engine gives what its backend said, of any type
        problem = _not_up(environment, f"its outputs cannot be read ({error})")
        # The engine ends the run for the failed read and may show its own error only.
        pulumi.log.error(str(problem))
        raise problem from error
    return values or {}


def _not_up(environment: str, why: str) -> PlatformNotUp:
    return PlatformNotUp(
        f"models-{environment} stands on platform-{environment}, but {why}. "
        f"Bring the platform up first: pulumi up -s platform-{environment}"
    )
