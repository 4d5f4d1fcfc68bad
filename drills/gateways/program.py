"""An application that fails over by itself: the command behind `--`, and the legs that it calls.

The legs stand in a small YAML file, or are named by their providers in order of preference: `anthropic,openai`.

    legs:
      - {name: first, provider: anthropic, model: claude-sonnet-4-5, cloud: anthropic}
      - {name: second, provider: openai, model: gpt-4o, cloud: openai}
    health: http://127.0.0.1:8000/health
    env: {LOG_LEVEL: info}

Nobody sends it requests: it makes its own. The variables from which the vendors' SDKs take their base URLs lead to the
planes, and it finds each leg's in `DRILL_LEG_<NAME>`, too. It inherits nothing that leads out of this host: no proxy,
no key; all credentials are dummies.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta

from drills import hostname, providers
from drills.gateways.base import Discovery, Launch, Progress
from drills.gateways.credentials import secrets_in
from drills.gateways.litellm_copy import service_account
from drills.gateways.scrub import is_secret
from drills.gateways.written import (
    INHERITED,
    NO_VARIABLES,
    Environment,
    Slug,
    WrittenLeg,
    filled,
    items_of,
    leg_of,
    leg_problems,
    leg_variable,
    placeholder_problems,
    read,
    under,
)
from drills.legs import Leg, role_name
from drills.problems import Place, Problem, UsageProblem, choices
from drills.providers.client import Client
from drills.yamlsource import ListNode, Node, ScalarNode, is_null, place_of, shown

_CLOSED = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NETRC": os.devnull,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "PYTHONUNBUFFERED": "1",
}
"""The ways to credentials of the person who runs the drill, shut; and a log that is complete when the program dies."""
_NO_LOAD = (
    "requests are inferred from the application's own calls; there is no load of the drill's and no probe through the "
    "application, so no check of these"
)
_NOWHERE = "http://127.0.0.1:9"
"""Where the calls of providers go that are no legs: to the discard port of this host, and not out of it."""
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_VARIABLE = r"\A[A-Za-z_][A-Za-z0-9_]*\Z"
Variable = Annotated[str, Meta(pattern=_VARIABLE, description="letters, digits and underscores")]


@dataclass(frozen=True, kw_only=True)
class WrittenCalledLeg(WrittenLeg):
    """A leg of an application.

    variable: from which the application takes its base URL, instead of those of its provider's SDKs. hosts: the real
    host names that it calls, by default its provider's.
    """

    variable: Variable | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WrittenProgram:
    """A legs file for a command. Keys as in a gateway's own file; `health`: a URL that says whether it is well."""

    noun: ClassVar[str] = "the legs file"

    name: Slug | None = None
    env: Environment = NO_VARIABLES
    health: str | None = None
    legs: Annotated[tuple[WrittenCalledLeg, ...], Meta(min_length=1)]


@dataclass(frozen=True)
class Called:
    """The legs of an application, however they were given. `source` says where, for people; `sha256` is of its text.

    variables: by leg, from which the application takes its base URL, where that is not one of its provider's.
    places: by leg, where its hosts are written, or what they come from.
    """

    legs: tuple[Leg, ...]
    source: str
    sha256: str
    name: str = ""
    health: str = ""
    env: Environment = NO_VARIABLES
    variables: tuple[tuple[str, str], ...] = ()
    places: tuple[tuple[str, Place], ...] = ()


