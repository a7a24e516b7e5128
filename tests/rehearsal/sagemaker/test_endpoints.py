"""Endpoints with real model hosts: up, described, updated, scaled, deleted."""

from __future__ import annotations

import threading
import time

import pytest

from infra.rehearsal.cloud.overlay import endpoint_deployment
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

ARN = "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/e"


@pytest.fixture
def up(stage):
    stage.model()
    stage.config()
    stage.endpoint()
    return stage


def test_an_endpoint_comes_up_and_answers(stage):
    stage.model()
    stage.config()
    assert stage.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")["EndpointArn"] == ARN
    found = stage.settled()
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == "c"
    assert "FailureReason" not in found
    (variant,) = found["ProductionVariants"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["CurrentInstanceCount"]) == ("stable", 1.0, 1)
    (image,) = variant["DeployedImages"]
    assert image["SpecifiedImage"] == stage.image
    assert image["ResolvedImage"].startswith(stage.image.split(":")[0] + "@sha256:")
    assert stage.invoke({"a": 1})["answer"] == {"answer": "m", "asked": {"a": 1}}


def test_it_is_creating_first(stage):
    stage.model()
    stage.config()
    stage.cloud.faults.add("s3", "GetObject", delay_seconds=0.3)
    stage.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    found = stage.sagemaker.describe_endpoint(EndpointName="e")
    assert found["EndpointStatus"] == "Creating"
    assert "ProductionVariants" not in found
    stage.settled()


def test_nothing_may_touch_an_endpoint_that_is_coming_up(stage, refused):
    stage.model()
    stage.config()
    stage.cloud.faults.add("s3", "GetObject", delay_seconds=0.5)
    stage.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    wanted = ("ValidationException", f'Cannot update in-progress endpoint "{ARN}".')
    assert refused(stage.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c") == wanted
    assert refused(stage.sagemaker.delete_endpoint, EndpointName="e") == wanted
    changes = [{"VariantName": "stable", "DesiredWeight": 2.0}]
    method = stage.sagemaker.update_endpoint_weights_and_capacities
    assert refused(method, EndpointName="e", DesiredWeightsAndCapacities=changes) == wanted
    assert refused(stage.invoke) == ("ValidationError", "Endpoint e of account 111111111111 not found.")
    assert stage.settled()["EndpointStatus"] == "InService"


def test_a_taken_name(up, refused):
    wanted = ("ValidationException", f'Cannot create already existing endpoint "{ARN}".')
    assert refused(up.endpoint) == wanted


def test_missing_things_are_named(stage, refused):
    missing = ("ValidationException", f'Could not find endpoint "{ARN}".')
    assert refused(stage.sagemaker.describe_endpoint, EndpointName="e") == missing
    assert refused(stage.sagemaker.delete_endpoint, EndpointName="e") == missing
    assert refused(stage.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c")[0] == missing[0]
    code, message = refused(stage.sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="none")
    assert code == "ValidationException"
    assert message.startswith(
        'Could not find endpoint configuration "arn:aws:sagemaker:eu-west-1:111111111111:endpoint'
    )


def test_lists_by_status(up):
    found = up.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"]
    assert [(entry["EndpointName"], entry["EndpointArn"]) for entry in found] == [("e", ARN)]
    assert up.sagemaker.list_endpoints(StatusEquals="Failed")["Endpoints"] == []


def test_deleting_leaves_nothing_behind(up, refused):
    (variant,) = up.cloud_variants()
    host = variant.host
    up.deleted()
    assert not host.alive
    assert not variant.directory.exists()
    assert refused(up.sagemaker.describe_endpoint, EndpointName="e")[1] == f'Could not find endpoint "{ARN}".'
    assert refused(up.invoke)[0] == "ValidationError"
    assert up.sagemaker.describe_endpoint_config(EndpointConfigName="c")["EndpointConfigName"] == "c"
    up.endpoint()


def test_an_update_switches_to_the_new_fleet(up):
    up.model("next")
    up.config("c2", variants={"stable": {"ModelName": "next", "InitialInstanceCount": 3}})
    (old,) = up.cloud_variants()
    up.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="c2")
    found = up.settled()
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c2")
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert up.invoke()["answer"]["answer"] == "next"
    assert "PendingDeploymentSummary" not in found
    old.calls.wait(5)
    up.joined()
    assert not old.host.alive


def test_while_updating_the_old_fleet_serves(up):
    up.model("next")
    up.config("c2", variants={"stable": {"ModelName": "next"}})
    fault = up.cloud.faults.add("s3", "GetObject", delay_seconds=0.6)
    up.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="c2")
    found = up.sagemaker.describe_endpoint(EndpointName="e")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("Updating", "c")
    assert found["PendingDeploymentSummary"]["EndpointConfigName"] == "c2"
    assert up.invoke()["answer"]["answer"] == "m"
    up.settled()
    fault.remove()
    assert up.invoke()["answer"]["answer"] == "next"


