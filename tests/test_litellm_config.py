"""LiteLLM's config: every form of fallbacks, every fault domain, and a private copy that changes only what it must.

The expected chains were checked against LiteLLM 1.106.2 itself, with every deployment answering 500.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from drills.gateways import get, litellm_config, litellm_document, litellm_install, litellm_legs, names
from drills.gateways.domains import region_of_host, slug
from drills.gateways.litellm import GATEWAY, LiteLLM, sample
from drills.gateways.litellm_domains import SUPPORTED, domains
from drills.legs import Leg
from drills.problems import UsageProblem

Config = dict[str, Any]


def deployment(group: str, model: str = "", **more: object) -> Config:
    """One entry of model_list, for OpenAI; `info` is its model_info."""
    info = more.pop("info", None)
    entry: Config = {"model_name": group, "litellm_params": {"model": f"openai/{model or group}", **more}}
    return entry if info is None else {**entry, "model_info": info}


def models(*groups: str) -> list[Config]:
    """One deployment for each group."""
    return [deployment(group) for group in groups]


def find(tmp_path: Path, config: Config | str, model: str | None = None, **env: str) -> litellm_legs.Found:
    """What is discovered in a config."""
    path = tmp_path / "config.yaml"
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return litellm_legs.find(litellm_config.read(litellm_document.load(path), env), model)


def chain(found: litellm_legs.Found) -> list[str]:
    """`role model` of every leg."""
    return [f"{leg.role} {leg.model}" for leg, _ in found.legs]


CHAINS: dict[str, tuple[Config, str | None, str]] = {
    "router_settings.fallbacks": (
        {"model_list": models("a", "b", "c"), "router_settings": {"fallbacks": [{"a": ["b", "c"]}]}},
        None,
        "a > b > c",
    ),
    "litellm_settings.fallbacks": (
        {"model_list": models("a", "b", "c"), "litellm_settings": {"fallbacks": [{"a": ["b", "c"]}]}},
        None,
        "a > b > c",
    ),
    "given in both places, router_settings counts": (
        {
            "model_list": models("a", "b", "c"),
            "litellm_settings": {"fallbacks": [{"a": ["b"]}]},
            "router_settings": {"fallbacks": [{"a": ["c"]}]},
        },
        None,
        "a > c | b",
    ),
    "default_fallbacks": (
        {"model_list": models("a", "b", "c"), "router_settings": {"default_fallbacks": ["c", "b"]}},
        None,
        "a > c > b",
    ),
    "default_fallbacks are not added to a group's own list": (
        {
            "model_list": models("a", "b", "c"),
            "litellm_settings": {"default_fallbacks": ["c"]},
            "router_settings": {"fallbacks": [{"a": ["b"]}]},
        },
        None,
        "a > b | c",
    ),
    "a wildcard serves groups without a list": (
        {
            "model_list": models("a", "b", "c", "e"),
            "router_settings": {"fallbacks": [{"*": ["c"]}, {"a": ["b"]}]},
        },
        "e",
        "e > c | a b",
    ),
    "a fallback's own fallbacks come before the rest of the list": (
        {"model_list": models("a", "b", "c", "d"), "router_settings": {"fallbacks": [{"a": ["b", "c"]}, {"b": ["d"]}]}},
        None,
        "a > b > d > c",
    ),
    "a circle is walked once": (
        {"model_list": models("a", "b", "c"), "router_settings": {"fallbacks": [{"a": ["b"]}, {"b": ["a", "c"]}]}},
        "a",
        "a > b > c",
    ),
    "max_fallbacks limits the depth, not the length": (
        {
            "model_list": models("a", "b", "c", "d"),
            "router_settings": {"max_fallbacks": 1, "fallbacks": [{"a": ["b", "c"]}, {"b": ["d"]}]},
        },
        None,
        "a > b > c | d",
    ),
    "order in litellm_params": (
        {
            "model_list": [
                deployment("a", "a1", order=1),
                deployment("a", "a3", order=3),
                deployment("a", "a2", order=2),
            ]
        },
        None,
        "a1 > a2 > a3",
    ),
    "order in model_info": (
        {"model_list": [deployment("a", "a2", info={"order": 2}), deployment("a", "a1", info={"order": 1})]},
        None,
        "a1 > a2",
    ),
    "order before fallbacks, also in a fallback": (
        {
            "model_list": [
                deployment("a", "a1", order=1),
                deployment("a", "a2", order=2),
                deployment("b", "b1", order=1),
                deployment("b", "b2", order=2),
                deployment("c"),
            ],
            "router_settings": {"fallbacks": [{"a": ["b", "c"]}]},
        },
        None,
        "a1 > a2 > b1 > b2 > c",
    ),
    "without an order among ordered ones: only when all others cool down": (
        {"model_list": [deployment("a", "a1", order=1), deployment("a", "a2", order=2), deployment("a", "a9")]},
        None,
        "a1 > a2 > a9",
    ),
    "load-balanced deployments share a level": (
        {
            "model_list": [deployment("a", "a1"), deployment("a", "a2"), deployment("b")],
            "router_settings": {"fallbacks": [{"a": ["b"]}]},
        },
        None,
        "a1 + a2 > b",
    ),
    "a dict as an entry": (
        {"model_list": models("a", "b", "c"), "router_settings": {"fallbacks": [{"a": [{"model": "b"}, "c"]}]}},
        None,
        "a > b > c",
    ),
    "a list of dicts with a model serves every group": (
        {"model_list": models("a", "b", "c"), "router_settings": {"fallbacks": [{"model": "b"}, {"model": "c"}]}},
        None,
        "a > b > c",
    ),
    "an alias has fallbacks of its own": (
        {
            "model_list": models("a", "b", "c"),
            "router_settings": {"model_group_alias": {"x": "a"}, "fallbacks": [{"x": ["b"]}, {"a": ["c"]}]},
        },
        "x",
        "a > b | c",
    ),
    "an alias as a fallback": (
        {
            "model_list": models("a", "b", "c"),
            "router_settings": {
                "model_group_alias": {"x": {"model": "b", "hidden": True}},
                "fallbacks": [{"a": ["x", "c"]}],
            },
        },
        None,
        "a > b > c",
    ),
    "a model id as a fallback": (
        {
            "model_list": [deployment("a"), deployment("b", info={"id": "the-b"})],
            "router_settings": {"fallbacks": [{"a": ["the-b"]}]},
        },
        None,
        "a > b",
    ),
    "a routing group with priorities": (
        {
            "model_list": models("a", "b", "c"),
            "router_settings": {
                "routing_groups": [
                    {
                        "group_name": "all",
                        "models": ["a", "b"],
                        "routing_strategy": "priority",
                        "model_priorities": {"a": 2, "b": 1},
                    }
                ],
                "fallbacks": [{"all": ["c"]}],
            },
        },
        "all",
        "b > a > c",
    ),
    "the key without the provider's prefix": (
        {"model_list": models("openai/a", "b"), "router_settings": {"fallbacks": [{"a": ["b"]}]}},
        "openai/a",
        "openai/a > b",
    ),
    "the first list of a group counts": (
        {"model_list": models("a", "b", "c"), "router_settings": {"fallbacks": [{"a": ["b"]}, {"a": ["c"]}]}},
        None,
        "a > b | c",
    ),
    "the entry is the first with fallbacks that is itself none": (
        {"model_list": models("z", "b", "a", "c"), "router_settings": {"fallbacks": [{"b": ["c"]}, {"a": ["b"]}]}},
        None,
        "a > b > c | z",
    ),
}


@pytest.mark.parametrize("case", CHAINS.values(), ids=CHAINS.keys())
def test_chain(tmp_path: Path, case: tuple[Config, str | None, str]) -> None:
    """Each form gives the order in which LiteLLM tries the deployments when all of them fail."""
    config, model, expected = case
    levels: dict[str | None, list[str]] = {}
    for leg, _ in find(tmp_path, config, model).legs:
        levels.setdefault(leg.role, []).append(leg.model)
    rest = levels.pop(None, [])
    text = " > ".join(" + ".join(level) for level in levels.values())
    assert text + (f" | {' '.join(rest)}" if rest else "") == expected
    assert list(levels) == ["primary", "secondary", "tertiary", "quaternary", "quinary"][: len(levels)]


def test_fallbacks_for_other_troubles_are_no_legs(tmp_path: Path) -> None:
    """A chain for long prompts does not help in an outage; it is said, and not counted."""
    settings = {"fallbacks": [{"a": ["b"]}], "context_window_fallbacks": [{"a": ["c"]}]}
    found = find(tmp_path, {"model_list": models("a", "b", "c"), "router_settings": settings})
    assert chain(found) == ["primary a", "secondary b", "None c"]
    assert any("context_window_fallbacks do not help in an outage" in note for note in found.notes)


def test_entry_override(tmp_path: Path) -> None:
    """`--model` starts the chain elsewhere."""
    settings = {"fallbacks": [{"a": ["b"]}, {"b": ["c"]}]}
    found = find(tmp_path, {"model_list": models("a", "b", "c"), "router_settings": settings}, "b")
    assert chain(found) == ["primary b", "secondary c", "None a"]
    assert found.notes[0] == "entry 'b', asked for; chain: openai-b -> openai-c"


def test_includes(tmp_path: Path) -> None:
    """Included files extend lists and replace everything else, and know their own places."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "models.yaml").write_text("include: [more.yaml]\nmodel_list:\n" + _listed("b"), "utf-8")
    (tmp_path / "sub" / "more.yaml").write_text("model_list:\n" + _listed("c"), "utf-8")
    main = "include: [sub/models.yaml]\nmodel_list:\n" + _listed("a") + "router_settings:\n  fallbacks: [{a: [c, b]}]\n"
    assert chain(find(tmp_path, main)) == ["primary a", "secondary c", "tertiary b"]
    broken = main.replace("[c, b]", "[x]").replace("sub/models", "sub/other")
    (tmp_path / "sub" / "other.yaml").write_text(
        "model_list:\n" + _listed("b").replace("openai/b", "ollama/b"), "utf-8"
    )
    with pytest.raises(UsageProblem, match=r"config\.yaml:5:20: the fallback 'x' is no model_name"):
        find(tmp_path, broken)


