"""The name server of a private network: what it answers, and what it tells. No socket."""

from __future__ import annotations

import struct

import pytest

from drills.events import HOSTS_TRIED_AT_MOST, MORE_HOSTS, HostTried, HowTried, LookupFailed
from faults.base import Lookups
from faults.planes import dnswire
from faults.planes.names import NO_QUERY, Meets, Names

OPENAI, TOKENS = "api.openai.com", "oauth2.googleapis.com"
ADDRESSES = {OPENAI: "198.18.0.1", TOKENS: "198.18.0.2"}


class Server:
    """A name server that knows two hosts, and all that it told."""

    def __init__(self, lookups: Lookups = Lookups.ANSWERED) -> None:
        self.told: list[HostTried | LookupFailed] = []
        self.lookups = lookups
        self.names = Names(ADDRESSES, self._meets, self.told.append, lambda: 1.5)
        self._number = 0

    def _meets(self, host: str) -> Meets:
        faults = () if self.lookups is Lookups.ANSWERED else ("dns_failure-1",)
        return Meets(self.lookups, faults, (host.partition(".")[0],))

    def ask(self, name: str, kind: int = dnswire.A, port: int = 40_000, number: int | None = None) -> dnswire.Answer:
        """A question and its answer."""
        said = self.say(name, kind, port, number)
        assert said is not None, "it said nothing"
        return dnswire.read_answer(said)

    def say(self, name: str, kind: int = dnswire.A, port: int = 40_000, number: int | None = None) -> bytes | None:
        """A question and what comes back."""
        self._number += 1
        message = bytearray(dnswire.query(self._number if number is None else number, name))
        message[-4:-2] = kind.to_bytes(2, "big")
        return self.names.answer(bytes(message), port)

    @property
    def hosts(self) -> list[str]:
        """The hosts that it told of."""
        return [one.host for one in self.told if isinstance(one, HostTried)]


def test_a_host_of_a_leg_has_one_address() -> None:
    """Of the fourth version of IP only, and whatever its letters; there is nothing to tell."""
    server = Server()
    assert server.ask(OPENAI)[1:] == (dnswire.NOERROR, ("198.18.0.1",))
    assert server.ask("API.OpenAI.Com")[1:] == (dnswire.NOERROR, ("198.18.0.1",))
    assert server.ask(TOKENS)[1:] == (dnswire.NOERROR, ("198.18.0.2",))
    for kind in (dnswire.AAAA, 65, 16):
        assert server.ask(OPENAI, kind)[1:] == (dnswire.NOERROR, ())
    assert server.told == []


def test_any_other_host_is_unknown_and_told_once() -> None:
    """For both kinds of addresses together, in the letters of the history."""
    server = Server()
    for kind in (dnswire.A, dnswire.AAAA, dnswire.A):
        assert server.ask("Telemetry.Example.com", kind)[1:] == (dnswire.NXDOMAIN, ())
    assert server.ask("openai.com")[1] == dnswire.NXDOMAIN
    assert server.told == [
        HostTried(at_s=1.5, host="telemetry.example.com", how=HowTried.LOOKED_UP),
        HostTried(at_s=1.5, host="openai.com", how=HowTried.LOOKED_UP),
    ]


def test_what_tries_no_host_is_not_told() -> None:
    """The names of addresses, and this machine itself."""
    server = Server()
    assert server.ask("1.0.18.198.in-addr.arpa", 12)[1] == dnswire.NXDOMAIN
    assert server.ask("1." + "0." * 31 + "ip6.arpa", 12)[1] == dnswire.NXDOMAIN
    assert server.ask("localhost")[1:] == (dnswire.NOERROR, ("127.0.0.1",))
    assert server.ask("db.localhost")[1:] == (dnswire.NOERROR, ("127.0.0.1",))
    assert server.told == []


NO_ADDRESSES = [
    ("leak-secret.evil.in-addr.arpa", dnswire.A),
    ("leak-secret.evil.in-addr.arpa", dnswire.PTR),
    ("1.0.18.198.in-addr.arpa", dnswire.A),
    ("txt.in-addr.arpa", 16),
    ("256.0.18.198.in-addr.arpa", dnswire.PTR),
    ("01.0.18.198.in-addr.arpa", dnswire.PTR),
    ("0.18.198.in-addr.arpa", dnswire.PTR),
    ("1.0.0.0.ip6.arpa", dnswire.PTR),
    ("1." + "0." * 31 + "ip6.arpa", dnswire.AAAA),
    ("in-addr.arpa", dnswire.PTR),
]


@pytest.mark.parametrize(("name", "kind"), NO_ADDRESSES)
def test_only_the_reverse_lookup_of_a_whole_address_is_not_told(name: str, kind: int) -> None:
    """Any other name in the zones of addresses can carry data away."""
    server = Server()
    assert server.ask(name, kind)[1] == dnswire.NXDOMAIN
    assert server.hosts == [name]


@pytest.mark.parametrize("kind", [33, 65, 64, 16, 15, 5, 2, 255])
def test_a_name_is_told_whatever_is_asked_about_it(kind: int) -> None:
    """SRV, HTTPS, SVCB, TXT, MX, CNAME, NS, ANY; one name is one line, whatever else is asked about it later."""
    server = Server()
    for later in (kind, dnswire.A, kind, 16):
        assert server.ask("_mongodb._tcp.db.Example.com", later)[1] == dnswire.NXDOMAIN
    assert server.ask("printer.home.arpa", kind)[1] == dnswire.NXDOMAIN
    assert server.hosts == ["_mongodb._tcp.db.example.com", "printer.home.arpa"]


