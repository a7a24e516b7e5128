"""An `up` of the models layer in a process of its own, for drills that kill it. Standard input says what it needs.

And what such a process takes from a drill that is played without its protection, whichever engine runs in it.
"""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from infra.program import program_for
from infra.registry.target import Target
from infra.rehearsal.drills.world import MODELS
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider

_HELD = ExitStack()


def main() -> int:
    """Ends 0 when the `up` ended well."""
    told = json.load(sys.stdin)
    target = Target(**{**told["target"], "state_file": Path(told["target"]["state_file"])})
    engine = Engine(
        provider=AwsProvider(lambda: target.session), state_file=target.state_file, environment=target.variables
    )
    with removed(told.get("without", "")):
        result = engine.up(MODELS, program_for(MODELS, Path(told["root"])), told["config"], continue_on_error=True)
    return 0 if result.error is None else 1


def removed(drill: str) -> AbstractContextManager[object]:
    """Without a drill's protection, as the process that plays it; for no name, with all of them."""
    if not drill:
        return nullcontext()
    from infra.rehearsal.drills.run import named

    return named([drill])[0].protection.removed()


def hold(drill: str) -> None:
    """As `removed`, until this process ends."""
    _HELD.enter_context(removed(drill))


if __name__ == "__main__":
    sys.exit(main())
