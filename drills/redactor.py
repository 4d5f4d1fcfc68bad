"""Takes known secrets out of texts that come from outside, before they are written down.

Only texts are touched: an event's times, ids, legs and kinds are the drill's own, and a secret that happens to read
like one of them must not change what a drill has measured. Pure.
"""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

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

REDACTED = "[redacted]"
_AT_LEAST = 6
"""Shorter ones would garble every text, and are not secret."""
_PART_AT_LEAST = 4
"""What is left of a secret where a text was cut: so much of it is taken out, too."""
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


class Redactor:
    """Removes known secrets from text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._forms: tuple[str, ...] = ()
        self._certain: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets. The longest are replaced first, so that one inside another leaves no rest."""
        self._secrets |= {secret for secret in secrets if len(secret) >= _AT_LEAST}
        self._forms = _longest_first(self._secrets)
        self._certain = _longest_first(one for one in self._secrets if _WORD.fullmatch(one) is None)

    def clean(self, text: str) -> str:
        """The text without secrets, in whatever form they are quoted, and without the rest of one that was cut off at
        its end.
        """
        text = _without(text, self._forms)
        rest = max((_rest(text, form) for form in self._certain), default=0)
        return text[:-rest] + REDACTED if rest else text

    def clean_name(self, text: str) -> str:
        """A name without secrets. A secret that is a short plain word may be the name itself, and stays."""
        return _without(text, self._certain)

    def event(self, event: AnyEvent) -> AnyEvent:
        """An event without secrets in its texts."""
        changes: dict[str, object] = {}
        for name in TEXTS.get(type(event), ()):
            value = getattr(event, name)
            clean = self.clean_name if name == "claimed" else self.clean
            cleaned = tuple(map(clean, value)) if isinstance(value, tuple) else clean(value)
            if cleaned != value:
                changes[name] = cleaned
        return msgspec.structs.replace(event, **changes) if changes else event


def _longest_first(secrets: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    """The secret, and how it looks inside JSON (once and twice), Python, HTML and a URL."""
    quoted = json.dumps(secret)[1:-1]
    yield from (secret, quoted, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(quoted)[1:-1])
    yield from (repr(secret)[1:-1], html.escape(secret), urllib.parse.quote(secret))
    yield urllib.parse.quote(secret, safe="")


def _without(text: str, forms: Iterable[str]) -> str:
    for form in forms:
        text = text.replace(form, REDACTED)
    return text


def _rest(text: str, form: str) -> int:
    """How much of a secret's beginning the text ends with, when that is enough to matter."""
    most = min(len(form) - 1, len(text))
    return next((size for size in range(most, _PART_AT_LEAST - 1, -1) if text.endswith(form[:size])), 0)
