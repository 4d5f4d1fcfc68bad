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

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

from msgspec import Meta

from drills import providers
from drills.binding import Key, bind
from drills.gateways.base import Discovery, Gateway, Launch, Progress
from drills.legs import ROLES, Leg, role_name
from drills.problems import Place, Problem, UsageProblem, choices
from drills.yamlsource import ListNode, MappingNode, Node, ScalarNode, is_null, place_of, read_text, shown, tree

_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")
_OURS = "DRILL_"
_PLACEHOLDER = re.compile(r"(?<!\$)\{([A-Za-z][A-Za-z0-9_.-]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_LEVEL = re.compile(r"level-([6-9]|[1-9]\d+)")
_VENDOR_OF_PROVIDER = {"azure": "openai"}

Slug = Annotated[
    str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]*\Z", max_length=40, description="lower-case letters, digits and dashes")
]
UrlPath = Annotated[str, Meta(pattern=r"\A/\S*\Z", description="a path that begins with /")]


@dataclass(frozen=True)
class Variable:
    """One variable of the process's environment, with its placeholders. `place` is its value's."""

    name: str
    value: str
    place: Place


@dataclass(frozen=True)
class Environment:
    """The mapping `env`: names of variables with their values, which are the text as it is written."""

    variables: Annotated[tuple[Variable, ...], Key("NAME: value")] = ()

    @classmethod
    def from_node(cls, node: Node, problems: list[Problem]) -> Self | None:
        """The variables; None with the problems added."""
        if not isinstance(node, MappingNode):
            problems.append(Problem("env must be a mapping (`NAME: value`)", node.place))
            return None
        before, found = len(problems), []
        for key, value in node.entries:
            subject = f"variable {shown(key.text)} in env"
            if _VARIABLE.fullmatch(key.text) is None:
                problems.append(Problem(f"{subject} must be letters, digits and underscores", key.place))
            elif key.text.startswith(_OURS):
                problems.append(Problem(f"{subject}: names with {_OURS} are the drill's own", key.place))
            elif is_null(value):
                problems.append(Problem(f'{subject} has no value; write "" for an empty one', value.place))
            elif isinstance(value, ScalarNode):
                found.append(Variable(key.text, value.text, value.place))
            else:
                problems.append(Problem(f"{subject} must be text", value.place))
        return cls(tuple(found)) if len(problems) == before else None


@dataclass(frozen=True, kw_only=True)
class WrittenLeg:
    """A leg of the gateway.

    name: how the process and reports call it. provider: the dialect that the gateway speaks on it. vendor: who made
    the model, by default the provider (openai for azure). role: its level, by default by its position.
    """

    noun: ClassVar[str] = "a leg"

    name: Slug
    provider: str
    model: str
    cloud: str
    region: str | None = None
    vendor: str | None = None
    role: str | None = None


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
    env: Environment = Environment()
    ready: UrlPath = "/health"
    chat: UrlPath = "/v1/chat/completions"
    model: str = "chat"
    legs: Annotated[tuple[WrittenLeg, ...], Meta(min_length=1)]


