"""The run's own authority: what its certificates are worth, by the TLS clients that gateways are written with."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from drills.authority import TRUST_STORE_PASSWORD, Authority
from faults.handshake import Certificate
from faults.planes.tls import contexts

HOST = "bedrock-runtime.us-east-1.amazonaws.com"


def shaken(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """A handshake between two contexts, in memory. Raises what the client raises."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=host)
    theirs = server.wrap_bio(there, back, server_side=True)
    for _ in range(10):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.version() == "TLSv1.3"
    return ours


VERDICTS = [
    # What OpenSSL calls it: X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _DEPTH_ZERO_SELF_SIGNED_CERT.
    (Certificate.EXPIRED, 10),
    (Certificate.WRONG_HOST, 62),
    (Certificate.SELF_SIGNED, 18),
]


def strict(authority: Authority) -> ssl.SSLContext:
    """A client that trusts the authority, as strict as Python is from 3.13 on."""
    trust = ssl.create_default_context(cadata=authority.pem)
    trust.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return trust


@pytest.mark.parametrize("host", [HOST, "127.0.0.1", "bücher.example"])
def test_a_good_certificate_is_good_to_who_trusts_the_run(host: str) -> None:
    """Names, addresses and names in other alphabets, each beside the leg's other hosts."""
    authority = Authority()
    server = contexts(authority.issue(["oauth2.googleapis.com", host]))[Certificate.GOOD]
    assert shaken(strict(authority), server, host)
    assert shaken(strict(authority), server, "oauth2.googleapis.com")


@pytest.mark.parametrize(("kind", "code"), VERDICTS)
def test_each_bad_certificate_is_bad_in_its_own_way_only(kind: Certificate, code: int) -> None:
    """Expired, and nothing else; for another host, and nothing else; by nobody who is known."""
    authority = Authority()
    server = contexts(authority.issue([HOST]))[kind]
    with pytest.raises(ssl.SSLCertVerificationError) as problem:
        shaken(strict(authority), server, HOST)
    assert problem.value.verify_code == code
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE
    assert shaken(careless, server, HOST)


def test_nobody_else_trusts_the_run_and_the_run_trusts_nobody_else() -> None:
    """Another run's authority and the system's know nothing of it; its bundle holds one certificate."""
    authority = Authority()
    server = contexts(authority.issue([HOST]))[Certificate.GOOD]
    for client in (ssl.create_default_context(cadata=Authority().pem), ssl.create_default_context()):
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(client, server, HOST)
    assert len(strict(authority).get_ca_certs()) == 1


def test_a_key_is_in_no_message() -> None:
    """Whoever prints what a leg may show, or the authority, prints no key."""
    authority = Authority()
    pems = authority.issue([HOST])
    assert "PRIVATE KEY" in pems[Certificate.GOOD].key
    assert "PRIVATE" not in repr(pems) + repr(authority) + authority.pem


def test_java_reads_the_trust_store(tmp_path: Path) -> None:
    """Java's own tool lists one trusted certificate, with the fingerprint of the authority's."""
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("no Java here")
    authority = Authority()
    store = tmp_path / "trust.jks"
    store.write_bytes(authority.trust_store())
    words = [keytool, "-list", "-rfc", "-keystore", str(store), "-storepass", TRUST_STORE_PASSWORD]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said.count("trustedCertEntry") == 1
    assert "".join(authority.pem.split()) in "".join(said.split())


def test_the_trust_store_is_whole() -> None:
    """Without Java: the head, one trusted entry with the certificate as it is, and a digest at the end."""
    authority = Authority()
    store = authority.trust_store()
    der = ssl.PEM_cert_to_DER_cert(authority.pem)
    assert store[:16].hex() == "feedfeed00000002" + "00000001" + "00000002"
    assert store.endswith(len(der).to_bytes(4, "big") + der + store[-20:])
