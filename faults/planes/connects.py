"""Sees connects that hang: the only trace of a request whose first SYN is dropped.

Linux shows each waiting connect in /proc/net/tcp (state 02, SYN_SENT); elsewhere nothing is seen, and the history
says nothing rather than guessing. Source of the format: the kernel's Documentation/networking/proc_net_tcp.
"""

from __future__ import annotations

from pathlib import Path

_TABLE = Path("/proc/net/tcp")
_SYN_SENT = "02"


def hanging(ports: frozenset[int]) -> set[tuple[int, int]]:
    """Waiting connects to loopback ports, as (destination port, local port)."""
    if not _TABLE.exists():
        return set()
    return parse(_TABLE.read_text(), ports)


def parse(table: str, ports: frozenset[int]) -> set[tuple[int, int]]:
    """Waiting connects in the text of /proc/net/tcp. Columns: sl, local, remote, state, ...; ports in hex."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) < 4 or columns[3] != _SYN_SENT:
            continue
        destination = int(columns[2].rpartition(":")[2], 16)
        if destination in ports:
            found.add((destination, int(columns[1].rpartition(":")[2], 16)))
    return found
