"""The private copy of a TensorZero config that a drill runs: other base URLs and dummy credentials.

Law of this file: timeouts, retries, routing and experiments of the entry stay as the user wrote them. What the entry
does not lead to is left out, and so is what cannot run offline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import tomli_w

from drills.gateways.domains import Domains, rebased
from drills.gateways.items import Item
from drills.gateways.scrub import DUMMY, is_secret
from drills.gateways.tensorzero_config import Provider
from drills.gateways.tensorzero_legs import Found
from drills.gateways.tensorzero_providers import ENV_PREFIX, KINDS

CONFIG_NAME = "tensorzero.toml"
KEY_VARIABLE = "DRILL_KEY"

Tree = dict[str, object]
"""A TOML table without places."""

_DATABASE = "there is no database in a drill"
_SECTIONS = {
    "autopilot": "it calls another service",
    "clickhouse": _DATABASE,
    "embedding_models": "callers only chat",
    "evaluations": "callers only chat",
    "object_storage": "it calls another service",
    "optimizers": "it calls another service",
    "postgres": _DATABASE,
    "provider_types": "every key is a dummy",
    "rate_limiting": f"rate limits need a database, and {_DATABASE}",
}
_GATEWAY = {
    "auth": f"authentication needs a database, and {_DATABASE}",
    "cache": _DATABASE,
    "export": "traces would leave the drill",
}
_FILE = re.compile(r"(?:system|user|assistant|output)_(?:schema|template)")
_AWS_SIGN_IN = ("access_key_id", "secret_access_key", "session_token", "allow_auto_detect_region")


@dataclass(frozen=True)
class PrivateCopy:
    """What to run. text: the config. env: a value for each `env::NAME` in it. left_out: one sentence each."""

    text: str
    env: Mapping[str, str]
    left_out: tuple[str, ...]


def build(found: Found, urls: Mapping[str, str]) -> PrivateCopy:
    """The private copy of a config. urls: leg name -> scheme, host and port."""
    root = found.config.root
    left_out: list[str] = []
    tree: Tree = {}
    for key, item in (root.fields or {}).items():
        name = str(key)
        if name in _SECTIONS:
            left_out.append(f"{_where(item)}{name} is left out: {_SECTIONS[name]}")
        elif name not in {"functions", "models", "gateway"}:
            tree[name] = _plain(item, (name,))
    tree["gateway"] = _gateway(root.get("gateway"), left_out)
    tree["models"] = _models(found, urls)
    if found.function is not None:
        tree["functions"] = {found.function.name: _function(found, left_out)}
    _scrub(tree)
    env = dict.fromkeys(_references(tree), DUMMY)
    return PrivateCopy(tomli_w.dumps(tree), env, tuple(left_out))


def _gateway(item: Item | None, left_out: list[str]) -> Tree:
    tree = cast(Tree, _plain(item, ("gateway",))) if item is not None else {}
    for key, why in _GATEWAY.items():
        if tree.pop(key, None) is not None:
            left_out.append(f"{_where(item, key)}gateway.{key} is left out: {why}")
    given = tree.get("observability")
    if not isinstance(given, dict) or given.get("enabled") is not False:
        left_out.append(f"{_where(item, 'observability')}gateway.observability is off: {_DATABASE}")
    tree["observability"] = {"enabled": False}
    tree["disable_pseudonymous_usage_analytics"] = True
    return tree


def _models(found: Found, urls: Mapping[str, str]) -> Tree:
    """The models of the chain, every provider in their routing at its leg's URL."""
    models: Tree = {}
    for leg, provider in found.legs:
        if provider.found is None:  # `find` keeps these out
            raise AssertionError(provider)
        name = _name(provider.model)
        if name not in models:
            item = found.config.root.get("models", provider.model)
            routing = [one.name for one in found.config.models[provider.model].routing]
            plain = cast(Tree, _plain(item, ("models",))) if item is not None else {"routing": routing}
            models[name] = {**plain, "providers": {}}
        cast(Tree, cast(Tree, models[name])["providers"])[provider.name] = _provider(
            provider, provider.found, urls[leg.name]
        )
    return models


def _name(model: str) -> str:
    """A model's name in the copy: a shorthand model becomes one of its own, since only that can have a base URL."""
    return f"drill-{model.replace('::', '-')}" if "::" in model else model


