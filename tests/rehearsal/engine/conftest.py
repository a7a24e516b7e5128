"""A small but real provider that keeps its resources in memory, and programs' words for it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer

from infra.rehearsal.engine import UNKNOWN, Engine, Event, Result
from infra.rehearsal.engine.values import from_struct, plain, to_struct

REPLACED_BY = ("zone",)


class Refusal(Exception):
    """What this provider raises when it refuses a call."""


class HalfDone(Exception):
    """Raised when a resource was made but did not come up."""

    def __init__(self, id: str, properties: Mapping[str, Any], inputs: Mapping[str, Any], reasons: list[str]):
        super().__init__("; ".join(reasons))
        self.id, self.properties, self.inputs, self.reasons = id, properties, inputs, reasons


class MemoryProvider(ResourceProviderServicer):
    """Keeps `test:index:*` resources. Type `Single` is deleted before it is replaced; a changed `zone` replaces.

    A resource whose name begins with `needs-other` has to be given `other`.
    """

    def __init__(self, *, accept_secrets: bool = True, supports_preview: bool = True):
        self.accept_secrets = accept_secrets
        self.supports_preview = supports_preview
        self.live: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.requests: dict[tuple[str, str], Any] = {}
        self.before: dict[tuple[str, str], Callable[[], None]] = {}
        """Called before an operation on a resource: it may raise or wait."""
        self.configured: list[dict[str, Any]] = []
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def _enter(self, op: str, request: Any) -> str:
        name = request.urn.rsplit("::", 1)[-1]
        with self._lock:
            self.calls.append((op, name))
            self.requests[op, name] = request
        if (op, name) in self.before:
            self.before[op, name]()
        return name

    def ops(self, *which: str) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] in which]

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        replaces = ["account"] if old.get("account") != new.get("account") else []
        some = pb.DiffResponse.DIFF_SOME if plain(old) != plain(new) else pb.DiffResponse.DIFF_NONE
        return pb.DiffResponse(changes=some, replaces=replaces)

    def Configure(self, request: Any, context: Any) -> Any:
        self.configured.append(from_struct(request.args))
        return pb.ConfigureResponse(
            acceptSecrets=self.accept_secrets, acceptResources=True, supportsPreview=self.supports_preview
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version="1.0.0")

    def Check(self, request: Any, context: Any) -> Any:
        self._enter("check", request)
        news, olds = from_struct(request.news), from_struct(request.olds)
        failures = []
        if news.get("color") == "mauve":
            failures = [pb.CheckFailure(property="color", reason="mauve is not a color")]
        if "forbidden" in news:
            failures = [pb.CheckFailure(reason="this can't be")]
        name = request.urn.rsplit("::", 1)[-1]
        if name.startswith("needs-other") and "other" not in news:
            failures = [pb.CheckFailure(property="other", reason="it is required")]
        news.setdefault("name", olds.get("name") or f"{name}-{request.randomSeed.hex()[:7]}")
        return pb.CheckResponse(inputs=to_struct(news), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        name = self._enter("diff", request)
        old, new = from_struct(request.old_inputs), from_struct(request.news)
        keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        replaces = [key for key in keys if key in REPLACED_BY or (key == "name" and "Single" not in request.urn)]
        single = request.type.endswith(":Single")
        if name == "vague":
            return pb.DiffResponse(changes=pb.DiffResponse.DIFF_UNKNOWN)
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if keys else pb.DiffResponse.DIFF_NONE,
            diffs=keys,
            replaces=replaces,
            deleteBeforeReplace=single,
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = from_struct(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=to_struct({**inputs, "arn": UNKNOWN, "serial": UNKNOWN}))
        self._enter("create", request)
        with self._lock:
            id_ = f"id-{next(self._ids)}"
            if any(plain(other)["name"] == plain(inputs)["name"] for other in self.live.values()):
                raise Refusal(f"{plain(inputs)['name']} already exists")
            self.live[id_] = inputs
        outputs = self._outputs(id_)
        if plain(inputs).get("sick"):
            raise HalfDone(id_, outputs, inputs, ["it did not come up"])
        return pb.CreateResponse(id=id_, properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        news = from_struct(request.news)
        if request.preview:
            return pb.UpdateResponse(properties=to_struct({**from_struct(request.olds), **news, "serial": UNKNOWN}))
        self._enter("update", request)
        self.live[request.id] = news
        if plain(news).get("sick"):
            raise HalfDone(request.id, self._outputs(request.id), news, ["it is still sick"])
        return pb.UpdateResponse(properties=to_struct(self._outputs(request.id)))

    def Read(self, request: Any, context: Any) -> Any:
        self._enter("read", request)
        if request.id not in self.live:
            return pb.ReadResponse()
        inputs = self.live[request.id]
        return pb.ReadResponse(id=request.id, inputs=to_struct(inputs), properties=to_struct(self._outputs(request.id)))

    def Delete(self, request: Any, context: Any) -> Any:
        self._enter("delete", request)
        with self._lock:
            self.live.pop(request.id, None)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        arguments = from_struct(request.args)
        self.calls.append(("invoke", request.tok))
        response = pb.InvokeResponse()
        if arguments.get("key") == "bad":
            response.failures.append(pb.CheckFailure(property="key", reason="bad is not good"))
        else:
            getattr(response, "return").CopyFrom(to_struct({"value": f"{arguments['key']}!"}))
        return response

    def _outputs(self, id_: str) -> dict[str, Any]:
        inputs = self.live[id_]
        return {**inputs, "arn": f"arn:test:{plain(inputs)['name']}", "serial": int(id_.removeprefix("id-"))}


class Thing(pulumi.CustomResource):
    arn: pulumi.Output[str]
    serial: pulumi.Output[int]

    def __init__(
        self,
        logical_name: str,
        opts: pulumi.ResourceOptions | None = None,
        kind: str = "test:index:Thing",
        **props: Any,
    ):
        super().__init__(kind, logical_name, {"arn": None, "serial": None, **props}, opts)

    def translate_output_property(self, prop: str) -> str:
        return prop

    def translate_input_property(self, prop: str) -> str:
        return prop


class Group(pulumi.ComponentResource):
    """A component with `count` things."""

    def __init__(self, logical_name: str, opts: pulumi.ResourceOptions | None = None, count: int = 1, **props: Any):
        super().__init__("test:index:Group", logical_name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.things = [Thing(f"{logical_name}-{index}", child, **props) for index in range(count)]
        self.register_outputs({"first": self.things[0].arn})


@dataclass
class World:
    """One test's provider and engine."""

    directory: Path
    provider: MemoryProvider = field(default_factory=MemoryProvider)
    events: list[Event] = field(default_factory=list)
    state_file: Path | None = None
    policies: tuple[Any, ...] = ()

    Thing = Thing
    Group = Group
    Provider = staticmethod(lambda name="own", opts=None, **props: pulumi.ProviderResource("test", name, props, opts))

    def __post_init__(self) -> None:
        self.engine = self.another_engine()

    def another_engine(self) -> Engine:
        return Engine(
            provider={"test": self.provider},
            state_file=self.state_file,
            progress=self.events.append,
            policies=self.policies,
        )

    def up(self, program: Callable[[], object], config: Mapping[str, str] | None = None, **options: Any) -> Result:
        return self.engine.up("dev", program, config or {}, **options)

    def preview(self, program: Callable[[], object], config: Mapping[str, str] | None = None, **options: Any) -> Result:
        return self.engine.preview("dev", program, config or {}, **options)

    def urn(self, name: str, kind: str = "test:index:Thing") -> str:
        return f"urn:pulumi:dev::mainstage::{kind}::{name}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def stored_world(tmp_path: Path) -> World:
    return World(tmp_path, state_file=tmp_path / "state.json")


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    return lambda **options: World(tmp_path, **options)
