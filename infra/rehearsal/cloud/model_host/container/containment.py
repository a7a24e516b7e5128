"""How the serving process is held: no network but its own loopback, and no life after its parent.

Both work on Linux and macOS. What only Linux has (network namespaces, adoption of orphans) is used where the system
permits it; whether there is a network namespace is reported.
"""

import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_GRACE_SECONDS = 1.0
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def enter_network_namespace():
    """Moves this process into a network of its own that holds nothing but loopback. Returns whether it did.

    Must run before any thread is started: a thread keeps the network it was born in. A forked child tries first, so
    that a system that permits only half of it (user namespaces without rights inside) leaves this process as it was.
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


def become_contained(life, socket_folder):
    """Forks: the child returns and serves the model; this process becomes its init, as the first process of a container
    is.

    The init ends the model and everything that the model started when the other end of the pipe `life` closes, however
    the rehearsal died, and when the model's process ends. It runs no code of the model, so nothing there can hold it
    up. On Linux it also adopts, and so reaches, processes that went into a session of their own, and the kernel ends
    the model with it.
    """
    model = os.fork()
    if model == 0:
        os.setpgid(0, 0)  # a group of its own, which the init can end without ending itself
        os.close(life)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        return
    try:
        code = _init(model, life, socket_folder)
    except BaseException:
        _kill_all(model)
        raise
    os._exit(code)


def _init(model, life, socket_folder):
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    code = _reap(model)
    while code is None:
        ready = select.select([life, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
        code = _reap(model)
        if code is None and life in ready and not os.read(life, 4096):
            os.kill(model, signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while code is None and time.monotonic() < deadline:
                select.select([woken], [], [], 0.05)
                code = _reap(model)
            shutil.rmtree(socket_folder, ignore_errors=True)
            break
    _kill_all(model)
    return 128 + signal.SIGKILL if code is None else code


def _reap(model):
    """Takes in every child that ended. Returns the model's exit code (128 + signal, as shells do) if it was one."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == model:
            code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _kill_all(model):
    """Ends what is left: the model's group, then adopted processes, whose own children come up in turn."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    deadline = time.monotonic() + 2
    while True:
        with contextlib.suppress(OSError):  # nobody is left in it
            os.killpg(model, signal.SIGKILL)
        children = _children()
        for pid in children:
            with contextlib.suppress(OSError):  # gone meanwhile
                os.kill(pid, signal.SIGKILL)
        _reap(model)
        if not children or time.monotonic() > deadline:
            return
        time.sleep(0.005)


def _children():
    if sys.platform != "linux":
        return []
    found, own = [], os.getpid()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # pid (name) state parent ...; the name may hold anything, so read behind its last bracket.
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == own and fields[0] != b"Z":
                found.append(int(name))
    return found
