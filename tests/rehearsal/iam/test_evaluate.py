"""The decision itself: each rule of AWS's evaluation logic both ways."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rehearsal.cloud.api import Principal
from infra.rehearsal.cloud.iam.documents import Policy, PolicyKind, parse
from infra.rehearsal.cloud.iam.evaluate import ALLOWED, Decision, Layer, Policies, Question, evaluate

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app/reader"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/reader/run"
READER = Principal("role", SESSION, ACCOUNT, ROLE)
USER = Principal("user", f"arn:aws:iam::{ACCOUNT}:user/ann", ACCOUNT)
ALARMS = Principal("service", "cloudwatch.amazonaws.com", ACCOUNT)
OBJECT = "arn:aws:s3:::models/iris/1/model.tar.gz"


def identity(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    return parse({"Version": version, "Statement": list(statements)}, PolicyKind.IDENTITY)


def resource(*statements: dict[str, Any]) -> Policy:
    return parse({"Version": "2012-10-17", "Statement": list(statements)}, PolicyKind.RESOURCE)


def allow(action: Any = "s3:GetObject", target: Any = "*", **rest: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": target, **rest}


def deny(action: Any = "s3:GetObject", target: Any = "*", **rest: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": target, **rest}


def ask(policies: Policies, *, who: Principal = READER, action: str = "s3:GetObject", **context: str) -> Decision:
    keys = {key.replace("__", ":").lower(): (value,) for key, value in context.items()}
    return evaluate(Question(who, action, OBJECT, keys), policies)


READS = identity(allow())
NOTHING = identity(allow("ec2:DescribeVpcs"))


def silent(layer: Layer) -> Decision:
    return Decision(False, layer)


class TestIdentity:
    def test_nothing_is_allowed_by_default(self) -> None:
        assert ask(Policies()) == silent(Layer.IDENTITY)

    def test_an_allow_allows(self) -> None:
        assert ask(Policies((READS,))) == ALLOWED

    def test_a_deny_beats_an_allow_and_is_named(self) -> None:
        refusal = identity(deny(Sid="NoReads"))
        assert ask(Policies((READS, refusal))) == Decision(False, Layer.IDENTITY, explicit=True, sid="NoReads")

    def test_action_names_are_not_case_sensitive_and_resources_are(self) -> None:
        assert ask(Policies((identity(allow("S3:getobject")),))).allowed
        assert not ask(Policies((identity(allow(target=OBJECT.upper().replace("ARN:AWS:S3", "arn:aws:s3"))),))).allowed

    @pytest.mark.parametrize(
        ("pattern", "allowed"),
        [("s3:*", True), ("s3:Get*", True), ("s3:GetObjec?", True), ("s3:GetObject?", False), ("*", True)],
    )
    def test_wildcards_in_actions(self, pattern: str, allowed: bool) -> None:
        assert ask(Policies((identity(allow(pattern)),))).allowed is allowed

    @pytest.mark.parametrize(
        ("pattern", "allowed"),
        [
            ("arn:aws:s3:::models/iris/*", True),
            ("arn:aws:s3:::models/*/model.tar.gz", True),
            ("arn:aws:s3:::models", False),
            ("arn:aws:s3:::models/iris/?/model.tar.gz", True),
            ("arn:aws:s3:::models/iris/??/model.tar.gz", False),
        ],
    )
    def test_wildcards_in_resources(self, pattern: str, allowed: bool) -> None:
        assert ask(Policies((identity(allow(target=pattern)),))).allowed is allowed

    def test_not_action_and_not_resource_allow_all_the_rest(self) -> None:
        all_but_writes = {"Effect": "Allow", "NotAction": "s3:Put*", "Resource": "*"}
        assert ask(Policies((identity(all_but_writes),))).allowed
        assert not ask(Policies((identity(all_but_writes),)), action="s3:PutObject").allowed
        elsewhere = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::models/*"}
        assert not ask(Policies((identity(elsewhere),))).allowed


class TestBoundaryAndSession:
    def test_a_boundary_narrows_and_grants_nothing(self) -> None:
        assert ask(Policies((READS,), boundary=READS)).allowed
        assert ask(Policies((READS,), boundary=NOTHING)) == silent(Layer.BOUNDARY)
        assert ask(Policies((), boundary=READS)) == silent(Layer.IDENTITY)

    def test_a_deny_in_the_boundary_is_named(self) -> None:
        boundary = identity(allow("*"), deny())
        assert ask(Policies((READS,), boundary=boundary)) == Decision(False, Layer.BOUNDARY, explicit=True)

    def test_a_session_policy_narrows(self) -> None:
        assert ask(Policies((READS,), session=(READS,))).allowed
        assert ask(Policies((READS,), session=(NOTHING,))) == silent(Layer.SESSION)
        assert ask(Policies((READS,), session=(NOTHING, READS))).allowed


class TestResourcePolicy:
    def names(self, principal: Any) -> Policy:
        return resource(allow(Principal=principal))

    def test_the_role_is_granted_but_its_boundary_and_session_still_hold(self) -> None:
        granted = self.names({"AWS": ROLE})
        assert ask(Policies(resource=granted)).allowed
        assert ask(Policies(resource=granted, boundary=NOTHING)) == silent(Layer.BOUNDARY)
        assert ask(Policies(resource=granted, session=(NOTHING,))) == silent(Layer.SESSION)

    @pytest.mark.parametrize("principal", [{"AWS": SESSION}, "*", {"AWS": "*"}])
    def test_a_session_or_everyone_is_granted_past_the_boundary(self, principal: Any) -> None:
        assert ask(Policies(resource=self.names(principal), boundary=NOTHING, session=(NOTHING,))).allowed

    @pytest.mark.parametrize("principal", [{"AWS": ACCOUNT}, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}])
    def test_the_account_only_hands_the_decision_to_identity_policies(self, principal: Any) -> None:
        assert ask(Policies(resource=self.names(principal))) == silent(Layer.IDENTITY)
        assert ask(Policies((READS,), resource=self.names(principal))).allowed

    def test_a_user_is_granted_directly(self) -> None:
        assert ask(Policies(resource=self.names({"AWS": USER.arn}), boundary=NOTHING), who=USER).allowed

    def test_a_deny_wins_over_everything_and_reaches_sessions_by_role_and_account(self) -> None:
        for principal in ("*", {"AWS": ROLE}, {"AWS": SESSION}, {"AWS": ACCOUNT}):
            refused = resource(deny(Principal=principal, Sid="No"), allow(Principal="*"))
            assert ask(Policies((READS,), resource=refused)) == Decision(False, Layer.RESOURCE, explicit=True, sid="No")
        assert ask(Policies((READS,), resource=resource(deny(Principal={"AWS": OTHER})))).allowed

    def test_where_the_resource_decides_silence_refuses(self) -> None:
        assert ask(Policies((READS,), resource=self.names({"AWS": OTHER}), resource_decides=True)) == silent(
            Layer.RESOURCE
        )
        delegated = self.names({"AWS": ACCOUNT})
        assert ask(Policies((READS,), resource=delegated, resource_decides=True)).allowed
        assert ask(Policies((), resource=delegated, resource_decides=True)) == silent(Layer.IDENTITY)

    def test_another_account_needs_both_sides(self) -> None:
        granted = self.names({"AWS": ROLE})
        assert ask(Policies((READS,), resource=granted, resource_account=OTHER)).allowed
        assert ask(Policies((), resource=granted, resource_account=OTHER)) == silent(Layer.IDENTITY)
        assert ask(Policies((READS,), resource_account=OTHER)) == silent(Layer.RESOURCE)
        assert ask(Policies((), resource=self.names("*"), resource_account=OTHER)) == silent(Layer.IDENTITY)

    def test_a_service_lives_by_the_resource_policy_alone(self) -> None:
        granted = self.names({"Service": "cloudwatch.amazonaws.com"})
        assert ask(Policies(resource=granted), who=ALARMS).allowed
        assert ask(Policies(resource=self.names({"Service": "events.amazonaws.com"})), who=ALARMS) == silent(
            Layer.RESOURCE
        )
        assert not ask(Policies((READS,)), who=ALARMS).allowed
        assert not ask(Policies(resource=self.names({"AWS": ACCOUNT})), who=ALARMS).allowed

    def test_not_principal_exempts_only_what_is_listed_whole(self) -> None:
        def refuse_others(*listed: str) -> Policies:
            return Policies((READS,), resource=resource(deny(NotPrincipal={"AWS": list(listed)})))

        assert ask(refuse_others(SESSION, ROLE, ACCOUNT)).allowed
        assert not ask(refuse_others(SESSION, ROLE)).allowed
        assert not ask(refuse_others(ROLE, ACCOUNT)).allowed
        assert ask(refuse_others(USER.arn, ACCOUNT), who=USER).allowed
        assert ask(Policies(resource=resource(allow(NotPrincipal={"AWS": OTHER})))).allowed
        assert not ask(Policies(resource=resource(allow(NotPrincipal={"AWS": ROLE})))).allowed


class TestVariables:
    def test_a_variable_is_filled_from_the_request(self) -> None:
        own = Policies((identity(allow(target="arn:aws:s3:::models/${aws:PrincipalTag/team}/*")),))
        assert ask(own, aws__PrincipalTag_team="x") == silent(Layer.IDENTITY)
        keys = {"aws:principaltag/team": ("iris",)}
        assert evaluate(Question(READER, "s3:GetObject", OBJECT, keys), own).allowed

    def test_wildcards_in_a_value_are_text(self) -> None:
        own = Policies((identity(allow(target="arn:aws:s3:::models/${aws:username}/1/model.tar.gz")),))
        assert ask(own, aws__username="iris").allowed
        assert not ask(own, aws__username="*").allowed

    def test_a_default_stands_in_and_a_missing_value_matches_nothing(self) -> None:
        with_default = Policies((identity(allow(target="arn:aws:s3:::models/${aws:username, 'iris'}/*")),))
        assert ask(with_default).allowed
        assert not ask(Policies((identity(allow(target="arn:aws:s3:::models/${aws:username}/*")),))).allowed

    def test_the_older_version_has_no_variables(self) -> None:
        policy = identity(allow(target="arn:aws:s3:::models/${aws:username}/*"), version="2008-10-17")
        assert not ask(Policies((policy,)), aws__username="iris").allowed

    def test_escapes_are_the_characters_themselves(self) -> None:
        starred = identity(allow(target="arn:aws:s3:::models/${*}"))
        asked = Question(READER, "s3:GetObject", "arn:aws:s3:::models/*")
        assert evaluate(asked, Policies((starred,))).allowed
        assert not ask(Policies((starred,))).allowed
