"""What a program tries at the machine itself, in a private network: told when nobody ever answered there."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from network_harness import private_network

from drills import echoes
from drills.echoes import Answer, Echo
from drills.network import Endpoint
from drills.strays import Try

SYN, RST, PSH, ACK = 2, 4, 8, 16


def ip(source: str, protocol: int, rest: bytes) -> bytes:
    """A packet from an address to the same."""
    address = ip_address(source)
    if address.version == 4:
        return bytes([0x45]) + bytes(8) + bytes([protocol]) + bytes(2) + address.packed * 2 + rest
    return bytes([0x60]) + bytes(5) + bytes([protocol]) + bytes(1) + address.packed * 2 + rest


def tcp(flags: int, number: int = 0, port: int = 5432, source: str = "127.0.0.1") -> bytes:
    """A segment from a port."""
    return ip(source, 6, struct.pack("!HHIIBBHI", port, 40_000, number, 77, 0x50, flags, 0, 0))


def returned(
    port: int = 8125, by: int = 40_000, source: str = "127.0.0.1", code: int | None = None, to: str = ""
) -> bytes:
    """The message that a datagram to a port comes back in."""
    sent = ip(to or source, 17, struct.pack("!HHHH", by, port, 8, 0))
    kind, usual, protocol = (1, 4, 58) if ":" in source else (3, 3, 1)
    return ip(source, protocol, bytes([kind, usual if code is None else code]) + bytes(6) + sent)


PACKETS = [
    (tcp(RST | ACK), Echo(5432, "tcp", False)),
    (tcp(RST | ACK, source="127.9.9.9"), Echo(5432, "tcp", False)),
    (tcp(RST | ACK, source="::1"), Echo(5432, "tcp", False)),
    (tcp(SYN | ACK, 12345), Echo(5432, "tcp", True)),
    (tcp(SYN | ACK, 12345, source="::1"), Echo(5432, "tcp", True)),
    (returned(), Echo(8125, "udp", False)),
    (returned(source="::1"), Echo(8125, "udp", False)),
    # A connection that was there and is cut, and the traffic of one.
    (tcp(RST | ACK, 12345), None),
    (tcp(RST), None),
    (tcp(ACK), None),
    (tcp(PSH | ACK), None),
    (tcp(SYN), None),
    # Other addresses are no part of the machine itself.
    (tcp(RST | ACK, source="192.0.2.1"), None),
    (tcp(RST | ACK, source="2001:db8::1"), None),
    (tcp(RST | ACK, source="2001:db8::1:0:1"), None),
    (returned(source="192.0.2.1"), None),
    (returned(to="192.0.2.1"), None),
    (returned(source="::1", to="2001:db8::9"), None),  # as Linux does it with an address that has only a route
    # The name server, and somebody who did not wait for its answer.
    (tcp(RST | ACK, port=53), None),
    (tcp(RST | ACK, port=53, source="::1"), Echo(53, "tcp", False)),  # it is of IPv4 only
    (returned(port=53, source="::1"), Echo(53, "udp", False)),
    (returned(port=53), None),
    (returned(port=41_000, by=53), None),
    (returned(code=1), None),
    # Broken.
    (b"", None),
    (tcp(RST | ACK)[:33], None),
    (tcp(RST | ACK, source="::1")[:53], None),
    (returned()[:40], None),
    (returned()[:51], None),
    (returned(source="::1")[:60], None),
]


@pytest.mark.parametrize(("data", "echo"), PACKETS)
def test_a_packet_says_whether_somebody_listens(data: bytes, echo: Echo | None) -> None:
    """Only the answer to a first packet does."""
    assert echoes.read(data) == echo


OTHERS = [
    (tcp(RST | ACK, source="192.0.2.1"), Answer(Try("192.0.2.1", 5432, "tcp"), False)),
    (tcp(SYN | ACK, 12345, source="192.0.2.1"), Answer(Try("192.0.2.1", 5432, "tcp"), True)),
    (tcp(RST | ACK, source="2001:db8::1"), Answer(Try("2001:db8::1", 5432, "tcp"), False)),
    (returned(source="192.0.2.1"), Answer(Try("192.0.2.1", 8125, "udp"), False)),
    (returned(source="::1", to="2001:db8::9"), Answer(Try("2001:db8::9", 8125, "udp"), False)),
    (tcp(SYN | ACK, 12345, port=53, source="192.0.2.1"), None),  # the name server, which has all addresses of IPv4
    (tcp(ACK, 12345, source="192.0.2.1"), None),
    (tcp(RST | ACK, 12345, source="192.0.2.1"), None),
]


@pytest.mark.parametrize(("data", "answer"), OTHERS)
def test_an_answer_at_the_address_of_another_host(data: bytes, answer: Answer | None) -> None:
    """It says whether somebody has it here."""
    assert echoes.answer(data) == answer


TRY = """
import socket
def attempt(*endpoint, kind=socket.SOCK_STREAM, family=socket.AF_INET):
    with socket.socket(family, kind) as sock:
        if kind == socket.SOCK_DGRAM:
            sock.sendto(b"x", endpoint)
        else:
            print(sock.connect_ex(endpoint), flush=True)
