"""The mark in a request and the canonical answer: how the tool knows who answered, and whether the answer is whole.

Every request carries an unguessable id in its last user message. A simulated provider answers with a text that
names its leg and that id in every word, with a running number, up to an end mark. So an answer that was cut,
doubled, or put together from two legs is recognised exactly, in every dialect, streamed or not.

Pure: no clock, no I/O, no randomness.
"""

from __future__ import annotations

import enum
import re

import msgspec

_MARK = re.compile(r"\[drill:([0-9a-f]{16}):([1-9][0-9]{0,3})\]")
_WORD = re.compile(r"([a-z0-9-]+)/([0-9a-f]{16})/([0-9]+)")
END = "end-of-answer"
DEFAULT_WORDS = 12


class Mark(msgspec.Struct, frozen=True):
    """What a request asks for: its id (16 hex digits) and how many words the answer shall have."""

    id: str
    words: int = DEFAULT_WORDS

    def prompt(self) -> str:
        """The text of the last user message."""
        return f"This is a failover drill. Answer in {self.words} words. [drill:{self.id}:{self.words}]"


class Shape(enum.StrEnum):
    """What is wrong with an answer that claims to be a success; `whole` when nothing is."""

    WHOLE = "whole"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    BLENDED = "blended"
    DUPLICATED = "duplicated"
    FOREIGN = "foreign"


class Reading(msgspec.Struct, frozen=True):
    """What a text says about itself: its shape, the legs that wrote it in order of appearance, words seen."""

    shape: Shape
    legs: tuple[str, ...]
    words: int


def find_mark(text: str) -> Mark | None:
    """The last mark in a request's text, or None. Gateways may put other text around it."""
    found = _MARK.findall(text)
    return Mark(found[-1][0], int(found[-1][1])) if found else None


def answer_words(mark: Mark, leg: str) -> list[str]:
    """The canonical answer of a leg, as the pieces that a stream sends one by one. Joined they are the text."""
    words = [f"{leg}/{mark.id}/{number} " for number in range(1, mark.words + 1)]
    return [*words, END]


def answer_text(mark: Mark, leg: str) -> str:
    """The canonical answer of a leg, whole."""
    return "".join(answer_words(mark, leg))


def read_answer(text: str, mark: Mark) -> Reading:
    """Judge the text of an answer against the mark of its request.

    foreign: words of another request, or text that no leg wrote. blended: words of more than one leg.
    duplicated: a word twice, or anything after the end mark. truncated: words or the end mark missing.
    """
    found = [(match[1], match[2], int(match[3])) for match in _WORD.finditer(text)]
    legs = tuple(dict.fromkeys(leg for leg, _, _ in found))
    return Reading(_shape(text, mark, found, legs), legs, len(found))


def read_unsigned(text: str, author: str) -> Reading:
    """Judge an answer of somebody who signs nothing, and of whom only `author` is known: any text will do."""
    found = text.split()
    return Reading(Shape.WHOLE if found else Shape.EMPTY, (author,) if found else (), len(found))


def _shape(text: str, mark: Mark, found: list[tuple[str, str, int]], legs: tuple[str, ...]) -> Shape:
    numbers = [number for _, _, number in found]
    canonical = answer_text(mark, legs[0]) if legs else ""
    faults = (
        (Shape.EMPTY, not text.strip()),
        (Shape.FOREIGN, any(id_ != mark.id for _, id_, _ in found)),
        (Shape.BLENDED, len(legs) > 1),
        (Shape.DUPLICATED, len(set(numbers)) != len(numbers) or text.count(END) > 1),
        (Shape.WHOLE, bool(legs) and text.strip() == canonical),
        (Shape.TRUNCATED, bool(legs) and canonical.startswith(text.strip())),
    )
    return next((shape for shape, holds in faults if holds), Shape.FOREIGN)
