"""Every fault of the catalogue on real sockets: what httpx and the vendors' own SDKs see of it, whole and streamed.

All rows of the table have their faults on at the same time, each on a leg (or a gateway) of its own, so that the SDKs
are started once and waiting costs its time once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_rows import CLOSING, ELSEWHERE, HALF, LATE, LATE_S, ROWS, WHOLE, WITHIN_S, Row, Sees
from declared import declared
from plane_harness import Caller, PlaneProcess, Upstream, bench, measured, until
from sdk_env import sdk_python
from test_gateway_faults import Kept
from test_sdks import MARK, ask
from test_toxiproxy import Toxi, server

from drills import providers
from drills.keeper import Beat
from drills.marks import Shape, read_answer
from drills.ports import lasting_port
from drills.providers.base import Call, Surface
from faults.base import Deeds, kinds
from faults.planes.control import HEARTBEAT_S

__all__ = ["sdk_python", "server"]
pytestmark = [pytest.mark.clock, pytest.mark.toxiproxy]
SCRIPTED = Path(__file__).parent / "calibration" / "scripted.py"
BEHIND = "behind-gateways"
AT_A_TIME = 40
LEGS = {f"row-{number}": row for number, row in enumerate([*ROWS, *declared("ROWS", Row)])}
"""The rows, by the names of their legs and gateways."""
Seen = dict[str, tuple[Sees, ...]]
"""Row to what each request to it saw."""


def plane_of(row: Row) -> str:
    """Which plane carries a row's fault out."""
    return kinds()[row.kind].plane


# --- how the clients ask ---------------------------------------------------------------------------------------------


def dialect_of(row: Row) -> str:
    """The dialect that the row's leg speaks."""
    return "openai" if row.leg == CLOSING else row.leg


def with_a_token(row: Row, port: int) -> httpx.Response | None:
    """What a client of an identity service does first; the answer when it is no token."""
    if dialect_of(row) != "vertex":
        return None
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "drill"}
    response = httpx.post(f"http://127.0.0.1:{port}/token", data=grant, timeout=WITHIN_S, trust_env=False)
    return None if response.status_code == 200 else response


def look(row: Row, caller: Caller, stream: bool) -> Sees:
    """One request with httpx."""
    began_s = time.monotonic()
    status, body = 0, b""
    try:
        if refused := with_a_token(row, caller.port):
            return Sees(str(refused.status_code), refused.text)
        with caller.receiving(MARK, stream=stream) as response:
            status = response.status_code
            for data in response.iter_raw():
                body += data
    except httpx.HTTPError as error:
        events = f"after {len(caller.dialect.count_events(body, b'')[0])} events: " if body and stream else ""
        return Sees(f"httpx.{type(error).__name__}", f"{events}{error}")
    if status != 200:
        return Sees(str(status), body.decode())
    try:
        text = caller.dialect.read(stream, body)
    except ValueError:
        if stream and (ends := caller.dialect.count_events(body, b"")[0]):
            return Sees(HALF.what, f"after {len(ends)} events: {body!r}")
        return Sees("200", body.decode(errors="replace"))
    return judged(text, time.monotonic() - began_s)


def judged(text: str, took_s: float) -> Sees:
    """An answer that claims to be whole."""
    shape = read_answer(text, MARK).shape
    if shape is not Shape.WHOLE:
        return Sees(str(shape), text)
    return LATE if took_s >= LATE_S else WHOLE


def sdk_saw(answer: dict[str, Any]) -> Sees:
    """What an SDK made of one request."""
    if "exception" in answer:
        status = f"{answer['status']} " if answer["status"] else ""
        return Sees(answer["exception"], f"{status}{answer['what']}")
    if "strange" in answer:
        return Sees(answer["strange"], answer["text"])
    if answer["stop"] is None and read_answer(answer["text"], MARK).shape is Shape.TRUNCATED:
        return Sees(HALF.what, answer["text"])
    return judged(answer["text"], answer["took_s"])


