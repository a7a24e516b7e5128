"""The network guard of our own process: while a cloud lives, a connection that would leave loopback is refused and
named.

It is an audit hook (PEP 578), so it sees what any library does: TCP, UDP and name look-ups alike. Child processes
have guards of their own.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from typing import Any

_MOST_REMEMBERED = 1000
_LOCAL_FAMILIES = {
    getattr(socket, name) for name in ("AF_UNIX", "AF_NETLINK", "AF_ROUTE", "AF_SYSTEM") if hasattr(socket, name)
}
_LOCAL_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost"}

_lock = threading.Lock()
_hooked = False
_users = 0
_refused: list[str] = []


class LeavesLoopback(PermissionError):
    """A connection or look-up that would have left this machine. An OSError: libraries take it for no network."""


def install() -> None:
    """Switches the guard on. Nests: each `install` needs its `remove`."""
    global _hooked, _users
    with _lock:
        _users += 1
        if not _hooked:
            # An audit hook stays for the life of the process; without users it lets everything pass.
            sys.addaudithook(_hook)
            _hooked = True


def remove() -> None:
    """Takes one `install` back."""
    global _users
    with _lock:
        _users = max(0, _users - 1)


def active() -> bool:
    return _users > 0


def refused() -> list[str]:
    """What was refused in this process, in order, such as "connect 203.0.113.5:443"."""
    with _lock:
        return list(_refused)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not event.startswith("socket.") or not _users:
        return
    target = _target(event, args)
    if target is not None:
        what = f"{event.removeprefix('socket.')} {target}"
        with _lock:
            if len(_refused) < _MOST_REMEMBERED:
                _refused.append(what)
        raise LeavesLoopback(
            f"the rehearsal's network guard refused: {what}. Nothing may leave loopback while an emulated cloud lives;"
            " use Cloud.session() or Cloud.client() for AWS calls"
        )


def _target(event: str, args: tuple[Any, ...]) -> str | None:
    """What the event would reach, or None when that stays on this machine."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        endpoint, address = args[0], args[1]
        # A datagram on a connected socket names no address: its connect was looked at.
        if address is None or endpoint.family in _LOCAL_FAMILIES:
            return None
        if endpoint.family not in (socket.AF_INET, socket.AF_INET6):
            return f"{endpoint.family!r} {address!r}"
        return None if _is_loopback(address[0]) else f"{_text(address[0])}:{address[1]}"
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return None if args[0] is None or _is_loopback(args[0]) else _text(args[0])
    if event == "socket.getnameinfo":
        return None if _is_loopback(args[0][0]) else _text(args[0][0])
    return None


def _is_loopback(host: Any) -> bool:
    name = _text(host).lower().rstrip(".")
    if name in _LOCAL_NAMES or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.split("%", 1)[0])
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    # The unspecified address (0.0.0.0, ::) means this machine, too.
    return address.is_loopback or address.is_unspecified


def _text(host: Any) -> str:
    return host.decode("utf-8", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
