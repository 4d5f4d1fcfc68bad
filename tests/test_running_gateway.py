"""A gateway that runs already: what its legs file says, what is refused, and whole drills of one by its URL."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from drilling import Ran, alive, drill, listened_on
from test_simulator import running

from drills import chain
from drills.authority import Authority
from drills.gateways.base import RunsAlready
from drills.gateways.running import load
from drills.legs import Leg
from drills.ports import lasting_port
from drills.problems import UsageProblem
from drills.result import Verdict
from drills.simulator import SimulatedLeg, SimulatorSpec
from drills.verify import verify
from faults.handshake import Certificate

pytestmark = pytest.mark.clock

FULL = """\
name: our-gateway
chat: /openai/chat/completions
ready: /ready
model: gpt
own_checks: true
headers: {Authorization: "Bearer env:GATEWAY_KEY", x-team: drills, api-key: written-here}
legs:
  - {name: a, provider: anthropic, model: claude, cloud: anthropic, port: 4101}
  - {name: b, provider: openai, model: gpt-4o, cloud: azure, region: eu, port: 4102}
"""
SHORT = "legs: [{name: a, provider: openai, model: m, cloud: openai, port: 4101}]\n"
SCRIPTED = Path(__file__).parent / "calibration" / "scripted.py"
SCENARIO = """\
name: The first choice is gone
objective: Callers do not notice.
load: {rate: 20/s, deadline: 5s}
providers: {first_token: 10ms, tokens_per_s: 1000}
timeline:
  - {phase: steady, for: 1s}
  - {phase: outage, for: 2s, faults: [FAULT]}
  - {phase: recovery, for: 1s}
expect:
  switchover: {within: 1500ms}
  failback: {within: 1s}
  lost: {at_most: 0, broken_streams: 20}
"""
KEY = "sk-of-the-gateway-4711"
BUSY = ("load generator", "fault plane", "fault proof")
TRIES = 3


def written(folder: Path, text: str) -> Path:
    """The text as a legs file."""
    path = folder / "legs.yaml"
    path.write_text(text)
    return path


class TestReading:
    """What a good file says."""

    def test_everything(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each key is where it belongs; the note says what the upstreams must be."""
        monkeypatch.setenv("GATEWAY_KEY", KEY)
        gateway = load("https://gateway.example:8443/team/v1/", written(tmp_path, FULL))
        assert isinstance(gateway, RunsAlready)
        found = gateway.discover(None, None)
        assert found.legs == (
            Leg(name="a", role="primary", provider="anthropic", vendor="anthropic", model="claude", cloud="anthropic"),
            Leg(
                name="b",
                role="secondary",
                provider="openai",
                vendor="openai",
                model="gpt-4o",
                cloud="azure",
                region="eu",
            ),
        )
        assert found.own_checks
        assert (gateway.name, found.entry_model, found.ports) == ("our-gateway", "gpt", {"a": 4101, "b": 4102})
        [note] = found.notes
        assert note.endswith("must be set: a to http://127.0.0.1:4101, b to http://127.0.0.1:4102/v1")
        entrance = gateway.entrance()
        assert entrance.base_url + entrance.chat_path == "https://gateway.example:8443/team/openai/chat/completions"
        assert entrance.ready_path == "/ready"
        assert dict(entrance.request_headers) == {
            "Authorization": f"Bearer {KEY}",
            "x-team": "drills",
            "api-key": "written-here",
        }
        assert entrance.secrets == (KEY, "written-here")

    def test_the_shortest(self, tmp_path: Path) -> None:
        """Everything else has a default."""
        gateway = load("http://127.0.0.1:4000", written(tmp_path, SHORT))
        entrance = gateway.entrance()
        assert (gateway.name, entrance.base_url, entrance.ready_path) == ("127.0.0.1:4000", "http://127.0.0.1:4000", "")
        assert (entrance.chat_path, entrance.request_headers, entrance.secrets) == ("/v1/chat/completions", (), ())


