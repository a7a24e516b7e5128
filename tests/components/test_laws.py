"""The laws that hold for every public component (design: laws of a component)."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import mainstage
import pulumi
import pulumi_aws as aws
import pytest
from pulumi.provider.experimental.component import ComponentProvider

from infra.rehearsal.engine import UNKNOWN, Registered, Result, record

Arguments = Callable[..., dict[str, Any]]

COMPONENTS = sorted(
    name
    for name in mainstage.__all__
    if inspect.isclass(getattr(mainstage, name)) and issubclass(getattr(mainstage, name), pulumi.ComponentResource)
)


def children(result: Result, component: str) -> tuple[Registered, list[Registered]]:
    root = result.one(f"mainstage:index:{component}", "thing")
    return root, [resource for resource in result.resources if resource.urn != root.urn]


def test_everything_exported_is_a_component_or_its_arguments() -> None:
    assert COMPONENTS == [
        "Dashboard",
        "EncryptionKey",
        "FrontDoor",
        "GuardAlarms",
        "ModelRegistry",
        "ModelRoute",
        "ModelService",
        "Network",
        "Pager",
        "PredictionLog",
        "PseudonymKey",
        "ReleaseWatch",
        "RoleBoundary",
        "SageMakerEndpoint",
        "SecureBucket",
        "ServiceAlarms",
    ]
    others = set(mainstage.__all__) - set(COMPONENTS)
    assert all(name.endswith(("Args", "Identity")) for name in others)
    assert sorted(mainstage.__all__) == mainstage.__all__


@pytest.mark.parametrize("component", COMPONENTS)
def test_children_belong_to_the_component_and_begin_with_its_name(component: str, build: Callable[..., Result]) -> None:
    result = build(component)
    root, below = children(result, component)
    parents = {resource.urn: resource for resource in result.resources}
    assert below
    for child in below:
        assert child.name.startswith("thing-"), child.urn
        ancestor = child
        while ancestor.urn != root.urn:
            assert ancestor.parent in parents, f"{child.urn} hangs on {ancestor.parent}"
            ancestor = parents[ancestor.parent]


@pytest.mark.parametrize("component", COMPONENTS)
def test_it_can_be_built_twice_in_one_stack(component: str, args: Arguments) -> None:
    other_names: dict[str, dict[str, Any]] = {
        "SecureBucket": {"bucket_name": "mainstage-other"},
        "ModelRegistry": {"bucket_name": "mainstage-other"},
        "EncryptionKey": {"alias": "other"},
        "PseudonymKey": {"alias": "other"},
        "FrontDoor": {"api_name": "other"},
        "SageMakerEndpoint": {"endpoint_name": "other"},
        "ModelService": {"endpoint_name": "other", "environment_label": "other"},
        "PredictionLog": {"log_name": "other"},
        "Dashboard": {"dashboard_name": "other"},
        "ReleaseWatch": {"watch_name": "other"},
    }

    def program() -> None:
        getattr(mainstage, component)("one", args(component))
        changes = dict(other_names.get(component, {}))
        if component == "GuardAlarms":
            identity = args(component)["identity"] | {"endpoint_name": "other"}
            identity["guard_alarm_names"] = {
                guard: name.replace("iris", "other") for guard, name in identity["guard_alarm_names"].items()
            }
            changes["identity"] = identity
        if component == "ServiceAlarms":
            changes["identity"] = args(component)["identity"] | {"endpoint_name": "other"}
        if component == "ModelRoute":
            changes |= {"model": "other", "route_name": "prod-other"}
            changes["log"] = args(component)["log"] | {"log_name": "prod-other"}
        getattr(mainstage, component)("two", args(component, **changes))

    result = record(program, stack="somewhere").check()
    assert len({resource.urn for resource in result.resources}) == len(result.resources)
    for type_ in {resource.type for resource in result.resources}:
        given = [name for r in result.of_type(type_) if (name := physical_name(r)) is not None]
        assert len(set(given)) == len(given), f"{type_}: {given}"


def physical_name(resource: Registered) -> str | None:
    """The name that a resource takes in AWS, where the program gives one; side resources have none of their own."""
    keys = {
        "aws:cloudwatch/dashboard:Dashboard": "dashboardName",
        "aws:s3/bucket:Bucket": "bucket",
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "modelPackageGroupName",
    }
    # These have a name within another resource.
    within = {
        "aws:apigatewayv2/stage:Stage": "apiId",
        "aws:cloudwatch/logStream:LogStream": "logGroupName",
        "aws:glue/catalogTable:CatalogTable": "databaseName",
    }
    if resource.type in within:
        return f"{resource.inputs[within[resource.type]]}/{resource.inputs['name']}"
    return resource.inputs.get(keys.get(resource.type, "name"))


@pytest.mark.parametrize("component", COMPONENTS)
def test_outputs_are_registered_and_are_the_annotated_ones(component: str, build: Callable[..., Result]) -> None:
    result = build(component)
    annotated = set(getattr(mainstage, component).__annotations__)
    assert set(result.named("thing").outputs) == annotated
    assert all(value is not UNKNOWN for value in result.outputs.values())


@pytest.mark.parametrize("component", COMPONENTS)
def test_outputs_are_registered_last(component: str) -> None:
    source = textwrap.dedent(inspect.getsource(getattr(mainstage, component).__init__))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    last = function.body[-1]
    assert isinstance(last, ast.Expr)
    assert ast.unparse(last).startswith("self.register_outputs(")
    assert not [node for node in ast.walk(function) if isinstance(node, ast.Return)]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_preview_with_unknown_inputs_registers_the_same_resources(component: str, args: Arguments) -> None:
    """Every argument that may be an Output is one whose value nobody knows yet."""

    def program(unknown: bool) -> None:
        seed = aws.sns.Topic("seed")
        arguments = args(component)
        if unknown:
            hints = getattr(mainstage, f"{component}Args").__annotations__
            arguments = with_unknowns(arguments, hints, seed.arn)
        getattr(mainstage, component)("thing", arguments)

    known = record(lambda: program(False), stack="somewhere", preview=True).check()
    preview = record(lambda: program(True), stack="somewhere", preview=True).check()

    def registered(result: Result) -> set[tuple[str, str]]:
        # A release's name carries a fingerprint of its known inputs.
        return {(r.type, re.sub(r"(-v\d+)-[0-9a-f]{8}$", r"\1", r.name)) for r in result.resources}

    assert registered(preview) == registered(known)


def with_unknowns(value: Mapping[str, Any], hints: Mapping[str, Any], unknown: pulumi.Output[Any]) -> dict[str, Any]:
    """The arguments with `unknown` wherever the type takes an Output: leaves first, whole lists not."""
    return {key: _unknown(item, hints[key], unknown) for key, item in value.items()}


def _unknown(value: Any, hint: Any, unknown: pulumi.Output[Any]) -> Any:
    if typing.get_origin(hint) in (typing.NotRequired, typing.Required):
        hint = typing.get_args(hint)[0]
    members = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Union and any("Output" in str(member) for member in members):
        plain = members[0]
        if typing.get_origin(plain) is list:
            return unknown.apply(lambda text: [text])
        return unknown
    if typing.is_typeddict(hint):
        return with_unknowns(value, hint.__annotations__, unknown)
    if typing.get_origin(hint) is list:
        return [_unknown(item, members[0], unknown) for item in value]
    if typing.get_origin(hint) is dict:
        return {key: _unknown(item, members[1], unknown) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    "component",
    [name for name in COMPONENTS if name not in ("Dashboard", "EncryptionKey", "PseudonymKey", "RoleBoundary")],
)
def test_a_wrong_value_that_becomes_known_later_is_refused_then(component: str, args: Arguments) -> None:
    fields = [key for key, value in args(component).items() if key.endswith("_arn") and isinstance(value, str)]

    def program() -> None:
        seed = aws.sns.Topic("seed")
        wrong = seed.id.apply(lambda _: "no ARN")
        getattr(mainstage, component)("thing", args(component, **{fields[0]: wrong}))

    result = record(program, stack="somewhere")
    assert f"{fields[0]}: got 'no ARN'; allowed:" in str(result.error)


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_component_host_builds_the_same(component: str, args: Arguments, build: Callable[..., Result]) -> None:
    """Other languages come in through `construct`: names in camelCase, every number a float, unknown keys dropped."""
    arguments = camel(args(component)) | {"noSuchArgument": 1.0}

    def program() -> None:
        provider = ComponentProvider([getattr(mainstage, name) for name in COMPONENTS], "mainstage")
        built = provider.construct("thing", f"mainstage:index:{component}", arguments)
        for key, value in built.state.items():
            pulumi.export(key, value)

    hosted = record(program, stack="somewhere").check()
    direct = build(component)
    assert [(r.type, r.name, r.inputs) for r in in_order(hosted)] == [
        (r.type, r.name, r.inputs) for r in in_order(direct)
    ]
    assert set(hosted.outputs) <= {to_camel(name) for name in direct.outputs}


def in_order(result: Result) -> list[Registered]:
    return sorted(result.resources, key=lambda resource: resource.urn)


def to_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


# Maps whose keys are data, not names of arguments.
_DATA = ("tags", "container_environment", "guard_alarm_names", "configurations")


def camel(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {to_camel(key): dict(item) if key in _DATA else camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value


@pytest.mark.parametrize("component", COMPONENTS)
def test_unknown_arguments_are_refused_with_the_nearest_known_one(
    component: str, refused: Callable[..., list[tuple[str, str, str, str]]], args: Arguments
) -> None:
    known = sorted(args(component))[0]
    misspelt = known[:-1] + ("x" if known[-1] != "x" else "y")
    ((field, got, allowed, fix),) = refused(component, **{misspelt: 5})
    assert (field, got, fix) == (misspelt, "5", f'write "{known}"')
    assert known in allowed.split(", ")


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_missing_argument_is_named_at_once(component: str) -> None:
    required = getattr(mainstage, f"{component}Args").__required_keys__

    def program() -> None:
        getattr(mainstage, component)("thing", {})

    error = record(program, stack="somewhere").error
    assert isinstance(error, ValueError)
    lines = str(error).splitlines()
    assert lines[0].startswith(f'{component} "thing": ')
    missing = {line.split(":")[0].removeprefix("  - ") for line in lines[1:] if ": got nothing; allowed: " in line}
    assert required <= missing


RELEASED = ("model:Model", "endpointConfiguration:EndpointConfiguration", "endpoint:Endpoint")


@pytest.mark.parametrize("component", COMPONENTS)
def test_nothing_is_looked_up_and_only_a_release_has_hooks(component: str, build: Callable[..., Result]) -> None:
    result = build(component)
    assert result.invokes == []
    assert [r.urn for r in result.resources if r.external] == []
    hooked = {r.type for r in result.resources if r.options.hooks}
    made = {f"aws:sagemaker/{name}" for name in RELEASED}
    assert hooked == (made if component in ("ModelService", "SageMakerEndpoint") else set())


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_role_takes_the_boundary_and_every_policy_is_narrow(component: str, build: Callable[..., Result]) -> None:
    for role in build(component).of_type("aws:iam/role:Role"):
        assert role.inputs["permissionsBoundary"] == "arn:aws:iam::111111111111:policy/mainstage-boundary"
        assert "inlinePolicies" not in role.inputs
        assert "managedPolicyArns" not in role.inputs


def test_importing_the_library_loads_no_service_of_the_provider() -> None:
    """Each service of pulumi_aws costs up to a second; one that a program does not use is not loaded."""
    code = "import sys, mainstage; print([m for m in sys.modules if m.startswith('pulumi_aws.') and m.count('.') == 2])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_surface_is_documented() -> None:
    for name in COMPONENTS:
        component = getattr(mainstage, name)
        assert inspect.getdoc(component)
        assert isinstance(component.__init__, types.FunctionType)
        assert list(inspect.signature(component.__init__).parameters) == ["self", "name", "args", "opts"]