def test_the_root_is_not_taken_for_all_the_hosts_that_are_too_many() -> None:
    """Its name is empty, and so is what stands for the others."""
    server = Server()
    root = dnswire.query(9, "a")[:12] + b"\x00" + struct.pack("!HH", 2, 1)
    assert server.names.answer(root, 40_000) is not None
    assert server.hosts == ["."]


def test_a_name_tried_once_more_in_this_machines_domain_is_the_same_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolvers do so with what they did not find; another host in that domain is one of its own."""
    monkeypatch.setattr("socket.gethostname", lambda: "Machine.corp.Example")
    server = Server()
    for name in ("a.com", "a.com.corp.example", f"{OPENAI}.corp.example", "db.corp.example"):
        assert server.ask(name)[1] == dnswire.NXDOMAIN
    assert server.hosts == ["a.com", "db.corp.example"]


def test_a_gateway_that_looks_for_everything_cannot_fill_the_history() -> None:
    """The last event stands for all the rest."""
    server = Server()
    for number in range(HOSTS_TRIED_AT_MOST * 3):
        assert server.ask(f"h{number}.example.com")[1] == dnswire.NXDOMAIN
    assert len(server.hosts) == HOSTS_TRIED_AT_MOST + 1
    assert server.hosts[-2:] == [f"h{HOSTS_TRIED_AT_MOST - 1}.example.com", MORE_HOSTS]


@pytest.mark.parametrize(("lookups", "code"), [(Lookups.NXDOMAIN, 3), (Lookups.SERVFAIL, 2), (Lookups.SILENT, None)])
def test_a_fault_decides_what_becomes_of_a_lookup(lookups: Lookups, code: int | None) -> None:
    """The lookup is told with its leg, fault and port; other hosts are as unknown as ever."""
    server = Server(lookups)
    said = server.say(OPENAI, port=41_001)
    assert (None if said is None else dnswire.read_answer(said).code) == code
    assert server.told == [LookupFailed(host=OPENAI, legs=("api",), seen_s=1.5, faults=("dns_failure-1",), port=41_001)]
    assert server.ask("a.com")[1] == dnswire.NXDOMAIN
    server.lookups = Lookups.ANSWERED
    assert server.ask(OPENAI)[1:] == (dnswire.NOERROR, ("198.18.0.1",))


def test_one_lookup_is_told_once() -> None:
    """It asks for two kinds of addresses, and again when it hears nothing; the next lookup is another one."""
    server = Server(Lookups.SILENT)
    for kind in (dnswire.A, dnswire.AAAA, dnswire.A):
        server.say(OPENAI, kind, number=77)
    server.say(OPENAI, number=78)
    assert len(server.told) == 2


def test_what_is_no_usual_question_is_told() -> None:
    """Two questions are an error of form; a kind that nobody asks gets a word; garbage gets silence. Each can carry
    data away, so none goes by unseen.
    """
    server = Server()
    two = bytearray(dnswire.query(5, "two.example"))
    two[5] = 2
    two += dnswire.query(5, "second.example")[12:]
    said = server.names.answer(bytes(two), 1)
    assert said is not None
    assert dnswire.read_answer(said) == (5, dnswire.FORMERR, ())
    assert server.hosts == ["two.example"]
    for name in ("notify.example", OPENAI):
        message = bytearray(dnswire.query(6, name))
        message[2] |= 0x20  # a notice (RFC 1996)
        said = server.names.answer(bytes(message), 1)
        assert said is not None
        assert dnswire.read_answer(said) == (6, dnswire.NOTIMP, ())
    assert server.hosts == ["two.example", "notify.example", NO_QUERY]
    assert server.names.answer(b"\xff" * 40, 1) is None
    assert server.names.answer(b"secret", 1) is None
    assert server.hosts == ["two.example", "notify.example", NO_QUERY]


@pytest.mark.parametrize(
    "message", [b"x", b"\xff" * 40, dnswire.query(5, "a.example")[:15], dnswire.query(5, "a")[:12]]
)
def test_what_asks_for_nothing_is_told_as_such(message: bytes) -> None:
    """Whatever is wrong with it; it is answered when it is a query."""
    server = Server()
    said = server.names.answer(message, 1)
    assert server.hosts == [NO_QUERY]
    if message[:2] == b"\x00\x05":
        assert said is not None
        assert dnswire.read_answer(said) == (5, dnswire.FORMERR, ())
    else:
        assert said is None


def test_what_is_no_question_is_left_alone() -> None:
    """Garbage gets silence; a question of a kind that nobody asks gets a word."""
    server = Server()
    assert server.names.answer(b"\xff" * 40, 1) is None
    message = bytearray(dnswire.query(5, OPENAI))
    message[2] |= 0x28  # an update (RFC 2136)
    answer = server.names.answer(bytes(message), 1)
    assert answer is not None
    assert dnswire.read_answer(answer) == (5, dnswire.NOTIMP, ())
