"""What components need of the emulated cloud: types with a row, and operations that somebody answers."""

from __future__ import annotations

import ast
import fnmatch
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from infra.rehearsal.engine import Registered

CarriedBy = Callable[[str, str], str | None]
Operation = tuple[str, str]

_SERVICES = {"monitoring": ("cloudwatch",), "sagemaker": ("sagemaker", "sagemaker-runtime")}
"""botocore's services by the prefix of IAM's actions, where that is not the service's name."""
_OPERATIONS = {
    "lambda:InvokeFunction": ("Invoke",),
    "s3:ListBucket": ("ListObjectsV2",),
    "s3:ListBucketMultipartUploads": ("ListMultipartUploads",),
    "s3:GetObjectVersion": ("GetObject",),
    "s3:DeleteObjectVersion": ("DeleteObject",),
    "kms:ReEncryptFrom": ("ReEncrypt",),
    "kms:ReEncryptTo": ("ReEncrypt",),
}
"""Actions that are not named like their operations (Service Authorization Reference)."""


def complaints(resources: Iterable[Registered], rows: Mapping[str, Any], carried_by: CarriedBy) -> list[str]:
    """What the emulated cloud lacks for these resources, each as a line that names the component."""
    found = list(resources)
    by_urn = {resource.urn: resource for resource in found}
    lines = []
    for resource in found:
        if not resource.type.startswith("aws:"):
            continue
        where = _whose(resource, by_urn)
        if resource.type not in rows:
            lines.append(f"{where}: the provider's table has no row for {resource.type}")
        for action in actions_of(resource):
            lines += [f"{where}: {action}: {problem}" for problem in _problems(action, carried_by)]
    return lines


def _whose(resource: Registered, by_urn: Mapping[str, Registered]) -> str:
    parent = by_urn.get(resource.parent)
    owner = f"{parent.type.rpartition(':')[2]} {parent.name}" if parent else "the program"
    return f"{owner}, {resource.type} {resource.name}"


def actions_of(resource: Registered) -> list[str]:
    """The IAM actions that a resource's policies speak of, in any of its properties. "*" says nothing of operations."""
    actions: set[str] = set()
    for value in resource.inputs.values():
        if isinstance(value, str) and value.startswith("{"):
            statements = json.loads(value).get("Statement", [])
            for statement in statements:
                actions.update(_list(statement.get("Action", [])))
    return sorted(actions - {"*"})


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _problems(action: str, carried_by: CarriedBy) -> list[str]:
    prefix, _, name = action.partition(":")
    needed = [
        (service, operation)
        for service in _SERVICES.get(prefix, (prefix,))
        for operation in operations(service)
        if any(fnmatch.fnmatchcase(operation, pattern) for pattern in _OPERATIONS.get(action, (name,)))
    ]
    if not needed:
        return ["no operation is known for this action: name it in contract.py"]
    return uncarried(needed, carried_by)


def uncarried(needed: Iterable[Operation], carried_by: CarriedBy) -> list[str]:
    """The operations that nobody answers."""
    return [
        f"the emulated cloud does not carry {service}.{operation}"
        for service, operation in sorted(set(needed))
        if carried_by(service, operation) is None
    ]


@cache
def operations(service: str) -> frozenset[str]:
    """The operations of a service; none for what is no service."""
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return frozenset()
    names: Iterable[str] = session.get_service_model(service).operation_names  # pyright: ignore[reportAssignmentType] - botocore's own cached property
    return frozenset(names)


def operations_in(sources: Iterable[Path]) -> set[Operation]:
    """The AWS operations that modules name or call.

    Those of the services whose names stand in them as texts: `"CreateTopic"`, `client.create_topic(...)` or
    `get_paginator("list_topics")` where `"sns"` is named.
    """
    texts: set[str] = set()
    methods: set[str] = set()
    for source in sources:
        tree = ast.parse(source.read_text(encoding="utf-8"))
        # What is looked up in an answer (`answer["events"]`) names no service, nor what a request is made of.
        keys = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        keys |= {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
        for node in ast.walk(tree):
            if id(node) in keys:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.Attribute):
                methods.add(node.attr)
    return set(_named(texts, methods))


def _named(texts: set[str], methods: set[str]) -> Iterator[Operation]:
    for service in texts:
        if re.fullmatch(r"[a-z0-9-]{2,40}", service):
            for operation in operations(service):
                if operation in texts or xform_name(operation) in methods | texts:
                    yield service, operation
