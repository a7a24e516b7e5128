"""Statements of functions' resource policies as Lambda writes them (API reference, AddPermission)."""

from __future__ import annotations

import json
import re
from typing import Any

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.overlay import after, before
from infra.rehearsal.cloud.overlay.lambda_functions import function_named

_ACCOUNT = re.compile(r"\d{12}")


@before("lambda", "AddPermission")
def new_statement(call: Call) -> None:
    """A statement id may stand once; principals must exist as far as anybody can tell."""
    params = call.params
    sid = params["StatementId"]
    if any(one.get("Sid") == sid for one in function_named(call).policy.statements):
        text = (
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove the"
            " existing statement."
        )
        raise AwsError("ResourceConflictException", text, 409, Type="User")
    for name in ("EventSourceToken", "InvokedViaFunctionUrl"):
        if params.get(name):
            raise AwsError("NotCarried", f"The emulated cloud does not carry lambda.AddPermission with {name}.", 501)


@after("lambda", "AddPermission")
def statement(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """moto keeps an account id, a role and an authorisation type as they came; Lambda writes them as policies do."""
    params = call.params
    for one in function_named(call).policy.statements:
        if one.get("Sid") == params["StatementId"]:
            one["Principal"] = _principal(params["Principal"])
            kind = one.pop("FunctionUrlAuthType", None)
            if kind:
                one.setdefault("Condition", {}).setdefault("StringEquals", {})["lambda:FunctionUrlAuthType"] = kind
            organisation = params.get("PrincipalOrgID")
            if organisation:
                one.pop("PrincipalOrgID", None)
                one.setdefault("Condition", {}).setdefault("StringEquals", {})["aws:PrincipalOrgID"] = organisation
            return {**output, "Statement": json.dumps(one)}
    return output


def _principal(value: str) -> Any:
    if value == "*":
        return "*"
    if _ACCOUNT.fullmatch(value):
        return {"AWS": f"arn:aws:iam::{value}:root"}
    return {"AWS": value} if value.startswith("arn:") else {"Service": value}
