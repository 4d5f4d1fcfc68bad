"""TensorZero's config: places in TOML, every form of fallback, and a private copy that changes only what it must.

The expected chains were checked against TensorZero 2026.6.0 itself, with every provider answering 500.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from drills.gateways import get, tensorzero_config, tensorzero_copy, tensorzero_install, tensorzero_legs, toml_document
from drills.gateways.items import Item
from drills.gateways.tensorzero import GATEWAY, TensorZero, sample
from drills.gateways.tensorzero_providers import KINDS, REACHABLE, from_config
from drills.legs import Leg
from drills.problems import UsageProblem

TOML = '''# a comment
title = "x \\" ]" # another
a.b."c.d" = [1, 2, # in a list
  "x", {y = 1, z.w = [ {q = """
 one "" two""""} ] }, ]
day = 1979-05-27 07:32:00
[ gateway ] # behind a header
observability.enabled = false
[models."gpt-4.1"]
routing = ["openai", 'az']
[models."gpt-4.1".providers.openai]
timeouts = { non_streaming.total_ms = 15_000, streaming = { ttft_ms = 3000 } }
[a.e]
[[fruits]]
name = \'\'\'it's\'\'\'
[fruits.colour]
red = -0.5
[[fruits.kinds]]
[[fruits.kinds]]
name = "b"
[[fruits]]
kinds = [ ]
'''


def _first_words(item: Item, lines: list[str], path: str = "") -> dict[str, str]:
    """What stands at the place of each value, by path."""
    found = {path: lines[item.place.line - 1][item.place.column - 1 :].split("\r")[0]}
    for key, one in (item.fields or {}).items():
        found |= _first_words(one, lines, f"{path}.{key}")
    for number, one in enumerate(item.items or ()):
        found |= _first_words(one, lines, f"{path}[{number}]")
    return found


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_places_in_toml(ends: str) -> None:
    """The values are those of the standard library, and at each place stands the value or its table's name."""
    text = TOML.replace("\n", ends)
    root = toml_document.parse(text.encode(), "x.toml")
    assert root.plain() == tomllib.loads(text)
    at = _first_words(root, text.split("\n"))
    assert at[".title"] == '"x \\" ]" # another'
    assert at[".a.b.c.d"] == "[1, 2, # in a list"
    assert at[".a.b.c.d[2]"] == '"x", {y = 1, z.w = [ {q = """'
    assert at[".a.b.c.d[3].z.w[0].q"] == '"""'
    assert at[".day"] == "1979-05-27 07:32:00"
    assert at[".gateway.observability.enabled"] == "false"
    assert at[".models.gpt-4.1.routing[1]"] == "'az']"
    assert at[".models.gpt-4.1.providers.openai.timeouts.non_streaming.total_ms"].startswith("15_000,")
    assert at[".models.gpt-4.1.providers.openai.timeouts.streaming.ttft_ms"] == "3000 } }"
    assert at[".a.e"] == "[a.e]"
    assert at[".fruits[0].colour.red"] == "-0.5"
    assert at[".fruits[0].kinds[1].name"] == '"b"'
    assert at[".fruits[1].kinds"] == "[ ]"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"a = 1\nb = \n", "x.toml:2:5: not valid TOML: invalid value"),
        (b"a = 1\na = 2\n", "x.toml:2:6: not valid TOML: cannot overwrite a value"),
        (b'a = "1', "x.toml:1:7: not valid TOML: "),
        (b"a = 1\nb = '\xff'\n", "x.toml:2:1: not valid TOML: the file is not UTF-8"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "x.toml: the values are nested too deep"),
        (b"a = " + b"9" * 5000, "x.toml: not valid TOML: exceeds the limit"),
    ],
)
def test_mistakes_in_toml(source: bytes, said: str) -> None:
    """One sentence with the place, and no traceback."""
    with pytest.raises(UsageProblem) as caught:
        toml_document.parse(source, "x.toml")
    assert str(caught.value).startswith(said)


OPENAI = '{type = "openai", model_name = "%s"}'