class Program:
    """An application under test. Implements `Gateway`, `MakesCalls`, `StartsProgram` and `TakesUnchanged` of
    `drills.gateways.base`.
    """

    def __init__(self, command: Sequence[str], called: Called) -> None:
        self.name = called.name or _name_of(command)
        self.health_url = called.health
        self._command = tuple(command)
        self._called = called
        self._variables = dict(called.variables)

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs in order of preference. The application alone knows what it asks them for."""
        told = "; ".join(f"{leg.name} by {', '.join(self._told(leg))}" for leg in self._called.legs)
        return Discovery(
            legs=self._called.legs,
            entry_model="",
            config_file=self._called.source,
            config_sha256=self._called.sha256,
            notes=(_NO_LOAD, "all credentials of the application are dummies"),
            left_out=(f"the application finds its legs: {told}",),
            places=dict(self._called.places),
        )

    def prepare(self, progress: Progress) -> str:
        """Nothing is installed. Raises `UsageProblem` when there is no such program."""
        if problems := self.missing():
            raise UsageProblem(problems)
        return ""

    def missing(self) -> tuple[Problem, ...]:
        """That there is no such program."""
        if shutil.which(self._command[0]) is not None:
            return ()
        where = "" if "/" in self._command[0] else " on PATH"
        return (Problem(f"there is no program {shown(self._command[0])}{where} to start"),)

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The command, with the base URLs of the planes in its environment. `port` is of no use to it."""
        ours: dict[str, str] = {}
        for leg in sorted(found.legs, key=lambda leg: leg.name in self._variables):
            client, url = providers.get(leg.provider).client, leg_urls[leg.name]
            ours[leg_variable(leg.name)] = url
            if leg.name in self._variables:
                ours[self._variables[leg.name]] = url + client.base_path
            for name, path in client.urls:
                ours.setdefault(name, url + path)
        for name in providers.names():
            for variable, _ in providers.get(name).client.urls:
                ours.setdefault(variable, _NOWHERE)
        return self._launch(found, ours, private, leg_urls)

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """The command, which calls the real hosts. `surroundings` lead it to the planes."""
        return self._launch(found, surroundings, private, {})

    def _launch(self, found: Discovery, ours: Mapping[str, str], private: Path, leg_urls: Mapping[str, str]) -> Launch:
        dummies: dict[str, str] = {}
        files: dict[str, str] = {}
        for leg in reversed(found.legs):  # where two legs share a variable, the first choice has it
            client = providers.get(leg.provider).client
            dummies |= {name: os.environ.get(name, value) for name, value in client.defaults}
            dummies |= dict.fromkeys(client.region, leg.region) if leg.region else {}
            dummies |= dict(client.dummies)
            if client.account:
                dummies[client.account] = str(private / f"{leg.name}.json")
                files[dummies[client.account]] = service_account(
                    f"{leg_urls[leg.name]}/token" if leg.name in leg_urls else _TOKEN_URI
                )
        values = {f"leg.{name}": url for name, url in leg_urls.items()}
        written = {variable.name: filled(variable.value, values) for variable in self._called.env.variables}
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        own = {"CLOUDSDK_CONFIG": str(private), "AZURE_CONFIG_DIR": str(private)}
        return Launch(
            argv=(shutil.which(self._command[0]) or self._command[0], *self._command[1:]),
            env=inherited | _CLOSED | own | dummies | written | dict(ours),
            cwd=str(Path.cwd()),
            base_url="",
            ready_path="",
            chat_path="",
            request_headers=(),
            files=files,
            secrets=secrets_in(written, self._command, found.legs),
        )

    def _told(self, leg: Leg) -> tuple[str, ...]:
        """The variables in which the application finds a leg's base URL."""
        own = self._variables.get(leg.name)
        known = (own,) if own else tuple(name for name, _ in providers.get(leg.provider).client.urls)
        return (*known, leg_variable(leg.name))


def load(command: Sequence[str], legs: str, health: str | None, *, by_variables: bool = True) -> Program:
    """The application of a command. `legs`: a legs file, or providers in order of preference. `health`: wins over the
    file's. by_variables: whether it finds its legs by variables, so that each needs its own. Raises `UsageProblem` with
    every problem.
    """
    problems: list[Problem] = []
    called = None
    try:
        called = _from_file(Path(legs), by_variables) if _is_file(legs) else _from_names(legs)
    except UsageProblem as problem:
        problems += problem.problems
    if health is not None:
        problems += [Problem(f"--health {what}") for what in _health_problems(health)]
    if problems or called is None:
        raise UsageProblem(problems)
    if health is not None:
        called = replace(called, health=health)
    return Program(command, called)


def _is_file(legs: str) -> bool:
    return "/" in legs or Path(legs).suffix in {".yaml", ".yml"} or Path(legs).is_file()


def _from_names(text: str) -> Called:
    """The legs of `anthropic,openai`: each named by its provider, the first choice first. Raises `UsageProblem`."""
    names = [name.strip() for name in text.split(",")]
    problems = [
        Problem(f"--legs: unknown provider {shown(name)}; {choices(name[:60], providers.names())}; or name a legs file")
        for name in dict.fromkeys(names)
        if name not in providers.names()
    ]
    problems += [
        Problem(f"--legs: {name} stands there twice; two legs of one provider need a legs file")
        for name in dict.fromkeys(name for name in names if names.count(name) > 1)
        if name in providers.names()
    ]
    if problems:
        raise UsageProblem(problems)
    legs = tuple(_short_leg(name, position) for position, name in enumerate(names))
    return Called(legs, f"--legs {','.join(names)}", hashlib.sha256(",".join(names).encode()).hexdigest())


