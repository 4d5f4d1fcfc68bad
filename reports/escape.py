"""Text that came from a gateway, a config or a file name is hostile: make it harmless before it is shown.

`plain` comes first in every format; what the format itself reads as a sign is escaped after it, by the library that
writes the format where there is one.
"""

from __future__ import annotations

import re

from drills.unseen import IGNORED

_INVISIBLE = re.compile(
    "["
    "\\x00-\\x1f\\x7f-\\x9f"  # controls: NUL, ESC, line ends, C1
    "\\u2028\\u2029\\ufff9-\\ufffb"  # line ends, notes
    f"{IGNORED}"
    "\\ud800-\\udfff\\ufffe\\uffff"  # no characters of XML
    "]+"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&@])")
_LINK = re.compile(r"(:(?=//)|www(?=\.)|@)", re.IGNORECASE)
"""Where GitHub makes a link of bare text: an address, `www.`, mail and people. Mail is looked for in the text that is
shown (cmark-gfm, `autolink.c`), where a backslash does not help; a space without width does, for all of them.
"""
_BLOCK = re.compile(r"^(?:([-=])|(\d+)([.)])(?=\s|$))")
"""What makes a list or a heading of a line, at its beginning."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Also in full width, which a spreadsheet takes for the same where people write so."""
_AHEAD = 4


COMMAND = "##["
"""GitHub's runner takes what follows for a command, anywhere in a line of a log. Source: actions/runner,
`ActionCommand.TryParse`.
"""


def plain(text: str, at_most: int = 500) -> str:
    """One line without control characters, escape sequences or direction marks, cut at a length.

    Of a text that is much too long only the beginning is looked at: ten megabytes cost nothing.
    """
    head = text[: _AHEAD * at_most]
    one_line = _INVISIBLE.sub(" ", head).replace(COMMAND, "# #[")
    if len(one_line) <= at_most and len(head) == len(text):
        return one_line
    return one_line[: at_most - 1] + "…"


def markdown(text: str, at_most: int = 500) -> str:
    """The same, and nothing in it is Markdown or HTML, nor becomes a link."""
    shown = _LINK.sub(r"\1&#8203;", _MARKDOWN.sub(r"\\\1", plain(text, at_most).strip()))
    return _BLOCK.sub(lambda found: f"{found[2]}\\{found[3]}" if found[2] else f"\\{found[1]}", shown)


def cell(text: str, at_most: int = 500) -> str:
    """The same for a cell of a spreadsheet: text that a spreadsheet would compute gets an apostrophe before it."""
    shown = plain(text, at_most)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
