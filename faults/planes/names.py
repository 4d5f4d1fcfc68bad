"""The name server of a private network: knows the hosts of the legs, and hears of every other that is looked for.

It listens on port 53 of every IPv4 address, so that also a program with a name server of its own choice finds it. A
fault decides what becomes of a lookup: it is answered, answered with an error, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from drills.events import HOSTS_TRIED_AT_MOST, MORE_HOSTS, HostTried, HowTried, LookupFailed
from faults.base import Lookups
from faults.planes import dnswire

PORT = 53
_PACKET_INFO = 8
"""IP_PKTINFO of Linux: to which address a datagram was sent, and from which the answer goes (ip(7))."""
_PACKETS_AT_ONCE = 64
_REMEMBERED = 4096
_CODES = {Lookups.NXDOMAIN: dnswire.NXDOMAIN, Lookups.SERVFAIL: dnswire.SERVFAIL}
_THIS_HOST = "127.0.0.1"
_ADDRESS_OF_4 = re.compile(r"((?:(?:0|[1-9][0-9]{0,2})\.){4})in-addr\.arpa")
_ADDRESS_OF_6 = re.compile(r"(?:[0-9a-f]\.){32}ip6\.arpa")
NO_QUERY = "a DNS query that is none"
"""Stands for what came to the name server and asks for no name that can be read."""
_BYTE_AT_MOST = 255
_ROOT = "."


class Meets(NamedTuple):
    """What lookups of a host meet now: what the faults make of them, which faults, and whose host it is."""

    lookups: Lookups
    faults: tuple[str, ...]
    legs: tuple[str, ...]


class Names:
    """Answers lookups. `addresses`: by host name in lower case. `meets` is asked about each lookup of one of them."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        meets: Callable[[str], Meets],
        emit: Callable[[HostTried | LookupFailed], None],
        now_s: Callable[[], float],
    ) -> None:
        self._addresses = addresses
        self._meets = meets
        self._emit = emit
        self._now_s = now_s
        self._tried: dict[str, None] = {}
        self._failed: deque[tuple[str, int, int]] = deque(maxlen=_REMEMBERED)
        self._domain = socket.gethostname().lower().partition(".")[2]
        self._udp: socket.socket | None = None
        self._tcp: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen. Raises `OSError`."""
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.setblocking(False)
        self._udp.setsockopt(socket.IPPROTO_IP, _PACKET_INFO, 1)
        self._udp.bind(("", PORT))
        asyncio.get_running_loop().add_reader(self._udp, self._take)
        self._tcp = await asyncio.start_server(self._talk, family=socket.AF_INET, port=PORT)

    def close(self) -> None:
        """Give the ports up."""
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    def answer(self, message: bytes, port: int) -> bytes | None:
        """The answer to a message from a port of a caller's; None for silence."""
        try:
            query = dnswire.read_query(message)
        except ValueError:
            refused = dnswire.refuse(message)
            self._note_odd(refused.name)
            return refused.answer
        if query.opcode != 0:
            self._note_odd(query.name)
            return dnswire.answer(query, dnswire.NOTIMP)
        if _is_this_host(query.name):
            return self._found(query, _THIS_HOST)
        if query.name not in self._addresses:
            if not _is_reverse(query):
                self._note(query.name or _ROOT)
            return dnswire.answer(query, dnswire.NXDOMAIN)
        meets = self._meets(query.name)
        if meets.lookups is Lookups.ANSWERED:
            return self._found(query, self._addresses[query.name])
        self._fail(query, port, meets)
        return None if meets.lookups is Lookups.SILENT else dnswire.answer(query, _CODES[meets.lookups])

    def _found(self, query: dnswire.Query, address: str) -> bytes:
        return dnswire.answer(query, dnswire.NOERROR, (address,) if query.type == dnswire.A else ())

    def _note_odd(self, name: str) -> None:
        """Report what is no usual question: by its name, when that is not one of those that are there."""
        self._note(NO_QUERY if not name or name in self._addresses or _is_this_host(name) else name)

    def _note(self, name: str) -> None:
        """Report a name that nobody has, once, whatever is asked about it: a program may find a host by a record of
        another type than an address (SRV, HTTPS), and a question can carry data away by itself. Who tries a name once
        more in the domain of this machine tries no other.
        """
        short = name.removesuffix(f".{self._domain}") if self._domain else name
        again = name in self._tried or (short != name and (short in self._tried or short in self._addresses))
        if again or len(self._tried) > HOSTS_TRIED_AT_MOST:
            return
        self._tried[name] = None
        host = MORE_HOSTS if len(self._tried) > HOSTS_TRIED_AT_MOST else name
        self._emit(HostTried(at_s=self._now_s(), host=host, how=HowTried.LOOKED_UP))

    def _fail(self, query: dnswire.Query, port: int, meets: Meets) -> None:
        """Report a lookup that met a fault: once, though it may ask for addresses of two kinds and ask again."""
        key = (query.name, query.id, port)
        if query.type == dnswire.A and key not in self._failed:
            self._failed.append(key)
            self._emit(
                LookupFailed(host=query.name, legs=meets.legs, seen_s=self._now_s(), faults=meets.faults, port=port)
            )

    def _take(self) -> None:
        if self._udp is None:
            return
        for _ in range(_PACKETS_AT_ONCE):
            try:
                message, extra, _, caller = self._udp.recvmsg(4096, socket.CMSG_SPACE(12))
            except OSError:  # nothing more, or somebody did not wait for the last answer
                return
            answer = self.answer(message, caller[1])
            if answer is None:
                continue
            asked = next((data[8:12] for _, kind, data in extra if kind == _PACKET_INFO), bytes(4))
            source = (socket.IPPROTO_IP, _PACKET_INFO, struct.pack("=I4s4s", 0, asked, bytes(4)))
            with contextlib.suppress(OSError):  # who left gets no answer
                self._udp.sendmsg([answer], [source], 0, caller)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer over TCP, where each message has its length before it."""
        try:
            while True:
                [size] = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(size), writer.get_extra_info("peername")[1])
                if answer is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _is_this_host(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _is_reverse(query: dnswire.Query) -> bool:
    """Whether it asks for the name of a whole address, which tries no host."""
    if query.type != dnswire.PTR:
        return False
    found = _ADDRESS_OF_4.fullmatch(query.name)
    if found is None:
        return _ADDRESS_OF_6.fullmatch(query.name) is not None
    return all(int(number) <= _BYTE_AT_MOST for number in found[1].rstrip(".").split("."))
