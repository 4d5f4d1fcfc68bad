"""Evidence: one changed byte anywhere in a sealed run is found and its file is named; a crash is told from a change."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drilling import drill
from folders import BY_US, kill_later, sealed_run, start_writer, story_run, write_run
from hostile import ATTACKS, told

from drills import __version__, canonical, chain, manifest, sealing
from drills.build import build
from drills.chain import CHAIN_FILE, Kind
from drills.documents import base as documents
from drills.documents.base import Document, Recomputed
from drills.findings import Grade
from drills.importing import bring
from drills.index import runs
from drills.manifest import MANIFEST_FILE, SIGNATURE_FILE, Sealer
from drills.problems import UsageProblem
from drills.retention import remove
from drills.sealing import record, seal, sign
from drills.signing import signer, verifier
from drills.verify import Place, Verification, as_json, as_text, verify

RUN = "20260101T000000Z-story-told"
NEXT = "20260102T000000Z-story-told"
FILES = ("gateway.log", "history.jsonl", "junit.xml", "report.html", "report.md", "result.json", "scenario.yaml")
SEALED = (*FILES, MANIFEST_FILE, SIGNATURE_FILE)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A private and a public key, as ssh-keygen makes them."""
    path = tmp_path_factory.mktemp("keys") / "key"
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path)
    return path, path.with_suffix(".pub")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, keys: tuple[Path, Path]) -> Path:
    """Two runs, sealed and signed. Nobody changes this folder."""
    root = tmp_path_factory.mktemp("sealed") / "drill-results"
    for number in (1, 2):
        sealed_run(root, number, signer=signer(keys[0]))
    return root


@pytest.fixture
def root(sealed: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(sealed, tmp_path / "drill-results"))


def _call(*words: str | Path, **also: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, **also)  # type: ignore[call-overload,no-any-return]


def named(found: Verification) -> set[str]:
    """Every file of which a mismatch was found."""
    return {
        finding.file
        for place in found.places
        for finding in (*place.findings, *(one for item in place.items for one in item.findings))
        if finding.grade is Grade.MISMATCH
    }


def states(found: Verification) -> dict[str, str]:
    """What came of each run."""
    return {item.name: item.state.value for place in found.places for item in place.items}


def only(found: Verification) -> Place:
    """The one place of it."""
    (place,) = found.places
    return place


def flip(path: Path, at: int, mask: int = 1) -> None:
    """Change one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)


# --- nothing was changed


def test_what_nobody_touched_is_verified(sealed: Path, keys: tuple[Path, Path]) -> None:
    """With a key and without, the folder and each run of it; and it says what it did."""
    for key in (None, verifier(keys[1])):
        found = verify([sealed], key)
        assert (found.exit_code, states(found)) == (0, {RUN: "verified", NEXT: "verified"})
        assert named(found) == set()
        assert verify([sealed / RUN, sealed / NEXT], key).exit_code == 0
    assert f"verified  {RUN}: 7 files, 11 requests judged again: fail" in as_text(found)
    assert json.loads(as_json(found))["places"][0]["items"][0]["state"] == "verified"
    assert only(found).head == chain.read(sealed).head


def test_verifying_writes_nothing(root: Path) -> None:
    """Not even into the index."""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    verify([root])
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_manifest_says_what_it_should(sealed: Path) -> None:
    """Every file but itself and its signature, the run before it, what is never stored, and sha256sum agrees."""
    written = json.loads((sealed / NEXT / MANIFEST_FILE).read_text())
    assert tuple(one["name"] for one in written["files"]) == FILES
    assert written["previous"]["run"] == RUN
    sums = _call("sha256sum", *FILES, cwd=sealed / NEXT).stdout.decode().split()[::2]
    assert [one["sha256"] for one in written["files"]] == sums
    before = _call("sha256sum", sealed / RUN / MANIFEST_FILE).stdout.decode().split()[0]
    assert written["previous"]["sha256"] == before
    assert (written["sealed_by"], written["imported"]) == ("run", None)
    assert any("Keys are not kept" in line for line in written["never_stored"])


def test_the_reports_say_the_hashes_that_they_rest_on(sealed: Path) -> None:
    """The history's own hash is in the result, the page and the Markdown; and so is what is never stored."""
    digest = canonical.sha256((sealed / RUN / "history.jsonl").read_bytes())
    assert json.loads((sealed / RUN / "result.json").read_text())["history_sha256"] == digest
    for name in ("report.html", "report.md"):
        text = (sealed / RUN / name).read_text()
        assert digest in text
        assert "at most the first 300 characters are kept" in text


# --- one byte