def test_a_new_fleet_that_fails_leaves_the_old_one_serving(up):
    up.put_archive("raise RuntimeError('cannot be imported')", "bad.tar.gz")
    up.model("bad", url="s3://registry-of-tests/bad.tar.gz")
    up.config("c2", variants={"stable": {"ModelName": "bad"}})
    found = up.update("c2")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c")
    assert found["FailureReason"].startswith(
        "The primary container for production variant stable did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert up.invoke()["answer"]["answer"] == "m"
    up.config("c3")
    assert "FailureReason" not in up.update("c3")


def test_counts_and_weights_start_again_unless_they_are_retained(up):
    changes = [{"VariantName": "stable", "DesiredWeight": 0.0, "DesiredInstanceCount": 4}]
    up.sagemaker.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=changes)

    def counts(found):
        (variant,) = found["ProductionVariants"]
        return variant["CurrentWeight"], variant["CurrentInstanceCount"]

    assert counts(up.settled()) == (0.0, 4)
    up.config("c2", variants={"stable": {"InitialVariantWeight": 0.5}})
    assert counts(up.update("c2", RetainAllVariantProperties=True)) == (0.0, 4)
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    assert counts(up.update("c2", RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded)) == (
        0.5,
        4,
    )
    assert counts(up.update("c2")) == (0.5, 1)


def test_weights_of_an_unknown_variant_change_nothing(up, refused):
    changes = [{"VariantName": "stable", "DesiredWeight": 5.0}, {"VariantName": "none", "DesiredWeight": 1.0}]
    method = up.sagemaker.update_endpoint_weights_and_capacities
    code, message = refused(method, EndpointName="e", DesiredWeightsAndCapacities=changes)
    assert (code, message) == ("ValidationException", f'Variant none does not exist in endpoint "{ARN}".')
    assert up.settled()["ProductionVariants"][0]["CurrentWeight"] == 1.0


def test_the_deployment_configuration_is_kept_for_one_update(up):
    deployment = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 0,
        }
    }
    assert "LastDeploymentConfig" not in up.settled()
    assert up.update("c", DeploymentConfig=deployment)["LastDeploymentConfig"] == deployment
    assert up.update("c", RetainDeploymentConfig=True)["LastDeploymentConfig"] == deployment
    assert "LastDeploymentConfig" not in up.update("c")


def test_a_configuration_may_go_under_a_live_endpoint(up, refused):
    up.sagemaker.delete_endpoint_config(EndpointConfigName="c")
    up.sagemaker.delete_model(ModelName="m")
    up.s3.delete_object(Bucket="registry-of-tests", Key="model.tar.gz")
    assert up.invoke()["answer"]["answer"] == "m"
    assert up.settled()["EndpointConfigName"] == "c"
    code, message = refused(up.sagemaker.update_endpoint, EndpointName="e", EndpointConfigName="c")
    assert code == "ValidationException"
    assert message.startswith("Could not find endpoint configuration")


def test_an_update_waits_for_the_last_answers_of_the_old_fleet(up):
    slow = up.code.replace("    return {", "    import time\n    time.sleep(0.8)\n    return {")
    up.model("slow", url=up.put_archive(slow, "slow.tar.gz"))
    up.config("slow", variants={"stable": {"ModelName": "slow"}})
    up.update("slow")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(up.invoke()["answer"]["answer"]))
    caller.start()
    (variant,) = up.cloud_variants()
    while variant.calls.count == 0:
        time.sleep(0.005)
    assert up.update("c")["EndpointConfigName"] == "c"
    caller.join()
    assert answers == ["slow"]


def test_the_end_of_the_cloud_waits_for_an_old_fleet_that_is_ending(up, monkeypatch):
    """Also when the endpoint was deleted meanwhile."""
    (old,) = up.cloud_variants()
    up.config("c2")
    may_end, take_down = threading.Event(), endpoint_deployment.take_down

    def slow(cloud, endpoint, fleet, give_back):
        if fleet.config_name == "c":
            may_end.wait(30)
        take_down(cloud, endpoint, fleet, give_back)

    monkeypatch.setattr(endpoint_deployment, "take_down", slow)
    up.update("c2")
    (new,) = up.cloud_variants()
    up.sagemaker.delete_endpoint(EndpointName="e")
    while new.host.alive:
        time.sleep(0.005)
    threading.Timer(0.3, may_end.set).start()
    up.cloud.reset()
    assert not old.host.alive


def test_a_container_that_hangs_fails_the_endpoint(stage):
    sagemaker_of(stage.cloud).startup_timeout_seconds = 1.0
    stage.model(url=stage.put_archive("import time\ntime.sleep(60)", "hangs.tar.gz"))
    stage.config()
    found = stage.endpoint()
    assert found["EndpointStatus"] == "Failed"
    assert "did not pass the ping health check" in found["FailureReason"]


def test_the_containers_log_lands_in_the_endpoints_log_group(up):
    up.put_archive(up.code + "\nprint('the model file was imported')", "loud.tar.gz")
    up.model("loud", url="s3://registry-of-tests/loud.tar.gz")
    up.config("c2", variants={"stable": {"ModelName": "loud"}})
    up.update("c2")
    logs = up.cloud.client("logs")
    streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/e")["logStreams"]
    assert len(streams) == 2
    assert all(stream["logStreamName"].startswith("stable/i-") for stream in streams)
    found = logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/e", filterPattern="imported")["events"]
    assert any("the model file was imported" in event["message"] for event in found)
