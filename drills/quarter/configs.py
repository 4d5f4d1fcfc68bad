"""Which configs a gateway was drilled with, and which of them came to an end before another began. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from drills.quarter.run import RunOfQuarter

_SHORT = 8


class Spell(NamedTuple):
    """One drill with a config. config: its SHA-256. began: ISO 8601 in UTC, so that text sorts as time."""

    gateway: str
    config: str
    began: str


def spell_of(run: RunOfQuarter) -> Spell:
    """What a run says about the config of its gateway."""
    return Spell(run.gateway, run.config, run.started.isoformat() if run.started else "")


class Configs:
    """The configs of each gateway, each from its first to its last drill."""

    def __init__(self, spells: Iterable[Spell]) -> None:
        self._spans: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for one in spells:
            first, last = self._spans[one.gateway].get(one.config, (one.began, one.began))
            self._spans[one.gateway][one.config] = (min(first, one.began), max(last, one.began))

    def of(self, gateway: str, config: str) -> str:
        """A config as people are shown it: the beginning of its hash, and empty where its gateway had one only.

        One that only drills had that proved nothing is an attempt, and taken for that of the last drill that counts.
        """
        spans = self._spans.get(gateway, {})
        if len(spans) <= 1:
            return ""
        latest = max(spans, key=lambda name: spans[name][1])
        return short(config if config in spans else latest)

    def after(self, gateway: str, config: str) -> set[str]:
        """The configs that took the place of one, all by the beginning of their hashes: those whose first drill came
        after its last one.
        """
        spans = {short(name): span for name, span in self._spans.get(gateway, {}).items()}
        if config not in spans:
            return set()
        return {name for name, (first, _) in spans.items() if first > spans[config][1]}


def short(config: str) -> str:
    """The beginning of a config's hash; `none` when there was no config."""
    return config[:_SHORT] or "none"
