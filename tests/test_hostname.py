"""What a host is, wherever people write one; and that a drill says what is none before it starts anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import drill

from drills.gateways import litellm
from drills.gateways.domains import Domains
from drills.gateways.running import base_of
from drills.hostname import ALLOWED, NoHostError, read, wrong
from drills.problems import UsageProblem

GOOD = [
    ("api.openai.com", "api.openai.com", None),
    ("LLM.acme.io.:8443", "llm.acme.io", 8443),
    ("localhost:4000", "localhost", 4000),
    ("llm_server", "llm_server", None),
    ("10.20.30.40:8000", "10.20.30.40", 8000),
    ("[::1]", "[::1]", None),
    ("[2001:DB8::7]:443", "[2001:db8::7]", 443),
    ("Bücher.example", "xn--bcher-kva.example", None),
    ("a" * 63 + ".b" * 95, "a" * 63 + ".b" * 95, None),  # 253 characters
]


@pytest.mark.parametrize(("text", "name", "port"), GOOD)
def test_hosts(text: str, name: str, port: int | None) -> None:
    """Names, addresses, ports; a name in another alphabet is what is sent for it."""
    assert read(text) == (name, port)
    assert wrong(text) == ""


PARTS = "is no host name: its parts are letters, digits, - and _, with no - at either end"
PORTS = "has no port behind the colon; ports are 1 to 65535"
ALPHABET = "is no name in another alphabet: a part cannot be written as xn--..., or is too long so"
ASKED_FOR = "write the one that your gateway asks for"
UNSEEN = "has a character in it that is not seen and that programs drop; write its xn-- form"
BAD = [
    ("", f"'' has no host; {ALLOWED}"),
    ("https://api.openai.com/v1", "'https://api.openai.com/v1' is a URL; write only the host: api.openai.com"),
    ("http://h:80", "'http://h:80' is a URL; write only the host: h:80"),
    ("http://", f"'http://' is a URL; {ALLOWED}"),
    ("https//a.b", "'https//a.b' is a URL; write only the host: a.b"),
    ("me:secret@", f"'...@' has no host behind the @; {ALLOWED}"),
    (
        "faß.de",
        f"'faß.de' is xn--fa-hia.de to some programs and fass.de to others; {ASKED_FOR}; {ALLOWED}",
    ),
    ("a\u200db.de", f"'a\\u200db.de' {UNSEEN}; {ALLOWED}"),
    ("ü\u00adb.de", f"'ü\\xadb.de' {UNSEEN}; {ALLOWED}"),
    ("i\u2764.ws", f"'i\u2764.ws' is a name that not all programs can call; write its xn-- form; {ALLOWED}"),
    ("h.com/v1", "'h.com/v1' has a path behind the host; write only the host: h.com"),
    ("a b", f"'a b' {PARTS}; {ALLOWED}"),
    ("*.foo.com", f"'*.foo.com' {PARTS}; {ALLOWED}"),
    ("-x-.com", f"'-x-.com' {PARTS}; {ALLOWED}"),
    ("a\uff0fb", f"'a\uff0fb' {PARTS}; {ALLOWED}"),
    ("x\x1b[31m", f"'x\\x1b[31m' {PARTS}; {ALLOWED}"),
    ("a..b", f"'a..b' has nothing between two dots; {ALLOWED}"),
    (".", f"'.' has nothing between two dots; {ALLOWED}"),
    ("ü..b", f"'ü..b' has nothing between two dots; {ALLOWED}"),
    (
        "ü" * 59,
        f"'{'ü' * 59}' {ALPHABET}; {ALLOWED}",
    ),
    (
        "a" * 64,
        f"'{'a' * 57}...' has a part of 64 characters, and 63 is the most between two dots; {ALLOWED}",
    ),
    ("a" * 300, f"'{'a' * 57}...' has 300 characters, and 253 is the most for a name; {ALLOWED}"),
    ("1.2.3.4:99999", f"'1.2.3.4:99999' {PORTS}; {ALLOWED}"),
    ("h:0", f"'h:0' {PORTS}; {ALLOWED}"),
    ("h:", f"'h:' {PORTS}; {ALLOWED}"),
    ("1.2.3", f"'1.2.3' ends like an address and is none; {ALLOWED}"),
    ("0.0.0.0", f"'0.0.0.0' is where a server listens on every address, and no host that is called; {ALLOWED}"),
    ("224.0.0.1", f"'224.0.0.1' is an address that no single host has; {ALLOWED}"),
    ("::1", "'::1' has several colons; write only the host: [::1]"),
    ("[::1", f"'[::1' has a bracket and is no address of IPv6; {ALLOWED}"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=[repr(text[:20]) for text, _ in BAD])
def test_what_is_no_host(text: str, said: str) -> None:
    """One sentence: what was read, what is wrong with it, and what is allowed."""
    with pytest.raises(NoHostError) as raised:
        read(text)
    assert (str(raised.value), wrong(text)) == (said, said)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:se:cret@h.com/v1",
        "me:secret@h",
        "https://me:1/secret@h",
        "secret@",
        "https://h/v1?key=secret",
        "https://h?mail=a@b&key=secret",
        "https://me:se?cret@h",
    ],
)
def test_a_password_is_not_said(text: str) -> None:
    """Nothing in front of an @ is repeated, not even as advice."""
    said = wrong(text)
    assert said
    assert "cret" not in said
    assert "me" not in said.replace("name", "")


def test_a_base_url_that_cannot_be_read() -> None:
    """It is no traceback; its host is none."""
    found = Domains("openai", "openai", "openai", "gpt-4o", "openai", None, "https://me:pw@[::1/v1")
    assert (found.hosts, found.path) == (("[::1",), "/v1")
    found = Domains("openai", "openai", "openai", "gpt-4o", "openai", None, "https://[::1]:8443/v1")
    assert found.hosts == ("[::1]:8443",)


LEGS = """\
legs:
  - {name: a, provider: openai, model: m, cloud: c, hosts: ["https://api.openai.com/v1", ok.example]}
  - {name: b, provider: anthropic, model: m, cloud: d, hosts: ["ü..b"]}
