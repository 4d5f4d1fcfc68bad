"""What a leg does in TLS handshakes, as data."""

from __future__ import annotations

import enum

import msgspec


class Certificate(enum.StrEnum):
    """What a leg shows in a TLS handshake, to clients that trust nothing but the authority of the run."""

    GOOD = "good"
    EXPIRED = "expired"
    """For the right host, by the right authority, and a day too old."""
    WRONG_HOST = "wrong_host"
    """By the right authority, for a host that nobody asked for."""
    SELF_SIGNED = "self_signed"
    """For the right host, signed with its own key: by no authority that anybody knows."""


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """What a leg does in the TLS handshakes of its connections.

    answered: whether it says anything after the TCP connection was accepted.
    """

    answered: bool = True
    certificate: Certificate = Certificate.GOOD


USUAL_HANDSHAKE = Handshake()
