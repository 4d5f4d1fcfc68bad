"""What well-known credentials look like, whoever holds them and under whatever name.

Facts of the vendors' own documentation of their keys; public rule sets of secret scanners agree with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

LOOKS = (
    ("OpenAI, Anthropic, OpenRouter and many others", r"sk-[\w-]{8,}"),
    ("AWS, long-lived and temporary access key ids", r"A[KS]IA[A-Z0-9]{12,}"),
    ("Google API keys", r"AIza[\w-]{20,}"),
    ("Google OAuth access tokens", r"ya29\.[\w.-]+"),
    ("JSON Web Tokens", r"eyJ[\w-]{10,}\.[\w.-]*"),
    ("keys in PEM", r"-----BEGIN[^\0]*"),
    ("Groq", r"gsk_\w{8,}"),
    ("xAI", r"xai-\w{8,}"),
    ("GitHub tokens", r"gh[opsur]_\w{16,}"),
    ("GitHub fine-grained tokens", r"github_pat_\w{16,}"),
    ("GitLab tokens", r"glpat-[\w-]{16,}"),
    ("Slack tokens", r"xox[abeoprs]-[\w-]{8,}"),
    ("Hugging Face tokens", r"hf_[A-Za-z0-9]{16,}"),
    ("Replicate tokens", r"r8_[A-Za-z0-9]{16,}"),
    ("Perplexity keys", r"pplx-[A-Za-z0-9]{16,}"),
    ("Stripe keys", r"[rs]k_(?:live|test)_\w{8,}"),
)
"""Whose credentials, and what they look like."""
_LOOKS = re.compile("|".join(look for _, look in LOOKS))
_TO_ITS_END = re.compile(r"[^\s\"',;&]*")
_AWS_ID = re.compile(r"A[KS]IA[A-Z0-9]{12,}")
_AWS_SECRET = re.compile(r"(?<![\w/+=])[A-Za-z0-9/+]{40}(?![\w/+=])")


def looks_secret(text: str) -> bool:
    """Whether there is a well-known credential in a text."""
    return _LOOKS.search(text) is not None


def credentials_in(text: str) -> Iterator[str]:
    """The well-known credentials in a text, each up to the next space, quote or comma. Beside the id of an AWS key,
    also what is as long as its secret.
    """
    for match in _LOOKS.finditer(text):
        end = _TO_ITS_END.match(text, match.end())
        yield match[0] + (end[0] if end else "")
    if _AWS_ID.search(text):
        yield from _AWS_SECRET.findall(text)
