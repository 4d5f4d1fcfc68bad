"""Takes known secrets out of texts that come from outside, before they are written down.

Only texts are touched: an event's times, ids, legs and kinds are the drill's own, and a secret that happens to read
like one of them must not change what a drill has measured. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import msgspec

from drills.events import (
    AnyEvent,
    ArrivalDone,
    ArrivalNotStarted,
    AttemptDone,
    FaultCleared,
    FaultProof,
    GatewayLine,
    HealthPoll,
    HostTried,
    LookupFailed,
    PlaneTrouble,
    Probe,
    ProgramEnded,
    RunEnded,
    RunStarted,
)
from drills.secretforms import (
    MASKED_AT_LEAST,
    cut_size,
    ends_like_text,
    forms,
    is_frame,
    is_masked_tail,
    pieces,
    tail_size,
)

REDACTED = "[redacted]"
_AT_LEAST = 6
"""Shorter ones would garble every text, and are not secret."""
_PART_AT_LEAST = 4
"""What is left of a secret where a text was cut: so much of it is taken out, too."""
_CUT_BY_PROGRAM = re.compile(r"[\s.\u2026*]+\Z")
"""What stands behind a secret that the program itself cut, at the end of its line."""
_MASK = re.compile(r"(?:\.{2,}|\u2026|[*\u2022]{2,})(?=[^\s.\u2026*\u2022])")
"""What stands in front of the end of a secret whose beginning a program has hidden."""
_WORD = re.compile(r"[A-Za-z_. -]{1,15}")

TEXTS: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        RunStarted: ("notes",),
        Probe: ("error",),
        ArrivalDone: ("claimed", "detail"),
        ArrivalNotStarted: ("why",),
        AttemptDone: ("detail",),
        LookupFailed: ("host",),
        FaultCleared: ("why",),
        FaultProof: ("saw",),
        PlaneTrouble: ("what",),
        HostTried: ("host",),
        GatewayLine: ("detail",),
        ProgramEnded: ("said",),
        HealthPoll: ("error",),
        RunEnded: ("interrupted",),
    }
)
"""By event, the fields that may hold what somebody else said. All other fields are the drill's own words."""


@dataclass(frozen=True)
class _Form:
    """One way in which a secret may stand in a text. certain: it is no plain word. cut, tail: how much of its beginning
    and of its end gives it away anywhere in a text.
    """

    text: str
    certain: bool
    cut: int
    tail: int


class Redactor:
    """Removes known secrets from text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._by_head: dict[str, list[_Form]] = {}
        self._by_tail: dict[str, list[_Form]] = {}
        self._masked: frozenset[str] = frozenset()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets, each with what is secret in it by itself: see `secretforms.pieces`."""
        new = {piece for secret in secrets for piece in pieces(secret) if len(piece) >= _AT_LEAST} - self._secrets
        self._secrets |= new
        found = {form.text: form for forms in self._by_head.values() for form in forms}
        for secret in sorted(new):
            certain = _WORD.fullmatch(secret) is None
            ends = certain and not ends_like_text(secret)
            for text in forms(secret):
                if len(text) >= _AT_LEAST and not (text in found and found[text].certain):
                    cut = cut_size(text) if certain else len(text) + 1
                    found[text] = _Form(text, certain, cut, tail_size(text) if ends else len(text) + 1)
                    self._masked |= {text} if ends else set()
        self._by_head, self._by_tail = {}, {}
        for form in found.values():
            self._by_head.setdefault(form.text[:_PART_AT_LEAST], []).append(form)
            if form.tail < len(form.text):
                self._by_tail.setdefault(form.text[-form.tail :], []).append(form)

    def clean(self, text: str) -> str:
        """The text without secrets, in whatever form they are quoted, and without the rest of one that was cut off, at
        its end or in front.
        """
        if not text:
            return text
        if forms := self._near(text):
            text = _without(text, forms)
        for tail, ends in self._by_tail.items():
            if tail in text:
                text = _without_tail(text, tail, [form.text for form in ends])
        if ".." in text or "\u2026" in text or "**" in text or "\u2022" in text:
            text = _without_masked(text, self._masked)
        return text

    def clean_name(self, text: str) -> str:
        """A name without secrets. A secret that is a short plain word may be the name itself, and stays."""
        forms = [form for form in self._near(text) if form.certain]
        for form in forms:
            text = text.replace(form.text, REDACTED)
        return text

    def clean_host(self, text: str) -> str:
        """A host without secrets, whatever their case: a part between two dots goes as a whole, or it stays. A secret
        that is a short plain word may be a part of any name, and stays.
        """
        certain = [form.text.lower() for forms in self._by_head.values() for form in forms if form.certain]
        for form in certain:
            if "." in form:
                text = re.sub(re.escape(form), REDACTED, text, flags=re.IGNORECASE)
        return ".".join(
            REDACTED if any(form in label.lower() for form in certain) else label for label in text.split(".")
        )

    def event(self, event: AnyEvent) -> AnyEvent:
        """An event without secrets in its texts."""
        changes: dict[str, object] = {}
        for name in TEXTS.get(type(event), ()):
            value = getattr(event, name)
            clean = self._cleaners.get(name, Redactor.clean)
            cleaned = tuple(clean(self, one) for one in value) if isinstance(value, tuple) else clean(self, value)
            if cleaned != value:
                changes[name] = cleaned
        return msgspec.structs.replace(event, **changes) if changes else event

    _cleaners: ClassVar[Mapping[str, Callable[[Redactor, str], str]]] = MappingProxyType(
        {"claimed": clean_name, "host": clean_host}
    )

    def _near(self, text: str) -> list[_Form]:
        """The forms of which at least the beginning is in the text, the longest first, so that one inside another
        leaves no rest. Most texts have none: one quick look for each beginning decides.
        """
        found = [form for head, forms in self._by_head.items() if head in text for form in forms]
        return sorted(found, key=lambda form: len(form.text), reverse=True)


