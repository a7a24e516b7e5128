"""Draws docs/images/rehearsal.svg: what a rehearsal prints, from a real one of this checkout."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

from infra.cli.rehearse import render
from infra.rehearsal.rehearse import Options, Rehearsal

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    with Rehearsal(Options(ROOT)) as rehearsal:
        report = rehearsal.run()
    console = Console(record=True, width=112, highlight=False)
    console.print("$ make rehearse", style="bold")
    console.print(render(report))
    drawn = console.export_svg(title="mainstage rehearse")
    # The reader's own monospace font will do: a picture in a page fetches nothing.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    (ROOT / "docs" / "images" / "rehearsal.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