def models(**routing: str) -> str:
    """`a="1 2"`: model a with the OpenAI providers 1 and 2, whose model is called a1 and a2."""
    text = ""
    for name, providers in routing.items():
        names = providers.split()
        text += f"[models.{name}]\nrouting = {names!r}\n"
        text += "".join(f"providers.{one} = {OPENAI % (name + one)}\n" for one in names)
    return text


def function(name: str, variants: str, more: str = "") -> str:
    """`v:a w:b`: a function with the variants v and w, which ask the models a and b."""
    text = f'[functions.{name}]\ntype = "chat"\n'
    for variant in variants.split():
        key, _, model = variant.partition(":")
        text += f'[functions.{name}.variants.{key}]\ntype = "chat_completion"\nmodel = "{model}"\n'
    return text + (f"[functions.{name}.experimentation]\n{more}\n" if more else "")


def find(text: str, asked: str | None = None, **env: str) -> tensorzero_legs.Found:
    """What is discovered in a config."""
    root = toml_document.parse(text.encode(), "tensorzero.toml")
    return tensorzero_legs.find(tensorzero_config.read(root, env), asked)


AB = models(a="1 2", b="1 2")
ABC = models(a="1", b="1", c="1")
STRUCTURED = function("f", "v:a").replace('type = "chat"', 'type = "chat"\nuser_schema = "x.json"')
CHAINS: dict[str, tuple[str, str | None, str]] = {
    "routing of a model": (models(a="2 1 3"), None, "a2 > a1 > a3"),
    "a function with one variant": (AB + function("f", "v:b"), None, "b1 > b2"),
    "the model by its name": (AB + function("f", "v:b"), "a", "a1 > a2"),
    "the model by its full name": (AB + function("f", "v:b"), "tensorzero::model_name::a", "a1 > a2"),
    "a function that comes before a model": (AB + function("a", "v:b"), "a", "b1 > b2"),
    "fallback variants": (
        ABC + function("f", "v:a w:b x:c", 'type="static"\ncandidate_variants=["w"]\nfallback_variants=["x", "v"]'),
        None,
        "b1 > c1 > a1",
    ),
    "a fallback variant after a whole routing": (
        AB + function("f", "v:a w:b", 'type="static"\ncandidate_variants=["v"]\nfallback_variants=["w"]'),
        None,
        "a1 > a2 > b1 > b2",
    ),
    "weighted candidates share a level": (
        AB
        + models(c="1")
        + function("f", "v:a w:b x:c", 'type="static"\ncandidate_variants={v=1, w=9}\nfallback_variants=["x"]'),
        None,
        "a1 + b1 > a2 + b2 > c1",
    ),
    "a weight of nothing takes a variant out": (
        ABC + function("f", "v:a w:b x:c", 'type="static"\ncandidate_variants={v=0, w=1}\nfallback_variants=["x"]'),
        None,
        "b1 > c1",
    ),
    "without an experiment all variants are candidates": (AB + function("f", "v:a w:b"), None, "a1 + b1 > a2 + b2"),
    "the older weights": (
        ABC
        + function("f", "v:a w:b x:c")
        .replace('model = "b"', 'model = "b"\nweight = 1')
        .replace('model = "c"', 'model = "c"\nweight = 0'),
        None,
        "b1 > a1",
    ),
    "an adaptive experiment": (
        ABC
        + function(
            "f", "v:a w:b x:c", 'type="adaptive"\nmetric="m"\ncandidate_variants=["v"]\nfallback_variants=["w","x"]'
        ),
        None,
        "a1 > b1 > c1",
    ),
    "shorthand models": (
        function(
            "f",
            "v:openai::gpt-4o w:anthropic::claude-sonnet-4-5",
            'type="static"\ncandidate_variants=["v"]\nfallback_variants=["w"]',
        ),
        None,
        "gpt-4o > claude-sonnet-4-5",
    ),
    "a provider that is asked twice is one leg": (
        ABC.replace("[models.c]", "[models.d]")
        + function("f", "v:a w:a x:b", 'type="static"\ncandidate_variants=["v"]\nfallback_variants=["w", "x"]'),
        None,
        "a1 > b1",
    ),
    "a function with schemas is passed over": (AB + STRUCTURED + function("g", "v:b"), None, "b1 > b2"),
}


