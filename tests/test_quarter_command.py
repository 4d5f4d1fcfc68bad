"""`drill report --quarter`, through the command: 66 runs of three gateways in two quarters, with every number computed
a second time from the raw result.json files, by pandas and by nothing of the tool's.
"""

from __future__ import annotations

import json
import math
import resource
import stat
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from drilling import drill
from quarters import two_quarters, write

from drills.locking import alone
from drills.quarter import assemble
from drills.quarter.command import Asked, make
from drills.quarter.dates import parse
from drills.quarter.reading import runs_of
from drills.quarter.result import QuarterResult, decode, encode
from reports import quarter_html

SLA = {"primary": 0.9897, "standby": 0.995, "third": 0.995}
PLAN = """\
system: Support desk
people: {owner: Ada Okafor}
rto: 1.2s
target: 99.9%
gateway_availability: 99.95%
outages_per_quarter: 4
legs:
  - {leg: primary, sla: 98.97%, input_per_million: 3, output_per_million: 15}
  - {leg: standby, sla: 99.5%, input_per_million: 2.5, output_per_million: 10}
  - {leg: third, sla: 99.5%}
tokens_per_request: {input: 800, output: 300}
money: {currency: GBP, revenue_per_hour: 416.67, gateway_per_month: 100}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """66 runs, and a plan."""
    root = tmp_path_factory.mktemp("quarters")
    for run in two_quarters():
        write(root / "drill-results", run)
    (root / "quarter.yaml").write_text(PLAN)
    return root


@pytest.fixture(scope="module")
def result(folder: Path) -> QuarterResult:
    """What the command makes of them."""
    done = drill("report", "--quarter", "2025Q4", "--plan", "quarter.yaml", cwd=folder)
    assert (done.code, done.out) == (0, ""), done.err
    *paths, new = done.err.splitlines()
    assert new.endswith("new findings; --findings FILE --update-findings appends them to the register")
    assert paths == [str(Path("drill-results") / f"quarter-2025Q4.{ending}") for ending in ("html", "md", "json")]
    return decode((folder / "drill-results" / "quarter-2025Q4.json").read_bytes())


def test_it_takes_less_than_ten_seconds_with_the_pdf(folder: Path) -> None:
    """Every format, of 66 runs; seconds of the processor, since other tests run beside this one."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ("--plan", "quarter.yaml", "--format", "html,md", "--format", "json,pdf", "--out", "new/all")
    done = drill("report", "--quarter", "2025Q4", *words, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.code == 0, done.err
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
    made = {path.suffix: path.read_bytes() for path in (folder / "new" / "all").iterdir()}
    assert made.keys() == {".html", ".md", ".json", ".pdf"}
    assert made[".pdf"].startswith(b"%PDF-")
    assert len(made[".html"]) < 1_000_000
    assert b"<script" not in made[".html"]


# --- the same numbers from the raw files


def raw(folder: Path) -> list[dict[str, Any]]:
    """Every result.json as it lies there."""
    return [json.loads(path.read_text()) for path in sorted((folder / "drill-results").glob("*/result.json"))]


@pytest.fixture(scope="module")
def losses(folder: Path) -> pd.DataFrame:
    """A row for each switchover of a drill that passed or failed, whose fault took the leg that served."""
    rows = [
        {
            "gateway": run["gateway"]["name"],
            "scenario": Path(run["scenario"]["file"]).stem,
            "leg": found["from"],
            "quarter": "2025Q3" if run["started_at"] < "2025-10" else "2025Q4",
            "recovery": math.inf if found["recovery_s"] is None else found["recovery_s"],
            "window": found["window_s"],
            "resolution": found["resolution_s"],
            "outage": found["client_outage_s"]["upper"],
        }
        for run in raw(folder)
        if run["verdict"] in {"pass", "fail"}
        for found in run["switchovers"]
        if found["from"] in next(fault["legs"] for fault in run["faults"] if fault["id"] == found["fault"])
    ]
    return pd.DataFrame(rows)


def test_the_counts_are_those_of_the_files(folder: Path, result: QuarterResult) -> None:
    """Runs, verdicts, gateways, scenarios; what does not count is listed with its reason."""
    table = pd.DataFrame(
        {"verdict": run["verdict"], "day": run["started_at"], "gateway": run["gateway"]["name"]} for run in raw(folder)
    )
    assert len(table) == 66
    mine = table[(table.day >= "2025-10-01") & (table.day < "2026-01-01")]
    head = result.headline
    by = mine.verdict.value_counts()
    assert (head.runs, head.passed, head.failed) == (len(mine), by["pass"], by["fail"])
    assert head.not_counted == by["invalid"] >= 2
    assert [row.name for row in result.runs if not row.counts and row.why_not] == [
        row.name for row in result.runs if row.verdict == "invalid"
    ]
    assert (len(result.runs), len(result.earlier)) == (len(mine), 66 - len(mine))
    assert {row.gateway: row.drills + row.not_counted for row in result.gateways} == dict(mine.gateway.value_counts())
    assert head.trials >= 25


def test_recoveries_are_those_of_the_files(losses: pd.DataFrame, result: QuarterResult) -> None:
    """Median, order statistics, longest, margin and resolution of each leg, by pandas."""
    mine = losses[losses.quarter == "2025Q4"].groupby(["gateway", "leg"])
    assert len(result.recoveries) == mine.ngroups == 3
    censored = 0
    for part in result.recoveries:
        rows = mine.get_group((part.gateway, part.leg)).sort_values("recovery")
        times = rows.recovery.to_list()
        n = len(rows)
        assert part.summary.trials == n >= 6
        median = rows.recovery.median()
        assert math.isfinite(median)
        assert part.summary.median is not None
        assert (part.summary.median.value_s, part.summary.median.longer) == (pytest.approx(median), False)
        # n = 6 to 8: shortest to longest; 9 to 11: second to second longest (tables of order statistics).
        rank = 1 if n <= 8 else 2
        assert 6 <= n <= 11
        assert part.summary.low is not None
        assert part.summary.low.value_s == times[rank - 1]
        assert part.summary.worst is not None
        never = rows[rows.recovery == math.inf]
        censored += len(never)
        longest = never.window.max() if len(never) else rows.recovery.max()
        assert (part.summary.worst.value_s, part.summary.worst.longer) == (longest, len(never) > 0)
        assert part.margin is not None
        assert part.margin.value_s == pytest.approx(1.2 - longest)
        assert part.within == (rows.recovery <= 1.2).sum()
        assert part.beyond == n - part.within
        assert part.resolution_s == rows.resolution.max()
        failed = n - part.within
        assert part.fail_at_most is not None
        # The exact bound leaves a chance of 5 % to see as few failures as were seen.
        p = part.fail_at_most
        assert sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(failed + 1)) == pytest.approx(0.05)
    assert censored


