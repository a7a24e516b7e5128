"""`mainstage rehearse` as a person and a script see it: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from outline import Outline
from served import Served, mainstage, plain_environment, serving

GOOD = 40
"""Good predictions of a served rehearsal; one each that is bad, unicode, oversized, unsigned comes on top."""
PHASES = ["environments", "training", "cloud", "platform", "registering", "models", "predictions", "log"]
SAYS_OK = "everything answered"


def test_the_one_object_that_json_prints(served: Served) -> None:
    report = served.report
    assert list(report) == [
        "ok", "problems", "environment", "account_id", "region", "endpoint_url", "resources", "predictions",
        "front_door_url", "log", "policies", "drills", "refused_calls", "not_served", "seconds", "aws_calls",
        "real", "emulated", "differences", "page", "try",
    ]  # fmt: skip
    assert (report["ok"], report["problems"], report["refused_calls"]) == (True, [], [])
    assert (report["environment"], report["account_id"], report["region"]) == ("dev", "111111111111", "eu-west-1")
    assert report["endpoint_url"] == served.target.endpoint_url
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", report["front_door_url"])
    assert list(report["resources"]) == ["platform-dev", "models-dev"]
    for name, stack in report["resources"].items():
        assert list(stack) == ["stack", "total", "changes", "by_type", "seconds"]
        assert (stack["stack"], stack["total"]) == (name, sum(stack["by_type"].values()))
        assert set(stack["changes"]) - {"read"} == {"create"}
        # The stack itself is created too and is no line of by_type.
        assert stack["changes"]["create"] == stack["total"] + 1
    assert report["not_served"] == {"card-fraud": "awaits its first version: declared, no endpoint yet"}
    assert list(report["seconds"]) == PHASES
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["aws_calls"]["overlay"] > 100
    assert report["aws_calls"]["moto"] > 100
    assert set(report["aws_calls"]) <= {"overlay", "moto", "store"}
    assert (len(report["real"]), len(report["emulated"]), report["differences"]) == (5, 5, [])
    assert report["page"] == "rehearsal.html"
    assert report["try"].startswith("mainstage predict iris '{")


def test_every_reply_is_counted_by_kind_and_in_the_log_by_sql(served: Served) -> None:
    [(model, sent)] = served.report["predictions"].items()
    percentiles = [sent.pop(name) for name in ("p50_ms", "p95_ms", "p99_ms")]
    assert 0 < percentiles[0] <= percentiles[1] <= percentiles[2]
    assert (model, sent) == (
        "iris",
        {
            "sent": GOOD + 4,
            "answered": GOOD,
            "unexpected": {},
            "replies": {
                "bad": {"400": 1},
                "good": {"200": GOOD},
                "oversized": {"413": 1},
                "unicode": {"400": 1},
                "unsigned": {"403": 1},
            },
            "versions": {"1": GOOD},
            "published_invocations": float(GOOD),
        },
    )
    [(model, log)] = served.report["log"].items()
    [latency] = log.pop("latencies")
    assert (latency["version"], latency["predictions"]) == ("1", GOOD)
    # The front door's own watch starts later and stops earlier than the clients'.
    assert 0 < latency["p50_ms"] <= latency["p95_ms"] <= latency["p99_ms"] <= percentiles[2]
    assert log.pop("objects") >= 1
    assert log.pop("scanned_bytes") > 0
    # The gateway refused the unsigned one by itself: it has no id, and the front door never heard of it.
    assert (model, log) == (
        "iris",
        {"received": GOOD + 3, "logged": GOOD + 3, "missing": [], "unknown": [], "repeated": 0},
    )


def test_somebody_else_finds_the_same_in_the_log(served: Served) -> None:
    """Asked by SQL from another process: what the rehearsal says of its log is so."""
    sql = (
        "SELECT status, error_code, version, count(*) AS n, count(DISTINCT request_id) AS ids FROM predictions "
        'WHERE "at" <= (SELECT min(logged_at) FROM predictions) GROUP BY 1, 2, 3 ORDER BY 1'
    )
    done = served.run("predictions", "query", "iris", sql, "--json")
    assert done.returncode == 0, done.stderr
    assert [tuple(row.values()) for row in json.loads(done.stdout)["rows"]] == [
        (200, None, "1", GOOD, GOOD),
        (400, "invalid_payload", "unknown", 2, 2),
        (413, "body_too_large", "unknown", 1, 1),
    ]


def test_the_page_shows_the_run_and_needs_nothing(served: Served) -> None:
    text = (served.root / served.report["page"]).read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.title == "Rehearsal of dev: everything answered"
    assert outline.addresses == []
    assert not re.search(r"https?://", text)
    report, words = served.report, outline.words
    assert outline.count("circle.dot") == GOOD + 4
    assert outline.count("svg.graph") == 2
    assert outline.count("div.bar") == len(PHASES)
    # A box a component that owns resources: every one but ModelService, which only composes.
    components = {
        kind.rpartition(":")[2]: count
        for stack in report["resources"].values()
        for kind, count in stack["by_type"].items()
        if kind.startswith("mainstage:")
    }
    composing = components.pop("ModelService")
    assert composing == 2
    assert outline.count("g.box") in (sum(components.values()), sum(components.values()) + composing)
    assert outline.count("path.edge") >= outline.count("g.box") // 2
    resources = sum(stack["total"] for stack in report["resources"].values())
    for said in (
        "account 111111111111, eu-west-1; offline, against an emulated AWS",
        "everything answered as it had to be",
        f"{resources} resources in 2 stacks",
        f"{GOOD} predictions by iris, of {GOOD + 4} requests",
        f"{GOOD + 3} of {GOOD + 3} request ids of iris in the log, each once",
        "1 × 413",
        "1 × 403",
        "No AWS call was refused",
        *report["real"],
        *report["emulated"],
        *PHASES,
        *report["not_served"].values(),
    ):
        assert re.sub(r"\s+", "", said) in re.sub(r"\s+", "", words), said


def test_a_prediction_that_fails_is_told_and_ends_it_with_1(new_checkout: Callable[[], Path]) -> None:
    """The model's process answers five times and no more: the log is whole all the same, and nothing says ok."""
    root = new_checkout()
    path = root / "examples" / "models" / "iris" / "inference.py"
    wears_out = (
        "ANSWERED = []\n\n\ndef predict_fn(rows, model):\n    ANSWERED.append(1)\n"
        "    if len(ANSWERED) > 5:\n        raise RuntimeError('worn out')\n"
    )
    path.write_text(path.read_text().replace("def predict_fn(rows, model):\n", wears_out))
    done = mainstage(root, "rehearse", "--json", "--predictions", "12")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert "error" not in report, report["error"]
    assert report["ok"] is False
    [problem] = report["problems"]
    assert problem.startswith(
        "iris: 7 of 16 requests were not answered as they had to be: good: 502 instead of 200: model_error: "
    )
    assert f"error: {problem}" in done.stderr
    assert report["predictions"]["iris"]["replies"]["good"] == {"200": 5, "502": 7}
    assert (report["log"]["iris"]["received"], report["log"]["iris"]["logged"]) == (15, 15)
    text = (root / "rehearsal.html").read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.title == "Rehearsal of dev: problems"
    assert problem in outline.words
    assert SAYS_OK not in outline.title + outline.words


