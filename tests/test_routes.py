"""What each route demands before anything is started, and what an unchanged LiteLLM finds around its config. No I/O."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from drilling import drill
from test_scenario import timeline

from drills import hostname, routing
from drills.address import Address
from drills.clock import Clock
from drills.gateways import litellm_unchanged
from drills.gateways.litellm import LiteLLM, sample
from drills.gateways.scrub import DUMMY
from drills.legs import Leg, Sharing
from drills.problems import UsageProblem
from drills.routes import Route
from drills.routing import sealed, unchanged
from drills.routing.base import Planned, Scene
from drills.targets import resolve
from drills.tested import gateway_of

pytestmark = pytest.mark.clock

CLAUDE = "anthropic/claude-sonnet-4-5"
AZURE = {"model": "azure/gpt-4o", "api_base": "https://acme.openai.azure.com", "api_key": "k"}
FORWARD, REWRITE, SEALED = Route.FORWARD, Route.REWRITE, Route.SEALED


def config(*params: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A config whose deployments are the levels of a chain: a, b, c, ..."""
    names = "abcdefgh"[: len(params)]
    chain = {"fallbacks": [{names[0]: list(names[1:])}]}
    models = [{"model_name": name, "litellm_params": dict(one)} for name, one in zip(names, params, strict=True)]
    return {"model_list": models, "router_settings": chain, **more}


