"""Whole drills in a private network: what they prove, what they tell, and that nothing of one stays behind.

The gateway is a small one of the tests', whose own file names the legs by their real addresses.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from drilling import alive, descendants, gone, until_line
from sealed_drill import HERE, LEGS, Small, config_of, drilled

from drills import network, routing
from drills.gateways import program
from drills.ground import Stand
from drills.legs import Leg
from drills.result import Result, Verdict
from drills.routing.base import Planned
from drills.routing.sealed import placed
from drills.shelf import load
from drills.targets import resolve

pytestmark = [pytest.mark.clock, pytest.mark.timeout(120)]


def scenario(folder: Path, *faults: str, of: str = "3s") -> Path:
    """A short scenario with one phase of faults for each entry, and a healthy one after each."""
    phases = "".join(
        f"  - {{phase: fault-{number}, for: {of}, faults: [{entry}]}}\n  - {{phase: healthy-{number}, for: 1500ms}}\n"
        for number, entry in enumerate(faults)
    )
    path = folder / "scenario.yaml"
    path.write_text(
        "name: Sealed\nobjective: Callers keep getting answers.\n"
        "load: {rate: 10/s, streaming: 50%, deadline: 5s, slow: 3s}\n"
        f"timeline:\n  - {{phase: steady, for: 2s}}\n{phases}"
        "expect:\n  switchover: {within: 2.5s}\n"
    )
    return path


def report(folder: Path) -> str:
    """The report of a drill."""
    return (folder / "report.md").read_text()


def passed(result: Result) -> bool:
    """Whether a drill passed; why not is in the failed assertion."""
    assert (result.verdict, result.reasons) == (Verdict.PASS, result.reasons)
    return True


@pytest.mark.gateway
def test_a_gateway_reaches_its_legs_and_nothing_else(tmp_path: Path) -> None:
    """It runs with its own file and fails over, from a leg that is silent and from one whose name is gone; the report
    says what it tried besides.
    """
    tries = ("telemetry.example.com:443", "169.254.169.254:80", "10.20.30.40:22", "127.0.0.1:1", "api.openai.com:80")
    config = config_of(tmp_path, *tries)
    before = config.read_bytes()
    entries = ("blackhole: {role: primary}", "dns_failure: {role: primary}")
    result = drilled(scenario(tmp_path, *entries), config, tmp_path / "run")
    assert passed(result)
    assert [(found.from_, found.to) for found in result.switchovers] == [("first", "second")] * 2
    assert config.read_bytes() == before
    assert result.gateway.route == "sealed"
    assert result.plane.added_latency_p50_ms is not None
    tried = [("telemetry.example.com", 0, "looked up"), *((host, port, "tcp") for host, port in PORTS_TRIED)]
    tried.append(("localhost", 1, "tcp"))  # nobody ever answered there; what the drill and the gateway have is not told
    assert [(part.host, part.port, part.how) for part in result.hosts_tried] == tried
    section = report(tmp_path / "run").partition("## Hosts that the gateway tried and could not reach")[2]
    assert [host for host, _, _ in tried if host not in section] == []
    assert "reached" not in (tmp_path / "run" / "gateway.log").read_text()
    _names_are_proved_and_counted(result, report(tmp_path / "run"))


PORTS_TRIED = [("169.254.169.254", 80), ("10.20.30.40", 22), ("api.openai.com", 80)]


def _names_are_proved_and_counted(result: Result, text: str) -> None:
    """By a lookup at the name server that the gateway asks; the gateway's own lookups are counted, the probes' not."""
    fault = result.faults[1]
    [proof] = fault.proof
    assert (proof.before, proof.during, proof.after) == (True, True, True)
    assert proof.during_saw.startswith("the host's name was not resolved: nxdomain")
    # Each request of the phase asks for the name of the first leg once, and goes to the second.
    phase = next(phase for phase in result.phases if phase.name == "fault-1")
    assert fault.failed_lookups == pytest.approx(phase.due, abs=1)
    assert fault.touched_requests == pytest.approx(phase.due, abs=1)
    assert phase.served_by["second"] == pytest.approx(phase.due, abs=1)
    assert f"Lookups of host names that failed: {fault.failed_lookups} for first." in text


@pytest.mark.gateway
@pytest.mark.toxiproxy
def test_faults_on_the_wire_work_inside(tmp_path: Path) -> None:
    """Toxiproxy stands at the leg's real address; what is between it and the plane is the same as outside."""
    entries = ("wire_down: {role: primary}", "wire_latency: {role: primary, latency: 700ms}")
    result = drilled(scenario(tmp_path, *entries), config_of(tmp_path), tmp_path / "run")
    assert result.verdict is not Verdict.INVALID, result.reasons
    down, late = result.faults
    assert down.proof[0].during_saw.startswith("the connect was refused")
    assert late.proof[0].during
    assert down.touched_requests > 20
    assert [found.to for found in result.switchovers][:1] == ["second"]
    assert result.hosts_tried == ()


