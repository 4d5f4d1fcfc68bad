"""`result.json`: the contract for other tools, of the shape that `drills.result` says. Pure.

A run writes it by itself, before any report.
"""

from __future__ import annotations

from drills.result import Result, encode
from reports.base import Format, of_result


def render(result: Result) -> bytes:
    """The result as JSON. Hostile text is in it as it came, with what nobody sees written as escapes."""
    return encode(result)


FORMAT = Format(name="json", file="result.json", about="the whole result, for other tools", render=of_result(render))
