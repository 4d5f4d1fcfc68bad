"""Histories whose numbers can be read off them: stories, for the tests of everything that is computed from a history.

A history is written as a story: one letter for each arrival, ten a second, and brackets for the faults.

    p s t   answered by the primary, the standby, the third leg
    d       answered by the standby after a try on the primary that cost 20 ms
    S       answered by the standby, two seconds late
    x z     failed after a try on the primary, on the standby
    r       turned away at once, without any attempt
    b       a stream of the primary that broke off after its first token
    c       a success that is none: half of an answer of the primary
    u       nothing until the deadline, after a try on the primary
    n       could not be sent
    _       sent, and its end was never seen
    [ ]     the fault on the primary is on and off, half an interval before the next arrival
    { }     the same for a fault on the standby

The first arrival is due at 1 s. A good answer takes 60 ms, a failure 20 ms. So in `ppp[xxss]pp` the onset is at
1.25 s, the first failure at 1.32 s, and the first answer of the standby at 1.56 s: 310 ms after the onset.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from drills.events import (
    SCHEMA,
    AnyEvent,
    ArrivalDone,
    ArrivalNotStarted,
    ArrivalSent,
    AttemptDone,
    AttemptReceived,
    AttemptResult,
    Ending,
    FaultCleared,
    FaultEffective,
    FaultPlan,
    FaultProof,
    Limits,
    PhasePlan,
    Probe,
    RunEnded,
    RunStarted,
    TimelineStarted,
    Via,
    When,
)
from drills.legs import Leg
from drills.marks import Shape
from faults.base import Connections

EVERY_S = 0.1
START_S, FIRST_S = 0.5, 1.0
GOOD_S, FAILED_S, LATE_S, DEADLINE_S = 0.06, 0.02, 2.0, 3.0
FAULTS = {"[": ("f1", "primary"), "]": ("f1", "primary"), "{": ("f2", "standby"), "}": ("f2", "standby")}
END = RunEnded(at_s=99.0)
LEGS = tuple(
    Leg(name=name, role=role, provider="openai", vendor="openai", model="m", cloud=cloud)
    for name, role, cloud in (
        ("primary", "primary", "openai"),
        ("standby", "secondary", "azure"),
        ("third", "tertiary", "gcp"),
    )
)

_TRIES = {
    "p": ("primary",),
    "s": ("standby",),
    "t": ("third",),
    "d": ("primary", "standby"),
    "S": ("standby",),
    "x": ("primary",),
    "z": ("standby",),
    "b": ("primary",),
    "c": ("primary",),
    "u": ("primary",),
}
_TAKES_S = {"S": LATE_S, "u": DEADLINE_S, "x": FAILED_S, "z": FAILED_S, "r": FAILED_S}
_ENDINGS = {
    **dict.fromkeys("pstdSc", Ending.COMPLETE),
    **dict.fromkeys("xzr", Ending.STATUS),
    "b": Ending.BROKEN,
    "u": Ending.DEADLINE,
}


class Story:
    """Turns a story into events."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self.on: dict[str, str] = {}
        self.edges: list[float] = []
        self.attempts = 0

    def told(self, text: str) -> tuple[AnyEvent, ...]:
        """Every event of a story but the first and the last, in no particular order."""
        seq = 0
        for letter in text.replace(" ", ""):
            due_s = FIRST_S + seq * EVERY_S
            if letter in FAULTS:
                self.edge(letter, due_s - EVERY_S / 2)
            else:
                self.arrival(letter, seq, due_s)
                seq += 1
        self.edges += [FIRST_S + seq * EVERY_S - EVERY_S / 2]
        return tuple(self.events)

    def edge(self, letter: str, at_s: float) -> None:
        """A fault goes on or off."""
        fault, leg = FAULTS[letter]
        self.edges.append(at_s)
        if letter in "[{":
            self.on[leg] = fault
            self.events += [proof(fault, leg, When.BEFORE, 0.1), proof(fault, leg, When.DURING, at_s)]
            self.events.append(FaultEffective(fault=fault, legs=(leg,), began_s=at_s, at_s=at_s))
        else:
            del self.on[leg]
            self.events.append(proof(fault, leg, When.AFTER, at_s))
            self.events.append(FaultCleared(fault=fault, began_s=at_s, at_s=at_s))

    def arrival(self, letter: str, seq: int, due_s: float) -> None:
        """One arrival, with its attempts 10 ms after it, 20 ms apart."""
        if letter == "n":
            self.events.append(ArrivalNotStarted(seq=seq, due_s=due_s, why="too many"))
            return
        id_ = f"{seq:016x}"
        stream = letter == "b"
        self.events.append(ArrivalSent(seq=seq, id=id_, stream=stream, due_s=due_s, sent_s=due_s))
        tries = _TRIES.get(letter, ())
        done_s = due_s + _TAKES_S.get(letter, GOOD_S)
        for index, leg in enumerate(tries):
            answered = letter in "pstdS" and index == len(tries) - 1
            self.attempt(id_, leg, due_s + 0.01 + 0.02 * index, done_s, answered=answered)
        if letter == "_":
            return
        good = letter in "pstdSc"
        self.events.append(
            ArrivalDone(
                seq=seq,
                first_byte_s=due_s + 0.02,
                first_token_s=done_s if good else due_s + 0.02 if letter == "b" else None,
                done_s=done_s,
                ending=_ENDINGS[letter],
                status=200 if good or letter == "b" else 503,
                shape=(Shape.TRUNCATED if letter == "c" else Shape.WHOLE) if good else None,
                legs=tries[-1:] if good else (),
                words=12,
            )
        )

    def attempt(self, id_: str, leg: str, received_s: float, done_s: float, *, answered: bool) -> None:
        """One attempt on a leg, touched by the fault that is on unless it was answered."""
        self.attempts += 1
        self.events.append(
            AttemptReceived(
                attempt=self.attempts,
                leg=leg,
                id=id_,
                surface="model",
                operation="chat",
                model="m",
                stream=False,
                received_s=received_s,
            )
        )
        self.events.append(
            AttemptDone(
                attempt=self.attempts,
                answered_s=received_s + 0.005,
                done_s=done_s,
                status=200 if answered else 503,
                result=AttemptResult.ANSWERED if answered else AttemptResult.FAULTED,
                faults=(self.on[leg],) if leg in self.on and not answered else (),
            )
        )


