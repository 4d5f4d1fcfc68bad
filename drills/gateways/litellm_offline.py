"""What of a LiteLLM config cannot or must not run in a drill, and why. Works in place on a copy.

Law of this file: what is not named here stays as the user wrote it. Timeouts, retries, cooldowns, routing strategy
and fallbacks are what is being drilled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from drills.gateways.items import Item
from drills.problems import Place, Problem

ENV_PREFIX = "os.environ/"

Tree = dict[str, object]
"""A YAML mapping without places."""

BASE_URLS = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
AWS_SIGN_IN = (
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_session_name", "aws_profile_name"),
    *("aws_role_name", "aws_web_identity_token", "aws_sts_endpoint", "aws_external_id"),
)
AZURE_SIGN_IN = (
    *("azure_ad_token", "azure_ad_token_provider", "tenant_id", "client_id", "client_secret", "azure_scope"),
    *("azure_username", "azure_password"),
)
VERTEX_SIGN_IN = ("vertex_credentials", "vertex_ai_credentials")

_CALLBACKS = "callbacks send data out"
_ALERTS = "alerts send data out"
_DATABASE = "there is no database in a drill"
_REDIS = "there is no redis in a drill"
_CACHE = "a cache would answer instead of the legs"
_OWN_KEY = "the drill brings a key of its own"
_OTHER = "it calls another service"
_CODE = "code beside the config is not loaded"

_TOP = dict.fromkeys(
    (
        *("guardrails", "policies", "mcp_servers", "mcp_tools", "vector_store_registry", "search_tools"),
        *("files_settings", "finetune_settings", "assistant_settings", "default_vertex_config", "agents", "agent_list"),
        *("sandbox_tools", "prompts"),
    ),
    _OTHER,
) | {"coordination_redis": _REDIS, "callback_settings": _CALLBACKS}
_GENERAL = (
    dict.fromkeys(("database_url", "database_connection_pool_limit", "store_model_in_db"), _DATABASE)
    | dict.fromkeys(("store_prompts_in_spend_logs", "supported_db_objects"), _DATABASE)
    | dict.fromkeys(("alerting", "alerting_args", "alert_types", "alerting_threshold", "alert_to_webhook_url"), _ALERTS)
    | dict.fromkeys(
        ("custom_auth", "custom_key_generate", "custom_sso", "enable_jwt_auth", "litellm_jwtauth"), _OWN_KEY
    )
    | dict.fromkeys(("enable_oauth2_auth", "allowed_ips"), _OWN_KEY)
    | dict.fromkeys(("key_management_system", "key_management_settings", "pass_through_endpoints", "tracing"), _OTHER)
    | {"use_redis_transaction_buffer": _REDIS, "litellm_license": "a licence is checked over the network"}
)
_LITELLM = (
    dict.fromkeys(("success_callback", "failure_callback", "service_callback", "audit_log_callbacks"), _CALLBACKS)
    | dict.fromkeys(("s3_callback_params", "default_team_settings"), _CALLBACKS)
    | dict.fromkeys(("cache", "cache_params"), _CACHE)
    | dict.fromkeys(("post_call_rules", "custom_provider_map"), _CODE)
    | {"guardrails": _OTHER, "enable_azure_ad_token_refresh": _OTHER}
)
_ROUTER = (
    dict.fromkeys(("redis_host", "redis_port", "redis_password", "redis_url", "redis_db"), _REDIS)
    | dict.fromkeys(("cache_responses", "cache_kwargs"), _CACHE)
    | {"alerting_config": _ALERTS, "plugins": _CODE}
)
LEFT_OUT = {"general_settings": _GENERAL, "litellm_settings": _LITELLM, "router_settings": _ROUTER}

LOCAL_CALLBACKS = (
    *("cache_control_check", "debug", "detect_prompt_injection", "dynamic_rate_limiter", "dynamic_rate_limiter_v3"),
    *("max_budget_limiter", "parallel_request_limiter", "prometheus"),
)
"""Callbacks of LiteLLM that send nothing anywhere."""

_OUTWARD_VARIABLE = re.compile(r"DATABASE|REDIS|_proxy$|SSL|CA_BUNDLE|NETRC", re.IGNORECASE)


_STAYS = {
    _CALLBACKS: "what they send out reaches nobody",
    _ALERTS: "what they send out reaches nobody",
    _CACHE: "a cache that can be reached answers instead of the legs",
    _OWN_KEY: "it may turn away the drill, which asks with the master key",
    _OTHER: "the service that it calls cannot be reached",
    _CODE: "code beside the config is loaded",
}
"""What a reason to leave something out means where it stays in; the others mean the same."""


@dataclass(frozen=True)
class Unusable:
    """A part of a config that a drill has no use for. keys: where it stands."""

    what: str
    why: str
    place: Place | None
    keys: tuple[str, ...]
    value: object

    @property
    def left_out(self) -> str:
        """The sentence for a copy without it."""
        return f"{self._where}{self.what} left out: {self.why}"

    @property
    def kept(self) -> str:
        """The sentence for a config that keeps it."""
        return f"{self._where}{self.what} not left out on this route: {_STAYS.get(self.why, self.why)}"

    @property
    def past_proxies(self) -> Problem | None:
        """The problem, if it connects to something else than by HTTP, or changes the proxy itself."""
        text = str(self.value)
        if text.startswith(ENV_PREFIX):
            return None  # it has no value in a drill
        variable = self.keys[0] == "environment_variables" and _OUTWARD_VARIABLE.search(self.keys[-1])
        if self.why == _REDIS or self.keys[-1] == "database_url" or variable:
            what = f"{'.'.join(self.keys)} leads out of the drill past every proxy"
            return Problem(f"{what}; use --route rewrite, which leaves it out, or --route sealed", self.place)
        return None

    @property
    def _where(self) -> str:
        return f"{self.place}: " if self.place is not None else ""


def leave_out(tree: Tree, root: Item) -> Iterator[Unusable]:
    """Take out what cannot run offline; each part that the user had set."""
    yield from _drop(tree, _TOP, root, ())
    for section, keys in LEFT_OUT.items():
        settings = tree.get(section)
        if isinstance(settings, dict):
            yield from _drop(settings, keys, root.get(section), (section,))
    yield from _callbacks(tree, root)
    yield from _variables(tree, root)
    for credential in cast(list[Tree], tree.get("credential_list") or []):
        values = credential.get("credential_values")
        for key in (*BASE_URLS, *AWS_SIGN_IN, *AZURE_SIGN_IN, *VERTEX_SIGN_IN):
            if isinstance(values, dict):
                values.pop(key, None)


def _drop(settings: Tree, keys: dict[str, str], item: Item | None, above: tuple[str, ...]) -> Iterator[Unusable]:
    for key, why in keys.items():
        value = settings.pop(key, None)
        if value not in (None, False, [], {}):
            yield Unusable(f"{'.'.join((*above, key))} is", why, _place(item, key), (*above, key), value)


def _callbacks(tree: Tree, root: Item) -> Iterator[Unusable]:
    settings = tree.get("litellm_settings")
    given = settings.get("callbacks") if isinstance(settings, dict) else None
    if not isinstance(settings, dict) or not given:
        return
    listed = given if isinstance(given, list) else [given]
    gone = [str(name) for name in listed if name not in LOCAL_CALLBACKS]
    if gone:
        settings["callbacks"] = [name for name in listed if name in LOCAL_CALLBACKS]
        place = _place(root.get("litellm_settings"), "callbacks")
        what = f"the callbacks {', '.join(gone)} are"
        yield Unusable(what, _CALLBACKS, place, ("litellm_settings", "callbacks"), gone)


def _variables(tree: Tree, root: Item) -> Iterator[Unusable]:
    variables = tree.get("environment_variables")
    if not isinstance(variables, dict):
        return
    for key in list(variables):
        if _OUTWARD_VARIABLE.search(str(key)) or "://" in str(variables[key]):
            keys = ("environment_variables", str(key))
            place = _place(root.get("environment_variables"), str(key))
            yield Unusable(f"{'.'.join(keys)} is", "it leads out of the drill", place, keys, variables.pop(key))


def _place(item: Item | None, key: str) -> Place | None:
    found = item.get(key) if item is not None else None
    return found.key_place if found is not None else None
