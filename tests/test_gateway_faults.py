"""Faults on the gateway itself: its keeper carries them out, and nothing of it stays behind, paused or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import pytest
from drilling import alive, descendants, drill, gone, start, too_busy, until_line
from plane_harness import measured, until

from drills.keeper import Beat, Did, Do, Keep
from drills.result import Result
from faults.base import Deed
from faults.planes.control import LEASE_S

pytestmark = [
    pytest.mark.clock,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc says whether a process is stopped"),
]
SCRIPTED = Path(__file__).parent / "calibration" / "scripted.yaml"
TRIES = 3
ENV = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

FAMILY = """
import os, time
if os.fork() == 0 and os.fork() == 0:
    os.setsid()
    time.sleep(0.1)
print(os.getpid(), flush=True)
time.sleep(60)
"""
"""A program with a child of its own in its group, and a child of that in a session of its own."""


class Kept:
    """A keeper that takes orders, and the program that it keeps."""

    def __init__(self, folder: Path, code: str, env: dict[str, str] | None = None) -> None:
        reading, writing = os.pipe()
        self.reports: IO[bytes] = os.fdopen(reading, "rb", buffering=0)
        self.keeper = subprocess.Popen(
            [sys.executable, "-P", "-m", "drills.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=(writing,),
        )
        os.close(writing)
        self.numbers = 0
        private = str(folder / "private")
        argv = (sys.executable, "-c", code)
        self.send(Keep(argv=argv, env=env or {}, cwd=str(folder), private=private, files={}, report_fd=writing))

    def send(self, message: msgspec.Struct) -> None:
        """Send one line."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.write(msgspec.json.encode(message) + b"\n")
        self.keeper.stdin.flush()

    def do(self, deed: Deed) -> Did:
        """Give an order and wait for its report."""
        self.numbers += 1
        asked_s = time.monotonic()
        self.send(Do(number=self.numbers, deed=deed))
        did = self.report()
        assert did.number == self.numbers
        assert asked_s <= did.began_s <= did.at_s <= time.monotonic()
        return did

    def report(self) -> Did:
        """The next report."""
        return msgspec.json.decode(self.reports.readline(), type=Did)

    def pids(self, count: int) -> set[int]:
        """Process ids that the program says."""
        assert self.keeper.stdout is not None
        return {int(self.keeper.stdout.readline()) for _ in range(count)}

    def close(self) -> None:
        """Close its input, and wait for it to go."""
        for pipe in (self.keeper.stdin, self.keeper.stdout, self.reports):
            assert pipe is not None
            pipe.close()
        self.keeper.wait()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """A keeper of a program with a child."""
    found = Kept(tmp_path, FAMILY)
    yield found
    found.close()


def stopped(pids: set[int]) -> bool:
    """Whether all of these processes are stopped."""
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids}
    return states == {"T"}


def test_a_whole_group_pauses_and_goes_on(kept: Kept) -> None:
    """The program and its child, when the keeper says so."""
    pids = kept.pids(3)
    assert kept.do(Deed.PAUSE).error == ""
    until(lambda: stopped(pids))
    assert kept.do(Deed.RESUME).error == ""
    until(lambda: not stopped(pids))
    assert alive(pids) == pids


def test_a_whole_group_is_killed_and_started_again(kept: Kept) -> None:
    """Our own kill is no end of the program: the keeper stays, and starts the same command again."""
    pids = kept.pids(3)
    assert kept.do(Deed.KILL).error == ""
    assert gone(pids, 2) == set()
    assert kept.do(Deed.KILL).error == "it does not run"
    assert kept.do(Deed.START).error == ""
    again = kept.pids(3)
    assert not again & pids
    assert kept.do(Deed.START).error == "it runs already"
    assert kept.do(Deed.STOP).error == ""
    assert gone(again, 2) == set()
    assert kept.keeper.poll() is None


@pytest.mark.parametrize("deeds", [[Deed.PAUSE], [Deed.KILL], [Deed.STOP], [Deed.KILL, Deed.START, Deed.PAUSE]])
def test_the_end_of_input_ends_it_in_every_state(deeds: list[Deed], kept: Kept, tmp_path: Path) -> None:
    """Paused, killed, stopped, started again and paused: nothing is left, and soon."""
    pids = kept.pids(3)
    for deed in deeds:
        assert kept.do(deed).error == ""
    if Deed.START in deeds:
        pids |= kept.pids(3)
    assert kept.keeper.stdin is not None
    kept.keeper.stdin.close()
    began_s = time.monotonic()
    kept.keeper.wait(5)
    assert time.monotonic() - began_s < 2
    assert gone(pids, 2) == set()
    assert not (tmp_path / "private").exists()


