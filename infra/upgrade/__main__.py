"""Lists what an upgrade to this checkout would do to the stacks of each recorded release; ends with 1 on a loss."""

from __future__ import annotations

import sys

from infra.program import ROOT
from infra.upgrade import judge, plan, read_stack, releases
from infra.version import RELEASE


def main() -> int:
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
