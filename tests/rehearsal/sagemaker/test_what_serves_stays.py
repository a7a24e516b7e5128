"""Law 6: a release never deletes what serves, nor what it needs to serve again.

A changed instance type gives every configuration another name: while a release of that program does not end well, the
one that serves is in no program any more. The real `pulumi` does the same (tests/engine/releases/test_stays.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import mainstage
import pytest
from mainstage.guard_alarms import guard_alarm_names

from infra.registry.target import Target
from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of
from infra.rehearsal.drills.hook_time import hooks_wait_for
from infra.rehearsal.engine import Engine, Result
from infra.rehearsal.provider import AwsProvider

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

CONFIG, MODEL = "aws:sagemaker/endpointConfiguration:EndpointConfiguration", "aws:sagemaker/model:Model"
ENDPOINT = "aws:sagemaker/endpoint:Endpoint"
A, B, C = "ml.m5.large", "ml.m5.xlarge", "ml.c5.large"
NAME = "e"
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}]
        + [
            {"Effect": "Allow", "Principal": {"Service": f"{who}"}, "Action": "kms:*", "Resource": "*"}
            for who in ("logs.eu-west-1.amazonaws.com", "sagemaker.amazonaws.com")
        ],
    }
)
GUARDS = {f"thing-guards-{guard}" for guard in guard_alarm_names(NAME)}
CRASHES = "import os\nos._exit(3)\n"


class Serving:
    """An endpoint of the component, brought up by the in-process engine."""

    def __init__(self, stage: Any, *, protected: bool):
        self.stage, self.cloud = stage, stage.cloud
        self.cloud.pace.minute_seconds = 0.02
        self.protected = protected
        self.key = self.cloud.client("kms").create_key(Policy=EVERYTHING)["KeyMetadata"]["Arn"]
        topics = self.cloud.client("sns")
        self.topics = [topics.create_topic(Name=name)["TopicArn"] for name in ("page", "ticket")]
        target = Target(
            "dev",
            self.cloud.account_id,
            self.cloud.region,
            self.cloud.serve(),
            access_key_id=self.cloud.operator_access_key_id,
            secret_access_key=OPERATOR_SECRET_ACCESS_KEY,
        )
        self.engine = Engine(
            provider=AwsProvider(self.cloud.session, clock=self.cloud.clock), environment=target.variables
        )

    def version(self, number: int, code: str | None = None) -> dict[str, Any]:
        key = f"models/iris/{number}/model.tar.gz"
        try:
            self.stage.s3.head_object(Bucket="registry-of-tests", Key=key)
        except self.stage.s3.exceptions.ClientError:
            self.stage.put_archive(*([] if code is None else [code]), key=key)
        return {
            "version": float(number),
            "image_uri": self.stage.image,
            "model_data_url": f"s3://registry-of-tests/{key}",
            "container_environment": self.stage.environment,
        }

    def up(self, number: int, instance_type: str, *, keep: tuple[int, ...] = (), checked: bool = True) -> Result:
        """An `up` of this version on this instance type; what serves is whole after it, unless nobody `checked`."""

        def program() -> None:
            args: Any = {
                **self.version(number),
                "keep": [self.version(each) for each in keep],
                "account_id": self.cloud.account_id,
                "region": self.cloud.region,
                "endpoint_name": NAME,
                "model_name": "iris",
                "registry_bucket_arn": "arn:aws:s3:::registry-of-tests",
                "repository_arns": [f"arn:aws:ecr:{self.cloud.region}:141502667606:repository/sagemaker-scikit-learn"],
                "kms_key_arn": self.key,
                "instance_type": instance_type,
                "instance_count": 1.0,
                "deployment": {"strategy": "all_at_once", "bake_minutes": 0.0},
                "slo": {"p95_ms": 3000.0, "p99_ms": 4000.0, "error_ratio": 0.01},
                "page_topic_arn": self.topics[0],
                "ticket_topic_arn": self.topics[1],
                "runbook_base_url": "https://example.com/runbooks",
                "deletion_protection": self.protected,
            }
            mainstage.SageMakerEndpoint("thing", args)

        config = {"aws:region": self.cloud.region}
        result = self.engine.up("dev", program, config, continue_on_error=True)
        if checked:
            try:
                self.is_whole()
            except Exception as error:
                raise AssertionError(told(result)) from error
        return result

    @property
    def serves(self) -> str:
        return self.stage.sagemaker.describe_endpoint(EndpointName=NAME)["EndpointConfigName"]

    def is_whole(self) -> None:
        """What serves exists in SageMaker with its models, and the state has all of it."""
        found = self.stage.sagemaker.describe_endpoint_config(EndpointConfigName=self.serves)
        models = {variant["ModelName"] for variant in found["ProductionVariants"]}
        for name in models:
            self.stage.sagemaker.describe_model(ModelName=name)
        assert self.serves in self.stated(CONFIG)
        assert models <= self.stated(MODEL)

    def stated(self, type_token: str) -> set[str]:
        return {each.id for each in self.engine.state.resources("dev") if each.type == type_token}

    def model_of(self, configuration: str) -> str:
        found = self.stage.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
        [variant] = found["ProductionVariants"]
        return variant["ModelName"]

    def there(self) -> set[str]:
        """The configurations that SageMaker has."""
        found = self.stage.sagemaker.list_endpoint_configs()["EndpointConfigs"]
        return {each["EndpointConfigName"] for each in found}


@contextmanager
def no_poll_meets_a_rollback(cloud: Cloud) -> Iterator[None]:
    """The provider's polls are so far apart that they find the endpoint at rest."""

    def waits(call: Call) -> bool:
        endpoint = sagemaker_of(cloud).endpoints.get((cloud.region, NAME))
        while endpoint is not None and endpoint.described()["EndpointStatus"] not in ("InService", "Failed"):
            time.sleep(0.01)
        return False

    fault = cloud.faults.add("sagemaker", "DescribeEndpoint", AwsError("never", "no call meets it", 500), match=waits)
    try:
        yield
    finally:
        fault.remove()


