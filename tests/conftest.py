"""Tests that watch the clock do not disturb each other, also when several workers run at a time.

A few are `alone`: they measure what the machine can do. Drills of real gateways and calibrations take places, of which
there are fewer than workers. They begin at once, each kind on a worker of its own, so that the light tests fill what
they leave and nobody stands in a queue at the end.

A test marked `clock` asserts milliseconds, and one that fails beside other tests has measured them, too. It is measured
once more with no other test under way, and that counts; the summary names it, so that nobody takes a race for noise.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from plane_harness import MEASURED

_KINDS = ("alone", "calibration", "gateway")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order, for workers that get a run of it each: calibrations first on one worker, then half of the drills of
    real gateways; the other half on the next. Who has nothing left takes over from the end of somebody else's.
    """
    for item in items:
        if item.get_closest_marker("clock") or _weight(item):  # a drill on a busy machine proves nothing, and says so
            item.add_marker(pytest.mark.flaky(reruns=1))
    of: dict[str, list[pytest.Item]] = {kind: [] for kind in (*_KINDS, "")}
    for item in items:
        of[next((kind for kind in _KINDS if item.get_closest_marker(kind)), "")].append(item)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    half = [item for item in of["gateway"] if _weight(item)]
    cut = of["gateway"].index(half[len(half) // 2]) if half else 0
    first = of["alone"] + of["calibration"] + of["gateway"][cut:]
    shares = [first, of["gateway"][:cut]] + [[]] * max(0, workers - 2)
    light, ordered = of[""], []
    for number, share in enumerate(shares[: workers - 1]):
        upto = len(items) * (number + 1) // workers
        room = max(0, upto - len(ordered) - len(share))
        ordered += [*share, *light[:room]]
        light = light[room:]
    items[:] = [*ordered, *light, *(item for share in shares[max(0, workers - 1) :] for item in share)]


_GATE = Path(tempfile.gettempdir()) / "failover-drill-tests.gate"


@pytest.fixture(autouse=True)
def _hall(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test is in the hall while it runs; one that wants to be alone waits until nobody else is."""
    again = getattr(request.node, "execution_count", 1) > 1
    alone = again or request.node.get_closest_marker("alone") is not None
    with _GATE.with_suffix(".hall").open("a") as hall, _GATE.with_suffix(".door").open("a") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(hall, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


_PLACES = 2
"""So many drills of real gateways, or calibrations, at a time: on two cores a third makes all of them slow."""


@pytest.fixture(autouse=True)
def _places(request: pytest.FixtureRequest, _hall: None) -> Iterator[None]:
    """`gateway` takes one place, `gateway(2)` two, and `gateway(0)`, which drills nothing, none."""
    weight = _weight(request.node)
    with contextlib.ExitStack() as places:
        if weight:
            with _GATE.with_suffix(".turnstile").open("a") as turnstile:
                fcntl.flock(turnstile, fcntl.LOCK_EX)  # one at a time chooses: two must not hold one place each
                for _ in range(weight):
                    places.enter_context(_place())
        yield


def _weight(item: pytest.Item) -> int:
    drills = item.get_closest_marker("gateway") or item.get_closest_marker("calibration")
    return 0 if drills is None else next(iter(drills.args), 1)


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
