"""The strict validator: what AWS would refuse about a call's values, before anything is done.

Three sources, in this order: every constraint of botocore's models, CloudFormation's schemas for the services whose
models are nearly empty, and rules between fields that neither states. All findings come at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.rehearsal.cloud.validator import rules, schemas
from infra.rehearsal.cloud.validator.findings import Finding
from infra.rehearsal.cloud.validator.patterns import uncompilable
from infra.rehearsal.cloud.validator.refusals import refusal
from infra.rehearsal.cloud.validator.shapes import Pass, check_of

__all__ = ["Finding", "refusal", "uncompilable", "validate"]


def validate(service: str, operation: str, params: Mapping[str, Any], *, partial: bool = False) -> list[Finding]:
    """What is wrong with a call's parameters; empty when nothing is.

    service, operation: botocore's names ("sagemaker", "CreateModel"); an unknown one is a KeyError.
    params: by botocore's input shape, as boto3 takes them. Members that are None count as absent.
    partial: values that nobody knows yet were taken out, so nothing is called missing.
    """
    try:
        check = check_of(service, operation)
    except Exception as error:
        raise KeyError(f"botocore knows no operation {service}.{operation}") from error
    if check is None:
        return [Finding(name, f"is no field of {operation}; it takes none") for name in params]
    walk = Pass(operation, partial)
    check(params, "", walk)
    findings = walk.findings
    if not walk.mistyped:
        # Rules and schemas read neighbouring values, so they want each to be of its type. What two sources see is
        # said once.
        seen = {finding.path for finding in findings}
        for finding in (
            *schemas.check(service, operation, params),
            *rules.check(service, operation, params, partial=partial),
        ):
            if finding.path not in seen:
                findings.append(finding)
                seen.add(finding.path)
    return findings
