"""A gateway that a small YAML file describes: what is read, what is refused, what the process is given."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from drills.gateways.base import Discovery, Launch
from drills.gateways.command import load
from drills.legs import Leg
from drills.problems import UsageProblem
from drills.tested import gateway_of

FULL = """\
name: my-gateway
version: "1.2"
command: [python, gateway.py, --port, "{port}", 8080, true]
env:
  LOG_LEVEL: info
  WORKERS: 2
  UPSTREAM: "{leg.a}/v1, {leg.b-2}/v1"
  API_KEY: sk-not-to-be-written
  SHELL_WORD: "${port}"
  JSON: '{"a": {"b": 1}}'
ready: /ready?deep=1
chat: /openai/chat/completions
model: gpt
legs:
  - {name: a, provider: openai, model: gpt-4o, cloud: openai}
  - {name: b-2, provider: azure, model: gpt-4o, cloud: azure, region: swedencentral}
  - {name: c, provider: bedrock, model: claude, cloud: aws, vendor: anthropic, role: secondary}
"""
SHORT = """\
name: g
command: [%s]
legs: [{name: a, provider: openai, model: m, cloud: openai}]
"""
URLS = {"a": "http://127.0.0.1:11", "b-2": "http://127.0.0.1:12", "c": "http://127.0.0.1:13"}


def written(folder: Path, text: str) -> Path:
    """The text as a file."""
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


def launched(path: Path, config: Path | None = None) -> Launch:
    """What the file's process is started with."""
    return launched_at(path, URLS, config)


def launched_at(path: Path, urls: dict[str, str], config: Path | None = None) -> Launch:
    """The same, with its legs at these URLs."""
    gateway = load(path)
    found = gateway.discover(config, None)
    return gateway.launch(found, {leg.name: urls[leg.name] for leg in found.legs}, 4000, path.parent / "private")


class TestReading:
    """What a good file says."""

    def test_everything(self, tmp_path: Path) -> None:
        """Each key is where it belongs; roles come from the position unless they are written."""
        path = written(tmp_path, FULL)
        gateway = load(path)
        openai: dict[str, Any] = {"vendor": "openai", "model": "gpt-4o"}
        assert gateway.name == "my-gateway"
        assert gateway.prepare(print) == "1.2"
        assert gateway.discover(None, None) == Discovery(
            legs=(
                Leg(name="a", role="primary", provider="openai", cloud="openai", **openai),
                Leg(name="b-2", role="secondary", provider="azure", cloud="azure", region="swedencentral", **openai),
                Leg(name="c", role="secondary", provider="bedrock", vendor="anthropic", model="claude", cloud="aws"),
            ),
            entry_model="gpt",
            config_file=str(path),
            config_sha256=hashlib.sha256(FULL.encode()).hexdigest(),
        )

    def test_the_shortest(self, tmp_path: Path) -> None:
        """Everything else has a default; the command line's model comes first."""
        path = written(tmp_path, SHORT % "python")
        gateway, launch = load(path), launched(path)
        assert gateway.prepare(print) == ""
        assert gateway.discover(None, None).entry_model == "chat"
        assert gateway.discover(None, "other").entry_model == "other"
        assert (launch.ready_path, launch.chat_path) == ("/health", "/v1/chat/completions")

    def test_by_path(self, tmp_path: Path) -> None:
        """A name that ends in .yaml is a file."""
        assert gateway_of(str(written(tmp_path, SHORT % "python"))).name == "g"


def test_the_readme_s_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows is a whole gateway; `calibration/scripted.yaml`, no longer, is drilled in other tests."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}/usr/bin")
    readme = Path(__file__).parent.parent / "README.md"
    [text] = [block for block in re.findall(r"```yaml\n(.*?)```", readme.read_text(), re.DOTALL) if "command:" in block]
    scripted = (Path(__file__).parent / "calibration" / "scripted.yaml").read_text()
    assert max(len(text.splitlines()), len(scripted.splitlines())) <= 10
    launch = launched_at(written(tmp_path, text), {"first": "http://127.0.0.1:11", "second": "http://127.0.0.1:12"})
    assert launch.argv[1:] == ("gateway.py", "--port", "4000")
    assert launch.env["DRILL_LEG_SECOND"] == "http://127.0.0.1:12"


