"""TensorZero with the user's own config, byte for byte: what is refused, what it finds around it, and drills.

What TensorZero 2026.6.0 says to each refused setting was seen by starting it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drilling import drill
from test_scenario import timeline

from drills import routing
from drills.gateways.base import Discovery
from drills.gateways.scrub import DUMMY
from drills.gateways.tensorzero import GATEWAY, sample
from drills.problems import UsageProblem
from drills.result import Verdict
from drills.routes import Route
from drills.routing.base import Planned
from drills.targets import resolve

pytestmark = pytest.mark.clock

TWO = """\
[models.a]
routing = ["v", "o"]
providers.v = {type = "anthropic", model_name = "claude-sonnet-4-5"}
providers.o = {type = "openai", model_name = "gpt-4o"}
"""
GOOGLE = """\
[gateway]
export.otlp.traces.enabled = true

[models.a]
routing = ["vertex", "claude", "groq"]

[models.a.providers.vertex]
type = "gcp_vertex_gemini"
model_id = "gemini-2.5-pro"
location = "us-central1"
project_id = "acme"
credential_location = "path_from_env::ACCOUNT"

[models.a.providers.claude]
type = "gcp_vertex_anthropic"
model_id = "claude-sonnet-4-5"
location = "europe-west1"
project_id = "acme"

[models.a.providers.groq]
type = "groq"
model_name = "llama-3"
api_key_location = "env::MY_KEY"
extra_headers = [{name = "Authorization", value = "REAL-header"}]
"""
SCENARIO = """\
name: TensorZero unchanged
objective: Callers keep getting answers when the cloud of the first choice is gone.
load: {rate: 10/s, streaming: 50%, deadline: 10s, slow: 4s}
timeline:
  - {phase: steady, for: 1500ms}
  - {phase: outage, for: 2s, faults: [{status: {cloud_of: primary, code: 503}}]}
  - {phase: recovery, for: 1s}
expect:
  switchover: {within: 1s}
