"""Whom the drill's own TLS clients trust, and what they make of a certificate."""

from __future__ import annotations

import ssl

from faults.handshake import Certificate


def trusting(authority: str) -> ssl.SSLContext:
    """What trusts one authority, given as PEM, and nothing else."""
    return ssl.create_default_context(cadata=authority)


_UNTRUSTED = {
    10: Certificate.EXPIRED,
    62: Certificate.WRONG_HOST,
    64: Certificate.WRONG_HOST,
    18: Certificate.SELF_SIGNED,
    20: Certificate.SELF_SIGNED,
}
"""OpenSSL's reasons (X509_V_ERR_...): has expired, host name or IP address mismatch, self-signed, no known issuer."""


def certificate_of(error: BaseException) -> Certificate | None:
    """What a client found a certificate to be, out of the chain of what was raised."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return _UNTRUSTED.get(at.verify_code)
        at = at.__cause__ or at.__context__
    return None
