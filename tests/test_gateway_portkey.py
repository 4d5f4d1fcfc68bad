"""A real Portkey: every provider that the adapter knows, nothing beyond loopback, a lost cloud with both samples."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from browsing import look_at
from drilling import drill, listeners
from plane_harness import Lines

from drills.chat import AnswerReader, request_body
from drills.events import Ending
from drills.gateways.portkey import GATEWAY, sample
from drills.gateways.portkey_domains import SUPPORTED
from drills.marks import Mark, Shape, read_answer
from drills.ports import free_port
from drills.result import Verdict
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec

pytestmark = [pytest.mark.clock, pytest.mark.gateway, pytest.mark.timeout(300)]

SHORT = """\
name: A cloud lost for a short time
objective: Callers keep getting answers.
load: {rate: 10/s, streaming: 50%, deadline: 20s, slow: 4s}
timeline:
  - {phase: steady, for: 3s}
  - {phase: outage, for: 8s, faults: [{blackhole: {cloud_of: primary}}]}
  - {phase: recovery, for: 4s}
expect:
  switchover: {within: 6s}
  failback: {within: 4s}
  lost: {at_most: 0}
"""
KEYS = {
    "bedrock": {"aws_access_key_id": "k", "aws_secret_access_key": "k", "aws_region": "eu-west-1"},
    "azure-openai": {"resource_name": "acme", "deployment_id": "gpt-4o", "api_version": "2024-10-21"},
    "vertex-ai": {"vertex_project_id": "p", "vertex_region": "europe-west4"},
    "ollama": {"custom_host": "http://10.0.0.7:11434"},
}
MODELS = {
    "anthropic": ["claude-sonnet-4-5"],
    "bedrock": ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"],
    "google": ["gemini-2.5-pro"],
    "vertex-ai": ["gemini-2.5-pro", "anthropic.claude-sonnet-4-5"],
}
TARGETS = [(name, model) for name in SUPPORTED for model in MODELS.get(name, ["gpt-4o"])]


@dataclass(frozen=True)
class Running:
    """A Portkey that runs as a drill starts it, with what it said so far."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ask(self, headers: tuple[tuple[str, str], ...], body: bytes) -> httpx.Response:
        """One chat completion."""
        told = {"content-type": "application/json", **dict(headers)}
        return httpx.post(f"{self.url}/v1/chat/completions", content=body, headers=told, timeout=20, trust_env=False)


