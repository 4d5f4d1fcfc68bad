"""The porter of a private network: makes it, keeps it, hands out sockets of it, and sees what is tried in vain.

A process of its own with one thread, standard library only. In its network there is nothing but the loopback device,
and every address leads to it. It lays its own resolver files over those of /etc, in its own mount namespace, so that
programs ask the network's own name server. All of it goes when the last process in it does.

Its first line in is a JSON object: `{"channel": 7, "exist": [["198.18.0.1", 443], ...]}`, a socket that it inherits and
the addresses that exist; its first line out is `{}`, or `{"forbidden": ...}` with what the machine forbids. Later lines
out say what was tried in vain; one with `"listens"` speaks of a port of the machine itself: false when it was refused,
true when one that was refused answers after all. Over the channel it first hands out its namespaces; then it answers
each `t` or `u` with a TCP or UDP socket of the network: a socket stays in the network in which it was made, whoever
uses it. It ends when its input or the channel does.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from drills import echoes, lifeline, namespaces, strays

NAME_SERVER = "127.0.0.53"
TRIES_AT_MOST = 200
"""So many different addresses and ports are reported, so that a gateway that scans cannot fill the history."""

_PACKETS_AT_THE_END = 4096
_OPEN_AT_MOST = 4096
"""So many tries are remembered that wait for their answer, or that reached somebody."""

_BIND, _RECURSIVE, _PRIVATE, _DETACH = 0x1000, 0x4000, 0x40000, 2
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41
_NAME_CACHES = ("/run/nscd", "/var/run/nscd")
"""Sockets through which the C library would ask a name cache that lives outside (nscd(8))."""


def _furnish() -> None:
    """Lay our resolver files over those of this machine, for everybody in this mount namespace.

    They lie on a filesystem in memory that only its mounts keep alive, so there is nothing to delete.
    """
    namespaces.mount("none", "/", flags=_RECURSIVE | _PRIVATE)
    store = tempfile.gettempdir()
    namespaces.mount("tmpfs", store, "tmpfs")
    try:
        for target, content in _files():
            if Path(target).exists():
                Path(store, Path(target).name).write_text(content, encoding="utf-8")
                namespaces.mount(f"{store}/{Path(target).name}", target, flags=_BIND)
        Path(store, "empty").mkdir()
        for target in _NAME_CACHES:
            if Path(target).is_dir():
                namespaces.mount(f"{store}/empty", target, flags=_BIND)
    finally:
        namespaces.unmount(store, _DETACH)


def _files() -> Iterable[tuple[str, str]]:
    name = socket.gethostname()
    itself = name if name.isascii() and name.isprintable() and " " not in name else ""
    yield "/etc/resolv.conf", f"nameserver {NAME_SERVER}\n"
    yield "/etc/hosts", f"127.0.0.1 localhost {itself}\n::1 localhost ip6-localhost\n"
    if (sources := Path("/etc/nsswitch.conf")).exists():
        lines = sources.read_text(encoding="utf-8", errors="replace").splitlines()
        yield (
            str(sources),
            "\n".join([*(line for line in lines if not line.startswith("hosts:")), "hosts: files dns\n"]),
        )


def _open_network() -> None:
    """Bring the loopback device up and make every address lead to it. Raises `OSError`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh22x", b"lo", _UP_AND_RUNNING))
    _add_route(socket.AF_INET, socket.inet_aton("127.0.0.1"))
    with contextlib.suppress(OSError):  # without IPv6 its addresses are unreachable by themselves
        _add_route(socket.AF_INET6, b"")


def _add_route(family: int, source: bytes) -> None:
    """Route all addresses of a family to the loopback device, as local ones. Raises `OSError`.

    The same as `ip route add local default dev lo src ...`. Sources: netlink(7), rtnetlink(7).
    """
    table, protocol, scope, local = 255, 4, 254, 2
    new_route, request_create_ack = 24, 0x1 | 0x400 | 0x200 | 0x4
    route = struct.pack("=8BI", family, 0, 0, 0, table, protocol, scope, local, 0)
    route += struct.pack("=HHI", 8, 4, socket.if_nametoindex("lo"))
    if source:
        route += struct.pack("=HH", 4 + len(source), 7) + source
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(route), new_route, request_create_ack, 1, 0) + route)
        [answer] = struct.unpack_from("=i", sock.recv(4096), 16)
    if answer:
        raise OSError(-answer, os.strerror(-answer))


def _unprivileged_ports() -> None:
    """Let every program here listen on port 443: Toxiproxy is one, and has no capabilities of an ordinary user's."""
    with contextlib.suppress(OSError):  # where it may not be set, a program says that it cannot listen
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0", encoding="ascii")


