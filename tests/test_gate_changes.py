"""What differs between two LiteLLM configs, in words and with the line; and which drills that concerns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from drills.gate.touching import concerns, ordered
from drills.gateways.changes import Aspect, Change, TellsChanges, chain_changes, into_the_same_cloud
from drills.gateways.litellm import GATEWAY
from drills.legs import Leg
from drills.shelf import load, shipped

BASE = """\
model_list:
  - model_name: chat
    litellm_params:
      model: bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID
      aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY
      timeout: 5
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o
      api_base: https://acme-ai.openai.azure.com
      api_version: "2024-10-21"
      api_key: sk-old-0123456789abcdef
      timeout: 5
  - model_name: gemini
    litellm_params:
      model: gemini/gemini-2.5-pro
      api_key: os.environ/GEMINI_API_KEY
router_settings:
  num_retries: 0
  cooldown_time: 15
  fallbacks:
    - chat: [gpt-4o, gemini]
"""


def changes(tmp_path: Path, head: str, base: str = BASE) -> tuple[Change, ...] | None:
    """What is said of a head."""
    (tmp_path / "base.yaml").write_text(base)
    (tmp_path / "head.yaml").write_text(head)
    assert isinstance(GATEWAY, TellsChanges)
    return GATEWAY.changes(tmp_path / "base.yaml", tmp_path / "head.yaml", None)


MUTATIONS = [
    # what is replaced, by what, and what is said: aspect, line in the head, sentence
    ("[gpt-4o, gemini]", "[gpt-4o]", ["fallback 24 the fallback chat -> gemini was removed"]),
    (
        "  fallbacks:\n    - chat: [gpt-4o, gemini]\n",
        "",
        [
            "fallback 20 the fallback chat -> gpt-4o was removed",
            "fallback 20 the fallback chat -> gemini was removed",
        ],
    ),
    ("timeout: 5\n  - model_name: gpt", "timeout: 60\n  - model_name: gpt", [
        "timeout 8 timeout of chat raised from 5 s to 60 s",
    ]),
    ("  cooldown_time: 15\n", "", ["cooldown 20 cooldown_time was dropped (it was 15 s, default 5 s)"]),
    ("num_retries: 0", "num_retries: 3", ["retry 21 num_retries raised from 0 to 3"]),
    ("num_retries: 0", "num_retries: 0\n  timeout: 2.5", ["timeout 22 timeout was set to 2.5 s"]),
    ("num_retries: 0", "num_retries: false", ["retry 21 num_retries changed from 0 to false"]),
    (
        "[gpt-4o, gemini]",
        "[gpt4-o, gemini]",
        [
            (
                "fallback 24 the fallback chat -> gpt-4o now names 'gpt4-o', which is no model of this config; "
                "did you mean 'gpt-4o'?"
            )
        ],
    ),
    (
        "[gpt-4o, gemini]",
        "[gemini, gpt-4o]",
        ["fallback 24 the fallbacks of chat are now tried in the order gemini, gpt-4o; before gpt-4o, gemini"],
    ),
    (
        "model: azure/gpt-4o\n      api_base: https://acme-ai.openai.azure.com\n",
        "model: bedrock/us.amazon.nova-pro-v1:0\n      aws_region_name: us-west-2\n",
        [
            "legs 11 model of gpt-4o changed from azure/gpt-4o to bedrock/us.amazon.nova-pro-v1:0",
            "domain 11 the fallback bedrock-us-west-2-nova-pro now sits in the same cloud as the primary (aws)",
        ],
    ),
    ("sk-old-0123456789abcdef", "sk-new-0123456789abcdef", ["other 14 api_key of gpt-4o was changed"]),
    (
        "https://acme-ai.openai.azure.com",
        "https://user:hunter2@acme.openai.azure.com",
        [
            (
                "domain 12 api_base of gpt-4o changed from https://acme-ai.openai.azure.com to a value that may hold "
                "a password"
            )
        ],
    ),
    # the order of a fallback list that also gains or loses one
    ("[gpt-4o, gemini]", "[gemini, chat, gpt-4o]", [
        "fallback 24 the fallback chat -> chat was added",
        "fallback 24 the fallbacks of chat are now gemini -> chat -> gpt-4o, before gpt-4o -> gemini",
    ]),
    ("[gpt-4o, gemini]", "[chat, gemini, gpt-4o]", [
        "fallback 24 the fallback chat -> chat was added",
        "fallback 24 the fallbacks of chat are now chat -> gemini -> gpt-4o, before gpt-4o -> gemini",
    ]),
    ("[gpt-4o, gemini]", "[chat, gpt-4o]", [
        "fallback 24 the fallback chat -> gemini was removed",
        "fallback 24 the fallback chat -> chat was added",
        "fallback 24 the fallbacks of chat are now chat -> gpt-4o, before gpt-4o -> gemini",
    ]),
    ("[gpt-4o, gemini]", "[gpt-4o, gemini, chat]", ["fallback 24 the fallback chat -> chat was added"]),
    ("- chat: [gpt-4o, gemini]", "- chatt: [gpt-4o, gemini]", [
        "fallback 23 the fallback chat -> gpt-4o was removed",
        "fallback 23 the fallback chat -> gemini was removed",
        (
            "fallback 24 the fallback chatt -> gpt-4o was added, but 'chatt' is no model of this config; "
            "did you mean 'chat'?"
        ),
        (
            "fallback 24 the fallback chatt -> gemini was added, but 'chatt' is no model of this config; "
            "did you mean 'chat'?"
        ),
    ]),
    ("[gpt-4o, gemini]", "[{model: gpt-4o, timeout: 500}, gemini]", [
        "timeout 24 timeout of the fallback chat -> gpt-4o was set to 500 s",
    ]),
    # several settings of one deployment at once
    (
        "sonnet-4-5-20250929-v1:0\n      aws_region_name: us-east-1\n",
        "haiku-4-5-20251001-v1:0\n      aws_region_name: eu-west-1\n      rpm: 1\n      max_parallel_requests: 1\n",
        [
            (
                "legs 4 model of chat changed from bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0 to "
                "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0"
            ),
            "domain 5 aws_region_name of chat changed from us-east-1 to eu-west-1",
            "other 6 rpm of chat was set to 1",
            "other 7 max_parallel_requests of chat was set to 1",
        ],
    ),
    (
        "model: azure/gpt-4o\n      api_base: https://acme-ai.openai.azure.com\n",
        "model: openai/gpt-4o\n      api_base: https://api.example.com\n      rpm: 1\n",
        [
            "legs 11 model of gpt-4o changed from azure/gpt-4o to openai/gpt-4o",
            "domain 12 api_base of gpt-4o changed from https://acme-ai.openai.azure.com to https://api.example.com",
            "other 13 rpm of gpt-4o was set to 1",
        ],
    ),
    # as many digits as it takes
    ("cooldown_time: 15", "cooldown_time: 15.0", []),
    ("cooldown_time: 15", "cooldown_time: 15.0000001", [
        "cooldown 22 cooldown_time raised from 15 s to 15.0000001 s",
    ]),
    ("cooldown_time: 15", "cooldown_time: 1000000", ["cooldown 22 cooldown_time raised from 15 s to 1000000 s"]),
    ("cooldown_time: 15", "cooldown_time: 1.0e+6", ["cooldown 22 cooldown_time raised from 15 s to 1000000 s"]),
    # what a URL may hide
    ("azure.com", "azure.com/v1?code=Zm9vYmFyc2VjcmV0#frag", [
        (
            "domain 12 api_base of gpt-4o changed from https://acme-ai.openai.azure.com to "
            "https://acme-ai.openai.azure.com/v1?…"
        ),
    ]),
]  # fmt: skip

NESTED = """\
  retry_policy: {TimeoutErrorRetries: 0}
  allowed_fails_policy: {TimeoutErrorAllowedFails: 0}
  model_group_alias: {gpt: chat}
