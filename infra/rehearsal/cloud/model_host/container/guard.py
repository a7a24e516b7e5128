"""The network guard: refuses, and names, every connection that would leave this machine.

It is an audit hook (PEP 578), which code in the process cannot take out again. `environments.py` writes this file as
the `sitecustomize` of each preset's environment, so that Python processes which a model starts have it from their first
line; the serving process also makes sure of it itself. Only `sys` and `os` are imported: every Python of the
environment pays for this file.

Allowed: loopback addresses, `localhost`, Unix domain sockets. Refused: TCP, UDP and raw IP elsewhere, look-ups of host
names, other address families that reach a network. A refusal is a PermissionError (an OSError, which libraries take for
a failed connection), a line on stderr, and a line in the file that the variable MAINSTAGE_GUARD_LOG names.

What a hook cannot see (a system call from C, a program that is not Python) is cut off by the network namespace of
`containment.py` where the system permits one.
"""

import os
import sys

LOG_VARIABLE = "MAINSTAGE_GUARD_LOG"
MARK = "mainstage-guard: refused "
_LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})
# Address families by number: the names live in `socket`, which is not imported here. 1 is AF_UNIX everywhere, 16
# Linux's AF_NETLINK (asks the local kernel, reaches nothing).
_HARMLESS_FAMILIES = frozenset({1, 16}) if sys.platform == "linux" else frozenset({1})
# Names under which it is noted in sys.modules what has been done: this file may be loaded twice, under two names.
_INSTALLED, _WRAPPED = "_mainstage_guard", "_mainstage_guarded_socket"


def is_local(host):
    """Whether `host`, an address or a name as the socket module takes it, stays on this machine."""
    if host is None:
        return True
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        return False
    host = host.strip().lower().rstrip(".").split("%")[0]
    if host in _LOCAL_NAMES:
        return True
    if host.startswith("::ffff:"):
        host = host[len("::ffff:") :]
    if host in ("::1", "0:0:0:0:0:0:0:1"):
        return True
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdigit() and int(part) < 256 for part in parts)


def describe_peer(family, kind, address):
    """One phrase such as "TCP connection to 192.0.2.1:443"."""
    what = {1: "TCP connection", 2: "UDP datagram", 3: "raw IP packet"}.get(int(kind) & 0xF, "connection")
    if isinstance(address, tuple) and len(address) >= 2:
        host = address[0].decode("ascii", "replace") if isinstance(address[0], bytes) else address[0]
        return f"{what} to [{host}]:{address[1]}" if ":" in str(host) else f"{what} to {host}:{address[1]}"
    return f"{what} of address family {int(family)} to {address!r}"


def _where():
    """The nearest line that is not a library's: " (inference.py line 7)"."""
    frame = sys._getframe(2)
    while frame is not None:
        path = frame.f_code.co_filename
        library = f"{os.sep}lib{os.sep}python" in path or path.startswith("<frozen")
        if path != __file__ and not library:
            return f" ({os.path.basename(path)} line {frame.f_lineno})"
        frame = frame.f_back
    return ""


def _write(descriptor, line):
    try:
        os.write(descriptor, (line + "\n").encode("utf-8", "replace"))
    except OSError:
        return  # a closed stderr, a full disk: refused all the same


def _refuse(what):
    line = what + _where()
    path = os.environ.get(LOG_VARIABLE)
    if path:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            descriptor = -1  # the refusal itself must not depend on the report
        if descriptor >= 0:
            _write(descriptor, line)
            os.close(descriptor)
    _write(2, MARK + line)
    raise PermissionError(1, f"the rehearsal's network guard refused it: {line}. A rehearsal never leaves this machine")


def _check_peer(arguments):
    sock, address = arguments[0], arguments[1]
    if address is None or int(sock.family) in _HARMLESS_FAMILIES or isinstance(address, (str, bytes)):
        return  # a datagram on a connected socket, or a Unix domain path
    local = (
        isinstance(address, tuple) and len(address) >= 2 and not isinstance(address[0], int) and is_local(address[0])
    )
    if not local:
        _refuse(describe_peer(sock.family, sock.type, address))


def _check_name(arguments):
    host = arguments[0]
    if isinstance(host, tuple):  # getnameinfo: (address, port, ...)
        host = host[0]
    if is_local(host):
        return
    name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
    # A numeric address needs no DNS, and its connection is judged when it is made.
    if isinstance(name, str) and (name.replace(".", "").isdigit() or ":" in name):
        return
    _refuse(f"DNS look-up of {name}")


def _check_reverse(arguments):
    host = arguments[0][0] if isinstance(arguments[0], tuple) else arguments[0]
    if not is_local(host):
        _refuse(f"DNS look-up of {host}")


def _wrap_sockets(_arguments):
    """On the first socket. `sock.connect(("name", port))` resolves the name before its audit event: look earlier."""
    module = sys.modules.get("socket")
    if module is None or not hasattr(module, "create_connection") or _WRAPPED in sys.modules:
        return  # not imported to its end yet, or done
    sys.modules[_WRAPPED] = module

    def guarded(method, position):
        original = getattr(module.socket, method)

        def call(self, *arguments):
            address = arguments[position] if arguments else None
            if isinstance(address, tuple) and address and int(self.family) not in _HARMLESS_FAMILIES:
                _check_name(address)
            return original(self, *arguments)

        call.__name__, call.__doc__ = method, original.__doc__
        setattr(module.socket, method, call)

    for method, position in (("connect", 0), ("connect_ex", 0), ("sendto", -1), ("bind", 0)):
        guarded(method, position)


_CHECKS = {
    "socket.connect": _check_peer,
    "socket.sendto": _check_peer,
    "socket.sendmsg": _check_peer,
    "socket.getaddrinfo": _check_name,
    "socket.gethostbyname": _check_name,
    "socket.gethostbyaddr": _check_reverse,
    "socket.getnameinfo": _check_reverse,
    "socket.__new__": _wrap_sockets,
}


def _hook(event, arguments):
    check = _CHECKS.get(event)
    if check is not None:
        check(arguments)


def install():
    """Puts the hook in, once a process. It stays until the process ends."""
    if _INSTALLED not in sys.modules:
        sys.modules[_INSTALLED] = sys.modules[__name__]
        sys.addaudithook(_hook)


if __name__ == "sitecustomize":
    install()
