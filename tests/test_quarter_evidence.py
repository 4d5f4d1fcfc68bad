"""The quarterly report as evidence: one changed byte of it, or of a run that it counts, is found by `drill verify`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from drilling import drill
from folders import BY_US, write_run
from quarters import events as events_of
from quarters import two_quarters

from drills import chain
from drills.chain import CHAIN_FILE, CHANGED, Kind
from drills.files import finish
from drills.findings import Grade
from drills.index import runs as kept_runs
from drills.manifest import MANIFEST_FILE, Sealer
from drills.quarter import command
from drills.quarter.result import decode, encode
from drills.quarter.sealed import SealState
from drills.retention import remove
from drills.sealing import seal, sign
from drills.signing import signer, verifier
from drills.verify import Verification, as_text, verify
from drills.verifying import State

NAME = "quarter-2025Q4"
FILES = (f"{NAME}.html", f"{NAME}.json", f"{NAME}.md")


def ask(runs: Path, out: Path | None = None, **also: object) -> command.Asked:
    """A report of the quarter."""
    fields = {"plan": None, "findings": None, "update": False, "formats": (), **also}
    return command.Asked(quarter="2025Q4", runs=runs, out=out, **fields)  # type: ignore[arg-type]


def write(root: Path, count: int = 6) -> list[Path]:
    """Runs of three gateways, each whole: judged and reported by this build, and sealed."""
    made = [write_run(root / told.name, events_of(told), **BY_US) for told in two_quarters(count)]
    for folder in made:
        seal(folder, Sealer.RUN)
    return made


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sealed runs with their report. Nobody changes this folder."""
    root = tmp_path_factory.mktemp("reported") / "drill-results"
    write(root)
    command.make(ask(root), lambda _: None)
    return root


@pytest.fixture
def root(reported: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(reported, tmp_path / "drill-results"))


def told(found: Verification) -> list[str]:
    """Every mismatch of the report itself."""
    return [
        str(finding)
        for place in found.places
        for item in place.items
        if item.kind in {"quarter", "document"}
        for finding in item.findings
        if finding.grade is Grade.MISMATCH
    ]


def counted(root: Path) -> str:
    """A run that the report counts."""
    rows = decode((root / f"{NAME}.json").read_bytes()).runs
    return next(row.name for row in rows if row.counts)


def flip(path: Path, what: bytes = b"") -> None:
    """Change one byte: of what is written there, else in the middle."""
    data = bytearray(path.read_bytes())
    at = data.index(what) + len(what) if what else len(data) // 2
    data[at] ^= 1
    path.write_bytes(data)


def test_what_nobody_touched_is_verified(reported: Path) -> None:
    """In the folder of the runs, and by the name of each of its files; it says what it did, and writes nothing."""
    before = {path: path.stat().st_mtime_ns for path in reported.rglob("*")}
    found = verify([reported])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert f"verified  {NAME}.json: 6 runs assembled again: " in as_text(found)
    for name in FILES:
        assert verify([reported / name]).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in reported.rglob("*")} == before


def test_the_chain_has_a_line_of_each_file_and_the_report_the_head_before_them(reported: Path) -> None:
    """And each run was sealed, as far as hashes say."""
    links = chain.read(reported).links
    written = [link for link in links if link.line.kind is Kind.WRITTEN]
    assert sorted(link.line.subject for link in written) == list(FILES)
    evidence = decode((reported / f"{NAME}.json").read_bytes()).evidence
    assert (evidence.head, evidence.lines) == (written[0].line.previous, 6)
    assert [one.state for one in evidence.seals] == [SealState.SEALED] * 6
    assert evidence.head in (reported / f"{NAME}.md").read_text()
    assert verify([reported], head=evidence.head).exit_code == 0


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("with_chain", [True, False])
def test_one_byte_of_the_report_is_found_and_named(root: Path, name: str, with_chain: bool) -> None:
    """By the chain, and without its lines by what the runs give."""
    if not with_chain:
        lines = (root / CHAIN_FILE).read_bytes().splitlines(keepends=True)
        (root / CHAIN_FILE).write_bytes(b"".join(lines[:-3]))
    flip(root / name, b'"counted": ' if name.endswith("json") else b"")
    found = verify([root])
    assert found.exit_code == 1
    assert told(found)
    assert {line.split(",")[0].split(":")[0] for line in told(found)} == {name}
    assert any(f"{name}, line " in line or f"{name}, headline.counted: " in line for line in told(found))
    assert verify([root / FILES[0]]).exit_code == 1