environment_variables: {T: first-value-1, PORT: 1}
"""
BELOW = [
    # what is replaced in BASE with NESTED, by what, and what is said
    ("ErrorRetries: 0", "ErrorRetries: 9", [
        "retry 25 router_settings.retry_policy.TimeoutErrorRetries raised from 0 to 9",
    ]),
    ("ErrorAllowedFails: 0", "ErrorAllowedFails: 900", [
        "cooldown 26 router_settings.allowed_fails_policy.TimeoutErrorAllowedFails raised from 0 to 900",
    ]),
    ("gpt: chat}", "gpt: gpt-4o}", ["legs 27 router_settings.model_group_alias.gpt changed from chat to gpt-4o"]),
    ("first-value-1", "other-value-2", ["other 28 environment_variables.T was changed"]),
    ("PORT: 1", "PORT: 8080", ["other 28 environment_variables.PORT was changed"]),
    (", PORT: 1", "", ["other 28 environment_variables.PORT was dropped"]),
]  # fmt: skip

INSTEAD = [
    # where the setting stands, what of BASE is replaced, and what is said when the setting is dropped
    (
        "litellm_params",
        "num_retries: 3",
        "",
        "",
        "retry num_retries of gemini was dropped (it was 3; the router's 0 applies)",
    ),
    (
        "litellm_params",
        "num_retries: 3",
        "  num_retries: 0\n",
        "",
        "retry num_retries of gemini was dropped (it was 3, default 2)",
    ),
    (
        "litellm_params",
        "cooldown_time: 40",
        "",
        "",
        "cooldown cooldown_time of gemini was dropped (it was 40 s; the router's 15 s applies)",
    ),
    (
        "litellm_params",
        "cooldown_time: 40",
        "time: 15",
        "time: 0",
        "cooldown cooldown_time of gemini was dropped (it was 40 s, default 5 s)",
    ),
    (
        "model_info",
        "cooldown_time: 40",
        "",
        "",
        "cooldown model_info.cooldown_time of gemini was dropped (it was 40 s; the router's 15 s applies)",
    ),
    ("litellm_params", "allowed_fails: 7", "", "", "cooldown allowed_fails of gemini was dropped (it was 7)"),
]


@pytest.mark.parametrize(("where", "setting", "old", "new", "said"), INSTEAD)
def test_what_is_dropped_says_what_holds_now(
    tmp_path: Path, where: str, setting: str, old: str, new: str, said: str
) -> None:
    """A deployment's own value goes before the router's; LiteLLM ignores allowed_fails in litellm_params."""
    head = BASE.replace(old, new) if old else BASE
    line = "      api_key: os.environ/GEMINI_API_KEY\n"
    own = f"      {setting}\n" if where == "litellm_params" else f"    model_info:\n      {setting}\n"
    found = changes(tmp_path, head, head.replace(line, line + own))
    assert found is not None
    assert [f"{one.aspect} {one.what}" for one in found] == [said]


@pytest.mark.parametrize(("old", "new", "said"), BELOW)
def test_a_key_below_others_is_said_with_its_path(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    """Both values, but never of environment_variables."""
    assert NESTED.count(old) == 1
    found = changes(tmp_path, BASE + NESTED.replace(old, new), BASE + NESTED)
    assert found is not None
    assert [f"{one.aspect} {one.place.line if one.place else 0} {one.what}" for one in found] == said


def test_the_own_settings_of_a_fallback(tmp_path: Path) -> None:
    """`{model: x, timeout: 5}`: also in default_fallbacks, and when the entry changes its place."""
    base = BASE.replace("[gpt-4o, gemini]", "[{model: gpt-4o, timeout: 5}, gemini]")
    base += "  default_fallbacks: [{model: gemini, timeout: 5}]\n"
    found = changes(tmp_path, base.replace("timeout: 5}", "timeout: 500}"), base)
    assert found is not None
    assert {f"{one.place.line if one.place else 0} {one.what}" for one in found} == {
        "24 timeout of the fallback chat -> gpt-4o raised from 5 s to 500 s",
        "25 timeout of the fallback every model -> gemini raised from 5 s to 500 s",
    }


def _west_and_east(*regions: str) -> str:
    one = "  - model_name: chat\n    litellm_params: {model: bedrock/us.amazon.nova-pro-v1:0, aws_region_name: %s}\n"
    return "model_list:\n" + "".join(one % region for region in regions)


@pytest.mark.parametrize(
    ("base", "head", "said"),
    [
        (
            ["us-west-2", "us-east-1"],
            ["us-east-1"],
            ["1 the deployment chat (bedrock/us.amazon.nova-pro-v1:0, us-west-2) was removed"],
        ),
        (
            ["us-west-2", "us-east-1"],
            ["us-east-1", "eu-west-1"],
            [
                (
                    "5 aws_region_name of chat (bedrock/us.amazon.nova-pro-v1:0, eu-west-1) changed from us-west-2 to "
                    "eu-west-1"
                ),
                "1 model_list has another order",
            ],
        ),
        (["us-west-2", "us-east-1"], ["us-east-1", "us-west-2"], ["1 model_list has another order"]),
        (
            ["us-west-2"],
            ["us-east-1", "us-west-2"],
            ["3 the deployment chat (bedrock/us.amazon.nova-pro-v1:0, us-east-1) was added"],
        ),
    ],
)
def test_deployments_are_told_apart_by_all_they_are(
    tmp_path: Path, base: list[str], head: list[str], said: list[str]
) -> None:
    """Two of a name with one model sit in two regions; their order alone does not make them the same."""
    found = changes(tmp_path, _west_and_east(*head), _west_and_east(*base))
    assert found is not None
    assert [f"{one.place.line if one.place else 0} {one.what}" for one in found] == said


@pytest.mark.parametrize(
    "secret",
    [
        "https://h.example/?code=Zm9vYmFyc2VjcmV0",
        "https://h.example/v1#Zm9vYmFyc2VjcmV0",
        "https://Zm9vYmFyc2VjcmV0@h.example/v1",
        "https://u:Zm9v/YmFyc2VjcmV0@h.example/v1",
        "h.example/v1?code=Zm9vYmFyc2VjcmV0",
        "https://h.example/?code=%20a&b='Zm9vYmFyc2VjcmV0'",
        "https://h.example/?code=a Zm9vYmFyc2VjcmV0",
    ],
)
def test_a_url_never_says_what_it_hides(tmp_path: Path, secret: str) -> None:
    """Set, changed, dropped, in the name of a deployment, in a list, and under a key of secrets as a number."""
    written = json.dumps(secret)
    hidden = BASE.replace("https://acme-ai.openai.azure.com", written)
    twice = hidden + "".join(f"  model_group_alias: {{a: [{written}]}}\n")
    twice = twice.replace("router_settings:", "general_settings: {alert_password: 73519}\nrouter_settings:")
    named = twice.replace(
        "model_list:",
        f"model_list:\n  - model_name: gpt-4o\n    litellm_params: {{model: azure/gpt-4o, api_base: {written}}}",
    )
    if " " not in secret:  # no model has such a name
        named = named.replace("- chat: [", f"- {written}: [gemini]\n    - chat: [{written}, ")
    variants = [BASE, hidden, twice, named, hidden.replace("Zm9v", "Zm9x")]
    found = [changes(tmp_path, head, base) for base in variants for head in variants]
    assert None not in found
    told = [one.what for these in found for one in these or ()]
    hides = "a value that may hold a password" if "@" in secret else f"{re.split('[?#]', secret)[0]}?…"
    assert f"api_base of gpt-4o was changed in what is not shown here (it is {hides})" in told
    assert not [what for what in told if "YmFyc2Vjcm" in what or "73519" in what]


@pytest.mark.parametrize(("old", "new", "said"), MUTATIONS)
def test_each_change_is_one_sentence_with_its_line(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    """A change that removes something stands at the nearest line that is left."""
    assert BASE.count(old) == 1
    found = changes(tmp_path, BASE.replace(old, new))
    assert found is not None
    assert [f"{one.aspect} {one.place.line if one.place else 0} {one.what}" for one in found] == said


def test_comments_and_the_order_of_keys_are_no_change(tmp_path: Path) -> None:
    """The same values, written by another hand."""
    other = "# written anew\n" + yaml.safe_dump(yaml.safe_load(BASE), sort_keys=True)
    assert other != BASE
    assert changes(tmp_path, other) == ()


def test_what_python_takes_for_equal_is_a_change(tmp_path: Path) -> None:
    """1, 1.0 and true are three settings."""
    for value in ("1.0", "true"):
        found = changes(tmp_path, BASE.replace("retries: 0", f"retries: {value}"), BASE.replace("ries: 0", "ries: 1"))
        assert found
        assert found[0].aspect is Aspect.RETRY


def test_a_deployment_that_goes_and_one_that_comes(tmp_path: Path) -> None:
    """Those of a name are told apart by their model."""
    gone = "  - model_name: gemini\n    litellm_params:\n      model: gemini/gemini-2.5-pro\n"
    gone += "      api_key: os.environ/GEMINI_API_KEY\n"
    found = changes(tmp_path, BASE.replace(gone, "").replace(", gemini]", "]"))
    assert found is not None
    assert "the deployment gemini was removed" in [one.what for one in found]
    twice = BASE.replace(
        "  - model_name: gemini",
        "  - model_name: gpt-4o\n    litellm_params: {model: openai/gpt-4o}\n  - model_name: gemini",
    )
    found = changes(tmp_path, twice)
    assert found is not None
    assert [one.what for one in found] == ["the deployment gpt-4o (openai/gpt-4o) was added"]


def test_no_secret_is_ever_said(tmp_path: Path) -> None:
    """Neither the old nor the new value, wherever it stands."""
    found = changes(
        tmp_path,
        BASE.replace("sk-old-0123456789abcdef", "sk-new-0123456789abcdef")
        + "general_settings:\n  master_key: sk-master-1234567890\n  database_url: postgres://u:pw-of-db@h/d\n"
        + "litellm_settings:\n  cache_params: {password: hunter2}\n",
    )
    assert found
    told = " ".join(one.what for one in found)
    assert not any(secret in told for secret in ("sk-old", "sk-new", "sk-master", "pw-of-db", "hunter2"))


def test_what_is_no_config_says_nothing(tmp_path: Path) -> None:
    """The adapter's own reading says what is wrong with it."""
    assert changes(tmp_path, "model_list: [") is None


