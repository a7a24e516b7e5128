"""Functions: which names Athena knows, which are carried, and how each is said in DuckDB.

Source: Trino's documentation, "Functions and operators". `CARRIED` was checked name by name on DuckDB
(tests/rehearsal/queries/test_dialect.py holds the table). A name that is in neither list is unknown to Athena too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlglot import exp

from infra.rehearsal.cloud.queries.failures import QueryFailure, not_carried, place
from infra.rehearsal.cloud.queries.statement import NAME

_CARRIED = """
    abs all_match any_match any_value approx_distinct approx_percentile arbitrary array_agg array_join array_max
    array_min array_position array_sort avg bool_and bool_or cardinality ceil ceiling chr coalesce concat contains corr
    count count_if covar_pop covar_samp cume_dist date date_add date_diff date_format date_parse date_trunc day
    day_of_month day_of_week day_of_year dense_rank element_at every exp filter first_value flatten floor
    from_iso8601_timestamp from_unixtime greatest histogram hour if infinity is_nan json_array_length json_extract
    json_extract_scalar json_format json_parse lag last_value lead least length ln log10 log2 lower lpad ltrim map
    map_keys map_values max max_by min min_by minute mod month nan none_match now nth_value ntile nullif percent_rank
    pi pow power quarter rand random rank regexp_extract regexp_like regexp_replace replace reverse round row row_number
    rpad rtrim second sequence sign split sqrt starts_with stddev stddev_pop stddev_samp strpos substr substring sum
    to_unixtime transform trim truncate try unnest upper var_pop var_samp variance week year
    """
_KNOWN = """
    acos array_average array_distinct array_except array_intersect array_remove array_union arrays_overlap asin
    at_timezone
    atan atan2 bar base64 bit_count bitwise_and bitwise_and_agg bitwise_not bitwise_or bitwise_or_agg bitwise_xor cbrt
    char2hexint checksum codepoint combinations convex_hull_agg cos cosh cosine_similarity crc32 current_timezone
    date_of degrees e empty_approx_set entropy evaluate_classifier_predictions exclude_columns
    format format_datetime format_number from_base from_base32 from_base64 from_base64url from_hex from_iso8601_date
    from_iso8601_timestamp_nanos from_unixtime_nanos from_utf8 geometric_mean great_circle_distance hamming_distance
    hash_counts hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 human_readable_seconds index inverse_normal_cdf is_finite
    is_infinite json_array_contains json_array_get json_exists json_object json_query json_size json_value
    kurtosis last_day_of_month levenshtein_distance listagg log luhn_check make_set_digest map_agg map_concat
    map_entries map_filter map_from_entries map_union map_zip_with md5 merge millisecond multimap_agg murmur3 ngrams
    normal_cdf normalize numeric_histogram objectid parse_data_size parse_datetime parse_duration qdigest_agg
    quantile_at_value radians reduce reduce_agg regexp_count regexp_extract_all regexp_position regexp_split
    regr_intercept regr_slope rgb sha1 sha256 sha512 shuffle sin sinh skewness slice soundex spooky_hash_v2_32
    split_part split_to_map split_to_multimap tan tanh tdigest_agg timezone_hour timezone_minute to_base to_base32
    to_base64 to_base64url to_big_endian_32 to_big_endian_64 to_char to_date to_geometry to_hex to_ieee754_32
    to_iso8601 to_milliseconds to_timestamp to_utf8 transform_keys transform_values translate trim_array typeof
    url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter url_extract_path
    url_extract_port url_extract_protocol url_extract_query uuid value_at_quantile values_at_quantiles version
    width_bucket wilson_interval_lower wilson_interval_upper with_timezone word_stem xxhash64 year_of_week yow zip
    zip_with
    """
CARRIED = frozenset(_CARRIED.split())
KNOWN = frozenset(_KNOWN.split())
"""Athena's, not carried here."""
_NAMELESS = (
    exp.And, exp.Or, exp.Case, exp.If, exp.Cast, exp.TryCast, exp.Extract, exp.Trim, exp.Substring, exp.Exists,
    exp.CurrentTimestamp, exp.CurrentDate, exp.Localtimestamp, exp.Array, exp.Count, exp.StrPosition, exp.Struct,
    exp.Coalesce, exp.Try, exp.Unnest,
)  # fmt: skip
"""Functions that grammar writes without a name, or whose parser keeps none."""


_NAMES: dict[type[exp.Expr], str] = {exp.ArgMax: "max_by", exp.ArgMin: "min_by"}
"""Functions whose parser keeps no name, and that have another in Athena than in sqlglot."""


def check(tree: exp.Expr, sql: str) -> None:
    """Refuses every function that is not carried. Nothing reaches DuckDB that is not on the list."""
    for node in tree.walk():
        if not isinstance(node, exp.Func) or isinstance(node, exp.Window):
            continue
        name = node.name if isinstance(node, exp.Anonymous) else node.meta.get(NAME)
        if name is None and isinstance(node, _NAMELESS):
            continue
        lowered = str(name or _NAMES.get(type(node)) or node.sql_name()).lower()
        if lowered in CARRIED and not (isinstance(node, exp.Anonymous) and lowered not in _BY_NAME):
            continue
        if lowered in KNOWN or lowered in CARRIED:
            raise not_carried(f"the function {lowered}")
        where = place(sql, node.meta.get("start"))
        raise QueryFailure(f"FUNCTION_NOT_FOUND: {where}Function '{lowered}' not registered")


