"""Which wire dialect a Portkey target speaks and which fault domains it sits in. Tables and pure functions.

Source of the rules: Portkey 1.15.2, `src/providers/<name>/api.ts` (base URLs, paths) and `utils.ts` (sign-in). The
providers in the tables were called through Portkey and answered by the drill's dialects, whole and streamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drills.gateways.domains import Domains, cloud_of, host_of, region_of_host, vendor_of

AZURE, BEDROCK, GEMINI, VERTEX = "azure-openai", "bedrock", "google", "vertex-ai"
DIALECTS = {
    "anthropic": "anthropic",
    AZURE: "azure",
    BEDROCK: "bedrock",
    GEMINI: "gemini",
    "openai": "openai",
    VERTEX: "vertex",
}
"""Portkey's provider -> the dialect of `drills.providers`."""

COMPATIBLE_BASES = {
    "cerebras": "https://api.cerebras.ai/v1",
    "deepinfra": "https://api.deepinfra.com/v1/openai",
    "deepseek": "https://api.deepseek.com",
    "fireworks-ai": "https://api.fireworks.ai/inference/v1",
    "groq": "https://api.groq.com/openai/v1",
    "mistral-ai": "https://api.mistral.ai/v1",
    "moonshot": "https://api.moonshot.cn",
    "nebius": "https://api.studio.nebius.ai/v1",
    "ollama": "",
    "openrouter": "https://openrouter.ai/api",
    "sambanova": "https://api.sambanova.ai",
    "together-ai": "https://api.together.xyz",
    "x-ai": "https://api.x.ai/v1",
}
"""Providers that speak the OpenAI dialect, with the base URL that Portkey calls when the target names no host."""

SUPPORTED = tuple(sorted({*DIALECTS, *COMPATIBLE_BASES}))

_ALIKE = {"x-ai": "xai", "mistral-ai": "mistral", "together-ai": "together", "fireworks-ai": "fireworks"}
_BASES = {
    "anthropic": "https://api.anthropic.com/v1",
    "openai": "https://api.openai.com/v1",
    GEMINI: "https://generativelanguage.googleapis.com",
}
_REGION_BY_DEFAULT = "us-east-1"
_VERTEX_PUBLISHERS = {"google": "google", "anthropic": "anthropic"}
_VERTEX_OTHERS = ("meta", "endpoints", "mistralai")
_BEDROCK_INVOKED = (
    *("cohere.command-light-text-v14", "cohere.command-text-v14"),
    *("ai21.j2-mid-v1", "ai21.j2-ultra-v1"),
)
"""Models that Portkey does not ask by Converse, with bodies of their own."""

_SIGN_IN_AZURE = "login.microsoftonline.com"
_SIGN_IN_GOOGLE = "oauth2.googleapis.com"


@dataclass(frozen=True)
class Unsupported:
    """Why a drill cannot stand in for a target, as the end of a sentence about it."""

    why: str


def domains(provider: str, fields: Mapping[str, str], asked: str) -> Domains | Unsupported:
    """The dialect and fault domains of a target.

    fields: its texts, `custom_host` and `model` (of its `override_params`) with what it inherits; `signs_in` says
    whether it has a service account. asked: the model that callers ask for, which a target without one passes on.
    """
    model = fields.get("model") or asked
    dialect = "openai" if provider in COMPATIBLE_BASES else DIALECTS.get(provider)
    if dialect is None:
        return Unsupported(f"uses the provider {provider!r}, which a drill cannot stand in for")
    publisher = ""
    if provider == VERTEX:
        publisher, model = _published(model)
        if publisher not in _VERTEX_PUBLISHERS:
            return Unsupported(f"asks Vertex AI for a model of {publisher!r}, whose dialect a drill does not speak")
    if provider == BEDROCK and model in _BEDROCK_INVOKED:
        return Unsupported(f"asks Bedrock for {model!r} without Converse, which a drill does not speak")
    base = fields.get("custom_host") or _base(provider, fields)
    named, otherwise = model, publisher
    if provider == AZURE:
        # A deployment may have any name; what it holds is said by its field for that, or by the target's own model.
        model = fields.get("deployment_id") or model
        named, otherwise = fields.get("azure_model_name") or fields.get("model") or model, "openai"
    known = _ALIKE.get(provider, dialect if provider in DIALECTS else provider)
    return Domains(
        provider=known,
        dialect=dialect,
        vendor=vendor_of(named, otherwise or known),
        model=model,
        cloud=cloud_of(known, dialect, base),
        region=_region(provider, fields, base),
        base=base,
        identity=_identity(provider, fields),
    )


def _published(model: str) -> tuple[str, str]:
    """Publisher and model of `anthropic.claude-x`; Google's own need no prefix."""
    publisher, dot, rest = model.partition(".")
    return (publisher, rest) if dot and publisher in {*_VERTEX_PUBLISHERS, *_VERTEX_OTHERS} else ("google", model)


def _base(provider: str, fields: Mapping[str, str]) -> str:
    if provider == AZURE:
        return f"https://{fields.get('resource_name', '')}.openai.azure.com/openai"
    if provider == BEDROCK:
        return f"https://bedrock-runtime.{fields.get('aws_region') or _REGION_BY_DEFAULT}.amazonaws.com"
    if provider == VERTEX:
        region = fields.get("vertex_region", "")
        return "https://" + ("" if region == "global" else f"{region}-") + "aiplatform.googleapis.com"
    return COMPATIBLE_BASES.get(provider) or _BASES.get(provider, "")


def _region(provider: str, fields: Mapping[str, str], base: str) -> str | None:
    """By the host, by the cloud's own field, or by the field `region`, which Portkey ignores."""
    own = ""
    if provider == BEDROCK:
        own = fields.get("aws_region") or _REGION_BY_DEFAULT
    elif provider == VERTEX:
        own = fields.get("vertex_region", "")
    return region_of_host(host_of(base)) or own or fields.get("region") or None


def _identity(provider: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that Portkey asks for a token before it calls the model."""
    if provider == VERTEX and fields.get("signs_in"):
        return (_SIGN_IN_GOOGLE,)
    if provider == AZURE and fields.get("azure_auth_mode") == "entra" and not fields.get("azure_ad_token"):
        return (_SIGN_IN_AZURE,)
    if provider == BEDROCK and fields.get("aws_auth_type") == "assumedRole":
        return (f"sts.{fields.get('aws_region') or _REGION_BY_DEFAULT}.amazonaws.com",)
    return ()
