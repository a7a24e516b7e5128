"""Runs `mainstage` in this process, against a target whose clients are a test's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra import cli
from infra.cli import common, output
from infra.registry.target import Target

TARGET = Target(
    "dev",
    "111111111111",
    "eu-west-1",
    "http://127.0.0.1:1",
    access_key_id="AKIAREHEARSALTEST0000",
    secret_access_key="rehearsal",
    state_file=Path("state.json"),
)
"""A rehearsal that is served."""


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
"""Runs a command line, given word by word."""


def lines(ended: Ended) -> list[str]:
    """What a command that ended well told after its target, line by line."""
    assert (ended.code, ended.err) == (0, ""), ended
    first, *rest = ended.out.splitlines()
    assert first == f"target: {TARGET}"
    return [line.rstrip() for line in rest]


def said(ended: Ended) -> str:
    """The same as one text, as it stands."""
    lines(ended)
    return ended.out.partition("\n")[2]


def error(ended: Ended) -> str:
    """The one error of a command that failed."""
    assert ended.code == 1, ended
    assert ended.err.startswith("error: ")
    return ended.err.removeprefix("error: ").removesuffix("\n")


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clients: Mapping[str, Any]) -> Run:
    """A function that runs a command line. `clients` by service stand for the target's; others are refused."""
    monkeypatch.setattr(common, "resolve", lambda root, name, profile: TARGET)
    monkeypatch.setattr(Target, "client", lambda self, service: clients[service])
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    for console in (output.console, output.errors):
        # Taken from COLUMNS when they were made, which a test process of many has set: a test sets its own.
        monkeypatch.setattr(console, "_width", None)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str) -> Ended:
        capsys.readouterr()
        try:
            cli.main(words)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1 if ended.code else 0
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run
