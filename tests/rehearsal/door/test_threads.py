"""Sixteen threads at the door, in process and over HTTP at the same time: no error, none lost."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from moto.core import routing
from moto.core.utils import get_service_model

from infra.rehearsal.cloud.cloud import Cloud

THREADS = 16
ROUNDS = 12


@pytest.fixture
def over_http(cloud: Cloud) -> Any:
    return boto3.Session(
        aws_access_key_id="AKIAREHEARSALOPERATR", aws_secret_access_key="rehearsal", region_name=cloud.region
    )


def test_sixteen_threads_lose_nothing(cloud: Cloud, over_http: Any):
    cloud.client("s3").create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    http = {service: over_http.client(service, endpoint_url=cloud.serve()) for service in ("s3", "sns", "cloudwatch")}

    def work(number: int) -> None:
        def client(service: str) -> Any:
            return http[service] if number % 2 else cloud.client(service)

        for turn in range(ROUNDS):
            name = f"{number}-{turn}"
            client("s3").put_object(Bucket="a-b", Key=name, Body=name.encode())
            client("sns").create_topic(Name=name)
            client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0}])
            assert client("s3").get_object(Bucket="a-b", Key=name)["Body"].read() == name.encode()

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(THREADS)]:
            done.result()

    made = THREADS * ROUNDS
    counts = cloud.journal.counts()
    assert {name: counts[name] for name in ("s3.PutObject", "s3.GetObject", "sns.CreateTopic")} == {
        "s3.PutObject": made,
        "s3.GetObject": made,
        "sns.CreateTopic": made,
    }
    assert {entry.outcome for entry in cloud.journal.entries()} == {"ok"}
    assert cloud.client("s3").list_objects_v2(Bucket="a-b")["KeyCount"] == made
    topics = cloud.client("sns").get_paginator("list_topics").paginate().build_full_result()["Topics"]
    assert len(topics) == made


def test_a_service_s_addresses_are_compiled_by_one_thread(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    """Python 3.11.7 may fail where two threads parse at once."""
    begun: list[str] = []

    def slow(*_: Any) -> object:
        begun.append(threading.current_thread().name)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(routing, "get_router_class", lambda *_: slow)
    service = routing.ServiceOperationRouter(get_service_model("s3"))
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(service._get_router, ["rest-xml"] * THREADS))
    assert (len(begun), len({id(each) for each in made})) == (1, 1)


def test_new_sessions_are_made_from_many_threads(cloud: Cloud):
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",'
        ' "Principal": {"Service": "sagemaker.amazonaws.com"}}]}'
    )
    role = cloud.client("iam").create_role(RoleName="runner", AssumeRolePolicyDocument=trust)["Role"]["Arn"]

    def who(number: int) -> str:
        session = cloud.assume_role(role, service="sagemaker.amazonaws.com", session_name=f"session-{number % 4}")
        return session.client("sts").get_caller_identity()["Arn"]

    with ThreadPoolExecutor(THREADS) as pool:
        arns = list(pool.map(who, range(THREADS * 2)))
    assert sorted(set(arns)) == [f"arn:aws:sts::{cloud.account_id}:assumed-role/runner/session-{n}" for n in range(4)]


def test_a_fault_with_times_acts_that_often_whoever_calls(cloud: Cloud):
    from infra.rehearsal.cloud.api import AwsError

    cloud.faults.add("kms", "ListKeys", AwsError("KMSInternalException", "down", 400), times=5)

    def outcome(_: int) -> bool:
        try:
            cloud.client("kms").list_keys()
        except cloud.client("kms").exceptions.KMSInternalException:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(outcome, range(40))).count(False) == 5


def test_every_operation_of_a_service_is_made_before_anyone_asks() -> None:
    """With moto alone, a thread may find botocore's own model for a moment, which moto's router cannot use."""
    from moto.core.model import OperationModel

    from infra.rehearsal.cloud.wire import service_model

    model = service_model("signer")
    made = {key[1][0]: found for key, found in model._instance_cache.items() if key[0] == "operation_model"}
    assert set(made) == set(model.operation_names)
    assert {type(found) for found in made.values()} == {OperationModel}