@pytest.mark.parametrize("case", CHAINS.values(), ids=CHAINS.keys())
def test_chain(case: tuple[str, str | None, str]) -> None:
    """Each form gives the order in which TensorZero tries the providers when all of them fail."""
    text, asked, expected = case
    levels: dict[str | None, list[str]] = {}
    for leg, _ in find(text, asked).legs:
        levels.setdefault(leg.role, []).append(leg.model)
    assert " > ".join(" + ".join(level) for level in levels.values()) == expected
    assert list(levels) == ["primary", "secondary", "tertiary", "quaternary", "quinary"][: len(levels)]


def test_what_callers_ask_for() -> None:
    """A function is preferred to a model; one that takes structured data is passed over, and that is said."""
    found = find(AB + STRUCTURED + function("g", "v:b"))
    assert found.entry == "tensorzero::function_name::g"
    assert found.notes == (
        (
            "entry 'tensorzero::function_name::g', the first function or model with something to fail over to; "
            "chain: openai-b1 -> openai-b2"
        ),
        "tensorzero.toml:11:1: function 'f' takes structured data; it was not considered",
    )
    assert find(AB + STRUCTURED).entry == "tensorzero::model_name::a"
    assert find(AB, "b").notes[0].startswith("entry 'tensorzero::model_name::b', asked for; chain: ")


PROBLEMS: dict[str, tuple[str, str | None, list[str]]] = {
    "nothing in it": ("x = 1\n", None, ["1:1: the config has no models and no functions"]),
    "one provider": (
        models(a="1"),
        None,
        ["2:11: nothing to fail over to: model 'a' has one provider; add another to its routing"],
    ),
    "variants on one level": (
        ABC + function("f", "v:a w:b"),
        None,
        [
            (
                "10:12: the 2 variants of function 'f' share the load on one level; "
                "add providers to its model's routing, or fallback_variants"
            )
        ],
    ),
    "everything at once": (
        '[models.a]\nrouting = ["x", "opnai", "z"]\n'
        'providers.openai = {type = "openai"}\nproviders.x = {type = "open_ai"}\nproviders.z = {}\n'
        "[models.b]\n"
        + function("f", "v:c w:openay::x", 'type="static"\ncandidate_variants=["u"]\nfallback_variants=["w"]')
        + "[gateway.relay]\n",
        None,
        [
            "2:17: model 'a' has no provider 'opnai'; did you mean 'openai'? allowed: openai, x, z",
            "4:23: provider 'x' of model 'a' has the unknown type 'open_ai'; did you mean 'openai'? allowed: "
            + ", ".join(sorted([*KINDS, "aws_sagemaker"])),
            "5:11: provider 'z' of model 'a' has no type; allowed: " + ", ".join(sorted([*KINDS, "aws_sagemaker"])),
            "6:9: model 'b' has no routing: the list of its providers, first choice first",
            "11:9: variant 'v' of function 'f' asks for the unknown model 'c'; allowed: a, anthropic::..., b, ",
            "14:9: variant 'w' of function 'f' asks for the unknown model 'openay::x'; ",
            "17:21: function 'f' has no variant 'u'; allowed: v, w",
            (
                "19:10: gateway.relay sends every request to another gateway, whose legs are not in this config; "
                "drill that one"
            ),
        ],
    ),
    "keys that a type needs": (
        (
            '[models.a]\nrouting = ["x", "y"]\nproviders.x = {type = "azure", deployment_id = "d"}\n'
            'providers.y = {type = "openai"}\n'
        ),
        None,
        [
            "3:11: provider 'x' of model 'a' has no endpoint, which azure needs",
            "4:11: provider 'y' of model 'a' has no model_name, which openai needs",
        ],
    ),
    "a dialect that no drill speaks": (
        (
            '[models.a]\nrouting = ["g", "o"]\nproviders.g = {type = "aws_sagemaker"}\n'
            'providers.o = {type = "openai", model_name = "y"}\n'
        ),
        None,
        [
            "3:23: provider 'g' of model 'a' is of type 'aws_sagemaker', which a drill cannot stand in for; allowed: "
            + ", ".join(sorted(KINDS))
        ],
    ),
    "structured data": (
        AB + STRUCTURED,
        "f",
        [
            (
                "11:1: function 'f' takes or gives structured data, and a drill's callers send plain text; "
                "drill a model instead: --model tensorzero::model_name::a"
            )
        ],
    ),
    "a JSON function": (
        AB + function("f", "v:a").replace('"chat"', '"json"', 1),
        "f",
        [
            (
                "10:1: function 'f' takes or gives structured data, and a drill's callers send plain text; "
                "drill a model instead: --model tensorzero::model_name::a"
            )
        ],
    ),
    "a variant that asks several models": (
        AB + function("f", "v:a w:b").replace("chat_completion", "experimental_best_of_n", 1),
        "f",
        [
            (
                "11:23: variant 'v' is of type 'experimental_best_of_n', which asks several models at once; a drill "
                "follows chat_completion; drill a model instead: --model tensorzero::model_name::a"
            )
        ],
    ),
    "an unknown entry": (AB, "c", ["the config has no function or model 'c'; allowed: a, b"]),
}


