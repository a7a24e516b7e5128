"""ECR images: those of the account itself (moto keeps them), and AWS's own, which are there before anything is
deployed.

AWS's images are the ones that the runtime presets name, in the registry account of their region. They are answered
from that list: nothing is stored. Everybody may pull them and do nothing else; any other repository of a foreign
account refuses everybody, as one does whose policy names nobody.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from mainstage.runtime_presets import PRESETS

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

_IMAGE = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[a-z0-9._/-]+?)"
    r"(?::(?P<tag>[\w.-]{1,128}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class ImageName:
    """The parts of an image URI of ECR."""

    uri: str
    registry: str
    region: str
    repository: str
    tag: str
    digest: str

    @property
    def image_id(self) -> dict[str, str]:
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag}

    def pinned(self, digest: str) -> str:
        """The URI by digest, as DescribeEndpoint gives it in ResolvedImage."""
        host = self.uri.split("/", 1)[0]
        return f"{host}/{self.repository}@{digest}"


def parse_image(uri: str) -> ImageName | None:
    """The parts of an image URI, or None when it is none of ECR. Without tag and digest the tag is "latest"."""
    found = _IMAGE.fullmatch(uri)
    if found is None:
        return None
    tag, digest = found["tag"] or "", found["digest"] or ""
    return ImageName(
        uri, found["registry"], found["region"], found["repository"], tag or ("" if digest else "latest"), digest
    )


def image_exists(cloud: Cloud, image: ImageName) -> bool:
    """Whether the image is there, whoever may pull it."""
    try:
        answer = cloud.client("ecr", image.region).batch_get_image(
            registryId=image.registry, repositoryName=image.repository, imageIds=[image.image_id]
        )
    except ClientError:
        return False
    return bool(answer["images"])


def aws_owned_tags(registry: str, region: str, repository: str) -> list[str]:
    """The tags of a repository that AWS keeps for its customers; empty when the presets name none there."""
    return sorted(
        preset.image_tag
        for preset in PRESETS.values()
        if preset.image_repository == repository and preset.registry_accounts.get(region) == registry
    )


def _digest(*parts: str) -> str:
    return "sha256:" + hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def _manifest(repository: str, tag: str) -> str:
    """A manifest in the right form. Its layer stands for the image; no bytes lie behind it."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": _digest(tag, "config")},
            "layers": [{"mediaType": _LAYER_TYPE, "size": 0, "digest": _digest(repository, tag, "layer")}],
        },
        sort_keys=True,
    )


def _images(call: Call) -> dict[str, str]:
    """Tag to digest of the foreign repository that the call names."""
    registry, repository = call.params["registryId"], call.params["repositoryName"]
    tags = aws_owned_tags(registry, call.region, repository)
    return {tag: _digest(_manifest(repository, tag)) for tag in tags}


def _foreign(call: Call) -> bool:
    return call.params.get("registryId", call.account_id) != call.account_id


@handler("ecr", "BatchGetImage")
def batch_get_image(call: Call) -> dict[str, Any]:
    """Manifests. An image that is not there is a failure in a good answer, as on AWS."""
    if not _foreign(call):
        return call.cloud.to_moto(call)
    known, repository = _images(call), call.params["repositoryName"]
    images, failures = [], []
    for asked in call.params["imageIds"]:
        matches = [
            (tag, digest)
            for tag, digest in known.items()
            if asked.get("imageTag", tag) == tag and asked.get("imageDigest", digest) == digest
        ]
        images += [
            {
                "registryId": call.params["registryId"],
                "repositoryName": repository,
                "imageId": {"imageTag": tag, "imageDigest": digest},
                "imageManifest": _manifest(repository, tag),
                "imageManifestMediaType": _MANIFEST_TYPE,
            }
            for tag, digest in matches[:1]
        ]
        if not matches:
            failure = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            failures.append({"imageId": asked, **failure})
    return {"images": images, "failures": failures}


@handler("ecr", "BatchCheckLayerAvailability")
def batch_check_layer_availability(call: Call) -> dict[str, Any]:
    if not _foreign(call):
        return call.cloud.to_moto(call)
    known = _layers(call)
    layers, failures = [], []
    for digest in call.params["layerDigests"]:
        if digest in known:
            layers.append({"layerDigest": digest, "layerAvailability": "AVAILABLE", "mediaType": _LAYER_TYPE})
        else:
            failure = {"failureCode": "MissingLayerDigest", "failureReason": f"Layer '{digest}' not found"}
            failures.append({"layerDigest": digest, **failure})
    return {"layers": layers, "failures": failures}


@handler("ecr", "GetDownloadUrlForLayer")
def get_download_url_for_layer(call: Call) -> dict[str, Any]:
    """A URL in AWS's form. No bytes lie behind it: a model host runs in its preset's environment, not in the image."""
    digest = call.params["layerDigest"]
    if _foreign(call) and digest not in _layers(call):
        raise AwsError("LayersNotFoundException", f"The layer with digest '{digest}' does not exist.")
    if not _foreign(call):
        repository = call.params["repositoryName"]
        asked = {"repositoryName": repository, "layerDigests": [digest]}
        found = call.cloud.client("ecr", call.region).batch_check_layer_availability(**asked)
        if not any(layer["layerAvailability"] == "AVAILABLE" for layer in found["layers"]):
            raise AwsError("LayersNotFoundException", f"The layer with digest '{digest}' does not exist.")
    bucket = f"prod-{call.region}-starport-layer-bucket"
    return {"downloadUrl": f"https://{bucket}.s3.{call.region}.amazonaws.com/{digest[7:]}", "layerDigest": digest}


def _layers(call: Call) -> set[str]:
    repository = call.params["repositoryName"]
    return {_digest(repository, tag, "layer") for tag in _images(call)}
