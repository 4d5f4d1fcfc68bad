"""Faults that flap as a whole, on real sockets and processes: what callers see on both sides of an edge."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from drilling import alive, drill, gone, too_busy
from plane_harness import Bench, PlaneProcess, Streamed, bench, mark, measured, until
from test_gateway_faults import ENV, SCRIPTED, stopped
from test_proofs import plan as fault_plan
from test_proofs import probes
from test_toxiproxy import Toxi, client, line, new, server, timed

from drills.address import Address, Reach
from drills.clock import Clock
from drills.events import (
    AnyEvent,
    ConnectHung,
    FaultCleared,
    FaultEffective,
    FaultPlan,
    FaultProof,
    FaultSwitched,
    PlaneTrouble,
    When,
)
from drills.gatewayplane import GatewayPlane, Readiness
from drills.keeper import Keep
from drills.legs import Leg
from drills.marks import Shape as Whole
from drills.proofs import Prover, Timing
from drills.result import Result, Verdict
from faults.base import Fault
from faults.blackhole import Blackhole
from faults.gateway_kill import GatewayKill
from faults.gateway_pause import GatewayPause
from faults.planes.control import LEASE_S, Apply
from faults.refuse import Refuse
from faults.shapes import Shape, Square

pytestmark = pytest.mark.clock

__all__ = ["line", "server"]
SECOND = Square(period_s=1.0)
"""Half a second on, half a second off."""
FLAPPING = Shape(square=SECOND)

# --- ports, on the real plane ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def legs() -> Iterator[Bench]:
    """A leg behind a plane."""
    with bench({"a": "openai"}) as found:
        yield found
        assert found.plane.troubles == []


def put_on(
    plane: PlaneProcess, fault: str, kind: str, square: Square = SECOND, settings: dict[str, Any] | None = None
) -> FaultEffective:
    """A flapping fault on leg `a`."""
    plane.send(Apply(fault=fault, kind=kind, settings=settings or {}, legs=("a",), shape=Shape(square=square)))
    return plane.effective(fault)


def edges_of(plane: PlaneProcess, fault: str) -> list[FaultSwitched]:
    """The edges so far."""
    return plane.all(FaultSwitched, lambda event: event.fault == fault)


def nth(plane: PlaneProcess, fault: str, number: int) -> FaultSwitched:
    """An edge, as soon as it is there."""
    until(lambda: len(edges_of(plane, fault)) >= number)
    return edges_of(plane, fault)[number - 1]


def test_a_port_that_flaps(legs: Bench) -> None:
    """Refused, answered, refused, answered: new connections and a pooled one, at the times of the square."""
    plane = legs.plane
    with legs.caller("a") as pooled, legs.caller("a") as fresh:
        assert pooled.reading(mark()).shape is Whole.WHOLE
        effective = put_on(plane, "port", "refuse")
        for number in (1, 3):
            for caller in (pooled, fresh):
                with pytest.raises(httpx.ConnectError):
                    caller.ask(mark())
            off = nth(plane, "port", number)
            assert not off.on
            for caller in (pooled, fresh):
                assert caller.reading(mark()).shape is Whole.WHOLE
            again = nth(plane, "port", number + 1)
            assert (again.on, again.cut) == (True, 2)
        plane.clear("port")
        assert pooled.reading(mark()).shape is Whole.WHOLE
    late_ms = [(e.at_s - effective.at_s - (n + 1) / 2) * 1000 for n, e in enumerate(edges_of(plane, "port"))]
    widest_ms = max((e.at_s - e.began_s) * 1000 for e in edges_of(plane, "port"))
    measured(f"edges of a flapping port: late by at most {max(late_ms):.1f} ms, {widest_ms:.2f} ms wide")
    assert len(late_ms) == 4
    assert all(-5 < late < 200 for late in late_ms)
    time.sleep(0.6)
    assert len(edges_of(plane, "port")) == 4


def test_an_open_connection_meets_each_beginning(legs: Bench) -> None:
    """One that was made while the port was open is reset when it closes again."""
    put_on(legs.plane, "again", "refuse")
    nth(legs.plane, "again", 1)
    with socket.create_connection(("127.0.0.1", legs.plane.ports["a"]), timeout=5) as sock:
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert nth(legs.plane, "again", 2).on
    legs.plane.clear("again")


def test_a_network_that_flaps(legs: Bench) -> None:
    """Silence on a pooled connection, and its answer when packets get through; connects hang while it is on, only."""
    plane = legs.plane
    with legs.caller("a") as pooled:
        assert pooled.reading(mark()).shape is Whole.WHOLE
        put_on(plane, "net", "blackhole")
        asked: Streamed = pooled.begin(mark(), stream=False)
        hanging = socket.socket()
        hanging.setblocking(False)
        assert hanging.connect_ex(("127.0.0.1", plane.ports["a"])) == errno.EINPROGRESS
        assert not asked.ended.wait(0.3)
        nth(plane, "net", 1)
        assert asked.ended.wait(0.45)
        assert asked.error is None
        with socket.create_connection(("127.0.0.1", plane.ports["a"]), timeout=0.4):
            pass  # at once: no SYN was lost
        assert (again := nth(plane, "net", 2)).on
        assert again.held == 1
        plane.clear("net")
        hanging.close()
    hung = plane.all(ConnectHung, lambda event: event.faults == ("net",))
    assert [event.port for event in hung]
    assert all(event.seen_s < plane.effective("net").at_s + 0.7 or event.seen_s >= again.began_s for event in hung)


@pytest.mark.parametrize("when", ["on", "off"])
def test_the_lease_of_a_fault_that_flaps(when: str) -> None:
    """The runner falls silent: the fault is dropped, whether it is on then or off, and does not come back."""
    with bench({"a": "openai"}) as found:
        put_on(found.plane, "f", "refuse", Square(period_s=100.0, on=0.01) if when == "off" else SECOND)
        found.plane.beating.clear()
        silent_s = time.monotonic()
        cleared = found.plane.cleared("f", 10)
        assert cleared.why == "the runner fell silent"
        assert LEASE_S - 0.5 < cleared.at_s - silent_s < 5
        edges = len(edges_of(found.plane, "f"))
        time.sleep(1.1)
        assert len(edges_of(found.plane, "f")) == edges
        with found.caller("a") as caller:
            assert caller.reading(mark()).shape is Whole.WHOLE
        assert found.plane.troubles == []


def flapping_plan(fault: Fault, square: Square = SECOND) -> FaultPlan:
    """A fault of a plan that flaps."""
    plan = fault_plan(fault, ["a"] if fault.plane != "process" else [])
    return msgspec.structs.replace(plan, shape=Shape(square=square), plane=fault.plane, sees_requests=False)


def proved(legs: Bench, fault: FaultPlan, left_s: float) -> list[FaultProof]:
    """What probes of a leg find out about a fault that ends after some time."""
    found: list[FaultProof] = []
    leg = Leg(name="a", role=None, provider="openai", vendor="", model="gpt-4o", cloud="")
    reach = Reach(addresses={"a": Address(legs.plane.ports["a"])})

    async def run() -> None:
        prover = Prover([leg], reach, Clock(), found.append, "0123456789", Timing(12, 200.0))
        prover.healthy([fault], probes("a"))
        prover.began(fault, left_s)
        await prover.settled()
        await prover.aclose()

    asyncio.run(run())
    return [proof for proof in found if proof.when is When.DURING]


@pytest.mark.parametrize("fault", [Refuse(), Blackhole()], ids=repr)
def test_a_probe_comes_and_goes_while_it_is_on(legs: Bench, fault: Fault) -> None:
    """The first half second is enough."""
    effective = put_on(legs.plane, f"p-{fault.kind}", fault.kind)
    [proof] = proved(legs, flapping_plan(fault), 3.0)
    assert proof.proved
    legs.plane.clear(f"p-{fault.kind}")
    edges = edges_of(legs.plane, f"p-{fault.kind}")
    assert time.monotonic() > effective.at_s
    assert not edges or proof.done_s - proof.sent_s < 0.5


def test_a_second_probe_waits_for_the_next_time(legs: Bench) -> None:
    """Too little is left of the first half second after a probe that something else held up."""
    with legs.plane.fault("hang", "a"):
        first, second = proved(legs, flapping_plan(Refuse()), 3.0)
        assert first.done_s - first.sent_s == pytest.approx(0.4, abs=0.1)
        assert second.sent_s - first.sent_s == pytest.approx(1.0, abs=0.15)
        # The fault ends before it is on again: nothing more can be found out.
        assert len(proved(legs, flapping_plan(Refuse()), 0.9)) == 1


# --- lines, with the real Toxiproxy ----------------------------------------------------------------------------------


@pytest.mark.toxiproxy
def test_a_line_that_flaps(line: Toxi) -> None:
    """Down and up in turn: the connection that was open ends, new ones are refused, and then all is well."""
    with client(line) as pooled:
        put_on(line, "down", "wire_down")
        for number in (1, 3):
            for http in (pooled, new(line)):
                with pytest.raises(httpx.ConnectError):
                    http.get("/")
            assert not nth(line, "down", number).on
            assert timed(pooled) < 0.4
            again = nth(line, "down", number + 1)
            assert (again.on, again.cut) == (True, 1)
        line.clear("down")
        assert timed(pooled) < 0.4
    widest_ms = max((edge.at_s - edge.began_s) * 1000 for edge in edges_of(line, "down"))
    late_ms = max(
        (edge.at_s - line.effective("down").at_s - (number + 1) / 2) * 1000
        for number, edge in enumerate(edges_of(line, "down"))
    )
    measured(f"edges of a flapping line: late by at most {late_ms:.1f} ms, {widest_ms:.1f} ms wide")
    assert late_ms < 200


@pytest.mark.toxiproxy
def test_a_long_line_now_and_then(line: Toxi) -> None:
    """Each answer of one pooled connection is late while the toxic is on, and quick while it is off."""
    with client(line) as pooled:
        put_on(line, "late", "wire_latency", settings={"latency": 0.2})
        assert timed(pooled) >= 0.2
        nth(line, "late", 1)
        assert timed(pooled) < 0.15
        nth(line, "late", 2)
        assert timed(pooled) >= 0.2
        line.clear("late")
        assert timed(pooled) < 0.15


# --- the gateway itself ----------------------------------------------------------------------------------------------

PROGRAM = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n"


@dataclass
class Gatewayed:
    """What a flapping fault did to a program: the events, its process ids, and whether it ran at each edge."""

    events: list[AnyEvent] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    ran: list[bool] = field(default_factory=list)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self) -> bool:
        """Whether the last program that said its process id runs."""
        pids = {self.pids[-1]}
        return alive(pids) == pids and not stopped(pids)

    def emit(self, event: AnyEvent) -> None:
        """Note an event, and how the program is then."""
        self.events.append(event)
        if isinstance(event, FaultEffective | FaultSwitched):
            self.ran.append(self.running)

    def hear(self, line: bytes) -> None:
        """The program says its process id."""
        self.pids.append(int(line))
        self.up.set()


def on_a_program(folder: Path, fault: Fault, clear_after_s: float) -> Gatewayed:
    """Let a fault flap on a program, and clear it after some time."""
    found = Gatewayed()

    async def ready() -> bool:
        return found.running

    async def run() -> None:
        plane = GatewayPlane(Clock(), found.emit)
        argv = (sys.executable, "-c", PROGRAM)
        keep = Keep(argv=argv, env={}, cwd=str(folder), private=str(folder / "private"), files={})
        child = await plane.start("program", keep, Readiness(ready, 5.0))
        child.listen(found.hear, lambda _: None)
        async with asyncio.timeout(10):
            await found.up.wait()
        await plane.apply(flapping_plan(fault))
        await asyncio.sleep(clear_after_s)
        await plane.clear("f")
        await asyncio.sleep(0.6)
        assert found.running
        await plane.end()
        await child.end()

    asyncio.run(run())
    assert gone(set(found.pids), 5) == set()
    return found


PROGRAMS: list[tuple[Fault, float, str, int]] = [
    # Cleared while it is on, and while it is off; a program that is killed is another one each time.
    (GatewayPause(), 1.25, "+-+", 1),
    (GatewayPause(), 1.75, "+-+-", 1),
    (GatewayKill(), 1.25, "+-+", 3),
    (GatewayKill(), 1.75, "+-+-", 3),
]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says whether a process is stopped")
@pytest.mark.parametrize(("fault", "clear_after_s", "edges", "programs"), PROGRAMS, ids=str)
def test_a_gateway_that_flaps(fault: Fault, clear_after_s: float, edges: str, programs: int, tmp_path: Path) -> None:
    """It does not run at each beginning, and runs after the end, by its keeper's word; each proof is there once."""
    found = on_a_program(tmp_path, fault, clear_after_s)
    assert len(set(found.pids)) == programs
    [effective] = [e for e in found.events if isinstance(e, FaultEffective)]
    [cleared] = [e for e in found.events if isinstance(e, FaultCleared)]
    switched = [e for e in found.events if isinstance(e, FaultSwitched)]
    assert "+" + "".join("+" if e.on else "-" for e in switched) == edges
    assert not any(ran for ran, edge in zip(found.ran, edges, strict=True) if edge == "+")
    if isinstance(fault, GatewayPause):  # one that is started anew has not said its process id at the edge
        assert found.ran == [edge == "-" for edge in edges]
    for number, one in enumerate(switched):
        assert one.at_s - effective.at_s == pytest.approx((number + 1) / 2, abs=0.2)
        assert one.began_s <= one.at_s <= cleared.at_s
    proofs = [e for e in found.events if isinstance(e, FaultProof)]
    assert [(p.when, p.proved) for p in proofs] == [(When.DURING, True), (When.AFTER, True)]
    assert not any(isinstance(e, PlaneTrouble) for e in found.events)