# --- the rig ---------------------------------------------------------------------------------------------------------


def closing_answer() -> bytes:
    """A right answer whose end is the end of its connection."""
    call = Call(surface=Surface.MODEL, operation="chat.completions", model="m")
    text = "".join(f"{CLOSING}/{MARK.id}/{number} " for number in range(1, MARK.words + 1)) + "end-of-answer"
    body = providers.get("openai").answer(call, text, "r").body
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n" + body


@dataclass
class Rig:
    """All rows with their faults on, and the port at which each is met; `pooled` have a warm connection."""

    ports: dict[str, int]
    pooled: dict[str, Caller]

    def by_httpx(self, names: Collection[str]) -> Seen:
        """What httpx sees of rows: whole, streamed, and whole on the pooled connection."""

        def new(stream: bool, name: str) -> Sees:
            row = LEGS[name]
            with caller_of(row, self.ports[name]) as caller:
                return look(row, caller, stream)

        def pooled(name: str) -> Sees:
            return look(LEGS[name], self.pooled[name], False)

        return at_once(names, partial(new, False), partial(new, True), pooled)

    def by_sdks(self, python: Path, names: Collection[str]) -> Seen:
        """What the SDKs see of rows: whole and streamed."""
        asked = [(name, stream) for name in names for stream in (False, True)]
        calls = [
            {
                "client": dialect_of(LEGS[name]),
                "url": f"http://127.0.0.1:{self.ports[name]}",
                "stream": stream,
                "within_s": WITHIN_S,
            }
            for name, stream in asked
        ]
        found = dict(zip(asked, map(sdk_saw, ask(python, "seen_calls", calls)), strict=True))
        return {name: (found[name, False], found[name, True]) for name in names}


def caller_of(row: Row, port: int) -> Caller:
    """A client of its own for a row."""
    return Caller(providers.get(dialect_of(row)), port, WITHIN_S)


def at_once(names: Collection[str], *works: Callable[[str], Sees]) -> Seen:
    """Do several things for each row, many at a time; what comes of them, in order."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = [pool.map(work, names) for work in works]
        return dict(zip(names, zip(*found, strict=True), strict=True))


def gateway(folder: Path, port: int, leg: str) -> Kept:
    """A gateway with a keeper that takes orders, and a leg behind it."""
    folder.mkdir()
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"mode": "never", "truth_file": str(folder / "truth"), "timeout_s": 60}))
    code = f"import runpy, sys; sys.argv = ['', {str(settings)!r}]; runpy.run_path({str(SCRIPTED)!r}, None, '__main__')"
    return Kept(folder, code, {"DRILL_PORT": str(port), "DRILL_LEG_PRIMARY": leg})


def ready(port: int) -> bool:
    """Whether a gateway answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=WITHIN_S, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def beating(keepers: Collection[Kept]) -> Iterator[None]:
    """The keepers hear that the runner lives."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_S):
            for keeper in keepers:
                keeper.send(Beat())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def deeds_of(row: Row) -> Deeds:
    """What a row's fault does to its gateway."""
    deeds = kinds()[row.kind]().deeds()
    assert deeds is not None
    return deeds


