"""A fault on the gateway is over when the gateway is ready again. What callers saw of it, in numbers and words."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from calibration.story import history, proof
from drilling import SAMPLES, drill, too_busy
from plane_harness import measured
from test_gateway_faults import ENV, SCENARIO, TRIES

from drills.clock import Clock
from drills.events import THE_GATEWAY, AnyEvent, FaultPlan, FaultProof, When
from drills.gatewayplane import GatewayPlane, Readiness
from drills.keeper import Keep
from drills.result import Result, Verdict
from drills.verdict import judge
from faults.base import Connections, Fault
from faults.gateway_kill import GatewayKill
from faults.gateway_pause import GatewayPause
from faults.gateway_restart import GatewayRestart
from reports.text import render

pytestmark = [pytest.mark.clock, pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked with waitid")]
STAYS = "import time; print('up', flush=True); time.sleep(60)"


def plan(fault: Fault) -> FaultPlan:
    """A fault of a plan."""
    return FaultPlan(
        id="f",
        kind=fault.kind,
        legs=(),
        start_s=0,
        end_s=1,
        selector="",
        settings=asdict(fault),
        connections=Connections.OPEN,
        plane="process",
    )


def proofs_after(
    fault: Fault, ask: Callable[[], Awaitable[bool]], folder: Path, *, within_s: float = 5.0, wait: bool = True
) -> list[FaultProof]:
    """Put a fault on a program and take it off; what then proves that the program is back."""
    events: list[AnyEvent] = []

    async def run() -> None:
        plane = GatewayPlane(Clock(), events.append)
        private = str(folder / "private")
        keep = Keep(argv=(sys.executable, "-c", STAYS), env={}, cwd=str(folder), private=private, files={})
        child = await plane.start("gateway", keep, Readiness(ask, within_s))
        child.listen(lambda _: None, lambda _: None)
        await plane.apply(plan(fault))
        await plane.clear("f")
        if not wait:
            await asyncio.sleep(0.1)
        else:
            await plane.settled()
        await plane.end()
        await child.end()

    asyncio.run(run())
    return [event for event in events if isinstance(event, FaultProof) and event.when is When.AFTER]


def after(seconds: float) -> Callable[[], Awaitable[bool]]:
    """A gateway that is ready so long after it was asked first."""
    first: list[float] = []

    async def ask() -> bool:
        first.append(time.monotonic())
        return first[-1] - first[0] >= seconds

    return ask


FAULTS = [
    (GatewayKill(), "was started, and the gateway was ready"),
    (GatewayPause(), "goes on (SIGCONT), and the gateway was ready"),
    (GatewayRestart(), "was started, and the gateway was ready"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=lambda part: getattr(part, "kind", ""))
def test_it_is_back_when_it_is_ready(fault: Fault, words: str, tmp_path: Path) -> None:
    """The proof comes with the first answer that it is ready, and says how long that took."""
    [found] = proofs_after(fault, after(0.3), tmp_path)
    assert found.proved
    assert words in found.saw
    assert 0.3 <= found.done_s - found.sent_s < 2


async def never() -> bool:
    """A gateway that is not ready."""
    return False


@pytest.mark.parametrize(
    ("wait", "within_s"), [(True, 0.3), (False, 60.0)], ids=["in its time", "until the drill ends"]
)
def test_it_is_not_back_when_it_is_not_ready(wait: bool, within_s: float, tmp_path: Path) -> None:
    """A process that was started is no proof of a gateway."""
    [found] = proofs_after(GatewayKill(), never, tmp_path, within_s=within_s, wait=wait)
    assert not found.proved
    assert "was started, and the gateway was not ready within 0." in found.saw


# --- in numbers and words --------------------------------------------------------------------------------------------


def on_the_gateway(story: str, fault: str) -> Result:
    """The result of a story in which one of the faults is on the gateway itself."""
    head, *rest = (e for e in history(story) if not (isinstance(e, FaultProof) and e.fault == fault))
    plans = [
        msgspec.structs.replace(plan, legs=(), plane="process") if plan.id == fault else plan for plan in head.faults
    ]
    seen = [msgspec.structs.replace(proof(fault, THE_GATEWAY, when, 1.3), saw=f"process {when}") for when in When]
    return judge((msgspec.structs.replace(head, faults=tuple(plans)), *rest, *seen), "story")


def test_a_gateway_that_forgets_tries_the_sick_leg_again() -> None:
    """The primary is down from 1.25 on and left alone; the gateway restarts at 1.55, and two callers more try it.

    The second of them was due at 1.7 and tried the primary 10 ms later, 0.16 s after the restart; each paid 20 ms.
    """
    [_, found] = on_the_gateway("ppp[xxs{xdd" + "s" * 12 + "}]spp", "f2").switchovers
    assert found.fault == "f2"
    assert found.avoidance_s == pytest.approx(1.81 - 1.55)
    assert found.detour_p50_s == pytest.approx(0.02)


def test_a_gateway_that_remembers_leaves_the_sick_leg_alone() -> None:
    """No request of after the restart went to the primary: there is nothing that it had to learn again."""
    [_, found] = on_the_gateway("ppp[xxs{zzz" + "s" * 12 + "}]spp", "f2").switchovers
    assert (found.avoidance_s, found.detour_p50_s) == (None, None)
    assert found.reasons["avoidance_s"].startswith("no attempt on the faulted legs was seen")


def test_the_words_of_a_fault_on_the_gateway() -> None:
    """It has no other leg, and is no switchover; the report says when the gateway was ready again."""
    text = "\n".join(line.text for line in render(on_the_gateway("ppp[xxsss]spp", "f1"), "."))
    assert "gateway fault f1: primary before, standby after" in text
    assert "  first good answer            0.31 s" in text
    assert "  gateway ready again after    0.01 s" in text
    assert "another leg" not in text
    assert "switchover" not in text
    assert "left alone" not in text
    text = "\n".join(line.text for line in render(on_the_gateway("ppp[xxs{xdd" + "s" * 12 + "}]spp", "f2"), "."))
    assert "switchover f1: primary -> standby" in text
    assert "  other faults' legs left alone after  0.26 s" in text


# --- the whole tool --------------------------------------------------------------------------------------------------


LAUNCHER = """
import json, os, time
json.dump({key: value for key, value in os.environ.items() if key.startswith("DRILL_")}, open("half", "w"))
os.rename("half", "environment")
time.sleep(600)
"""
DESCRIPTION = """
name: launcher
command: [python, launcher.py]
legs:
  - {name: primary, provider: openai, model: gpt-4o, cloud: openai}
