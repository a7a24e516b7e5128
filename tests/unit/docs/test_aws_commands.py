"""Commands of the AWS CLI in the docs: each is one that version 1 and version 2 both have, with options that it has.

Both make their commands from botocore's models. What only one of them has beside those is told here.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infra.rehearsal.cloud.cloud import Cloud

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "examples").rglob("*.md")])

_EVERYWHERE = {"query", "output", "region", "profile", "endpoint-url", "max-items", "page-size", "starting-token"}
"""Options of every command (AWS CLI user guide, "Command line options"; the last three where answers have pages)."""
_OWN = ("s3 ls", "s3 cp", "s3 rm", "s3 sync", "configure ")
"""Commands that are no calls, in both versions alike."""
_RENAMED = {("sns", "subscribe"): "notification-endpoint"}
"""Options that both versions call otherwise than AWS (awscli/customizations/argrename.py)."""


def commands(text: str) -> list[str]:
    """Every command line of `aws` in a page: lines of code, between backquotes, and what a line calls inside."""
    lines = re.findall(r"^\s*(?:\$ )?(aws [a-z0-9-]+ [a-z].*)$", text.replace("\\\n", " "), re.MULTILINE)
    lines += re.findall(r"[|]\s*(aws [a-z0-9-]+ [a-z].*)$", text, re.MULTILINE)
    lines += re.findall(r"`(aws [a-z0-9-]+ [a-z][^`]*)`", text)
    inner = [found for line in lines for found in re.findall(r"\$\((aws [^)]*)\)", line)]
    return [re.sub(r"\$\((aws [^)]*)\)", "FOUND", line) for line in lines] + inner


@cache
def operations(service: str) -> dict[str, set[str]]:
    """Command -> its options."""
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return {}
    model = session.get_service_model(service)
    found = {}
    names: Any = model.operation_names
    for name in names:
        shape: Any = model.operation_model(name).input_shape
        found[xform_name(name, "-")] = {xform_name(member, "-") for member in shape.members} if shape else set()
    return found


@cache
def waiters(service: str) -> set[str]:
    session = botocore.session.get_session()
    return {xform_name(name, "-") for name in session.get_waiter_model(service).waiter_names}


def problem(line: str) -> str:
    """Why a command line would be refused by one of the two versions; empty: by none."""
    if line.startswith(tuple(f"aws {each}" for each in _OWN)):
        return ""
    try:
        words = shlex.split(line.split(" | ")[0], posix=True)
    except ValueError:  # an argument goes on in the next line
        words = line.split()
    service, command = words[1], words[2]
    if command == "wait":
        return "" if words[3] in waiters(service) else f"aws {service} has no waiter {words[3]}"
    there = operations({"s3api": "s3"}.get(service, service))
    if command not in there:
        return f"aws {service} {command} is no call of AWS: version 1 and 2 need not both have it"
    given = {word[2:].split("=")[0] for word in words[3:] if re.match(r"--[a-z]", word)}
    plain = {word.removeprefix("no-") for word in given}
    unknown = sorted(plain - there[command] - _EVERYWHERE - {_RENAMED.get((service, command))})
    return f"aws {service} {command} has no --{unknown[0]} in both versions" if unknown else ""


def called(line: str) -> tuple[str, str] | None:
    """The service and the operation that a command line calls; None for one that calls none by name."""
    words = line.split()
    service = {"s3api": "s3"}.get(words[1], words[1])
    if line.startswith(tuple(f"aws {each}" for each in _OWN)) or words[2] not in operations(service):
        return None
    names: Any = botocore.session.get_session().get_service_model(service).operation_names
    return service, next(name for name in names if xform_name(name, "-") == words[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_works_in_both_versions(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = {line: why for line in commands(text) if (why := problem(line))}
    if "need version 2 of the AWS CLI" in text:
        found = {line: why for line, why in found.items() if not line.startswith("aws sso login")}
    assert found == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_can_be_tried_offline(page: Path, cloud: Cloud) -> None:
    """What a runbook tells at three in the morning can be practised in a rehearsal before."""
    asked = {call for line in commands(page.read_text(encoding="utf-8")) if (call := called(line))}
    assert {call for call in asked if cloud.carried_by(*call) is None} == set()


def test_there_are_commands() -> None:
    assert sum(len(commands(page.read_text(encoding="utf-8"))) for page in PAGES) > 60


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("aws logs tail GROUP --since 3h", "aws logs tail is no call of AWS: version 1 and 2 need not both have it"),
        (
            "aws lambda invoke --function-name A --cli-binary-format raw-in-base64-out /dev/stdout",
            "aws lambda invoke has no --cli-binary-format in both versions",
        ),
        ("aws sagemaker describe-endpoint --name A", "aws sagemaker describe-endpoint has no --name in both versions"),
        ("aws sns subscribe --topic-arn A --protocol email --notification-endpoint B", ""),
        ("aws sagemaker wait endpoint-gone", "aws sagemaker has no waiter endpoint-gone"),
        ("aws sagemaker wait endpoint-deleted --endpoint-name A", ""),
        ("aws logs filter-log-events --log-group-name A --filter-pattern '?\"a b\"' --max-items 20", ""),
        ("aws sagemaker update-endpoint --endpoint-name A --endpoint-config-name B --no-retain-deployment-config", ""),
    ],
)
def test_what_only_one_version_has_is_found(line: str, why: str) -> None:
    assert problem(line) == why


def test_the_call_of_a_command() -> None:
    assert called("aws s3api put-object --bucket B") == ("s3", "PutObject")
    assert called("aws s3 rm s3://B --recursive") is None
    assert called("aws sagemaker wait endpoint-deleted --endpoint-name A") is None


def test_a_command_is_found_where_it_stands() -> None:
    text = "1. `aws a b-c --d`\n\n   aws e f --g $(aws h i --j)\n\nread by aws x y\necho 1 | aws k l --m\n"
    assert commands(text) == ["aws e f --g FOUND", "aws k l --m", "aws a b-c --d", "aws h i --j"]
