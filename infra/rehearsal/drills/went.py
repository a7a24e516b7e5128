"""How an `up` or a preview ended, whichever engine ran it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# What the release hooks begin each of their messages with (mainstage: _release_verdict, _release_refusals,
# _release_approval), wherever it stands behind words of the engine's: 'error: before hook "…" failed: model …'.
_OF_A_HOOK = re.compile(r"\b(?:(?:verdict|approval) unknown for )?model \S+ version \d+\b.*")
# "  aws:sagemaker:Endpoint (iris-endpoint):" of the CLI, "up failed:" of the engine in process.
_HEADING = re.compile(r"\S+ \(.*\):|\w+ failed:")
_WHY = ("alarm: ", "reason: ")
LONGEST = 300


@dataclass(frozen=True)
class Went:
    """How it ended."""

    ok: bool
    told: str
    """All that it said: errors first, then warnings and what the program printed."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Resources by operation: create, update, replace, delete, same."""
    urns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Operation -> the URNs of it; empty where the engine does not tell."""

    @property
    def headline(self) -> str:
        """What says most of it, in a line: what a release hook says first, wherever that stands, with its second line
        (what serves now, or which rule refuses) and the alarm or reason that follows; otherwise the first line that is
        no heading; empty for no words."""
        lines = [line.strip() for line in self.told.splitlines() if line.strip()]
        for number, line in enumerate(lines):
            if ours := _OF_A_HOOK.search(line):
                why = [each for each in lines[number + 2 : number + 3] if each.startswith(_WHY)]
                return _cut("; ".join([ours[0], *lines[number + 1 : number + 2], *why]))
        return _cut(next((line for line in lines if not _HEADING.fullmatch(line)), ""))

    @property
    def summary(self) -> str:
        """What a timeline says of it."""
        return ": ".join(filter(None, ["up ended 0" if self.ok else "up ended with an error", self.headline]))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
