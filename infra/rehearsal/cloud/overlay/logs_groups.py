"""CloudWatch Logs groups: class and deletion protection, which moto drops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.state import state_of

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud


class Groups:
    """What moto does not keep of a group, by region and name."""

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.classes: dict[tuple[str, str], str] = {}
        self.protected: set[tuple[str, str]] = set()

    def close(self) -> None:
        """Nothing runs here."""


def _groups(call: Call) -> Groups:
    return state_of(call.cloud, Groups)


@after("logs", "CreateLogGroup")
def keep_members(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    key = (call.region, call.params["logGroupName"])
    _groups(call).classes[key] = call.params.get("logGroupClass", "STANDARD")
    _protect(call, key, call.params.get("deletionProtectionEnabled", False))
    return output


@after("logs", "DescribeLogGroups")
def give_members(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    groups = _groups(call)
    for group in output.get("logGroups", ()):
        key = (call.region, group["logGroupName"])
        group["logGroupClass"] = groups.classes.get(key, "STANDARD")
        group["deletionProtectionEnabled"] = key in groups.protected
        # `arn` ends in ":*", `logGroupArn` does not (API reference, LogGroup).
        group["logGroupArn"] = group["arn"].removesuffix(":*")
    return output


@handler("logs", "PutLogGroupDeletionProtection")
def put_log_group_deletion_protection(call: Call) -> dict[str, Any]:
    name = call.params["logGroupIdentifier"].removesuffix(":*").split(":log-group:")[-1]
    found = call.cloud.client("logs", call.region).describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if not any(group["logGroupName"] == name for group in found):
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    _protect(call, (call.region, name), call.params["deletionProtectionEnabled"])
    return {}


@before("logs", "DeleteLogGroup")
def refuse_protected(call: Call) -> None:
    """A protected group is not deleted. The code and the wording are unconfirmed."""
    if (call.region, call.params["logGroupName"]) in _groups(call).protected:
        raise AwsError(
            "ValidationException",
            f"Log group {call.params['logGroupName']} has deletion protection enabled. Switch it off before you "
            "delete it.",
        )


@after("logs", "DeleteLogGroup")
def forget(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    _groups(call).classes.pop((call.region, call.params["logGroupName"]), None)
    return output


def _protect(call: Call, key: tuple[str, str], protected: bool) -> None:
    if protected:
        _groups(call).protected.add(key)
    else:
        _groups(call).protected.discard(key)
