"""What the real engine and the provider agree on, by small programs: problems, secrets, tags, names, order, deletes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine_program import PROVIDER, SmallProgram
from engine_world import EngineWorld

from infra.rehearsal.provider import UNKNOWN

REFUSED = {
    """
    aws.sagemaker.EndpointConfiguration(
        "config",
        production_variants=[
            {"variant_name": "v", "model_name": "m", "initial_instance_count": 1, "volume_size_in_gb": 513}
        ],
        data_capture_config={
            "destination_s3_uri": "s3://b/c",
            "initial_sampling_percentage": 200,
            "capture_options": [{"capture_mode": "Input"}],
        },
        opts=here,
    )
    """: (
        "property dataCaptureConfig.initialSamplingPercentage value {<nil>} has a problem: "
        "expected dataCaptureConfig.initialSamplingPercentage to be in the range (0 - 100), got 200",
        "property productionVariants[0].volumeSizeInGb value {<nil>} has a problem: "
        "expected productionVariants[0].volumeSizeInGb to be in the range (1 - 512), got 513",
    ),
    """
    aws.eks.Cluster("cluster", role_arn="arn:aws:iam::1:role/r", vpc_config={"subnet_ids": ["s"]}, opts=here)
    """: ("the rehearsal's provider does not carry aws:eks/cluster:Cluster: add a row under infra/rehearsal/provider",),
    """
    other = aws.Provider("other", region="eu-west-1", allowed_account_ids=["222222222222"])
    aws.sns.Topic("elsewhere", opts=pulumi.ResourceOptions(provider=other))
    """: (
        "AWS account ID not allowed: 111111111111; this provider allows 222222222222. Use the credentials of an "
        "allowed account, or correct account_id in the stack file",
    ),
}
"""Programs that a preview refuses, and what it says."""


def test_a_preview_refuses_and_names_the_place(beside: EngineWorld, tmp_path: Path) -> None:
    program = SmallProgram(beside, tmp_path)
    for text, words in REFUSED.items():
        program.write(PROVIDER, text)
        done = program.cli.try_run("preview", "--stack", program.stack)
        assert done.code == 1
        assert [one for one in words if one not in done.told] == [], done.told
        assert "a fault in the rehearsal's provider" not in done.told


CLEAR = "tell-nobody-1492"

FIRST = f"""
own = aws.Provider("own", region="eu-west-1", default_tags={{"tags": {{"team": "ml", "kept": "no"}}}})
ours = pulumi.ResourceOptions(provider=own)
secret = pulumi.Output.secret("{CLEAR}")
topic = aws.sns.Topic("topic", name="protocol", display_name=secret, tags={{"kept": "yes", "said": secret}}, opts=ours)
pulumi.export("said", topic.display_name)
images = aws.ecr.Repository("images", name="protocol", opts=ours)


def images_kept(number):
    rule = {{"rulePriority": 1, "selection": {{"tagStatus": "any", "countType": "imageCountMoreThan",
             "countNumber": number}}, "action": {{"type": "expire"}}}}
    policy = json.dumps({{"rules": [rule]}})
    return aws.ecr.LifecyclePolicy("lifecycle", repository=images.name, policy=policy, opts=ours)


def network(second):
    vpc = aws.ec2.Vpc("vpc", cidr_block=f"10.{{second}}.0.0/16", opts=ours)
    aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block=f"10.{{second}}.1.0/24", opts=ours)
