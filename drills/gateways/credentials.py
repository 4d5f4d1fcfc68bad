"""Which texts that a process or a request is given are credentials: variables, arguments, headers, parts of URLs.

By their name, by their looks, and by where they stand. A name that ends in KEY, TOKEN, SECRET, PASSWORD and the like
says that the value is one, whatever else is in the name. Not by the name alone are:

- numbers and words such as `true`: MAX_TOKENS=4096. A number of ten digits or more is one again, and so is any number
  under a name that says password or secret.
- under a name that says key or token: a plain word, 6 to 15 letters a-z, or several with dots between them:
  STATUS_KEY=status, HOST_KEY=api.example.com. Taken out of every text they would make a run unreadable. The trade-off:
  a key or token that is such a word is not kept out. Issued ones are longer, or have digits, capitals or dashes;
  passwords and secrets, which people think of, are kept out even if they are words.
- a host of a leg and a name of one, whatever they look like: they are in every report anyway.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from drills.gateways.looks import credentials_in
from drills.gateways.scrub import is_secret
from drills.legs import Leg

_ENDS_SECRET = re.compile(
    r"(?:key|token|secret|passw(?:or)?d|passphrase|pwd|pass|credential|authorization|signature)s?\Z|(?:\A|_)(?:sig|pat)\Z",
    re.IGNORECASE,
)
_ALSO_SECRET = re.compile(r"auth|pwd|passphrase", re.IGNORECASE)
_OF_PEOPLE = re.compile(r"pass|pwd|secret|auth|dsn|credential|cookie", re.IGNORECASE)
"""Names of what people think of: words under them are taken for secrets."""
_NO_VALUE = re.compile(r"true|false|yes|no|on|off|none|null", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,9})?")
_WORD = re.compile(r"[a-z]{6,15}|[a-z]{1,15}(?:\.[a-z]{1,15})+")
_REFERENCE = re.compile(r"\$?\{[A-Za-z_][\w.-]*\}|\$[A-Za-z_]\w*")
_ITEM_AT_LEAST = 6
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>]*?(?=,?[A-Za-z][A-Za-z0-9+.-]*://|[\s\"'<>]|\Z)")
_PORT = re.compile(r":\d{1,5}(?=/)")
_FIELD = re.compile(r"(?:\A|[?&;\s\"'])(?P<name>[A-Za-z][\w .-]*?)\s*=\s*(?P<value>[^&#;\s\"']+)")
_ITEM = re.compile(r"""(?P<name>[A-Za-z][\w.-]*)\\?["']?\s*[:=]\s*\\?["'](?P<value>[^"'\\]+)\\?["']""")
"""A field of JSON, of Python or of YAML in quotes, also one in quotes that are escaped."""
_JOINED = re.compile(r"-H(?=[A-Za-z])|--(?:[\w-]*-)?(?:headers?|user)=", re.IGNORECASE)
"""An option with a header in the same word, or with curl's `user:password`."""
_PAIR = re.compile(r"\s*(?P<name>[A-Za-z][\w-]*)\s*[:=]\s*(?P<value>[^\s{\[\"'].*?)\s*")
"""A header in a variable: `name=value`, as for OpenTelemetry, or `Name: value`, a line each."""
_HOLDS_HEADERS = re.compile(r"headers?\Z", re.IGNORECASE)
_OPTION = re.compile(r"--?(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?", re.DOTALL)
_HEADER = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9-]*):\s*(?P<value>\S.*)", re.DOTALL)
_HARMLESS_HEADERS = re.compile(
    r"accept(?:-.*)?|content-.*|user-agent|cache-control|connection|host|origin|referer|x-request-id|x-correlation-id"
    r"|traceparent|anthropic-version|anthropic-beta|openai-beta|openai-organization|openai-project|http-referer|x-title",
    re.IGNORECASE,
)


class _Named(NamedTuple):
    name: str
    value: str


