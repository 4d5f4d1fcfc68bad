"""The private copy of a LiteLLM config that a drill runs: other base URLs and dummy credentials, all else unchanged."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from drills.gateways.domains import Domains
from drills.gateways.litellm_legs import Found
from drills.gateways.litellm_offline import (
    AWS_SIGN_IN,
    AZURE_SIGN_IN,
    BASE_URLS,
    ENV_PREFIX,
    VERTEX_SIGN_IN,
    Tree,
    leave_out,
)
from drills.gateways.scrub import DUMMY, scrub

CONFIG_NAME = "config.yaml"

SHAPING_FIELDS = re.compile(
    r"(?:aws_region_name|vertex_(?:ai_)?location|region_name|region|api_version|model|base_model|order|weight|rpm|tpm"
    r"|timeout|stream_timeout|max_retries|num_retries|retry_after|cooldown_time|allowed_fails|routing_strategy)"
)
"""Fields whose `os.environ/X` keeps its real value: they shape the failover and are no secrets."""

_AWS_REMOTE_SIGN_IN = ("aws_role_name", "aws_web_identity_token", "aws_profile_name")


@dataclass(frozen=True)
class PrivateCopy:
    """What to run. text: the config. env: a value for each `os.environ/X` in it. left_out: one sentence each.

    accounts: file name -> leg, for the service account that each Vertex AI leg signs in with.
    """

    text: str
    env: Mapping[str, str]
    left_out: tuple[str, ...]
    accounts: Mapping[str, str]


def build(found: Found, urls: Mapping[str, str], private: Path, master_key: str) -> PrivateCopy:
    """The private copy of a config. urls: leg name -> scheme, host and port. private: the folder it will lie in."""
    document = found.config.document
    tree = cast(Tree, document.root.plain())
    scrub(tree, reference=ENV_PREFIX)
    by_index = {deployment.index: leg for leg, deployment in found.legs}
    listed = cast(list[Tree], tree["model_list"])
    kept: list[Tree] = []
    left_out: list[str] = []
    accounts: dict[str, str] = {}
    for deployment in found.config.deployments:
        leg = by_index.get(deployment.index)
        if leg is None or deployment.found is None:
            continue
        entry = listed[deployment.index]
        params = cast(Tree, entry["litellm_params"])
        info = entry.get("model_info")
        entry["model_info"] = {**(info if isinstance(info, dict) else {}), "id": leg.name}
        account = private / f"{leg.name}.json"
        said = _rewire(params, deployment.found, urls[leg.name], account)
        left_out += [f"{deployment.place}: {text}" for text in said]
        if deployment.found.dialect == "vertex":
            accounts[account.name] = leg.name
        kept.append(entry)
    tree["model_list"] = kept
    left_out += [part.left_out for part in leave_out(tree, document.root)]
    general = tree.get("general_settings")
    tree["general_settings"] = {**(general if isinstance(general, dict) else {}), "master_key": master_key}
    return PrivateCopy(
        text=yaml.safe_dump(tree, sort_keys=False, allow_unicode=True),
        env=_variables(tree, found.config.env),
        left_out=tuple(left_out),
        accounts=accounts,
    )


def new_master_key() -> str:
    """A random key for one run."""
    return f"sk-drill-{secrets.token_hex(16)}"


def service_account(token_uri: str) -> str:
    """The JSON of a service account that nobody knows, and whose tokens come from `token_uri`.

    Source of the shape: google-auth, `google.oauth2.service_account.Credentials.from_service_account_info`.
    """
    from drills.authority import service_account_key  # noqa: PLC0415  slow to import, and only Vertex AI needs it

    account = {
        "type": "service_account",
        "project_id": "drill",
        "private_key_id": "drill",
        "private_key": service_account_key(),
        "client_email": "drill@drill.iam.gserviceaccount.com",
        "client_id": "0",
        "token_uri": token_uri,
    }
    return json.dumps(account, indent=2)


def _rewire(params: Tree, found: Domains, url: str, account: Path) -> tuple[str, ...]:
    """Send one deployment to `url` with dummy credentials. Returns what a drill cannot cover of its sign-in."""
    given = {key for key in BASE_URLS if params.pop(key, None) is not None}
    base = url + found.tail(DUMMY)
    if found.dialect == "bedrock":
        return _rewire_bedrock(params, base, given)
    params["api_base"] = base
    if found.dialect == "vertex":
        for key in VERTEX_SIGN_IN:
            params.pop(key, None)
        params["vertex_credentials"] = str(account)
        if not params.get("vertex_project") and not params.get("vertex_ai_project"):
            params["vertex_project"] = "drill"
        return ()
    params["api_key"] = DUMMY
    if found.dialect == "azure" and [key for key in AZURE_SIGN_IN if params.pop(key, None) is not None]:
        return ("signing in at Entra ID is replaced by a dummy key",)
    return ()


def _rewire_bedrock(params: Tree, base: str, given: set[str]) -> tuple[str, ...]:
    params["aws_bedrock_runtime_endpoint"] = base
    if "api_base" in given:
        params["api_base"] = base
    if params.get("api_key") is not None:
        params["api_key"] = DUMMY
    remote = any(params.get(key) for key in _AWS_REMOTE_SIGN_IN)
    if [key for key in AWS_SIGN_IN if params.pop(key, None) is not None]:
        params |= {"aws_access_key_id": DUMMY, "aws_secret_access_key": DUMMY}
    return ("signing in at AWS (role, profile, web identity) is replaced by dummy keys",) if remote else ()


def _variables(tree: Tree, env: Mapping[str, str]) -> dict[str, str]:
    """A value for every `os.environ/X`: the real one, if any, for settings that shape the failover, else a dummy."""
    found: dict[str, str] = {}
    for key, name in _references(tree, ""):
        if SHAPING_FIELDS.fullmatch(key) is None:
            found[name] = DUMMY
        elif name in env:
            found.setdefault(name, env[name])
    return found


def _references(value: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _references(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, key)
    elif isinstance(value, str) and value.startswith(ENV_PREFIX):
        yield key, value.removeprefix(ENV_PREFIX)
