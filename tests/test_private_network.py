"""What a program meets in a private network: the legs' hosts under their own names, and nothing else.

Each program is plain Python with the standard library or httpx, started by a keeper as a gateway is.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_harness import ANTHROPIC, DIALECTS, OPENAI, STANDS_AT, Sealed, finish, private_network, sealed
from plane_harness import mark, until
from sdk_env import sdk_python

from drills import providers
from drills.events import ConnectHung, HostTried, LookupFailed, PlaneTrouble
from drills.marks import Shape, answer_text, read_answer
from drills.network import THIS_MACHINE

pytestmark = pytest.mark.clock

__all__ = ["sdk_python"]


@pytest.fixture(scope="module")
def rig() -> Iterator[Sealed]:
    """Two legs in a private network."""
    with sealed() as found:
        yield found
        assert found.plane.troubles == []
        assert [one for one in found.network.told if isinstance(one, PlaneTrouble)] == []
    # Now the ports of the machine itself are told, too: none of ours is among them.
    assert [one for one in found.network.tried() if one[0] == THIS_MACHINE] == []


ASK = """
import sys, httpx, json
answer = httpx.post("https://{host}{path}", headers={headers!r}, content={body!r}, timeout=5)
sys.stdout.write(answer.text)
"""

TRY = """
import socket, time
def attempt(address, port=443, timeout=5.0, family=socket.AF_INET):
    began = time.monotonic()
    with socket.socket(family) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((address, port))
            print("connected", flush=True)
        except TimeoutError:
            print("timed out", round(time.monotonic() - began, 1), flush=True)
        except OSError as error:
            print(type(error).__name__, flush=True)
def look(name):
    began = time.monotonic()
    try:
        print(sorted({row[4][0] for row in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)}), flush=True)
    except socket.gaierror as error:
        print({socket.EAI_NONAME: "no such name", socket.EAI_AGAIN: "try again"}[error.errno],
              round(time.monotonic() - began, 1), flush=True)
"""


@pytest.mark.parametrize("leg", ["gpt", "claude"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_program_reaches_each_leg_by_its_real_name(rig: Sealed, leg: str, stream: bool) -> None:
    """On port 443 of its host; the answer is the leg's own, and the attempt is in the plane's report."""
    dialect = providers.get(DIALECTS[leg])
    found = mark()
    probe = dialect.probe("a-model", found.prompt(), stream)
    code = ASK.format(host=STANDS_AT[leg][0], path=probe.path, headers=dict(probe.headers), body=probe.body)
    said = rig.run(code)
    reading = read_answer(dialect.read(stream, said.out.encode()), found)
    assert (reading.shape, reading.legs) == (Shape.WHOLE, (leg,))
    received, done = rig.plane.attempt(found.id)
    assert (received.leg, done.status) == (leg, 200)


def test_legs_that_listen_on_one_port_of_two_addresses_are_told_apart(rig: Sealed) -> None:
    """Also when their callers have one port: two connections from the same port, used in turn."""
    first, second = mark(), mark()
    code = """
    import http.client, socket, ssl
    def connect(host, port):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.connect((host, 443))
        line = http.client.HTTPSConnection(host)
        line.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        return line
    one = connect({openai!r}, 0)
    other = connect({anthropic!r}, one.sock.getsockname()[1])
    assert one.sock.getsockname() == other.sock.getsockname()
    for line, (method, path, headers, body) in ((one, {first!r}), (other, {second!r})):
        line.request(method, path, body, headers)
    print(one.getresponse().status, other.getresponse().status)
    """
    asked = []
    for dialect, found in (("openai", first), ("anthropic", second)):
        probe = providers.get(dialect).probe("a-model", found.prompt(), False)
        asked.append((probe.method, probe.path, dict(probe.headers), probe.body))
    said = rig.run(code.format(openai=OPENAI, anthropic=ANTHROPIC, first=asked[0], second=asked[1]))
    assert said.out.strip() == "200 200"
    assert rig.plane.attempt(first.id)[0].leg == "gpt"
    assert rig.plane.attempt(second.id)[0].leg == "claude"


def test_any_other_host_is_unknown_and_told(rig: Sealed) -> None:
    """By the C library's resolver; what it looked for is an event."""
    said = rig.run(TRY + "look('telemetry.example.com'); look('localhost'); look('huggingface.co')")
    assert [line.rpartition(" ")[0] or line for line in said.lines] == ["no such name", "['127.0.0.1',", "no such name"]
    for host in ("telemetry.example.com", "huggingface.co"):
        rig.plane.wait_for(HostTried, lambda tried, host=host: tried.host == host)
    assert not rig.plane.all(HostTried, lambda tried: tried.host in {OPENAI, "localhost"})


