"""`mainstage predictions`: what is asked, how rows are shown, and one clear error for everything that goes wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cli import Ended, runner

from infra.catalog.signature import Signature
from infra.cli.predictions import LATENCY_NARROW
from infra.predictions.hints import column_hint
from infra.registry.target import TargetError

Run = Callable[..., Ended]

COLUMNS = [
    ("request_id", "varchar"),
    ("requests", "bigint"),
    ("p50_ms", "double"),
    ("replayed", "boolean"),
    ("note", "varchar"),
]
ROWS = [
    ["a-1", "3", "17.25", "true", 'says "hm", twice\nand 尺寸'],
    ["b-2", None, "0.5", "false", None],
]


class Athena:
    """Answers every query with the same rows, or ends it as it is told to."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.columns: Sequence[tuple[str, str]] = COLUMNS
        self.rows: Sequence[Sequence[str | None]] = ROWS
        self.refusal: ClientError | None = None
        self.course: Sequence[Any] = ()
        """The states of every query, one a look; then it has succeeded."""
        self.states: Iterator[Any] = iter(())

    def start_query_execution(self, **given: Any) -> dict[str, str]:
        self.started.append(given)
        if self.refusal is not None:
            raise self.refusal
        self.states = iter(self.course)
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, QueryExecutionId: str) -> dict[str, Any]:
        state = next(self.states, {"State": "SUCCEEDED"})
        if isinstance(state, BaseException):
            raise state
        statistics = {"DataScannedInBytes": 20480, "TotalExecutionTimeInMillis": 1234}
        return {"QueryExecution": {"Status": state, "Statistics": statistics}}

    def stop_query_execution(self, QueryExecutionId: str) -> None:
        self.stopped.append(QueryExecutionId)

    def get_paginator(self, operation: str) -> Athena:
        assert operation == "get_query_results"
        return self

    def paginate(self, QueryExecutionId: str) -> Iterator[dict[str, Any]]:
        described = [{"Name": name, "Type": kind} for name, kind in self.columns]
        header: list[str | None] = [name for name, _ in self.columns]
        for page in ([header, *self.rows[:1]], self.rows[1:]):
            rows = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in page]
            yield {"ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": described}}}


@pytest.fixture
def athena() -> Athena:
    return Athena()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], athena: Athena) -> Run:
    return runner(monkeypatch, capsys, {"athena": athena})


def test_a_table_shows_every_row_and_what_it_cost(run: Run, athena: Athena) -> None:
    ended = run("predictions", "latency", "iris", "--hours", "2")
    assert (ended.code, ended.err) == (0, "")
    first, *lines, cost = ended.out.splitlines()
    assert first.startswith("target: emulated AWS at http://127.0.0.1:1 (dev, ")
    assert lines[0].split() == [name for name, _ in COLUMNS]
    assert lines[1].split()[:4] == ["a-1", "3", "17.25", "true"]
    assert lines[-1].split() == ["b-2", "-", "0.50", "false", "-"]
    assert cost == "2 rows, 20,480 bytes scanned, 1.23 s"
    [asked] = athena.started
    assert asked["WorkGroup"] == "mainstage-dev-iris"
    assert asked["QueryExecutionContext"] == {"Database": "mainstage_dev_iris"}
    assert 'FROM "mainstage_dev_iris"."predictions"' in asked["QueryString"]
    assert "approx_percentile" in asked["QueryString"]


def test_json_is_one_document_of_typed_values(run: Run) -> None:
    ended = run("predictions", "errors", "iris", "--each", "3", "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    assert told == {
        "columns": [name for name, _ in COLUMNS],
        "rows": [
            {"request_id": "a-1", "requests": 3, "p50_ms": 17.25, "replayed": True, "note": ROWS[0][4]},
            {"request_id": "b-2", "requests": None, "p50_ms": 0.5, "replayed": False, "note": None},
        ],
        "scanned_bytes": 20480,
        "seconds": 1.234,
        "query_execution_id": "q-1",
    }
    assert ended.err.startswith("target: ")


