"""Pulumi components for an AI platform on AWS. This is the whole importable surface; what it exports, other
languages see.

Nothing but components and their arguments may stand here: the component host publishes every ComponentResource that
it finds
in this namespace, and `pulumi.ComponentResource` itself would stop it.
"""

from .encryption_key import EncryptionKey, EncryptionKeyArgs
from .guard_alarms import EndpointIdentity, GuardAlarms, GuardAlarmsArgs, SloArgs
from .model_registry import ModelRegistry, ModelRegistryArgs
from .model_service import CapacityArgs, KeptVersionArgs, ModelService, ModelServiceArgs
from .network import ExistingVpcArgs, Network, NetworkArgs
from .pager import Pager, PagerArgs
from .role_boundary import RoleBoundary, RoleBoundaryArgs
from .sagemaker_endpoint import (
    AutoscalingArgs,
    DataCaptureArgs,
    DeploymentArgs,
    EndpointNetworkArgs,
    KeptReleaseArgs,
    SageMakerEndpoint,
    SageMakerEndpointArgs,
)
from .secure_bucket import SecureBucket, SecureBucketArgs

__all__ = [
    "AutoscalingArgs",
    "CapacityArgs",
    "DataCaptureArgs",
    "DeploymentArgs",
    "EncryptionKey",
    "EncryptionKeyArgs",
    "EndpointIdentity",
    "EndpointNetworkArgs",
    "ExistingVpcArgs",
    "GuardAlarms",
    "GuardAlarmsArgs",
    "KeptReleaseArgs",
    "KeptVersionArgs",
    "ModelRegistry",
    "ModelRegistryArgs",
    "ModelService",
    "ModelServiceArgs",
    "Network",
    "NetworkArgs",
    "Pager",
    "PagerArgs",
    "RoleBoundary",
    "RoleBoundaryArgs",
    "SageMakerEndpoint",
    "SageMakerEndpointArgs",
    "SecureBucket",
    "SecureBucketArgs",
    "SloArgs",
]
