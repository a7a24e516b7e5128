"""The delivering process itself: it ends with the cloud's process however that ends, and reaches loopback only."""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from infra.rehearsal.cloud.delivery.channel import Channel
from infra.rehearsal.cloud.delivery.process import DeliveryProcess

PROGRAM = """
import sys, time
from pathlib import Path
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.overlay import firehose_delivery
cloud = Cloud(account_id="111111111111", region="eu-west-1", directory=Path(sys.argv[1]))
cloud.start()
trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"firehose.amazonaws.com"},' \\
    '"Action":"sts:AssumeRole"}]}'
role = cloud.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
cloud.client("s3").create_bucket(Bucket="b-1", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
firehose = cloud.client("firehose")
firehose.create_delivery_stream(
    DeliveryStreamName="s", ExtendedS3DestinationConfiguration={"RoleARN": role, "BucketARN": "arn:aws:s3:::b-1"})
firehose.put_record(DeliveryStreamName="s", Record={"Data": b"x"})
while not firehose_delivery.pids(cloud, "s"):
    time.sleep(0.01)
print(firehose_delivery.pids(cloud, "s")[0], flush=True)
time.sleep(60)
"""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and is still in the table does not count.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_it_ends_when_the_cloud_s_process_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
        text=True,
    )
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
        assert _lives(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    end = time.monotonic() + 10
    while _lives(pid):
        assert time.monotonic() < end, "the delivering process outlives the cloud's"
        time.sleep(0.02)


def test_a_clock_that_is_advanced_while_the_process_starts_reaches_it(
    world: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = DeliveryProcess._launch

    def advanced_meanwhile(process: DeliveryProcess) -> Any:
        launched = launch(process)
        world.cloud.clock.advance(3600)
        ticker = threading.Thread(target=process.tell_time)
        ticker.start()
        ticker.join(0.3)
        return launched

    monkeypatch.setattr(DeliveryProcess, "_launch", advanced_meanwhile)
    world.create(world.plain(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900}))
    world.put(b"x")
    until(lambda: world.waiting() == 0, "the interval is over")


def test_what_it_is_told_while_it_asks_for_keys_comes_before_what_it_is_told_later() -> None:
    inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    channel = Channel(inbox, io.BytesIO())
    for message in ({"flush": 1}, {"offset": 60}, {"role": "r", "keys": {}}):
        inbox.put(message)
    told = []
    for message in channel.messages(0.05):
        told.append(message)
        if "flush" in message:
            channel.credentials("r")
            inbox.put({"offset": 120})
    told += channel.messages(0)
    assert told == [{"flush": 1}, {"offset": 60}, {"offset": 120}]


def test_it_may_not_leave_loopback_nor_see_settings_of_a_person(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMINE")
    world.create(world.plain())
    world.put(b"x")
    assert world.flush() == 0
    (pid,) = world.pids()
    environment = Path(f"/proc/{pid}/environ")
    if environment.exists():
        names = {entry.partition(b"=")[0].decode() for entry in environment.read_bytes().split(b"\0") if entry}
        assert {name for name in names if name.startswith("AWS_")} == {
            "AWS_CONFIG_FILE",
            "AWS_EC2_METADATA_DISABLED",
            "AWS_SHARED_CREDENTIALS_FILE",
        }
    # What the process does first is to put the guard up: the same module, seen from outside. Its standard input stays
    # open meanwhile: the end of it ends the process.
    looking = (
        "import json, os, socket\n"
        "from infra.rehearsal.cloud.delivery import worker\n"
        "def look(*_):\n"
        "    try: socket.create_connection(('203.0.113.5', 443), 0.1)\n"
        "    except OSError as error: print(json.dumps(type(error).__name__), flush=True)\n"
        "    os._exit(0)\n"
        "worker.Channel = look\n"
        "worker.os.dup2 = lambda *_: None\n"
        "worker.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", looking],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    ) as asked:
        assert asked.stdout is not None
        assert json.loads(asked.stdout.readline()) == "LeavesLoopback"