def test_the_readme_s_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README shows is a legs file, with the base URLs that it says."""
    monkeypatch.setenv("MY_GATEWAY_KEY", KEY)
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    [text] = [block for block in re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL) if "port: 4101" in block]
    [note] = load("http://127.0.0.1:4000", written(tmp_path, text)).discover(None, None).notes
    assert note.endswith("first to http://127.0.0.1:4101, second to http://127.0.0.1:4102/v1")
    for said in ("`http://127.0.0.1:4101`", "`http://127.0.0.1:4102/v1`"):
        assert said in readme


KEYS = "chat, headers, legs, model, name, own_checks, ready"
DIALECTS = "anthropic, azure, bedrock, gemini, openai, vertex"
LEG_KEYS = "cloud, model, name, port, provider, region, role, vendor"
BAD: list[tuple[str, list[str]]] = [
    ("legs: []\n", ["1:7: 'legs' in the legs file: must have at least 1 item"]),
    (
        SHORT.replace(", port: 4101", "") + "health: /x\n",
        [
            "1:8: missing key 'port' in a leg; it takes a whole number",
            f"2:1: unknown key 'health' in the legs file; did you mean 'chat'? allowed: {KEYS}",
        ],
    ),
    (
        SHORT.replace("4101", "0") + "ready: health\n",
        [
            "1:67: 'port' in a leg: must be at least 1, not 0",
            "2:8: 'ready' in the legs file: 'health' must be a path that begins with /",
        ],
    ),
    (
        """\
legs:
  - {name: a, provider: opnai, model: m, cloud: x, port: 41}
  - {name: a, provider: openai, model: m, cloud: x, port: 41, prot: 1}
""",
        [
            f"2:25: unknown provider 'opnai'; did you mean 'openai'? allowed: {DIALECTS}",
            "3:12: leg 'a' is written twice; first at {file}:2:12",
            "3:59: port '41' is written twice; first at {file}:2:58",
            f"3:63: unknown key 'prot' in a leg; did you mean 'port'? allowed: {LEG_KEYS}",
        ],
    ),
    (
        'headers: {A: "Bearer env:NOT_SET", B B: x, C: , D: [x], E: "a\\tb", F: env:WITH_LINE}\n' + SHORT,
        [
            "1:14: header 'A' takes NOT_SET from the environment, where it is not set",
            "1:36: header 'B B' is no name of an HTTP header",
            "1:46: header 'C' has no value; write text, or env:NAME for a secret",
            "1:52: header 'D' must be text",
            "1:60: header 'E': its value must be plain text",
            "1:71: header 'F': the value of WITH_LINE cannot stand in a header",
        ],
    ),
    ("headers: x\n" + SHORT, ["1:10: headers must be a mapping (`NAME: value`)"]),
]


@pytest.mark.parametrize(("text", "problems"), BAD)
def test_bad_files(text: str, problems: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem at once, each with its place and the choices."""
    monkeypatch.setenv("WITH_LINE", "a\r\nInjected: b")
    path = written(tmp_path, text)
    with pytest.raises(UsageProblem) as caught:
        load("http://127.0.0.1:4000", path)
    assert str(caught.value).splitlines() == [f"{path}:{line.replace('{file}', str(path))}" for line in problems]


URLS = [
    ("ftp://127.0.0.1", "unknown scheme; allowed: http, https"),
    ("http://", "is no URL; write http://host:port"),
    ("http://127.0.0.1:99999", "is no URL; write http://host:port"),
    ("http://a b/", "is no URL; write http://host:port"),
    ("http://me:hunter2@127.0.0.1:4000", "has a user or a password in it, which would be written down; use headers"),
    ("http://127.0.0.1:4000/?key=1", "has a query or a fragment; a base URL has none"),
]


@pytest.mark.parametrize(("url", "expected"), URLS)
def test_bad_urls(url: str, expected: str, tmp_path: Path) -> None:
    """Said together with what is wrong in the file; a password is not repeated."""
    with pytest.raises(UsageProblem) as caught:
        load(url, written(tmp_path, "legs: []\n"))
    about_url, about_file = str(caught.value).splitlines()
    assert expected in about_url
    assert "hunter2" not in about_url
    assert "at least 1 item" in about_file


