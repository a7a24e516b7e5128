"""Where AWS shows what the platform layer sets: network, rights, buckets. From AWS's API references, by hand."""

from __future__ import annotations

from typing import Any

from readback import IN_THE_CALL, At, Look, Nowhere, Row, Table, any_order, policy


def _only(value: list[Any]) -> Any:
    """Of a list that the provider takes though AWS takes one."""
    (one,) = value
    return one


_RULES = Look("ec2", "describe_security_group_rules", {"SecurityGroupRuleIds": ["{id}"]}, "SecurityGroupRules[0]")
_RULE = {
    "cidrIpv4": "CidrIpv4",
    "description": "Description",
    "fromPort": "FromPort",
    "ipProtocol": "IpProtocol",
    "prefixListId": "PrefixListId",
    "securityGroupId": "GroupId",
    "toPort": "ToPort",
}
_TABLE = Look("ec2", "describe_route_tables", {"RouteTableIds": ["{routeTableId}"]}, "RouteTables[0]")
_DEFAULT_GROUP = [{"Name": "vpc-id", "Values": ["{vpcId}"]}, {"Name": "group-name", "Values": ["default"]}]


def _ec2(call: str, argument: str, member: str) -> Look:
    return Look("ec2", call, {argument: ["{id}"]}, f"{member}[0]")


def _own_tags(look: Look) -> Look:
    """Of most things of EC2, the description holds the tags."""
    return Look(look.service, look.call, look.arguments, f"{look.member}.Tags")


def _ec2_row(look: Look, properties: dict[str, Any], implied: dict[str, Any] | None = None) -> Row:
    return Row(look, properties, tags=_own_tags(look), implied=implied or {})


def _vpc_attribute(name: str) -> At:
    member = f"{name[0].upper()}{name[1:]}.Value"
    return At(member, Look("ec2", "describe_vpc_attribute", {"VpcId": "{id}", "Attribute": name}))


