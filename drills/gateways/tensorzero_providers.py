"""Which dialect each of TensorZero's provider types speaks, and where its base URL is written. Tables, pure functions.

Source: TensorZero 2026.4 and 2026.6, `tensorzero-core/src/model.rs` (UninitializedProviderConfig, shorthand models) and
`providers/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drills.gateways.domains import Domains, cloud_of, host_of, region_of_host, vendor_of
from drills.gateways.items import Item

ENV_PREFIX = "env::"
BASE_KEYS = ("api_base", "endpoint", "endpoint_url")
LOCATION_KEYS = ("location", "region")
REGION = "us-east-1"
"""The region of a Bedrock provider whose config leaves it to the AWS SDK, on a machine that does not say either."""


@dataclass(frozen=True)
class Kind:
    """One provider type. model_key: the key that names the model. base_key: the key that overrides the base URL; None
    when TensorZero has none. base: the URL it calls without one; "" when the key is required.
    """

    dialect: str
    model_key: str
    base_key: str | None
    base: str


KINDS = {
    "anthropic": Kind("anthropic", "model_name", "api_base", "https://api.anthropic.com/v1/"),
    "aws_bedrock": Kind("bedrock", "model_id", "endpoint_url", "https://bedrock-runtime.{region}.amazonaws.com"),
    "azure": Kind("azure", "deployment_id", "endpoint", ""),
    "deepseek": Kind("openai", "model_name", None, "https://api.deepseek.com/v1/"),
    "fireworks": Kind("openai", "model_name", None, "https://api.fireworks.ai/inference/v1/"),
    "gcp_vertex_anthropic": Kind("vertex", "model_id", None, "https://{location}aiplatform.googleapis.com"),
    "gcp_vertex_gemini": Kind("vertex", "model_id", None, "https://{location}aiplatform.googleapis.com"),
    "google_ai_studio_gemini": Kind("gemini", "model_name", None, "https://generativelanguage.googleapis.com/v1beta"),
    "groq": Kind("openai", "model_name", None, "https://api.groq.com/openai/v1/"),
    "hyperbolic": Kind("openai", "model_name", None, "https://api.hyperbolic.xyz/v1/"),
    "mistral": Kind("openai", "model_name", None, "https://api.mistral.ai/v1/"),
    "openai": Kind("openai", "model_name", "api_base", "https://api.openai.com/v1/"),
    "openrouter": Kind("openai", "model_name", None, "https://openrouter.ai/api/v1/"),
    "sglang": Kind("openai", "model_name", "api_base", ""),
    "tgi": Kind("openai", "model_name", "api_base", ""),
    "together": Kind("openai", "model_name", None, "https://api.together.xyz/v1/"),
    "vllm": Kind("openai", "model_name", "api_base", ""),
    "xai": Kind("openai", "model_name", None, "https://api.x.ai/v1/"),
}
"""Provider type -> what is known of it."""

UNKNOWN_TO_DRILLS = ("aws_sagemaker",)
"""Provider types of TensorZero whose dialect no simulated provider speaks."""

REACHABLE = tuple(sorted(name for name, kind in KINDS.items() if kind.base_key is not None))
"""Provider types whose base URL a config can replace."""

SHORTHAND = tuple(sorted({*KINDS} - {"aws_bedrock", "azure", "sglang", "tgi", "vllm"}))
"""Provider types that a variant can name in front of a model: `openai::gpt-4o`."""

_SHORT = {
    "aws_bedrock": "bedrock",
    "gcp_vertex_anthropic": "vertex",
    "gcp_vertex_gemini": "vertex",
    "google_ai_studio_gemini": "gemini",
}


def from_config(name: str, item: Item, env: Mapping[str, str]) -> Domains:
    """Dialect and fault domains of a `[models.M.providers.P]` table whose type is in `KINDS`.

    env: the environment that `env::NAME` of regions and endpoints is looked up in.
    """
    kind = KINDS[name]
    model = item.get(kind.model_key) or item.get("endpoint_id")
    given = item.get(kind.base_key) if kind.base_key is not None else None
    location = item.get("location") or item.get("region")
    return _domains(
        name,
        model.text if model is not None else name,
        _resolved(given.text, env) if given is not None else "",
        _resolved(location.text, env) if location is not None else "",
        env,
    )


def from_shorthand(name: str, model: str) -> Domains:
    """Dialect and fault domains of `type::model`."""
    return _domains(name, model, "", "", {})


def region(given: str, env: Mapping[str, str]) -> str:
    """The AWS region that a Bedrock provider uses: its own, or what the AWS SDK would find in the environment."""
    return given or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or REGION


def _domains(name: str, model: str, base: str, location: str, env: Mapping[str, str]) -> Domains:
    kind = KINDS[name]
    where: str | None = location or None
    if kind.dialect == "bedrock":
        where = region_of_host(host_of(base)) or region(location, env)
    prefix = "" if where in {None, "global"} else f"{where}-"
    base = base or kind.base.format(region=where, location=prefix)
    short = _SHORT.get(name, name)
    return Domains(
        provider=short,
        dialect=kind.dialect,
        vendor=vendor_of(model, "openai" if name == "azure" else short),
        model=model,
        cloud=cloud_of(short, kind.dialect, base),
        region=where or region_of_host(host_of(base)),
        base=base,
        identity=("oauth2.googleapis.com",) if kind.dialect == "vertex" else (),
    )


def _resolved(text: str, env: Mapping[str, str]) -> str:
    """A text of the config as TensorZero would read it; "" for what only a request or a file would say."""
    if text.startswith(ENV_PREFIX):
        return env.get(text.removeprefix(ENV_PREFIX), "")
    return "" if text in {"sdk", "none"} or text.startswith(("dynamic::", "path::")) else text
