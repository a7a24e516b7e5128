"""Lambda functions and their event sources: what the model leaves out."""

from __future__ import annotations

from collections.abc import Iterator

from infra.rehearsal.cloud.validator.findings import Finding, shown
from infra.rehearsal.cloud.validator.rules import Params, rule

_RESERVED = """
_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME
AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR AWS_LAMBDA_MAX_CONCURRENCY AWS_LAMBDA_METADATA_API
AWS_LAMBDA_METADATA_TOKEN
"""
RESERVED = frozenset(_RESERVED.split())
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime"""
MOST_VARIABLE_BYTES = 4096
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
MOST_LAYERS = 5
LONGEST_NAME = 64
_SOURCES = ("ZipFile", "S3Bucket", "ImageUri")


@rule("lambda", "CreateFunction")
def new_function(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
    name = params.get("FunctionName")
    if name is not None and len(name.rpartition("function:")[2]) > LONGEST_NAME:
        yield Finding("FunctionName", f"has {len(name)} characters, at most {LONGEST_NAME} are allowed")
    if params.get("PackageType", "Zip") == "Zip" and not partial:
        for field in ("Handler", "Runtime"):
            if not params.get(field):
                yield Finding(field, "is required for a function whose PackageType is Zip")
    code = params.get("Code") or {}
    given = [source for source in _SOURCES if code.get(source)]
    if len(given) > 1:
        yield Finding("Code", f"has {', '.join(given)}; give one of them")
    if not given and not partial:
        yield Finding("Code", f"is required, with one of {', '.join(_SOURCES)}")
    if bool(code.get("S3Bucket")) != bool(code.get("S3Key")) and not partial:
        yield Finding("Code.S3Key", "and Code.S3Bucket go together")


@rule("lambda", "CreateFunction", "UpdateFunctionConfiguration")
def configuration(params: Params, partial: bool) -> Iterator[Finding]:
    """Reserved names, and 4 KB in all: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    variables = (params.get("Environment") or {}).get("Variables") or {}
    reserved = sorted(RESERVED & set(variables))
    if reserved:
        yield Finding(
            "Environment.Variables",
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this"
            f" request: {', '.join(reserved)}",
        )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > MOST_VARIABLE_BYTES:
        yield Finding("Environment.Variables", f"hold {size} bytes, at most {MOST_VARIABLE_BYTES} are allowed")
    if len(params.get("Layers") or ()) > MOST_LAYERS:
        yield Finding("Layers", f"has {len(params['Layers'])} layers, at most {MOST_LAYERS} are allowed")


@rule("lambda", "AddPermission")
def permission(params: Params, partial: bool) -> Iterator[Finding]:
    """https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html"""
    action = params.get("Action")
    if action is not None and action != "*" and not action.startswith("lambda:"):
        yield Finding("Action", f"{shown(action)} is no action of Lambda; write lambda:InvokeFunction")
