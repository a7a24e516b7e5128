"""`mainstage rehearse` as a person and a script see it: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from served import Served, mainstage, plain_environment, serving


def test_the_one_object_that_json_prints(served: Served) -> None:
    report = served.report
    assert report["ok"] is True
    assert report["problems"] == []
    assert (report["environment"], report["account_id"], report["region"]) == ("dev", "111111111111", "eu-west-1")
    assert set(report["resources"]) == {"platform-dev", "models-dev"}
    for stack in report["resources"].values():
        assert stack["total"] == sum(stack["by_type"].values())
        assert set(stack["changes"]) - {"read"} == {"create"}
    iris = report["predictions"]["iris"]
    assert (iris["sent"], iris["answered"], iris["published_invocations"]) == (40, 40, 40)
    assert iris["versions"] == {"1": 40}
    assert 0 < iris["p50_ms"] <= iris["p95_ms"] <= iris["p99_ms"]
    assert list(report["seconds"]) == [
        "environments",
        "training",
        "cloud",
        "platform",
        "registering",
        "models",
        "predictions",
    ]
    assert report["try"].startswith("mainstage predict iris '{")
    assert report["aws_calls"]["overlay"] > 0
    assert report["aws_calls"]["moto"] > 0


def test_an_awaiting_model_has_its_role_and_alarms_and_no_endpoint(served: Served) -> None:
    alarms = served.client("cloudwatch").describe_alarms(AlarmNamePrefix="dev-card-fraud-guard-")["MetricAlarms"]
    assert len(alarms) == 7
    endpoints = served.client("sagemaker").list_endpoints()["Endpoints"]
    assert [endpoint["EndpointName"] for endpoint in endpoints] == ["dev-iris"]


def test_the_printed_command_works(served: Served) -> None:
    import shlex

    words = shlex.split(served.report["try"])
    done = served.run(*words[1:], "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"] == 1
    assert answer["answer"]["predictions"][0]["species"] in {"setosa", "versicolor", "virginica"}
    assert "emulated AWS at http://127.0.0.1:" in done.stderr


def test_up_again_changes_nothing_and_a_changed_file_changes_that(served: Served) -> None:
    done = served.run("up", "--env", "dev", "--json")
    assert done.returncode == 0, done.stderr
    assert [(each["stack"], set(each["changes"]) - {"read"}) for each in json.loads(done.stdout)] == [
        ("platform-dev", {"same"}),
        ("models-dev", {"same"}),
    ]
    stack = served.root / "stacks" / "Pulumi.platform-dev.yaml"
    text = stack.read_text()
    stack.write_text(text.replace("retention_days: 30", "retention_days: 31"))
    try:
        done = served.run("up", "--env", "dev", "--json")
        assert done.returncode == 0, done.stderr
        platform = json.loads(done.stdout)[0]["changes"]
        assert platform["update"] == 1
        assert not platform.get("replace")
    finally:
        stack.write_text(text)
        assert served.run("up", "--env", "dev").returncode == 0


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
    in_json = served.run(*words, "--json")
    assert said in json.loads(in_json.stdout)["error"]


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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_kill_9_leaves_no_process_and_the_next_run_starts_clean(new_checkout: Callable[[], Path]) -> None:
    root = new_checkout()
    with serving(root) as first:
        children = children_of(first.process.pid)
        assert children, "the model host is a process of its own"
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait(10)
        end = time.monotonic() + 10
        while living := {pid for pid in children if Path(f"/proc/{pid}").exists()}:
            assert time.monotonic() < end, f"still alive: {living}"
            time.sleep(0.05)
    done = mainstage(root, "model", "list")
    assert done.returncode == 1
    assert "no rehearsal is being served" in done.stderr
    with serving(root) as second:
        assert second.report["ok"] is True
        runs = [path.name for path in (root / ".mainstage" / "rehearsals").iterdir()]
        assert runs == [f"{second.process.pid}-rehearsal"]
    assert not (root / ".mainstage" / "rehearsal.json").exists()
    assert list((root / ".mainstage" / "rehearsals").iterdir()) == []


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


def test_no_aws_credentials_and_no_way_out_are_needed(new_checkout: Callable[[], Path]) -> None:
    """With the environments there, a rehearsal runs in a network namespace that has loopback and nothing else."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode != 0:
        pytest.skip("unshare -rn is not permitted here")
    command = f"ip link set lo up; exec {sys.executable} -m infra.cli rehearse --json --predictions 5"
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", command],
        cwd=new_checkout(),
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True