@pytest.mark.parametrize("name", ["result.json", "history.jsonl", MANIFEST_FILE, "report.html"])
def test_one_byte_of_a_run_makes_the_report_a_mismatch_that_names_the_run(root: Path, name: str) -> None:
    """Whether the folder is verified, or the report alone."""
    run = counted(root)
    flip(root / run / name)
    for path in (root, root / f"{NAME}.json"):
        found = verify([path])
        assert found.exit_code == 1
        assert any(line.startswith(f"{run}/{name}") and "the report counts this run" in line for line in told(found))


def test_a_number_of_a_result_is_named_in_the_report_too(root: Path) -> None:
    """The result says another recovery, in a JSON that can be read."""
    run = counted(root)
    flip(root / run / "result.json", b'"recovery_s": 0.')
    assert any(line.startswith(f"{NAME}.json, recoveries[") for line in told(verify([root])))


def _remove(root: Path) -> str:
    shutil.rmtree(root / counted(root))
    return f"{counted(root)}: missing"


def _seal_anew(root: Path) -> str:
    """Another history, judged and sealed so that all of it fits; the whole chain made anew."""
    run = counted(root)
    history = root / run / "history.jsonl"
    history.write_bytes(history.read_bytes().replace(b'"seed":', b'"seed":1', 1))
    (root / CHAIN_FILE).unlink()
    finish(root / run)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        (folder / MANIFEST_FILE).unlink()
        seal(folder, Sealer.RUN)
    return f"{run}/{MANIFEST_FILE}: not the manifest that the run had when the report was made"


def _cut_chain(root: Path) -> str:
    (root / CHAIN_FILE).write_bytes(b"".join((root / CHAIN_FILE).read_bytes().splitlines(keepends=True)[:3]))
    return f"{NAME}.json, evidence.head: the chain beside the runs has no such line"


def _rename(root: Path) -> str:
    for path in sorted(root.glob("quarter-*")):
        path.rename(path.with_name(path.name.replace("2025Q4", "2025Q3")))
    return "quarter-2025Q3.json: cannot be read: it is the report of 2025Q4, under another name"


def _without_json(root: Path) -> str:
    (root / f"{NAME}.json").unlink()
    return f"{NAME}.json: missing"


def _without_page(root: Path) -> str:
    (root / f"{NAME}.html").unlink()
    return f"{NAME}.html: missing; it was written on"


@pytest.mark.parametrize("change", [_remove, _seal_anew, _cut_chain, _rename, _without_json, _without_page])
def test_what_is_removed_or_made_anew_is_found_and_named(root: Path, change: Callable[[Path], str]) -> None:
    """Each in words of its own."""
    said = change(root)
    found = verify([root])
    assert found.exit_code == 1
    assert any(line.startswith(said) for line in told(found)), as_text(found)


