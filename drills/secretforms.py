"""What a secret looks like where somebody else has written it: in JSON, HTML, a URL, Base64, Python; or only a part.

`pieces` are what is secret in a value as it was configured; `forms` are how one of them is quoted. Pure.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import urllib.parse
from collections.abc import Iterator

MASKED_AT_LEAST = 5
"""Of a secret's end, behind dots or stars; vendors themselves print four characters there, and those stay."""
LINE_AT_LEAST = 8
"""A line of a secret that has several is a secret by itself from here on; a shorter one is part of the whole only."""
_SCHEME = re.compile(r"(?P<scheme>bearer|basic|token|api-?key)\s+(?P<credential>\S.*)", re.IGNORECASE | re.DOTALL)
_LINES = re.compile(r"\r?\n|\\r?\\n|\\n")
_WORTH_BASE64 = 6
_KEY = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[!-~]{12,}")
"""What is a key and no word in any case: letters and digits, without a gap."""
_GO_JSON = "<>&"
_DOTNET_JSON = "<>&+'\"`"
_FRAME = "-----"
"""Around `BEGIN` and `END` of a key in PEM; a line of dashes is no part of a secret."""
_MARKER = re.compile(
    r"sk-(?:proj-|svcacct-|ant-(?:[a-z]+\d\d-)?|or-v1-)?|github_pat_|gh[opsur]_|xox[a-z]-|gsk_|AIza|eyJ",
    re.IGNORECASE,
)
"""Public beginnings of keys, which say nothing about the rest."""
_CUT_AT_LEAST = 8
_BEHIND_MARKER = 4
_TAIL_AT_LEAST = 8
_TEXT = re.compile(r"\s|://")
_NO_TOKEN = re.compile(r"[\s\"'{}\[\]<>]|://")


def pieces(secret: str) -> Iterator[str]:
    """What of a configured value must not be written: itself without the scheme of an `Authorization` in front, and
    each line of it. Of `Basic`, also the user and password, and the password alone.
    """
    secret = secret.strip()
    named = _SCHEME.fullmatch(secret)
    if named is not None:
        yield from pieces(named["credential"])
        if named["scheme"].lower() == "basic" and (pair := _decoded(named["credential"])):
            yield pair
            yield pair.partition(":")[2]
        return
    yield secret
    lines = [line.strip() for line in _LINES.split(secret)]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= LINE_AT_LEAST)


def forms(secret: str) -> frozenset[str]:
    """The secret, and how it looks inside JSON (once and twice, of several languages), Python, HTML, a URL, Base64; one
    that can be no word, in capitals, small letters and hexadecimal, too.
    """
    raw = secret.encode(errors="surrogatepass")  # a config may hold half a character; no reason to fail
    quoted = json.dumps(secret)[1:-1]
    plain = json.dumps(secret, ensure_ascii=False)[1:-1]
    found = {secret, quoted, plain, json.dumps(quoted)[1:-1], repr(secret)[1:-1], repr(raw)[2:-1]}
    found |= {_upper_u(quoted), quoted.replace("/", "\\/"), _upper_u(quoted).replace("/", "\\/")}
    for escaped in (_GO_JSON, _DOTNET_JSON):
        lower = _with_u(quoted if escaped is _DOTNET_JSON else plain, escaped)
        found |= {lower, _upper_u(lower)}
    found |= _in_html(secret)
    for safe in ("/", "", "!'()*~"):
        percent = urllib.parse.quote(raw, safe=safe)
        found |= {percent, _lower_percent(percent)}
    form = urllib.parse.quote_plus(raw)
    found |= {form, _lower_percent(form)}
    if _KEY.fullmatch(secret):
        found |= {secret.lower(), secret.upper(), raw.hex(), raw.hex().upper()}
    return frozenset(found | _in_base64(raw))


def cut_size(form: str) -> int:
    """How much of a form's beginning gives a secret away, wherever it stands: the program that printed it cut the rest.
    More than a form has, where no beginning is told from ordinary text: a URL, a sentence, JSON.

    A public marker such as `sk-ant-` does not count, and lower-case letters alone do not either: both stand in many
    texts.
    """
    never = len(form) + 1
    marker = _MARKER.match(form)
    size = max(_CUT_AT_LEAST, (marker.end() + _BEHIND_MARKER) if marker else 0)
    while size < len(form) and form[:size].isalpha() and form[:size].islower():
        size += 1
    is_text = form.startswith(_FRAME) or _NO_TOKEN.search(form[: size + len("://")]) is not None
    return never if is_text or size >= len(form) else size


def tail_size(form: str) -> int:
    """How much of a form's end gives a secret away, wherever it stands; more than a form has, where no end is told from
    ordinary text.

    A shorter end is what vendors print themselves. It has a letter and a digit in it: words end like words.
    """
    size = _TAIL_AT_LEAST
    while size < len(form) and not (re.search(r"[0-9]", form[-size:]) and re.search(r"[A-Za-z]", form[-size:])):
        size += 1
    return len(form) + 1 if _NO_TOKEN.search(form[-size:]) is not None or size >= len(form) else size


def is_masked_tail(tail: str) -> bool:
    """Whether the end of a secret, behind dots or stars, is more than a vendor's own mask leaves, and no word."""
    return len(tail) >= MASKED_AT_LEAST and not (tail.isalpha() and (tail.islower() or tail.istitle()))


def ends_like_text(secret: str) -> bool:
    """Whether the end of a secret may be the end of many texts: it is a URL, a sentence, or a line around a key."""
    return is_frame(secret) or _TEXT.search(secret) is not None


def is_frame(form: str) -> bool:
    """Whether it is the first or last line of a key in PEM, or begins with one. Its beginning is only dashes."""
    return form.startswith(_FRAME)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""  # no Base64 of a text: then there is no user and password in it


def _in_html(secret: str) -> set[str]:
    escaped = html.escape(secret)
    decimal = escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    hexadecimal = escaped.replace("&quot;", "&#x22;")
    return {escaped, html.escape(secret, quote=False), decimal, hexadecimal, escaped.replace("&#x27;", "&#39;")}


def _in_base64(secret: bytes) -> set[str]:
    """What every Base64 holds that has the secret somewhere in it, whatever is in front of it: `user:` for one."""
    if len(secret) < _WORTH_BASE64:
        return set()
    found = set()
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + secret).decode()
        # The first and the last character may hold bits of what is in front of it and behind it.
        inner = text[(0, 2, 3)[shift] : len(text.rstrip("=")) - (1 if "=" in text else 0)]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return found


def _with_u(quoted: str, escaped: str) -> str:
    r"""The characters as `\u00xx`; a quote that JSON has escaped loses its backslash."""
    for one in escaped:
        quoted = quoted.replace(json.dumps(one)[1:-1], f"\\u{ord(one):04x}")
    return quoted


def _upper_u(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda match: f"\\u{match[1].upper()}", text)


def _lower_percent(text: str) -> str:
    return re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)
