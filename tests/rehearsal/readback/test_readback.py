"""Every resource that the program registers is found by plain boto3 with the values asked for, from another process."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pulumi_aws as aws
import pytest
from publishers import listed, named_by_alarms, named_by_dashboards, published_by
from readback import Asked, Reader, asked_of, unnamed
from readback_table import TABLE
from served import Served, checkout, serving

from infra.program import program_for
from infra.rehearsal.engine import record
from infra.settings import ENVIRONMENTS, stack_config, stack_file


def as_committed(root: Path) -> None:
    """The environment as its stack files have it."""


def with_nat_and_jwt(root: Path) -> None:
    """No committed environment has NAT gateways or a front door that takes JWTs."""
    path = root / "stacks" / "Pulumi.platform-dev.yaml"
    text = path.read_text()
    assert "nat: none" in text
    assert "    auth: iam\n" in text
    jwt = "{issuer: https://login.example.com/mainstage, audiences: [mainstage-dev, mainstage-batch]}"
    changed = text.replace("nat: none", "nat: one").replace("    auth: iam\n", f"    auth: jwt\n    jwt: {jwt}\n")
    path.write_text(changed)


SERVED: dict[str, tuple[str, Callable[[Path], None]]] = {
    "prod": ("prod", as_committed),
    "dev with NAT and JWT": ("dev", with_nat_and_jwt),
}


NOT_YET = {("Mainstage", "DriftScore"), ("Mainstage", "ConfidenceScore"), ("Mainstage", "StopRequested")}
"""What guard alarms watch and nothing publishes before monitoring comes in."""

DID_NOT_HAPPEN = ["FailedConversion.Records", "LogFailed", "Replayed", "Replies5XX", "Spooled"]
"""What a rehearsal without faults does not measure."""


@pytest.fixture(scope="module", params=SERVED)
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    name, change = SERVED[request.param]
    root = checkout(tmp_path_factory.mktemp("checkout"))
    change(root)
    with serving(root, "--env", name) as served:
        yield served


@pytest.fixture(scope="module")
def asked(environment: Served) -> list[Asked]:
    assert environment.target.state_file is not None
    return asked_of(environment.root, environment.target.environment, environment.target.state_file)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_table_names_every_property_of_every_environment(root: Path, name: str) -> None:
    """Staging is not served here: it has the same types as prod."""
    platform, models = f"platform-{name}", f"models-{name}"
    answers = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
    config = {stack: stack_config(stack_file(root, stack)) for stack in (platform, models)}
    below = record(program_for(platform), platform, config[platform], answers=answers).check()
    outputs = {platform: below.outputs}
    above = record(program_for(models), models, config[models], stack_outputs=outputs).check()
    found = [resource for result in (below, above) for resource in result.resources if resource.type.startswith("aws:")]
    assert len(found) > 50
    assert sorted({line for resource in found for line in unnamed(TABLE, resource)}) == []


def test_what_the_table_does_not_name_is_told() -> None:
    """A property without a place, and a type without a row."""

    def program() -> None:
        aws.sqs.Queue("odd", name="odd", sqs_managed_sse_enabled=True, tags={"a": "b"})
        aws.mq.Configuration("odder", engine_type="ActiveMQ", engine_version="5.17.6", data="<broker/>")

    result = record(program, stack="somewhere").check()
    assert [unnamed(TABLE, result.named(name)) for name in ("odd", "odder")] == [
        ["aws:sqs/queue:Queue: sqsManagedSseEnabled"],
        ["aws:mq/configuration:Configuration: the whole type"],
    ]


def test_the_table_names_every_property_that_the_program_sets(asked: list[Asked]) -> None:
    assert sorted({line for each in asked for line in unnamed(TABLE, each.resource)}) == []


def test_every_resource_is_found_with_the_values_asked_for(environment: Served, asked: list[Asked]) -> None:
    reader = Reader(TABLE, environment.client)
    assert len(asked) > 50
    assert [line for each in asked for line in reader.differences(each)] == []


def test_dashboards_and_alarms_name_what_the_resources_publish(environment: Served, asked: list[Asked]) -> None:
    """Each namespace, name and set of dimensions that is drawn or watched is one that a resource of the graph sends."""
    published, dashboards = published_by(asked), named_by_dashboards(asked)
    name = environment.target.environment
    assert set(dashboards) == {
        f"mainstage-{name}-eu-west-1",
        f"{name}-card-fraud-eu-west-1",
        f"{name}-iris-eu-west-1",
    }
    assert min(len(metrics) for metrics in dashboards.values()) >= 12
    assert {metric for metrics in dashboards.values() for metric in metrics} - published == set()
    unheard = {metric for metrics in named_by_alarms(asked).values() for metric in metrics} - published
    awaiting = {metric for metric in unheard if dict(metric[2])["EndpointConfigName"].endswith("-awaiting")}
    assert {(namespace, metric) for namespace, metric, _ in unheard - awaiting} == NOT_YET


def test_what_is_drawn_was_measured_in_the_rehearsal(environment: Served, asked: list[Asked]) -> None:
    """Everything of the gateway and of the model that answered, but for what did not happen. Nobody asked the model
    that awaits its first version."""
    answered = tuple(f"{environment.target.environment}-{model}" for model in environment.report["predictions"])
    assert answered
    dashboards = named_by_dashboards(asked)
    drawn = {
        (namespace, name, dimensions)
        for metrics in dashboards.values()
        for namespace, name, dimensions in metrics
        if namespace == "AWS/ApiGateway" or any(value.startswith(answered) for _, value in dimensions)
    }
    assert len(drawn) > 30
    absent = drawn - listed(environment.client("cloudwatch"))
    assert sorted({name for _, name, _ in absent}) == DID_NOT_HAPPEN


def test_what_somebody_changes_is_seen(environment: Served, asked: list[Asked]) -> None:
    """The reader does see a difference: a tag, a number, a policy, and a resource that is gone."""
    reader = Reader(TABLE, environment.client)
    one = {each.type: each for each in asked}
    vpc, topic, alarm = (
        one["aws:ec2/vpc:Vpc"],
        one["aws:sns/topicPolicy:TopicPolicy"],
        one["aws:cloudwatch/metricAlarm:MetricAlarm"],
    )
    group = next(each for each in asked if each.type == "aws:cloudwatch/logGroup:LogGroup" and "name" in each.inputs)
    environment.client("ec2").create_tags(
        Resources=[vpc.resource.id], Tags=[{"Key": "mainstage:owner", "Value": "somebody"}]
    )
    environment.client("logs").put_retention_policy(logGroupName=group.inputs["name"], retentionInDays=1)
    policy = json.loads(topic.inputs["policy"])
    policy["Statement"][0]["Sid"] = "Changed"
    environment.client("sns").set_topic_attributes(
        TopicArn=topic.inputs["arn"], AttributeName="Policy", AttributeValue=json.dumps(policy)
    )
    environment.client("cloudwatch").delete_alarms(AlarmNames=[alarm.inputs["name"]])
    lines = [line for each in (vpc, group, topic, alarm) for line in reader.differences(each)]
    assert [line.partition(": asked")[0] for line in lines] == [
        f"{vpc.type} {vpc.resource.name}: tags",
        f"{group.type} {group.resource.name}: retentionInDays",
        f"{topic.type} {topic.resource.name}: policy",
        f"{alarm.type} {alarm.resource.name}: not found by cloudwatch.describe_alarms",
    ]


def test_what_somebody_changes_of_front_door_and_log_is_seen(environment: Served, asked: list[Asked]) -> None:
    """Code and settings of a function, a throttle, a grant, a queue, a stream, a column, a limit, a query, a graph."""
    reader, client = Reader(TABLE, environment.client), environment.client
    last = {each.type.rpartition(":")[2]: each for each in asked}
    function, stage, permission, queue = (last[name] for name in ("Function", "Stage", "Permission", "Queue"))
    client("lambda").update_function_configuration(FunctionName=function.inputs["name"], Timeout=7)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("other.py", "x = 1")
    client("lambda").update_function_code(FunctionName=function.inputs["name"], ZipFile=packed.getvalue())
    client("apigatewayv2").update_stage(
        ApiId=stage.inputs["apiId"],
        StageName="$default",
        DefaultRouteSettings={"ThrottlingBurstLimit": 1, "ThrottlingRateLimit": 1.0},
    )
    client("lambda").remove_permission(FunctionName=permission.inputs["function"], StatementId=permission.resource.id)
    client("sqs").set_queue_attributes(QueueUrl=queue.resource.id, Attributes={"VisibilityTimeout": "1"})
    stream, table, workgroup, query, dashboard = (
        last[name] for name in ("FirehoseDeliveryStream", "CatalogTable", "Workgroup", "NamedQuery", "Dashboard")
    )
    firehose = client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=stream.inputs["name"])["DeliveryStreamDescription"]
    firehose.update_destination(
        DeliveryStreamName=stream.inputs["name"],
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=described["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate={"BufferingHints": {"IntervalInSeconds": 61, "SizeInMBs": 64}},
    )
    client("glue").delete_table(DatabaseName=table.inputs["databaseName"], Name=table.inputs["name"])
    client("athena").update_work_group(
        WorkGroup=workgroup.inputs["name"], ConfigurationUpdates={"BytesScannedCutoffPerQuery": 20_000_000}
    )
    client("athena").update_named_query(
        NamedQueryId=query.resource.id, Name=query.inputs["name"], QueryString="SELECT 1"
    )
    client("cloudwatch").delete_dashboards(DashboardNames=[dashboard.inputs["dashboardName"]])
    changed = (function, stage, permission, queue, stream, table, workgroup, query, dashboard)
    lines = [line for each in changed for line in reader.differences(each)]
    s3, limits = "extendedS3Configuration", "defaultRouteSettings"
    assert [line.partition(": asked")[0] for line in lines] == [
        f"{function.type} {function.resource.name}: code",
        f"{function.type} {function.resource.name}: timeout",
        f"{stage.type} {stage.resource.name}: {limits}.throttlingBurstLimit",
        f"{stage.type} {stage.resource.name}: {limits}.throttlingRateLimit",
        f"{permission.type} {permission.resource.name}: not found by lambda.get_policy",
        f"{queue.type} {queue.resource.name}: visibilityTimeoutSeconds",
        f"{stream.type} {stream.resource.name}: {s3}.bufferingInterval",
        f"{table.type} {table.resource.name}: not found by glue.get_table",
        f"{workgroup.type} {workgroup.resource.name}: configuration.bytesScannedCutoffPerQuery",
        f"{query.type} {query.resource.name}: query",
        f"{dashboard.type} {dashboard.resource.name}: not found by cloudwatch.get_dashboard",
    ]