@pytest.fixture(scope="module")
def rig(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Every row's fault is on; afterwards it is off, and every leg and gateway answers well again."""
    began_s = time.monotonic()
    closing = Upstream(closing_answer(), keep=False)
    simulated = {name: row.leg for name, row in LEGS.items() if plane_of(row) != "process" and row.leg != CLOSING}
    others = {name: closing.port for name, row in LEGS.items() if row.leg == CLOSING}
    with ExitStack() as stack:
        stack.callback(closing.close)
        behind = stack.enter_context(bench({**simulated, BEHIND: "openai"}, others))
        leg = f"http://127.0.0.1:{behind.plane.ports[BEHIND]}"
        ports = dict(behind.plane.ports)
        gateways = {name: lasting_port() for name, row in LEGS.items() if plane_of(row) == "process"}
        folder = tmp_path_factory.mktemp("gateways")
        kept = {name: gateway(folder / name, port, leg) for name, port in gateways.items()}
        for one in kept.values():
            stack.callback(one.close)
        stack.enter_context(beating(kept.values()))
        wired = [name for name, row in LEGS.items() if plane_of(row) == "toxi"]
        toxi = Toxi({name: ports[name] for name in wired}, command=server)
        stack.callback(toxi.close)
        ports |= toxi.ports | gateways
        for port in gateways.values():
            until(partial(ready, port))
        pooled = {name: stack.enter_context(caller_of(row, ports[name])) for name, row in LEGS.items()}
        warm = at_once(LEGS, lambda name: look(LEGS[name], pooled[name], False))
        assert set(warm.values()) <= {(WHOLE,), (LATE,)}

        on: list[tuple[PlaneProcess, str]] = []
        for name, row in LEGS.items():
            if name in kept:
                assert kept[name].do(deeds_of(row).begin[0]).error == ""
            else:
                plane = toxi if name in wired else behind.plane
                on.append((plane, plane.apply(row.kind, [name], **row.settings)))
        measured(f"{len(LEGS)} faults are on after {time.monotonic() - began_s:.1f} s")
        yield Rig(ports, pooled)
        for plane, fault in on:
            plane.clear(fault)
        for name, one in kept.items():
            deeds = deeds_of(LEGS[name])
            for deed in (*deeds.begin[1:], *deeds.end):
                assert one.do(deed).error == ""
            until(partial(ready, ports[name]))
        well = Rig(ports, pooled)
        assert_seen(well.by_httpx, lambda row: (WHOLE, row.stream if row.leg == CLOSING else WHOLE, WHOLE))
        assert toxi.troubles == behind.plane.troubles == []
        measured(f"all of it took {time.monotonic() - began_s:.1f} s")


# --- what is seen ----------------------------------------------------------------------------------------------------


def assert_seen(look_at: Callable[[Collection[str]], Seen], expected: Callable[[Row], tuple[Sees, ...]]) -> None:
    """Every row is seen as the table says.

    What came too late is asked once more, when few others ask: a busy machine is no fault.
    """
    seen = look_at(LEGS)
    if late := [name for name, row in LEGS.items() if any(map(too_late, seen[name], expected(row)))]:
        measured(f"asked again: {', '.join(str(LEGS[name]) for name in late)}")
        seen |= look_at(late)
    wrong = [
        f"{row}, request {number}: {got!r} instead of {wanted!r}"
        for name, row in LEGS.items()
        for number, (got, wanted) in enumerate(zip(seen[name], expected(row), strict=True))
        if got.what != wanted.what or wanted.text not in got.text
    ]
    assert wrong == [], "\n".join(wrong)


def too_late(got: Sees, wanted: Sees) -> bool:
    """Whether only time may be what is wrong."""
    return got.what != wanted.what and (got == LATE or "Timeout" in got.what)


def test_no_fault_comes_without_a_row() -> None:
    """A new fault needs a row of what its clients see, or a test of its own where it needs a network of its own."""
    assert {row.kind for row in LEGS.values()} | ELSEWHERE.keys() == set(kinds())
    for kind, test in ELSEWHERE.items():
        text = (Path(__file__).parent / test).read_text()
        assert f'fault("{kind}"' in text or f"faults.{kind} import" in text


def test_what_httpx_sees(rig: Rig) -> None:
    """Whole and streamed on new connections, and whole on a connection that was open before the fault."""
    assert_seen(rig.by_httpx, lambda row: (row.whole, row.stream, row.pooled or row.whole))


@pytest.mark.sdk
@pytest.mark.timeout(900)  # the first time the SDKs are installed
def test_what_the_vendors_sdks_see(rig: Rig, sdk_python: Path) -> None:
    """Whole and streamed, each tried once."""
    assert_seen(partial(rig.by_sdks, sdk_python), lambda row: (row.sdk_whole, row.sdk_stream))
