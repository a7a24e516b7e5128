"""AWS's managed policies are not the account's to change. moto changes them.

Sources: IAM User Guide, "Managed policies and inline policies": the permissions of an AWS managed policy cannot be
changed. IAM API reference: TagPolicy and UntagPolicy are for customer managed policies. The error is unconfirmed.
"""

from __future__ import annotations

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import before


@before("iam", "CreatePolicyVersion")
@before("iam", "DeletePolicy")
@before("iam", "DeletePolicyVersion")
@before("iam", "SetDefaultPolicyVersion")
@before("iam", "TagPolicy")
@before("iam", "UntagPolicy")
def policy_of_the_account(call: Call) -> None:
    arn = call.params["PolicyArn"]
    if ":iam::aws:policy/" in arn:
        raise AwsError("AccessDenied", f"{arn} is an AWS managed policy. It cannot be changed.", 403)