def told(result: Result) -> str:
    return "\n".join([str(result.error), *(line.message for line in result.logs if line.severity != "debug")])


@pytest.fixture
def dev(stage: Any) -> Iterator[Serving]:
    with hooks_wait_for(stage.cloud.clock):
        yield Serving(stage, protected=False)


@pytest.fixture
def prod(stage: Any) -> Iterator[Serving]:
    with hooks_wait_for(stage.cloud.clock):
        yield Serving(stage, protected=True)


def test_a_failed_release_that_the_provider_calls_done(dev: Serving) -> None:
    dev.up(1, A).check()
    good = dev.serves
    dev.version(2, CRASHES)
    with no_poll_meets_a_rollback(dev.cloud):
        went = dev.up(2, B, keep=(1,))
    assert "never came up on endpoint e" in told(went)
    assert "RollingBack" not in told(went)
    assert "model iris version 2 is not what this run leaves on endpoint e, so this run deletes nothing" in told(went)
    assert dev.serves == good
    again = dev.up(2, C, keep=(1,))
    assert again.error is not None
    assert dev.serves == good
    # Back to what serves: nothing is made, and what was left over goes.
    back = dev.up(1, A).check()
    assert back.changes["create"] == 0
    assert {urn.rpartition("::")[2] for urn, op in back.ops().items() if op == "update"} <= GUARDS
    assert dev.there() == dev.stated(CONFIG) == {good}


def test_a_failed_release_that_the_provider_sees(prod: Serving) -> None:
    """Kept in AWS when the state forgets them: here the state must not."""
    prod.up(1, A).check()
    good = prod.serves
    prod.version(2, CRASHES)
    assert prod.up(2, B).error is not None
    assert prod.serves == good
    assert prod.up(2, C).error is not None
    assert prod.up(1, A).check().changes["create"] == 0
    assert prod.serves == good
    assert prod.stated(CONFIG) == {good}


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "PutMetricAlarm"])
def test_an_endpoint_that_is_passed_over(dev: Serving, operation: str) -> None:
    """For the engine it has not failed: it would delete what serves, and leave a state that no command reads."""
    dev.up(1, A).check()
    good = dev.serves
    service = "cloudwatch" if operation == "PutMetricAlarm" else "sagemaker"
    fault = dev.cloud.faults.add(service, operation, AwsError("Throttling", "Rate exceeded", 400))
    went = dev.up(2, B)
    assert "this run deletes nothing" in told(went)
    assert "missing dependency" not in told(went)
    assert "Missing required argument" not in told(went), "which would end the run for all models"
    assert dev.serves == good
    if operation == "PutMetricAlarm":
        fault.remove()
        dev.up(1, B).check()
        assert dev.there() == dev.stated(CONFIG) == {dev.serves} != {good}


def test_a_live_configuration_that_a_person_moved_to_and_that_leaves_the_catalog(dev: Serving) -> None:
    dev.up(1, A).check()
    first = dev.serves
    dev.up(2, A, keep=(1,)).check()
    dev.stage.sagemaker.update_endpoint(EndpointName=NAME, EndpointConfigName=first)
    dev.stage.settled(NAME)
    went = dev.up(2, A)
    assert went.error is not None
    assert dev.serves == first


def test_back_to_another_instance_type(prod: Serving) -> None:
    """What left the program stays in SageMaker, under the name that going back takes again."""
    prod.up(1, A).check()
    first = prod.serves
    prod.up(1, B).check()
    assert prod.there() == {first, prod.serves}
    assert prod.stated(CONFIG) == {prod.serves}
    back = prod.up(1, A).check()
    assert prod.serves == first
    assert f"{first}, left by an earlier release and used by nothing, was deleted: it is made again" in told(back)


def test_a_version_that_left_keep_and_comes_back(prod: Serving) -> None:
    prod.up(1, A).check()
    first = prod.serves
    prod.up(2, A).check()
    assert prod.stated(MODEL) == {prod.model_of(prod.serves)}
    back = prod.up(2, A, keep=(1,)).check()
    assert first in prod.stated(CONFIG)
    assert told(back).count("left by an earlier release and used by nothing, was deleted") == 2
    prod.up(1, A).check()
    assert prod.serves == first


def test_what_serves_is_not_cleared_away(prod: Serving) -> None:
    """A state that has lost what serves: nothing is deleted, and the message says how it comes back."""
    prod.up(1, A).check()
    lost = {prod.serves, prod.model_of(prod.serves)}
    resources = prod.engine.state.resources("dev")
    prod.engine.state.save("dev", [each for each in resources if each.id not in lost and each.type != ENDPOINT])
    went = prod.up(1, A, checked=False)
    model = prod.model_of(prod.serves)
    assert f"the model {model} is there already and not in this state: the endpoint e runs it" in told(went)
    owner = "urn:pulumi:dev::mainstage::mainstage:index:SageMakerEndpoint::thing"
    command = f"pulumi import {MODEL} thing-model-{model.removeprefix('e-')} {model} --parent 'owner={owner}'"
    assert command in told(went)
    assert prod.there() == {prod.serves}
