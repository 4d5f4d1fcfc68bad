"""A failed drill cannot be talked out of a quarter: whatever is done to its folder, the verdict is no better."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace as replaced
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from folders import BY_US, SCENARIO, write_run
from quarters import GATEWAYS, SCENARIOS, Told
from quarters import events as events_of

from drills import importing
from drills.chain import CHAIN_FILE
from drills.evidence import seal_text
from drills.findings import Grade
from drills.history import HISTORY_FILE
from drills.index import runs as kept_runs
from drills.kept import RESULT_FILE
from drills.manifest import HALF_FILE, MANIFEST_FILE, Sealer
from drills.problems import UsageProblem
from drills.quarter import command
from drills.quarter.assembling import assemble
from drills.quarter.dates import parse, quarter_of
from drills.quarter.reading import runs_of
from drills.quarter.result import Headline, QuarterResult, decode, encode
from drills.quarter.run import RunOfQuarter
from drills.quarter.sealed import Evidence, SealState
from drills.result import Verdict
from drills.retention import remove
from drills.sealing import bury, seal
from drills.verify import as_json, as_text, verify
from drills.verifying import State

NAME = "quarter-2025Q4"
GOOD = "ppppp[xdd" + "s" * 14 + "]ppppp"
BAD = "ppppp[" + "x" * 18 + "ssssssssss]sspppp"
FAILED = "20251102T100000Z-cloud-outage-litellm"
LATER = "20251109T100000Z-primary-down-litellm"


def put(root: Path, day: str, scenario: str, story: str, **also: str) -> Path:
    """A sealed run of the first gateway."""
    started = datetime.fromisoformat(f"{day}T10:00:00+00:00")
    gateway, config, *_ = GATEWAYS[0]
    name = f"{started:%Y%m%dT%H%M%SZ}-{scenario}-{gateway}"
    told = Told(name, story, gateway, config, scenario, dict(SCENARIOS)[scenario], started)
    sha256 = hashlib.sha256(SCENARIO).hexdigest()
    folder = write_run(root / name, events_of(told), **{**BY_US, "scenario_sha256": sha256, **also})
    seal(folder, Sealer.RUN)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four sealed runs: the last drill of the loss of a cloud failed. Nobody changes this folder."""
    root = tmp_path_factory.mktemp("hidden") / "drill-results"
    put(root, "2025-10-02", "primary-down", GOOD)
    put(root, "2025-10-05", "cloud-outage", GOOD)
    assert put(root, "2025-11-02", "cloud-outage", BAD).name == FAILED
    assert put(root, "2025-11-09", "primary-down", GOOD).name == LATER
    return root


@pytest.fixture
def root(world: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(world, tmp_path / "drill-results"))


def report(runs: Path, out: Path | None = None) -> QuarterResult:
    """The quarter's report, written beside the runs or elsewhere."""
    asked = command.Asked(quarter="2025Q4", runs=runs, plan=None, findings=None, update=False, formats=(), out=out)
    command.make(asked, lambda _: None)
    return decode(((out or runs) / f"{NAME}.json").read_bytes())


def prune(root: Path) -> None:
    """The tool removes the failed run."""
    assert remove(root, [run for run in kept_runs(root) if run.name == FAILED]) == 1


