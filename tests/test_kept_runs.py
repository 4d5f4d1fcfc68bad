"""The runs that are kept: the list is right after crashes, for two drills at once, and for runs from elsewhere."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from calibration.story import history
from drilling import drill
from folders import kill_later, start_writer, story_run, write_run
from hostile import ATTACKS, told

from drills import chain, importing
from drills.chain import CHAIN_FILE
from drills.files import recheck
from drills.importing import bring
from drills.index import INDEX_FILE, refresh, runs
from drills.kept import UNFINISHED, UNREADABLE, Kept
from drills.problems import UsageProblem
from drills.result import decode
from drills.retention import Rule, may_go, parse, remove

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def started(number: int) -> str:
    """A time for each number, a day apart."""
    return (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)).isoformat()


def several(root: Path, count: int = 3) -> list[str]:
    """Runs in a folder; their names, newest first."""
    names = [f"2026010{number}T000000Z-story-told" for number in range(1, count + 1)]
    for number, name in enumerate(names, start=1):
        story_run(root / name, started_at=started(number))
    return names[::-1]


def in_sql(root: Path) -> list[tuple[str, ...]]:
    """What the index itself holds, without bringing it up to date."""
    with sqlite3.connect(root / INDEX_FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return connection.execute("SELECT name, verdict FROM runs ORDER BY started_at DESC, name DESC").fetchall()


# --- the list


def test_the_list_says_what_the_results_say(tmp_path: Path) -> None:
    """Newest first, each number from the run's own result."""
    names = several(tmp_path)
    found = runs(tmp_path)
    assert [run.name for run in found] == names
    result = decode((tmp_path / names[0] / "result.json").read_bytes())
    assert (found[0].verdict, found[0].lost, found[0].due) == (result.verdict, result.requests.lost, 11)
    assert found[0].recovery_s == pytest.approx(0.31)
    assert (found[0].switchovers, found[0].recovered) == (1, 1)
    assert found[0].failback_s == pytest.approx(0.21)


def test_the_list_follows_the_folders(tmp_path: Path) -> None:
    """A run that came, one that changed, one that went: the folders are the truth."""
    names = several(tmp_path)
    assert len(runs(tmp_path)) == 3
    other = story_run(tmp_path.parent / f"{tmp_path.name}-other", "ppp[xxxxxx]ppp")
    (tmp_path / names[0] / "result.json").write_bytes((other / "result.json").read_bytes())
    (tmp_path / names[1]).rename(tmp_path / "20270101T000000Z-renamed")
    found = {run.name: run for run in runs(tmp_path)}
    assert found.keys() == {names[0], names[2], "20270101T000000Z-renamed"}
    assert (found[names[0]].recovered, found[names[0]].recovery_s) == (0, None)


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    """Files, empty folders, links, and what an import or a removal is at."""
    several(tmp_path, 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "20260101T000000Z-story-told")
    story_run(tmp_path / ".import-x")
    assert len(runs(tmp_path)) == 1
    assert runs(tmp_path / "nowhere") == ()


def test_the_history_of_a_killed_drill_may_end_at_any_byte(tmp_path: Path) -> None:
    """It is listed as unfinished, or as unreadable when not even the header is whole; nothing else is lost."""
    several(tmp_path, 1)
    folder = story_run(tmp_path / "20260105T000000Z-killed", judged=False)
    whole = (folder / "history.jsonl").read_bytes()
    header = whole.index(b"\n")
    seen = set()
    for end in [*range(0, len(whole), 397), header - 1, header, header + 1]:
        (folder / "history.jsonl").write_bytes(whole[:end])
        (tmp_path / INDEX_FILE).unlink(missing_ok=True)
        killed = next(run for run in runs(tmp_path) if run.name == folder.name)
        seen.add(killed.verdict)
        assert killed.verdict == (UNFINISHED if end >= header else UNREADABLE)
        assert bool(killed.problem) == (end < header)
    assert seen == {UNFINISHED, UNREADABLE}


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    """The others are listed all the same."""
    names = several(tmp_path)
    path = tmp_path / names[1] / "result.json"
    path.write_bytes(path.read_bytes()[:100])
    found = runs(tmp_path)
    assert [run.verdict for run in found] == ["fail", "fail", UNREADABLE]  # without a time it comes last
    assert found[2].problem.startswith("result.json: ")


