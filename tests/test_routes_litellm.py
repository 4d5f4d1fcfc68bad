"""One LiteLLM config on every route: the same verdict, and switchovers that agree within what each can resolve.

And TLS that fails, where it is TLS that the gateway speaks.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from drilling import SAMPLES, Ran, drill, events

from drills.result import Switchover, Verdict

pytestmark = [pytest.mark.clock, pytest.mark.gateway, pytest.mark.timeout(600)]

SCENARIO = """\
name: One config, three routes
objective: Callers keep getting answers when the cloud of the first choice is gone.
load: {rate: 10/s, streaming: 50%, deadline: 15s, slow: 4s}
timeline:
  - {phase: steady, for: 2s}
  - {phase: outage, for: 7s, faults: [{blackhole: {cloud_of: primary}}]}
  - {phase: recovery, for: 1500ms}
expect:
  switchover: {within: 6s}
"""
TLS = """\
name: Certificates and handshakes
objective: Callers keep getting answers when the encryption of the first choice fails.
load: {rate: 10/s, streaming: 50%, deadline: 15s, slow: 4s}
timeline:
  - {phase: steady, for: 2s}
  - {phase: expired, for: 3s, faults: [{tls_bad_certificate: {role: primary}}]}
  - {phase: stuck, for: 5s, faults: [{tls_bad_certificate: {role: primary}}, {tls_handshake_hang: {role: secondary}}]}
  - {phase: recovery, for: 2s}
expect:
  switchover: {within: 5s}
"""


def test_the_same_config_on_every_route(tmp_path: Path) -> None:
    """Byte for byte the user's file; sealed, the gateway tries nothing but its legs."""
    config = tmp_path / "config.yaml"
    config.write_bytes((SAMPLES / "cross-cloud.yaml").read_bytes())
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    before = config.read_bytes(), config.stat().st_mtime_ns
    ran: dict[str, Ran] = {}
    for route in ("rewrite", "forward", "sealed"):
        folder = tmp_path / route
        folder.mkdir()
        words = ("run", scenario, "--config", config, "--route", route, "--seed", "11")
        ran[route] = drill(*words, cwd=folder)
    assert (config.read_bytes(), config.stat().st_mtime_ns) == before
    results = {route: one.result for route, one in ran.items()}
    assert {route: result.verdict for route, result in results.items()} == dict.fromkeys(ran, Verdict.PASS)
    assert {route: result.gateway.route for route, result in results.items()} == {route: route for route in ran}
    assert len({result.gateway.config_sha256 for result in results.values()}) == 1
    assert results["sealed"].hosts_tried == ()
    found = {route: result.switchovers[0] for route, result in results.items()}
    assert len({(one.from_, one.to) for one in found.values()}) == 1
    for one, other in itertools.combinations(found.values(), 2):
        assert abs(_recovery_s(one) - _recovery_s(other)) <= max(_resolution_s(one), _resolution_s(other))
    for route, one in found.items():
        print(f"\n{route}: recovered in {one.recovery_s:.2f} s, resolution {one.resolution_s:.2f} s")  # noqa: T201


def _recovery_s(found: Switchover) -> float:
    assert found.recovery_s is not None
    return found.recovery_s


def _resolution_s(found: Switchover) -> float:
    assert found.resolution_s is not None
    return found.resolution_s


def test_faults_of_tls(tmp_path: Path) -> None:
    """An expired certificate on the first choice, then stuck handshakes on the second as well: the third answers. The
    run's keys are in none of its files.
    """
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(TLS)
    ran = drill("run", scenario, "--config", SAMPLES / "cross-cloud.yaml", "--route", "forward", cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    result = ran.result
    assert all(fault.handshakes > 0 and all(one.during and one.after for one in fault.proof) for fault in result.faults)
    stuck = next(phase for phase in result.phases if phase.name == "stuck")
    assert max(stuck.served_by, key=lambda leg: stuck.served_by[leg]) == result.legs[2].name
    assert ran.folder is not None
    met = {event["leg"] for event in events(ran.folder) if event["event"] == "handshake_met"}
    assert met == {result.legs[0].name, result.legs[1].name}
    assert not [path.name for path in ran.folder.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