def test_csv_is_read_back_as_it_was(run: Run) -> None:
    ended = run("predictions", "query", "iris", "SELECT 1", "--csv")
    assert ended.code == 0
    assert ended.out.startswith("request_id,requests,p50_ms,replayed,note\n")
    assert list(csv.reader(io.StringIO(ended.out, newline=""))) == [
        [name for name, _ in COLUMNS],
        ["a-1", "3", "17.25", "true", 'says "hm", twice\nand 尺寸'],
        ["b-2", "", "0.5", "false", ""],
    ]


def test_rows_that_are_wider_than_the_screen_are_a_value_a_line(run: Run, athena: Athena) -> None:
    athena.columns = [(f"column_{number}", "integer") for number in range(20)]
    athena.rows = [[str(number) for number in range(20)], [None] * 20]
    ended = run("predictions", "find", "iris", "request-1")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()[1:-1]]
    assert lines[0] == ["row", "1"]
    assert lines[1:21] == [[f"column_{n}", str(n)] for n in range(20)]
    assert lines[21:23] == [["row", "2"], ["column_0", "-"]]


def test_sql_comes_from_the_line_a_file_or_standard_input(
    run: Run, athena: Athena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.sql").write_text("SELECT 'größe'", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 3"))
    for given in ("SELECT 1", f"@{tmp_path / 'mine.sql'}", "-"):
        assert run("predictions", "query", "iris", given).code == 0
    assert [each["QueryString"] for each in athena.started] == ["SELECT 1", "SELECT 'größe'", "SELECT 3"]
    ended = run("predictions", "query", "iris", f"@{tmp_path / 'gone.sql'}")
    assert ended.code == 2
    assert "gone.sql cannot be read: No such file or directory" in spoken(ended.err)


def test_a_request_that_is_not_there_ends_with_1(run: Run, athena: Athena) -> None:
    athena.rows = []
    ended = run("predictions", "find", "iris", "request-1", "--day", "2026-01-31")
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == (
        "error: iris: no request request-1 on 2026-01-31; "
        "a record can be asked for two to three minutes after its reply"
    )
    assert "\"day\" = '2026-01-31'" in athena.started[0]["QueryString"]
    in_json = run("predictions", "find", "iris", "request-1", "--json")
    assert (in_json.code, json.loads(in_json.out)["rows"]) == (1, [])
    assert "no request request-1 in the log" in in_json.err


def refused(message: str) -> ClientError:
    return ClientError({"Error": {"Code": "InvalidRequestException", "Message": message}}, "StartQueryExecution")


def failed(state: str, reason: str) -> Sequence[Any]:
    return [{"State": "QUEUED"}, {"State": "RUNNING"}, {"State": state, "StateChangeReason": reason}]


def test_bad_sql_is_told_in_athenas_words(run: Run, athena: Athena) -> None:
    athena.refusal = refused("line 1:1: mismatched input 'SELEC'. Expecting: 'ALTER', …")
    assert said(run, "query", "iris", "SELEC 1") == "line 1:1: mismatched input 'SELEC'. Expecting: 'ALTER', …"
    athena.refusal, athena.course = None, failed("FAILED", "FUNCTION_NOT_FOUND: line 1:8: Function 'x' not registered")
    assert said(run, "query", "iris", "SELECT x()") == "FUNCTION_NOT_FOUND: line 1:8: Function 'x' not registered"


def test_a_query_that_reads_too_much_says_what_to_do(run: Run, athena: Athena) -> None:
    athena.course = failed("CANCELLED", "Bytes scanned limit was exceeded")
    told = said(run, "query", "iris", "SELECT * FROM predictions")
    assert told.startswith("Bytes scanned limit was exceeded\nThe workgroup's scan limit ended the query. Name fewer")
    assert "mainstage:prediction_log scan_limit_mib" in told


