"""Which wire dialect a LiteLLM deployment speaks and which fault domains it sits in. Tables and pure functions.

Source of the rules: LiteLLM 1.106.2, `litellm_core_utils/get_llm_provider_logic.py` (provider of a model string),
`llms/bedrock/base_aws_llm.py` and `llms/vertex_ai/vertex_llm_base.py` (regions and default base URLs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from drills.gateways.domains import Domains, cloud_of, host_of, region_of_host, vendor_of

DIALECTS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "bedrock": "bedrock",
    "gemini": "gemini",
    "openai": "openai",
    "vertex_ai": "vertex",
    "vertex_ai_beta": "vertex",
}
"""LiteLLM's provider -> the dialect of `drills.providers`."""

COMPATIBLE_BASES = {
    "cerebras": "https://api.cerebras.ai/v1",
    "custom_openai": "",
    "deepseek": "https://api.deepseek.com/beta",
    "fireworks_ai": "https://api.fireworks.ai/inference/v1",
    "groq": "https://api.groq.com/openai/v1",
    "hosted_vllm": "",
    "litellm_proxy": "",
    "mistral": "https://api.mistral.ai/v1",
    "nvidia_nim": "https://integrate.api.nvidia.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "sambanova": "https://api.sambanova.ai/v1",
    "together_ai": "https://api.together.xyz/v1",
    "xai": "https://api.x.ai/v1",
}
"""Providers that speak the OpenAI dialect, with the base URL LiteLLM calls when the config names none."""

SUPPORTED = tuple(sorted({*DIALECTS, *COMPATIBLE_BASES}))

_BARE = (
    (
        re.compile(r"(?:[a-z]{2,6}\.)?(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer)\..+"),
        "bedrock",
    ),
    (re.compile(r"claude-.+"), "anthropic"),
    (
        re.compile(r"(?:ft:)?(?:gpt-|chatgpt-|o\d|text-embedding-|dall-e|whisper|tts-|davinci|babbage|omni-).*"),
        "openai",
    ),
    (re.compile(r"gemini-.+"), "vertex_ai"),
)
"""LiteLLM's inference for a model without a provider prefix. A bare Gemini name means Vertex AI, not the Gemini API."""

_BEDROCK_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_BEDROCK_ROUTES = ("converse/", "converse_like/", "invoke/", "async_invoke/", "openai/", "llama/", "deepseek_r1/")


def provider_of(model: str, custom: str, base: str) -> tuple[str, str]:
    """LiteLLM's provider for a model string, and the model without that prefix. The provider is what the config
    says (`custom_llm_provider`, the prefix) or what LiteLLM infers for a bare name; "" when it infers none.
    """
    prefix, slash, rest = model.partition("/")
    if custom:
        return custom, rest if slash and prefix == custom else model
    if slash and (prefix in SUPPORTED or prefix.isidentifier()):
        return prefix, rest
    for host, name in (("api.openai.com", "openai"), ("api.groq.com", "groq"), ("api.deepseek.com", "deepseek")):
        if host in base:
            return name, model
    return next((name for pattern, name in _BARE if pattern.fullmatch(model)), ""), model


def domains(params: Mapping[str, str], env: Mapping[str, str], info: Mapping[str, str]) -> Domains | None:
    """The dialect and fault domains of a deployment; None when the drill does not speak the provider's dialect.

    params: its litellm_params, resolved, texts only. env: the environment LiteLLM would see. info: its model_info.
    """
    base = params.get("api_base") or params.get("base_url") or params.get("aws_bedrock_runtime_endpoint") or ""
    provider, model = provider_of(params.get("model", ""), params.get("custom_llm_provider", ""), base)
    dialect = "openai" if provider in COMPATIBLE_BASES else DIALECTS.get(provider)
    if dialect is None:
        return None
    path_region = None
    if dialect == "bedrock":
        path_region, model = _bedrock_path(model)
    region = (
        region_of_host(host_of(base))
        or params.get("aws_region_name" if dialect == "bedrock" else "")
        or params.get("vertex_location")
        or params.get("vertex_ai_location")
        or params.get("region_name")
        or info.get("region")
        or path_region
        or _region_from_env(dialect, env)
    )
    base = base or _default_base(provider, dialect, region)
    named = info.get("base_model") or params.get("base_model") or model
    return Domains(
        provider=provider,
        dialect=dialect,
        vendor=vendor_of(named, "openai" if dialect == "azure" else provider),
        model=model,
        cloud=cloud_of(provider, dialect, base),
        region=region,
        base=base,
        identity=("oauth2.googleapis.com",) if dialect == "vertex" else (),
    )


def _bedrock_path(model: str) -> tuple[str | None, str]:
    """Region and model id of `us-west-2/...`, `converse/...` or an ARN. An inference profile prefix (`us.`) is part
    of the model: it says where AWS may run it, not which endpoint is called.
    """
    if model.startswith("arn:"):
        fields = model.split(":")
        return (fields[3] or None) if len(fields) > 3 else None, model
    for route in _BEDROCK_ROUTES:
        model = model.removeprefix(route)
    region, slash, rest = model.partition("/")
    if slash and _BEDROCK_REGION.fullmatch(region):
        return region, rest
    return (_bedrock_path(model)[0], model) if model.startswith("arn:") else (None, model)


def _region_from_env(dialect: str, env: Mapping[str, str]) -> str | None:
    if dialect == "bedrock":
        names = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
        return next((env[name] for name in names if env.get(name)), "us-west-2")
    if dialect == "vertex":
        return env.get("VERTEXAI_LOCATION") or env.get("VERTEX_LOCATION") or "us-central1"
    return None


def _default_base(provider: str, dialect: str, region: str | None) -> str:
    if dialect == "bedrock":
        return f"https://bedrock-runtime.{region}.amazonaws.com"
    if dialect == "vertex":
        if region is None or region == "global":
            return "https://aiplatform.googleapis.com"
        regional = f"{region}-aiplatform" if "-" in region else f"aiplatform.{region}.rep"
        return f"https://{regional}.googleapis.com"
    if dialect == "gemini":
        return "https://generativelanguage.googleapis.com/v1beta"
    if dialect == "anthropic":
        return "https://api.anthropic.com"
    return COMPATIBLE_BASES.get(provider) or {"openai": "https://api.openai.com/v1"}.get(provider, "")