def test_addresses_lead_nowhere_and_are_told(rig: Sealed) -> None:
    """Of any kind, on any port, by TCP, UDP and both versions of IP; a known host on another port likewise."""
    said = rig.run(
        TRY
        + """
attempt("1.1.1.1")
attempt("169.254.169.254", 80)
attempt("10.1.2.3", 6379)
attempt("198.18.0.1", 80)
attempt("2001:db8::1", 443, family=socket.AF_INET6)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"x", ("9.9.9.9", 443))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
    sock.sendto(b"x", ("2001:db8::9", 443))
"""
    )
    assert said.lines == ["ConnectionRefusedError"] * 5
    rig.network.until_tried(
        ("1.1.1.1", 443, "tcp"),
        ("169.254.169.254", 80, "tcp"),
        ("10.1.2.3", 6379, "tcp"),
        (OPENAI, 80, "tcp"),
        ("2001:db8::1", 443, "tcp"),
        ("9.9.9.9", 443, "udp"),
        ("2001:db8::9", 443, "udp"),
    )
    assert (OPENAI, 443, "tcp") not in rig.network.tried()


def test_a_name_server_of_its_own_choice_gives_a_program_the_same_answers(rig: Sealed) -> None:
    """Over UDP and TCP, and from the address that it asked: a resolver would take no other answer."""
    said = rig.run(
        """
        import socket, struct
        from faults.planes import dnswire
        for server in ("8.8.8.8", "127.0.0.1", "127.0.0.53"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(5)
                sock.connect((server, 53))
                sock.send(dnswire.query(7, "api.openai.com"))
                print(dnswire.read_answer(sock.recv(4096)).addresses)
            with socket.create_connection((server, 53), 5) as sock:
                for name in ("api.openai.com", "example.com"):
                    message = dnswire.query(8, name)
                    sock.sendall(struct.pack("!H", len(message)) + message)
                    size = struct.unpack("!H", sock.recv(2))[0]
                    print(dnswire.read_answer(sock.recv(size))[1:])
        """
    )
    assert said.lines == ["('198.18.0.1',)", "(0, ('198.18.0.1',))", "(3, ())"] * 3
    rig.network.until_tried(("8.8.8.8", 53, "udp"), ("8.8.8.8", 53, "tcp"))


def test_nobody_else_can_send_from_the_name_servers_port(rig: Sealed) -> None:
    """What comes from port 53 over IPv4 is an answer and no try, whatever address a program takes; over IPv6 it may be
    a try, and is told. At port 53 itself every address of IPv4 answers, and was tried nonetheless.
    """
    said = rig.run(
        TRY
        + """
for address in ("127.0.0.1", "0.0.0.0", "198.51.100.9"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, 53))
        except OSError as error:
            print(error.errno)
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::", 53))
    sock.sendto(b"x", ("2001:db8::77", 4444))
attempt("203.0.113.99", 53)
"""
    )
    assert said.lines == [str(errno.EADDRINUSE)] * 3 + ["connected"]
    rig.network.until_tried(("2001:db8::77", 4444, "udp"), ("203.0.113.99", 53, "tcp"))


def test_a_refused_leg_refuses_and_comes_back(rig: Sealed) -> None:
    """ECONNREFUSED from the kernel; the other leg on the same port number is well."""
    code = TRY + f"attempt({OPENAI!r}); attempt({ANTHROPIC!r})"
    with rig.plane.fault("refuse", "gpt"):
        assert rig.run(code).lines == ["ConnectionRefusedError", "connected"]
    assert rig.run(code).lines == ["connected", "connected"]


def test_a_blackholed_leg_hangs_and_comes_back(rig: Sealed) -> None:
    """The connect hangs until its own timeout, and is told with its port; the other leg is well."""
    code = TRY + f"attempt({OPENAI!r}, timeout=0.6); attempt({ANTHROPIC!r})"
    with rig.plane.fault("blackhole", "gpt") as fault:
        assert rig.run(code).lines == ["timed out 0.6", "connected"]
        hung = rig.plane.wait_for(ConnectHung, lambda hung: fault in hung.faults)
        assert (hung.leg, hung.faults) == ("gpt", (fault,))
        assert hung.port > 0
    assert rig.run(code).lines == ["connected", "connected"]
    assert len(rig.plane.all(ConnectHung, lambda hung: fault in hung.faults)) == 1


LOOKUPS = [("nxdomain", "no such name 0.0"), ("servfail", "try again 0.0"), ("silent", "try again 1.0")]


@pytest.mark.parametrize(("how", "seen"), LOOKUPS)
def test_a_dns_failure_is_what_a_resolver_sees(rig: Sealed, how: str, seen: str) -> None:
    """Of the leg's name only, until it is cleared; each lookup is told, and is no host that was tried in vain."""
    code = f"{TRY}\nlook({OPENAI!r}); look({ANTHROPIC!r})"
    quick = {"RES_OPTIONS": "timeout:1 attempts:1"}
    with rig.plane.fault("dns_failure", "gpt", how=how) as fault:
        assert rig.run(code, quick).lines == [seen, "['198.18.0.2']"]
        failed = rig.plane.wait_for(LookupFailed, lambda one: fault in one.faults)
        assert (failed.host, failed.legs, failed.faults) == (OPENAI, ("gpt",), (fault,))
    assert rig.run(code, quick).lines == ["['198.18.0.1']", "['198.18.0.2']"]
    assert not rig.plane.all(HostTried, lambda tried: OPENAI in tried.host)


