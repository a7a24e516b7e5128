"""Pulumi components for an AI platform on AWS. This is the whole importable surface; what it exports, other
languages see.

Nothing but components and their arguments may stand here: the component host publishes every ComponentResource that
it finds
in this namespace, and `pulumi.ComponentResource` itself would stop it.
"""

from ._front_door_identity import FrontDoorIdentity
from ._log_identity import PredictionLogIdentity
from ._signature_args import SignatureArgs, SignatureFieldArgs
from .dashboard import Dashboard, DashboardArgs, DashboardModelArgs
from .encryption_key import EncryptionKey, EncryptionKeyArgs
from .front_door import FrontDoor, FrontDoorArgs, JwtArgs
from .guard_alarms import EndpointIdentity, GuardAlarms, GuardAlarmsArgs, SloArgs
from .model_registry import ModelRegistry, ModelRegistryArgs
from .model_route import ModelRoute, ModelRouteArgs
from .model_service import CapacityArgs, KeptVersionArgs, LogStorageArgs, ModelService, ModelServiceArgs
from .network import ExistingVpcArgs, Network, NetworkArgs
from .pager import Pager, PagerArgs
from .prediction_log import PredictionLog, PredictionLogArgs
from .pseudonym_key import PseudonymKey, PseudonymKeyArgs
from .release_watch import ReleaseWatch, ReleaseWatchArgs
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
from .service_alarms import AlarmLimitsArgs, ServiceAlarms, ServiceAlarmsArgs

__all__ = [
    "AlarmLimitsArgs",
    "AutoscalingArgs",
    "CapacityArgs",
    "Dashboard",
    "DashboardArgs",
    "DashboardModelArgs",
    "DataCaptureArgs",
    "DeploymentArgs",
    "EncryptionKey",
    "EncryptionKeyArgs",
    "EndpointIdentity",
    "EndpointNetworkArgs",
    "ExistingVpcArgs",
    "FrontDoor",
    "FrontDoorArgs",
    "FrontDoorIdentity",
    "GuardAlarms",
    "GuardAlarmsArgs",
    "JwtArgs",
    "KeptReleaseArgs",
    "KeptVersionArgs",
    "LogStorageArgs",
    "ModelRegistry",
    "ModelRegistryArgs",
    "ModelRoute",
    "ModelRouteArgs",
    "ModelService",
    "ModelServiceArgs",
    "Network",
    "NetworkArgs",
    "Pager",
    "PagerArgs",
    "PredictionLog",
    "PredictionLogArgs",
    "PredictionLogIdentity",
    "PseudonymKey",
    "PseudonymKeyArgs",
    "ReleaseWatch",
    "ReleaseWatchArgs",
    "RoleBoundary",
    "RoleBoundaryArgs",
    "SageMakerEndpoint",
    "SageMakerEndpointArgs",
    "SecureBucket",
    "SecureBucketArgs",
    "ServiceAlarms",
    "ServiceAlarmsArgs",
    "SignatureArgs",
    "SignatureFieldArgs",
    "SloArgs",
]