RUNNER = """
import asyncio, sys
import msgspec
from drills.clock import Clock
from drills.events import FaultPlan
from drills.gatewayplane import GatewayPlane, Readiness
from drills.keeper import Keep

async def ready():
    return True

async def main():
    plane = GatewayPlane(Clock(), lambda event: print(type(event).__name__, flush=True))
    keep, fault = msgspec.json.decode(sys.argv[1], type=Keep), msgspec.json.decode(sys.argv[2], type=FaultPlan)
    child = await plane.start("program", keep, Readiness(ready, 5.0))
    child.listen(lambda line: print(line.decode().strip(), flush=True), print)
    await asyncio.sleep(0.5)
    await plane.apply(fault)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says whether a process is stopped")
def test_the_lease_of_a_gateway_that_flaps(tmp_path: Path) -> None:
    """The runner stops while the program is dead: within 5 s it runs again. Killed, the runner takes all along."""
    keep = Keep(argv=(sys.executable, "-c", PROGRAM), env={}, cwd=str(tmp_path), private=str(tmp_path / "p"), files={})
    plan = flapping_plan(GatewayKill(), Square(period_s=2.0))
    words = [msgspec.json.encode(one).decode() for one in (keep, plan)]
    with subprocess.Popen([sys.executable, "-c", RUNNER, *words], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        said: list[str] = []
        while said.count("FaultSwitched") < 2:  # off, and on again: it is dead now
            said.append(runner.stdout.readline().strip())
        runner.send_signal(signal.SIGSTOP)
        silent_s = time.monotonic()
        before = {int(word) for word in said if word.isdigit()}
        assert alive(before) == set()
        [keeper] = [int(word) for word in Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()]
        children = Path(f"/proc/{keeper}/task/{keeper}/children")
        until(lambda: children.read_text().split(), 6)
        assert LEASE_S - 0.7 < time.monotonic() - silent_s < 5
        measured(f"a gateway that was dead ran again {time.monotonic() - silent_s:.2f} s after the runner's last word")
        pids = {keeper, *map(int, children.read_text().split())}
        runner.send_signal(signal.SIGKILL)
        assert gone(pids, 5) == set()


# --- the whole tool --------------------------------------------------------------------------------------------------

SCENARIO = """
name: Flapping
objective: Callers know what a flapping fault costs.
load: {rate: 20/s, deadline: 5s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1s}
  - {phase: trouble, for: 3s, faults: [FAULT]}
  - {phase: recovery, for: 1s}
