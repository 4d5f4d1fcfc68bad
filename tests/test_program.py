"""An application under test: how its legs are given, what it is started with, what is refused, and whole drills."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from drilling import Ran, descendants, drill, events, gone, listened_on, listeners, start, until_line

from drills import cli, driving, providers
from drills.gateways.base import Gateway, Launch, MakesCalls, TakesUnchanged
from drills.gateways.program import Program, load
from drills.legs import Leg, Selector, select
from drills.ports import lasting_port
from drills.problems import UsageProblem
from drills.result import CheckPart, Verdict
from drills.verify import verify

pytestmark = pytest.mark.clock

DIALECTS = "anthropic, azure, bedrock, gemini, openai, vertex"
FULL = """\
name: my-app
health: http://127.0.0.1:8000/health
env: {LOG_LEVEL: info, API_TOKEN: not-to-be-written, WHERE: "{leg.b}/v1"}
legs:
  - {name: a, provider: bedrock, model: claude, cloud: aws, region: eu-west-1}
  - {name: b, provider: openai, model: gpt-4o, cloud: openai}
  - {name: c, provider: openai, model: gpt-4o, cloud: azure, variable: EU_BASE, hosts: [eu.example, id.example]}
"""
LEG_KEYS = "cloud, hosts, model, name, provider, region, role, variable, vendor"
LOOPBACK = "write http://127.0.0.1:PORT/path"
TWO_OF_ONE = """\
legs:
  - {name: us, provider: openai, model: m, cloud: x, hosts: [us.api.openai.com]}
  - {name: eu, provider: openai, model: m, cloud: y, hosts: [eu.api.openai.com]}
