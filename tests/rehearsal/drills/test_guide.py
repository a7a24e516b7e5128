"""The guide tells of every drill, and of no other."""

from __future__ import annotations

import re
from pathlib import Path

from infra.rehearsal.drills.run import DRILLS


def test_the_guide_has_every_drill_in_their_order(root: Path):
    text = (root / "docs/guides/drills.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE) == [drill.name for drill in DRILLS]
