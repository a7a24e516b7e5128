"""What every drill ends in: clients, the old configuration, the records, and that all who tell what serves agree."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mainstage.model_route import front_door_function_name
from mainstage.prediction_queries import VIEW

from infra.catalog import load_catalog
from infra.layers.names import database_name, log_name
from infra.predictions import athena
from infra.registry.status import status
from infra.rehearsal.cloud import functions
from infra.rehearsal.cloud.overlay.firehose_delivery import flush
from infra.rehearsal.drills.drill import DrillFailed
from infra.rehearsal.drills.minute import SECONDS
from infra.rehearsal.drills.stage import Stage
from infra.rehearsal.drills.went import Went

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

RECORD_SECONDS = 60
"""How long a record may take to its table, in real time: it is put when the reply has gone."""
SPOOLED_AFTER_SECONDS = 3
"""After that a record that is missing is in the spool, whose replay needs the cloud's minutes to pass."""
SPOOL_MINUTES = 10
"""So many at least, however few a busy machine comes to in that time: a replay that failed is repeated after three."""
_NO_ANSWER = frozenset({"ConnectTimeoutError", "ReadTimeoutError", "gave no answer a moment ago"})
"""What the front door notes of a service that is silent, or that it does not ask for a while because it was
(mainstage_runtime.hand_over)."""
SIGMAS = 5
"""How far chance may carry a share before it counts as another share."""


def always(
    stage: Stage, serves: int, *, old: str, next_up_ends_well: bool = True, old_version_fails: bool = False
) -> Went:
    """The common end of a drill whose model has to serve version `serves` now.

    old: the configuration that served before. next_up_ends_well: False when that `up` has to refuse the model.
    old_version_fails: clients met errors of the version that served before; they are its own. Returns how the next
    `up` ended. Raises DrillFailed.
    """
    stage.minutes(2)  # CloudWatch posts a minute late
    stage.count_the_new_fleet()
    if not old_version_fails:
        no_more_errors_than_the_canary_got(stage)
    the_old_one_is_there(stage, old)
    went = stage.up(note=False)
    stage.timeline.mark(f"the next {went.summary}", "told")
    if went.ok != next_up_ends_well:
        how = "did not end well" if next_up_ends_well else "ended well, and had to refuse"
        raise DrillFailed(f"the next up {how}: {went.told}")
    all_agree(stage, serves)
    every_record_names_who_answered(stage)
    return went


def no_more_errors_than_the_canary_got(stage: Stage) -> None:
    """In no minute more clients failed than requests had reached the fleet that was being released."""
    for each in stage.timeline.minutes:
        if each.failed > each.new_fleet:
            raise DrillFailed(
                f"minute {each.number}: {each.failed} of {each.requests} requests failed, and only {each.new_fleet} "
                "had reached the version that was being released"
            )


def canary_kept_to_its_share(stage: Stage, percent: int) -> None:
    """In no minute more requests reached the fleet that was being released than its share."""
    share = percent / 100
    for each in stage.timeline.minutes:
        allowed = share * each.requests + SIGMAS * math.sqrt(share * (1 - share) * each.requests)
        if each.new_fleet > allowed:
            raise DrillFailed(
                f"minute {each.number}: {each.new_fleet} of {each.requests} requests reached the canary, and its share "
                f"is {percent} %"
            )


def the_old_one_is_there(stage: Stage, configuration: str) -> None:
    """What served before still exists, and its Model. While it serves it is that very configuration; after a release
    with another capacity the version before is declared with the new one."""
    if not configuration:
        return
    sagemaker = stage.client("sagemaker")
    names = [configuration]
    if stage.serving != configuration:
        found = sagemaker.list_endpoint_configs(NameContains=configuration.rpartition("-")[0])["EndpointConfigs"]
        names = [each["EndpointConfigName"] for each in found]
    if not names:
        raise DrillFailed(f"no configuration of the version that served before is there: {configuration}")
    try:
        for name in names:
            found = sagemaker.describe_endpoint_config(EndpointConfigName=name)
            for variant in found["ProductionVariants"]:
                sagemaker.describe_model(ModelName=variant["ModelName"])
    except sagemaker.exceptions.ClientError as error:
        raise DrillFailed(f"what served before cannot serve again: {error}") from error