@pytest.mark.parametrize("case", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems(case: tuple[str, str | None, list[str]]) -> None:
    """Every problem at once, each with its place and a way out."""
    text, asked, expected = case
    with pytest.raises(UsageProblem) as caught:
        find(text, asked)
    said = [str(problem).removeprefix("tensorzero.toml:") for problem in caught.value.problems]
    assert len(said) == len(expected), said
    for one, wanted in zip(said, expected, strict=True):
        assert one.startswith(wanted), (one, wanted)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (
            'type = "aws_bedrock"\nmodel_id = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"\nregion = "eu-west-1"',
            "bedrock anthropic aws eu-west-1 https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            'type = "aws_bedrock"\nmodel_id = "amazon.nova-pro-v1:0"\nregion = "env::MY_REGION"',
            "bedrock amazon aws ap-south-1 https://bedrock-runtime.ap-south-1.amazonaws.com",
        ),
        (
            'type = "aws_bedrock"\nmodel_id = "x"\nregion = "sdk"',
            "bedrock bedrock aws eu-north-1 https://bedrock-runtime.eu-north-1.amazonaws.com",
        ),
        (
            'type = "azure"\ndeployment_id = "gpt-4o"\nendpoint = "env::MY_ENDPOINT"',
            "azure openai azure None https://acme.openai.azure.com",
        ),
        (
            'type = "azure"\ndeployment_id = "gpt-4o"\nendpoint = "https://swedencentral.api.cognitive.microsoft.com"',
            "azure openai azure swedencentral https://swedencentral.api.cognitive.microsoft.com",
        ),
        (
            'type = "anthropic"\nmodel_name = "claude-x"',
            "anthropic anthropic anthropic None https://api.anthropic.com/v1/",
        ),
        ('type = "openai"\nmodel_name = "gpt-4o"', "openai openai openai None https://api.openai.com/v1/"),
        (
            'type = "openai"\nmodel_name = "deepseek-r1"\napi_base = "https://llm.acme.example/openai/v1"',
            "openai deepseek acme None https://llm.acme.example/openai/v1",
        ),
        (
            'type = "vllm"\nmodel_name = "llama-3"\napi_base = "http://localhost:8000/v1/"',
            "openai meta local None http://localhost:8000/v1/",
        ),
        ('type = "tgi"\napi_base = "http://tgi.acme.example/v1/"', "openai tgi acme None http://tgi.acme.example/v1/"),
        (
            'type = "gcp_vertex_gemini"\nmodel_id = "gemini-2.5-pro"\nlocation = "europe-west4"\nproject_id = "p"',
            "vertex google gcp europe-west4 https://europe-west4-aiplatform.googleapis.com",
        ),
        (
            'type = "gcp_vertex_anthropic"\nmodel_id = "claude-x"\nlocation = "global"\nproject_id = "p"',
            "vertex anthropic gcp global https://aiplatform.googleapis.com",
        ),
        ('type = "groq"\nmodel_name = "llama-3"', "openai meta groq None https://api.groq.com/openai/v1/"),
    ],
)
def test_domains(provider: str, expected: str) -> None:
    """Dialect, vendor, cloud, region and base URL of a provider, from its table and the environment."""
    item = toml_document.parse(provider.encode(), "x.toml")
    kind = item.get("type")
    assert kind is not None
    env = {"MY_REGION": "ap-south-1", "AWS_REGION": "eu-north-1", "MY_ENDPOINT": "https://acme.openai.azure.com"}
    found = from_config(kind.text, item, env)
    assert f"{found.dialect} {found.vendor} {found.cloud} {found.region} {found.base}" == expected


