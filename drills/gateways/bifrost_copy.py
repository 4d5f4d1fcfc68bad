"""The private copy of a Bifrost config that a drill runs: other base URLs, dummy credentials, and files only.

Law of this file: what is said about the providers of the chain (timeouts, retries, backoff, concurrency, weights) stays
as the user wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from drills.gateways.bifrost_config import ENV_PREFIX, Found, Reached
from drills.gateways.domains import rebased
from drills.gateways.items import Item
from drills.gateways.scrub import DUMMY, scrub

CONFIG_NAME = "config.json"

Tree = dict[str, object]
"""A JSON object without places."""

_DATABASE = "there is no database in a drill"
_SECTIONS = {
    "auth_config": "a drill's callers do not sign in",
    "cluster_config": "a drill runs one node",
    "config_store": f"{_DATABASE}; the file counts",
    "encryption_key": _DATABASE,
    "framework": "it calls another service",
    "guardrails_config": "it calls another service",
    "logs_store": _DATABASE,
    "mcp": "it calls another service",
    "plugins": "they may call other services, or answer instead of the legs",
    "vector_store": "a cache would answer instead of the legs",
    "websocket": "a drill's callers do not use it",
}
_CLIENT = {
    "enforce_auth_on_inference": "a drill's callers do not sign in",
    "enforce_governance_header": "a drill's callers do not sign in",
    "enable_logging": _DATABASE,
    "required_headers": "a drill's callers send none",
}
_KEPT = ("$schema", "version", "client", "providers", "governance")
_SIGN_IN = (
    *("client_id", "client_secret", "tenant_id", "scopes", "access_key", "secret_key", "session_token", "role_arn"),
    *("external_id", "session_name", "arn", "endpoints", "batch_s3_config"),
)


@dataclass(frozen=True)
class PrivateCopy:
    """What to run. text: the config. env: a value for each `env.NAME` in it. left_out: one sentence each."""

    text: str
    env: Mapping[str, str]
    left_out: tuple[str, ...]


def build(found: Found, urls: Mapping[str, str]) -> PrivateCopy:
    """The private copy of a config. urls: leg name -> scheme, host and port."""
    root = found.root
    plain = cast(Tree, root.plain())
    left_out: list[str] = []
    for key, item in (root.fields or {}).items():
        name = str(key)
        if name not in _KEPT and not _off(item):
            why = _SECTIONS.get(name, "a drill does not know it")
            left_out.append(f"{item.key_place}: {name} is left out: {why}")
    tree: Tree = {key: plain[key] for key in ("$schema", "version") if key in plain}
    tree["client"] = _client(root.get("client"), left_out)
    tree["config_store"] = {"enabled": False}
    tree["logs_store"] = {"enabled": False}
    if not found.chain.in_request:
        tree["governance"] = {"routing_rules": cast(Tree, plain["governance"])["routing_rules"]}
    others = [str(key) for key in _fields(root.get("governance")) if key != "routing_rules"]
    if others:
        place = _place(root, "governance")
        left_out.append(f"{place}: governance ({', '.join(others)}) is left out: a drill's callers have no keys")
    tree["providers"] = _providers(found, cast(Tree, plain["providers"]), urls, left_out)
    env = dict.fromkeys(_references(tree), DUMMY)
    return PrivateCopy(json.dumps(tree, indent=2), env, tuple(left_out))


def _client(item: Item | None, left_out: list[str]) -> Tree:
    tree = cast(Tree, item.plain()) if item is not None else {}
    for key, why in _CLIENT.items():
        if item is not None and tree.pop(key, None) not in (None, False, []):
            left_out.append(f"{_place(item, key)}: client.{key} is left out: {why}")
    return {**tree, "enable_logging": False}


def _providers(found: Found, plain: Tree, urls: Mapping[str, str], left_out: list[str]) -> Tree:
    """The providers of the chain, each with the keys that lead to its legs."""
    providers: Tree = {}
    for leg, reached in found.legs:
        name, url = reached.provider, rebased(reached.found.base, urls[leg.name])
        item = found.root.get("providers", name)
        if item is None:  # `find` keeps these out
            raise AssertionError(name)
        if name not in providers:
            entry = cast(Tree, scrub(plain[name], "", ENV_PREFIX))
            if entry.pop("proxy_config", None) is not None:
                place = _place(item, "proxy_config")
                left_out.append(f"{place}: proxy_config is left out: it leads out of the drill")
            network = cast(Tree, entry.get("network_config") or {})
            network["allow_private_network"] = True
            if reached.found.dialect != "azure":
                network["base_url"] = url
            providers[name] = {**entry, "network_config": network, "keys": []}
        keys = cast(list[Tree], cast(Tree, providers[name])["keys"])
        for index in reached.keys:
            if index >= 0:
                key = cast(list[Tree], cast(Tree, plain[name])["keys"])[index]
                keys.append(_key(key, reached, url))
    return providers


def _key(plain: Tree, reached: Reached, url: str) -> Tree:
    """One key with a dummy value. Where the user signs in without one, a drill cannot; it takes a dummy key too."""
    key = {name: value for name, value in plain.items() if name != "value"}
    own = dict(cast(Tree, plain.get(f"{reached.found.dialect}_key_config") or {}))
    for name in _SIGN_IN:
        own.pop(name, None)
    key["value"] = DUMMY
    if reached.found.dialect == "azure":
        key["azure_key_config"] = {**own, "endpoint": url}
    if reached.found.dialect == "bedrock":
        signed = not plain.get("value")  # with a value, it is a bearer key
        if signed:
            key["value"] = ""
            own |= {"access_key": DUMMY, "secret_key": DUMMY}
        key["bedrock_key_config"] = {**own, "region": reached.found.region}
    return key


def _off(item: Item) -> bool:
    enabled = item.get("enabled")
    return item.empty or item.scalar is False or (enabled is not None and enabled.scalar is False)


def _fields(item: Item | None) -> list[str]:
    return [str(key) for key in (item.fields if item is not None else None) or {}]


def _place(item: Item, key: str) -> str:
    found = item.get(key)
    return str(found.key_place) if found is not None else str(item.place)


def _references(value: object) -> Iterator[str]:
    """The variables that `env.NAME` names."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, str) and value.startswith(ENV_PREFIX):
        yield value.removeprefix(ENV_PREFIX)
