"""Athena's functions and operators, each with the value that Trino's documentation gives for it.

Source of the values: Trino's documentation, "Functions and operators"; Athena User Guide, "Functions in Amazon Athena".
"""

from __future__ import annotations

import pytest

from infra.rehearsal.cloud.queries.functions import CARRIED

FROM = (
    "FROM (VALUES (1, 5.0E-1, 'a', TIMESTAMP '2026-01-02 03:04:05.678'), (2, 1.5E0, 'b', TIMESTAMP '2026-01-02"
    " 04:04:05'), (3, 2.5E0, 'c', TIMESTAMP '2026-01-03 00:00:00')) AS t(i, d, s, t)"
)
TABLE = [
    # integers, doubles
    ("7 / 2", "3"), ("-7 / 2", "-3"), ("7E0 / 2", "3.5"), ("1E0 / 0", "Infinity"), ("7 % 3", "1"), ("mod(-7, 3)", "-1"),
    ("abs(-3)", "3"), ("ceil(1.5E0)", "2.0"), ("ceiling(1.5E0)", "2.0"), ("floor(-1.5E0)", "-2.0"), ("sign(-4)", "-1"),
    ("round(2.5E0)", "3.0"), ("round(1.234E0, 2)", "1.23"), ("truncate(2.7E0)", "2.0"), ("cast(2.5E0 AS integer)", "3"),
    ("cast(-2.5E0 AS bigint)", "-3"), ("sqrt(16)", "4.0"), ("power(2, 3)", "8.0"), ("pow(2, 3)", "8.0"),
    ("exp(0)", "1.0"), ("ln(1)", "0.0"), ("log2(8)", "3.0"), ("log10(100)", "2.0"), ("round(pi(), 2)", "3.14"),
    ("nan()", "NaN"), ("is_nan(nan())", "true"), ("infinity()", "Infinity"), ("random() < 1", "true"),
    ("rand() >= 0", "true"), ("1E7", "1.0E7"), ("1.5E-5", "1.5E-5"), ("123456.0E0", "123456.0"), ("1.50", "1.50"),
    ("greatest(1, 3, 2)", "3"), ("least(1, 3, 2)", "1"), ("greatest(1, NULL)", None), ("nullif(1, 1)", None),
    ("coalesce(NULL, 2)", "2"), ("if(true, 1, 2)", "1"), ("if(false, 1)", None), ("try(1 / 0)", None),
    ("try_cast('x' AS integer)", None), ("try_cast('7' AS integer)", "7"), ("CASE WHEN false THEN 1 END", None),
    ("true AND NULL", None), ("false AND NULL", "false"), ("NOT true", "false"), ("1 IN (2, NULL)", None),
    ("2 BETWEEN 1 AND 3", "true"), ("NULL IS NULL", "true"), ("1 IS DISTINCT FROM NULL", "true"),
    # texts
    ("'a' || 'b'", "ab"), ("'a' || NULL", None), ("concat('a', 'b', 'c')", "abc"), ("length('ä😀')", "2"),
    ("lower('ÄB')", "äb"), ("upper('äb')", "ÄB"), ("substr('hello', 2, 3)", "ell"), ("substring('hello', 2)", "ello"),
    ("strpos('hello', 'l')", "3"), ("replace('abc', 'b', 'x')", "axc"), ("reverse('abc')", "cba"),
    ("trim('  a ')", "a"), ("ltrim('  a')", "a"), ("rtrim('a  ')", "a"), ("lpad('7', 3, '0')", "007"),
    ("rpad('7', 3, '0')", "700"), ("split('a,b', ',')", "[a, b]"), ("starts_with('abc', 'ab')", "true"),
    ("chr(65)", "A"), ("'a' LIKE '_'", "true"), ("'A' LIKE 'a'", "false"), ("'50%' LIKE '50!%' ESCAPE '!'", "true"),
    ("regexp_like('1a 2b', '\\d+b')", "true"), ("regexp_extract('1a 2b', '(\\d+)b', 1)", "2"),
    ("regexp_replace('1a 2b', '\\d')", "a b"), ("regexp_replace('1a', '(\\d)', 'x')", "xa"),
    ("cast(17 AS varchar)", "17"),
    ("cast(true AS varchar)", "true"), ("cast('17' AS bigint) + 1", "18"),
    # time
    ("date_trunc('hour', TIMESTAMP '2026-01-02 03:04:05.678')", "2026-01-02 03:00:00.000"),
    ("date_trunc('day', DATE '2026-01-02')", "2026-01-02"),
    ("date_trunc('month', TIMESTAMP '2026-01-02 03:04:05')", "2026-01-01 00:00:00.000"),
    ("from_iso8601_timestamp('2026-01-02T03:04:05.5Z')", "2026-01-02 03:04:05.500 UTC"),
    ("from_iso8601_timestamp('2026-01-02T03:04:05+02:00')", "2026-01-02 01:04:05.000 UTC"),
    ("TIMESTAMP '2026-01-02 03:04:05' + INTERVAL '1' DAY", "2026-01-03 03:04:05.000"),
    ("DATE '2026-03-01' - INTERVAL '1' DAY", "2026-02-28"), ("date('2026-01-02')", "2026-01-02"),
    ("date_add('day', 2, DATE '2026-01-02')", "2026-01-04"),
    ("date_add('hour', -1, TIMESTAMP '2026-01-02 00:00:00')", "2026-01-01 23:00:00.000"),
    ("date_diff('hour', TIMESTAMP '2026-01-01 00:59:00', TIMESTAMP '2026-01-01 02:00:00')", "1"),
    ("date_diff('day', DATE '2026-01-01', DATE '2026-03-01')", "59"),
    ("date_diff('millisecond', TIMESTAMP '2026-01-01 00:00:00', TIMESTAMP '2026-01-01 00:00:01.5')", "1500"),
    ("date_format(TIMESTAMP '2026-01-02 13:04:05', '%Y-%m-%d %H:%i:%s')", "2026-01-02 13:04:05"),
    ("date_parse('2026-01-02 13', '%Y-%m-%d %H')", "2026-01-02 13:00:00.000"),
    ("to_unixtime(TIMESTAMP '1970-01-01 00:01:00.5')", "60.5"),
    ("from_unixtime(60.5E0)", "1970-01-01 00:01:00.500 UTC"),
    ("year(DATE '2026-11-20')", "2026"), ("quarter(DATE '2026-11-20')", "4"), ("month(DATE '2026-11-20')", "11"),
    ("week(DATE '2026-11-20')", "47"), ("day(DATE '2026-11-20')", "20"), ("day_of_month(DATE '2026-11-20')", "20"),
    ("day_of_week(DATE '2026-11-20')", "5"), ("day_of_year(DATE '2026-02-01')", "32"),
    ("hour(TIMESTAMP '2026-11-20 07:08:09')", "7"), ("minute(TIMESTAMP '2026-11-20 07:08:09')", "8"),
    ("second(TIMESTAMP '2026-11-20 07:08:09')", "9"), ("extract(hour FROM TIMESTAMP '2026-11-20 07:08:09')", "7"),
    ("cast(TIMESTAMP '2026-11-20 07:08:09' AS date)", "2026-11-20"),
    ("cast(TIMESTAMP '2026-11-20 07:08:09' AS varchar)", "2026-11-20 07:08:09.000"),
    ("current_timestamp > TIMESTAMP '2026-01-01 00:00:00'", "true"), ("now() = current_timestamp", "true"),
    ("localtimestamp < current_timestamp + INTERVAL '1' HOUR", "true"), ("current_date > DATE '2026-01-01'", "true"),
    ("current_timestamp AT TIME ZONE 'UTC' = current_timestamp", "true"),
    # arrays, maps, rows, JSON
    ("ARRAY[1, 2][2]", "2"), ("element_at(ARRAY[1, 2], -1)", "2"), ("element_at(ARRAY[1, 2], 5)", None),
    ("cardinality(ARRAY[1, 2])", "2"), ("contains(ARRAY[1, 2], 2)", "true"), ("sequence(1, 3)", "[1, 2, 3]"),
    ("array_max(ARRAY[1, 3])", "3"), ("array_min(ARRAY[1, 3])", "1"), ("array_sort(ARRAY[3, 1])", "[1, 3]"),
    ("array_join(ARRAY['a', 'b'], '-')", "a-b"), ("array_position(ARRAY['a', 'b'], 'b')", "2"),
    ("flatten(ARRAY[ARRAY[1], ARRAY[2]])", "[1, 2]"), ("ARRAY[1] || ARRAY[2]", "[1, 2]"),
    ("reverse(ARRAY[1, 2])", "[2, 1]"),
    ("transform(ARRAY[1, 2], x -> x + 1)", "[2, 3]"), ("filter(ARRAY[1, 2], x -> x > 1)", "[2]"),
    ("any_match(ARRAY[1, 2], x -> x > 1)", "true"), ("all_match(ARRAY[1, 2], x -> x > 1)", "false"),
    ("none_match(ARRAY[1, 2], x -> x > 2)", "true"), ("map(ARRAY['k'], ARRAY[1])", "{k=1}"),
    ("map_keys(map(ARRAY['k'], ARRAY[1]))", "[k]"), ("map_values(map(ARRAY['k'], ARRAY[1]))", "[1]"),
    ("row(1, 'x')", "{field0=1, field1=x}"), ("ARRAY[1, NULL]", "[1, null]"),
    ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')", "1"), ("json_extract('{\"a\": [1]}', '$.a')", "[1]"),
    ("json_parse('[1]')", "[1]"), ("json_format(json_parse('[1]'))", "[1]"), ("json_array_length('[1, 2]')", "2"),
    # aggregates
    ("count(*)", "3"), ("count(DISTINCT s)", "3"), ("count(*) FILTER (WHERE i > 1)", "2"), ("count_if(i > 1)", "2"),
    ("sum(i)", "6"), ("sum(i) / count(*)", "2"), ("avg(i)", "2.0"), ("min(s)", "a"),
    ("max(t)", "2026-01-03 00:00:00.000"),
    ("approx_percentile(d, 0.5E0)", "1.5"), ("approx_percentile(i, ARRAY[0.0, 1.0])", "[1, 3]"),
    ("approx_distinct(s)", "3"), ("arbitrary(7)", "7"), ("any_value(7)", "7"), ("max_by(s, i)", "c"),
    ("min_by(s, i)", "a"),
    ("array_agg(s ORDER BY i DESC)", "[c, b, a]"), ("bool_and(i > 0)", "true"), ("bool_or(i > 5)", "false"),
    ("every(i > 1)", "false"), ("stddev(i)", "1.0"), ("stddev_samp(i)", "1.0"), ("variance(i)", "1.0"),
    ("var_samp(i)", "1.0"),
    ("round(stddev_pop(i), 3)", "0.816"), ("round(var_pop(i), 3)", "0.667"), ("corr(i, d)", "1.0"),
    ("covar_samp(i, d)", "1.0"), ("round(covar_pop(i, d), 3)", "0.667"), ("histogram(7)", "{7=3}"),
]  # fmt: skip
WINDOWS = [
    ("row_number() OVER (ORDER BY i DESC)", "321"), ("rank() OVER (ORDER BY i)", "123"),
    ("dense_rank() OVER (ORDER BY i)", "123"), ("ntile(3) OVER (ORDER BY i)", "123"),
    ("lag(i, 1, 0) OVER (ORDER BY i)", "012"), ("lead(i, 1, 9) OVER (ORDER BY i)", "239"),
    ("first_value(i) OVER (ORDER BY i)", "111"), ("last_value(i) OVER (ORDER BY i)", "123"),
    ("nth_value(i, 1) OVER (ORDER BY i)", "111"), ("sum(i) OVER (ORDER BY i)", "136"),
    ("cast(percent_rank() OVER (ORDER BY i) * 2 AS integer)", "012"),
    ("cast(cume_dist() OVER (ORDER BY i) * 3 AS integer)", "123"),
]  # fmt: skip


