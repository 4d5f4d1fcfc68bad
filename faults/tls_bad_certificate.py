"""tls_bad_certificate: the handshake shows a certificate that nobody should accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faults.base import Fault
from faults.handshake import Certificate, Handshake
from faults.proof import Point


@dataclass(frozen=True)
class TlsBadCertificate(Fault):
    """Every TLS handshake shows a bad certificate; open connections are reset.

    What callers see when a renewal was forgotten, or when a proxy breaks the encryption open. A gateway must treat it
    as an outage and not ask the same leg again and again. One that does not look at certificates notices nothing, and
    the drill says that no request failed. Needs a route with TLS.

    how: `expired` is a day too old; `wrong_host` is for another name; `self_signed` is by no authority that the
    gateway trusts.
    """

    kind = "tls_bad_certificate"
    colour = "#276419"
    acts = Point.HANDSHAKE
    ends = Point.HANDSHAKE
    proof_waits = False

    how: Literal["expired", "wrong_host", "self_signed"] = "expired"

    def handshake(self) -> Handshake:
        """The certificate of this kind."""
        return Handshake(certificate=Certificate(self.how))