class CommandGateway:
    """A gateway out of a file. Implements `drills.gateways.base.Gateway`."""

    def __init__(self, written: WrittenGateway, root: Node, path: Path, sha256: str) -> None:
        self.name = written.name
        self._written = written
        self._root = root
        self._path = path
        self._folder = path.absolute().parent
        self._sha256 = sha256

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs of the file. `config` is what `{config}` stands for, and then what is recorded as the config."""
        wanted = next((text.place for text in _texts(self._root) if "config" in _placeholders(text)), None)
        if config is None and wanted is not None:
            raise UsageProblem(Problem("{config} is the file that --config names; give one", wanted))
        notes: tuple[str, ...] = ()
        if config is not None and wanted is None:
            notes = (f"{config} is recorded, but no {{config}} in {self._path} hands it to the gateway",)
        return Discovery(
            legs=tuple(_leg(leg, position) for position, leg in enumerate(self._written.legs)),
            entry_model=model or self._written.model,
            config_file=str(config or self._path),
            config_sha256=self._sha256 if config is None else _sha256_of(config),
            notes=notes,
        )

    def prepare(self, progress: Progress) -> str:
        """The version that the file states. Raises `UsageProblem` when there is no such program."""
        if self._program() is None:
            what = f"there is no program {shown(self._written.command[0])} on PATH or in {self._folder}"
            raise UsageProblem(Problem(what, place_of(self._root, "command", 0)))
        return self._written.version

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The command, with its placeholders replaced. Raises `UsageProblem` when the config was changed."""
        config = Path(found.config_file)
        if _sha256_of(config) != found.config_sha256:
            raise UsageProblem(f"{config} was changed since the drill read it; start again")
        values = {"port": str(port), "config": str(config.absolute())}
        values |= {f"leg.{name}": url for name, url in leg_urls.items()}

        def filled(text: str) -> str:
            return _PLACEHOLDER.sub(lambda match: values[match[1]], text)

        written = {variable.name: filled(variable.value) for variable in self._written.env.variables}
        ours = {f"{_OURS}PORT": str(port)}
        ours |= {f"{_OURS}LEG_{name.upper().replace('-', '_')}": url for name, url in leg_urls.items()}
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        program, *arguments = self._written.command
        return Launch(
            argv=(self._program() or program, *(filled(argument) for argument in arguments)),
            env=inherited | written | ours,
            cwd=str(self._folder),
            base_url=f"http://127.0.0.1:{port}",
            ready_path=self._written.ready,
            chat_path=self._written.chat,
            request_headers=(),
            secrets=tuple(value for name, value in written.items() if _SECRET.search(name)),
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
    text = read_text(path, str(path))
    problems: list[Problem] = []
    found = tree(text, str(path), problems)
    if found is None:
        raise UsageProblem(problems)
    root = _as_text(found, problems)
    written = bind(root, WrittenGateway, problems)
    problems += [*_leg_problems(root), *_placeholder_problems(root)]
    if problems or written is None:
        raise UsageProblem(sorted(dict.fromkeys(problems), key=lambda problem: problem.place or Place(str(path))))
    return CommandGateway(written, root, path, hashlib.sha256(text.encode()).hexdigest())


def _leg(written: WrittenLeg, position: int) -> Leg:
    return Leg(
        name=written.name,
        role=written.role or role_name(position),
        provider=written.provider,
        vendor=written.vendor or _VENDOR_OF_PROVIDER.get(written.provider, written.provider),
        model=written.model,
        cloud=written.cloud,
        region=written.region,
    )


def _sha256_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageProblem(Problem(f"the file cannot be read: {error.strerror}", Place(str(path)))) from None


# --- what the file says, before it is bound: so that all problems are found at once ----------------------------------


def _as_text(root: Node, problems: list[Problem]) -> Node:
    """The tree with every word of `command` and `env` as text: `8080` and `true` are words there like any other.

    A placeholder without quotes inside brackets or braces is a mapping to YAML; that is said once, and here.
    """

    def text(node: Node) -> Node:
        if isinstance(node, ScalarNode):
            return node if is_null(node) else replace(node, quoted=True)
        if isinstance(node, MappingNode) and len(node.entries) == 1 and is_null(node.entries[0][1]):
            word = f"{{{node.entries[0][0].text}}}"
            if _PLACEHOLDER.fullmatch(word):
                problems.append(
                    Problem(f'{word} needs quotes: "{word}"; without them YAML reads a mapping', node.place)
                )
                return ScalarNode("-", quoted=True, place=node.place)
        return node

    def all_text(node: Node) -> Node:
        if isinstance(node, ListNode):
            return replace(node, items=tuple(text(item) for item in node.items))
        if isinstance(node, MappingNode):
            return replace(node, entries=tuple((key, text(value)) for key, value in node.entries))
        return node

    if not isinstance(root, MappingNode):
        return root
    entries = tuple((key, all_text(value) if key.text in {"command", "env"} else value) for key, value in root.entries)
    return replace(root, entries=entries)


def _under(node: Node, key: str) -> Node | None:
    """The value of a key of a mapping; None when there is none."""
    entries = node.entries if isinstance(node, MappingNode) else ()
    return next((value for name, value in entries if name.text == key), None)


def _items(node: Node | None) -> tuple[Node, ...]:
    """The items of a list or the values of a mapping; of anything else, nothing."""
    if isinstance(node, ListNode):
        return node.items
    return tuple(value for _, value in node.entries) if isinstance(node, MappingNode) else ()


def _texts(root: Node) -> Iterator[ScalarNode]:
    """Every text in which placeholders are replaced."""
    for node in (*_items(_under(root, "command")), *_items(_under(root, "env"))):
        if isinstance(node, ScalarNode):
            yield node


def _placeholders(text: ScalarNode) -> list[str]:
    return list(dict.fromkeys(match[1] for match in _PLACEHOLDER.finditer(text.text)))


def _written(root: Node, key: str) -> Iterator[ScalarNode]:
    """What the legs say under a key, where they say something."""
    for leg in _items(_under(root, "legs")):
        text = _under(leg, key)
        if isinstance(text, ScalarNode) and not is_null(text):
            yield text


def _placeholder_problems(root: Node) -> Iterator[Problem]:
    allowed = {"config", "port", *(f"leg.{name.text}" for name in _written(root, "name"))}
    for text in _texts(root):
        for name in _placeholders(text):
            if name not in allowed:
                yield Problem(f"unknown placeholder {{{name}}}; {choices(name[:60], allowed)}", text.place)


def _leg_problems(root: Node) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for name in _written(root, "name"):
        if name.text in first:
            yield Problem(f"leg {shown(name.text)} is written twice; first at {first[name.text]}", name.place)
        first.setdefault(name.text, name.place)
    for provider in _written(root, "provider"):
        if provider.text not in providers.names():
            what = f"unknown provider {shown(provider.text)}; {choices(provider.text[:60], providers.names())}"
            yield Problem(what, provider.place)
    for role in _written(root, "role"):
        if role.text not in ROLES and _LEVEL.fullmatch(role.text) is None:
            yield Problem(
                f"unknown role {shown(role.text)}; {choices(role.text[:60], ROLES)}, level-6, ...", role.place
            )
