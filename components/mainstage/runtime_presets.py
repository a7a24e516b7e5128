"""Runtime presets: the AWS images that serve a model without a Dockerfile. Pure data and functions.

A preset names one pinned image of AWS, where each region finds it, which Python and which packages are in it, and
what its script mode needs. Sources, read in 2026:

- registry accounts and tags: aws/sagemaker-python-sdk, `src/sagemaker/image_uri_config/{sklearn,xgboost,pytorch}.json`
- versions inside: `docker/<version>/base/Dockerfile.cpu` of aws/sagemaker-scikit-learn-container (1.4-2, 1.2-1) and
  of aws/sagemaker-xgboost-container (1.7-1); the image tag of aws/deep-learning-containers
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Optional

from ._resolve import nearest

MODEL_VERSION_VARIABLE = "MAINSTAGE_MODEL_VERSION"
"""Environment variable of the container: the model version that it serves, a decimal number."""

VERSION_ATTRIBUTE = "mainstage-version"
"""Key inside the answer's custom attributes: `mainstage-version=7`."""

ENTRY_POINT = "mainstage_entrypoint.py"
"""The file in the archive's `code/` folder that the image imports; it takes the functions from `inference.py`."""

MODEL_DIRECTORY = "/opt/ml/model"
"""Where SageMaker unpacks model.tar.gz."""


@dataclass(frozen=True)
class RuntimePreset:
    """One image of AWS, pinned, and what a model needs to run in it."""

    name: str
    """What a catalog file says: `sklearn-1.4-2`."""
    framework: str
    image_repository: str
    image_tag: str
    registry_accounts: Mapping[str, str]
    """AWS account that owns the image, by region. A region that is missing has no such image."""
    python: str
    """Python inside the image: `3.10`."""
    packages: Mapping[str, str]
    """Distribution name to its version inside the image, for those that a saved model depends on."""
    script_mode: bool
    """True when the image imports the entry point from the archive's `code/` folder."""
    gpu: bool
    reports_version: bool
    """True when the image's server passes our answer header on, so that the version which answered is known."""


# Standard, China, GovCloud and isolated regions; the scikit-learn and XGBoost images share their accounts.
_SCRIPT_MODE_ACCOUNTS = MappingProxyType(
    {
        "af-south-1": "510948584623",
        "ap-east-1": "651117190479",
        "ap-northeast-1": "354813040037",
        "ap-northeast-2": "366743142698",
        "ap-northeast-3": "867004704886",
        "ap-south-1": "720646828776",
        "ap-south-2": "628508329040",
        "ap-southeast-1": "121021644041",
        "ap-southeast-2": "783357654285",
        "ap-southeast-3": "951798379941",
        "ap-southeast-4": "106583098589",
        "ca-central-1": "341280168497",
        "ca-west-1": "190319476487",
        "cn-north-1": "450853457545",
        "cn-northwest-1": "451049120500",
        "eu-central-1": "492215442770",
        "eu-central-2": "680994064768",
        "eu-north-1": "662702820516",
        "eu-south-1": "978288397137",
        "eu-south-2": "104374241257",
        "eu-west-1": "141502667606",
        "eu-west-2": "764974769150",
        "eu-west-3": "659782779980",
        "il-central-1": "898809789911",
        "me-central-1": "272398656194",
        "me-south-1": "801668240914",
        "sa-east-1": "737474898029",
        "us-east-1": "683313688378",
        "us-east-2": "257758044811",
        "us-gov-east-1": "237065988967",
        "us-gov-west-1": "414596584902",
        "us-iso-east-1": "833128469047",
        "us-isob-east-1": "281123927165",
        "us-west-1": "746614075791",
        "us-west-2": "246618743249",
    }
)

_DEEP_LEARNING_HOME_REGIONS = (
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
    "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2",
    "us-west-1", "us-west-2",
)  # fmt: skip

_DEEP_LEARNING_ACCOUNTS = MappingProxyType(
    {
        **dict.fromkeys(_DEEP_LEARNING_HOME_REGIONS, "763104351884"),
        "af-south-1": "626614931356",
        "ap-east-1": "871362719292",
        "ap-northeast-3": "364406365360",
        "ap-south-2": "772153158452",
        "ap-southeast-3": "907027046896",
        "ap-southeast-4": "457447274322",
        "ca-west-1": "204538143572",
        "cn-north-1": "727897471807",
        "cn-northwest-1": "727897471807",
        "eu-central-2": "380420809688",
        "eu-south-1": "692866216735",
        "eu-south-2": "503227376785",
        "il-central-1": "780543022126",
        "me-central-1": "914824155844",
        "me-south-1": "217643126080",
        "us-gov-east-1": "446045086412",
        "us-gov-west-1": "442386744353",
        "us-iso-east-1": "886529160074",
        "us-isob-east-1": "094389454867",
    }
)

