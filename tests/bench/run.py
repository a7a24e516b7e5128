"""`make bench`: the program's time, the door's cost per call, a rehearsal by phase, the real engine, the
prediction path, how soon a bad release is taken back; each beside a baseline of the same run.

Writes .mainstage/bench/last.json and shows how each figure moved since the run before. Times are the median of several.
Some eight minutes on two cores; which part runs is told on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine
import predictions
import releases

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "stock SDK (baseline)": {"MAINSTAGE_TUNE_GC": "0"},
    "raised GC threshold (the default)": {},
    "all three remedies": {"MAINSTAGE_TUNE_WAIT": "1", "MAINSTAGE_TUNE_DEBUG": "1"},
}
LAST = ROOT / ".mainstage" / "bench" / "last.json"


def median_ms(work: Callable[[], object], times: int) -> float:
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        samples.append((time.perf_counter() - started) * 1000)
    return statistics.median(samples)


def program(resources: int, environment: dict[str, str]) -> float:
    """Seconds that a program of about `resources` resources takes in process, in a fresh interpreter."""
    command = [sys.executable, __file__, "--program", str(resources)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment})
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return float(done.stdout.strip().splitlines()[-1])


def program_here(resources: int) -> float:
    from infra import tuning

    tuning.apply()
    from mainstage import SecureBucket, SecureBucketArgs

    from infra.rehearsal.engine import record

    def arguments(name: str) -> SecureBucketArgs:
        key = "arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000000"
        return {"account_id": "111111111111", "region": "eu-west-1", "bucket_name": name, "kms_key_arn": key}

    def body() -> None:
        per_bucket = 8
        for number in range(max(1, resources // per_bucket)):
            SecureBucket(f"bucket-{number}", arguments(f"bench-{number}"))

    record(lambda: SecureBucket("warm", arguments("bench-warm")))
    started = time.perf_counter()
    result = record(body)
    seconds = time.perf_counter() - started
    if result.error is not None:
        raise result.error
    return seconds * resources / max(1, len(result.resources))


def programs(figures: dict[str, float], runs: int) -> None:
    for count in (100, 1000):
        for label, environment in PROGRAMS.items():
            seconds = [program(count, environment) for _ in range(runs)]
            figures[f"program: {count} resources, {label}, s"] = statistics.median(seconds)


def door(figures: dict[str, float], calls: int) -> None:
    """Milliseconds a call costs through the door, in process and over loopback, beside bare moto in process."""
    import tempfile

    from infra.rehearsal.cloud.cloud import Cloud

    kinds: dict[str, tuple[str, Callable[[Any], object]]] = {
        "sns.create_topic": ("sns", lambda client: client.create_topic(Name="bench")),
        "iam.get_role": ("iam", lambda client: client.get_role(RoleName="bench")),
        "s3.put_object": ("s3", lambda client: client.put_object(Bucket="bench", Key="k", Body=b"x" * 1024)),
        "ec2.describe_vpcs": ("ec2", lambda client: client.describe_vpcs()),
    }
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    )

    def prepare(make: Callable[[str], Any]) -> None:
        make("iam").create_role(RoleName="bench", AssumeRolePolicyDocument=trust)
        make("s3").create_bucket(Bucket="bench", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def measure(label: str, make: Callable[[str], Any]) -> None:
        for name, (service, work) in kinds.items():
            client = make(service)
            work(client)
            figures[f"door: {name}, {label}, ms"] = median_ms(lambda work=work, client=client: work(client), calls)

    with tempfile.TemporaryDirectory() as folder:
        import boto3
        from moto import mock_aws

        with mock_aws():
            bare = boto3.Session("x", "x", region_name="eu-west-1")
            clients: dict[str, Any] = {}
            make = lambda service: clients.setdefault(service, bare.client(service))  # noqa: E731 - one expression, used twice
            prepare(make)
            measure("bare moto (baseline)", make)
        with Cloud(account_id="111111111111", region="eu-west-1", directory=Path(folder)) as cloud:
            prepare(cloud.client)
            measure("in process", cloud.client)
            url = cloud.serve()
            remote = boto3.Session("AKIAREHEARSALOPERATR", "rehearsal", region_name="eu-west-1")
            served: dict[str, Any] = {}
            measure(
                "over loopback", lambda service: served.setdefault(service, remote.client(service, endpoint_url=url))
            )


def rehearsal(figures: dict[str, float]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", "rehearse", "--json"], capture_output=True, text=True, cwd=ROOT
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    told = json.loads(done.stdout)
    for phase, seconds in told["seconds"].items():
        figures[f"rehearsal: {phase}, s"] = seconds
    figures["rehearsal: all, s"] = sum(told["seconds"].values())
    for model, seen in told["predictions"].items():
        figures[f"rehearsal: {model} prediction p50, ms"] = seen["p50_ms"]
        figures[f"rehearsal: {model} prediction p99, ms"] = seen["p99_ms"]


def show(figures: dict[str, float], before: dict[str, float]) -> None:
    width = max(map(len, figures))
    print(f"{'figure':{width}}  {'now':>9}  {'last':>9}  {'ratio':>6}")
    for name, value in figures.items():
        last = before.get(name)
        ratio = f"{value / last:6.2f}" if last else "     -"
        print(f"{name:{width}}  {value:9.3f}  {format(last, '9.3f') if last else '-':>9}  {ratio}")
    baseline, *others = PROGRAMS
    for count in (100, 1000):
        stock = figures[f"program: {count} resources, {baseline}, s"]
        for label in others:
            ratio = figures[f"program: {count} resources, {label}, s"] / stock
            print(f"program, {count} resources: {label}: {ratio:.2f} of stock")
    for name in [key for key in figures if key.endswith("bare moto (baseline), ms")]:
        stem = name.removesuffix(", bare moto (baseline), ms")
        ours = figures[f"{stem}, in process, ms"]
        print(f"{stem}: the door takes {ours / figures[name]:.2f} of bare moto, {ours - figures[name]:+.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--calls", type=int, default=200, help="calls a kind through the door")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program size")
    parser.add_argument("--rows", type=int, default=10_000_000, help="logged rows that are asked")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.program:
        print(program_here(options.program))
        return
    figures: dict[str, float] = {}
    parts: dict[str, Callable[[], None]] = {
        "the program in process": lambda: programs(figures, options.runs),
        "the door": lambda: door(figures, options.calls),
        "a rehearsal": lambda: rehearsal(figures),
        "the real engine": lambda: engine.engine(figures, PROGRAMS),
        "the front door": lambda: predictions.front_door(figures),
        "the transform": lambda: predictions.transform(figures),
        "the log's questions": lambda: predictions.queries(figures, options.rows),
        "bad releases": lambda: releases.releases(figures),
    }
    for number, (name, part) in enumerate(parts.items(), 1):
        print(f"{number}/{len(parts)} {name}", file=sys.stderr, flush=True)
        part()
    before = json.loads(LAST.read_text()) if LAST.exists() else {}
    show(figures, before)
    engine.show(figures, PROGRAMS)
    predictions.show(figures)
    releases.show(figures)
    LAST.parent.mkdir(parents=True, exist_ok=True)
    partial = LAST.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(figures, indent=2))
    partial.replace(LAST)


if __name__ == "__main__":
    main()
