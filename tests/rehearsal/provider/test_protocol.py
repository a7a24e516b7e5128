"""Configuration, unknowns, secrets, faults in the middle, functions: what is not about one type."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from google.protobuf.json_format import MessageToDict
from provider_driver import ACCOUNT_ID, REGION, CheckFailed, Driver, struct, trust, urn_of
from provider_world import World
from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import UNKNOWN, AwsProvider, InitializationFailed, ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

VPC = "aws:ec2/vpc:Vpc"
ROLE = "aws:iam/role:Role"
TOPIC = "aws:sns/topic:Topic"
CONFIGURATION = "aws:sagemaker/endpointConfiguration:EndpointConfiguration"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


def secret(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SECRET, "value": value}


# -- plugin and configuration ------------------------------------------------------------------------------------------


def test_handshake_configure_and_version(cloud: Cloud) -> None:
    provider = AwsProvider(cloud.session)
    assert provider.Handshake(pb.ProviderHandshakeRequest(), None).accept_secrets is True
    assert provider.GetPluginInfo(None, None).version == "7.51.1"
    assert json.loads(provider.GetSchema(pb.GetSchemaRequest(), None).schema)["name"] == "aws"
    answer = provider.Configure(pb.ConfigureRequest(args=struct({"region": REGION}), acceptSecrets=True), None)
    assert (answer.acceptSecrets, answer.supportsPreview) == (True, True)
    assert (answer.acceptOutputs, answer.acceptResources) == (False, False)


def test_call_before_configure_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ProviderError, match="not configured"):
        Driver(AwsProvider(cloud.session)).create(VPC, "net", cidrBlock="10.0.0.0/16")


def test_other_account_is_refused_with_both_numbers(configure: Callable[..., Driver]) -> None:
    with pytest.raises(ProviderError, match=rf"not allowed: {ACCOUNT_ID}; this provider allows 222222222222"):
        configure(allowedAccountIds='["222222222222"]')
    assert configure(allowedAccountIds=f'["{ACCOUNT_ID}"]').provider.account.account_id == ACCOUNT_ID
    with pytest.raises(ProviderError, match="forbiddenAccountIds"):
        configure(forbiddenAccountIds=f'["{ACCOUNT_ID}"]')


def test_provider_arguments_without_a_rule_are_named(cloud: Cloud, configure: Callable[..., Driver]) -> None:
    provider = AwsProvider(cloud.session)
    request = pb.CheckRequest(news=struct({"region": REGION, "profile": "prod", "reqion": "x"}))
    failures = {one.property: one.reason for one in provider.CheckConfig(request, None).failures}
    assert failures == {
        "profile": "the rehearsal's provider has no rule for profile: credentials and endpoints are the rehearsal's",
        "reqion": "aws.Provider has no argument reqion",
    }
    with pytest.raises(ProviderError, match="no rule for profile"):
        configure(profile="prod")


def test_no_region_anywhere_is_an_error() -> None:
    provider = AwsProvider(lambda: boto3.Session(aws_access_key_id="x", aws_secret_access_key="x"))
    with pytest.raises(ProviderError, match="has no region"):
        provider.Configure(pb.ConfigureRequest(), None)


def test_variables_of_an_older_engine_configure_too(cloud: Cloud) -> None:
    provider = AwsProvider(cloud.session)
    provider.Configure(pb.ConfigureRequest(variables={"aws:config:region": "us-west-2"}), None)
    assert provider.account.region == "us-west-2"


def test_diff_of_the_configuration_names_what_changed(cloud: Cloud) -> None:
    request = pb.DiffRequest(old_inputs=struct({"region": REGION}), news=struct({"region": "us-east-1"}))
    answer = AwsProvider(cloud.session).DiffConfig(request, None)
    assert (answer.changes, list(answer.diffs)) == (pb.DiffResponse.DIFF_SOME, ["region"])


def test_endpoint_url_works_as_a_session_does(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same class through a socket, as another process would use it."""
    credentials = cloud.session().get_credentials()
    assert credentials is not None
    profile = f"[profile remote]\nregion = {REGION}\nendpoint_url = {cloud.serve()}\n"
    profile += f"aws_access_key_id = {credentials.access_key}\naws_secret_access_key = {credentials.secret_key}\n"
    (tmp_path / "config").write_text(profile)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    provider = AwsProvider(lambda: boto3.Session(profile_name="remote"))
    provider.Configure(pb.ConfigureRequest(args=struct({"region": REGION})), None)
    made = Driver(provider).create(TOPIC, "pages", name="pages")
    assert cloud.client("sns").list_topics()["Topics"] == [{"TopicArn": made.id}]