def rewrite(node: exp.Expr, now: datetime) -> exp.Expr:
    """One node as DuckDB understands it in Athena's sense. Nodes below are rewritten already."""
    if isinstance(node, exp.Anonymous):
        make_by_name = _BY_NAME.get(node.name.lower())
        return node if make_by_name is None else make_by_name(node)
    written = str(node.meta.get(NAME) or "").lower()
    if written == "date_parse":
        return exp.Cast(this=node, to=exp.DataType.build("TIMESTAMP"))
    make = _BY_CLASS.get(type(node))
    if make is not None:
        return make(node)
    moment = _moment(node, now)
    return node if moment is None else moment


def _moment(node: exp.Expr, now: datetime) -> exp.Expr | None:
    """The cloud's clock, which a drill may have advanced, in the place of DuckDB's; milliseconds, as Trino's."""
    text = now.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
    if isinstance(node, exp.CurrentTimestamp):
        return exp.cast(exp.Literal.string(f"{text}+00"), "TIMESTAMPTZ")
    if isinstance(node, exp.Localtimestamp):
        return exp.cast(exp.Literal.string(text), "TIMESTAMP")
    if isinstance(node, exp.CurrentDate):
        return exp.cast(exp.Literal.string(text[:10]), "DATE")
    return None


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _percentile(node: exp.Expr) -> exp.Expr:
    """Exact, where Athena estimates: an element of the values at the rank that the share asks for."""
    if any(value for key, value in node.args.items() if key not in ("this", "quantile")):
        raise not_carried("approx_percentile with weights or an accuracy")
    return _call("QUANTILE_DISC", node.this, node.args["quantile"])


def _distinct(node: exp.Expr) -> exp.Expr:
    """Exact, where Athena estimates."""
    if any(value for key, value in node.args.items() if key != "this"):
        raise not_carried("approx_distinct with a standard error")
    return exp.Count(this=exp.Distinct(expressions=[node.this]))


def _elapsed(node: exp.Expr) -> exp.Expr:
    """Whole units between two moments. DuckDB's DATE_DIFF counts boundaries that were crossed, its DATE_SUB units."""
    unit = exp.Literal.string(node.text("unit").lower())
    # A date has no hours: as timestamps both sides give whole units.
    sides = [exp.cast(side, "TIMESTAMP") for side in (node.args["expression"], node.this)]
    return _call("DATE_SUB", unit, *sides)


def _matched(node: exp.Anonymous) -> tuple[exp.Expr, exp.Expr]:
    if len(node.expressions) != 2 or not isinstance(node.expressions[1], exp.Lambda):
        raise not_carried(f"{node.name.lower()} without a lambda")
    array, test = node.expressions
    return array, _call("LEN", exp.ArrayFilter(this=array.copy(), expression=test))


def _any_match(node: exp.Anonymous) -> exp.Expr:
    return exp.GT(this=_matched(node)[1], expression=exp.Literal.number(0))


def _none_match(node: exp.Anonymous) -> exp.Expr:
    return exp.EQ(this=_matched(node)[1], expression=exp.Literal.number(0))


def _all_match(node: exp.Anonymous) -> exp.Expr:
    array, matched = _matched(node)
    return exp.EQ(this=matched, expression=_call("LEN", array))


def _number(text: str) -> Callable[[exp.Anonymous], exp.Expr]:
    return lambda _: exp.cast(exp.Literal.string(text), "DOUBLE")


def _as(name: str) -> Callable[[exp.Anonymous], exp.Expr]:
    return lambda node: _call(name, *node.expressions)


def _to_utc(node: exp.Expr) -> exp.Expr:
    zone = node.args.get("zone")
    if not isinstance(zone, exp.Literal) or zone.name.upper() not in ("UTC", "ETC/UTC"):
        raise not_carried("AT TIME ZONE with another zone than 'UTC'")
    return exp.cast(node.this, "TIMESTAMPTZ")


def _side_by_side(node: exp.Expr) -> exp.Expr:
    """Several arrays at once, or with their ordinals. DuckDB's UNNEST in FROM takes one; in SELECT it sets several side
    by side and fills the shorter with NULL, as Athena does."""
    arrays, alias = node.expressions, node.args.get("alias")
    ordinal = node.args.get("offset")
    if alias is None or (len(arrays) == 1 and not ordinal):
        return node
    columns: list[exp.Expr] = [exp.Unnest(expressions=[array.copy()]) for array in arrays]
    if ordinal:
        longest = exp.Greatest(this=exp.Literal.number(0), expressions=[_call("LEN", one.copy()) for one in arrays])
        columns.append(exp.Unnest(expressions=[_call("RANGE", exp.Literal.number(1), longest + 1)]))
    own = exp.TableAlias(this=alias.this.copy(), columns=[name.copy() for name in alias.args.get("columns", ())])
    return exp.Subquery(this=exp.Select(expressions=columns), alias=own)


_BY_CLASS: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.ApproxQuantile: _percentile,
    exp.ApproxDistinct: _distinct,
    exp.DateDiff: _elapsed,
    exp.AtTimeZone: _to_utc,
    exp.Unnest: _side_by_side,
    exp.IsNan: lambda node: _call("ISNAN", exp.cast(node.this, "DOUBLE")),
}
_BY_NAME: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "all_match": _all_match,
    "any_match": _any_match,
    "array_position": _as("LIST_POSITION"),
    "cume_dist": _as("CUME_DIST"),
    "day_of_month": _as("DAY"),
    "every": _as("BOOL_AND"),
    "histogram": _as("HISTOGRAM"),
    "infinity": _number("Infinity"),
    "json_array_length": _as("JSON_ARRAY_LENGTH"),
    "map_keys": _as("MAP_KEYS"),
    "map_values": _as("MAP_VALUES"),
    "nan": _number("NaN"),
    "none_match": _none_match,
    "pi": _as("PI"),
}