def written(folder: Path, what: Mapping[str, Any]) -> Path:
    """A config file."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(dict(what), sort_keys=False))
    return path


def problems(path: Path, route: Route, faults: str = "refuse: {role: primary}") -> list[str]:
    """Why a config cannot be drilled on a route with this fault."""
    gateway = LiteLLM()
    found = gateway.discover(path, None)
    scenario = timeline(f"  - {{phase: outage, for: 5s, faults: [{faults}]}}\n")
    planned = Planned(gateway, found, resolve(scenario, found.legs))
    return [str(problem).replace(f"{path}:", "config.yaml:") for problem in routing.get(route).problems(planned)]


@pytest.mark.parametrize("route", [FORWARD, REWRITE, SEALED])
def test_the_sample_can_be_drilled_on_every_route(route: Route) -> None:
    """Three legs, three hosts, and one for tokens."""
    assert problems(sample("cross-cloud.yaml"), route) == []


# config, route, fault, and the whole of what is said
REFUSED: dict[str, tuple[dict[str, Any], Route, str, str]] = {
    "faults of TLS on a route without": (
        config({"model": CLAUDE}, AZURE),
        REWRITE,
        "tls_handshake_hang: {role: primary}",
        (
            "a.yaml:6:39: fault 'tls_handshake_hang' needs TLS between the gateway and its legs; use "
            "--route forward or "
            "--route sealed"
        ),
    ),
    "faults of TLS on a leg without": (
        config({"model": "openai/m", "api_base": "http://vllm.acme.internal:8000/v1"}, AZURE),
        FORWARD,
        "tls_bad_certificate: {role: primary}",
        ("a.yaml:6:39: fault 'tls_bad_certificate' needs TLS, and openai-m speaks plain HTTP; select other legs"),
    ),
    "a host that the config does not tell": (
        config({"model": "azure/gpt-4o", "api_base": "os.environ/NOT_SET"}, {"model": CLAUDE}),
        FORWARD,
        "refuse: {role: primary}",
        (
            "config.yaml:5:15: leg azure-gpt-4o: the host that the gateway calls for it is not known from the config; "
            "write its base URL there, or use --route rewrite"
        ),
    ),
    "a host past every proxy": (
        config({"model": "openai/m", "api_base": "http://localhost:8000/v1"}, AZURE),
        FORWARD,
        "refuse: {role: primary}",
        (
            "config.yaml:5:15: leg openai-m: localhost:8000 is on this machine, which no gateway asks a proxy for; use "
            "--route rewrite or "
            "--route sealed"
        ),
    ),
    "two legs that nothing tells apart": (
        config({"model": CLAUDE, "api_key": "one"}, {"model": CLAUDE, "api_key": "two"}),
        FORWARD,
        "status: {role: primary, code: 503}",
        (
            "the legs anthropic-claude-sonnet-4-5 and anthropic-claude-sonnet-4-5-2 share the host "
            "api.anthropic.com:443 "
            "and the model claude-sonnet-4-5, so that their traffic cannot be told apart there; use --route rewrite"
        ),
    ),
    "half a host": (
        config({"model": CLAUDE}, {"model": "anthropic/claude-haiku-4-5"}, AZURE),
        SEALED,
        "blackhole: {role: primary}",
        (
            "a.yaml:6:39: fault 'blackhole' concerns the whole host api.anthropic.com:443, which "
            "anthropic-claude-sonnet-4-5, anthropic-claude-haiku-4-5 share; select all of them, or use --route rewrite"
        ),
    ),
    "half an identity service": (
        config(
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "europe-west4"},
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "us-central1"},
        ),
        FORWARD,
        "identity_down: {role: primary}",
        (
            "a.yaml:6:39: fault 'identity_down' concerns the whole host oauth2.googleapis.com:443, which "
            "vertex-europe-west4-gemini-2-5-pro, vertex-us-central1-gemini-2-5-pro share; select all of them, or use "
            "--route rewrite"
        ),
    ),
    "a line that is shared": (
        config({"model": CLAUDE}, {"model": "anthropic/claude-haiku-4-5"}, AZURE),
        FORWARD,
        "wire_latency: {provider: anthropic, latency: 1s}",
        (
            "a.yaml:6:39: fault 'wire_latency' is one of a line, and api.anthropic.com:443 is one line for "
            "anthropic-claude-sonnet-4-5, anthropic-claude-haiku-4-5; use --route rewrite"
        ),
    ),
    "a database": (
        config(
            {"model": CLAUDE}, AZURE, general_settings={"database_url": "postgresql://u:p@db.acme.internal/litellm"}
        ),
        FORWARD,
        "refuse: {role: primary}",
        (
            "config.yaml:15:3: general_settings.database_url leads out of the drill past every proxy; use "
            "--route rewrite, "
            "which leaves it out, or --route sealed"
        ),
    ),
    "a port that does not exist": (
        config({"model": "openai/m", "api_base": "https://gw.example.com:99999/v1"}, AZURE),
        REWRITE,
        "refuse: {role: primary}",
        (
            "config.yaml:5:15: leg openai-m: its host 'gw.example.com:99999' has no port behind the colon; ports are 1 "
            "to 65535"
        ),
    ),
    "a proxy of its own": (
        config({"model": CLAUDE}, AZURE, environment_variables={"HTTPS_PROXY": "http://proxy.acme.internal:3128"}),
        FORWARD,
        "refuse: {role: primary}",
        (
            "config.yaml:15:3: environment_variables.HTTPS_PROXY leads out of the drill past every proxy; use --route "
            "rewrite, which leaves it out, or --route sealed"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_route_refuses(tmp_path: Path, name: str) -> None:
    """One sentence with a place where there is one, and the way out."""
    what, route, fault, said = REFUSED[name]
    assert problems(written(tmp_path, what), route, fault) == [said]


@pytest.mark.parametrize("host", ["localhost", "my_service:4000", "[::1]", "[::1]:8443", "gw.example.com:65535"])
def test_a_private_copy_needs_no_name_that_can_be_looked_up(host: str) -> None:
    """Only a port that nobody can have is refused there."""
    assert list(hostname.without_port("a", [host])) == []


ALLOWED: dict[str, tuple[dict[str, Any], Route, str]] = {
    "both halves of a host": (
        config({"model": CLAUDE}, {"model": "anthropic/claude-haiku-4-5"}, AZURE),
        FORWARD,
        "blackhole: {provider: anthropic}",
    ),
    "requests of one half": (
        config({"model": CLAUDE}, {"model": "anthropic/claude-haiku-4-5"}, AZURE),
        FORWARD,
        "status: {role: primary, code: 529}",
    ),
    "one region of two that share an identity service": (
        config(
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "europe-west4"},
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_location": "us-central1"},
        ),
        SEALED,
        "blackhole: {role: primary}",
    ),
    "a database whose address is not set in a drill": (
        config({"model": CLAUDE}, AZURE, general_settings={"database_url": "os.environ/DATABASE_URL"}),
        FORWARD,
        "refuse: {role: primary}",
    ),
    "a database where there is no network": (
        config(
            {"model": CLAUDE}, AZURE, general_settings={"database_url": "postgresql://u:p@db.acme.internal/litellm"}
        ),
        SEALED,
        "refuse: {role: primary}",
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_route_takes(tmp_path: Path, name: str) -> None:
    """Near to what it refuses."""
    what, route, fault = ALLOWED[name]
    assert problems(written(tmp_path, what), route, fault) == []


def test_a_leg_off_the_chain_decides_nothing(tmp_path: Path) -> None:
    """Another deployment of the same model at the same host, to which no fallback leads, is in nobody's way."""
    what = config({"model": CLAUDE}, AZURE)
    what["model_list"].append({"model_name": "other", "litellm_params": {"model": CLAUDE}})
    assert problems(written(tmp_path, what), FORWARD, "blackhole: {role: primary}") == []
    legs = LiteLLM().discover(tmp_path / "config.yaml", None).legs
    assert unchanged.shared(legs) == {
        "api.anthropic.com:443": Sharing(
            legs=("anthropic-claude-sonnet-4-5", "anthropic-claude-sonnet-4-5-2"),
            deciding=("anthropic-claude-sonnet-4-5",),
            models=True,
        )
    }