@pytest.mark.parametrize(
    ("name", "at"),
    [
        *((name, at) for name in SEALED for at in ("first", "middle", "last")),
        *((name, "number") for name in SEALED if name.endswith((".jsonl", ".json", ".xml", ".html", ".md"))),
    ],
)
def test_one_byte_of_a_run_is_found_and_named(root: Path, name: str, at: str) -> None:
    """Of each of its files, without any key, in the folder of the runs and for the run alone."""
    path = root / RUN / name
    data = path.read_bytes()
    numbers = [found.start() for found in re.finditer(rb"(?<=[:= ])\d", data)]
    where = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}
    flip(path, numbers[len(numbers) // 2] if at == "number" else where[at])
    for found in (verify([root]), verify([root / RUN])):
        assert found.exit_code == 1
        assert name in named(found)
        assert states(found)[RUN] == "mismatch"
    assert states(verify([root]))[NEXT] == "verified"


@pytest.mark.parametrize("at", [0.0, 0.1, 0.3, 0.49, 0.51, 0.9, 1.0])
def test_one_byte_of_the_chain_is_found_and_named(root: Path, at: float) -> None:
    """In the first line, in the last, and the line end at its end."""
    path = root / CHAIN_FILE
    flip(path, int(at * (path.stat().st_size - 1)))
    found = verify([root])
    assert found.exit_code == 1
    assert CHAIN_FILE in named(found)


def test_bytes_of_chance_are_found(sealed: Path, tmp_path: Path) -> None:
    """Forty bits of all files of a run and of the chain, drawn with a seed."""
    draw = random.Random(4711)
    for number in range(40):
        root = Path(shutil.copytree(sealed, tmp_path / str(number)))
        path = draw.choice([*(root / RUN / name for name in SEALED), root / CHAIN_FILE])
        at, bit = draw.randrange(path.stat().st_size), draw.randrange(8)
        flip(path, at, 1 << bit)
        found = verify([root])
        assert (found.exit_code, path.name in named(found)) == (1, True), (path.name, at, bit)


@pytest.mark.parametrize("name", SEALED)
def test_a_single_run_without_its_chain_is_verified_too(root: Path, tmp_path: Path, name: str) -> None:
    """Sent to an auditor by itself: a changed file is found all the same, and what cannot be said is said. A signature
    of which no chain knows needs the key.
    """
    alone = Path(shutil.copytree(root / RUN, tmp_path / "alone" / RUN))
    whole = verify([alone])
    assert whole.exit_code == 0
    assert "whether a run before or after it is gone cannot be said" in as_text(whole)
    if name != SIGNATURE_FILE:
        flip(alone / name, (alone / name).stat().st_size // 2)
        found = verify([alone])
        assert (found.exit_code, name in named(found)) == (1, True)


def test_what_a_changed_history_would_mean_is_said(root: Path) -> None:
    """A lost request made good: the hash, and what the numbers would be."""
    path = root / RUN / "history.jsonl"
    lines = path.read_bytes().split(b"\n")
    at = next(
        number for number, line in enumerate(lines) if b"arrival_done" in line and b'"ending":"complete"' not in line
    )
    path.write_bytes(b"\n".join([*lines[:at], *lines[at + 1 :]]))
    said = as_text(verify([root]))
    assert re.search(r"history\.jsonl: judged again, it gives another requests\.\w+: expected \d, found \d", said)
    assert "report.html" not in said


def test_a_history_that_is_none_any_more_is_named_with_its_line(root: Path) -> None:
    """The line that cannot be read."""
    path = root / RUN / "history.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:6], b"{" + lines[6], *lines[7:]]))
    assert "history.jsonl, line 7: not an event of a drill's history" in as_text(verify([root]))


def test_a_result_that_was_changed_and_sealed_anew_disagrees_with_its_history(tmp_path: Path) -> None:
    """Who seals a lie has hashes that hold; the numbers are computed again, and each field is named."""
    folder = story_run(tmp_path / RUN, **BY_US)
    path = folder / "result.json"
    path.write_bytes(re.sub(rb'"lost": ?\d+|"failed": ?\d+', b'"failed": 0', path.read_bytes(), count=1))
    (folder / "report.md").write_bytes((folder / "report.md").read_bytes().replace(b"lost", b"l0st", 1))
    seal(folder, Sealer.RUN)
    found = verify([folder])
    said = as_text(found)
    assert (found.exit_code, named(found)) == (1, {"result.json", "report.md"})
    assert "result.json, requests.failed: not what the history says: expected 2, found 0" in said
    assert re.search(r'report\.md, line \d+, byte \d+: not the report of this history: expected ".*lost', said)


def test_a_run_of_another_version_is_compared_in_its_numbers(tmp_path: Path) -> None:
    """Words may differ from version to version, so the text of reports is left to the hashes, and that is said."""
    folder = story_run(tmp_path / RUN, tool_version="0.0.1")
    seal(folder, Sealer.RUN)
    found = verify([folder])
    assert found.exit_code == 0
    assert "made by 0.0.1" in as_text(found)
    other = story_run(tmp_path / NEXT, tool_version="0.0.1")
    path = other / "result.json"
    path.write_bytes(path.read_bytes().replace(b'"failed": 2', b'"failed": 1', 1))
    seal(other, Sealer.RUN)
    assert "result.json, requests.failed: not what the history says" in as_text(verify([other]))


def test_a_run_of_another_build_is_no_mismatch(tmp_path: Path) -> None:
    """One version, other code, as in a checkout: words may differ without anybody having changed them."""
    for number, made_by in enumerate((build(), "0" * 64, "")):
        folder = story_run(tmp_path / str(number), tool_version=__version__, environment={"build": made_by})
        path = folder / "report.md"
        path.write_bytes(path.read_bytes().replace(b"lost", b"l0st", 1))
        seal(folder, Sealer.RUN)
    assert states(verify([tmp_path])) == {"0": "mismatch", "1": "verified", "2": "verified"}
    assert f"made by another build of {__version__}" in as_text(verify([tmp_path]))
    assert len(build()) == 64


# --- whole files, whole runs


def _delete(name: str) -> Callable[[Path], str]:
    def change(root: Path) -> str:
        (root / RUN / name).unlink()
        return name

    return change


def _truncate(name: str) -> Callable[[Path], str]:
    def change(root: Path) -> str:
        path = root / RUN / name
        path.write_bytes(path.read_bytes()[:-1])
        return name

    return change


def _swap(name: str) -> Callable[[Path], str]:
    def change(root: Path) -> str:
        one, other = (root / run / name for run in (RUN, NEXT))
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data + b" ")
        return name

    return change


def _add(root: Path) -> str:
    (root / RUN / "more.txt").write_text("it went well")
    return "more.txt"


def _link(root: Path) -> str:
    path = root / RUN / "report.md"
    path.rename(root / "elsewhere.md")
    path.symlink_to(root / "elsewhere.md")
    return "report.md"


def _swap_runs(root: Path) -> str:
    (root / RUN).rename(root / "x")
    (root / NEXT).rename(root / RUN)
    (root / "x").rename(root / NEXT)
    return MANIFEST_FILE


def _remove_run(root: Path) -> str:
    shutil.rmtree(root / RUN)
    return RUN


def _remove_chain(root: Path) -> str:
    (root / CHAIN_FILE).unlink()
    return CHAIN_FILE


def _drop_line(number: int) -> Callable[[Path], str]:
    def change(root: Path) -> str:
        path = root / CHAIN_FILE
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:number] + lines[number + 1 :]))
        return CHAIN_FILE

    return change


