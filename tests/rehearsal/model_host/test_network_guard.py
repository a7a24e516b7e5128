"""A model that tries the network is refused and named, in its process and in Python that it starts."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.cloud.model_host.container import guard

# 192.0.2.0/24 and 2001:db8::/32 are for documentation (RFC 5737, RFC 3849): no host has them.
TRIES = """
    import json, socket, subprocess, sys, urllib.request

    ADDRESS, NAME = ("192.0.2.1", 443), "model.example.com"

    def tcp():
        socket.create_connection(ADDRESS, timeout=5)

    def tcp6():
        with socket.socket(socket.AF_INET6) as sock:
            sock.connect(("2001:db8::1", 443, 0, 0))

    def tcp_name():
        with socket.socket() as sock:
            sock.connect((NAME, 80))

    def tcp_ex():
        with socket.socket() as sock:
            sock.connect_ex(ADDRESS)

    def udp():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", ("192.0.2.1", 53))

    def udp_flags():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", 0, ("192.0.2.1", 53))

    def udp_message():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendmsg([b"x"], [], 0, ("192.0.2.1", 53))

    def udp_connect():
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect(("8.8.8.8", 80))

    def dns():
        socket.getaddrinfo(NAME, 443)

    def dns_bytes():
        socket.getaddrinfo(NAME.encode(), 443)

    def dns_old():
        socket.gethostbyname(NAME)

    def dns_reverse():
        socket.gethostbyaddr("192.0.2.1")

    def http():
        urllib.request.urlopen(f"http://{NAME}/", timeout=5)

    def grandchild():
        code = "import socket; socket.create_connection(('192.0.2.1', 443), timeout=5)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        raise OSError(done.stderr.strip().splitlines()[-1])

    def isolated_grandchild():
        code = "import socket; socket.getaddrinfo('model.example.com', 443)"
        done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env={})
        raise OSError(done.stderr.strip().splitlines()[-1])

    def spawned():
        import multiprocessing

        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(tcp)

    def model_fn(model_dir):
        return None

    def transform_fn(model, body, content_type, accept):
        try:
            globals()[body]()
        except Exception as error:
            return f"{type(error).__name__}: {error}", "text/plain"
        return "not refused", "text/plain"