FULL = """
[gateway]
bind_address = "0.0.0.0:3000"
global_outbound_http_timeout_ms = 60_000
auth.enabled = true
observability.enabled = true
template_filesystem_access.base_path = "templates"
[gateway.export.otlp.traces]
enabled = true
extra_headers.api-key = "REAL-otlp"
[clickhouse]
disable_automatic_migrations = true
[rate_limiting]
enabled = true
[object_storage]
type = "s3_compatible"
[provider_types.openai]
defaults = {api_key_location = "env::OTHER"}
[tools.search]
description = "finds"
parameters = "tools/search.json"
[models.chat]
routing = ["aws", "az", "an", "oa"]
timeouts = { non_streaming.total_ms = 9000 }
[models.chat.providers.aws]
type = "aws_bedrock"
model_id = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
region = "us-east-1"
session_token = "env::TOKEN"
access_key_id = "env::ID"
secret_access_key = "env::SECRET"
timeouts = { streaming.ttft_ms = 3000 }
[models.chat.providers.az]
type = "azure"
deployment_id = "gpt-4o"
endpoint = "https://acme.openai.azure.com/"
api_key_location = { default = "dynamic::key", fallback = "env::AZURE" }
[models.chat.providers.an]
type = "anthropic"
model_name = "claude-sonnet-4-5"
api_base = "https://proxy.acme.example/an/v1/messages"
extra_headers = [{name = "Authorization", value = "REAL-header"}, {name = "anthropic-beta", value = "x"}]
[models.chat.providers.oa]
type = "openai"
model_name = "gpt-4o"
extra_body = [{pointer = "/user/api_key", value = "REAL-body"}, {pointer = "/seed", value = 7}]
[models.unused]
routing = ["g"]
providers.g = {type = "groq", model_name = "x"}
[functions.other]
type = "json"
output_schema = "other.json"
variants.v = {type = "chat_completion", model = "unused"}
[functions.assist]
type = "chat"
tools = ["search"]
[functions.assist.experimentation]
type = "adaptive"
metric = "m"
candidate_variants = ["main"]
fallback_variants = ["spare"]
[functions.assist.experimentation.namespaces.eu]
type = "static"
candidate_variants = ["lab"]
[functions.assist.variants.main]
type = "chat_completion"
model = "chat"
system_template = "f/system.minijinja"
templates.hello.path = "../hello.minijinja"
retries = { num_retries = 2, max_delay_s = 3 }
[functions.assist.variants.spare]
type = "chat_completion"
model = "openai::gpt-4o-mini"
[functions.assist.variants.lab]
type = "chat_completion"
model = "unused"
[functions.assist.evaluators.judge]
type = "llm_judge"
[metrics.m]
type = "boolean"
optimize = "max"
level = "inference"
"""


def _copy(tmp_path: Path, text: str = FULL) -> tuple[dict[str, Any], tensorzero_copy.PrivateCopy]:
    path = tmp_path / "tensorzero.toml"
    path.write_text(text)
    root = toml_document.parse(path.read_bytes(), str(path))
    found = tensorzero_legs.find(tensorzero_config.read(root, {}), None)
    urls = {leg.name: f"http://127.0.0.1:{9000 + number}" for number, (leg, _) in enumerate(found.legs)}
    copy = tensorzero_copy.build(found, urls)
    return tomllib.loads(copy.text), copy