"""
URLS = {"a": "http://127.0.0.1:11", "b": "http://127.0.0.1:12", "c": "http://127.0.0.1:13"}


def written(folder: Path, text: str) -> str:
    """The text as a legs file."""
    path = folder / "legs.yaml"
    path.write_text(text)
    return str(path)


def launched(program: Program, urls: dict[str, str], private: Path) -> Launch:
    """What a program is started with."""
    return program.launch(program.discover(None, None), urls, 0, private)


class TestReading:
    """Where the legs come from."""

    def test_the_short_form(self) -> None:
        """Providers in order of preference: their own cloud, vendor and hosts, a model to probe with."""
        program = load(["python", "app.py"], "anthropic, openai", None)
        found = program.discover(None, None)
        assert found.legs == (
            Leg(
                name="anthropic",
                role="primary",
                provider="anthropic",
                vendor="anthropic",
                model="claude-sonnet-4-5",
                cloud="anthropic",
                hosts=("api.anthropic.com",),
            ),
            Leg(
                name="openai",
                role="secondary",
                provider="openai",
                vendor="openai",
                model="gpt-4o",
                cloud="openai",
                hosts=("api.openai.com",),
            ),
        )
        assert found.config_file == "--legs anthropic,openai"
        assert found.config_sha256 == hashlib.sha256(b"anthropic,openai").hexdigest()
        assert [leg.name for leg in select(Selector(cloud_of="primary"), found.legs)] == ["anthropic"]

    @pytest.mark.parametrize("name", providers.names())
    def test_every_provider_has_a_short_form(self, name: str) -> None:
        """With base URL variables, and with hosts unless each customer has one of his own."""
        [leg] = load(["x"], name, None).discover(None, None).legs
        client = providers.get(name).client
        assert leg.provider == name
        assert client.urls
        assert bool(leg.hosts) is (name != "azure")
        assert not any("{" in host for host in leg.hosts)

    def test_a_region_of_the_user_s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The SDK will look for the leg there."""
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        [leg] = load(["x"], "bedrock", None).discover(None, None).legs
        assert (leg.region, leg.hosts) == ("eu-central-1", ("bedrock-runtime.eu-central-1.amazonaws.com",))

    def test_a_file(self, tmp_path: Path) -> None:
        """Each key is where it belongs; the command line's health URL comes first."""
        path = written(tmp_path, FULL)
        program = load(["python"], path, None)
        assert (program.name, program.health_url) == ("my-app", "http://127.0.0.1:8000/health")
        assert load(["python"], path, "http://localhost:1/").health_url == "http://localhost:1/"
        found = program.discover(None, None)
        assert [(leg.name, leg.role, leg.region) for leg in found.legs] == [
            ("a", "primary", "eu-west-1"),
            ("b", "secondary", None),
            ("c", "tertiary", None),
        ]
        assert [leg.hosts for leg in found.legs] == [
            ("bedrock-runtime.eu-west-1.amazonaws.com",),
            ("api.openai.com",),
            ("eu.example", "id.example"),
        ]
        told = "a by AWS_ENDPOINT_URL_BEDROCK_RUNTIME, ANTHROPIC_BEDROCK_BASE_URL, DRILL_LEG_A; "
        told += "b by OPENAI_BASE_URL, DRILL_LEG_B; c by EU_BASE, DRILL_LEG_C"
        assert found.left_out == (f"the application finds its legs: {told}",)

    def test_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """That of its file, when one is named behind the interpreter; else the program's."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "my_app.py").write_text("")
        assert load(["python", "-u", "my_app.py", "--fast"], "openai", None).name == "my_app.py"
        assert load(["/opt/bin/serve", "--fast"], "openai", None).name == "serve"


class TestStarting:
    """What the process is given."""

    def test_its_surroundings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Base URLs of the planes, dummies, and nothing that leads out of this host."""
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "HTTPS_PROXY"):
            monkeypatch.setenv(name, "of-the-user")
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        launch = launched(load([sys.executable, "app.py", "-v"], written(tmp_path, FULL), None), URLS, tmp_path)
        assert launch.argv == (sys.executable, "app.py", "-v")
        assert (launch.cwd, launch.base_url, launch.ready_path) == (str(Path.cwd()), "", "")
        wanted = {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://127.0.0.1:11",
            "ANTHROPIC_BEDROCK_BASE_URL": "http://127.0.0.1:11",
            "OPENAI_BASE_URL": "http://127.0.0.1:12/v1",
            "EU_BASE": "http://127.0.0.1:13/v1",
            "DRILL_LEG_A": "http://127.0.0.1:11",
            "DRILL_LEG_C": "http://127.0.0.1:13",
            "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
            "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9",
            "AWS_REGION": "eu-west-1",
            "OPENAI_API_KEY": "sk-drill",
            "LOG_LEVEL": "info",
            "WHERE": "http://127.0.0.1:12/v1",
        }
        assert {name: launch.env.get(name) for name in wanted} == wanted
        assert "of-the-user" not in launch.env.values()
        assert launch.secrets == ("not-to-be-written",)

    def test_unchanged(self, tmp_path: Path) -> None:
        """On a route that needs no other base URLs: none of them, and what leads its traffic wins."""
        program = load([sys.executable], written(tmp_path, FULL.replace(', WHERE: "{leg.b}/v1"', "")), None)
        surroundings = {"HTTPS_PROXY": "http://127.0.0.1:8080", "SSL_CERT_FILE": "/ca.pem", "NO_PROXY": ""}
        launch = program.launch_unchanged(program.discover(None, None), surroundings, 0, tmp_path)
        assert {name: launch.env[name] for name in surroundings} == surroundings
        assert not [name for name in launch.env if name.endswith(("BASE_URL", "ENDPOINT")) or name.startswith("DRILL_")]
        assert launch.env["OPENAI_API_KEY"] == "sk-drill"

    def test_a_service_account(self, tmp_path: Path) -> None:
        """Vertex gets a file with an account that nobody knows, whose tokens come from the leg."""
        urls = {"vertex": "http://127.0.0.1:11"}
        launch = launched(load([sys.executable], "vertex", None), urls, tmp_path)
        [(path, text)] = launch.files.items()
        assert launch.env["GOOGLE_APPLICATION_CREDENTIALS"] == path
        assert json.loads(text)["token_uri"] == f"{urls['vertex']}/token"

    def test_what_it_is(self) -> None:
        """An application, which can be started on any route, and to which nobody sends requests."""
        program = load(["x"], "openai", None)
        assert isinstance(program, MakesCalls)
        assert isinstance(program, TakesUnchanged)
        gateway: Gateway = program
        assert gateway.name == "x"


