"""ModelRegistry: where a model's versions lie, are listed, and get their images from."""

import json
from dataclasses import dataclass
from typing import NotRequired, Optional

import pulumi
import pulumi_aws as aws

from ._account import Account, AccountArgs, read_account, read_tags
from ._patterns import BUCKET_NAME, KEY_ARN, RESOURCE_NAME, Pattern
from ._resolve import Reader
from .secure_bucket import SecureBucket

MODELS_PREFIX = "models/"
"""Everything a version consists of lies under here, written once."""

ARCHIVE = "model.tar.gz"
"""What is served of a version. Its card and its baseline lie beside it."""

_REPOSITORY_NAME = Pattern(
    # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
    "a repository name of 2 to 256 characters: a-z, 0-9 and single . _ - / between them",
    maximum=256,
)


def version_prefix(model: str, version: int) -> str:
    """Where a version's files lie in the registry's bucket: `models/iris/7/`."""
    return f"{MODELS_PREFIX}{model}/{version}/"


def archive_key(model: str, version: int) -> str:
    """Key of a version's archive: `models/iris/7/model.tar.gz`."""
    return version_prefix(model, version) + ARCHIVE


class ModelRegistryArgs(AccountArgs):
    """Arguments of ModelRegistry."""

    bucket_name: str
    """Name of the bucket, unique in all of AWS. With `adopt_bucket`, the name of the existing bucket."""
    adopt_bucket: NotRequired[bool]
    """True: the bucket exists and stays as it is; its policy has to refuse overwriting by itself. Omitted: false."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts archives and images."""
    models: list[str]
    """Names of the models that have a place in the registry. Each gets a model package group."""
    package_group_prefix: NotRequired[str]
    """The groups are called `<prefix>-<model>`. Omitted: the component's name."""
    repository_name: NotRequired[str]
    """Name of the ECR repository for images of one's own. Omitted: the component's name."""
    noncurrent_days: NotRequired[float]
    """Days that an old version of an object is kept. Omitted: 90."""
    untagged_image_days: NotRequired[float]
    """Days after which an image without a tag is removed, 1 to 3,650. Omitted: 14."""
    deletion_protection: NotRequired[bool]
    """True: bucket, repository and groups are neither deleted nor replaced, and survive the stack. False: they go
    with it, with all archives and images. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    bucket_name: str
    adopt_bucket: bool
    kms_key_arn: pulumi.Input[str]
    models: tuple[str, ...]
    package_group_prefix: str
    repository_name: str
    noncurrent_days: Optional[int]
    untagged_image_days: int
    deletion_protection: bool
    tags: dict[str, pulumi.Input[str]]


# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackageGroup.html
_LONGEST_GROUP_NAME = 63


def _resolve(name: str, args: ModelRegistryArgs) -> _Resolved:
    reader = Reader("ModelRegistry", name, args, ModelRegistryArgs)
    adopt = reader.flag("adopt_bucket", default=False)
    if adopt and reader.has("noncurrent_days"):
        reader.refuse("noncurrent_days", reader.raw("noncurrent_days"), "nothing beside adopt_bucket", "remove it")
    resolved = _Resolved(
        account=read_account(reader),
        bucket_name=reader.plain("bucket_name", BUCKET_NAME),
        adopt_bucket=adopt,
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        models=reader.plain_list("models", RESOURCE_NAME),
        package_group_prefix=reader.plain("package_group_prefix", RESOURCE_NAME, default=name),
        repository_name=reader.plain("repository_name", _REPOSITORY_NAME, default=name),
        noncurrent_days=reader.optional_whole("noncurrent_days", minimum=1, maximum=36_500),
        untagged_image_days=reader.whole("untagged_image_days", minimum=1, maximum=3_650, default=14),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    for index, model in enumerate(resolved.models):
        group = _group_name(resolved, model)
        if len(group) > _LONGEST_GROUP_NAME:
            allowed = f"at most {_LONGEST_GROUP_NAME} characters together with package_group_prefix"
            reader.refuse(f"models[{index}]", group, allowed, "shorten the model's name or package_group_prefix")
    reader.finish()
    return resolved


def _group_name(resolved: _Resolved, model: str) -> str:
    return f"{resolved.package_group_prefix}-{model}"


class ModelRegistry(pulumi.ComponentResource):
    """A write-once bucket of versions, a model package group for each model, and a repository for own images."""

    bucket_name: pulumi.Output[str]
    """Name of the bucket; versions lie under `models/<model>/<version>/`."""
    bucket_arn: pulumi.Output[str]
    """ARN of the bucket."""
    repository_url: pulumi.Output[str]
    """Where images are pushed to and pulled from: `<account>.dkr.ecr.<region>.amazonaws.com/<name>`."""
    repository_arn: pulumi.Output[str]
    """ARN of the repository."""
    model_package_group_names: pulumi.Output[dict[str, str]]
    """Name of the model package group by model."""

    def __init__(self, name: str, args: ModelRegistryArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ModelRegistry", name, {}, opts)
        resolved = _resolve(name, args)
        bucket = self._bucket(name, resolved)
        repository = self._repository(name, resolved)
        groups = {model: self._group(name, model, resolved) for model in resolved.models}
        self.bucket_name = bucket.bucket_name
        self.bucket_arn = bucket.bucket_arn
        self.repository_url = repository.repository_url
        self.repository_arn = repository.arn
        names = {model: group.model_package_group_name for model, group in groups.items()}
        # Output.all() of nothing is a list, not an empty map.
        self.model_package_group_names = pulumi.Output.all(**names) if names else pulumi.Output.from_input({})
        self.register_outputs(
            {
                "bucket_name": self.bucket_name,
                "bucket_arn": self.bucket_arn,
                "repository_url": self.repository_url,
                "repository_arn": self.repository_arn,
                "model_package_group_names": self.model_package_group_names,
            }
        )

    def _bucket(self, name: str, resolved: _Resolved) -> SecureBucket:
        account = resolved.account
        opts = pulumi.ResourceOptions(parent=self)
        if resolved.adopt_bucket:
            return SecureBucket(
                f"{name}-bucket",
                {
                    "account_id": account.account_id,
                    "region": account.region,
                    "partition": account.partition,
                    "bucket_name": resolved.bucket_name,
                    "adopt": True,
                },
                opts=opts,
            )
        return SecureBucket(
            f"{name}-bucket",
            {
                "account_id": account.account_id,
                "region": account.region,
                "partition": account.partition,
                "tags": resolved.tags,
                "bucket_name": resolved.bucket_name,
                "kms_key_arn": resolved.kms_key_arn,
                "write_once_prefixes": [MODELS_PREFIX],
                "noncurrent_days": 90 if resolved.noncurrent_days is None else resolved.noncurrent_days,
                "deletion_protection": resolved.deletion_protection,
            },
            opts=opts,
        )

    def _repository(self, name: str, resolved: _Resolved) -> "aws.ecr.Repository":
        repository = aws.ecr.Repository(
            f"{name}-repository",
            name=resolved.repository_name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": resolved.kms_key_arn}],
            force_delete=not resolved.deletion_protection,
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=resolved.deletion_protection,
                retain_on_delete=resolved.deletion_protection,
            ),
        )
        rule = {
            "rulePriority": 1,
            "description": f"remove untagged images after {resolved.untagged_image_days} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": resolved.untagged_image_days,
            },
            "action": {"type": "expire"},
        }
        aws.ecr.LifecyclePolicy(
            f"{name}-repository-lifecycle",
            repository=repository.name,
            policy=json.dumps({"rules": [rule]}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return repository

    def _group(self, name: str, model: str, resolved: _Resolved) -> "aws.sagemaker.ModelPackageGroup":
        return aws.sagemaker.ModelPackageGroup(
            f"{name}-group-{model}",
            model_package_group_name=_group_name(resolved, model),
            # A changed description replaces the group, which fails once it holds versions: it never changes.
            model_package_group_description=f"Versions of {model}",
            tags=resolved.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=resolved.deletion_protection,
                retain_on_delete=resolved.deletion_protection,
            ),
        )