def test_the_private_copy(tmp_path: Path) -> None:
    """Base URLs and credentials are other ones; timeouts, retries and routing are the user's; the rest is left out."""
    tree, copy = _copy(tmp_path)
    key = "env::DRILL_KEY"
    assert tree["gateway"] == {
        "bind_address": "0.0.0.0:3000",
        "global_outbound_http_timeout_ms": 60_000,
        "observability": {"enabled": False},
        "template_filesystem_access": {"base_path": str(tmp_path / "templates")},
        "disable_pseudonymous_usage_analytics": True,
    }
    assert tree["tools"] == {"search": {"description": "finds", "parameters": str(tmp_path / "tools" / "search.json")}}
    assert tree["models"] == {
        "chat": {
            "routing": ["aws", "az", "an", "oa"],
            "timeouts": {"non_streaming": {"total_ms": 9000}},
            "providers": {
                "aws": {
                    "type": "aws_bedrock",
                    "model_id": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                    "region": "us-east-1",
                    "endpoint_url": "http://127.0.0.1:9000",
                    "access_key_id": key,
                    "secret_access_key": key,
                    "timeouts": {"streaming": {"ttft_ms": 3000}},
                },
                "az": {
                    "type": "azure",
                    "deployment_id": "gpt-4o",
                    "endpoint": "http://127.0.0.1:9001/",
                    "api_key_location": key,
                },
                "an": {
                    "type": "anthropic",
                    "model_name": "claude-sonnet-4-5",
                    "api_base": "http://127.0.0.1:9002/an/v1/messages",
                    "api_key_location": key,
                    "extra_headers": [
                        {"name": "Authorization", "value": "drill-dummy"},
                        {"name": "anthropic-beta", "value": "x"},
                    ],
                },
                "oa": {
                    "type": "openai",
                    "model_name": "gpt-4o",
                    "api_base": "http://127.0.0.1:9003/v1/",
                    "api_key_location": key,
                    "extra_body": [
                        {"pointer": "/user/api_key", "value": "drill-dummy"},
                        {"pointer": "/seed", "value": 7},
                    ],
                },
            },
        },
        "drill-openai-gpt-4o-mini": {
            "routing": ["openai"],
            "providers": {
                "openai": {
                    "type": "openai",
                    "model_name": "gpt-4o-mini",
                    "api_base": "http://127.0.0.1:9004/v1/",
                    "api_key_location": key,
                }
            },
        },
    }
    assert tree["functions"] == {
        "assist": {
            "type": "chat",
            "tools": ["search"],
            "experimentation": {"type": "static", "candidate_variants": ["main"], "fallback_variants": ["spare"]},
            "variants": {
                "main": {
                    "type": "chat_completion",
                    "model": "chat",
                    "system_template": str(tmp_path / "f" / "system.minijinja"),
                    "templates": {"hello": {"path": str(tmp_path.parent / "hello.minijinja")}},
                    "retries": {"num_retries": 2, "max_delay_s": 3},
                },
                "spare": {"type": "chat_completion", "model": "drill-openai-gpt-4o-mini"},
            },
        }
    }
    assert set(tree) == {"gateway", "tools", "models", "functions", "metrics"}
    assert copy.env == {"DRILL_KEY": "drill-dummy"}
    assert "REAL" not in copy.text
    assert [line.removeprefix(f"{tmp_path}/tensorzero.toml:") for line in copy.left_out] == [
        "11:2: clickhouse is left out: there is no database in a drill",
        "13:2: rate_limiting is left out: rate limits need a database, and there is no database in a drill",
        "15:2: object_storage is left out: it calls another service",
        "17:2: provider_types is left out: every key is a dummy",
        "5:1: gateway.auth is left out: authentication needs a database, and there is no database in a drill",
        "8:10: gateway.export is left out: traces would leave the drill",
        "6:1: gateway.observability is off: there is no database in a drill",
        "54:12: the adaptive experiment draws evenly and does not learn: there is no database in a drill",
    ]


def test_a_bearer_key_at_bedrock_stays_one(tmp_path: Path) -> None:
    """Signing in with a key is another way than signing requests; the drill keeps to the user's."""
    text = (
        '[models.a]\nrouting = ["x", "y"]\n'
        'providers.x = {type = "aws_bedrock", model_id = "m", region = "us-east-1", api_key = "env::BEARER"}\n'
        'providers.y = {type = "openai", model_name = "y"}\n'
    )
    tree, _ = _copy(tmp_path, text)
    provider = tree["models"]["a"]["providers"]["x"]
    assert provider["api_key"] == "env::DRILL_KEY"
    assert "access_key_id" not in provider