def test_a_connection_that_is_open_does_not_notice_a_dns_failure(rig: Sealed, tmp_path: Path) -> None:
    """Who has a connection needs no name: the same program is answered on it, and fails on a new one."""
    asked, flag = mark(), tmp_path / "go on"
    probe = providers.get("openai").probe("a-model", asked.prompt(), False)
    program = rig.begin(
        f"""
        import httpx
        with httpx.Client(timeout=5) as client:
            print(client.get("https://{OPENAI}/v1/models").status_code)
            import pathlib, time
            while not pathlib.Path({str(flag)!r}).exists():
                time.sleep(0.01)
            url, headers = "https://{OPENAI}{probe.path}", {dict(probe.headers)!r}
            print(client.post(url, headers=headers, content={probe.body!r}).status_code)
            try:
                httpx.post(url, headers=headers, content={probe.body!r})
            except httpx.ConnectError as error:
                print("no connection")
        """
    )
    assert program.stdout is not None
    assert program.stdout.readline().strip() in {"200", "404"}
    with rig.plane.fault("dns_failure", "gpt"):
        flag.touch()
        said = finish(program)
    assert said.lines == ["200", "no connection"]
    assert rig.plane.attempt(asked.id)[1].faults == ()


def test_the_load_reaches_a_server_inside_with_sockets_that_were_handed_out(rig: Sealed) -> None:
    """A program listens on loopback inside; from outside its port is nobody's."""
    server = rig.begin(
        """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1])
            while True:
                line, _ = listener.accept()
                with line:
                    line.sendall(b"hello " + line.recv(100))
        """
    )
    assert server.stdout is not None
    port = int(server.stdout.readline())
    took = []
    for _ in range(20):
        began_s = time.monotonic()
        with rig.network.tcp() as sock:
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"there")
            assert sock.recv(100) == b"hello there"
        took.append(time.monotonic() - began_s)
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError):
        outside.connect(("127.0.0.1", port))
    server.communicate(timeout=20)
    print(f"\nan exchange on a new connection into the network: median {sorted(took)[10] * 1000:.2f} ms")  # noqa: T201


def test_the_machines_own_resolver_files_are_not_touched(rig: Sealed) -> None:
    """Inside there are others; outside nothing is changed, and no file of ours lies anywhere."""
    files = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
    inside = rig.run(f"import json; print(json.dumps([open(name).read() for name in {files!r}]))").out
    resolver, hosts, sources = json.loads(inside)
    assert resolver == "nameserver 127.0.0.53\n"
    assert hosts.splitlines()[0].startswith("127.0.0.1 localhost")
    assert [line for line in sources.splitlines() if line.startswith("hosts:")] == ["hosts: files dns"]
    for name in files:
        assert "127.0.0.53" not in Path(name).read_text()
    until(lambda: not list(Path("/tmp").glob("drill-test-[0-9a-f]*")))  # noqa: S108  of the keepers of this test


def test_a_network_without_a_porter_says_so() -> None:
    """Whoever waits for a socket, or asks for one later, gets an error; and it is a trouble of the run."""
    with private_network() as network:
        os.kill(network.network._child.pid, 9)
        until(lambda: any(isinstance(one, PlaneTrouble) for one in network.told))
        with pytest.raises(OSError, match="porter of the private network is gone"):
            network.tcp()


SDK = """
import openai
for stream in (False, True):
    client = openai.OpenAI(api_key="none", max_retries=0, timeout=5)
    messages = [{{"role": "user", "content": {prompt!r}}}]
    try:
        answer = client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream)
        if stream:
            print("".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices).strip())
        else:
            print(answer.choices[0].message.content.strip())
    except openai.OpenAIError as error:
        print(type(error).__name__, "by", type(error.__cause__).__name__)
"""


@pytest.mark.sdk
@pytest.mark.timeout(700)  # the first time the SDKs are installed
def test_what_a_vendors_sdk_sees_of_a_dns_failure(rig: Sealed, sdk_python: Path) -> None:
    """Whole and streamed: no connection, for want of an address; without the fault both are answered."""
    asked = mark()
    code = SDK.format(prompt=asked.prompt())
    with rig.plane.fault("dns_failure", "gpt"):
        assert rig.run(code, python=sdk_python).lines == ["APIConnectionError by ConnectError"] * 2
    assert rig.run(code, python=sdk_python).lines == [answer_text(asked, "gpt")] * 2