def test_one_provider_serves_another_region_by_argument(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(TOPIC, "pages", name="pages", region="us-east-1")
    assert made.outputs["arn"] == f"arn:aws:sns:us-east-1:{ACCOUNT_ID}:pages"
    assert made.outputs["region"] == "us-east-1"
    assert engine.changed(made, name="pages", region="us-east-1") == {}
    assert engine.changed(made, name="pages") == {"region": True}
    assert cloud.client("sns").list_topics()["Topics"] == []


# -- default tags ------------------------------------------------------------------------------------------------------

DEFAULTS = json.dumps({"tags": {"owner": "platform", "team": "none"}})


def test_default_tags_go_to_tags_all_and_not_to_tags(configure: Callable[..., Driver], cloud: Cloud) -> None:
    engine = configure(defaultTags=DEFAULTS)
    made = engine.create(TOPIC, "pages", name="pages", tags={"team": "ml"})
    assert made.outputs["tags"] == {"team": "ml"}
    assert made.outputs["tagsAll"] == {"owner": "platform", "team": "ml"}
    live = cloud.client("sns").list_tags_for_resource(ResourceArn=made.id)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in live} == {"owner": "platform", "team": "ml"}
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs == made.outputs
    assert engine.changed(refreshed, name="pages", tags={"team": "ml"}) == {}


def test_changed_default_tags_update_every_resource(configure: Callable[..., Driver], cloud: Cloud) -> None:
    made = configure(defaultTags=DEFAULTS).create(TOPIC, "pages", name="pages")
    assert "tags" not in made.outputs
    plain = configure()
    assert plain.changed(made, name="pages") == {"tagsAll": False}
    assert plain.update(made, preview=True, name="pages").outputs["tagsAll"] == {}
    plain.update(made, name="pages")
    assert cloud.client("sns").list_tags_for_resource(ResourceArn=made.id)["Tags"] == []


def test_default_tag_that_the_program_repeats_stays_in_tags(configure: Callable[..., Driver]) -> None:
    engine = configure(defaultTags=DEFAULTS)
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"owner": "platform"})
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs["tags"] == {"owner": "platform"}
    assert engine.changed(refreshed, cidrBlock="10.0.0.0/16", tags={"owner": "platform"}) == {}


def test_tag_set_by_hand_is_drift_unless_ignored(configure: Callable[..., Driver], cloud: Cloud) -> None:
    made = configure().create(VPC, "net", cidrBlock="10.0.0.0/16")
    cloud.client("ec2").create_tags(Resources=[made.id], Tags=[{"Key": "scanner/seen", "Value": "1"}])
    engine = configure()
    drifted = engine.read(made)
    assert drifted is not None
    assert engine.changed(drifted, cidrBlock="10.0.0.0/16") == {"tags.scanner/seen": False}
    lenient = configure(ignoreTags='{"keyPrefixes": ["scanner/"]}')
    seen = lenient.read(made)
    assert seen is not None
    assert lenient.changed(seen, cidrBlock="10.0.0.0/16") == {}


# -- unknowns ----------------------------------------------------------------------------------------------------------


