"""Sees which addresses and ports answer in a private network: its porter's ears.

What is tried at the machine itself cannot be told from the drill's own connections by where it goes, and whoever
listens at every address answers at those of other hosts, too; so the answers are looked at. The kernel refuses the
first packet of a connection with RST, ACK and sequence number zero, and no other packet looks so; a port where somebody
listens answers with SYN and ACK; a datagram for nobody comes back in an ICMP message, which the kernel does not limit
on the loopback device (net/ipv4/icmp.c).
Sources: packet(7), RFC 9293 section 3.10.7.1, RFC 792, RFC 4443 section 3.1.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import NamedTuple

from drills import strays
from drills.strays import Step, Try

_SYN_ACK, _RST_ACK, _FLAGS = 0x12, 0x14, 0x17
_TCP, _UDP, _ICMP, _ICMPV6 = 6, 17, 1, 58
_NOBODY = {(_ICMP, b"\x03\x03"), (_ICMPV6, b"\x01\x04")}
"""Protocol, type and code of the message that says that nobody has the port."""
_DNS = 53
_LOAD, _LOAD_BYTE, _HEADER_LENGTH = 0x20, 0x30, 0xB1
_LOAD_AT_X, _LOAD_BYTE_AT_X = 0x40, 0x50
_AND, _IF_EQUAL, _RETURN = 0x54, 0x15, 0x06


def _answers(protocol: Step, icmp: int, flags: Step, sequence: Step) -> tuple[Step, ...]:
    """The rest of a filter, which lets only answers pass: how three fields are loaded, and the number of ICMP. Its last
    step drops the packet.
    """
    return (
        protocol,
        (_IF_EQUAL, 2, 0, _TCP),
        (_IF_EQUAL, 0, 8, icmp),
        (_RETURN, 0, 0, strays.AT_MOST),
        flags,
        (_AND, 0, 0, _FLAGS),
        (_IF_EQUAL, 3, 0, _SYN_ACK),
        (_IF_EQUAL, 0, 3, _RST_ACK),
        sequence,
        (_IF_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, strays.AT_MOST),
        (_RETURN, 0, 0, 0),
    )


_FILTER_IP: tuple[Step, ...] = (
    (_HEADER_LENGTH, 0, 0, 0),
    *_answers((_LOAD_BYTE, 0, 0, 9), _ICMP, (_LOAD_BYTE_AT_X, 0, 0, 13), (_LOAD_AT_X, 0, 0, 4)),
)
_FILTER_IPV6: tuple[Step, ...] = _answers((_LOAD_BYTE, 0, 0, 6), _ICMPV6, (_LOAD_BYTE, 0, 0, 53), (_LOAD, 0, 0, 44))


class Echo(NamedTuple):
    """A port of the machine itself answered. protocol: `tcp` or `udp`. listens: whether somebody has the port."""

    port: int
    protocol: str
    listens: bool


class Answer(NamedTuple):
    """An address and port answered. listens: whether somebody has them."""

    tried: Try
    listens: bool


def watchers() -> tuple[socket.socket, ...]:
    """Sockets on which such answers come. Needs CAP_NET_RAW in the namespace; raises `OSError`."""
    return strays.watch(_FILTER_IP, _FILTER_IPV6)


def read(packet: bytes) -> Echo | None:
    """What a packet says of a port of this machine; None when it says nothing, is broken, or speaks of port 53 of
    IPv4, which is the network's name server.
    """
    found = answer(packet)
    if found is None or not ipaddress.ip_address(found.tried.address).is_loopback:
        return None
    return Echo(found.tried.port, found.tried.protocol, found.listens)


def answer(packet: bytes) -> Answer | None:
    """What a packet says of an address and port, this machine's or any other; None as with `read`."""
    if len(packet) >= 20 and packet[0] >> 4 == 4:
        protocol, source, rest = packet[9], packet[12:16], packet[(packet[0] & 15) * 4 :]
    elif len(packet) >= 40 and packet[0] >> 4 == 6:
        protocol, source, rest = packet[6], packet[8:24], packet[40:]
    else:
        return None
    if protocol == _TCP:
        found = _answered(source, rest)
    else:
        found = _returned(rest[8:]) if (protocol, rest[:2]) in _NOBODY else None
    return None if found is not None and found.tried.port == _DNS and packet[0] >> 4 == 4 else found


def _answered(source: bytes, segment: bytes) -> Answer | None:
    """What a segment of TCP says."""
    if len(segment) < 14:
        return None
    port, number, flags = *struct.unpack_from("!HxxI", segment), segment[13] & _FLAGS
    if flags != _SYN_ACK and (flags != _RST_ACK or number != 0):
        return None
    return Answer(Try(str(ipaddress.ip_address(source)), port, "tcp"), flags == _SYN_ACK)


def _returned(datagram: bytes) -> Answer | None:
    """Where a datagram was to go that came back. Who did not wait for the name server's answer tried nobody. What was
    sent to another address of IPv6 comes back from this machine's.
    """
    if len(datagram) < 20:
        return None
    ipv4 = datagram[0] >> 4 == 4
    protocol, begin = (datagram[9], (datagram[0] & 15) * 4) if ipv4 else (datagram[6], 40)
    if protocol != _UDP or len(datagram) < begin + 4:
        return None
    source, port = struct.unpack_from("!HH", datagram, begin)
    if ipv4 and source == _DNS:
        return None
    return Answer(Try(str(ipaddress.ip_address(datagram[16:20] if ipv4 else datagram[24:40])), port, "udp"), False)
