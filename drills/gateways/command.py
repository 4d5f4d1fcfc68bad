"""A gateway described by a small YAML file: any command that serves OpenAI chat completions.

    name: my-gateway
    command: [python, gateway.py, --port, "{port}"]
    legs:
      - {name: a, provider: openai, model: gpt-4o, cloud: openai}
      - {name: b, provider: openai, model: gpt-4o, cloud: azure, region: swedencentral}

The process finds its port in `DRILL_PORT` and each leg's base URL in `DRILL_LEG_<NAME>` (capitals, dashes as
underscores). `{port}`, `{leg.NAME}` and `{config}` (the file of --config) are replaced in `command` and `env`; any
other word in braces is a problem, and `${NAME}` is left to the shell. It runs in the YAML file's folder. It inherits
nothing that leads out of this host: no proxy, no key.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from msgspec import Meta

from drills.gateways.base import Discovery, Gateway, Launch, Progress
from drills.gateways.credentials import secrets_in
from drills.gateways.written import (
    INHERITED,
    NO_VARIABLES,
    OURS,
    Environment,
    Slug,
    UrlPath,
    WrittenLeg,
    filled,
    leg_of,
    leg_problems,
    leg_variable,
    placeholder_problems,
    placeholders,
    read,
    sha256_of,
    texts,
)
from drills.problems import Problem, UsageProblem
from drills.yamlsource import Node, place_of, shown


@dataclass(frozen=True, kw_only=True)
class WrittenGateway:
    """A gateway file.

    command: the program and its arguments. ready: path that answers 200 when the gateway is ready. chat: path of
    chat completions. model: what callers ask for. legs: in the order in which the gateway uses them.
    """

    noun: ClassVar[str] = "the gateway"

    name: Slug
    version: str = ""
    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    env: Environment = NO_VARIABLES
    ready: UrlPath = "/health"
    chat: UrlPath = "/v1/chat/completions"
    model: str = "chat"
    legs: Annotated[tuple[WrittenLeg, ...], Meta(min_length=1)]


class CommandGateway:
    """A gateway out of a file. Implements `Gateway` and `StartsProgram` of `drills.gateways.base`."""

    def __init__(self, written: WrittenGateway, root: Node, path: Path, sha256: str) -> None:
        self.name = written.name
        self._written = written
        self._root = root
        self._path = path
        self._folder = path.absolute().parent
        self._sha256 = sha256

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs of the file. `config` is what `{config}` stands for, and then what is recorded as the config."""
        wanted = next((text.place for text in texts(self._root) if "config" in placeholders(text)), None)
        if config is None and wanted is not None:
            raise UsageProblem(Problem("{config} is the file that --config names; give one", wanted))
        notes: tuple[str, ...] = ()
        if config is not None and wanted is None:
            notes = (f"{config} is recorded, but no {{config}} in {self._path} hands it to the gateway",)
        return Discovery(
            legs=tuple(leg_of(leg, position) for position, leg in enumerate(self._written.legs)),
            entry_model=model or self._written.model,
            config_file=str(config or self._path),
            config_sha256=self._sha256 if config is None else sha256_of(config),
            notes=notes,
        )

    def prepare(self, progress: Progress) -> str:
        """The version that the file states. Raises `UsageProblem` when there is no such program."""
        if problems := self.missing():
            raise UsageProblem(problems)
        return self._written.version

    def missing(self) -> tuple[Problem, ...]:
        """That there is no such program."""
        if self._program() is not None:
            return ()
        what = f"there is no program {shown(self._written.command[0])} on PATH or in {self._folder}"
        return (Problem(what, place_of(self._root, "command", 0)),)

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The command, with its placeholders replaced. Raises `UsageProblem` when the config was changed."""
        config = Path(found.config_file)
        if sha256_of(config) != found.config_sha256:
            raise UsageProblem(f"{config} was changed since the drill read it; start again")
        values = {"port": str(port), "config": str(config.absolute())}
        values |= {f"leg.{name}": url for name, url in leg_urls.items()}

        written = {variable.name: filled(variable.value, values) for variable in self._written.env.variables}
        ours = {f"{OURS}PORT": str(port)}
        ours |= {leg_variable(name): url for name, url in leg_urls.items()}
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        program, *arguments = self._written.command
        return Launch(
            argv=(self._program() or program, *(filled(argument, values) for argument in arguments)),
            env=inherited | written | ours,
            cwd=str(self._folder),
            base_url=f"http://127.0.0.1:{port}",
            ready_path=self._written.ready,
            chat_path=self._written.chat,
            request_headers=(),
            secrets=secrets_in(written, self._written.command, found.legs),
        )

    def _program(self) -> str | None:
        """The program as an absolute path: in the file's folder when it is written with a slash, else on PATH."""
        program = self._written.command[0]
        if "/" in program:
            return shutil.which(str(self._folder / program))
        path = next((v.value for v in self._written.env.variables if v.name == "PATH"), None)
        return shutil.which(program, path=path)


def load(path: Path) -> Gateway:
    """The gateway that a file describes. Raises `UsageProblem` with every problem of the file."""
    written, root, sha256 = read(path, WrittenGateway, lambda root: [*leg_problems(root), *placeholder_problems(root)])
    return CommandGateway(written, root, path, sha256)
