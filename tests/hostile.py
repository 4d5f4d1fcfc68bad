"""Histories in which every text that comes from outside is an attack on whoever shows it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from calibration.story import history

from drills.events import (
    AnyEvent,
    ArrivalDone,
    AttemptDone,
    FaultProof,
    GatewayLine,
    HostTried,
    HowTried,
    Limits,
    PlaneTrouble,
    RunStarted,
)
from drills.people import People
from drills.verdict import Judged, judged

STORY = "ppb[xxcuSnsss]spp"
ATTACKS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(2)><a href='javascript:alert(3)'>",
    "'--></style></title></desc></svg></script><svg/onload=alert(4)>",
    "]]><evil/>&lt;&#0;&amp;",
    "\x1b[31mred\x1b[0m\x1b]0;owned\x07 \x9b31m",
    "\u202egnp.exe\u202c \u2066left\u2069 \u200fmark\u061c",
    "nul\x00 bell\x07 back\x08space cr\rlf\n# heading\n* item",
    "{{ 7 * 7 }} {% raw %} ${8*8} #{9}",
    "=HYPERLINK(0) | a | b | ```\n# x [l](javascript:alert(5)) <b>*bold*</b>",
    '\\" } evil_metric 1\nevil_metric 2 # {x="y"}',
    "- item",
    "1. item",
    "      indented",
    "=== ",
    "\ufffe\uffff\U000e0041\ufeff",
    "in\xadvisible\u3164\u115f\u034f\ufe0f\uffa0",
    "\uff1dHYPERLINK(1)",
)
HARMLESS = "something said"
ALL = " ".join(ATTACKS)
TEN_MEGABYTES = ALL + "<b>=A\x1b[0m</b>" * (10 * 1024 * 1024 // 12)


def told(texts: Sequence[str], story: str = STORY) -> tuple[AnyEvent, ...]:
    """A story in which every text from outside is one of these, in turn."""
    turn = iter(texts[number % len(texts)] for number in range(10_000))
    limits = Limits(switchover_within_s=0.1, failback_within_s=0.1, lost_at_most=0, slow_at_most=0)
    return tuple(_with(event, turn) for event in history(story, limits, also=_also(texts)))


def _also(texts: Sequence[str]) -> tuple[AnyEvent, ...]:
    return (
        PlaneTrouble(at_s=1.0, what=texts[0]),
        GatewayLine(at_s=1.0, what="died", detail=texts[-1]),
        HostTried(at_s=1.5, host=texts[0], how=HowTried.LOOKED_UP),
    )


def _with(event: AnyEvent, turn: object) -> AnyEvent:
    def said() -> str:
        return next(turn)  # type: ignore[call-overload, no-any-return]

    replace = msgspec.structs.replace
    if isinstance(event, RunStarted):
        return replace(
            event,
            scenario_name=said(),
            scenario_file=said(),
            objective=said(),
            gateway=said(),
            gateway_version=said(),
            config_file=said(),
            entry_model=said(),
            notes=(said(), said()),
            started_at=said(),
            environment={said(): said()},
            legs=tuple(replace(leg, model=said(), region=said()) for leg in event.legs),
            faults=tuple(replace(fault, selector=said()) for fault in event.faults),
            phases=tuple(replace(phase, name=said(), faults=(said(),)) for phase in event.phases),
            people=People(owner=said(), operator=said(), reviewer=said()),
            change=said(),
        )
    if isinstance(event, ArrivalDone | AttemptDone):
        return replace(event, detail=said())
    if isinstance(event, FaultProof):
        return replace(event, saw=said())
    return event


def hostile() -> Judged:
    """Every attack, one of them ten megabytes long."""
    return judged(told((*ATTACKS, ALL, TEN_MEGABYTES)), "hostile")


def harmless() -> Judged:
    """The same run with harmless texts."""
    return judged(told((HARMLESS,)), "harmless")