# --- the index


def test_an_index_cut_at_any_byte_is_made_anew(tmp_path: Path) -> None:
    """The list is the same, and so is the index afterwards."""
    several(tmp_path)
    good = runs(tmp_path)
    path = tmp_path / INDEX_FILE
    whole = path.read_bytes()
    for end in range(0, len(whole), 211):
        path.write_bytes(whole[:end])
        assert runs(tmp_path) == good, f"cut after {end} bytes"
        assert len(in_sql(tmp_path)) == 3


@pytest.mark.parametrize("damage", [b"no database at all", b"SQLite format 3\x00" + b"\xff" * 8192, b"\x00" * 4096])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    """Whatever it holds instead."""
    several(tmp_path)
    good = runs(tmp_path)
    (tmp_path / INDEX_FILE).write_bytes(damage)
    assert runs(tmp_path) == good


def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    """A later version of the tool may keep other columns."""
    several(tmp_path)
    good = runs(tmp_path)
    with sqlite3.connect(tmp_path / INDEX_FILE) as connection:
        connection.execute("DROP TABLE runs")
        connection.execute("CREATE TABLE runs (other)")
        connection.execute("PRAGMA user_version = 99")
    assert runs(tmp_path) == good


def edited(root: Path, script: str) -> None:
    """Somebody has a hand in the index."""
    with sqlite3.connect(root / INDEX_FILE) as connection:
        connection.executescript(script)


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE runs SET verdict = 'pass', lost = 0",
        "DELETE FROM runs",
        "UPDATE runs SET name = name || 'x'",
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN UPDATE runs SET verdict = 'pass'; END; DELETE FROM runs",
        "ALTER TABLE runs RENAME TO kept; CREATE VIEW runs AS SELECT * FROM kept",
    ],
)
def test_an_index_that_somebody_edited_is_not_believed(tmp_path: Path, script: str) -> None:
    """The list is that of the folders, and the index is made the same again."""
    several(tmp_path)
    good = runs(tmp_path)
    edited(tmp_path, script)
    assert runs(tmp_path) == good
    assert [row[1] for row in in_sql(tmp_path)] == ["fail"] * 3


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00"])
def test_a_time_that_is_none_breaks_nothing(tmp_path: Path, time: str) -> None:
    """Times at the ends of the calendar: listed as written, never removed for their age, refused in one sentence."""
    root = tmp_path / "drill-results"
    story_run(root / "20260101T000000Z-odd", started_at=time)
    assert drill("history", cwd=tmp_path).code == 0
    assert may_go(runs(root), [Rule(newest=0)], NOW) == ()
    came = drill("history", "--results", "other", "import", "drill-results", cwd=tmp_path)
    assert "Traceback" not in came.err
    assert "imported" in came.out
    assert ("0 imported, 0 already there, 1 refused" in came.out) == ("+23" in time or "-23" in time)


def test_where_no_index_can_be_written_the_list_is_there(tmp_path: Path) -> None:
    """As in a folder that may only be read: here something else has the name."""
    several(tmp_path)
    (tmp_path / INDEX_FILE).mkdir()
    assert len(runs(tmp_path)) == 3
    assert refresh(tmp_path) == ""


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from folders import story_run
from drills.index import refresh
root, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
for number in range(count):
    story_run(root / f"2026010{{number % 10}}T000000Z-{{who}}-{{number}}")
    trouble = refresh(root)
    assert not trouble, trouble
