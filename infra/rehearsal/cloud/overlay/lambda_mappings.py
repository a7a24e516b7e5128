"""Event source mappings from queues: kept by moto, polled by ours (moto's own would consume every message at once).

Sources: Lambda API reference, CreateEventSourceMapping; Lambda developer guide, "Using Lambda with Amazon SQS". Wording
of the refusals: as posted in aws/aws-cdk and hashicorp/terraform-provider-aws issues.
"""

from __future__ import annotations

from typing import Any

from moto.awslambda.utils import get_backend

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.functions.host import functions_of
from infra.rehearsal.cloud.functions.poller import pollers_of
from infra.rehearsal.cloud.functions.surroundings import ASSUMED_BY
from infra.rehearsal.cloud.iam import arns
from infra.rehearsal.cloud.iam.decide import decide
from infra.rehearsal.cloud.iam.evaluate import Question
from infra.rehearsal.cloud.iam.resource_policies import find_queue
from infra.rehearsal.cloud.overlay import after, before, handler

POLLING_ACTIONS = ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")
_UNCARRIED = (
    "FilterCriteria", "DestinationConfig", "KMSKeyArn", "MetricsConfig", "ProvisionedPollerConfig", "Topics", "Queues",
    "SelfManagedEventSource", "SourceAccessConfigurations", "StartingPosition", "TumblingWindowInSeconds",
    "BisectBatchOnFunctionError", "MaximumRecordAgeInSeconds", "ParallelizationFactor", "LoggingConfig",
)  # fmt: skip


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400, Type="User")


def _mappings(call: Call) -> dict[str, Any]:
    return get_backend(call.account_id, call.region)._event_source_mappings


@before("lambda", "CreateEventSourceMapping")
@before("lambda", "UpdateEventSourceMapping")
def mapping(call: Call) -> None:
    """Refuses what Lambda refuses, and by name what is not carried."""
    params = call.params
    for name in _UNCARRIED:
        if params.get(name):
            raise AwsError("NotCarried", f"The emulated cloud does not carry lambda.{call.operation} with {name}.", 501)
    known = _mappings(call).get(params.get("UUID", ""))
    if call.operation == "UpdateEventSourceMapping" and known is None:
        raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", 404, Type="User")
    source = params.get("EventSourceArn") or (known.event_source_arn if known is not None else "")
    parts = arns.split(source)
    if parts is None or parts.service != "sqs":
        raise AwsError("NotCarried", f"The emulated cloud carries event sources that are queues, not {source!r}.", 501)
    if source.endswith(".fifo"):
        raise AwsError("NotCarried", "The emulated cloud does not carry FIFO queues as event sources.", 501)
    queue = find_queue(source)
    if queue is None:
        raise _invalid(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error"
            " Message: The specified queue does not exist for this wsdl version."
        )
    function = params.get("FunctionName") or (known.function_arn if known is not None else "")
    deployment = functions_of(call.cloud).deployment(call.region, function)
    _check_batch(params, known)
    if int(queue.visibility_timeout) < deployment.timeout_seconds:
        raise _invalid(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than Function timeout:"
            f" {deployment.timeout_seconds} seconds"
        )
    for other in _mappings(call).values():
        same = other.event_source_arn == source and other.function_arn == deployment.arn
        if same and call.operation == "CreateEventSourceMapping":
            text = (
                f'An event source mapping with SQS arn (" {source} ") and function (" {deployment.name} ") already'
                f" exists. Please update or delete the existing mapping with UUID {other.uuid}"
            )
            raise AwsError("ResourceConflictException", text, 409, Type="User")
    _check_role(call, deployment.role_arn, source)


@before("lambda", "DeleteEventSourceMapping")
def is_there(call: Call) -> None:
    """A mapping that is not there is refused; moto fails."""
    if call.params["UUID"] not in _mappings(call):
        raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", 404, Type="User")


def _check_batch(params: dict[str, Any], known: Any) -> None:
    size = params.get("BatchSize") or (known.batch_size if known is not None else 10)
    window = params.get("MaximumBatchingWindowInSeconds")
    if window is None:
        window = (known.max_batch_window if known is not None else 0) or 0
    if size > 10 and window < 1:
        raise _invalid(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )


def _check_role(call: Call, role_arn: str, queue_arn: str) -> None:
    """Lambda tries the role when it is given the mapping."""
    session = call.cloud.principals.assume(role_arn, service=ASSUMED_BY, session_name="check")
    for action in POLLING_ACTIONS:
        question = Question(session, f"sqs:{action}", queue_arn, {"aws:requestedregion": (call.region,)})
        if not decide(call.cloud, question, resource_account=call.account_id).allowed:
            raise _invalid(f"The provided execution role does not have permissions to call {action} on SQS")


@after("lambda", "CreateEventSourceMapping")
def made(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """The poller starts; moto's own hook on the queue goes. Lambda answers Creating and is Enabled a moment later."""
    queue = find_queue(output["EventSourceArn"])
    if queue is not None:
        queue.lambda_event_source_mappings.clear()
    pollers_of(call.cloud).start(call.region, output["UUID"])
    return _shown(call, output)


@after("lambda", "UpdateEventSourceMapping")
@after("lambda", "GetEventSourceMapping")
def read(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """As it is now."""
    return _shown(call, output)


@after("lambda", "DeleteEventSourceMapping")
def removed(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    """The poller stops; messages that it has received become visible again in time."""
    pollers_of(call.cloud).stop(output["UUID"])
    return output


@handler("lambda", "ListEventSourceMappings")
def listed(call: Call) -> dict[str, Any]:
    """By source, and by function however it is named; moto compares names as they were written. One page."""
    params = call.params
    function = params.get("FunctionName")
    arn = functions_of(call.cloud).deployment(call.region, function).arn if function else None
    source = params.get("EventSourceArn")
    found = [
        _shown(call, one.get_configuration())
        for one in _mappings(call).values()
        if source in (None, one.event_source_arn) and arn in (None, one.function_arn)
    ]
    return {"EventSourceMappings": found}


def _shown(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    known = _mappings(call).get(output["UUID"])
    shown = {name: value for name, value in output.items() if name not in ("StartingPosition", "Tags")}
    if known is not None:
        shown["StateTransitionReason"] = "USER_INITIATED"
        shown["MaximumBatchingWindowInSeconds"] = known.max_batch_window or 0
        shown["FunctionResponseTypes"] = known.function_response_types or []
    return shown
