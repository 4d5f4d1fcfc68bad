"""JSON that somebody else wrote: whatever is wrong with it, each reader says so in its own one way."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from calibration.story import history
from folders import write_run

from drills import chain, kept, manifest, result
from drills.chat import AnswerReader
from drills.cli import main
from drills.events import Ending
from drills.history import load
from drills.manifest import MANIFEST_FILE, Sealer
from drills.problems import UsageProblem
from drills.quarter import result as quarter
from drills.sealing import seal

DEEP = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
NO_TEXT = b'{"\x81":1}'
ODD = pytest.mark.parametrize("data", [DEEP, NO_TEXT, b'{"schema":"\x81"}', b"[" * 100_000, b""])


@ODD
def test_whatever_is_wrong_is_one_kind_of_error(data: bytes) -> None:
    """And no error of the library's own, or of the interpreter's."""
    for decode in (result.decode, quarter.decode, manifest.decode):
        with pytest.raises(msgspec.DecodeError):
            decode(data)


@ODD
def test_a_history_of_it_has_a_place_for_the_error(data: bytes, tmp_path: Path) -> None:
    """The last line is what a crash leaves, and one before it is a problem with its line."""
    path = tmp_path / "history.jsonl"
    path.write_bytes(data)
    assert load(path)[0] == ()
    if data:
        path.write_bytes(data + b"\n")
        with pytest.raises(UsageProblem, match=r"history\.jsonl:1:1: not an event of a drill's history: "):
            load(path)
    with pytest.raises(msgspec.DecodeError):
        kept.head(tmp_path)


@pytest.mark.parametrize("body", [DEEP, b"data: " + DEEP + b"\n\n"], ids=["whole", "stream"])
def test_an_answer_of_it_is_malformed(body: bytes) -> None:
    """A gateway must not be able to end the drill of itself."""
    reader = AnswerReader(stream=body.startswith(b"data"), done_mark=True)
    reader.feed(body)
    assert reader.finish() is Ending.MALFORMED


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run with its chain."""
    root = tmp_path_factory.mktemp("decoding") / "runs"
    seal(write_run(root / "20260101T000000Z-story-told", history("ppp[xxss]pp")), Sealer.RUN)
    return root


@pytest.mark.parametrize("name", ["history.jsonl", "result.json", MANIFEST_FILE, chain.CHAIN_FILE])
@pytest.mark.parametrize("more", [DEEP[1:-1], NO_TEXT[1:-1]], ids=["deep", "no text"])
def test_evidence_with_more_in_it_is_named_and_breaks_no_command(
    name: str, more: bytes, sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that no version knows, in front of all others."""
    root = shutil.copytree(sealed, tmp_path / "runs")
    [path] = root.rglob(name)
    path.write_bytes(b"{" + more + b"," + path.read_bytes()[1:])
    assert _exit("verify", root) == 1
    assert f"mismatch: {name}" in capsys.readouterr().out
    assert _exit("history", "--results", root) == 0
    assert _exit("report", "--quarter", "2026Q1", "--runs", root, "--out", tmp_path) == 0


def _exit(*arguments: str | Path) -> object:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code
