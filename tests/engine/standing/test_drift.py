"""What somebody changes with boto3 is found by a refresh, named, and repaired by the next `up`: every type in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError
from drifts import DRIFTS, GONE, SMALL, UNSEEN, Deployed, deployed, other_code
from engine_program import PROVIDER, SmallProgram, steps_of
from engine_world import MODELS, PLATFORM, EngineWorld
from readback import Asked, Reader
from readback_table import TABLE

from infra.program import program_for
from infra.rehearsal.engine import Options, Registered, record
from infra.rehearsal.provider.rows import ROWS
from infra.releases.past import retry
from infra.settings import ENVIRONMENTS, stack_config, stack_file

STACKS = (PLATFORM, MODELS)

CANNOT_DRIFT: Mapping[str, str] = {}
"""Types in use that nobody can change from outside, each with the reason. There is none."""


def test_every_type_in_use_is_changed_here(root: Path) -> None:
    types: set[str] = set()
    properties: set[tuple[str, str]] = set()
    for environment in ENVIRONMENTS:
        platform, models = (f"{layer}-{environment}" for layer in ("platform", "models"))
        config = {stack: stack_config(stack_file(root, stack)) for stack in (platform, models)}
        answers = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
        below = record(program_for(platform), platform, config[platform], answers=answers).check()
        above = record(program_for(models), models, config[models], stack_outputs={platform: below.outputs}).check()
        found = [each for each in (*below.resources, *above.resources) if each.type.startswith("aws:")]
        types |= {each.type for each in found}
        properties |= {(each.type, name) for each in found for name in each.inputs}
    assert len(types) >= 50
    assert {*DRIFTS, *SMALL, *CANNOT_DRIFT} == types
    assert set(DRIFTS).isdisjoint(SMALL)
    assert {*DRIFTS, *SMALL} <= set(TABLE)
    never_read = {(type_token, name) for type_token in types for name in ROWS[type_token].state_only}
    assert set(UNSEEN) == properties & never_read


def test_what_somebody_changed_is_found_and_repaired(standing: EngineWorld) -> None:
    world = standing
    states = {stack: world.cli.state(stack) for stack in STACKS}
    found = {stack: deployed(state) for stack, state in states.items()}
    everything = {name: one for each in found.values() for name, one in each.items()}
    expected: dict[str, tuple[str, list[str]]] = {}
    for type_token, drift in DRIFTS.items():
        one = _named(everything, drift.name)
        assert one.type == type_token
        drift.act(world.client, one)
        expected[one.name] = ("update", list(drift.shows)) if drift.shows else ("delete", [])
    for name, act in GONE.items():
        assert name not in expected
        act(world.client, everything[name])
        expected[name] = ("delete", [])
    assert set(_differences(world, states)) == set(expected)

    seen: dict[str, tuple[str, list[str]]] = {}
    for stack in STACKS:
        done = world.cli.try_run("refresh", "--preview-only", "--expect-no-changes", "--json", "--stack", stack)
        for name, step in steps_of(done, code=7).items():
            seen[name] = (str(step["op"]), sorted(step.get("diffReasons") or ()))
        assert "no changes were expected for refresh but changes were proposed" in done.stderr
    assert seen == expected

    world.cli.up(PLATFORM)
    # Whoever moved an endpoint by hand may have had a reason: everything else is repaired, and that waits for a person.
    done = world.cli.try_run("up", "--yes", "--skip-preview", "--continue-on-error", "--stack", MODELS)
    assert done.code == 1
    assert "unasked: the endpoint serves somebodys, which nobody asked for here" in done.told
    assert "mainstage model retry iris --reason" in done.told
    assert set(_differences(world, {stack: world.cli.state(stack) for stack in STACKS})) <= {"iris-endpoint-endpoint"}
    assert retry(world.target, "iris", 1, "moved by a test")[1]
    world.cli.up(MODELS)
    for stack in STACKS:
        world.cli.preview(stack, "--expect-no-changes")
    assert _differences(world, {stack: world.cli.state(stack) for stack in STACKS}) == {}


SCALED = """
logs = aws.cloudwatch.LogGroup("logs", name="/drift/flow", retention_in_days=1, opts=here)
SERVICES = ["vpc-flow-logs.amazonaws.com", "lambda.amazonaws.com"]
trust = {"Effect": "Allow", "Principal": {"Service": SERVICES}, "Action": "sts:AssumeRole"}
role = aws.iam.Role(
    "role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}), opts=here
)
writing = [f"logs:{word}" for word in ("CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams")]
write = {"Effect": "Allow", "Action": writing, "Resource": "*"}
policy = aws.iam.RolePolicy(
    "policy", role=role.id, policy=json.dumps({"Version": "2012-10-17", "Statement": [write]}), opts=here
)
aws.ec2.FlowLog(
    "flow-log",
    vpc_id=VPC,
    traffic_type="ALL",
    iam_role_arn=role.arn,
    log_destination=logs.arn,
    opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(depends_on=[policy])),
)
function = aws.lambda_.Function(
    "code",
    name="drift-code",
    role=role.arn,
    runtime="python3.13",
    handler="app.handler",
    code=pulumi.AssetArchive({"app.py": pulumi.StringAsset("def handler(event, context):\\n    return event\\n")}),
    opts=here,
)
aws.lambda_.Permission(
    "caller",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="apigateway.amazonaws.com",
    source_arn="arn:aws:execute-api:eu-west-1:111111111111:abc/*",
    opts=here,
)
target = aws.appautoscaling.Target(
    "scaling-target",
    min_capacity=2,
    max_capacity=3,
    resource_id="endpoint/dev-iris/variant/stable",
    scalable_dimension="sagemaker:variant:DesiredInstanceCount",
    service_namespace="sagemaker",
    opts=here,
)
aws.appautoscaling.Policy(
    "scaling-policy",
    name="drift",
    policy_type="TargetTrackingScaling",
    resource_id=target.resource_id,
    scalable_dimension=target.scalable_dimension,
    service_namespace=target.service_namespace,
    target_tracking_scaling_policy_configuration={
        "target_value": 3000,
        "predefined_metric_specification": {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"},
    },
    opts=here,
)
"""


def test_types_that_dev_has_not_drift_too(standing: EngineWorld, tmp_path: Path) -> None:
    """Flow logs of staging and prod, scaling of prod, here on dev's network and endpoint. Foreign code stays unseen."""
    program = SmallProgram(standing, tmp_path)
    vpc = standing.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["network"]}])["Vpcs"][0]
    program.write(PROVIDER, f'VPC = "{vpc["VpcId"]}"', SCALED)
    program.cli.up(program.stack)
    try:
        everything = deployed(program.cli.state(program.stack))
        for type_token, drift in SMALL.items():
            assert everything[drift.name].type == type_token
            drift.act(standing.client, everything[drift.name])
        other_code(standing.client, everything["code"])
        stack = ("--stack", program.stack)
        done = program.cli.try_run("refresh", "--preview-only", "--expect-no-changes", "--json", *stack)
        assert {
            name: (step["op"], sorted(step.get("diffReasons") or ())) for name, step in steps_of(done, code=7).items()
        } == {drift.name: ("update", list(drift.shows)) if drift.shows else ("delete", []) for drift in SMALL.values()}
        program.cli.up(program.stack, "--refresh")
        program.cli.preview(program.stack, "--refresh", "--expect-no-changes")
        state = program.cli.state(program.stack)
        ((name, (line,)),) = _differences(standing, {program.stack: state}).items()
        assert (name, line.partition(": asked")[0]) == ("code", "aws:lambda/function:Function code: code")
        # What docs/guides/drift.md says to do: the function is made anew, and the permission on it.
        standing.client("lambda").delete_function(FunctionName="drift-code")
        program.cli.up(program.stack, "--refresh")
        assert _differences(standing, {program.stack: program.cli.state(program.stack)}) == {}
    finally:
        program.cli.run("destroy", "--yes", "--skip-preview", "--stack", program.stack)


