"""Signatures with a key that the user names: Ed25519, over the bytes of a manifest, 64 bytes in `manifest.sig`.

Law: a private key is read, used and forgotten; neither it nor its passphrase is written, logged or put into a message.
Of the library `cryptography` only this file knows the signatures, and only `drills/authority.py` the certificates.

Keys are PEM as `openssl genpkey -algorithm ed25519` makes them, or OpenSSH's own as `ssh-keygen -t ed25519` does.
OpenSSL verifies such a signature too: `openssl pkeyutl -verify -rawin -pubin -inkey KEY -in manifest.json -sigfile
manifest.sig`.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from drills.problems import UsageProblem

PASSPHRASE_VARIABLE = "FAILOVER_DRILL_KEY_PASSPHRASE"  # noqa: S105  the name of a variable
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"


class Signer:
    """Signs with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.fingerprint = _fingerprint(key.public_key())

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(data)


class Verifier:
    """Verifies with one public key."""

    def __init__(self, key: Ed25519PublicKey) -> None:
        self._key = key
        self.fingerprint = _fingerprint(key)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether this key signed these bytes."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def signer(path: Path) -> Signer:
    """The private key in a file. Asks for its passphrase, if it has one: in `PASSPHRASE_VARIABLE`, or at a terminal.

    Raises `UsageProblem` when there is no such key in it, or it does not open.
    """
    data = _read(path)
    read = serialization.load_ssh_private_key if data.lstrip().startswith(_OPENSSH) else _pem
    try:
        try:
            key: object = read(data, None)
        except (TypeError, ValueError) as error:
            if not _locked(error):
                raise
            key = read(data, _passphrase(path))
    except UnsupportedAlgorithm as error:
        raise UsageProblem(f"{path}: {_unsupported(str(error))}") from error
    except ValueError as error:
        if b"PUBLIC KEY" in data or data.startswith(b"ssh-"):
            raise UsageProblem(f"{path}: a public key; signing needs the private one") from error
        what = "no private key in PEM or OpenSSH's format, or its passphrase is wrong"
        raise UsageProblem(f"{path}: {what}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageProblem(f"{path}: a key of another kind; allowed: Ed25519 (`openssl genpkey -algorithm ed25519`)")
    return Signer(key)


def verifier(path: Path) -> Verifier:
    """The public key in a file. Raises `UsageProblem` when there is none in it."""
    data = _read(path)
    if b"PRIVATE KEY" in data:
        raise UsageProblem(f"{path}: a private key; verifying needs only the public one")
    read = serialization.load_ssh_public_key if data.startswith(b"ssh-") else serialization.load_pem_public_key
    try:
        key: object = read(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageProblem(f"{path}: no public key in PEM or OpenSSH's format") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageProblem(f"{path}: a key of another kind; allowed: Ed25519")
    return Verifier(key)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(f"{path}: cannot read the key: {error.strerror}") from error


def _pem(data: bytes, password: bytes | None) -> object:
    return serialization.load_pem_private_key(data, password)


def _locked(error: TypeError | ValueError) -> bool:
    """Whether the library says that a key has a passphrase: it has one word for PEM, and another for OpenSSH's keys."""
    return isinstance(error, TypeError) or "password-protected" in str(error)


def _unsupported(why: str) -> str:
    if "bcrypt" in why:
        return (
            "an OpenSSH key with a passphrase needs bcrypt: `pip install 'failover-drill[ssh]'`, in the environment of "
            "`drill`; keys in PEM need nothing more"
        )
    return "a kind of key that is not known here; allowed: Ed25519"


def _passphrase(path: Path) -> bytes:
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is None and sys.stdin.isatty():
        given = getpass.getpass(f"Passphrase of {path}: ")
    if not given:
        raise UsageProblem(f"{path}: the key has a passphrase; put it into {PASSPHRASE_VARIABLE}")
    return given.encode()


def _fingerprint(key: Ed25519PublicKey) -> str:
    """As `ssh-keygen -lf` shows it."""
    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    digest = hashlib.sha256(base64.b64decode(text.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
