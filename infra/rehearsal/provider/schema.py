"""What a resource type takes and gives, read from the installed pulumi_aws package.

The SDK is generated from the provider's schema, so names, kinds and required flags come from the very version in use.
What the SDK does not carry (ForceNew, computed, defaults, waits) stands in the rows.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import keyword
import sys
import threading
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pulumi
from pulumi import _types as sdk_types

EMPTY: Mapping[str, Any] = MappingProxyType({})
_importing = threading.Lock()
"""The SDK's modules load at their first use; two threads at it see half of one."""
_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True)
class Property:
    """One argument or output. `kind`: string, integer, number, boolean, list, map, object, asset, any."""

    kind: str
    required: bool = False
    element: Property | None = None
    """Of a list or map."""
    members: Mapping[str, Property] = field(default_factory=lambda: EMPTY)
    """Of an object, by camelCase name."""


@dataclass(frozen=True)
class Schema:
    """`inputs` are the arguments; `outputs` is everything the resource shows, arguments included."""

    inputs: Mapping[str, Property]
    outputs: Mapping[str, Property]

    @property
    def output_only(self) -> frozenset[str]:
        return frozenset(self.outputs) - frozenset(self.inputs)


@functools.cache
def schema_of(type_token: str) -> Schema:
    """The schema of `aws:<module>/<file>:<Class>`. KeyError when the SDK has no such class."""
    module, class_name = type_token.split(":")[1].split("/")[0], type_token.split(":")[2]
    if keyword.iskeyword(module):
        module += "_"  # as the SDK is generated: lambda_
    with _importing:
        resource = getattr(importlib.import_module(f"pulumi_aws.{module}"), class_name, None)
    if resource is None:
        raise KeyError(type_token)
    source = sys.modules[resource.__module__]
    # The arguments class is called <Class>InitArgs where <Class>Args is the name of a nested type.
    arguments = getattr(source, f"{class_name}InitArgs", None) or getattr(source, f"{class_name}Args")
    required = _required(arguments, sdk_types.input_type_py_to_pulumi_names(arguments))
    names = [
        name
        for python, name in sdk_types.input_type_py_to_pulumi_names(arguments).items()
        if python in inspect.signature(arguments.__init__).parameters
    ]
    outputs = {
        name: _property(annotation, name in required)
        for name, annotation in sdk_types.resource_types(resource).items()
        if name not in {"id", "urn"}
    }
    return Schema(inputs={name: outputs[name] for name in names}, outputs=outputs)


def provider_arguments() -> Mapping[str, Property]:
    """The arguments of `aws.Provider`."""
    provider = importlib.import_module("pulumi_aws.provider")
    names = sdk_types.input_type_py_to_pulumi_names(provider.ProviderArgs)
    return {name: Property("any") for name in names.values()}


def _required(cls: type, names: Mapping[str, str]) -> frozenset[str]:
    parameters = inspect.signature(cls.__init__).parameters
    return frozenset(
        name
        for python, name in names.items()
        if python in parameters and parameters[python].default is inspect.Parameter.empty
    )


def _property(annotation: Any, required: bool) -> Property:
    annotation = sdk_types.unwrap_type(annotation)
    if annotation in _SCALARS:
        return Property(_SCALARS[annotation], required)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Sequence or origin is list:
        return Property("list", required, element=_property(arguments[0], False))
    if origin is Mapping or origin is dict:
        return Property("map", required, element=_property(arguments[1], False))
    if isinstance(annotation, type) and sdk_types.is_output_type(annotation):
        return Property("object", required, members=_members(annotation))
    if any(_is_asset(one) for one in (annotation, *arguments)):
        return Property("asset", required)
    return Property("any", required)


def _is_asset(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, pulumi.Asset | pulumi.Archive)


@functools.cache
def _members(cls: type) -> Mapping[str, Property]:
    required = _required(cls, {python: name for name, python in _python_names(cls).items()})
    types = sdk_types.output_type_types(cls)
    return {name: _property(annotation, name in required) for name, annotation in types.items()}


def _python_names(cls: type) -> Mapping[str, str]:
    """camelCase name -> Python name of a nested output type."""
    return {
        getattr(value.fget, "_pulumi_name", python): python
        for python, value in vars(cls).items()
        if isinstance(value, property)
    }