class TestStarting:
    """What the process is given."""

    def test_placeholders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Port and legs stand in words and variables; the environment holds no proxy and nobody's key."""
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}/usr/bin")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
        monkeypatch.setenv("LANG", "C.UTF-8")
        launch = launched(written(tmp_path, FULL))
        assert Path(launch.argv[0]).parent == Path(sys.executable).parent
        assert launch.argv[1:] == ("gateway.py", "--port", "4000", "8080", "true")
        assert launch.cwd == str(tmp_path)
        own = {name: value for name, value in launch.env.items() if name not in os.environ}
        assert own == {
            "LOG_LEVEL": "info",
            "WORKERS": "2",
            "UPSTREAM": "http://127.0.0.1:11/v1, http://127.0.0.1:12/v1",
            "API_KEY": "sk-not-to-be-written",
            "SHELL_WORD": "${port}",
            "JSON": '{"a": {"b": 1}}',
            "DRILL_PORT": "4000",
            "DRILL_LEG_A": "http://127.0.0.1:11",
            "DRILL_LEG_B_2": "http://127.0.0.1:12",
            "DRILL_LEG_C": "http://127.0.0.1:13",
        }
        assert {"PATH", "LANG"} <= launch.env.keys()
        assert not {"HTTPS_PROXY", "OPENAI_API_KEY"} & launch.env.keys()
        assert launch.secrets == ("sk-not-to-be-written",)
        assert (launch.base_url, launch.ready_path) == ("http://127.0.0.1:4000", "/ready?deep=1")
        assert launch.chat_path == "/openai/chat/completions"

    def test_a_program_beside_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A program with a slash is looked for from the file's folder, wherever the drill runs."""
        program = tmp_path / "bin" / "gateway"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        path = written(tmp_path, SHORT % "bin/gateway")
        monkeypatch.chdir(tmp_path.parent)
        launch = launched(Path(tmp_path.name) / path.name)
        assert (launch.argv, launch.cwd) == ((str(program),), str(tmp_path))

    def test_a_program_that_is_not_there(self, tmp_path: Path) -> None:
        """It is said before anything is started, with its place."""
        path = written(tmp_path, SHORT % "python, x").replace(tmp_path / "g.yaml")
        for word, where in (("no-such-program", 11), ("./gateway", 11)):
            path.write_text(SHORT % word)
            with pytest.raises(UsageProblem) as caught:
                load(path).prepare(print)
            what = f"{path}:2:{where}: there is no program '{word}' on PATH or in {tmp_path}"
            assert str(caught.value) == what

    def test_config(self, tmp_path: Path) -> None:
        """`{config}` is the file of --config, as an absolute path; name and digest of that file are recorded."""
        path = written(tmp_path, SHORT % 'python, "--config={config}"')
        config = tmp_path / "its.toml"
        config.write_text("a = 1\n")
        found = load(path).discover(config, None)
        assert (found.config_file, found.notes) == (str(config), ())
        assert found.config_sha256 == hashlib.sha256(b"a = 1\n").hexdigest()
        assert launched(path, config).argv[1:] == (f"--config={config}",)

    def test_config_that_nobody_reads(self, tmp_path: Path) -> None:
        """A config that the command has no place for is recorded, and that is said."""
        path = written(tmp_path, SHORT % "python")
        [note] = load(path).discover(path, None).notes
        assert note == f"{path} is recorded, but no {{config}} in {path} hands it to the gateway"

    def test_config_changed(self, tmp_path: Path) -> None:
        """What is started is what was read."""
        path = written(tmp_path, SHORT % 'python, "{config}"')
        config = tmp_path / "its.toml"
        config.write_text("a = 1\n")
        gateway = load(path)
        found = gateway.discover(config, None)
        config.write_text("a = 2\n")
        with pytest.raises(UsageProblem, match="was changed since the drill read it; start again"):
            gateway.launch(found, URLS, 1, tmp_path)

    def test_config_missing(self, tmp_path: Path) -> None:
        """`{config}` without --config, and a config that is not there."""
        path = written(tmp_path, SHORT % 'python, "{config}"')
        with pytest.raises(UsageProblem) as caught:
            load(path).discover(None, None)
        assert str(caught.value) == f"{path}:2:19: {{config}} is the file that --config names; give one"
        with pytest.raises(UsageProblem) as caught:
            load(path).discover(tmp_path / "none", None)
        assert str(caught.value) == f"{tmp_path / 'none'}: the file cannot be read: No such file or directory"


KEYS = "chat, command, env, legs, model, name, ready, version"
DIALECTS = "anthropic, azure, bedrock, gemini, openai, vertex"
LEG = "legs: [{name: a, provider: openai, model: m, cloud: openai}]\n"
TOP = "name: g\ncommand: [python]\n"