"""


def test_drills_that_end_at_once_lose_nothing(tmp_path: Path) -> None:
    """Three of them, five runs each: the index holds all fifteen without being asked for a list."""
    writers = [start_writer(WRITER, tmp_path, who, 5) for who in ("one", "two", "three")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()  # type: ignore[union-attr]
    assert len(in_sql(tmp_path)) == 15


def test_a_drill_that_is_killed_while_it_writes_leaves_a_good_index(tmp_path: Path) -> None:
    """SIGKILL at moments of chance, three times; then everything that is whole is listed."""
    for number in range(3):
        writer = start_writer(WRITER, tmp_path, f"killed-{number}", 1000)
        kill_later(writer, 0.1 + 0.07 * number)
        whole = {folder.name for folder in tmp_path.glob("2026*") if (folder / "result.json").is_file()}
        assert {run.name for run in runs(tmp_path) if run.verdict == "fail"} == whole
        assert {name for name, verdict in in_sql(tmp_path) if verdict == "fail"} == whole
    assert whole


# --- runs from elsewhere


def zipped(path: Path, files: dict[str, bytes], link: str = "") -> Path:
    """A ZIP file; `link` is a member that is a link to /etc/passwd."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        if link:
            info = zipfile.ZipInfo(link)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("form", ["folder", "folder of folders", "zip"])
def test_a_run_from_elsewhere_is_the_same_run(tmp_path: Path, form: str) -> None:
    """Byte for byte, under its own name; a second import changes nothing."""
    name = "20260101T000000Z-story-told"
    source = story_run(tmp_path / "elsewhere" / "deep" / name)
    before = contents(source)
    root = tmp_path / "drill-results"
    given = {
        "folder": source,
        "folder of folders": tmp_path / "elsewhere",
        "zip": zipped(tmp_path / "a.zip", {f"artefacts/{name}/{file}": data for file, data in before.items()}),
    }[form]
    came = bring(root, [given])
    assert (came.new, came.known, came.refused) == (1, 0, 0), came.lines
    assert contents(root / name).keys() - before.keys() == {"manifest.json"}
    assert {file: data for file, data in contents(root / name).items() if file in before} == before
    assert recheck(root / name)[1]
    again = bring(root, [given])
    assert (again.new, again.known) == (0, 1)
    assert [run.name for run in runs(root)] == [name]
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_a_run_without_a_good_name_gets_one(tmp_path: Path) -> None:
    """As a drill would have called it: by its start, scenario and gateway. Another run of that name stays."""
    root = tmp_path / "drill-results"
    first = story_run(tmp_path / "a" / "artifact (1)")
    second = story_run(tmp_path / "b" / "artifact (1)", "ppp[xxxss]spp")
    assert bring(root, [first, second]).new == 2
    assert sorted(run.name for run in runs(root)) == ["20260101T000000Z-story-told", "20260101T000000Z-story-told-2"]


def test_no_path_of_a_zip_leads_out(tmp_path: Path) -> None:
    """Parents, roots, drives, links: what is no plain name in the run's own folder is left out, and said."""
    files = contents(story_run(tmp_path / "source"))
    evil = {
        "../../escaped.txt": b"x",
        "/absolute.txt": b"x",
        "run/../../escaped.txt": b"x",
        "run/sub/../../../escaped.txt": b"x",
        "run/..\\..\\escaped.txt": b"x",
        "run/C:evil": b"x",
        "run/.hidden": b"x",
        "run/bad\x1b[31mname": b"x",
    }
    archive = zipped(tmp_path / "a.zip", {f"run/{name}": data for name, data in files.items()} | evil, "run/passwd")
    root = tmp_path / "in" / "drill-results"
    came = bring(root, [archive])
    assert came.new == 1
    (folder,) = [path for path in root.iterdir() if path.is_dir()]
    assert {name: data for name, data in contents(folder).items() if name != "manifest.json"} == files
    assert {path.name for path in tmp_path.rglob("*") if "escaped" in path.name or "absolute" in path.name} == set()
    assert any("left out passwd" in line for line in came.lines)
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink()]