def test_a_model_without_a_log_yet(run: Run, athena: Athena) -> None:
    athena.refusal = refused("WorkGroup mainstage-dev-iris is not found.")
    assert said(run, "latency", "iris") == (
        "iris has no prediction log in dev (no workgroup mainstage-dev-iris): mainstage up --env dev"
    )


def test_a_model_that_nobody_knows_is_not_asked_for(run: Run, athena: Athena) -> None:
    assert said(run, "errors", "nobody").startswith("model 'nobody' is not in the catalog (stacks/models/); there are:")
    assert athena.started == []


def test_without_an_environment_it_says_how_to_get_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> Any:
        raise TargetError("no rehearsal is being served; start one with: make rehearse ARGS=--serve")

    monkeypatch.setattr("infra.cli.common.resolve", nowhere)
    assert said(run, "latency", "iris").startswith("no rehearsal is being served; start one with:")


def said(run: Run, *words: str) -> str:
    """The one error of a command, the same for a person and a script."""
    ended, in_json = run("predictions", *words), run("predictions", *words, "--json")
    assert (ended.code, in_json.code) == (1, 1)
    assert "Traceback" not in ended.err
    told = ended.err.strip()
    assert told.startswith("error: ")
    error = told.removeprefix("error: ")
    assert json.loads(in_json.out)["error"].splitlines()[0] == error.splitlines()[0]
    return error


def spoken(err: str) -> str:
    """What a framed error says, without its frame and line breaks."""
    return " ".join(err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("latency", "iris", "--csv", "--json"), "--csv and --json exclude each other"),
        (("latency", "iris", "--hours", "0"), "--hours"),
        (("latency", "iris", "--hours", "soon"), "--hours"),
        (("errors", "iris", "--each", "1001"), "--each"),
        (("find", "iris", "request-1", "--day", "yesterday"), "'yesterday' is no day; write it as 2026-01-31"),
        (("latency",), "Missing argument"),
        (("guess", "iris"), "No such command 'guess'"),
    ],
)
def test_a_mistake_in_the_command_line_is_refused_before_anything_is_asked(
    run: Run, athena: Athena, words: tuple[str, ...], message: str
) -> None:
    ended = run("predictions", *words)
    assert ended.code == 2
    assert message in spoken(ended.err)
    assert athena.started == []


def test_no_text_of_a_person_gets_out_of_its_quotes(run: Run, athena: Athena) -> None:
    ended = run("predictions", "find", "iris", "x' OR '1'='1")
    assert ended.code == 1
    assert "is no request id" in ended.err
    assert "Traceback" not in ended.err
    assert athena.started == []


def test_ctrl_c_stops_the_scan(run: Run, athena: Athena) -> None:
    athena.course = [{"State": "RUNNING"}, KeyboardInterrupt()]
    ended = run("predictions", "query", "iris", "SELECT 1")
    assert (ended.code, ended.err) == (130, "error: stopped; nothing is left running on this machine\n")
    assert athena.stopped == ["q-1"]


HOSTILE = "[red]x[/b]\x1b]52;c;eA==\x07\x9b2J\u202e"
SHOWN = r"[red]x[/b]\x1b]52;c;eA==\x07\x9b2J\u202e"


@pytest.mark.parametrize("copies", [1, 12])
def test_names_and_values_are_shown_as_they_are(run: Run, athena: Athena, copies: int) -> None:
    athena.columns = [(f"{HOSTILE}{number}", "varchar") for number in range(copies)]
    athena.rows = [[HOSTILE] * copies]
    ended = run("predictions", "query", "iris", "SELECT 1")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(SHOWN) == 2 * copies
    assert not set("\x1b\x07\x9b\u202e") & set(ended.out)
    in_json = run("predictions", "query", "iris", "SELECT 1", "--json")
    assert not set("\x1b\x07\x9b\u202e") & set(in_json.out)
    assert json.loads(in_json.out)["rows"] == [{f"{HOSTILE}{number}": HOSTILE for number in range(copies)}]


