"""Sees connects that hang: the only trace of a request whose first SYN is dropped.

Linux shows each waiting connect in /proc/net/tcp (state 02, SYN_SENT), or in /proc/net/tcp6 when the caller's socket
is of IPv6 with an IPv4 address mapped into it, as Java's are. Elsewhere nothing is seen, and the history says nothing
rather than guessing. Source of the format: the kernel's Documentation/networking/proc_net_tcp.
"""

from __future__ import annotations

from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_SYN_SENT = "02"
_LOOPBACK = ("0100007F", "7F000001")
"""127.0.0.1, or the end of ::ffff:127.0.0.1, as little and as big endian hosts print it."""


def hanging(ports: frozenset[int]) -> set[tuple[int, int]]:
    """Waiting connects to loopback ports, as (destination port, local port)."""
    return set().union(*(parse(table.read_text(), ports) for table in _TABLES if table.exists()))


def parse(table: str, ports: frozenset[int]) -> set[tuple[int, int]]:
    """Waiting connects to 127.0.0.1 in the text of a table. Columns: sl, local, remote, state, ...; ports in hex."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 4 or columns[3] != _SYN_SENT:
            continue
        address, _, port = columns[2].rpartition(":")
        destination = int(port, 16)
        if destination in ports and address.endswith(_LOOPBACK):
            found.add((destination, int(columns[1].rpartition(":")[2], 16)))
    return found
