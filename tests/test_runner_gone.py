"""A runner that is stopped or killed in the middle of a fault: within five seconds nobody meets the fault any more.

When it only falls silent (SIGSTOP) its planes and its gateway live, and answer as before. When it is gone (SIGKILL)
they go too: whoever has an address of theirs is refused at once, which is no fault, and what was there before the
drill, a leg of one's own or a Toxiproxy of one's own, answers as if there had never been a drill.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from drilling import descendants, gone, listened_on, listeners, start, until_line
from plane_harness import Caller, Upstream, mark, measured, until
from test_toxiproxy import ANSWER, BODY, foreign, proxies, server

from drills import providers, toxiproxy_install
from drills.marks import Shape

__all__ = ["foreign", "server"]
pytestmark = [
    pytest.mark.clock,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc says where the gateway's leg is"),
    pytest.mark.toxiproxy,
]
SCRIPTED = Path(__file__).parent / "calibration" / "scripted.yaml"
ENV = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
WITHIN_S = 5.0
SCENARIO = """
name: A fault that nobody ends
objective: Nothing is left of it.
load: {rate: 5/s, deadline: 3s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1s}
  - {phase: outage, for: 60s, faults: [FAULT]}
  - {phase: recovery, for: 1s}
expect:
  lost: {at_most: 1000, broken_streams: 1000}
"""
FAULTS = ["blackhole: {role: primary}", "wire_latency: {role: primary, latency: 60s}", "gateway_pause: {}"]
"""One of each plane, and each makes callers wait without end."""


@contextmanager
def drill_with(fault: str, folder: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A real drill in the middle of a fault."""
    (folder / "tmp").mkdir()
    (folder / "drill.yaml").write_text(SCENARIO.replace("FAULT", fault))
    (folder / "settings.json").write_text(json.dumps({"mode": "never", "truth_file": str(folder / "truth")}))
    words = ["run", "drill.yaml", "--gateway", SCRIPTED, "--config", "settings.json"]
    with start(*words, cwd=folder, env={**ENV, "TMPDIR": str(folder / "tmp"), **(env or {})}) as process:
        try:
            until_line(process, "is on (", 30)
            yield process
        finally:
            process.kill()


def address(runner: int, fault: str) -> int:
    """The port at which the fault is met: the gateway's own, or that of its first leg as the gateway knows it."""
    for pid in descendants(runner):
        text = Path(f"/proc/{pid}/environ").read_text()
        env = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
        if "DRILL_LEG_PRIMARY" in env:
            leg = int(env["DRILL_LEG_PRIMARY"].rpartition(":")[2])
            return int(env["DRILL_PORT"]) if fault.startswith("gateway") else leg
    raise AssertionError("the drill has no gateway")


def answered(port: int, within_s: float) -> bool:
    """Whether there is a whole answer of OpenAI's dialect on a new connection."""
    with Caller(providers.get("openai"), port, within_s) as caller:
        try:
            return caller.reading(mark()).shape is Shape.WHOLE
        except httpx.HTTPError:
            return False


class Waiting:
    """A caller who waits for an answer."""

    def __init__(self, port: int) -> None:
        self.ended = threading.Event()
        threading.Thread(target=self._ask, args=(port,), daemon=True).start()

    def _ask(self, port: int) -> None:
        answered(port, 60)
        self.ended.set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.partition(":")[0])
def test_a_runner_that_falls_silent(fault: str, server: str, tmp_path: Path) -> None:
    """SIGSTOP: within five seconds the leg, or the gateway, answers whole, on the address that it always had."""
    assert server
    with drill_with(fault, tmp_path) as runner:
        port = address(runner.pid, fault)
        assert not answered(port, 0.5)
        stopped_s = time.monotonic()
        runner.send_signal(signal.SIGSTOP)
        until(lambda: answered(port, 0.5), WITHIN_S)
        took_s = time.monotonic() - stopped_s
        measured(f"{fault}: answered whole {took_s:.2f} s after SIGSTOP of the runner")
        assert took_s < WITHIN_S
        found = descendants(runner.pid)
        runner.kill()
        assert gone(found, WITHIN_S) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.partition(":")[0])
