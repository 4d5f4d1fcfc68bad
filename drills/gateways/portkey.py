"""Portkey: the real open-source gateway, which takes the user's own config with each request.

Portkey keeps no config: callers send one in the header `x-portkey-config`. So do the drill's callers, with other hosts
and dummy keys in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from drills.gateways import portkey_config, portkey_copy, portkey_document, portkey_install, portkey_legs
from drills.gateways.base import Discovery, Launch, Progress
from drills.gateways.scrub import DUMMY
from drills.problems import Problem, UsageProblem

SAMPLE = "cross-cloud.json"
START_TIMEOUT_S = 60.0
"""It is up within a second; Node on a busy machine takes its time."""

HEADER_AT_MOST_BYTES = 15_000
"""Node takes 16 KiB of headers in all (`http.maxHeaderSize`), and the config is not the only one."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "HOME", "USER", "LOGNAME")
_GUARD, _PROXY = "portkey_guard.cjs", "portkey_proxy.cjs"
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
_TRUSTED = "TRUSTED_CUSTOM_HOSTS"
"""Portkey refuses a private address as `custom_host` unless the person who runs it lists it here."""

_DUMMIES = {"AWS_ASSUME_ROLE_ACCESS_KEY_ID": DUMMY, "AWS_ASSUME_ROLE_SECRET_ACCESS_KEY": DUMMY}
"""What Portkey takes from its environment when a target assumes a role."""


class Portkey:
    """The Portkey gateway. Implements `drills.gateways.base.Gateway` and `TakesUnchanged`."""

    name = "portkey"
    program_variable = portkey_install.PATH_VARIABLE

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs in a config of the kind that callers send; the shipped cross-cloud sample when None."""
        found = _find(config or sample(SAMPLE), model)
        copy = portkey_copy.build(found, {leg.name: portkey_copy.NOWHERE for leg, _, _ in found.legs})
        return Discovery(
            legs=tuple(leg for leg, _, _ in found.legs),
            entry_model=found.entry,
            config_file=found.config.document.file,
            config_sha256=_sha256(found),
            notes=found.notes,
            left_out=copy.left_out,
            places={leg.name: target.place for leg, target, _ in found.legs},
        )

    def prepare(self, progress: Progress) -> str:
        """Install Portkey into the cache, or use the one that `FAILOVER_DRILL_PORTKEY` names."""
        return portkey_install.prepare(progress, os.environ)

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """Portkey on loopback, able to reach nothing else, with the private copy of the config in each request."""
        legs = _unchanged(found)
        copy = portkey_copy.build(legs, leg_urls)
        return _launch(legs, copy.config, {"DRILL_ONLY_LOOPBACK": "1"}, port, private)

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """Portkey on loopback, with the user's own config in each request, on one line. With a proxy in the
        surroundings it is made to use it, which Node does not do by itself.

        Raises `UsageProblem` when that takes a library that a Portkey of the person's own does not come with.
        """
        legs = _unchanged(found)
        document = legs.config.document
        trusted = {_TRUSTED: os.environ[_TRUSTED]} if _TRUSTED in os.environ else {}
        own = {**_DUMMIES, **trusted, **surroundings}
        preloads = [_GUARD]
        if any(own.get(name) for name in _PROXIES):
            own["DRILL_UNDICI"] = str(portkey_install.undici(os.environ))
            preloads.append(_PROXY)
        launch = _launch(legs, portkey_copy.as_it_is(document), own, port, private, preloads)
        return msgspec.structs.replace(launch, secrets=tuple(portkey_copy.secrets_of(document.values())))


def sample(name: str) -> Path:
    """The path of a shipped Portkey config."""
    return Path(str(resources.files("scenarios") / "portkey" / name))


def _find(path: Path, model: str | None) -> portkey_legs.Found:
    return portkey_legs.find(portkey_config.read(portkey_document.load(path)), model)


def _sha256(found: portkey_legs.Found) -> str:
    return hashlib.sha256(found.config.document.text.encode()).hexdigest()


def _unchanged(discovered: Discovery) -> portkey_legs.Found:
    """The config again. Raises `UsageProblem` when it is no longer the one that was discovered."""
    found = _find(Path(discovered.config_file), discovered.entry_model)
    if _sha256(found) != discovered.config_sha256:
        raise UsageProblem(f"{discovered.config_file} was changed since the drill read it; start again")
    return found


def _launch(
    legs: portkey_legs.Found,
    config: str,
    own: Mapping[str, str],
    port: int,
    private: Path,
    preloads: Sequence[str] = (_GUARD,),
) -> Launch:
    if len(config) > HEADER_AT_MOST_BYTES:
        what = f"the config takes {len(config)} bytes on one line, and Portkey takes it in a header: Node refuses more"
        raise UsageProblem(Problem(f"{what} than 16 KiB of headers", legs.config.document.place()))
    private = private.absolute()
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    script = portkey_install.start_script(os.environ)
    required = [word for name in preloads for word in ("--require", str(private / name))]
    return Launch(
        argv=(portkey_install.node(os.environ), *required, str(script), f"--port={port}", "--headless"),
        env={**inherited, **own},
        cwd=str(private),
        base_url=f"http://127.0.0.1:{port}",
        ready_path="/",
        chat_path="/v1/chat/completions",
        request_headers=(("x-portkey-config", config),),
        files={
            str(private / name): (resources.files("drills.gateways") / name).read_text(encoding="utf-8")
            for name in preloads
        },
        claim_header="x-portkey-last-used-option-index",
        claims={target.claim: leg.name for leg, target, _ in legs.legs},
        done_mark=portkey_legs.done_mark(legs),
        start_timeout_s=START_TIMEOUT_S,
    )


GATEWAY = Portkey()
