"""Tests that watch the clock do not disturb each other, also when several workers run at a time.

Drills of a real gateway may run side by side; a calibration wants the machine to itself. Two file locks make a
readers-and-writer gate: whoever waits holds the turnstile, so that a calibration is not starved by drills.

A test marked `clock` asserts milliseconds, and one that fails beside other tests has measured them, too. It is measured
once more with no other test under way, and that counts; the summary names it, so that nobody takes a race for noise.
"""

from __future__ import annotations

import contextlib
import fcntl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from plane_harness import MEASURED

_ORDER = ("calibration", "", "gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Calibrations first, while other workers have tests that wait for no turn; then the drills of real gateways, with
    all workers. Elsewise workers stand at the gate half of the time.
    """
    items.sort(key=lambda item: _ORDER.index(next((m for m in _ORDER if m and item.get_closest_marker(m)), "")))
    for item in items:
        if item.get_closest_marker("clock"):
            item.add_marker(pytest.mark.flaky(reruns=1))


_GATE = Path(tempfile.gettempdir()) / "failover-drill-tests.gate"


@pytest.fixture(autouse=True)
def _hall(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test is in the hall while it runs; a second measurement waits until nobody else is."""
    again = getattr(request.node, "execution_count", 1) > 1
    with _GATE.with_suffix(".hall").open("a") as hall, _GATE.with_suffix(".door").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(hall, fcntl.LOCK_EX if again else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture(autouse=True)
def _machine(request: pytest.FixtureRequest, _hall: None) -> Iterator[None]:
    alone = request.node.get_closest_marker("calibration") is not None
    drills = request.node.get_closest_marker("gateway") is not None
    if not (alone or drills):
        yield
        return
    weight = next(iter(getattr(request.node.get_closest_marker("gateway"), "args", ())), 1)
    with _GATE.open("a") as gate, _GATE.with_suffix(".turnstile").open("a") as turnstile:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        fcntl.flock(gate, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        with contextlib.ExitStack() as places:
            for _ in range(0 if alone else weight):
                places.enter_context(_place())
            fcntl.flock(turnstile, fcntl.LOCK_UN)
            yield


_PLACES = 2
"""So many drills of real gateways at a time: on two cores a third makes all of them slow."""


@contextlib.contextmanager
def _place() -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(_GATE.with_suffix(f".place{number}").open("a")) for number in range(_PLACES)]
        while True:
            for file in files:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield
                    return
            time.sleep(0.1)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, also by tests that passed: it stands in the output of every run."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    if again := terminalreporter.stats.get("rerun"):
        terminalreporter.section("measured again, alone")
        for report in again:
            why = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
            terminalreporter.line(f"{report.nodeid}: {why.splitlines()[0]}")
    printed = [line for report in reports for line in getattr(report, "capstdout", "").splitlines()]
    if lines := sorted({line for line in printed if line.startswith(MEASURED)}):
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line.removeprefix(MEASURED))
