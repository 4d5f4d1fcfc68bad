"""Who makes the requests of a drill: the load, or an application under test by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from drills.client import Callers, Prober
from drills.clock import Clock
from drills.events import (
    AnyEvent,
    AttemptDone,
    AttemptReceived,
    Ending,
    FaultCleared,
    FaultRequested,
    HealthPoll,
    Probe,
    ProgramEnded,
    Via,
)
from drills.gateways.base import Entrance, MakesCalls
from drills.ground import Ground
from drills.inferred import is_call, is_whole
from drills.load import drive
from drills.measure import HEALTH_EVERY_S
from drills.plan import Plan
from drills.preflight import check_gateway, new_mark
from drills.problems import UsageProblem
from drills.scenario import Scenario

FIRST_CALL_WITHIN_S = 60.0
_HEALTH_WITHIN_S = 2.0
_LOOK_EVERY_S = 0.05
_HEARD_WITHIN_S = 0.25
"""A plane's report may be heard after the answer of which it tells."""

Emit = Callable[[AnyEvent], None]


class Driver(Protocol):
    """What the runner needs of whoever makes the requests."""

    def take(self, event: AnyEvent) -> None:
        """Hear of an event of the run."""

    async def check(self, keep: Callable[[Probe], None]) -> None:
        """See that requests are answered, before the timeline. Raises `UsageProblem` when they do not even come, or
        the application ends before one is answered.
        """

    async def drive(self, start_s: float, over: asyncio.Event) -> None:
        """Make the requests of the timeline, until they have ended; `over` is set when the timeline is."""

    @property
    def idle(self) -> bool:
        """Whether there will be no more requests, so that there is nothing to go on for."""

    async def sleep_until(self, due_s: float) -> None:
        """Wait for a time of the timeline, or until it is idle."""

    async def aclose(self) -> None:
        """Close every connection."""


@dataclass(frozen=True)
class Surface:
    """What a driver stands on: the run's clock, its history, and the network in which it finds what is tested."""

    clock: Clock
    emit: Emit
    ground: Ground


@dataclass(frozen=True)
class Drive:
    """What a drill's requests are made from. upstreams: by leg, what a gateway that runs already has to call."""

    scenario: Scenario
    plan: Plan
    entry_model: str
    upstreams: Mapping[str, str]


class Load:
    """The load: callers of a gateway."""

    def __init__(self, what: Drive, entrance: Entrance, surface: Surface) -> None:
        self._what = what
        self._clock = surface.clock
        self._emit = surface.emit
        self._url = entrance.base_url
        self._callers = Callers(entrance, what.entry_model, surface.clock, surface.ground)
        self._came: set[str] = set()

    def take(self, event: AnyEvent) -> None:
        """Remember which requests came through the planes."""
        if isinstance(event, AttemptReceived) and event.id:
            self._came.add(event.id)

    async def check(self, keep: Callable[[Probe], None]) -> None:
        """Send some requests through the gateway."""
        first: list[Probe] = []

        def note(probe: Probe) -> None:
            first.append(probe)
            keep(probe)

        if self._what.upstreams:  # a request that goes astray may cost money: one of them is enough
            await check_gateway(self._callers, self._clock, note, range(1))
            await asyncio.sleep(_HEARD_WITHIN_S)
            if first[0].id not in self._came:
                raise UsageProblem(_astray(first[0], self._url, self._what.upstreams))
        streams = self._what.scenario.load.streaming > 0
        await check_gateway(self._callers, self._clock, keep, streams=streams)

    async def drive(self, start_s: float, over: asyncio.Event) -> None:
        """Send every arrival of the plan when it is due."""
        ends_early = over if any(phase.until is not None for phase in self._what.plan.phases) else None
        deadline_s = self._what.scenario.load.deadline_s
        await drive(self._callers, self._what.plan.arrivals, start_s, deadline_s, self._emit, ends_early)

    @property
    def idle(self) -> bool:
        """Never before its time."""
        return False

    async def sleep_until(self, due_s: float) -> None:
        """Wait."""
        await self._clock.sleep_until(due_s)

    async def aclose(self) -> None:
        """Close every connection to the gateway."""
        await self._callers.close()


def _astray(probe: Probe, url: str, upstreams: Mapping[str, str]) -> str:
    """Why a gateway that runs already cannot be drilled: a request through it did not come to any plane."""
    wanted = ", ".join(f"{leg} at {plane}" for leg, plane in upstreams.items())
    if probe.error.startswith(Ending.REFUSED):
        return f"no gateway answers at {url}: {probe.error}"
    if probe.error.startswith((Ending.STATUS, Ending.VANISHED, Ending.BROKEN, Ending.DEADLINE)):
        return (
            f"no request came through the planes; the gateway at {url} said: {probe.error}; if that is not why, its "
            f"upstreams do not point at the planes, which are: {wanted}"
        )
    return (
        f"the gateway's upstreams do not point at the planes: it answered a request that came through none of them; "
        f"they are: {wanted}"
    )