def test_a_run_whose_place_is_a_parent_has_a_name_of_ours(tmp_path: Path) -> None:
    """The folder's own name in the ZIP decides nothing that is dangerous."""
    files = contents(story_run(tmp_path / "source"))
    archive = zipped(tmp_path / "a.zip", {f"../../..//{name}": data for name, data in files.items()})
    root = tmp_path / "deep" / "drill-results"
    assert bring(root, [archive]).new == 1
    assert [run.name for run in runs(root)] == ["20260101T000000Z-story-told"]


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """Neither to a file nor to a history."""
    source = story_run(tmp_path / "source")
    (tmp_path / "secret").write_text("secret")
    (source / "gateway.log").symlink_to(tmp_path / "secret")
    root = tmp_path / "drill-results"
    assert bring(root, [source]).new == 1
    assert "secret" not in "".join(path.name for path in root.rglob("*"))
    assert not list(root.rglob("gateway.log"))
    (source / "history.jsonl").rename(tmp_path / "history")
    (source / "history.jsonl").symlink_to(tmp_path / "history")
    with pytest.raises(UsageProblem, match="links are not followed"):
        bring(root, [source])


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what comes out, whatever its header says; nothing of it stays."""
    monkeypatch.setattr(importing, "_LARGEST_BYTES", 100_000)
    monkeypatch.setattr(importing, "_PIECE", 10_000)
    files = contents(story_run(tmp_path / "source"))
    bomb = {f"run/{name}": data for name, data in files.items()} | {"run/gateway.log": b"0" * 5_000_000}
    root = tmp_path / "drill-results"
    came = bring(root, [zipped(tmp_path / "a.zip", bomb)])
    assert (came.new, came.refused) == (0, 1)
    assert "larger than" in came.lines[0]
    assert [path.name for path in root.iterdir()] == []


def test_a_huge_history_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history is judged in memory; nothing is left behind, and the message says what is too large."""
    monkeypatch.setattr(importing, "_LARGEST_HISTORY_BYTES", 2_000_000)
    story_run(tmp_path / "from" / "big")
    with (tmp_path / "from" / "big" / "history.jsonl").open("ab") as file:
        file.truncate(3_000_000)
    came = bring(tmp_path / "drill-results", [tmp_path / "from"])
    assert [line.split("big: ")[1] for line in came.lines] == [
        "refused: history.jsonl is larger than 2 MB, which no drill writes"
    ]
    assert list((tmp_path / "drill-results").iterdir()) == []


def test_what_a_killed_import_left_goes_with_the_next_one(tmp_path: Path) -> None:
    """At once; what another import holds stays."""
    root = tmp_path / "drill-results"
    story_run(tmp_path / "from" / "good")
    (root / ".import-killed" / "run").mkdir(parents=True)
    (root / ".import-alive").mkdir()
    (root / ".import-link").symlink_to(tmp_path / "from")
    with importing._held(root / ".import-alive"):
        assert bring(root, [tmp_path / "from"]).new == 1
    assert {path.name for path in root.glob(".import-*")} == {".import-alive", ".import-link"}
    assert (tmp_path / "from" / "good" / "history.jsonl").is_file()


def test_a_damaged_zip_is_refused(tmp_path: Path) -> None:
    """A bit that flipped in a file, and a file that is no ZIP."""
    files = contents(story_run(tmp_path / "source"))
    path = zipped(tmp_path / "a.zip", {f"run/{name}": data for name, data in files.items()})
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        at = archive.getinfo("run/history.jsonl").header_offset + 400
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    root = tmp_path / "drill-results"
    came = bring(root, [path])
    assert (came.new, came.refused) == (0, 1), came.lines
    assert runs(root) == ()
    (tmp_path / "b.zip").write_text("PK no")
    with pytest.raises(UsageProblem, match="neither a folder nor a ZIP file"):
        bring(root, [tmp_path / "b.zip"])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    """No history, and a history that is none; good runs beside it come all the same."""
    root = tmp_path / "drill-results"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageProblem, match=r"there is no history\.jsonl in it"):
        bring(root, [tmp_path / "empty"])
    with pytest.raises(UsageProblem, match="no such file or folder"):
        bring(root, [tmp_path / "nowhere"])
    story_run(tmp_path / "both" / "good")
    (tmp_path / "both" / "bad").mkdir()
    (tmp_path / "both" / "bad" / "history.jsonl").write_text('{"event":"nonsense"}\n')
    came = bring(root, [tmp_path / "both"])
    assert (came.new, came.refused) == (1, 1)