NO_CHOICE = "does not go with a URL: that gateway runs already, and whoever runs it has set its upstreams"
WORDS = [
    (("--gateway", "http://127.0.0.1:4000"), ["--gateway URL needs --legs FILE, which says what its legs are"]),
    (
        (
            "--gateway",
            "http://127.0.0.1:4000",
            "--config",
            "x.yaml",
            "--port",
            "4000",
            "--health",
            "http://127.0.0.1:1",
        ),
        [
            "--config does not go with a URL: that gateway runs already",
            "--port does not go with a URL: that gateway runs already",
            "--health does not go with a URL: that gateway runs already",
            "--gateway URL needs --legs FILE, which says what its legs are",
        ],
    ),
    (
        ("--gateway", "http://127.0.0.1:4000", "--route", "sealed", "--legs", "legs.yaml"),
        [f"--route sealed {NO_CHOICE}"],
    ),
    (("--route", "fixed"), ["--route fixed is for a gateway that runs already: --gateway http://host:port"]),
    (("--legs", "legs.yaml"), ["--legs goes with a command after --, or with the URL of a gateway"]),
    (("--gateway", "http://127.0.0.1:4000", "--legs", "no.yaml"), ["no.yaml: there is no such file"]),
]


@pytest.mark.parametrize(("words", "expected"), WORDS)
def test_words_that_do_not_go_together(words: tuple[str, ...], expected: list[str], tmp_path: Path) -> None:
    """One line each, exit code 2, and nothing was started."""
    ran = drill("run", "primary-down", *words, cwd=tmp_path)
    assert (ran.code, ran.err.splitlines()) == (2, [f"drill: {line}" for line in expected])
    assert not (tmp_path / "drill-results").exists()


def test_a_port_that_is_taken_and_a_fault_on_the_gateway_itself(tmp_path: Path) -> None:
    """Both with their places; nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        legs = SHORT.replace("4101", str(port)).replace(
            "}]", "}, {name: b, provider: openai, model: m, cloud: x, port: 1}]"
        )
        written(tmp_path, legs)
        (tmp_path / "s.yaml").write_text(SCENARIO.replace("FAULT", "refuse: {role: primary}"))
        words = ("run", "s.yaml", "--gateway", "http://127.0.0.1:4000", "--legs", "legs.yaml")
        ran = drill(*words, cwd=tmp_path)
    assert ran.code == 2
    what = f"leg 'a': port {port} on 127.0.0.1 cannot be used: Address already in use; the plane must listen there"
    assert f"drill: legs.yaml:1:67: {what}" in ran.err.splitlines()
    (tmp_path / "s.yaml").write_text(SCENARIO.replace("FAULT", "gateway_kill: {}"))
    ran = drill(*words, cwd=tmp_path)
    what = "fault 'gateway_kill' is on a gateway that the drill starts; http://127.0.0.1:4000 runs already"
    assert (ran.code, ran.err.splitlines()) == (2, [f"drill: s.yaml:7:39: {what}"])


def test_a_plan_says_what_to_set(tmp_path: Path) -> None:
    """For people and as JSON, without anything running."""
    written(tmp_path, SHORT.replace("}]", "}, {name: b, provider: anthropic, model: m, cloud: x, port: 4102}]"))
    words = ("plan", "primary-down", "--gateway", "http://127.0.0.1:4000/v1", "--legs", "legs.yaml")
    ran = drill(*words, cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "upstreams must be set: a to http://127.0.0.1:4101/v1, b to http://127.0.0.1:4102" in ran.out
    found = json.loads(drill(*words, "--json", cwd=tmp_path).out)
    assert found["upstreams"] == {"a": "http://127.0.0.1:4101/v1", "b": "http://127.0.0.1:4102"}


# --- whole drills ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A gateway that the drill did not start."""

    pid: int
    port: int


@contextmanager
def scripted(folder: Path, upstreams: dict[str, str]) -> Iterator[Started]:
    """The scripted gateway, started by somebody else than the drill; its upstreams by role."""
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"mode": "good", "truth_file": str(folder / "truth")}))
    port = lasting_port()
    legs = {f"DRILL_LEG_{role}": url for role, url in upstreams.items()}
    env = {**os.environ, **legs, "DRILL_PORT": str(port)}
    with subprocess.Popen([sys.executable, SCRIPTED, settings], env=env) as process:
        try:
            until_healthy(port)
            yield Started(process.pid, port)
        finally:
            process.terminate()