def _no_well_application(why: str, sent_s: float, done_s: float) -> Probe:
    return Probe(
        id=new_mark().id,
        leg=None,
        via=Via.GATEWAY,
        stream=False,
        sent_s=sent_s,
        first_token_s=None,
        done_s=done_s,
        error=why,
    )


class OwnCalls:
    """An application that makes its own calls. Its health URL is polled, if it has one."""

    def __init__(self, program: MakesCalls, name: str, plan: Plan, surface: Surface) -> None:
        self._health = program.health_url
        self._name = name
        self._clock = surface.clock
        self._emit = surface.emit
        self._legs: dict[int, str] = {}
        self._calls = 0
        self._answered = asyncio.Event()
        self._ended: ProgramEnded | None = None
        self._idle = asyncio.Event()
        self._to_come = {fault.id for fault in plan.faults}
        self._on: set[str] = set()
        self._struck = False
        self._prober = Prober(surface.clock, _HEALTH_WITHIN_S, ground=surface.ground)

    def take(self, event: AnyEvent) -> None:
        """Follow the calls, and the program's end."""
        match event:
            case AttemptReceived() if is_call(event):
                self._calls += 1
                self._legs[event.attempt] = event.leg
            case AttemptDone() if event.attempt in self._legs and is_whole(event):
                self._answered.set()
            case FaultRequested():
                self._on.add(event.fault)
                self._to_come.discard(event.fault)
                self._struck = True
            case FaultCleared():
                self._on.discard(event.fault)
            case ProgramEnded() if not event.asked:
                self._ended = event
            case _:
                return
        ended = self._ended
        if ended is not None and not self._on and (ended.code == 0 or not self._struck or not self._to_come):
            self._idle.set()  # what it ended of is over, or it proves nothing anyway

    async def check(self, keep: Callable[[Probe], None]) -> None:
        """Wait for the first call that is answered whole, and for a healthy application."""
        until_s = self._clock.now_s() + FIRST_CALL_WITHIN_S
        while not (self._answered.is_set() and await self._well()):
            if self._ended is not None:
                raise UsageProblem(self._ended_at_its_start(self._ended))
            now_s = self._clock.now_s()
            if now_s > until_s:  # it was started, so its log and its history are kept
                keep(_no_well_application(self._never_called(), until_s - FIRST_CALL_WITHIN_S, now_s))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._idle.wait()

    async def _well(self) -> bool:
        return not self._health or await self._prober.answers(self._health)

    def _ended_at_its_start(self, ended: ProgramEnded) -> str:
        said = f": {ended.said[-1]}" if ended.said else ""
        made = "its first call was answered" if not self._answered.is_set() else "it was healthy"
        return f"{self._name} ended by itself with exit code {ended.code} before {made}{said}"

    def _never_called(self) -> str:
        within = f"within {FIRST_CALL_WITHIN_S:g} s"
        if self._answered.is_set():
            return f"{self._name} was not healthy {within}: {self._health} does not answer with 200"
        if self._calls:
            return f"no call of {self._name} was answered whole {within}; {self._calls} came through the planes"
        return f"no call of {self._name} came through the planes {within}: does it read its base URLs elsewhere?"

    async def drive(self, start_s: float, over: asyncio.Event) -> None:
        """Poll the health URL until the timeline is over."""
        polls: set[asyncio.Task[None]] = set()
        due_s = start_s
        while self._health and not over.is_set():
            await self._clock.sleep_until(due_s)
            due_s = max(due_s + HEALTH_EVERY_S, self._clock.now_s())
            poll = asyncio.create_task(self._poll())
            polls.add(poll)
            poll.add_done_callback(polls.discard)
        await asyncio.gather(*polls)

    async def _poll(self) -> None:
        sent_s = self._clock.now_s()
        error = await self._prober.look(self._health)
        self._emit(HealthPoll(sent_s=sent_s, done_s=self._clock.now_s(), error=error))

    @property
    def idle(self) -> bool:
        """Whether the application has ended, and the faults that it may have ended of are over."""
        return self._idle.is_set()

    async def sleep_until(self, due_s: float) -> None:
        """Wait, but not for an application that is no more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due_s - self._clock.now_s())):
                await self._idle.wait()

    async def aclose(self) -> None:
        """Close the connections to the health URL."""
        await self._prober.aclose()
