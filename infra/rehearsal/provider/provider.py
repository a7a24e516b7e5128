"""The emulated `aws` provider: the methods of Pulumi's provider protocol over the table of rows.

It makes real calls through the session it is given, so it works on an in-process session and on an endpoint URL alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import boto3
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.provider import plan
from infra.rehearsal.provider.account import Account, settings_from, settings_problems
from infra.rehearsal.provider.check import DEFAULTS, check
from infra.rehearsal.provider.errors import (
    ApiError,
    InitializationFailed,
    ProviderError,
    UnexpectedState,
    Unsupported,
    WaitTimeout,
)
from infra.rehearsal.provider.invokes import INVOKES
from infra.rehearsal.provider.operation import Clock, Operation, Timing
from infra.rehearsal.provider.row import Row
from infra.rehearsal.provider.rows import ROWS
from infra.rehearsal.provider.schema import provider_arguments
from infra.rehearsal.provider.values import Secrets, from_struct, has_unknown, to_struct, without_none

VERSION = "7.51.1"
"""The pulumi-aws version whose behaviour the rows follow."""

_FAILURES = (ApiError, UnexpectedState, WaitTimeout, Unsupported)
_KINDS = {
    "add": (pb.PropertyDiff.ADD, pb.PropertyDiff.ADD_REPLACE),
    "delete": (pb.PropertyDiff.DELETE, pb.PropertyDiff.DELETE_REPLACE),
    "update": (pb.PropertyDiff.UPDATE, pb.PropertyDiff.UPDATE_REPLACE),
}


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Stands in for pulumi-resource-aws. Errors leave as ProviderError or InitializationFailed.

    `session_for` gives the boto3 session when the provider is configured. `clock` moves waits (default: real time);
    `wait_poll_seconds` is the pause between polls.
    """

    def __init__(
        self,
        session_for: Callable[[], boto3.Session],
        *,
        clock: Clock | None = None,
        wait_poll_seconds: float = 0.05,
        propagation_seconds: float = 1.0,
    ) -> None:
        self._session_for = session_for
        self._timing = Timing(poll_seconds=wait_poll_seconds, propagation_seconds=propagation_seconds, clock=clock)
        self._account: Account | None = None
        self._keep_secrets = True

    # -- plugin ---------------------------------------------------------------------------------------------

    def Handshake(self, request: pb.ProviderHandshakeRequest, context: Any) -> pb.ProviderHandshakeResponse:
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: pb.GetSchemaRequest, context: Any) -> pb.GetSchemaResponse:
        return pb.GetSchemaResponse(schema=f'{{"name":"aws","version":"{VERSION}","resources":{{}}}}')

    def GetMapping(self, request: pb.GetMappingRequest, context: Any) -> pb.GetMappingResponse:
        return pb.GetMappingResponse()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    # -- configuration --------------------------------------------------------------------------------------

    def CheckConfig(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        news, _ = from_struct(request.news)
        problems = settings_problems(news, frozenset(provider_arguments()))
        return pb.CheckResponse(inputs=request.news, failures=_failures(problems))

    def DiffConfig(self, request: pb.DiffRequest, context: Any) -> pb.DiffResponse:
        olds, news = from_struct(request.old_inputs)[0], from_struct(request.news)[0]
        changed = sorted(key for key in {*olds, *news} if not key.startswith("__") and olds.get(key) != news.get(key))
        some = pb.DiffResponse.DIFF_SOME if changed else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=some, diffs=changed)

    def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:
        arguments, _ = from_struct(request.args)
        if not arguments:
            arguments = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        problems = settings_problems(arguments, frozenset(provider_arguments()))
        if problems:
            raise ProviderError("; ".join(f"aws.Provider: {reason}" for _, reason in problems))
        self._keep_secrets = request.acceptSecrets
        try:
            self._account = Account(self._session_for, settings_from(arguments))
        except ApiError as error:
            raise ProviderError(
                f"aws.Provider: cannot find out which account the credentials are for: {error}"
            ) from error
        return pb.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    @property
    def account(self) -> Account:
        if self._account is None:
            raise ProviderError("the aws provider is not configured: Configure comes before any other call")
        return self._account

    # -- resources ------------------------------------------------------------------------------------------

    def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        row = ROWS.get(_type_of(request))
        if row is None:
            return pb.CheckResponse(failures=[pb.CheckFailure(reason=_not_carried(_type_of(request)))])
        news, secrets = from_struct(request.news)
        olds, _ = from_struct(request.olds)
        checked = check(row, self.account, request, olds, news)
        return pb.CheckResponse(inputs=self._struct(checked.inputs, secrets), failures=_failures(checked.problems))

    def Diff(self, request: pb.DiffRequest, context: Any) -> pb.DiffResponse:
        row = self._row(request)
        state, news = from_struct(request.olds)[0], from_struct(request.news)[0]
        found = plan.changes(self.account, row, state, news, request.ignoreChanges)
        refused = row.plan_error(state, news) if row.plan_error is not None else ""
        if refused:
            raise ProviderError(f"planning {row.label} ({request.id}): {refused}")
        detailed = {
            change.text: pb.PropertyDiff(kind=_KINDS[change.kind][1 if change.replaces else 0], inputDiff=False)
            for change in found
        }
        replaces = sorted({change.top for change in found if change.replaces})
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
            diffs=sorted({change.top for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and plan.deletes_first(row, state, news),
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: pb.CreateRequest, context: Any) -> pb.CreateResponse:
        row = self._row(request)
        inputs, secrets = from_struct(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=self._struct(plan.planned_create(self.account, row, inputs), secrets))
        operation = self._operation(row, request, inputs, timeout=request.timeout)
        try:
            row.create(operation)
            live = row.read(operation)
            if live is None:
                raise UnexpectedState(f"{operation.id} is not there right after it was created")
        except _FAILURES as error:
            text = _sentence("creating", row, operation, error)
            if operation.id and not row.framework:
                half = plan.planned_create(self.account, row, inputs, unknown=None)
                asked = self._wrapped(inputs, secrets)
                raise InitializationFailed(operation.id, self._wrapped(half, secrets), asked, [text]) from error
            raise ProviderError(text) from error
        outputs = plan.outputs_of(row, operation, inputs, live)
        return pb.CreateResponse(id=operation.id, properties=self._struct(outputs, secrets))

    def Read(self, request: pb.ReadRequest, context: Any) -> pb.ReadResponse:
        row = self._row(request)
        inputs, input_secrets = from_struct(request.inputs)
        state, secrets = from_struct(request.properties)
        id = request.id
        imported = not state
        if imported and row.from_id is not None:
            id, state = row.from_id(id)[0], dict(row.from_id(id)[1])
        operation = self._operation(row, request, inputs, state=state, id=id)
        try:
            live = row.read(operation)
        except _FAILURES as error:
            raise ProviderError(_sentence("reading", row, operation, error)) from error
        if live is None:
            return pb.ReadResponse()
        outputs = plan.outputs_of(row, operation, state if not imported else {}, live)
        if imported:
            asked = {key: value for key, value in without_none(outputs).items() if key in row.schema.inputs}
        else:
            asked = plan.refreshed_inputs(row, inputs, outputs)
        return pb.ReadResponse(
            id=operation.id,
            properties=self._struct(outputs, secrets | input_secrets),
            inputs=self._struct(asked, input_secrets),
        )

    def Update(self, request: pb.UpdateRequest, context: Any) -> pb.UpdateResponse:
        row = self._row(request)
        state, news = from_struct(request.olds)[0], from_struct(request.news)[0]
        secrets = from_struct(request.news)[1]
        found = plan.changes(self.account, row, state, news, request.ignoreChanges)
        planned = plan.planned_update(self.account, row, state, news, found)
        if request.preview:
            return pb.UpdateResponse(properties=self._struct(planned, secrets))
        changed = frozenset(change.top for change in found)
        operation = self._operation(
            row, request, news, state=state, id=request.id, changed=changed, timeout=request.timeout
        )
        try:
            self._run_steps(row, operation)
            live = row.read(operation)
            if live is None:
                raise UnexpectedState(f"{operation.id} is gone; run a refresh so that the next up makes it again")
        except _FAILURES as error:
            text = _sentence("updating", row, operation, error)
            if row.framework:
                raise ProviderError(text) from error
            half = {key: value for key, value in planned.items() if not has_unknown(value)}
            asked = self._wrapped(news, secrets)
            raise InitializationFailed(operation.id, self._wrapped(half, secrets), asked, [text]) from error
        outputs = plan.outputs_of(row, operation, news, live)
        return pb.UpdateResponse(properties=self._struct(outputs, secrets))

    def Delete(self, request: pb.DeleteRequest, context: Any) -> empty_pb2.Empty:
        row = self._row(request)
        state, inputs = from_struct(request.properties)[0], from_struct(request.old_inputs)[0]
        # Force flags and windows count as they stand in the state: set them, run up, then destroy.
        operation = self._operation(row, request, {}, state={**inputs, **state}, id=request.id, timeout=request.timeout)
        try:
            row.delete(operation)
        except _FAILURES as error:
            raise ProviderError(_sentence("deleting", row, operation, error)) from error
        return empty_pb2.Empty()

    def Invoke(self, request: pb.InvokeRequest, context: Any) -> pb.InvokeResponse:
        answer = INVOKES.get(request.tok)
        if answer is None:
            carried = ", ".join(sorted(INVOKES))
            raise ProviderError(
                f"the rehearsal's provider does not carry the function {request.tok}; it carries {carried}"
            )
        try:
            values = answer(self.account, from_struct(request.args)[0])
        except ValueError as error:
            return pb.InvokeResponse(failures=[pb.CheckFailure(reason=str(error))])
        response = pb.InvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(values))
        return response

    # -- inside ---------------------------------------------------------------------------------------------

    def _row(self, request: Any) -> Row:
        type_token = _type_of(request)
        if type_token not in ROWS:
            raise ProviderError(_not_carried(type_token))
        return ROWS[type_token]

    def _operation(
        self,
        row: Row,
        request: Any,
        inputs: Mapping[str, Any],
        *,
        state: Mapping[str, Any] | None = None,
        id: str = "",
        changed: frozenset[str] = frozenset(),
        timeout: float = 0.0,
    ) -> Operation:
        return Operation(
            row=row,
            account=self.account,
            timing=self._timing,
            urn=request.urn,
            inputs={key: value for key, value in inputs.items() if key != DEFAULTS},
            state=state or {},
            id=id,
            changed=changed,
            timeout_seconds=timeout,
        )

    def _run_steps(self, row: Row, operation: Operation) -> None:
        taken = frozenset().union(*(step.inputs for step in row.steps)) | row.state_only | row.nothing
        left = {name for name in operation.changed if name not in taken and not name.startswith("tags")}
        if row.tagging is not None:
            _update_tags(row, operation)
        if left:
            raise Unsupported(f"{row.type}: no rule updates {', '.join(sorted(left))} in place")
        for one in row.steps:
            if one.inputs & operation.changed:
                one.run(operation)

    def _wrapped(self, values: Mapping[str, Any], secrets: Secrets) -> dict[str, Any]:
        return secrets.wrap(values) if self._keep_secrets else dict(values)

    def _struct(self, values: Mapping[str, Any], secrets: Secrets) -> Any:
        return to_struct(values, secrets if self._keep_secrets else None)


def _update_tags(row: Row, operation: Operation) -> None:
    """Tags go first in the provider's transparent tagging, by their own calls: removals, then additions."""
    assert row.tagging is not None
    if not operation.changed & {"tags", "tagsAll"}:
        return
    old, new = dict(operation.state.get("tagsAll") or {}), operation.wanted_tags()
    gone = sorted(key for key in old if key not in new)
    put = {key: value for key, value in new.items() if old.get(key) != value}
    if gone:
        row.tagging.remove(operation, gone)
    if put:
        row.tagging.put(operation, put)


def _type_of(request: Any) -> str:
    given = getattr(request, "type", "")
    return given or request.urn.split("::")[2].split("$")[-1]


def _not_carried(type_token: str) -> str:
    return f"the rehearsal's provider does not carry {type_token}: add a row under infra/rehearsal/provider/rows"


def _failures(problems: Iterable[tuple[str, str]]) -> list[pb.CheckFailure]:
    return [pb.CheckFailure(property=path, reason=reason) for path, reason in problems]


def _sentence(doing: str, row: Row, operation: Operation, error: Exception) -> str:
    named = operation.id or operation.inputs.get("name") or operation.urn.split("::")[-1]
    return f"{doing} {row.label} ({named}): {error}"