def until_healthy(port: int, path: str = "/health", within_s: float = 20) -> None:
    """Wait until a gateway on this host says that it is ready."""
    until_s = time.monotonic() + within_s
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            assert connection.getresponse().status == 200
        except OSError:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()


def legs_file(folder: Path, ports: tuple[int, int]) -> Path:
    """Two OpenAI legs at these ports, and a secret header."""
    return written(
        folder,
        "ready: /health\nheaders: {Authorization: 'Bearer env:GATEWAY_KEY'}\nlegs:\n"
        f"  - {{name: primary, provider: openai, model: gpt-4o, cloud: openai, port: {ports[0]}}}\n"
        f"  - {{name: standby, provider: openai, model: gpt-4o, cloud: azure, port: {ports[1]}}}\n",
    )


def drilled(folder: Path, url: str, fault: str, env: dict[str, str] | None = None) -> Ran:
    """A drill by URL, repeated while the machine is too busy for it."""
    (folder / "s.yaml").write_text(SCENARIO.replace("FAULT", fault))
    for _ in range(TRIES):
        words = ("run", "s.yaml", "--gateway", url, "--legs", "legs.yaml")
        ran = drill(*words, cwd=folder, env={"GATEWAY_KEY": KEY, **(env or {})})
        if ran.code != 3 or not all(reason.startswith(BUSY) for reason in ran.result.reasons):
            break
    return ran


def test_a_good_gateway_passes_and_goes_on(tmp_path: Path) -> None:
    """It is neither started nor stopped, its key is nowhere, and the planes' ports are free again after the drill."""
    ports = lasting_port(), lasting_port()
    legs_file(tmp_path, ports)
    urls = {role: f"http://127.0.0.1:{port}" for role, port in zip(("PRIMARY", "STANDBY"), ports, strict=True)}
    with scripted(tmp_path, urls) as gateway:
        url = f"http://127.0.0.1:{gateway.port}/v1"
        ran = drilled(tmp_path, url, "status: {role: primary, code: 503}")
        assert ran.code == 0, ran.out + ran.err
        assert alive({gateway.pid})
    assert listened_on(set(ports)) == set()
    assert ran.folder is not None
    assert KEY not in ran.out + ran.err + "".join(path.read_text() for path in ran.folder.iterdir() if path.is_file())
    assert f"head {chain.read(ran.folder.parent).head}; kept elsewhere" in ran.out
    assert verify([ran.folder.parent]).exit_code == 0
    result = ran.result
    assert (result.switchovers[0].from_, result.switchovers[0].to) == ("primary", "standby")
    check = next(part for part in result.checks if part.name == "upstreams at the planes")
    assert (check.verdict, check.observed) == (Verdict.PASS, "0 answers came from no leg; every leg was called")


@pytest.mark.toxiproxy
def test_a_line_stands_at_the_fixed_port_of_its_leg(tmp_path: Path) -> None:
    """A fault on the wire puts Toxiproxy where the gateway calls the leg, in front of the other plane."""
    ports = lasting_port(), lasting_port()
    legs_file(tmp_path, ports)
    urls = {role: f"http://127.0.0.1:{port}" for role, port in zip(("PRIMARY", "STANDBY"), ports, strict=True)}
    with scripted(tmp_path, urls) as gateway:
        ran = drilled(tmp_path, f"http://127.0.0.1:{gateway.port}", "wire_down: {role: primary}")
    assert ran.code == 0, ran.out + ran.err
    assert (ran.result.switchovers[0].from_, ran.result.switchovers[0].to) == ("primary", "standby")
    assert listened_on(set(ports)) == set()


def test_upstreams_that_point_elsewhere(tmp_path: Path) -> None:
    """One sentence that lists what they should be, and one request that went astray is all that was sent."""
    ports = lasting_port(), lasting_port()
    legs_file(tmp_path, ports)
    spec = SimulatorSpec((SimulatedLeg("primary", "openai"),), first_token_s=0, tokens_per_s=5000)
    with (
        running(spec) as (_, elsewhere),
        scripted(
            tmp_path, dict.fromkeys(("PRIMARY", "STANDBY"), f"http://127.0.0.1:{elsewhere['primary']}")
        ) as gateway,
    ):
        ran = drilled(tmp_path, f"http://127.0.0.1:{gateway.port}", "refuse: {role: primary}")
    assert ran.code == 2
    wanted = f"primary at http://127.0.0.1:{ports[0]}/v1, standby at http://127.0.0.1:{ports[1]}/v1"
    what = "the gateway's upstreams do not point at the planes: it answered a request that came through none of them"
    assert ran.err.splitlines() == [f"drill: {what}; they are: {wanted}"]
    assert not list((tmp_path / "drill-results").iterdir())


