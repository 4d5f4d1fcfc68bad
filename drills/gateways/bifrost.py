"""Bifrost: its own program, started from a private copy of the user's config.json.

Bifrost keeps no order of providers: each request brings its fallbacks. So the drill's callers send what the application
sends: `--model first/model,second/model`, or the request body beside the config (`config.request.json`), or nothing but
the model where a routing rule has the fallbacks.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from drills.gateways import bifrost_config, bifrost_copy, bifrost_install, json_document
from drills.gateways.base import Discovery, Launch, Progress
from drills.gateways.items import Item
from drills.problems import UsageProblem

SAMPLE = "cross-cloud.json"

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER", "LOGNAME")
_NOWHERE = "http://127.0.0.1:9"
_FIXED = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # at its start it asks for prices and for news of itself; the legs are called without a proxy
    "HTTPS_PROXY": _NOWHERE,
    "HTTP_PROXY": _NOWHERE,
    "NO_PROXY": "127.0.0.1,localhost",
}
"""No credential of the person who runs the drill, and nothing that leads out of this host."""
_OURS = ("model", "fallbacks", "messages", "stream")


class Bifrost:
    """The Bifrost gateway. Implements `drills.gateways.base.Gateway`."""

    name = "bifrost"
    program_variable = bifrost_install.VARIABLE

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs that requests reach with a config.json; the shipped sample when None. `model`: the whole chain,
        `provider/model,provider/model`; by default what the request file or a routing rule says.
        """
        path = config or sample(SAMPLE)
        found = _find(path, model)
        copy = bifrost_copy.build(found, {leg.name: "http://127.0.0.1:1" for leg, _ in found.legs})
        return Discovery(
            legs=tuple(leg for leg, _ in found.legs),
            entry_model=found.entry,
            asked=model or "",
            config_file=str(path),
            config_sha256=hashlib.sha256(_read(path)).hexdigest(),
            notes=(*found.notes, *copy.left_out),
        )

    def prepare(self, progress: Progress) -> str:
        """Find the program; its version as far as its place tells."""
        found = bifrost_install.need(os.environ)
        progress(f"Bifrost {found.version}: {found.program} ({found.origin})")
        return found.version

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The gateway with the private copy of the config, and what each request must bring. Raises `UsageProblem` when
        the config or the request is no longer what was discovered.
        """
        path = Path(found.config_file)
        legs = _find(path, found.asked or None)
        same = hashlib.sha256(_read(path)).hexdigest() == found.config_sha256
        if not same or tuple(leg for leg, _ in legs.legs) != found.legs or legs.entry != found.entry_model:
            raise UsageProblem(f"{path} was changed since the drill read it; start again")
        private = private.absolute()
        copy = bifrost_copy.build(legs, leg_urls)
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        fields = dict(_more(path)) if not found.asked else {}
        if legs.fallbacks:
            fields["fallbacks"] = json.dumps(legs.fallbacks)
        return Launch(
            argv=(
                bifrost_install.need(os.environ).program,
                *("-host", "127.0.0.1", "-port", str(port), "-app-dir", str(private)),
                *("-log-level", "info", "-log-style", "pretty"),
            ),
            env=inherited | dict(copy.env) | _FIXED | {"HOME": str(private)},
            cwd=str(private),
            base_url=f"http://127.0.0.1:{port}",
            ready_path="/health",
            chat_path="/v1/chat/completions",
            request_headers=(),
            request_fields=fields,
            files={str(private / bifrost_copy.CONFIG_NAME): copy.text},
        )


def sample(name: str) -> Path:
    """The path of a shipped Bifrost config."""
    return Path(str(resources.files("scenarios") / "bifrost" / name))


def request_file(config: Path) -> Path:
    """Where the request that an application sends with a config is looked for: `config.request.json`."""
    return config.with_name(f"{config.stem}.request.json")


def _find(path: Path, model: str | None) -> bifrost_config.Found:
    root = json_document.parse(_read(path), str(path))
    request = _request(path)
    if model is not None:
        chain: bifrost_config.Chain | None = bifrost_config.asked(model)
    elif request is not None:
        chain = bifrost_config.of_request(request)
    else:
        chain = bifrost_config.of_rules(root)
    advice = f"give the chain, --model provider/model,provider/model, or the request's body in {request_file(path)}"
    return bifrost_config.find(root, chain, os.environ, advice)


def _request(path: Path) -> Item | None:
    file = request_file(path)
    return json_document.parse(_read(file), str(file)) if file.exists() else None


def _more(path: Path) -> Mapping[str, str]:
    """What else the application's requests carry, as JSON by key."""
    request = _request(path)
    fields = (request.fields if request is not None else None) or {}
    return {str(key): json.dumps(item.plain()) for key, item in fields.items() if key not in _OURS}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}") from error


GATEWAY = Bifrost()
