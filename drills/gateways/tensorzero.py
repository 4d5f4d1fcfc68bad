"""TensorZero: the real gateway out of its Python package, started from a private copy of the config or from the config
itself.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

import msgspec

from drills.gateways import (
    tensorzero_config,
    tensorzero_copy,
    tensorzero_install,
    tensorzero_legs,
    tensorzero_unchanged,
    toml_document,
)
from drills.gateways.base import Discovery, Launch, Progress
from drills.gateways.items import Item
from drills.gateways.scrub import DUMMY
from drills.problems import Place, Problem, UsageProblem

SAMPLE = "cross-cloud.toml"

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "HOME", "USER", "LOGNAME")
_FIXED = {
    "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS": "1",
    tensorzero_copy.KEY_VARIABLE: DUMMY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "NO_COLOR": "1",
    "PYTHONUNBUFFERED": "1",
}
"""No credential of the person who runs the drill, and nothing that leads out of this host."""


class TensorZero:
    """The TensorZero gateway. Implements `Gateway` and `TakesUnchanged` of `drills.gateways.base`."""

    name = "tensorzero"
    program_variable = tensorzero_install.PYTHON_VARIABLE

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs in a tensorzero.toml, or in all files that a pattern such as `config/**/*.toml` matches; the
        shipped sample when None. `model`: a function or a model, by its own or by its full name.
        """
        path = config or sample(SAMPLE)
        found, sha256 = _find(path, model)
        not_rewritten = tuple(tensorzero_legs.without_base_url(found))
        return Discovery(
            legs=tuple(leg for leg, _ in found.legs),
            entry_model=found.entry,
            config_file=str(path),
            config_sha256=sha256,
            notes=found.notes,
            left_out=() if not_rewritten else tensorzero_copy.build(found, _nowhere(found)).left_out,
            kept=tuple(tensorzero_unchanged.kept(found.config.root)),
            not_rewritten=not_rewritten,
            not_unchanged=tensorzero_unchanged.refused(found),
            places={leg.name: provider.place for leg, provider in found.legs},
        )

    def prepare(self, progress: Progress) -> str:
        """Install the package into the cache, or use the one that `FAILOVER_DRILL_TENSORZERO` names."""
        return tensorzero_install.prepare(progress, os.environ)

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The gateway with the private copy of the config. Raises `UsageProblem` when the config is no longer the one
        that was discovered.
        """
        legs = _again(found)
        private = private.absolute()
        copy = tensorzero_copy.build(legs, leg_urls)
        written = private / tensorzero_copy.CONFIG_NAME
        launch = _launch(written, private, port, copy.env)
        return msgspec.structs.replace(launch, files={str(written): copy.text})

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """The gateway with the user's own file or files, in the folder of the first one. Raises `UsageProblem` as
        `launch` does.
        """
        around = tensorzero_unchanged.around(_again(found), os.environ, private.absolute())
        config = Path(found.config_file)
        launch = _launch(config.absolute(), _files(config)[0].absolute().parent, port, around.env)
        return msgspec.structs.replace(
            launch, env=launch.env | dict(surroundings), files=dict(around.files), secrets=around.secrets
        )


def _launch(config: Path, folder: Path, port: int, env: Mapping[str, str]) -> Launch:
    """What every start has in common. folder: where the process runs."""
    launcher = resources.files("drills.gateways") / "tensorzero_launcher.py"
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return Launch(
        argv=(str(tensorzero_install.python(os.environ)), "-I", str(launcher), str(config), str(port)),
        env=inherited | dict(env) | _FIXED,
        cwd=str(folder),
        base_url=f"http://127.0.0.1:{port}",
        ready_path="/openai/v1/chat/completions",
        ready_status=405,  # the gateway in the package has no health URL; this one takes only POST
        chat_path="/openai/v1/chat/completions",
        request_headers=(),
    )


def _again(found: Discovery) -> tensorzero_legs.Found:
    """The config once more. Raises `UsageProblem` when it is no longer the one that was discovered."""
    path = Path(found.config_file)
    legs, sha256 = _find(path, found.entry_model)
    if sha256 != found.config_sha256:
        raise UsageProblem(f"{path} was changed since the drill read it; start again")
    return legs


def _nowhere(found: tensorzero_legs.Found) -> dict[str, str]:
    return {leg.name: "http://127.0.0.1:1" for leg, _ in found.legs}


def sample(name: str) -> Path:
    """The path of a shipped TensorZero config."""
    return Path(str(resources.files("scenarios") / "tensorzero" / name))


def _find(path: Path, model: str | None) -> tuple[tensorzero_legs.Found, str]:
    """The legs, and the digest of the file, or of all files that a pattern matches."""
    sources = [(file, _read(file)) for file in _files(path)]
    root = Item(Place(str(path)), fields={})
    for file, source in sources:
        root = _merged(root, toml_document.parse(source, str(file)))
    digest = hashlib.sha256(b"".join(source for _, source in sources)).hexdigest()
    return tensorzero_legs.find(tensorzero_config.read(root, os.environ), model), digest


def _files(path: Path) -> list[Path]:
    if not any(letter in str(path) for letter in "*?[") or path.exists():
        return [path]
    files = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute patterns too
    if not files:
        raise UsageProblem(f"no file matches {path}")
    return files


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror}") from error


def _merged(base: Item, more: Item) -> Item:
    """Two tables as one. Raises `UsageProblem` for a value that both have; so does TensorZero."""
    fields = dict(base.fields or {})
    for key, item in (more.fields or {}).items():
        before = fields.get(key)
        if before is not None and (before.fields is None or item.fields is None):
            what = f"{key!r} is given twice; first at {before.key_place or before.place}"
            raise UsageProblem(Problem(what, item.key_place or item.place))
        fields[key] = item if before is None else _merged(before, item)
    return replace(base, fields=fields)


GATEWAY = TensorZero()
