"""error_200: a success whose body is an error."""

from __future__ import annotations

import random

import msgspec
import pytest
from client_rows import AN_EMPTY_ONE, EMPTY, Row, Sees

from faults.base import RequestSeen, Send
from faults.error_200 import Error200
from faults.proof import Came, ProbeOutcome

DECIDES = [Error200()]
AN_ERROR = Sees("200", '"error": {"message"')
CHUNK = Sees("half", "after 1 events")
NO_CHOICES = Sees("builtins.TypeError", "'NoneType' object is not subscriptable")
TOLD = Sees("google.genai.errors.ServerError", "Provider returned error")
ROWS = [
    # Two vendors' SDKs hand over an answer without words, one an answer without its parts; one tells the error, if it
    # was asked for a stream.
    Row("error_200", {}, AN_ERROR, AN_ERROR, NO_CHOICES, EMPTY),
    Row("error_200", {}, AN_ERROR, AN_ERROR, EMPTY, EMPTY, "anthropic"),
    Row("error_200", {}, AN_ERROR, CHUNK, EMPTY, TOLD, "gemini"),
    Row("error_200", {}, AN_ERROR, AN_ERROR, AN_EMPTY_ONE, Sees("botocore.eventstream.ChecksumMismatch"), "bedrock"),
]

ASKED = RequestSeen(leg="a", surface="model", operation="messages", model="m", stream=False, index=0)


def wrong(body: bytes) -> ProbeOutcome:
    """A success with a body that is no right answer."""
    return ProbeOutcome(came=Came.WRONG, took_s=0.01, usual_s=0.1, first_byte_s=0.01, status=200, body=body)


def body() -> bytes:
    """What the leg says."""
    decision = Error200().decide(ASKED, random.Random(1))
    assert isinstance(decision, Send)
    return decision.body


PROVED = [(Error200(), wrong(body()))]


@pytest.mark.parametrize("stream", [False, True])
def test_the_error_is_whole_and_the_status_is_a_success(stream: bool) -> None:
    """Nothing but the words of the body says that something is wrong."""
    decision = Error200().decide(msgspec.structs.replace(ASKED, stream=stream), random.Random(1))
    assert isinstance(decision, Send)
    assert (decision.status, decision.content_type) == (200, "application/json")
    assert set(msgspec.json.decode(decision.body)) == {"error"}


def test_only_that_error_proves_it() -> None:
    """Another wrong answer is another fault, and an answer of the leg is none."""
    assert Error200().proves(wrong(body()))
    assert not Error200().proves(wrong(b"{}"))
    assert not Error200().proves(msgspec.structs.replace(wrong(body()), came=Came.WHOLE, took_s=0.9))
