"""What differs between two configs of one gateway, in words. Pure.

A change is a sentence with its place, and what it is about: that decides which drills it concerns. It is never a
verdict; only a drill can say whether a change is for the worse.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from drills.legs import Leg
from drills.problems import Place


class Aspect(enum.StrEnum):
    """What a change is about."""

    LEGS = "legs"
    FALLBACK = "fallback"
    DOMAIN = "domain"
    TIMEOUT = "timeout"
    COOLDOWN = "cooldown"
    RETRY = "retry"
    OTHER = "other"


@dataclass(frozen=True)
class Change:
    """One difference. place: in the head's config, the nearest line when something was removed. was: in the base's."""

    aspect: Aspect
    what: str
    place: Place | None = None
    was: Place | None = None


@runtime_checkable
class TellsChanges(Protocol):
    """The ability to say what differs between two configs, also when one of them cannot be drilled."""

    def changes(self, base: Path, head: Path, model: str | None) -> tuple[Change, ...] | None:
        """Every difference in meaning; empty when there is none (comments, the order of keys), None when a file
        cannot be read as a config at all.
        """


def chain_changes(base: Sequence[Leg], head: Sequence[Leg]) -> Iterator[Change]:
    """What the legs alone say: for an adapter that tells no more."""
    before, now = ([leg.name for leg in legs if leg.role is not None] for legs in (base, head))
    if before != now:
        yield Change(Aspect.LEGS, f"the chain is now {_shown(now)}; before {_shown(before)}")


def into_the_same_cloud(base: Sequence[Leg], head: Sequence[Leg]) -> Iterator[tuple[Leg, str]]:
    """Fallbacks that sit in the primary's cloud and did not before: the leg, and the sentence."""
    for leg in _beside_the_primary(head):
        before = {other.role: other for other in base}.get(leg.role)
        if before is None or before not in _beside_the_primary(base):
            yield leg, f"the fallback {leg.name} now sits in the same cloud as the primary ({leg.cloud})"


def _beside_the_primary(legs: Sequence[Leg]) -> list[Leg]:
    clouds = {leg.cloud for leg in legs if leg.role == "primary"}
    return [leg for leg in legs if leg.role not in {None, "primary"} and leg.cloud in clouds]


def _shown(names: Sequence[str]) -> str:
    return " > ".join(names) or "empty"
