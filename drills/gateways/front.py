"""A gateway behind which nothing is seen: its URL stands on the command line, how to ask it in a small YAML file.

    model: openai/gpt-4o
    headers: {Authorization: "Bearer env:MY_GATEWAY_KEY"}

Nothing of it is started, stopped or read, and its upstreams are whatever they are. To the drill it is one leg: itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from drills.gateways.base import Discovery, Entrance, Progress
from drills.gateways.running import NO_HEADERS, Headers, base_of
from drills.gateways.written import Slug, UrlPath, read
from drills.legs import Leg
from drills.problems import Place, Problem, UsageProblem
from drills.routes import Route
from drills.scenario import Scenario

LEG = "gateway"
"""What the gateway is called as a leg."""


@dataclass(frozen=True, kw_only=True)
class WrittenFront:
    """A file for `--route front`: how callers ask the gateway. Keys as in a legs file."""

    noun: ClassVar[str] = "the file for --route front"

    name: Slug | None = None
    chat: UrlPath = "/v1/chat/completions"
    model: str = "chat"
    headers: Headers = NO_HEADERS


class FrontGateway:
    """A gateway at a URL, seen from the front. Implements `drills.gateways.base.RunsAlready`."""

    def __init__(self, url: str, written: WrittenFront, source: str, sha256: str) -> None:
        self.name = written.name or urlsplit(url).netloc
        self._url = url
        self._written = written
        self._source, self._sha256 = source, sha256

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """One leg: the gateway."""
        asked = model or self._written.model
        host = urlsplit(self._url).hostname or ""
        leg = Leg(
            name=LEG, role="primary", provider="openai", vendor="unknown", model=asked, cloud=host, endpoint=self._url
        )
        return Discovery(
            legs=(leg,),
            entry_model=asked,
            config_file=self._source,
            config_sha256=self._sha256,
            notes=(
                f"requests of the drill reach the gateway at {self._url} and what is behind it, and may cost money",
                "behind the gateway nothing is seen: who answered, and whether it switched over, is not known",
            ),
        )

    def prepare(self, progress: Progress) -> str:
        """Nothing to prepare; its version is not known."""
        return ""

    def entrance(self) -> Entrance:
        """Where it is, and what callers send along."""
        headers = self._written.headers.headers
        return Entrance(
            base_url=self._url,
            ready_path="",
            chat_path=self._written.chat,
            request_headers=tuple((header.name, header.value) for header in headers),
            secrets=tuple(secret for header in headers for secret in header.secrets),
            unsigned=LEG,
        )


def load(url: str, file: Path | None) -> FrontGateway:
    """The gateway at a URL, asked as a file says. Raises `UsageProblem` with every problem of both."""
    problems: list[Problem] = []
    base, written, sha256 = "", WrittenFront(), hashlib.sha256(b"").hexdigest()
    try:
        base = base_of(url)
    except UsageProblem as problem:
        problems += problem.problems
    try:
        if file is not None:
            written, _, sha256 = read(file, WrittenFront, lambda _: ())
    except UsageProblem as problem:
        problems += problem.problems
    if problems:
        raise UsageProblem(problems)
    return FrontGateway(base, written, str(file or url), sha256)


def unmeasurable(scenario: Scenario) -> Iterator[Problem]:
    """Expectations that need to see what the gateway does behind itself."""
    expect = scenario.expect
    for key, given in (("switchover", expect.switchover), ("attempts", expect.attempts), ("detour", expect.detour)):
        if given is not None:
            what = f"expect.{key} is about what is behind the gateway, where --route {Route.FRONT} sees nothing"
            yield Problem(f"{what}; take it out, or use the scenario gateway-lost", Place(scenario.file))
