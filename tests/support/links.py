"""Changes of one link of a rehearsed path, each undone when its block ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rehearsed import LOG, Rehearsed

FUNCTION = f"{LOG}-front-door"
ROLE = f"{FUNCTION}-eu-west-1"
STREAM = f"{LOG}-predictions"
DELIVERY_ROLE = f"{LOG}-delivery-eu-west-1"
BUCKET = "mainstage-dev-predictions-111111111111-eu-west-1"


@contextmanager
def changed(change: Callable[[], object], restore: Callable[[], object]) -> Iterator[None]:
    change()
    try:
        yield
    finally:
        restore()


@contextmanager
def policy_changed(rehearsed: Rehearsed, role: str, change: Callable[[list[dict[str, Any]]], Any]) -> Iterator[None]:
    """The role's one inline policy with its statements as `change` returns them."""
    iam = rehearsed.client("iam")
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]

    def put(statements: Any) -> None:
        document = json.dumps({**policy, "Statement": statements})
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)

    with changed(lambda: put(change(policy["Statement"])), lambda: put(policy["Statement"])):
        yield


@contextmanager
def without_statement(rehearsed: Rehearsed, role: str, *sids: str) -> Iterator[None]:
    """The role without the statements of these names."""

    def left(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert set(sids) <= {each["Sid"] for each in statements}
        return [each for each in statements if each["Sid"] not in sids]

    with policy_changed(rehearsed, role, left):
        yield


@contextmanager
def trust_broken(rehearsed: Rehearsed, role: str) -> Iterator[None]:
    """The role is for another service."""
    iam = rehearsed.client("iam")
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    other = json.loads(json.dumps(trust).replace("lambda.amazonaws.com", "glue.amazonaws.com"))
    assert other != trust
    with changed(
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(other)),
        lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust)),
    ):
        yield


@contextmanager
def variables(rehearsed: Rehearsed, **values: str) -> Iterator[None]:
    """The front door's function with other environment variables."""
    functions = rehearsed.client("lambda")
    before = functions.get_function_configuration(FunctionName=FUNCTION)["Environment"]["Variables"]

    def put(given: Mapping[str, str]) -> None:
        functions.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": given})

    with changed(lambda: put({**before, **values}), lambda: put(before)):
        yield