def test_nothing_is_left_of_a_drill_that_was_killed(tmp_path: Path) -> None:
    """SIGKILL of the runner while a fault is on: every process is gone in seconds, and the gateway's folder with it."""
    path = scenario(tmp_path, "blackhole: {role: primary}", of="30s")
    process = subprocess.Popen(
        [sys.executable, str(HERE / "sealed_drill.py"), str(path), str(config_of(tmp_path)), str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until_line(process, "checking that every leg", 60)
    family = descendants(process.pid)
    assert len(alive(family)) >= 5  # porter, simulator, plane, keeper and gateway
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    assert gone(family, 5.0) == set()


def leg(name: str, *hosts: str, endpoint: str = "") -> Leg:
    """A leg that is called at these hosts."""
    return msgspec.structs.replace(LEGS[0], name=name, hosts=hosts, endpoint=endpoint or f"https://{hosts[0]}")


PLACES: list[tuple[tuple[Leg, ...], dict[str, Stand]]] = [
    # A name gets an address of its own; a port stays.
    (
        (leg("a", "a.example.com"), leg("b", "B.Example.com:8443")),
        {"a": Stand(("198.18.0.1", 443), ("a.example.com",)), "b": Stand(("198.18.0.2", 8443), ("b.example.com",))},
    ),
    # Two names of one leg lead to one address.
    (
        (leg("a", "a.example.com", "tokens.a.example.com"), leg("b", "b.example.com")),
        {
            "a": Stand(("198.18.0.1", 443), ("a.example.com", "tokens.a.example.com")),
            "b": Stand(("198.18.0.2", 443), ("b.example.com",)),
        },
    ),
    # A name that two legs have stands by itself.
    (
        (leg("a", "a.example.com", "tokens.example.com"), leg("b", "b.example.com", "tokens.example.com")),
        {
            "a": Stand(("198.18.0.1", 443), ("a.example.com",)),
            "tokens.example.com:443": Stand(("198.18.0.2", 443), ("tokens.example.com",)),
            "b": Stand(("198.18.0.3", 443), ("b.example.com",)),
        },
    ),
    # One name has one address, also when two legs are on two ports of it.
    (
        (leg("a", "a.example.com"), leg("b", "a.example.com:8443")),
        {"a": Stand(("198.18.0.1", 443), ("a.example.com",)), "b": Stand(("198.18.0.1", 8443), ("a.example.com",))},
    ),
    # An address stays what it is, and so does this machine.
    (
        (leg("a", "10.0.0.9:8000", endpoint="http://10.0.0.9:8000"), leg("b", "localhost:11434")),
        {"a": Stand(("10.0.0.9", 8000)), "b": Stand(("127.0.0.1", 11434))},
    ),
    # An address of those that names get keeps it, and no name gets it; nor is any other address a special one.
    (
        (leg("a", "a.example.com"), leg("b", "198.18.0.1"), leg("c", "169.254.1.1"), leg("d", "d.example.com")),
        {
            "a": Stand(("198.18.0.2", 443), ("a.example.com",)),
            "b": Stand(("198.18.0.1", 443)),
            "c": Stand(("169.254.1.1", 443)),
            "d": Stand(("198.18.0.3", 443), ("d.example.com",)),
        },
    ),
    # Letters of other alphabets are looked up as they are sent.
    ((leg("a", "bücher.example"),), {"a": Stand(("198.18.0.1", 443), ("xn--bcher-kva.example",))}),
    # A leg of which nothing is known is a problem of every such route.
    ((msgspec.structs.replace(LEGS[0], hosts=()),), {}),
]


@pytest.mark.parametrize(("legs", "stands"), PLACES)
def test_each_leg_has_a_place(legs: tuple[Leg, ...], stands: dict[str, Stand]) -> None:
    """An address and a port, and the names that lead there."""
    assert placed(legs) == (stands, [])


NO_PLACE = [
    ((leg("a", "a.example.com", "b.example.com:8443"),), "a.example.com:443, b.example.com:8443"),
    ((leg("a", "a.example.com", "10.0.0.9"),), "a.example.com:443, 10.0.0.9:443"),
    ((leg("a", "[2001:db8::1]:443"),), "[2001:db8::1]:443 is no IPv4 address"),
]


@pytest.mark.parametrize(("legs", "said"), NO_PLACE)
def test_a_leg_that_can_have_no_place_is_named(legs: tuple[Leg, ...], said: str) -> None:
    """Before anything is started, with another route to take."""
    stands, [problem] = placed(legs)
    assert stands == {}
    assert said in problem.what
    assert "use --route" in problem.what


HOSTS_OF_NOBODY = [
    (
        "a.example.com:53",
        "is called at port 53, which is the name server's in the drill's network; write another, or use",
    ),
    ("127.0.0.1:53", "is called at port 53, which is the name server's in the drill's network; write another, or use"),
    (
        "llm.localhost",
        "is this machine to some programs and a name to others; write localhost for this machine, or use",
    ),
    ("This-Machine", "is this machine's own name; write localhost, or use"),
    ("ip6-localhost", "is this machine's own name; write localhost, or use"),
    ("127.255.255.255", "is an address that no single host has; write another, or use"),
    ("[::1]", "is no IPv4 address, and the drill's network has no others; use"),
]


@pytest.mark.parametrize(("host", "why"), HOSTS_OF_NOBODY)
def test_a_host_that_cannot_be_in_the_network_is_said_with_its_place(
    host: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One message each, before anything is started; the other routes do not mind."""
    monkeypatch.setattr(socket, "gethostname", lambda: "this-machine")
    legs = tmp_path / "legs.yaml"
    legs.write_text(
        f"legs:\n  - {{name: a, provider: openai, model: m, cloud: c, hosts: [{host!r}]}}\n"
        "  - {name: b, provider: anthropic, model: m, cloud: d}\n"
    )
    gateway = program.load(["python"], str(legs), None, by_variables=False)
    found = gateway.discover(None, None)
    planned = Planned(gateway, found, resolve(load("primary-down"), found.legs))
    authority = host.lower() if ":53" in host else f"{host.lower()}:443"
    said = [str(problem) for problem in routing.get("sealed").problems(planned)]
    assert said == [f"{legs}:2:61: leg a: {authority} {why} --route rewrite"]


def problems(route: str, folder: Path, *faults: str) -> list[str]:
    """What a route has against a scenario."""
    path = scenario(folder, *faults)
    written = load(str(path))
    found = Small().discover(config_of(folder), None)
    planned = Planned(Small(), found, resolve(written, found.legs))
    return [str(problem) for problem in routing.get(route).problems(planned)]


@pytest.mark.parametrize("route", ["rewrite", "forward"])
def test_names_cannot_fail_where_the_drill_is_no_name_server(route: str, tmp_path: Path) -> None:
    """A usage error with the fault's place, before anything is started."""
    [said] = problems(route, tmp_path, "dns_failure: {role: primary}")
    assert said.startswith(f"{tmp_path}/scenario.yaml:6:")
    assert "fault 'dns_failure' needs the drill to be the gateway's name server; use --route sealed" in said


def test_a_leg_without_a_name_has_none_to_lose(tmp_path: Path) -> None:
    """An address needs no lookup."""
    [said] = problems("sealed", tmp_path, "dns_failure: {role: tertiary}")
    assert said.startswith(f"{tmp_path}/scenario.yaml:6:")
    assert "third has an address and no name that could be looked up" in said
    assert problems("sealed", tmp_path, "dns_failure: {role: primary}") == []


def test_somebody_elses_toxiproxy_cannot_be_reached_from_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is outside of the network; faults that do not need it do not mind."""
    monkeypatch.setenv("FAILOVER_DRILL_TOXIPROXY", "http://127.0.0.1:8474")
    [said] = problems("sealed", tmp_path, "wire_down: {role: primary}")
    assert "the Toxiproxy at FAILOVER_DRILL_TOXIPROXY is outside of the gateway's network" in said
    assert problems("sealed", tmp_path, "refuse: {role: primary}") == []


def test_a_machine_that_forbids_it_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said by the route, before the gateway is installed."""
    monkeypatch.setattr(network, "forbidden", lambda: "unshare: no; user.max_user_namespaces is 0: raise it")
    assert routing.get("sealed").lacks() == (
        "--route sealed needs a private network, and here there can be none: "
        "unshare: no; user.max_user_namespaces is 0: raise it"
    )
    monkeypatch.setattr(network, "forbidden", lambda: "")
    assert routing.get("sealed").lacks() == ""
