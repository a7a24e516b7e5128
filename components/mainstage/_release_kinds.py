"""The two things that a release is made of in SageMaker: how each is described and deleted. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """How things of one Pulumi type are described and deleted in SageMaker."""

    type: str
    word: str
    describe: str
    delete: str
    argument: str
    arn: str
    same: Mapping[str, str] = field(hash=False)
    """What the name's fingerprint does not cover, or may not: inputs, and where AWS shows each. `[]`: the first."""


CONFIGURATION = Kind(
    type="aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    word="endpoint configuration",
    describe="describe_endpoint_config",
    delete="delete_endpoint_config",
    argument="EndpointConfigName",
    arn="EndpointConfigArn",
    same={
        "productionVariants.[].modelName": "ProductionVariants.[].ModelName",
        "productionVariants.[].instanceType": "ProductionVariants.[].InstanceType",
        "kmsKeyArn": "KmsKeyId",
        "dataCaptureConfig.destinationS3Uri": "DataCaptureConfig.DestinationS3Uri",
        "dataCaptureConfig.kmsKeyId": "DataCaptureConfig.KmsKeyId",
    },
)
MODEL = Kind(
    type="aws:sagemaker/model:Model",
    word="model",
    describe="describe_model",
    delete="delete_model",
    argument="ModelName",
    arn="ModelArn",
    same={
        "executionRoleArn": "ExecutionRoleArn",
        "primaryContainer.image": "PrimaryContainer.Image",
        "primaryContainer.modelDataUrl": "PrimaryContainer.ModelDataUrl",
        "primaryContainer.environment": "PrimaryContainer.Environment",
        "vpcConfig.subnets": "VpcConfig.Subnets",
        "vpcConfig.securityGroupIds": "VpcConfig.SecurityGroupIds",
    },
)
