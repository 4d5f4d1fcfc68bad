"""Sees what is sent to hosts that a private network does not have: its porter's eyes.

In a private network every address there is leads back to it, and where nobody listens the kernel refuses at once. So
each try leaves a packet on the loopback device, whatever its address and port. A kernel filter drops the bulk of the
packets (to 127.0.0.0/8, and all but the first of a connection). What is tried at loopback, and whether a try reached
somebody, is `drills/echoes.py`'s.
Sources: packet(7), the kernel's Documentation/networking/filter.rst, RFC 791, RFC 8200, RFC 9293.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

_ATTACH_FILTER = 26
_IP, _IPV6 = 0x0800, 0x86DD
_TCP, _UDP = 6, 17
_SYN, _SYN_OR_ACK = 0x02, 0x12
_DNS = 53
_EVERYBODY = "255.255.255.255"
AT_MOST = 128
"""So much of a packet is read."""

_LOAD, _LOAD_BYTE, _LOAD_BYTE_AT_X, _LOAD_HEADER_LENGTH = 0x20, 0x30, 0x50, 0xB1
_AND, _IF_EQUAL, _RETURN = 0x54, 0x15, 0x06

Step = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand: as `struct sock_filter` has them."""

_FILTER_IP: tuple[Step, ...] = (
    (_LOAD, 0, 0, 16),  # the destination
    (_AND, 0, 0, 0xFF00_0000),
    (_IF_EQUAL, 8, 0, 0x7F00_0000),
    (_LOAD_BYTE, 0, 0, 9),  # the protocol
    (_IF_EQUAL, 5, 0, _UDP),
    (_IF_EQUAL, 0, 5, _TCP),
    (_LOAD_HEADER_LENGTH, 0, 0, 0),
    (_LOAD_BYTE_AT_X, 0, 0, 13),  # the flags of TCP
    (_AND, 0, 0, _SYN_OR_ACK),
    (_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, AT_MOST),
    (_RETURN, 0, 0, 0),
)

_FILTER_IPV6: tuple[Step, ...] = (
    (_LOAD_BYTE, 0, 0, 6),  # the next header
    (_IF_EQUAL, 4, 0, _UDP),
    (_IF_EQUAL, 0, 4, _TCP),
    (_LOAD_BYTE, 0, 0, 53),  # the flags of TCP
    (_AND, 0, 0, _SYN_OR_ACK),
    (_IF_EQUAL, 0, 1, _SYN),
    (_RETURN, 0, 0, AT_MOST),
    (_RETURN, 0, 0, 0),
)


class Try(NamedTuple):
    """Somebody tried to reach an address. protocol: `tcp` or `udp`."""

    address: str
    port: int
    protocol: str

    @property
    def unanswered(self) -> bool:
        """Whether no answer says that nobody has it: the name server has its port at every address of IPv4, and many
        hosts or none may have an address that is not one host's.
        """
        address = ipaddress.ip_address(self.address)
        return address.is_multicast or self.address == _EVERYBODY or (address.version == 4 and self.port == _DNS)


def watchers() -> tuple[socket.socket, ...]:
    """Sockets on which packets come that try something. Needs CAP_NET_RAW in the namespace; raises `OSError`."""
    return watch(_FILTER_IP, _FILTER_IPV6)


def watch(ipv4: Sequence[Step], ipv6: Sequence[Step]) -> tuple[socket.socket, ...]:
    """Sockets on which the packets of each version of IP come that a filter lets through. As `watchers`."""
    found = []
    for kind, program in ((_IP, ipv4), (_IPV6, ipv6)):
        watcher = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # protocol 0: nothing comes before it is bound
        watcher.setblocking(False)
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
        watcher.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))
        watcher.bind(("lo", kind))
        found.append(watcher)
    return tuple(found)


def read(packet: bytes) -> Try | None:
    """What a packet tries to reach; None for loopback itself, for answers of a name server, and for a broken packet."""
    if len(packet) < 20:
        return None
    if packet[0] >> 4 == 4:
        protocol, address, begin = packet[9], ipaddress.ip_address(packet[16:20]), (packet[0] & 15) * 4
    elif packet[0] >> 4 == 6 and len(packet) >= 40:
        protocol, address, begin = packet[6], ipaddress.ip_address(packet[24:40]), 40
    else:
        return None
    if len(packet) < begin + 4 or protocol not in {_TCP, _UDP} or address.is_loopback:
        return None
    source, port = struct.unpack_from("!HH", packet, begin)
    if protocol == _UDP and source == _DNS and packet[0] >> 4 == 4:
        return None  # nobody else can have this port: the name server holds it for all addresses of IPv4, and no others
    return Try(str(address), port, "tcp" if protocol == _TCP else "udp")
