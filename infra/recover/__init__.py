"""Finds what a killed update left half done, and clears it up before the next one makes it a second time."""

from infra.recover.flow import (
    Pulumi,
    Recovered,
    Unresolved,
    command_of,
    mend_guards,
    plan,
    recover,
    recover_before,
    what_to_do,
)

__all__ = [
    "Pulumi",
    "Recovered",
    "Unresolved",
    "command_of",
    "mend_guards",
    "plan",
    "recover",
    "recover_before",
    "what_to_do",
]
