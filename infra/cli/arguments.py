"""Arguments that may begin with a hyphen, as one in 64 of API Gateway's request ids does, or a comment of SQL."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

_OPTION = re.compile(r"-h|--|--[a-z][a-z-]*(=.*)?")


class AnyArgument(TyperCommand):
    """A command whose options are all words of small letters after two hyphens, but for -h; anything else that begins
    with a hyphen is an argument."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" not in args:
            arguments = [each for each in args if each.startswith("-") and not _OPTION.fullmatch(each)]
            if arguments:
                args = [*(each for each in args if each not in arguments), "--", *arguments]
        return super().parse_args(ctx, args)
