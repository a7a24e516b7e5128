"""The cloud's life, and what stands around the door: journal, faults, clock, refusals of what nobody carries."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.rehearsal.cloud import cloud as cloud_module
from infra.rehearsal.cloud import overlay
from infra.rehearsal.cloud.api import AwsError, Call, Principal
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.door import UNPARSED
from infra.rehearsal.cloud.moto_backend import S3_CARRIED
from infra.rehearsal.cloud.server import THREADS, Server


def _error(call: Any, *args: Any, **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **params)
    response: Any = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def _call(cloud: Cloud, service: str, operation: str, **params: Any) -> Call:
    return Call(cloud, service, operation, params, cloud.region, cloud.principals.operator, UNPARSED)


# What nobody carries


@pytest.mark.parametrize(
    ("service", "operation", "params", "named"),
    [
        (
            "sagemaker",
            "create_mlflow_tracking_server",
            {"TrackingServerName": "a", "ArtifactStoreUri": "s3://b/k", "RoleArn": "arn:aws:iam::111111111111:role/r"},
            "sagemaker.CreateMlflowTrackingServer",
        ),
        ("s3", "get_bucket_request_payment", {"Bucket": "a-b"}, "s3.GetBucketRequestPayment"),
        ("pricing", "get_products", {"ServiceCode": "AmazonEC2"}, "pricing.GetProducts"),
        ("datazone", "list_domains", {}, "datazone.ListDomains"),
        (
            "iam",
            "simulate_principal_policy",
            {"PolicySourceArn": "arn:aws:iam::111111111111:role/r", "ActionNames": ["s3:GetObject"]},
            "iam.SimulatePrincipalPolicy",
        ),
        ("application-signals", "list_services", {"StartTime": 1, "EndTime": 2}, "application-signals.ListServices"),
    ],
)
def test_what_nobody_carries_is_a_501_that_names_it(
    cloud: Cloud, service: str, operation: str, params: dict[str, Any], named: str
):
    code, status, message = _error(getattr(cloud.client(service), operation), **params)
    assert (code, status) == ("NotCarried", 501)
    assert named in message
    name = named.split(".")[1]
    assert cloud.carried_by(service, name) is None
    assert [entry.outcome for entry in cloud.journal.entries(service, name)] == ["NotCarried"]


def test_what_is_carried_says_by_whom(cloud: Cloud):
    assert cloud.carried_by("sagemaker", "CreateModel") == "overlay"
    assert cloud.carried_by("eks", "CreateAccessEntry") == "store"
    assert cloud.carried_by("eks", "CreateCluster") == "moto"
    assert cloud.carried_by("elbv2", "CreateLoadBalancer") == "moto"
    assert cloud.carried_by("apigatewayv2", "CreateApi") == "moto"
    assert cloud.carried_by("lambda", "CreateFunction") == "moto"


def test_no_configuration_of_a_bucket_deletes_the_bucket(cloud: Cloud):
    """moto takes DELETE with a query string that it does not know as the deletion of the bucket."""
    client = cloud.client("s3")
    client.create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    for operation in client.meta.method_to_api_mapping.values():
        carried = cloud.carried_by("s3", operation)
        if operation.startswith("DeleteBucket") and operation != "DeleteBucket":
            assert carried == ("moto" if operation in S3_CARRIED else "store" if carried else None)
    for kind in ("analytics", "intelligent_tiering", "inventory", "metrics"):
        assert _error(getattr(client, f"delete_bucket_{kind}_configuration"), Bucket="a-b", Id="x")[1] in (404, 501)
    assert client.head_bucket(Bucket="a-b")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_an_unknown_access_key_is_refused(cloud: Cloud):
    client = cloud.session().client("iam", aws_access_key_id="AKIAUNKNOWNUNKNOWNUN", aws_secret_access_key="x")
    assert _error(client.list_roles)[:2] == ("InvalidClientTokenId", 403)


def test_a_failure_of_the_emulation_says_so(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(call: Call) -> dict[str, Any]:
        raise RuntimeError("a bug")

    monkeypatch.setitem(overlay._handlers, ("sns", "ListTopics"), broken)
    with caplog.at_level(logging.CRITICAL):
        code, status, message = _error(cloud.client("sns").list_topics)
    assert (code, status) == ("InternalFailure", 500)
    assert "sns.ListTopics failed inside the emulated cloud (overlay)" in message
    assert "a bug" in message


# moto, mended


def test_a_tls_only_policy_does_not_shut_the_bucket(cloud: Cloud):
    """moto ignores conditions and would deny every call."""
    client = cloud.client("s3")
    client.create_bucket(Bucket="a-b", CreateBucketConfiguration={"LocationConstraint": cloud.region})
    client.put_bucket_policy(
        Bucket="a-b",
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*",'
        ' "Resource": ["arn:aws:s3:::a-b", "arn:aws:s3:::a-b/*"],'
        ' "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}',
    )
    client.put_object(Bucket="a-b", Key="k", Body=b"x")
    assert client.get_object(Bucket="a-b", Key="k")["Body"].read() == b"x"


def test_ids_repeat_with_the_seed(cloud: Cloud):
    def make() -> list[str]:
        vpc = cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
        return [vpc, key]

    first = make()
    cloud.reset()
    assert make() == first


def test_what_runs_in_the_account_is_seen_in_the_account(cloud: Cloud):
    made = cloud.client("sns").create_topic(Name="page")["TopicArn"]
    assert made == f"arn:aws:sns:{cloud.region}:{cloud.account_id}:page"
    elsewhere = cloud.client("sns", "us-east-1")
    assert elsewhere.list_topics()["Topics"] == []


# Calls made inside


def test_a_call_made_inside_passes_everything_behind_the_parser(cloud: Cloud):
    assert cloud.answer(_call(cloud, "sns", "CreateTopic", Name="page"))["TopicArn"].endswith(":page")
    with pytest.raises(AwsError, match="InvalidParameter"):
        cloud.answer(_call(cloud, "sns", "CreateTopic", Name="on call"))
    nobody = Principal(
        "role", "arn:aws:sts::111111111111:assumed-role/none/x", cloud.account_id, "arn:aws:iam::111111111111:role/none"
    )
    call = _call(cloud, "sns", "ListTopics")
    call.principal = nobody
    with pytest.raises(AwsError) as caught:
        cloud.answer(call)
    assert caught.value.status in (400, 403)
    outcomes = [entry.outcome for entry in cloud.journal.entries("sns")]
    assert outcomes == ["ok", "InvalidParameter", caught.value.code]


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}),
        ("iam", "ListRoles", {}),
        ("kms", "CreateKey", {"Description": "x"}),
        ("s3", "ListBuckets", {}),
        ("eks", "ListClusters", {}),
        ("s3control", "GetPublicAccessBlock", {"AccountId": "111111111111"}),
    ],
)
def test_moto_answers_a_call_that_has_no_bytes(cloud: Cloud, service: str, operation: str, params: dict[str, Any]):
    call = _call(cloud, service, operation, **params)
    if service == "s3control":
        with pytest.raises(AwsError, match="NoSuchPublicAccessBlockConfiguration"):
            cloud.to_moto(call)
    else:
        assert isinstance(cloud.to_moto(call), dict)


# Journal, faults, clock


def test_the_journal_has_who_what_and_how_it_ended(cloud: Cloud):
    cloud.client("sns").create_topic(Name="page", Attributes={"DisplayName": "secret words"})
    _error(cloud.client("sns").get_topic_attributes, TopicArn=f"arn:aws:sns:{cloud.region}:{cloud.account_id}:none")
    first, second = cloud.journal.entries("sns")
    assert (first.operation, first.outcome, first.answered_by) == ("CreateTopic", "ok", "moto")
    assert first.params == {"Name": "page"}
    assert first.principal == cloud.principals.operator.arn
    assert (second.operation, second.outcome) == ("GetTopicAttributes", "NotFound")
    assert second.ms > 0
    assert cloud.journal.counts() == {"sns.CreateTopic": 1, "sns.GetTopicAttributes": 1}
    assert [entry.operation for entry in cloud.journal.entries(outcome="NotFound")] == ["GetTopicAttributes"]


def test_a_fault_acts_on_the_calls_it_is_meant_for(cloud: Cloud):
    client = cloud.client("kms")
    broken = AwsError("KMSInvalidStateException", "Not now", 400)
    fault = cloud.faults.add(
        "kms", "DescribeKey", broken, match=lambda call: call.params["KeyId"] == "alias/a", times=2
    )
    assert _error(client.describe_key, KeyId="alias/b")[0] == "NotFoundException"
    for _ in range(2):
        assert _error(client.describe_key, KeyId="alias/a") == ("KMSInvalidStateException", 400, "Not now")
    assert _error(client.describe_key, KeyId="alias/a")[0] == "NotFoundException"
    assert fault.hits == 2


def test_a_fault_on_every_operation_ends_when_it_is_removed(cloud: Cloud):
    fault = cloud.faults.add("kms", "*", AwsError("KMSInternalException", "down", 400))
    assert _error(cloud.client("kms").list_keys)[0] == "KMSInternalException"
    assert cloud.client("sns").list_topics()["Topics"] == []
    fault.remove()
    assert cloud.client("kms").list_keys()["Keys"] == []


def test_a_delay_is_no_error(cloud: Cloud):
    cloud.faults.add("kms", "ListKeys", delay_seconds=0.05, times=1)
    cloud.client("kms").list_keys()
    (slow,) = cloud.journal.entries("kms")
    assert slow.outcome == "ok"
    assert slow.ms >= 50


@pytest.mark.parametrize("where", ["over HTTP", "inside the cloud"])
def test_an_answer_is_held_back_when_the_call_has_taken_effect(cloud: Cloud, where: str):
    """And lost then: the caller gets an error for what was done. Another caller sees it meanwhile."""
    go_on, answers = threading.Event(), []
    lost = AwsError("RequestCanceled", "The answer was lost", 400)
    fault = cloud.faults.add("sns", "CreateTopic", lost, answered=True, until=go_on, times=1)

    def create() -> None:
        if where == "over HTTP":
            answers.append(_error(cloud.client("sns").create_topic, Name="page"))
        else:
            with pytest.raises(AwsError) as caught:
                cloud.door.answer(_call(cloud, "sns", "CreateTopic", Name="page"))
            answers.append((caught.value.code, caught.value.status, caught.value.message))

    caller = threading.Thread(target=create)
    caller.start()
    while not fault.hits:
        assert caller.is_alive()
    assert len(cloud.client("sns").list_topics()["Topics"]) == 1
    assert answers == []
    go_on.set()
    caller.join()
    assert answers == [("RequestCanceled", 400, "The answer was lost")]
    assert cloud.client("sns").create_topic(Name="page")["TopicArn"].endswith(":page")


def test_a_refused_call_has_no_answer_to_hold_back(cloud: Cloud):
    fault = cloud.faults.add("kms", "DescribeKey", answered=True, delay_seconds=60)
    assert _error(cloud.client("kms").describe_key, KeyId="alias/none")[0] == "NotFoundException"
    assert fault.hits == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [({}, "does nothing"), ({"delay_seconds": 1, "times": 0}, "times is 0"), ({"delay_seconds": -1}, "does nothing")],
)
def test_a_fault_that_makes_no_sense_is_refused(cloud: Cloud, options: dict[str, Any], text: str):
    with pytest.raises(ValueError, match=text):
        cloud.faults.add("kms", "ListKeys", **options)


def test_time_runs_forward_and_can_be_pushed(cloud: Cloud):
    before = cloud.clock.now()
    assert abs(before - datetime.now(UTC)) < timedelta(minutes=1)
    after = cloud.clock.advance(3600)
    assert after - before >= timedelta(hours=1)
    cloud.client("sns").list_topics()
    [entry] = cloud.journal.entries("sns")
    assert entry.time >= after
    with pytest.raises(ValueError, match="only runs forward"):
        cloud.clock.advance(-1)


# Life


def test_a_second_cloud_in_the_process_is_refused(cloud: Cloud, tmp_path: Path):
    with pytest.raises(RuntimeError, match=r"one\s+at a time"):
        Cloud(account_id="222222222222", region="eu-west-1", directory=tmp_path).start()
    assert cloud.client("sns").list_topics()["Topics"] == []


def test_an_account_id_is_twelve_digits(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'12345'.*twelve digits"):
        Cloud(account_id="12345", region="eu-west-1", directory=tmp_path)


def test_reset_empties_everything(cloud: Cloud):
    cloud.client("sns").create_topic(Name="page")
    cloud.client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1}])
    cloud.faults.add("sns", "ListTopics", AwsError("Down", "", 400))
    cloud.clock.advance(1000)
    called: list[str] = []
    cloud.on_reset(lambda: called.append("reset"))
    cloud.reset()
    assert called == ["reset"]
    assert cloud.journal.entries() == []
    assert cloud.client("sns").list_topics()["Topics"] == []
    assert cloud.client("cloudwatch").list_metrics()["Metrics"] == []
    assert abs(cloud.clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


def test_serving_twice_is_serving_once(cloud: Cloud):
    assert cloud.serve() == cloud.serve()


def test_who_serves_at_the_same_time_serves_once(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    both, made = threading.Barrier(2, timeout=0.5), list[object]()

    class Late:
        url = "http://127.0.0.1:1"

        def __init__(self, *_: object):
            made.append(self)
            with suppress(threading.BrokenBarrierError):
                both.wait()  # for a second one that is being made

    monkeypatch.setattr(cloud_module, "Server", Late)
    monkeypatch.setattr(cloud, "_server", None)
    threads = [threading.Thread(target=cloud.serve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1


def test_what_still_starts_while_the_cloud_closes_opens_no_server(tmp_path: Path):
    closed = Cloud(account_id="222222222222", region="eu-west-1", directory=tmp_path)
    with pytest.raises(AwsError, match="not open"):
        closed.serve()


def test_a_port_in_use_is_named(cloud: Cloud):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} on 127\.0\.0\.1 is in use: .*--port"):
            Server(cloud.door.handle, port)


def test_a_closed_server_frees_its_port_and_its_threads(cloud: Cloud):
    # Counted, threads of other tests would count too: some end just now, and a thread that is done ends a moment later.
    before = set(threading.enumerate())
    server = Server(cloud.door.handle)
    names = ("waitress", "rehearsal-door")
    own = {thread for thread in threading.enumerate() if thread.name.startswith(names)} - before
    assert len(own) == THREADS + 1
    server.close()
    server.close()
    for thread in own:
        thread.join(30)
    assert not [thread for thread in own if thread.is_alive()]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)
    Server(cloud.door.handle, server.port).close()


# What a reset leaves of AWS's own policies, which are read once


def test_after_a_reset_nothing_is_attached_to_the_policies_of_aws(cloud: Cloud) -> None:
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"

    def seen() -> tuple[int, int]:
        iam = cloud.client("iam")
        pages = iam.get_paginator("list_policies").paginate(Scope="AWS")
        listed = {each["Arn"] for page in pages for each in page["Policies"]}
        assert arn in listed
        return iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"], len(listed)

    fresh = seen()
    assert fresh[0] == 0
    said = '"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":'
    trust = "{" + said + '"sts:AssumeRole","Principal":{"Service":"lambda.amazonaws.com"}}}'
    lists = "{" + said + '"s3:ListAllMyBuckets","Resource":"*"}}'
    cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)
    cloud.client("iam").attach_role_policy(RoleName="r", PolicyArn=arn)
    own = cloud.client("iam").create_policy(PolicyName="own", PolicyDocument=lists)["Policy"]["Arn"]
    assert seen() == (1, fresh[1])
    cloud.reset()
    assert seen() == fresh
    code, status, _ = _error(cloud.client("iam").get_policy, PolicyArn=own)
    assert (code, status) == ("NoSuchEntity", 404)