def secrets_in(env: Mapping[str, str], arguments: Sequence[str] = (), legs: Iterable[Leg] = ()) -> tuple[str, ...]:
    """The credentials among a process's variables and arguments. legs: whose names and hosts are no secrets."""
    named = [*(_Named(name, value) for name, value in env.items()), *_options(arguments)]
    found = {secret for one in named if names_secret(one.name) for secret in _values(one)}
    found |= {secret for text in (*env.values(), *arguments) for secret in _inside(text)}
    given = [word for argument in _words(arguments) for word in _header_texts(argument)]
    headers = [header for text in given if (header := _HEADER.fullmatch(text))]
    for name, value in env.items():
        if _HOLDS_HEADERS.search(name):
            headers += [*_ITEM.finditer(value), *filter(None, map(_PAIR.fullmatch, re.split(r"[,\n]", value)))]
    found |= {secret for header in headers for secret in of_header(header["name"], header["value"])}
    public = {text for leg in legs for text in (leg.name, leg.provider, leg.model, leg.cloud, *leg.hosts)}
    return tuple(sorted(found - public))


def names_secret(name: str) -> bool:
    """Whether a name says that its value is a credential."""
    name = name.replace("-", "_").replace(" ", "_").replace(".", "_")
    return any((_ENDS_SECRET.search(name), is_secret("", name), _ALSO_SECRET.search(name)))


def of_header(name: str, value: str) -> tuple[str, ...]:
    """The credentials of a literal header: its value, unless the header is well known and harmless."""
    found = set(_inside(value))
    if _HARMLESS_HEADERS.fullmatch(name) is None:
        named = names_secret(name) or "cookie" in name.lower()
        found |= {value} if named and not _is_plain(name, value) else set(_values(_Named(name, value)))
    return tuple(sorted(found))


def _is_plain(name: str, value: str) -> bool:
    """Whether a value is no credential, whatever its name says."""
    if not value or _NO_VALUE.fullmatch(value) or _REFERENCE.fullmatch(value):
        return True
    if _OF_PEOPLE.search(name):
        return False
    return _NUMBER.fullmatch(value) is not None or _WORD.fullmatch(value) is not None


def _values(named: _Named) -> Iterator[str]:
    """The value as it stands, and each item of a list."""
    if _is_plain(named.name, named.value):
        return
    yield named.value
    items = [item.strip() for item in re.split(r"[,;]", named.value)]
    if len(items) > 1:
        yield from (item for item in items if len(item) >= _ITEM_AT_LEAST and not _is_plain(named.name, item))


def _words(arguments: Iterable[str]) -> Iterator[str]:
    """The arguments, and the words of those that are a line of several, as for a shell. A header in quotes is one."""
    for argument in arguments:
        yield argument
        if re.search(r"\s", argument):
            yield from (a or b or c for a, b, c in re.findall(r"\"([^\"]*)\"|'([^']*)'|(\S+)", argument))


def _header_texts(word: str) -> Iterator[str]:
    """A word, and what is behind the option in it: `-HName: value`, `--header=Name: value`."""
    yield word
    if (joined := _JOINED.match(word)) is not None:
        yield word[joined.end() :].strip("\"'")


def _options(arguments: Sequence[str]) -> Iterator[_Named]:
    """What stands behind an option, or after its `=`; and `NAME=value`."""
    option = ""
    for word in _words(arguments):
        found = _OPTION.fullmatch(word)
        if option and not word.startswith("--"):
            yield _Named(option, word)
        option = ""
        if found is not None and found["value"] is not None:
            yield _Named(found["name"], found["value"].strip("\"'"))
        elif found is not None:
            option = found["name"]


def _inside(text: str) -> Iterator[str]:
    """What is a credential wherever it stands: by its looks, in the user info of a URL, behind a name and `=`."""
    yield from credentials_in(text)
    for url in _URL.findall(text):
        yield from _user_info(url)
    for field in (*_FIELD.finditer(text), *_ITEM.finditer(text)):
        name, value = field["name"].strip(), field["value"]
        if names_secret(name) and not _is_plain(name, value):
            yield value
            yield urllib.parse.unquote_plus(value)


def _user_info(url: str) -> Iterator[str]:
    """The password of a URL, as it stands and decoded; a user without one is a token. The last @ decides: a password
    may hold others, and slashes.
    """
    info, at, _ = url.partition("://")[2].rpartition("@")
    user, colon, password = info.partition(":")
    if not at or "/" in user or _PORT.match(f"{colon}{password}"):
        return  # an @ in a path
    secrets = (password,) if password else (user,)
    if password == "x-oauth-basic":  # noqa: S105  what GitHub takes for a password behind a token
        secrets = (user,)
    for secret in secrets:
        if password or not _WORD.fullmatch(secret):
            yield secret
            yield urllib.parse.unquote(secret)
