"""The blueprint's release, and the pin that each stack file carries."""

from __future__ import annotations

RELEASE = "0.1.0"
"""This checkout's release; pyproject.toml and components/pyproject.toml say the same (a test compares)."""


class ReleaseMismatch(Exception):
    """A stack is pinned to another release than this checkout's."""


def check_release(pinned: str, stack: str) -> None:
    """Refuse to touch `stack` with another release than the one it is pinned to (`mainstage:release`).

    Raises ReleaseMismatch, which says how to get the pinned release and how to upgrade.
    """
    if pinned == RELEASE:
        return
    major = RELEASE.split(".")[0]
    raise ReleaseMismatch(
        f"this checkout is {RELEASE}, stack {stack} asks for {pinned} "
        f"(mainstage:release in stacks/Pulumi.{stack}.yaml).\n"
        f"  To work on the stack as it is:  git checkout v{pinned}\n"
        f"  To move it to {RELEASE}:  read CHANGELOG.md (and docs/UPGRADE-{major}.md where there is one), "
        f"set mainstage:release to {RELEASE}, then run the preview."
    )
