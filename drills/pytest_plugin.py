"""The pytest plugin: scenario files are tests, and the fixture `drill` runs a drill from Python.

    pytest scenarios/ --drill-target litellm=config.yaml --drill-target litellm=next.yaml

A broken expectation is a failure; a drill that proved nothing, or could not be started, is an error: it says nothing
about the gateway. Both are shown as findings, without a traceback.

Each drill is a process of its own, with its own ports and its own folder. So workers of xdist share nothing, and a
`faults` or `reports` package of the user's, which may come first on the path here, is never taken for ours: of this
tool's packages only `drills` itself is imported in this file, and nothing else.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

_PATTERNS = ("scenarios/*.yaml", "scenarios/*.yml", "*.drill.yaml")
_LOOKS = re.compile(r"^(timeline|expect)\s*:", re.MULTILINE)
_STOP_WITHIN_S = 30.0
_EVIDENCE = 3
_USAGE = 2


class Check(msgspec.Struct, frozen=True):
    """A finding of a drill, as in `result.json`."""

    name: str
    verdict: str
    expected: str
    observed: str
    evidence: tuple[str, ...] = ()
    advice: str = ""


class Named(msgspec.Struct, frozen=True):
    """Something with a name: the scenario, the gateway."""

    name: str
    version: str = ""


class Result(msgspec.Struct, frozen=True):
    """What a test needs of `result.json`; `Drilled.read` gives all of it."""

    verdict: str
    exit_code: int
    reasons: tuple[str, ...]
    scenario: Named
    gateway: Named
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Target:
    """What is drilled: a gateway and its config, each None for the scenario's own."""

    gateway: str | None = None
    config: Path | None = None

    def __str__(self) -> str:
        words = (Path(self.gateway or "").name, self.config.name if self.config else "")
        return "=".join(word for word in words if word) or "drill"

    def whole(self, root: Path) -> str:
        """With paths, as seen from a folder."""
        words = (self.gateway or "", str(self.config) if self.config else "")
        return "=".join(os.path.relpath(word, root) if Path(word).is_absolute() else word for word in words if word)


@dataclass(frozen=True)
class Drilled:
    """A drill that ended. `result` is None when it was not started; `problem` then says why, a line each."""

    folder: Path | None
    result: Result | None
    problem: str = ""

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, `invalid`, `inconclusive` or `interrupted`; `usage` when nothing was started."""
        return self.result.verdict if self.result else "usage"

    def read(self) -> object:
        """The whole `result.json`, as plain JSON. Raises `ValueError` when there is none."""
        if self.folder is None:
            raise ValueError(f"the drill was not started: {self.problem}")
        return json.loads((self.folder / "result.json").read_text(encoding="utf-8"))

    def check(self) -> None:
        """Fail the test with the drill's findings unless it passed."""
        if self.verdict != "pass":
            pytest.fail(str(self), pytrace=False)

    def __str__(self) -> str:
        if self.result is None:
            return f"not started: {self.problem}"
        result = self.result
        gateway = f"{result.gateway.name} {result.gateway.version}".strip()
        lines = [f"{result.verdict}: {result.scenario.name}, {gateway}: {'; '.join(result.reasons)}"]
        for check in result.checks:
            if check.verdict == "pass":
                continue
            lines += [f"{check.verdict}: {check.name}", f"  expected  {check.expected}"]
            lines += [f"  observed  {check.observed}"]
            lines += [f"  evidence  {cited}" for cited in check.evidence[:_EVIDENCE]]
            lines += [f"  do        {check.advice}"] if check.advice else []
        return "\n".join(_printable(line) for line in (*lines, f"files: {self.folder}"))