"""

BEFORE = """
images_kept(1)
network(1)
aws.sqs.Queue("old", visibility_timeout_seconds=60, opts=ours)
"""

AFTER = """
images_kept(2)
network(2)
aliased = pulumi.ResourceOptions(provider=own, aliases=[pulumi.Alias(name="old")])
aws.sqs.Queue("new", visibility_timeout_seconds=60, opts=aliased)
imported = pulumi.ResourceOptions(provider=own, import_="arn:aws:sns:eu-west-1:111111111111:found")
aws.sns.Topic("found", name="found", display_name="was there", opts=imported)
"""


def test_the_life_of_a_stack(beside: EngineWorld, tmp_path: Path) -> None:
    program = SmallProgram(beside, tmp_path)
    try:
        _first_up(program, beside)
        kept = program.resources()
        sns, ec2 = beside.client("sns"), beside.client("ec2")
        tags = [{"Key": "team", "Value": "ml"}, {"Key": "kept", "Value": "no"}]
        sns.create_topic(Name="found", Attributes={"DisplayName": "was there"}, Tags=tags)
        _changes_are_planned(program)
        _changes_are_made_in_order(program)
        made = program.resources()
        assert made["new"]["id"] == kept["old"]["id"]
        assert made["found"]["id"] == "arn:aws:sns:eu-west-1:111111111111:found"
        assert made["vpc"]["id"] != kept["vpc"]["id"]
        assert made["subnet"]["inputs"]["vpcId"] == made["vpc"]["id"]
        assert [one["CidrBlock"] for one in ec2.describe_vpcs(VpcIds=[made["vpc"]["id"]])["Vpcs"]] == ["10.2.0.0/16"]
        _drift_is_taken_over_and_put_back(program, beside)
    finally:
        program.cli.run("destroy", "--yes", "--skip-preview", "--stack", program.stack)
    assert program.resources() == {}
    assert [topic for topic in _topics(beside) if topic in ("protocol", "found")] == []
    for service, call, members, asked in (
        ("sqs", "list_queues", "QueueUrls", {"QueueNamePrefix": "old"}),
        ("ecr", "describe_repositories", "repositories", {}),
    ):
        assert [one for one in getattr(beside.client(service), call)(**asked).get(members, ()) if _ours(one)] == []
    assert _cidrs(beside) & {"10.1.0.0/16", "10.2.0.0/16"} == set()


def _first_up(program: SmallProgram, world: EngineWorld) -> None:
    """Secrets are nowhere to be read but at AWS and for who asks for them; default tags are below a resource's own."""
    program.write(PROVIDER, FIRST, BEFORE)
    told = program.cli.up(program.stack, "--diff").told
    arn = "arn:aws:sns:eu-west-1:111111111111:protocol"
    sns = world.client("sns")
    assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["DisplayName"] == CLEAR
    tags = {tag["Key"]: tag["Value"] for tag in sns.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    assert tags == {"team": "ml", "kept": "yes", "said": CLEAR}
    state = program.cli.state(program.stack)
    topic = next(one for one in state["deployment"]["resources"] if one.get("id") == arn)
    for values in (topic["inputs"], topic["outputs"]):
        assert values["displayName"].keys() == values["tags"]["said"].keys() == _CIPHERED
    assert topic["outputs"]["tagsAll"]["said"].keys() == _CIPHERED
    assert (topic["outputs"]["tagsAll"]["team"], topic["outputs"]["tags"]["kept"]) == ("ml", "yes")
    assert CLEAR not in told + json.dumps(state)
    project = program.cli.project
    readable = [file for at in (project.backend, project.home / "logs") for file in at.rglob("*") if file.is_file()]
    assert len(readable) > 3
    assert [file for file in readable if CLEAR.encode() in file.read_bytes()] == []
    assert program.cli.outputs(program.stack) == {"said": CLEAR}


_CIPHERED = {"4dabf18193072939515e22adb298388d", "ciphertext"}


def _changes_are_planned(program: SmallProgram) -> None:
    """What only the update would know is unknown; a rename with an alias and an import plan no change."""
    program.write(PROVIDER, FIRST, AFTER)
    planned = program.steps()
    assert {name: (step["op"], sorted(step.get("replaceReasons", ()))) for name, step in planned.items()} == {
        "found": ("import", []),
        "lifecycle": ("replace", ["policy"]),
        "subnet": ("replace", ["cidrBlock", "vpcId"]),
        "vpc": ("replace", ["cidrBlock"]),
    }
    assert planned["subnet"]["newState"]["inputs"]["vpcId"] == UNKNOWN


def _changes_are_made_in_order(program: SmallProgram) -> None:
    """What can stand twice is made before the old one goes; what hangs on a name goes first; dependents go first."""
    done = program.cli.run("up", "--yes", "--skip-preview", "--json", "--stack", program.stack)
    at: dict[tuple[str, str], int] = {}
    for number, event in enumerate(_events(done.stdout)):
        finished = event.get("resOutputsEvent")
        if finished and not finished.get("planning"):
            metadata = finished["metadata"]
            at[metadata["urn"].rpartition("::")[2], metadata["op"]] = number
    assert at["vpc", "create-replacement"] < at["subnet", "create-replacement"]
    assert at["subnet", "create-replacement"] < at["subnet", "delete-replaced"] < at["vpc", "delete-replaced"]
    assert at["lifecycle", "delete-replaced"] < at["lifecycle", "create-replacement"]
    assert ("found", "import") in at
    assert not {op for name, op in at if name in ("old", "new")} & {
        "create",
        "delete",
        "create-replacement",
        "delete-replaced",
        "replace",
    }


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _drift_is_taken_over_and_put_back(program: SmallProgram, world: EngineWorld) -> None:
    """A refresh writes what is there into the state; the next preview would put back what the program says."""
    queue = program.resources()["new"]["id"]
    world.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "7"})
    program.cli.run("refresh", "--yes", "--skip-preview", "--stack", program.stack)
    assert program.resources()["new"]["outputs"]["visibilityTimeoutSeconds"] == 7
    (step,) = program.steps().values()
    assert (step["op"], step["diffReasons"]) == ("update", ["visibilityTimeoutSeconds"])


def _topics(world: EngineWorld) -> list[str]:
    return [topic["TopicArn"].rpartition(":")[2] for topic in world.client("sns").list_topics()["Topics"]]


def _cidrs(world: EngineWorld) -> set[str]:
    return {vpc["CidrBlock"] for vpc in world.client("ec2").describe_vpcs()["Vpcs"]}


def _ours(one: Any) -> bool:
    return isinstance(one, str) or one["repositoryName"] == "protocol"
