"""How an answer ended: what ends a stream, and what only stops it."""

from __future__ import annotations

import pytest

from drills.chat import AnswerReader
from drills.events import Ending

TEXT = b'data: {"choices":[{"delta":{"content":"a "}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"

ENDINGS = [
    # What came, how it ended for a gateway that ends every stream with [DONE], and for one that does not.
    (TEXT + STOP + DONE, Ending.COMPLETE, Ending.COMPLETE),
    (TEXT + STOP, Ending.UNTERMINATED, Ending.COMPLETE),
    # Without a finish reason the answer was cut, whatever stands behind it.
    (TEXT + DONE, Ending.UNTERMINATED, Ending.UNTERMINATED),
    (TEXT, Ending.UNTERMINATED, Ending.UNTERMINATED),
    (b"", Ending.UNTERMINATED, Ending.UNTERMINATED),
    (TEXT + STOP + b'data: {"error":{"message":"no"}}\n\n', Ending.IN_BAND, Ending.IN_BAND),
    (TEXT + STOP + b"data: {", Ending.MALFORMED, Ending.MALFORMED),
]


@pytest.mark.parametrize(("body", "strict", "lenient"), ENDINGS)
def test_the_end_of_a_stream(body: bytes, strict: Ending, lenient: Ending) -> None:
    """`[DONE]` is asked for unless the gateway is known to leave it out."""
    for done_mark, ending in ((True, strict), (False, lenient)):
        reader = AnswerReader(stream=True, done_mark=done_mark)
        reader.feed(body)
        assert reader.finish() is ending
