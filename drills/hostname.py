"""What a host is that a leg or a gateway is called at: `host` or `host:port`, as people write it. Pure.

The one reader of such texts. A name in another alphabet becomes what is sent for it: `bücher.example` is
`xn--bcher-kva.example`.
"""

from __future__ import annotations

import ipaddress
import re
import stringprep
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import idna

from drills.yamlsource import shown

ALLOWED = "write a host or host:port, such as api.example.com or llm.example.com:8443"
_NAME_AT_MOST, _LABEL_AT_MOST = 253, 63
_PORT_AT_MOST = 65535
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:|https?)//")


class Authority(NamedTuple):
    """A host, and its port where one is written. The name is in ASCII and lower case, without a dot at its end; an
    address of IPv6 is in brackets.
    """

    name: str
    port: int | None


class NoHostError(ValueError):
    """The text is no host. Its words are a whole sentence without its first word: what was read, what is wrong with it,
    and what is allowed.
    """


def read(text: str) -> Authority:
    """The host of a text. Raises `NoHostError`."""
    try:
        return _read(text)
    except _Wrong as wrong:
        said = shown("...@" if text.endswith("@") else without_secrets(text))
        advice = f"write only the host: {wrong.instead}" if wrong.instead else ALLOWED
        raise NoHostError(f"{said} {wrong.why}; {advice}") from None


def wrong(text: str) -> str:
    """What keeps a text from being a host, with what is allowed; empty when it is one."""
    try:
        read(text)
    except NoHostError as error:
        return str(error)
    return ""


def wrong_of(leg: str, hosts: Iterable[str]) -> Iterator[str]:
    """The sentences about the hosts of a leg that are none."""
    yield from (f"leg {leg}: its host {what}" for host in hosts if (what := wrong(host)))


def without_port(leg: str, hosts: Iterable[str]) -> Iterator[str]:
    """The sentences about the hosts of a leg at whose port nobody can be. Of names nothing is said: where none is
    looked up, as in a private copy of a config, any will do.
    """
    for host in hosts:
        _, colon, port = host.rpartition("]")[2].rpartition(":")
        if colon and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= _PORT_AT_MOST):
            what = f"has no port behind the colon; ports are 1 to {_PORT_AT_MOST}"
            yield f"leg {leg}: its host {shown(host)} {what}"


def without_secrets(text: str) -> str:
    """A URL or host as it may be said again: nothing in front of an @ and nothing behind a ? or #, where passwords and
    keys are. Where an @ stands behind those, a password may have begun anywhere before it: then only `...`.
    """
    before, *behind = re.split(r"[?#]", text, maxsplit=1)
    if "@" in "".join(behind):
        return "..."
    return before.rpartition("@")[2] + ("?..." if behind else "")


class _Wrong(Exception):
    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def _read(text: str) -> Authority:
    if _SCHEME.match(text):
        raise _Wrong("is a URL", _inside(text.partition("//")[2]))
    if "/" in text or "?" in text or "#" in text:
        raise _Wrong("has a path behind the host", _inside(text))
    if text.endswith("@"):
        raise _Wrong("has no host behind the @")
    if "@" in text:
        raise _Wrong("has a user in front of the host", _inside(text))
    name, port = _parted(text)
    return Authority(_address_of_6(name) if name.startswith("[") else _named(name), port)


def _inside(text: str) -> str:
    """The host that stands in more than a host, for advice; empty when there is none."""
    host, *behind = re.split(r"[/?#]", text, maxsplit=1)
    host = host.rpartition("@")[2]
    # An @ behind a slash may belong to a password with a slash in it; no part of that is said.
    return "" if "@" in "".join(behind) or _is_wrong(host) else host


def _parted(text: str) -> tuple[str, int | None]:
    if text.count(":") > 1 and not text.startswith("["):
        inside = f"[{text}]"
        raise _Wrong("has several colons", inside if not _is_wrong(inside) else "")
    bracketed = re.fullmatch(r"(\[[^\]]*\])(?::(.*))?", text, re.DOTALL) if text.startswith("[") else None
    if text.startswith("[") and bracketed is None:
        raise _Wrong("has a bracket and is no address of IPv6")
    name, colon, port = text.partition(":")
    if bracketed is not None:
        name, port = bracketed[1], bracketed[2] or ""
        colon = ":" if bracketed[2] is not None else ""
    if not colon:
        return name, None
    if re.fullmatch(r"[0-9]{1,5}", port) is None or not 1 <= int(port) <= _PORT_AT_MOST:
        raise _Wrong(f"has no port behind the colon; ports are 1 to {_PORT_AT_MOST}")
    return name, int(port)


def _is_wrong(text: str) -> bool:
    try:
        _read(text)
    except _Wrong:
        return True
    return False


def _address_of_6(name: str) -> str:
    try:
        address = ipaddress.IPv6Address(name.strip("[]"))
    except ValueError:
        raise _Wrong("has a bracket and is no address of IPv6") from None
    if address.scope_id is not None:
        raise _Wrong("has an interface of one machine in it")
    _callable(address)
    return f"[{address}]"


def _callable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_unspecified:
        raise _Wrong("is where a server listens on every address, and no host that is called")
    if address.is_multicast or (address.version == 4 and address.is_reserved):
        raise _Wrong("is an address that no single host has")


def _named(name: str) -> str:
    """A name, or an address of IPv4."""
    if not name:
        raise _Wrong("has no host")
    if len(name) > _NAME_AT_MOST + 1:
        raise _too_long(len(name))
    labels = name.rstrip(".").split(".") if not name.endswith("..") else [""]
    if "" in labels:
        raise _Wrong("has nothing between two dots")
    ascii_name = _in_ascii(name)
    if len(ascii_name) > _NAME_AT_MOST:
        raise _too_long(len(ascii_name))
    labels = ascii_name.split(".")
    for label in labels:
        if len(label) > _LABEL_AT_MOST:
            raise _Wrong(f"has a part of {len(label)} characters, and {_LABEL_AT_MOST} is the most between two dots")
        if _LABEL.fullmatch(label) is None:
            raise _Wrong("is no host name: its parts are letters, digits, - and _, with no - at either end")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            address = ipaddress.IPv4Address(ascii_name)
        except ValueError:
            raise _Wrong("ends like an address and is none") from None
        _callable(address)
    return ascii_name


def _too_long(length: int) -> _Wrong:
    return _Wrong(f"has {length} characters, and {_NAME_AT_MOST} is the most for a name")


def _in_ascii(name: str) -> str:
    """A name as it is sent, in lower case, without a dot at its end."""
    if not name.isascii():
        written = name
        try:
            name = written.encode("idna").decode("ascii")
        except UnicodeError:
            raise _Wrong(
                "is no name in another alphabet: a part cannot be written as xn--..., or is too long so"
            ) from None
        if all(_LABEL.fullmatch(label) for label in name.lower().removesuffix(".").split(".")):
            _same_to_all(written, name)
    return name.lower().removesuffix(".")


def _same_to_all(written: str, old: str) -> None:
    """Programs differ in what they send for some names: `old` is by IDNA 2003, and many go by IDNA 2008 (UTS 46)."""
    if any(map(stringprep.in_table_b1, written)):
        raise _Wrong("has a character in it that is not seen and that programs drop; write its xn-- form")
    try:
        new = idna.encode(written, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise _Wrong("is a name that not all programs can call; write its xn-- form") from None
    if new.lower() != old.lower():
        raise _Wrong(f"is {new} to some programs and {old} to others; write the one that your gateway asks for")