def test_each_function_gives_athenas_value(log):
    names = [f"c{at}" for at in range(len(TABLE))]
    aggregates = next(at for at, (text, _) in enumerate(TABLE) if text == "count(*)")
    got: dict[str, str | None] = {}
    for part, source in ((range(aggregates), ""), (range(aggregates, len(TABLE)), f" {FROM}")):
        listed = ", ".join(f"{TABLE[at][0]} AS {names[at]}" for at in part)
        (row,) = log.ask(f"SELECT {listed}{source}")
        got |= row
    wrong = {text: (got[name], value) for name, (text, value) in zip(names, TABLE, strict=True) if got[name] != value}
    assert wrong == {}


def test_each_window_function(log):
    listed = ", ".join(f"{text} AS c{at}" for at, (text, _) in enumerate(WINDOWS))
    rows = log.ask(f"SELECT {listed} {FROM} ORDER BY i")
    got = {text: "".join(str(row[f"c{at}"]) for row in rows) for at, (text, _) in enumerate(WINDOWS)}
    assert got == dict(WINDOWS)


def test_every_carried_function_is_in_the_table():
    texts = " ".join(text for text, _ in (*TABLE, *WINDOWS))
    untested = {name for name in CARRIED if f"{name}(" not in texts}
    # These stand in the tests below.
    assert untested == {"unnest"}