BAD: list[tuple[str, list[str]]] = [
    ("legs: []\n", ["1:7: 'legs' in the legs file: must have at least 1 item"]),
    (
        "legs: [{name: a, provider: openai, model: m, cloud: x, port: 4101}]\nready: /x\n",
        [
            f"1:56: unknown key 'port' in a leg; allowed: {LEG_KEYS}",
            "2:1: unknown key 'ready' in the legs file; allowed: env, health, legs, name",
        ],
    ),
    (
        """\
legs:
  - {name: a, provider: openai, model: m, cloud: x}
  - name: b
    provider: openai
    model: m
    cloud: y
  - {name: c, provider: openai, model: m, cloud: z, variable: A B}
  - {name: d, provider: azure, model: m, cloud: z, variable: OPENAI_BASE_URL}
""",
        [
            "4:15: two legs have their base URL in OPENAI_BASE_URL, first at {file}:2:25; give each its own `variable`",
            "7:63: 'variable' in a leg: 'A B' must be letters, digits and underscores",
            "8:62: two legs have their base URL in OPENAI_BASE_URL, first at {file}:2:25; give each its own `variable`",
        ],
    ),
    (
        'env: {DRILL_X: 1, A: "{port}"}\nlegs: [{name: a, provider: opnai, model: m, cloud: x}]\n',
        [
            "1:7: variable 'DRILL_X' in env: names with DRILL_ are the drill's own",
            "1:22: unknown placeholder {port}; allowed: leg.a",
            f"2:28: unknown provider 'opnai'; did you mean 'openai'? allowed: {DIALECTS}",
        ],
    ),
    (
        "health: 127.0.0.1:8000\nlegs: [{name: a, provider: openai, model: m, cloud: x}]\n",
        ["1:9: 'health' in the legs file '127.0.0.1:8000' is no URL; write http://127.0.0.1:PORT/path"],
    ),
    (
        "health: http://example.com/\nlegs: [{name: a, provider: openai, model: m, cloud: x}]\n",
        [f"1:9: 'health' in the legs file 'http://example.com/' is not on this host's loopback; {LOOPBACK}"],
    ),
]


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_bad_files(text: str, problems: list[str], tmp_path: Path) -> None:
    """Every problem at once, each with its place and the choices."""
    path = written(tmp_path, text)
    with pytest.raises(UsageProblem) as caught:
        load(["python"], path, None)
    assert str(caught.value).splitlines() == [f"{path}:{line.replace('{file}', path)}" for line in problems]