def test_a_standby_that_points_elsewhere_is_no_verdict_on_the_gateway(tmp_path: Path) -> None:
    """Its answers come from nobody that the drill knows: invalid, with the leg that was never called."""
    ports = lasting_port(), lasting_port()
    legs_file(tmp_path, ports)
    with ExitStack() as stack:
        answering = stack.enter_context(_made_up())
        urls = {"PRIMARY": f"http://127.0.0.1:{ports[0]}", "STANDBY": f"http://127.0.0.1:{answering}"}
        gateway = stack.enter_context(scripted(tmp_path, urls))
        ran = drilled(tmp_path, f"http://127.0.0.1:{gateway.port}", "refuse: {role: primary}")
    assert ran.code == 3, ran.out + ran.err
    check = next(part for part in ran.result.checks if part.name == "upstreams at the planes")
    assert check.verdict is Verdict.INVALID
    assert check.observed.endswith("never called: standby")
    assert f"set standby to http://127.0.0.1:{ports[1]}/v1" in check.advice


@contextmanager
def _made_up() -> Iterator[int]:
    """A server that answers every request with a completion of its own."""
    body = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}'
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s"

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(answer % (len(body), body))

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    """Said in one line; no folder is left."""
    legs_file(tmp_path, (lasting_port(), lasting_port()))
    path = tmp_path / "legs.yaml"
    path.write_text(path.read_text().replace("ready: /health\n", ""))
    port = lasting_port()
    ran = drilled(tmp_path, f"http://127.0.0.1:{port}", "refuse: {role: primary}")
    assert ran.code == 2
    assert ran.err.startswith(f"drill: no gateway answers at http://127.0.0.1:{port}: refused")
    assert len(ran.err.splitlines()) == 1


def test_https_is_checked_against_what_the_system_trusts(tmp_path: Path) -> None:
    """With the authority in SSL_CERT_FILE the drill passes; without it, it says why it cannot."""
    ports = lasting_port(), lasting_port()
    legs_file(tmp_path, ports)
    authority = Authority()
    good = authority.issue(["127.0.0.1"])[Certificate.GOOD]
    bundle, pair = tmp_path / "authority.pem", tmp_path / "pair.pem"
    bundle.write_text(authority.pem)
    pair.write_text(good.certificate + good.key)
    urls = {role: f"http://127.0.0.1:{port}" for role, port in zip(("PRIMARY", "STANDBY"), ports, strict=True)}
    with scripted(tmp_path, urls) as gateway, tls_before(gateway.port, pair) as port:
        url = f"https://127.0.0.1:{port}"
        ran = drilled(tmp_path, url, "refuse: {role: primary}", {"SSL_CERT_FILE": str(bundle)})
        assert ran.code == 0, ran.out + ran.err
        path = tmp_path / "legs.yaml"
        path.write_text(path.read_text().replace("ready: /health\n", ""))
        ran = drilled(tmp_path, url, "refuse: {role: primary}")
    assert ran.code == 2
    assert "CERTIFICATE_VERIFY_FAILED" in ran.err
    assert len(ran.err.splitlines()) == 1


@contextmanager
def tls_before(to: int, pair: Path) -> Iterator[int]:
    """A port that speaks TLS and hands what it hears to another port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)

    def carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return  # one of the two has gone

    def one(connection: socket.socket) -> None:
        try:
            secured = context.wrap_socket(connection, server_side=True)
        except OSError:
            return  # the other side does not like the certificate
        with secured, socket.create_connection(("127.0.0.1", to)) as plain:
            back = threading.Thread(target=carry, args=(plain, secured), daemon=True)
            back.start()
            carry(secured, plain)
            back.join(5)

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
