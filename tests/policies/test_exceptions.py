"""The file of exceptions: what is read, what is refused, what it lets through, and when it is told to go."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from policy_cases import CASES, changed, graph, made, real, rule_named

from infra.policy_check import EXCEPTIONS_FILE
from policies.exceptions import Allowance, Exceptions, read
from policies.judging import Judge
from policies.rules import UNKNOWN, Resource, ResourceRule, Stack

TODAY = date(2026, 11, 21)
FILE = "policies/exceptions.yaml"
NAMES = [case.rule for case in CASES]
URN = "urn:pulumi:models-prod::mainstage::*::iris-route-logs"
ENTRY = f"""
exceptions:
  - rule: log-retention
    urn: "{URN}"
    owner: ml-platform
    reason: the auditor keeps a copy
    expires: 2027-03-31
"""
ALLOWED_FORM = '"urn:pulumi:<stack>::<project>::<type>::<name>", with * and ? in any part'


def file_of(folder: Path, text: str) -> Path:
    file = folder / "policies" / "exceptions.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def allowance(**changes: object) -> Allowance:
    values = {
        "rule": "log-retention",
        "urn": URN,
        "owner": "ml-platform",
        "reason": "the auditor keeps a copy",
        "expires": date(2027, 3, 31),
        "where": "policies/exceptions.yaml:3",
    }
    return Allowance(**{**values, **changes})  # pyright: ignore[reportArgumentType]  # what the test gives


def judge(*allowances: Allowance, today: date = TODAY) -> Judge:
    return Judge(Exceptions(allowances), today)


def rule() -> ResourceRule:
    found = rule_named("log-retention")
    assert isinstance(found, ResourceRule)
    return found


def bad(name: str = "iris-route-logs") -> Resource:
    return changed(real(name), "retentionInDays", 1)


def stack_with(resource: Resource) -> Stack:
    others = [each for each in graph("models-prod").resources if each.urn != resource.urn]
    return Stack("models-prod", (*others, resource))


def test_a_well_formed_entry_is_read(tmp_path: Path) -> None:
    assert read(file_of(tmp_path, ENTRY), NAMES, TODAY) == Exceptions((allowance(),))


@pytest.mark.parametrize("text", ["", "# nothing\n", "exceptions:\n", "exceptions: []\n"])
def test_a_file_without_entries_has_none(tmp_path: Path, text: str) -> None:
    assert read(file_of(tmp_path, text), NAMES, TODAY) == Exceptions()


def test_no_file_has_none(tmp_path: Path) -> None:
    assert read(tmp_path / "exceptions.yaml", NAMES, TODAY) == Exceptions()


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        (
            "log-retention",
            "log-retentions",
            ["rule is 'log-retentions', which no rule is called; did you mean 'log-retention'?"],
        ),
        (URN, "iris-route-logs", [f"urn is 'iris-route-logs'; allowed: {ALLOWED_FORM}"]),
        (URN, "urn:pulumi:models-prod::*", [f"urn is 'urn:pulumi:models-prod::*'; allowed: {ALLOWED_FORM}"]),
        (": ml-platform", ": ", ["owner is not set; allowed: who answers for it"]),
        (": ml-platform", ": 7", ["owner is 7; allowed: who answers for it"]),
        ("the auditor keeps a copy", '" "', ["reason is not set; allowed: why it is right here"]),
        (
            "2027-03-31",
            "soon",
            ["expires is 'soon'; allowed: a date, such as 2027-03-31: the last day on which it holds"],
        ),
        ("2027-03-31", "2027-11-22", []),
        ("2027-03-31", "2027-11-23", ["expires is 2027-11-23; allowed: 2027-11-22 at the latest, a year from now"]),
        (
            "owner:",
            "ower:",
            [
                "unknown key 'ower'; did you mean 'owner'?; allowed: rule, urn, owner, reason, expires",
                "owner is not set; allowed: who answers for it",
            ],
        ),
    ],
)
def test_a_malformed_entry_is_an_error_with_its_line_and_excuses_nothing(
    tmp_path: Path, old: str, new: str, problems: list[str]
) -> None:
    found = read(file_of(tmp_path, ENTRY.replace(old, new)), NAMES, TODAY)
    assert list(found.problems) == [f"policies/exceptions.yaml:3: {problem}" for problem in problems]
    assert len(found.allowances) == (0 if problems else 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("exceptions: {}\n", "policies/exceptions.yaml: exceptions is {}; allowed: a list"),
        ("exceptions: {a: 1}\n", "policies/exceptions.yaml: exceptions is {'a': 1}; allowed: a list"),
        ("exceptions: none\n", "policies/exceptions.yaml: exceptions is 'none'; allowed: a list"),
        ("exception: []\n", "policies/exceptions.yaml: got exception; allowed: one key `exceptions` with a list"),
        (
            "exceptions: []\nowner: a\n",
            "policies/exceptions.yaml: got exceptions, owner; allowed: one key `exceptions` with a list",
        ),
        ("{}\n", "policies/exceptions.yaml: got {}; allowed: one key `exceptions` with a list"),
        ("- a\n", "policies/exceptions.yaml: got ['a']; allowed: one key `exceptions` with a list"),
        (
            "exceptions:\n  - a\n",
            "policies/exceptions.yaml:2: got 'a'; allowed: the keys rule, urn, owner, reason, expires",
        ),
        (
            'exceptions: !!python/object/apply:os.system ["id"]\n',
            "policies/exceptions.yaml:1: got a tag, !!python/object/apply:os.system; allowed: texts and dates without "
            "tags",
        ),
        (
            "exceptions:\n  - rule: !mine log-retention\n",
            "policies/exceptions.yaml:2: got a tag, !mine; allowed: texts and dates without tags",
        ),
    ],
)
def test_a_file_of_another_form_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    assert read(file_of(tmp_path, text), NAMES, TODAY) == Exceptions(problems=(problem,))


def test_what_is_no_yaml_is_an_error(tmp_path: Path) -> None:
    (problem,) = read(file_of(tmp_path, "exceptions: [\n"), NAMES, TODAY).problems
    assert problem.startswith("policies/exceptions.yaml: no YAML: ")


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "policies" / "exceptions.yaml"
    file.mkdir(parents=True)
    (problem,) = read(file, NAMES, TODAY).problems
    assert problem == "policies/exceptions.yaml: cannot be read: Is a directory; fix: make it a file of exceptions"


def test_the_same_entry_twice_is_an_error(tmp_path: Path) -> None:
    twice = ENTRY + ENTRY.partition("exceptions:\n")[2]
    found = read(file_of(tmp_path, twice), NAMES, TODAY)
    assert found.problems == (
        "policies/exceptions.yaml:8: the same rule and urn stand above; fix: remove one of the two",
    )


def test_an_exception_lets_one_resource_through_one_rule() -> None:
    assert [each.rule.name for each in judge().resource(rule(), bad())] == ["log-retention"]
    assert judge(allowance()).resource(rule(), bad()) == []
    assert len(judge(allowance()).resource(rule(), bad("card-fraud-route-logs"))) == 1
    assert len(judge(allowance(rule="log-group-encrypted")).resource(rule(), bad())) == 1


@pytest.mark.parametrize(
    ("urn", "matches"),
    [
        ("urn:pulumi:models-prod::mainstage::*::iris-route-logs", True),
        ("urn:pulumi:models-*::*::*::iris-*-logs", True),
        ("urn:pulumi:models-dev::mainstage::*::iris-route-logs", False),
        ("urn:pulumi:models-prod::mainstage::*$aws:cloudwatch/logGroup:LogGroup::*", True),
        # A star does not reach over the end of its part.
        ("urn:pulumi:*::iris-route-logs::*::*", False),
    ],
)
def test_a_glob_is_matched_part_by_part(urn: str, matches: bool) -> None:
    assert allowance(urn=urn).matches(real("iris-route-logs").urn) is matches


def test_an_exception_holds_to_the_end_of_its_last_day() -> None:
    last = date(2027, 3, 31)
    assert judge(allowance(), today=last).everything(stack_with(bad())) == []
    found = judge(allowance(), today=date(2027, 4, 1)).everything(stack_with(bad()))
    assert [each.rule.name for each in found] == ["log-retention", "exceptions"]
    assert str(found[1]) == (
        f"{FILE}:3: the exception from log-retention for {URN} expired on 2027-03-31; fix: mend the resource "
        "and remove it, or let ml-platform decide again; rule exceptions"
    )


def test_an_exception_that_nothing_needs_is_an_error_in_the_stacks_that_it_names() -> None:
    (found,) = judge(allowance()).everything(graph("models-prod"))
    assert str(found) == (
        f"{FILE}:3: nothing in models-prod needs the exception from log-retention for {URN}; fix: remove it, "
        "or name only the stacks that need it; rule exceptions"
    )
    assert judge(allowance()).everything(graph("platform-prod")) == []
    assert judge(allowance(expires=date(2026, 1, 1))).everything(graph("platform-prod")) == []


def test_an_exception_is_not_called_unused_while_its_rule_cannot_judge() -> None:
    """A preview: the `up` will know the value, and may need the exception."""
    waiting = stack_with(changed(real("iris-route-logs"), "retentionInDays", UNKNOWN))
    assert judge(allowance()).everything(waiting) == []
    of_stack = allowance(rule="endpoint-logs-predictions", urn="urn:pulumi:models-prod::*::*::iris-route-function")
    assert judge(of_stack).everything(waiting) == []
    assert len(judge(of_stack).everything(graph("models-prod"))) == 1


def test_an_exception_from_a_rule_of_the_whole_stack_counts_as_used() -> None:
    left = tuple(each for each in graph("models-prod").resources if each.name != "iris-log-stream")
    of_stack = allowance(rule="endpoint-logs-predictions", urn="urn:pulumi:models-prod::*::*::iris-route-function")
    assert judge(of_stack).everything(Stack("models-prod", left)) == []
    assert [each.rule.name for each in judge().everything(Stack("models-prod", left))] == ["endpoint-logs-predictions"]


def test_what_an_exception_did_before_the_end_is_remembered() -> None:
    """One by one a rule sees what was asked for, at the end what the provider made of it: there it may look right."""
    judging = judge(allowance())
    assert judging.resource(rule(), bad()) == []
    assert judging.exceptions(graph("models-prod")) == []


def test_a_malformed_file_is_told_in_every_stack() -> None:
    judging = Judge(Exceptions(problems=("policies/exceptions.yaml:3: owner is not set",)), TODAY)
    empty = Stack("other-dev", (made("other:index:Thing", {}, "other-dev"),))
    assert [str(each) for each in judging.everything(empty)] == [
        "policies/exceptions.yaml:3: owner is not set; rule exceptions"
    ]


def test_the_committed_file_shows_an_entry_that_is_well_formed(tmp_path: Path, root: Path) -> None:
    """Who takes the `#` away has an entry that works."""
    lines = (root / EXCEPTIONS_FILE).read_text(encoding="utf-8").splitlines()
    shown = [line[2:] for line in lines if line.startswith(("# - ", "#   "))]
    text = "exceptions:\n" + "\n".join(f"  {line}" for line in shown) + "\n"
    found = read(file_of(tmp_path, text), NAMES, TODAY)
    assert found.problems == ()
    assert len(found.allowances) == 1
