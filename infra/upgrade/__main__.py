"""Lists what an upgrade to this checkout would do to the stacks of each recorded release; ends with 1 on a loss."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from infra.program import ROOT
from infra.upgrade import judge, plan, read_stack, releases
from infra.version import RELEASE


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes no options but --help; reads only. `arguments`: the process's own when not given."""
    argparse.ArgumentParser(prog="python -m infra.upgrade", description=__doc__).parse_args(arguments)
    lost = 0
    for release in releases(ROOT):
        print(f"from {release.version} to {RELEASE}")
        for stack, run in plan(release).items():
            verdict = judge(read_stack(release, stack), run)
            lost += len(verdict.lost)
            lines = [*(f"LOST {loss}" for loss in verdict.lost), *verdict.changes] or ["nothing changes"]
            print("\n    ".join([f"  {stack}", *lines]))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
