"""Looks a host's name up as a program in a private network would: at the network's own name server."""

from __future__ import annotations

import asyncio
import secrets

from drills.ground import Sockets
from faults.base import Lookups
from faults.planes import dnswire

NAME_SERVER = ("127.0.0.53", 53)
_SAID = {
    dnswire.NOERROR: Lookups.ANSWERED,
    dnswire.NXDOMAIN: Lookups.NXDOMAIN,
    dnswire.SERVFAIL: Lookups.SERVFAIL,
}


class Lookup:
    """One lookup. port: the local port that it asks from; 0 before. said: what came, silence until something does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.said = Lookups.SILENT
        self.addresses: tuple[str, ...] = ()

    async def ask(self, sockets: Sockets) -> None:
        """Ask, and wait for the answer for as long as it takes. Raises `OSError`, also for an answer that is none."""
        loop, number = asyncio.get_running_loop(), secrets.randbelow(1 << 16)
        with await sockets() as sock:
            await loop.sock_connect(sock, NAME_SERVER)
            self.port = sock.getsockname()[1]
            await loop.sock_sendall(sock, dnswire.query(number, self.name))
            message = await loop.sock_recv(sock, 4096)
        try:
            answer = dnswire.read_answer(message)
        except ValueError as error:
            raise OSError(f"the name server's answer cannot be read: {error}") from error
        if answer.id != number or answer.code not in _SAID:
            raise OSError(f"the name server answers another question, or with the code {answer.code}")
        self.said, self.addresses = _SAID[answer.code], answer.addresses
