"""Bifrost's config: where the order comes from, and a private copy that changes only what it must.

No Bifrost is run here: none can be installed from a package registry. What a drill does with the adapter is tried with
a stand-in of our own; set FAILOVER_DRILL_BIFROST=/path/to/bifrost-http to drill a real one by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from drilling import drill

from drills.chat import request_body
from drills.gateways import bifrost_config, bifrost_copy, bifrost_install, get, json_document
from drills.gateways.bifrost import GATEWAY, Bifrost, sample
from drills.gateways.items import Item
from drills.legs import Leg
from drills.marks import Mark
from drills.problems import UsageProblem

JSON = """{ "a" : [1, {"b": "x\\"]", "c": {}}, [], [[ ]], {}],
  "d": null,
\t"f": -1.5e3 }"""


def test_places_in_json() -> None:
    """The values are those of the standard library; each knows where it begins, and its key too."""
    root = json_document.parse(JSON.encode(), "x.json")
    assert root.plain() == json.loads(JSON)
    listed, last = root.get("a"), root.get("f")
    assert listed is not None
    assert last is not None
    inner = (listed.items or ())[1]
    assert (str(inner.place), str(last.place), str(last.key_place)) == ("x.json:1:13", "x.json:3:7", "x.json:3:2")
    assert str((inner.fields or {})["c"].place) == "x.json:1:32"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b'{"a": 1,\n}', "x.json:"),
        (b"", "x.json:1:1: not valid JSON: expecting value"),
        (b"[1]", "x.json:1:1: the file must hold a JSON object"),
        (b'{"a":\n "\xff"}', "x.json:2:1: not valid JSON: the file is not UTF-8"),
        (b'{"a": 1,\n "a": 2}', "x.json:2:2: 'a' is written twice; first at x.json:1:2"),
        (b'{"a": ' + b"[" * 100_000, "x.json: the values are nested too deep"),
        (b'{"a": ' + b"9" * 5000 + b"}", "x.json: not valid JSON: Exceeds the limit"),
    ],
)
def test_mistakes_in_json(source: bytes, said: str) -> None:
    """One sentence with the place, and no traceback."""
    with pytest.raises(UsageProblem) as caught:
        json_document.parse(source, "x.json")
    assert str(caught.value).startswith(said)


def key(name: str = "k", **more: object) -> dict[str, object]:
    """One key that serves every model."""
    return {"name": name, "value": "env.KEY", "models": ["*"], "weight": 1.0, **more}


def config(**providers: dict[str, object]) -> dict[str, Any]:
    """A config with these providers, each with one key where it names none."""
    return {"providers": {name: {"keys": [key()], **entry} for name, entry in providers.items()}}


def item(value: object, name: str = "config.json") -> Item:
    """A value as a document."""
    return json_document.parse(json.dumps(value, indent=1).encode(), name)


def find(value: dict[str, Any], chain: str, **env: str) -> bifrost_config.Found:
    """What is discovered with `--model`."""
    return bifrost_config.find(item(value), bifrost_config.asked(chain), env, "ADVICE")


def test_the_chain_that_is_asked_for() -> None:
    """The first is the model, the rest are the fallbacks of each request."""
    found = find(config(openai={}, anthropic={}, groq={}), "openai/gpt-4o, groq/llama-3,anthropic/claude-x")
    assert [f"{leg.role} {leg.name}" for leg, _ in found.legs] == [
        "primary openai-gpt-4o",
        "secondary groq-llama-3",
        "tertiary anthropic-claude-x",
    ]
    assert (found.entry, found.fallbacks) == ("openai/gpt-4o", ("groq/llama-3", "anthropic/claude-x"))
    assert found.notes == (
        (
            "callers ask for 'openai/gpt-4o' with the fallbacks groq/llama-3, anthropic/claude-x, asked for; "
            "chain: openai-gpt-4o -> groq-llama-3 -> anthropic-claude-x"
        ),
    )


def test_the_chain_of_a_request() -> None:
    """What the application sends, as text or as objects."""
    body = {"model": "a/b/c", "fallbacks": ["d/e", {"provider": "f", "model": "g"}], "temperature": 0}
    chain = bifrost_config.of_request(item(body, "r.json"))
    assert [[target.text for target in level] for level in chain.levels] == [["a/b/c"], ["d/e"], ["f/g"]]
    assert chain.source == "from r.json"


def test_the_chain_of_a_routing_rule() -> None:
    """The first rule that is on and holds for everyone; its targets share a level, and requests need no fallbacks."""
    rule = {
        "cel_expression": "true",
        "targets": [{"provider": "openai", "model": "gpt-4o", "weight": 0.7}, {"provider": "azure", "model": "gpt-4o"}],
        "fallbacks": ["groq/llama-3", "anthropic/", "gemini"],
    }
    others = [
        {**rule, "enabled": False},
        {**rule, "scope": "team"},
        {**rule, "cel_expression": "model == 'x'"},
        {**rule, "fallbacks": []},
    ]
    root = item({"governance": {"routing_rules": [*others, rule]}})
    chain = bifrost_config.of_rules(root)
    assert chain is not None
    assert [[target.text for target in level] for level in chain.levels] == [
        ["openai/gpt-4o", "azure/gpt-4o"],
        ["groq/llama-3"],
        ["anthropic/gpt-4o"],
        ["gemini/gpt-4o"],
    ]
    assert not chain.in_request
    assert bifrost_config.of_rules(item({"governance": {"routing_rules": others}})) is None


AZURE = {"azure_key_config": {"endpoint": "https://acme.openai.azure.com"}}
PROBLEMS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "nothing in it": ({}, "a/b,c/d", ["config.json:1:1: the config has no providers"]),
    "one provider": (
        config(openai={}),
        "openai/a,openai/b",
        ["nothing to fail over to: asked for, only 'openai' is used; ADVICE"],
    ),
    "unknown providers": (
        config(openai={}, cohere={}),
        "opnai/a,cohere/b",
        [
            "the config has no provider 'opnai'; did you mean 'openai'? allowed: cohere, openai",
            (
                "config.json:15:3: provider 'cohere' is one that a drill cannot stand in for; "
                f"allowed: {', '.join(sorted(bifrost_config.BASES))}"
            ),
        ],
    ),
    "keys": (
        config(openai={"keys": [key(models=["gpt-4o"])]}, azure={}, sgl={"keys": []}),
        "openai/gpt-4,azure/x,sgl/y",
        [
            "config.json:3:3: no key of provider 'openai' serves 'gpt-4'",
            "config.json:17:5: provider 'azure' has no azure_key_config.endpoint",
            "config.json:27:10: provider 'sgl' has no network_config.base_url",
        ],
    ),
    "two regions behind one base URL": (
        config(
            bedrock={"keys": [key(name, bedrock_key_config={"region": name}) for name in ("us-east-1", "eu-west-1")]},
            openai={},
        ),
        "bedrock/x,openai/y",
        [
            (
                "config.json:3:3: the keys of provider 'bedrock' lead to several regions (eu-west-1, us-east-1), and a "
                "private copy has one base URL for all of them; make each a custom provider"
            )
        ],
    ),
}


@pytest.mark.parametrize("case", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems(case: tuple[dict[str, Any], str, list[str]]) -> None:
    """Every problem at once, each with its place and a way out."""
    value, chain, expected = case
    with pytest.raises(UsageProblem) as caught:
        find(value, chain)
    assert [str(problem) for problem in caught.value.problems] == expected


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "r.json:1:1: the request has no model"),
        ({"model": 7}, "r.json:2:11: the request has no model"),
        ({"model": "a/b", "fallbacks": "c/d"}, "r.json:3:15: fallbacks must be a list"),
        ({"model": "gpt-4o", "fallbacks": ["c/d"]}, "r.json:2:11: 'gpt-4o' does not say which provider"),
        ({"model": "a/b", "fallbacks": [{"model": "c"}]}, 'r.json:4:3: a target needs "provider" and "model"'),
    ],
)
def test_a_request_that_cannot_be_read(request_: dict[str, object], said: str) -> None:
    """One sentence with the place."""
    with pytest.raises(UsageProblem) as caught:
        bifrost_config.of_request(item(request_, "r.json"))
    assert str(caught.value).startswith(said)


def test_domains() -> None:
    """Endpoints, regions and aliases by key and environment; each Azure endpoint is a leg of its own."""
    value = config(
        bedrock={
            "keys": [key(bedrock_key_config={"region": "env.R"}, aliases={"claude": "us.anthropic.claude-x-v1:0"})]
        },
        azure={
            "keys": [
                key("one", azure_key_config={"endpoint": "https://swedencentral.api.cognitive.microsoft.com"}),
                key("two", azure_key_config={"endpoint": "env.E"}, aliases={"gpt": {"model_name": "gpt-4o"}}),
                key("three", azure_key_config={"endpoint": "env.E"}),
                key("other", models=["else"], azure_key_config={"endpoint": "https://else.example"}),
            ]
        },
        mine={
            "custom_provider_config": {"base_provider_type": "openai"},
            "network_config": {"base_url": "https://llm.acme.example/openai"},
        },
        gemini={},
    )
    found = find(value, "bedrock/claude,azure/gpt,mine/llama-3,gemini/gemini-x", R="ap-south-1", E="https://x.example")
    seen = [f"{leg.role} {leg.provider} {leg.vendor} {leg.cloud} {leg.region} {leg.endpoint}" for leg, _ in found.legs]
    assert seen == [
        "primary bedrock anthropic aws ap-south-1 https://bedrock-runtime.ap-south-1.amazonaws.com",
        "secondary azure openai azure swedencentral https://swedencentral.api.cognitive.microsoft.com",
        "secondary azure openai azure None https://x.example",
        "tertiary openai meta acme None https://llm.acme.example/openai",
        "quaternary gemini google gcp None https://generativelanguage.googleapis.com/v1beta",
    ]
    assert [reached.keys for _, reached in found.legs] == [(0,), (0,), (1, 2), (0,), (0,)]


def test_the_private_copy() -> None:
    """Base URLs and credentials are other ones; timeouts and retries are the user's; the rest is left out."""
    value = config(
        bedrock={
            "keys": [key(value="", bedrock_key_config={"region": "eu-west-1", "role_arn": "env.ROLE"})],
            "network_config": {"max_retries": 2, "extra_headers": {"x-api-key": "REAL-header", "x-tier": "gold"}},
            "proxy_config": {"type": "http"},
        },
        azure={
            "keys": [
                key("one", value="REAL-azure", azure_key_config={"endpoint": "https://x.example/", "tenant_id": "t"})
            ]
        },
        anthropic={"keys": [key(value="sk-ant-REAL")], "network_config": {"base_url": "https://proxy.example/an"}},
        groq={},
    )
    value |= {
        "client": {"enforce_auth_on_inference": True, "drop_excess_requests": True},
        "encryption_key": "env.E",
        "config_store": {"enabled": True, "type": "postgres", "config": {"password": "REAL-db"}},
        "logs_store": {"enabled": False},
        "plugins": [{"name": "semantic_cache"}],
        "governance": {"virtual_keys": [{"value": "REAL-vk"}], "routing_rules": []},
    }
    found = find(value, "bedrock/claude-x,azure/gpt-4o,anthropic/claude-y")
    urls = {leg.name: f"http://127.0.0.1:{9000 + number}" for number, (leg, _) in enumerate(found.legs)}
    copy = bifrost_copy.build(found, urls)
    tree = json.loads(copy.text)
    assert tree["client"] == {"drop_excess_requests": True, "enable_logging": False}
    assert tree["config_store"] == tree["logs_store"] == {"enabled": False}
    assert set(tree) == {"client", "providers", "config_store", "logs_store"}
    bedrock, azure, anthropic = (tree["providers"][name] for name in ("bedrock", "azure", "anthropic"))
    assert set(tree["providers"]) == {"bedrock", "azure", "anthropic"}
    assert bedrock["network_config"] == {
        "max_retries": 2,
        "extra_headers": {"x-api-key": "drill-dummy", "x-tier": "gold"},
        "base_url": "http://127.0.0.1:9000",
        "allow_private_network": True,
    }
    assert bedrock["keys"][0]["bedrock_key_config"] == {
        "region": "eu-west-1",
        "access_key": "drill-dummy",
        "secret_key": "drill-dummy",
    }
    assert azure["keys"][0]["azure_key_config"] == {"endpoint": "http://127.0.0.1:9001/"}
    assert azure["keys"][0]["value"] == anthropic["keys"][0]["value"] == "drill-dummy"
    assert anthropic["network_config"]["base_url"] == "http://127.0.0.1:9002/an"
    assert "REAL" not in copy.text
    assert [line.partition(": ")[2] for line in copy.left_out] == [
        "encryption_key is left out: there is no database in a drill",
        "config_store is left out: there is no database in a drill; the file counts",
        "plugins is left out: they may call other services, or answer instead of the legs",
        "client.enforce_auth_on_inference is left out: a drill's callers do not sign in",
        "governance (virtual_keys) is left out: a drill's callers have no keys",
        "proxy_config is left out: it leads out of the drill",
    ]


@pytest.mark.parametrize("name", ["cross-cloud.json", "fallbacks-only.json"])
def test_samples(name: str) -> None:
    """The shipped configs: three legs that share no cloud or region."""
    found = Bifrost().discover(sample(name), None)
    assert [_domains_of(leg) for leg in found.legs] == [
        ("primary", "bedrock", "anthropic", "aws", "us-east-1"),
        ("secondary", "azure", "openai", "azure", None),
        ("tertiary", "anthropic", "anthropic", "anthropic", None),
    ]
    assert len(found.notes) == 1


def _domains_of(leg: Leg) -> tuple[str | None, str, str, str, str | None]:
    return leg.role, leg.provider, leg.vendor, leg.cloud, leg.region


def _program(folder: Path) -> Path:
    program = folder / "bifrost-http"
    stand_in = Path(__file__).parent / "fake_bifrost.py"
    program.write_text(f"#!{sys.executable} -P\n{stand_in.read_text()}")
    program.chmod(0o755)
    return program


def test_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback, no key of the person's, nowhere to go but there; each request brings what the application sends."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-key")
    monkeypatch.setenv("FAILOVER_DRILL_BIFROST", str(_program(tmp_path)))
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(openai={}, groq={})))
    request = tmp_path / "config.request.json"
    request.write_text('{"model": "openai/gpt-4o", "fallbacks": ["groq/x"], "temperature": 0.5, "messages": []}')
    found = GATEWAY.discover(path, None)
    urls = {leg.name: "http://127.0.0.1:9001" for leg in found.legs}
    launch = GATEWAY.launch(found, urls, 3000, tmp_path / "private")
    assert launch.argv[1:] == (
        *("-host", "127.0.0.1", "-port", "3000", "-app-dir", str(tmp_path / "private")),
        *("-log-level", "info", "-log-style", "pretty"),
    )
    assert launch.env["HTTPS_PROXY"] == "http://127.0.0.1:9"
    assert "sk-real-key" not in f"{launch.env} {launch.files}"
    assert launch.request_fields == {"temperature": "0.5", "fallbacks": '["groq/x"]'}
    asked = GATEWAY.discover(path, "groq/x,openai/gpt-4o")
    assert GATEWAY.launch(asked, urls, 3000, tmp_path / "p").request_fields == {"fallbacks": '["openai/gpt-4o"]'}
    request.write_text('{"model": "groq/x", "fallbacks": ["openai/gpt-4o"]}')
    with pytest.raises(UsageProblem, match=r"config\.json was changed since the drill read it"):
        GATEWAY.launch(found, urls, 3000, tmp_path / "private")
    request.unlink()
    with pytest.raises(
        UsageProblem, match=r"nothing says in which order .* or the request's body in .*config\.request"
    ):
        GATEWAY.discover(path, None)


