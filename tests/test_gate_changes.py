"""What differs between two LiteLLM configs, in words and with the line; and which drills that concerns."""

from __future__ import annotations

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
]  # fmt: skip


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
