"""The planes before a gateway that somebody else runs: what is refused, and a whole drill of one by https."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from drilling import Ran, drill
from test_running_gateway import BUSY, KEY, TRIES, tls_before

from drills.address import Dress
from drills.authority import Authority
from drills.bridge import bridge
from drills.gateways import front, program
from drills.history import HISTORY_FILE, header, read
from drills.ledger import build
from drills.marks import Reading, Shape, read_unsigned
from drills.ports import lasting_port
from drills.providers.base import ProbeRequest
from drills.result import Verdict
from faults.handshake import Certificate

pytestmark = pytest.mark.clock

SCENARIO = """\
name: The gateway is gone
objective: Callers are served again when it is back.
load: {rate: 20/s, streaming: 50%, deadline: 5s}
timeline:
  - {phase: steady, for: 1s}
  - {phase: refused, for: 1500ms, faults: [FAULT]}
  - {phase: recovery, for: 1500ms}
expect:
  failback: {within: 1s}
"""
FILE = "model: team/best\nheaders: {Authorization: 'Bearer env:GATEWAY_KEY'}\n"


class Elsewhere(BaseHTTPRequestHandler):
    """A gateway with answers of its own, whole and streamed, and no signature in them."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[set[tuple[str, str, str, str]]] = set()

    def do_POST(self) -> None:
        """Answer anything; remember how it was asked."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.add((self.path, body["model"], self.headers["authorization"], self.headers["host"]))
        part = {"index": 0, "finish_reason": "stop"}
        said = {"content": "Because of Tuesday."}
        if body.get("stream"):
            events = (json.dumps({"choices": [part | {"delta": said}]}), "[DONE]")
            answer = "".join(f"data: {event}\n\n" for event in events).encode()
            self._send(answer, "text/event-stream")
        else:
            self._send(json.dumps({"choices": [part | {"message": said}]}).encode(), "application/json")

    def _send(self, answer: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[int]:
    """The port of such a gateway."""
    Elsewhere.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def drilled(folder: Path, url: str, fault: str, *words: str, env: dict[str, str] | None = None) -> Ran:
    """A drill from the front, repeated while the machine is too busy for it."""
    (folder / "s.yaml").write_text(SCENARIO.replace("FAULT", fault))
    for _ in range(TRIES):
        asked = ("run", "s.yaml", "--gateway", url, "--route", "front", *words)
        ran = drill(*asked, cwd=folder, env={"GATEWAY_KEY": KEY} | (env or {}))
        if ran.code != 3 or not all(reason.startswith(BUSY) for reason in ran.result.reasons):
            break
    return ran


def test_a_gateway_that_somebody_else_runs(tmp_path: Path) -> None:
    """By https, below a path, with its own texts for answers: gone for its callers, and back at once."""
    (tmp_path / "front.yaml").write_text(FILE)
    authority = Authority()
    good = authority.issue(["127.0.0.1"])[Certificate.GOOD]
    bundle, pair = tmp_path / "authority.pem", tmp_path / "pair.pem"
    bundle.write_text(authority.pem)
    pair.write_text(good.certificate + good.key)
    trusting = {"SSL_CERT_FILE": str(bundle)}
    with elsewhere() as plain, tls_before(plain, pair) as port:
        url = f"https://127.0.0.1:{port}/team/v1"
        ran = drilled(tmp_path, url, "refuse: {role: primary}", "--legs", "front.yaml", env=trusting)
        assert ran.code == 0, ran.out + ran.err
        assert Elsewhere.asked == {("/team/v1/chat/completions", "team/best", f"Bearer {KEY}", f"127.0.0.1:{port}")}
        refused = drilled(tmp_path, url, "refuse: {role: primary}", "--legs", "front.yaml")
    result = ran.result
    assert (result.gateway.route, [leg.name for leg in result.legs]) == ("front", ["gateway"])
    steady, lost, recovery = result.phases
    assert recovery.bad == 0
    # Who was under way when the gateway went is lost, too, and nobody else.
    assert ran.folder is not None
    events = read(ran.folder / HISTORY_FILE)
    early = [
        one for one in build(header(events, "history"), events).requests if not one.ok and one.due_s < steady.end_s
    ]
    assert len(early) == steady.bad
    assert all(one.done_s is None or one.done_s >= steady.end_s for one in early), (steady, early)
    assert lost.ok <= 1 < lost.bad
    assert lost.bad - 1 <= result.requests.failed <= result.requests.lost <= steady.bad + lost.bad
    [failback] = result.failbacks
    assert failback.failback_s is not None
    check = next(part for part in result.checks if part.name == "fault proof")
    assert check.verdict is Verdict.PASS
    assert result.plane.added_latency_p50_ms is not None
    assert KEY not in ran.out + ran.err + "".join(path.read_text() for path in ran.folder.iterdir() if path.is_file())
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert refused.err.startswith(f"drill: no gateway answers at https://127.0.0.1:{port}/team: ")
    assert "CERTIFICATE_VERIFY_FAILED" in refused.err


def test_a_gateway_that_is_not_there(tmp_path: Path) -> None:
    """One line; no folder is left."""
    port = lasting_port()
    ran = drilled(tmp_path, f"http://127.0.0.1:{port}", "refuse: {role: primary}")
    assert ran.code == 2
    assert ran.err.startswith(f"drill: no gateway answers at http://127.0.0.1:{port}: ")
    assert len(ran.err.splitlines()) == 1
    assert not list((tmp_path / "drill-results").iterdir())


SEES_NOTHING = "is about what is behind the gateway, where --route front sees nothing; take it out, or use the scenario"
URL = ("--gateway", "http://127.0.0.1:4000", "--route", "front")
REFUSED = {
    "expectations": (
        ("primary-down", *URL),
        [f"expect.{key} {SEES_NOTHING} gateway-lost" for key in ("switchover", "attempts")],
    ),
    "a gateway that the drill would start": (
        ("gateway-lost", "--route", "front"),
        ["--route front is for a gateway that runs already: --gateway https://host"],
    ),
    "a fault on its process": (
        ("gateway-restart", *URL),
        ["fault 'gateway_restart' is on a gateway that the drill starts; http://127.0.0.1:4000 runs already"],
    ),
    "legs": (
        ("gateway-lost", *URL, "--legs", "legs.yaml"),
        ["unknown key 'legs' in the file for --route front; allowed: chat, headers, model, name"],
    ),
    "a wrong URL": (
        ("gateway-lost", "--gateway", "ftp://x", "--route", "front"),
        ["--gateway 'ftp://x': unknown scheme; allowed: http, https"],
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(case: tuple[tuple[str, ...], list[str]], tmp_path: Path) -> None:
    """Before anything is started."""
    words, expected = case
    (tmp_path / "legs.yaml").write_text("legs: []\n")
    ran = drill("run", *words, cwd=tmp_path)
    assert ran.code == 2, ran.out
    for said in expected:
        assert said in ran.err
    assert not (tmp_path / "drill-results").exists()


@pytest.mark.parametrize("fault", ["tls_handshake_hang", "dns_failure"])
def test_faults_of_what_is_not_there(fault: str, tmp_path: Path) -> None:
    """Callers reach the planes at an address, and not in TLS."""
    ran = drilled(tmp_path, "http://127.0.0.1:4000", f"{fault}: {{role: primary}}")
    assert ran.code == 2
    assert f"fault '{fault}' is one of TLS or of names, of which there are none on --route front" in ran.err


def test_a_plan(tmp_path: Path) -> None:
    """It says what it may cost and what it cannot see, and asks nobody."""
    ran = drill("plan", "gateway-lost", *URL, "--model", "team/best", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "155 requests at 5/s" in ran.out
    assert "callers ask for 'team/best'" in ran.out
    assert "and may cost money" in ran.out
    assert "behind the gateway nothing is seen" in ran.out


def test_the_readme_s_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How to ask a gateway, and an application with two of them."""
    monkeypatch.setenv("MY_GATEWAY_KEY", KEY)
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    [ask] = [block for block in blocks if block.startswith("model:")]
    [gateways] = [block for block in blocks if "router.requesty.ai" in block]
    for name, text in (("ask.yaml", ask), ("gateways.yaml", gateways)):
        (tmp_path / name).write_text(text)
    entrance = front.load("https://gateway.example.com/v1", tmp_path / "ask.yaml").entrance()
    assert entrance.base_url + entrance.chat_path == "https://gateway.example.com/v1/chat/completions"
    assert (entrance.request_headers, entrance.secrets) == ((("Authorization", f"Bearer {KEY}"),), (KEY,))
    found = program.load([sys.executable], str(tmp_path / "gateways.yaml"), None, by_variables=False).discover(
        None, None
    )
    assert [(leg.name, leg.role, leg.hosts) for leg in found.legs] == [
        ("requesty", "primary", ("router.requesty.ai",)),
        ("portkey", "secondary", ("api.portkey.ai",)),
    ]