@pytest.mark.parametrize("name", ["cross-cloud.toml", "routing-only.toml"])
def test_samples(name: str) -> None:
    """The shipped configs: three legs that share no cloud or region."""
    found = TensorZero().discover(sample(name), None)
    assert found.entry_model == "tensorzero::function_name::assistant"
    assert [_domains_of(leg) for leg in found.legs] == [
        ("primary", "bedrock", "anthropic", "aws", "us-east-1"),
        ("secondary", "azure", "openai", "azure", None),
        ("tertiary", "anthropic", "anthropic", "anthropic", None),
    ]
    assert (len(found.notes), len(found.left_out)) == (1, 1)


def _domains_of(leg: Leg) -> tuple[str | None, str, str, str, str | None]:
    return leg.role, leg.provider, leg.vendor, leg.cloud, leg.region


def test_several_files_by_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of several files are one config; places, and paths of files, are those of the file they stand in."""
    monkeypatch.setenv("FAILOVER_DRILL_TENSORZERO", "/python")
    (tmp_path / "functions").mkdir()
    (tmp_path / "models.toml").write_text(AB)
    extra = function("f", "v:b") + 'system_template = "s.minijinja"\n'
    (tmp_path / "functions" / "f.toml").write_text(extra)
    found = GATEWAY.discover(tmp_path / "**" / "*.toml", None)
    assert [leg.model for leg in found.legs] == ["b1", "b2"]
    launch = GATEWAY.launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, 3000, tmp_path / "private")
    (text,) = launch.files.values()
    assert tomllib.loads(text)["functions"]["f"]["variants"]["v"]["system_template"] == str(
        tmp_path / "functions" / "s.minijinja"
    )
    (tmp_path / "functions" / "again.toml").write_text("[models.a]\nrouting = ['1']\n")
    with pytest.raises(UsageProblem, match=r"models.toml:2:1: 'routing' is given twice; first at .*again.toml:2:1"):
        GATEWAY.discover(tmp_path / "**" / "*.toml", None)
    with pytest.raises(UsageProblem, match="no file matches"):
        GATEWAY.discover(tmp_path / "*.tml", None)
    with pytest.raises(UsageProblem, match=r"cannot read .*: No such file"):
        GATEWAY.discover(tmp_path / "none.toml", None)


def test_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback, no key of the person's, no telemetry; a config that was changed in the meantime is refused."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-key")
    monkeypatch.setenv("FAILOVER_DRILL_TENSORZERO", "/venv/bin/python")
    path = tmp_path / "tensorzero.toml"
    path.write_text(AB)
    found = GATEWAY.discover(path, "b")
    urls = {leg.name: "http://127.0.0.1:9001" for leg in found.legs}
    launch = GATEWAY.launch(found, urls, 3000, tmp_path / "private")
    config = str(tmp_path / "private" / "tensorzero.toml")
    launcher = launch.argv[2]
    assert launch.argv == ("/venv/bin/python", "-I", launcher, config, "3000")
    assert launcher.endswith("drills/gateways/tensorzero_launcher.py")
    assert launch.base_url == "http://127.0.0.1:3000"
    assert (launch.ready_path, launch.ready_status) == ("/openai/v1/chat/completions", 405)
    assert launch.env["TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS"] == "1"
    assert "sk-real-key" not in f"{launch.env} {launch.files}"
    assert set(launch.files) == {config}
    path.write_text(AB + "\n")
    with pytest.raises(UsageProblem, match=r"tensorzero\.toml was changed since the drill read it"):
        GATEWAY.launch(found, urls, 3000, tmp_path / "private")


def test_registry_and_environment(tmp_path: Path) -> None:
    """The adapter is found by its name; a Python without the package is said before anything starts."""
    assert get("tensorzero") is GATEWAY
    assert set(REACHABLE) < set(KINDS)
    folder = tensorzero_install.environment({"FAILOVER_DRILL_CACHE": "/c"})
    assert str(folder).startswith(f"/c/tensorzero-{tensorzero_install.VERSION}-py3.")
    with pytest.raises(UsageProblem, match="is not a Python with the package tensorzero"):
        tensorzero_install.prepare(print, {"FAILOVER_DRILL_TENSORZERO": str(tmp_path / "python")})
    assert tensorzero_install.installed({"FAILOVER_DRILL_CACHE": str(tmp_path), "PATH": os.environ["PATH"]}) is None
