"""What moto drops or gets wrong comes back as AWS gives it."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud.overlay.flow_records import record_download


@pytest.fixture
def ec2(cloud):
    return cloud.client("ec2")


@pytest.fixture
def vpc(ec2):
    return ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]


@pytest.fixture
def bucket(cloud):
    cloud.client("s3").create_bucket(Bucket="mended", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return "mended"


def code_of(method, **params):
    with pytest.raises(ClientError) as caught:
        method(**params)
    return caught.value.response["Error"]["Code"]


def test_lifecycle_rules_come_back_as_they_were_put(cloud, bucket):
    s3 = cloud.client("s3")
    rules = [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "models/", "ObjectSizeGreaterThan": 1024}},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 5},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert found["Rules"] == rules
    assert found["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert code_of(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"


def test_a_lifecycle_rule_without_an_id_gets_one(cloud, bucket):
    s3 = cloud.client("s3")
    rules = [{"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"]


def test_descriptions_of_group_and_prefix_list_rules(ec2, vpc):
    own, other = (
        ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"] for name in ("own", "other")
    )
    prefix = ec2.describe_managed_prefix_lists()["PrefixLists"][0]["PrefixListId"]
    https = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    pair = {"GroupId": other, "Description": "from the others"}
    ec2.authorize_security_group_ingress(GroupId=own, IpPermissions=[{**https, "UserIdGroupPairs": [pair]}])
    listed = {"PrefixListId": prefix, "Description": "to S3"}
    made = ec2.authorize_security_group_egress(GroupId=own, IpPermissions=[{**https, "PrefixListIds": [listed]}])
    assert made["SecurityGroupRules"][0]["Description"] == "to S3"

    def descriptions():
        found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [own]}])
        rules = [rule for rule in found["SecurityGroupRules"] if rule["IpProtocol"] == "tcp"]
        return {rule["IsEgress"]: rule.get("Description") for rule in rules}

    assert descriptions() == {False: "from the others", True: "to S3"}
    rule = {"SecurityGroupRuleId": made["SecurityGroupRules"][0]["SecurityGroupRuleId"]}
    changed = {**https, "PrefixListId": prefix}
    for description in ("another word", None):
        wanted = {**changed, **({"Description": description} if description else {})}
        ec2.modify_security_group_rules(GroupId=own, SecurityGroupRules=[{**rule, "SecurityGroupRule": wanted}])
        assert descriptions()[True] == description


def test_an_endpoint_without_a_type_is_a_gateway(ec2, vpc):
    made = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.eu-west-1.s3")["VpcEndpoint"]
    assert made["VpcEndpointType"] == "Gateway"
    ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


def test_interface_permissions(ec2, vpc):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    asked = {"NetworkInterfaceId": interface, "AwsAccountId": "222222222222", "Permission": "INSTANCE-ATTACH"}
    made = ec2.create_network_interface_permission(**asked)["InterfacePermission"]
    assert made["PermissionState"] == {"State": "granted"}
    number = made["NetworkInterfacePermissionId"]
    (found,) = ec2.describe_network_interface_permissions(NetworkInterfacePermissionIds=[number])[
        "NetworkInterfacePermissions"
    ]
    assert {key: found[key] for key in asked} == asked
    assert ec2.delete_network_interface_permission(NetworkInterfacePermissionId=number)["Return"] is True
    assert code_of(ec2.delete_network_interface_permission, NetworkInterfacePermissionId=number) == (
        "InvalidPermissionID.NotFound"
    )
    missing = {**asked, "NetworkInterfaceId": "eni-0123456789abcdef0"}
    assert code_of(ec2.create_network_interface_permission, **missing) == "InvalidNetworkInterfaceID.NotFound"


def test_a_flow_log_to_a_bucket_with_a_path(ec2, vpc, bucket):
    destination = f"arn:aws:s3:::{bucket}/flow/"
    made = ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination=destination,
    )
    assert made["Unsuccessful"] == []
    (found,) = ec2.describe_flow_logs()["FlowLogs"]
    assert found["LogDestination"] == destination


def test_a_flow_log_to_a_log_group_by_arn(cloud, ec2, vpc):
    made = flow_log(cloud, vpc, "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams")
    (found,) = ec2.describe_flow_logs(FlowLogIds=[made])["FlowLogs"]
    assert (found["DeliverLogsStatus"], found["LogGroupName"]) == ("SUCCESS", "/flow")


def flow_log(cloud, vpc, *actions):
    """A flow log of the VPC to the log group /flow, whose role may do these actions of Logs."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "vpc-flow-logs.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="flow", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": [f"logs:{action}" for action in actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName="flow", PolicyName="deliver", PolicyDocument=document)
    cloud.client("logs").create_log_group(logGroupName="/flow")
    made = cloud.client("ec2").create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogDestination="arn:aws:logs:eu-west-1:111111111111:log-group:/flow",
        DeliverLogsPermissionArn=role,
    )
    return made["FlowLogIds"][0]


@pytest.fixture
def interface(ec2, vpc):
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    return ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]


