"""One run of a drill: starts everything, keeps to the plan, writes the history, and leaves nothing behind.

The only module that brings sockets, processes and the clock together. What it does is data in the history; what it
means is decided elsewhere, from the history alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import secrets
import signal
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from drills import __version__
from drills.address import Address
from drills.build import BUILD, build
from drills.children import Child, ChildLostError
from drills.client import Prober, clean
from drills.clock import Clock
from drills.driving import Drive, Driver, Load, OwnCalls, Surface
from drills.events import (
    SCHEMA,
    AnyEvent,
    GatewayLine,
    PhaseStarted,
    PlaneTrouble,
    Probe,
    ProgramEnded,
    RunEnded,
    RunStarted,
    TimelineEnded,
    TimelineStarted,
)
from drills.gatewayplane import READY_POLL_S, GatewayPlane, Readiness
from drills.gateways.base import Discovery, Entrance, Gateway, Launch, MakesCalls, RunsAlready
from drills.ground import Ground
from drills.history import HISTORY_FILE, HistoryWriter
from drills.keeper import Keep
from drills.legs import Leg
from drills.people import NOBODY, People
from drills.plan import Plan
from drills.planes import FaultPlane, MitmPlane, ToxiPlane, plane_legs, shared_hosts
from drills.planeurls import plane_urls
from drills.ports import lasting_port
from drills.preflight import PAIRS, PROBE_WITHIN_S, ROUNDS, YARDSTICK, check_entrances, check_identity, check_legs
from drills.problems import UsageProblem
from drills.proofs import Prover, Timing, new_secret
from drills.redactor import Redactor
from drills.routing.base import RouteKind, Scene, Way
from drills.scenario import Scenario
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec
from drills.until import Answers, Progress
from faults.planes.control import PlaneSpec

GATEWAY_LOG = "gateway.log"
SCENARIO_FILE = "scenario.yaml"
_SIMULATOR_WITHIN_S = 20.0
_READY_POLL_WITHIN_S = 2.0
_ERROR = re.compile(r"[\w.]*(?:Error|Exception): .")
_LAST_LINES = 5
"""Of an application's output, for whoever wants to know why it ended."""
_LEAD_S = 0.25
"""From the end of the preflight to the start of the timeline."""

Observer = Callable[[AnyEvent], None]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """All that a run needs, decided before anything is started."""

    scenario: Scenario
    found: Discovery
    plan: Plan
    gateway: Gateway | RunsAlready
    gateway_version: str
    route: RouteKind
    seed: int
    folder: Path
    port: int | None = None
    notes: tuple[str, ...] = ()
    """What a person should know before they read anything else."""
    people: People = NOBODY
    change: str | None = None
    toxiproxy: str = ""
    """The Toxiproxy server, as a program or as a URL, for scenarios that need one."""

    @property
    def application(self) -> MakesCalls | None:
        """The application that makes the calls, if one does: its requests are inferred."""
        return self.gateway if isinstance(self.gateway, MakesCalls) else None

    @property
    def upstreams(self) -> dict[str, str]:
        """By leg, what a gateway that runs already has to call."""
        return plane_urls(self.found.legs, self.found.ports)


class RunInterrupted(Exception):
    """A person or a signal stopped the run. Everything is restored when this is raised."""


