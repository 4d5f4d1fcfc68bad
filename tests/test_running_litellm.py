"""A real LiteLLM that somebody else started, with the planes' fixed ports in its config: drilled by its URL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drilling import alive, drill, listened_on
from test_running_gateway import BUSY, TRIES, until_healthy

from drills.gateways import litellm_install
from drills.ports import lasting_port

pytestmark = [pytest.mark.clock, pytest.mark.gateway, pytest.mark.timeout(400)]

KEY = "sk-somebody-else-s-master-key"
CONFIG = """\
model_list:
  - model_name: chat
    litellm_params:
      {model: anthropic/claude-sonnet-4-5, api_base: "http://127.0.0.1:P1", api_key: x, order: 1, timeout: 2}
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_base: "http://127.0.0.1:P2/v1", api_key: x, order: 2, timeout: 5}
router_settings: {num_retries: 0, allowed_fails: 2, cooldown_time: 4}
general_settings: {master_key: os.environ/MASTER_KEY}
"""
LEGS = """\
name: litellm-by-url
ready: /health/liveliness
headers: {Authorization: "Bearer env:MASTER_KEY"}
legs:
  - {name: claude, provider: anthropic, model: claude-sonnet-4-5, cloud: anthropic, port: P1}
  - {name: gpt, provider: openai, model: gpt-4o, cloud: openai, port: P2}
"""
SCENARIO = """\
name: The first choice answers 503
objective: Callers do not notice.
load: {rate: 10/s, streaming: 50%, deadline: 20s}
timeline:
  - {phase: steady, for: 2s}
  - {phase: outage, for: 4s, faults: [status: {role: primary, code: 503}]}
  - {phase: recovery, for: 8s}
expect:
  switchover: {within: 3s}
  failback: {within: 8s}
  lost: {at_most: 0}
"""


@contextmanager
def litellm(folder: Path, port: int) -> Iterator[int]:
    """The proxy with the folder's config, as a person would start it; its process id."""
    litellm_install.prepare(print, os.environ)
    env = {
        **os.environ,
        "MASTER_KEY": KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_MODE": "PRODUCTION",
    }
    command = [litellm_install.executable(os.environ), "--config", "config.yaml", "--num_workers", "1"]
    words = [*command, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        until_healthy(port, "/health/liveliness", 120)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_a_litellm_that_runs_already(tmp_path: Path) -> None:
    """It passes, goes on running, and the ports are free again; its master key is nowhere."""
    legs, port = (lasting_port(), lasting_port()), lasting_port()
    for name, text in (("config.yaml", CONFIG), ("legs.yaml", LEGS), ("s.yaml", SCENARIO)):
        (tmp_path / name).write_text(text.replace("P1", str(legs[0])).replace("P2", str(legs[1])))
    words = ("run", "s.yaml", "--gateway", f"http://127.0.0.1:{port}/v1", "--legs", "legs.yaml")
    with litellm(tmp_path, port) as pid:
        for _ in range(TRIES):
            ran = drill(*words, cwd=tmp_path, env={"MASTER_KEY": KEY})
            if ran.code != 3 or not all(reason.startswith(BUSY) for reason in ran.result.reasons):
                break
        assert alive({pid}) == {pid}
    assert ran.code == 0, ran.out + ran.err
    assert listened_on(set(legs)) == set()
    [found] = ran.result.switchovers
    assert (found.from_, found.to) == ("claude", "gpt")
    assert ran.result.gateway.name == "litellm-by-url"
    assert ran.result.attempts.unexplained == 0
    assert ran.folder is not None
    assert KEY not in ran.out + "".join(path.read_text() for path in ran.folder.iterdir() if path.is_file())
