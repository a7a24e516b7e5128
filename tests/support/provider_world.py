"""Things that resources refer to, made through the provider when first asked for, and a sample of every type."""

from __future__ import annotations

import functools
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provider_driver import ACCOUNT_ID, REGION, Driver, Resource, allow, trust

from infra.rehearsal.provider.values import ARCHIVE, ASSET, SIGNATURE

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

IMAGE = f"141502667606.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"

CODE = {
    SIGNATURE: ARCHIVE,
    "hash": "1",
    "assets": {"app.py": {SIGNATURE: ASSET, "hash": "1", "text": "def handler(event, context): return event"}},
}


@dataclass
class World:
    engine: Driver
    cloud: Cloud

    @functools.cached_property
    def vpc(self) -> Resource:
        return self.engine.create("aws:ec2/vpc:Vpc", "world", cidrBlock="10.0.0.0/16")

    @functools.cached_property
    def subnet(self) -> Resource:
        return self.engine.create(
            "aws:ec2/subnet:Subnet",
            "world",
            vpcId=self.vpc.id,
            cidrBlock="10.0.1.0/24",
            availabilityZone=f"{REGION}a",
        )

    @functools.cached_property
    def gateway(self) -> Resource:
        return self.engine.create("aws:ec2/internetGateway:InternetGateway", "world", vpcId=self.vpc.id)

    @functools.cached_property
    def address(self) -> Resource:
        return self.engine.create("aws:ec2/eip:Eip", "world", domain="vpc")

    @functools.cached_property
    def table(self) -> Resource:
        return self.engine.create("aws:ec2/routeTable:RouteTable", "world", vpcId=self.vpc.id)

    @functools.cached_property
    def group(self) -> Resource:
        return self.engine.create(
            "aws:ec2/securityGroup:SecurityGroup", "world", vpcId=self.vpc.id, description="for rules"
        )

    @functools.cached_property
    def log_group(self) -> Resource:
        return self.engine.create("aws:cloudwatch/logGroup:LogGroup", "world", name="/mainstage/world")

    @functools.cached_property
    def bucket(self) -> Resource:
        return self.engine.create("aws:s3/bucket:Bucket", "world", bucket="world-111111111111", forceDestroy=True)

    @functools.cached_property
    def key(self) -> Resource:
        return self.engine.create("aws:kms/key:Key", "world", description="for buckets", enableKeyRotation=True)

    @functools.cached_property
    def function_role(self) -> Resource:
        role = self.engine.create(
            "aws:iam/role:Role", "function", name="function", assumeRolePolicy=trust("lambda.amazonaws.com")
        )
        policy = allow("sqs:*", "logs:*")
        self.engine.create("aws:iam/rolePolicy:RolePolicy", "function", name="all", role=role.id, policy=policy)
        return role

    @functools.cached_property
    def function(self) -> Resource:
        return self.engine.create(
            "aws:lambda/function:Function",
            "world",
            name="world",
            runtime="python3.13",
            handler="app.handler",
            code=CODE,
            role=self.function_role.outputs["arn"],
        )

    @functools.cached_property
    def queue(self) -> Resource:
        return self.engine.create("aws:sqs/queue:Queue", "world", name="world")

    @functools.cached_property
    def other_queue(self) -> Resource:
        return self.engine.create("aws:sqs/queue:Queue", "other", name="other")

    @functools.cached_property
    def alarm(self) -> Resource:
        return self.engine.create(
            "aws:cloudwatch/metricAlarm:MetricAlarm",
            "world",
            name="world",
            namespace="AWS/SageMaker",
            metricName="Invocation5XXErrors",
            statistic="Sum",
            period=60,
            evaluationPeriods=1,
            comparisonOperator="GreaterThanThreshold",
            threshold=0,
        )

    @functools.cached_property
    def event_rule(self) -> Resource:
        return self.engine.create(
            "aws:cloudwatch/eventRule:EventRule", "world", name="world", eventPattern='{"source": ["aws.sagemaker"]}'
        )

    @functools.cached_property
    def topic(self) -> Resource:
        return self.engine.create("aws:sns/topic:Topic", "world", name="world")

    @functools.cached_property
    def repository(self) -> Resource:
        return self.engine.create("aws:ecr/repository:Repository", "world", name="world")

    @functools.cached_property
    def role(self) -> Resource:
        role = self.engine.create(
            "aws:iam/role:Role", "world", name="world", assumeRolePolicy=trust("sagemaker.amazonaws.com")
        )
        self.engine.create(
            "aws:iam/rolePolicy:RolePolicy",
            "world",
            name="all-it-needs",
            role=role.id,
            policy=allow("s3:*", "ecr:*", "logs:*", "kms:*", "cloudwatch:*", "ec2:*"),
        )
        return role

    @functools.cached_property
    def flow_role(self) -> Resource:
        """Writes flow logs."""
        role = self.engine.create(
            "aws:iam/role:Role", "flow", name="flow", assumeRolePolicy=trust("vpc-flow-logs.amazonaws.com")
        )
        self.engine.create("aws:iam/rolePolicy:RolePolicy", "flow", name="logs", role=role.id, policy=allow("logs:*"))
        return role

    @functools.cached_property
    def database(self) -> Resource:
        return self.engine.create("aws:glue/catalogDatabase:CatalogDatabase", "world", name="world")

    @functools.cached_property
    def workgroup(self) -> Resource:
        return self.engine.create("aws:athena/workgroup:Workgroup", "world", name="world")

    @functools.cached_property
    def delivery_role(self) -> Resource:
        """Delivers a stream."""
        return self.engine.create(
            "aws:iam/role:Role", "delivery", name="delivery", assumeRolePolicy=trust("firehose.amazonaws.com")
        )

    @functools.cached_property
    def policy(self) -> Resource:
        return self.engine.create("aws:iam/policy:Policy", "world", name="world", policy=allow("s3:ListBucket"))

    @functools.cached_property
    def http_api(self) -> Resource:
        return self.engine.create("aws:apigatewayv2/api:Api", "world", name="world", protocolType="HTTP")

    @functools.cached_property
    def integration(self) -> Resource:
        return self.engine.create(
            "aws:apigatewayv2/integration:Integration",
            "world",
            apiId=self.http_api.id,
            integrationType="AWS_PROXY",
            integrationUri=f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:world",
            payloadFormatVersion="2.0",
        )

    @functools.cached_property
    def authorizer(self) -> Resource:
        return self.engine.create(
            "aws:apigatewayv2/authorizer:Authorizer",
            "world",
            apiId=self.http_api.id,
            name="world",
            authorizerType="JWT",
            identitySources=["$request.header.Authorization"],
            jwtConfiguration={"issuer": "https://issuer.example", "audiences": ["predictions"]},
        )

    @functools.cached_property
    def archive_url(self) -> str:
        """A model archive in the bucket."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            text = b"def model_fn(folder):\n    return None\n"
            member = tarfile.TarInfo("code/inference.py")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        self.cloud.client("s3").put_object(
            Bucket=self.bucket.id, Key="models/iris/1/model.tar.gz", Body=buffer.getvalue()
        )
        return f"s3://{self.bucket.id}/models/iris/1/model.tar.gz"

    def endpoint_inputs(self, name: str = "iris") -> dict[str, Any]:
        return {"name": name, "endpointConfigName": self.configuration.id}

    def model_inputs(self, name: str = "iris-1") -> dict[str, Any]:
        return {
            "name": name,
            "executionRoleArn": self.role.outputs["arn"],
            "primaryContainer": {
                "image": IMAGE,
                "modelDataUrl": self.archive_url,
                "environment": {
                    "SAGEMAKER_PROGRAM": "inference.py",
                    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                },
            },
        }

    @functools.cached_property
    def model(self) -> Resource:
        return self.engine.create("aws:sagemaker/model:Model", "world", **self.model_inputs("world"))

    def configuration_inputs(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "productionVariants": [
                {
                    "variantName": "stable",
                    "modelName": self.model.id,
                    "instanceType": "ml.m5.large",
                    "initialInstanceCount": 1,
                }
            ],
        }

    @functools.cached_property
    def configuration(self) -> Resource:
        return self.engine.create(
            "aws:sagemaker/endpointConfiguration:EndpointConfiguration", "world", **self.configuration_inputs("world")
        )


Inputs = dict[str, Any]
Sample = Callable[[World], Inputs]


def _rule(world: World) -> Inputs:
    return {
        "securityGroupId": world.group.id,
        "ipProtocol": "tcp",
        "fromPort": 443,
        "toPort": 443,
        "cidrIpv4": "10.0.0.0/16",
        "description": "HTTPS from the VPC",
    }


def _bucket_policy(world: World) -> str:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{world.bucket.id}", f"arn:aws:s3:::{world.bucket.id}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


def _queue_policy(world: World) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": world.queue.outputs["arn"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _topic_policy(world: World) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": world.topic.id,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _key_policy() -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=1)


IMAGES_OLDER_THAN_TEN = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "keep ten",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
                "action": {"type": "expire"},
            }
        ]
    }
)

NO_DETAILS = {"dataTraceEnabled": False, "detailedMetricsEnabled": False}
TAGS = {"team": "ml", "cost-center": "42"}
STATE_CHANGES = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}

SAMPLES: Mapping[str, Sample] = {
    "aws:ec2/vpc:Vpc": lambda world: {"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
    "aws:ec2/subnet:Subnet": lambda world: {
        "vpcId": world.vpc.id,
        "cidrBlock": "10.0.2.0/24",
        "availabilityZone": f"{REGION}b",
        "mapPublicIpOnLaunch": True,
        "tags": TAGS,
    },
    "aws:ec2/internetGateway:InternetGateway": lambda world: {"vpcId": world.vpc.id, "tags": TAGS},
    "aws:ec2/eip:Eip": lambda world: {"domain": "vpc", "tags": TAGS},
    "aws:ec2/natGateway:NatGateway": lambda world: {
        "subnetId": world.subnet.id,
        "allocationId": world.address.id,
        "tags": TAGS,
    },
    "aws:ec2/routeTable:RouteTable": lambda world: {"vpcId": world.vpc.id, "tags": TAGS},
    "aws:ec2/route:Route": lambda world: {
        "routeTableId": world.table.id,
        "destinationCidrBlock": "0.0.0.0/0",
        "gatewayId": world.gateway.id,
    },
    "aws:ec2/routeTableAssociation:RouteTableAssociation": lambda world: {
        "routeTableId": world.table.id,
        "subnetId": world.subnet.id,
    },
    "aws:ec2/vpcEndpoint:VpcEndpoint": lambda world: {
        "vpcId": world.vpc.id,
        "serviceName": f"com.amazonaws.{REGION}.s3",
        "routeTableIds": [world.table.id],
        "tags": TAGS,
    },
    "aws:ec2/securityGroup:SecurityGroup": lambda world: {
        "vpcId": world.vpc.id,
        "ingress": [
            {
                "protocol": "tcp",
                "fromPort": 443,
                "toPort": 443,
                "cidrBlocks": ["10.0.1.0/24", "10.0.0.0/24"],
                "description": "HTTPS",
            }
        ],
        "tags": TAGS,
    },
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": lambda world: {
        "vpcId": world.vpc.id,
        "ingress": [],
        "egress": [],
        "tags": TAGS,
    },
    "aws:ec2/flowLog:FlowLog": lambda world: {
        "vpcId": world.vpc.id,
        "trafficType": "REJECT",
        "logDestination": world.log_group.outputs["arn"],
        "iamRoleArn": world.flow_role.outputs["arn"],
        "tags": TAGS,
    },
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": lambda world: {**_rule(world), "tags": TAGS},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": lambda world: {**_rule(world), "tags": TAGS},
    "aws:iam/role:Role": lambda world: {
        "assumeRolePolicy": json.dumps(json.loads(trust("sagemaker.amazonaws.com")), indent=2),
        "description": "serves a model",
        "permissionsBoundary": world.policy.id,
        "tags": TAGS,
    },
    "aws:iam/rolePolicy:RolePolicy": lambda world: {"role": world.role.id, "policy": allow("s3:GetObject")},
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": lambda world: {
        "role": world.role.id,
        "policyArn": world.policy.id,
    },
    "aws:iam/policy:Policy": lambda world: {
        "policy": allow("s3:GetObject", "s3:ListBucket"),
        "description": "reads",
        "tags": TAGS,
    },
    "aws:kms/key:Key": lambda world: {
        "description": "data",
        "enableKeyRotation": True,
        "deletionWindowInDays": 7,
        "policy": _key_policy(),
        "tags": TAGS,
    },
    "aws:kms/alias:Alias": lambda world: {"name": "alias/mainstage", "targetKeyId": world.key.outputs["arn"]},
    "aws:s3/bucket:Bucket": lambda world: {"bucketPrefix": "sample-", "forceDestroy": True, "tags": TAGS},
    "aws:s3/bucketVersioning:BucketVersioning": lambda world: {
        "bucket": world.bucket.id,
        "versioningConfiguration": {"status": "Enabled"},
    },
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": lambda world: {
        "bucket": world.bucket.id,
        "rules": [
            {
                "applyServerSideEncryptionByDefault": {
                    "sseAlgorithm": "aws:kms",
                    "kmsMasterKeyId": world.key.outputs["arn"],
                },
                "bucketKeyEnabled": True,
            }
        ],
    },
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": lambda world: {
        "bucket": world.bucket.id,
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    },
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": lambda world: {
        "bucket": world.bucket.id,
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    },
    "aws:s3/bucketPolicy:BucketPolicy": lambda world: {"bucket": world.bucket.id, "policy": _bucket_policy(world)},
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": lambda world: {
        "bucket": world.bucket.id,
        "rules": [
            {
                "id": "old-versions",
                "status": "Enabled",
                "noncurrentVersionExpiration": {"noncurrentDays": 90},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
            },
            {
                "id": "cold",
                "status": "Enabled",
                "filter": {"prefix": "capture/"},
                "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}],
                "expiration": {"days": 365},
            },
        ],
    },
    "aws:s3/bucketObjectv2:BucketObjectv2": lambda world: {
        "bucket": world.bucket.id,
        "key": "cards/iris.json",
        "content": '{"model": "iris"}',
        "contentType": "application/json",
        "tags": TAGS,
    },
    "aws:ecr/repository:Repository": lambda world: {
        "name": "mainstage/models",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "KMS", "kmsKey": world.key.outputs["arn"]}],
        "tags": TAGS,
    },
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": lambda world: {
        "repository": world.repository.id,
        "policy": IMAGES_OLDER_THAN_TEN,
    },
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": lambda world: {
        "name": "world",
        "destination": "extended_s3",
        "extendedS3Configuration": {
            "roleArn": world.delivery_role.outputs["arn"],
            "bucketArn": world.bucket.outputs["arn"],
            "prefix": "records/!{timestamp:yyyy}/",
            "errorOutputPrefix": "rejected/!{firehose:error-output-type}/",
            "bufferingInterval": 60,
            "bufferingSize": 5,
            "compressionFormat": "UNCOMPRESSED",
            "customTimeZone": "UTC",
            "s3BackupMode": "Disabled",
            "cloudwatchLoggingOptions": {"enabled": True, "logGroupName": world.log_group.id, "logStreamName": "s"},
        },
        "serverSideEncryption": {"enabled": True, "keyType": "AWS_OWNED_CMK"},
        "tags": TAGS,
    },
    "aws:lambda/function:Function": lambda world: {
        "name": "dev-iris-front-door",
        "description": "answers predictions",
        "runtime": "python3.13",
        "architectures": ["arm64"],
        "handler": "app.handler",
        "code": CODE,
        "role": world.function_role.outputs["arn"],
        "timeout": 12,
        "memorySize": 512,
        "environment": {"variables": {"MAINSTAGE_MODEL": "iris"}},
        "kmsKeyArn": world.key.outputs["arn"],
        "tracingConfig": {"mode": "PassThrough"},
        "loggingConfig": {"logFormat": "Text", "logGroup": world.log_group.id},
        "reservedConcurrentExecutions": 5,
        "tags": TAGS,
    },
    "aws:lambda/permission:Permission": lambda world: {
        "action": "lambda:InvokeFunction",
        "function": world.function.id,
        "principal": "apigateway.amazonaws.com",
        "sourceArn": f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:abc/*",
    },
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda world: {
        "eventSourceArn": world.queue.outputs["arn"],
        "functionName": world.function.id,
        "batchSize": 50,
        "maximumBatchingWindowInSeconds": 5,
        "functionResponseTypes": ["ReportBatchItemFailures"],
        "scalingConfig": {"maximumConcurrency": 2},
        "tags": TAGS,
    },
    "aws:sqs/queue:Queue": lambda world: {
        "name": "dev-iris-spool",
        "kmsMasterKeyId": world.key.outputs["arn"],
        "kmsDataKeyReusePeriodSeconds": 600,
        "messageRetentionSeconds": 1_209_600,
        "visibilityTimeoutSeconds": 360,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": world.queue.outputs["arn"], "maxReceiveCount": 5}),
        "tags": TAGS,
    },
    "aws:sqs/queuePolicy:QueuePolicy": lambda world: {"queueUrl": world.queue.id, "policy": _queue_policy(world)},
    "aws:sqs/redrivePolicy:RedrivePolicy": lambda world: {
        "queueUrl": world.other_queue.id,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": world.queue.outputs["arn"], "maxReceiveCount": 5}),
    },
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": lambda world: {
        "queueUrl": world.queue.id,
        "redriveAllowPolicy": json.dumps(
            {"redrivePermission": "byQueue", "sourceQueueArns": [world.other_queue.outputs["arn"]]}
        ),
    },
    "aws:sns/topic:Topic": lambda world: {
        "displayName": "Pages",
        "signatureVersion": 2,
        "kmsMasterKeyId": world.key.outputs["arn"],
        "tags": TAGS,
    },
    "aws:sns/topicPolicy:TopicPolicy": lambda world: {"arn": world.topic.id, "policy": _topic_policy(world)},
    "aws:cloudwatch/logGroup:LogGroup": lambda world: {
        "name": "/aws/sagemaker/Endpoints/iris",
        "retentionInDays": 30,
        "tags": TAGS,
    },
    "aws:cloudwatch/logStream:LogStream": lambda world: {"name": "delivery", "logGroupName": world.log_group.id},
    "aws:cloudwatch/metricAlarm:MetricAlarm": lambda world: {
        "name": "iris-guard-p99",
        "namespace": "AWS/SageMaker",
        "metricName": "ModelLatency",
        "dimensions": {"EndpointName": "iris", "VariantName": "stable"},
        "extendedStatistic": "p99",
        "period": 60,
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
        "threshold": 250000,
        "comparisonOperator": "GreaterThanThreshold",
        "treatMissingData": "notBreaching",
        "alarmActions": [world.topic.id],
        "alarmDescription": "p99 over 250 ms",
        "tags": TAGS,
    },
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": lambda world: {
        "alarmName": "incident",
        "alarmRule": f'ALARM("{world.alarm.id}") AND NOT FALSE',
        "alarmDescription": "Runbook: https://runbooks.example/incident",
        "alarmActions": [world.topic.id],
        "okActions": [world.topic.id],
        "tags": TAGS,
    },
    "aws:cloudwatch/eventRule:EventRule": lambda world: {
        "name": "endpoints",
        "description": "what endpoints do",
        "eventPattern": json.dumps(STATE_CHANGES, indent=1),
        "state": "ENABLED",
        "tags": TAGS,
    },
    "aws:cloudwatch/eventTarget:EventTarget": lambda world: {
        "rule": world.event_rule.id,
        "targetId": "watch",
        "arn": world.queue.outputs["arn"],
        "inputTransformer": {
            "inputPaths": {"name": "$.detail.EndpointName"},
            "inputTemplate": '{"endpoint": <name>}',
        },
        "retryPolicy": {"maximumEventAgeInSeconds": 3600, "maximumRetryAttempts": 3},
        "deadLetterConfig": {"arn": world.other_queue.outputs["arn"]},
    },
    "aws:cloudwatch/dashboard:Dashboard": lambda world: {
        "dashboardName": "iris",
        "dashboardBody": '{"widgets": [{"type": "text", "properties": {"markdown": "iris"}}]}',
    },
    "aws:apigatewayv2/api:Api": lambda world: {
        "name": "mainstage-dev",
        "protocolType": "HTTP",
        "description": "predictions",
        "tags": TAGS,
    },
    "aws:apigatewayv2/stage:Stage": lambda world: {
        "apiId": world.http_api.id,
        "name": "$default",
        "autoDeploy": True,
        "accessLogSettings": {
            "destinationArn": world.log_group.outputs["arn"],
            "format": '{"requestId":"$context.requestId"}',
        },
        "defaultRouteSettings": {**NO_DETAILS, "throttlingBurstLimit": 20, "throttlingRateLimit": 10},
        "routeSettings": [{**NO_DETAILS, "routeKey": "$default", "throttlingBurstLimit": 2, "throttlingRateLimit": 1}],
        "stageVariables": {"color": "blue"},
        "tags": TAGS,
    },
    "aws:apigatewayv2/integration:Integration": lambda world: {
        "apiId": world.http_api.id,
        "integrationType": "AWS_PROXY",
        "integrationUri": f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:front-door",
        "payloadFormatVersion": "2.0",
        "timeoutMilliseconds": 15000,
    },
    "aws:apigatewayv2/route:Route": lambda world: {
        "apiId": world.http_api.id,
        "routeKey": "POST /v1/models/iris/predictions",
        "target": f"integrations/{world.integration.id}",
        "authorizationType": "JWT",
        "authorizerId": world.authorizer.id,
        "authorizationScopes": ["predict", "read"],
    },
    "aws:apigatewayv2/authorizer:Authorizer": lambda world: {
        "apiId": world.http_api.id,
        "name": "people",
        "authorizerType": "JWT",
        "identitySources": ["$request.header.Authorization"],
        "jwtConfiguration": {"issuer": "https://issuer.example", "audiences": ["predictions"]},
    },
    "aws:glue/catalogDatabase:CatalogDatabase": lambda world: {
        "name": "mainstage_dev_iris",
        "description": "predictions",
        "parameters": {"owner": "ml"},
        "tags": TAGS,
    },
    "aws:glue/catalogTable:CatalogTable": lambda world: {
        "databaseName": world.database.outputs["name"],
        "name": "records",
        "tableType": "EXTERNAL_TABLE",
        "parameters": {"classification": "parquet"},
        "partitionKeys": [{"name": "day", "type": "string", "comment": "UTC"}],
        "storageDescriptor": {
            "columns": [{"name": "request_id", "type": "string"}, {"name": "input_age", "type": "array<double>"}],
            "location": f"s3://{world.bucket.id}/records/",
            "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "serDeInfo": {"serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
        },
    },
    "aws:athena/workgroup:Workgroup": lambda world: {
        "name": "iris",
        "description": "asks the log",
        "configuration": {
            "bytesScannedCutoffPerQuery": 10_485_760,
            "enforceWorkgroupConfiguration": True,
            "publishCloudwatchMetricsEnabled": True,
            "requesterPaysEnabled": False,
            "resultConfiguration": {
                "outputLocation": f"s3://{world.bucket.id}/queries/",
                "encryptionConfiguration": {"encryptionOption": "SSE_KMS", "kmsKeyArn": world.key.outputs["arn"]},
            },
        },
        "tags": TAGS,
    },
    "aws:athena/namedQuery:NamedQuery": lambda world: {
        "name": "errors",
        "database": world.database.outputs["name"],
        "query": "SELECT 1",
        "workgroup": world.workgroup.id,
        "description": "errors of a day",
    },
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": lambda world: {
        "modelPackageGroupName": "iris",
        "modelPackageGroupDescription": "versions of iris",
        "tags": TAGS,
    },
    "aws:sagemaker/model:Model": lambda world: {**world.model_inputs(), "tags": TAGS},
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": lambda world: {
        **world.configuration_inputs("iris-1"),
        "dataCaptureConfig": {
            "enableCapture": True,
            "initialSamplingPercentage": 100,
            "destinationS3Uri": f"s3://{world.bucket.id}/capture",
            "captureOptions": [{"captureMode": "Input"}, {"captureMode": "Output"}],
            "captureContentTypeHeader": {"jsonContentTypes": ["application/json"]},
        },
        "kmsKeyArn": world.key.outputs["arn"],
        "tags": TAGS,
    },
}
"""A sample of every type but those that need a live endpoint (tests of endpoints)."""
