"""What to do about lost requests depends on who was under test, and on what stood between it and its callers."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from calibration.story import history

from drills import ledger as ledgers
from drills.checks.lost import CHECK
from drills.events import Limits, RunStarted
from drills.measure import Measured, measure
from drills.routes import Route


def lost(letter: str, route: Route, *, inferred: bool = False) -> Measured:
    """The measurements of a drill that lost two requests in this way."""
    head, *events = history(f"ppp[{letter}{letter}sss]spp", Limits(lost_at_most=0))
    assert isinstance(head, RunStarted)
    measured = measure(ledgers.build(head, [head, *events]))
    header = msgspec.structs.replace(head, route=route, inferred=inferred)
    return dataclasses.replace(measured, ledger=dataclasses.replace(measured.ledger, header=header))


@pytest.mark.parametrize("letter", ["x", "c", "_"])
def test_advice_is_for_whoever_was_under_test(letter: str) -> None:
    """A gateway's legs and fallbacks; an application's own timeouts; the callers, where the gateway itself was gone."""
    words = {}
    for who, route, inferred in (
        ("gateway", Route.REWRITE, False),
        ("application", Route.FORWARD, True),
        ("front", Route.FRONT, False),
    ):
        part = CHECK.judge(lost(letter, route, inferred=inferred))
        assert part is not None
        words[who] = part.advice
    assert len(set(words.values())) == 3
    assert "The gateway" in words["gateway"]
    assert "gateway" not in words["application"]
    assert "application" in words["application"]
    assert "callers" in words["front"]
    assert "next leg" not in words["front"]