def proof(fault: str, leg: str, when: When, at_s: float, *, proved: bool = True) -> FaultProof:
    """A probe of a leg that was sent 1 ms after a time, and took 9 ms."""
    return FaultProof(
        fault=fault,
        leg=leg,
        when=when,
        id=f"{fault}-{when}",
        port=4000,
        stream=False,
        sent_s=at_s + 0.001,
        done_s=at_s + 0.01,
        proved=proved,
        saw="what it should" if proved else "a whole answer",
    )


def probes(error: str = "") -> tuple[Probe, ...]:
    """A healthy start: every leg answers in 10 ms, and in 12 ms through the plane."""
    ways = ((Via.DIRECT, 0.010, ""), (Via.PLANE, 0.012, error))
    return tuple(
        Probe(
            id=f"{leg.name}-{via}",
            leg=leg.name,
            via=via,
            stream=False,
            sent_s=0.1,
            first_token_s=0.1 + took_s,
            done_s=0.1 + took_s,
            error=said,
        )
        for leg in LEGS
        for via, took_s, said in ways
    )


def history(
    text: str,
    limits: Limits | None = None,
    also: Sequence[AnyEvent] = (),
    connections: Connections = Connections.OPEN,
    start: Sequence[AnyEvent] | None = None,
    ended: RunEnded | None = END,
) -> tuple[AnyEvent, ...]:
    """The history of a story: header, healthy probes (`start`), the story, what comes `also`, and the end."""
    story = Story()
    told = story.told(text)
    begins = [event for event in told if isinstance(event, FaultEffective)]
    ends = {event.fault: event.at_s for event in told if isinstance(event, FaultCleared)}
    edges = [FIRST_S - EVERY_S / 2, *story.edges]
    arrivals = sum(isinstance(event, ArrivalSent | ArrivalNotStarted) for event in told)
    head = RunStarted(
        schema=SCHEMA,
        tool_version="0",
        started_at="2026-01-01T00:00:00+00:00",
        origin_s=0.0,
        seed=1,
        scenario_name="story",
        scenario_file="story.yaml",
        scenario_sha256="",
        objective="",
        gateway="told",
        gateway_version="",
        config_file="",
        config_sha256="",
        entry_model="chat",
        notes=(),
        legs=LEGS,
        phases=tuple(
            PhasePlan(name=f"phase-{number}", start_s=start_s - START_S, end_s=end_s - START_S, faults=())
            for number, (start_s, end_s) in enumerate(itertools.pairwise(edges))
        ),
        faults=tuple(
            FaultPlan(
                id=event.fault,
                kind="status",
                legs=event.legs,
                start_s=event.at_s,
                end_s=ends.get(event.fault, 99.0),
                selector="",
                settings={},
                connections=connections,
            )
            for event in begins
        ),
        limits=limits or Limits(),
        rate_per_s=1 / EVERY_S,
        arrivals=arrivals,
        deadline_s=DEADLINE_S,
        slow_s=1.0,
        proofs=True,
        environment={},
    )
    first: tuple[AnyEvent, ...] = (head, *(probes() if start is None else start), TimelineStarted(at_s=START_S))
    return (*first, *told, *also, *((ended,) if ended is not None else ()))


def stranger(number: int) -> tuple[AnyEvent, AnyEvent]:
    """An attempt on the primary that no request explains."""
    story = Story()
    story.attempts = 1000 + number
    story.attempt("f" * 16, "primary", 1.1, 1.2, answered=True)
    return story.events[0], story.events[1]