BAD: list[tuple[str, list[str]]] = [
    ("", ["1:1: the file is empty"]),
    ("- a\n", ["1:1: the gateway must be a mapping (`key: value`), not a list"]),
    (
        "x: 1\n",
        [
            f"1:1: unknown key 'x' in the gateway; allowed: {KEYS}",
            "1:1: missing key 'name' in the gateway; it takes text",
            "1:1: missing key 'command' in the gateway; it takes a list",
            "1:1: missing key 'legs' in the gateway; it takes a list",
        ],
    ),
    (
        "name: My Gateway\ncommand: python gateway.py\n" + LEG,
        [
            "1:7: 'name' in the gateway: 'My Gateway' must be lower-case letters, digits and dashes",
            "2:10: 'command' must be a list (`- item`) of its words, not one text",
        ],
    ),
    ("name: g\ncommand: []\n" + LEG, ["2:10: 'command' in the gateway: must have at least 1 item"]),
    ("name: g\ncommand:\n" + LEG, ["2:9: 'command' in the gateway has no value; it takes a list"]),
    (
        'name: g\ncommand: [python, {port}, "{prot}", "{leg.b}/{leg.b}"]\n' + LEG,
        [
            '2:19: {port} needs quotes: "{port}"; without them YAML reads a mapping',
            "2:27: unknown placeholder {prot}; did you mean 'port'? allowed: config, leg.a, port",
            "2:37: unknown placeholder {leg.b}; did you mean 'leg.a'? allowed: config, leg.a, port",
        ],
    ),
    (
        TOP + 'env: {A: "{hunterSECRET}"}\n' + LEG,
        ["3:10: unknown placeholder {...}; allowed: config, leg.a, port"],
    ),
    (
        "name: g\ncommand: python3 gw.py --key SECRETcmd\n" + LEG,
        ["2:10: 'command' must be a list (`- item`) of its words, not one text"],
    ),
    (TOP + "env: [A=1]\n" + LEG, ["3:6: env must be a mapping (`NAME: value`)"]),
    (TOP + "env:\n" + LEG, ["3:5: 'env' in the gateway has no value; it takes a mapping with NAME: value"]),
    (
        TOP + 'env: {A B: x, DRILL_PORT: 1, C: , D: [x], E: {port}, F: "{nine}", G: {x: 1}}\n' + LEG,
        [
            "3:7: variable 'A B' in env must be letters, digits and underscores",
            "3:15: variable 'DRILL_PORT' in env: names with DRILL_ are the drill's own",
            "3:32: variable 'C' in env has no value; write \"\" for an empty one",
            "3:38: variable 'D' in env must be text",
            '3:46: {port} needs quotes: "{port}"; without them YAML reads a mapping',
            "3:57: unknown placeholder {nine}; allowed: config, leg.a, port",
            "3:70: variable 'G' in env must be text",
        ],
    ),
    (TOP + "version: 1.2\n" + LEG, ["3:10: 'version' in the gateway: 1.2 is not text; put it in quotes: \"1.2\""]),
    (
        TOP + "ready: health\nchat: v1 chat\n" + LEG,
        [
            "3:8: 'ready' in the gateway: 'health' must be a path that begins with /",
            "4:7: 'chat' in the gateway: 'v1 chat' must be a path that begins with /",
        ],
    ),
    (TOP + "legs: []\n", ["3:7: 'legs' in the gateway: must have at least 1 item"]),
    (TOP + "legs: [a]\n", ["3:8: a leg must be a mapping (`key: value`), not 'a'"]),
    (
        TOP
        + "legs:\n  - {name: a, provider: opnai, model: m, cloud: x}\n  - {name: a, provider: openai, model: m}\n"
        + "  - {name: b_c, provider: azure, model: m, cloud: x, role: first, region: }\n",
        [
            f"4:25: unknown provider 'opnai'; did you mean 'openai'? allowed: {DIALECTS}",
            "5:5: missing key 'cloud' in a leg; it takes text",
            "5:12: leg 'a' is written twice; first at {file}:4:12",
            "6:12: 'name' in a leg: 'b_c' must be lower-case letters, digits and dashes",
            "6:60: unknown role 'first'; allowed: primary, quaternary, quinary, secondary, tertiary, level-6, ...",
            "6:74: 'region' in a leg has no value; it takes text",
        ],
    ),
    (
        TOP + "lges: []\nname: h\n" + LEG,
        [
            f"3:1: unknown key 'lges' in the gateway; did you mean 'legs'? allowed: {KEYS}",
            "4:1: key 'name' is written twice; first at {file}:1:1",
        ],
    ),
    (TOP + 'env: {X: !!str "a"}\n' + LEG, ["3:10: the tag '!!str' is not supported; write the value without it"]),
]


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_bad_files(text: str, problems: list[str], tmp_path: Path) -> None:
    """Every problem at once, each with its place and the choices."""
    path = written(tmp_path, text)
    with pytest.raises(UsageProblem) as caught:
        load(path)
    assert str(caught.value).splitlines() == [f"{path}:{line.replace('{file}', str(path))}" for line in problems]


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there."""
    with pytest.raises(UsageProblem, match="there is no such file"):
        load(tmp_path / "none.yaml")
