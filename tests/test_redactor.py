"""Secrets in texts from outside: found in every form, and nowhere else. No I/O, but for the history's file."""

from __future__ import annotations

import base64
import html
import json
import re
import typing
import urllib.parse
from pathlib import Path

import msgspec
import pytest

from drills.cli import main
from drills.events import (
    AnyEvent,
    ArrivalDone,
    AttemptReceived,
    Ending,
    HostTried,
    HowTried,
    PlaneTrouble,
    ProgramEnded,
)
from drills.gateways.credentials import of_header, secrets_in
from drills.history import HistoryWriter, read
from drills.legs import Leg
from drills.redactor import REDACTED, TEXTS, Redactor

OWN = {
    *{"id", "leg", "legs", "faults", "fault", "beside", "behind", "phase", "surface", "operation", "model", "text_key"},
    # Of the header: the drill's own, or what the scenario and the config are called.
    *{"schema", "tool_version", "started_at", "objective"},
    *{"scenario_name", "scenario_file", "scenario_sha256", "scenario_id"},
    *{
        "gateway",
        "gateway_version",
        "config_file",
        "config_sha256",
        "entry_model",
        "upstreams",
        "health",
        "environment",
    },
    # People and a ticket, as the scenario or a flag names them; and one of four words.
    *{"people", "change", "what"},
}
"""Fields with text that the drill has chosen, or the user."""


def done(detail: str, claimed: str = "") -> ArrivalDone:
    """What a caller was told."""
    return ArrivalDone(
        seq=1,
        first_byte_s=None,
        first_token_s=None,
        done_s=1.0,
        ending=Ending.STATUS,
        status=502,
        shape=None,
        legs=("openai",),
        words=0,
        detail=detail,
        claimed=claimed,
    )


def test_no_field_with_text_is_forgotten() -> None:
    """Each text of each event is either cleaned or the drill's own."""
    for event in typing.get_args(AnyEvent):
        texts = {field.name for field in msgspec.structs.fields(event) if "str" in str(field.type)}
        assert set(TEXTS.get(event, ())) <= texts
        assert texts - set(TEXTS.get(event, ())) <= OWN
    assert "what" in TEXTS[PlaneTrouble]


@pytest.mark.parametrize("secret", ["arrival", "received", "openai", "100000", "attempt", "done_s"])
def test_a_secret_that_reads_like_an_event_changes_no_event(secret: str, tmp_path: Path) -> None:
    """Neither its kind nor its leg nor its times; its texts only."""
    told: list[AnyEvent] = [
        AttemptReceived(
            attempt=1,
            leg="openai",
            received_s=1.1000001,
            id="a" * 16,
            surface="model",
            operation="openai",
            model="openai",
            stream=False,
        ),
        done(f"no {secret} here"),
    ]
    writer = HistoryWriter(tmp_path / "history.jsonl", Redactor([secret]))
    for event in told:
        writer.add(event)
    writer.close()
    assert read(tmp_path / "history.jsonl") == (told[0], done(f"no {REDACTED} here"))
    assert tuple(writer.events) == read(tmp_path / "history.jsonl")


def test_a_secret_is_found_in_every_form_in_which_it_is_quoted() -> None:
    """A body of JSON has its quotes and backslashes escaped, a log of Python's has them otherwise."""
    secret = 'pa"ss\\word<&>é"SECRET0012'  # noqa: S105  nobody's
    redactor = Redactor([secret])
    for form in (secret, json.dumps({"error": secret}), json.dumps(json.dumps(secret)), repr(secret), repr([secret])):
        assert "SECRET0012" not in redactor.clean(form)
        assert REDACTED in redactor.clean(form)


def test_the_rest_of_a_secret_that_was_cut_off_goes_as_well() -> None:
    """Texts from outside are short; the cut may fall into a key."""
    redactor = Redactor(["sk-proj-STRADDLE0123456789"])
    for length in range(4, 26):
        cut = ("x" * 280 + " sk-proj-STRADDLE0123456789")[: 281 + length]
        assert redactor.clean(cut) == "x" * 280 + f" {REDACTED}"
    assert redactor.clean("it ends in sk") == "it ends in sk"