@pytest.mark.parametrize("head", [{"phases": ()}, {"rate_per_s": 0}, {"legs": ()}, {"started_at": "once"}])
def test_a_made_up_history_breaks_nothing(tmp_path: Path, head: dict[str, object]) -> None:
    """It is imported or refused, and the others come all the same."""
    write_run(tmp_path / "both" / "made-up", history("ppp[xxsss]spp"), judged=False, **head)
    story_run(tmp_path / "both" / "good")
    came = bring(tmp_path / "drill-results", [tmp_path / "both"])
    assert came.new + came.refused == 2
    assert came.new >= 1
    assert [path.name for path in (tmp_path / "drill-results").iterdir() if path.name.startswith(".")] == []


def test_a_run_that_was_killed_is_judged_when_it_comes(tmp_path: Path) -> None:
    """So that it has a verdict: interrupted."""
    source = write_run(tmp_path / "source", history("ppp[xxsss]spp", ended=None), judged=False)
    root = tmp_path / "drill-results"
    came = bring(root, [source])
    assert any("was judged now" in line for line in came.lines)
    assert [run.verdict for run in runs(root)] == ["interrupted"]
    assert not (source / "result.json").exists()


def test_a_result_that_is_not_that_of_its_history_is_noted(tmp_path: Path) -> None:
    """It comes as it is, and is not believed in silence."""
    source = story_run(tmp_path / "source")
    path = source / "result.json"
    path.write_bytes(path.read_bytes().replace(b'"verdict": "fail"', b'"verdict": "pass"', 1))
    came = bring(tmp_path / "drill-results", [source])
    assert any("do not agree with the history in: verdict" in line for line in came.lines)
    assert not any(".import-" in line for line in came.lines)


# --- retention


def kept(name: str, days_ago: float, **also: object) -> Kept:
    """A judged run, so many days old."""
    fields = {"verdict": "pass", "due": 1, "scenario": "a", "gateway": "g"} | also
    return Kept(name=name, started_at=(NOW - timedelta(days=days_ago)).isoformat(), **fields)  # type: ignore[arg-type]


RUNS = (kept("today", 0.1), kept("week", 7), kept("month", 30), kept("year", 365))


@pytest.mark.parametrize(
    ("found", "rules", "gone"),
    [
        # The newest two stay; the others go, oldest first.
        (RUNS, ["2"], ["year", "month"]),
        # Ten days back.
        (RUNS, ["10d"], ["year", "month"]),
        (RUNS, ["5w"], ["year"]),
        # What any rule keeps stays.
        (RUNS, ["1", "5w"], ["year"]),
        (RUNS, ["2y"], []),
        # The newest of each scenario and gateway stays whatever the rules say.
        (RUNS, ["0"], ["year", "month", "week"]),
        ((*RUNS, kept("other", 400, gateway="h")), ["0"], ["year", "month", "week"]),
        # One that may still be running stays; one that was killed long ago is as old as any, and says of no pair when
        # it was last drilled.
        ((kept("running", 0.1, verdict=UNFINISHED, due=None), *RUNS), ["0"], ["year", "month", "week"]),
        ((kept("killed", 2, verdict=UNFINISHED, due=None), *RUNS[1:]), ["0"], ["year", "month", "killed"]),
        # One that proved nothing does not stand for the one before it that did.
        ((kept("nothing", 1, verdict="invalid"), *RUNS[1:]), ["0"], ["year", "month"]),
        (
            (kept("nothing", 1, verdict="invalid"), kept("failed", 2, verdict="fail"), *RUNS[1:]),
            ["1"],
            ["year", "month", "week"],
        ),
        # Nobody knows how old one without a time is.
        ((Kept(name="broken", verdict=UNREADABLE),), ["0"], []),
    ],
)
def test_what_may_go(found: tuple[Kept, ...], rules: list[str], gone: list[str]) -> None:
    """The sentence above each row."""
    assert [run.name for run in may_go(found, [parse(rule) for rule in rules], NOW)] == gone


