"""Laws of the policy language, over generated policies and requests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.api import Principal
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, parse
from infra.rehearsal.cloud.iam.evaluate import ALLOW_ALL, Policies, Question, evaluate
from infra.rehearsal.cloud.iam.operators import holds
from infra.rehearsal.cloud.iam.patterns import like, plain, render

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s"

ACTIONS = ("s3:GetObject", "s3:PutObject", "kms:Decrypt")
ARNS = ("arn:aws:s3:::b/a", "arn:aws:s3:::b/b", "arn:aws:kms:eu-west-1:111122223333:key/k")
principals = st.sampled_from(
    [
        Principal("role", SESSION, ACCOUNT, ROLE),
        Principal("user", f"arn:aws:iam::{ACCOUNT}:user/u", ACCOUNT),
        Principal("service", "logs.amazonaws.com", ACCOUNT),
    ]
)
named = st.sampled_from(
    ["*", {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": ACCOUNT}, {"AWS": OTHER}, {"Service": "logs.amazonaws.com"}]
)
contexts = st.dictionaries(
    st.sampled_from(["aws:securetransport", "aws:sourceaccount"]),
    st.lists(st.sampled_from(["true", "false", ACCOUNT]), min_size=1, max_size=2).map(tuple),
)
conditions = st.none() | st.builds(
    lambda operator, key, values: {operator: {key: values}},
    st.sampled_from(["StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAnyValue:StringLike", "Null"]),
    st.sampled_from(["aws:SecureTransport", "aws:SourceAccount"]),
    st.lists(st.sampled_from(["true", "false", "*", ACCOUNT]), min_size=1, max_size=2),
)


@st.composite
def statements(draw: st.DrawFn, effect: str | None = None, *, with_principal: bool = False) -> dict[str, Any]:
    actions = st.lists(st.sampled_from([*ACTIONS, "s3:*", "s3:*Object", "*"]), min_size=1, max_size=2)
    resources = st.lists(st.sampled_from([*ARNS, "arn:aws:s3:::b/?", "*"]), min_size=1, max_size=2)
    made: dict[str, Any] = {"Effect": effect or draw(st.sampled_from(["Allow", "Deny"]))}
    made[draw(st.sampled_from(["Action", "NotAction"]))] = draw(actions)
    made[draw(st.sampled_from(["Resource", "NotResource"]))] = draw(resources)
    condition = draw(conditions)
    if condition:
        made["Condition"] = condition
    if with_principal:
        made["Principal"] = draw(named)
    return made


def policy(listed: list[dict[str, Any]], kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    return parse({"Version": "2012-10-17", "Statement": listed}, kind)


def documents(effect: str | None = None) -> st.SearchStrategy[Policy]:
    return st.lists(statements(effect), min_size=1, max_size=3).map(policy)


def resource_documents() -> st.SearchStrategy[Policy]:
    made = st.lists(statements(with_principal=True), min_size=1, max_size=3)
    return made.map(lambda listed: policy(listed, PolicyKind.RESOURCE))


questions = st.builds(Question, principals, st.sampled_from(ACTIONS), st.sampled_from(ARNS), contexts)
sets = st.builds(
    Policies,
    identity=st.lists(documents(), max_size=2).map(tuple),
    boundary=st.none() | documents(),
    session=st.none() | st.lists(documents(), min_size=1, max_size=2).map(tuple),
    resource=st.none() | resource_documents(),
    resource_decides=st.booleans(),
    resource_account=st.sampled_from(["", ACCOUNT, OTHER]),
)


@given(questions, sets)
def test_a_deny_that_matches_everything_always_wins(question: Question, policies: Policies) -> None:
    no = policy([{"Effect": "Deny", "Action": "*", "Resource": "*"}])
    nobody = policy([{"Effect": "Deny", "Action": "*", "Resource": "*", "Principal": "*"}], PolicyKind.RESOURCE)
    for refused in (
        replace(policies, identity=(*policies.identity, no)),
        replace(policies, boundary=no),
        replace(policies, session=(*(policies.session or ()), no)),
        replace(policies, resource=nobody),
    ):
        decision = evaluate(question, refused)
        assert not decision.allowed
        assert decision.explicit


@given(questions, sets, documents("Allow"))
def test_adding_an_allow_never_takes_a_permission_away(question: Question, policies: Policies, more: Policy) -> None:
    if evaluate(question, policies).allowed:
        assert evaluate(question, replace(policies, identity=(*policies.identity, more))).allowed


@given(questions, sets, documents("Deny"))
def test_adding_a_deny_never_gives_a_permission(question: Question, policies: Policies, more: Policy) -> None:
    if evaluate(question, replace(policies, identity=(*policies.identity, more))).allowed:
        assert evaluate(question, policies).allowed


@given(questions, sets, documents())
def test_boundary_and_session_policies_only_narrow(question: Question, policies: Policies, limit: Policy) -> None:
    free = replace(policies, boundary=None, session=None)
    for narrowed in (replace(free, boundary=limit), replace(free, session=(limit,))):
        if evaluate(question, narrowed).allowed:
            assert evaluate(question, free).allowed


@given(questions, sets)
def test_a_boundary_that_allows_all_changes_nothing(question: Question, policies: Policies) -> None:
    free = replace(policies, boundary=None)
    assert evaluate(question, replace(free, boundary=ALLOW_ALL)) == evaluate(question, free)


@given(questions, sets)
def test_another_account_is_never_easier_than_the_same(question: Question, policies: Policies) -> None:
    if evaluate(question, replace(policies, resource_account=OTHER)).allowed:
        assert evaluate(question, replace(policies, resource_account="")).allowed


@given(questions, documents())
def test_order_and_single_values_do_not_matter(question: Question, document: Policy) -> None:
    turned = replace(document, statements=tuple(reversed(document.statements)))
    assert evaluate(question, Policies((turned,))).allowed == evaluate(question, Policies((document,))).allowed


@given(statements())
def test_a_list_of_one_is_the_same_as_the_value(statement: dict[str, Any]) -> None:
    def single(value: Any) -> Any:
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    written = {key: single(value) for key, value in statement.items()}
    assert policy([written]) == policy([statement])
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=3)
    assert parse(text, PolicyKind.IDENTITY) == policy([statement])


texts = st.text(alphabet="ab*?:/${}", max_size=8)


@given(texts, texts)
def test_a_star_matches_any_tail_and_a_question_mark_one_character(head: str, tail: str) -> None:
    literal = head.replace("*", "x").replace("?", "x")
    assert like(f"{literal}*", f"{literal}{tail}")
    assert like("*", tail)
    assert like("?" * len(tail), tail)
    assert not like("?" * (len(tail) + 1), tail)


@given(texts)
def test_text_without_wildcards_matches_itself_only(text: str) -> None:
    literal = text.replace("*", "x").replace("?", "x")
    assert like(literal, literal)
    assert not like(literal, literal + "a")


@given(texts)
def test_a_variable_value_is_never_a_wildcard(value: str) -> None:
    rendered = render("${aws:username}", {"aws:username": (value,)})
    assert rendered is not None
    assert plain(rendered) == value
    assert like(rendered, value)
    assert not like(rendered, value + "x")


@given(
    st.sampled_from([("StringEquals", "StringNotEquals"), ("StringLike", "StringNotLike"), ("ArnLike", "ArnNotLike")]),
    st.lists(texts, min_size=1, max_size=3),
    st.none() | texts,
)
def test_a_negated_operator_is_the_negation(pair: tuple[str, str], wanted: list[str], got: str | None) -> None:
    context = {} if got is None else {"aws:x": (got,)}

    def answer(operator: str) -> bool:
        listed = [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {"aws:x": wanted}}}]
        return holds(policy(listed).statements[0].conditions[0], context, variables=False)

    assert answer(pair[0]) is not answer(pair[1])
