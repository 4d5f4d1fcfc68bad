"""The private copy of a LiteLLM config that a drill runs: other base URLs, no real credential, nothing that calls out.

Law of this file: what is not named here stays as the user wrote it. Timeouts, retries, cooldowns, routing strategy
and fallbacks are what is being drilled.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from drills.gateways.litellm_config import ENV_PREFIX, Found
from drills.gateways.litellm_domains import Domains

DUMMY = "drill-dummy"
Tree = dict[str, object]

SAFE_ENV_FIELDS = re.compile(
    r"(?:aws_region_name|vertex_(?:ai_)?location|region_name|region|api_version|model|base_model|order|weight|rpm|tpm"
    r"|timeout|stream_timeout|max_retries|num_retries|retry_after|cooldown_time|allowed_fails|routing_strategy)"
)
"""Fields whose `os.environ/X` keeps its real value: they shape the failover and are no secrets."""

_SECRET = re.compile(
    r"key|secret|passw|token|credential|authorization|cookie|licen[cs]e|salt|dsn|webhook|connection_string|private",
    re.I,
)
_NO_SECRET = re.compile(
    r"tokens|token_(?:count|limit)|per_token|token_url|tokenizer|credential_name|credential_info|key_generate"
    r"|key_(?:alias|name|header|management|path)|_keys?_(?:tpm|rpm)|keepalive|cache_key|private_key_path",
    re.I,
)
_LOOKS_SECRET = re.compile(
    r"sk-[\w-]{8,}|AKIA[A-Z0-9]{12,}|ASIA[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.|eyJ[\w-]{10,}\.|-----BEGIN"
)
_DROPPED_ENV = re.compile(r"DATABASE|REDIS|_proxy$|^no_proxy$|SSL|CA_BUNDLE|NETRC", re.I)

_AWS_SIGN_IN = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_session_name", "aws_profile_name",
                "aws_role_name", "aws_web_identity_token", "aws_sts_endpoint", "aws_external_id")  # fmt: skip
_AWS_REMOTE_SIGN_IN = ("aws_role_name", "aws_web_identity_token", "aws_profile_name")
_AZURE_SIGN_IN = ("azure_ad_token", "azure_ad_token_provider", "tenant_id", "client_id", "client_secret", "azure_scope",
                  "azure_username", "azure_password")  # fmt: skip
_VERTEX_SIGN_IN = ("vertex_credentials", "vertex_ai_credentials")
_URLS = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")

TOP_LEFT_OUT = {
    "guardrails": "guardrails call services of their own",
    "policies": "policies need guardrails",
    "mcp_servers": "MCP servers are other services",
    "mcp_tools": "MCP tools are other services",
    "vector_store_registry": "vector stores are other services",
    "search_tools": "search tools are other services",
    "files_settings": "file storage is another service",
    "finetune_settings": "fine-tuning is another service",
    "assistant_settings": "assistants are another service",
    "default_vertex_config": "pass-through to Vertex AI is not drilled",
    "coordination_redis": "redis is not there in a drill",
    "callback_settings": "callbacks send data out",
}
SECTION_LEFT_OUT = {
    "general_settings": {
        "database_url": "no database in a drill",
        "database_connection_pool_limit": "no database in a drill",
        "store_model_in_db": "no database in a drill",
        "store_prompts_in_spend_logs": "no database in a drill",
        "alerting": "alerts send data out",
        "alerting_args": "alerts send data out",
        "alert_types": "alerts send data out",
        "alerting_threshold": "alerts send data out",
        "alert_to_webhook_url": "alerts send data out",
        "pass_through_endpoints": "pass-through endpoints are not drilled",
        "key_management_system": "a secret manager is another service",
        "key_management_settings": "a secret manager is another service",
        "custom_auth": "the drill brings a key of its own",
        "enable_jwt_auth": "the drill brings a key of its own",
        "litellm_jwtauth": "the drill brings a key of its own",
        "enable_oauth2_auth": "the drill brings a key of its own",
        "custom_key_generate": "the drill brings a key of its own",
        "custom_sso": "the drill brings a key of its own",
        "allowed_ips": "the load comes from this host",
        "use_redis_transaction_buffer": "redis is not there in a drill",
        "litellm_license": "a licence is checked over the network",
    },
    "litellm_settings": {
        "cache": "a cache would answer instead of the providers",
        "cache_params": "a cache would answer instead of the providers",
        "guardrails": "guardrails call services of their own",
        "success_callback": "callbacks send data out",
        "failure_callback": "callbacks send data out",
        "service_callback": "callbacks send data out",
        "audit_log_callbacks": "callbacks send data out",
        "post_call_rules": "code beside the config is not loaded",
        "custom_provider_map": "code beside the config is not loaded",
        "s3_callback_params": "callbacks send data out",
        "default_team_settings": "callbacks send data out",
        "enable_azure_ad_token_refresh": "the sign-in service is not drilled",
    },
    "router_settings": {
        "redis_host": "redis is not there in a drill",
        "redis_port": "redis is not there in a drill",
        "redis_password": "redis is not there in a drill",
        "redis_url": "redis is not there in a drill",
        "redis_db": "redis is not there in a drill",
        "cache_responses": "a cache would answer instead of the providers",
        "cache_kwargs": "a cache would answer instead of the providers",
        "alerting_config": "alerts send data out",
        "plugins": "code beside the config is not loaded",
    },
}
"""What cannot or must not run offline, and why, by section."""

LOCAL_CALLBACKS = ("cache_control_check", "debug", "detect_prompt_injection", "dynamic_rate_limiter",
                   "dynamic_rate_limiter_v3", "max_budget_limiter", "parallel_request_limiter", "prometheus")  # fmt: skip
"""Callbacks of LiteLLM that send nothing anywhere."""


@dataclass(frozen=True)
class PrivateCopy:
    """What to run. files: name -> content. env: variables that the copy refers to. left_out: one sentence each."""

    files: Mapping[str, str]
    env: Mapping[str, str]
    left_out: tuple[str, ...]


def build(found: Found, urls: Mapping[str, str], private: Path, master_key: str) -> PrivateCopy:
    """The private copy of a config. urls: leg name -> scheme, host and port. The files are to be written into
    `private`, under the names given.
    """
    left_out: list[str] = []
    tree = cast(Tree, found.config.document.root.plain())
    _scrub(tree, "")
    by_index = {deployment.index: leg for leg, deployment in found.legs}
    files: dict[str, str] = {}
    models = cast(list[Tree], tree["model_list"])
    kept: list[Tree] = []
    for deployment in found.config.deployments:
        leg = by_index.get(deployment.index)
        if leg is None or deployment.found is None:
            continue
        entry = models[deployment.index]
        params = cast(Tree, entry["litellm_params"])
        info = entry.get("model_info")
        entry["model_info"] = {**(info if isinstance(info, dict) else {}), "id": leg.name}
        left_out += [f"{deployment.place}: {text}" for text in _rewire(params, deployment.found, urls[leg.name])]
        if deployment.found.dialect == "vertex":
            name = f"{leg.name}.json"
            files[name] = json.dumps(_service_account(urls[leg.name]), indent=2)
            params["vertex_credentials"] = str(private / name)
        kept.append(entry)
    tree["model_list"] = kept
    left_out += _leave_out(tree, found)
    general = tree.setdefault("general_settings", {})
    if not isinstance(general, dict):
        general = tree["general_settings"] = {}
    general["master_key"] = master_key
    env = _variables(tree, found.config.env)
    files["config.yaml"] = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return PrivateCopy(files, env, tuple(left_out))


def new_master_key() -> str:
    """A random key for one run."""
    return f"sk-drill-{secrets.token_hex(16)}"


def _rewire(params: Tree, found: Domains, url: str) -> Iterator[str]:
    """Send one deployment to `url` with dummy credentials. Says what a drill cannot cover of its sign-in."""
    given = [key for key in _URLS if params.pop(key, None) is not None]
    base = url + found.path
    if found.dialect == "bedrock":
        params["aws_bedrock_runtime_endpoint"] = base
        if "api_base" in given:
            params["api_base"] = base
        if any(params.get(key) for key in _AWS_SIGN_IN):
            if any(params.get(key) for key in _AWS_REMOTE_SIGN_IN):
                yield "signing in at AWS (role, profile, web identity) is replaced by dummy keys"
            for key in _AWS_SIGN_IN:
                params.pop(key, None)
            params |= {"aws_access_key_id": DUMMY, "aws_secret_access_key": DUMMY}
        if params.get("api_key"):
            params["api_key"] = DUMMY
        return
    params["api_base"] = base
    if found.dialect == "vertex":
        for key in _VERTEX_SIGN_IN:
            params.pop(key, None)
        if not params.get("vertex_project") and not params.get("vertex_ai_project"):
            params["vertex_project"] = "drill"
        return
    if found.dialect == "azure" and any(params.pop(key, None) for key in _AZURE_SIGN_IN):
        yield "signing in at Entra ID is replaced by a dummy key"
    for key in _AZURE_SIGN_IN if found.dialect == "azure" else ():
        params.pop(key, None)
    params["api_key"] = DUMMY


def _leave_out(tree: Tree, found: Found) -> Iterator[str]:
    root = found.config.document.root
    for key, why in TOP_LEFT_OUT.items():
        if tree.pop(key, None) is not None:
            item = root.get(key)
            yield f"{item.key_place if item else key}: {key} is left out: {why}"
    for section, keys in SECTION_LEFT_OUT.items():
        settings = tree.get(section)
        for key, why in keys.items() if isinstance(settings, dict) else ():
            if settings.pop(key, None) not in (None, False):
                item = root.get(section, key)
                yield f"{item.key_place if item else section}: {section}.{key} is left out: {why}"
    settings = tree.get("litellm_settings")
    callbacks = settings.get("callbacks") if isinstance(settings, dict) else None
    if isinstance(settings, dict) and callbacks:
        listed = callbacks if isinstance(callbacks, list) else [callbacks]
        gone = [str(name) for name in listed if name not in LOCAL_CALLBACKS]
        settings["callbacks"] = [name for name in listed if name in LOCAL_CALLBACKS]
        if gone:
            item = root.get("litellm_settings", "callbacks")
            yield f"{item.key_place if item else 'callbacks'}: callbacks {', '.join(gone)} are left out: they may send data out"
    variables = tree.get("environment_variables")
    for key in list(variables) if isinstance(variables, dict) else ():
        value = str(variables[key])
        if _DROPPED_ENV.search(str(key)) or "://" in value:
            del variables[key]
            yield f"environment_variables.{key} is left out: it leads out of the drill"
    for credential in cast(list[Tree], tree.get("credential_list") or []):
        values = credential.get("credential_values")
        for key in (*_URLS, *_AWS_SIGN_IN, *_AZURE_SIGN_IN, *_VERTEX_SIGN_IN) if isinstance(values, dict) else ():
            values.pop(key, None)


def _scrub(value: object, key: str) -> object:
    """Replace every literal credential below, in place. A text is one by its key or by its looks."""
    if isinstance(value, dict):
        for name in value:
            value[name] = _scrub(value[name], str(name))
        return value
    if isinstance(value, list):
        return [_scrub(item, key) for item in value]
    if not isinstance(value, str) or value.startswith(ENV_PREFIX):
        return value
    by_name = _SECRET.search(key) is not None and _NO_SECRET.search(key) is None
    return DUMMY if by_name or _LOOKS_SECRET.search(value) else value


def _variables(tree: Tree, env: Mapping[str, str]) -> dict[str, str]:
    """A value for every `os.environ/X`: the real one for settings that shape the failover, else a dummy."""
    found: dict[str, str] = {}
    for key, name in _references(tree, ""):
        if SAFE_ENV_FIELDS.fullmatch(key) is None:
            found[name] = DUMMY
        elif name in env and name not in found:
            found[name] = env[name]
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


def _service_account(url: str) -> dict[str, str]:
    """A service account that nobody knows, whose tokens come from the leg itself.

    Source of the shape: google-auth, `google.oauth2.service_account.Credentials.from_service_account_info`.
    """
    return {
        "type": "service_account",
        "project_id": "drill",
        "private_key_id": "drill",
        "private_key": _private_key(),
        "client_email": "drill@drill.iam.gserviceaccount.com",
        "client_id": "0",
        "token_uri": f"{url}/token",
    }


def _private_key() -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - slow, and only Vertex AI needs it
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