@pytest.mark.parametrize("text", ["", "-1", "10 d", "3m", "all", "1.5w"])
def test_a_rule_that_is_none(text: str) -> None:
    """What is allowed is said."""
    with pytest.raises(UsageProblem, match="50, 90d, 26w, 2y"):
        parse(text)
    assert parse("50") == Rule(newest=50)


def test_removal_takes_the_folders_and_what_an_earlier_one_left(tmp_path: Path) -> None:
    """And nothing else; the chain says what went, also of runs that nobody had sealed."""
    names = several(tmp_path)
    story_run(tmp_path / ".trash-left")
    (tmp_path / "notes.txt").write_text("mine")
    assert remove(tmp_path, runs(tmp_path)[1:]) == 2
    assert {path.name for path in tmp_path.iterdir()} == {names[0], "notes.txt", INDEX_FILE, CHAIN_FILE}
    lines = [link.line for link in chain.read(tmp_path).links]
    assert [(line.kind, line.subject, line.about, line.sha256) for line in lines] == [
        ("pruned", name, "fail", "") for name in names[1:]
    ]
    assert lines[0].removed is not None
    assert (lines[0].removed.started_at, lines[0].removed.scenario) == (started(2), "story")


# --- the command


def test_the_command_lists_imports_and_prunes(tmp_path: Path) -> None:
    """As its users do: nothing goes without --yes."""
    several(tmp_path / "elsewhere")
    assert drill("history", cwd=tmp_path).out.strip() == "no runs in drill-results"
    came = drill("history", "import", "elsewhere", cwd=tmp_path)
    assert (came.code, came.out.splitlines()[-1]) == (0, "3 imported, 0 already there, 0 refused")
    shown = drill("history", cwd=tmp_path).out.splitlines()
    assert shown[0].split() == ["started", "(UTC)", "verdict", "recovered", "lost", "gateway", "scenario", "folder"]
    assert shown[1].split("  ")[0] == "2026-01-04 00:00:00"
    assert "0.31 s" in shown[1]
    assert "2 of 11" in shown[1]
    listed = json.loads(drill("history", "--json", cwd=tmp_path).out)
    assert [run["name"] for run in listed] == [line.split()[-1] for line in shown[1:]]
    dry = drill("history", "prune", "--keep", "2", cwd=tmp_path)
    assert dry.out.splitlines()[-1] == "1 of 3 runs would go; nothing was removed, --yes removes them"
    assert len(json.loads(drill("history", "--json", cwd=tmp_path).out)) == 3
    assert "1 of 3 runs removed" in drill("history", "prune", "--keep", "2", "--yes", cwd=tmp_path).out
    left = json.loads(drill("history", "--json", "--results", "drill-results", cwd=tmp_path).out)
    assert [run["name"] for run in left] == [run["name"] for run in listed[:2]]
    assert drill("history", "prune", cwd=tmp_path).code == 2
    assert drill("history", "import", "nowhere", cwd=tmp_path).code == 2


def test_hostile_runs_are_listed_harmlessly(tmp_path: Path) -> None:
    """No escape sequence, no direction mark and no line of its own reaches a terminal."""
    for number, attack in enumerate(ATTACKS):
        write_run(tmp_path / "drill-results" / f"run-{number}-\x1b[31m\u202e", told((attack,)))
    shown = drill("history", cwd=tmp_path)
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 1 + len(ATTACKS)
    assert not set("\x1b\u202e\x00\x07\u2066") & set(shown.out)
    assert len(json.loads(drill("history", "--json", cwd=tmp_path).out)) == len(ATTACKS)
