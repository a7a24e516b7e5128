"""`mainstage pager`: try whether a page reaches anybody."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli import common
from infra.cli.output import emit, note
from infra.cli.screen import as_text

if TYPE_CHECKING:  # a second of imports: only when a command runs
    from infra.pager import TestPage

app = typer.Typer(help="The pager: whom alarms reach.", no_args_is_help=True)


class Severity(StrEnum):
    """What the pager knows."""

    page = "page"
    ticket = "ticket"


@app.callback()
def pager() -> None:
    """The pager: whom alarms reach."""


@app.command("test")
def send(
    severity: Annotated[
        Severity, typer.Option(help="page wakes a person, ticket waits for the morning. Default: page.")
    ] = Severity.page,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """Send a test page, which says that nothing is wrong, and say how many subscriptions receive it."""
    from infra.pager import send_test_page

    where = common.target(target, profile, as_json=as_json)
    sent = send_test_page(where, common.root(), severity.value, datetime.now(UTC))
    emit(
        {**asdict(sent), "reaches_nobody": sent.reaches_nobody} if as_json else sent,
        as_json=as_json,
        render=_told,
    )
    if sent.pending:
        note(f"{_many(sent.pending)} not confirmed by the receiver: nothing arrives there", as_json=as_json)
    if sent.reaches_nobody:
        note(
            f"nobody receives a {sent.severity}: no subscription of the topic is confirmed. Subscribe with: aws sns "
            f"subscribe --topic-arn {sent.topic_arn} --protocol email --notification-endpoint YOUR-ADDRESS",
            as_json=as_json,
        )


def _told(sent: TestPage) -> Any:
    receives = "receives" if sent.confirmed == 1 else "receive"
    return as_text(
        f"sent to {sent.topic_arn}: {sent.confirmed} confirmed subscription{'' if sent.confirmed == 1 else 's'} "
        f"{receives} it (message {sent.message_id})"
    )


def _many(count: int) -> str:
    return "1 subscription is" if count == 1 else f"{count} subscriptions are"