def test_bad_enum_beside_an_unknown_value_fails_with_its_path(engine: Driver) -> None:
    variant = {"variantName": "stable", "modelName": UNKNOWN, "initialInstanceCount": 1, "instanceType": "ml.nope"}
    with pytest.raises(CheckFailed) as caught:
        engine.check(CONFIGURATION, "c", {"name": "c", "productionVariants": [variant], "kmsKeyArn": UNKNOWN})
    assert list(caught.value.failures) == ["productionVariants[0].instanceType"]
    assert "ml.nope" in caught.value.failures["productionVariants[0].instanceType"]


def test_index_in_a_path_counts_unknown_elements_too(engine: Driver) -> None:
    alarm = {
        "name": "a",
        "namespace": "AWS/SageMaker",
        "metricName": "Invocations",
        "statistic": "Sum",
        "period": 60,
        "evaluationPeriods": 1,
        "comparisonOperator": "LessThanThreshold",
        "alarmActions": [UNKNOWN, "x" * 1025],
    }
    with pytest.raises(CheckFailed) as caught:
        engine.check("aws:cloudwatch/metricAlarm:MetricAlarm", "a", alarm)
    assert list(caught.value.failures) == ["alarmActions[1]"]


def test_fixed_name_still_leaves_the_arn_unknown_in_preview(engine: Driver) -> None:
    planned = engine.preview(TOPIC, "pages", name="pages")
    assert planned["name"] == "pages"
    assert planned["arn"] == UNKNOWN


def test_unknown_new_value_of_a_forced_argument_plans_a_replacement(engine: Driver, world: World) -> None:
    subnet = world.subnet
    news = {"vpcId": UNKNOWN, "cidrBlock": "10.0.1.0/24", "availabilityZone": f"{REGION}a"}
    assert engine.changed(subnet, **news) == {"vpcId": True}


def test_update_preview_keeps_computed_outputs_but_those_made_anew(engine: Driver, world: World) -> None:
    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    made = engine.create(token, "o", bucket=world.bucket.id, content="one")
    planned = engine.update(made, preview=True, bucket=world.bucket.id, content="two").outputs
    assert planned["versionId"] == UNKNOWN
    assert planned["arn"] == made.outputs["arn"]


def test_ignore_changes_takes_paths(engine: Driver) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16", tags={"a": "1", "b": "1"})
    news = {"cidrBlock": "10.0.0.0/16", "tags": {"a": "2", "b": "2"}}
    answer = engine.diff(made, ("tags.a",), **news)
    assert list(answer.detailedDiff) == ["tags.b"]
    assert engine.diff(made, ('tags["a"]', "tags.b"), **news).changes == pb.DiffResponse.DIFF_NONE


# -- Check -------------------------------------------------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_the_nearest_name(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(CONFIGURATION, "c", {"productionVariants": [{"variantNme": "a"}], "kmsKeyAm": "b", "tags": 5})
    failures = caught.value.failures
    assert failures["productionVariants[0].variantNme"] == "no such argument; did you mean variantName?"
    assert failures["kmsKeyAm"] == f"{CONFIGURATION} has no argument kmsKeyAm; did you mean kmsKeyArn?"
    assert failures["tags"] == "expected a map, got 5"