def _listed(name: str) -> str:
    return f"  - {{model_name: {name}, litellm_params: {{model: openai/{name}}}}}\n"


BEDROCK = "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"
DOMAINS: list[tuple[dict[str, str], dict[str, str], str]] = [
    # an inference profile's prefix is no region: the endpoint is the one of aws_region_name
    ({"model": BEDROCK, "aws_region_name": "eu-west-1"}, {}, "bedrock anthropic aws eu-west-1"),
    ({"model": "bedrock/us-east-2/anthropic.claude-v2"}, {}, "bedrock anthropic aws us-east-2"),
    (
        {"model": "bedrock/converse/us.amazon.nova-pro-v1:0"},
        {"AWS_REGION": "eu-west-3"},
        "bedrock amazon aws eu-west-3",
    ),
    # the order of LiteLLM: AWS_REGION_NAME before AWS_REGION, us-west-2 when there is none
    ({"model": "bedrock/meta.llama3-70b"}, {"AWS_REGION": "a", "AWS_REGION_NAME": "b-1"}, "bedrock meta aws b-1"),
    ({"model": "bedrock/mistral.mistral-large"}, {}, "bedrock mistral aws us-west-2"),
    ({"model": "anthropic.claude-3-haiku"}, {}, "bedrock anthropic aws us-west-2"),
    ({"model": "bedrock/arn:aws:bedrock:eu-central-1:1:x/anthropic.claude"}, {}, "bedrock anthropic aws eu-central-1"),
    (
        {"model": BEDROCK, "aws_bedrock_runtime_endpoint": "https://bedrock-runtime.ap-south-1.amazonaws.com"},
        {"AWS_REGION": "us-east-1"},
        "bedrock anthropic aws ap-south-1",
    ),
    ({"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "europe-west4"}, {}, "vertex google gcp europe-west4"),
    (
        {"model": "vertex_ai/claude-sonnet-4@20250514"},
        {"VERTEXAI_LOCATION": "us-east5"},
        "vertex anthropic gcp us-east5",
    ),
    ({"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "global"}, {}, "vertex google gcp global"),
    ({"model": "gemini-2.5-pro"}, {}, "vertex google gcp us-central1"),
    ({"model": "gemini/gemini-2.5-pro"}, {}, "gemini google gcp None"),
    # a resource name of Azure does not say where it is; region_name and the region's own host do
    ({"model": "azure/gpt-4o", "api_base": "https://acme.openai.azure.com"}, {}, "azure openai azure None"),
    ({"model": "azure/prod-chat", "region_name": "eastus"}, {}, "azure openai azure eastus"),
    ({"model": "azure/x", "api_base": "https://westus3.api.cognitive.microsoft.com"}, {}, "azure openai azure westus3"),
    ({"model": "gpt-4o"}, {}, "openai openai openai None"),
    ({"model": "o3-mini"}, {}, "openai openai openai None"),
    ({"model": "openai/gpt-4o", "api_base": "https://eu.api.openai.com/v1"}, {}, "openai openai openai eu"),
    ({"model": "claude-sonnet-4-5"}, {}, "anthropic anthropic anthropic None"),
    ({"model": "x", "custom_llm_provider": "anthropic"}, {}, "anthropic anthropic anthropic None"),
    # OpenAI's dialect on other people's machines
    ({"model": "openai/qwen3", "api_base": "http://10.0.0.7:8000/v1"}, {}, "openai alibaba local None"),
    ({"model": "openai/llama-3", "api_base": "https://api.together.xyz/v1"}, {}, "openai meta together None"),
    ({"model": "groq/llama-3.3-70b"}, {}, "openai meta groq None"),
    ({"model": "mistral/mistral-large"}, {}, "openai mistral mistral None"),
    ({"model": "openrouter/deepseek/deepseek-r1"}, {}, "openai deepseek openrouter None"),
]


@pytest.mark.parametrize(("params", "env", "expected"), DOMAINS, ids=[case[0]["model"] for case in DOMAINS])
def test_fault_domains(params: dict[str, str], env: dict[str, str], expected: str) -> None:
    """Dialect, vendor, cloud and region."""
    found = domains(params, env, {})
    assert found is not None
    assert f"{found.dialect} {found.vendor} {found.cloud} {found.region}" == expected


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime-fips.us-east-1.amazonaws.com", "us-east-1"),
        ("vpce-0a1b.bedrock-runtime.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("us-east5-aiplatform.googleapis.com", "us-east5"),
        ("aiplatform.googleapis.com", None),
        ("eastus2.api.cognitive.microsoft.com", "eastus2"),
        ("acme-eastus.openai.azure.com", None),
        ("us.api.openai.com", "us"),
        ("api.openai.com", None),
    ],
)
def test_region_of_host(host: str, region: str | None) -> None:
    """A region is read from a host only where the cloud puts one there."""
    assert region_of_host(host) == region


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (BEDROCK, "bedrock-us-west-2-claude-sonnet-4-5"),
        ("vertex_ai/claude-sonnet-4@20250514", "vertex-us-central1-claude-sonnet-4"),
        ("gemini/gemini-2.5-pro", "gemini-2-5-pro"),
        ("openai/gpt-4o-2024-08-06", "openai-gpt-4o"),
        ("openai/meta-llama/Llama-3.1_8B", "openai-llama-3-1-8b"),
    ],
)
def test_leg_names(model: str, name: str) -> None:
    """Names are short and survive every dialect."""
    found = domains({"model": model}, {}, {})
    assert found is not None
    assert slug(found) == name


def test_leg_names_are_unique(tmp_path: Path) -> None:
    """Two deployments of one model differ by a number."""
    found = find(tmp_path, {"model_list": [deployment("a", "m", order=1), deployment("a", "m", order=2)]})
    assert [leg.name for leg, _ in found.legs] == ["openai-m", "openai-m-2"]


def test_region_of_credentials_and_environment(tmp_path: Path) -> None:
    """Settings come from stored credentials, from environment_variables and from `os.environ/`."""
    config = {
        "environment_variables": {"AWS_REGION": "eu-north-1"},
        "credential_list": [{"credential_name": "gcp", "credential_values": {"vertex_location": "us-east1"}}],
        "model_list": [
            {"model_name": "a", "litellm_params": {"model": BEDROCK}},
            {"model_name": "b", "litellm_params": {"model": "vertex_ai/gemini-x", "litellm_credential_name": "gcp"}},
            {"model_name": "c", "litellm_params": {"model": BEDROCK, "aws_region_name": "os.environ/WHERE"}},
        ],
        "router_settings": {"fallbacks": [{"a": ["b", "c"]}]},
    }
    found = find(tmp_path, config, WHERE="ap-south-1")
    assert [leg.region for leg, _ in found.legs] == ["eu-north-1", "us-east1", "ap-south-1"]


SECRETS = {
    "api_key": "sk-proj-REALREALREAL",
    "aws_secret_access_key": "REALsecret",
    "aws_session_token": "REALsession",
    "aws_access_key_id": "AKIAREALREALREALREAL",
    "azure_ad_token": "REALad",
    "client_secret": "REALclient",
    "vertex_credentials": '{"private_key": "REAL"}',
}


def _secretive() -> Config:
    return {
        "model_list": [
            {
                "model_name": "chat",
                "litellm_params": {
                    "model": BEDROCK,
                    "aws_region_name": "us-east-1",
                    "aws_role_name": "arn:aws:iam::1:role/REALrole",
                    "timeout": 7,
                    "weight": 2,
                    **{key: SECRETS[key] for key in SECRETS if key.startswith("aws_")},
                },
                "model_info": {"id": "mine", "cooldown_time": 9},
            },
            {
                "model_name": "az",
                "litellm_params": {
                    "model": "azure/gpt-4o",
                    "api_base": "https://acme.openai.azure.com/gw",
                    "api_version": "2024-10-21",
                    "tenant_id": "REALtenant",
                    "client_id": "REALid",
                    "client_secret": SECRETS["client_secret"],
                    "extra_headers": {"X-Api-Key": "REALheader", "X-Team": "blue"},
                },
            },
            {
                "model_name": "gcp",
                "litellm_params": {
                    "model": "vertex_ai/gemini-2.5-pro",
                    "vertex_project": "acme",
                    "vertex_location": "europe-west4",
                    "vertex_credentials": SECRETS["vertex_credentials"],
                },
            },
            {"model_name": "oa", "litellm_params": {"model": "gpt-4o", "api_key": SECRETS["api_key"], "max_tokens": 5}},
            {"model_name": "ant", "litellm_params": {"model": "claude-x", "api_key": "os.environ/ANTHROPIC_API_KEY"}},
            {
                "model_name": "gem",
                "litellm_params": {"model": "gemini/gemini-x", "base_url": "https://proxy.acme.io/g"},
            },
        ],
        "router_settings": {
            "fallbacks": [{"chat": ["az", "gcp", "oa", "ant", "gem"]}],
            "num_retries": 1,
            "routing_strategy": "simple-shuffle",
            "redis_host": "cache.acme.io",
            "redis_password": "REALredis",
        },
        "litellm_settings": {
            "drop_params": True,
            "callbacks": ["langfuse", "prometheus"],
            "success_callback": ["s3"],
            "cache": True,
            "request_timeout": 30,
        },
        "general_settings": {
            "master_key": "sk-REALmaster",
            "database_url": "postgresql://REALuser@db/litellm",
            "store_model_in_db": True,
            "background_health_checks": True,
        },
        "environment_variables": {
            "LANGFUSE_SECRET_KEY": "REALlangfuse",
            "HTTPS_PROXY": "http://proxy.acme.io:3128",
            "LITELLM_LOG": "ERROR",
        },
        "credential_list": [
            {"credential_name": "c", "credential_values": {"api_key": "REALstored", "api_base": "https://acme.io"}}
        ],
    }


def launched(tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> tuple[Config, dict[str, str], str]:
    """The parsed private copy, all private files, and the run's key."""
    monkeypatch.setenv("AZURE_API_KEY", "REALfromshell")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "REALfromshell")
    monkeypatch.setenv("HTTPS_PROXY", "http://REALproxy")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    gateway = LiteLLM()
    found = gateway.discover(path, None)
    urls = {leg.name: f"http://127.0.0.1:{9000 + number}" for number, leg in enumerate(found.legs)}
    launch = gateway.launch(found, urls, 4321, tmp_path / "private")
    assert launch.argv[1:] == (
        *("--config", str(tmp_path / "private" / "config.yaml")),
        *("--host", "127.0.0.1", "--port", "4321", "--num_workers", "1"),
    )
    key = launch.secrets[0]
    assert launch.request_headers == (("Authorization", f"Bearer {key}"),)
    everything = "\n".join([*launch.files.values(), *launch.env.values(), *launch.argv])
    assert "REAL" not in everything
    files = {Path(name).name: text for name, text in launch.files.items()}
    assert "HTTPS_PROXY" not in launch.env
    assert launch.env["AWS_ACCESS_KEY_ID"] == "drill-dummy"
    return yaml.safe_load(files["config.yaml"]), files, key


def test_private_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is the original but for base URLs, credentials, ids and what cannot run offline."""
    copy, files, key = launched(tmp_path, _secretive(), monkeypatch)
    original = _secretive()
    wanted: dict[str, Config] = {
        "chat": {
            "aws_bedrock_runtime_endpoint": "http://127.0.0.1:9000",
            "aws_access_key_id": "drill-dummy",
            "aws_secret_access_key": "drill-dummy",
        },
        "az": {"api_base": "http://127.0.0.1:9001/gw", "api_key": "drill-dummy"},
        "gcp": {
            "api_base": "http://127.0.0.1:9002",
            "vertex_credentials": str(tmp_path / "private" / "vertex-europe-west4-gemini-2-5-pro.json"),
        },
        "oa": {"api_base": "http://127.0.0.1:9003/v1", "api_key": "drill-dummy"},
        "ant": {"api_base": "http://127.0.0.1:9004", "api_key": "drill-dummy"},
        "gem": {"api_base": "http://127.0.0.1:9005/g", "api_key": "drill-dummy"},
    }
    gone = {"aws_role_name", "aws_session_token", "tenant_id", "client_id", "client_secret", "base_url"}
    for entry, before in zip(copy["model_list"], original["model_list"], strict=True):
        params = {k: v for k, v in before["litellm_params"].items() if k not in gone} | wanted[before["model_name"]]
        if "extra_headers" in params:
            params["extra_headers"] = {"X-Api-Key": "drill-dummy", "X-Team": "blue"}
        assert entry["litellm_params"] == params
    assert copy["model_list"][0]["model_info"] == {"id": "bedrock-us-east-1-claude-sonnet-4-5", "cooldown_time": 9}
    assert copy["router_settings"] == {
        key: original["router_settings"][key] for key in ("fallbacks", "num_retries", "routing_strategy")
    }
    assert copy["litellm_settings"] == {"drop_params": True, "callbacks": ["prometheus"], "request_timeout": 30}
    assert copy["general_settings"] == {"master_key": key, "background_health_checks": True}
    assert copy["environment_variables"] == {"LANGFUSE_SECRET_KEY": "drill-dummy", "LITELLM_LOG": "ERROR"}
    account = json.loads(files["vertex-europe-west4-gemini-2-5-pro.json"])
    assert account["token_uri"] == "http://127.0.0.1:9002/token"  # noqa: S105 - a URL
    assert account["private_key"].startswith("-----BEGIN PRIVATE KEY-----")


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """One note for each thing that does not run in a drill, with its place."""
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(_secretive(), sort_keys=False), encoding="utf-8")
    left_out = [note.removeprefix(f"{tmp_path}/") for note in LiteLLM().discover(path, None).left_out]
    assert left_out == [
        "config.yaml:4:12: signing in at AWS (role, profile, web identity) is replaced by dummy keys",
        "config.yaml:17:12: signing in at Entra ID is replaced by a dummy key",
        "config.yaml:68:3: general_settings.database_url is left out: there is no database in a drill",
        "config.yaml:69:3: general_settings.store_model_in_db is left out: there is no database in a drill",
        "config.yaml:62:3: litellm_settings.success_callback is left out: callbacks send data out",
        "config.yaml:64:3: litellm_settings.cache is left out: a cache would answer instead of the legs",
        "config.yaml:55:3: router_settings.redis_host is left out: there is no redis in a drill",
        "config.yaml:56:3: router_settings.redis_password is left out: there is no redis in a drill",
        "config.yaml:59:3: the callbacks langfuse are left out: callbacks send data out",
        "config.yaml:73:3: environment_variables.HTTPS_PROXY is left out: it leads out of the drill",
    ]


def test_settings_from_the_shell_keep_their_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region or a timeout in `os.environ/` shapes the failover; a key does not, and becomes a dummy."""
    monkeypatch.setenv("PRIMARY_REGION", "eu-west-1")
    monkeypatch.setenv("KEY_ID", "REAL")
    params = {"model": BEDROCK, "aws_region_name": "os.environ/PRIMARY_REGION", "timeout": "os.environ/NOT_SET"}
    first = {"model_name": "a", "litellm_params": {**params, "aws_access_key_id": "os.environ/KEY_ID"}}
    config = {
        "model_list": [first, deployment("b", api_key="os.environ/B_KEY", organization="os.environ/ORG")],
        "router_settings": {"fallbacks": [{"a": ["b"]}]},
    }
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    found = LiteLLM().discover(path, None)
    env = LiteLLM().launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, 1, tmp_path).env
    assert env["PRIMARY_REGION"] == "eu-west-1"
    assert env["ORG"] == "drill-dummy"
    assert "NOT_SET" not in env
    assert env["AWS_EC2_METADATA_DISABLED"] == "true"


