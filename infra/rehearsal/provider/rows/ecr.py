"""Image repositories: internal/service/ecr/repository.go, lifecycle_policy.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.provider.errors import ApiError
from infra.rehearsal.provider.names import AutoName
from infra.rehearsal.provider.operation import Operation
from infra.rehearsal.provider.policies import same_lifecycle_policy
from infra.rehearsal.provider.row import ALL, Row, one_of, step, valid_json
from infra.rehearsal.provider.tags import by_arn, listed_tagging, optional, tag_list, tag_map
from infra.rehearsal.provider.translate import Call

_GONE = ("RepositoryNotFoundException",)

# -- aws:ecr/repository:Repository --------------------------------------------------------------------------

_RULES = {
    "name": "repositoryName",
    "encryptionConfigurations": "encryptionConfiguration",
    "imageTagMutabilityExclusionFilters": "imageTagMutabilityExclusionFilters",
}
_CREATE = Call(
    "ecr",
    "CreateRepository",
    rules=_RULES,
    only=frozenset(
        {
            "encryptionConfigurations",
            "imageScanningConfiguration",
            "imageTagMutability",
            "imageTagMutabilityExclusionFilters",
            "name",
        }
    ),
)


def _create(op: Operation) -> None:
    answer = op.send(_CREATE, **optional("tags", tag_list(op.wanted_tags())))
    op.created(answer["repository"]["repositoryName"])


def _read(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(lambda: op.call("ecr", "DescribeRepositories", repositoryNames=[op.id]), *_GONE)
    if not answer or not answer["repositories"]:
        return None
    repository = answer["repositories"][0]
    tags = op.call("ecr", "ListTagsForResource", resourceArn=repository["repositoryArn"]).get("tags")
    live = op.described("ecr", "DescribeRepositories", "repositories", repository, _RULES)
    return (
        live
        | op.shown_tags(tag_map(tags))
        | {
            "arn": repository["repositoryArn"],
            "registryId": repository["registryId"],
            "repositoryUrl": repository["repositoryUri"],
        }
    )


def _put_mutability(op: Operation) -> None:
    params = op.params(_CREATE)
    kept = ("repositoryName", "imageTagMutability", "imageTagMutabilityExclusionFilters")
    op.call("ecr", "PutImageTagMutability", **{name: params[name] for name in kept if name in params})


def _put_scanning(op: Operation) -> None:
    scanning = op.params(_CREATE).get("imageScanningConfiguration") or {}
    op.call("ecr", "PutImageScanningConfiguration", repositoryName=op.id, imageScanningConfiguration=scanning)


def _delete(op: Operation) -> None:
    force = bool(op.state.get("forceDelete"))
    try:
        op.gone(lambda: op.call("ecr", "DeleteRepository", repositoryName=op.id, force=force), *_GONE)
    except ApiError as error:
        if error.is_code("RepositoryNotEmptyException"):
            hint = "ECR Repository not empty, consider using forceDelete: set it, run up, and only then destroy"
            raise ApiError(error.service, error.operation, error.code, f"{error.message} ({hint})") from error
        raise
    op.wait(
        lambda: "gone" if _read(op) is None else "found",
        pending={"found"},
        target={"gone"},
        timeout_seconds=1200,
        what=f"ECR Repository ({op.id}) delete",
    )


REPOSITORY = Row(
    type="aws:ecr/repository:Repository",
    source="ecr/repository.go",
    label="ECR Repository",
    create=_create,
    read=_read,
    delete=_delete,
    calls=(_CREATE,),
    steps=(
        step(_put_mutability, "imageTagMutability", "imageTagMutabilityExclusionFilters"),
        step(_put_scanning, "imageScanningConfiguration"),
    ),
    name=AutoName(transform=str.lower),
    force_new=frozenset({"encryptionConfigurations", "name"}),
    # A block left out is no change, as AWS fills it in (SuppressMissingOptionalConfigurationBlock).
    computed=frozenset({"encryptionConfigurations", "encryptionConfigurations.kmsKey", "imageScanningConfiguration"}),
    defaults={
        "forceDelete": False,
        "imageTagMutability": "MUTABLE",
        "encryptionConfigurations.encryptionType": "AES256",
    },
    state_only=frozenset({"forceDelete"}),
    rules=(
        one_of(
            "imageTagMutability",
            "MUTABLE",
            "IMMUTABLE",
            "IMMUTABLE_WITH_EXCLUSION",
            "MUTABLE_WITH_EXCLUSION",
        ),
    ),
    tagging=listed_tagging(
        "ecr", "TagResource", "UntagResource", "resourceArn", by_arn, keys="tagKeys", tags_member="tags"
    ),
)

# -- aws:ecr/lifecyclePolicy:LifecyclePolicy ----------------------------------------------------------------

_PUT = Call(
    "ecr",
    "PutLifecyclePolicy",
    rules={"policy": "lifecyclePolicyText", "repository": "repositoryName"},
    only=frozenset({"policy", "repository"}),
)


def _put_policy(op: Operation) -> None:
    op.created(op.send(_PUT)["repositoryName"])


def _read_policy(op: Operation) -> Mapping[str, Any] | None:
    answer = op.found(
        lambda: op.call("ecr", "GetLifecyclePolicy", repositoryName=op.id),
        *_GONE,
        "LifecyclePolicyNotFoundException",
    )
    if answer is None:
        return None
    return {
        "policy": answer["lifecyclePolicyText"],
        "registryId": answer["registryId"],
        "repository": answer["repositoryName"],
    }


LIFECYCLE_POLICY = Row(
    type="aws:ecr/lifecyclePolicy:LifecyclePolicy",
    source="ecr/lifecycle_policy.go",
    label="ECR Lifecycle Policy",
    create=_put_policy,
    read=_read_policy,
    delete=lambda op: _delete_policy(op),
    calls=(_PUT,),
    force_new=frozenset({ALL}),
    # The id is the repository: created first, the late delete would take the new policy (pulumi-aws #2075).
    delete_before_replace=True,
    equal={"policy": same_lifecycle_policy},
    rules=(valid_json("policy"),),
)


def _delete_policy(op: Operation) -> None:
    op.gone(
        lambda: op.call("ecr", "DeleteLifecyclePolicy", repositoryName=op.id),
        *_GONE,
        "LifecyclePolicyNotFoundException",
    )


ROWS = (REPOSITORY, LIFECYCLE_POLICY)
