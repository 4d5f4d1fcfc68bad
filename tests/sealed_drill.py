"""Whole drills on the route `sealed` with a small gateway: `python sealed_drill.py SCENARIO CONFIG FOLDER`."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from drills import routing
from drills.files import finish
from drills.gateways.base import Discovery, Launch, Progress
from drills.job import Job
from drills.legs import Leg
from drills.plan import make
from drills.problems import UsageProblem
from drills.result import Result
from drills.routing.base import Planned
from drills.run import run
from drills.shelf import load
from drills.targets import resolve
from drills.toxiproxy_install import prepare

HERE = Path(__file__).parent
LEGS = (
    Leg(
        name="first",
        role="primary",
        provider="openai",
        vendor="openai",
        model="gpt-4o",
        cloud="openai",
        endpoint="https://api.openai.com",
        hosts=("api.openai.com",),
    ),
    Leg(
        name="second",
        role="secondary",
        provider="openai",
        vendor="openai",
        model="gpt-4o",
        cloud="azure",
        endpoint="https://llm.example.com:8443",
        hosts=("llm.example.com:8443",),
    ),
    Leg(
        name="third",
        role="tertiary",
        provider="openai",
        vendor="meta",
        model="llama",
        cloud="self",
        endpoint="http://10.20.30.40:8000",
        hosts=("10.20.30.40:8000",),
    ),
)
"""A name on the usual port, one on another port, and an address in plain HTTP."""


class Small:
    """The adapter: the config is the gateway's own file. Implements `TakesUnchanged`."""

    name = "small"

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs are always the same."""
        assert config is not None
        sha256 = hashlib.sha256(config.read_bytes()).hexdigest()
        return Discovery(legs=LEGS, entry_model="any", config_file=str(config), config_sha256=sha256)

    def prepare(self, progress: Progress) -> str:
        """It is there."""
        return "1"

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """A copy of the config with other addresses."""
        copy = private / "config.json"
        launch = self._launch(copy, port, private)
        config = json.loads(Path(found.config_file).read_text()) | {"legs": [leg_urls[leg.name] for leg in LEGS]}
        return Launch(**{**_fields(launch), "files": {str(copy): json.dumps(config)}})

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """The file itself."""
        launch = self._launch(Path(found.config_file), port, private)
        return Launch(**{**_fields(launch), "env": {**launch.env, **surroundings}})

    def _launch(self, config: Path, port: int, private: Path) -> Launch:
        return Launch(
            argv=(sys.executable, str(HERE / "sealed_gateway.py"), str(config), str(port)),
            env={"PATH": os.environ["PATH"]},
            cwd=str(private),
            base_url=f"http://127.0.0.1:{port}",
            ready_path="/health",
            chat_path="/v1/chat/completions",
            request_headers=(),
        )


def _fields(launch: Launch) -> dict[str, object]:
    return {name: getattr(launch, name) for name in Launch.__struct_fields__}


def config_of(folder: Path, *tries: str) -> Path:
    """A gateway's own config, with its legs' real addresses."""
    path = folder / "own-config.json"
    path.write_text(json.dumps({"legs": [leg.endpoint for leg in LEGS], "tries": tries}))
    return path


def drilled(scenario_file: Path, config: Path, folder: Path, route: str = "sealed") -> Result:
    """Run a drill, in this process; its files are in the folder. Raises `UsageProblem`."""
    scenario, gateway, kind = load(str(scenario_file)), Small(), routing.get(route)
    found = gateway.discover(config, None)
    targets = resolve(scenario, found.legs)
    if problems := list(kind.problems(Planned(gateway, found, targets))):
        raise UsageProblem(problems)
    plan = make(scenario, found.legs, 7, "nonce")
    wired = any(fault.plane == "toxi" for fault in plan.faults)
    folder.mkdir(parents=True, exist_ok=True)
    job = Job(
        scenario=scenario,
        found=found,
        plan=plan,
        gateway=gateway,
        gateway_version="1",
        route=kind,
        seed=7,
        folder=folder,
        toxiproxy=prepare(lambda _line: None, os.environ).server if wired else "",
    )
    run(job, lambda _event: None, lambda line: print(line, flush=True))  # noqa: T201  a test's output
    return finish(folder)


if __name__ == "__main__":
    drilled(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
