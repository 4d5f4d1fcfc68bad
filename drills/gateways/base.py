"""What a gateway adapter is: find the legs in the gateway's own config, and say how to start it routed through us.

An adapter reads files and decides; it starts nothing itself. The runner starts and stops what `launch` describes.
Optional abilities are optional protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from drills.legs import Leg
from drills.problems import Place, Problem


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter found in a config, without starting anything.

    entry_model: the model name that the load asks the gateway for.
    legs: in the order in which the gateway would use them, then legs that no fallback leads to (role None).
    config_sha256: hex digest of the user's config file, byte for byte.
    notes: what a person should know (which entry was chosen and why).
    left_out: what the private copy of the config leaves out, on the route that makes one; one sentence each.
    kept: what cannot work in a drill and stays in the config, on the routes that leave it alone; one sentence each.
    not_rewritten: why no private copy of this config can be drilled. not_unchanged: why the config cannot as it is.
    past_proxies: what in the config would lead out of this machine past any proxy (a database), or past the drill's.
    own_checks: whether this config makes the gateway send model requests of its own, such as health checks.
    asked: what `--model` said, for an adapter that cannot tell it from `entry_model`.
    ports: by leg, the loopback port at which the gateway calls it, where that is fixed and not the drill's to choose.
    places: by leg, where the config says at which hosts it is called: what is wrong with one of these is said there.
    """

    legs: tuple[Leg, ...]
    entry_model: str
    config_file: str
    config_sha256: str
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    not_rewritten: tuple[Problem, ...] = ()
    not_unchanged: tuple[Problem, ...] = ()
    past_proxies: tuple[Problem, ...] = ()
    own_checks: bool = False
    asked: str = ""
    ports: dict[str, int] = {}
    places: dict[str, Place] = {}


class Entrance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a gateway is, and how callers talk to it.

    ready_path: a GET of it is answered with `ready_status` when the gateway is ready; empty when nothing says so.
    chat_path: where the load posts OpenAI chat completions. request_headers: sent with each request of the load
    (credentials).
    request_fields: more fields of each request's body, as JSON by key, for a gateway that takes its order from there.
    claim_header: the response header in which the gateway names the leg that served, if it has one; a cross-check.
    claims: what that header says -> the leg's name; what is not in here counts as it stands.
    done_mark: whether every stream of the gateway ends with OpenAI's `data: [DONE]`; where some do not, the finish
    reason is their end.
    unsigned: the leg that counts as the author of every answer, where answers carry no signature; else empty.
    secrets: values that must never be written anywhere.
    """

    base_url: str
    ready_path: str
    chat_path: str
    request_headers: tuple[tuple[str, str], ...]
    request_fields: dict[str, str] = msgspec.field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    claim_header: str = ""
    claims: dict[str, str] = msgspec.field(default_factory=dict)
    done_mark: bool = True
    unsigned: str = ""
    start_timeout_s: float = 60.0
    ready_status: int = 200


class Launch(Entrance, frozen=True, kw_only=True):
    """How to start the gateway. `env` is the whole environment. Paths are absolute.

    files, blobs: private files (path -> content, as text or as bytes) that the runner writes with mode 0600 into the
    run's private folder before the start and deletes after it.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    files: dict[str, str] = msgspec.field(default_factory=dict)
    blobs: dict[str, bytes] = msgspec.field(default_factory=dict)


class Progress(Protocol):
    """How long work reports itself: one short line each."""

    def __call__(self, line: str, /) -> None:
        """Say one line."""


class Tested(Protocol):
    """What every adapter can do, to whatever is under test."""

    name: str

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """Read the user's config (the shipped sample when None) and find the legs. `model` overrides the entry.

        Raises `UsageProblem` with a place for each thing that is wrong with the config.
        """

    def prepare(self, progress: Progress) -> str:
        """Make sure the gateway is installed; return its version. Idempotent; later runs need no network.

        Raises `UsageProblem` with one clear message when it cannot be had.
        """


class Gateway(Tested, Protocol):
    """An adapter to one kind of gateway, which the drill starts and stops."""

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """How to start the gateway on a loopback port with every leg's base URL replaced by `leg_urls[leg.name]`
        (scheme, host and port only). The user's config stays untouched; the private copy is in `Launch.files`.
        """


@runtime_checkable
class RunsAlready(Tested, Protocol):
    """A gateway that somebody else started. Nothing of it is started or stopped, so no fault can be on it itself.

    Its upstreams must point at the planes; `Discovery.ports` says where these listen for its legs.
    """

    def entrance(self) -> Entrance:
        """Where it is."""


@runtime_checkable
class MakesCalls(Protocol):
    """The ability to make calls of its own: an application, to which nobody sends requests. Its requests are inferred
    from its calls, and its `Launch` has neither address nor paths.
    """

    health_url: str
    """A URL that answers 200 while the application is well; empty when there is none."""


@runtime_checkable
class TakesUnchanged(Protocol):
    """The ability to run with the user's config byte for byte, for the routes `forward` and `sealed`. The adapter then
    also sets `Leg.hosts` in `discover`.
    """

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """How to start the gateway on a loopback port with the user's own config. `surroundings` are the variables that
        lead its traffic into the planes (proxies, certificate bundles); they win over the adapter's own. What the
        config takes from the environment and is missing there gets dummy values, in the environment.
        """


@runtime_checkable
class StartsProgram(Protocol):
    """The ability to start a program of the user's, which nobody installs: a described gateway, an application."""

    def missing(self) -> tuple[Problem, ...]:
        """That there is no such program; none when there is. Starts nothing."""


@runtime_checkable
class TakesProgram(Protocol):
    """The ability to run an installed gateway of another version."""

    program_variable: str
    """The environment variable that names the program, for `prepare` and `launch`."""
