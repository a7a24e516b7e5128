"""What somebody changes behind Pulumi's back, by Pulumi type: by boto3, as in the console."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Client = Callable[[str], Any]


@dataclass(frozen=True)
class Deployed:
    """A resource as an exported state holds it."""

    urn: str
    type: str
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]

    @property
    def arn(self) -> str:
        return self.outputs["arn"]


@dataclass(frozen=True)
class Drift:
    """One change made from outside."""

    name: str
    """The resource's logical name."""
    shows: tuple[str, ...]
    """The properties that a refresh names, sorted; empty: the resource is gone, and is made anew."""
    act: Callable[[Client, Deployed], object]


def deployed(state: Mapping[str, Any]) -> dict[str, Deployed]:
    """The AWS resources that an exported state manages, by logical name."""
    found = {}
    for resource in state["deployment"]["resources"]:
        if resource["type"].startswith("aws:") and not resource.get("external"):
            one = Deployed(
                resource["urn"], resource["type"], resource["id"], resource["inputs"], resource.get("outputs", {})
            )
            found[one.name] = one
    return found


TAGS = ("tags",)
_PAIRS = [{"Key": "drifted", "Value": "yes"}]


def _ec2_tag(client: Client, it: Deployed) -> None:
    client("ec2").create_tags(Resources=[it.id], Tags=_PAIRS)


def _sagemaker_tag(client: Client, it: Deployed) -> None:
    client("sagemaker").add_tags(ResourceArn=it.arn, Tags=_PAIRS)


def _resaid(policy: str) -> str:
    """The policy with another name for its first statement."""
    document = json.loads(policy)
    document["Statement"][0]["Sid"] = "Drifted"
    return json.dumps(document)


def _looser(policy: str) -> str:
    """An identity policy with a statement more."""
    document = json.loads(policy)
    extra = {"Sid": "Drifted", "Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    return json.dumps({**document, "Statement": [*document["Statement"], extra]})


# -- network -----------------------------------------------------------------------------------------------------------


def _dns_names_off(client: Client, it: Deployed) -> None:
    client("ec2").modify_vpc_attribute(VpcId=it.id, EnableDnsHostnames={"Value": False})


def _public_addresses(client: Client, it: Deployed) -> None:
    client("ec2").modify_subnet_attribute(SubnetId=it.id, MapPublicIpOnLaunch={"Value": True})


def _disassociated(client: Client, it: Deployed) -> None:
    client("ec2").disassociate_route_table(AssociationId=it.id)


def _open_endpoint(client: Client, it: Deployed) -> None:
    anything = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [anything]})
    client("ec2").modify_vpc_endpoint(VpcEndpointId=it.id, PolicyDocument=document)


def _default_group_opened(client: Client, it: Deployed) -> None:
    anyone = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    client("ec2").authorize_security_group_egress(GroupId=it.id, IpPermissions=[anyone])


def _rule_widened(client: Client, it: Deployed) -> None:
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 443, "CidrIpv4": it.inputs["cidrIpv4"]}
    rule["Description"] = it.inputs["description"]
    client("ec2").modify_security_group_rules(
        GroupId=it.inputs["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": it.id, "SecurityGroupRule": rule}],
    )


def _egress_rule_gone(client: Client, it: Deployed) -> None:
    client("ec2").revoke_security_group_egress(GroupId=it.inputs["securityGroupId"], SecurityGroupRuleIds=[it.id])


def _flow_log_gone(client: Client, it: Deployed) -> None:
    client("ec2").delete_flow_logs(FlowLogIds=[it.id])


# -- rights and keys ---------------------------------------------------------------------------------------------------


def _policy_version(client: Client, it: Deployed) -> None:
    client("iam").create_policy_version(PolicyArn=it.id, PolicyDocument=_looser(it.inputs["policy"]), SetAsDefault=True)


def _longer_sessions(client: Client, it: Deployed) -> None:
    client("iam").update_role(RoleName=it.id, Description=it.inputs["description"], MaxSessionDuration=43200)


