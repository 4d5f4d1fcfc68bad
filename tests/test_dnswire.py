"""Messages of name servers, held against mitmproxy's codec, which was written by somebody else."""

from __future__ import annotations

import random
import struct
from ipaddress import IPv4Address

import pytest
from mitmproxy import dns
from mitmproxy.net.dns import response_codes

from faults.planes import dnswire


def asked(name: bytes, kind: int = 1, cls: int = 1, head: tuple[int, ...] = (7, 0x0100, 1, 0, 0, 0)) -> bytes:
    """A question with any bytes in its name."""
    labels = b"".join(bytes([len(label)]) + label for label in name.split(b".") if label)
    return struct.pack("!6H", *head) + labels + b"\0" + struct.pack("!2H", kind, cls)


def test_a_question_is_read_by_others() -> None:
    """What the prober asks is a usual question for an address."""
    read = dns.Message.unpack(dnswire.query(4711, "api.openai.com"))
    assert read.question is not None
    assert (read.id, read.query, read.recursion_desired, read.op_code) == (4711, True, True, 0)
    assert (read.question.name, read.question.type, read.question.class_) == ("api.openai.com", dnswire.A, 1)


def test_a_question_of_others_is_read() -> None:
    """Whatever comes behind it, such as the record with which a resolver says what it can (EDNS)."""
    theirs = dns.Message.unpack(dnswire.query(9, "api.openai.com"))
    theirs.additionals = [dns.ResourceRecord("", 41, 1232, 0, b"")]
    read = dnswire.read_query(theirs.packed)
    assert read[:5] == (9, "api.openai.com", dnswire.A, 0, True)


@pytest.mark.parametrize(
    ("code", "addresses"),
    [
        (dnswire.NOERROR, ("198.18.0.1",)),
        (dnswire.NOERROR, ("198.18.0.1", "10.0.0.255")),
        (dnswire.NOERROR, ()),
        (dnswire.NXDOMAIN, ()),
        (dnswire.SERVFAIL, ()),
    ],
)
def test_an_answer_says_the_same_to_all(code: int, addresses: tuple[str, ...]) -> None:
    """The id, the code, the question and the addresses, to mitmproxy's codec and to the prober's."""
    message = dnswire.answer(dnswire.read_query(asked(b"Api.OpenAI.com")), code, addresses)
    theirs = dns.Message.unpack(message)
    assert (theirs.id, theirs.query, theirs.response_code, theirs.recursion_available) == (7, False, code, True)
    assert [question.name for question in theirs.questions] == ["Api.OpenAI.com"]  # as it was asked, letter by letter
    assert [record.ipv4_address for record in theirs.answers] == [IPv4Address(one) for one in addresses]
    assert {record.ttl for record in theirs.answers} <= {dnswire.TTL_S}
    assert dnswire.read_answer(message) == (7, code, addresses)


def test_an_answer_of_others_is_read() -> None:
    """Also with records that nobody asked for."""
    question = dns.Message.unpack(dnswire.query(3, "a.example"))
    records = [
        dns.ResourceRecord.CNAME("a.example", "b.example"),
        dns.ResourceRecord.A("b.example", IPv4Address("192.0.2.7")),
    ]
    assert dnswire.read_answer(question.succeed(records).packed) == (3, dnswire.NOERROR, ("192.0.2.7",))
    failed = question.fail(response_codes.SERVFAIL).packed
    assert dnswire.read_answer(failed) == (3, dnswire.SERVFAIL, ())


NAMES = [
    # Case means nothing; what is no letter, digit, dash or underscore is written in digits (RFC 1035, section 5.1).
    (b"API.OpenAI.com", "api.openai.com"),
    (b"_https._tcp.example.com", "_https._tcp.example.com"),
    (b"\x1b[31m.<b>.com", "\\027\\09131m.\\060b\\062.com"),
    (b"\xff\x00.com", "\\255\\000.com"),
    (b"xn--a.com", "xn--a.com"),  # no IDNA, and asked for all the same
    (b"", "."),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_odd_names_are_harmless(written: bytes, name: str) -> None:
    """Nothing in a name reaches a terminal or a report as it came, and none is lost."""
    read = dnswire.read_query(asked(written))
    assert read.name == name
    assert read.name.isprintable()
    assert dnswire.read_answer(dnswire.answer(read, dnswire.NXDOMAIN)) == (7, dnswire.NXDOMAIN, ())


BROKEN = [
    b"",
    b"\0" * 11,
    asked(b"a.com")[:-1],  # breaks off in the question
    asked(b"a.com")[:15],  # breaks off in the name
    asked(b"a.com", head=(7, 0x8100, 1, 0, 0, 0)),  # an answer
    asked(b"a.com", head=(7, 0x0100, 0, 0, 0, 0)),  # no question
    asked(b"a.com", head=(7, 0x0100, 2, 0, 0, 0)),  # two
    struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + (b"\x3f" + b"a" * 63) * 5 + b"\0\0\1\0\1",  # longer than names are
    struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + b"\x40" + b"a" * 64 + b"\0\0\1\0\1",  # a label longer than labels are
]


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_no_question_is_said_to_be_none(message: bytes) -> None:
    """One kind of error, whatever is wrong."""
    with pytest.raises(ValueError, match=r"."):
        dnswire.read_query(message)


def test_no_bytes_break_the_codec() -> None:
    """Twenty thousand damaged messages: each is read, or is a `ValueError`."""
    rng = random.Random(5)
    query = asked(b"api.openai.com")
    whole = dnswire.answer(dnswire.read_query(query), dnswire.NOERROR, ("198.18.0.1",))
    read = 0
    for _ in range(10_000):
        for read_it, good in ((dnswire.read_query, query), (dnswire.read_answer, whole)):
            message = bytearray(good[: rng.randrange(len(good) + 1)] + rng.randbytes(rng.randrange(9)))
            for _ in range(rng.randrange(4)):
                if message:
                    message[rng.randrange(len(message))] = rng.randrange(256)
            try:
                read_it(bytes(message))
                read += 1
            except ValueError:
                continue
    assert read > 500  # they were not all hopeless
