"""What runs tomorrow is what was tried today."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .resource import UNKNOWN, Resource, items
from .rule import About, Problem, ResourceRule, must_be

_MOVING = ("latest", "stable", "main", "master", "edge", "nightly")
_EXACT_CHART = re.compile(r"v?\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_WORKLOADS = (
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:batch/v1:Job",
)


def _images(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.type == "aws:sagemaker/model:Model":
        lists = {
            "primaryContainer": items(resource.get("primaryContainer")),
            "containers": items(resource.get("containers")),
        }
    elif resource.type == "aws:lambda/function:Function":
        yield "imageUri", resource.get("imageUri")
        return
    else:
        pod = ("spec", "template", "spec")
        lists = {key: items(resource.get(*pod, key)) for key in ("initContainers", "containers")}
    for name, containers in lists.items():
        for index, container in enumerate(containers):
            if container is not UNKNOWN:
                yield (
                    f"{name}[{index}].image" if name != "primaryContainer" else f"{name}.image",
                    container.get("image"),
                )


def pinned(image: str) -> bool:
    """Whether an image is named by digest, or by a tag that does not move by its name."""
    if "@sha256:" in image:
        return True
    tag = image.rpartition("/")[2].partition(":")[2]
    return bool(tag) and tag not in _MOVING and not tag.endswith("-latest")


def _image(resource: Resource) -> Iterator[Problem]:
    for where, image in _images(resource):
        if isinstance(image, str) and image and not pinned(image):
            yield Problem(where, image, f"a digest, or a tag of a version; none of {', '.join(_MOVING)}")


def _repository(resource: Resource) -> Iterator[Problem]:
    yield from must_be(resource, "IMMUTABLE", "imageTagMutability")
    yield from must_be(resource, True, "imageScanningConfiguration", "scanOnPush")


def _chart(resource: Resource) -> Iterator[Problem]:
    version = resource.get("version")
    if version is not UNKNOWN and not (isinstance(version, str) and _EXACT_CHART.fullmatch(version)):
        yield Problem("version", version, "one version, such as 2.17.2; no range")


RULES = (
    ResourceRule(
        About(
            "image-pinned",
            "A container's image is named by a version's tag or a digest.",
            "`latest` is another image tomorrow: a replaced instance serves what nobody tried, and no rollback helps.",
            "write the tag of a version, or the digest",
        ),
        ("aws:sagemaker/model:Model", "aws:lambda/function:Function", *_WORKLOADS),
        _image,
    ),
    ResourceRule(
        About(
            "repository-immutable",
            "An image repository never changes a tag, and scans what is pushed.",
            "A tag that can be pushed again pins nothing.",
            "set imageTagMutability to IMMUTABLE and imageScanningConfiguration.scanOnPush to true",
        ),
        ("aws:ecr/repository:Repository",),
        _repository,
    ),
    ResourceRule(
        About(
            "chart-pinned",
            "A Helm release names one version of its chart.",
            "A range, or none, installs what was published last, on the day that somebody touches another line.",
            "write the version in stacks/versions.yaml",
        ),
        ("kubernetes:helm.sh/v3:Release",),
        _chart,
    ),
)
