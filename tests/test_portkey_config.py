"""Portkey's config: strategies in strategies, every fault domain, and a private copy that changes only what it must.

The expected chains and refusals were checked against Portkey 1.15.2 itself.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from drills.gateways import get, names, portkey_config, portkey_copy, portkey_document, portkey_legs
from drills.gateways.base import Launch, TakesUnchanged
from drills.gateways.portkey import GATEWAY, HEADER_AT_MOST_BYTES, Portkey, sample
from drills.gateways.portkey_domains import SUPPORTED, Unsupported, domains
from drills.problems import UsageProblem

Config = dict[str, Any]


def target(model: str, **more: object) -> Config:
    """A target at OpenAI that asks for a model."""
    return {"provider": "openai", "api_key": "k", "override_params": {"model": model}, **more}


def tree(mode: str, *targets: Config, **more: object) -> Config:
    """Targets under a strategy; `codes` are its on_status_codes."""
    codes = more.pop("codes", None)
    strategy = {"mode": mode} if codes is None else {"mode": mode, "on_status_codes": codes}
    return {"strategy": strategy, "targets": list(targets), **more}


def find(tmp_path: Path, config: Config | str, model: str | None = None) -> portkey_legs.Found:
    """What is discovered in a config."""
    path = tmp_path / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2), encoding="utf-8")
    return portkey_legs.find(portkey_config.read(portkey_document.load(path)), model)


A, B, C, D = (target(name) for name in "abcd")

CHAINS: dict[str, tuple[Config, str]] = {
    "one after the other": (tree("fallback", A, B, C), "a > b > c"),
    "a fallback within a fallback": (tree("fallback", tree("fallback", A, B), C), "a > b > c"),
    "a share of the load is one level": (tree("fallback", tree("loadbalance", A, B), C), "a + b > c"),
    "a loadbalance behind the first choice": (tree("fallback", A, tree("loadbalance", B, C)), "a > b + c"),
    "two chains side by side": (tree("loadbalance", tree("fallback", A, B), tree("fallback", C, D)), "a + c > b + d"),
    "chains of different length": (tree("loadbalance", tree("fallback", A, B), C), "a + c > b"),
    "a weight of 0 is never drawn": (
        tree("fallback", tree("loadbalance", A, target("b", weight=0)), C),
        "a > c | b",
    ),
    "single takes the first": (tree("fallback", tree("single", A, B), C), "a > c | b"),
    "what a drill cannot speak may stand where nobody asks it": (
        tree("fallback", tree("single", A, {"provider": "cohere", "api_key": "k"}), C),
        "a > c",
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains(tmp_path: Path, name: str) -> None:
    """Levels by `>`, members of a level by `+`, targets that nobody asks behind `|`."""
    config, expected = CHAINS[name]
    found = find(tmp_path, config)
    levels: dict[str | None, list[str]] = {}
    for leg, _, _ in found.legs:
        levels.setdefault(leg.role, []).append(leg.model)
    unused = levels.pop(None, [])
    shown = " > ".join(" + ".join(level) for level in levels.values())
    assert shown + (f" | {' '.join(unused)}" if unused else "") == expected
    assert list(levels) == ["primary", "secondary", "tertiary"][: len(levels)]


def test_the_names_that_portkey_gives_its_targets(tmp_path: Path) -> None:
    """`x-portkey-last-used-option-index` is the path of the target."""
    found = find(tmp_path, tree("fallback", tree("loadbalance", A, B), C))
    assert {target.claim: leg.model for leg, target, _ in found.legs} == {
        "config.targets[0].targets[0]": "a",
        "config.targets[0].targets[1]": "b",
        "config.targets[1]": "c",
    }


def test_which_model_callers_ask_for(tmp_path: Path) -> None:
    """That of the first target that names one; a target without one passes on what was asked for."""
    plain = {"provider": "openai", "api_key": "k"}
    found = find(tmp_path, tree("fallback", plain, A))
    assert (found.entry, [leg.model for leg, _, _ in found.legs]) == ("a", ["a", "a"])
    found = find(tmp_path, tree("fallback", plain, A), "gpt-9")
    assert (found.entry, [leg.model for leg, _, _ in found.legs]) == ("gpt-9", ["gpt-9", "a"])
    azure = {"provider": "azure-openai", "resource_name": "r", "deployment_id": "dep", "api_key": "k"}
    assert find(tmp_path, tree("fallback", azure, plain)).entry == "dep"


def test_what_is_inherited(tmp_path: Path) -> None:
    """Host, model and timeout come from the strategies above unless a target has its own."""
    inner = tree(
        "fallback", {"provider": "openai", "api_key": "k"}, target("own", request_timeout=5), request_timeout=7
    )
    config = tree("fallback", inner, A, request_timeout=9, custom_host="https://llm.acme.io/v1")
    config["override_params"] = {"model": "top"}
    found = find(tmp_path, config)
    assert [(leg.model, target.timeout_ms) for leg, target, _ in found.legs] == [("top", 7), ("own", 5), ("a", 9)]
    assert {leg.endpoint for leg, _, _ in found.legs} == {"https://llm.acme.io/v1"}


PROBLEMS: dict[str, tuple[str, list[str]]] = {
    "empty": ("", ["1:1: the file is empty; a Portkey config is a JSON object"]),
    "a list": ("[1]", ["1:1: a Portkey config is a JSON object: { ... }"]),
    "yaml": ("strategy:\n  mode: fallback\n", ["1:1: not valid JSON: a value is missing here"]),
    "a comma too many": (
        '{"strategy": {"mode": "fallback"},\n "targets": [],\n}',
        ["3:1: not valid JSON: a key in double quotes belongs here; is there one ',' too many before it?"],
    ),
    "a comma too few": (
        '{"strategy": {"mode": "fallback"}\n "targets": []}',
        ["2:2: not valid JSON: a ',' or the closing bracket is missing before this"],
    ),
    "a text that does not end": ('{"strategy": "fallb\n}', ["1:20: not valid JSON: a line end or a tab inside a text"]),
    "two objects": ("{}\n{}", ["2:1: not valid JSON: the object has ended before this; one file holds one config"]),
    "no number": ('{"request_timeout": NaN}', ["not valid JSON: NaN is no number there"]),
    "a key twice": (
        '{"targets": [],\n "targets": []}',
        ["2:2: key 'targets' is written twice; first at {file}:1:2"],
    ),
    "nothing": ("{}", ["1:1: the config has neither `targets` nor a `provider`"]),
    "targets without a strategy": (
        '{"targets": [{"provider": "openai", "api_key": "k"}]}',
        ['1:2: `targets` need a strategy beside them: `"strategy": {"mode": "fallback"}`'],
    ),
    "a strategy without targets": (
        '{"strategy": {"mode": "fallback"}, "targets": []}',
        ["1:47: the strategy 'fallback' needs `targets`, a list with at least one"],
    ),
    "an unknown mode": (
        '{"strategy": {"mode": "fallbacks"}, "targets": [{"provider": "openai", "api_key": "k"}]}',
        [
            (
                "1:23: unknown strategy mode 'fallbacks'; did you mean 'fallback'? allowed: conditional, fallback, "
                "loadbalance, single"
            )
        ],
    ),
    "no mode": (
        '{"strategy": {}, "targets": [{"provider": "openai", "api_key": "k"}]}',
        ["1:14: strategy needs a `mode`; allowed: conditional, fallback, loadbalance, single"],
    ),
    "conditional": (
        '{"strategy": {"mode": "conditional", "conditions": []}, "targets": [{"provider": "openai", "api_key": "k"}]}',
        [
            (
                "1:23: 'conditional' picks a target by what each request says of itself, which a drill does not know; "
                "drill one of its targets in a file of its own (fallback, loadbalance, single)"
            )
        ],
    ),
    "the cloud's own": (
        (
            '{"strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"virtual_key": "openai-prod"},\n'
            ' {"provider": "@azure-prod"},\n'
            ' {"provider": "openai", "api_key": "k", "override_params": {"model": "@openai-prod/gpt-4o"}}]}'
        ),
        [
            (
                "2:3: a virtual key lives in Portkey's cloud, which the gateway that a drill starts cannot ask; write "
                '`"provider"` and its own fields instead (any text will do as `"api_key"`: it is replaced)'
            ),
            "3:15: the provider '@azure-prod' lives in Portkey's cloud",
            "4:70: the model '@openai-prod/gpt-4o' lives in Portkey's cloud",
        ],
    ),
    "what Portkey refuses": (
        (
            '{"strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"provider": "openai"},\n'
            ' {"provider": "vertex-ai", "api_key": "k", "vertex_region": "us-east1"},\n'
            ' {"provider": "bedrock", "aws_region": "us-east-1"},\n'
            ' {"override_params": {"model": "x"}}]}'
        ),
        [
            "2:2: Portkey refuses a target of 'openai' without `api_key`",
            (
                "3:2: Portkey refuses this target: vertex-ai needs `vertex_region`, and `vertex_project_id` or "
                "`vertex_service_account_json`"
            ),
            "4:2: Portkey refuses a target of 'bedrock' without `api_key`",
            "5:2: this target names no `provider`",
        ],
    ),
    "what leads nowhere": (
        (
            '{"strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"provider": "azure-openai", "api_key": "k", "deployment_id": "d"},\n'
            ' {"provider": "azure-openai", "api_key": "k", "resource_name": "r"},\n'
            ' {"provider": "ollama"}]}'
        ),
        [
            "2:2: azure-openai needs `resource_name`, or the address of a proxy in `custom_host`",
            "3:2: azure-openai needs `deployment_id`",
            "4:2: ollama needs `custom_host`",
        ],
    ),
    "wrong types": (
        (
            '{"strategy": {"mode": "fallback", "on_status_codes": "429"},\n'
            ' "request_timeout": "2s",\n'
            ' "retry": {"attempts": "3"},\n'
            ' "targets": [7, {"provider": "openai", "api_key": 7, "weight": true, "override_params": {"model": 4}}]}'
        ),
        [
            "1:54: on_status_codes must be a list of numbers: [429, 503]",
            "2:21: request_timeout must be a number",
            "3:24: retry needs `attempts`, a whole number",
            "4:14: a target must be an object",
            "4:51: api_key must be text in quotes",
            "4:64: weight must be a number",
            "4:99: override_params.model must be text in quotes",
        ],
    ),
    "the ways of others": (
        (
            '{"mode": "fallback", "options": [{}], "strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"provider": "openai", "apiKey": "k"}, {"provider": "openai", "api_key": "k", "customHost": "http://x"}]}'
        ),
        [
            "1:2: Portkey no longer takes 'mode': write `strategy` and `targets`",
            "1:22: Portkey no longer takes 'options': write `strategy` and `targets`",
            "2:2: Portkey refuses a target of 'openai' without `api_key`",
            "2:25: write 'api_key': Portkey does not check 'apiKey'",
            "2:80: write 'custom_host': Portkey does not check 'customHost'",
        ],
    ),
    "an unsupported provider on the chain": (
        (
            '{"strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"provider": "openai", "api_key": "k", "override_params": {"model": "m"}},\n'
            ' {"provider": "cohere", "api_key": "k"},\n'
            ' {"provider": "vertex-ai", "api_key": "k", "vertex_region": "r", "vertex_project_id": "p",\n'
            '  "override_params": {"model": "meta.llama-4"}}]}'
        ),
        [
            (
                "3:2: this target uses the provider 'cohere', which a drill cannot stand in for; allowed: anthropic, "
                "azure-openai, bedrock, "
            ),
            "4:2: this target asks Vertex AI for a model of 'meta', whose dialect a drill does not speak",
        ],
    ),
    "no other target": (
        '{"provider": "openai", "api_key": "k", "override_params": {"model": "m"}}',
        [
            (
                '1:1: nothing to fail over to: only one target is ever asked; put a `"strategy": {"mode": "fallback"}` '
                "above two targets"
            )
        ],
    ),
    "only a shared load": (
        (
            '{"strategy": {"mode": "loadbalance"}, "targets": [\n'
            ' {"provider": "openai", "api_key": "k", "override_params": {"model": "m"}},\n'
            ' {"provider": "openai", "api_key": "k", "override_params": {"model": "n"}}]}'
        ),
        ["1:2: the 2 targets share the load, and Portkey does not turn from one to another; put a `"],
    ),
    "weights of 0": (
        (
            '{"strategy": {"mode": "loadbalance"}, "targets": [\n'
            ' {"provider": "openai", "api_key": "k", "weight": 0},'
            ' {"provider": "openai", "api_key": "k", "weight": 0}]}'
        ),
        ["1:1: every target has the weight 0, so Portkey never asks any"],
    ),
    "no model anywhere": (
        (
            '{"strategy": {"mode": "fallback"}, "targets": [\n'
            ' {"provider": "openai", "api_key": "k"}, {"provider": "anthropic", "api_key": "k"}]}'
        ),
        [
            (
                '1:1: no target names a model; add `"override_params": {"model": ...}` to each, or say which one '
                "callers ask for with --model"
            )
        ],
    ),
    "a timeout below 0": (
        (
            '{"strategy": {"mode": "fallback"}, "request_timeout": -1, "targets": [\n'
            ' {"provider": "openai", "api_key": "k"}, {"provider": "anthropic", "api_key": "k"}]}'
        ),
        ["1:55: request_timeout must be above 0 (milliseconds)"],
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(tmp_path: Path, name: str) -> None:
    """All at once, each with its place; the texts are the beginnings of the messages."""
    config, expected = PROBLEMS[name]
    with pytest.raises(UsageProblem) as caught:
        find(tmp_path, config)
    file = str(tmp_path / "config.json")
    said = [str(problem) for problem in caught.value.problems]
    wanted = [f"{file}:{line}" if line[0].isdigit() else f"{file}: {line}" for line in expected]
    assert len(said) == len(wanted), said
    for line, start in zip(said, wanted, strict=True):
        assert line.startswith(start.replace("{file}", file)), said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One clear message."""
    with pytest.raises(UsageProblem, match="there is no such file"):
        GATEWAY.discover(tmp_path / "none.json", None)


