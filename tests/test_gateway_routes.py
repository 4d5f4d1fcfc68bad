"""One LiteLLM config, byte for byte, on every route: the same verdict, and the same switchover within its resolution."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import SAMPLES, Ran, drill, events

from drills import network
from drills.events import HowTried
from drills.result import Switchover, Verdict
from drills.routes import Route

pytestmark = [pytest.mark.gateway, pytest.mark.timeout(600)]

SCENARIO = """\
name: A cloud that goes silent, in short
objective: The same config fares the same, however its traffic is led.
load: {rate: 10/s, streaming: 50%, deadline: 15s, slow: 4s}
timeline:
  - {phase: steady, for: 3s}
  - {phase: outage, for: 7s, faults: [{blackhole: {cloud_of: primary}}]}
  - {phase: recovery, for: 2s}
expect:
  switchover: {within: 5s}
  lost: {at_most: 0, broken_streams: 2}
"""
TLS = """\
name: Certificates and handshakes
objective: Callers keep getting answers when the encryption of the first choice fails.
load: {rate: 10/s, streaming: 50%, deadline: 15s, slow: 4s}
timeline:
  - {phase: steady, for: 3s}
  - {phase: expired, for: 4s, faults: [{tls_bad_certificate: {role: primary}}]}
  - {phase: stuck, for: 6s, faults: [{tls_bad_certificate: {role: primary}}, {tls_handshake_hang: {role: secondary}}]}
  - {phase: recovery, for: 2s}
expect:
  switchover: {within: 5s}
"""


def routes() -> list[Route]:
    """Every route that this machine has."""
    return [route for route in Route if route is not Route.SEALED or not network.forbidden()]


def own_config(folder: Path) -> Path:
    """A copy of the sample in a folder of its own, with what no drill has an answer for."""
    home = folder / "mine"
    home.mkdir()
    config = home / "config.yaml"
    text = (SAMPLES / "cross-cloud.yaml").read_text()
    config.write_text(text + "\nlitellm_settings:\n  success_callback: [helicone]\n")
    return config


def ran_on(route: Route, scenario: str, folder: Path, config: Path) -> Ran:
    """A drill on a route. The config and its folder are afterwards as they were before."""
    at = folder / route.value
    at.mkdir()
    (at / "short.yaml").write_text(scenario)
    before = {path.name: path.read_bytes() for path in config.parent.iterdir()}
    ran = drill("run", "short.yaml", "--config", config, "--route", route.value, "--seed", "7", cwd=at)
    assert {path.name: path.read_bytes() for path in config.parent.iterdir()} == before
    return ran


def one(ran: Ran) -> Switchover:
    """The only switchover of a drill."""
    (switchover,) = ran.result.switchovers
    return switchover


def test_the_same_config_fares_the_same_on_every_route(tmp_path: Path) -> None:
    """The file is drilled byte for byte; the legs, the verdict and the way that callers took are the same."""
    config = own_config(tmp_path)
    ran = {route: ran_on(route, SCENARIO, tmp_path, config) for route in routes()}
    first = ran[Route.REWRITE]
    for route, other in ran.items():
        assert other.result.verdict is Verdict.PASS, other.out + other.err
        assert (other.result.gateway.route, other.result.gateway.config_sha256) == (
            route,
            first.result.gateway.config_sha256,
        )
        assert [leg.name for leg in other.result.legs] == [leg.name for leg in first.result.legs]
        assert (one(other).from_, one(other).to) == (one(first).from_, one(first).to)
        mine, theirs = one(first), one(other)
        assert mine.recovery_s is not None
        assert theirs.recovery_s is not None
        assert abs(mine.recovery_s - theirs.recovery_s) <= min(mine.resolution_s or 0, theirs.resolution_s or 0)
        assert other.result.attempts.unexplained == 0
    print({route.value: (one(r).recovery_s, one(r).resolution_s) for route, r in ran.items()})  # noqa: T201
    tried = [part for part in ran[Route.FORWARD].result.hosts_tried if part.how is HowTried.ASKED_FOR]
    assert "api.hconeai.com" in {part.host for part in tried} or tried == []


def test_faults_of_tls_on_a_real_gateway(tmp_path: Path) -> None:
    """An expired certificate on the first choice, then a stuck handshake on the second as well: the third answers."""
    config = own_config(tmp_path)
    ran = ran_on(Route.FORWARD, TLS, tmp_path, config)
    assert ran.code == 0, ran.out + ran.err
    result = ran.result
    assert [fault.kind for fault in result.faults] == ["tls_bad_certificate", "tls_handshake_hang"]
    assert all(fault.handshakes > 0 and all(p.during and p.after for p in fault.proof) for fault in result.faults)
    stuck = next(phase for phase in result.phases if phase.name == "stuck")
    assert max(stuck.served_by, key=lambda leg: stuck.served_by[leg]) == result.legs[2].name
    assert ran.folder is not None
    assert {event["leg"] for event in events(ran.folder) if event["event"] == "handshake_met"} == {
        result.legs[0].name,
        result.legs[1].name,
    }
    assert not [path.name for path in ran.folder.iterdir() if "PRIVATE KEY" in path.read_text(errors="replace")]