def test_the_trend_is_that_of_the_files(losses: pd.DataFrame, result: QuarterResult) -> None:
    """Medians of two quarters, nothing in the two before."""
    expected = losses.groupby(["quarter", "gateway", "leg"]).recovery.agg(["count", "median"])
    seen = {
        (point.quarter, point.gateway, point.leg): (point.summary.trials, point.summary.median)
        for point in result.trend
        if point.summary.trials
    }
    assert len(seen) == len(expected) == 6
    for key, row in expected.iterrows():
        count, median = seen[key]
        assert count == row["count"]
        assert median is not None
        assert median.value_s == pytest.approx(row["median"])
    assert {point.quarter for point in result.trend} == {"2025Q1", "2025Q2", "2025Q3", "2025Q4"}


def test_coverage_is_that_of_the_files(folder: Path, result: QuarterResult) -> None:
    """The last day of each leg in each scenario; the standbys were never taken away."""
    rows = [
        (run["gateway"]["name"], leg, Path(run["scenario"]["file"]).stem, run["started_at"][:10], run["verdict"])
        for run in raw(folder)
        if run["verdict"] in {"pass", "fail"}
        for fault in run["faults"]
        for leg in fault["legs"]
    ]
    table = pd.DataFrame(rows, columns=["gateway", "leg", "scenario", "day", "verdict"]).sort_values("day")
    last = table.groupby(["gateway", "leg", "scenario"]).last()
    cells = {(cell.gateway, cell.leg, cell.scenario): cell for cell in result.coverage if cell.last_day}
    assert cells.keys() == set(last.index)
    for key, row in last.iterrows():
        assert (cells[key].last_day, cells[key].verdict) == (row.day, row.verdict)
        assert cells[key].state.value == ("current" if row.day >= "2025-10-01" else "overdue")
        assert cells[key].domain == ("cloud" if key[2] == "cloud-outage" else "leg")
    never = {(cell.gateway, cell.leg) for cell in result.coverage if not cell.last_day}
    assert never == {(gateway, leg) for gateway in table.gateway.unique() for leg in ("standby", "third")}