@pytest.fixture(scope="module")
def portkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Portkey, installed if need be, started as the adapter says."""
    folder = tmp_path_factory.mktemp("portkey")
    version = GATEWAY.prepare(print)
    found = GATEWAY.discover(None, None)
    launch = GATEWAY.launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, free_port(), folder)
    for name, content in launch.files.items():
        Path(name).write_text(content)
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(launch.argv, env=launch.env, cwd=launch.cwd, stdout=out, stderr=subprocess.STDOUT)
    try:
        until_s = time.monotonic() + launch.start_timeout_s
        while True:
            try:
                ready = httpx.get(launch.base_url + launch.ready_path, timeout=2, trust_env=False)
            except httpx.HTTPError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until_s, log.read_text()
                time.sleep(0.05)
            else:
                break
        assert ready.status_code == 200
        assert version == "1.15.2" or os.environ.get("FAILOVER_DRILL_PORTKEY")
        yield Running(process, launch.base_url, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def simulated() -> Iterator[dict[str, str]]:
    """Base URLs of simulated providers, one for each dialect that the adapter knows."""
    dialects = ("anthropic", "azure", "bedrock", "gemini", "openai", "vertex")
    spec = SimulatorSpec(legs=tuple(SimulatedLeg(name, name) for name in dialects), tokens_per_s=2000)
    simulator = Lines("drills.simulator", spec)
    ready = msgspec.json.decode(simulator.first, type=SimulatorReady)
    yield {name: f"http://127.0.0.1:{port}" for name, port in ready.ports.items()}
    simulator.close()


@pytest.mark.gateway(0)
@pytest.mark.parametrize(("provider", "model"), TARGETS)
def test_every_provider_is_answered(
    portkey: Running, simulated: dict[str, str], tmp_path: Path, provider: str, model: str
) -> None:
    """Whole and streamed, under the paths that Portkey uses; the header names the leg that answered."""
    target: dict[str, Any] = {"provider": provider, "api_key": "k", **KEYS.get(provider, {})}
    target["override_params"] = {"model": model}
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"strategy": {"mode": "fallback"}, "targets": [target, target], "request_timeout": 9000})
    )
    found = GATEWAY.discover(path, None)
    launch = GATEWAY.launch(found, {leg.name: simulated[leg.provider] for leg in found.legs}, 1, tmp_path)
    for stream in (False, True):
        mark = Mark(secrets.token_hex(8))
        response = portkey.ask(launch.request_headers, request_body(found.entry_model, mark, stream))
        assert response.status_code == 200, response.text
        reader = AnswerReader(stream, launch.done_mark)
        reader.feed(response.content)
        assert reader.finish() is Ending.COMPLETE, response.text
        reading = read_answer(reader.text, mark)
        assert (reading.shape, reading.legs) == (Shape.WHOLE, (found.legs[0].provider,))
        assert launch.claims[response.headers[launch.claim_header]] == found.legs[0].name


def test_it_listens_on_loopback_only_and_reaches_nothing_else(portkey: Running) -> None:
    """It has no setting for that; without the guard it listens on all interfaces and calls the real provider."""
    pid = portkey.process.pid
    [port] = listeners({pid})
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    assert [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
    config = {"strategy": {"mode": "single"}, "targets": [{"provider": "openai", "api_key": "k"}]}
    response = portkey.ask((("x-portkey-config", json.dumps(config)),), request_body("gpt-4o", Mark("0" * 16), False))
    assert response.status_code == 500
    assert "connect ECONNREFUSED api.openai.com" in response.text
    assert "drill: refused a connection to api.openai.com" in portkey.log.read_text()


def test_a_lost_cloud_passes_with_timeouts(tmp_path: Path) -> None:
    """Each request tries the lost cloud first and pays the timeout of 2 s: never avoided, and back at once."""
    (tmp_path / "short.yaml").write_text(SHORT)
    config = tmp_path / "config.json"
    config.write_text(sample("cross-cloud.json").read_text().replace("<your", "sk-REAL-looking-key-"))
    ran = drill("run", "short.yaml", "--gateway", "portkey", "--config", config, cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    result = ran.result
    assert result.verdict is Verdict.PASS
    assert (result.gateway.name, result.gateway.version) == ("portkey", GATEWAY.prepare(lambda _: None))
    [switchover], [failback] = result.switchovers, result.failbacks
    clouds = {leg.name: leg.cloud for leg in result.legs}
    assert (clouds[switchover.from_ or ""], clouds[switchover.to or ""]) == ("aws", "azure")
    assert switchover.recovery_s is not None
    assert switchover.detour_p50_s is not None
    assert failback.failback_s is not None
    assert 1.9 < switchover.recovery_s <= 6
    assert 1.9 < switchover.detour_p50_s < 3
    assert switchover.avoidance_s is None  # Portkey remembers nothing
    assert failback.failback_s < 2
    said = next(check for check in result.checks if check.name == "who the gateway says answered")
    assert said.verdict is Verdict.PASS
    assert said.observed.startswith(f"0 of {result.requests.ok} answers that name a leg name another one")
    assert ran.folder is not None
    assert not [path.name for path in ran.folder.iterdir() if "REAL" in path.read_text()]
    assert "REAL" not in ran.out + ran.err
    look_at(ran.folder / "report.html", "portkey-pass")


BY_NAME = """\
name: Portkey with its config as it is
objective: Callers keep getting answers when the first choice answers 503.
load: {rate: 10/s, streaming: 50%, deadline: 10s}
timeline:
  - {phase: steady, for: 1500ms}
  - {phase: outage, for: 2s, faults: [{status: {role: primary, code: 503}}]}
  - {phase: recovery, for: 1s}
expect:
  switchover: {within: 1s}
"""


def test_its_own_config_through_a_proxy(tmp_path: Path) -> None:
    """Real host names and TLS, although Node heeds no proxy by itself; the config is sent as it is written."""
    (tmp_path / "by-name.yaml").write_text(BY_NAME)
    config = tmp_path / "config.json"
    config.write_text(sample("cross-cloud.json").read_text().replace("<your", "sk-REAL-looking-key-"))
    before = config.read_bytes()
    asked = ("run", "by-name.yaml", "--gateway", "portkey", "--config", config, "--route", "forward")
    ran = drill(*asked, cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert config.read_bytes() == before
    assert (ran.result.gateway.route, ran.result.hosts_tried) == ("forward", ())
    assert ran.folder is not None
    assert not [path.name for path in ran.folder.iterdir() if "REAL" in path.read_text()]


def test_a_lost_cloud_fails_with_a_fallback_and_nothing_else(tmp_path: Path) -> None:
    """Without `request_timeout` callers wait for as long as the cloud is silent: exit code 1, and words to act on."""
    (tmp_path / "short.yaml").write_text(SHORT)
    ran = drill("run", "short.yaml", "--gateway", "portkey", "--config", sample("fallback-only.json"), cwd=tmp_path)
    assert ran.code == 1, ran.out + ran.err
    result = ran.result
    [switchover] = result.switchovers
    assert switchover.recovery_s is None
    assert "switchover" in {check.name for check in result.checks if check.verdict is Verdict.FAIL}
    assert "timeout" in ran.out