def _short_leg(name: str, position: int) -> Leg:
    client = providers.get(name).client
    region = _region(client)
    return Leg(
        name=name,
        role=role_name(position),
        provider=name,
        vendor=client.vendor,
        model=client.model,
        cloud=client.cloud,
        region=region,
        hosts=_hosts(client, region),
    )


def _region(client: Client) -> str | None:
    """The region in which the SDK looks for the leg: the user's, or the default that it is given."""
    defaults = dict(client.defaults)
    found = (os.environ.get(name) or defaults.get(name) for name in client.region)
    return next((region for region in found if region), None)


def _hosts(client: Client, region: str | None) -> tuple[str, ...]:
    return tuple(host.format(region=region or "") for host in client.hosts)


def _from_file(path: Path, by_variables: bool) -> Called:
    def wrong(root: Node) -> list[Problem]:
        shared = _shared_variables(root) if by_variables else ()
        return [*leg_problems(root), *_host_problems(root), *placeholder_problems(root, ()), *shared]

    written, root, sha256 = read(path, WrittenProgram, wrong)
    problems = []
    if written.health is not None:
        where = place_of(root, "health")
        problems = [Problem(f"'health' in the legs file {what}", where) for what in _health_problems(written.health)]
    if problems:
        raise UsageProblem(problems)
    legs = []
    for position, leg in enumerate(written.legs):
        found = leg_of(leg, position)
        client = providers.get(leg.provider).client
        hosts = leg.hosts or _hosts(client, leg.region or _region(client))
        legs.append(msgspec.structs.replace(found, hosts=hosts))
    return Called(
        legs=tuple(legs),
        source=str(path),
        sha256=sha256,
        name=written.name or "",
        health=written.health or "",
        env=written.env,
        variables=tuple((leg.name, leg.variable) for leg in written.legs if leg.variable is not None),
        places=tuple(_host_places(root)),
    )


def _host_problems(root: Node) -> Iterator[Problem]:
    """Items of `hosts` that are no hosts."""
    for leg in items_of(under(root, "legs")):
        hosts = under(leg, "hosts")
        for host in hosts.items if isinstance(hosts, ListNode) else ():
            if isinstance(host, ScalarNode) and not is_null(host) and (what := hostname.wrong(host.text)):
                yield Problem(f"'hosts' in a leg: {what}", host.place)


def _host_places(root: Node) -> Iterator[tuple[str, Place]]:
    """By leg: its first host, or its provider, whose hosts it has by default."""
    for leg in items_of(under(root, "legs")):
        name = under(leg, "name")
        if isinstance(name, ScalarNode):
            hosts = under(leg, "hosts")
            first = hosts.items[0] if isinstance(hosts, ListNode) and hosts.items else under(leg, "provider")
            yield name.text, (first or leg).place


def _shared_variables(root: Node) -> Iterator[Problem]:
    """Legs whose base URLs would stand in one variable."""
    first: dict[str, Place] = {}
    for leg in items_of(under(root, "legs")):
        own, provider = under(leg, "variable"), under(leg, "provider")
        if isinstance(own, ScalarNode):
            names, place = [own.text], own.place
        elif isinstance(provider, ScalarNode) and provider.text in providers.names():
            names, place = [name for name, _ in providers.get(provider.text).client.urls], provider.place
        else:
            continue
        for name in names:
            if name in first:
                what = f"two legs have their base URL in {name}, first at {first[name]}; give each its own `variable`"
                yield Problem(what, place)
                break
            first[name] = place


def _health_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname is not None and parts.port != 0
    except ValueError:
        good = False
    if not good or re.search(r"[\s\x00-\x1f\x7f]", url):
        yield f"{shown(hostname.without_secrets(url))} is no URL; write http://127.0.0.1:PORT/path"
    elif parts.username is not None or any(is_secret(value, name) for name, value in parse_qsl(parts.query)):
        yield "the URL has a user or a key in it, which would be written down; write http://127.0.0.1:PORT/path"
    elif not _is_loopback(parts.hostname or ""):
        yield f"{shown(hostname.without_secrets(url))} is not on this host's loopback; write http://127.0.0.1:PORT/path"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(command: Sequence[str]) -> str:
    """What to call an application: its file, if one is named behind the interpreter, else the program."""
    files = (Path(word).name for word in command[1:] if Path(word).is_file())
    return next(files, Path(command[0]).name)
