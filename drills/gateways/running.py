"""A gateway that runs already: its URL stands on the command line, its legs in a small YAML file.

    legs:
      - {name: first, provider: anthropic, model: claude-sonnet-4-5, cloud: anthropic, port: 4101}
      - {name: second, provider: openai, model: gpt-4o, cloud: openai, port: 4102}
    model: chat
    headers: {Authorization: "Bearer env:MY_GATEWAY_KEY"}

Nothing of it is started, stopped or read: its upstreams must point at the planes already, and each leg's `port` says
where. `env:NAME` in a header is a secret out of the environment, and is written nowhere.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from msgspec import Meta

from drills import hostname
from drills.binding import Key
from drills.gateways.base import Discovery, Entrance, Progress
from drills.gateways.credentials import of_header
from drills.gateways.written import Slug, UrlPath, WrittenLeg, doubles, leg_of, leg_problems, read
from drills.planeurls import plane_urls
from drills.ports import check_port
from drills.problems import Problem, UsageProblem, choices
from drills.yamlsource import MappingNode, Node, ScalarNode, is_null, place_of, shown

Port = Annotated[int, Meta(ge=1, le=65535)]
READY_WITHIN_S = 10.0
"""Somebody started it: it is ready, or it is not coming."""
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FROM_ENV = re.compile(r"(?P<before>(?:\S.*\s)?)env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_SAFE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True)
class Header:
    """A header of each request. `secrets`: its value, or parts of it, that must never be written anywhere."""

    name: str
    value: str
    secrets: tuple[str, ...]


@dataclass(frozen=True)
class Headers:
    """The mapping `headers`, with values from the environment put in."""

    headers: Annotated[tuple[Header, ...], Key("NAME: value")] = ()

    @classmethod
    def from_node(cls, node: Node, problems: list[Problem]) -> Self | None:
        """The headers; None with the problems added."""
        if not isinstance(node, MappingNode):
            problems.append(Problem("headers must be a mapping (`NAME: value`)", node.place))
            return None
        before = len(problems)
        found = [_header(name, value, problems) for name, value in node.entries]
        return cls(tuple(header for header in found if header is not None)) if len(problems) == before else None


NO_HEADERS = Headers()


def _header(name: ScalarNode, value: Node, problems: list[Problem]) -> Header | None:
    subject = f"header {shown(name.text)}"
    if _HEADER.fullmatch(name.text) is None:
        problems.append(Problem(f"{subject} is no name of an HTTP header", name.place))
    elif is_null(value):
        problems.append(Problem(f"{subject} has no value; write text, or env:NAME for a secret", value.place))
    elif not isinstance(value, ScalarNode):
        problems.append(Problem(f"{subject} must be text", value.place))
    else:
        wanted = _FROM_ENV.fullmatch(value.text)
        variable = wanted["name"] if wanted else ""
        secret = os.environ.get(variable, "") if wanted else value.text
        text = wanted["before"] + secret if wanted else secret
        if wanted and not secret:
            what = f"{subject} takes {variable} from the environment, where it is not set"
            problems.append(Problem(what, value.place))
        elif _SAFE.fullmatch(text) is None:
            said = f"the value of {variable} cannot stand in a header" if wanted else "its value must be plain text"
            problems.append(Problem(f"{subject}: {said}", value.place))
        else:
            return Header(name.text, text, (secret,) if wanted else of_header(name.text, text))
    return None


@dataclass(frozen=True, kw_only=True)
class WrittenRunningLeg(WrittenLeg):
    """A leg of a gateway that runs already. port: on loopback, where the gateway calls it."""

    port: Port


@dataclass(frozen=True, kw_only=True)
class WrittenRunning:
    """A legs file for a gateway's URL. Keys as in a gateway's own file.

    own_checks: whether the gateway sends model requests of its own, such as health checks.
    """

    noun: ClassVar[str] = "the legs file"

    name: Slug | None = None
    chat: UrlPath = "/v1/chat/completions"
    ready: UrlPath | None = None
    model: str = "chat"
    headers: Headers = NO_HEADERS
    own_checks: bool = False
    legs: Annotated[tuple[WrittenRunningLeg, ...], Meta(min_length=1)]


class RunningGateway:
    """A gateway at a URL. Implements `drills.gateways.base.RunsAlready`."""

    def __init__(self, url: str, written: WrittenRunning, root: Node, path: Path, sha256: str) -> None:
        self.name = written.name or urlsplit(url).netloc
        self._url = url
        self._written = written
        self._root = root
        self._path = path
        self._sha256 = sha256

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs of the file. What the gateway's own config says, nobody knows."""
        legs = tuple(leg_of(leg, position) for position, leg in enumerate(self._written.legs))
        ports = {leg.name: leg.port for leg in self._written.legs}
        wanted = ", ".join(f"{leg} to {url}" for leg, url in plane_urls(legs, ports).items())
        return Discovery(
            legs=legs,
            entry_model=model or self._written.model,
            config_file=str(self._path),
            config_sha256=self._sha256,
            notes=(f"the gateway at {self._url} runs already; its upstreams must be set: {wanted}",),
            ports=ports,
            own_checks=self._written.own_checks,
        )

    def prepare(self, progress: Progress) -> str:
        """Make sure that the planes can have their ports. Its version is not known."""
        problems = []
        for index, leg in enumerate(self._written.legs):
            try:
                check_port(leg.port)
            except UsageProblem as problem:
                what = f"leg {shown(leg.name)}: {problem}; the plane must listen there"
                problems.append(Problem(what, place_of(self._root, "legs", index, "port")))
        if problems:
            raise UsageProblem(problems)
        return ""

    def entrance(self) -> Entrance:
        """Where it is, and what callers send along."""
        headers = self._written.headers.headers
        return Entrance(
            base_url=self._url,
            ready_path=self._written.ready or "",
            chat_path=self._written.chat,
            request_headers=tuple((header.name, header.value) for header in headers),
            secrets=tuple(secret for header in headers for secret in header.secrets),
            start_timeout_s=READY_WITHIN_S,
        )


