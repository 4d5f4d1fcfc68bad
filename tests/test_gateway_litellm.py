"""The main job with a real LiteLLM, as a user runs it: both sample configs, all four scenarios, the null drill."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browsing import look_at
from drilling import (
    SAMPLES,
    Ran,
    alive,
    descendants,
    drill,
    events,
    gone,
    listened_on,
    listeners,
    newest,
    runs,
    start,
    until_line,
)

from drills.result import Verdict

pytestmark = [pytest.mark.clock, pytest.mark.gateway, pytest.mark.timeout(600)]

TUNED = SAMPLES / "cross-cloud.yaml"
BARE = SAMPLES / "fallbacks-only.yaml"


def _adds_up(ran: Ran) -> None:
    """Every request once, every attempt once, none unexplained; and the history says the same again."""
    result = ran.result
    requests, attempts = result.requests, result.attempts
    outcomes = requests.ok + requests.failed + requests.unknown + requests.corrupt + requests.not_started
    assert outcomes == requests.due == sum(path.requests for path in result.paths)
    assert attempts.total == sum(attempts.by_leg.values()) == sum(attempts.by_result.values())
    assert attempts.total == sum(path.requests * len(path.attempts) for path in result.paths)
    assert attempts.unexplained == 0
    assert ran.folder is not None
    history = events(ran.folder)
    sent = {event["seq"] for event in history if event["event"] == "arrival_sent"}
    assert len(sent) == requests.due - requests.not_started
    seen = [event for event in history if event["event"] == "attempt_received"]
    assert len(seen) == attempts.total + attempts.probes + attempts.own_checks + attempts.side_traffic
    again = drill("check", ran.folder, "--json", cwd=ran.folder)
    assert again.code == result.exit_code, again.err
    assert json.loads(again.out)["verdict"] == result.verdict
    report = (ran.folder / "report.md").read_text()
    assert f"{attempts.total} attempts for {requests.due} requests; 0 attempts unexplained" in report


def test_cloud_outage_passes_on_the_tuned_config(tmp_path: Path) -> None:
    """The main job: a pass, exit code 0, a switchover from AWS to Azure and back."""
    ran = drill("run", "cloud-outage.yaml", cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    result = ran.result
    assert result.verdict is Verdict.PASS
    (switchover,) = result.switchovers
    clouds = {leg.name: leg.cloud for leg in result.legs}
    assert (clouds[switchover.from_ or ""], clouds[switchover.to or ""]) == ("aws", "azure")
    assert switchover.recovery_s is not None
    assert 1.5 < switchover.recovery_s <= 6  # not before the config's own timeout of 2 s
    (failback,) = result.failbacks
    assert failback.failback_s is not None
    assert result.faults[0].touched_requests > 0
    assert {path.name for path in ran.folder.iterdir()} == {  # type: ignore[union-attr]
        "scenario.yaml",
        "history.jsonl",
        "result.json",
        "gateway.log",
        "report.md",
        "report.html",
        "junit.xml",
        "manifest.json",
    }
    _adds_up(ran)
    assert ran.folder is not None
    look_at(ran.folder / "report.html", "litellm-pass")


def test_cloud_outage_fails_with_fallbacks_only(tmp_path: Path) -> None:
    """Without timeouts LiteLLM waits as long as its callers do: fail, exit code 1, and words to act on."""
    ran = drill("run", "cloud-outage.yaml", "--config", BARE, cwd=tmp_path)
    assert ran.code == 1, ran.out + ran.err
    assert ran.out.count("FAIL: ") == 1
    assert "timeout" in ran.out
    assert ran.result.requests.unknown > 50
    _adds_up(ran)
    assert ran.folder is not None
    look_at(ran.folder / "report.html", "litellm-fail")


@pytest.mark.parametrize("config", [TUNED, BARE], ids=["tuned", "fallbacks-only"])
@pytest.mark.parametrize("scenario", ["primary-down", "degraded-latency", "cross-region-cascade"])
def test_the_other_scenarios_tell_the_configs_apart(tmp_path: Path, scenario: str, config: Path) -> None:
    """The tuned one passes each, the other fails each; and the ledger adds up."""
    ran = drill("run", scenario, "--config", config, cwd=tmp_path)
    assert ran.code == (0 if config == TUNED else 1), ran.out + ran.err
    _adds_up(ran)


def test_the_null_drill_is_invalid(tmp_path: Path) -> None:
    """Without faults no switchover is found, and the failover expectations are not passed."""
    ran = drill("run", "fast/cloud-outage", "--no-faults", cwd=tmp_path)
    assert ran.code == 3, ran.out + ran.err
    assert ran.result.verdict is Verdict.INVALID
    assert ran.result.switchovers == ()
    assert ran.result.requests.ok == ran.result.requests.due
    assert {check.name for check in ran.result.checks if check.verdict is Verdict.PASS}.isdisjoint(
        {"switchover", "failback"}
    )


def test_kill_9_in_the_middle_of_a_fault_leaves_nothing(tmp_path: Path) -> None:
    """Ten seconds after SIGKILL no process, listener or private folder of the drill is left."""
    process = start("run", "cloud-outage", cwd=tmp_path)
    until_line(process, "fault outage-blackhole is on", 90)
    family = descendants(process.pid)
    assert len(family) >= 4  # simulator, plane, keeper, gateway
    ports = listeners(family)
    assert len(ports) >= 7  # three legs at the simulator and at the plane, and the gateway
    process.kill()
    process.wait()
    assert gone(family, 10) == set()
    assert listened_on(ports) == set()
    history = events(newest(tmp_path))
    assert history[-1]["event"] != "run_ended"
    ran = drill("check", newest(tmp_path), "--json", cwd=tmp_path)
    assert json.loads(ran.out)["verdict"] == "interrupted"


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("moment", ["starting litellm", "phase steady", "fault outage-blackhole is on"])
def test_a_signal_at_any_moment_restores_everything(tmp_path: Path, moment: str, sig: signal.Signals) -> None:
    """Exit code 130, faults cleared, every process gone, the history kept and judged."""
    process = start("run", "cloud-outage", cwd=tmp_path)
    until_line(process, moment, 90)
    time.sleep(0.5)
    family = descendants(process.pid)
    process.send_signal(sig)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130, out
    assert alive(family) == set()
    folder = newest(tmp_path)
    history = events(folder)
    assert history[-1]["event"] == "run_ended"
    on = {event["fault"] for event in history if event["event"] == "fault_effective"}
    off = {event["fault"] for event in history if event["event"] == "fault_cleared"}
    assert on == off
    assert json.loads((folder / "result.json").read_text())["verdict"] == "interrupted"


@pytest.mark.gateway(2)
def test_two_drills_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Own ports, own folders, own legs: both pass."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: drill("run", "fast/primary-down", cwd=tmp_path), range(2)))
    assert [ran.code for ran in both] == [0, 0], both[0].out + both[1].out
    assert len(runs(tmp_path)) == 2


def test_a_config_that_litellm_rejects_is_one_clear_message(tmp_path: Path) -> None:
    """Exit code 2, LiteLLM's own words, and no folder left behind."""
    config = tmp_path / "config.yaml"
    config.write_text(TUNED.read_text().replace("num_retries: 0", "routing_strategy: no-such-strategy"))
    ran = drill("run", "cloud-outage", "--config", config, cwd=tmp_path)
    assert ran.code == 2, ran.out + ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert "no-such-strategy" in ran.err or "routing" in ran.err
    assert not list((tmp_path / "drill-results").glob("*"))


def test_no_key_is_ever_written(tmp_path: Path) -> None:
    """A literal key of the user's config is in no file of the run."""
    secret = "sk-this-is-a-real-looking-key-4711"  # noqa: S105  not a password, the subject of the test
    config = tmp_path / "config.yaml"
    config.write_text(TUNED.read_text().replace("os.environ/AZURE_API_KEY", secret))
    ran = drill("run", "fast/primary-down", "--config", config, cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert ran.folder is not None
    assert not [path.name for path in ran.folder.iterdir() if secret in path.read_text()]
    assert secret not in ran.out + ran.err