def _swap_lines(root: Path) -> str:
    path = root / CHAIN_FILE
    path.write_bytes(b"".join(reversed(path.read_bytes().splitlines(keepends=True))))
    return CHAIN_FILE


def _empty_line(root: Path) -> str:
    path = root / CHAIN_FILE
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 1))
    return CHAIN_FILE


def _cut_line(root: Path) -> str:
    path = root / CHAIN_FILE
    path.write_bytes(path.read_bytes()[:-30])
    return CHAIN_FILE


def _new_manifest(root: Path) -> str:
    """Somebody who knows the tool changes a file and makes a manifest that fits."""
    folder = root / RUN
    (folder / "gateway.log").write_text("nothing happened\n")
    written = json.loads((folder / MANIFEST_FILE).read_text())
    for one in written["files"]:
        data = (folder / one["name"]).read_bytes()
        one |= {"sha256": canonical.sha256(data), "size_bytes": len(data)}
    text = canonical._text(written, None, without_self=True)
    (folder / MANIFEST_FILE).write_bytes(canonical._text(written | {canonical.SELF: canonical.sha256(text)}, 2))
    return MANIFEST_FILE


def _sealed_twice(root: Path) -> str:
    """... and a line of the chain that fits too."""
    digest = canonical.sha256((root / RUN / _new_manifest(root)).read_bytes())
    with chain.writing(root) as book:
        book.add(Kind.SEALED, RUN, digest)
    return CHAIN_FILE


CHANGES = [
    *(_delete(name) for name in SEALED),
    *(_truncate(name) for name in SEALED),
    *(_swap(name) for name in ("report.md", MANIFEST_FILE, SIGNATURE_FILE)),
    *(_add, _link, _swap_runs, _remove_run, _remove_chain),
    *(_drop_line(0), _drop_line(1), _swap_lines, _empty_line, _cut_line, _new_manifest, _sealed_twice),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__qualname__.split(".")[0].strip("_"))
def test_what_is_deleted_added_or_swapped_is_found_and_named(root: Path, change: Callable[[Path], str]) -> None:
    """Files, runs, and lines of the chain."""
    name = change(root)
    found = verify([root])
    assert found.exit_code == 1
    assert name in named(found), as_text(found)


