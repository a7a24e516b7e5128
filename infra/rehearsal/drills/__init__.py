"""Drills: scripted incidents in the emulated cloud, each with the promise that it holds Mainstage to.

A drill plays against a world (an environment that is up), passes minutes of its clients' traffic while releases are
under way, and ends in assertions. Each names the protection that it is about: without it, it fails.
"""

from infra.rehearsal.drills.drill import Drill, DrillFailed, Protection

__all__ = ["Drill", "DrillFailed", "Protection"]
