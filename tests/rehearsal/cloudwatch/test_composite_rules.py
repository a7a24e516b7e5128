"""The grammar of composite alarms' rules, and whether they hold."""

from __future__ import annotations

import itertools

import pytest

from infra.rehearsal.cloud.composite_rules import NotCarriedRule, RuleError, alarms_in, holds, parse


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ALARM(a)", True),
        ("OK(a)", False),
        ("OK(b)", True),
        ("INSUFFICIENT_DATA(c)", True),
        ('ALARM("a")', True),
        ('ALARM("a b (c), d")', True),
        ("ALARM( a )", True),
        ("ALARM(arn:aws:cloudwatch:eu-west-1:111111111111:alarm:a)", True),
        ("NOT ALARM(a)", False),
        ("NOT NOT ALARM(a)", True),
        ("ALARM(a) AND ALARM(b)", False),
        ("ALARM(a) OR ALARM(b)", True),
        ("ALARM(a)\n  OR\n ALARM(b)", True),
        ("ALARM(a) OR ALARM(b) AND ALARM(b)", True),
        ("(ALARM(a) OR ALARM(b)) AND ALARM(b)", False),
        ("NOT ALARM(b) AND ALARM(a)", True),
        ("NOT (ALARM(b) OR ALARM(a))", False),
        ("TRUE", True),
        ("FALSE", False),
        ("false", False),
        ("FALSE OR TRUE AND TRUE", True),
    ],
)
def test_what_holds(rule, expected):
    states = {"a": "ALARM", "b": "OK", "c": "INSUFFICIENT_DATA", "a b (c), d": "ALARM"}
    assert holds(parse(rule), lambda named: states[named.rpartition(":")[2]]) is expected


def test_the_alarms_of_a_rule_each_once():
    assert alarms_in(parse("ALARM(b) AND (OK(a) OR NOT ALARM(b)) OR TRUE")) == ("b", "a")


def test_precedence_is_that_of_python():
    names = "abcd"
    for joins in itertools.product(("AND", "OR"), repeat=3):
        rule = " ".join(f"ALARM({name}) {join}" for name, join in zip(names, (*joins, ""), strict=True)).strip()
        for values in itertools.product((True, False), repeat=4):
            by_name = {name: "ALARM" if value else "OK" for name, value in zip(names, values, strict=True)}
            python = " ".join(f"{value} {join.lower()}" for value, join in zip(values, (*joins, ""), strict=True))
            assert holds(parse(rule), by_name.__getitem__) is eval(python), rule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("", "must not contain leading or trailing whitespace or be null"),
        (" ALARM(a)", "must not contain leading or trailing whitespace"),
        ("()", "Unsupported token ')' at char 1, must be: '(', 'NOT', AT_LEAST, TRUE or FALSE"),
        ("alarm(a)", "Unsupported token 'alarm' at char 0"),
        ("ALARM", "Unsupported token 'the end' at char 5"),
        ("ALARM()", "Unsupported token ')' at char 6, must be: the name or the ARN of an alarm"),
        ('ALARM("")', "must be: the name or the ARN of an alarm"),
        ("ALARM(a", "must be: ')'"),
        ("ALARM(a b)", "Unsupported token 'b' at char 8, must be: ')'"),
        ("ALARM(a) ALARM(b)", "Unsupported token 'ALARM' at char 9, must be: the end, AND or OR"),
        ("ALARM(a) and ALARM(b)", "Unsupported token 'and' at char 9"),
        ("ALARM(a) AND", "Unsupported token 'the end' at char 12"),
        ('ALARM("a)', "a closing quote"),
        (" OR ".join(f"ALARM(a{number})" for number in range(101)), "more than 100 alarms"),
        (" OR ".join(["TRUE"] * 501), "more than 500 elements"),
    ],
)
def test_what_is_no_rule(rule, words):
    with pytest.raises(RuleError) as caught:
        parse(rule)
    assert words in str(caught.value)


def test_a_hundred_alarms_go():
    assert len(alarms_in(parse(" OR ".join(f"ALARM(a{number})" for number in range(100))))) == 100


def test_at_least_is_not_carried():
    with pytest.raises(NotCarriedRule):
        parse("AT_LEAST(2, ALARM, (a, b, c))")