"""
LITELLM = """\
model_list:
  - {model_name: chat, litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: k}}
  - {model_name: backup, litellm_params: {model: openai/gpt-4o, api_base: "https://HOST/v1", api_key: k}}
router_settings: {fallbacks: [{chat: [backup]}]}
"""


@pytest.mark.parametrize(("route", "command"), [("rewrite", "plan"), ("sealed", "run")])
def test_hosts_of_a_legs_file(route: str, command: str, tmp_path: Path) -> None:
    """All of them at once, each with its place, whatever the route; nothing is started."""
    (tmp_path / "legs.yaml").write_text(LEGS)
    ran = drill(command, "primary-down", "--legs", "legs.yaml", "--route", route, "--", "python", cwd=tmp_path)
    assert (ran.code, ran.err.splitlines()) == (
        2,
        [
            f"drill: legs.yaml:2:61: 'hosts' in a leg: {wrong('https://api.openai.com/v1')}",
            f"drill: legs.yaml:3:64: 'hosts' in a leg: {wrong('ü..b')}",
        ],
    )
    assert not (tmp_path / "drill-results").exists()


@pytest.mark.parametrize(
    ("host", "route", "command"), [("ü..b", "sealed", "run"), ("a" * 64, "forward", "run"), ("[::1", "forward", "plan")]
)
def test_the_host_of_a_base_url(host: str, route: str, command: str, tmp_path: Path) -> None:
    """On the routes on which it is called it must be one; its place is that of the base URL."""
    (tmp_path / "config.yaml").write_text(LITELLM.replace("HOST", host))
    ran = drill(command, "primary-down", "--config", "config.yaml", "--route", route, cwd=tmp_path)
    said = f"drill: config.yaml:3:75: leg openai-gpt-4o: its host {wrong(host)}"
    assert (ran.code, ran.err.splitlines()) == (2, [said])


def test_a_base_url_with_a_query(tmp_path: Path) -> None:
    """LiteLLM's SDK calls no model with it: said with its place before anything is started, and nothing of the URL."""
    (tmp_path / "config.yaml").write_text(LITELLM.replace("HOST/v1", "me:pass1@llm.example/v1?code=word2"))
    ran = drill("plan", "primary-down", "--config", "config.yaml", "--route", "forward", cwd=tmp_path)
    what = "its base URL has a query, and LiteLLM puts the path of each call behind that, so no call would be one of a"
    said = f"drill: config.yaml:3:75: leg openai-gpt-4o: {what} model; leave the query out"
    assert (ran.code, ran.err.splitlines()) == (2, [f"drill: config.yaml:3:75: {NEVER_ASKED}", said])


NEVER_ASKED = (
    "leg openai-gpt-4o: its base URL has a user in front of the host, and LiteLLM's HTTP client (aiohttp) calls no such"
    " URL, so this leg would never be asked; take the user out, or set litellm_settings.disable_aiohttp_transport: true"
)


def test_a_base_url_with_a_user(tmp_path: Path) -> None:
    """LiteLLM calls it with another client only. A private copy, which has no user in it, would pass all the same."""
    config = LITELLM.replace("HOST", "me:pass1@llm.example")
    (tmp_path / "config.yaml").write_text(config)
    found = litellm.GATEWAY.discover(tmp_path / "config.yaml", None)
    said = [f"{tmp_path}/config.yaml:3:75: {NEVER_ASKED}"]
    assert [str(problem) for problem in found.not_unchanged] == said
    assert [str(problem) for problem in found.not_rewritten] == said
    (tmp_path / "config.yaml").write_text(config + "litellm_settings: {disable_aiohttp_transport: true}\n")
    found = litellm.GATEWAY.discover(tmp_path / "config.yaml", None)
    assert (found.not_unchanged, found.not_rewritten) == ((), ())


def test_a_private_copy_calls_no_such_host(tmp_path: Path) -> None:
    """It has another base URL, so the config can be drilled."""
    (tmp_path / "config.yaml").write_text(LITELLM.replace("HOST", "[::1"))
    assert drill("plan", "primary-down", "--config", "config.yaml", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://h:1?key=SECRETq",
        "https://u:SECRET@h:1",
        "https://u:" + "x" * 200 + "SECRET@h:1",
        "ftp://h?key=SECRET",
        "http://u:SECRET@0.0.0.0",
    ],
)
def test_the_url_of_a_gateway_is_said_without_its_secrets(url: str) -> None:
    """Neither user and password nor the query, however long they are."""
    with pytest.raises(UsageProblem) as raised:
        base_of(url)
    assert not any(word in str(raised.value) for word in ("SECRET", "xxx", "u:"))


@pytest.mark.parametrize("url", ["http://a..b:4000", "http://0.0.0.0:4000/v1", "https://*.example.com"])
def test_the_url_of_a_gateway(url: str) -> None:
    """Its host is one that can be called."""
    with pytest.raises(UsageProblem, match="its host '"):
        base_of(url)
