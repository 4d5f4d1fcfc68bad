"""Runs the TensorZero gateway that is inside the `tensorzero` package, on a port of our choice.

Started as `python -I tensorzero_launcher.py CONFIG PORT` with the Python of an environment that has the package; it
imports nothing of ours. The package starts its gateway on a port that the kernel chooses. So this program opens a
listener on the port that is wanted, puts it in the place of the gateway's own one (dup2), and registers it with the
gateway's epoll instance as the old one was. The gateway then accepts from it directly: nothing stands between callers
and gateway that could add time or answer for it.

Linux only: it reads /proc/self/fdinfo. Source: proc(5), epoll(7).
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

_BACKLOG = 1024
_EPOLL_CTL_ADD = 1
_FDS = Path("/proc/self/fd")


class _Event(ctypes.Structure):
    """`struct epoll_event`; packed on x86-64 only."""

    _pack_ = 1 if platform.machine() == "x86_64" else 0
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


def main() -> None:
    """Serve until SIGTERM or SIGINT; answers under way are finished then."""
    config, port = sys.argv[1], int(sys.argv[2])
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before the gateway has threads, which inherit it
    import tensorzero  # noqa: PLC0415  in this environment only

    try:
        gateway = tensorzero._start_http_gateway(  # noqa: SLF001  there is no public way to start it
            config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
        )
    except Exception as error:  # noqa: BLE001  the package raises its own kinds; each means that it does not start
        sys.exit(f"TensorZeroError: {error}")
    listener = move(urlsplit(gateway.base_url).port or 0, port)
    print(f"TensorZero listens on 127.0.0.1:{port}, descriptor {listener}", flush=True)
    signal.sigwait(signals)
    gateway.close()


def move(here: int, there: int) -> int:
    """Make the listener of this process on one loopback port listen on another one; its descriptor.

    Raises `OSError` when it cannot be found, is not watched by one epoll instance, or the port is in use.
    """
    old = next(_listeners(here), None)
    if old is None:
        raise OSError(f"no listener on port {here}")
    watches = set(_watches(old))
    if len({(events, data) for _, events, data in watches}) != 1:
        raise OSError(f"the listener on port {here} is watched in {len(watches)} ways")
    epoll, events, data = next(iter(watches))
    with socket.create_server(("127.0.0.1", there), backlog=_BACKLOG) as new:
        new.setblocking(False)
        os.dup2(new.fileno(), old, inheritable=False)  # closes the old one, which takes it out of epoll
    event = _Event(events, data)
    if ctypes.CDLL(None, use_errno=True).epoll_ctl(epoll, _EPOLL_CTL_ADD, old, ctypes.byref(event)) != 0:
        raise OSError(ctypes.get_errno(), "epoll_ctl")
    return old


def _listeners(port: int) -> Iterator[int]:
    """Descriptors of this process that listen on a TCP port."""
    for descriptor, target in _descriptors():
        if target.startswith("socket:"):
            with socket.socket(fileno=os.dup(descriptor)) as sock:
                listens = sock.family == socket.AF_INET and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                if listens and sock.getsockname()[1] == port:
                    yield descriptor


def _watches(descriptor: int) -> Iterator[tuple[int, int, int]]:
    """Who watches a descriptor: an epoll descriptor, for which events, and what it hands to its owner."""
    line = re.compile(rf"^tfd:\s*{descriptor} events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)", re.MULTILINE)
    for epoll, target in _descriptors():
        if target == "anon_inode:[eventpoll]":
            found = line.search(Path(f"/proc/self/fdinfo/{epoll}").read_text(encoding="ascii"))
            if found is not None:
                yield epoll, int(found[1], 16), int(found[2], 16)


def _descriptors() -> Iterator[tuple[int, str]]:
    for path in sorted(_FDS.iterdir()):
        try:
            yield int(path.name), str(path.readlink())
        except OSError:
            continue  # it was closed while we looked


if __name__ == "__main__":
    main()