def test_a_plain_word_is_no_name_to_hide() -> None:
    """A dummy key that is called like a leg must not hide who the gateway says answered; a real key is hidden."""
    redactor = Redactor(["openai", "sk-proj-0123456789"])
    assert redactor.event(done("", "openai-gpt-4o")) == done("", "openai-gpt-4o")
    assert redactor.event(done("", "by sk-proj-0123456789")) == done("", f"by {REDACTED}")
    ended = ProgramEnded(at_s=1.0, code=1, asked=False, said=("key sk-proj-0123456789", "bye"))
    assert redactor.event(ended) == msgspec.structs.replace(ended, said=(f"key {REDACTED}", "bye"))


QUOTED = "pa ss/w+rd&<é>\"SECRET'0012"  # nobody's
FORMS = [
    urllib.parse.quote(QUOTED),
    urllib.parse.quote(QUOTED, safe=""),
    urllib.parse.quote_plus(QUOTED),
    re.sub("%..", lambda match: match[0].lower(), urllib.parse.quote_plus(QUOTED)),
    json.dumps(QUOTED).replace("/", "\\/"),
    json.dumps(QUOTED).replace("u00e9", "u00E9"),
    json.dumps(QUOTED, ensure_ascii=False).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"),
    html.escape(QUOTED),
    html.escape(QUOTED, quote=False),
    html.escape(QUOTED).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
    repr(QUOTED.encode()),
    base64.b64encode(QUOTED.encode()).decode(),
    base64.b64encode(f"user:{QUOTED}".encode()).decode(),
    base64.urlsafe_b64encode(f"me:{QUOTED}".encode()).decode(),
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_forms_of_other_languages(form: str) -> None:
    """At most a few characters of Base64 that are shared with what stands around it are left."""
    cleaned = Redactor([QUOTED]).clean(f"x {form} y")
    assert REDACTED in cleaned
    assert len(cleaned) <= len(f"x \"user:b'{REDACTED}'\" y") + 4
    assert "0012" not in cleaned


KEY = "sk-proj-0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"  # nobody's


@pytest.mark.parametrize("form", [KEY.lower(), KEY.upper(), KEY.encode().hex(), KEY.encode().hex().upper()])
def test_a_key_in_another_case_or_in_hexadecimal(form: str) -> None:
    """Some programs fold the case of what they print, others print bytes."""
    assert Redactor([KEY]).clean(f"bad key {form} for you") == f"bad key {REDACTED} for you"
    assert Redactor([KEY]).clean(f"bad key {form[:20]}") == f"bad key {REDACTED}"


def test_a_word_in_capitals_stays() -> None:
    """A password that is a word, or a short one, may stand in any text in another case."""
    assert Redactor(["Anthropic", "Sonnet4"]).clean("ANTHROPIC sonnet4 anthropic") == "ANTHROPIC sonnet4 anthropic"


def test_half_a_character_is_no_reason_to_fail() -> None:
    """JSON may hold one."""
    assert Redactor(["sk-\ud800-0123456789"]).clean("key sk-\ud800-0123456789") == f"key {REDACTED}"


BASIC = base64.b64encode(b"me:hunter2hunter2").decode()
SCHEMES = [
    ("Bearer KEY-0123456789", "KEY-0123456789"),
    ("bearer   KEY-0123456789", "KEY-0123456789"),
    ("Token KEY-0123456789", "KEY-0123456789"),
    ("ApiKey KEY-0123456789", "KEY-0123456789"),
    (f"Basic {BASIC}", BASIC),
    (f"Basic {BASIC}", "me:hunter2hunter2"),
    (f"Basic {BASIC}", "hunter2hunter2"),
]


@pytest.mark.parametrize(("value", "credential"), SCHEMES)
def test_the_credential_of_a_header_is_secret_by_itself(value: str, credential: str) -> None:
    """A gateway says `Incorrect API key provided: KEY`, without the word in front; that word is no secret."""
    redactor = Redactor([value])
    assert redactor.clean(f"Incorrect API key provided: {credential}.") == f"Incorrect API key provided: {REDACTED}."
    assert redactor.clean(value) == value.replace(value.rsplit(maxsplit=1)[-1], REDACTED)
    assert redactor.clean("Bearer lines, Basic facts") == "Bearer lines, Basic facts"


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvSECRETAwIBADANBg\nKYzzSECRETzz\n-----END PRIVATE KEY-----\n"


def test_a_secret_of_several_lines_is_secret_line_by_line() -> None:
    """A log is cleaned by lines; each keeps its end."""
    redactor = Redactor([PEM])
    for line in PEM.splitlines():
        assert redactor.clean(f"pem: {line}\n") == f"pem: {REDACTED}\n"
    assert redactor.clean(PEM) == f"{REDACTED}\n"
    assert redactor.clean(json.dumps({"key": PEM})) == f'{{"key": "{REDACTED}\\n"}}'
    assert redactor.clean("-------- a title --------\n") == "-------- a title --------\n"


@pytest.mark.parametrize("behind", ["", "\n", "...", "...\n", "…", ". Find it", '..."}}', " and more\n"])
def test_a_secret_that_the_program_cut(behind: str) -> None:
    """At the end of a line, or with text behind it; its public beginning is no part of it."""
    redactor = Redactor(["sk-prodKEYabcdefghijklmnop12345"])
    assert redactor.clean(f"key=sk-prodKEYabcdef{behind}") == f"key={REDACTED}{behind}"
    assert redactor.clean(f"a key begins with sk- or AKIA{behind}") == f"a key begins with sk- or AKIA{behind}"


def test_the_beginning_of_ordinary_text_is_no_cut_secret() -> None:
    """A URL, a sentence, JSON and a word begin like many others."""
    redactor = Redactor(
        ["https://h/SECRET", '{"type": "SECRET1"}', "openai-SECRET12", "pw with SECRET1", "sk-ant-api03-a1b2c3d4"]
    )
    for text in (
        "see https://h.example\n",
        '{"type": "other"} and',
        "it is openai\n",
        "pw with that,",
        "sk-ant-api03- keys",
    ):
        assert redactor.clean(text) == text


def test_a_word_stays_in_a_host_and_a_key_goes_with_its_label() -> None:
    """Names are looked up in lower case, and a key among them is one all the same."""
    redactor = Redactor(["openai", "SECRETkey12", "key.with.DOTS1"])

    def tried(host: str) -> HostTried:
        return HostTried(at_s=1.0, host=host, how=HowTried.LOOKED_UP)

    assert redactor.event(tried("x.api.openai.com")) == tried("x.api.openai.com")
    assert redactor.event(tried("x-secretkey12-y.openai.com")) == tried(f"{REDACTED}.openai.com")
    assert redactor.event(tried("a.key.with.dots1.com")) == tried(f"a.{REDACTED}.com")


ENV = [
    ("DB_PASSWD", "hunter2hunter2", ("hunter2hunter2",)),
    ("REDIS_DSN", "redis://h:6379", ("redis://h:6379",)),
    ("UPSTREAM", "sk-proj-LOOKSECRET", ("sk-proj-LOOKSECRET",)),
    ("DATABASE_URL", "postgres://me:s3cr3t@db/x", ("s3cr3t",)),
    ("BASIC_AUTH", "me:pw", ("me:pw",)),
    ("OPENAI_API_KEY", "k", ("k",)),
    ("MAX_TOKENS", "100000", ()),
    ("MODE", "arrival", ()),
    ("ACCESS_TOKENS", "tokSECRETplural99", ("tokSECRETplural99",)),
    ("ALLOWED_API_KEYS", "allowSECRETkey88", ("allowSECRETkey88",)),
    ("ENABLE_KEY", "wwwwSECRET1", ("wwwwSECRET1",)),
    ("ENABLE_KEY", "true", ()),
    ("API_KEYS", "listSECRET1, listSECRET2", ("listSECRET1", "listSECRET1, listSECRET2", "listSECRET2")),
    ("API_TOKEN", "1234567890", ("1234567890",)),
    ("DB_PASSWORD", "48291042", ("48291042",)),
    ("DB_PASSWORD", "sunshine", ("sunshine",)),
    ("STATUS_KEY", "status", ()),
    ("HOST_KEY", "api.anthropic.com", ()),
    ("SENTRY", "ghp_SECRETgithubtoken1234567890abcdef", ("ghp_SECRETgithubtoken1234567890abcdef",)),
    ("SLACK", "as xoxb-123456789-abcdef, now", ("xoxb-123456789-abcdef",)),
    ("AWS", "AKIAABCDEFGHIJKLMNOP:" + 40 * "a", ("AKIAABCDEFGHIJKLMNOP:" + 40 * "a", 40 * "a")),
    ("URL", "postgres://u:p%40ssSECRET@h/db", ("p%40ssSECRET", "p@ssSECRET")),
    ("URL", "postgres://u:pa/ss@h/db", ("pa/ss",)),
    ("URL", "redis://:p:ass@w0rd@h/1", ("p:ass@w0rd",)),
    ("URL", "https://tok3nvalue@h/x", ("tok3nvalue",)),
    ("URL", "https://h.example/@scope/x and https://h:8080/@scope", ()),
    ("URL", "https://h/x?api_key=zzSECRETzz&page=2", ("zzSECRETzz",)),
    ("OTEL_EXPORTER_OTLP_HEADERS", "x-honeycomb-team=hcSECRET1,x-request-id=drill", ("hcSECRET1",)),
    ("CUSTOM_HEADERS", "X-Gateway: gwSECRET22\nAccept: */*", ("gwSECRET22",)),
    ("EXTRA_HEADERS", '{"X-Team": "teamSECRET3", "Accept": "text/html"}', ("teamSECRET3",)),
    ("SETTINGS", '{"api_key": "jsonSECRET4", "mode": "arrival"}', ("jsonSECRET4",)),
    ("CONN", "Server=x;Password=yySECRETyy;Timeout=30", ("yySECRETyy",)),
]


@pytest.mark.parametrize(("name", "value", "secrets"), ENV)
def test_which_variables_are_secrets(name: str, value: str, secrets: tuple[str, ...]) -> None:
    """By the name, by the looks, and inside a URL."""
    assert secrets_in({name: value}) == secrets


def test_arguments_may_be_secrets() -> None:
    """By their looks."""
    assert secrets_in({}, ["app.py", "--key", "sk-ant-0123456789"]) == ("sk-ant-0123456789",)


@pytest.mark.parametrize(
    "arguments",
    [
        ["gw.py", "--api-key", "ssSECRETss"],
        ["gw.py", "--token=ssSECRETss"],
        ["curl", "-H", "X-Api-Key: ssSECRETss"],
        ["curl", "-H", "Authorization: Bearer ssSECRETss"],
        ["sh", "-c", "exec gw --port 1 --password 'ssSECRETss'"],
        ["sh", "-c", 'curl -H "Authorization: Bearer ssSECRETss" http://h'],
        ["env", "PROVIDER_KEY=ssSECRETss", "gw"],
        ["gw.py", "--header=Authorization: Bearer ssSECRETss"],
        ["gw.py", "--extra-header=X-Team:ssSECRETss"],
        ["curl", "-HAuthorization: Bearer ssSECRETss"],
        ["curl", "--user=me:ssSECRETss"],
        ["sh", "-c", 'curl "--header=Authorization: Bearer ssSECRETss" http://h'],
        ["gw.py", '--config={"api_key":"ssSECRETss"}'],
        ["gw.py", "--config", r"{\"api_key\": \"ssSECRETss\"}"],
        ["python", "-c", "import openai; openai.api_key = 'ssSECRETss'"],
        ["python", "-c", 'OpenAI(api_key="ssSECRETss", timeout="5")'],
    ],
)
def test_the_value_of_an_option_may_be_a_secret(arguments: list[str]) -> None:
    """By the option's name, as a variable by its; a header as in a legs file."""
    redactor = Redactor(secrets_in({}, arguments))
    assert redactor.clean("no ssSECRETss") == f"no {REDACTED}"
    assert redactor.clean(" ".join(arguments[:2])).startswith(arguments[0])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--max-tokens", "4096"],
        ["--api-key", "{config}"],
        ["--key", "--verbose"],
        ["--title=Report: of the day"],
        ["--options={'max_tokens': '4096'}"],
    ],
)
def test_an_option_without_a_secret(arguments: list[str]) -> None:
    """A number, a placeholder, another option."""
    assert secrets_in({}, arguments) == ()