def test_csv_is_untouched_for_a_script_and_spelled_on_a_terminal(
    run: Run, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    athena.columns, athena.rows = [("a", "varchar"), ("b", "varchar")], [[f"{HOSTILE}\r", '=HYPERLINK("x")']]
    ended = run("predictions", "query", "iris", "SELECT 1", "--csv")
    assert list(csv.reader(io.StringIO(ended.out, newline=""))) == [["a", "b"], [f"{HOSTILE}\r", '=HYPERLINK("x")']]
    monkeypatch.setattr("infra.cli.predictions.on_a_terminal", lambda: True)
    ended = run("predictions", "query", "iris", "SELECT 1", "--csv")
    assert SHOWN in ended.out
    assert not set("\x1b\x07\x9b\u202e\r") & set(ended.out)


def test_columns_of_one_name_keep_their_values(run: Run, athena: Athena) -> None:
    athena.columns = [("a", "integer"), ("a", "varchar"), ("a_2", "integer"), ("a", "integer"), ("b", "integer")]
    athena.rows = [["1", "two", "3", "4", "5"]]
    note = "note: several columns are called a; the others are shown as a_3, a_4"
    for option in ((), ("--json",), ("--csv",)):
        ended = run("predictions", "query", "iris", "SELECT 1 AS a, 'two' AS a", *option)
        assert ended.code == 0
        assert note in (ended.err if option else ended.out).splitlines()
    assert ended.out == "a,a_3,a_2,a_4,b\n1,two,3,4,5\n"
    table = run("predictions", "query", "iris", "SELECT 1").out.splitlines()
    assert table[1].split() == ["a", "a_3", "a_2", "a_4", "b"]
    assert table[2].split() == ["1", "two", "3", "4", "5"]
    told = json.loads(run("predictions", "query", "iris", "SELECT 1", "--json").out)
    assert told["columns"] == ["a", "a_3", "a_2", "a_4", "b"]
    assert told["rows"] == [{"a": 1, "a_3": "two", "a_2": 3, "a_4": 4, "b": 5}]


@pytest.mark.parametrize(
    "request_id", ["-Kh1aQEPDoEEP9w=", "--JKJaXmPLvHcES=", "-hABCDEFGHIJKLM=", "-1", "--Kjson", "-json=", "-x"]
)
def test_an_id_may_begin_as_an_option_does(run: Run, athena: Athena, request_id: str) -> None:
    for words in ((request_id,), (request_id, "--day", "2026-01-31"), ("--json", request_id), ("--", request_id)):
        assert run("predictions", "find", "iris", *words).code == 0
    assert len(athena.started) == 4
    assert all(f"\"request_id\" = '{request_id}'" in each["QueryString"] for each in athena.started)


def test_a_misspelt_option_is_no_id(run: Run, athena: Athena) -> None:
    for words in (("--jsn",), ("request-1", "--dya", "2026-01-31"), ("request-1", "--dya=2026-01-31")):
        ended = run("predictions", "find", "iris", *words)
        assert ended.code == 2
        assert f"No such option: {words[-1] if words[-1] == '--jsn' else '--dya'}" in spoken(ended.err)
    assert "Usage: " in run("predictions", "find", "iris", "-h").out
    assert athena.started == []


def test_sql_may_begin_with_a_comment(run: Run, athena: Athena) -> None:
    for sql in ("-- mine\nSELECT 1", "--mine, too\nSELECT 1"):
        assert run("predictions", "query", "iris", sql, "--json").code == 0
        assert athena.started[-1]["QueryString"] == sql


def test_numbers_that_json_does_not_know_are_words(run: Run, athena: Athena) -> None:
    athena.columns, athena.rows = [("a", "double"), ("b", "double"), ("c", "double")], [["NaN", "-Infinity", "0.0004"]]
    ended = run("predictions", "query", "iris", "SELECT nan()", "--json")
    told = json.loads(ended.out, parse_constant=pytest.fail)
    assert told["rows"] == [{"a": "NaN", "b": "-Infinity", "c": 0.0004}]
    assert run("predictions", "query", "iris", "SELECT nan()").out.splitlines()[2].split() == ["nan", "-inf", "0.0004"]


def test_no_rows_are_a_line_and_no_error(run: Run, athena: Athena) -> None:
    athena.rows = []
    for words in (("query", "iris", "SELECT 1"), ("latency", "iris"), ("errors", "iris")):
        ended = run("predictions", *words)
        assert ended.code == 0
        assert "0 rows, 20,480 bytes scanned, 1.23 s" in ended.out.splitlines()
        assert json.loads(run("predictions", *words, "--json").out)["rows"] == []
        assert run("predictions", *words, "--csv").out == "request_id,requests,p50_ms,replayed,note\n"


def test_a_script_gets_one_document_whatever_goes_wrong(run: Run, athena: Athena) -> None:
    for words, error in (
        (("find", "iris", "--json"), "Missing argument 'request_id'."),
        (("errors", "iris", "--csv", "--json"), "Invalid value: --csv and --json exclude each other"),
        (("find", "iris", "r", "--jsn", "--json"), "No such option: --jsn (Possible options: --csv, --json)"),
    ):
        ended = run("predictions", *words)
        assert (ended.code, json.loads(ended.out)) == (2, {"error": error})
        assert "Usage: " in ended.err
    athena.course = [{"State": "RUNNING"}, KeyboardInterrupt()]
    ended = run("predictions", "query", "iris", "SELECT 1", "--json")
    assert (ended.code, json.loads(ended.out)) == (130, {"error": "stopped; nothing is left running on this machine"})


def test_sql_that_is_not_there_is_a_mistake_in_the_command_line(run: Run, athena: Athena) -> None:
    for sql in ("", " \n"):
        ended = run("predictions", "query", "iris", sql)
        assert ended.code == 2
        assert "there is no SQL" in spoken(ended.err)
    assert athena.started == []


LATENCY = ["version", "requests", "p50_ms", "p95_ms", "p99_ms", "model_p50_ms", "model_p95_ms", "model_p99_ms"]
ERRORS = ["status", "error_code", "occurrences", "at", "request_id", "error_field", "version", "caller", "latency_ms"]
MOMENT = "2026-11-21 17:05:12.345"


def test_latency_fits_into_eighty_columns(run: Run, athena: Athena, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ["varchar", "bigint", *["double"] * 6, "timestamp", "timestamp"]
    athena.columns = list(zip([*LATENCY, "first_at", "last_at"], kinds, strict=True))
    athena.rows = [["12", "1234567", *["1234.567"] * 6, MOMENT, MOMENT]]
    monkeypatch.setenv("COLUMNS", "80")
    ended = run("predictions", "latency", "iris")
    _, head, row, left_out, _ = ended.out.splitlines()
    assert head.split() == [*LATENCY[:5], "model", "p50", "model", "p95", "model", "p99"]
    assert row.split() == ["12", "1234567", *["1234.57"] * 6]
    assert max(len(head), len(row)) <= 80
    assert left_out == "not shown for want of room: first_at, last_at (see --json)"
    monkeypatch.setenv("COLUMNS", "160")
    head, row = run("predictions", "latency", "iris").out.splitlines()[1:3]
    assert head.split() == [*LATENCY, "first_at", "last_at"]
    assert row.split() == ["12", "1234567", *["1234.57"] * 6, *MOMENT.split(), *MOMENT.split()]


def test_errors_fit_into_eighty_columns_and_ids_are_whole(
    run: Run, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"latency_ms": "double", "occurrences": "bigint"}
    athena.columns = [(name, kinds.get(name, "varchar")) for name in ERRORS]
    athena.rows = [
        ["400", "invalid_payload", "412", MOMENT, "-Kh1aQEPDoEEP9w=", "instances[0].petal_length", "", "a" * 60, "1.5"],
        ["504", "deadline_exceeded", "3", MOMENT, "JKJaXmPLvHcESHA=", None, "2", "a" * 60, "10000"],
    ]
    monkeypatch.setenv("COLUMNS", "80")
    ended = run("predictions", "errors", "iris")
    _, head, *rows, left_out, _ = ended.out.splitlines()
    assert head.split() == ["status", "error_code", "count", "at", "(UTC)", "request_id", "error_field"]
    assert rows[0].split()[:6] == ["400", "invalid_payload", "412", "11-21", "17:05:12", "-Kh1aQEPDoEEP9w="]
    assert rows[-1].split() == ["504", "deadline_exceeded", "3", "11-21", "17:05:12", "JKJaXmPLvHcESHA=", "-"]
    folded = "".join(line.split()[-1] for line in rows[:-1])
    assert folded == "instances[0].petal_length"
    assert all(len(line) <= 80 for line in (head, *rows))
    assert left_out == "not shown for want of room: version, caller, latency_ms (see --json)"
    monkeypatch.setenv("COLUMNS", "60")
    assert run("predictions", "errors", "iris").out.splitlines()[1] == "row 1"


def test_an_empty_answer_says_when_records_can_be_asked_for(
    run: Run, athena: Athena, monkeypatch: pytest.MonkeyPatch
) -> None:
    athena.rows = []
    when = "a record can be asked for two to three minutes after its reply"
    athena.columns = [(name, "varchar") for name in (*LATENCY_NARROW, "caller", "model_version", "another_of_many")]
    monkeypatch.setenv("COLUMNS", "80")
    ended = run("predictions", "latency", "iris", "--hours", "2")
    assert (ended.code, ended.err) == (0, f"iris: no answered request is logged in the last 2 hours; {when}\n")
    _, cost = ended.out.splitlines()  # no empty table
    assert cost == "0 rows, 20,480 bytes scanned, 1.23 s"
    assert run("predictions", "errors", "iris").err == f"iris: no error is logged in the last 24 hours; {when}\n"
    # Of a person's own SELECT the columns are told all the same.
    athena.columns = COLUMNS
    asked = run("predictions", "query", "iris", "SELECT 1").out.splitlines()
    assert asked[1].split() == [name for name, _ in COLUMNS]
    assert asked[2] == "0 rows, 20,480 bytes scanned, 1.23 s"
    assert json.loads(run("predictions", "latency", "iris", "--json").out)["rows"] == []
    assert run("predictions", "latency", "iris", "--csv").out == ",".join(name for name, _ in COLUMNS) + "\n"


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("petal_width", "did you mean input_petal_width?"),
        ("predictions.Petal_Width", "did you mean input_petal_width?"),
        ("species", "did you mean output_species?"),
        ("latency", "did you mean latency_ms?"),
        (
            "xyzzy",
            "the log's columns: docs/guides/prediction-record.md, and input_<field> and output_<field> of a signature",
        ),
    ],
)
def test_a_column_that_is_not_there_is_told_with_the_one_that_was_meant(
    run: Run, athena: Athena, column: str, hint: str
) -> None:
    reason = f"COLUMN_NOT_FOUND: line 1:8: Column '{column}' cannot be resolved"
    athena.course = failed("FAILED", reason)
    assert said(run, "query", "iris", "SELECT 1") == f"{reason}\n{hint}"


def test_personal_data_that_is_dropped_is_no_column(run: Run) -> None:
    signature = Signature.model_validate(
        {"inputs": [{"name": "Email", "type": "string", "pii": "drop"}], "outputs": [{"name": "ok", "type": "boolean"}]}
    )
    for column in ("email", "input_email"):
        refusal = f"COLUMN_NOT_FOUND: line 1:8: Column '{column}' cannot be resolved"
        told = "Email is personal data that the signature drops: it is not logged"
        assert column_hint(refusal, signature) == told
    assert column_hint("SYNTAX_ERROR: line 1:8: no", signature) == ""
