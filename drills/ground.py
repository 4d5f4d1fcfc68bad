"""Where the processes of a run live: on this machine as it is, or in a private network.

The runner itself always stays outside: it reaches into a private network with sockets that were made there.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Sockets = Callable[[], Awaitable[socket.socket]]
"""Makes a socket over IPv4 that does not block. Raises `OSError`."""


@dataclass(frozen=True)
class Ground:
    """What a run needs of a network.

    namespaces: descriptors of the namespaces that its processes join; none outside. tcp, udp: make sockets in it;
    None where any socket is one.
    """

    namespaces: tuple[int, ...] = ()
    tcp: Sockets | None = None
    udp: Sockets | None = None


OUTSIDE = Ground()


@dataclass(frozen=True)
class Stand:
    """Where a leg stands: its address and port, and the host names that lead there in a private network, lower case."""

    endpoint: tuple[str, int]
    names: tuple[str, ...] = ()