def all_agree(stage: Stage, version: int) -> None:
    """SageMaker, the state, `mainstage model status` and a client tell of the same version."""
    live, state = stage.serving, stage.world.engines.endpoint_config(stage.model)
    if live != state:
        raise DrillFailed(f"{live} serves, and the state says {state or 'nothing'}")
    model = load_catalog(stage.world.root, stage.world.target.environment).models[stage.model]
    told = status(stage.world.target, model)
    versions = [variant.version for variant in told.variants]
    if versions != [str(version)] or told.endpoint_status != "InService":
        raise DrillFailed(f"status tells of {told.endpoint_status} with version {versions}, and {version} had to serve")
    before = len(stage.answers)
    stage.minute()
    answered = {each.by for each in stage.answers[before:] if each.by}
    if answered != {str(version)}:
        raise DrillFailed(f"version {', '.join(sorted(answered)) or 'none'} answers, and {version} had to")


def every_record_names_who_answered(stage: Stage) -> None:
    """Header and record name the version whose process has answered, as that process said itself.

    A machine that stands still for two seconds loses records: Firehose and the spool have one each, and are not asked
    for a while afterwards. They are no drill's matter when the front door tells of each, and the records of the
    requests after it come.
    """
    route = log_name(stage.world.target.environment, stage.model)
    began, passed = time.monotonic(), 0
    lost: set[str] = set()
    while True:
        by_request = _answered(stage, lost)
        missing = set(by_request) - _told_in_the_log(stage, by_request)
        if not missing:
            return
        waited = time.monotonic() - began
        if waited > RECORD_SECONDS and passed >= SPOOL_MINUTES:
            raise DrillFailed(
                f"{len(missing)} of {len(by_request)} answered requests have no record: {min(missing)}, …; "
                f"the front door told of them: {told_of_records(stage.world.cloud, route, missing)}"
            )
        if waited > SPOOLED_AFTER_SECONDS:
            if unheard := _lost_for_want_of_an_answer(stage.world.cloud, route, missing):
                lost |= unheard
                stage.timeline.mark(
                    f"the machine stood still, and the front door told of lost records: {len(unheard)}", "seen"
                )
                stage.minute()
            else:
                stage.world.cloud.clock.advance(SECONDS)
            passed += 1
        time.sleep(0.2)


def _answered(stage: Stage, lost: Container[str]) -> dict[str, str]:
    """The version that answered, by request, without those whose records are lost. Raises DrillFailed for a header that
    names another one."""
    for each in stage.answers:
        if each.by and each.by != each.told:
            raise DrillFailed(f"request {each.request_id}: version {each.by} answered, the header says {each.told}")
    return {each.request_id: each.by for each in stage.answers if each.by and each.request_id not in lost}


def told_of_records(cloud: Cloud, route_name: str, requests: Container[str]) -> str:
    """What the front door has noted of these requests' records, and how often: "3 × record_lost (queue Throttling,
    stream ReadTimeoutError)"."""
    told: Counter[str] = Counter()
    for note in _notes(cloud, route_name, requests):
        errors = ", ".join(f"{name} {note[name]}" for name in sorted(set(note) - {"event", "request_id"}))
        told[f"{note['event']} ({errors})"] += 1
    return ", ".join(f"{count} × {what}" for what, count in told.most_common()) or "nothing"


def _lost_for_want_of_an_answer(cloud: Cloud, route_name: str, requests: Container[str]) -> set[str]:
    """The requests whose records neither Firehose nor the spool took because neither answered in time."""
    return {
        str(note["request_id"])
        for note in _notes(cloud, route_name, requests)
        if note["event"] == "record_lost" and {note.get("stream"), note.get("queue")} <= _NO_ANSWER
    }


def _notes(cloud: Cloud, route_name: str, requests: Container[str]) -> Iterator[dict[str, Any]]:
    functions.flush(cloud)
    pages = cloud.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{front_door_function_name(route_name)}"):
        for event in page["events"]:
            note = json.loads(event["message"]) if event["message"].startswith('{"event"') else {}
            if str(note.get("request_id", "")) in requests:
                yield note


def _told_in_the_log(stage: Stage, by_request: Mapping[str, str]) -> set[str]:
    """The requests that have a record. Raises DrillFailed for one that names another version than answered."""
    flush(stage.world.cloud)
    database = database_name(stage.world.target.environment, stage.model)
    columns = '"request_id", "version", "output_answered_by"[1] AS "by"'
    asked = f'SELECT {columns} FROM "{database}"."{VIEW}" WHERE "status" = 200'
    found = set()
    for row in athena.run(stage.world.target, stage.model, asked).rows:
        answered = by_request.get(row["request_id"])
        if answered is not None and not row["version"] == str(row["by"]) == answered:
            raise DrillFailed(
                f"the record of request {row['request_id']} names version {row['version']}, and version {answered} "
                "has answered"
            )
        found.add(row["request_id"])
    return found
