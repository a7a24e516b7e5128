"""While a cloud lives, nothing of this process leaves loopback."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Callable

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from infra.rehearsal.cloud import guard
from infra.rehearsal.cloud.cloud import Cloud

OUTSIDE = "203.0.113.7"
"""An address of the block for documentation (RFC 5737): it leads nowhere even without the guard."""


def _udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.sendto(b"x", (OUTSIDE, 53))


def _sendmsg() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.sendmsg([b"x"], [], 0, (OUTSIDE, 53))


def _connected_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.connect((OUTSIDE, 53))


def _tcp6() -> None:
    with socket.socket(socket.AF_INET6) as endpoint:
        endpoint.connect(("2001:db8::1", 443))


def _connect_ex() -> None:
    with socket.socket() as endpoint:
        endpoint.connect_ex((OUTSIDE, 443))


ATTEMPTS: list[tuple[Callable[[], object], str]] = [
    (lambda: socket.create_connection((OUTSIDE, 443), timeout=1), "getaddrinfo 203.0.113.7"),
    (_connect_ex, "connect 203.0.113.7:443"),
    (_tcp6, "connect 2001:db8::1:443"),
    (_udp, "sendto 203.0.113.7:53"),
    (_sendmsg, "sendmsg 203.0.113.7:53"),
    (_connected_udp, "connect 203.0.113.7:53"),
    (
        lambda: socket.getaddrinfo("sagemaker.eu-west-1.amazonaws.com", 443),
        "getaddrinfo sagemaker.eu-west-1.amazonaws.com",
    ),
    (lambda: socket.gethostbyname("example.com"), "gethostbyname example.com"),
    (lambda: socket.gethostbyname_ex("example.com"), "gethostbyname example.com"),
    (lambda: socket.gethostbyaddr(OUTSIDE), "gethostbyaddr 203.0.113.7"),
    (lambda: socket.getnameinfo((OUTSIDE, 53), 0), "getnameinfo 203.0.113.7"),
]


@pytest.mark.parametrize(("attempt", "named"), ATTEMPTS, ids=[named for _, named in ATTEMPTS])
def test_what_would_leave_is_refused_and_named(cloud: Cloud, attempt: Callable[[], object], named: str):
    with pytest.raises(guard.LeavesLoopback, match=named.replace(".", r"\.")):
        attempt()
    assert guard.refused()[-1] == named


def test_libraries_meet_it_as_an_os_error(cloud: Cloud):
    with pytest.raises(OSError, match="network guard refused"):
        urllib.request.urlopen("http://203.0.113.7/", timeout=1)


def test_a_client_that_is_not_the_clouds_reaches_nothing(cloud: Cloud):
    """The one way past the door would be to AWS itself."""
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1")
    client = session.client("sts", config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(BotoCoreError):
        client.get_caller_identity()
    assert guard.refused()[-1] == "getaddrinfo sts.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_free(cloud: Cloud, host: str):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
        try:
            endpoint.connect((host, 9))
        except guard.LeavesLoopback:
            raise
        except OSError:
            pytest.skip(f"this machine has no {host}")
    assert socket.getaddrinfo("localhost", 80)


def test_unix_sockets_are_free(cloud: Cloud):
    left, right = socket.socketpair()
    left.sendall(b"x")
    assert right.recv(1) == b"x"
    left.close()
    right.close()


def test_the_guard_nests_and_ends_with_the_last_cloud(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(guard, "_users", 0)
    assert not guard.active()
    guard.install()
    guard.install()
    guard.remove()
    assert guard.active()
    guard.remove()
    guard.remove()
    assert not guard.active()
