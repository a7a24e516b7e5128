"""How long a model's name may be: what AWS leaves after the parts that are added to it."""

from __future__ import annotations

from infra.settings.schema import ENVIRONMENTS

MAXIMUM_VERSION = 99_999
"""Five digits: they are part of the names of SageMaker's models."""

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html: at most 63 characters, no
# underscore.
_SAGEMAKER_NAME = 63
_RELEASE_SUFFIX = len(f"-v{MAXIMUM_VERSION}-01234567")
_ENVIRONMENT_PREFIX = max(len(f"{environment}-") for environment in ENVIRONMENTS)

MAXIMUM_MODEL_NAME = _SAGEMAKER_NAME - _ENVIRONMENT_PREFIX - _RELEASE_SUFFIX
"""Longest name of a model, in characters: `staging-<model>-v99999-01234567` still has to be a SageMaker name."""

MODEL_NAME_PATTERN = r"^[a-z](-?[a-z0-9])*$"
