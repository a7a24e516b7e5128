"""Names and fingerprints: pure functions of what a component was given."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pulumi


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits of the inputs that are known now.

    What is not known yet (an Output) is left out, or a name would be unknown in every preview. Equal inputs give equal
    fingerprints whatever the order of their keys.
    """
    text = json.dumps(_known_part(inputs), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def release_name(endpoint_name: str, version: int, inputs: Mapping[str, Any]) -> str:
    """The name of a Model or EndpointConfiguration: endpoint, version, and a fingerprint of its own inputs."""
    return f"{endpoint_name}-v{version}-{fingerprint(inputs)}"


LONGEST_RELEASE_SUFFIX = len("-v99999-01234567")
"""What `release_name` may add to an endpoint's name. SageMaker takes names of 63 characters."""


def _known_part(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _known_part(item) for key, item in value.items() if not isinstance(item, pulumi.Output)}
    if isinstance(value, list | tuple):
        return [_known_part(item) for item in value if not isinstance(item, pulumi.Output)]
    return value