def _role_policy(client: Client, it: Deployed) -> None:
    client("iam").put_role_policy(
        RoleName=it.inputs["role"], PolicyName=it.inputs["name"], PolicyDocument=_looser(it.inputs["policy"])
    )


def _no_rotation(client: Client, it: Deployed) -> None:
    client("kms").disable_key_rotation(KeyId=it.id)


def _other_key(client: Client, it: Deployed) -> None:
    key = client("kms").create_key(Description="somebody's")["KeyMetadata"]["KeyId"]
    client("kms").update_alias(AliasName=it.id, TargetKeyId=key)


# -- buckets and images ------------------------------------------------------------------------------------------------


def _bucket_tags(client: Client, it: Deployed) -> None:
    tags = client("s3").get_bucket_tagging(Bucket=it.id)["TagSet"]
    client("s3").put_bucket_tagging(Bucket=it.id, Tagging={"TagSet": [*tags, *_PAIRS]})


def _shorter_life(client: Client, it: Deployed) -> None:
    rules = client("s3").get_bucket_lifecycle_configuration(Bucket=it.inputs["bucket"])["Rules"]
    for rule in rules:
        if "Expiration" in rule:
            rule["Expiration"] = {"Days": 1}
    client("s3").put_bucket_lifecycle_configuration(Bucket=it.inputs["bucket"], LifecycleConfiguration={"Rules": rules})


def _other_owners(client: Client, it: Deployed) -> None:
    client("s3").put_bucket_ownership_controls(
        Bucket=it.inputs["bucket"], OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    )


def _bucket_policy(client: Client, it: Deployed) -> None:
    client("s3").put_bucket_policy(Bucket=it.inputs["bucket"], Policy=_resaid(it.inputs["policy"]))


def _public(client: Client, it: Deployed) -> None:
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    client("s3").put_public_access_block(
        Bucket=it.inputs["bucket"],
        PublicAccessBlockConfiguration={block: block != "BlockPublicPolicy" for block in blocks},
    )


def _plain_encryption(client: Client, it: Deployed) -> None:
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    client("s3").put_bucket_encryption(Bucket=it.inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})


def _suspended(client: Client, it: Deployed) -> None:
    client("s3").put_bucket_versioning(Bucket=it.inputs["bucket"], VersioningConfiguration={"Status": "Suspended"})


def _mutable(client: Client, it: Deployed) -> None:
    client("ecr").put_image_tag_mutability(repositoryName=it.id, imageTagMutability="MUTABLE")


def _other_images(client: Client, it: Deployed) -> None:
    document = json.loads(it.inputs["policy"])
    document["rules"][0]["selection"]["countNumber"] = 1
    client("ecr").put_lifecycle_policy(repositoryName=it.inputs["repository"], lifecyclePolicyText=json.dumps(document))


# -- topics, queues, logs, alarms --------------------------------------------------------------------------------------


def _other_sender(client: Client, it: Deployed) -> None:
    client("sns").set_topic_attributes(TopicArn=it.id, AttributeName="DisplayName", AttributeValue="somebody")


def _topic_policy(client: Client, it: Deployed) -> None:
    client("sns").set_topic_attributes(
        TopicArn=it.inputs["arn"], AttributeName="Policy", AttributeValue=_resaid(it.inputs["policy"])
    )


def _visible_soon(client: Client, it: Deployed) -> None:
    client("sqs").set_queue_attributes(QueueUrl=it.id, Attributes={"VisibilityTimeout": "7"})


def _queue_policy(client: Client, it: Deployed) -> None:
    client("sqs").set_queue_attributes(
        QueueUrl=it.inputs["queueUrl"], Attributes={"Policy": _resaid(it.inputs["policy"])}
    )


def _kept_for_a_day(client: Client, it: Deployed) -> None:
    client("logs").put_retention_policy(logGroupName=it.id, retentionInDays=1)


