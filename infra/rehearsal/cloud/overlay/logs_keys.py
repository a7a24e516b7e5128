"""The key of a log group that is there already: AssociateKmsKey and DisassociateKmsKey, which moto lacks.

Whether Logs may use the key is asked before, where calls are authorised.
"""

from __future__ import annotations

from typing import Any

from moto.logs.models import LogGroup, logs_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import handler


@handler("logs", "AssociateKmsKey")
def associate_kms_key(call: Call) -> dict[str, Any]:
    _group(call).kms_key_id = call.params["kmsKeyId"]
    return {}


@handler("logs", "DisassociateKmsKey")
def disassociate_kms_key(call: Call) -> dict[str, Any]:
    _group(call).kms_key_id = None
    return {}


def _group(call: Call) -> LogGroup:
    """The group, by name or by ARN. Keys of query results (resourceIdentifier ...:query-result:*) are not carried."""
    identifier = call.params.get("resourceIdentifier", "")
    if ":query-result:" in identifier:
        raise AwsError("NotCarried", f"logs.{call.operation} of query results is not carried", 501)
    name = call.params.get("logGroupName") or identifier.removesuffix(":*").partition(":log-group:")[2]
    group = logs_backends[call.account_id][call.region].groups.get(name)
    if group is None:
        raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
    return group