def test_unnest_set_operations_and_order(log):
    assert log.ask("SELECT x, y FROM UNNEST(ARRAY[2, 1, NULL], ARRAY['b', 'a', 'c']) AS u(x, y) ORDER BY x DESC") == [
        {"x": "2", "y": "b"},
        {"x": "1", "y": "a"},
        {"x": None, "y": "c"},
    ]
    log.put([{"request_id": "r", "input_age": [1.5, 2.5], "output_label": ["a", "b"]}, {"request_id": "s"}])
    assert log.ask(
        "SELECT request_id, age, label, pos FROM (SELECT * FROM predictions)"
        " CROSS JOIN UNNEST(input_age, output_label) WITH ORDINALITY AS u(age, label, pos)"
        " WHERE day > '2026' ORDER BY pos"
    ) == [
        {"request_id": "r", "age": "1.5", "label": "a", "pos": "1"},
        {"request_id": "r", "age": "2.5", "label": "b", "pos": "2"},
    ]
    assert log.ask("SELECT 1 AS x UNION SELECT 1 UNION ALL SELECT 2 ORDER BY x") == [{"x": "1"}, {"x": "2"}]
    assert log.ask("SELECT 1 AS x EXCEPT SELECT 2") == [{"x": "1"}]
    assert log.ask("SELECT x, count(*) AS n FROM (VALUES 1, 1, 2) AS t(x) GROUP BY 1 HAVING count(*) > 1") == [
        {"x": "1", "n": "2"}
    ]


def test_the_clock_is_the_clouds(log):
    (before,) = log.ask("SELECT current_timestamp AS now, current_date AS today")
    log.cloud.clock.advance(86_400 * 30)
    (after,) = log.ask("SELECT current_timestamp AS now, current_date AS today")
    assert before["now"] < after["now"]
    assert (before["today"] or "")[:7] != (after["today"] or "")[:7]


@pytest.mark.parametrize(
    "text",
    ["reduce(ARRAY[1], 0, (s, x) -> s + x, s -> s)", "approx_percentile(1, 1, 0.5)",
     "typeof(1)", "current_timestamp AT TIME ZONE 'Europe/Berlin'"],
)  # fmt: skip
def test_what_is_known_and_not_carried_is_named(log, text):
    assert log.reason(f"SELECT {text}").startswith("FAILED: NOT_CARRIED: the emulated Athena does not carry ")