"""


def found_in(folder: Path, text: str) -> Discovery:
    """What is discovered in a config."""
    path = folder / "tensorzero.toml"
    path.write_text(text)
    return GATEWAY.discover(path, None)


def problems(found: Discovery, route: Route) -> list[str]:
    """Why a config cannot be drilled on a route."""
    scenario = timeline("  - {phase: outage, for: 5s, faults: [status: {role: primary, code: 503}]}\n")
    planned = Planned(GATEWAY, found, resolve(scenario, found.legs))
    said = [str(problem) for problem in routing.get(route).problems(planned)]
    return [one.replace(found.config_file, "x.toml") for one in said]


def database(where: str, what: str, why: str) -> str:
    """The message for a setting without which TensorZero would start."""
    return (
        f"x.toml:{where}: {what}: {why}, and there is none in a drill; use --route rewrite, whose private copy does "
        "without"
    )


ADAPTIVE = """\
[functions.f]
type = "chat"
[functions.f.experimentation]
type = "adaptive"
metric = "m"
candidate_variants = ["w"]
[functions.f.variants.w]
type = "chat_completion"
model = "a"
"""
REFUSED = {
    "observability": (
        "[gateway]\nobservability.enabled = true\n",
        [database("6:15", "gateway.observability.enabled", "it needs a database")],
    ),
    "authentication": (
        "[gateway.auth]\nenabled = true\n",
        [database("6:1", "gateway.auth.enabled", "authentication needs Postgres")],
    ),
    "rate limits": (
        "[[rate_limiting.rules]]\nalways = true\n",
        [database("5:17", "rate_limiting.rules", "rate limits need a database")],
    ),
    "a store": (
        '[object_storage]\ntype = "s3_compatible"\n',
        [database("5:2", "object_storage", "TensorZero writes to it when it starts")],
    ),
    "an experiment that learns": (
        ADAPTIVE,
        [database("7:14", "the adaptive experiment of function 'f'", "it needs Postgres")],
    ),
    "keys of the callers": (
        '[provider_types.openai.defaults]\napi_key_location = "dynamic::key"\n',
        [
            (
                "x.toml:6:20: leg openai-gpt-4o takes its api_key_location from each request, and a drill's callers "
                "bring none; use --route rewrite"
            )
        ],
    ),
    "all at once": (
        '[postgres]\nenabled = true\n[object_storage]\ntype = "filesystem"\npath = "store"\n',
        [
            database("6:1", "postgres.enabled", "it needs Postgres"),
            database("7:2", "object_storage", "TensorZero writes to it when it starts"),
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_start_without_a_database(case: tuple[str, list[str]], tmp_path: Path) -> None:
    """One sentence each where the config stays as it is; a private copy does without."""
    text, expected = case
    found = found_in(tmp_path, TWO + text)
    assert problems(found, Route.FORWARD) == problems(found, Route.SEALED) == expected
    assert problems(found, Route.REWRITE) == []


OFF = """\
[gateway]
auth.enabled = false
observability = {enabled = false, async_writes = false}
[rate_limiting]
enabled = false
rules = [{always = true}]
[object_storage]
type = "disabled"
[models.b]
routing = ["o"]
providers.o = {type = "openai", model_name = "x", api_key_location = {default = "dynamic::k", fallback = "env::K"}}
"""


@pytest.mark.parametrize("text", ["", OFF, sample("cross-cloud.toml").read_text()])
def test_what_can_be_drilled_as_it_is(text: str, tmp_path: Path) -> None:
    """Nothing is refused on any route."""
    found = found_in(tmp_path, text if "[models.chat]" in text else TWO + text)
    assert {route: problems(found, route) for route in (Route.REWRITE, Route.FORWARD, Route.SEALED)} == {
        Route.REWRITE: [],
        Route.FORWARD: [],
        Route.SEALED: [],
    }


def test_a_base_url_that_cannot_be_set(tmp_path: Path) -> None:
    """A private copy cannot lead such a leg to a plane; its real host can."""
    found = found_in(tmp_path, GOOGLE)
    why = "so a private copy cannot redirect it; use --route forward or --route sealed, or only these: anthropic, "
    expected = [
        f"x.toml:{where}: provider {name!r} of model 'a': TensorZero has no base URL setting for {kind!r}, {why}"
        "aws_bedrock, azure, openai, sglang, tgi, vllm"
        for where, name, kind in (
            ("8:8", "vertex", "gcp_vertex_gemini"),
            ("15:8", "claude", "gcp_vertex_anthropic"),
            ("21:8", "groq", "groq"),
        )
    ]
    assert problems(found, Route.REWRITE) == expected
    assert problems(found, Route.FORWARD) == problems(found, Route.SEALED) == []
    assert found.kept == (f"{found.config_file}:2:1: gateway.export stays on this route; its traces reach nobody",)


def test_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a leg is is said by the real variable; every credential is a dummy; those in the file are never written."""
    azure = (
        '[models.b]\nrouting = ["z"]\nproviders.z = {type = "azure", deployment_id = "d", endpoint = "env::WHERE"}\n'
    )
    for name, value in {
        "WHERE": "https://acme.openai.azure.com",
        "MY_KEY": "REAL",
        "OPENAI_API_KEY": "REAL",
        "ACCOUNT": "/real",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("TENSORZERO_CLICKHOUSE_URL", "http://db.example.com")
    found = found_in(tmp_path, GOOGLE + azure)
    private = tmp_path / "private"
    around = {"HTTPS_PROXY": "http://127.0.0.1:5", "NO_PROXY": "::1", "SSL_CERT_FILE": "/x.pem"}
    launch = GATEWAY.launch_unchanged(found, around, 4000, private)
    account = str(private / "service-account.json")
    assert {name: launch.env[name] for name in (*around, "WHERE", "MY_KEY", "OPENAI_API_KEY", "ACCOUNT")} == {
        **around,
        "WHERE": "https://acme.openai.azure.com",
        "MY_KEY": DUMMY,
        "OPENAI_API_KEY": DUMMY,
        "ACCOUNT": account,
    }
    assert "TENSORZERO_CLICKHOUSE_URL" not in launch.env
    assert [value for value in launch.env.values() if "REAL" in value] == []
    assert launch.argv[-2:] == (found.config_file, "4000")
    assert json.loads(launch.files[account])["client_email"] == "drill@drill.iam.gserviceaccount.com"
    assert launch.secrets == ("REAL-header",)
    Path(found.config_file).write_text(GOOGLE + "\n")
    with pytest.raises(UsageProblem, match="was changed since the drill read it"):
        GATEWAY.launch_unchanged(found, around, 4000, private)


@pytest.mark.gateway
@pytest.mark.parametrize("route", [Route.FORWARD, Route.SEALED])
def test_providers_that_only_their_real_hosts_lead_to(route: Route, tmp_path: Path) -> None:
    """Google's cloud goes away, both legs of it, and groq.com answers: by their names, in TLS, from the user's file."""
    config = tmp_path / "tensorzero.toml"
    config.write_text(GOOGLE)
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    before = config.read_bytes(), config.stat().st_mtime_ns
    ran = drill("run", scenario, "--gateway", "tensorzero", "--config", config, "--route", route, cwd=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert (config.read_bytes(), config.stat().st_mtime_ns) == before
    result = ran.result
    assert result.verdict is Verdict.PASS
    assert (result.gateway.route, result.hosts_tried, result.attempts.unexplained) == (route, (), 0)
    (switchover,) = result.switchovers
    assert switchover.to == "groq-llama-3"
    assert ran.folder is not None
    assert not [path.name for path in ran.folder.iterdir() if b"REAL-header" in path.read_bytes()]