def test_names_and_hosts_of_legs_are_no_secrets() -> None:
    """They are in each report."""
    leg = Leg(name="a-1", role=None, provider="openai", vendor="v", model="m", cloud="c", hosts=("eu-1.h.example",))
    env = {"A_SECRET": "eu-1.h.example", "B_SECRET": "eu-2.h.example"}
    assert secrets_in(env, (), [leg]) == ("eu-2.h.example",)


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("X-Auth", "xauthSECRET456", ("xauthSECRET456",)),
        ("Ocp-Apim-Subscription", "subSECRET789", ("subSECRET789",)),
        ("Authorization", "Bearer sometestkey", ("Bearer sometestkey",)),
        ("Content-Type", "application/json", ()),
        ("X-Request-Id", "drill-0001", ()),
        ("X-Title", "by sk-SECRET0123456", ("sk-SECRET0123456",)),
        ("X-Level", "12", ()),
    ],
)
def test_which_headers_are_secrets(name: str, value: str, secrets: tuple[str, ...]) -> None:
    """All but well-known harmless ones, and these too when they hold what looks like a key."""
    assert of_header(name, value) == secrets


def test_a_bug_of_the_tool_is_no_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and not the exit code of a gateway that failed."""

    def broken(_argv: object) -> int:
        raise KeyError("surprise")

    monkeypatch.setattr("drills.cli._read", broken)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 3
    said = "drill: a bug of the tool, and no verdict: KeyError: 'surprise' (FAILOVER_DRILL_TRACEBACK=1 shows where)\n"
    assert capsys.readouterr().err == said
    monkeypatch.setenv("FAILOVER_DRILL_TRACEBACK", "1")
    with pytest.raises(KeyError, match="surprise"):
        main([])


TAILED = "sk-prodKEYabcdefghijklmnop12345"
TAILS = [
    ("a key that ends in mnop12345.", f"a key that ends in {REDACTED}."),
    ("key=...hijklmnop12345", f"key=...{REDACTED}"),
    ("key=**********12345, see", f"key=**********{REDACTED}, see"),
    ("key=sk-\u2026p12345\n", f"key=sk-\u2026{REDACTED}\n"),
    ("twice mnop12345 and p12345, xmnop12345", f"twice {REDACTED} and p12345, x{REDACTED}"),
    # What vendors print themselves, and what is no end of it.
    ("Incorrect API key provided: sk-pr***...2345. You can", None),
    ("12345 requests, ...12346, ... 12345, ...mnop1234", None),
    ("", None),
    ("...", None),
]


@pytest.mark.parametrize(("text", "cleaned"), TAILS)
def test_a_secret_that_the_program_cut_in_front(text: str, cleaned: str | None) -> None:
    """Its end is taken out from eight characters on, behind dots or stars from five; the four of a vendor's own mask
    stay.
    """
    assert Redactor([TAILED]).clean(text) == (text if cleaned is None else cleaned)


def test_the_end_of_ordinary_text_is_no_end_of_a_secret() -> None:
    """A secret that ends like a word, a URL or a sentence; one that is a plain word."""
    redactor = Redactor(["k-1-my-production", "https://h/v1/list2", "a word here4", "openai", "x-KEY-Error", PEM])
    for text in (
        "in production",
        "my-production...",
        "GET /v1/list2",
        "...production",
        "...Error",
        "... openai",
        "..openai1",
    ):
        assert redactor.clean(text) == text.replace("openai", REDACTED)
    assert redactor.clean("-----END PRIVATE KEY-----") == REDACTED


def test_an_end_that_two_secrets_share_goes_as_far_as_it_is_one() -> None:
    """The longer one decides."""
    redactor = Redactor(["first-Xa1b2c3d4", "other-Ya1b2c3d4"])
    assert (
        redactor.clean("...Ya1b2c3d4 and -Xa1b2c3d4 and Za1b2c3d4") == f"...{REDACTED} and {REDACTED} and Z{REDACTED}"
    )