def test_a_config_that_changed_is_not_launched(tmp_path: Path) -> None:
    """What was shown to the person is what runs."""
    path = tmp_path / "c.yaml"
    text = yaml.safe_dump({"model_list": models("a", "b"), "router_settings": {"fallbacks": [{"a": ["b"]}]}})
    path.write_text(text, encoding="utf-8")
    found = LiteLLM().discover(path, None)
    path.write_text(text + "# later\n", encoding="utf-8")
    with pytest.raises(UsageProblem, match="was changed since the drill read it"):
        LiteLLM().launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, 1, tmp_path)


TWO = "model_list:\n" + _listed("chat") + _listed("spare")
ADD = "router_settings.fallbacks: [{chat: [other-model-name]}]"
SPOKEN = ", ".join(SUPPORTED)
MASTER_FROM = "or write os.environ/LITELLM_MASTER_KEY"
MASTER = f"take it out, {MASTER_FROM}"
BAD: dict[str, tuple[str, list[str]]] = {
    "YAML syntax": ("model_list: [a\nb: c\n", ["2:2: not valid YAML: expected ',' or ']', but got ':'"]),
    "empty": ("# nothing\n", ["the config is empty; a LiteLLM config needs a model_list"]),
    "a list": ("- a\n", ["1:1: a LiteLLM config is a mapping with a model_list"]),
    "no model_list": ("router_settings: {}\n", ["1:1: the config has no model_list with deployments"]),
    "deployments without what they need": (
        "model_list:\n  - {model_name: a}\n  - {litellm_params: {model: x}}\n  - {model_name: b, litellm_params: {}}\n",
        [
            "2:5: deployment 'a' has no litellm_params",
            "3:5: deployment 2 has no model_name",
            "4:37: deployment 'b' has no litellm_params.model",
        ],
    ),
    "a fallback to an unknown model, and from one": (
        TWO + "router_settings:\n  fallbacks:\n    - chat: [spair]\n    - chatt: [spare]\n",
        [
            "6:14: the fallback 'spair' is no model_name; did you mean 'spare'? allowed: chat, spare",
            "7:7: fallbacks for 'chatt', which is no model_name; did you mean 'chat'? allowed: chat, spare",
        ],
    ),
    "a master key that is a number": (
        TWO + "router_settings: {fallbacks: [{chat: [spare]}]}\ngeneral_settings: {master_key: 123456789}\n",
        [f"5:20: LiteLLM does not start with a master_key that is no text; put it in quotes, {MASTER_FROM}"],
    ),
    "a master key that is empty": (
        TWO + "router_settings: {fallbacks: [{chat: [spare]}]}\ngeneral_settings: {master_key: null}\n",
        [f"5:20: LiteLLM does not start with an empty master_key; {MASTER}"],
    ),
    "no fallbacks": (TWO, [f"1:1: nothing to fail over to: no fallback leads from 'chat'; add {ADD}"]),
    "one level with several deployments": (
        "model_list:\n" + _listed("chat") * 2 + "router_settings:\n  num_retries: 2\n",
        [f"4:1: the 2 deployments of 'chat' share the load on one level; give them `order`, or add {ADD}"],
    ),
    "a text instead of a list": (
        TWO + "router_settings:\n  fallbacks:\n    - chat: spare\n",
        [
            "6:13: the fallbacks of 'chat' must be a list; LiteLLM reads a text here letter by letter",
        ],
    ),
    "two keys in one entry": (
        TWO + "router_settings:\n  fallbacks: [{chat: [spare]}, {a: [b], c: [d]}]\n",
        ["5:32: a fallback is one model name with its list: `- a: [b, c]`"],
    ),
    "an unsupported provider on the chain": (
        TWO.replace("openai/spare", "ollama/spare") + "router_settings: {fallbacks: [{chat: [spare]}]}\n",
        [f"3:49: deployment 'spare' uses the provider 'ollama', which a drill cannot stand in for; allowed: {SPOKEN}"],
    ),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_configs(tmp_path: Path, case: tuple[str, list[str]]) -> None:
    """Every problem at once, each with its place and a way out."""
    text, expected = case
    with pytest.raises(UsageProblem) as caught:
        find(tmp_path, text)
    place = f"{tmp_path / 'config.yaml'}:"
    assert [str(problem).replace(place, "").strip() for problem in caught.value.problems] == expected


def test_unknown_entry(tmp_path: Path) -> None:
    """`--model` must be a model of the config."""
    text = TWO + "router_settings: {fallbacks: [{chat: [spare]}]}\n"
    with pytest.raises(UsageProblem) as caught:
        find(tmp_path, text, "chap")
    expected = "the config has no model 'chap'; did you mean 'chat'? allowed: chat, spare"
    assert [str(problem) for problem in caught.value.problems] == [expected]


def test_unsupported_off_the_chain_is_only_left_out(tmp_path: Path) -> None:
    """A deployment that no fallback leads to does not stop a drill."""
    text = TWO + _listed("local").replace("openai", "ollama") + "router_settings: {fallbacks: [{chat: [spare]}]}\n"
    found = find(tmp_path, text)
    assert chain(found) == ["primary chat", "secondary spare"]
    assert any(note.endswith("'local' is no leg: a drill does not speak 'ollama'") for note in found.notes)


def test_a_doubled_key_is_said(tmp_path: Path) -> None:
    """LiteLLM silently reads the last of two sections."""
    text = TWO + "router_settings: {num_retries: 0}\nrouter_settings: {fallbacks: [{chat: [spare]}]}\n"
    notes = find(tmp_path, text).notes
    assert notes[1].endswith("config.yaml:5:1: 'router_settings' is given twice; LiteLLM reads only the last one")


@pytest.mark.parametrize("name", ["cross-cloud.yaml", "fallbacks-only.yaml"])
def test_samples(name: str) -> None:
    """The shipped configs are the guide's: three legs that share no cloud, vendor or region."""
    found = LiteLLM().discover(sample(name), None)
    assert found.entry_model == "chat"
    assert [_domains_of(leg) for leg in found.legs] == [
        ("primary", "bedrock", "anthropic", "aws", "us-east-1"),
        ("secondary", "azure", "openai", "azure", "swedencentral"),
        ("tertiary", "vertex", "google", "gcp", "europe-west4"),
    ]
    assert len(found.notes) == 1


def _domains_of(leg: Leg) -> tuple[str | None, str, str, str, str | None]:
    return leg.role, leg.provider, leg.vendor, leg.cloud, leg.region


def test_registry() -> None:
    """Adapters are found by name; an unknown one names the closest match."""
    assert "litellm" in names()
    assert get("litellm").name == "litellm"
    with pytest.raises(UsageProblem, match="no gateway 'litelm'; did you mean 'litellm'"):
        get("litelm")


def test_where_the_environment_lives() -> None:
    """The override, then the XDG folder, then the home folder."""
    assert str(litellm_install.environment({"FAILOVER_DRILL_CACHE": "/c", "HOME": "/h"})).startswith(
        "/c/litellm-1.106.2-"
    )
    assert str(litellm_install.environment({"XDG_CACHE_HOME": "/x"})).startswith("/x/failover-drill/litellm-")
    assert str(litellm_install.environment({"HOME": "/h"})).startswith("/h/.cache/failover-drill/litellm-")


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            ["Retrying after ... NewConnectionError(': [Errno 111] Connection refused')", "ERROR: No matching dist"],
            (
                "the package index cannot be reached ([Errno 111] Connection refused); the first run needs"
                " the network, or FAILOVER_DRILL_LITELLM=/path/to/an/installed/litellm"
            ),
        ),
        (
            ["Collecting x", "ERROR: Could not install: [Errno 28] No space left on device"],
            "the disk is full (ERROR: Could not install: [Errno 28] No space left on device)",
        ),
        (["Collecting x", "ERROR: Cannot install a because b", "hint: read this"], "ERROR: Cannot install a because b"),
        ([], "no output"),
    ],
)
def test_why_an_install_failed(output: list[str], sentence: str) -> None:
    """One sentence: the installer's last error, and what to do about it."""
    assert litellm_install._why(output) == f"cannot install LiteLLM 1.106.2: {sentence}"


