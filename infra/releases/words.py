"""What releases are called when a person is told of them, and the commands that come next."""

from __future__ import annotations

import re
import shlex

from mainstage_runtime.release_history import AlarmSeen

from infra.registry.target import Target

_VERSION = re.compile(r"-v([1-9][0-9]{0,4})-[0-9a-f]{8}")


class ReleaseError(ValueError):
    """A release that cannot be changed as asked; the message says why and what to do."""


def version_of(endpoint: str, configuration: str) -> int | None:
    """The version that a configuration of ours was made for, from its name; None for anybody else's."""
    found = _VERSION.fullmatch(configuration.removeprefix(endpoint)) if configuration.startswith(endpoint) else None
    return int(found[1]) if found else None


def named(endpoint: str, configuration: str | None) -> str:
    """What a person calls a configuration: its version, or its own name."""
    if configuration is None:
        return "nothing"
    number = version_of(endpoint, configuration)
    return configuration if number is None else f"version {number}"


def alarm_told(alarm: AlarmSeen) -> str:
    """An alarm that ended a release: with its window, and the stop alarm with what the person said who raised it."""
    if alarm.name.endswith("-guard-stop") and alarm.value_told:
        return f"{alarm.name}: {alarm.value_told}"
    return f"{alarm.name} ({alarm.window})" if alarm.window else alarm.name


def command(target: Target, *words: str) -> str:
    """A `mainstage model` command line for the same target, as it can be pasted."""
    line = ["mainstage", "model", *words]
    if not target.emulated:
        line += ["--target", target.environment, "--profile", str(target.profile)]
    return shlex.join(line)


def aws_command(target: Target, *words: str) -> str:
    """An `aws` command line for the same target: pasted in a rehearsal it reaches no account of the person's."""
    where = ["--endpoint-url", str(target.endpoint_url)] if target.emulated else ["--profile", str(target.profile)]
    return shlex.join(["aws", *words, "--region", target.region, *where])


def release_command(target: Target) -> str:
    """The command that releases what the catalog asks for."""
    if target.emulated:
        return target.bring_up
    return f"pulumi up -s models-{target.environment} --continue-on-error"
