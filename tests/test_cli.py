"""Wrong usage: one clear message each, exit code 2, nothing started and nothing left behind."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from drilling import SAMPLES, drill

SCENARIO = """\
name: Small
objective: Callers get answers.
load: {rate: 10/s}
timeline:
  - {phase: steady, for: 2s}
  - {phase: outage, for: 2s, faults: [{refuse: {%s}}]}
  - {phase: recovery, for: 2s}
expect: {lost: {at_most: 0}}
"""


def _wrong(tmp_path: Path, *words: str | Path, env: dict[str, str] | None = None) -> str:
    ran = drill(*words, cwd=tmp_path, env=env)
    assert ran.code == 2, ran.out + ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "drill-results").exists()
    return ran.err.strip()


def test_an_unknown_scenario_names_the_closest(tmp_path: Path) -> None:
    """The message has the closest match and the scenarios that ship."""
    said = _wrong(tmp_path, "run", "cloud-outrage")
    assert "cloud-outrage" in said
    assert "did you mean 'cloud-outage'?" in said
    assert "primary-down" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [", ":1:"),
        (SCENARIO % "role: primary" + "expct: {}\n", "did you mean 'expect'?"),
        (SCENARIO % "role: primary" + "name: again\n", "name"),
        ((SCENARIO % "role: primary").replace("10/s", "10"), "10/s"),
        (SCENARIO % "cloud: awss", "did you mean 'aws'?"),
        (SCENARIO % "region: mars", "us-east-1"),
    ],
    ids=["syntax", "unknown key", "duplicate key", "no unit", "selector typo", "no such region"],
)
def test_a_bad_scenario_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    """file:line:column, what is wrong, and what would be right."""
    (tmp_path / "bad.yaml").write_text(text)
    said = _wrong(tmp_path, "run", "bad.yaml", "--config", SAMPLES / "cross-cloud.yaml")
    assert said.startswith("drill: bad.yaml:")
    assert expected in said


@pytest.mark.parametrize("command", ["validate", "run", "plan"])
def test_a_name_with_escape_sequences_is_shown_without_them(tmp_path: Path, command: str) -> None:
    """Colours, window titles and direction marks in a file's name reach no terminal; the rest of the name does."""
    name = "bad\x1b[31m\x1b]0;owned\x07\u202egnp.yaml"
    (tmp_path / name).write_text("name: x\n")
    ran = drill(command, name, cwd=tmp_path)
    assert ran.code == 2
    said = ran.out + ran.err
    assert not set(said) & {"\x1b", "\x07", "\u202e"}
    assert "bad [31m ]0;owned gnp.yaml:1:1: missing key 'objective'" in said


def test_a_config_without_fallbacks_has_nothing_to_drill(tmp_path: Path) -> None:
    """One leg and no way out of it is a usage error, not a failed drill."""
    (tmp_path / "one.yaml").write_text(
        "model_list:\n  - model_name: chat\n    litellm_params: {model: openai/gpt-4o, api_key: sk-x}\n"
    )
    said = _wrong(tmp_path, "run", "cloud-outage", "--config", "one.yaml")
    assert said.startswith("drill: one.yaml:")
    assert "fall" in said


@pytest.mark.parametrize("name", ["missing.yaml", "."], ids=["missing", "a folder"])
def test_a_config_that_is_no_file(tmp_path: Path, name: str) -> None:
    """The path is named."""
    assert name in _wrong(tmp_path, "run", "cloud-outage", "--config", name)


def test_a_port_in_use(tmp_path: Path) -> None:
    """The port is named, before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in _wrong(tmp_path, "run", "cloud-outage", "--port", str(port))


@pytest.mark.parametrize("port", ["0", "99999", "-1"])
def test_a_port_that_does_not_exist(tmp_path: Path, port: str) -> None:
    """The range is named."""
    assert "1 to 65535" in _wrong(tmp_path, "run", "cloud-outage", f"--port={port}")


def test_a_config_nested_too_deep(tmp_path: Path) -> None:
    """A sentence, not the limits of a parser."""
    (tmp_path / "deep.yaml").write_text("[" * 5000)
    assert "nested too deep" in _wrong(tmp_path, "plan", "primary-down", "--config", "deep.yaml")


def test_an_unknown_gateway(tmp_path: Path) -> None:
    """The closest match and the adapters that there are."""
    assert "did you mean 'litellm'?" in _wrong(tmp_path, "run", "cloud-outage", "--gateway", "litelm")


def test_no_network_on_the_first_run(tmp_path: Path) -> None:
    """One message that says what could not be installed and what to do; the cache holds nothing half-done."""
    cache = tmp_path / "cache"
    offline = {
        "FAILOVER_DRILL_CACHE": str(cache),
        "FAILOVER_DRILL_LITELLM": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_RETRIES": "0",
    }
    said = _wrong(tmp_path, "run", "cloud-outage", env=offline)
    assert "LiteLLM" in said or "litellm" in said
    assert len(said.splitlines()) == 1
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.mark.parametrize("words", [[], ["run"], ["fly"], ["run", "cloud-outage", "--colour"]])
def test_a_wrong_command_line_shows_the_usage(tmp_path: Path, words: list[str]) -> None:
    """The exit code of argparse is 2 as well."""
    assert "usage: drill" in _wrong(tmp_path, *words)


def test_validate_reports_every_file(tmp_path: Path) -> None:
    """Good and bad ones in one go, as text and as JSON."""
    (tmp_path / "bad.yaml").write_text("name: x\n")
    ran = drill("validate", "cloud-outage", "bad.yaml", cwd=tmp_path)
    assert ran.code == 2
    assert "cloud-outage.yaml: good" in ran.out
    assert "bad.yaml:" in ran.out
    found = json.loads(drill("validate", "bad.yaml", "--json", cwd=tmp_path).out)
    assert found[0]["problems"]


def test_plan_touches_nothing(tmp_path: Path) -> None:
    """Legs in their order, the timeline, and no folder."""
    ran = drill("plan", "cross-region-cascade", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines() if line.startswith("  ") and "," in line][:3] == [
        "primary",
        "secondary",
        "tertiary",
    ]
    assert list(tmp_path.iterdir()) == []
    assert json.loads(drill("plan", "cloud-outage", "--json", cwd=tmp_path).out)["legs"][0]["cloud"] == "aws"


@pytest.mark.parametrize("what", ["scenarios", "faults", "gateways", "providers", "reports"])
def test_list(tmp_path: Path, what: str) -> None:
    """Names one a line, or as JSON."""
    names = json.loads(drill("list", what, "--json", cwd=tmp_path).out)
    assert names
    said = drill("list", what, cwd=tmp_path).out
    assert [re.split(r" {2,}", line)[0] for line in said.splitlines()] == list(names)


def test_check_of_something_else(tmp_path: Path) -> None:
    """A folder without a history, and a history that is none."""
    assert "cannot read the history" in _wrong(tmp_path, "check", ".")
    (tmp_path / "history.jsonl").write_text('{"event":"nonsense"}\n{}\n')
    assert "history.jsonl:1:1" in _wrong(tmp_path, "check", ".")


def test_a_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """The operating system says only that there is no room; and nothing half-written is left."""
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from drills.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "try:\n"
        "    write_whole(Path(sys.argv[1]), b'x' * 100)\n"
        "except OSError as error:\n"
        "    print(error.filename)\n"
    )
    target = tmp_path / "result.json"
    done = subprocess.run([sys.executable, "-c", code, target], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(target)
    assert list(tmp_path.iterdir()) == []
