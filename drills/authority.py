"""The certificate authority of one run: a gateway in a drill trusts it, and nobody else does.

Law: the authority's private key lives in the memory of the process that made it and is never written anywhere. It
signs what the legs show when the run begins, and is gone with the run, however that ends. The only file that knows
the library `cryptography`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from faults.handshake import Certificate
from faults.planes.control import Pem

_VALID_BEFORE = timedelta(days=2)
_VALID_AFTER = timedelta(days=7)
_EXPIRED_SINCE = timedelta(days=1)
_NOBODY = "nobody-asked-for-this.invalid"
TRUST_STORE_PASSWORD = "changeit"  # noqa: S105  Java's own default; there is nothing secret in a store of certificates


class Authority:
    """Signs certificates for the hosts of the legs. All keys are on the curve P-256: made at once, known everywhere."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self._from, self._to = now - _VALID_BEFORE, now + _VALID_AFTER
        self._expired = now - _EXPIRED_SINCE
        # No two runs have authorities of one name: a trust store that holds both must not mix them up.
        self._name = _name(f"failover-drill authority {secrets.token_hex(4)}")
        self._certificate = (
            self._begun(self._name, self._name, self._key.public_key(), self._to)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> str:
        """Its own certificate: the whole content of a bundle that trusts this run and nothing else."""
        return _pem(self._certificate)

    def trust_store(self) -> bytes:
        """The same as a key store of Java's, of the type JKS, with the password `TRUST_STORE_PASSWORD`.

        Source of the format: OpenJDK, sun/security/provider/JavaKeyStore.java, engineStore. Java trusts certificates
        in a PKCS #12 store only where they bear an attribute of Oracle's, which `cryptography` can write from 45 on.
        """
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        milliseconds = int(self._from.timestamp() * 1000)
        store = struct.pack(">III", 0xFEEDFEED, 2, 1)  # magic, version, one entry
        store += struct.pack(">I", 2) + _utf("failover-drill") + struct.pack(">Q", milliseconds)  # 2: trusted
        store += _utf("X.509") + struct.pack(">I", len(der)) + der
        whitened = TRUST_STORE_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + store
        return store + hashlib.sha1(whitened).digest()  # noqa: S324  the format says so; it guards nothing here

    def issue(self, hosts: Sequence[str]) -> dict[Certificate, Pem]:
        """What a leg with these host names (or IP addresses) may show: a good certificate, and each kind of bad one."""
        return {
            Certificate.GOOD: self._signed(hosts, self._to),
            Certificate.EXPIRED: self._signed(hosts, self._expired),
            Certificate.WRONG_HOST: self._signed([_NOBODY], self._to),
            Certificate.SELF_SIGNED: self._self_signed(hosts),
        }

    def _signed(self, hosts: Sequence[str], to: datetime) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._begun(_name("failover-drill leg"), self._name, key.public_key(), to)
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return _pair(_for_hosts(builder, hosts).add_extension(signer, critical=False), key, self._key)

    def _self_signed(self, hosts: Sequence[str]) -> Pem:
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("failover-drill stranger")
        return _pair(_for_hosts(self._begun(name, name, key.public_key(), self._to), hosts), key, key)

    def _begun(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, to: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(to)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )


def service_account_key() -> str:
    """A new private key of the kind that Google's service accounts have, as PEM: it opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _key_pem(key)


def _for_hosts(builder: x509.CertificateBuilder, hosts: Sequence[str]) -> x509.CertificateBuilder:
    names = [_general_name(host) for host in hosts]
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _pair(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey) -> Pem:
    return Pem(certificate=_pem(builder.sign(signer, hashes.SHA256())), key=_key_pem(key))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode("ascii")


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host if host.isascii() else host.encode("idna").decode("ascii"))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _utf(text: str) -> bytes:
    """A text as Java's DataOutput.writeUTF writes it."""
    return struct.pack(">H", len(text)) + text.encode("ascii")