"""


def test_ports_of_the_machine_itself_where_nobody_ever_answered_are_told() -> None:
    """By every name and address of it, once for each port, when the network ends; what came up later, what went away
    later, what listens at one of its addresses only, what was cut and what the drill waits for are not told.
    """
    with private_network({Endpoint("127.0.0.1", 4000): ""}) as network:
        said = network.run(
            TRY
            + """
attempt("127.0.0.1", 5432)
attempt("127.0.0.1", 5432)
attempt("localhost", 6379)
attempt("0.0.0.0", 5433)
attempt("127.3.4.5", 5434)
attempt(socket.gethostname(), 5435)
attempt("::1", 5436, family=socket.AF_INET6)
attempt("127.0.0.1", 8125, kind=socket.SOCK_DGRAM)
attempt("::1", 8126, kind=socket.SOCK_DGRAM, family=socket.AF_INET6)
attempt("::1", 53, kind=socket.SOCK_DGRAM, family=socket.AF_INET6)
attempt("127.0.0.1", 4000)
attempt("127.0.0.1", 7001)
attempt("::1", 7001, family=socket.AF_INET6)
with socket.create_server(("127.0.0.1", 7001)) as late:
    attempt("127.0.0.1", 7001)
    line, _ = late.accept()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    line.close()
with socket.create_server(("127.0.0.1", 7002)) as early:
    attempt("127.0.0.1", 7002)
attempt("127.0.0.1", 7002)
"""
        )
        assert said.lines == ["111"] * 10 + ["0", "0", "111"]
        assert network.told == []
    tcp_ports = {("localhost", port, "tcp") for port in (5432, 6379, 5433, 5434, 5435, 5436)}
    assert network.tried() == tcp_ports | {("localhost", port, "udp") for port in (8125, 8126, 53)}
    assert len(network.told) == len(network.tried())


def test_who_listens_at_every_address_reaches_itself() -> None:
    """By any address, of both versions, by TCP and UDP: that is told of no host. What nobody has is, also on the same
    port by another protocol, and what takes no single host's answer.
    """
    with private_network({}) as network:
        said = network.run(
            TRY
            + """
with socket.create_server(("0.0.0.0", 7001)) as all_4, socket.create_server(("::", 7002), family=socket.AF_INET6):
    attempt("10.1.2.3", 7001)
    attempt("0.0.0.0", 7001)
    attempt("2001:db8::1", 7002, family=socket.AF_INET6)
attempt("10.1.2.3", 7001)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
    taken.bind(("0.0.0.0", 7003))
    attempt("10.1.2.3", 7003, kind=socket.SOCK_DGRAM)
    taken.recv(1)
attempt("10.1.2.3", 7003)
attempt("10.1.2.3", 7004)
attempt("10.1.2.3", 7005, kind=socket.SOCK_DGRAM)
attempt("2001:db8::1", 7006, kind=socket.SOCK_DGRAM, family=socket.AF_INET6)
attempt("224.0.0.251", 5353, kind=socket.SOCK_DGRAM)
attempt("10.1.2.3", 53)
"""
        )
        assert said.lines == ["0", "0", "0", "111", "111", "111", "111"]
    assert network.tried() == {
        ("10.1.2.3", 7003, "tcp"),
        ("10.1.2.3", 7004, "tcp"),
        ("10.1.2.3", 7005, "udp"),
        ("2001:db8::1", 7006, "udp"),
        ("224.0.0.251", 5353, "udp"),
        ("10.1.2.3", 53, "tcp"),
    }
