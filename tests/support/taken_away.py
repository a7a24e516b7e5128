"""Statements of deployed policies, taken away with boto3 and put back."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Document = dict[str, Any]
Right = tuple[str, str]
"""Id of a statement, and one of its actions."""
EMPTY: Document = {"Version": "2012-10-17", "Statement": []}


def actions_of(statement: Document) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)


def rights_of(document: Document) -> set[Right]:
    return {(statement["Sid"], action) for statement in document["Statement"] for action in actions_of(statement)}


def less(document: Document, sid: str, action: str) -> Document:
    """The document without one action of one statement; without the statement when that was its last action."""
    assert (sid, action) in rights_of(document), f"nothing allows {action} in {sid}"
    kept = []
    for statement in document["Statement"]:
        left = [each for each in actions_of(statement) if statement["Sid"] != sid or each != action]
        if left:
            kept.append({**statement, "Action": left})
    return {**document, "Statement": kept}


def role_names(iam: Any) -> set[str]:
    return {role["RoleName"] for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"]}


def role_document(iam: Any, role: str) -> tuple[str, Document]:
    """Name and document of the one policy of a role."""
    [policy] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    return policy, iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]


@contextmanager
def role_without(iam: Any, role: str, sid: str, action: str) -> Iterator[None]:
    policy, document = role_document(iam, role)
    without = less(document, sid, action)
    if without["Statement"]:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(without))
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


@contextmanager
def trust_changed(iam: Any, role: str, change: Callable[[Document], None]) -> Iterator[None]:
    """The one statement of a role's trust policy, changed. A trust policy without any is refused by IAM."""
    trust = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    changed = copy.deepcopy(trust)
    [statement] = changed["Statement"]
    change(statement)
    assert changed != trust
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))


def another_service(statement: Document) -> None:
    statement["Principal"] = {"Service": "ec2.amazonaws.com"}


def another_account(statement: Document) -> None:
    statement["Condition"]["StringEquals"]["aws:SourceAccount"] = "222222222222"


@contextmanager
def boundary_without(iam: Any, arn: str, sid: str, action: str) -> Iterator[None]:
    """A managed policy, by a version of its own that is the default for a while."""
    before = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    without = less(boundary_document(iam, arn), sid, action)
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(without), SetAsDefault=True)
    try:
        yield
    finally:
        iam.set_default_policy_version(PolicyArn=arn, VersionId=before)
        iam.delete_policy_version(PolicyArn=arn, VersionId=version["PolicyVersion"]["VersionId"])


def boundary_document(iam: Any, arn: str) -> Document:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]


def key_document(kms: Any, key_id: str) -> Document:
    return json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])


@contextmanager
def key_without(kms: Any, key_id: str, sid: str, action: str) -> Iterator[None]:
    document = key_document(kms, key_id)
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(less(document, sid, action)))
    try:
        yield
    finally:
        kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(document))


def queue_document(sqs: Any, url: str) -> Document:
    return json.loads(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])


@contextmanager
def queue_without(sqs: Any, url: str, sid: str, action: str) -> Iterator[None]:
    document = queue_document(sqs, url)
    without = less(document, sid, action)
    text = json.dumps(without) if without["Statement"] else ""
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": text})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(document)})


def bucket_document(s3: Any, bucket: str) -> Document:
    return json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])


@contextmanager
def bucket_without(s3: Any, bucket: str, sid: str, action: str) -> Iterator[None]:
    document = bucket_document(s3, bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(less(document, sid, action)))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def permissions(client: Any, function: str) -> list[Document]:
    """The statements of a function's own policy; none when it has no policy."""
    try:
        return json.loads(client.get_policy(FunctionName=function)["Policy"])["Statement"]
    except client.exceptions.ResourceNotFoundException:
        return []


@contextmanager
def permission_changed(client: Any, function: str, source_arn: str | None) -> Iterator[None]:
    """The one permission of a function gone (None), or given to another source."""
    [statement] = permissions(client, function)
    given = {
        "FunctionName": function,
        "StatementId": statement["Sid"],
        "Action": statement["Action"],
        "Principal": statement["Principal"]["Service"],
    }
    named = statement["Condition"]["ArnLike"]["AWS:SourceArn"]
    same = {"FunctionName": function, "StatementId": statement["Sid"]}
    client.remove_permission(**same)
    if source_arn is not None:
        client.add_permission(**given, SourceArn=source_arn)
    try:
        yield
    finally:
        if source_arn is not None:
            client.remove_permission(**same)
        client.add_permission(**given, SourceArn=named)
        assert permissions(client, function) == [statement]
