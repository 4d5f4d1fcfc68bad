"""A LiteLLM config that is drilled as it is: what stands in for the environment in which its owner runs it.

The config is not touched, so keys that are written in it reach the gateway. They go no further than the planes, and
are taken out of everything that the drill writes. From the environment the gateway gets no key at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from drills.gateways.items import Item
from drills.gateways.litellm_config import Deployment
from drills.gateways.litellm_copy import SHAPING_FIELDS, new_master_key, service_account
from drills.gateways.litellm_legs import Found
from drills.gateways.litellm_offline import (
    AZURE_SIGN_IN,
    BASE_URLS,
    ENV_PREFIX,
    LEFT_OUT,
    VERTEX_SIGN_IN,
    Tree,
    Unusable,
    leave_out,
)
from drills.gateways.scrub import DUMMY, is_secret
from drills.problems import Place, Problem

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_ACCOUNT = "service-account.json"
_ODD_KEY_NAMES = {
    "fireworks_ai": "FIREWORKS_API_KEY",
    "perplexity": "PERPLEXITYAI_API_KEY",
    "together_ai": "TOGETHERAI_API_KEY",
}
"""Providers whose key LiteLLM looks up by another name than `<PROVIDER>_API_KEY`."""
_AWS_ELSEWHERE = ("aws_role_name", "aws_web_identity_token", "aws_profile_name")
_AZURE_ELSEWHERE = frozenset(AZURE_SIGN_IN) - {"azure_ad_token"}
_MASTER_KEY = "LITELLM_MASTER_KEY"
_DOCUMENTED_KEY = "sk-1234"
_KEY_AT_LEAST = 6
"""A shorter text is no key, and taking it out of everything would make reports unreadable."""


@dataclass(frozen=True)
class Around:
    """What the gateway finds around its config. key: what opens it to callers."""

    env: Mapping[str, str]
    files: Mapping[str, str]
    key: str
    secrets: tuple[str, ...]


def around(found: Found, private: Path) -> Around:
    """Variables and files for a config. private: where the files will be."""
    root = found.config.document.root
    account = private / _ACCOUNT
    env = dict.fromkeys(_key_names(found), DUMMY)
    env |= dict(_variables(root.plain(), found.config.env, str(account)))
    files = {}
    if any(deployment.found is not None and deployment.found.dialect == "vertex" for _, deployment in found.legs):
        files[str(account)] = service_account(TOKEN_URI)
        env["GOOGLE_APPLICATION_CREDENTIALS"] = str(account)
    master = root.get("general_settings", "master_key")
    key = master.text if master is not None else ""
    if master is None or key.startswith(ENV_PREFIX):
        # Without one LiteLLM takes it from this variable, and does not start when that is empty, too.
        name, key = key.removeprefix(ENV_PREFIX) or _MASTER_KEY, new_master_key()
        env[name] = key
    return Around(env, files, key, tuple({key, *_keys_in(found)} - {""}))


def unusable(found: Found) -> tuple[Unusable, ...]:
    """What the private copy would leave out."""
    root = found.config.document.root
    return tuple(leave_out(cast(Tree, root.plain()), root))


def weak_master_key(root: Item) -> Iterator[str]:
    """That a LiteLLM of today does not start with the master key of its own documentation, which the private copy, with
    a key of its own, would hide. A note and no problem: an older LiteLLM takes it. Source: `_unsafe_reason` in
    litellm/proxy/auth/master_key_boot_check.py of 1.106.2.
    """
    permitted = root.get("general_settings", "dangerously_permit_weak_or_unset_master_key")
    master = root.get("general_settings", "master_key")
    if master is None or (permitted is not None and permitted.scalar is True):
        return
    if master.text.strip() == _DOCUMENTED_KEY:
        where = f"{master.place.file}:{master.place.line}"
        yield f"{where}: the master_key is the one of LiteLLM's documentation, with which LiteLLM 1.106 does not start"


def queries(found: Found) -> Iterator[Problem]:
    """Legs whose base URL has a query. The SDK that LiteLLM calls them with puts the path of each call behind it:
    of `/v1?key=1` it asks for `/v1?key=1/chat/completions`, which is a call of no model (measured with LiteLLM 1.106.2
    and openai-python 2.54.0).
    """
    for leg, deployment in found.legs:
        base = "" if deployment.found is None else deployment.found.base
        if leg.provider == "openai" and "?" in base:
            what = f"leg {leg.name}: its base URL has a query, and LiteLLM puts the path of each call behind that"
            yield Problem(f"{what}, so no call would be one of a model; leave the query out", base_place(deployment))


def base_place(deployment: Deployment) -> Place:
    """Where a deployment says at which host it is called: its base URL, else itself."""
    given = (deployment.item.get("litellm_params", key) for key in BASE_URLS)
    return next((item.place for item in given if item is not None), deployment.place)


def sign_ins(found: Found) -> Iterator[str]:
    """What a drill cannot stand in for: signing in at services that are no part of a leg."""
    for leg, deployment in found.legs:
        params = deployment.item.get("litellm_params")
        given = {str(key) for key, item in ((params.fields if params is not None else None) or {}).items() if item.text}
        elsewhere = ""
        if leg.provider == "bedrock" and given & set(_AWS_ELSEWHERE):
            elsewhere = "AWS (role, profile, web identity)"
        elif leg.provider == "azure" and given & _AZURE_ELSEWHERE and "api_key" not in given:
            elsewhere = "Entra ID"
        if elsewhere:
            yield f"{deployment.place}: leg {leg.name} signs in at {elsewhere}, which nobody answers on this route"


def _key_names(found: Found) -> Iterator[str]:
    """Where LiteLLM looks for a key when the config has none."""
    for _, deployment in found.legs:
        yield _ODD_KEY_NAMES.get(deployment.provider, f"{deployment.provider.upper()}_API_KEY")


def _variables(
    value: object, env: Mapping[str, str], account: str, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """A value for every `os.environ/X`: the real one where it shapes the failover or says where a leg is, none for what
    a drill has no use for, else a dummy.
    """
    if isinstance(value, dict):
        for name, item in value.items():
            if above[-1:] and name in LEFT_OUT.get(above[-1], {}):
                continue
            yield from _variables(item, env, account, (*above, str(name)))
    elif isinstance(value, list):
        for item in value:
            yield from _variables(item, env, account, above)
    elif isinstance(value, str) and value.startswith(ENV_PREFIX) and above:
        name, key = value.removeprefix(ENV_PREFIX), above[-1]
        if key in BASE_URLS or SHAPING_FIELDS.fullmatch(key):
            if name in env:
                yield name, env[name]
        else:
            yield name, account if key in VERTEX_SIGN_IN else DUMMY


def _keys_in(found: Found) -> Iterator[str]:
    """Every credential that is written in the config."""
    for key, item in found.config.document.root.walk():
        text = item.text
        if len(text) >= _KEY_AT_LEAST and not text.startswith(ENV_PREFIX) and is_secret(text, key):
            yield text