def leg(name: str, role: str | None, cloud: str) -> Leg:
    """A leg."""
    return Leg(name=name, role=role, provider="openai", vendor="openai", model="m", cloud=cloud)


def test_legs_alone() -> None:
    """What is said of gateways whose adapter has no words for its config."""
    base = [leg("a", "primary", "aws"), leg("b", "secondary", "azure")]
    head = [leg("a", "primary", "aws"), leg("c", "secondary", "aws")]
    assert [one.what for one in chain_changes(base, head)] == ["the chain is now a > c; before a > b"]
    assert [what for _, what in into_the_same_cloud(base, head)] == [
        "the fallback c now sits in the same cloud as the primary (aws)"
    ]
    assert list(into_the_same_cloud(head, head)) == []
    assert list(chain_changes(base, base)) == []


def test_what_the_change_concerns_comes_first() -> None:
    """Timeouts show where a leg goes silent or slow; the cloud of a leg where a cloud or a region is lost."""
    fast = [load(name) for name in shipped("fast")]

    def order(*aspects: Aspect) -> list[str]:
        changes = [Change(aspect, "") for aspect in aspects]
        return [scenario.name.removesuffix(" (fast)") for scenario in ordered(fast, changes)]

    silent = ["Loss of a whole cloud", "Cross-region cascade", "Degraded latency", "Primary down"]
    assert order() == order(Aspect.FALLBACK) == order(Aspect.TIMEOUT) == silent
    assert order(Aspect.DOMAIN)[:2] == silent[:2]
    down = next(scenario for scenario in fast if scenario.name.startswith("Primary down"))
    slow = next(scenario for scenario in fast if scenario.name.startswith("Degraded"))
    assert [concerns(Change(aspect, ""), down) for aspect in (Aspect.TIMEOUT, Aspect.RETRY)] == [False, True]
    assert [concerns(Change(aspect, ""), slow) for aspect in (Aspect.COOLDOWN, Aspect.DOMAIN)] == [True, False]
