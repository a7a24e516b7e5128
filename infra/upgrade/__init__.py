"""What an upgrade of the blueprint does to stacks that an earlier release made.

python tools/record_release.py      records this release
plan(release, ROOT)                 previews this checkout's program on what a release left behind
judge(before, run)                  says what of that would be lost
"""

from infra.upgrade.judge import SERVES_OR_STORES, Run, Verdict, judge
from infra.upgrade.planning import plan
from infra.upgrade.recorded import STACKS, RecordedError, Release, read_stack, releases

__all__ = [
    "SERVES_OR_STORES",
    "STACKS",
    "RecordedError",
    "Release",
    "Run",
    "Verdict",
    "judge",
    "plan",
    "read_stack",
    "releases",
]
