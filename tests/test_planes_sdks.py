"""What the vendors' own SDKs make of broken answers that come through the plane.

The expected exceptions are those that were measured against raw sockets with the same versions (wire.md A.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plane_harness import Bench, bench
from sdk_env import sdk_python
from test_sdks import MARK, ask

from drills.marks import answer_words

__all__ = ["sdk_python"]
pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    """A plane before a leg of each SDK's dialect, named after it."""
    with bench({name: name for name in ("anthropic", "openai", "gemini", "bedrock")}) as found:
        yield found
        assert found.plane.troubles == []


AN_END = None
"""The stream ended without an exception, and no event had told why: the caller takes half an answer for whole."""

# fault, settings -> SDK: the exception that it raises in the middle of a stream, and the status that this carries
BROKEN: list[tuple[str, dict[str, Any], dict[str, tuple[str, object] | None]]] = [
    ("cut", {"how": "clean"}, {"anthropic": AN_END, "openai": AN_END, "gemini": AN_END, "bedrock": AN_END}),
    (
        "cut",
        {"how": "error"},
        {
            "anthropic": ("anthropic.APIStatusError", 200),
            "openai": ("openai.APIError", "server_is_overloaded"),
            "gemini": ("google.genai.errors.ServerError", 503),
            "bedrock": ("botocore.exceptions.EventStreamError", None),
        },
    ),
    (
        "cut",
        {"how": "fin"},
        {
            "anthropic": ("httpx2.RemoteProtocolError", None),
            "openai": ("openai.APIConnectionError", None),
            "gemini": ("httpx2.RemoteProtocolError", None),
            "bedrock": ("urllib3.exceptions.ProtocolError", None),
        },
    ),
    (
        "cut",
        {"how": "rst"},
        {
            "anthropic": ("httpx2.ReadError", None),
            "openai": ("openai.APIConnectionError", None),
            "gemini": ("httpx2.ReadError", None),
            "bedrock": ("urllib3.exceptions.ProtocolError", None),
        },
    ),
    (
        "malformed_event",
        {},
        {
            "anthropic": ("json.decoder.JSONDecodeError", None),
            "openai": ("json.decoder.JSONDecodeError", None),
            "gemini": ("google.genai.errors.UnknownApiResponseError", None),
        },
    ),
    ("corrupt_crc", {}, {"bedrock": ("botocore.eventstream.ChecksumMismatch", None)}),
    ("partial_frame", {}, {"bedrock": AN_END}),
]


@pytest.mark.parametrize(("kind", "settings", "expected"), BROKEN, ids=lambda part: str(part)[:24])
def test_what_each_sdk_makes_of_a_broken_stream(
    rig: Bench,
    sdk_python: Path,
    kind: str,
    settings: dict[str, Any],
    expected: dict[str, tuple[str, object] | None],
) -> None:
    """The exception, or half an answer that nobody objects to; each SDK tries once."""
    with rig.plane.fault(kind, *expected, after=5, **settings):
        calls = [{"client": leg, "url": f"http://127.0.0.1:{rig.plane.ports[leg]}", "stream": True} for leg in expected]
        answers = ask(sdk_python, "broken_calls", calls)
    for (leg, wanted), answer in zip(expected.items(), answers, strict=True):
        if wanted is AN_END:
            whole = "".join(answer_words(MARK, leg))
            assert (leg, answer.get("stop"), answer.get("exception")) == (leg, None, None)
            assert whole.startswith(answer["text"])
            assert 0 < len(answer["text"]) < len(whole)
        else:
            assert (leg, answer.get("exception"), answer.get("status")) == (leg, *wanted)


def test_a_web_page_with_status_200_is_handed_over(rig: Bench, sdk_python: Path) -> None:
    """Two SDKs return the page, a string, where an answer is expected."""
    with rig.plane.fault("html_200", "anthropic", "openai"):
        calls = [
            {"client": leg, "url": f"http://127.0.0.1:{rig.plane.ports[leg]}", "stream": False}
            for leg in ("anthropic", "openai")
        ]
        answers = ask(sdk_python, "broken_calls", calls)
    assert [answer.get("text") for answer in answers] == ["str", "str"]