_LEGS_OF_A_COMMAND = "--legs: a legs file, or providers in the order in which it asks them, such as anthropic,openai"
WORDS: list[tuple[tuple[str, ...], list[str]]] = [
    (("--legs", "openai", "--"), ["there is no command after --"]),
    (
        ("--", "python"),
        [f"a command after -- needs {_LEGS_OF_A_COMMAND}"],
    ),
    (
        ("--gateway", "litellm", "--config", "x", "--model", "m", "--port", "1", "--legs", "openai", "--", "python"),
        [
            "--gateway does not go with a command after --, which is started as it is",
            "--config does not go with a command after --, which is started as it is",
            "--model does not go with a command after --, which is started as it is",
            "--port does not go with a command after --, which is started as it is",
        ],
    ),
    (
        ("--legs", "antropic,openai,openai", "--health", "localhost", "--", "python"),
        [
            f"--legs: unknown provider 'antropic'; did you mean 'anthropic'? allowed: {DIALECTS}; or name a legs file",
            "--legs: openai stands there twice; two legs of one provider need a legs file",
            "--health 'localhost' is no URL; write http://127.0.0.1:PORT/path",
        ],
    ),
    (
        ("--legs", "anthropic,openai", "--health", "http://me:hpw-REAL@127.0.0.1:1/h?token=htok-REAL", "--", "python"),
        ["--health the URL has a user or a key in it, which would be written down; write http://127.0.0.1:PORT/path"],
    ),
    (("--legs", "no/legs.yaml", "--", "python"), ["no/legs.yaml: there is no such file"]),
    (
        ("--legs", "anthropic,openai", "--", "no-such-program", "x"),
        ["there is no program 'no-such-program' on PATH to start"],
    ),
    (
        ("--legs", "anthropic,openai", "--", "./no-such-program"),
        ["there is no program './no-such-program' to start"],
    ),
    (("--health", "http://127.0.0.1:1/"), ["--health goes with a command after --, or with the URL of a gateway"]),
]


@pytest.mark.parametrize(("words", "expected"), WORDS)
def test_words_that_do_not_go_together(words: tuple[str, ...], expected: list[str], tmp_path: Path) -> None:
    """One line each, exit code 2, and nothing was started."""
    ran = drill("run", "primary-down", *words, cwd=tmp_path)
    assert (ran.code, ran.err.splitlines()) == (2, [f"drill: {line}" for line in expected])
    assert not (tmp_path / "drill-results").exists()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("gateway_pause: {}", "fault 'gateway_pause' is on a gateway that the drill starts; an application is none"),
        (
            "degraded_text: {role: primary}",
            "fault 'degraded_text' changes marks, and an application's own calls carry none",
        ),
    ],
)
def test_faults_that_cannot_meet_an_application(fault: str, expected: str, tmp_path: Path) -> None:
    """With their places, before anything is started."""
    ran = run(tmp_path, fault, [])
    assert (ran.code, ran.err) == (2, f"drill: s.yaml:7:43: {expected}\n")


def test_a_command_where_none_belongs(tmp_path: Path) -> None:
    """Only `run` and `plan` take one."""
    ran = drill("validate", "primary-down", "--", "python", cwd=tmp_path)
    assert (ran.code, ran.err) == (2, "drill: only `drill run` and `drill plan` take a command after --\n")


def test_two_legs_of_one_provider_need_variables_or_another_route(tmp_path: Path) -> None:
    """An SDK reads one base URL; where the real hosts are called, these tell the legs apart."""
    path = written(tmp_path, TWO_OF_ONE)
    with pytest.raises(UsageProblem, match="two legs have their base URL in OPENAI_BASE_URL"):
        load(["python"], path, None)
    legs = load(["python"], path, None, by_variables=False).discover(None, None).legs
    assert [leg.hosts for leg in legs] == [("us.api.openai.com",), ("eu.api.openai.com",)]


