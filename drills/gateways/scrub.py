"""Which texts of a gateway's config are credentials. A private copy has none of them, only dummies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

DUMMY = "drill-dummy"
"""What stands where a credential stood."""

_SECRET = re.compile(
    r"key|secret|passw|token|credential|authorization|cookie|licen[cs]e|salt|dsn|webhook|connection_string|private",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"tokens|token_(?:count|limit|url)|tokenizer|credential_(?:name|info)|key_(?:alias|name|header|path)"
    r"|_keys?_(?:tpm|rpm)|keepalive|cache_key|affinity|redact|allow|disable|enable",
    re.IGNORECASE,
)
_LOOKS_SECRET = re.compile(
    r"sk-[\w-]{8,}|A[KS]IA[A-Z0-9]{12,}|AIza[\w-]{20,}|ya29\.|eyJ[\w-]{10,}\.|-----BEGIN|gsk_\w{8,}|xai-\w{8,}"
)
_ENV_SECRET = re.compile(r"auth|pwd|passphrase", re.IGNORECASE)
_IN_URL = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_URL_PARTS = re.compile(r"(://)(?:[^\s?#]*@)?([^\s?#]*)([?#](?!…)\S*)?")
_QUERY = re.compile(r"[?#][\w.%-]+=\S*")


def scrub(value: object, key: str = "", reference: str | None = None) -> object:
    """Replace every literal credential below, in place. A text is one by its key or by its looks. A text that begins
    with `reference` only names where a credential is kept, and stays.
    """
    if isinstance(value, dict):
        for name in value:
            value[name] = scrub(value[name], str(name), reference)
        return value
    if isinstance(value, list):
        return [scrub(item, key, reference) for item in value]
    if not isinstance(value, str) or (reference is not None and value.startswith(reference)):
        return value
    return DUMMY if is_secret(value, key) else value


def is_secret(text: str, key: str) -> bool:
    """Whether a text under this key is a credential, by the key or by its looks."""
    by_name = _SECRET.search(key) is not None and _NO_SECRET.search(key) is None
    return by_name or _LOOKS_SECRET.search(text) is not None


def secrets_in(env: Mapping[str, str], arguments: Iterable[str] = ()) -> tuple[str, ...]:
    """The credentials among a process's variables and arguments: by the variable's name, by their looks, and passwords
    inside URLs.
    """
    found = {value for name, value in env.items() if is_secret(value, name) or _ENV_SECRET.search(name)}
    found |= {text for text in arguments if is_secret(text, "")}
    found |= {match[1] for text in (*env.values(), *arguments) for match in _IN_URL.finditer(text)}
    return tuple(sorted(found))


def without_url_secrets(text: str) -> str:
    """The text with only scheme, host and path of every URL in it: user info, query and fragment may hold a secret.
    So may a query behind a host without its scheme.
    """
    return _QUERY.sub("?…", _URL_PARTS.sub(lambda url: f"{url[1]}{url[2]}{'?…' if url[3] else ''}", text))
