from __future__ import annotations

import pytest

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:endpoint-config/c"


@pytest.fixture(autouse=True)
def _model(stage):
    stage.model()


def test_a_configuration_is_kept_whole(stage):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://registry-of-tests/captured",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }
    variant = {
        "InitialVariantWeight": 0.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": 120,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    assert stage.config(variants={"stable": variant}, DataCaptureConfig=capture, ExecutionRoleArn=stage.role_arn) == ARN
    found = stage.sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert found["EndpointConfigArn"] == ARN
    assert found["DataCaptureConfig"] == capture
    assert found["ExecutionRoleArn"] == stage.role_arn
    assert found["ProductionVariants"] == [
        {
            "VariantName": "stable",
            "ModelName": "m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            **variant,
        }
    ]


def test_a_missing_weight_is_one(stage):
    stage.config()
    found = stage.sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert found["ProductionVariants"][0]["InitialVariantWeight"] == 1.0


@pytest.mark.parametrize("instance_type", ["ml.g6e.xlarge", "ml.p5.48xlarge", "ml.inf2.xlarge"])
def test_accelerated_instances_are_taken(stage, instance_type):
    stage.config(variants={"stable": {"InstanceType": instance_type}})


def test_a_shadow_variant_is_kept(stage):
    shadow = {"VariantName": "next", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    stage.config(ShadowProductionVariants=[shadow])
    found = stage.sagemaker.describe_endpoint_config(EndpointConfigName="c")
    assert [variant["VariantName"] for variant in found["ShadowProductionVariants"]] == ["next"]


def test_a_taken_name(stage, refused):
    stage.config()
    wanted = f'Cannot create already existing endpoint configuration "{ARN}".'
    assert refused(stage.config) == ("ValidationException", wanted)


def test_a_missing_configuration(stage, refused):
    wanted = ("ValidationException", f'Could not find endpoint configuration "{ARN}".')
    assert refused(stage.sagemaker.describe_endpoint_config, EndpointConfigName="c") == wanted
    assert refused(stage.sagemaker.delete_endpoint_config, EndpointConfigName="c") == wanted


def test_a_missing_model_is_named(stage, refused):
    code, message = refused(stage.config, variants={"stable": {"ModelName": "gone"}})
    assert code == "ValidationException"
    assert message == 'Could not find model "arn:aws:sagemaker:eu-west-1:111111111111:model/gone".'


def test_a_variant_name_used_twice(stage, refused):
    shadow = {"VariantName": "stable", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    code, message = refused(stage.config, ShadowProductionVariants=[shadow])
    assert code == "ValidationException"
    assert "'stable' more than once" in message


def test_lists(stage):
    stage.config("one")
    stage.config("two")
    found = stage.sagemaker.list_endpoint_configs(NameContains="o", SortBy="Name", SortOrder="Ascending")
    assert [entry["EndpointConfigName"] for entry in found["EndpointConfigs"]] == ["one", "two"]
    stage.sagemaker.delete_endpoint_config(EndpointConfigName="one")
    assert len(stage.sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1
