"""When a release ends its program with an error. The rest is played in
tests/rehearsal/sagemaker/test_what_serves_stays.py."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from mainstage import _release_end
from pulumi.output import UNKNOWN


@pytest.mark.parametrize(
    ("arn", "badly", "preview", "ends"),
    [
        ("arn:aws:sagemaker:eu-west-1:111111111111:endpoint/e", False, False, False),
        ("arn:aws:sagemaker:eu-west-1:111111111111:endpoint/e", True, False, True),
        (UNKNOWN, False, False, True),
        (UNKNOWN, False, True, False),
        (None, False, False, False),
    ],
    ids=["serves", "a hook raised", "failed or passed over", "a preview", "the SDK's mocks know no ARN"],
)
def test_the_program_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, arn: Any, badly: bool, preview: bool, ends: bool
) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: preview)
    run: Any = SimpleNamespace(ended_badly=badly, deletes_nothing="this run deletes nothing")

    async def program() -> None:
        endpoint: Any = SimpleNamespace(arn=pulumi.Output.from_input(arn))
        await _release_end.deletes_nothing_unless_good(endpoint, run).future()

    if not ends:
        asyncio.run(program())
        return
    with pytest.raises(pulumi.RunError, match="this run deletes nothing"):
        asyncio.run(program())