def test_a_program_that_ends_by_itself_ends_the_keeper(kept: Kept) -> None:
    """Also after it was started again by us."""
    kept.pids(3)
    kept.do(Deed.KILL)
    kept.do(Deed.START)
    for pid in kept.pids(3):
        os.kill(pid, signal.SIGKILL)
    assert kept.keeper.wait(5) == 128 + signal.SIGKILL


@pytest.mark.parametrize(("deed", "count"), [(Deed.PAUSE, 0), (Deed.KILL, 3)])
def test_the_lease(deed: Deed, count: int, kept: Kept) -> None:
    """A runner that falls silent: within 5 seconds the program runs again."""
    pids = kept.pids(3)
    for _ in range(3):
        kept.send(Beat())
    assert kept.do(deed).error == ""
    silent_s = time.monotonic()
    assert kept.report().number == 0
    assert LEASE_S - 0.5 < time.monotonic() - silent_s < 5
    pids = kept.pids(count) if count else pids
    until(lambda: not stopped(pids))
    assert alive(pids) == pids


# --- the whole tool --------------------------------------------------------------------------------------------------


SCENARIO = """
name: The gateway itself
objective: Callers know how long a gateway is away.
load: {rate: 20/s, deadline: 5s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1s}
  - {phase: trouble, for: 2s, faults: [FAULT: {}]}
  - {phase: recovery, for: 2s}
expect:
  lost: {at_most: 1000, broken_streams: 0}
"""


def prepared(folder: Path, fault: str) -> list[str | Path]:
    """The words of a run of the scripted gateway."""
    (folder / "gateway.yaml").write_text(SCENARIO.replace("FAULT", fault))
    (folder / "settings.json").write_text(json.dumps({"mode": "good", "truth_file": str(folder / "truth")}))
    return ["run", "gateway.yaml", "--gateway", SCRIPTED, "--config", "settings.json"]


def result_of(fault: str, folder: Path) -> Result:
    """The result of a run, repeated while the machine is too busy for it."""
    for _ in range(TRIES):
        ran = drill(*prepared(folder, fault), cwd=folder, env=ENV)
        if not too_busy(ran.result):
            break
    assert ran.code == 0, (ran.result.reasons, ran.err)
    [found] = ran.result.faults
    assert (found.legs, found.selector) == ((), "the gateway")
    assert found.touched_requests > 0
    assert "and the gateway was ready" in found.proof[0].after_saw
    assert found.proof[0].restored_s is not None
    assert not any(back.expected for back in ran.result.failbacks)
    assert ran.folder is not None
    history = (ran.folder / "history.jsonl").read_text()
    assert '"died"' not in history
    assert "plane_trouble" not in history
    return ran.result


def test_a_gateway_that_crashes(tmp_path: Path) -> None:
    """Nobody answers for the whole phase; it runs again after it, and its start-up is excess outage."""
    result = result_of("gateway_kill", tmp_path)
    [found] = result.switchovers
    assert found.bad == found.arrivals >= 30
    assert found.recovery_s is None
    assert found.client_outage_s.point >= 1.9
    assert result.phases[-1].ok > 0
    measured(f"killed: {found.bad} of {found.arrivals} bad, excess outage {result.failbacks[0].excess_outage_s:.2f} s")


def test_a_gateway_that_freezes(tmp_path: Path) -> None:
    """Callers wait and are answered when it goes on: late, and none is lost."""
    result = result_of("gateway_pause", tmp_path)
    assert result.requests.lost == 0
    assert result.requests.slow > 10
    assert result.faults[0].touched_requests > 30


def test_a_gateway_that_restarts(tmp_path: Path) -> None:
    """Callers are refused for a moment; it is there again long before the phase ends."""
    result = result_of("gateway_restart", tmp_path)
    [found] = result.switchovers
    assert found.recovery_s is not None
    assert found.recovery_s < 1.9
    assert found.bad < found.arrivals
    measured(f"restarted: answered well again after {found.recovery_s:.2f} s, {found.bad} bad")


def test_a_paused_gateway_dies_with_the_drill(tmp_path: Path) -> None:
    """Ctrl-C while it is paused: no process is left 5 s later."""
    with start(*prepared(tmp_path, "gateway_pause"), cwd=tmp_path, env=ENV) as process:
        until_line(process, "is on (the gateway)", 30)
        found = descendants(process.pid)
        assert len(found) >= 4
        process.send_signal(signal.SIGINT)
        assert gone(found, 5) == set()
        assert process.wait(10) == 130