def test_a_runner_that_is_killed(fault: str, server: str, tmp_path: Path) -> None:
    """SIGKILL: within five seconds who waited has an end, nothing runs or listens, and no private file is left."""
    assert server
    with drill_with(fault, tmp_path) as runner:
        port = address(runner.pid, fault)
        waiting = Waiting(port)
        assert not waiting.ended.wait(0.5)
        found = descendants(runner.pid)
        ports = listeners(found)
        programs = " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in found)
        assert ("toxiproxy-server" in programs) is fault.startswith("wire")
        assert len(found) >= 4
        assert any((tmp_path / "tmp").iterdir())
        killed_s = time.monotonic()
        runner.kill()
        assert waiting.ended.wait(WITHIN_S)
        ended_s = time.monotonic() - killed_s
        assert gone(found, WITHIN_S - ended_s) == set()
        measured(
            f"{fault}: SIGKILL of the runner; who waited had an end after {ended_s:.2f} s, nothing was left after "
            f"{time.monotonic() - killed_s:.2f} s"
        )
        assert time.monotonic() - killed_s < WITHIN_S
        assert listened_on(ports) == set()
        assert list((tmp_path / "tmp").iterdir()) == []
        began_s = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert time.monotonic() - began_s < 0.5
        with socket.create_server(("127.0.0.1", port)):
            pass  # whoever wants the address can have it


def test_a_toxiproxy_of_ones_own_is_as_it_was(foreign: str, tmp_path: Path) -> None:
    """SIGKILL with toxics on: one's own proxy answers all the time, the drill's are gone, and a new drill may begin."""
    mine = Upstream(ANSWER)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    proxy = {"name": "mine", "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{mine.port}"}
    assert httpx.post(f"{foreign}/proxies", json=proxy, trust_env=False).status_code == 201
    before = proxies(foreign)

    def quick() -> bool:
        return httpx.get(f"http://127.0.0.1:{port}", timeout=5, trust_env=False).content == BODY

    with drill_with(FAULTS[1], tmp_path, {"FAILOVER_DRILL_TOXIPROXY": foreign}) as runner:
        assert set(proxies(foreign)) - set(before) == {"failover-drill-primary", "failover-drill-in_use"}
        assert quick()
        found = descendants(runner.pid)
        killed_s = time.monotonic()
        runner.kill()
        until(lambda: proxies(foreign) == before, WITHIN_S)
        measured(f"one's own Toxiproxy was as before {time.monotonic() - killed_s:.2f} s after SIGKILL of the runner")
        assert quick()
        assert gone(found, WITHIN_S) == set()
    assert toxiproxy_install.find({"FAILOVER_DRILL_TOXIPROXY": foreign}) is not None
    mine.close()


PARENT = """
import asyncio, sys
from drills.clock import Clock
from drills.events import FaultPlan
from drills.legs import Leg
from drills.planes import MitmPlane, ToxiPlane, plane_legs
from faults.base import Connections
from faults.planes.control import PlaneSpec

async def main(plane, kind, settings, upstream, server):
    if plane == "toxi":
        found = await ToxiPlane.start(server, {"a": upstream}, Clock(), lambda event: None)
    else:
        leg = Leg(name="a", role="primary", provider="openai", vendor="openai", model="m", cloud="openai")
        clock = Clock()
        spec = PlaneSpec(origin_s=clock.origin_s, seed=1, legs=plane_legs((leg,), {"a": upstream}, {}))
        found = await MitmPlane.begin(spec, clock, lambda event: None)
    print(found.ports["a"], found._child.pid, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await found.apply(FaultPlan(id="f", kind=kind, legs=("a",), start_s=0, end_s=1, selector="", settings=settings,
                                connections=Connections.OPEN))
    print("on", flush=True)
    await asyncio.sleep(60)

asyncio.run(main(*eval(sys.argv[1])))
"""
HELD = [("mitm", "hang", {}), ("toxi", "wire_timeout", {"timeout": 60.0})]


@pytest.mark.parametrize(("plane", "kind", "settings"), HELD, ids=[row[0] for row in HELD])
def test_a_leg_of_ones_own_answers(plane: str, kind: str, settings: dict[str, float], server: str) -> None:
    """SIGKILL of a runner whose leg is no process of the drill's: it answers, and no request comes from nowhere."""
    leg = Upstream(ANSWER)
    words = repr((plane, kind, settings, leg.port, server))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        port, pid = map(int, runner.stdout.readline().split())
        url = f"http://127.0.0.1:{port}/v1/models"
        assert httpx.get(url, trust_env=False).content == BODY
        runner.stdin.write("\n")
        runner.stdin.flush()
        assert runner.stdout.readline() == "on\n"
        waiting = Waiting(port)
        assert not waiting.ended.wait(0.5)
        asked = len(leg.requests)
        assert asked == (1 if plane == "mitm" else 2)  # the wire lets requests through
        found = descendants(runner.pid) | {pid}
        killed_s = time.monotonic()
        runner.kill()
        assert waiting.ended.wait(WITHIN_S)
        assert gone(found, WITHIN_S) == set()
        assert time.monotonic() - killed_s < WITHIN_S
        assert len(leg.requests) == asked
        assert httpx.get(f"http://127.0.0.1:{leg.port}/v1/models", timeout=5, trust_env=False).content == BODY
        measured(f"{plane}: one's own leg answers {time.monotonic() - killed_s:.2f} s after SIGKILL of the runner")
    leg.close()
