"""Many clients at once: every request is answered with its own answer, also while the API changes."""

from __future__ import annotations

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from gateway_world import PATH, World, wait_until

CLIENTS = 16
EACH = 25


def echo(event: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"body": event.get("body"), "id": event["requestContext"]["requestId"]})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}


def client(world: World, number: int) -> list[str]:
    """Sends its requests over one connection; the ids that it got."""
    parts = urlsplit(world.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    ids = []
    for index in range(EACH):
        body = f"{number}/{index}"
        connection.request("POST", PATH, body=body, headers={"content-type": "text/plain"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200
        assert answer == {"body": body, "id": response.headers["apigw-requestid"]}
        ids.append(answer["id"])
    connection.close()
    return ids


def test_no_answer_is_mixed_up_while_routes_change(world: World) -> None:
    world.function.answer = echo
    integration = world.integration()
    changing = threading.Event()

    def change() -> None:
        for index in range(10):
            world.route(f"GET /{index}", integration)
            changing.set()

    with ThreadPoolExecutor(CLIENTS + 1) as pool:
        changes = pool.submit(change)
        changing.wait(5)
        ids = [one for found in pool.map(lambda number: client(world, number), range(CLIENTS)) for one in found]
        changes.result()
    assert len(set(ids)) == len(ids) == CLIENTS * EACH
    assert len(world.function.events) == CLIENTS * EACH
    assert world.send("GET", "/9", body=b"").status == 200


def test_more_slow_requests_than_threads_are_all_answered(world: World) -> None:
    """Beyond the listener's threads requests wait; none is lost, none is refused."""
    release = threading.Event()
    world.function.answer = lambda event: release.wait(60) and "done"
    with ThreadPoolExecutor(60) as pool:
        replies = [pool.submit(world.send) for _ in range(60)]
        wait_until(lambda: len(world.function.events) == 48)
        release.set()
        assert [reply.result().status for reply in replies] == [200] * 60


def test_a_request_costs_little(world: World) -> None:
    """About a millisecond of CPU, the client's share included; the limit leaves room for a busy machine."""
    world.function.answer = echo
    client(world, 0)
    started = time.process_time()
    for _ in range(4):
        client(world, 0)
    assert (time.process_time() - started) / (4 * EACH) < 0.02
