"""The simulator's process: it serves each leg in its dialect, in time, and ends with its standard input."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import msgspec
import pytest

from drills import providers
from drills.marks import Mark, Shape, read_answer
from drills.simulator import SimulatedLeg, SimulatorReady, SimulatorSpec

pytestmark = pytest.mark.clock

COMMAND = [sys.executable, "-P", "-m", "drills.simulator"]
MARK = Mark("00ff00ff00ff00ff", 10)


@contextmanager
def running(spec: SimulatorSpec) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    """A simulator and its ports; ended by closing its standard input."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(spec) + b"\n")
        process.stdin.flush()
        yield process, msgspec.json.decode(process.stdout.readline(), type=SimulatorReady).ports
        process.stdin.close()
        assert process.wait(timeout=5) == 0


def legs(*names: str) -> tuple[SimulatedLeg, ...]:
    """A leg of each of these providers, named after it."""
    return tuple(SimulatedLeg(f"leg-{name}", name) for name in names)


def test_every_dialect_answers_on_one_kept_connection() -> None:
    """Whole and streamed answers of every leg are the canonical ones, without a new connection in between."""
    with running(SimulatorSpec(legs(*providers.names()), first_token_s=0, tokens_per_s=5000)) as (_, ports):
        for name in providers.names():
            dialect = providers.get(name)
            connection = http.client.HTTPConnection("127.0.0.1", ports[f"leg-{name}"], timeout=5)
            connection.connect()
            own = connection.sock.getsockname()
            for stream in (False, True):
                probe = dialect.probe("claude-sonnet-5", MARK.prompt(), stream)
                connection.request(probe.method, probe.path, probe.body, dict(probe.headers))
                response = connection.getresponse()
                reading = read_answer(dialect.read(stream, response.read()), MARK)
                assert (response.status, reading.shape, reading.legs) == (200, Shape.WHOLE, (f"leg-{name}",))
                assert connection.sock.getsockname() == own
            connection.close()


def test_tokens_are_sent_when_they_are_due() -> None:
    """First token after 0.2 s, then one each 0.05 s, none held back; a whole answer takes as long as a stream."""
    dialect = providers.get("openai")
    with running(SimulatorSpec(legs("openai"), first_token_s=0.2, tokens_per_s=20)) as (_, ports):
        connection = http.client.HTTPConnection("127.0.0.1", ports["leg-openai"], timeout=5)
        probe = dialect.probe("gpt-4o", MARK.prompt(), stream=True)
        began_s = time.monotonic()
        connection.request(probe.method, probe.path, probe.body, dict(probe.headers))
        response = connection.getresponse()
        at_s, pending, seen = [], b"", 0
        while data := response.read1(65536):
            ends, pending = dialect.count_events(data, pending)
            seen += len(ends)
            at_s.append(time.monotonic() - began_s)
        assert seen == 1 + (MARK.words + 1) + 1 + 1
        assert 0.2 <= at_s[0] < 0.3
        # the opening, then 11 tokens; the last one travels with the closing or just before it
        assert len(at_s) >= 1 + MARK.words + 1
        gaps_s = [after - before for before, after in pairwise(at_s[: 1 + MARK.words + 1])]
        assert all(0.01 < gap_s < 0.15 for gap_s in gaps_s)
        assert sum(gaps_s) == pytest.approx(11 * 0.05, abs=0.1)

        probe = dialect.probe("gpt-4o", MARK.prompt(), stream=False)
        began_s = time.monotonic()
        connection.request(probe.method, probe.path, probe.body, dict(probe.headers))
        connection.getresponse().read()
        assert time.monotonic() - began_s == pytest.approx(0.2 + 11 * 0.05, abs=0.15)
        connection.close()


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, body)
    response = connection.getresponse()
    found = response.status, response.read()
    connection.close()
    return found


def test_what_is_no_marked_model_call() -> None:
    """Text without a mark, unknown paths, unreadable and oversized bodies, and tokens are answered at once."""
    with running(SimulatorSpec(legs("openai", "vertex"))) as (_, ports):
        port = ports["leg-openai"]
        chat = json.dumps({"model": "x", "messages": [{"role": "user", "content": "hello"}]}).encode()
        status, body = ask(port, "POST", "/v1/chat/completions", chat)
        said = providers.get("openai").read(stream=False, body=body)
        assert (status, said) == (200, "This answer was made up for a failover drill by the leg leg-openai")
        assert ask(port, "POST", "/v1/chat/completions", b"{")[0] == 400
        assert ask(port, "GET", "/nothing")[0] == 404
        assert ask(port, "GET", "/v1/models")[0] == 200
        assert ask(port, "POST", "/v1/chat/completions", b" " * (33 * 1024 * 1024))[0] == 413
        assert json.loads(ask(ports["leg-vertex"], "POST", "/token")[1])["expires_in"] > 0


def test_callers_that_go_away_leave_no_mark(capfd: pytest.CaptureFixture[str]) -> None:
    """A connection reset in the middle of a stream or of a request body is nobody's error."""
    probe = providers.get("anthropic").probe("claude-sonnet-5", MARK.prompt(), stream=True)
    head = f"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: {len(probe.body)}\r\n\r\n".encode()
    with running(SimulatorSpec(legs("anthropic"), first_token_s=0.01, tokens_per_s=50)) as (_, ports):
        address = ("127.0.0.1", ports["leg-anthropic"])
        for sent in (head + probe.body, head + probe.body[:9]):
            for _ in range(5):
                with socket.create_connection(address, timeout=5) as caller:
                    caller.sendall(sent)
                    time.sleep(0.05)
                    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        time.sleep(0.3)
        assert ask(address[1], "GET", "/v1/models")[0] == 200
    assert capfd.readouterr().err == ""


def test_it_ends_at_once_with_answers_under_way() -> None:
    """The end of standard input ends the process in the middle of an answer of a minute."""
    probe = providers.get("openai").probe("gpt-4o", MARK.prompt(), stream=True)
    with running(SimulatorSpec(legs("openai"), first_token_s=0, tokens_per_s=0.2)) as (process, ports):
        connection = http.client.HTTPConnection("127.0.0.1", ports["leg-openai"], timeout=5)
        connection.request(probe.method, probe.path, probe.body, dict(probe.headers))
        assert connection.getresponse().status == 200
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=2) == 0
        connection.close()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "truncated"),
        ('{"legs":[{"name":"a","provider":"nobody"}]}', "no provider 'nobody'"),
        ('{"legs":[{"name":"a","provider":"openai"},{"name":"a","provider":"openai"}]}', "two legs have one name"),
        ('{"legs":[],"tokens_per_s":0}', "tokens_per_s above 0"),
        ('{"legs":[],"colour":1}', "colour"),
    ],
)
def test_a_spec_that_is_wrong_ends_it(line: str, message: str) -> None:
    """One line says what is wrong; nothing is served."""
    done = subprocess.run(COMMAND, check=False, input=line + "\n", capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