def test_a_given_litellm_must_be_one(tmp_path: Path) -> None:
    """A wrong path is said before anything starts."""
    path = tmp_path / "litellm"
    with pytest.raises(UsageProblem, match="is not an executable file"):
        litellm_install.prepare(print, {"FAILOVER_DRILL_LITELLM": str(path)})
    path.write_text("#!/nowhere/python\n", encoding="utf-8")
    path.chmod(0o755)
    with pytest.raises(UsageProblem, match="its Python has no litellm"):
        litellm_install.prepare(print, {"FAILOVER_DRILL_LITELLM": str(path)})


def test_a_url_with_a_password_is_shown_without_it(tmp_path: Path) -> None:
    """The endpoint of a leg goes into histories and reports: no user, password or query of the URL does."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "model_list:\n"
        "  - model_name: chat\n"
        "    litellm_params: {model: azure/gpt-4o, api_base: 'https://user:REALpw@x.openai.azure.com/a?sig=REALsig'}\n"
        "  - model_name: other\n"
        "    litellm_params: {model: openai/gpt-4o}\n"
        "router_settings: {fallbacks: [{chat: [other]}]}\n"
    )
    found = GATEWAY.discover(path, None)
    assert found.legs[0].endpoint == "https://x.openai.azure.com/a"
    assert "REAL" not in str(found)
    urls = {leg.name: f"http://127.0.0.1:{9000 + number}" for number, leg in enumerate(found.legs)}
    launch = GATEWAY.launch(found, urls, 1, tmp_path / "private")
    [copy] = (text for name, text in launch.files.items() if name.endswith(".yaml"))
    # A LiteLLM that stumbles over the query by its own config must stumble over it here.
    assert (
        yaml.safe_load(copy)["model_list"][0]["litellm_params"]["api_base"]
        == f"{urls[found.legs[0].name]}/a?sig=drill-dummy"
    )
    assert "REAL" not in copy


_PERMITTED = "{master_key: sk-1234, dangerously_permit_weak_or_unset_master_key: true}"


@pytest.mark.parametrize(
    ("general", "told"),
    [("{master_key: sk-1234}", 1), ("{master_key: sk-12345}", 0), ("{}", 0), (_PERMITTED, 0)],
    ids=["documented", "another", "none", "permitted"],
)
def test_the_master_key_of_the_documentation_is_told(tmp_path: Path, general: str, told: int) -> None:
    """The private copy has a key of its own, so its drill would hide that LiteLLM does not start with the user's."""
    path = tmp_path / "config.yaml"
    path.write_text(f"{TWO}router_settings: {{fallbacks: [{{chat: [spare]}}]}}\ngeneral_settings: {general}\n")
    notes = [note for note in LiteLLM().discover(path, None).notes if "master_key" in note]
    assert len(notes) == told
    assert all(note.startswith(f"{path}:5: the master_key is the one of LiteLLM's documentation") for note in notes)