def test_what_a_seal_leaves_out_is_named(tmp_path: Path) -> None:
    """By the seal, and by every later verification, which calls it no stranger; what comes later is one."""
    folder = story_run(tmp_path / "20260101T000000Z-story-told", **BY_US)
    (folder / ".DS_Store").write_text("x")
    (folder / "with space.txt").write_text("x")
    (folder / "notes").mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "\udce4").write_text("x")
    left = (".DS_Store", "\\xe4", "link", "notes", "with space.txt")
    said = drill("seal", tmp_path, cwd=tmp_path).out
    assert f"left out, and not sealed: {', '.join(left)}" in said
    assert manifest.decode((folder / MANIFEST_FILE).read_bytes()).left_out == left
    found = verify([tmp_path])
    assert (found.exit_code, as_text(found).count("left out when the run was sealed")) == (0, 5)
    (folder / ".DS_Store2").write_text("x")
    assert named(verify([tmp_path])) == {".DS_Store2"}


@pytest.mark.parametrize("name", [CHAIN_FILE, f"{RUN}/{MANIFEST_FILE}", f"{RUN}/manifest.sig"])
def test_a_link_in_place_of_evidence_is_refused(root: Path, keys: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    """The bytes may be right today, and be others tomorrow without anybody touching the folder."""
    sign(root / RUN, signer(keys[0]))
    path = root / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    found = verify([root])
    assert found.exit_code == 1
    assert f"{path.name}: a link, and what it leads to may be changed behind it" in as_text(found)


def test_a_report_that_was_asked_for_later_is_no_stranger(root: Path) -> None:
    """If it is the report of this history; and `drill report` overwrites none that is sealed with another."""
    assert drill("report", root / RUN, "--format", "summary", cwd=root).code == 0
    found = verify([root])
    assert (found.exit_code, states(found)[RUN]) == (0, "verified")
    assert "summary.md: made after the run was sealed; it is the report of this history" in as_text(found)
    path = root / RUN / "summary.md"
    path.write_bytes(path.read_bytes() + b"and all is well")
    assert "summary.md" in named(verify([root]))
    history = root / RUN / "history.jsonl"
    history.write_bytes(history.read_bytes().replace(b"sk", b"ks").replace(b'"seq":3', b'"seq":99'))
    before = (root / RUN / "report.html").read_bytes()
    ran = drill("report", root / RUN, cwd=root)
    assert (ran.code, "it is sealed, and would change" in ran.err) == (2, True)
    assert (root / RUN / "report.html").read_bytes() == before


def test_a_head_that_was_kept_elsewhere_shows_a_chain_made_anew(root: Path, tmp_path: Path) -> None:
    """Whoever can write the whole folder can make it anew: only what was kept elsewhere shows that."""
    head = chain.read(root).head
    assert verify([root], head=head).exit_code == 0
    for number in (1, 2):
        sealed_run(tmp_path / "anew", number, "ppppppppp[sss]ppp")
    assert verify([tmp_path / "anew"]).exit_code == 0
    found = verify([tmp_path / "anew"], head=head)
    assert (found.exit_code, named(found)) == (1, {CHAIN_FILE})
    sealed_run(root, 3)
    assert verify([root], head=head).exit_code == 0  # the chain went on; the old head is still in it
    with pytest.raises(UsageProblem, match="write the whole hash"):
        verify([root], head="abc")


# --- runs that were not sealed, and runs that went


def test_a_run_of_before_there_were_seals_is_said_to_be_unsealed(root: Path) -> None:
    """It is not verified, and no mismatch; alone it proves nothing. `drill seal` seals it from then on."""
    old = story_run(root / "20250101T000000Z-old", **BY_US)
    found = verify([root])
    assert (found.exit_code, states(found)[old.name]) == (0, "unsealed")
    assert verify([old]).exit_code == 3
    ran = drill("seal", root, cwd=root)
    assert (ran.code, ran.out.startswith(f"{old.name}: sealed as run 3 of its chain")) == (0, True)
    assert states(verify([root]))[old.name] == "verified"
    assert json.loads((old / MANIFEST_FILE).read_text())["sealed_by"] == "later"
    assert "nothing to seal" in drill("seal", root, cwd=root).out


def test_a_run_that_is_not_over_is_not_sealed(root: Path) -> None:
    """It has no result: it runs, or it was killed."""
    story_run(root / "20250101T000000Z-running", judged=False)
    assert "not sealed: it has no result" in drill("seal", root, cwd=root).out
    assert states(verify([root]))["20250101T000000Z-running"] == "unsealed"


def test_a_sealed_run_is_not_sealed_again(root: Path) -> None:
    """Nothing is written."""
    before = (root / CHAIN_FILE).read_bytes()
    with pytest.raises(UsageProblem, match="sealed already"):
        seal(root / RUN, Sealer.LATER)
    assert (root / CHAIN_FILE).read_bytes() == before


def test_pruning_is_told_from_deleting(root: Path) -> None:
    """A tombstone with the verdict; a folder that went without one is named."""
    sealed_run(root, 3)
    assert remove(root, [run for run in runs(root) if run.name == RUN]) == 1
    found = verify([root])
    assert (found.exit_code, states(found)[RUN]) == (0, "pruned")
    assert re.search(rf"pruned    {RUN}: removed by the tool on 20\S+, fail", as_text(found))
    shutil.rmtree(root / NEXT)
    found = verify([root])
    assert (found.exit_code, named(found)) == (1, {NEXT})
    assert "it was not this tool that removed it" in as_text(found)


def test_a_removal_that_was_cut_off_is_explained(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its line and before the folder went; the next removal ends it without a second line."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    going = [run for run in runs(root) if run.name == RUN]
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            remove(root, going)
    found = verify([root])
    assert (found.exit_code, states(found)[RUN]) == (0, "pruned")
    assert "that was cut off, or somebody put it back" in as_text(found)
    assert remove(root, going) == 1
    assert sum(link.line.kind is Kind.PRUNED for link in chain.read(root).links) == 1
    assert verify([root]).exit_code == 0


# --- runs that come from elsewhere


def test_an_imported_run_keeps_the_seal_that_it_came_with(root: Path, tmp_path: Path) -> None:
    """It is verified, put aside with its signature, and sealed anew; a second journey works too."""
    there = tmp_path / "there"
    assert bring(there, [root / RUN]).new == 1
    assert (there / RUN / "imported-1.manifest.json").read_bytes() == (root / RUN / MANIFEST_FILE).read_bytes()
    assert (there / RUN / "imported-1.manifest.sig").read_bytes() == (root / RUN / SIGNATURE_FILE).read_bytes()
    written = json.loads((there / RUN / MANIFEST_FILE).read_text())
    assert (written["sealed_by"], written["imported"]["run"]) == ("import", RUN)
    found = verify([there])
    assert (found.exit_code, states(found)) == (0, {RUN: "verified"})
    assert bring(tmp_path / "further", [there]).new == 1
    assert (tmp_path / "further" / RUN / "imported-2.manifest.json").is_file()
    assert verify([tmp_path / "further"]).exit_code == 0


def test_a_run_that_was_deleted_can_be_brought_back(root: Path, tmp_path: Path) -> None:
    """From a copy, as this chain sealed it, signature and all; another run of its name gets another name."""
    copy = Path(shutil.copytree(root / RUN, tmp_path / "copy" / RUN))
    other = sealed_run(tmp_path / "other", 1, "ppp[xxxss]spp")
    shutil.rmtree(root / RUN)
    assert bring(root, [other]).new == 1
    assert verify([root]).exit_code == 1
    came = bring(root, [copy])
    assert (came.new, "back in its place" in came.lines[-1]) == (1, True)
    found = verify([root])
    assert (found.exit_code, states(found)) == (0, {RUN: "verified", f"{RUN}-2": "verified", NEXT: "verified"})
    assert {path.name for path in (root / RUN).iterdir()} == set(SEALED)


def test_a_run_that_is_not_what_was_sealed_is_not_imported(root: Path, tmp_path: Path) -> None:
    """It is refused, and the file is named; what was put beside it later is left out."""
    (root / NEXT / "stdout.txt").write_text("of the CI system")
    flip(root / RUN / "gateway.log", 3)
    came = bring(tmp_path / "there", [root])
    assert (came.new, came.refused) == (1, 1)
    assert any("refused: gateway.log: not the bytes that were sealed" in line for line in came.lines)
    assert any("left out stdout.txt: it was not there when the run was sealed" in line for line in came.lines)
    assert not (tmp_path / "there" / RUN).exists()
    assert verify([tmp_path / "there"]).exit_code == 0


def test_a_run_without_a_seal_is_sealed_when_it_comes(tmp_path: Path) -> None:
    """From then on, which the manifest says."""
    story_run(tmp_path / "old" / RUN, **BY_US)
    assert bring(tmp_path / "there", [tmp_path / "old"]).new == 1
    written = json.loads((tmp_path / "there" / RUN / MANIFEST_FILE).read_text())
    assert (written["sealed_by"], written["imported"]) == ("import", {"manifest": "", "run": "", "sha256": ""})
    assert verify([tmp_path / "there"]).exit_code == 0


# --- crashes, and two at once

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from folders import story_run
from drills.manifest import Sealer
from drills.sealing import seal
root, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
folders = [story_run(root / f"20260101T000000Z-{{who}}-{{number}}") for number in range(count)]
print("ready", flush=True)
for folder in folders:
    seal(folder, Sealer.RUN)
"""


def test_runs_that_end_at_once_make_one_chain(tmp_path: Path) -> None:
    """Three writers, five runs each: every run has its own line, and no two point at the same one before."""
    writers = [start_writer(WRITER, tmp_path, who, 5) for who in ("one", "two", "three")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()  # type: ignore[union-attr]
    found = verify([tmp_path])
    assert (found.exit_code, len(only(found).items)) == (0, 15)
    lines = [link.line for link in chain.read(tmp_path).links]
    assert len({line.previous for line in lines}) == len(lines) == 15


def test_a_run_that_ends_while_others_are_verified_is_no_mismatch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain was read before it had the run's line, or before it said that a run would be removed."""
    before = chain.read(root)
    sealed_run(root, 3)
    remove(root, [run for run in runs(root) if run.name == RUN])
    real, stale = chain.read, [before]
    monkeypatch.setattr(chain, "read", lambda where: stale.pop() if stale else real(where))
    found = verify([root])
    assert (found.exit_code, sorted(states(found).values())) == (0, ["pruned", "verified", "verified"])


def test_a_writer_that_is_killed_leaves_nothing_unexplained(tmp_path: Path) -> None:
    """SIGKILL at moments of chance: what is sealed is verified, the rest is unsealed, and the chain goes on."""
    seen = set()
    for number in range(3):
        writer = start_writer(WRITER, tmp_path, f"killed-{number}", 12)
        kill_later(writer, 0.004 + 0.013 * number)
        found = verify([tmp_path])
        assert named(found) == set(), as_text(found)
        seen |= set(states(found).values())
    sealed_run(tmp_path, 9)
    assert named(verify([tmp_path])) == set()
    assert "unsealed" in seen


def _crashes() -> Iterator[tuple[str, str, str]]:
    yield "manifest written", "add", "unsealed"
    yield "line written", "os.replace", "verified"


@pytest.mark.parametrize(("_when", "dies_in", "state"), list(_crashes()))
def test_a_crash_between_two_writes_is_explained(
    root: Path, monkeypatch: pytest.MonkeyPatch, _when: str, dies_in: str, state: str
) -> None:
    """Before the chain's line the run is not sealed; after it the manifest only wants its name, and gets it next."""

    class Crash(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Crash

    folder = story_run(root / "20260103T000000Z-crashed", **BY_US)
    with monkeypatch.context() as patched:
        if dies_in == "add":
            patched.setattr(chain.Writer, "add", die)
        else:
            real = os.replace
            patched.setattr(
                sealing.os, "replace", lambda old, new: die() if Path(new).name == MANIFEST_FILE else real(old, new)
            )
        with pytest.raises(Crash):
            seal(folder, Sealer.RUN)
    assert not (folder / MANIFEST_FILE).exists()
    found = verify([root])
    assert (named(found), states(found)[folder.name]) == (set(), state)
    sealed_run(root, 4)
    assert (folder / MANIFEST_FILE).exists() == (state == "verified")
    if state == "unsealed":
        seal(folder, Sealer.LATER)
    assert set(states(verify([root])).values()) == {"verified"}


def test_a_chain_cut_at_any_byte_is_named_and_goes_on(sealed: Path, tmp_path: Path) -> None:
    """A line that a power cut tore is said to be torn, stays where it is, and is explained by the next line."""
    whole = (sealed / CHAIN_FILE).read_bytes()
    begins = whole.index(b"\n") + 1
    for end in range(begins + 1, len(whole) - 1, 53):
        root = tmp_path / str(end)
        shutil.copytree(sealed, root)
        (root / NEXT / MANIFEST_FILE).rename(root / NEXT / "manifest.json.part")  # as the crash would have left it
        (root / CHAIN_FILE).write_bytes(whole[:end])
        found = verify([root])
        assert (named(found), states(found)) == ({CHAIN_FILE}, {RUN: "verified", NEXT: "unsealed"})
        assert "a line that was cut short" in as_text(found)
        with chain.writing(root) as book:
            book.add(Kind.WRITTEN, "x", "y")
        assert (root / CHAIN_FILE).read_bytes().startswith(whole[:end] + b"\n")
        after = chain.read(root)
        assert [link.line.kind for link in after.links] == [Kind.SEALED, Kind.TORN, Kind.WRITTEN]
        assert {one.grade for one in after.findings} == {Grade.NOTE}


def test_a_last_line_that_only_wants_its_end_is_named_and_mended(root: Path) -> None:
    """Cut after its last brace: nothing is lost, a byte is missing all the same, and the next line puts it back."""
    path = root / CHAIN_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    found = verify([root])
    assert (found.exit_code, named(found)) == (1, {CHAIN_FILE})
    assert "line 2: its line end is missing" in as_text(found)
    assert set(states(found).values()) == {"verified"}
    sealed_run(root, 3)
    assert path.read_bytes().startswith(whole)
    assert verify([root]).exit_code == 0
    assert [link.line.kind for link in chain.read(root).links] == [Kind.SEALED] * 3


def test_a_chain_that_cannot_be_written_leaves_the_verdict_alone(tmp_path: Path) -> None:
    """The run is not sealed, and that is said."""
    from drills.evidence import sealed_line  # noqa: PLC0415

    folder = story_run(tmp_path / RUN)
    (tmp_path / CHAIN_FILE).mkdir()
    said = sealed_line(folder, None)
    assert said.startswith("note: not sealed: ")
    assert "Is a directory" in said


# --- signatures


def _openssl(folder: Path) -> tuple[Path, Path]:
    _call("openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "key.pem")
    _call("openssl", "pkey", "-in", folder / "key.pem", "-pubout", "-out", folder / "key.pub.pem")
    return folder / "key.pem", folder / "key.pub.pem"


def test_keys_of_openssl_and_of_ssh_sign_and_openssl_verifies(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """Both formats; the signature is one that OpenSSL knows, over the manifest's bytes."""
    private, public = _openssl(tmp_path)
    folder = sealed_run(tmp_path / "runs", 1, signer=signer(private))
    sealed_run(tmp_path / "ssh", 1, signer=signer(keys[0]))
    assert verify([tmp_path / "runs"], verifier(public)).exit_code == 0
    assert verify([tmp_path / "ssh"], verifier(keys[1])).exit_code == 0
    words = ("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public)
    done = _call("openssl", *words, "-in", folder / MANIFEST_FILE, "-sigfile", folder / SIGNATURE_FILE)
    assert b"Verified Successfully" in done.stdout
    shown = _call("ssh-keygen", "-lf", keys[1]).stdout.decode().split()[1]
    assert verifier(keys[1]).fingerprint == signer(keys[0]).fingerprint == shown


def test_another_key_is_refused(root: Path, tmp_path: Path) -> None:
    """Every run is named; one byte of a signature is enough as well."""
    found = verify([root], verifier(_openssl(tmp_path)[1]))
    assert (found.exit_code, named(found)) == (1, {SIGNATURE_FILE})
    assert set(states(found).values()) == {"mismatch"}


def test_a_chain_made_anew_is_found_by_the_key(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """Without signatures, or with another's: whoever lacks the key cannot make them."""
    sealed_run(tmp_path / "anew", 1)
    found = verify([tmp_path / "anew"], verifier(keys[1]))
    assert (found.exit_code, named(found)) == (1, {SIGNATURE_FILE})
    assert "neither this run nor one after it is signed with the key SHA256:" in as_text(found)


def test_a_signature_covers_the_runs_before_it(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """A signed manifest names the line before its own: signing the last run covers the quarter; a later one is not."""
    key, signs = verifier(keys[1]), signer(keys[0])
    for number in (1, 2, 3):
        sealed_run(tmp_path, number)
    assert set(states(verify([tmp_path], key)).values()) == {"mismatch"}
    ran = drill("seal", tmp_path, "--sign", keys[0], cwd=tmp_path)
    assert (ran.code, f"signed with {signs.fingerprint}" in ran.out) == (0, True)
    assert verify([tmp_path], key).exit_code == 0
    sealed_run(tmp_path, 4)
    found = states(verify([tmp_path], key))
    assert [found[name] for name in sorted(found)] == ["verified"] * 3 + ["mismatch"]
    flip(tmp_path / "20260103T000000Z-story-told" / SIGNATURE_FILE, 5)
    assert set(states(verify([tmp_path], key)).values()) == {"mismatch"}


def test_a_signature_of_later_is_in_the_chain(root: Path, keys: tuple[Path, Path]) -> None:
    """So that one that is taken away or changed is missed without a key too."""
    folder = sealed_run(root, 3)
    sign(folder, signer(keys[0]))
    assert verify([root]).exit_code == 0
    (folder / SIGNATURE_FILE).unlink()
    assert named(verify([root])) == {SIGNATURE_FILE}
    with pytest.raises(UsageProblem, match="not sealed by this chain"):
        sign(story_run(root / "20250101T000000Z-x"), signer(keys[0]))


@pytest.mark.parametrize("passphrase", ["right", "wrong", ""])
def test_a_passphrase_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    """It is asked for nowhere else without a terminal, and is in no message and no file."""
    private, _ = _openssl(tmp_path)
    locked = tmp_path / "locked.pem"
    _call("openssl", "pkey", "-in", private, "-aes256", "-passout", "pass:right", "-out", locked)
    if passphrase:
        monkeypatch.setenv("FAILOVER_DRILL_KEY_PASSPHRASE", passphrase)
    if passphrase == "right":  # noqa: S105  the subject of the test
        assert signer(locked).fingerprint == signer(private).fingerprint
        return
    sealed_run(tmp_path / "runs", 1)
    ran = drill("seal", "runs", "--sign", locked, cwd=tmp_path)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ("its passphrase is wrong" if passphrase else "put it into FAILOVER_DRILL_KEY_PASSPHRASE") in ran.err
    assert "wrong'" not in ran.err


def test_keys_that_are_none_are_one_clear_message(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    """Of another kind, public where a private one is needed and the other way round, no key, no file."""
    _call("openssl", "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", tmp_path / "ec.pem")
    (tmp_path / "none").write_text("no key")
    _call("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "ssh-locked")
    for path, said in (
        (tmp_path / "ec.pem", "a key of another kind; allowed: Ed25519"),
        (keys[1], "a public key; signing needs the private one"),
        (tmp_path / "none", "no private key"),
        (tmp_path / "gone", "cannot read the key: No such file"),
        (tmp_path / "ssh-locked", "PASSPHRASE|bcrypt"),
    ):
        with pytest.raises(UsageProblem, match=said):
            signer(path)
    for path, said in ((keys[0], "a private key"), (tmp_path / "none", "no public key"), (tmp_path / "gone", "cannot")):
        with pytest.raises(UsageProblem, match=said):
            verifier(path)


def test_a_drill_with_a_key_that_does_not_open_is_not_started(tmp_path: Path) -> None:
    """Exit code 2, before anything runs: a drill must not end with it."""
    (tmp_path / "none").write_text("no key")
    ran = drill("run", "primary-down", "--sign", "none", cwd=tmp_path)
    assert (ran.code, "no private key" in ran.err, ran.folder) == (2, True, None)


# --- documents over several runs


def test_a_document_over_several_runs_is_computed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of document is one value; its bytes are in the chain, and it says itself what does not add up."""

    def recompute(path: Path, runs: Path) -> Recomputed:
        counted = sum(folder.is_dir() for folder in runs.iterdir())
        wrong = documents.Finding(file=path.name, what="not the number of runs")
        return Recomputed(() if path.read_text() == str(counted) else (wrong,), "the runs counted again")

    def within(folder: Path) -> list[Path]:
        return sorted(folder.glob("count-*.txt"))

    kind = Document(name="count", claims=lambda path: path.match("count-*.txt"), within=within, recompute=recompute)
    known = documents.documents()
    monkeypatch.setattr(documents, "documents", lambda: (kind, *known))
    path = root / "count-1.txt"
    path.write_text("2")
    record(path)
    assert states(verify([root]))["count-1.txt"] == "verified"
    assert verify([path]).exit_code == 0
    path.write_text("3")
    assert [str(one) for one in only(verify([path])).items[0].findings][1:] == ["count-1.txt: not the number of runs"]
    assert named(verify([root])) == {"count-1.txt"}
    path.unlink()
    assert "count-1.txt: missing; it was written on" in as_text(verify([root]))


def test_every_kind_of_document_is_found() -> None:
    """A new one is one new file."""
    assert {"quarter", "run"} <= {kind.name for kind in documents.documents()}


# --- the command


def test_the_command_says_what_it_found(root: Path, keys: tuple[Path, Path]) -> None:
    """Exit codes 0, 1, 2 and 3; JSON for other tools; the folder of the runs when none is named."""
    there = root.parent
    ran = drill("verify", cwd=there)
    assert (ran.code, ran.out.splitlines()[-2:]) == (
        0,
        ["drill-results: 2 verified", f"chain: head {chain.read(root).head}"],
    )
    assert drill("verify", "--key", keys[1], "--head", chain.read(root).head, cwd=there).code == 0
    flip(root / RUN / "history.jsonl", 2000)
    ran = drill("verify", "--json", cwd=there)
    found = json.loads(ran.out)
    assert (ran.code, found["exit_code"], found["schema"]) == (1, 1, "failover-drill/verification/1")
    assert found["places"][0]["items"][0]["findings"][0]["file"] == "history.jsonl"
    for words, said in (
        (("verify", "nowhere"), "no such file or folder"),
        (("verify", "--head", "1"), "write the whole hash"),
        (("verify", "--key", "nowhere"), "cannot read the key"),
        (("seal", "nowhere"), "no such folder"),
    ):
        ran = drill(*words, cwd=there)
        assert (ran.code, said in ran.err) == (2, True), ran.err


def test_hostile_names_and_texts_are_harmless(tmp_path: Path) -> None:
    """In a manifest, in the chain and on a terminal."""
    folder = write_run(tmp_path / "drill-results" / "run-\x1b[31m\u202e\x7f", told(ATTACKS))
    seal(folder, Sealer.RUN)
    assert verify([tmp_path / "drill-results"]).exit_code == 0
    (folder / "\x1b[31mevil\u202e.txt").write_text("x")
    ran = drill("verify", cwd=tmp_path)
    assert ran.code == 1
    assert not set("\x1b\u202e\x7f") & set(ran.out)
    for path in (folder / MANIFEST_FILE, tmp_path / "drill-results" / CHAIN_FILE):
        assert not set("\x1b\u202e\x7f") & set(path.read_text())