def test_money_and_availability_are_what_the_formulas_say(
    folder: Path, losses: pd.DataFrame, result: QuarterResult
) -> None:
    """Written out, with the plan's own figures."""
    down = 0.0103 * 0.005 * 0.005
    together = (1 - down) * 0.9995
    for chain in result.chains:
        assert (chain.alone, chain.with_gateway) == (pytest.approx(0.9897), pytest.approx(together))
    for saving in result.savings:
        saved = 416.67 * 720 * (together - 0.9897)
        assert (saving.saved, saving.ratio) == (pytest.approx(saved), pytest.approx(saved / 100))
    worst = losses[losses.quarter == "2025Q4"].groupby("gateway").outage.max()
    for budget in result.budgets:
        share = worst[budget.gateway] / (92 * 24 * 3600 * 0.001)
        assert (budget.share, budget.all_share) == (pytest.approx(share), pytest.approx(4 * share))
    mine = [run for run in raw(folder) if "2025-10" <= run["started_at"] < "2026"]
    price = {"primary": (800 * 3 + 300 * 15) / 1e6, "standby": (800 * 2.5 + 300 * 10) / 1e6}
    for effort in result.efforts:
        of = [run for run in mine if run["gateway"]["name"] == effort.gateway]
        cost = sum(count * price[leg] for run in of for leg, count in run["attempts"]["by_leg"].items() if count)
        assert effort.cost == pytest.approx(cost)
        assert effort.attempts == sum(run["attempts"]["total"] for run in of)
        counted = pd.Series([run["attempts"]["per_request"] for run in of if run["verdict"] in {"pass", "fail"}])
        assert (effort.per_request, effort.worst) == (pytest.approx(counted.median()), counted.max())


def test_findings_are_those_of_the_files(folder: Path, result: QuarterResult) -> None:
    """Each check that failed in a drill that failed, once for each scenario on each gateway."""
    seen = {
        (Path(run["scenario"]["file"]).stem, run["gateway"]["name"], check["name"])
        for run in raw(folder)
        if run["verdict"] == "fail" and run["started_at"] >= "2025-10"
        for check in run["checks"]
        if check["verdict"] == "fail"
    }
    assert len(result.findings) == len(seen) >= 3
    for scenario, gateway, check in seen:
        assert any(part.entry.what.startswith(f"{scenario} on {gateway}: {check}: ") for part in result.findings)


def test_the_json_is_enough_to_compute_it_again(folder: Path, result: QuarterResult) -> None:
    """The same bytes, from the folders."""
    runs = runs_of(folder / "drill-results", parse(result.quarter))
    again = assemble(runs, result.plan, result.register, result.evidence)
    assert encode(again) == (folder / "drill-results" / "quarter-2025Q4.json").read_bytes()
    assert quarter_html.render(again) == (folder / "drill-results" / "quarter-2025Q4.html").read_bytes()


# --- the command


def test_runs_that_nobody_can_read_are_listed(tmp_path: Path) -> None:
    """Killed, damaged, without a header: each with its reason; the quarter is reported all the same."""
    runs = tmp_path / "drill-results"
    made = [write(runs, run) for run in two_quarters(12)][-4:]
    (made[0] / "result.json").unlink()
    (made[1] / "result.json").write_bytes(b'{"schema": 1')
    (made[2] / "history.jsonl").write_bytes(b"")
    done = drill("report", "--quarter", "2025Q4", "--format", "md", cwd=tmp_path)
    assert done.code == 0, done.err
    found = decode((runs / "quarter-2025Q4.json").read_bytes())
    told_ = {row.name: (row.verdict, row.why_not) for row in found.runs if not row.counts}
    assert told_[made[0].name] == ("unfinished", "there is no result.json: the drill was killed, or still runs")
    assert told_[made[1].name][1].startswith("result.json: ")
    assert told_[made[2].name][0] == "unreadable"
    page = (runs / "quarter-2025Q4.md").read_text()
    assert all(name.replace("-", "\\-") in page or name in page for name in told_)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--quarter", "2025Q5"], ["write the year and the quarter: 2026Q4"]),
        (["--quarter", "8999Q1"], ["it begins on 8999-01-01, and nothing can be said about it yet"]),
        (
            [
                "--quarter",
                "2025Q4",
                "--runs",
                "no",
                "--out",
                "quarter.yaml",
                "--format",
                "htm",
                "--plan",
                "a",
                "--findings",
                "b",
            ],
            [
                "no format 'htm' of the quarterly report; did you mean 'html'? allowed: html, json, md, pdf",
                "--runs no: no such folder",
                "--out quarter.yaml: not a folder, and a quarter is several files",
                "a: there is no such file",
                "b: there is no such file",
            ],
        ),
        (["--quarter", "2025Q4", "--update-findings"], ["--update-findings needs --findings FILE"]),
        (["--plan", "quarter.yaml", "--update-findings"], ["--plan, --update-findings: only with --quarter"]),
        (["--quarter", "2025Q4", "drill-results"], ["a quarter takes no run"]),
        ([], ["name the folder of a run, or a quarter"]),
    ],
)
def test_what_is_wrong_is_said_at_once(folder: Path, words: list[str], said: list[str]) -> None:
    """One line each, exit code 2, nothing written."""
    before = {path: path.stat().st_mtime_ns for path in (folder / "drill-results").iterdir()}
    done = drill("report", *words, cwd=folder)
    lines = done.err.strip().splitlines()
    assert (done.code, len(lines)) == (2, len(said)), done.err
    assert all(what in line for what, line in zip(said, lines, strict=True))
    assert {path: path.stat().st_mtime_ns for path in (folder / "drill-results").iterdir()} == before


