"""The record that the front door builds and the transform that takes it: what one writes the other accepts, whatever
the request and the answer; nothing in clear that is personal; nothing raises."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mainstage_runtime.payload import PayloadCheck
from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.record import LONGEST_RECORD_BYTES, columns
from mainstage_runtime.record_check import RecordCheck, Rejected
from mainstage_runtime.redact import Pseudonyms
from mainstage_runtime.transform import Transform

AT = 1_795_271_001_123  # 2026-11-21 14:23:21.123 UTC
ROW = {
    "customer": "Jane Doe",
    "Phone": "+44 1234",
    "age": 41,
    "months": 5,
    "spend": 12.5,
    "since": "2026-05-01T12:00+02:00",
    "active": None,
    "calls": [1, 2],
    "days": ["2026-01-31"],
    "plan": "basic ☃",
}
ANSWER = {"predictions": [{"label": "stays", "score": 0.75, "name": "Jane Doe"}]}
PSEUDONYM = re.compile("[0-9a-f]{32}")

shares_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def keyed() -> Pseudonyms:
    found = Pseudonyms(lambda: b"k" * 32)
    assert found.prepare()
    return found


def writer(signature: dict[str, Any], pseudonyms: Pseudonyms | None = None) -> RecordWriter:
    return RecordWriter(
        signature, environment="dev", model="churn", endpoint_name="dev-churn", pseudonyms=pseudonyms or keyed()
    )


def served(rows: Any = (ROW,), answer: Any = ANSWER, **changes: Any) -> Served:
    body = json.dumps({"instances": list(rows)}).encode()
    sent = answer if isinstance(answer, bytes) or answer is None else json.dumps(answer).encode()
    values: dict[str, Any] = {"status": 200, "version": "7", "variant": "AllTraffic", "model_ms": 3.25}
    return Served("id-1", AT, body=body, rows=list(rows), answer=sent, latency_ms=4.5, **{**values, **changes})


def check(signature: dict[str, Any]) -> RecordCheck:
    return RecordCheck(signature, model="churn", log_name="dev-churn")


def test_a_record_has_the_tables_columns_in_their_order(signature: dict[str, Any]) -> None:
    record = writer(signature).record(served())
    assert list(record) == [column.name for column in columns(signature) if column.name != "logged_at"]
    pseudonym = keyed().of("Jane Doe")
    assert record == {
        "schema_version": 1,
        "request_id": "id-1",
        "at": "2026-11-21 14:23:21.123",
        "environment": "dev",
        "model": "churn",
        "version": "7",
        "endpoint_name": "dev-churn",
        "variant": "AllTraffic",
        "arm": "stable",
        "status": 200,
        "error_code": None,
        "error_field": None,
        "rows": 1,
        "latency_ms": 4.5,
        "model_ms": 3.25,
        "caller": None,
        "entity_key": pseudonym,
        "input_bytes": len(json.dumps({"instances": [ROW]})),
        "input_sha256": None,
        "output_bytes": len(json.dumps(ANSWER)),
        "truncated": False,
        "replayed": False,
        "input_customer": [pseudonym],
        "input_age": [keyed().of("41")],
        "input_months": [5],
        "input_spend": [12.5],
        "input_since": ["2026-05-01 10:00:00.000"],
        "input_active": [None],
        "input_calls": [[1, 2]],
        "input_days": [["2026-01-31 00:00:00.000"]],
        "input_plan": ["basic ☃"],
        "output_label": ["stays"],
        "output_score": [0.75],
        "output_name": [pseudonym],
    }


def test_without_personal_data_the_body_is_hashed(plain_signature: dict[str, Any]) -> None:
    record = writer(plain_signature).record(served([{"months": 5, "plan": None}]))
    assert re.fullmatch("[0-9a-f]{64}", record["input_sha256"])
    assert record["entity_key"] is None


def test_several_rows_keep_their_order_and_what_is_left_out_is_null(signature: dict[str, Any]) -> None:
    other = {name: value for name, value in ROW.items() if name not in ("since", "calls")} | {"months": 6}
    answer = {"predictions": [ANSWER["predictions"][0], {"label": "leaves", "score": 1}]}
    record = writer(signature).record(served([ROW, other], answer))
    assert (record["rows"], record["input_months"]) == (2, [5, 6])
    assert record["input_since"] == ["2026-05-01 10:00:00.000", None]
    assert record["input_calls"] == [[1, 2], None]
    assert (record["output_score"], record["output_name"]) == ([0.75, 1], [keyed().of("Jane Doe"), None])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\xfe",
        b"not json",
        b"[" * 100_000,
        b"9" * 5000,
        b'{"predictions": [{"label": "a"}, {"label": "b"}]}',
        b'{"predictions": {}}',
        b'{"predictions": ["a"]}',
        b'{"outputs": [[0.5]]}',
        b"null",
        b"5",
    ],
)
def test_an_answer_of_another_form_is_logged_with_null_outputs(signature: dict[str, Any], answer: bytes) -> None:
    written = writer(signature).write(served(answer=answer))
    record = json.loads(written)
    assert [record[name] for name in ("output_label", "output_score", "output_name")] == [None, None, None]
    assert (record["input_months"], record["output_bytes"], record["status"]) == ([5], len(answer), 200)
    check(signature).check(written)


def test_a_value_of_another_type_takes_its_column_alone(signature: dict[str, Any]) -> None:
    record = writer(signature).record(served(answer={"predictions": [{"label": 5, "score": 0.5, "more": 1}]}))
    assert (record["output_label"], record["output_score"], record["output_name"]) == (None, [0.5], [None])


def test_what_json_cannot_say_is_null(signature: dict[str, Any]) -> None:
    written = writer(signature).write(served(answer=b'{"predictions": [{"label": "a", "score": NaN}]}'))
    assert json.loads(written)["output_score"] == [None]
    written = writer(signature).write(served(answer=b'{"predictions": [{"label": "a", "score": 1e999}]}'))
    assert json.loads(written)["output_score"] is None
    check(signature).check(written)


@pytest.mark.parametrize("answer", [[0.25, 0.5], {"predictions": [0.25, 0.5]}, [{"p": 0.25}, {"p": 0.5}]])
def test_single_values_stand_for_the_one_output(answer: Any) -> None:
    one = {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "p", "type": "double"}]}
    assert writer(one).record(served([{"x": 1}, {"x": 2}], answer))["output_p"] == [0.25, 0.5]


def test_half_a_surrogate_pair_in_an_answer_is_replaced(signature: dict[str, Any]) -> None:
    written = writer(signature).write(served(answer=b'{"predictions": [{"label": "a\\ud800b"}]}'))
    assert json.loads(written)["output_label"] == ["a\N{REPLACEMENT CHARACTER}b"]
    whole = writer(signature).write(served(answer=b'{"predictions": [{"label": "\\ud83d\\ude00 \\\\ud800"}]}'))
    assert json.loads(whole)["output_label"] == ["\U0001f600 \\ud800"]
    for each in (written, whole):
        assert check(signature).check(each) == ("2026-11-21", "14")


def test_what_is_too_long_is_left_out_and_flagged(signature: dict[str, Any]) -> None:
    written = writer(signature).write(served([{**ROW, "plan": "☃" * 200_000}]))
    record = json.loads(written)
    assert len(written) < 2000
    assert (record["truncated"], record["input_plan"], record["output_label"]) == (True, None, None)
    assert record["input_bytes"] > 1_000_000
    assert check(signature).check(written) == ("2026-11-21", "14")


def test_no_personal_data_without_a_key(signature: dict[str, Any]) -> None:
    def fails() -> bytes:
        raise ConnectionError("no KMS")

    pseudonyms = Pseudonyms(fails)
    assert not pseudonyms.prepare()
    written = writer(signature, pseudonyms).write(served(caller_subject="jane"))
    record = json.loads(written)
    assert [record[name] for name in ("entity_key", "caller")] == [None, None]
    assert record["input_customer"] == record["input_age"] == record["output_name"] == [None]
    assert record["input_months"] == [5]
    assert check(signature).check(written) == ("2026-11-21", "14")


def test_a_callers_arn_stays_and_a_tokens_subject_does_not(signature: dict[str, Any]) -> None:
    arn = "arn:aws:sts::111111111111:assumed-role/client/session"
    assert writer(signature).record(served(caller_arn=arn))["caller"] == arn
    assert writer(signature).record(served(caller_subject="jane"))["caller"] == keyed().of("jane")


@pytest.mark.parametrize("arn", ["jane", "arn:aws:iam::1:user/Jane Doe", "arn:é", "arn:\n"])
def test_a_caller_in_another_form_is_left_out(signature: dict[str, Any], arn: str) -> None:
    written = writer(signature).write(served(caller_arn=arn))
    assert json.loads(written)["caller"] is None
    check(signature).check(written)


# What the transform refuses.


def changed(signature: dict[str, Any], **changes: Any) -> bytes:
    record = json.loads(writer(signature).write(served()))
    return json.dumps({**record, **changes}, separators=(",", ":")).encode()


REFUSED = [
    ({"logged_at": "2026-11-21 14:23:21.123"}, "logged_at: stamped already"),
    ({"input_Phone": ["+44"]}, "a column that the log does not have"),
    ({"input_phone": ["+44"]}, "a column that the log does not have"),
    ({"request_id": ""}, "request_id: empty"),
    ({"request_id": None}, "request_id: missing"),
    ({"request_id": 5}, "request_id: not string"),
    ({"schema_version": 2}, "schema_version: of a newer schema"),
    ({"schema_version": 0}, "schema_version: of a newer schema"),
    ({"at": "2026-11-21T14:23:21.123Z"}, "at: not timestamp"),
    ({"at": "2026-02-30 14:23:21.123"}, "at: not timestamp"),
    ({"at": "1970-01-01 00:00:00.000"}, "at: not of this century"),
    ({"model": "iris"}, "model, environment: of another log"),
    ({"environment": "prod"}, "model, environment: of another log"),
    ({"status": 99}, "status: no status of HTTP"),
    ({"status": 200.0}, "status: not int"),
    ({"rows": 2}, "input_customer: not one element a row"),
    ({"rows": -1, "input_customer": None}, "input_age: not one element a row"),
    ({"rows": True}, "rows: not int"),
    ({"input_bytes": -1}, "input_bytes: below 0"),
    ({"input_bytes": 2**63}, "input_bytes: not bigint"),
    ({"latency_ms": -0.5}, "latency_ms: below 0"),
    ({"latency_ms": "1"}, "latency_ms: not double"),
    ({"caller": "jane"}, "caller: neither ARN nor pseudonym"),
    ({"entity_key": "Jane Doe"}, "entity_key: personal data that is not hashed"),
    ({"input_customer": ["Jane Doe"]}, "input_customer: personal data that is not hashed"),
    ({"input_customer": ["A" * 32]}, "input_customer: personal data that is not hashed"),
    ({"output_name": ["Jane Doe"]}, "output_name: personal data that is not hashed"),
    ({"input_sha256": "0" * 64}, "input_sha256: of personal data"),
    ({"input_age": [41]}, "input_age: not array<string>"),
    ({"input_months": ["5"]}, "input_months: not array<bigint>"),
    ({"input_months": [5.0]}, "input_months: not array<bigint>"),
    ({"input_months": [2**63]}, "input_months: not array<bigint>"),
    ({"input_months": 5}, "input_months: not array<bigint>"),
    ({"input_months": []}, "input_months: not one element a row"),
    ({"input_months": [5, 6]}, "input_months: not one element a row"),
    ({"input_spend": [True]}, "input_spend: not array<double>"),
    ({"input_spend": [{"a": 1}]}, "input_spend: not array<double>"),
    ({"input_since": ["2026-05-01"]}, "input_since: not array<timestamp>"),
    ({"input_active": ["true"]}, "input_active: not array<boolean>"),
    ({"input_calls": [1]}, "input_calls: not array<array<bigint>>"),
    ({"input_calls": [[1.5]]}, "input_calls: not array<array<bigint>>"),
    ({"input_calls": [[None]]}, "input_calls: not array<array<bigint>>"),
    ({"input_days": [["2026-02-31 00:00:00.000"]]}, "input_days: not array<array<timestamp>>"),
    ({"input_plan": ["\ud800"]}, "a text holds half a surrogate pair"),
]


@pytest.mark.parametrize(("changes", "reason"), REFUSED)
def test_a_record_that_does_not_fit_is_refused_by_name(
    signature: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(Rejected) as refusal:
        check(signature).check(changed(signature, **changes))
    assert str(refusal.value) == reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"input_months":[5]', b'"input_months":[5],"input_months":[6]', "a column stands twice"),
        (b'"input_months":[5]', b'"input_months":[5],"input\\u005fmonths":[6]', "a column stands twice"),
        (b"12.5", b"NaN", "NaN is no JSON value"),
        (b"12.5", b"1e999", "input_spend: not array<double>"),
        (b"12.5", b"9" * 5000, "not JSON"),
        (b'"basic', b'"\xff', "not UTF-8"),
        (b'"basic', b'"\x01', "not JSON"),
        (b"}", b"", "not JSON"),
        (b'{"schema_version":1,', b"{", "schema_version: missing"),
    ],
)
def test_bytes_that_are_no_record_are_refused(signature: dict[str, Any], old: bytes, new: bytes, reason: str) -> None:
    raw = changed(signature)
    assert raw.count(old) == 1
    with pytest.raises(Rejected) as refusal:
        check(signature).check(raw.replace(old, new))
    assert str(refusal.value) == reason


def test_what_may_be_left_out_may_be_null_too(signature: dict[str, Any]) -> None:
    raw = changed(signature)
    record = json.loads(raw)
    for name in ("error_code", "variant", "model_ms", "caller", "input_sha256", "input_since", "output_label"):
        del record[name]
    found = check(signature).check(json.dumps(record).encode())
    assert found == check(signature).check(raw) == ("2026-11-21", "14")


# The transform as Firehose calls it.


def transformed(signature: dict[str, Any], *raws: bytes) -> list[dict[str, Any]]:
    event = {"records": [{"recordId": str(n), "data": base64.b64encode(raw).decode()} for n, raw in enumerate(raws)]}
    return Transform(signature, model="churn", log_name="dev-churn").handle(event)["records"]


def test_a_good_record_is_stamped_and_partitioned(
    signature: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    raw = writer(signature).write(served())
    [answer] = transformed(signature, raw)
    assert {name: answer[name] for name in ("recordId", "result", "metadata")} == {
        "recordId": "0",
        "result": "Ok",
        "metadata": {"partitionKeys": {"day": "2026-11-21", "hour": "14"}},
    }
    data = base64.b64decode(answer["data"])
    record = json.loads(data)
    stamp = record.pop("logged_at")
    assert re.fullmatch(r"20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}\.[0-9]{3}", stamp)
    assert record == json.loads(raw)
    assert data == raw[:-1] + f',"logged_at":"{stamp}"}}\n'.encode()
    [line] = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert (line["Accepted"], line["Rejected"], line["LogName"]) == (1, 0, "dev-churn")


def test_one_poison_record_takes_no_other_with_it(
    signature: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    good = writer(signature).write(served())
    poison = [b"", b"{", b"[" * 100_000, b"\x00", good * 2, good[:-1] + b" " * LONGEST_RECORD_BYTES + b"}"]
    clear = changed(signature, input_customer=["Jane Doe"])
    answers = transformed(signature, good, *poison, clear, good + b"\n")
    assert [answer["result"] for answer in answers] == ["Ok", *["ProcessingFailed"] * 6, "Dropped", "Ok"]
    assert [answer["recordId"] for answer in answers] == [str(number) for number in range(9)]
    assert base64.b64decode(answers[-1]["data"]).count(b"\n") == 1
    out = capsys.readouterr().out
    assert "Jane" not in out
    line = json.loads(out)
    assert (line["Accepted"], line["Rejected"]) == (2, 7)
    assert line["reasons"]["input_customer: personal data that is not hashed"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"input_customer": ["Jane Doe"]},
        {"input_customer": "Jane Doe"},
        {"input_customer": [None, 5]},
        {"input_phone": ["+44 1234"]},
        {"INPUT_PHONE": [["+44 1234"]]},
        {"output_name": ["Jane Doe"]},
        {"entity_key": "Jane Doe"},
        {"caller": "jane@example.org"},
        {"caller": ["jane"], "rows": "many"},
    ],
)
def test_of_a_record_with_personal_data_in_clear_nothing_is_kept(
    signature: dict[str, Any], change: dict[str, Any]
) -> None:
    """Whatever else is wrong with it. Under the error prefix it would be stored."""
    for more in ({}, {"unheard_of": 1}, {"request_id": None}):
        assert transformed(signature, changed(signature, **change, **more))[0]["result"] == "Dropped"
    twice = changed(signature)[:-1] + b',"input_customer":["Jane Doe"],"input_customer":null}'
    assert transformed(signature, twice)[0]["result"] == "Dropped"


@pytest.mark.parametrize(
    "change",
    [
        {"status": 7},
        {"model": "other"},
        {"input_plan": [5]},
        {"input_sha256": "0" * 64},
        {"unheard_of": 1},
        {"input_customer": None, "caller": "arn:aws:iam::111111111111:role/x", "schema_version": 99},
        {"input_phone": None, "status": 7},
    ],
)
def test_what_holds_none_is_kept_as_it_came(signature: dict[str, Any], change: dict[str, Any]) -> None:
    assert transformed(signature, changed(signature, **change))[0]["result"] == "ProcessingFailed"


def test_a_record_that_is_no_base64_is_refused(signature: dict[str, Any]) -> None:
    event: Any = {"records": [{"recordId": "1", "data": "é"}, {"recordId": "2", "data": None}, {"recordId": "3"}]}
    answers = Transform(signature, model="churn", log_name="dev-churn").handle(event)["records"]
    assert [answer["result"] for answer in answers] == ["ProcessingFailed"] * 3


@shares_fixtures
@given(raw=st.binary(max_size=80))
def test_no_bytes_break_the_transform(signature: dict[str, Any], raw: bytes) -> None:
    assert transformed(signature, raw)[0]["result"] == "ProcessingFailed"


@shares_fixtures
@given(data=st.data())
def test_the_quick_look_takes_nothing_that_the_long_way_refuses(signature: dict[str, Any], data: st.DataObject) -> None:
    """Bytes of a good record are exchanged, doubled, removed: the regular expression and the parser agree."""
    raw = bytearray(writer(signature).write(served([{**ROW, "calls": [1], "plan": 'a\\"b\n'}])))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"9", b"-", b".", b"e", b'"', b"\\", b",", b"null", b"[]", b"\xc3", b" ", b"}"])
        )
    checked = check(signature)
    if checked._usual(bytes(raw)) is not None:
        reason, at = "", ""
        try:
            at = checked.check_long(bytes(raw))
        except Rejected as error:
            reason = str(error)
        # The day is looked at behind the quick look.
        assert reason in ("", "at: not timestamp")
        if not reason:
            assert checked.check(bytes(raw)) == (at[:10], at[11:13])


def test_the_quick_look_takes_what_the_front_door_usually_writes(signature: dict[str, Any]) -> None:
    for record in (served(), served(answer=b"?"), Served("id", AT, status=503, rows=[ROW])):
        assert check(signature)._usual(writer(signature).write(record)) is not None
    assert check(signature)._usual(writer(signature).write(served([ROW, ROW]))) is None


texts = st.text(max_size=8) | st.sampled_from(["", '"', "\\", "\x7f", "☃", "\U0001f600", "\\ud800", "￿"])
integers = st.integers(-(2**63), 2**63 - 1)
doubles = st.floats(allow_nan=False, allow_infinity=False) | integers
moments = st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: moment.replace(fold=0).isoformat())
good_rows = st.fixed_dictionaries(
    {
        "customer": texts,
        "Phone": st.none() | texts,
        "age": st.none() | integers,
        "months": st.integers(0, 2**63 - 1),
        "spend": st.none() | doubles,
        "plan": texts,
    },
    optional={
        "since": moments,
        "active": st.none() | st.booleans(),
        "calls": st.lists(integers, max_size=3),
        "days": st.lists(moments, max_size=2),
    },
)
answers = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"label": inner, "score": inner, "name": inner, "predictions": inner})
    ),
    max_leaves=6,
)


@shares_fixtures
@given(rows=st.lists(good_rows, min_size=1, max_size=3), answer=answers | st.binary(max_size=20))
def test_a_record_of_any_request_that_is_taken_passes_the_transform(
    signature: dict[str, Any], rows: list[dict[str, Any]], answer: Any
) -> None:
    body = json.dumps({"instances": rows}).encode()
    try:
        taken = PayloadCheck(signature).rows(body)
    except ValueError:  # a moment with seconds in its offset, or outside the years that there are
        return
    assert taken == rows
    written = writer(signature).write(served(rows, answer))
    [told] = transformed(signature, written)
    assert told["result"] == "Ok"
    record = json.loads(base64.b64decode(told["data"]))
    for number, row in enumerate(rows):
        assert PSEUDONYM.fullmatch(record["input_customer"][number])
        assert record["input_spend"][number] == row["spend"]


@shares_fixtures
@given(secret=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=24))
def test_a_pseudonym_is_stable_and_the_clear_value_nowhere(signature: dict[str, Any], secret: str) -> None:
    secret = f"~{secret}~"  # a text that stands in no column's name
    row = {**ROW, "customer": secret, "Phone": secret}
    answer = {"predictions": [{"label": "a", "score": 1, "name": secret}]}
    first, second = (writer(signature).write(served([row], answer, caller_subject=secret)) for _ in range(2))
    assert first == second
    assert json.dumps(secret)[1:-1].encode() not in first
    record = json.loads(first)
    assert record["input_customer"] == record["output_name"] == [record["entity_key"]] == [record["caller"]]