def test_json_is_read_to_the_letter(tmp_path: Path) -> None:
    """Tabs, escapes, pairs of surrogates and words of YAML are what they are in JSON."""
    config = '{\n\t"strategy":{"mode":"fall\\u0062ack"},"targets":[\n\t\t{"provider":"openai","api_key":"k",\n\t\t\t'
    config += '"override_params":{"model":"\\ud83d\\ude00 on: yes # no"}},\n\t\t{"provider":"op\\/enai"}]}'
    with pytest.raises(UsageProblem) as caught:
        find(tmp_path, config)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{tmp_path / 'config.json'}:5:3: Portkey refuses a target of 'op/enai' without `api_key`"
    ]
    good = config.replace('"op\\/enai"', '"openai","api_key":"k"')
    assert find(tmp_path, good).entry == "\U0001f600 on: yes # no"


NOTES: dict[str, tuple[Config, list[str]]] = {
    "nothing to say": (tree("fallback", A, B), []),
    "a typo that Portkey ignores": (
        tree("fallback", A, B, request_timout=2000),
        ["Portkey ignores 'request_timout'; did you mean 'request_timeout'?"],
    ),
    "typos further down": (
        {
            "strategy": {"mode": "fallback", "on_status_code": [429]},
            "retry": {"attempts": 2, "onstatuscodes": [429], "x_why": "because"},
            "targets": [A, B],
        },
        [
            "Portkey ignores 'on_status_code'; did you mean 'on_status_codes'?",
            "Portkey ignores 'onstatuscodes'; did you mean 'on_status_codes'?",
        ],
    ),
    "an unknown key that is no typo": (tree("fallback", A, B, x_team="blue"), []),
    "seconds for milliseconds": (
        tree("fallback", A, B, request_timeout=3),
        ["request_timeout is in milliseconds: 3 is 0.003 s"],
    ),
    "no timeout": (tree("fallback", A, B, request_timeout=0), ["request_timeout is in milliseconds: 0 is no timeout"]),
    "statuses without those of an outage": (
        tree("fallback", A, B, codes=[429, 503], request_timeout=2000),
        [
            (
                "this fallback does not go on after 408 (a request_timeout), 500 (a connection that fails), which is "
                "what Portkey makes of it"
            )
        ],
    ),
    "no timeout needs no 408": (tree("fallback", A, B, codes=[429, 500, 503]), []),
    "statuses in the wrong place": (
        tree("fallback", A, B, on_status_codes=[429]),
        ["on_status_codes counts within `strategy` (fallback) or `retry`; here Portkey ignores it"],
    ),
    "the cloud's circuit breaker": (
        tree("fallback", A, B, cb_config={"failure_threshold": 3}),
        ["the circuit breaker is part of Portkey's cloud; the gateway has none"],
    ),
    "a target that nobody asks": (
        tree("fallback", tree("loadbalance", A, target("b", weight=0)), C),
        ["openai-b is never asked (weight 0, or behind the first target of a `single`)"],
    ),
    "a stranger that nobody asks": (
        tree("fallback", tree("single", A, {"provider": "cohere", "api_key": "k"}), C),
        ["this target is never asked, and uses the provider 'cohere', which a drill cannot stand in for"],
    ),
    "somebody else's model": (
        tree("fallback", {"provider": "openai", "api_key": "k"}, {"provider": "anthropic", "api_key": "k"}),
        ["it names no model of its own, so anthropic is asked for 'gpt-4o'; add `override_params`"],
    ),
    "left out": (
        tree("fallback", A, target("b", input_guardrails=["x"]), cache={"mode": "simple"}),
        [
            "cache is left out: a cache would answer instead of the legs",
            "input_guardrails is left out: it would judge the drill's own texts, or ask another service to",
        ],
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes(tmp_path: Path, name: str) -> None:
    """What Portkey ignores, what a drill leaves out, and what will surprise; each with its place."""
    config, expected = NOTES[name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    found = GATEWAY.discover(path, "gpt-4o")
    placed = [note for note in (*found.notes, *found.left_out) if note.startswith(f"{path}:")]
    assert any(" is left out: " in note for note in placed) is bool(found.left_out)
    assert [note.partition(": ")[2] for note in placed] == expected


GEMINI = {"provider": "google", "api_key": "k", "override_params": {"model": "gemini-2.5-pro"}}


def test_gemini_streams_have_no_done_mark(tmp_path: Path) -> None:
    """Portkey passes on that Google sends none, so none is asked for; and it is said."""
    assert portkey_legs.done_mark(find(tmp_path, tree("fallback", A, B)))
    found = find(tmp_path, tree("fallback", A, GEMINI))
    assert not portkey_legs.done_mark(found)
    assert "Portkey ends Gemini's streams without OpenAI's `data: [DONE]`; the finish reason counts as their end" in (
        found.notes
    )


SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
DOMAINS: list[tuple[str, dict[str, str], str]] = [
    # provider, fields; then dialect, vendor, model, cloud, region, hosts, path of the base URL
    (
        "anthropic",
        {"model": "claude-sonnet-4-5"},
        "anthropic anthropic claude-sonnet-4-5 anthropic None api.anthropic.com /v1",
    ),
    ("openai", {"model": "gpt-4o"}, "openai openai gpt-4o openai None api.openai.com /v1"),
    ("google", {"model": "gemini-2.5-pro"}, "gemini google gemini-2.5-pro gcp None generativelanguage.googleapis.com "),
    (
        "azure-openai",
        {"resource_name": "acme", "deployment_id": "prod", "azure_model_name": "gpt-4o"},
        "azure openai prod azure None acme.openai.azure.com /openai",
    ),
    (
        "azure-openai",
        {"resource_name": "acme", "deployment_id": "d", "azure_auth_mode": "entra", "region": "swedencentral"},
        "azure openai d azure swedencentral acme.openai.azure.com,login.microsoftonline.com /openai",
    ),
    (
        "bedrock",
        {"model": SONNET},
        f"bedrock anthropic {SONNET} aws us-east-1 bedrock-runtime.us-east-1.amazonaws.com ",
    ),
    (
        "bedrock",
        {"model": "amazon.nova-pro-v1:0", "aws_region": "eu-west-1", "aws_auth_type": "assumedRole"},
        (
            "bedrock amazon amazon.nova-pro-v1:0 aws eu-west-1 bedrock-runtime.eu-west-1.amazonaws.com,"
            "sts.eu-west-1.amazonaws.com "
        ),
    ),
    (
        "vertex-ai",
        {"model": "gemini-2.5-pro", "vertex_region": "europe-west4", "signs_in": "yes"},
        "vertex google gemini-2.5-pro gcp europe-west4 europe-west4-aiplatform.googleapis.com,oauth2.googleapis.com ",
    ),
    (
        "vertex-ai",
        {"model": "anthropic.claude-sonnet-4-5", "vertex_region": "global"},
        "vertex anthropic claude-sonnet-4-5 gcp global aiplatform.googleapis.com ",
    ),
    ("groq", {"model": "llama-3.3-70b"}, "openai meta llama-3.3-70b groq None api.groq.com /openai/v1"),
    ("mistral-ai", {"model": "house-model"}, "openai mistral house-model mistral None api.mistral.ai /v1"),
    (
        "openai",
        {"model": "qwen-3", "custom_host": "http://10.1.2.3:8000/v1/"},
        "openai alibaba qwen-3 local None 10.1.2.3:8000 /v1",
    ),
    (
        "bedrock",
        {"model": SONNET, "custom_host": "https://vpce-1.bedrock-runtime.eu-west-3.vpce.amazonaws.com"},
        f"bedrock anthropic {SONNET} aws eu-west-3 vpce-1.bedrock-runtime.eu-west-3.vpce.amazonaws.com ",
    ),
]


@pytest.mark.parametrize(("provider", "fields", "expected"), DOMAINS)
def test_domains(provider: str, fields: dict[str, str], expected: str) -> None:
    """Dialect, vendor, model, cloud, region, the real hosts, and the path that the private copy keeps."""
    found = domains(provider, fields, "gpt-4o")
    assert not isinstance(found, Unsupported)
    parts = (found.dialect, found.vendor, found.model, found.cloud, str(found.region), ",".join(found.hosts))
    assert f"{' '.join(parts)} {found.path}" == expected


def test_what_is_not_spoken() -> None:
    """Providers, publishers and models with bodies of their own."""
    assert isinstance(domains("cohere", {}, "m"), Unsupported)
    assert isinstance(domains("vertex-ai", {"model": "mistralai.mistral-large"}, "m"), Unsupported)
    assert isinstance(domains("bedrock", {"model": "ai21.j2-ultra-v1"}, "m"), Unsupported)
    assert all(not isinstance(domains(name, {"model": "m"}, "m"), Unsupported) for name in SUPPORTED)


# --- what is started and sent ----------------------------------------------------------------------------------------


def _secretive() -> Config:
    """A config full of credentials, each with REAL in it."""
    account = {"type": "service_account", "project_id": "proj", "private_key": "REALpem", "client_email": "a@b"}
    return {
        "strategy": {"mode": "fallback", "on_status_codes": [408, 429, 500, 503]},
        "request_timeout": 2000,
        "custom_host": "https://REALhost.acme.io",
        "cache": {"mode": "simple"},
        "retry": {"attempts": 1, "on_status_codes": [429]},
        "x_team": "blue",
        "targets": [
            {
                "strategy": {"mode": "loadbalance"},
                "targets": [
                    {
                        "provider": "bedrock",
                        "weight": 0.7,
                        "aws_region": "us-east-1",
                        "aws_auth_type": "assumedRole",
                        "aws_access_key_id": "REALid",
                        "aws_secret_access_key": "REALsecret",
                        "aws_session_token": "REALtoken",
                        "aws_role_arn": "arn:aws:iam::1:role/REAL",
                        "override_params": {"model": "anthropic.claude-x", "max_tokens": 99},
                    },
                    {"provider": "bedrock", "weight": 0.3, "aws_auth_type": "apiKey", "api_key": "REALbearer"},
                ],
            },
            {
                "provider": "azure-openai",
                "resource_name": "acme",
                "deployment_id": "gpt-4o",
                "api_version": "2024-10-21",
                "azure_auth_mode": "entra",
                "azure_entra_tenant_id": "REALtenant",
                "azure_entra_client_id": "REALclient",
                "azure_entra_client_secret": "REALsecret",
                "custom_host": "https://apim.acme.io/REALpath",
                "forward_headers": ["x-trace"],
            },
            {
                "provider": "vertex-ai",
                "vertex_region": "europe-west4",
                "vertex_service_account_json": account,
                "override_params": {"model": "gemini-2.5-pro"},
                "output_guardrails": [{"default.regexMatch": {"rule": "REAL"}}],
            },
            {
                "strategy": {"mode": "single"},
                "targets": [
                    {
                        "provider": "openai",
                        "api_key": "REALkey",
                        "openai_organization": "org-1",
                        "metadata": {"a": "b"},
                    },
                    {"provider": "cohere", "api_key": "REALkey", "custom_host": "https://REALhost"},
                ],
            },
        ],
    }


def launched(tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> tuple[Launch, Config]:
    """How Portkey would be started, and the config that callers would send."""
    start = tmp_path / "pk" / "build" / "start-server.js"
    start.parent.mkdir(parents=True)
    start.write_text("")
    (tmp_path / "pk" / "package.json").write_text('{"name": "@portkey-ai/gateway", "version": "1.2.3"}')
    monkeypatch.setenv("FAILOVER_DRILL_PORTKEY", str(tmp_path / "pk"))
    monkeypatch.setenv("OPENAI_API_KEY", "REALfromshell")
    monkeypatch.setenv("HTTPS_PROXY", "http://REALproxy")
    monkeypatch.setenv("NODE_OPTIONS", "--require=REALpreload")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    found = GATEWAY.discover(path, None)
    urls = {leg.name: f"http://127.0.0.1:{9000 + number}" for number, leg in enumerate(found.legs)}
    launch = GATEWAY.launch(found, urls, 4321, tmp_path / "private")
    ((name, value),) = launch.request_headers
    assert name == "x-portkey-config"
    assert value.isascii()
    assert "\n" not in value
    return launch, json.loads(value)


def test_private_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is the original but for hosts, credentials, and what would spoil the drill."""
    _, copy = launched(tmp_path, _secretive(), monkeypatch)
    wanted = _secretive()
    del wanted["cache"], wanted["custom_host"]
    first, second = wanted["targets"][0]["targets"]
    for key in ("aws_auth_type", "aws_session_token", "aws_role_arn"):
        del first[key]
    first |= {"aws_access_key_id": "drill-dummy", "aws_secret_access_key": "drill-dummy"}
    first["custom_host"] = "http://127.0.0.1:9000"
    second |= {"api_key": "drill-dummy", "custom_host": "http://127.0.0.1:9001"}
    azure, vertex = wanted["targets"][1:3]
    for key in [key for key in azure if key.startswith("azure_")]:
        del azure[key]
    azure |= {"api_key": "drill-dummy", "custom_host": "http://127.0.0.1:9002/REALpath"}
    del vertex["vertex_service_account_json"], vertex["output_guardrails"]
    vertex |= {"api_key": "drill-dummy", "vertex_project_id": "proj", "custom_host": "http://127.0.0.1:9003"}
    served, unasked = wanted["targets"][3]["targets"]
    served |= {"api_key": "drill-dummy", "custom_host": "http://127.0.0.1:9004"}
    unasked |= {"api_key": "drill-dummy", "custom_host": "http://127.0.0.1:1"}
    assert copy == wanted


def test_no_credential_and_nothing_that_leads_out_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the command, the environment, the files or the header; and only loopback can be reached."""
    config = _secretive()
    config["targets"][1]["custom_host"] = "https://apim.acme.io/llm"  # a path is kept, and is no secret
    launch, _ = launched(tmp_path, config, monkeypatch)
    everything = [*launch.argv, *launch.env, *launch.env.values(), *launch.files.values()]
    assert "REAL" not in "\n".join([*everything, *(value for _, value in launch.request_headers)])
    assert {"HTTPS_PROXY", "NODE_OPTIONS", "OPENAI_API_KEY"}.isdisjoint(launch.env)
    assert launch.env["DRILL_ONLY_LOOPBACK"] == "1"
    guard = tmp_path / "private" / "portkey_guard.cjs"
    assert launch.argv[1:] == (
        *("--require", str(guard), str(tmp_path / "pk" / "build" / "start-server.js")),
        *("--port=4321", "--headless"),
    )
    assert list(launch.files) == [str(guard)]
    assert (launch.base_url, launch.ready_path) == ("http://127.0.0.1:4321", "/")


@pytest.mark.parametrize("proxied", [False, True], ids=["sealed", "forward"])
def test_the_config_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxied: bool) -> None:
    """The user's own config in the header, its credentials never to be written; through a proxy where there is one."""
    launched(tmp_path, _secretive(), monkeypatch)
    monkeypatch.setenv("TRUSTED_CUSTOM_HOSTS", "llm.acme.internal")
    undici = tmp_path / "pk" / "node_modules" / "undici"
    undici.mkdir(parents=True)
    (undici / "package.json").write_text("{}")
    found = GATEWAY.discover(tmp_path / "config.json", None)
    surroundings = {"NODE_EXTRA_CA_CERTS": "/run/ca.pem", **({"HTTPS_PROXY": "http://127.0.0.1:7"} if proxied else {})}
    launch = GATEWAY.launch_unchanged(found, surroundings, 4321, tmp_path / "private")
    assert isinstance(GATEWAY, TakesUnchanged)
    assert json.loads(dict(launch.request_headers)["x-portkey-config"]) == _secretive()
    assert {"REALid", "REALsecret", "REALkey", "REALpem"} <= set(launch.secrets)
    assert surroundings.items() <= launch.env.items()
    assert launch.env["TRUSTED_CUSTOM_HOSTS"] == "llm.acme.internal"
    assert launch.env["AWS_ASSUME_ROLE_ACCESS_KEY_ID"] == "drill-dummy"
    assert "REAL" not in "\n".join([*launch.env.values(), *launch.argv, *launch.files.values()])
    assert "DRILL_ONLY_LOOPBACK" not in launch.env  # the route decides what can be reached
    pairs = itertools.pairwise(launch.argv)
    preloads = [Path(word).name for before, word in pairs if before == "--require"]
    assert preloads == ["portkey_guard.cjs", *(["portkey_proxy.cjs"] if proxied else [])]
    assert {Path(name).name for name in launch.files} == set(preloads)
    assert launch.env.get("DRILL_UNDICI") == (str(undici) if proxied else None)
    assert [leg.hosts for leg in found.legs] == [
        ("realhost.acme.io", "sts.us-east-1.amazonaws.com"),
        ("realhost.acme.io",),
        ("apim.acme.io", "login.microsoftonline.com"),
        ("realhost.acme.io", "oauth2.googleapis.com"),
        ("realhost.acme.io",),
    ]


def test_a_proxy_takes_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Portkey of one's own may come without it."""
    launched(tmp_path, tree("fallback", A, B), monkeypatch)
    found = GATEWAY.discover(tmp_path / "config.json", None)
    with pytest.raises(UsageProblem, match="run `npm install undici@6` where it is installed"):
        GATEWAY.launch_unchanged(found, {"HTTPS_PROXY": "http://127.0.0.1:7"}, 4321, tmp_path / "private")


def test_who_portkey_says_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target's path leads to its leg, and every leg has one."""
    launch, copy = launched(tmp_path, _secretive(), monkeypatch)
    assert launch.claim_header == "x-portkey-last-used-option-index"
    ports = {}
    for claim, leg in launch.claims.items():
        here = copy
        for step in claim.removeprefix("config.targets[").removesuffix("]").split("].targets["):
            here = here["targets"][int(step)]
        ports[leg] = here["custom_host"].removeprefix("http://127.0.0.1:")[:4]
    names_ = [leg.name for leg in GATEWAY.discover(tmp_path / "config.json", None).legs]
    assert ports == {name: str(9000 + number) for number, name in enumerate(names_)}


def test_the_endpoint_of_a_leg_hides_secrets(tmp_path: Path) -> None:
    """User, password and query of a custom host are not for people."""
    config = tree("fallback", target("a", custom_host="https://u:REAL@llm.acme.io/v1?key=REAL"), B)
    legs = [leg for leg, _, _ in find(tmp_path, config).legs]
    assert legs[0].endpoint == "https://llm.acme.io/v1"
    assert legs[0].hosts == ("llm.acme.io",)


def test_a_config_that_changes_in_between_is_not_run(tmp_path: Path) -> None:
    """What was planned is what is run."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree("fallback", A, B)))
    found = GATEWAY.discover(path, None)
    path.write_text(json.dumps(tree("fallback", A, B, request_timeout=9)))
    with pytest.raises(UsageProblem, match="was changed since the drill read it"):
        GATEWAY.launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, 1, tmp_path)


def test_a_config_too_large_for_a_header(tmp_path: Path) -> None:
    """Node would answer 431 to each request; the message says so before."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree("fallback", A, B, x_comment="x" * HEADER_AT_MOST_BYTES)))
    found = GATEWAY.discover(path, None)
    with pytest.raises(UsageProblem, match=r"config\.json:1:1: the config takes 15\d\d\d bytes on one line"):
        GATEWAY.launch(found, {leg.name: "http://127.0.0.1:1" for leg in found.legs}, 1, tmp_path)


def test_every_credential_is_found() -> None:
    """Those that must never be written anywhere when the config is used as it is."""
    found = set(portkey_copy.secrets_of(_secretive()))
    assert {"REALid", "REALsecret", "REALtoken", "REALbearer", "REALkey", "REALpem"} <= found
    assert {"us-east-1", "acme", "gpt-4o", "blue", "gemini-2.5-pro"}.isdisjoint(found)


@pytest.mark.parametrize("name", ["cross-cloud.json", "fallback-only.json"])
def test_the_samples(name: str) -> None:
    """Three clouds, three vendors, no key; and one of them has timeouts."""
    found = Portkey().discover(sample(name), None)
    assert [(leg.role, leg.cloud, leg.vendor) for leg in found.legs] == [
        ("primary", "aws", "anthropic"),
        ("secondary", "azure", "openai"),
        ("tertiary", "gcp", "google"),
    ]
    text = sample(name).read_text()
    assert ("request_timeout" in text) == (name == "cross-cloud.json")
    assert not [note for note in found.notes if note.startswith(found.config_file)]


def test_it_is_one_of_the_gateways() -> None:
    """By its name, and the sample is what it runs without a config."""
    assert "portkey" in names()
    assert get("portkey") is GATEWAY
    assert GATEWAY.discover(None, None).config_file == str(sample("cross-cloud.json"))
