"""Text that came from a gateway, a config or a file name is hostile: make it harmless before it is shown."""

from __future__ import annotations

import re

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&@])")


def plain(text: str, at_most: int = 500) -> str:
    """One line without control characters, escape sequences or direction marks, cut at a length."""
    one_line = _INVISIBLE.sub(" ", text)
    return one_line if len(one_line) <= at_most else one_line[: at_most - 1] + "…"


def markdown(text: str, at_most: int = 500) -> str:
    """The same, and nothing in it is Markdown or HTML."""
    return _MARKDOWN.sub(r"\\\1", plain(text, at_most))
