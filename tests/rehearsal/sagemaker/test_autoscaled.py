"""An endpoint whose variant is registered with Application Auto Scaling keeps its instance type until it is "
"deregistered."""

from __future__ import annotations

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/stable",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def test_the_instance_type_of_a_registered_variant_is_fixed(stage, refused):
    scaling = stage.cloud.client("application-autoscaling")
    stage.model()
    stage.config()
    stage.endpoint()
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=2)
    stage.config("larger", variants={"stable": {"InstanceType": "ml.m5.xlarge"}})
    code, message = refused(stage.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="larger")
    assert code == "ValidationException"
    assert "cannot change from ml.m5.large to ml.m5.xlarge while the variant is registered" in message
    stage.config("same")
    assert stage.update("same")["EndpointConfigName"] == "same"
    scaling.deregister_scalable_target(**TARGET)
    assert stage.update("larger")["EndpointConfigName"] == "larger"