"""


class Elsewhere:
    """A gateway that runs elsewhere: the process that the drill starts only says where its legs are."""

    def __init__(self, folder: Path) -> None:
        (folder / "launcher.py").write_text(LAUNCHER)
        (folder / "launcher.yaml").write_text(DESCRIPTION)
        (folder / "settings.json").write_text(json.dumps({"mode": "never", "truth_file": str(folder / "truth")}))
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        told = self._folder / "environment"
        while not self._over.wait(0.05):
            if told.exists():
                scripted = Path(__file__).parent / "calibration" / "scripted.py"
                env = {**os.environ, **json.loads(told.read_text())}
                with subprocess.Popen([sys.executable, scripted, self._folder / "settings.json"], env=env) as gateway:
                    self._over.wait()
                    gateway.kill()

    def close(self) -> None:
        """End it."""
        self._over.set()
        self._thread.join()


def test_a_pause_that_touches_no_request_is_invalid(tmp_path: Path) -> None:
    """The process stops, as the kernel says; the gateway, which is another one, answers everybody all the time."""
    (tmp_path / "pause.yaml").write_text(SCENARIO.replace("FAULT", "gateway_pause"))
    elsewhere = Elsewhere(tmp_path)
    try:
        ran = drill("run", "pause.yaml", "--gateway", "launcher.yaml", cwd=tmp_path, env=ENV)
    finally:
        elsewhere.close()
    result = ran.result
    assert (ran.code, result.verdict) == (3, Verdict.INVALID), ran.err
    [found] = result.faults
    assert found.touched_requests == 0
    assert found.proof[0].during_saw.endswith("is stopped (SIGSTOP)")
    assert result.requests.ok == result.requests.due
    [part] = [part for part in result.checks if part.name == "faults reached requests"]
    assert part.verdict is Verdict.INVALID
    assert "trouble-gateway_pause: 0 requests" in part.observed


LITELLM = """
name: What can happen to the gateway itself
objective: It is ready again after each of them.
load: {rate: 5/s, deadline: 10s, slow: 4s}
timeline:
  - {phase: steady, for: 2s}
  - {phase: frozen, for: 2s, faults: [gateway_pause: {}]}
  - {phase: thawed, for: 20s, until: {answered: {role: primary, requests: 15}}}
  - {phase: crashed, for: 1s, faults: [gateway_kill: {}]}
  - {phase: started, for: 60s, until: {answered: {role: primary, requests: 5}}}
  - {phase: deployed, for: 60s, until: {answered: {role: primary, requests: 5}}, faults: [gateway_restart: {}]}
  - {phase: recovery, for: 1s}
expect:
  lost: {at_most: 1000, broken_streams: 1000}
"""


@pytest.mark.gateway
@pytest.mark.timeout(600)
def test_litellm_is_ready_again(tmp_path: Path) -> None:
    """Paused it goes on at once; killed or restarted it is ready only after its start, which the report tells."""
    (tmp_path / "itself.yaml").write_text(LITELLM)
    for _ in range(TRIES):
        ran = drill("run", "itself.yaml", "--config", SAMPLES / "cross-cloud.yaml", cwd=tmp_path)
        if not too_busy(ran.result):
            break
    assert ran.code == 0, (ran.result.reasons, ran.err)
    took_s: dict[str, Any] = {fault.kind: fault.proof[0].restored_s for fault in ran.result.faults}
    measured(f"LiteLLM was ready again, in seconds: { {kind: round(value, 2) for kind, value in took_s.items()} }")
    assert took_s["gateway_pause"] < 2
    assert took_s["gateway_kill"] > 2
    assert took_s["gateway_restart"] > 2
    assert all(fault.touched_requests > 0 for fault in ran.result.faults)
    for line in ("gateway fault crashed-gateway_kill: ", "gateway ready again after", "first good answer  "):
        assert line in ran.out
    assert "another leg" not in ran.out