def test_the_register_is_written_only_when_asked(folder: Path, tmp_path: Path) -> None:
    """Appended to, with the rights and behind the link that it has; the second time nothing is new."""
    kept = tmp_path / "kept.yaml"
    ours = "# ours\n- {id: old-1, what: an old one, due: 2025-11-01}\n"
    kept.write_text(ours)
    kept.chmod(0o640)
    (tmp_path / "findings.yaml").symlink_to(kept)
    words = ("report", "--quarter", "2025Q4", "--runs", folder / "drill-results", "--out", ".", "--format", "md")
    words = (*words, "--findings", "findings.yaml")
    done = drill(*words, cwd=tmp_path)
    assert (done.code, kept.read_text()) == (0, ours)
    assert "new findings; --findings FILE --update-findings appends them" in done.err
    done = drill(*words, "--update-findings", cwd=tmp_path)
    assert done.code == 0, done.err
    whole = kept.read_text()
    assert whole.startswith(ours)
    assert whole.count("- id: ") == len(decode((tmp_path / "quarter-2025Q4.json").read_bytes()).findings) - 1
    assert (tmp_path / "findings.yaml").is_symlink()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert drill(*words, "--update-findings", cwd=tmp_path).code == 0
    assert kept.read_text() == whole
    assert not list(tmp_path.glob(".*"))
    states = [part.state.value for part in decode((tmp_path / "quarter-2025Q4.json").read_bytes()).findings]
    assert (states[0], set(states[1:])) == ("overdue", {"open"})


def test_a_register_that_is_begun_with_the_report_is_named(folder: Path, tmp_path: Path) -> None:
    """It was given, so the report does not say that none was."""
    words = ("report", "--quarter", "2025Q4", "--runs", folder / "drill-results", "--out", ".", "--format", "md")
    done = drill(*words, "--findings", "new.yaml", "--update-findings", cwd=tmp_path)
    assert done.code == 0, done.err
    told = (tmp_path / "quarter-2025Q4.md").read_text()
    assert "The register new.yaml was begun with this report" in told.replace("\\", "")
    assert "No register was given" not in told


def test_a_finding_cannot_be_fixed_in_days_to_come(folder: Path, tmp_path: Path) -> None:
    """Else it would hide what drills find until then."""
    (tmp_path / "f.yaml").write_text("- {id: old-1, what: an old one, status: fixed, fixed_on: 2999-01-01}\n")
    words = ("report", "--quarter", "2025Q4", "--runs", folder / "drill-results", "--out", ".")
    done = drill(*words, "--findings", "f.yaml", cwd=tmp_path)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert done.err.startswith("drill: f.yaml: old-1: fixed_on 2999-01-01 is a day that has not come")
    assert not list(tmp_path.glob("quarter-*"))


def test_two_that_update_the_register_lose_nothing(folder: Path, tmp_path: Path) -> None:
    """The second one waits, and reads what the first one wrote."""
    register = tmp_path / "findings.yaml"
    asked = Asked("2025Q4", folder / "drill-results", None, register, update=True, formats=["json"], out=tmp_path)
    second = threading.Thread(target=make, args=(asked, lambda _: None))
    with alone(tmp_path):
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert not (tmp_path / "quarter-2025Q4.json").exists()
        register.write_text("- {id: of-the-first, what: what the first one found}\n")
    second.join(30)
    found = [part.entry.id for part in decode((tmp_path / "quarter-2025Q4.json").read_bytes()).findings]
    assert found[0] == "of-the-first"
    assert len(found) >= 3
    assert all(ident in register.read_text() for ident in found)
    assert {path.name for path in tmp_path.iterdir()} == {"findings.yaml", "quarter-2025Q4.json"}


def test_the_formats_are_listed(tmp_path: Path) -> None:
    """Those of a quarter beside those of a run."""
    listed = json.loads(drill("list", "reports", "--json", cwd=tmp_path).out)
    assert {f"quarter {name}" for name in ("html", "json", "md", "pdf")} <= listed.keys()
    assert {"html", "junit"} <= listed.keys()
    assert listed["quarter html"] == "--quarter: one page for people, with plots"
