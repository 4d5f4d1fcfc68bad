"""A private network for tests, and programs that run inside as a gateway does: under a keeper.

There is no skip in here: a machine on which no private network can be made fails these tests, and says why.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from plane_harness import Lines, PlaneProcess, until

from drills.authority import Authority
from drills.clock import Clock
from drills.events import HostTried, PlaneTrouble
from drills.keeper import Keep
from drills.network import Endpoint, PrivateNetwork
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec

OPENAI, ANTHROPIC = "api.openai.com", "api.anthropic.com"
STANDS_AT = {
    "gpt": (OPENAI, Endpoint("198.18.0.1", 443)),
    "claude": (ANTHROPIC, Endpoint("198.18.0.2", 443)),
}
"""The legs of the tests: host name, address and port."""
DIALECTS = {"gpt": "openai", "claude": "anthropic"}
_WITHIN_S = 30.0


@dataclass(frozen=True)
class Ended:
    """A program that ran inside."""

    code: int
    out: str

    @property
    def lines(self) -> list[str]:
        """What it said."""
        return self.out.splitlines()


@dataclass
class Network:
    """A private network whose asyncio runs in a thread of its own."""

    network: PrivateNetwork
    loop: asyncio.AbstractEventLoop
    told: list[HostTried | PlaneTrouble] = field(default_factory=list)

    @property
    def inside(self) -> tuple[int, ...]:
        """The descriptors of its namespaces."""
        return self.network.namespaces

    def tcp(self) -> socket.socket:
        """A TCP socket of it, blocking."""
        sock = asyncio.run_coroutine_threadsafe(self.network.tcp(), self.loop).result(_WITHIN_S)
        sock.settimeout(_WITHIN_S)
        return sock

    def run(self, code: str, env: Mapping[str, str] | None = None, python: Path | None = None) -> Ended:
        """Run some Python inside, to its end. `python`: another than that of the tests."""
        return finish(self.begin(code, env, python))

    def begin(
        self, code: str, env: Mapping[str, str] | None = None, python: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start some Python inside."""
        private = Path(tempfile.gettempdir()) / f"drill-test-{os.urandom(8).hex()}"
        keep = Keep(
            argv=(str(python or sys.executable), "-u", "-c", textwrap.dedent(code)),
            env={**os.environ, **(env or {})},
            cwd=str(private),
            private=str(private),
            files={},
        )
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "drills.inside", ",".join(map(str, self.inside)), "drills.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=self.inside,
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(keep).decode() + "\n")
        process.stdin.flush()
        return process

    def tried(self) -> set[tuple[str, int, str]]:
        """Host, port and way of all that was tried in vain."""
        return {(one.host, one.port, one.how.value) for one in list(self.told) if isinstance(one, HostTried)}

    def until_tried(self, *wanted: tuple[str, int, str]) -> None:
        """Wait until these were told."""
        until(lambda: set(wanted) <= self.tried())


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for a program's own end. Its keeper's input stays open: its end would be the program's."""
    watchdog = threading.Timer(_WITHIN_S, process.kill)
    watchdog.start()
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout, process.stdin:
        out = process.stdout.read()
        code = process.wait()
    watchdog.cancel()
    return Ended(code, out)


@contextmanager
def private_network(exist: Mapping[Endpoint, str] | None = None) -> Iterator[Network]:
    """A private network; `exist`: by default the endpoints of the two legs."""
    there = {endpoint: host for host, endpoint in STANDS_AT.values()} if exist is None else exist
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    told: list[HostTried | PlaneTrouble] = []
    try:
        starting = PrivateNetwork.start(there, Clock(), told.append)
        network = asyncio.run_coroutine_threadsafe(starting, loop).result(_WITHIN_S)
        try:
            yield Network(network, loop, told)
        finally:
            asyncio.run_coroutine_threadsafe(network.end(), loop).result(_WITHIN_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class Sealed:
    """A private network with the two legs in it: a plane that stands for their hosts, and a simulator behind it.

    trust: the environment in which a program trusts the plane's certificates, and no others.
    """

    network: Network
    plane: PlaneProcess
    trust: dict[str, str]

    def run(self, code: str, env: Mapping[str, str] | None = None, python: Path | None = None) -> Ended:
        """Run some Python inside, to its end. `python`: another than that of the tests."""
        return finish(self.begin(code, env, python))

    def begin(
        self, code: str, env: Mapping[str, str] | None = None, python: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start some Python inside."""
        return self.network.begin(code, {**self.trust, **(env or {})}, python)


@contextmanager
def sealed() -> Iterator[Sealed]:
    """A plane and its simulator in a private network."""
    authority = Authority()
    with private_network() as network, tempfile.NamedTemporaryFile("w", suffix=".pem") as bundle:
        bundle.write(authority.pem)
        bundle.flush()
        legs = tuple(SimulatedLeg(name, dialect) for name, dialect in DIALECTS.items())
        spec = SimulatorSpec(legs, first_token_s=0.02, tokens_per_s=200)
        simulator = Lines("drills.simulator", spec, network.inside)
        ports = msgspec.json.decode(simulator.first, type=SimulatorReady).ports
        upstream = {name: (DIALECTS[name], port) for name, port in ports.items()}
        plane = PlaneProcess(upstream, authority=authority, inside=network.inside, stands_at=STANDS_AT)
        try:
            yield Sealed(network, plane, {"SSL_CERT_FILE": bundle.name})
        finally:
            plane.close()
            simulator.close()
