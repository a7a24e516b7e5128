"""A web page reaches loopback too: what a browser may have sent is refused before the door."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

QUERY = (
    "/?Action=ListTopics&Version=2010-03-31&X-Amz-Credential=AKIAREHEARSALOPERATR/20261121/eu-west-1/sns/aws4_request"
)


def get(cloud: Cloud, headers: dict[str, str]) -> tuple[int, str]:
    address = urlsplit(cloud.serve())
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=20)
    try:
        connection.request("GET", QUERY, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_client_is_answered(cloud: Cloud) -> None:
    status, body = get(cloud, {})
    assert (status, "ListTopicsResult" in body) == (200, True)


@pytest.mark.parametrize("host", ["localhost:9", "bucket.localhost:9", "sns.eu-west-1.amazonaws.com"])
def test_names_of_this_machine_and_of_aws_are_answered(cloud: Cloud, host: str) -> None:
    assert get(cloud, {"Host": host})[0] == 200


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Origin": "http://evil.example"}, "carry Origin"),
        ({"Host": "evil.example"}, "Host 'evil.example' is not this one"),
        ({"Host": "evil.example:80"}, "Host 'evil.example' is not this one"),
        ({"Host": "127.0.0.1.evil.example"}, "is not this one"),
        ({"Host": "evilamazonaws.com"}, "is not this one"),
    ],
)
def test_what_a_page_sends_is_refused(cloud: Cloud, headers: dict[str, str], said: str) -> None:
    calls = sum(cloud.journal.counts().values())
    status, body = get(cloud, headers)
    assert status == 403
    assert said in body
    assert sum(cloud.journal.counts().values()) == calls
