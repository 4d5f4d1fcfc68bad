"""`drill report`, and what a run writes: through the command, in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import drill
from folders import story_run, write_run
from hostile import ATTACKS, told

from drills.files import recheck


def test_a_run_writes_its_reports_and_check_agrees(tmp_path: Path) -> None:
    """Beside the history: the result, the page, the Markdown, the test cases."""
    folder = story_run(tmp_path / "run")
    assert {path.name for path in folder.iterdir()} == {
        "scenario.yaml",
        "history.jsonl",
        "result.json",
        "report.html",
        "report.md",
        "junit.xml",
    }
    result, agrees, why = recheck(folder)
    assert (agrees, why) == (True, "")
    assert result.verdict == "fail"


@pytest.mark.parametrize("name", ["report.html", "report.md", "junit.xml"])
def test_check_names_a_report_that_was_changed_or_is_missing(tmp_path: Path, name: str) -> None:
    """One letter is enough."""
    folder = story_run(tmp_path / "run")
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"lost", b"l0st", 1))
    assert recheck(folder)[1:] == (
        False,
        f"{folder}: the files do not agree with the history in: {name} (not the report of this history)",
    )
    path.unlink()
    assert f"{name} (missing)" in recheck(folder)[2]
    ran = drill("check", folder, cwd=tmp_path)
    assert (ran.code, f"{name} (missing)" in ran.err) == (3, True)


def test_report_makes_any_format_anew(tmp_path: Path) -> None:
    """The same bytes as the run wrote; to the folder, to a file, to another folder, to the standard output."""
    folder = story_run(tmp_path / "run")
    kept = {name: (folder / name).read_bytes() for name in ("report.html", "report.md", "junit.xml", "result.json")}
    (folder / "report.html").unlink()
    ran = drill("report", folder, cwd=tmp_path)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_bytes() == kept["report.html"]
    (tmp_path / "there").mkdir()
    words = [word for name in ("html", "md", "junit", "json") for word in ("--format", name)]
    assert drill("report", folder, *words, "--out", "there", cwd=tmp_path).code == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "there").iterdir()} == kept
    assert drill("report", folder, "--format", "md", "--out", "one.md", cwd=tmp_path).code == 0
    assert (tmp_path / "one.md").read_bytes() == kept["report.md"]
    assert drill("report", folder, "--format", "md", "--out", "-", cwd=tmp_path).out.encode() == kept["report.md"]


def test_report_of_a_run_that_was_killed(tmp_path: Path) -> None:
    """There is no result; the report says that the history breaks off."""
    folder = story_run(tmp_path / "run", judged=False)
    history = folder / "history.jsonl"
    history.write_bytes(b"\n".join(history.read_bytes().split(b"\n")[:-3]) + b'\n{"event":"arrival_se')
    ran = drill("report", folder, "--format", "summary", "--out", "-", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "missing; the run was killed before it was judged" in ran.err
    assert ran.out.startswith("### INTERRUPTED: ")
    assert "the history breaks off" in ran.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "htm"], "did you mean 'html'? allowed: csv, html, json, junit, md,"),
        (["--format", "html", "--format", "md", "--out", "x.html"], "2 formats (html, md) need a folder that exists"),
        (["--format", "html", "--format", "md", "--out", "-"], "2 formats (html, md) need a folder that exists"),
        (["--out", "no/such/x.html"], "no such folder: no/such"),
        (["--out", "/dev/stdout"], "use - for the standard output"),
    ],
)
def test_report_says_what_is_wrong_and_writes_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    """One line, exit code 2."""
    folder = story_run(tmp_path / "run", judged=False)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    ran = drill("report", folder, *words, cwd=tmp_path)
    assert (ran.code, len(ran.err.strip().splitlines())) == (2, 1)
    assert said in ran.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_report_of_no_run(tmp_path: Path) -> None:
    """A folder that is none, and one without a history."""
    assert "no such folder" in drill("report", "nowhere", cwd=tmp_path).err
    assert "cannot read the history" in drill("report", ".", cwd=tmp_path).err


def test_hostile_folder_and_file_names(tmp_path: Path) -> None:
    """A folder may be called anything; nothing of it reaches a terminal or a page as more than text."""
    folder = write_run(tmp_path / "<script>alert(1)<\u202e\x1b[31m>", told(ATTACKS))
    ran = drill("report", folder, "--format", "html", cwd=tmp_path)
    assert ran.code == 0
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    shown = drill("check", folder, cwd=tmp_path)
    assert "\x1b" not in shown.out + shown.err
    assert "<script>alert(1)" not in (folder / "report.html").read_text()