class _Porter:
    """Keeps the network: everything after it was made."""

    def __init__(self, channel: socket.socket, exist: Iterable[tuple[str, int]]) -> None:
        self._channel = channel
        self._exist = {(address, port, "tcp") for address, port in exist}
        self._seen: set[strays.Try] = set()
        self._open: dict[strays.Try, None] = {}
        self._reached: set[strays.Try] = set()
        self._refused: set[tuple[int, str]] = set()
        self._there: set[tuple[int, str]] = {(port, "tcp") for address, port in exist if address.startswith("127.")}
        self._watchers = dict.fromkeys(strays.watchers(), self._look) | dict.fromkeys(echoes.watchers(), self._hear)

    def keep(self) -> None:
        """Hand out and look until the input ends."""
        with selectors.DefaultSelector() as waits:
            for file in (sys.stdin, self._channel):
                waits.register(file, selectors.EVENT_READ)
            for watcher, take in self._watchers.items():
                waits.register(watcher, selectors.EVENT_READ, take)
            while True:
                for key, _ in waits.select():
                    if key.fileobj is sys.stdin:
                        if not os.read(0, 4096):
                            self._finish()
                            return
                    elif key.fileobj is self._channel:
                        self._hand_out()
                    else:
                        key.data(os.read(key.fd, strays.AT_MOST))

    def _hand_out(self) -> None:
        wanted = self._channel.recv(1)
        if not wanted:
            sys.exit(0)  # whoever wanted sockets is gone
        kind = socket.SOCK_DGRAM if wanted == b"u" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as sock:
            socket.send_fds(self._channel, [wanted], [sock.fileno()])

    def _finish(self) -> None:
        """Look at what came before the input ended."""
        for watcher, take in self._watchers.items():
            with contextlib.suppress(BlockingIOError):
                for _ in range(_PACKETS_AT_THE_END):
                    take(watcher.recv(strays.AT_MOST))
        for tried in self._open:
            if tried.protocol == "tcp":
                self._tell(tried)  # nobody took it, and nobody refused it

    def _hear(self, packet: bytes) -> None:
        """An answer. A port of the machine itself is told when it is refused, unless it was there before, and when it
        is there after all.
        """
        answer, echo = echoes.answer(packet), echoes.read(packet)
        if answer is not None and echo is None:
            self._answered(answer)
        if echo is None or (port := (echo.port, echo.protocol)) in self._there:
            return
        known = port in self._refused
        if echo.listens:
            self._there.add(port)
            if known:
                _say({"at_s": time.monotonic(), **echo._asdict()})
        elif not known and len(self._refused) <= TRIES_AT_MOST:
            self._refused.add(port)
            more = len(self._refused) > TRIES_AT_MOST
            _say({"at_s": time.monotonic(), **({"more": True} if more else echo._asdict())})

    def _look(self, packet: bytes) -> None:
        """A try. Whoever listens at every address answers at this one, too, and has reached itself: the answer, which
        comes at once, decides.
        """
        tried = strays.read(packet)
        if tried is None or tried in self._exist or tried in self._seen or tried in self._reached:
            return
        if tried.unanswered or len(self._open) >= _OPEN_AT_MOST:
            self._tell(tried)
        else:
            self._open[tried] = None

    def _answered(self, answer: echoes.Answer) -> None:
        tried = answer.tried
        self._open.pop(tried, None)
        if tried in self._exist or tried in self._reached:
            return
        if answer.listens and len(self._reached) < _OPEN_AT_MOST:
            self._reached.add(tried)
        elif not answer.listens:
            self._tell(tried)

    def _tell(self, tried: strays.Try) -> None:
        if tried in self._seen or len(self._seen) > TRIES_AT_MOST:
            return
        self._seen.add(tried)
        more = len(self._seen) > TRIES_AT_MOST
        _say({"at_s": time.monotonic(), **({"more": True} if more else tried._asdict())})


def _say(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Be the porter until the standard input ends."""
    first = sys.stdin.readline()
    if not first:
        return
    try:
        namespaces.make()
        lifeline.die_with_parent()  # not before: other rights may undo it (prctl(2))
        _open_network()
        _unprivileged_ports()
        _furnish()
        spec = json.loads(first)
        channel = socket.socket(fileno=spec["channel"])
        porter = _Porter(channel, [(address, port) for address, port in spec["exist"]])
    except namespaces.ForbiddenError as problem:
        _say({"forbidden": str(problem)})
        return
    except OSError as error:
        _say({"forbidden": f"setting up the private network: {error}"})
        return
    mine = namespaces.own()
    socket.send_fds(channel, [b"n"], list(mine))
    for descriptor in mine:
        os.close(descriptor)
    _say({})
    porter.keep()


if __name__ == "__main__":
    main()
