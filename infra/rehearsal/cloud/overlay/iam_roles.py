"""UpdateRole: what is left out. moto forgets the description then.

Sources: IAM API reference, UpdateRole: without MaxSessionDuration the default of one hour is applied. That a
description stays when it is left out is seen from the Terraform provider, which sends a new MaxSessionDuration alone
(iam/role.go, resourceRoleUpdate).
"""

from __future__ import annotations

from typing import Any

from moto.iam.models import iam_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.overlay import handler

_DEFAULT_SECONDS = 3600


@handler("iam", "UpdateRole")
def update_role(call: Call) -> dict[str, Any]:
    name = call.params["RoleName"]
    roles = iam_backends[call.account_id][arns.partition_of(call.region)].get_roles()
    role = next((role for role in roles if role.name == name), None)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    role.max_session_duration = str(call.params.get("MaxSessionDuration", _DEFAULT_SECONDS))
    if "Description" in call.params:
        role.description = call.params["Description"]
    return {}
