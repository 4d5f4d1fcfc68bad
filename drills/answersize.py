"""How much an answer is at least, whatever the leg's dialect: what faults can be noticed and proved on. Pure."""

from __future__ import annotations

from functools import cache

from drills import providers
from drills.marks import Mark, answer_words
from faults.proof import AnswerSize

_ID = "0" * 16
_LEG = "a"
"""No leg has a shorter name, and each word of an answer names it."""


def smallest(words: int, tokens_per_s: float) -> AnswerSize:
    """The smallest answer over all dialects.

    words, tokens_per_s: as the scenario has them for its callers' answers. Those of probes are no shorter.
    """
    found = _bodies(words)
    return AnswerSize(
        whole_bytes=min(whole for whole, _, _ in found),
        stream_bytes=min(stream for _, stream, _ in found),
        events=min(events for _, _, events in found),
        stream_s=words / tokens_per_s,
    )


@cache
def _bodies(words: int) -> tuple[tuple[int, int, int], ...]:
    """For each dialect: bytes of a whole body, bytes of a streamed one, and the latter's events."""
    mark, found = Mark(_ID, words), []
    text = tuple(answer_words(mark, _LEG))
    for provider in map(providers.get, providers.names()):
        bodies = []
        for stream in (False, True):
            asked = provider.probe("m", mark.prompt(), stream)
            call = provider.recognise(asked.method, asked.path, asked.headers, asked.body)
            if stream:
                reply = provider.stream(call, text, _ID)
                bodies.append(b"".join((reply.opening, *reply.tokens, reply.closing)))
            else:
                bodies.append(provider.answer(call, "".join(text), _ID).body)
        whole, streamed = bodies
        found.append((len(whole), len(streamed), len(provider.count_events(streamed, b"")[0])))
    return tuple(found)
