"""One run of a drill: starts everything, keeps to the plan, writes the history, and leaves nothing behind.

The only module that brings sockets, processes and the clock together. What it does is data in the history; what it
means is decided elsewhere, from the history alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import secrets
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from drills import __version__
from drills.address import Address
from drills.build import BUILD, build
from drills.children import Child, ChildLostError
from drills.client import Prober
from drills.clock import Clock
from drills.driving import Drive, Driver, Load, OwnCalls, Surface
from drills.events import (
    SCHEMA,
    AnyEvent,
    PlaneTrouble,
    Probe,
    RunEnded,
    RunStarted,
)
from drills.gateways.base import Entrance
from drills.ground import Ground
from drills.history import HISTORY_FILE, HistoryWriter
from drills.job import Job
from drills.legs import Leg
from drills.planes import FaultPlane, MitmPlane, ToxiPlane, plane_legs, shared_hosts
from drills.ports import lasting_port
from drills.preflight import PAIRS, PROBE_WITHIN_S, ROUNDS, YARDSTICK, Checkup
from drills.proofs import Prover, Timing, new_secret
from drills.redactor import Redactor
from drills.routing.base import Scene, Way
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec
from drills.timeline import Cast, PhaseEnd, Timeline
from drills.undertest import GatewayLog, UnderTest
from faults.planes.control import PlaneSpec

SCENARIO_FILE = "scenario.yaml"
_SIMULATOR_WITHIN_S = 20.0

Observer = Callable[[AnyEvent], None]
Say = Callable[[str], None]


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
        self._log = GatewayLog(job.folder, self._redactor)
        self._work: asyncio.Task[None] | None = None
        self._stopped = ""
        self._phase_end = PhaseEnd(inferred=job.application is not None)
        self._driver: Driver | None = None

    def emit(self, event: AnyEvent) -> None:
        """Write an event down and show it. A history that cannot be written ends the run: it would prove nothing."""
        try:
            self._history.add(event)
        except OSError as error:
            self._stopped = f"the history cannot be written: {error.strerror}"
            if self._work is not None:
                self._work.cancel()
            return
        self._phase_end.take(event)
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
            scenario_id=job.scenario.identity,
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
        surface = Surface(clock, self.emit, ground)
        gateway = UnderTest(job, surface, self._log, self._say)
        if any(fault.plane == "process" for fault in job.plan.faults):
            planes["process"] = gateway.plane
        entrance = await stack.enter_async_context(way.open(ports))
        self._redactor.learn(entrance.secrets)
        await gateway.start(stack, entrance, scene.private)
        driver = self._driver = self._make_driver(entrance, surface)
        stack.push_async_callback(driver.aclose)
        reach = way.reach(ports)
        prober = Prober(clock, PROBE_WITHIN_S, reach.authority, reach.ground)
        stack.push_async_callback(prober.aclose)
        self._say(
            f"checking that every leg and {'the gateway' if job.application is None else 'the application'} are well"
        )
        probes: list[Probe] = []

        def keep(probe: Probe) -> None:
            probes.append(probe)
            self.emit(probe)

        of_identity = {leg for fault in job.plan.faults if fault.of_identity for leg in fault.legs}
        checkup = Checkup(
            prober=prober,
            simulated=simulated,
            real=[leg for leg in job.found.legs if leg.name in real],
            signed_in=[leg for leg in job.found.legs if leg.name in of_identity],
            direct={name: Address(port) for name, port in direct.items()},
            reach=reach,
            streams=job.scenario.load.streaming > 0,
        )
        await checkup.make(keep, pairs=PAIRS, rounds=ROUNDS)
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
        cast = Cast(planes, driver, prover, losses)
        await Timeline(job.plan, cast, self._phase_end, clock, self.emit).play(self._say)
        if not any(lost.is_set() for lost in losses):
            await checkup.make(self.emit, pairs=1, rounds=1)

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

    def _make_driver(self, entrance: Entrance, surface: Surface) -> Driver:
        """Who makes the requests."""
        job = self._job
        if job.application is not None:
            return OwnCalls(job.application, job.gateway.name, job.plan, surface)
        what = Drive(job.scenario, job.plan, job.found.entry_model, job.upstreams)
        return Load(what, entrance, surface)


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
