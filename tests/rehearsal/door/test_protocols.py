"""The wire: every protocol, S3's ways of addressing and uploading, requests as other SDKs send them."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.api import AwsError, HttpRequest, HttpResponse
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.payload import unwrapped
from infra.rehearsal.cloud.wire import operation_named


def _scope(service: str, *, key: str = "AKIAREHEARSALOPERATR", region: str = "eu-west-1") -> str:
    scope = f"{key}/20261121/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"


def _send(
    cloud: Cloud,
    service: str,
    body: str | bytes = b"",
    *,
    method: str = "POST",
    url: str = "https://x/",
    **headers: str,
) -> HttpResponse:
    sent = {"Authorization": _scope(service), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return cloud.door.handle(HttpRequest(method, url, sent, body.encode() if isinstance(body, str) else body))


def _bucket(cloud: Cloud, name: str = "models-dev") -> str:
    cloud.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture
def over_http(cloud: Cloud) -> Any:
    """A client factory over loopback HTTP, in this process."""
    session = boto3.Session(
        aws_access_key_id="AKIAREHEARSALOPERATR", aws_secret_access_key="rehearsal", region_name="eu-west-1"
    )

    def client(service: str, **config: Any) -> Any:
        return session.client(service, endpoint_url=cloud.serve(), config=Config(**config))

    return client


@pytest.mark.parametrize(
    ("protocol", "service", "operation", "member"),
    [
        ("json", "kms", "list_keys", "Keys"),
        ("query", "iam", "list_roles", "Roles"),
        ("ec2", "ec2", "describe_vpcs", "Vpcs"),
        ("rest-json", "eks", "list_clusters", "clusters"),
        ("rest-xml", "s3", "list_buckets", "Buckets"),
    ],
)
def test_every_protocol_is_spoken_both_ways(
    cloud: Cloud, over_http: Any, protocol: str, service: str, operation: str, member: str
):
    assert operation_named(service, "".join(part.title() for part in operation.split("_"))).protocol == protocol
    here, there = getattr(cloud.client(service), operation)(), getattr(over_http(service), operation)()
    here.pop("ResponseMetadata")
    there.pop("ResponseMetadata")
    assert isinstance(here[member], list)
    assert here == there


def test_sqs_is_spoken_in_json_and_in_query(cloud: Cloud):
    asked = {
        "Action": "CreateQueue",
        "QueueName": "spool",
        "Attribute.1.Name": "DelaySeconds",
        "Attribute.1.Value": "5",
    }
    form = "application/x-www-form-urlencoded"
    answer = _send(cloud, "sqs", urlencode({**asked, "Version": "2012-11-05"}), Content_Type=form)
    assert answer.status == 200
    assert b"<QueueUrl>https://sqs.eu-west-1.amazonaws.com/111111111111/spool</QueueUrl>" in answer.body
    client = cloud.client("sqs")
    queue = client.get_queue_url(QueueName="spool")["QueueUrl"]
    assert client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["DelaySeconds"] == "5"
    refused = _send(cloud, "sqs", urlencode({**asked, "QueueName": "a b"}), Content_Type=form)
    assert refused.status == 400
    assert b"<Code>InvalidParameterValue</Code>" in refused.body


@pytest.mark.parametrize("protocol", ["json", "query"])
def test_cloudwatch_answers_in_the_protocol_it_was_asked_in(cloud: Cloud, protocol: str):
    if protocol == "json":
        target = "GraniteServiceVersion20100801.DescribeAlarms"
        answer = _send(cloud, "monitoring", "{}", X_Amz_Target=target, Content_Type="application/x-amz-json-1.0")
        assert json.loads(answer.body)["MetricAlarms"] == []
    else:
        form = "application/x-www-form-urlencoded"
        answer = _send(cloud, "monitoring", "Action=DescribeAlarms&Version=2010-08-01", Content_Type=form)
        assert b"<DescribeAlarmsResult>" in answer.body
    assert answer.status == 200


def test_a_protocol_that_is_not_carried_is_said(cloud: Cloud):
    url = "https://x/service/GraniteServiceVersion20100801/operation/DescribeAlarms"
    answer = _send(cloud, "monitoring", b"\xa0", url=url, Content_Type="application/cbor")
    assert answer.status == 501
    assert b"NotCarried" in answer.body


@pytest.mark.parametrize("key", ["a", "folder/", "/leading", "a b/c+d", "ä/ü.json", "a//b", "x%2Fy"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_objects_are_addressed_in_both_styles(cloud: Cloud, over_http: Any, key: str, style: str):
    bucket = _bucket(cloud)
    made_elsewhere = over_http("s3")
    here = cloud.session().client("s3", config=Config(s3={"addressing_style": style}))
    here.put_object(Bucket=bucket, Key=key, Body=b"one")
    assert made_elsewhere.get_object(Bucket=bucket, Key=key)["Body"].read() == b"one"
    made_elsewhere.put_object(Bucket=bucket, Key=key, Body=b"two")
    assert here.get_object(Bucket=bucket, Key=key)["Body"].read() == b"two"
    assert [entry["Key"] for entry in here.list_objects_v2(Bucket=bucket)["Contents"]] == [key]


def test_a_virtual_host_on_localhost_is_a_bucket(cloud: Cloud):
    bucket = _bucket(cloud)
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"body")
    url = f"http://{bucket}.localhost:4566/k"
    answer = _send(cloud, "s3", method="GET", url=url, host=f"{bucket}.localhost:4566")
    assert (answer.status, answer.body) == (200, b"body")


@pytest.mark.parametrize("size", [0, 1, 70_000, 12_000_000])
@pytest.mark.parametrize("trailing", ["when_supported", "when_required"])
def test_uploads_arrive_whole_with_and_without_chunks(cloud: Cloud, over_http: Any, size: int, trailing: str):
    bucket, body = _bucket(cloud), bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = over_http("s3", request_checksum_calculation=trailing)
    answer = client.put_object(Bucket=bucket, Key="k", Body=body, Metadata={"card": "1"}, ContentEncoding="identity")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    head = client.head_object(Bucket=bucket, Key="k")
    assert head["ContentLength"] == size
    assert head["Metadata"] == {"card": "1"}
    assert cloud.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == body


def test_a_stream_of_unknown_end_is_uploaded(cloud: Cloud, over_http: Any, tmp_path: Any):
    file = tmp_path / "model.tar.gz"
    file.write_bytes(b"m" * 9_000_000)
    bucket = _bucket(cloud)
    over_http("s3").upload_file(str(file), bucket, "model.tar.gz")
    cloud.client("s3").download_file(bucket, "model.tar.gz", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()


def test_an_object_keeps_its_own_gzip_encoding(cloud: Cloud, over_http: Any):
    bucket, body = _bucket(cloud), gzip.compress(b"rows")
    over_http("s3").put_object(Bucket=bucket, Key="k", Body=body, ContentEncoding="gzip")
    found = cloud.client("s3").get_object(Bucket=bucket, Key="k")
    assert found["ContentEncoding"] == "gzip"
    assert found["Body"].read() == body


def test_a_compressed_request_is_read(cloud: Cloud, over_http: Any):
    data = [{"MetricName": f"metric-{number:04}", "Value": float(number)} for number in range(500)]
    over_http("cloudwatch", request_min_compression_size_bytes=1).put_metric_data(Namespace="N", MetricData=data)
    found = cloud.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="N").build_full_result()
    assert len(found["Metrics"]) == 500


def test_expect_100_continue_is_answered(cloud: Cloud):
    bucket = _bucket(cloud)
    address = urlsplit(cloud.serve())
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("PUT", f"/{bucket}/k")
    for name, value in {"Authorization": _scope("s3"), "Content-Length": "5", "Expect": "100-continue"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.sock is not None
    assert connection.sock.recv(64).startswith(b"HTTP/1.1 100 Continue")
    connection.send(b"hello")
    assert connection.getresponse().status == 200
    connection.close()
    assert cloud.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_metadata_that_http_would_lose_is_refused(cloud: Cloud, over_http: Any):
    bucket = _bucket(cloud)
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"", Metadata={"model_version": "1"})
    assert cloud.client("s3").head_object(Bucket=bucket, Key="k")["Metadata"] == {"model_version": "1"}
    with pytest.raises(ClientError) as caught:
        over_http("s3").put_object(Bucket=bucket, Key="other", Body=b"", Metadata={"model_version": "1"})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert [entry["Key"] for entry in cloud.client("s3").list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_a_presigned_url_says_who_calls(cloud: Cloud, over_http: Any):
    bucket = _bucket(cloud)
    cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"body")
    url = over_http("s3", signature_version="s3v4").generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    answer = cloud.door.handle(HttpRequest("GET", url, {}, b""))
    assert (answer.status, answer.body) == (200, b"body")


def test_errors_keep_their_shape_in_every_protocol(cloud: Cloud):
    def code(service: str, operation: str, **params: Any) -> str:
        client = cloud.client(service)
        with pytest.raises(ClientError) as caught:
            getattr(client, operation)(**params)
        assert isinstance(caught.value, getattr(client.exceptions, caught.value.response["Error"]["Code"], ClientError))
        return caught.value.response["Error"]["Code"]

    assert code("eks", "describe_cluster", name="none") == "ResourceNotFoundException"
    assert code("s3", "list_objects_v2", Bucket="none-such") == "NoSuchBucket"
    assert code("s3", "head_object", Bucket="none-such", Key="k") == "404"
    assert code("iam", "get_role", RoleName="none") == "NoSuchEntity"
    assert code("kms", "describe_key", KeyId="6891c2b8-e7b1-4e37-aa1a-6c335ead2d62") == "NotFoundException"
    assert code("ec2", "describe_vpcs", VpcIds=["vpc-0a1b2c3d4e5f60718"]) == "InvalidVpcID.NotFound"


@pytest.mark.parametrize("body", ["{", "[]", '{"ModelName": {"a": 1}, "Tags": "x"}', '"text"'])
def test_a_body_that_fits_no_shape_is_the_clients_error(cloud: Cloud, body: str):
    answer = _send(
        cloud, "sagemaker", body, X_Amz_Target="SageMaker.CreateModel", Content_Type="application/x-amz-json-1.1"
    )
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] in ("SerializationException", "ValidationException")


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8), st.booleans(), st.booleans())
def test_chunks_come_back_together(parts: list[bytes], signed: bool, trailing: bool):
    signature = b";chunk-signature=" + b"0" * 64 if signed else b""
    chunks = b"".join(b"%x%s\r\n%s\r\n" % (len(part), signature, part) for part in parts)
    tail = b"x-amz-checksum-crc32:AAAAAA==\r\n" if trailing else b""
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "content-encoding": "aws-chunked,gzip",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-decoded-content-length": str(sum(map(len, parts))),
    }
    plain, body = unwrapped(headers, chunks + b"0" + signature + b"\r\n" + tail + b"\r\n", is_object=True)
    assert body == b"".join(parts)
    assert plain["content-encoding"] == "gzip"
    assert plain["content-length"] == str(len(body))
    assert ("x-amz-checksum-crc32" in plain) == trailing
    assert "x-amz-trailer" not in plain


@pytest.mark.parametrize("body", [b"", b"zz\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"3\r\nabcXX0\r\n\r\n"])
def test_a_broken_chunk_is_refused(body: bytes):
    with pytest.raises(AwsError, match="IncompleteBody"):
        unwrapped({"content-encoding": "aws-chunked"}, body, is_object=True)