def _provider(provider: Provider, found: Domains, url: str) -> Tree:
    kind = KINDS[provider.kind]
    tree: Tree = {"type": provider.kind, kind.model_key: found.model}
    if provider.item is not None:
        tree = cast(Tree, _plain(provider.item, ("models",)))
    if kind.base_key is None:  # `find` keeps these out
        raise AssertionError(provider)
    tree[kind.base_key] = rebased(found.base, url)
    location = f"{ENV_PREFIX}{KEY_VARIABLE}"
    if kind.dialect != "bedrock":
        tree["api_key_location"] = location
        return tree
    for key in _AWS_SIGN_IN:
        tree.pop(key, None)
    tree["region"] = found.region
    for key in ("api_key",) if "api_key" in tree else ("access_key_id", "secret_access_key"):
        tree[key] = location
    return tree


def _function(found: Found, left_out: list[str]) -> Tree:
    """The function of the entry with the variants that it can use."""
    function = found.function
    item = found.config.root.get("functions", function.name) if function is not None else None
    if function is None or item is None:
        raise AssertionError(found.entry)
    tree = cast(Tree, _plain(item, ("functions",)))
    tree.pop("evaluators", None)
    variants = cast(Tree, tree["variants"])
    tree["variants"] = {
        one.name: {**cast(Tree, variants[one.name]), "model": _name(one.model)} for one in found.variants
    }
    given = tree.get("experimentation")
    if isinstance(given, dict):
        tree["experimentation"] = _experiment(given, {one.name for one in found.variants}, function.adaptive)
    if function.adaptive:
        left_out.append(f"{function.place}: the adaptive experiment draws evenly and does not learn: {_DATABASE}")
    return tree


def _experiment(given: Tree, kept: set[str], adaptive: bool) -> Tree:
    """How variants are drawn, among those that are kept. One that learns needs a database, so it draws evenly."""
    experiment: Tree = {"type": "static"} if adaptive else {"type": given["type"]}
    for key in ("candidate_variants", "fallback_variants"):
        listed = given.get(key)
        if isinstance(listed, dict):
            experiment[key] = {name: weight for name, weight in listed.items() if name in kept}
        elif isinstance(listed, list):
            experiment[key] = [name for name in listed if name in kept]
    return experiment


def _plain(item: Item, path: tuple[str, ...]) -> object:
    """A fresh copy without places. Paths of files are relative to the file that names them; here they are absolute."""
    if item.fields is not None:
        return {str(key): _plain(one, (*path, str(key))) for key, one in item.fields.items()}
    if item.items is not None:
        return [_plain(one, path) for one in item.items]
    if isinstance(item.scalar, str) and _is_file(path):
        return str((Path(item.place.file).absolute().parent / item.scalar).resolve())
    return item.scalar


def _is_file(path: tuple[str, ...]) -> bool:
    """Whether a value is the path of a file or folder. Source: TensorZero, `tensorzero-config-paths`."""
    if path[0] == "functions":
        listed = path[-1] == "path" and path[-3:-2] in {("templates",), ("schemas",)}
        return listed or path[-2:-1] == ("input_wrappers",) or _FILE.fullmatch(path[-1]) is not None
    return (path[0] == "tools" and path[-1] == "parameters") or path[-2:] == ("template_filesystem_access", "base_path")


def secrets_of(item: Item) -> Iterator[str]:
    """Every literal credential of a config: of extra headers and of fields of extra bodies."""
    for where, key in _literals(item.plain()):
        yield str(where[key])


def _scrub(value: object) -> None:
    """Replace every literal credential below, in place."""
    for where, key in list(_literals(value)):
        where[key] = DUMMY


def _literals(value: object) -> Iterator[tuple[Tree, str]]:
    """Where literal credentials are: a table and a key of it."""
    if isinstance(value, list):
        for one in value:
            yield from _literals(one)
    if not isinstance(value, dict):
        return
    subject = str(value.get("name") or value.get("pointer") or "").rpartition("/")[2]
    for key, one in value.items():
        if isinstance(one, str) and "::" not in one and is_secret(one, subject if key == "value" else str(key)):
            yield value, key
        yield from _literals(one)


def _references(value: object) -> Iterator[str]:
    """The variables that `env::NAME` names."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _references(one)
    elif isinstance(value, str) and value.startswith(ENV_PREFIX):
        yield value.removeprefix(ENV_PREFIX)


def _where(item: Item | None, key: str = "") -> str:
    found = item.get(key) if item is not None and key else item
    return f"{found.key_place or found.place}: " if found is not None else ""
