"""Loopback ports that are free, and stay so."""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

from drills.problems import UsageProblem


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def lasting_port() -> int:
    """A loopback port that is free now and, where possible, stays so while nobody listens on it.

    The kernel gives the ports of a certain range to outgoing connections: one of those could sit on the port of a
    gateway that is being restarted. Source: ip(7), ip_local_port_range.
    """
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return free_port()
    for _ in range(50):
        port = random.randrange(10_000, first) if first > 11_000 else 0
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            found: int = sock.getsockname()[1]
            return found
    return free_port()


def check_port(port: int) -> None:
    """Raise `UsageProblem` when a loopback port cannot be listened on."""
    if not 1 <= port <= 65535:
        raise UsageProblem(f"port {port} does not exist; allowed: 1 to 65535")
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            raise UsageProblem(f"port {port} on 127.0.0.1 cannot be used: {error.strerror}") from error
