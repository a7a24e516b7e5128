"""The real `pulumi` on the emulated cloud: seconds of a stack's commands, and what the program itself takes of them.

What a program takes is CPU time of its own process, written down when it ends: the rest is the engine, the emulated
provider and the emulated cloud, which share this machine's cores with it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from infra import settings
from infra.catalog import load_catalog
from infra.registry.target import Target
from infra.rehearsal.cloud.cloud import Cloud
from infra.rehearsal.cloud.iam.principals import OPERATOR_SECRET_ACCESS_KEY
from infra.rehearsal.cloud.model_host import PresetEnvironments
from infra.rehearsal.provider.served import ServedProvider
from infra.rehearsal.pulumi_cli.cli import Cli, PulumiMissing, find
from infra.rehearsal.pulumi_cli.environment import Emulated
from infra.rehearsal.pulumi_cli.project import Project, make_project
from infra.rehearsal.registering import Registering, folder_of, served

ROOT = Path(__file__).resolve().parents[2]
SIZES = (1_000, 4_000)

_AT_THE_END = """
import sys
if any("pulumi-language-python-exec" in word for word in getattr(sys, "orig_argv", ())):
    import atexit, os, time
    def write():
        with open(os.environ["BENCH_PROGRAM_SECONDS"], "w") as file:
            file.write(str(time.process_time()))
    atexit.register(write)
"""
"""A sitecustomize.py: Python runs it in each process that finds it on its path; only the program writes."""

_PROGRAM = """
import os
from infra import tuning
tuning.apply()
from mainstage import SecureBucket
import pulumi, pulumi_aws as aws

provider = aws.Provider("aws", region="eu-west-1")
key = "arn:aws:kms:eu-west-1:111111111111:key/00000000-0000-0000-0000-000000000000"
for number in range(int(os.environ["BENCH_RESOURCES"]) // 8):
    arguments = {"account_id": "111111111111", "region": "eu-west-1", "kms_key_arn": key}
    arguments["bucket_name"] = f"bench-{number}"
    SecureBucket(f"bucket-{number}", arguments, pulumi.ResourceOptions(providers=[provider]))
"""


def engine(figures: dict[str, float], programs: Mapping[str, Mapping[str, str]]) -> None:
    """Adds the figures; nothing but a line on standard error where there is no CLI."""
    try:
        find(ROOT)
    except PulumiMissing as missing:
        print(f"engine: left out: {missing}", file=sys.stderr)
        return
    with _cli("prod") as (cli, _):
        _stack(figures, cli, "platform-prod")
    with _cli("dev") as (cli, target):
        cli.select("platform-dev")
        cli.up("platform-dev")
        _register(target, cli.project.folder.parent / "trained")
        _stack(figures, cli, "models-dev")
        for count in SIZES:
            for label, environment in programs.items():
                _size(figures, cli, count, label, environment)


def _stack(figures: dict[str, float], cli: Cli, stack: str) -> None:
    cli.select(stack)
    kinds: dict[str, Callable[[], object]] = {
        "first preview": lambda: cli.preview(stack),
        "up": lambda: cli.up(stack),
        "second preview": lambda: cli.preview(stack, "--expect-no-changes"),
    }
    for kind, work in kinds.items():
        whole, own = _timed(cli, work)
        figures[f"engine: {kind} of {stack}, s"] = whole
        figures[f"engine: {kind} of {stack}, the program's own CPU, s"] = own


def _size(figures: dict[str, float], cli: Cli, count: int, label: str, environment: Mapping[str, str]) -> None:
    folder = cli.project.folder.parent / "sizes"
    folder.mkdir(exist_ok=True)
    (folder / "Pulumi.yaml").write_text(
        f"name: sizes\nruntime: {{name: python, options: {{toolchain: pip, virtualenv: {ROOT / '.venv'}}}}}\n"
    )
    (folder / "__main__.py").write_text(_PROGRAM)
    project = Project(cli.project.root, folder, cli.project.backend, cli.project.home)
    more = {**cli.more, **environment, "BENCH_RESOURCES": str(count)}
    sized = Cli(project, cli.emulated, more)
    stack = f"of-{count}"
    sized.select(stack)
    whole, own = _timed(sized, lambda: sized.preview(stack))
    figures[f"engine: preview of {count} resources, {label}, s"] = whole
    figures[f"engine: preview of {count} resources, {label}, the program's own CPU, s"] = own


def _timed(cli: Cli, work: Callable[[], object]) -> tuple[float, float]:
    """(seconds of the command, CPU seconds of the program in it)."""
    told = Path(cli.more["BENCH_PROGRAM_SECONDS"])
    told.unlink(missing_ok=True)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started, float(told.read_text())


@contextmanager
def _cli(environment: str) -> Iterator[tuple[Cli, Target]]:
    """`pulumi` on an empty emulated account of the environment."""
    stack = f"platform-{environment}"
    config = settings.stack_config(ROOT / "stacks" / f"Pulumi.{stack}.yaml")
    loaded = settings.load_platform(config, stack, ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "path").mkdir()
        (folder / "path" / "sitecustomize.py").write_text(_AT_THE_END)
        more = {"BENCH_PROGRAM_SECONDS": str(folder / "seconds"), "PYTHONPATH": str(folder / "path")}
        with (
            Cloud(account_id=loaded.account_id, region=loaded.region, directory=folder / "cloud") as cloud,
            ServedProvider(cloud.session) as provider,
        ):
            key, secret = cloud.operator_access_key_id, OPERATOR_SECRET_ACCESS_KEY
            emulated = Emulated(cloud.serve(), provider.port, loaded.region, key, secret)
            target = Target(
                environment,
                loaded.account_id,
                loaded.region,
                emulated.endpoint_url,
                access_key_id=key,
                secret_access_key=secret,
            )
            yield Cli(make_project(ROOT, folder / "pulumi"), emulated, more), target


def _register(target: Target, scratch: Path) -> None:
    registering = Registering(PresetEnvironments(ROOT / ".mainstage" / "environments"), scratch)
    for model in served(load_catalog(ROOT, target.environment)):
        folder = folder_of(ROOT, model.model)
        assert folder is not None
        registering.register(model, registering.train(model, folder), target)


def show(figures: Mapping[str, float], programs: Mapping[str, Mapping[str, str]]) -> None:
    """The ratios to the stock SDK of the same run."""
    baseline, *others = programs
    for count in SIZES:
        for kind in (", s", ", the program's own CPU, s"):
            stock = figures.get(f"engine: preview of {count} resources, {baseline}{kind}")
            if stock is None:
                continue
            for label in others:
                ratio = figures[f"engine: preview of {count} resources, {label}{kind}"] / stock
                what = "preview" if kind == ", s" else "program"
                print(f"real engine, {count} resources, {what}: {label}: {ratio:.2f} of stock")


if __name__ == "__main__":  # these figures alone
    found: dict[str, float] = {}
    engine(found, json.loads(os.environ.get("BENCH_PROGRAMS", '{"as it is": {}}')))
    for name, value in found.items():
        print(f"{name:90} {value:8.2f}")