_ALL = (
    RuntimePreset(
        name="sklearn-1.4-2",
        framework="scikit-learn",
        image_repository="sagemaker-scikit-learn",
        image_tag="1.4-2-cpu-py3",
        registry_accounts=_SCRIPT_MODE_ACCOUNTS,
        python="3.10",
        packages=MappingProxyType({"scikit-learn": "1.4.2", "numpy": "2.1.0", "pyarrow": "17.0.0"}),
        script_mode=True,
        gpu=False,
        reports_version=True,
    ),
    RuntimePreset(
        name="sklearn-1.2-1",
        framework="scikit-learn",
        image_repository="sagemaker-scikit-learn",
        image_tag="1.2-1-cpu-py3",
        registry_accounts=_SCRIPT_MODE_ACCOUNTS,
        python="3.9",
        packages=MappingProxyType({"scikit-learn": "1.2.1", "pyarrow": "14.0.1"}),
        script_mode=True,
        gpu=False,
        reports_version=True,
    ),
    RuntimePreset(
        name="xgboost-1.7-1",
        framework="xgboost",
        image_repository="sagemaker-xgboost",
        image_tag="1.7-1",
        registry_accounts=_SCRIPT_MODE_ACCOUNTS,
        python="3.8",
        packages=MappingProxyType({"xgboost": "1.7.4"}),
        script_mode=True,
        gpu=False,
        reports_version=True,
    ),
    RuntimePreset(
        name="pytorch-2.5-cpu",
        framework="pytorch",
        image_repository="pytorch-inference",
        image_tag="2.5.1-cpu-py311-ubuntu22.04-sagemaker",
        registry_accounts=_DEEP_LEARNING_ACCOUNTS,
        python="3.11",
        packages=MappingProxyType({"torch": "2.5.1"}),
        script_mode=True,
        gpu=False,
        # TorchServe with the sagemaker-pytorch-inference toolkit has no Response class that could carry our header.
        reports_version=False,
    ),
)

PRESETS: Mapping[str, RuntimePreset] = MappingProxyType({preset.name: preset for preset in _ALL})
"""Every preset by name."""

_IMAGE_URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/(?P<repository>[^:@]+):(?P<tag>[^@]+)"
)


def preset_named(name: str) -> RuntimePreset:
    """The preset of that name. Raises ValueError that names all presets and the nearest one."""
    preset = PRESETS.get(name)
    if preset is not None:
        return preset
    close = nearest(name, PRESETS)
    hint = f"; did you mean {close}?" if close else ""
    raise ValueError(f"runtime preset {name!r} does not exist: choose one of {', '.join(PRESETS)}{hint}")


def image_uri(preset: RuntimePreset, region: str) -> str:
    """The preset's image in a region. Raises ValueError that names the region when AWS publishes none there."""
    account = preset.registry_accounts.get(region)
    if account is None:
        raise ValueError(
            f"AWS publishes no image of the runtime preset {preset.name} in region {region!r}: "
            f"choose one of {', '.join(sorted(preset.registry_accounts))}, or another preset"
        )
    return f"{account}.dkr.ecr.{region}.{domain_of(region)}/{preset.image_repository}:{preset.image_tag}"


def repository_arn(preset: RuntimePreset, region: str) -> str:
    """ARN of the repository that holds the preset's image: what an execution role has to be allowed to pull from."""
    account = image_uri(preset, region).split(".", 1)[0]
    return f"arn:{partition_of(region)}:ecr:{region}:{account}:repository/{preset.image_repository}"


def preset_of_image(uri: str) -> Optional[RuntimePreset]:
    """The preset whose image this is, in any region; None for an image that no preset names."""
    match = _IMAGE_URI.fullmatch(uri)
    if match is None:
        return None
    for preset in _ALL:
        same = (preset.image_repository, preset.image_tag) == (match["repository"], match["tag"])
        if same and preset.registry_accounts.get(match["region"]) == match["account"]:
            return preset
    return None


def container_environment(preset: RuntimePreset, model_version: int) -> dict[str, str]:
    """The environment of a container that serves this version: script mode's variables and the version it reports."""
    environment = {MODEL_VERSION_VARIABLE: str(model_version)}
    if preset.script_mode:
        environment["SAGEMAKER_PROGRAM"] = ENTRY_POINT
        environment["SAGEMAKER_SUBMIT_DIRECTORY"] = f"{MODEL_DIRECTORY}/code"
    return environment


def partition_of(region: str) -> str:
    """The partition that a region belongs to: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""
    for prefix, partition in (
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-isob-", "aws-iso-b"),
        ("us-iso-", "aws-iso"),
    ):
        if region.startswith(prefix):
            return partition
    return "aws"


def domain_of(region: str) -> str:
    """The domain under which a region's services answer."""
    domains = {"aws-cn": "amazonaws.com.cn", "aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov"}
    return domains.get(partition_of(region), "amazonaws.com")