def _named(everything: Mapping[str, Deployed], name: str) -> Deployed:
    """The resource called so, but for the hash that a released thing's name ends with."""
    (one,) = (each for key, each in everything.items() if key == name or key[:-9] == name)
    return one


def _differences(world: EngineWorld, states: Mapping[str, Mapping[str, object]]) -> dict[str, list[str]]:
    """What AWS shows otherwise than a state asked for it, as lines by logical name."""
    reader = Reader(TABLE, world.client)

    def lines(asked: Asked) -> list[str]:
        try:
            return reader.differences(asked)
        except ClientError as error:  # one of the many words for what is not there
            return [str(error)]

    found = {asked.resource.name: lines(asked) for state in states.values() for asked in _asked(state)}
    return {name: differs for name, differs in found.items() if differs}


def _asked(state: Mapping[str, object]) -> list[Asked]:
    deployment = state["deployment"]
    assert isinstance(deployment, dict)
    (provider,) = (each for each in deployment["resources"] if each["type"] == "pulumi:providers:aws")
    tags = json.loads(provider["inputs"].get("defaultTags") or "{}").get("tags") or {}
    return [
        Asked(
            Registered(
                urn=one.urn,
                type=one.type,
                name=one.name,
                parent="",
                custom=True,
                inputs=dict(one.inputs),
                outputs=dict(one.outputs),
                id=one.id,
                options=Options(),
                secrets=(),
            ),
            tags,
        )
        for one in deployed(state).values()
    ]