def test_a_rehearsal_that_stops_in_the_middle_leaves_no_page(new_checkout: Callable[[], Path]) -> None:
    """Not even the one of an earlier run, which would say ok."""
    root = new_checkout()
    (root / "rehearsal.html").write_text(SAYS_OK)
    (root / "examples" / "models" / "iris" / "train.py").write_text("raise SystemExit('no data today')\n")
    done = mainstage(root, "rehearse", "--predictions", "1")
    assert done.returncode == 1
    assert "train.py: ended with 1 and wrote no model.tar.gz" in done.stderr
    assert "no data today" in done.stderr
    assert "Traceback" not in done.stderr
    assert SAYS_OK not in done.stdout
    assert not (root / "rehearsal.html").exists()
    assert list((root / ".mainstage" / "rehearsals").iterdir()) == []


def test_an_awaiting_model_has_its_role_and_alarms_and_no_endpoint(served: Served) -> None:
    alarms = served.client("cloudwatch").describe_alarms(AlarmNamePrefix="dev-card-fraud-guard-")["MetricAlarms"]
    assert len(alarms) == 7
    endpoints = served.client("sagemaker").list_endpoints()["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in endpoints] == ["dev-iris"]


def test_the_printed_command_works(served: Served) -> None:
    words = shlex.split(served.report["try"])
    done = served.run(*words[1:], "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert list(answer) == ["answer", "version", "request_id", "latency_ms"]
    assert answer["version"] == "1"
    assert answer["answer"]["predictions"][0]["species"] in {"setosa", "versicolor", "virginica"}
    assert "emulated AWS at http://127.0.0.1:" in done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_curl_line_works_as_it_is_pasted(served: Served) -> None:
    [line] = [line for line in (served.root / "rehearse.log").read_text().splitlines() if line.startswith("  curl ")]
    if "--aws-sigv4" not in subprocess.run(["curl", "--help", "all"], capture_output=True, text=True).stdout:
        pytest.skip("this curl does not sign requests")
    done = subprocess.run(["sh", "-c", f"{line} --silent --show-error"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    [prediction] = json.loads(done.stdout)["predictions"]
    assert prediction["species"] in {"setosa", "versicolor", "virginica"}


@pytest.mark.timeout(240)
def test_up_again_changes_nothing_and_a_changed_file_changes_that(served: Served) -> None:
    done = served.run("up", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    assert [(each["stack"], set(each["changes"]) - {"read"}) for each in json.loads(done.stdout)] == [
        ("platform-dev", {"same"}),
        ("models-dev", {"same"}),
    ]
    stack = served.root / "stacks" / "Pulumi.platform-dev.yaml"
    text = stack.read_text()
    stack.write_text(text.replace("capture:\n    retention_days: 30", "capture:\n    retention_days: 31"))
    done = served.run("up", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    platform = json.loads(done.stdout)[0]["changes"]
    assert platform["update"] == 1
    assert not platform.get("replace")


def test_up_for_another_environment_says_so(served: Served) -> None:
    done = served.run("up", "--env", "prod")
    assert done.returncode == 1
    assert "the served rehearsal is of dev, not prod" in done.stderr


def test_status_list_and_show(served: Served) -> None:
    [iris] = json.loads(served.run("model", "status", "iris", "--json").stdout)
    assert (iris["asked"], iris["endpoint_status"]) == ("version 1", "InService")
    assert [(v["version"], v["traffic_percent"], v["instances"]) for v in iris["variants"]] == [("1", 100.0, 1)]
    assert len(iris["alarms"]) == 7
    listed = {row["model"]: row for row in json.loads(served.run("model", "list", "--json").stdout)}
    assert listed["iris"]["versions"] == [1]
    assert listed["card-fraud"]["versions"] == []
    card = json.loads(served.run("model", "show", "iris", "--json").stdout)
    assert card["metrics"]["accuracy"] > 0.9
    assert len(card["data"]["sha256"]) == 64
    assert card["runtime"]["packages"]["scikit-learn"] == "1.4.2"
    shown = served.run("model", "status").stdout
    assert "iris" in shown
    assert "InService" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model", "show", "nobody"), "nobody: no version is registered"),
        (("model", "show", "iris", "7"), "version 7 is not registered; registered are 1"),
        (("model", "status", "nobody"), "model 'nobody' is not in the catalog"),
        (("model", "push", "nobody", "."), "model 'nobody' is not in the catalog"),
        (("predict", "iris", "{"), "the request is not JSON"),
        (("predict", "iris", "@nowhere.json"), "nowhere.json"),
        (("predict", "nobody", "{}"), "model 'nobody' is not in the catalog"),
        (("predict", "card-fraud", "{}"), "card-fraud awaits its first version"),
        (("predict", "iris", '{"instances": [{"sepal_length": "tall"}]}'), 'sepal_length: "tall" is no double'),
        (("model", "list", "--target", "dev"), "--profile"),
        (("model", "list", "--target", "mars"), "allowed are rehearsal, dev, staging, prod"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(served: Served, words: tuple[str, ...], said: str) -> None:
    done = served.run(*words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_only_the_pointers_key_opens_it(served: Served) -> None:
    """The key is this run's own, in a file that only its user reads; the one of in-process clouds is unknown here."""
    told = json.loads((served.root / ".mainstage" / "rehearsal.json").read_text())
    assert (served.root / ".mainstage" / "rehearsal.json").stat().st_mode & 0o777 == 0o600
    assert told["access_key_id"] != "AKIAREHEARSALOPERATR"
    stranger = boto3.Session("AKIAREHEARSALOPERATR", "rehearsal", region_name="eu-west-1")
    client = stranger.client("sagemaker", endpoint_url=served.target.endpoint_url)
    with pytest.raises(ClientError, match="security token"):
        client.list_endpoints()


def test_a_second_rehearsal_on_the_same_port_says_so(served: Served, new_checkout: Callable[[], Path]) -> None:
    assert served.target.endpoint_url is not None
    port = served.target.endpoint_url.rpartition(":")[2]
    done = mainstage(new_checkout(), "rehearse", "--port", port, "--predictions", "1")
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def children_of(pid: int) -> set[int]:
    """All descendants of a process (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    while new := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= new
    return found


@pytest.mark.timeout(240)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_kill_9_leaves_no_process_and_the_next_run_starts_clean(new_checkout: Callable[[], Path]) -> None:
    """The next run also has no AWS credentials and, where that is permitted, no network but loopback."""
    root = new_checkout()
    before = tree(root)
    with serving(root) as first:
        children = children_of(first.process.pid)
        assert children, "the model host is a process of its own"
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(10)
        end = time.monotonic() + 60
        while living := {pid for pid in children if Path(f"/proc/{pid}").exists()}:
            assert time.monotonic() < end, f"still alive: {living}"
            time.sleep(0.05)
    done = mainstage(root, "model", "list")
    assert done.returncode == 1
    assert "no rehearsal is being served" in done.stderr
    report = alone(root)
    assert report["ok"] is True
    assert report["predictions"]["iris"]["answered"] == 5
    assert not (root / ".mainstage" / "rehearsal.json").exists()
    assert list((root / ".mainstage" / "rehearsals").iterdir()) == []
    # Two runs have changed nothing that is committed; the page and .mainstage are not (.gitignore).
    after = tree(root)
    assert SAYS_OK.encode() in after.pop("rehearsal.html")
    after.pop("rehearse.log")  # this test's own
    assert after == before


def alone(root: Path) -> dict[str, Any]:
    """A rehearsal in a network namespace that has loopback and nothing else; its report."""
    command = [sys.executable, "-m", "infra.cli", "rehearse", "--json", "--predictions", "5"]
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0:
        command = ["unshare", "-rn", "sh", "-c", f"ip link set lo up; exec {shlex.join(command)}"]
    done = subprocess.run(
        command, cwd=root, env=plain_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tree(root: Path) -> dict[str, bytes]:
    """Every file of a checkout and what it holds, but for .mainstage."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] != ".mainstage"
    }


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    done = mainstage(tmp_path, "rehearse")
    assert done.returncode == 1
    assert "not inside a Mainstage checkout" in done.stderr


def test_an_unknown_environment_is_refused(new_checkout: Callable[[], Path]) -> None:
    done = mainstage(new_checkout(), "rehearse", "--env", "qa")
    assert done.returncode == 1
    assert "allowed are dev, staging, prod" in done.stderr


@pytest.mark.skipif(not Path("/proc").exists(), reason="a file system that cannot be written is made of /proc")
def test_a_folder_that_cannot_be_written_is_named(new_checkout: Callable[[], Path]) -> None:
    root = new_checkout()
    (root / ".mainstage" / "rehearsals").symlink_to("/proc/nowhere")
    done = mainstage(root, "rehearse", "--predictions", "1")
    assert done.returncode == 1
    assert ".mainstage/rehearsals" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_file_stops_before_anything_is_made(new_checkout: Callable[[], Path]) -> None:
    root = new_checkout()
    path = root / "stacks" / "models" / "iris.yaml"
    path.write_text(path.read_text().replace("stable: 1", "stabel: 1"))
    done = mainstage(root, "rehearse", "--predictions", "1")
    assert done.returncode == 1
    assert "stacks/models/iris.yaml:" in done.stderr
    assert "stable" in done.stderr
    assert list((root / ".mainstage" / "rehearsals").iterdir()) == []