NETWORK: Table = {
    "aws:ec2/vpc:Vpc": _ec2_row(
        _ec2("describe_vpcs", "VpcIds", "Vpcs"),
        {
            "cidrBlock": "CidrBlock",
            "enableDnsHostnames": _vpc_attribute("enableDnsHostnames"),
            "enableDnsSupport": _vpc_attribute("enableDnsSupport"),
            "instanceTenancy": "InstanceTenancy",
        },
    ),
    "aws:ec2/subnet:Subnet": _ec2_row(
        _ec2("describe_subnets", "SubnetIds", "Subnets"),
        {
            "availabilityZone": "AvailabilityZone",
            "cidrBlock": "CidrBlock",
            "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
            "vpcId": "VpcId",
        },
    ),
    "aws:ec2/internetGateway:InternetGateway": _ec2_row(
        _ec2("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
        {"vpcId": "Attachments[0].VpcId"},
        {"Attachments[0].State": "available"},
    ),
    "aws:ec2/eip:Eip": _ec2_row(_ec2("describe_addresses", "AllocationIds", "Addresses"), {"domain": "Domain"}),
    "aws:ec2/natGateway:NatGateway": _ec2_row(
        _ec2("describe_nat_gateways", "NatGatewayIds", "NatGateways"),
        {
            "allocationId": "NatGatewayAddresses[0].AllocationId",
            "connectivityType": "ConnectivityType",
            "subnetId": "SubnetId",
        },
        {"State": "available"},
    ),
    "aws:ec2/routeTable:RouteTable": _ec2_row(
        _ec2("describe_route_tables", "RouteTableIds", "RouteTables"), {"vpcId": "VpcId"}
    ),
    "aws:ec2/route:Route": Row(
        Look(
            "ec2",
            "describe_route_tables",
            _TABLE.arguments,
            "RouteTables[0].Routes[?DestinationCidrBlock=='{destinationCidrBlock}'] | [0]",
        ),
        {
            "destinationCidrBlock": "DestinationCidrBlock",
            "gatewayId": "GatewayId",
            "natGatewayId": "NatGatewayId",
            "routeTableId": At("RouteTableId", _TABLE),
        },
        implied={"State": "active"},
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Row(
        Look(
            "ec2",
            "describe_route_tables",
            _TABLE.arguments,
            "RouteTables[0].Associations[?RouteTableAssociationId=='{id}'] | [0]",
        ),
        {"routeTableId": "RouteTableId", "subnetId": "SubnetId"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2_row(
        _ec2("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
        {
            "policy": policy("PolicyDocument"),
            "privateDnsEnabled": "PrivateDnsEnabled",
            "routeTableIds": any_order("RouteTableIds"),
            "securityGroupIds": any_order("Groups[].GroupId"),
            "serviceName": "ServiceName",
            "subnetIds": any_order("SubnetIds"),
            "vpcEndpointType": "VpcEndpointType",
            "vpcId": "VpcId",
        },
        {"State": "available"},
    ),
    "aws:ec2/flowLog:FlowLog": _ec2_row(
        _ec2("describe_flow_logs", "FlowLogIds", "FlowLogs"),
        {
            "iamRoleArn": "DeliverLogsPermissionArn",
            "logDestination": "LogDestination",
            "logDestinationType": "LogDestinationType",
            "maxAggregationInterval": "MaxAggregationInterval",
            "trafficType": "TrafficType",
            "vpcId": "ResourceId",
        },
        {"DeliverLogsStatus": "SUCCESS", "FlowLogStatus": "ACTIVE"},
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ec2_row(
        Look("ec2", "describe_security_groups", {"Filters": _DEFAULT_GROUP}, "SecurityGroups[0]"),
        {"egress": "IpPermissionsEgress", "ingress": "IpPermissions", "vpcId": "VpcId"},
    ),
    "aws:ec2/securityGroup:SecurityGroup": _ec2_row(
        _ec2("describe_security_groups", "GroupIds", "SecurityGroups"), {"description": "Description", "vpcId": "VpcId"}
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2_row(_RULES, _RULE, {"IsEgress": False}),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2_row(_RULES, _RULE, {"IsEgress": True}),
}

_REPOSITORY = Look("ecr", "describe_repositories", {"repositoryNames": ["{name}"]}, "repositories[0]")
_ENCRYPTION = "encryptionConfigurations[]"
_DOCUMENT = Look(
    "iam",
    "get_account_authorization_details",
    {"Filter": ["LocalManagedPolicy"]},
    "Policies[?Arn=='{id}'] | [0].PolicyVersionList[?IsDefaultVersion] | [0]",
)
_ROTATION = Look("kms", "get_key_rotation_status", {"KeyId": "{id}"})

RIGHTS: Table = {
    "aws:iam/policy:Policy": Row(
        Look("iam", "get_policy", {"PolicyArn": "{id}"}, "Policy"),
        {"description": "Description", "name": "PolicyName", "policy": policy("Document", _DOCUMENT)},
        tags=Look("iam", "list_policy_tags", {"PolicyArn": "{id}"}, "Tags"),
    ),
    "aws:iam/role:Role": Row(
        Look("iam", "get_role", {"RoleName": "{id}"}, "Role"),
        {
            "assumeRolePolicy": policy("AssumeRolePolicyDocument"),
            "description": "Description",
            "maxSessionDuration": "MaxSessionDuration",
            "name": "RoleName",
            "permissionsBoundary": "PermissionsBoundary.PermissionsBoundaryArn",
        },
        tags=Look("iam", "list_role_tags", {"RoleName": "{id}"}, "Tags"),
    ),
    "aws:iam/rolePolicy:RolePolicy": Row(
        Look("iam", "get_role_policy", {"RoleName": "{role}", "PolicyName": "{parts[1]}"}),
        {"policy": policy("PolicyDocument"), "role": "RoleName"},
    ),
    "aws:kms/key:Key": Row(
        Look("kms", "describe_key", {"KeyId": "{id}"}, "KeyMetadata"),
        {
            "bypassPolicyLockoutSafetyCheck": Nowhere("a word to PutKeyPolicy"),
            "customerMasterKeySpec": "KeySpec",
            "deletionWindowInDays": Nowhere("a word to ScheduleKeyDeletion"),
            "description": "Description",
            "enableKeyRotation": At("KeyRotationEnabled", _ROTATION),
            "isEnabled": "Enabled",
            "keyUsage": "KeyUsage",
            "multiRegion": "MultiRegion",
            "policy": policy("Policy", Look("kms", "get_key_policy", {"KeyId": "{id}", "PolicyName": "default"})),
            "rotationPeriodInDays": At("RotationPeriodInDays", _ROTATION),
        },
        tags=Look("kms", "list_resource_tags", {"KeyId": "{id}"}, "Tags"),
        implied={"KeyState": "Enabled"},
    ),
    "aws:kms/alias:Alias": Row(
        Look("kms", "list_aliases", {}, "Aliases[?AliasName=='{name}'] | [0]"),
        {"name": "AliasName", "targetKeyId": "TargetKeyId"},
    ),
    "aws:ecr/repository:Repository": Row(
        _REPOSITORY,
        {
            f"{_ENCRYPTION}.encryptionType": At("encryptionConfiguration.encryptionType", asked=_only),
            f"{_ENCRYPTION}.kmsKey": At("encryptionConfiguration.kmsKey", asked=_only),
            "forceDelete": Nowhere("a word to DeleteRepository"),
            "imageScanningConfiguration.scanOnPush": "imageScanningConfiguration.scanOnPush",
            "imageTagMutability": "imageTagMutability",
            "name": "repositoryName",
        },
        tags=Look("ecr", "list_tags_for_resource", {"resourceArn": "{arn}"}, "tags"),
        arn="repositoryArn",
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Row(
        Look("ecr", "get_lifecycle_policy", {"repositoryName": "{repository}"}),
        {"policy": policy("lifecyclePolicyText"), "repository": "repositoryName"},
    ),
}

_ENCRYPTED = "rules[].applyServerSideEncryptionByDefault"
_ENCRYPTS = "Rules[].ApplyServerSideEncryptionByDefault"


def _of_bucket(call: str, member: str = "@") -> Look:
    return Look("s3", call, {"Bucket": "{bucket}"}, member)


BUCKETS: Table = {
    "aws:s3/bucket:Bucket": Row(
        Look("s3", "list_buckets", {}, "Buckets[?Name=='{bucket}'] | [0]"),
        {"bucket": "Name", "forceDestroy": Nowhere("the provider empties the bucket before DeleteBucket")},
        tags=_of_bucket("get_bucket_tagging", "TagSet"),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Row(
        _of_bucket("get_bucket_lifecycle_configuration"),
        {
            "bucket": IN_THE_CALL,
            "rules[].abortIncompleteMultipartUpload.daysAfterInitiation": (
                "Rules[].AbortIncompleteMultipartUpload.DaysAfterInitiation"
            ),
            "rules[].expiration.days": "Rules[].Expiration.Days",
            "rules[].filter.prefix": "Rules[].Filter.Prefix",
            "rules[].id": "Rules[].ID",
            "rules[].noncurrentVersionExpiration.noncurrentDays": "Rules[].NoncurrentVersionExpiration.NoncurrentDays",
            "rules[].status": "Rules[].Status",
        },
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Row(
        _of_bucket("get_bucket_ownership_controls", "OwnershipControls"),
        {"bucket": IN_THE_CALL, "rule.objectOwnership": "Rules[0].ObjectOwnership"},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Row(
        _of_bucket("get_bucket_policy"), {"bucket": IN_THE_CALL, "policy": policy("Policy")}
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Row(
        _of_bucket("get_public_access_block", "PublicAccessBlockConfiguration"),
        {
            "blockPublicAcls": "BlockPublicAcls",
            "blockPublicPolicy": "BlockPublicPolicy",
            "bucket": IN_THE_CALL,
            "ignorePublicAcls": "IgnorePublicAcls",
            "restrictPublicBuckets": "RestrictPublicBuckets",
        },
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Row(
        _of_bucket("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
        {
            "bucket": IN_THE_CALL,
            f"{_ENCRYPTED}.kmsMasterKeyId": f"{_ENCRYPTS}.KMSMasterKeyID",
            f"{_ENCRYPTED}.sseAlgorithm": f"{_ENCRYPTS}.SSEAlgorithm",
            "rules[].bucketKeyEnabled": "Rules[].BucketKeyEnabled",
        },
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Row(
        _of_bucket("get_bucket_versioning"), {"bucket": IN_THE_CALL, "versioningConfiguration.status": "Status"}
    ),
}
