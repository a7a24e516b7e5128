"""How each service refuses a malformed request: the code that it answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.validator.findings import Finding

_CODES: Mapping[str, str] = {
    "apigatewayv2": "BadRequestException",
    "apigateway": "BadRequestException",
    "athena": "InvalidRequestException",
    "cloudwatch": "ValidationError",
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "eks": "InvalidParameterException",
    "elbv2": "ValidationError",
    "firehose": "InvalidArgumentException",
    "glue": "InvalidInputException",
    "iam": "ValidationError",
    "lambda": "ValidationException",
    "logs": "InvalidParameterException",
    "s3": "InvalidArgument",
    "sagemaker-runtime": "ValidationError",
    "secretsmanager": "InvalidParameterException",
    "sns": "InvalidParameter",
    "sqs": "InvalidParameterValue",
    "sts": "ValidationError",
}
"""Everything else answers ValidationException."""

_OPERATION_CODES: Mapping[tuple[str, str], str] = {
    ("iam", "CreatePolicy"): "MalformedPolicyDocument",
    ("iam", "CreatePolicyVersion"): "MalformedPolicyDocument",
    ("iam", "PutRolePolicy"): "MalformedPolicyDocument",
    ("iam", "UpdateAssumeRolePolicy"): "MalformedPolicyDocument",
    ("kms", "PutKeyPolicy"): "MalformedPolicyDocumentException",
    ("s3", "PutBucketPolicy"): "MalformedPolicy",
    ("s3", "CreateBucket"): "InvalidBucketName",
}
"""Codes that an operation uses for the member named below."""

_MEMBERS = ("PolicyDocument", "AssumeRolePolicyDocument", "Policy", "Bucket")


def refusal(service: str, operation: str, findings: Sequence[Finding]) -> AwsError:
    """The error for a call that was found wanting, with every problem in it."""
    code = _CODES.get(service, "ValidationException")
    if all(finding.path.startswith(_MEMBERS) for finding in findings):
        code = _OPERATION_CODES.get((service, operation), code)
    if (service, operation) == ("iam", "CreateRole") and all(
        finding.path.startswith("AssumeRolePolicyDocument") for finding in findings
    ):
        code = "MalformedPolicyDocument"
    if service == "kms" and operation == "CreateKey" and all(f.path.startswith("Policy") for f in findings):
        code = "MalformedPolicyDocumentException"
    problems = "; ".join(map(str, findings))
    plural = "s" if len(findings) > 1 else ""
    return AwsError(code, f"{len(findings)} validation error{plural} detected in {service}.{operation}: {problems}")