class Drill:
    """Runs drills. `folder` is where the runs of this test go, `scratch` where a scenario made in Python is written."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder
        self._scratch = scratch
        self._numbers = itertools.count(1)

    def run(
        self,
        scenario: str | Path | Mapping[str, object],
        *,
        gateway: str | Path | None = None,
        config: str | Path | None = None,
        seed: int | None = None,
        faults: bool = True,
    ) -> Drilled:
        """Run a drill to its end. `scenario`: a path, a file name, a name, or the scenario itself as a mapping with
        the same keys as in YAML. `faults=False` is the null drill. Whether it passed, `Drilled.check` says.
        """
        if isinstance(scenario, Mapping):
            text = json.dumps(scenario)  # every JSON is YAML
            scenario = self._scratch / f"scenario-{next(self._numbers)}.yaml"
            scenario.write_text(text, encoding="utf-8")
        words = ["run", str(scenario), "--json", "--out", str(self._folder)]
        words += ["--gateway", str(gateway)] if gateway is not None else []
        words += ["--config", str(config)] if config is not None else []
        words += ["--seed", str(seed)] if seed is not None else []
        words += [] if faults else ["--no-faults"]
        before = _runs(self._folder)
        code, out, said = _call(words)
        if code == _USAGE:
            return Drilled(None, None, _problems(said))
        if not out:
            return Drilled(None, None, _problems(said) or f"drill ended with exit code {code}")
        # Another worker's test of the same name may have put its runs here meanwhile.
        made = sorted(_runs(self._folder) - before)
        folder = next((path for path in made if _result_in(path) == out), None)
        return Drilled(folder, msgspec.json.decode(out, type=Result))


def _runs(folder: Path) -> set[Path]:
    return {path for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()


def _result_in(folder: Path) -> bytes:
    path = folder / "result.json"
    return path.read_bytes() if path.is_file() else b""


def _call(words: list[str]) -> tuple[int, bytes, str]:
    """Run the tool: exit code, standard output, standard error. An interrupt ends the drill first, in its own way."""
    command = [sys.executable, "-P", "-m", "drills.cli", *words]
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:  # noqa: S603  ours
        try:
            out, err = process.communicate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, out, err.decode(errors="replace")


def _problems(said: str) -> str:
    """Of what the tool said on standard error, its own complaints."""
    lines = [line.removeprefix("drill: ") for line in said.splitlines() if line.startswith("drill: ")]
    return "\n".join(_printable(line) for line in lines)


def _printable(text: str) -> str:
    """Text from outside, without escape sequences and direction marks."""
    return "".join(char if char.isprintable() else " " for char in text)


# --- what pytest calls -----------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("failover-drill", "drills of AI gateways")
    group.addoption(
        "--drill-target",
        action="append",
        default=[],
        metavar="GATEWAY[=CONFIG]",
        help="what scenario files run against; repeat it for more (default: ini drill_targets, else the scenario's)",
    )
    group.addoption("--drill-out", metavar="DIR", help="where the runs go (default: drill-results below the rootdir)")
    parser.addini("drill_targets", "GATEWAY[=CONFIG], one on each line; paths from the rootdir", type="linelist")
    parser.addini("drill_scenarios", "patterns of scenario files that are tests", type="args", default=list(_PATTERNS))


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known. Raises `pytest.UsageError` for a target that is none."""
    config.addinivalue_line("markers", "drill: a scenario file, run as a drill")
    _targets(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """A scenario file: one that was named, or one that matches a pattern and looks like it."""
    if file_path.suffix not in {".yaml", ".yml"}:
        return None
    named = parent.session.isinitpath(file_path)
    if not named:
        if not any(file_path.match(pattern) for pattern in parent.config.getini("drill_scenarios")):
            return None
        if not _LOOKS.search(file_path.read_text(encoding="utf-8", errors="replace")):
            return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    """A scenario, once for each target."""

    def collect(self) -> Iterator[pytest.Item]:
        """The drills."""
        for name, target in _named(_targets(self.config), self.config.rootpath).items():
            item: ScenarioItem = ScenarioItem.from_parent(self, name=name)
            item.target = target
            item.add_marker("drill")
            yield item


class ScenarioItem(pytest.Item):
    """One drill. It runs as the test's set-up, so that a drill that proved nothing is an error and no failure."""

    target = Target()
    drilled: Drilled | None = None

    def setup(self) -> None:
        """Run the drill."""
        folder = _out(self.config) / _slug(f"{self.path.stem}-{self.name}")
        runner = Drill(folder, folder)
        self.drilled = runner.run(self.path, gateway=self.target.gateway, config=self.target.config)
        if self.drilled.verdict not in {"pass", "fail"}:
            self.drilled.check()

    def runtest(self) -> None:
        """Judge it."""
        if self.drilled is None:
            raise RuntimeError("the drill was not run")
        self.drilled.check()

    def reportinfo(self) -> tuple[Path, None, str]:
        """How the test is called."""
        return self.path, None, f"{self.path.name}: {self.name}"


@pytest.fixture
def drill(request: pytest.FixtureRequest, tmp_path: Path) -> Drill:
    """Runs drills: `drill.run("cloud-outage", config="config.yaml").check()`."""
    return Drill(_out(request.config) / _slug(request.node.name), tmp_path)


def _out(config: pytest.Config) -> Path:
    given = config.getoption("--drill-out")
    return config.invocation_params.dir / given if given else config.rootpath / "drill-results"


def _targets(config: pytest.Config) -> list[Target]:
    given, base = config.getoption("--drill-target"), config.invocation_params.dir
    if not given:
        given, base = config.getini("drill_targets"), config.rootpath
    return [_target(word, base) for word in given] or [Target()]


def _named(targets: list[Target], root: Path) -> dict[str, Target]:
    """Targets by the name of their tests: file names, and from the root on where these would be the same."""
    short = [str(target) for target in targets]
    names = [target.whole(root) if short.count(name) > 1 else name for name, target in zip(short, targets, strict=True)]
    return dict(zip(names, targets, strict=True))


def _target(word: str, base: Path) -> Target:
    gateway, _, config = word.partition("=")
    if not gateway:
        raise pytest.UsageError(f"drill target {word!r} names no gateway; write GATEWAY or GATEWAY=CONFIG")
    if Path(gateway).suffix in {".yaml", ".yml"}:
        gateway = str(base / gateway)  # a gateway described by a file
    return Target(gateway, base / config if config else None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:80]