def test_required_arguments_are_told_at_every_depth(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(CONFIGURATION, "c", {"dataCaptureConfig": {"destinationS3Uri": "s3://b/x"}})
    assert set(caught.value.failures) == {
        "productionVariants",
        "dataCaptureConfig.captureOptions",
        "dataCaptureConfig.initialSamplingPercentage",
    }


def test_texts_of_numbers_and_booleans_are_taken_as_the_bridge_does(engine: Driver) -> None:
    checked = engine.check("aws:cloudwatch/logGroup:LogGroup", "l", {"retentionInDays": "30", "skipDestroy": "true"})
    assert (checked["retentionInDays"], checked["skipDestroy"]) == (30, True)
    with pytest.raises(CheckFailed, match=r"expected an integer, got 1\.5"):
        engine.check("aws:cloudwatch/logGroup:LogGroup", "l", {"retentionInDays": 1.5})


def test_type_without_a_row_is_named(engine: Driver) -> None:
    token = "aws:eks/cluster:Cluster"
    with pytest.raises(CheckFailed, match=r"does not carry aws:eks/cluster:Cluster"):
        engine.check(token, "c", {})
    with pytest.raises(ProviderError, match=r"does not carry aws:eks/cluster:Cluster"):
        engine.provider.Create(pb.CreateRequest(urn=urn_of(token, "c")), None)


def test_auto_naming_options_of_the_stack_are_honoured(engine: Driver) -> None:
    def named(mode: Any, proposed: str = "") -> pb.CheckResponse:
        options = pb.CheckRequest.AutonamingOptions(mode=mode, proposed_name=proposed)
        return engine.provider.Check(pb.CheckRequest(urn=urn_of(TOPIC, "pages"), autonaming=options), None)

    modes = pb.CheckRequest.AutonamingOptions
    assert MessageToDict(named(modes.ENFORCE, "exactly").inputs)["name"] == "exactly"
    assert [one.property for one in named(modes.DISABLE).failures] == ["name"]


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_stay_secret_in_inputs_outputs_and_after_a_refresh(engine: Driver, cloud: Cloud) -> None:
    inputs = {"name": "pages", "displayName": secret("classified"), "tags": {"a": secret("1"), "b": "2"}}
    made = engine.create(TOPIC, "pages", **inputs)
    assert made.inputs["displayName"] == secret("classified")
    assert made.outputs["displayName"] == secret("classified")
    assert made.outputs["tags"] == {"a": secret("1"), "b": "2"}
    assert cloud.client("sns").get_topic_attributes(TopicArn=made.id)["Attributes"]["DisplayName"] == "classified"
    refreshed = engine.read(made)
    assert refreshed is not None
    assert refreshed.outputs["displayName"] == secret("classified")
    assert refreshed.inputs["tags"] == {"a": secret("1"), "b": "2"}
    assert engine.changed(refreshed, **inputs) == {}
    news = {**inputs, "displayName": secret("other")}
    assert engine.changed(made, **news) == {"displayName": False}
    assert engine.update(made, **news).outputs["displayName"] == secret("other")


def test_secret_tags_stay_secret_in_tags_all(engine: Driver) -> None:
    made = engine.create(TOPIC, "pages", name="pages", tags={"a": secret("1")})
    assert made.outputs["tagsAll"] == {"a": secret("1")}


def test_secrets_come_plain_to_an_engine_that_takes_none(cloud: Cloud) -> None:
    provider = AwsProvider(cloud.session)
    provider.Configure(pb.ConfigureRequest(args=struct({"region": REGION}), acceptSecrets=False), None)
    made = Driver(provider).create(TOPIC, "pages", name="pages", displayName=secret("classified"))
    assert made.outputs["displayName"] == "classified"


# -- faults in the middle ----------------------------------------------------------------------------------------------


def test_access_denied_before_the_id_leaves_nothing_and_says_who_and_what(engine: Driver, cloud: Cloud) -> None:
    denied = AwsError("AccessDenied", "User: operator is not authorized to perform: iam:CreateRole", 403)
    cloud.faults.add("iam", "CreateRole", denied)
    with pytest.raises(ProviderError) as caught:
        engine.create(ROLE, "r", name="r", assumeRolePolicy=trust("lambda.amazonaws.com"))
    assert not isinstance(caught.value, InitializationFailed)
    assert str(caught.value) == (
        "creating IAM Role (r): iam.CreateRole: AccessDenied:"
        " User: operator is not authorized to perform: iam:CreateRole"
    )


def test_access_denied_after_the_id_is_recorded_with_what_was_asked(engine: Driver, cloud: Cloud) -> None:
    cloud.faults.add("ec2", "ModifyVpcAttribute", AwsError("UnauthorizedOperation", "not you", 403))
    with pytest.raises(InitializationFailed) as caught:
        engine.create(VPC, "net", cidrBlock="10.0.0.0/16", enableDnsHostnames=True)
    failed = caught.value
    assert failed.id.startswith("vpc-")
    assert failed.properties["enableDnsHostnames"] is True
    assert "ModifyVpcAttribute: UnauthorizedOperation: not you" in failed.reasons[0]


def test_throttling_is_tried_again_and_then_told(engine: Driver, cloud: Cloud) -> None:
    throttled = AwsError("ThrottlingException", "Rate exceeded", 400)
    cloud.faults.add("logs", "CreateLogGroup", throttled, times=1)
    made = engine.create("aws:cloudwatch/logGroup:LogGroup", "l", name="/a")
    assert made.id == "/a"
    cloud.faults.add("logs", "CreateLogGroup", throttled)
    with pytest.raises(ProviderError, match="CreateLogGroup: ThrottlingException: Rate exceeded"):
        engine.create("aws:cloudwatch/logGroup:LogGroup", "m", name="/b")


def test_failed_update_keeps_the_new_values_so_only_a_refresh_tells(engine: Driver, cloud: Cloud) -> None:
    inputs = {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": False}
    made = engine.create(VPC, "net", **inputs)
    fault = cloud.faults.add("ec2", "ModifyVpcAttribute", AwsError("UnauthorizedOperation", "not you", 403))
    news = {**inputs, "enableDnsHostnames": True}
    with pytest.raises(InitializationFailed) as caught:
        engine.update(made, **news)
    fault.remove()
    made.outputs = caught.value.properties
    made.inputs = caught.value.inputs
    assert engine.changed(made, **news) == {}  # the state claims what never happened
    refreshed = engine.read(made)
    assert refreshed is not None
    assert engine.changed(refreshed, **news) == {"enableDnsHostnames": False}


def test_failed_update_of_a_framework_resource_keeps_the_old_state(engine: Driver, world: World, cloud: Cloud) -> None:
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    base = {"securityGroupId": world.group.id, "ipProtocol": "tcp", "fromPort": 1, "cidrIpv4": "10.0.0.0/16"}
    made = engine.create(token, "r", **base, toPort=1)
    cloud.faults.add("ec2", "ModifySecurityGroupRules", AwsError("UnauthorizedOperation", "not you", 403))
    with pytest.raises(ProviderError) as caught:
        engine.update(made, **base, toPort=2)
    assert not isinstance(caught.value, InitializationFailed)


def test_access_denied_while_reading_is_an_error_not_gone(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(VPC, "net", cidrBlock="10.0.0.0/16")
    cloud.faults.add("ec2", "DescribeVpcs", AwsError("UnauthorizedOperation", "not you", 403))
    with pytest.raises(ProviderError, match=r"reading EC2 VPC .*DescribeVpcs: UnauthorizedOperation"):
        engine.read(made)


def test_account_that_cannot_be_asked_is_told(cloud: Cloud, configure: Callable[..., Driver]) -> None:
    cloud.faults.add("sts", "GetCallerIdentity", AwsError("ExpiredToken", "The security token is expired", 403))
    with pytest.raises(ProviderError, match=r"cannot find out which account .* ExpiredToken"):
        configure()


# -- functions ---------------------------------------------------------------------------------------------------------


def invoke(engine: Driver, token: str, **arguments: Any) -> Any:
    answer = engine.provider.Invoke(pb.InvokeRequest(tok=token, args=struct(arguments)), None)
    if answer.failures:
        return [one.reason for one in answer.failures]
    return MessageToDict(getattr(answer, "return"))


def test_functions_of_the_package(engine: Driver) -> None:
    assert invoke(engine, "aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT_ID
    region = invoke(engine, "aws:index/getRegion:getRegion")
    assert (region["region"], region["description"]) == (REGION, "Europe (Ireland)")
    assert invoke(engine, "aws:index/getPartition:getPartition") == {
        "partition": "aws",
        "id": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def test_function_that_is_not_carried_is_named(engine: Driver) -> None:
    with pytest.raises(ProviderError, match="does not carry the function aws:ec2/getAmi:getAmi"):
        invoke(engine, "aws:ec2/getAmi:getAmi")
    assert "region not found" in invoke(engine, "aws:index/getRegion:getRegion", region="eu-moon-1")[0]
