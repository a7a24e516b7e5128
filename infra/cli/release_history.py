"""`mainstage model history`: what happened to a model's releases, one story a release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer
from mainstage_runtime.release_history import ReleaseEvent
from rich.console import Group
from rich.padding import Padding

from infra.cli import common
from infra.cli.model import Name, model_named
from infra.cli.output import emit
from infra.cli.screen import as_text
from infra.releases.past import history_of
from infra.releases.stories import Story, stories
from infra.releases.words import alarm_told, version_of

app = typer.Typer()

_ROW = "{at:19}  {version:>7}  {what:11}  {serves:>6}  {requests:>8}  {by}"
_LONGEST_BY = 19
"""What a screen of 80 characters has left for `by`: a longer name is cut there, and stands whole below."""


@app.command("history")
def history(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest releases and decisions.")] = 20,
    target: common.TargetOption = None,
    profile: common.ProfileOption = None,
    as_json: common.JsonOption = False,
) -> None:
    """What happened to a model's releases, newest first: what was released, taken back, by which alarm, by whom.

    A release is one row, at the time of its end. --json has beside it every event as it was written.
    """
    where = common.target(target, profile, as_json=as_json)
    told = stories(history_of(where, name).events())
    if not told:
        model_named(name, where.environment)
    newest = list(reversed(told))[:limit]
    emit([each.as_json() for each in newest], as_json=as_json, render=lambda _: _drawn(name, newest, len(told)))


def _drawn(name: str, newest: Sequence[Story], all_of_them: int) -> Any:
    if not newest:
        return f"{name}: nothing was released here yet"
    head = _ROW.format(at="at (UTC)", version="version", what="what", serves="serves", requests="requests", by="by")
    drawn: list[Any] = [as_text(head, "bold")]
    for story in newest:
        drawn.append(as_text(_row(story.told)))
        if more := "; ".join(_more(story)):
            drawn.append(Padding(as_text(more, "dim"), (0, 0, 0, 4)))
    if all_of_them > len(newest):
        drawn.append(as_text(f"{all_of_them - len(newest)} older: --limit {all_of_them}", "dim"))
    return Group(*drawn)


def _row(event: ReleaseEvent) -> str:
    by = _person(event)
    serves = "-" if event.serves is None else version_of(event.endpoint, event.serves) or "other"
    return _ROW.format(
        at=_moment(event),
        version="-" if event.version is None else event.version,
        what=event.kind,  # as runbooks and JSON name it
        serves=serves,
        requests="-" if event.requests is None else f"{event.requests:,}",
        by=by if len(by) <= _LONGEST_BY else f"{by[: _LONGEST_BY - 1]}…",
    )


def _more(story: Story) -> Iterator[str]:
    """What has no room in a row."""
    event, began = story.told, story.began
    if len(_person(event)) > _LONGEST_BY:
        yield f"by {_person(event)}"
    if began is not None and began is not event:
        at = _moment(began)
        yield f"began at {at[11:] if at[:10] == _moment(event)[:10] else at}"
    if event.serves is not None and version_of(event.endpoint, event.serves) is None:
        yield f"{event.serves} serves"
    if event.alarm is not None:
        yield alarm_told(event.alarm)
    if event.reason:
        yield event.reason


def _person(event: ReleaseEvent) -> str:
    """The user's or the session's name of an ARN."""
    return event.by.rpartition("/")[2] or event.by


def _moment(event: ReleaseEvent) -> str:
    """To a second."""
    return event.at[:19].replace("T", " ")
