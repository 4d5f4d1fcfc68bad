"""Sees connects that hang: the only trace of a request whose first SYN is dropped.

Linux shows each waiting connect in /proc/net/tcp (state 02, SYN_SENT), or in /proc/net/tcp6 when the caller's socket
is of IPv6 with an IPv4 address mapped into it, as Java's are. Elsewhere nothing is seen, and the history says nothing
rather than guessing. Source of the format: the kernel's Documentation/networking/proc_net_tcp.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
from pathlib import Path

Endpoint = tuple[str, int]
"""An IPv4 address and a port."""

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_SYN_SENT = "02"


def hanging(endpoints: frozenset[Endpoint]) -> set[tuple[Endpoint, int]]:
    """Waiting connects to these endpoints, as (destination, local port). Of the network in which this process is."""
    return set().union(*(parse(table.read_text(), endpoints) for table in _TABLES if table.exists()))


def parse(table: str, endpoints: frozenset[Endpoint], byteorder: str = sys.byteorder) -> set[tuple[Endpoint, int]]:
    """Waiting connects in the text of a table. Columns: sl, local, remote, state, ...; in hex, addresses as the host's
    processor has them in memory. An IPv4 address stands alone, or at the end of one of IPv6.
    """
    wanted = {printed(endpoint, byteorder): endpoint for endpoint in endpoints}
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 4 or columns[3] != _SYN_SENT:
            continue
        destination = wanted.get(columns[2][-PRINTED:])
        if destination is not None:
            found.add((destination, int(columns[1].rpartition(":")[2], 16)))
    return found


PRINTED = len("0100007F:01BB")
"""How many characters at the end of a column are an IPv4 address and its port."""


def printed(endpoint: Endpoint, byteorder: str = sys.byteorder) -> str:
    """An endpoint as the kernel prints it."""
    [number] = struct.unpack("<I" if byteorder == "little" else ">I", ipaddress.IPv4Address(endpoint[0]).packed)
    return f"{number:08X}:{endpoint[1]:04X}"