def _without(text: str, forms: Sequence[_Form]) -> str:
    for form in forms:
        text = text.replace(form.text, REDACTED)
    for form in forms:
        if form.cut < len(form.text):
            text = _without_beginning(text, form)
    certain = [form.text for form in forms if form.certain and not is_frame(form.text)]
    if rest := max((_rest(text, form) for form in certain), default=0):
        return text[:-rest] + REDACTED
    behind = _CUT_BY_PROGRAM.search(text)
    if behind is None:
        return text
    said = text[: behind.start()]
    rest = max((_rest(said, form) for form in certain), default=0)
    # A program ends its lines where it likes, often with a word; only a drill's own cut may leave a word of a secret.
    if rest and not (said[-rest:].isalpha() and said[-rest:].islower()):
        return said[:-rest] + REDACTED + behind[0]
    return text


def _without_beginning(text: str, form: _Form) -> str:
    """The text without what it has of a secret's beginning, as far as that goes."""
    beginning, start = form.text[: form.cut], 0
    while (start := text.find(beginning, start)) >= 0:
        size = form.cut
        while start + size < len(text) and size < len(form.text) and text[start + size] == form.text[size]:
            size += 1
        text = text[:start] + REDACTED + text[start + size :]
        start += len(REDACTED)
    return text


def _without_tail(text: str, tail: str, forms: Sequence[str]) -> str:
    """The text without what it has of these secrets' common end, as far as that goes."""
    end = len(text)
    while (start := text.rfind(tail, 0, end)) >= 0:
        behind = start + len(tail)
        size = max(_same_end(text[:behind], form, len(tail)) for form in forms)
        text = text[: behind - size] + REDACTED + text[behind:]
        end = behind - size
    return text


def _same_end(text: str, form: str, size: int) -> int:
    """How much of a secret's end a text ends with, of which `size` characters are known."""
    while size < len(form) and size < len(text) and text[-size - 1] == form[-size - 1]:
        size += 1
    return size


def _without_masked(text: str, forms: Iterable[str]) -> str:
    """The text without the ends of secrets behind dots or stars."""
    found, done = [], 0
    for mask in _MASK.finditer(text):
        begin = mask.end()
        size = max((_tail_at(text, begin, form) for form in forms), default=0)
        if size:
            found += [text[done:begin], REDACTED]
            done = begin + size
    return "".join([*found, text[done:]])


def _tail_at(text: str, begin: int, form: str) -> int:
    """How long the end of a secret is that begins there in a text; 0 for none that matters."""
    seen = text[begin : begin + MASKED_AT_LEAST]
    at = form.find(seen, 1) if len(seen) == MASKED_AT_LEAST else -1
    while at >= 0:
        if text.startswith(form[at:], begin) and is_masked_tail(form[at:]):
            return len(form) - at
        at = form.find(seen, at + 1)
    return 0


def _rest(text: str, form: str) -> int:
    """How much of a secret's beginning the text ends with, when that is enough to matter."""
    most = min(len(form) - 1, len(text))
    return next((size for size in range(most, _PART_AT_LEAST - 1, -1) if text.endswith(form[:size])), 0)
