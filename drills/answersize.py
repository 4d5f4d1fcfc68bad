"""How much an answer is at least, whatever the leg's dialect: what faults can be noticed and proved on. Pure."""

from __future__ import annotations

import math
import uuid
from functools import cache
from typing import NamedTuple

from drills import providers
from drills.legs import Leg
from drills.marks import DEFAULT_WORDS, Mark, answer_words
from drills.providers.base import Provider
from faults.base import Fault
from faults.proof import LATE_BY_S, AnswerSize, Extent
from faults.shapes import Shape

PROBE_SHARE = 0.8
"""A probe has this share of the time that is left of its fault, so that it ends before the fault. On a busy machine
the first answer takes its time, even of a fault of a second; who is answered at once has time for another try.
"""
_ID = "0" * 16
_REQUEST_ID = str(uuid.UUID(int=0))
"""Of the form of those of the simulated providers."""
_LEG = _MODEL = "a"
"""No name is shorter, and answers repeat both."""


class _Body(NamedTuple):
    """Of one dialect: bytes of a whole body, bytes of a streamed one, and the latter's events."""

    whole_bytes: int
    stream_bytes: int
    events: int


def words_of_probe(words: int) -> int:
    """How many words a probe asks for when callers ask for so many."""
    return max(words, DEFAULT_WORDS)


def smallest(words: int, first_token_s: float, tokens_per_s: float) -> AnswerSize:
    """The smallest answer over all dialects. words, first_token_s, tokens_per_s: as the scenario has them."""
    for_caller, for_probe = _bodies(words), _bodies(words_of_probe(words))
    stream_s = len(_text(words_of_probe(words))) / tokens_per_s
    return AnswerSize(
        whole_bytes=min(body.whole_bytes for body in for_probe),
        stream_bytes=min(body.stream_bytes for body in for_probe),
        events=min(body.events for body in for_probe),
        caller_events=min(body.events for body in for_caller),
        stream_s=stream_s,
        usual_s=first_token_s + stream_s,
    )


def extent(leg: Leg, words: int, *, stream: bool, to_end: bool = False) -> Extent:
    """What a probe of a leg that is well gets. words: as callers ask for them."""
    body = _body(providers.get(leg.provider), leg.model, leg.name, words_of_probe(words))
    return Extent(body.stream_bytes, body.events, to_end) if stream else Extent(body.whole_bytes, 0, to_end)


def too_brief(fault: Fault, shape: Shape | None, lasts_s: float, answer: AnswerSize) -> str:
    """Why a fault is not on for long enough, as the end of a sentence; empty when it is. lasts_s: from its beginning to
    its end; one that flaps as a whole is on for less of that at a time.
    """
    flapping = None if shape is None or fault.sees_requests else shape.square
    on_s = lasts_s if flapping is None else min(lasts_s, flapping.on_s)
    needed_s = math.ceil(1000 * (answer.usual_s + LATE_BY_S) / PROBE_SHARE) / 1000
    if fault.plane == "process" or not fault.proof_waits or on_s >= needed_s:
        return ""
    usual = f"as an answer of a healthy leg takes {answer.usual_s:.3g}s"
    return f"in the {on_s:g}s for which it is on: {needed_s:g}s are needed, {usual}"


def _text(words: int, leg: str = _LEG) -> tuple[str, ...]:
    return tuple(answer_words(Mark(_ID, words), leg))


@cache
def _bodies(words: int) -> tuple[_Body, ...]:
    return tuple(_body(provider, _MODEL, _LEG, words) for provider in map(providers.get, providers.names()))


def _body(provider: Provider, model: str, leg: str, words: int) -> _Body:
    prompt, text = Mark(_ID, words).prompt(), _text(words, leg)
    whole, stream = (
        provider.recognise(asked.method, asked.path, asked.headers, asked.body)
        for asked in (provider.probe(model, prompt, streamed) for streamed in (False, True))
    )
    reply = provider.stream(stream, text, _REQUEST_ID)
    streamed = b"".join((reply.opening, *reply.tokens, reply.closing))
    body = provider.answer(whole, "".join(text), _REQUEST_ID).body
    return _Body(len(body), len(streamed), len(provider.count_events(streamed, b"")[0]))