"""
REFUSED = "the rehearsal's network guard refused it: "

EXPECTED = {
    "tcp": "TCP connection to 192.0.2.1:443",
    "tcp6": "TCP connection to [2001:db8::1]:443",
    "tcp_name": "DNS look-up of model.example.com",
    "tcp_ex": "TCP connection to 192.0.2.1:443",
    "udp": "UDP datagram to 192.0.2.1:53",
    "udp_flags": "UDP datagram to 192.0.2.1:53",
    "udp_message": "UDP datagram to 192.0.2.1:53",
    "udp_connect": "UDP datagram to 8.8.8.8:80",
    "dns": "DNS look-up of model.example.com",
    "dns_bytes": "DNS look-up of model.example.com",
    "dns_old": "DNS look-up of model.example.com",
    "dns_reverse": "DNS look-up of 192.0.2.1",
    "http": "DNS look-up of model.example.com",
    "grandchild": "TCP connection to 192.0.2.1:443",
    "spawned": "TCP connection to 192.0.2.1:443",
}


@pytest.fixture
def tries(serve):
    host = serve(TRIES)

    def attempt(kind: str) -> str:
        return host.invoke(kind.encode(), content_type="text/csv", accept="*/*").body.decode()

    return host, attempt


def test_every_way_out_is_refused_and_named_with_its_line(tries):
    host, attempt = tries
    for count, (kind, what) in enumerate(EXPECTED.items(), start=1):
        answer = attempt(kind)
        assert REFUSED + what in answer, kind
        lines = host.refused()
        assert len(lines) == count, (kind, lines)
        assert lines[-1].startswith(what), kind
        if kind != "grandchild":
            assert "(inference.py line " in lines[-1], kind
    assert f"mainstage-guard: refused {host.refused()[0]}" in host.log_lines()


def test_a_grandchild_without_environment_or_site_folders_is_refused_too(tries):
    host, attempt = tries
    assert REFUSED + "DNS look-up of model.example.com" in attempt("isolated_grandchild")
    assert host.refused() == [], "it was given no environment, so no file to report to; its stderr names it"


def test_a_refusal_while_loading_is_named_too(make_host):
    host = make_host("import urllib.request\nurllib.request.urlopen('http://192.0.2.7/weights')\n")
    with pytest.raises(RuntimeError, match=r"TCP connection to 192\.0\.2\.7:80"):
        host.start(20)
    assert host.refused() == ["TCP connection to 192.0.2.7:80 (inference.py line 2)"]


def test_loopback_and_unix_sockets_work(serve):
    host = serve(
        """
        import json, os, socket, threading

        def model_fn(model_dir):
            return None

        def over(family, address):
            with socket.socket(family) as server:
                server.bind(address)
                server.listen()
                with socket.create_connection(server.getsockname()[:2]) if family != socket.AF_UNIX else socket.socket(
                    family
                ) as client:
                    if family == socket.AF_UNIX:
                        client.connect(address)
                    accepted = server.accept()[0]
                    client.sendall(b"ok")
                    return accepted.recv(2).decode()

        def transform_fn(model, body, content_type, accept):
            found = [over(socket.AF_INET, ("127.0.0.1", 0)), over(socket.AF_INET, ("localhost", 0))]
            found.append(over(socket.AF_UNIX, os.path.join(os.environ["TMPDIR"], "s")))
            with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
                one.bind(("127.0.0.1", 0))
                other.sendto(b"ok", one.getsockname())
                found.append(one.recv(2).decode())
            return json.dumps(found), "application/json"
        """
    )
    # Linux limits a socket's path to 108 bytes and macOS to 104: the test's folder may be longer.
    answer = host.invoke(b"", content_type="text/csv", accept="*/*")
    assert json.loads(answer.body) == ["ok"] * 4
    assert host.refused() == []


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_what_the_hook_cannot_see_finds_no_network(serve):
    """A program that is not Python, and a system call from C. Only where the system permits a network namespace."""
    host = serve(
        """
        import ctypes, json, socket, struct

        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            routes = open("/proc/net/route").read().splitlines()[1:]
            devices = [line.split(":")[0].strip() for line in open("/proc/net/dev").read().splitlines()[2:]]
            libc = ctypes.CDLL(None, use_errno=True)
            sock = libc.socket(2, 2, 0)
            address = struct.pack("!2sH4s8x", struct.pack("=H", 2), 53, socket.inet_aton("192.0.2.1"))
            sent = libc.sendto(sock, b"x", 1, 0, address, len(address))
            return json.dumps([routes, devices, sent, ctypes.get_errno()]), "application/json"
        """
    )
    if not str(host.describe()["network"]).startswith("audit hook and a network namespace"):
        pytest.skip("this system permits no network namespace")
    routes, devices, sent, error = json.loads(host.invoke(b"", content_type="text/csv", accept="*/*").body)
    assert (routes, sent) == ([], -1)
    assert "lo" in devices
    assert error == 101  # ENETUNREACH


@given(st.ip_addresses())
def test_exactly_loopback_addresses_are_local(address):
    mapped = getattr(address, "ipv4_mapped", None)
    expected = mapped.is_loopback if mapped is not None else address.is_loopback
    assert guard.is_local(str(address)) == expected


@given(st.integers(0, 2**24 - 1))
def test_all_of_127_is_local(number):
    address = ipaddress.ip_address((127 << 24) + number)
    assert guard.is_local(str(address))
    assert guard.is_local(f"::ffff:{address}")


@pytest.mark.parametrize(
    ("host", "local"),
    [
        (None, True),
        ("", True),
        (b"localhost", True),
        ("LocalHost.", True),
        ("::1%lo", True),
        ("127.0.0.1.example.com", False),
        ("127.1", False),
        ("127.0.0.256", False),
        ("localhost.example.com", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("::", False),
        (b"example.com", False),
        (7, False),
    ],
)
def test_names_and_edges(host, local):
    assert guard.is_local(host) is local


def test_the_guard_is_not_installed_by_being_imported():
    assert "_mainstage_guard" not in sys.modules


def test_where_no_namespace_is_permitted_the_process_stays_as_it_was():
    """The trial in a forked child fails, as it does where a system forbids namespaces; the hook is what is left."""
    code = """
import subprocess
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import containment, guard, os, socket
before = os.readlink("/proc/self/ns/net") if sys.platform == "linux" else ""
def forbidden():
    raise PermissionError(1, "unshare")
containment._unshare = forbidden
print(containment.enter_network_namespace())
print(before == (os.readlink("/proc/self/ns/net") if sys.platform == "linux" else ""))
guard.install()
try:
    socket.create_connection(("192.0.2.1", 443), timeout=5)
except PermissionError as error:
    print(error.strerror)
"""
    folder = Path(guard.__file__).parent
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    isolated, unchanged, refusal = done.stdout.splitlines()
    assert (isolated, unchanged) == ("False", "True")
    assert refusal.startswith(REFUSED + "TCP connection to 192.0.2.1:443")