def test_a_request_carries_more_fields() -> None:
    """Beside model, messages and stream, which are the drill's own."""
    body = json.loads(request_body("m", Mark("0" * 16), True, {"fallbacks": '["a/b"]', "model": '"no"'}))
    assert (body["model"], body["fallbacks"], body["stream"]) == ("m", ["a/b"], True)


def test_where_the_program_is_looked_for(tmp_path: Path) -> None:
    """What is named, then PATH, then the newest in the cache of the npm wrapper; else a message that helps."""
    empty = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    assert bifrost_install.find(empty) is None
    with pytest.raises(UsageProblem, match="npx -y @maximhq/bifrost"):
        bifrost_install.need(empty)
    with pytest.raises(UsageProblem, match="is not an executable file"):
        bifrost_install.need({**empty, "FAILOVER_DRILL_BIFROST": str(tmp_path)})
    for version in ("v1.9.0", "v1.10.2", "v1.10.2-prerelease1"):
        folder = tmp_path / ".cache" / "bifrost" / version / "bin"
        folder.mkdir(parents=True)
        _program(folder).rename(folder / "bifrost-http-0")
    found = bifrost_install.find(empty)
    assert found is not None
    assert found.version.startswith("v1.10.2")
    (tmp_path / "bin").mkdir()
    _program(tmp_path / "bin")
    found = bifrost_install.find(empty)
    assert found is not None
    assert (found.version, found.origin) == ("unknown version", "on PATH")
    assert get("bifrost") is GATEWAY


