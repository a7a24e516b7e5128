"""Traps of buckets and objects (terraform-provider-aws, internal/service/s3)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from provider_driver import CheckFailed, Driver
from provider_world import SAMPLES, World

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import InitializationFailed, ProviderError

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

BUCKET = "aws:s3/bucket:Bucket"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
SIGNATURE = "4dabf18193072939515e22adb298388d"


def put(cloud: Cloud, bucket: str, key: str = "k", body: bytes = b"x") -> Any:
    return cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=body)


# -- bucket ------------------------------------------------------------------------------------------------------------


def test_bucket_without_a_name_gets_a_lower_case_one(engine: Driver) -> None:
    made = engine.create(BUCKET, "Data")
    assert made.id.startswith("data-")
    assert made.outputs["bucketRegionalDomainName"] == f"{made.id}.s3.eu-west-1.amazonaws.com"
    assert made.outputs["hostedZoneId"] == "Z1BKCTXD74EZPE"


def test_bucket_name_is_judged_at_create_not_in_preview(engine: Driver) -> None:
    engine.preview(BUCKET, "b", bucket="Upper-Case")
    with pytest.raises(ProviderError, match="Upper-Case"):
        engine.create(BUCKET, "b", bucket="Upper-Case")


def test_bucket_of_ones_own_in_us_east_1_exists_already(engine: Driver, configure: Any) -> None:
    virginia = configure(region="us-east-1")
    virginia.create(BUCKET, "b", bucket="mine-in-virginia")
    with pytest.raises(ProviderError, match="BucketAlreadyExists"):
        virginia.create(BUCKET, "again", bucket="mine-in-virginia")


def test_bucket_whose_tags_fail_is_in_state_untagged(engine: Driver, cloud: Cloud) -> None:
    cloud.faults.add("s3", "PutBucketTagging", AwsError("AccessDenied", "not you", 403))
    with pytest.raises(InitializationFailed) as caught:
        engine.create(BUCKET, "b", bucket="untagged", tags={"team": "ml"})
    assert caught.value.id == "untagged"
    assert cloud.client("s3").head_bucket(Bucket="untagged")["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_bucket_that_holds_something_is_destroyed_only_with_force_in_the_state(engine: Driver, cloud: Cloud) -> None:
    made = engine.create(BUCKET, "b", bucket="full")
    engine.create(VERSIONING, "v", bucket="full", versioningConfiguration={"status": "Enabled"})
    for _ in range(3):
        put(cloud, "full")
    cloud.client("s3").delete_object(Bucket="full", Key="k")
    with pytest.raises(ProviderError, match=r"BucketNotEmpty.*set forceDestroy"):
        engine.delete(made)
    forced = engine.update(made, bucket="full", forceDestroy=True)
    engine.delete(forced)
    assert engine.read(forced) is None


def test_bucket_shows_what_side_resources_made_without_a_diff(engine: Driver, world: World) -> None:
    inputs: dict[str, Any] = {"bucket": "world-111111111111", "forceDestroy": True}
    bucket = world.bucket
    for token in (VERSIONING, ENCRYPTION, POLICY):
        engine.create(token, "side", **SAMPLES[token](world))
    seen = engine.read(bucket)
    assert seen is not None
    assert seen.outputs["versioning"]["enabled"] is True
    assert json.loads(seen.outputs["policy"])["Statement"][0]["Sid"] == "TlsOnly"
    assert seen.outputs["serverSideEncryptionConfiguration"]["rule"]["bucketKeyEnabled"] is True
    assert engine.changed(seen, **inputs) == {}


def test_deprecated_blocks_of_the_bucket_are_refused_by_name(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.check(BUCKET, "b", {"bucket": "b", "versioning": {"enabled": True}})
    assert set(caught.value.failures) == {"versioning"}


# -- side resources ----------------------------------------------------------------------------------------------------


def test_versioning_disabled_sends_nothing(engine: Driver, world: World, cloud: Cloud) -> None:
    bucket = world.bucket
    made = engine.create(VERSIONING, "v", bucket=bucket.id, versioningConfiguration={"status": "Disabled"})
    assert cloud.journal.entries("s3", "PutBucketVersioning") == []
    engine.delete(made)
    assert cloud.journal.entries("s3", "PutBucketVersioning") == []


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_versioning_cannot_go_back_to_disabled_in_preview(engine: Driver, world: World, status: str) -> None:
    made = engine.create(VERSIONING, "v", bucket=world.bucket.id, versioningConfiguration={"status": status})
    with pytest.raises(ProviderError, match=f"cannot be updated from '{status}' to 'Disabled'"):
        engine.diff(made, bucket=world.bucket.id, versioningConfiguration={"status": "Disabled"})


def test_versioning_deleted_is_suspended_never_off(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(VERSIONING, "v", **SAMPLES[VERSIONING](world))
    engine.delete(made)
    assert cloud.client("s3").get_bucket_versioning(Bucket=world.bucket.id)["Status"] == "Suspended"


def test_encryption_without_bucket_key_sends_false(engine: Driver, world: World) -> None:
    rule = {
        "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": world.key.outputs["arn"]}
    }
    made = engine.create(ENCRYPTION, "e", bucket=world.bucket.id, rules=[rule])
    assert made.outputs["rules"][0]["bucketKeyEnabled"] is False
    drop = [{**rule, "bucketKeyEnabled": True}]
    assert engine.changed(made, bucket=world.bucket.id, rules=drop) == {"rules": False}


def test_public_access_block_half_filled_opens_the_rest(engine: Driver, world: World, cloud: Cloud) -> None:
    engine.create(BLOCK, "b", bucket=world.bucket.id, blockPublicAcls=True)
    live = cloud.client("s3").get_public_access_block(Bucket=world.bucket.id)["PublicAccessBlockConfiguration"]
    assert live == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }


def test_public_access_block_stays_only_with_skip_destroy(engine: Driver, world: World) -> None:
    inputs = SAMPLES[BLOCK](world)
    kept = engine.create(BLOCK, "b", **inputs, skipDestroy=True)
    engine.delete(kept)
    assert engine.read(kept) is not None
    released = engine.update(kept, **inputs)
    engine.delete(released)
    assert engine.read(released) is None


def test_bucket_policy_text_is_kept_when_it_means_the_same(engine: Driver, world: World) -> None:
    inputs = SAMPLES[POLICY](world)
    made = engine.create(POLICY, "p", **inputs)
    assert made.outputs["policy"] == inputs["policy"]
    document = json.loads(inputs["policy"])
    document["Statement"][0]["Action"] = ["s3:*"]
    document["Statement"][0]["Resource"].reverse()
    assert engine.changed(made, **{**inputs, "policy": json.dumps(document)}) == {}
    document["Statement"][0]["Effect"] = "Allow"
    assert engine.changed(made, **{**inputs, "policy": json.dumps(document)}) == {"policy": False}


def test_bucket_policy_taken_off_by_hand_is_found(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(POLICY, "p", **SAMPLES[POLICY](world))
    cloud.client("s3").delete_bucket_policy(Bucket=world.bucket.id)
    assert engine.read(made) is None


def test_lifecycle_rule_without_filter_is_for_the_whole_bucket(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs: dict[str, Any] = {
        "bucket": world.bucket.id,
        "rules": [{"id": "a", "status": "Enabled", "expiration": {"days": 30}}],
    }
    made = engine.create(LIFECYCLE, "l", **inputs)
    live = cloud.client("s3").get_bucket_lifecycle_configuration(Bucket=world.bucket.id)["Rules"][0]
    assert live["Filter"] == {"Prefix": ""}
    assert engine.changed(made, **inputs) == {}


def test_lifecycle_with_tags_and_sizes_reads_back_without_loss(engine: Driver, world: World) -> None:
    both = {"prefix": "capture/", "tags": {"keep": "no", "team": "ml"}, "objectSizeGreaterThan": 1024}
    rule = {
        "id": "a",
        "status": "Enabled",
        "filter": {"and": both},
        "noncurrentVersionExpiration": {"noncurrentDays": 30, "newerNoncurrentVersions": 3},
    }
    inputs: dict[str, Any] = {"bucket": world.bucket.id, "rules": [rule]}
    refreshed = engine.read(engine.create(LIFECYCLE, "l", **inputs))
    assert refreshed is not None
    assert engine.changed(refreshed, **inputs) == {}


def test_lifecycle_that_fails_is_an_orphan_as_state_is_saved_at_the_end(
    engine: Driver, world: World, cloud: Cloud
) -> None:
    bucket = world.bucket
    cloud.faults.add("s3", "GetBucketLifecycleConfiguration", AwsError("AccessDenied", "not you", 403))
    with pytest.raises(ProviderError) as caught:
        engine.create(LIFECYCLE, "l", **SAMPLES[LIFECYCLE](world))
    assert not isinstance(caught.value, InitializationFailed)
    cloud.faults.clear()
    assert len(cloud.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket.id)["Rules"]) == 2


def test_lifecycle_to_standard_ia_before_thirty_days_is_refused_with_its_path(engine: Driver) -> None:
    rule = {"id": "a", "status": "Enabled", "transitions": [{"days": 5, "storageClass": "STANDARD_IA"}]}
    with pytest.raises(CheckFailed) as caught:
        engine.preview(LIFECYCLE, "l", bucket="b", rules=[rule])
    assert list(caught.value.failures) == ["rules[0].transitions"]


# -- objects -----------------------------------------------------------------------------------------------------------


def test_object_key_defaults_to_the_logical_name_and_is_cleaned(engine: Driver, world: World, cloud: Cloud) -> None:
    made = engine.create(OBJECT, "card.json", bucket=world.bucket.id, content="{}")
    assert made.id == "card.json"
    odd = engine.create(OBJECT, "odd", bucket=world.bucket.id, key="a//./b", content="x")
    assert cloud.client("s3").get_object(Bucket=world.bucket.id, Key="a/b")["Body"].read() == b"x"
    assert engine.changed(odd, bucket=world.bucket.id, key="a//./b", content="x") == {}


def test_object_from_a_file_asset_and_from_a_folder(engine: Driver, world: World, cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("hello")
    asset = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "path": str(tmp_path / "in" / "a.txt")}
    engine.create(OBJECT, "file", bucket=world.bucket.id, source=asset)
    read = cloud.client("s3").get_object
    assert read(Bucket=world.bucket.id, Key="file")["Body"].read() == b"hello"
    archive = {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "path": str(tmp_path / "in")}
    engine.create(OBJECT, "folder", bucket=world.bucket.id, source=archive)
    (tmp_path / "out.zip").write_bytes(read(Bucket=world.bucket.id, Key="folder")["Body"].read())
    assert zipfile.ZipFile(tmp_path / "out.zip").read("a.txt") == b"hello"


def test_object_asset_that_is_not_there_or_remote_is_named(engine: Driver, world: World) -> None:
    kind = {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17"}
    with pytest.raises(ProviderError, match=r"/none/here.*is not there"):
        engine.create(OBJECT, "o", bucket=world.bucket.id, source={**kind, "path": "/none/here"})
    with pytest.raises(ProviderError, match="remote assets are not fetched"):
        engine.create(OBJECT, "o", bucket=world.bucket.id, source={**kind, "uri": "https://example.com/a"})


def test_object_content_changed_by_hand_is_seen_by_etag_only(engine: Driver, world: World, cloud: Cloud) -> None:
    inputs: dict[str, Any] = {"bucket": world.bucket.id, "key": "k", "content": "one"}
    made = engine.create(OBJECT, "o", **inputs)
    put(cloud, world.bucket.id, body=b"foreign")
    drifted = engine.read(made)
    assert drifted is not None
    assert drifted.outputs["etag"] != made.outputs["etag"]
    assert engine.changed(drifted, **{**inputs, "contentType": "text/plain"}) == {"contentType": False}


def test_object_under_a_kms_key_cannot_be_compared_by_etag(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(OBJECT, "o", bucket="b", content="x", etag="1", kmsKeyId="arn:aws:kms:eu-west-1:1:key/2")
    assert "etag excludes kmsKeyId" in caught.value.failures["etag"]


def test_object_key_of_kms_is_kept_unless_it_is_the_default_one(engine: Driver, world: World, cloud: Cloud) -> None:
    arn = world.key.outputs["arn"]
    own = engine.create(OBJECT, "own", bucket=world.bucket.id, content="x", kmsKeyId=arn)
    assert (own.outputs["kmsKeyId"], own.outputs["serverSideEncryption"]) == (arn, "aws:kms")
    refreshed = engine.read(own)
    assert refreshed is not None
    assert engine.changed(refreshed, bucket=world.bucket.id, content="x", kmsKeyId=arn) == {}


def test_object_of_a_versioned_bucket_goes_with_all_its_versions(engine: Driver, world: World, cloud: Cloud) -> None:
    engine.create(VERSIONING, "v", **SAMPLES[VERSIONING](world))
    inputs: dict[str, Any] = {"bucket": world.bucket.id, "key": "k", "content": "one"}
    first = engine.create(OBJECT, "o", **inputs)
    second = engine.update(first, **{**inputs, "content": "two"})
    assert first.outputs["versionId"] != second.outputs["versionId"]
    put(cloud, world.bucket.id, key="k2")
    engine.delete(second)
    left = cloud.client("s3").list_object_versions(Bucket=world.bucket.id)
    assert [one["Key"] for one in left.get("Versions", [])] == ["k2"]


def test_object_checks_metadata_and_excluding_contents(engine: Driver) -> None:
    with pytest.raises(CheckFailed) as caught:
        engine.preview(OBJECT, "o", bucket="b", content="x", contentBase64="eA==", metadata={"Team": "ml"})
    assert set(caught.value.failures) == {"content", "metadata.Team"}


def test_object_imports_by_bucket_and_key(engine: Driver, world: World, cloud: Cloud) -> None:
    put(cloud, world.bucket.id, key="cards/iris.json")
    found = engine.imported(OBJECT, "o", f"{world.bucket.id}/cards/iris.json")
    assert found is not None
    assert (found.id, found.inputs["bucket"], found.inputs["key"]) == (
        "cards/iris.json",
        world.bucket.id,
        "cards/iris.json",
    )