def is_url(name: str) -> bool:
    """Whether the name of a gateway is meant as a URL."""
    return "://" in name


def load(url: str, legs: Path) -> RunningGateway:
    """The gateway at a URL, with the legs of a file. Raises `UsageProblem` with every problem of both."""
    problems: list[Problem] = []
    base, found = "", None
    try:
        base = base_of(url)
    except UsageProblem as problem:
        problems += problem.problems
    try:
        found = read(legs, WrittenRunning, lambda root: [*leg_problems(root), *doubles(root, "port", "port")])
    except UsageProblem as problem:
        problems += problem.problems
    if problems or found is None:
        raise UsageProblem(problems)
    return RunningGateway(base, found[0], found[1], legs, found[2])


def base_of(url: str) -> str:
    """The URL without what the paths bring along: a slash or `/v1` at its end. Raises `UsageProblem`."""
    shortened = shown(hostname.without_secrets(url))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageProblem(f"--gateway {shortened} is no URL; write http://host:port") from None
    if parts.scheme not in {"http", "https"}:
        raise UsageProblem(f"--gateway {shortened}: unknown scheme; {choices(parts.scheme[:60], ('http', 'https'))}")
    if not parts.hostname or port == 0 or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise UsageProblem(f"--gateway {shortened} is no URL; write http://host:port")
    if "@" in parts.netloc:
        what = "has a user or a password in it, which would be written down; use headers: {Authorization: env:NAME}"
        raise UsageProblem(f"--gateway {shortened} {what}")
    if parts.query or parts.fragment:
        raise UsageProblem(f"--gateway {shortened} has a query or a fragment; a base URL has none")
    if what := hostname.wrong(parts.netloc):
        raise UsageProblem(f"--gateway {shortened}: its host {what}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}"