def edit(path: Path, old: str, new: str) -> None:
    """Another text in a file, which must hold the first one."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _stray_copy(root: Path) -> None:
    (root / "00-x").mkdir()
    shutil.copy(root / FAILED / HISTORY_FILE, root / "00-x")


def _whole_copy(root: Path) -> None:
    shutil.copytree(root / FAILED, root / "0-backup")


def _half_sealed(root: Path) -> None:
    (root / FAILED / MANIFEST_FILE).rename(root / FAILED / HALF_FILE)


def _half_pruned(root: Path) -> None:
    bury(root, [run for run in kept_runs(root) if run.name == FAILED])


def _another_model_passes(root: Path) -> None:
    put(root, "2025-12-01", "cloud-outage", GOOD, entry_model="another")


def _another_in_its_place(root: Path) -> None:
    prune(root)
    assert put(root, "2025-11-02", "cloud-outage", GOOD).name == FAILED


STILL_FAILED: dict[str, Callable[[Path], None]] = {
    "nothing": lambda _: None,
    "a stray copy of its history": _stray_copy,
    "a copy of all of it": _whole_copy,
    "a seal that was cut off": _half_sealed,
    "a removal that was cut off": _half_pruned,
    "a pass of another model": _another_model_passes,
    "a removal": prune,
    "a removal, and a pass of its name": _another_in_its_place,
}


@pytest.mark.parametrize("done", STILL_FAILED.values(), ids=STILL_FAILED)
def test_it_still_counts_as_failed(root: Path, done: Callable[[Path], None]) -> None:
    """What happens by accident changes nothing about the verdict."""
    done(root)
    headline = report(root).headline
    assert headline.verdict == "not met"
    assert [pair.split(",")[0] for pair in headline.failed_pairs] == ["cloud-outage on litellm"]
    assert headline.untold == ()
    assert headline.failed + headline.pruned_failed == 1


def _redated(root: Path) -> None:
    for name in (HISTORY_FILE, RESULT_FILE):
        edit(root / FAILED / name, "2025-11-02T10:00:00", "2001-11-02T10:00:00")


def _redated_and_pruned(root: Path) -> None:
    _redated(root)
    prune(root)


def _renamed_and_pruned(root: Path) -> None:
    edit(root / FAILED / RESULT_FILE, "cloud-outage.yaml", "primary-down.yaml")
    prune(root)


def _one_byte(root: Path) -> None:
    with (root / FAILED / "scenario.yaml").open("ab") as file:
        file.write(b"X")


def _removed_by_hand(root: Path) -> None:
    shutil.rmtree(root / FAILED)


def _moved(root: Path) -> None:
    (root / FAILED).rename(root / os.fsdecode(b"20251102T100000Z-\xff"))


def _another_ones_files(root: Path) -> None:
    for path in (root / LATER).iterdir():
        shutil.copy(path, root / FAILED)


def _another_ones_history(root: Path) -> None:
    shutil.copy(root / LATER / HISTORY_FILE, root / FAILED)


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "another date": (_redated, "changed since it was sealed"),
    "another date, and pruned": (_redated_and_pruned, "changed since it was sealed, and pruned"),
    "another scenario, and pruned": (_renamed_and_pruned, "changed since it was sealed, and pruned"),
    "the files of another run": (_another_ones_files, "changed since it was sealed"),
    "the history of another run": (_another_ones_history, "changed since it was sealed"),
    "one byte more in a file": (_one_byte, "changed since it was sealed"),
    "gone": (_removed_by_hand, "missing, and it was not this tool that removed it"),
    "under a name that is no text": (_moved, "missing, and it was not this tool that removed it"),
}


@pytest.mark.parametrize(("done", "fate"), SPOILED.values(), ids=SPOILED)
def test_what_nobody_can_tell_any_more_is_not_met(root: Path, done: Callable[[Path], None], fate: str) -> None:
    """It is named on the front, and no later drill puts it right."""
    done(root)
    stored = report(root)
    assert stored.headline.verdict == "not met"
    assert stored.headline.untold == (f"{FAILED}: {fate}",)
    text = (root / f"{NAME}.md").read_text()
    assert "Not met: nobody can say what 1 run of it came to, changed since the seal or missing" in text
    assert "not over when it was made" not in as_text(verify([root]))


def test_a_changed_run_without_a_date_in_its_name_is_of_the_day_of_its_seal(root: Path) -> None:
    """What its own file says now takes it out of no quarter."""
    quarter = quarter_of(datetime.now(UTC).date())
    (folder := root / "nightly").mkdir()
    for path in (root / FAILED).iterdir():
        if not path.name.startswith("manifest"):
            shutil.copy(path, folder)
    edit(folder / HISTORY_FILE, "2025-11-02T10:00:00", f"{quarter.first.isoformat()}T10:00:00")
    seal(folder, Sealer.RUN)
    [run] = [run for run in runs_of(root, quarter) if run.name == "nightly"]
    assert run.started_at.startswith(quarter.first.isoformat())
    edit(folder / HISTORY_FILE, f"{quarter.first.isoformat()}T10:00:00", "2001-01-01T10:00:00")
    [run] = [run for run in runs_of(root, quarter) if run.name == "nightly"]
    assert run.quarter == quarter


def test_a_folder_of_its_name_is_not_the_run_that_was_pruned(root: Path) -> None:
    """Whoever puts an empty one there has not brought it back."""
    prune(root)
    (root / FAILED).mkdir()
    (root / FAILED / HISTORY_FILE).write_text("junk\n")
    headline = report(root).headline
    assert (headline.verdict, headline.pruned_failed) == ("not met", 1)
    assert headline.untold == (f"{FAILED}: changed since it was sealed",)


def _omit(runs: list[RunOfQuarter], evidence: Evidence) -> tuple[list[RunOfQuarter], Evidence]:
    return [run for run in runs if run.name != FAILED], evidence


def _call_changed(runs: list[RunOfQuarter], evidence: Evidence) -> tuple[list[RunOfQuarter], Evidence]:
    seals = [
        msgspec.structs.replace(one, state=SealState.CHANGED) if one.run == FAILED else one for one in evidence.seals
    ]
    return runs, msgspec.structs.replace(evidence, seals=tuple(seals))


def _call_running(runs: list[RunOfQuarter], evidence: Evidence) -> tuple[list[RunOfQuarter], Evidence]:
    return [
        replaced(run, result=None, problem="it still runs") if run.name == FAILED else run for run in runs
    ], evidence


def _call_passed(runs: list[RunOfQuarter], evidence: Evidence) -> tuple[list[RunOfQuarter], Evidence]:
    passed = next(run.result for run in runs if run.result is not None and run.result.verdict is Verdict.PASS)
    return [replaced(run, result=passed) if run.name == FAILED else run for run in runs], evidence


def _forget_the_chain(runs: list[RunOfQuarter], evidence: Evidence) -> tuple[list[RunOfQuarter], Evidence]:
    seals = tuple(msgspec.structs.replace(one, state=SealState.UNSEALED, manifest_sha256="") for one in evidence.seals)
    return _omit(runs, msgspec.structs.replace(evidence, head="", lines=0, seals=seals))


FORGED = {
    "left out": (_omit, "it was sealed when the report was made, which does not list it: fail"),
    "called changed": (_call_changed, "the report says that it was not what was sealed, and it is: fail"),
    "called unfinished": (_call_running, "the report says that it was not over, and it was sealed before: fail"),
    "called passed": (_call_passed, "the report says pass of it, or of another history, and it is fail"),
    "made without a chain": (_forget_the_chain, "it says that there was no chain"),
}


@pytest.mark.parametrize(("forge", "said"), FORGED.values(), ids=FORGED)
def test_a_forged_report_is_found(
    root: Path,
    tmp_path: Path,
    forge: Callable[[list[RunOfQuarter], Evidence], tuple[list[RunOfQuarter], Evidence]],
    said: str,
) -> None:
    """Also one whose numbers fit together, because the tool itself has made it of what it was given."""
    out = tmp_path / "out"
    out.mkdir()
    true = report(root, out)
    assert verify([out / f"{NAME}.json"], runs=root).exit_code == 0
    runs, evidence = forge(list(runs_of(root, parse("2025Q4"))), true.evidence)
    (out / f"{NAME}.md").unlink()
    (out / f"{NAME}.html").unlink()
    (out / f"{NAME}.json").write_bytes(encode(assemble(runs, true.plan, true.register, evidence)))
    found = verify([out / f"{NAME}.json"], runs=root)
    assert found.exit_code == 1
    assert said in as_text(found)


def test_a_forged_report_is_found_when_its_numbers_cannot_be_computed_again(root: Path, tmp_path: Path) -> None:
    """A run that was pruned since is no reason to believe the rows of those that are there."""
    out = tmp_path / "out"
    out.mkdir()
    true = report(root, out)
    forged = assemble(*_call_passed(list(runs_of(root, parse("2025Q4"))), true.evidence)[:1], true.plan, true.register)
    assert remove(root, [run for run in kept_runs(root) if run.name.startswith("20251002")]) == 1
    path = out / f"{NAME}.json"
    assert verify([path], runs=root).exit_code == 3  # its numbers cannot be computed again, and no chain has its hash
    path.write_bytes(encode(msgspec.structs.replace(forged, evidence=true.evidence)))
    found = verify([path], runs=root)
    assert found.exit_code == 1
    assert "the report says pass of it, or of another history, and it is fail" in as_text(found)


def test_a_report_is_not_of_before_what_it_knows(tmp_path: Path) -> None:
    """An earlier `until` would leave out whatever came after it."""
    today = datetime.now(UTC)
    quarter = quarter_of(today.date())
    root = tmp_path / "drill-results"
    put(root, today.date().isoformat(), "cloud-outage", GOOD)
    asked = command.Asked(quarter=str(quarter), runs=root, plan=None, findings=None, update=False, formats=(), out=None)
    command.make(asked, lambda _: None)
    path = root / f"quarter-{quarter}.json"
    assert verify([path]).exit_code == 0
    true = decode(path.read_bytes())
    plan = msgspec.structs.replace(true.plan, until=(today - timedelta(hours=2)).isoformat())
    path.write_bytes(encode(assemble(runs_of(root, quarter), plan, true.register, true.evidence)))
    found = as_text(verify([path]))
    assert "plan.until: the report is judged as it stood before, and knows a line of the chain that is younger" in found


def test_a_run_whose_evidence_is_elsewhere_is_not_sealed(root: Path, tmp_path: Path) -> None:
    """A link where the history or the result should be: what it leads to may be changed behind the seal."""
    folder = put(tmp_path / "fresh", "2025-10-03", "cloud-outage", GOOD)
    (folder / MANIFEST_FILE).unlink()
    (tmp_path / "fresh" / CHAIN_FILE).unlink()
    (folder / HISTORY_FILE).rename(tmp_path / HISTORY_FILE)
    (folder / HISTORY_FILE).symlink_to(tmp_path / HISTORY_FILE)
    with pytest.raises(UsageProblem, match="links are not followed"):
        seal_text([tmp_path / "fresh"], None)
    # One that was sealed by a version that allowed it is not verified.
    (root / FAILED / HISTORY_FILE).rename(tmp_path / "moved")
    (root / FAILED / HISTORY_FILE).symlink_to(tmp_path / "moved")
    assert verify([root]).exit_code == 1


def test_what_is_imported_again_is_what_the_report_knew(root: Path, tmp_path: Path) -> None:
    """Reported, pruned by the tool, and brought back as it was: an honest folder."""
    shutil.copytree(root / FAILED, tmp_path / "artefact" / FAILED)
    out = tmp_path / "out"
    out.mkdir()
    report(root, out)
    prune(root)
    importing.bring(root, [tmp_path / "artefact"])
    found = verify([out / f"{NAME}.json"], runs=root)
    assert found.exit_code == 0, as_text(found)


def test_a_name_forges_no_line(root: Path) -> None:
    """Neither the end of a line in a folder's name nor a byte that is no text."""
    (root / FAILED).rename(root / "zz\nverified  another: 9 files\nchain: head 0000")
    (root / LATER / os.fsdecode(b"a\xff")).write_text("x")
    found = verify([root])
    text = as_text(found)
    assert not [line for line in text.splitlines() if line.startswith(("verified  another", "chain: head 0000"))]
    assert as_json(found).encode()
    assert found.exit_code == 1
    assert {item.state for place in found.places for item in place.items} >= {State.MISMATCH, State.VERIFIED}
    assert report(root).headline.verdict == "not met"


@pytest.mark.parametrize("name", [RESULT_FILE, HISTORY_FILE, MANIFEST_FILE, "scenario.yaml"])
def test_a_pipe_where_a_file_should_be_keeps_nobody(root: Path, name: str) -> None:
    """Whoever opens one waits for somebody to write into it, for good."""
    (root / FAILED / name).unlink()
    os.mkfifo(root / FAILED / name)
    found = verify([root])
    assert any(
        finding.grade is Grade.MISMATCH for place in found.places for one in place.items for finding in one.findings
    )
    assert report(root).headline.verdict == "not met"


def test_a_pipe_for_a_chain_is_an_error(root: Path) -> None:
    """Nothing can be verified against it, and nobody waits."""
    (root / CHAIN_FILE).unlink()
    os.mkfifo(root / CHAIN_FILE)
    with pytest.raises(OSError, match="no plain file"):
        report(root)


def test_a_headline_of_an_earlier_version_is_read() -> None:
    """It has no such field, and nothing to say."""
    fields = {field.name for field in msgspec.structs.fields(Headline) if not field.required}
    assert "untold" in fields
