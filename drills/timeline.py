"""The timeline of one run: waits for the times and conditions of the plan's steps, and carries the steps out.

The faults and the requests are carried out elsewhere (`FaultPlane`, `Driver`); only when is decided here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from drills.clock import Clock
from drills.driving import Driver
from drills.events import AnyEvent, PhaseStarted, TimelineEnded, TimelineStarted, UntilAnswered
from drills.plan import Plan, Step
from drills.planes import FaultPlane
from drills.proofs import Prover
from drills.until import Answers, Progress

_LEAD_S = 0.25
"""From the end of the preflight to the start of the timeline."""


class PhaseEnd:
    """The condition that ends the phase under way before its time, if there is one, and how far it has come."""

    def __init__(self, *, inferred: bool) -> None:
        self._answers = Answers(inferred=inferred)
        self._progress: Progress | None = None
        self._news = asyncio.Event()

    def take(self, event: AnyEvent) -> None:
        """Hear of an event of the run, from its very beginning."""
        done = self._answers.of(event)
        if done is not None and self._progress is not None:
            self._progress.take(done)
            self._news.set()

    def begin(self, until: UntilAnswered | None, since_s: float) -> None:
        """A phase begins. `until`: what ends it, None where only its time does."""
        self._progress = None if until is None else Progress(until, since_s)

    @property
    def awaited(self) -> bool:
        """Whether anything but its time ends the phase."""
        return self._progress is not None

    async def wait(self, due_s: float, clock: Clock) -> bool:
        """Wait until the condition holds, or for this time; whether it did before that."""
        while (left_s := due_s - clock.now_s()) > 0:
            self._news.clear()
            if self._progress is not None and self._progress.reached:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news.wait()
        return False


@dataclass(frozen=True)
class Cast:
    """Who carries the timeline out. planes: by name. losses: each is set when something is gone that it needs."""

    planes: Mapping[str, FaultPlane]
    driver: Driver
    prover: Prover
    losses: Sequence[asyncio.Event]


class Timeline:
    """The plan's steps, from the start of the timeline to its end."""

    def __init__(
        self, plan: Plan, cast: Cast, phase_end: PhaseEnd, clock: Clock, emit: Callable[[AnyEvent], None]
    ) -> None:
        self._plan = plan
        self._planes, self._driver, self._prover, self._losses = cast.planes, cast.driver, cast.prover, cast.losses
        self._phase_end = phase_end
        self._clock = clock
        self._emit = emit
        self._over = asyncio.Event()
        self._faults = {fault.id: fault for fault in plan.faults}
        self._phases = {phase.name: phase for phase in plan.phases}

    async def play(self, say: Callable[[str], None]) -> None:
        """Carry everything out, and wait for the last answers. Ends early when something is lost."""
        start_s = self._clock.now_s() + _LEAD_S
        self._emit(TimelineStarted(at_s=start_s))
        load = asyncio.create_task(self._driver.drive(start_s, self._over))
        lost = asyncio.create_task(_any_of(self._losses))
        steps = asyncio.create_task(self._steps(start_s))
        try:
            await asyncio.wait({steps, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not lost.done():
                await steps
                say("waiting for the last answers")
                await asyncio.wait({load, lost}, return_when=asyncio.FIRST_COMPLETED)
            if load.done():
                await load
        finally:
            for task in (load, lost, steps):
                task.cancel()
            await asyncio.gather(load, lost, steps, return_exceptions=True)

    async def _steps(self, start_s: float) -> None:
        early_s = 0.0
        for step in self._plan.steps:
            early_s += await self._wait(start_s + step.at_s - early_s)
            if self._driver.idle:
                break
            await self._carry_out(step, start_s - early_s)
        await self._wait(start_s + self._plan.duration_s - early_s)
        self._emit(TimelineEnded(at_s=self._clock.now_s()))
        self._over.set()
        await asyncio.gather(self._prover.settled(), *(plane.settled() for plane in self._planes.values()))

    async def _carry_out(self, step: Step, start_s: float) -> None:
        """One step. `start_s`: when the timeline began, less what phases ended before their time."""
        if step.action == "phase":
            started = PhaseStarted(phase=step.name, at_s=self._clock.now_s())
            self._emit(started)
            self._phase_end.begin(self._phases[step.name].until, started.at_s)
        elif step.action == "apply":
            fault = self._faults[step.name]
            self._prover.begins(fault)
            await self._planes[fault.plane].apply(fault)
            self._prover.began(fault, start_s + fault.end_s - self._clock.now_s())
        else:
            fault = self._faults[step.name]
            self._prover.ends(fault)
            await self._planes[fault.plane].clear(step.name)
            self._prover.ended(fault)

    async def _wait(self, due_s: float) -> float:
        """Wait for a time of the plan, or for the condition that ends the phase; how much earlier that was."""
        if not self._phase_end.awaited or self._driver.idle:
            await self._driver.sleep_until(due_s)
            return 0.0
        if await self._phase_end.wait(due_s, self._clock):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due_s - self._clock.now_s()):
                    await self._prover.settled()
        return max(0.0, due_s - self._clock.now_s())


async def _any_of(events: Sequence[asyncio.Event]) -> None:
    """Return when one of these has happened."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
