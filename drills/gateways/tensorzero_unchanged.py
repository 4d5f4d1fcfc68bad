"""A TensorZero config that is drilled as it is: what keeps it from starting, and what stands in for its environment.

The config is not touched, so credentials that are written in it reach the gateway. They go no further than the planes,
and are taken out of everything that the drill writes. From the environment the gateway gets no key at all.

Source: TensorZero 2026.6.0, started with each of these settings and without any database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from drills.gateways.items import Item
from drills.gateways.litellm_copy import service_account
from drills.gateways.scrub import DUMMY
from drills.gateways.tensorzero_copy import secrets_of
from drills.gateways.tensorzero_legs import Found
from drills.gateways.tensorzero_providers import BASE_KEYS, ENV_PREFIX, LOCATION_KEYS, region
from drills.problems import Problem
from drills.routes import Route

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_ACCOUNT = "service-account.json"
_PATH_PREFIX = "path_from_env::"
_BY_CALLERS = "dynamic::"
_KEY_VARIABLES = (
    *("ANTHROPIC_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "DEEPSEEK_API_KEY", "FIREWORKS_API_KEY"),
    *("GOOGLE_AI_STUDIO_API_KEY", "GROQ_API_KEY", "HYPERBOLIC_API_KEY", "MISTRAL_API_KEY", "OPENAI_API_KEY"),
    *("OPENROUTER_API_KEY", "SGLANG_API_KEY", "TGI_API_KEY", "TOGETHER_API_KEY", "VLLM_API_KEY", "XAI_API_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
)
"""Where TensorZero looks for a key that the config does not place. It does not start when one is missing."""
_ACCOUNT_VARIABLES = ("GCP_VERTEX_CREDENTIALS_PATH", "GOOGLE_APPLICATION_CREDENTIALS")
_NOWHERE = "http://127.0.0.1:1"
_NEEDS = {
    ("gateway", "auth", "enabled"): "authentication needs Postgres",
    ("gateway", "observability", "enabled"): "it needs a database",
    ("postgres", "enabled"): "it needs Postgres",
}
"""Switches with which TensorZero does not start unless it finds a database."""


@dataclass(frozen=True)
class Around:
    """What the gateway finds around its config. secrets: the credentials that are written in it."""

    env: Mapping[str, str]
    files: Mapping[str, str]
    secrets: tuple[str, ...]


def refused(found: Found) -> tuple[Problem, ...]:
    """Why TensorZero would not start with this config in a drill, or could not ask its legs; each with its place."""
    return (*_databases(found), *_callers_keys(found))


def kept(root: Item) -> Iterator[str]:
    """What stays in the config and cannot work, one sentence each."""
    export = root.get("gateway", "export")
    if export is not None:
        yield f"{export.key_place or export.place}: gateway.export stays on this route; its traces reach nobody"


def around(found: Found, env: Mapping[str, str], private: Path) -> Around:
    """Variables and files for a config. env: the drill's own environment. private: where the files will be."""
    account = private / _ACCOUNT
    own = dict.fromkeys(_KEY_VARIABLES, DUMMY) | dict.fromkeys(_ACCOUNT_VARIABLES, str(account))
    own |= {"AWS_REGION": region("", env), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": _NOWHERE}
    own |= dict(_variables(found.config.root, env, str(account)))
    return Around(own, {str(account): service_account(TOKEN_URI)}, tuple(sorted(set(secrets_of(found.config.root)))))


def _databases(found: Found) -> Iterator[Problem]:
    root = found.config.root
    for path, why in _NEEDS.items():
        switch = root.get(*path)
        if switch is not None and switch.scalar is True:
            yield _refused(".".join(path), why, switch)
    limits = root.get("rate_limiting", "rules")
    on = root.get("rate_limiting", "enabled")
    if limits is not None and (limits.items or limits.fields) and (on is None or on.scalar is not False):
        yield _refused("rate_limiting.rules", "rate limits need a database", limits)
    store = root.get("object_storage")
    kind = root.get("object_storage", "type")
    if store is not None and (kind is None or kind.text != "disabled"):
        yield _refused("object_storage", "TensorZero writes to it when it starts", store)
    for function in found.config.functions.values():
        if function.adaptive:
            experiment = root.get("functions", function.name, "experimentation")
            what = f"the adaptive experiment of function {function.name!r}"
            yield _refused(what, "it needs Postgres", experiment or root)


def _refused(what: str, why: str, item: Item) -> Problem:
    instead = f"use --route {Route.REWRITE}, whose private copy does without"
    return Problem(f"{what}: {why}, and there is none in a drill; {instead}", item.key_place or item.place)


def _callers_keys(found: Found) -> Iterator[Problem]:
    """Credentials of the chain that each request would have to bring."""
    for leg, provider in found.legs:
        defaults = found.config.root.get("provider_types", provider.kind)
        for item in (provider.item, defaults):
            for key, value in item.walk() if item is not None else ():
                if value.text.startswith(_BY_CALLERS) and key not in {*BASE_KEYS, *LOCATION_KEYS, "default"}:
                    what = f"leg {leg.name} takes its {key} from each request, and a drill's callers bring none"
                    yield Problem(f"{what}; use --route {Route.REWRITE}", value.place)


def _variables(root: Item, env: Mapping[str, str], account: str) -> Iterator[tuple[str, str]]:
    """A value for each variable that the config names: the real one where it says where a leg is, else a dummy."""
    for key, item in root.walk():
        text = item.text
        if text.startswith(_PATH_PREFIX):
            yield text.removeprefix(_PATH_PREFIX), account
        elif text.startswith(ENV_PREFIX):
            name = text.removeprefix(ENV_PREFIX)
            if key not in {*BASE_KEYS, *LOCATION_KEYS}:
                yield name, DUMMY
            elif name in env:
                yield name, env[name]