def test_any_text_is_an_answer_of_the_one_author() -> None:
    """But none is none."""
    assert read_unsigned("Because of Tuesday.", "gateway") == Reading(Shape.WHOLE, ("gateway",), 3)
    assert read_unsigned(" \n", "gateway") == Reading(Shape.EMPTY, (), 0)


def test_a_probe_dressed_as_a_caller() -> None:
    """Its own credentials give way; what else it says stays."""
    headers = (("content-type", "application/json"), ("authorization", "Bearer sk-drill"))
    request = ProbeRequest(method="POST", path="/v1/chat/completions", headers=headers, body=b"{}")
    dress = Dress(path="/team/chat", headers=(("Authorization", "Bearer mine"), ("Host", "gw.example.com")))
    found = dress.on(request)
    assert (found.path, found.body) == ("/team/chat", b"{}")
    assert found.headers == (("content-type", "application/json"), *dress.headers)


def test_a_bridge_passes_bytes_and_ends_on() -> None:
    """Both ways; who connects when nobody is there any more is hung up on."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"you said " + line)
        await writer.drain()
        writer.close()

    async def ask(port: int, line: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(line)
            return await reader.read()
        finally:
            writer.close()

    async def story() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        there = server.sockets[0].getsockname()[1]
        async with bridge("127.0.0.1", there, None) as here:
            assert await ask(here, b"x" * 60000 + b"\n") == b"you said " + b"x" * 60000 + b"\n"
            server.close()
            await server.wait_closed()
            assert await ask(here, b"") == b""
        with pytest.raises(ConnectionRefusedError):
            await ask(here, b"anybody?\n")
        with pytest.raises(ConnectionRefusedError):
            async with bridge("127.0.0.1", there, None):
                pass

    asyncio.run(story())
