"""Drills of a real TensorZero, with short copies of the shipped timelines; and how its listener comes to our port."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from drilling import Ran, drill, free_port

from drills.gateways import tensorzero_launcher
from drills.result import Verdict

pytestmark = pytest.mark.clock

SCENARIOS = Path(__file__).parent.parent / "scenarios"
TUNED = SCENARIOS / "tensorzero" / "cross-cloud.toml"
BARE = SCENARIOS / "tensorzero" / "routing-only.toml"


def shortened(name: str, folder: Path, fault_s: int) -> Path:
    """A shipped scenario with the same faults and shorter phases."""
    lasts = {"8": "3", "20": "4", "15": str(fault_s), "25": str(fault_s)}  # steady, recovery, and the faults
    text = re.sub(r"for: (\d+)s", lambda found: f"for: {lasts[found[1]]}s", (SCENARIOS / name).read_text())
    text = text.replace("failback: {within: 20s}", "failback: {within: 4s}")
    path = folder / name
    path.write_text(text)
    return path


def _run(tmp_path: Path, scenario: str, config: Path, fault_s: int = 8) -> Ran:
    # The seed decides which requests stream: TensorZero passes a stream on that broke after its first words.
    words = ("run", shortened(scenario, tmp_path, fault_s), "--gateway", "tensorzero", "--config", config)
    return drill(*words, "--seed", "11", cwd=tmp_path)


@pytest.mark.gateway
def test_a_cloud_outage_passes_on_the_tuned_config(tmp_path: Path) -> None:
    """From AWS to Azure after the config's own timeout of 2 s, and back at once: TensorZero has no cooldown."""
    ran = _run(tmp_path, "cloud-outage.yaml", TUNED)
    assert ran.code == 0, ran.out + ran.err
    result = ran.result
    (switchover,) = result.switchovers
    clouds = {leg.name: leg.cloud for leg in result.legs}
    assert (clouds[switchover.from_ or ""], clouds[switchover.to or ""]) == ("aws", "azure")
    assert switchover.recovery_s is not None
    assert 1.5 < switchover.recovery_s <= 6
    assert result.attempts.unexplained == 0
    again = drill("check", ran.folder or "", "--json", cwd=tmp_path)
    assert json.loads(again.out)["verdict"] == Verdict.PASS


@pytest.mark.gateway
def test_a_cascade_passes_on_the_tuned_config(tmp_path: Path) -> None:
    """Two losses, two switchovers: the third provider answers while the first two are gone."""
    ran = _run(tmp_path, "cross-region-cascade.yaml", TUNED, fault_s=6)
    assert ran.code == 0, ran.out + ran.err
    assert [switchover.to for switchover in ran.result.switchovers] == ["azure-gpt-4o", "anthropic-claude-sonnet-4-5"]


@pytest.mark.gateway
def test_a_cloud_outage_fails_with_routing_only(tmp_path: Path) -> None:
    """Without timeouts TensorZero waits on the leg that is gone: fail, exit code 1."""
    ran = _run(tmp_path, "cloud-outage.yaml", BARE)
    assert ran.code == 1, ran.out + ran.err
    failed = {check.name for check in ran.result.checks if check.verdict is Verdict.FAIL}
    assert "switchover" in failed


@pytest.mark.gateway
def test_a_config_that_tensorzero_rejects_is_one_clear_message(tmp_path: Path) -> None:
    """Exit code 2, TensorZero's own words, and no folder left behind."""
    config = tmp_path / "tensorzero.toml"
    config.write_text(TUNED.read_text().replace("total_ms = 2_000", "total_ms = 2_000\nsoon = true", 1))
    assert tomllib.loads(config.read_text())
    ran = _run(tmp_path, "cloud-outage.yaml", config)
    assert ran.code == 2, ran.out + ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert "soon" in ran.err
    assert not list((tmp_path / "drill-results").glob("*"))


_SERVER = """
import selectors, socket, sys
sys.path.insert(0, sys.argv[1])
import tensorzero_launcher
selector = selectors.EpollSelector()
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
selector.register(listener, selectors.EVENT_READ)
here = listener.getsockname()[1]
descriptor = tensorzero_launcher.move(here, int(sys.argv[2]))
assert descriptor == listener.fileno()
print(here, flush=True)
for number in range(2):
    assert selector.select(10)
    accepted, _ = listener.accept()
    accepted.sendall(b"answer %d" % number)
    accepted.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="epoll and /proc")
def test_a_listener_moves_to_another_port() -> None:
    """What accepts by epoll goes on on the new port, and nobody listens on the old one."""
    port = free_port()
    folder = str(Path(tensorzero_launcher.__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, folder, str(port)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        here = int(process.stdout.readline())
        for number in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                assert sock.recv(100) == b"answer %d" % number
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", here), timeout=10)
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="epoll and /proc")
def test_a_listener_that_is_not_there_or_not_watched_is_not_moved() -> None:
    """Better no gateway than one that nobody can reach."""
    with pytest.raises(OSError, match="no listener on port 1"):
        tensorzero_launcher.move(1, 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"the listener on port {port} is watched in 0 ways"):
            tensorzero_launcher.move(port, 2)