expect:
  lost: {at_most: 1000, broken_streams: 0}
"""
TRIES = 3


def result_of(fault: str, folder: Path) -> Result:
    """The result of a run of the scripted gateway, repeated while the machine is too busy for it."""
    (folder / "flapping.yaml").write_text(SCENARIO.replace("FAULT", fault))
    (folder / "settings.json").write_text(json.dumps({"mode": "never", "truth_file": str(folder / "truth")}))
    words = ["run", "flapping.yaml", "--gateway", SCRIPTED, "--config", "settings.json"]
    for _ in range(TRIES):
        ran = drill(*words, cwd=folder, env=ENV)
        if not too_busy(ran.result):
            break
    assert ran.result.verdict is Verdict.PASS, (ran.result.reasons, ran.out, ran.err)
    return ran.result


@pytest.mark.skipif(sys.platform != "linux", reason="blackhole and process states need Linux")
@pytest.mark.parametrize(
    ("fault", "square"),
    [("refuse: {role: primary, SQUARE}", "square: {period: 1s}"), ("gateway_pause: {SQUARE}", "square: {period: 1s}")],
)
def test_a_drill_with_a_fault_that_flaps(fault: str, square: str, tmp_path: Path) -> None:
    """Proved, touched in the halves in which it was on, answered in the others, and well again at the end."""
    result = result_of(fault.replace("SQUARE", square), tmp_path)
    [found] = result.faults
    assert found.switched in {4, 5}  # the sixth edge and the end of the phase come together
    assert found.shape == "square: 1s, on 50%"
    assert 15 <= found.touched_requests <= 45
    assert result.phases[1].ok > 10
    assert found.cleared_s is not None
    assert found.effective_s is not None
    assert found.cleared_s - found.effective_s == pytest.approx(3.0, abs=0.3)
    report = next((tmp_path / "drill-results").glob("*/report.md")).read_text()
    assert f"square: 1s, on 50%; switched {found.switched} times" in report
    measured(f"{found.kind}: {found.touched_requests} of {result.phases[1].due} touched, {found.switched} edges")