class _Run:
    def __init__(self, job: Job, observe: Observer, say: Say) -> None:
        self._job = job
        self._observe = observe
        self._say = say
        self._clock = Clock()
        self._redactor = Redactor()
        self._history = HistoryWriter(job.folder / HISTORY_FILE, self._redactor)
        self._log = (job.folder / GATEWAY_LOG).open("a", encoding="utf-8")
        self._work: asyncio.Task[None] | None = None
        self._stopped = ""
        self._progress: Progress | None = None
        self._answers = Answers(inferred=job.application is not None)
        self._driver: Driver | None = None
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    def emit(self, event: AnyEvent) -> None:
        """Write an event down and show it. A history that cannot be written ends the run: it would prove nothing."""
        try:
            self._history.add(event)
        except OSError as error:
            self._stopped = f"the history cannot be written: {error.strerror}"
            if self._work is not None:
                self._work.cancel()
            return
        done = self._answers.of(event)
        if done is not None and self._progress is not None:
            self._progress.take(done)
            self._news.set()
        if self._driver is not None:
            self._driver.take(event)
        self._observe(event)

    async def run(self) -> None:
        """Run the job to its end. Raises `UsageProblem` when the gateway does not start with this config."""
        interrupted = ""
        self._work = asyncio.current_task()
        self.emit(self._started())
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._inside(stack)
        except asyncio.CancelledError:
            interrupted = self._stopped or "stopped by a signal"
            raise RunInterrupted(interrupted) from None
        except ChildLostError as error:
            # Not the user's doing: the history says it, and the verdict is that the drill proved nothing.
            self.emit(PlaneTrouble(at_s=self._clock.now_s(), what=str(error)))
        finally:
            self.emit(RunEnded(at_s=self._clock.now_s(), interrupted=interrupted))
            self._history.close()
            self._log.close()

    def _started(self) -> RunStarted:
        job = self._job
        return RunStarted(
            schema=SCHEMA,
            tool_version=__version__,
            started_at=self._clock.started_at.isoformat(timespec="seconds"),
            origin_s=self._clock.origin_s,
            seed=job.seed,
            scenario_name=job.scenario.name,
            scenario_file=Path(job.scenario.file).name,
            scenario_sha256=job.scenario.sha256,
            objective=job.scenario.objective,
            gateway=job.gateway.name,
            gateway_version=job.gateway_version,
            config_file=Path(job.found.config_file).name,
            config_sha256=job.found.config_sha256,
            entry_model=job.found.entry_model,
            own_checks=job.found.own_checks,
            route=job.route.name,
            notes=job.notes,
            legs=job.found.legs,
            phases=job.plan.phases,
            faults=job.plan.faults,
            limits=job.plan.limits,
            rate_per_s=job.scenario.load.rate_per_s,
            arrivals=len(job.plan.arrivals),
            deadline_s=job.scenario.load.deadline_s,
            slow_s=job.scenario.load.slow_s,
            proofs=True,
            inferred=job.application is not None,
            upstreams=job.upstreams,
            health=job.application.health_url if job.application is not None else "",
            people=job.people,
            change=job.change,
            environment={
                BUILD: build(),
                "python": platform.python_version(),
                "system": f"{platform.system()} {platform.release()}",
                "cpus": str(os.cpu_count()),
                "load_average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
            },
        )

    async def _inside(self, stack: contextlib.AsyncExitStack) -> None:
        job, clock = self._job, self._clock
        secret = new_secret()
        scene = Scene(
            gateway=job.gateway,
            found=job.found,
            port=job.port if job.port is not None else lasting_port(),
            private=Path(tempfile.gettempdir()) / f"drill-{secrets.token_hex(8)}",
            clock=clock,
            emit=self.emit,
        )
        way = job.route.begin(scene)
        ground = await stack.enter_async_context(way.ground())
        self._say("starting the simulated providers and the fault plane")
        real = await stack.enter_async_context(way.behind())
        simulated = [leg for leg in job.found.legs if leg.name not in real] or [YARDSTICK]
        direct = await stack.enter_async_context(self._simulator(simulated, ground)) | dict(real)
        planes, ports = await self._start_planes(stack, way, direct, secret, ground)
        gateway = GatewayPlane(clock, self.emit)
        if any(fault.plane == "process" for fault in job.plan.faults):
            planes["process"] = gateway
        entrance = await stack.enter_async_context(way.open(ports))
        await self._start_gateway(stack, entrance, scene.private, gateway, ground)
        driver = self._driver = self._make_driver(entrance, ground)
        stack.push_async_callback(driver.aclose)
        reach = way.reach(ports)
        straight = {name: Address(port) for name, port in direct.items()}
        prober = Prober(clock, PROBE_WITHIN_S, reach.authority, reach.ground)
        stack.push_async_callback(prober.aclose)
        self._say(
            f"checking that every leg and {'the gateway' if job.application is None else 'the application'} are well"
        )
        probes: list[Probe] = []

        def keep(probe: Probe) -> None:
            probes.append(probe)
            self.emit(probe)

        entrances = [leg for leg in job.found.legs if leg.name in real]
        await check_legs(prober, simulated, straight, reach.addresses, keep, pairs=PAIRS)
        await check_entrances(prober, entrances, reach.addresses, reach.dress, keep, rounds=ROUNDS)
        of_identity = {leg for fault in job.plan.faults if fault.of_identity for leg in fault.legs}
        signed_in = [leg for leg in job.found.legs if leg.name in of_identity]
        await check_identity(prober, signed_in, straight, reach.addresses | reach.identity, keep, pairs=PAIRS)
        await driver.check(keep)
        if any(probe.error for probe in probes):
            self._say("not healthy: the drill ends before its first phase")
            return
        load = job.scenario.load
        timing = Timing(load.words, job.scenario.providers.tokens_per_s)
        prover = Prover(job.found.legs, reach, clock, self.emit, secret, timing)
        stack.push_async_callback(prover.aclose)
        prover.healthy(job.plan.faults, probes)
        losses = [way.lost, *(one.lost for one in planes.values())]
        await self._timeline(planes, driver, prover, losses)
        if not any(lost.is_set() for lost in losses):
            await check_legs(prober, simulated, straight, reach.addresses, self.emit, pairs=1)
            await check_entrances(prober, entrances, reach.addresses, reach.dress, self.emit, rounds=1)
            await check_identity(prober, signed_in, straight, reach.addresses | reach.identity, self.emit, pairs=1)

    async def _start_planes(
        self, stack: contextlib.AsyncExitStack, way: Way, direct: Mapping[str, int], secret: str, ground: Ground
    ) -> tuple[dict[str, FaultPlane], dict[str, int]]:
        """The planes between the gateway and its legs; by leg, the port at which the gateway's requests come."""
        job, clock = self._job, self._clock
        wired = {leg for fault in job.plan.faults if fault.plane == "toxi" for leg in fault.legs}
        certificates, stands = way.certificates(), way.stands()
        spec = PlaneSpec(
            origin_s=clock.origin_s,
            seed=job.seed,
            probes=secret,
            salt=secrets.token_hex(32) if job.application is not None else "",
            legs=plane_legs(
                [leg for leg in (*job.found.legs, YARDSTICK) if leg.name in direct], direct, certificates, stands, wired
            ),
            shared=shared_hosts(way.shared(), certificates, stands),
        )
        plane = await MitmPlane.begin(spec, clock, self.emit, ground)
        stack.push_async_callback(plane.end)
        if not wired:
            return {"mitm": plane}, dict(plane.ports)
        upstream = {leg: plane.ports[leg] for leg in sorted(wired)}
        toxi = await ToxiPlane.start(job.toxiproxy, upstream, clock, self.emit, stands, ground)
        stack.push_async_callback(toxi.end)
        return {"mitm": plane, "toxi": toxi}, plane.ports | toxi.ports

    @contextlib.asynccontextmanager
    async def _simulator(self, legs: Sequence[Leg], ground: Ground) -> AsyncIterator[dict[str, int]]:
        timing = self._job.scenario.providers
        spec = SimulatorSpec(
            legs=tuple(SimulatedLeg(name=leg.name, provider=leg.provider) for leg in legs),
            first_token_s=timing.first_token_s,
            tokens_per_s=timing.tokens_per_s,
            token_lifetime_s=int(timing.token_lifetime_s),
        )
        child = await Child.start("simulator", "drills.simulator", spec, inside=ground.namespaces)
        try:
            ready = msgspec.json.decode(await child.first_line(_SIMULATOR_WITHIN_S), type=SimulatorReady)
            yield ready.ports
        finally:
            await child.end()

    def _make_driver(self, entrance: Entrance, ground: Ground) -> Driver:
        """Who makes the requests."""
        job = self._job
        if job.application is not None:
            return OwnCalls(job.application, job.gateway.name, job.plan, Surface(self._clock, self.emit, ground))
        what = Drive(job.scenario, job.plan, job.found.entry_model, job.upstreams)
        return Load(what, entrance, Surface(self._clock, self.emit, ground))

    async def _start_gateway(
        self, stack: contextlib.AsyncExitStack, launch: Entrance, private: Path, plane: GatewayPlane, ground: Ground
    ) -> None:
        """Start the gateway, unless it runs already, and wait until it is ready."""
        job = self._job
        self._redactor.learn(launch.secrets)
        readiness = self._readiness(stack, launch, ground)
        if not isinstance(launch, Launch):
            await self._until_ready(readiness, asyncio.Event())
            return
        self._say(f"starting {job.gateway.name} {job.gateway_version}")
        self.emit(GatewayLine(at_s=self._clock.now_s(), what="starting"))
        keep = Keep(
            argv=launch.argv,
            env=launch.env,
            cwd=launch.cwd or str(private),
            private=str(private),
            files=launch.files,
            blobs=launch.blobs,
        )
        child = await plane.start(job.gateway.name, keep, readiness, ground)
        stack.push_async_callback(self._stop_gateway, plane, child)
        ended = asyncio.Event()

        def on_end(_last_words: str) -> None:
            ended.set()
            self.emit(GatewayLine(at_s=self._clock.now_s(), what="died", detail=f"exit code {child.returncode}"))
            if job.application is not None:
                self.emit(self._program_ended(child, asked=False))

        child.listen(self._write_log, on_end)
        await self._until_ready(readiness, ended)
        self.emit(GatewayLine(at_s=self._clock.now_s(), what="ready"))

    def _readiness(self, stack: contextlib.AsyncExitStack, launch: Entrance, ground: Ground) -> Readiness:
        """How the gateway is asked whether it is ready. One that says so nowhere is taken for ready when it runs."""
        watch = Prober(self._clock, _READY_POLL_WITHIN_S, ground=ground)
        stack.push_async_callback(watch.aclose)

        async def ask() -> bool:
            url = launch.base_url + launch.ready_path
            return not launch.ready_path or await watch.answers(url, launch.ready_status)

        return Readiness(ask, launch.start_timeout_s)

    async def _stop_gateway(self, plane: GatewayPlane, child: Child) -> None:
        by_itself = not child.alive
        self.emit(GatewayLine(at_s=self._clock.now_s(), what="stopping"))
        await plane.end()
        await child.end()
        self.emit(GatewayLine(at_s=self._clock.now_s(), what="stopped"))
        if self._job.application is not None and not by_itself:
            self.emit(self._program_ended(child, asked=True))

    def _program_ended(self, child: Child, *, asked: bool) -> ProgramEnded:
        code = child.returncode or 0
        return ProgramEnded(
            at_s=self._clock.now_s(), code=code if code >= 0 else 128 - code, asked=asked, said=tuple(self._said)
        )

    def _write_log(self, line: bytes) -> None:
        text = self._redactor.clean(line.decode(errors="replace"))
        self._log.write(text)
        self._log.flush()
        if said := clean(text):
            self._said.append(said)

    async def _until_ready(self, readiness: Readiness, ended: asyncio.Event) -> None:
        until_s = self._clock.now_s() + readiness.within_s
        while self._clock.now_s() < until_s:
            if ended.is_set():
                raise UsageProblem(f"{self._job.gateway.name} ended at its start: {self._last_log_line()}")
            if await readiness.ask():
                return
            await asyncio.sleep(READY_POLL_S)
        what = f"{self._job.gateway.name} was not ready within {readiness.within_s:g} s: {self._last_log_line()}"
        raise UsageProblem(what)

    def _last_log_line(self) -> str:
        lines = (self._job.folder / GATEWAY_LOG).read_text(errors="replace").strip().splitlines()
        said = [line.strip() for line in lines if line.strip()]
        # A program's last line is often only that it ends; the error before it says why.
        errors = [line for line in said if _ERROR.match(line)]
        return (errors or said or ["it said nothing"])[-1][:500]

    async def _timeline(
        self, planes: Mapping[str, FaultPlane], driver: Driver, prover: Prover, losses: Sequence[asyncio.Event]
    ) -> None:
        start_s = self._clock.now_s() + _LEAD_S
        self.emit(TimelineStarted(at_s=start_s))
        load = asyncio.create_task(driver.drive(start_s, self._over))
        lost = asyncio.create_task(_any_of(losses))
        steps = asyncio.create_task(self._steps(planes, driver, prover, start_s))
        try:
            await asyncio.wait({steps, lost}, return_when=asyncio.FIRST_COMPLETED)
            if not lost.done():
                await steps
                self._say("waiting for the last answers")
                await asyncio.wait({load, lost}, return_when=asyncio.FIRST_COMPLETED)
            if load.done():
                await load
        finally:
            for task in (load, lost, steps):
                task.cancel()
            await asyncio.gather(load, lost, steps, return_exceptions=True)

    async def _steps(self, planes: Mapping[str, FaultPlane], driver: Driver, prover: Prover, start_s: float) -> None:
        faults = {fault.id: fault for fault in self._job.plan.faults}
        phases = {phase.name: phase for phase in self._job.plan.phases}
        early_s = 0.0
        for step in self._job.plan.steps:
            early_s += await self._wait(start_s + step.at_s - early_s, driver, prover)
            if driver.idle:
                break
            if step.action == "phase":
                started = PhaseStarted(phase=step.name, at_s=self._clock.now_s())
                self.emit(started)
                until = phases[step.name].until
                self._progress = None if until is None else Progress(until, started.at_s)
            elif step.action == "apply":
                fault = faults[step.name]
                prover.begins(fault)
                await planes[fault.plane].apply(fault)
                prover.began(fault, start_s + fault.end_s - early_s - self._clock.now_s())
            else:
                fault = faults[step.name]
                prover.ends(fault)
                await planes[fault.plane].clear(step.name)
                prover.ended(fault)
        await self._wait(start_s + self._job.plan.duration_s - early_s, driver, prover)
        self.emit(TimelineEnded(at_s=self._clock.now_s()))
        self._over.set()
        await asyncio.gather(prover.settled(), *(plane.settled() for plane in planes.values()))

    async def _wait(self, due_s: float, driver: Driver, prover: Prover) -> float:
        """Wait for a time of the plan, or for the condition that ends the phase; how much earlier that was."""
        progress = self._progress
        if progress is None or driver.idle:
            await driver.sleep_until(due_s)
            return 0.0
        while (left_s := due_s - self._clock.now_s()) > 0:
            self._news.clear()
            if progress.reached:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._news.wait()
        if left_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await prover.settled()
        return max(0.0, due_s - self._clock.now_s())


async def _any_of(events: Sequence[asyncio.Event]) -> None:
    """Return when one of these has happened."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


async def _run_until_signal(job: Job, observe: Observer, say: Say) -> None:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(_Run(job, observe, say).run())
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if stopped:
            return  # cleaning up already; a second Ctrl-C must not leave a fault behind
        stopped = True
        say("stopping: clearing faults and ending every process")
        work.cancel()

    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(sig, stop)
    await work


def run(job: Job, observe: Observer, say: Say) -> None:
    """Run a drill. The history is complete when this returns or raises.

    Raises `UsageProblem` when the gateway does not start, `RunInterrupted` when a signal stopped it.
    """
    (job.folder / SCENARIO_FILE).write_text(job.scenario.text, encoding="utf-8")
    asyncio.run(_run_until_signal(job, observe, say))
