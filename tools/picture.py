"""Draws the README's pictures from one real rehearsal and one real drill of this checkout: what a rehearsal prints,
docs/images/rehearsal.svg; the top of its page, docs/images/page.png; the drill's timeline, docs/images/drill.png. Pages
take Chromium (or Chrome); without one their pictures are left as they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from infra.cli.rehearse import render
from infra.rehearsal import page
from infra.rehearsal.drills.run import models_of, named, play
from infra.rehearsal.drills.world import opened
from infra.rehearsal.rehearse import Options, Rehearsal

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE_SIZE, DRILL_SIZE = "1160,1290", "1160,960"
"""Pixels of the pages that are shown."""
DRILL = "erring-canary"


def main() -> None:
    with Rehearsal(Options(ROOT)) as rehearsal:
        report = rehearsal.run()
    if not report.ok:
        sys.exit("\n".join(report.problems))
    console = Console(record=True, width=112, highlight=False)
    console.print("$ make rehearse", style="bold")
    console.print(render(report))
    drawn = console.export_svg(title="mainstage rehearse")
    # The reader's own monospace font will do: a picture in a page fetches nothing.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    (IMAGES / "rehearsal.svg").write_text(drawn, encoding="utf-8")
    photograph(page.render(report), IMAGES / "page.png", PAGE_SIZE)
    drills = named([DRILL])
    with opened(models_of(drills), checkout=ROOT) as world:
        outcomes = [play(drill, world) for drill in drills]
    if broken := [outcome.problem for outcome in outcomes if not outcome.kept]:
        sys.exit("\n".join(map(str, broken)))
    photograph(page.render_drills(outcomes), IMAGES / "drill.png", DRILL_SIZE)


def photograph(html: str, picture: Path, size: str) -> None:
    """Writes the top of a page as it looks in a browser."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print(f"no Chromium on PATH: {picture.relative_to(ROOT)} is as it was", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "rehearsal.html"
        source.write_text(html, encoding="utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        command += [
            "--disable-background-networking",
            f"--user-data-dir={folder}/profile",
            f"--window-size={size}",
        ]
        subprocess.run(
            [*command, f"--screenshot={picture}", source.as_uri()],
            check=True,
            capture_output=True,
            timeout=120,
        )


if __name__ == "__main__":
    main()
