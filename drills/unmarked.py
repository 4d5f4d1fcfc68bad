"""What can be told of a request without a mark: who asks the same again, and whether it is a retry. Pure.

An application that makes its own calls does not know of our marks. Its texts are nobody's business: they are told apart
by a hash that is keyed with a secret of the run, and are stored nowhere.
"""

from __future__ import annotations

import hashlib
import re

from drills.providers.base import Headers

_KEY_BYTES = 8
_AWS_ATTEMPT = re.compile(r"attempt=(\d{1,4})")
_RETRY_COUNT = re.compile(r"\d{1,4}")


def text_key(text: str, salt: str) -> str:
    """A hash of a text, 16 hex digits; equal texts have equal ones, however their words are spaced. Empty for none."""
    words = " ".join(text.split())
    if not words:
        return ""
    hashed = hashlib.blake2b(words.encode("utf-8", "replace"), key=salt.encode()[:64], digest_size=_KEY_BYTES)
    return hashed.hexdigest()


def retry_of(headers: Headers) -> int | None:
    """Which retry of its SDK's a request is (0: the first try); None when no header says so.

    Source: `x-stainless-retry-count` in openai/_base_client.py and anthropic/_base_client.py, and `amz-sdk-request:
    attempt=2; max=5` in botocore/handlers.py, where the first try is attempt 1.
    """
    for name, value in headers:
        if name.lower() == "x-stainless-retry-count" and _RETRY_COUNT.fullmatch(value.strip()):
            return int(value)
        if name.lower() == "amz-sdk-request" and (found := _AWS_ATTEMPT.search(value)):
            return max(0, int(found[1]) - 1)
    return None
