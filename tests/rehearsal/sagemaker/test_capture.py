"""Data capture: the files that SageMaker writes, to the byte where the format is documented."""

from __future__ import annotations

import base64
import json
import re
import threading

import pytest

from infra.rehearsal.cloud.overlay import data_capture
from infra.rehearsal.cloud.overlay.sagemaker_store import sagemaker_of

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://registry-of-tests/captured/iris",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}


def captured(stage) -> list[tuple[str, list[dict]]]:
    """Keys and lines of the capture files, in order of key."""
    listed = stage.s3.list_objects_v2(Bucket="registry-of-tests", Prefix="captured/").get("Contents", [])
    files = []
    for entry in listed:
        body = stage.s3.get_object(Bucket="registry-of-tests", Key=entry["Key"])["Body"].read().decode()
        assert body.endswith("\n")
        files.append((entry["Key"], [json.loads(line) for line in body.splitlines()]))
    return files


@pytest.fixture
def capturing(stage):
    def make(**changes):
        stage.model()
        stage.config(DataCaptureConfig={**CAPTURE, **changes})
        stage.endpoint()
        return stage

    return make


def test_the_record_is_sagemakers(capturing):
    stage = capturing()
    found = stage.settled()["DataCaptureConfig"]
    assert found == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": "s3://registry-of-tests/captured/iris",
        "KmsKeyId": "",
    }
    stage.invoke({"a": 1}, InferenceId="request-1")
    stage.deleted()
    ((key, (line,)),) = captured(stage)
    uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    assert re.fullmatch(rf"captured/iris/e/stable/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-{uuid}\.jsonl", key)
    metadata = line["eventMetadata"]
    assert re.fullmatch(uuid, metadata.pop("eventId"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata.pop("inferenceTime"))
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "application/json",
                "mode": "INPUT",
                "data": '{"a": 1}',
                "encoding": "JSON",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": '{"answer": "m", "asked": {"a": 1}}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"inferenceId": "request-1"},
        "eventVersion": "0",
    }


def test_a_type_that_is_not_listed_is_base64(capturing):
    stage = capturing(CaptureContentTypeHeader={"CsvContentTypes": ["text/csv"]})
    stage.invoke({"a": 1})
    stage.deleted()
    ((_, (line,)),) = captured(stage)
    side = line["captureData"]["endpointInput"]
    assert side["encoding"] == "BASE64"
    assert base64.b64decode(side["data"]) == b'{"a": 1}'
    assert "inferenceId" not in line["eventMetadata"]


@pytest.mark.parametrize(
    ("modes", "sides"),
    [
        (["Input"], {"endpointInput"}),
        (["Output"], {"endpointOutput"}),
        (["InputAndOutput"], {"endpointInput", "endpointOutput"}),
    ],
)
def test_the_sides_asked_for(capturing, modes, sides):
    stage = capturing(CaptureOptions=[{"CaptureMode": mode} for mode in modes])
    stage.invoke()
    stage.deleted()
    ((_, (line,)),) = captured(stage)
    assert set(line["captureData"]) == sides


@pytest.mark.parametrize("changes", [{"EnableCapture": False}, {"InitialSamplingPercentage": 0}])
def test_nothing_is_captured(capturing, changes):
    stage = capturing(**changes)
    for _ in range(10):
        stage.invoke()
    stage.deleted()
    assert captured(stage) == []


def test_a_share_is_captured(capturing):
    stage = capturing(InitialSamplingPercentage=30)
    for _ in range(200):
        stage.invoke()
    stage.deleted()
    # 60 expected with a deviation of 6.5.
    assert 30 <= sum(len(lines) for _, lines in captured(stage)) <= 90


def test_files_are_written_when_they_are_old_enough(capturing):
    stage = capturing()
    stage.invoke()
    (variant,) = stage.cloud_variants()
    variant.capture.flush_old(stage.cloud.clock.now())
    assert captured(stage) == []
    stage.cloud.clock.advance(61)
    variant.capture.flush_old(stage.cloud.clock.now())
    assert len(captured(stage)) == 1


def test_what_another_thread_writes_is_waited_for(capturing, monkeypatch):
    """The upkeep writes what is old enough too."""
    stage = capturing()
    stage.invoke()
    stage.cloud.clock.advance(61)
    sagemaker_of(stage.cloud).upkeep.stop()
    (variant,) = stage.cloud_variants()
    variant.capture.flush()
    stage.invoke()
    stage.cloud.clock.advance(61)
    begun, may_write, write = threading.Event(), threading.Event(), data_capture.Capture._write

    def slow(*given):
        begun.set()
        may_write.wait(10)
        write(*given)

    monkeypatch.setattr(data_capture.Capture, "_write", slow)
    other = threading.Thread(target=variant.capture.flush_old, args=(stage.cloud.clock.now(),))
    other.start()
    assert begun.wait(10)
    threading.Timer(0.2, may_write.set).start()
    variant.capture.flush_old(stage.cloud.clock.now())
    assert len(captured(stage)) == 2
    other.join()


def test_an_update_writes_what_the_old_fleet_captured(capturing):
    stage = capturing()
    stage.invoke()
    stage.config("c2")
    stage.update("c2")
    stage.joined()
    assert len(captured(stage)) == 1
    stage.invoke()
    stage.deleted()
    assert len(captured(stage)) == 1


def test_a_role_that_may_not_write_loses_records_and_no_calls(capturing):
    stage = capturing()
    stage.allow("s3:GetObject", "ecr:*", "logs:*", "cloudwatch:*")
    assert stage.invoke()["answer"]["answer"] == "m"
    (variant,) = stage.cloud_variants()
    variant.capture.flush()
    assert variant.capture.lost == 1
    assert captured(stage) == []
    refused = stage.cloud.journal.entries("s3", "PutObject", "AccessDenied")
    assert [entry.principal.split("/")[1] for entry in refused] == ["execution"]


def test_a_failed_call_is_not_captured(capturing, refused):
    stage = capturing()
    refused(stage.invoke, body={"status": 500})
    stage.deleted()
    assert captured(stage) == []


def test_objects_are_encrypted_with_the_key_of_the_configuration(capturing, cloud):
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    stage = capturing(KmsKeyId=key)
    stage.invoke()
    stage.deleted()
    ((name, _),) = captured(stage)
    head = stage.s3.head_object(Bucket="registry-of-tests", Key=name)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
