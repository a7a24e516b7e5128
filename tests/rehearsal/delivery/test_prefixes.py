"""Prefix expressions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.rehearsal.cloud.delivery import prefixes

AT = datetime(2026, 8, 7, 10, 5, 9, 120000, UTC)


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("yyyy/MM/dd/HH", "2026/08/07/10"),
        ("yy-M-d", "26-8-7"),
        ("'year='yyyy'/month='MM'/day='dd'/hour='HH", "year=2026/month=08/day=07/hour=10"),
        ("HH:mm:ss.SSS", "10:05:09.120"),
        ("yyyyDDD", "2026219"),
        ("dd''MM", "07'08"),
    ],
)
def test_timestamps_are_java_patterns(pattern: str, shown: str) -> None:
    assert prefixes.evaluate(f"a/!{{timestamp:{pattern}}}/b", AT) == f"a/{shown}/b"


def test_keys_types_and_random_strings() -> None:
    prefix = "k=!{partitionKeyFromLambda:day}/!{firehose:random-string}/!{firehose:random-string}/"
    first = prefixes.evaluate(prefix, AT, keys={"day": "2026-11-21"}, uid="x")
    assert first.startswith("k=2026-11-21/")
    one, two = first.split("/")[1:3]
    assert (len(one), len(two), one == two) == (11, 11, False)
    assert prefixes.evaluate("!{firehose:error-output-type}/", AT, error_type="processing-failed") == (
        "processing-failed/"
    )
    with pytest.raises(prefixes.MissingKey, match="day"):
        prefixes.evaluate(prefix, AT, keys={"day": ""})


def test_what_is_appended_by_default() -> None:
    assert prefixes.evaluate(prefixes.with_default_time("p/"), AT) == "p/2026/08/07/10/"
    assert prefixes.with_default_time("p/!{timestamp:yyyy}/") == "p/!{timestamp:yyyy}/"
    assert prefixes.evaluate(prefixes.error_prefix("p/", ""), AT, error_type="processing-failed") == (
        "p/processing-failed/2026/08/07/10/"
    )


def test_bad_prefixes_say_why() -> None:
    with pytest.raises(prefixes.PrefixError, match="outside an expression"):
        prefixes.expressions("a/!{day}/")
    with pytest.raises(prefixes.PrefixError, match="at most 512"):
        prefixes.evaluate("x" * 513, AT)
    assert list(prefixes.uncarried("!{timestamp:MMM}/!{partitionKeyFromQuery:a}/!{timestamp:yyyy}")) == [
        "the pattern letters 'MMM' in !{timestamp:MMM}",
        "!{partitionKeyFromQuery:a} (inline parsing with jq)",
    ]
