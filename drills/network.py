"""The runner's side of a private network: asks its porter for sockets of it, and learns what was tried in vain."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from drills.children import Child, ChildLostError
from drills.clock import Clock
from drills.events import MORE_HOSTS, HostTried, HowTried, PlaneTrouble
from drills.ground import Ground

_READY_WITHIN_S = 10.0
_NAMESPACES = 3
THIS_MACHINE = "localhost"
"""Stands for every loopback address: what listens at one of them is there, whatever address a program tries first."""


class Endpoint(NamedTuple):
    """Where something listens: an IPv4 address and a port."""

    address: str
    port: int


class _PorterSpec(msgspec.Struct, frozen=True, kw_only=True):
    channel: int
    exist: tuple[Endpoint, ...]


class _PorterSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the porter's: see `drills/porter.py`."""

    forbidden: str = ""
    at_s: float = 0.0
    address: str = ""
    port: int = 0
    protocol: HowTried = HowTried.TCP
    more: bool = False
    listens: bool | None = None


def forbidden() -> str:
    """What keeps this machine from making a private network, empty when nothing does: makes one and lets it go."""
    if sys.platform != "linux":
        return f"it needs Linux, and this is {sys.platform}"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        spec = msgspec.json.encode(_PorterSpec(channel=theirs.fileno(), exist=()))
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "drills.porter"],
                input=spec + b"\n",
                capture_output=True,
                pass_fds=(theirs.fileno(),),
                timeout=_READY_WITHIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"it was not there within {_READY_WITHIN_S:g} s"
        try:
            return msgspec.json.decode(done.stdout.partition(b"\n")[0], type=_PorterSaid).forbidden
        except msgspec.DecodeError:
            return (done.stderr.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]


class PrivateNetwork:
    """A private network: nothing in it but what is started inside, whatever its processes try to reach. `lost` is set
    when no more sockets of it can be had.

    What was tried at other hosts is told at once. A port of the machine itself that was refused may belong to something
    that is still starting, of the drill's or of the gateway's: it is told at the end, when nobody ever answered there.
    """

    def __init__(
        self, child: Child, channel: socket.socket, hosts: Mapping[str, str], clock: Clock, emit: Callable[..., None]
    ) -> None:
        self._child = child
        self._channel = channel
        self._hosts = hosts
        self._clock = clock
        self._emit = emit
        self._waiting: deque[asyncio.Future[socket.socket]] = deque()
        self._refused: dict[tuple[int, HowTried], HostTried] = {}
        self._gone = ""
        self.lost = asyncio.Event()
        self.namespaces: tuple[int, ...] = ()

    @classmethod
    async def start(
        cls,
        exist: Mapping[Endpoint, str],
        clock: Clock,
        emit: Callable[[HostTried | PlaneTrouble], None],
    ) -> PrivateNetwork:
        """Make a network. exist: the endpoints that are no try, even while nobody listens there, with the host of each.

        Raises `ChildLostError` when there cannot be one.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child: Child | None = None
        try:
            with theirs:
                spec = _PorterSpec(channel=theirs.fileno(), exist=tuple(exist))
                child = await Child.start("porter", "drills.porter", spec, pass_fds=(theirs.fileno(),))
            _check(await child.first_line(_READY_WITHIN_S))
            names = {endpoint.address: host.rpartition(":")[0] or host for endpoint, host in exist.items()}
            network = cls(child, ours, names, clock, emit)
            network._begin()
        except BaseException:
            ours.close()
            if child is not None:
                await child.end()
            raise
        return network

    def _begin(self) -> None:
        _, descriptors, _, _ = socket.recv_fds(self._channel, 1, _NAMESPACES)
        self.namespaces = tuple(descriptors)
        self._channel.setblocking(False)
        asyncio.get_running_loop().add_reader(self._channel, self._take)
        self._child.listen(self._hear, self._mourn)

    async def tcp(self) -> socket.socket:
        """A new TCP socket of the network, IPv4, not blocking. Raises `OSError` when the porter is gone."""
        return await self._ask(b"t")

    async def udp(self) -> socket.socket:
        """The same for UDP."""
        return await self._ask(b"u")

    async def _ask(self, kind: bytes) -> socket.socket:
        if self._gone:
            raise OSError(self._gone)
        wanted: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self._waiting.append(wanted)
        self._channel.send(kind)
        return await wanted

    @property
    def ground(self) -> Ground:
        """What a run needs of it."""
        return Ground(namespaces=self.namespaces, tcp=self.tcp, udp=self.udp)

    async def end(self) -> None:
        """Let the network go: it ends with the last process in it. Tells what was tried at the machine itself."""
        self._lose("the private network has ended")
        for descriptor in self.namespaces:
            os.close(descriptor)
        self.namespaces = ()
        await self._child.end()
        for tried in self._refused.values():
            self._emit(tried)
        self._refused.clear()

    def _take(self) -> None:
        try:
            said, descriptors, _, _ = socket.recv_fds(self._channel, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._lose("the porter of the private network is gone")
            return
        sock = socket.socket(fileno=descriptors[0])
        sock.setblocking(False)
        sock.set_inheritable(False)
        wanted = self._waiting.popleft()
        if wanted.done():  # given up meanwhile
            sock.close()
        else:
            wanted.set_result(sock)

    def _lose(self, why: str) -> None:
        if self._gone:
            return
        self._gone = why
        self.lost.set()
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        for wanted in self._waiting:
            if not wanted.done():
                wanted.set_exception(OSError(why))
        self._waiting.clear()

    def _hear(self, line: bytes) -> None:
        said = msgspec.json.decode(line, type=_PorterSaid)
        if said.listens is True:
            self._refused.pop((said.port, said.protocol), None)
            return
        host = (
            THIS_MACHINE
            if said.listens is False
            else MORE_HOSTS
            if said.more
            else self._hosts.get(said.address, said.address)
        )
        at_s = said.at_s - self._clock.origin_s
        tried = HostTried(at_s=at_s, host=host, port=said.port, how=said.protocol)
        if said.listens is False:
            self._refused[said.port, said.protocol] = tried
        else:
            self._emit(tried)

    def _mourn(self, last_words: str) -> None:
        self._lose("the porter of the private network is gone")
        self._emit(PlaneTrouble(at_s=self._clock.now_s(), what=f"the porter ended: {last_words}"))


def _check(first_line: bytes) -> None:
    said = msgspec.json.decode(first_line, type=_PorterSaid)
    if said.forbidden:
        raise ChildLostError(f"there can be no private network: {said.forbidden}")
