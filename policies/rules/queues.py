"""What could not be handled is kept."""

from __future__ import annotations

from collections.abc import Iterator

from .resource import Resource
from .rule import About, Problem, ResourceRule


def _dead_letters(resource: Resource) -> Iterator[Problem]:
    # A queue that takes dead letters says from which queues.
    if resource.get("redrivePolicy") in (None, "") and resource.get("redriveAllowPolicy") in (None, ""):
        yield Problem(
            "redrivePolicy",
            None,
            "deadLetterTargetArn and maxReceiveCount, or redriveAllowPolicy on a queue of dead letters",
        )


RULES = (
    ResourceRule(
        About(
            "queue-dead-letters",
            "A queue gives what cannot be handled to a queue of dead letters.",
            "One bad message is otherwise tried until its retention ends, holds up the rest, and is then lost unseen.",
            "set redrivePolicy; on the queue of dead letters itself, redriveAllowPolicy",
        ),
        ("aws:sqs/queue:Queue",),
        _dead_letters,
    ),
)