def _log_stream_gone(client: Client, it: Deployed) -> None:
    client("logs").delete_log_stream(logGroupName=it.inputs["logGroupName"], logStreamName=it.inputs["name"])


def _muted(client: Client, it: Deployed) -> None:
    client("cloudwatch").disable_alarm_actions(AlarmNames=[it.id])


def _pages_nobody(client: Client, it: Deployed) -> None:
    """With actions but none for ALARM: put whole, as the console does it."""
    cloudwatch = client("cloudwatch")
    found = cloudwatch.describe_alarms(AlarmNames=[it.id], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
    kept = {name: found[name] for name in ("AlarmName", "AlarmRule", "AlarmDescription", "OKActions")}
    cloudwatch.put_composite_alarm(**kept)


def _hears_of_another(client: Client, it: Deployed) -> None:
    pattern = json.dumps({"source": ["somebody"]})
    client("events").put_rule(
        Name=it.id, EventPattern=pattern, State="ENABLED", Description=it.inputs.get("description", "")
    )


def _tells_nobody(client: Client, it: Deployed) -> None:
    client("events").remove_targets(Rule=it.inputs["rule"], Ids=[it.inputs["targetId"]])


def _dashboard_drawn_over(client: Client, it: Deployed) -> None:
    client("cloudwatch").put_dashboard(DashboardName=it.id, DashboardBody='{"widgets":[]}')


# -- functions and the HTTP API ----------------------------------------------------------------------------------------


def _short_of_time(client: Client, it: Deployed) -> None:
    client("lambda").update_function_configuration(FunctionName=it.id, Timeout=7, MemorySize=3008)


def _not_allowed(client: Client, it: Deployed) -> None:
    client("lambda").remove_permission(FunctionName=it.inputs["function"], StatementId=it.id)


def _one_by_one(client: Client, it: Deployed) -> None:
    client("lambda").update_event_source_mapping(UUID=it.id, BatchSize=1)


def _no_address(client: Client, it: Deployed) -> None:
    client("apigatewayv2").update_api(ApiId=it.id, DisableExecuteApiEndpoint=True)


def _throttled(client: Client, it: Deployed) -> None:
    client("apigatewayv2").update_stage(
        ApiId=it.inputs["apiId"],
        StageName=it.inputs["name"],
        DefaultRouteSettings={"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0},
    )


def _for_everyone(client: Client, it: Deployed) -> None:
    client("apigatewayv2").update_route(ApiId=it.inputs["apiId"], RouteId=it.id, AuthorizationType="NONE")


def _impatient(client: Client, it: Deployed) -> None:
    client("apigatewayv2").update_integration(ApiId=it.inputs["apiId"], IntegrationId=it.id, TimeoutInMillis=50)


# -- the prediction log ------------------------------------------------------------------------------------------------


def _slower(client: Client, it: Deployed) -> None:
    firehose, name = client("firehose"), it.inputs["name"]
    found = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    firehose.update_destination(
        DeliveryStreamName=name,
        CurrentDeliveryStreamVersionId=found["VersionId"],
        DestinationId=found["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"BufferingHints": {"IntervalInSeconds": 61, "SizeInMBs": 64}},
    )


def _described_otherwise(client: Client, it: Deployed) -> None:
    client("glue").update_database(
        Name=it.inputs["name"], DatabaseInput={"Name": it.inputs["name"], "Description": "somebody's"}
    )


def _column_gone(client: Client, it: Deployed) -> None:
    database, name = it.inputs["databaseName"], it.inputs["name"]
    table = client("glue").get_table(DatabaseName=database, Name=name)["Table"]
    kept = {"Name", "Description", "Parameters", "PartitionKeys", "StorageDescriptor", "TableType"}
    changed = {key: value for key, value in table.items() if key in kept}
    changed["StorageDescriptor"]["Columns"] = changed["StorageDescriptor"]["Columns"][:-1]
    client("glue").update_table(DatabaseName=database, TableInput=changed)


def _dearer(client: Client, it: Deployed) -> None:
    client("athena").update_work_group(
        WorkGroup=it.id, ConfigurationUpdates={"BytesScannedCutoffPerQuery": 20_000_000_000}
    )


def _asks_otherwise(client: Client, it: Deployed) -> None:
    client("athena").update_named_query(NamedQueryId=it.id, Name=it.inputs["name"], QueryString="SELECT 1")


# -- serving -----------------------------------------------------------------------------------------------------------


def _other_release(client: Client, it: Deployed) -> None:
    """Somebody moves the endpoint to a configuration of their own."""
    sagemaker = client("sagemaker")
    live = sagemaker.describe_endpoint_config(EndpointConfigName=it.inputs["endpointConfigName"])
    sagemaker.create_endpoint_config(EndpointConfigName="somebodys", ProductionVariants=live["ProductionVariants"])
    sagemaker.update_endpoint(EndpointName=it.id, EndpointConfigName="somebodys", RetainDeploymentConfig=True)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=it.id, WaiterConfig={"Delay": 1})


def _model_gone(client: Client, it: Deployed) -> None:
    """Behind a live endpoint: SageMaker allows it."""
    client("sagemaker").delete_model(ModelName=it.id)


def _endpoint_alone(client: Client, it: Deployed) -> None:
    client("application-autoscaling").register_scalable_target(
        ServiceNamespace=it.inputs["serviceNamespace"],
        ResourceId=it.inputs["resourceId"],
        ScalableDimension=it.inputs["scalableDimension"],
        MinCapacity=1,
    )


def _other_target(client: Client, it: Deployed) -> None:
    scaling = client("application-autoscaling")
    keys = {key: it.inputs[key[0].lower() + key[1:]] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    found = scaling.describe_scaling_policies(**keys)["ScalingPolicies"][0]
    tracking = {**found["TargetTrackingScalingPolicyConfiguration"], "TargetValue": 1.0}
    scaling.put_scaling_policy(
        PolicyName=it.inputs["name"],
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
        **keys,
    )


DRIFTS: Mapping[str, Drift] = {
    "aws:sagemaker/endpoint:Endpoint": Drift("iris-endpoint-endpoint", ("endpointConfigName",), _other_release),
    "aws:apigatewayv2/api:Api": Drift("front-door-api", ("disableExecuteApiEndpoint",), _no_address),
    "aws:apigatewayv2/integration:Integration": Drift("iris-route-integration", ("timeoutMilliseconds",), _impatient),
    "aws:apigatewayv2/route:Route": Drift("iris-route-route", ("authorizationType",), _for_everyone),
    "aws:apigatewayv2/stage:Stage": Drift("front-door-stage", ("defaultRouteSettings",), _throttled),
    "aws:athena/namedQuery:NamedQuery": Drift("iris-log-query-find-request", ("query",), _asks_otherwise),
    "aws:athena/workgroup:Workgroup": Drift("iris-log-workgroup", ("configuration",), _dearer),
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": Drift("iris-alarms-page", ("alarmActions",), _pages_nobody),
    "aws:cloudwatch/dashboard:Dashboard": Drift("overview-dashboard", ("dashboardBody",), _dashboard_drawn_over),
    "aws:cloudwatch/eventRule:EventRule": Drift("release-watch-rule", ("eventPattern",), _hears_of_another),
    "aws:cloudwatch/eventTarget:EventTarget": Drift("release-watch-target", (), _tells_nobody),
    "aws:cloudwatch/logGroup:LogGroup": Drift("iris-route-logs", ("retentionInDays",), _kept_for_a_day),
    "aws:cloudwatch/logStream:LogStream": Drift("iris-log-stream-log", (), _log_stream_gone),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Drift("iris-endpoint-guards-errors", ("actionsEnabled",), _muted),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Drift(
        "network-default-group", ("egress",), _default_group_opened
    ),
    "aws:ec2/routeTable:RouteTable": Drift("network-private-1-routes", TAGS, _ec2_tag),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Drift("network-private-1-association", (), _disassociated),
    "aws:ec2/securityGroup:SecurityGroup": Drift("network-endpoints", TAGS, _ec2_tag),
    "aws:ec2/subnet:Subnet": Drift("network-private-1", ("mapPublicIpOnLaunch",), _public_addresses),
    "aws:ec2/vpc:Vpc": Drift("network-vpc", ("enableDnsHostnames",), _dns_names_off),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Drift("network-s3-endpoint", ("policy",), _open_endpoint),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Drift("registry-repository-lifecycle", ("policy",), _other_images),
    "aws:ecr/repository:Repository": Drift("registry-repository", ("imageTagMutability",), _mutable),
    "aws:glue/catalogDatabase:CatalogDatabase": Drift("iris-log-database", ("description",), _described_otherwise),
    "aws:glue/catalogTable:CatalogTable": Drift("iris-log-records", ("storageDescriptor",), _column_gone),
    "aws:iam/policy:Policy": Drift("boundary-policy", ("policy",), _policy_version),
    "aws:iam/role:Role": Drift("iris-route-role", ("maxSessionDuration",), _longer_sessions),
    "aws:iam/rolePolicy:RolePolicy": Drift("iris-route-policy", ("policy",), _role_policy),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Drift(
        "iris-log-stream", ("extendedS3Configuration",), _slower
    ),
    "aws:kms/alias:Alias": Drift("key-alias", ("targetKeyId",), _other_key),
    "aws:kms/key:Key": Drift("key-key", ("enableKeyRotation", "rotationPeriodInDays"), _no_rotation),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Drift("iris-log-replay-source", ("batchSize",), _one_by_one),
    "aws:lambda/function:Function": Drift("iris-route-function", ("memorySize", "timeout"), _short_of_time),
    "aws:lambda/permission:Permission": Drift("iris-route-permission", (), _not_allowed),
    "aws:s3/bucket:Bucket": Drift("predictions-bucket", TAGS, _bucket_tags),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Drift(
        "predictions-lifecycle", ("rules",), _shorter_life
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Drift("predictions-ownership", ("rule",), _other_owners),
    "aws:s3/bucketPolicy:BucketPolicy": Drift("predictions-policy", ("policy",), _bucket_policy),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Drift(
        "predictions-public-access", ("blockPublicPolicy",), _public
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Drift(
        "predictions-encryption", ("rules",), _plain_encryption
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Drift(
        "predictions-versioning", ("versioningConfiguration",), _suspended
    ),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": Drift("iris-endpoint-config-v1", TAGS, _sagemaker_tag),
    "aws:sagemaker/model:Model": Drift("iris-endpoint-model-v1", (), _model_gone),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": Drift("registry-group-iris", TAGS, _sagemaker_tag),
    "aws:sns/topic:Topic": Drift("pager-page", ("displayName",), _other_sender),
    "aws:sns/topicPolicy:TopicPolicy": Drift("pager-page-policy", ("policy",), _topic_policy),
    "aws:sqs/queue:Queue": Drift("iris-log-spool", ("visibilityTimeoutSeconds",), _visible_soon),
    "aws:sqs/queuePolicy:QueuePolicy": Drift("iris-log-spool-policy", ("policy",), _queue_policy),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Drift(
        "card-fraud-endpoint-https-to-endpoints", (), _egress_rule_gone
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Drift(
        "network-endpoints-https", ("fromPort",), _rule_widened
    ),
}
"""One change a type of the dev environment. A name may end early: what follows is a hash.

The endpoint goes first: it could not be moved once the rest has drifted."""


def _deletes(service: str, call: str, **arguments: str) -> Callable[[Client, Deployed], object]:
    """A call that takes a resource away; `arguments` are made of its id (`id`) or of an input's value."""

    def act(client: Client, it: Deployed) -> object:
        words = {name: it.id if source == "id" else it.inputs[source] for name, source in arguments.items()}
        return getattr(client(service), call)(**words)

    return act


def _alarm_gone(client: Client, it: Deployed) -> None:
    client("cloudwatch").delete_alarms(AlarmNames=[it.id])


def _dashboard_gone(client: Client, it: Deployed) -> None:
    client("cloudwatch").delete_dashboards(DashboardNames=[it.id])


def _queue_policy_gone(client: Client, it: Deployed) -> None:
    client("sqs").set_queue_attributes(QueueUrl=it.inputs["queueUrl"], Attributes={"Policy": ""})


GONE: Mapping[str, Callable[[Client, Deployed], object]] = {
    "front-door-access-log": _deletes("logs", "delete_log_group", logGroupName="id"),
    "pseudonyms-alias": _deletes("kms", "delete_alias", AliasName="id"),
    "capture-policy": _deletes("s3", "delete_bucket_policy", Bucket="bucket"),
    "capture-public-access": _deletes("s3", "delete_public_access_block", Bucket="bucket"),
    "capture-lifecycle": _deletes("s3", "delete_bucket_lifecycle", Bucket="bucket"),
    "capture-ownership": _deletes("s3", "delete_bucket_ownership_controls", Bucket="bucket"),
    "card-fraud-overview-dashboard": _dashboard_gone,
    "card-fraud-endpoint-guards-p99": _alarm_gone,
    "card-fraud-log-query-find-request": _deletes("athena", "delete_named_query", NamedQueryId="id"),
    "card-fraud-log-replay-source": _deletes("lambda", "delete_event_source_mapping", UUID="id"),
    "card-fraud-log-records": _deletes("glue", "delete_table", DatabaseName="databaseName", Name="name"),
    "card-fraud-log-spool-policy": _queue_policy_gone,
    "card-fraud-route-permission": _not_allowed,
    "card-fraud-route-function": _deletes("lambda", "delete_function", FunctionName="id"),
    "card-fraud-route-policy": _deletes("iam", "delete_role_policy", RoleName="role", PolicyName="name"),
    "card-fraud-route-route": _deletes("apigatewayv2", "delete_route", ApiId="apiId", RouteId="id"),
}
"""More resources that somebody takes away, by logical name: they are found, and made anew."""


def other_code(client: Client, it: Deployed) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return 'somebody'\n")
    client("lambda").update_function_code(FunctionName=it.id, ZipFile=packed.getvalue())


UNSEEN: Mapping[tuple[str, str], str] = {
    ("aws:athena/workgroup:Workgroup", "forceDestroy"): "what a delete may do; AWS has no such setting",
    ("aws:ecr/repository:Repository", "forceDelete"): "what a delete may do; AWS has no such setting",
    ("aws:kms/key:Key", "bypassPolicyLockoutSafetyCheck"): "a word to PutKeyPolicy, never read (kms/key.go)",
    ("aws:kms/key:Key", "deletionWindowInDays"): "a word to ScheduleKeyDeletion, never read (kms/key.go)",
    ("aws:lambda/function:Function", "code"): (
        "GetFunction shows a hash only, which the provider keeps as codeSha256 and compares with nothing"
        " (lambda/function.go): foreign code stays until the program's own code changes"
    ),
    ("aws:s3/bucket:Bucket", "forceDestroy"): "what a delete may do; AWS has no such setting",
}
"""Properties in use that no refresh sees changed, each with the reason."""


SMALL: Mapping[str, Drift] = {
    "aws:appautoscaling/target:Target": Drift("scaling-target", ("minCapacity",), _endpoint_alone),
    "aws:appautoscaling/policy:Policy": Drift(
        "scaling-policy", ("targetTrackingScalingPolicyConfiguration",), _other_target
    ),
    "aws:ec2/flowLog:FlowLog": Drift("flow-log", (), _flow_log_gone),
}
"""Types that staging or prod have and dev has not, by their names in a small program."""