def test_a_download_is_in_the_flow_log(cloud, vpc, interface):
    flow_log(cloud, vpc, "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams")
    record_download(cloud, "eu-west-1", [interface["NetworkInterfaceId"]], 4000)
    record_download(cloud, "eu-west-1", [interface["NetworkInterfaceId"]], 10)
    first, _ = cloud.client("logs").filter_log_events(logGroupName="/flow")["events"]
    assert first["logStreamName"] == f"{interface['NetworkInterfaceId']}-all"
    fields = first["message"].split()
    assert fields[:10] == [
        "2",
        "111111111111",
        interface["NetworkInterfaceId"],
        "52.218.0.1",
        interface["PrivateIpAddress"],
        "443",
        "49152",
        "6",
        "3",
        "4000",
    ]
    assert fields[12:] == ["ACCEPT", "OK"]


@pytest.mark.parametrize("action", ["CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams"])
def test_a_flow_log_whose_role_may_not_write_keeps_nothing(cloud, vpc, interface, action):
    needed = {"CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams"}
    flow_log(cloud, vpc, *sorted(needed - {action}))
    record_download(cloud, "eu-west-1", [interface["NetworkInterfaceId"]], 4000)
    assert cloud.client("logs").filter_log_events(logGroupName="/flow")["events"] == []


def test_log_groups_keep_class_and_protection(cloud):
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/a", logGroupClass="INFREQUENT_ACCESS", deletionProtectionEnabled=True)
    logs.create_log_group(logGroupName="/b")
    first, second = logs.describe_log_groups()["logGroups"]
    assert (first["logGroupClass"], first["deletionProtectionEnabled"]) == ("INFREQUENT_ACCESS", True)
    assert (second["logGroupClass"], second["deletionProtectionEnabled"]) == ("STANDARD", False)
    assert first["logGroupArn"] == "arn:aws:logs:eu-west-1:111111111111:log-group:/a"
    with pytest.raises(ClientError, match="deletion protection"):
        logs.delete_log_group(logGroupName="/a")
    logs.put_log_group_deletion_protection(logGroupIdentifier="/a", deletionProtectionEnabled=False)
    logs.delete_log_group(logGroupName="/a")
    assert [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]] == ["/b"]
    missing = {"logGroupIdentifier": "/none", "deletionProtectionEnabled": True}
    assert code_of(logs.put_log_group_deletion_protection, **missing) == "ResourceNotFoundException"


def test_the_rotation_period_of_a_key(cloud):
    kms = cloud.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert "RotationPeriodInDays" not in kms.get_key_rotation_status(KeyId=key)
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    found = kms.get_key_rotation_status(KeyId=key)
    assert (found["KeyRotationEnabled"], found["RotationPeriodInDays"]) == (True, 180)


def test_a_role_keeps_the_description_that_an_update_leaves_out(cloud):
    iam = cloud.client("iam")
    lets = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [lets]})
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust, Description="said", MaxSessionDuration=7200)
    iam.update_role(RoleName="r", MaxSessionDuration=43200)
    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("said", 43200)
    iam.update_role(RoleName="r", Description="otherwise")
    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("otherwise", 3600)
    assert code_of(iam.update_role, RoleName="none") == "NoSuchEntity"


def test_published_messages_are_kept(cloud):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="s", Message="m")
    (message,) = cloud.messages
    assert (message.topic_arn, message.subject, message.message) == (topic, "s", "m")
    assert message.principal.endswith("user/rehearsal-operator")


DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("create_policy_version", {"PolicyDocument": DOCUMENT, "SetAsDefault": True}),
        ("set_default_policy_version", {"VersionId": "v1"}),
        ("delete_policy_version", {"VersionId": "v1"}),
        ("tag_policy", {"Tags": [{"Key": "team", "Value": "ml"}]}),
        ("untag_policy", {"TagKeys": ["team"]}),
        ("delete_policy", {}),
    ],
)
def test_a_managed_policy_of_aws_cannot_be_changed(cloud, operation, params):
    iam, arn = cloud.client("iam"), "arn:aws:iam::aws:policy/ReadOnlyAccess"

    def seen():
        policy, versions = iam.get_policy(PolicyArn=arn)["Policy"], iam.list_policy_versions(PolicyArn=arn)["Versions"]
        return policy["DefaultVersionId"], policy.get("Tags"), [version["VersionId"] for version in versions]

    before = seen()
    assert code_of(getattr(iam, operation), PolicyArn=arn, **params) == "AccessDenied"
    assert seen() == before


def test_a_policy_of_the_account_is_changed_and_deleted(cloud):
    iam = cloud.client("iam")
    arn = iam.create_policy(PolicyName="own", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=DOCUMENT, SetAsDefault=True)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "team", "Value": "ml"}, {"Key": "use", "Value": "test"}])
    iam.untag_policy(PolicyArn=arn, TagKeys=["use"])
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy["DefaultVersionId"], policy["Tags"]) == ("v1", [{"Key": "team", "Value": "ml"}])
    iam.delete_policy(PolicyArn=arn)
    assert code_of(iam.get_policy, PolicyArn=arn) == "NoSuchEntity"
