"""LiteLLM: the real proxy, started from a private copy of the user's own config.yaml, or from that file itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import msgspec

from drills.gateways import (
    litellm_changes,
    litellm_config,
    litellm_copy,
    litellm_document,
    litellm_install,
    litellm_legs,
    litellm_unchanged,
    litellm_users,
)
from drills.gateways.base import Discovery, Launch, Progress
from drills.gateways.changes import Change
from drills.gateways.scrub import DUMMY
from drills.problems import UsageProblem

SAMPLE = "cross-cloud.yaml"
START_TIMEOUT_S = 120.0
"""The proxy imports for 7 to 30 s, by machine and load."""

_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "HOME", "USER", "LOGNAME")
_FIXED = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else the start waits for a download
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_TELEMETRY": "False",
    "LITELLM_MODE": "PRODUCTION",  # else a .env file found near the program is loaded, with real keys in it
    "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
    "HF_HUB_OFFLINE": "1",  # else a model with "llama" in its name blocks the gateway while it looks for a tokenizer
    "AWS_ACCESS_KEY_ID": DUMMY,
    "AWS_SECRET_ACCESS_KEY": DUMMY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NETRC": os.devnull,
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "PYTHONUNBUFFERED": "1",
}
"""No credential of the person who runs the drill, and nothing that leads out of this host."""

_REGIONS = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION", "VERTEXAI_LOCATION", "VERTEX_LOCATION")


class LiteLLM:
    """The LiteLLM proxy. Implements `Gateway` and `TakesUnchanged` of `drills.gateways.base`, and
    `TellsChanges`.
    """

    name = "litellm"
    program_variable = litellm_install.EXECUTABLE_VARIABLE

    def discover(self, config: Path | None, model: str | None) -> Discovery:
        """The legs in a proxy config.yaml, `include` files and all; the shipped cross-cloud sample when None."""
        path = config or sample(SAMPLE)
        document, found = _find(path, model)
        copy = litellm_copy.build(found, {leg.name: "http://127.0.0.1:1" for leg, _ in found.legs}, Path("/"), "")
        unusable = litellm_unchanged.unusable(found)
        never_asked = tuple(litellm_users.users(found))
        return Discovery(
            legs=tuple(leg for leg, _ in found.legs),
            entry_model=found.entry,
            config_file=str(path),
            config_sha256=hashlib.sha256(document.source).hexdigest(),
            notes=(*found.notes, *litellm_unchanged.weak_master_key(document.root)),
            left_out=copy.left_out,
            kept=(*(part.kept for part in unusable), *litellm_unchanged.sign_ins(found)),
            past_proxies=tuple(part.past_proxies for part in unusable if part.past_proxies is not None),
            not_rewritten=never_asked,
            not_unchanged=(*never_asked, *litellm_unchanged.queries(found)),
            places={leg.name: litellm_unchanged.base_place(deployment) for leg, deployment in found.legs},
            own_checks=_checks_itself(document),
        )

    def changes(self, base: Path, head: Path, model: str | None) -> tuple[Change, ...] | None:
        """What differs between two configs, in words."""
        return litellm_changes.changes(base, head, model, os.environ)

    def prepare(self, progress: Progress) -> str:
        """Install LiteLLM into the cache, or use the one that `FAILOVER_DRILL_LITELLM` names."""
        return litellm_install.prepare(progress, os.environ)

    def launch(self, found: Discovery, leg_urls: Mapping[str, str], port: int, private: Path) -> Launch:
        """The proxy on one worker, with the private copy of the config. Raises `UsageProblem` when the config is no
        longer the one that was discovered.
        """
        legs = _again(found)
        private = private.absolute()
        key = litellm_copy.new_master_key()
        copy = litellm_copy.build(legs, leg_urls, private, key)
        config = private / litellm_copy.CONFIG_NAME
        accounts = {n: litellm_copy.service_account(f"{leg_urls[leg]}/token") for n, leg in copy.accounts.items()}
        launch = _launch(config, private, port, dict(copy.env), key)
        return msgspec.structs.replace(
            launch,
            files={str(config): copy.text} | {str(private / name): text for name, text in accounts.items()},
            claim_header="x-litellm-model-id",
        )

    def launch_unchanged(self, found: Discovery, surroundings: Mapping[str, str], port: int, private: Path) -> Launch:
        """The proxy on one worker, with the user's own file, in the file's own folder. No header tells which leg
        served: the ids of the deployments are the user's. Raises `UsageProblem` as `launch` does.
        """
        private = private.absolute()
        around = litellm_unchanged.around(_again(found), private)
        config = Path(found.config_file).absolute()
        launch = _launch(config, private, port, dict(around.env), around.key)
        return msgspec.structs.replace(
            launch,
            env=launch.env | dict(surroundings),
            cwd=str(config.parent),
            files=dict(around.files),
            secrets=around.secrets,
        )


def _launch(config: Path, private: Path, port: int, env: dict[str, str], key: str) -> Launch:
    """What every start has in common."""
    regions = {name: os.environ[name] for name in _REGIONS if name in os.environ}
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {"CLOUDSDK_CONFIG": str(private), "AZURE_CONFIG_DIR": str(private)}
    return Launch(
        argv=(
            str(litellm_install.executable(os.environ)),
            *("--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
        ),
        env=inherited | regions | env | _FIXED | own,
        cwd=str(private),
        base_url=f"http://127.0.0.1:{port}",
        ready_path="/health/liveliness",
        chat_path="/v1/chat/completions",
        request_headers=(("Authorization", f"Bearer {key}"),) if key else (),
        secrets=(key,),
        start_timeout_s=START_TIMEOUT_S,
    )


def _again(found: Discovery) -> litellm_legs.Found:
    """The config once more. Raises `UsageProblem` when it is no longer the one that was discovered."""
    path = Path(found.config_file)
    document, legs = _find(path, found.entry_model)
    if hashlib.sha256(document.source).hexdigest() != found.config_sha256:
        raise UsageProblem(f"{path} was changed since the drill read it; start again")
    return legs


def sample(name: str) -> Path:
    """The path of a shipped LiteLLM config."""
    return Path(str(resources.files("scenarios") / "litellm" / name))


def _find(path: Path, model: str | None) -> tuple[litellm_document.Document, litellm_legs.Found]:
    document = litellm_document.load(path)
    return document, litellm_legs.find(litellm_config.read(document, os.environ), model)


GATEWAY = LiteLLM()


def _checks_itself(document: litellm_document.Document) -> bool:
    """Whether LiteLLM will ask the legs itself: `background_health_checks` sends a short prompt to every deployment."""
    tree = document.root.plain()
    general = tree.get("general_settings") if isinstance(tree, dict) else None
    return isinstance(general, dict) and general.get("background_health_checks") is True
