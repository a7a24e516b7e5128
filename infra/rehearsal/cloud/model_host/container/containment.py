"""How the serving process is held: no network but its own loopback, and no life after its parent.

Both work on Linux and macOS; what only Linux has (namespaces, PR_SET_PDEATHSIG) is used where the system permits it and reported
in one word otherwise.
"""

import ctypes
import os
import shutil
import signal
import socket
import struct
import sys
import threading

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def enter_network_namespace():
    """Moves this process into a network of its own that holds nothing but loopback. Returns whether it did.

    Must run before any thread is started: a thread keeps the network it was born in. A forked child tries first, so that a
    system that permits only half of it (user namespaces without rights inside) leaves this process as it was.
    """
    if sys.platform != "linux":
        return False
    trial = os.fork()
    if trial == 0:
        try:
            _unshare()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(trial, 0)[1] != 0:
        return False
    _unshare()
    return True


def _unshare():
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) != 0:
        if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
    import fcntl  # not on every system, and only needed here

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH14s", b"lo", 0, b""))
        flags = struct.unpack("16sH14s", request)[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def end_with_parent(line, socket_folder):
    """Ends this process and its group when the other end of `line` (a socket to the parent) closes, however the parent died.

    On Linux the kernel does it as well, which also reaches a model that never gives up the interpreter's lock.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    def watch():
        try:
            while line.recv(4096):
                pass
        except OSError:
            pass
        shutil.rmtree(socket_folder, ignore_errors=True)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="mainstage-parent", daemon=True).start()