def test_a_gateway_that_cannot_keep_its_config(tmp_path: Path) -> None:
    """One sentence, before anything is started; and no route of any other name."""
    described = tmp_path / "my.yaml"
    described.write_text(
        "name: my\ncommand: [python3, -c, pass]\nlegs:\n"
        "  - {name: one, provider: openai, model: m, cloud: a}\n  - {name: two, provider: openai, model: m, cloud: b}\n"
    )
    ran = drill("plan", "cloud-outage", "--gateway", described, "--route", "forward", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "drill: my cannot be drilled with its config unchanged; use --route rewrite\n"
    ran = drill("plan", "cloud-outage", "--route", "foward", cwd=tmp_path)
    assert (
        ran.err == "drill: no route 'foward'; did you mean 'forward'? allowed: fixed, forward, front, rewrite, sealed\n"
    )
    assert gateway_of("litellm").name == "litellm"


def test_the_plan_names_the_route_and_the_hosts(tmp_path: Path) -> None:
    """For programs; and what stays in the config is among the notes."""
    path = written(tmp_path, config({"model": CLAUDE}, AZURE, litellm_settings={"success_callback": ["langfuse"]}))
    ran = drill("plan", "cloud-outage", "--config", path, "--route", "forward", "--json", cwd=tmp_path)
    plan = json.loads(ran.out)
    assert plan["route"] == "forward"
    assert [leg["hosts"] for leg in plan["legs"]] == [["api.anthropic.com"], ["acme.openai.azure.com"]]
    kept = "litellm_settings.success_callback is not left out on this route: what they send out reaches nobody"
    assert any(note.endswith(kept) for note in plan["notes"])
    assert any(note.startswith("what ignores HTTPS_PROXY") for note in plan["notes"])


# --- where things stand ----------------------------------------------------------------------------------------------


def leg(name: str, *hosts: str, endpoint: str = "") -> Leg:
    """A leg of a chain."""
    return Leg(
        name=name, role=name, provider="openai", vendor="v", model=name, cloud="c", hosts=hosts, endpoint=endpoint
    )


VERTEX = (leg("eu", "eu.example", "tokens.example"), leg("us", "us.example", "tokens.example"))


def way(legs: tuple[Leg, ...]) -> unchanged.Unchanged:
    """The part of a way that does not depend on how the traffic is led."""
    found = msgspec.structs.replace(LiteLLM().discover(None, None), legs=legs)

    async def make() -> unchanged.Unchanged:
        return unchanged.Unchanged(Scene(LiteLLM(), found, 1, Path("/"), Clock(), [].append))

    return asyncio.run(make())


def test_each_host_leads_to_its_leg_and_a_shared_one_to_its_own_place() -> None:
    """Models to their legs, tokens to the place that both legs share; probes go the same ways in the hosts' names."""
    found, ports = way(VERTEX), {"eu": 1, "us": 2, "tokens.example:443": 3}
    assert found.led(ports) == {"eu.example:443": 1, "us.example:443": 2, "tokens.example:443": 3}
    reach = found.reach(ports)
    assert reach.addresses == {"eu": Address(1, "eu.example"), "us": Address(2, "us.example")}
    assert reach.identity == dict.fromkeys(("eu", "us"), Address(3, "tokens.example"))
    assert found.shared() == {"tokens.example:443": Sharing(legs=("eu", "us"), deciding=("eu", "us"), models=False)}
    assert set(found.certificates()) == {"eu", "us", "tokens.example:443"}


def test_plain_http_has_no_certificate() -> None:
    """Only the endpoint that is an http:// address is plain; what it signs in with is not."""
    one = leg("own", "vllm.example:8000", "tokens.example", endpoint="http://vllm.example:8000/v1")
    assert [(host.authority, host.tls) for host in unchanged.hosts_of(one)] == [
        ("vllm.example:8000", False),
        ("tokens.example:443", True),
    ]
    assert way((one,)).reach({"own": 5}).addresses == {"own": Address(5)}


def test_shared_hosts_have_places_in_a_private_network() -> None:
    """A model host that two legs share has one address, and they have none of their own."""
    legs = (leg("a", "api.example"), leg("b", "api.example"), *VERTEX)
    stands, wrong = sealed.placed(legs)
    assert wrong == []
    assert {place: stand.names for place, stand in stands.items()} == {
        "api.example:443": ("api.example",),
        "eu": ("eu.example",),
        "tokens.example:443": ("tokens.example",),
        "us": ("us.example",),
    }
    assert len({stand.endpoint for stand in stands.values()}) == 4


# --- around an unchanged config --------------------------------------------------------------------------------------


def around(path: Path) -> litellm_unchanged.Around:
    """What the gateway finds around a config."""
    from drills.gateways.litellm import _find  # noqa: PLC0415

    return litellm_unchanged.around(_find(path, None)[1], Path("/private"))


def test_what_is_missing_in_the_environment_gets_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dummy for a key, also for one that is set; the real value for a timeout and a base URL; none for a database."""
    for name in ("REAL_KEY", "SLOW", "BASE", "DATABASE_URL"):
        monkeypatch.setenv(name, "https://acme.openai.azure.com" if name == "BASE" else "7")
    path = written(
        tmp_path,
        config(
            {"model": CLAUDE, "api_key": "os.environ/REAL_KEY", "timeout": "os.environ/SLOW"},
            {"model": "azure/gpt-4o", "api_base": "os.environ/BASE", "api_key": "os.environ/NO_KEY"},
            {"model": "vertex_ai/gemini-2.5-pro", "vertex_credentials": "os.environ/ACCOUNT"},
            general_settings={"master_key": "os.environ/MASTER", "database_url": "os.environ/DATABASE_URL"},
        ),
    )
    found = around(path)
    assert found.key.startswith("sk-drill-")
    account = "/private/service-account.json"
    assert found.env == {
        "ANTHROPIC_API_KEY": DUMMY,
        "AZURE_API_KEY": DUMMY,
        "VERTEX_AI_API_KEY": DUMMY,
        "REAL_KEY": DUMMY,
        "SLOW": "7",
        "BASE": "https://acme.openai.azure.com",
        "NO_KEY": DUMMY,
        "ACCOUNT": account,
        "GOOGLE_APPLICATION_CREDENTIALS": account,
        "MASTER": found.key,
    }
    signs_in_at = json.loads(found.files[account])["token_uri"]
    assert signs_in_at == "https://oauth2.googleapis.com/token"


def test_the_master_key_is_the_users(tmp_path: Path) -> None:
    """Written in the file it is used as it is; without one LiteLLM finds the drill's in the variable it reads it from,
    because it does not start without any.
    """
    settings = {"master_key": "sk-of-the-user"}
    found = around(written(tmp_path, config({"model": CLAUDE}, AZURE, general_settings=settings)))
    assert found.key == "sk-of-the-user"
    assert "LITELLM_MASTER_KEY" not in found.env
    without = around(written(tmp_path, config({"model": CLAUDE}, AZURE)))
    assert without.key.startswith("sk-drill-")
    assert without.env["LITELLM_MASTER_KEY"] == without.key


def test_keys_in_the_file_are_known_as_secrets(tmp_path: Path) -> None:
    """So that they can be taken out of everything that is written."""
    what = config({"model": CLAUDE, "api_key": "sk-ant-4711-real"}, AZURE, general_settings={"master_key": "sk-master"})
    found = around(written(tmp_path, what))
    assert {"sk-ant-4711-real", "sk-master"} <= set(found.secrets)


def test_an_unchanged_launch_uses_the_users_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That file, in its own folder; the surroundings win over the adapter's variables; no copy lies anywhere."""
    monkeypatch.setenv("FAILOVER_DRILL_LITELLM", "/bin/true")
    path = written(tmp_path, config({"model": CLAUDE}, AZURE))
    gateway = LiteLLM()
    launch = gateway.launch_unchanged(gateway.discover(path, None), {"NO_PROXY": "x"}, 4000, Path("/private"))
    assert launch.argv[1:3] == ("--config", str(path))
    assert (launch.cwd, launch.env["NO_PROXY"], launch.files) == (str(tmp_path), "x", {})
    found = gateway.discover(path, None)
    path.write_text(path.read_text() + "\n")
    with pytest.raises(UsageProblem, match="was changed since the drill read it"):
        gateway.launch_unchanged(found, {}, 4000, Path("/private"))


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_where_vertex_is(tmp_path: Path, location: str, host: str) -> None:
    """As LiteLLM makes it (1.106.2, vertex_ai/common_utils.py, get_vertex_base_url); and where its tokens come from."""
    what = config({"model": "vertex_ai/gemini-2.5-pro", "vertex_location": location}, AZURE)
    first = LiteLLM().discover(written(tmp_path, what), None).legs[0]
    assert first.hosts == (host, "oauth2.googleapis.com")