def test_a_plan(tmp_path: Path) -> None:
    """For people and as JSON: the legs, and no load."""
    words = ("plan", "cloud-outage", "--legs", "anthropic,openai")
    ran = drill(*words, "--", "python", "x.py", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "it makes its own calls; the legs, in the order in which it uses them:" in ran.out
    assert "no load, for 53 s:" in ran.out
    assert "blackhole on anthropic" in ran.out
    found = json.loads(drill(*words, "--json", "--", "python", "x.py", cwd=tmp_path).out)
    assert (found["arrivals"], [leg["name"] for leg in found["legs"]]) == (0, ["anthropic", "openai"])


def test_a_plan_of_a_program_that_is_not_there(tmp_path: Path) -> None:
    """It is said as the run would say it: a plan that nobody can carry out is none."""
    (tmp_path / "g.yaml").write_text(
        "name: g\ncommand: [./no-such-program]\nlegs:\n  - {name: a, provider: openai, model: m, cloud: c}\n"
        "  - {name: b, provider: anthropic, model: m, cloud: d}\n"
    )
    for words, said in (
        (("--legs", "anthropic,openai", "--", "/nonexistent"), "there is no program '/nonexistent' to start"),
        (("--gateway", "g.yaml"), f"g.yaml:2:11: there is no program './no-such-program' on PATH or in {tmp_path}"),
    ):
        ran = drill("plan", "cloud-outage", *words, cwd=tmp_path)
        assert (ran.code, ran.out, ran.err) == (2, "", f"drill: {said}\n")


# --- whole drills, of applications that need no SDK ------------------------------------------------------------------

APP = '''\
"""Asks one leg after the other; what it does when one fails is for its modes to say."""
import http.client, http.server, json, os, sys, threading, time
from urllib.parse import urlsplit

MODES = sys.argv[1:]
healthy = True

class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if healthy else 503)
        self.end_headers()
    def log_message(self, *args):
        pass

for word in MODES:
    if word.startswith("health="):
        server = http.server.HTTPServer(("127.0.0.1", int(word[7:])), Health)
        threading.Thread(target=server.serve_forever, daemon=True).start()

def call(leg, path, text):
    where = urlsplit(os.environ["DRILL_LEG_" + leg])
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=0.7)
    try:
        body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"status {answer.status}, key {os.environ.get('APP_KEY')} \\x1b[31m")
        return answer.read()
    finally:
        connection.close()

def ask(text):
    try:
        return call("ANTHROPIC", "/v1/messages", text)
    except OSError:
        if "fall" not in MODES:
            raise
    return call("OPENAI", "/v1/chat/completions", text)

number = 0
while number < 10 or "ends" not in MODES:
    number += 1
    try:
        ask("ping" if "same" in MODES else f"question {number}: what is the secret word xyzzy?")
        healthy = True
    except OSError as error:
        if "log" not in MODES:
            raise
        healthy = False
        print("lost", error)
    time.sleep(0.1)
'''
SCENARIO = """\
name: The first choice is gone
objective: The application goes on.
load: {rate: 10/s, deadline: 5s, slow: 2s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1500ms}
  - {phase: outage, for: 2500ms, faults: [FAULT]}
  - {phase: recovery, for: 1500ms}
expect:
  switchover: {within: 2s}
  failback: {within: 1500ms}
  lost: {at_most: 0}
"""
DOWN = "status: {role: primary, code: 503}"
GONE = "blackhole: {cloud_of: primary}"
BUSY = ("fault plane", "fault proof")
TRIES = 3


def run(folder: Path, fault: str, modes: Sequence[str], *options: str, outage: str = "2500ms") -> Ran:
    """A drill of the application, repeated while the machine is too busy for it."""
    (folder / "app.py").write_text(APP)
    (folder / "s.yaml").write_text(SCENARIO.replace("FAULT", fault).replace("for: 2500ms", f"for: {outage}"))
    legs = () if "--legs" in options else ("--legs", "anthropic,openai")
    for _ in range(TRIES):
        ran = drill("run", "s.yaml", *legs, *options, "--", sys.executable, "app.py", *modes, cwd=folder)
        if ran.code != 3 or not all(reason.startswith(BUSY) for reason in ran.result.reasons):
            break
    return ran


def check(ran: Ran, name: str) -> CheckPart:
    """The finding of one check."""
    return next(part for part in ran.result.checks if part.name == name)


def adds_up(ran: Ran) -> list[dict[str, Any]]:
    """The history, in which every call is in exactly one request; judged again it says the same."""
    result = ran.result
    assert ran.folder is not None
    assert result.inferred is not None
    history = events(ran.folder)
    seen = {e["attempt"] for e in history if e["event"] == "attempt_received" and not e["id"]}
    assert result.attempts.total == sum(path.requests * len(path.attempts) for path in result.paths)
    assert 0 <= len(seen) - result.attempts.total - result.inferred.warm_up - result.attempts.side_traffic <= 3
    assert result.attempts.unexplained == 0
    again = drill("check", ran.folder, "--json", cwd=ran.folder)
    assert again.code == result.exit_code, again.err
    assert "xyzzy" not in (ran.folder / "history.jsonl").read_text()  # no text of the application's is stored
    return history


def test_a_good_application_passes(tmp_path: Path) -> None:
    """By status: each request tries the first leg, and is answered by the second."""
    ran = run(tmp_path, DOWN, ["fall"])
    assert ran.code == 0, ran.out + ran.err
    adds_up(ran)
    [found] = ran.result.switchovers
    assert (found.from_, found.to, found.bad) == ("anthropic", "openai", 0)
    assert found.detour_p50_s is not None
    assert check(ran, "the application").observed == "it ran until the drill ended it (SIGTERM)"
    assert not [part for part in ran.result.checks if part.name in {"load generator", "upstreams at the planes"}]
    assert ran.result.inferred is not None
    assert ran.result.inferred.repeated == 0


def test_connects_that_hang_are_a_part_of_the_requests(tmp_path: Path) -> None:
    """Each request of the outage waits for 0.7 s on a connect that hangs: its time counts from there."""
    ran = run(tmp_path, GONE, ["fall"], outage="4s")
    assert ran.code == 0, ran.out + ran.err
    history = adds_up(ran)
    outage = ran.result.phases[1]
    assert (outage.served_by, outage.bad) == ({"openai": outage.due}, 0)
    assert sum(e["event"] == "connect_hung" for e in history) >= outage.due
    [found] = ran.result.switchovers
    assert found.recovery_s is not None
    assert 0.6 < found.recovery_s < 1.5
    assert found.detour_p50_s is not None
    assert 0.4 < found.detour_p50_s < 0.9


def test_an_application_that_does_not_catch_fails(tmp_path: Path) -> None:
    """Its exit code is a finding, with the time, the phase and its last words, escaped and without its secrets."""
    legs = tmp_path / "legs.yaml"
    legs.write_text(
        "env: {APP_KEY: sk-of-the-app-4711}\nlegs:\n"
        "  - {name: anthropic, provider: anthropic, model: m, cloud: anthropic}\n"
        "  - {name: openai, provider: openai, model: m, cloud: openai}\n"
    )
    ran = run(tmp_path, DOWN, [], "--legs", "legs.yaml")
    assert ran.code == 1, ran.out + ran.err
    adds_up(ran)
    found = check(ran, "the application")
    assert found.verdict is Verdict.FAIL
    assert found.observed.startswith("it ended by itself with exit code 1 1.")
    assert found.observed.endswith("in phase outage")
    assert found.evidence[-1] == "it said: OSError: status 503, key [redacted]  [31m"
    assert check(ran, "traffic before, during and after").verdict is Verdict.PASS
    assert ran.result.switchovers[0].client_outage_s.lower > 1
    assert ran.folder is not None
    everything = ran.out + ran.err + "".join(path.read_text() for path in ran.folder.iterdir() if path.is_file())
    assert "sk-of-the-app-4711" not in everything
    assert verify([ran.folder]).exit_code == 0


def test_an_application_that_only_logs_fails(tmp_path: Path) -> None:
    """Nothing answers while its only leg hangs: each connect given up is a lost request, and its health URL says so."""
    health = lasting_port()
    ran = run(tmp_path, GONE, ["log", f"health={health}"], "--health", f"http://127.0.0.1:{health}/")
    assert ran.code == 1, ran.out + ran.err
    adds_up(ran)
    assert ran.result.requests.failed >= 3
    assert check(ran, "lost requests").verdict is Verdict.FAIL
    assert ran.result.switchovers[0].switchover_s is None
    found = ran.result.health
    assert found is not None
    assert 20 < found.polls < 35
    assert found.failed >= 5
    assert found.errors[0] == "status 503"
    assert found.outage_s.lower <= found.outage_s.point <= found.outage_s.upper
    assert 1 < found.outage_s.point < 4
    assert check(ran, "health URL").verdict is Verdict.FAIL


def test_a_text_that_is_repeated_hides_no_failure(tmp_path: Path) -> None:
    """The same text again and again, answered after the outage: those in between were lost all the same."""
    ran = run(tmp_path, DOWN, ["log", "same"])
    assert ran.code == 1, ran.out + ran.err
    adds_up(ran)
    outage = ran.result.phases[1]
    assert outage.due == outage.bad
    assert outage.bad > 5
    assert ran.result.inferred is not None
    assert ran.result.inferred.repeated == ran.result.requests.due


def test_an_application_that_ends_too_soon_proves_nothing(tmp_path: Path) -> None:
    """With exit code 0, before the timeline is over: one sentence, and no verdict on its failover."""
    ran = run(tmp_path, DOWN, ["fall", "ends"])
    assert ran.code == 3, ran.out + ran.err
    assert check(ran, "the application").observed.startswith("it ended by itself with exit code 0 ")
    assert ran.result.verdict is Verdict.INVALID


@pytest.mark.skipif(sys.platform != "linux", reason="/proc knows the descendants of a process")
def test_nothing_of_it_stays_behind_when_the_drill_is_killed(tmp_path: Path) -> None:
    """SIGKILL in the middle of the outage: application, planes and providers are gone soon."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("FAULT", GONE))
    words = ("run", "s.yaml", "--legs", "anthropic,openai", "--", sys.executable, "app.py", "fall")
    with start(*words, cwd=tmp_path) as process:
        until_line(process, "is on (anthropic)", 30)
        found = descendants(process.pid)
        ports = listeners(found)
        assert len(found) >= 4  # simulator, plane, keeper, application
        assert len(ports) >= 4  # two legs at the simulator and at the plane
        process.kill()
        assert gone(found, 5) == set()
    assert listened_on(ports) == set()


def test_an_application_that_calls_nobody(tmp_path: Path) -> None:
    """It ends before its first call was answered: its last words in one line, and no folder."""
    (tmp_path / "app.py").write_text("raise SystemExit('no model is configured')")
    ran = drill("run", "primary-down", "--legs", "anthropic,openai", "--", sys.executable, "app.py", cwd=tmp_path)
    what = "app.py ended by itself with exit code 1 before its first call was answered: no model is configured"
    assert (ran.code, ran.err) == (2, f"drill: {what}\n")
    assert not list((tmp_path / "drill-results").glob("*"))


NEVER_WELL = """\
import json, os, time, urllib.request
body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}).encode()
print("about to call", flush=True)
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    body, {"content-type": "application/json", "authorization": "Bearer k"},
)
urllib.request.urlopen(request, timeout=5).read()
time.sleep(60)
"""


def test_an_application_that_is_never_healthy_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drill proved nothing: the run is kept with its log, and says why."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driving, "FIRST_CALL_WITHIN_S", 1.0)
    health = f"http://127.0.0.1:{lasting_port()}/h"
    (tmp_path / "app.py").write_text(NEVER_WELL)
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["run", "primary-down", "--legs", "openai,anthropic", "--health", health, "--", sys.executable, "app.py"]
        )
    assert ended.value.code == 3
    said = capsys.readouterr().out
    assert f"app.py was not healthy within 1 s: {health} does not answer with 200" in said
    assert "Make the application work without any fault first; gateway.log says what it thinks." in said
    [folder] = (path for path in (tmp_path / "drill-results").iterdir() if path.is_dir())
    assert "about to call" in (folder / "gateway.log").read_text()
    assert (folder / "result.json").exists()
