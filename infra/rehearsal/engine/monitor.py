"""The ResourceMonitor and Engine services that the SDK talks to, in process. Nothing is decided here."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, provider_pb2, resource_pb2

from infra.rehearsal.engine.deployment import Deployment, Outcome
from infra.rehearsal.engine.goal import from_read, from_registration
from infra.rehearsal.engine.ledger import Ledger, Refused
from infra.rehearsal.engine.reading import GET_RESOURCE, Reading
from infra.rehearsal.engine.removal import remove_leftovers
from infra.rehearsal.engine.values import from_struct, to_struct

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
)
"""What this engine can do.

The SDK refuses by itself, with a clear text, whatever needs more (transforms, state migrations).
"""

_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor:
    """Stands where the SDK expects the stub of the resource monitor. Called from the SDK's executor threads."""

    def __init__(self, deployment: Deployment, reading: Reading):
        self._deployment = deployment
        self._reading = reading

    def GetDeploymentInfo(self, request: Any) -> Any:
        settings = self._deployment.settings
        return resource_pb2.DeploymentInfo(
            project=settings.project,
            stack=settings.stack,
            organization=settings.organization,
            dryRun=settings.preview,
            supportedFeatures=_FEATURES,
        )

    def RegisterResource(self, request: Any) -> Any:
        if request.remote:
            raise Refused(
                f"{request.type} '{request.name}' is a remote component, which only its own provider can construct: "
                "a rehearsal runs components that are Python classes of this program"
            )
        outcome = self._deployment.register(from_registration(request))
        return resource_pb2.RegisterResourceResponse(
            urn=outcome.urn,
            id=outcome.id,
            object=_outputs(outcome, request.acceptSecrets, request.acceptResources),
            result=resource_pb2.Result.FAIL if outcome.failed else resource_pb2.Result.SUCCESS,
        )

    def ReadResource(self, request: Any) -> Any:
        outcome = self._reading.read(from_read(request), request.id)
        return resource_pb2.ReadResourceResponse(
            urn=outcome.urn,
            id=outcome.id,
            properties=_outputs(outcome, request.acceptSecrets, request.acceptResources),
            result=resource_pb2.Result.FAIL if outcome.failed else resource_pb2.Result.SUCCESS,
        )

    def ExistsResource(self, request: Any) -> Any:
        exists = self._reading.exists(from_exists(request), request.id)
        return resource_pb2.ExistsResourceResponse(exists=bool(exists), unknown=exists is None)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self._deployment.register_outputs(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        result, failures = self._reading.invoke(
            request.tok, from_struct(request.args), request.provider, request.version
        )
        if result is None:
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        response = resource_pb2.ResourceInvokeResponse(
            failures=[provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures]
        )
        keep_references = request.acceptResources or request.tok == GET_RESOURCE
        getattr(response, "return").CopyFrom(to_struct(result, keep_references=keep_references))
        return response

    def Call(self, request: Any) -> Any:
        raise Refused(f"{request.tok} is a method of a remote component: a rehearsal has no remote components")

    def RegisterResourceHook(self, request: Any) -> Any:
        self._deployment.hooks.register(request)
        return empty_pb2.Empty()

    def RegisterErrorHook(self, request: Any) -> Any:
        self._deployment.hooks.register(request, error=True)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: Any) -> Any:
        # The program has ended well and waits, so that hooks of what is deleted now can still be called.
        remove_leftovers(self._deployment.ledger, self._deployment.execution)
        return empty_pb2.Empty()


class EngineLog:
    """Stands where the SDK expects the stub of the engine: it takes log lines."""

    def __init__(self, ledger: Ledger):
        self._ledger = ledger

    def Log(self, request: Any) -> Any:
        self._ledger.log(_SEVERITIES.get(request.severity, "info"), request.message, request.urn)
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any) -> Any:
        # The engine of a rehearsal is part of this repository: there is no CLI whose version could be wrong.
        return engine_pb2.RequirePulumiVersionResponse()


def from_exists(request: Any) -> Any:
    """An ExistsResourceRequest in the shape of a read."""
    return from_read(
        resource_pb2.ReadResourceRequest(
            type=request.type,
            name=request.id,
            parent=request.parent,
            provider=request.provider,
            properties=request.properties,
            version=request.version,
        )
    )


def _outputs(outcome: Outcome, keep_secrets: bool, keep_references: bool) -> struct_pb2.Struct:
    return to_struct(outcome.outputs or {}, keep_secrets=keep_secrets, keep_references=keep_references)