SCENARIO = """
name: Loss of the first choice
objective: Callers keep getting answers when the first choice is silent.
load: {rate: 10/s, streaming: 50%, deadline: 20s, slow: 4s}
timeline:
  - {phase: steady, for: 3s}
  - {phase: outage, for: 6s, faults: [{blackhole: {role: primary}}]}
  - {phase: recovery, for: 4s}
expect: {switchover: {within: 4s}, failback: {within: 4s}, lost: {at_most: 0, broken_streams: 3}}
"""


@pytest.mark.gateway
def test_a_drill_with_a_stand_in(tmp_path: Path) -> None:
    """The whole way: program, flags, config.json and the fallbacks of each request."""
    (tmp_path / "drill.yaml").write_text(SCENARIO)
    network = {"default_request_timeout_in_seconds": 2}
    custom = {"base_url": "https://llm.acme.example", **network}
    providers = config(
        openai={"network_config": network},
        spare={"custom_provider_config": {"base_provider_type": "openai"}, "network_config": custom},
    )
    (tmp_path / "config.json").write_text(json.dumps(providers))
    ran = drill(
        *("run", "drill.yaml", "--gateway", "bifrost", "--config", "config.json"),
        *("--model", "openai/gpt-4o,spare/llama-3"),
        cwd=tmp_path,
        env={"FAILOVER_DRILL_BIFROST": str(_program(tmp_path))},
    )
    assert ran.code == 0, ran.out + ran.err
    (switchover,) = ran.result.switchovers
    assert (switchover.from_, switchover.to) == ("openai-gpt-4o", "spare-llama-3")
    assert switchover.recovery_s is not None
    assert 1.5 < switchover.recovery_s <= 4