def test_a_report_elsewhere_is_verified_with_its_runs(reported: Path, tmp_path: Path) -> None:
    """`--runs` says where they are; no chain speaks of it, and one byte is found all the same."""
    before = (reported / CHAIN_FILE).read_bytes()
    out = tmp_path / "out"
    out.mkdir()
    command.make(ask(reported, out), lambda _: None)
    assert (reported / CHAIN_FILE).read_bytes() == before
    assert not (out / CHAIN_FILE).exists()
    for path in (out, out / f"{NAME}.json"):
        found = verify([path], runs=reported)
        assert (found.exit_code, told(found)) == (0, []), as_text(found)
    done = drill("verify", out / f"{NAME}.md", "--runs", reported, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert told(verify([out / f"{NAME}.json"])) == [
        f"{NAME}.json: none of its 6 runs is here; --runs DIR says where they are"
    ]
    flip(out / f"{NAME}.html")
    assert any(line.startswith(f"{NAME}.html, line ") for line in told(verify([out], runs=reported)))
    assert drill("verify", out, "--runs", tmp_path / "no", cwd=tmp_path).code == 2


def test_a_run_of_later_is_no_tampering(root: Path) -> None:
    """It is told, and left out."""
    extra = list(two_quarters(7))[-1]
    seal(write_run(root / "20251224T000000Z-later", events_of(extra), **BY_US), Sealer.RUN)
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert "1 of these four quarters' runs are not in it, and are left out here: 20251224T000000Z-later" in as_text(
        found
    )


def test_a_run_that_was_not_over_then_may_end(tmp_path: Path) -> None:
    """The report says unfinished; what came after it changes nothing of it."""
    root = tmp_path / "drill-results"
    write(root)
    extra = list(two_quarters(7))[-1]
    late = write_run(root / extra.name, events_of(extra), judged=False, **BY_US)
    command.make(ask(root), lambda _: None)
    finish(late)
    seal(late, Sealer.RUN)
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert f"not over when it was made, and taken as they were then: {extra.name}" in as_text(found)


def test_a_report_whose_runs_were_pruned_is_known_by_its_hash_only(root: Path) -> None:
    """That is said; without its line in the chain nobody can say whether it is the same."""
    gone = [run for run in kept_runs(root) if run.name == counted(root)]
    assert remove(root, gone) == 1
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert f"its numbers cannot be computed again: 1 of its runs were removed by the tool since: {gone[0].name}" in (
        as_text(found)
    )
    flip(root / f"{NAME}.html")
    assert told(verify([root]))[0].startswith(f"{NAME}.html: not the bytes that were written on")


def prune(root: Path, names: list[str]) -> None:
    """Remove runs as `drill history prune` does."""
    assert remove(root, [run for run in kept_runs(root) if run.name in names]) == len(names)


def fails(root: Path) -> list[str]:
    """The runs of the quarter that failed, oldest first."""
    found = [run for run in kept_runs(root) if run.verdict == "fail" and run.started_at >= "2025-10"]
    return sorted(run.name for run in found)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sealed runs, some of which failed in the quarter. Nobody changes this folder."""
    root = tmp_path_factory.mktemp("many") / "drill-results"
    write(root, 24)
    assert len(fails(root)) >= 2
    return root


def test_pruned_runs_are_told_in_a_later_report(many: Path, tmp_path: Path) -> None:
    """How many, which failed, and each of them by name; the numbers are computed again from the chain."""
    root = shutil.copytree(many, tmp_path / "drill-results")
    gone = fails(root)[0]
    other = next(run.name for run in kept_runs(root) if run.verdict == "pass" and run.started_at >= "2025-10")
    earlier = min(run.name for run in kept_runs(root))
    prune(root, [gone, other, earlier])
    command.make(ask(root), lambda _: None)
    stored = decode((root / f"{NAME}.json").read_bytes())
    assert (stored.headline.pruned, stored.headline.pruned_failed, stored.headline.pruned_unknown) == (2, 1, 0)
    assert {one.run: one.verdict for one in stored.evidence.pruned} == {gone: "fail", other: "pass", earlier: "pass"}
    for name in (f"{NAME}.md", f"{NAME}.html"):
        text = (root / name).read_text()
        assert "2 runs of this quarter were pruned, of which 1 failed" in text
        assert gone in text.replace("\\", "")
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)


def test_what_a_report_says_of_pruned_runs_is_held_against_the_chain(many: Path, tmp_path: Path) -> None:
    """A report elsewhere that leaves one out, or gives it another verdict, is a mismatch."""
    root = shutil.copytree(many, tmp_path / "drill-results")
    gone = fails(root)
    prune(root, gone[:1])
    out = tmp_path / "out"
    command.make(ask(root, out), lambda _: None)
    path = out / f"{NAME}.json"
    stored = decode(path.read_bytes())
    good = stored.evidence.pruned[0]
    for pruned in ((), (msgspec.structs.replace(good, verdict="pass"),)):
        evidence = msgspec.structs.replace(stored.evidence, pruned=pruned)
        path.write_bytes(encode(msgspec.structs.replace(stored, evidence=evidence)))
        assert any("evidence.pruned" in line for line in told(verify([path], runs=root)))
    # One that says it was made before the removal, and does not list the run, either.
    before = chain.read(root).links[-2]
    evidence = msgspec.structs.replace(stored.evidence, pruned=(), head=before.hash, lines=before.number)
    headline = msgspec.structs.replace(stored.headline, pruned=0, pruned_failed=0)
    path.write_bytes(encode(msgspec.structs.replace(stored, evidence=evidence, headline=headline)))
    assert any(f"{gone[0]}: it was there when the report was made" in line for line in told(verify([path], runs=root)))


def test_pruning_a_failure_makes_no_quarter_better(tmp_path: Path) -> None:
    """The last drill of a pair failed; a run that was changed before it was pruned is no better."""
    root = tmp_path / "drill-results"
    last = max(write(root, 24)[-3:])
    command.make(ask(root), lambda _: None)
    assert not decode((root / f"{NAME}.json").read_bytes()).headline.untold
    flip(last / "history.jsonl")
    prune(root, [last.name])
    command.make(ask(root), lambda _: None)
    after = decode((root / f"{NAME}.json").read_bytes()).headline
    assert after.pruned_unknown == 1
    assert after.verdict == "not met"
    assert after.untold == (f"{last.name}: {CHANGED}, and pruned",)


def test_a_chain_of_an_earlier_version_lists_its_pruned_runs_too(many: Path, tmp_path: Path) -> None:
    """It knows the verdict and the day by the name of the folder; of what the run was nobody can say."""
    root = shutil.copytree(many, tmp_path / "drill-results")
    gone = fails(root)[0]
    with chain.writing(root) as book:
        link = book.chain.sealed(gone)
        assert link is not None
        book.add(Kind.PRUNED, gone, link.line.sha256, about="fail")
    shutil.rmtree(root / gone)
    command.make(ask(root), lambda _: None)
    stored = decode((root / f"{NAME}.json").read_bytes())
    assert (stored.headline.pruned_failed, stored.headline.pruned_unplaced) == (1, 1)
    assert stored.headline.verdict != "met"
    assert verify([root]).exit_code == 0


def test_runs_without_a_seal_are_said_to_have_none(tmp_path: Path) -> None:
    """They are no mismatch, and the report says it too."""
    root = tmp_path / "drill-results"
    for one in two_quarters(4):
        write_run(root / one.name, events_of(one), **BY_US)
    command.make(ask(root), lambda _: None)
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert "4 of the 4 runs that it counts are not sealed" in as_text(found)
    assert {one.state for one in decode((root / f"{NAME}.json").read_bytes()).evidence.seals} == {SealState.UNSEALED}


def test_a_report_of_another_build_is_compared_in_its_numbers(root: Path) -> None:
    """Its words may be others; its numbers may not."""
    path = root / f"{NAME}.json"
    whole = path.read_bytes()
    build = decode(whole).evidence.build
    for name in FILES:
        (root / name).write_bytes((root / name).read_bytes().replace(build.encode(), b"0" * 64))
    lines = (root / CHAIN_FILE).read_bytes().splitlines(keepends=True)
    (root / CHAIN_FILE).write_bytes(b"".join(lines[:-3]))
    (root / f"{NAME}.html").write_bytes(b"<p>in other words</p>")
    found = verify([root])
    assert (found.exit_code, told(found)) == (0, []), as_text(found)
    assert f"{NAME}.json: made by another build of " in as_text(found)
    flip(path, b'"counted": ')
    assert told(verify([root]))[0].startswith(f"{NAME}.json, headline.counted: ")


def test_a_report_elsewhere_that_says_it_is_of_another_build_is_not_verified(reported: Path, tmp_path: Path) -> None:
    """That would be a way around every comparison but that of numbers: one byte, and then any words."""
    out = tmp_path / "out"
    out.mkdir()
    command.make(ask(reported, out), lambda _: None)
    flip(out / f"{NAME}.json", b'"build": "')
    (out / f"{NAME}.html").write_text("<h1>Every drill passed</h1>")
    found = verify([out / f"{NAME}.json"], runs=reported)
    assert ([one.state for one in found.places[0].items], found.exit_code) == ([State.UNSEALED], 3)
    assert f"{NAME}.json: made by another build of " in as_text(found)


def test_a_pdf_that_no_chain_knows_is_not_verified(reported: Path, tmp_path: Path) -> None:
    """It cannot be made again to the byte: it is told beside the report that can."""
    out = tmp_path / "out"
    out.mkdir()
    command.make(ask(reported, out), lambda _: None)
    (out / f"{NAME}.pdf").write_bytes(b"%PDF whatever")
    found = verify([out / f"{NAME}.json"], runs=reported)
    states = {one.name: one.state for one in found.places[0].items}
    assert states == {f"{NAME}.json": State.VERIFIED, f"{NAME}.pdf": State.UNSEALED}


def test_no_signature_is_claimed_for_a_report_that_none_covers(tmp_path: Path) -> None:
    """The runs are signed and the report was made after: with the key it is not verified."""
    root, key = tmp_path / "drill-results", tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    sign(write(root)[-1], signer(key))
    mine = verifier(key.with_suffix(".pub"))
    assert verify([root], mine).exit_code == 0
    command.make(ask(root), lambda _: None)
    found = verify([root], mine)
    states = {one.name: one.state for one in found.places[0].items}
    assert states.pop(f"{NAME}.json") is State.UNSEALED
    assert set(states.values()) == {State.VERIFIED}
    assert "signed with" not in as_text(found)
    assert "covers quarter-2025Q4.html, quarter-2025Q4.json, quarter-2025Q4.md: sign a run" in as_text(found)


def test_a_result_that_its_history_contradicts_is_found_without_a_seal(tmp_path: Path) -> None:
    """Nobody sealed the run, so nobody can say whether its history is what it was; its result is not that history's."""
    root = tmp_path / "drill-results"
    for told_of in two_quarters(4):
        write_run(root / told_of.name, events_of(told_of), **BY_US)
    command.make(ask(root), lambda _: None)
    assert verify([root / f"{NAME}.json"]).exit_code == 0
    result = root / counted(root) / "result.json"
    before = '"verdict": "pass"' if '"verdict": "pass"' in result.read_text() else '"verdict": "fail"'
    after = '"verdict": "fail"' if "pass" in before else '"verdict": "pass"'
    result.write_text(result.read_text().replace(before, after, 1))
    command.make(ask(root), lambda _: None)  # the report says now what the result says
    for path in (root, root / f"{NAME}.json"):
        found = verify([path])
        assert found.exit_code == 1, as_text(found)
    assert any("the report counts this run, which is not verified" in line for line in told(verify([root])))


def test_a_run_that_was_changed_after_its_seal_is_not_counted(root: Path) -> None:
    """It is listed with the reason, and stands in no number."""
    name = counted(root)
    before = decode((root / f"{NAME}.json").read_bytes()).headline.counted
    flip(root / name / "result.json", b'"due": ')
    command.make(ask(root), lambda _: None)
    after = decode((root / f"{NAME}.json").read_bytes())
    assert after.headline.counted == before - 1
    row = next(row for row in after.runs if row.name == name)
    assert (row.counts, row.why_not) == (False, "changed since it was sealed; `drill verify` says what")


def test_a_run_that_is_sealed_again_after_its_removal_is_named(root: Path) -> None:
    """Under the same name, with another history: a note of the chain, whatever heads and signatures say."""
    names = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    rows = [run for run in kept_runs(root) if run.name == names[0]]
    aside = root.parent / "aside"
    shutil.copytree(root / names[1], aside, ignore=shutil.ignore_patterns(MANIFEST_FILE))
    remove(root, rows)
    aside.rename(root / names[0])
    seal(root / names[0], Sealer.RUN)
    said = f"seals {names[0]} again, with another manifest than before it was removed"
    assert said in as_text(verify([root]))


def test_one_drill_counts_once_whatever_its_copies_are_called(root: Path) -> None:
    """A copy with a seal of its own is there, is named, and is no further drill."""
    name = counted(root)
    before = decode((root / f"{NAME}.json").read_bytes())
    shutil.copytree(root / name, root / f"{name}-copy", ignore=shutil.ignore_patterns(MANIFEST_FILE))
    seal(root / f"{name}-copy", Sealer.RUN)
    command.make(ask(root), lambda _: None)
    after = decode((root / f"{NAME}.json").read_bytes())
    assert after.headline.counted == before.headline.counted
    copied = next(row for row in after.runs if row.name == f"{name}-copy")
    assert (copied.counts, copied.why_not.startswith(f"a copy of {name}: ")) == (False, True)


def test_what_is_no_report_is_one_finding(root: Path) -> None:
    """Whatever is in the file."""
    path = root / f"{NAME}.json"
    for data in (b"", b"\xff", b"[1]", b"[" * 100_000, encode(decode(path.read_bytes())).replace(b"quarter/1", b"x/9")):
        path.write_bytes(data)
        assert any(line.startswith(f"{NAME}.json: cannot be read: ") for line in told(verify([path])))


@pytest.mark.parametrize("more", [b'"\x81":1', b'"x":"\\q"', b'"x":' + b"9" * 5000])
def test_a_field_that_cannot_be_compared_is_one_finding(root: Path, more: bytes) -> None:
    """The decoder skips a field that it does not know, whatever is in it."""
    path = root / f"{NAME}.json"
    path.write_bytes(b"{" + more + b"," + path.read_bytes()[1:])
    kinds = tuple(f"{NAME}.json: cannot be {what}: " for what in ("compared", "read"))
    assert any(line.startswith(kinds) for line in told(verify([path])))
