"""Every other format: its own reader reads it, finds the numbers of the result, and nothing that came from outside."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pandas as pd
import pytest
from calibration.story import history
from hostile import ALL, ATTACKS, harmless, hostile
from markdown_it import MarkdownIt
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from drills.events import Basis, Limits, RunEnded, RunStarted
from drills.problems import UsageProblem
from drills.result import Result, Verdict, decode, encode
from drills.verdict import Judged, judged
from reports import html as html_report
from reports import junit, markdown, openmetrics, pdf, result_json, summary, table_csv, table_parquet, text
from reports.base import formats, get
from reports.escape import cell, plain
from reports.escape import markdown as escaped

STORY = "ppp[xxsss]spp"
UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff"
    r"\xad\u034f\u115f\u3164\ufe0f\uffa0]"
)


def told(story: str = STORY, limits: Limits | None = None, **also: object) -> Judged:
    """A judged story."""
    return judged(history(story, limits, **also), "story")  # type: ignore[arg-type]


FAILED = Limits(lost_at_most=0)


# --- all of them


def test_every_format_is_found_under_its_name() -> None:
    """A new report is one new file; what a run writes is said there."""
    assert set(formats()) == {"csv", "html", "json", "junit", "md", "openmetrics", "parquet", "pdf", "summary"}
    assert {one.file for one in formats().values() if one.kept} == {"report.html", "report.md", "junit.xml"}
    assert len({one.file for one in formats().values()}) == len(formats())
    assert get("html").about


@pytest.mark.parametrize("name", ["csv", "html", "json", "junit", "md", "openmetrics", "summary"])
def test_no_format_carries_what_nobody_sees(name: str) -> None:
    """No escape sequence, no direction mark, no NUL, whatever the gateway said; and no ten megabytes."""
    written = formats()[name].render(hostile())
    assert UNSEEN.search(written.decode().replace("\t", " ")) is None
    assert b"alert" in written
    if name != "json":  # the contract keeps texts whole; they are cut where they enter a history
        assert len(written) < 400_000


@pytest.mark.parametrize("name", ["csv", "html", "json", "junit", "md", "openmetrics", "summary"])
def test_the_same_history_gives_the_same_bytes(name: str) -> None:
    """`drill check` compares them."""
    assert formats()[name].render(told()) == formats()[name].render(told())


def test_a_text_is_cut_before_it_is_cleaned() -> None:
    """Ten megabytes cost as much as a line, and the cut is shown."""
    assert plain("a" * 10, 10) == "a" * 10
    assert plain("a" * 11, 10) == "a" * 9 + "…"
    assert plain("\x1b" * 10_000_000, 10).endswith("…")
    assert plain("a\x1b[31m\u202eb") == "a [31m b"


def test_a_phase_that_rests_on_no_published_fact_is_labelled() -> None:
    """In the table of phases, in a sentence, and below the plot; a published one is not."""
    events = history(STORY)
    first = events[0]
    assert isinstance(first, RunStarted)
    bases = (Basis.PUBLISHED, Basis.ASSUMED, None)
    phases = tuple(msgspec.structs.replace(p, basis=b) for p, b in zip(first.phases, bases, strict=True))
    run = judged((msgspec.structs.replace(first, phases=phases), *events[1:]), "story")
    said = markdown.render(run.result).decode()
    assert "| phase-1 \\(assumed\\) |" in said
    assert "| phase-0 |" in said
    assert "by those whom it happened to: phase-1 \\(assumed\\)." in said
    assert html_report.render(run).decode().count("phase-1 (assumed)") >= 3
    assert "happened to" not in markdown.render(told().result).decode()
    assert decode(encode(run.result)).phases[1].basis is Basis.ASSUMED


# --- JSON


def test_json_is_the_result_again() -> None:
    """Escapes are undone by any reader of JSON: nothing is lost."""
    run = hostile()
    assert decode(result_json.render(run.result)) == decode(msgspec.json.encode(run.result))
    assert set(ATTACKS[5:7]) <= set(_strings(msgspec.json.decode(encode(run.result))))


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []


# --- JUnit


def _suite(run: Judged) -> ET.Element:
    suite = ET.fromstring(junit.render(run.result)).find("testsuite")  # noqa: S314  our own
    assert suite is not None
    return suite


def test_junit_has_a_case_for_each_check() -> None:
    """A failed check is a failure, with its advice; the counts are those of the cases."""
    run = told(limits=FAILED)
    suite = _suite(run)
    assert [case.get("name") for case in suite.iter("testcase")] == [part.name for part in run.result.checks]
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    (failed,) = [part for part in run.result.checks if part.verdict is Verdict.FAIL]
    found = failures[failed.name]
    assert found is not None
    assert found.get("message") == failed.observed
    assert f"what to do: {failed.advice}" in (found.text or "")
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("1", "0", str(len(run.result.checks)))


def test_junit_of_an_invalid_drill_is_an_error() -> None:
    """It says nothing about the gateway, and is red all the same: the fault met nobody."""
    run = told("ppp[ssss]spp")
    assert run.result.verdict is Verdict.INVALID
    suite = _suite(run)
    wrong = [part.name for part in run.result.checks if part.verdict is Verdict.INVALID]
    assert [case.get("name") for case in suite.iter("testcase") if case.find("error") is not None] == wrong
    assert int(suite.get("errors") or 0) == len(wrong) > 0


def test_junit_of_an_interrupted_drill_is_an_error() -> None:
    """Though every check may hold."""
    suite = _suite(told(ended=RunEnded(at_s=9.0, interrupted="stopped by a person")))
    assert [case.get("name") for case in suite.iter("testcase") if case.find("error") is not None] == ["ran to its end"]
    assert suite.get("errors") == "1"


def test_junit_of_a_pass_is_green() -> None:
    """Neither failures nor errors."""
    run = told("ppp[xxsss]sppppp", Limits(switchover_within_s=10))
    assert run.result.verdict is Verdict.PASS, run.result.reasons
    assert (_suite(run).get("failures"), _suite(run).get("errors")) == ("0", "0")


def _xml_shape(root: ET.Element) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.tag, tuple(sorted(one.attrib))) for one in root.iter()]


def test_hostile_text_makes_no_xml() -> None:
    """The file has exactly the elements of the same run with harmless texts."""
    attacked, tame = (ET.fromstring(junit.render(run.result)) for run in (hostile(), harmless()))  # noqa: S314  our own
    assert _xml_shape(attacked) == _xml_shape(tame)
    assert b"<evil" not in junit.render(hostile().result)


# --- Markdown


def _tokens(written: bytes) -> Counter[str]:
    found: Counter[str] = Counter()
    for token in MarkdownIt("commonmark").enable("table").parse(written.decode()):
        found[token.type] += 1
        found.update(child.type for child in token.children or ())
    return found


@pytest.mark.parametrize("render", [markdown.render, summary.render], ids=["report", "summary"])
def test_hostile_text_makes_no_markdown(render: Callable[[Result], bytes]) -> None:
    """No heading, table row, list item, link, image, code or HTML that the harmless run does not have as well."""
    attacked, tame = _tokens(render(hostile().result)), _tokens(render(harmless().result))
    assert not {"html_block", "html_inline", "link_open", "image", "code_inline", "fence", "em_open"} & attacked.keys()
    # A text of invisible characters alone leaves its cell empty.
    assert attacked - Counter(text=999) == tame - Counter(text=999)
    assert tame["table_open"] > 0


@pytest.mark.parametrize(
    "said",
    ["https://a.example/x", "see HTTP://a.example", "www.a.example", "_WWW.a.example", "mail a@b.example", "@someone"],
)
def test_bare_text_becomes_no_link(said: str) -> None:
    """What GitHub would make a link of is broken in the text that is shown, and still readable."""
    html = MarkdownIt("commonmark").render(escaped(said))
    assert not re.search(r"://|www\.|@\w", html, re.IGNORECASE)
    assert html.replace("\u200b", "") == f"<p>{said}</p>\n"


def test_the_summary_is_short_and_says_what_to_do() -> None:
    """Verdict, sentence, a line for each fault, and each finding with its advice."""
    run = told(limits=FAILED)
    said = summary.render(run.result).decode()
    assert said.startswith("### FAIL: story (told)\n\nan expectation was broken; 2 of 11 requests lost")
    assert (
        "| f1 | primary → standby | 0.31 s \\(resolution 0.16 s\\) | 0.21 s \\(resolution 0.16 s\\) | 2, 0 of 5 |"
        in said
    )
    assert "- **fail, lost requests**: 2 of 11 lost" in said
    assert len(said.splitlines()) < 15
    assert len(summary.render(hostile().result)) < 20_000


# --- terminal


def test_a_terminal_is_not_commanded() -> None:
    """No line of the summary for terminals carries an escape sequence or a mark of direction."""
    lines = text.render(hostile().result, "folder\x1b[31m")
    assert [line.text for line in lines if UNSEEN.search(line.text)] == []
    assert any("alert" in line.text for line in lines)


# --- OpenMetrics


def _samples(run: Judged) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in text_string_to_metric_families(openmetrics.render(run.result).decode()):
        for sample in family.samples:
            labels = frozenset((k, v) for k, v in sample.labels.items() if k not in {"scenario", "gateway"})
            found[sample.name, labels] = sample.value
    return found


def test_openmetrics_are_the_numbers_of_the_result() -> None:
    """Read back by the reference parser."""
    run = told(limits=FAILED)
    found = _samples(run)
    fault = frozenset({("fault", "f1")})
    assert found["failover_drill_recovery_seconds", fault] == pytest.approx(0.31)
    assert found["failover_drill_switchover_seconds", fault] == pytest.approx(0.31)
    assert found["failover_drill_failback_seconds", fault] == pytest.approx(0.21)
    assert found["failover_drill_client_outage_seconds", fault | {("bound", "upper")}] == pytest.approx(0.36)
    assert found["failover_drill_requests", frozenset({("outcome", "failed")})] == 2
    assert found["failover_drill_attempts", frozenset({("leg", "primary")})] == 7
    assert found["failover_drill_verdict", frozenset({("verdict", "fail")})] == 1
    assert sum(value for (name, _), value in found.items() if name == "failover_drill_verdict") == 1
    assert found["failover_drill_check_held", frozenset({("check", "lost requests")})] == 0
    assert found["failover_drill_started_seconds", frozenset()] == 1767225600


def test_openmetrics_invent_no_number() -> None:
    """No recovery is no sample, and `recovered` is 0."""
    found = _samples(told("ppp[xxxxxxx]ppp"))
    assert found["failover_drill_recovered", frozenset({("fault", "f1")})] == 0
    assert "failover_drill_recovery_seconds" not in {name for name, _ in found}


def test_hostile_text_makes_no_metric() -> None:
    """The parser finds the same metrics; a label holds the text."""
    attacked, tame = _samples(hostile()), _samples(harmless())
    assert Counter(name for name, _ in attacked) == Counter(name for name, _ in tame)
    assert not {name for name, _ in attacked if not name.startswith("failover_drill_")}


# --- tables


def test_csv_has_a_row_for_each_request() -> None:
    """Read by the standard library: the outcomes, times and attempts of the ledger."""
    run = told("ppb[xxcuSnsss]spd")
    rows = list(csv.DictReader(io.StringIO(table_csv.render(run).decode())))
    assert [int(row["request"]) for row in rows] == [request.seq for request in run.ledger.requests]
    assert Counter(row["outcome"] for row in rows) == {
        "ok": 9,
        "failed": 3,
        "corrupt": 1,
        "unknown": 1,
        "not_started": 1,
    }
    assert sum(int(row["attempts"]) for row in rows) == run.result.attempts.total
    assert [row["slow"] for row in rows].count("True") == 1
    assert [row["served_by"] for row in rows][:2] == ["primary", "primary"]
    assert [row["phase"] for row in rows] == ["phase-0"] * 3 + ["phase-1"] * 9 + ["phase-2"] * 3
    assert [row["sent_s"] for row in rows if row["outcome"] == "not_started"] == [""]
    assert sum(float(row["done_s"]) - float(row["due_s"]) for row in rows[:2]) == pytest.approx(0.12)


def test_a_spreadsheet_computes_nothing() -> None:
    """No cell of text begins like a formula; every row has every column."""
    rows = list(csv.reader(io.StringIO(table_csv.render(hostile()).decode())))
    assert {len(row) for row in rows} == {len(rows[0])}
    texts = [value for row in rows[1:] for value in row if not re.fullmatch(r"-?[\d.e+-]+", value)]
    assert not [value for value in texts if value.lstrip().startswith(("=", "+", "-", "@"))]
    assert any(value.startswith("'=HYPERLINK") for value in texts)
    assert [cell(one) for one in ("\uff1d1", "\uff20a", "a\uff1d1")] == ["'\uff1d1", "'\uff20a", "a\uff1d1"]
    assert [cell(one) for one in ("=1", " +1", "-x", "@a", "\t=1", "a=1", "")] == [
        "'=1",
        "' +1",
        "'-x",
        "'@a",
        "' =1",
        "a=1",
        "",
    ]


def test_parquet_has_the_same_rows_with_types() -> None:
    """Read by pandas: numbers are numbers, and what never came is missing."""
    run = told("ppb[xxcuSnsss]spd")
    table = pd.read_parquet(io.BytesIO(table_parquet.render(run)))
    assert len(table) == run.result.requests.due
    assert (table["outcome"] == "ok").sum() == run.result.requests.ok
    assert table["due_s"].dtype == "Float64"
    assert table.loc[table["outcome"] == "not_started", "sent_s"].isna().all()
    assert (table["done_s"] - table["due_s"]).min() == pytest.approx(0.02)
    attacked = pd.read_parquet(io.BytesIO(table_parquet.render(hostile())))
    assert not [value for value in attacked["detail"].dropna() if UNSEEN.search(value)]


def test_a_missing_library_is_named_with_the_command_that_brings_it() -> None:
    """One sentence, not a traceback."""
    code = (
        "import sys\n"
        "for name in ('pandas', 'weasyprint'): sys.modules[name] = None\n"
        "sys.path.insert(0, 'tests')\n"
        "from calibration.story import history\n"
        "from drills.verdict import judged\n"
        "from drills.problems import UsageProblem\n"
        "from reports.base import get\n"
        "for name in ('csv', 'parquet', 'pdf'):\n"
        "    try: get(name).render(judged(history('ppp'), 'x'))\n"
        "    except UsageProblem as problem: print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    said = done.stdout.splitlines()
    assert len(said) == 3
    assert "failover-drill[tables]" in said[0]
    assert "failover-drill[pdf]" in said[2]


# --- PDF


@cache
def _needs_pango() -> None:
    """Of a machine without Pango the tool says so; on CI it is there."""
    try:
        pdf.printed(b"<p>x</p>")
    except UsageProblem as problem:
        if "Pango" not in str(problem) or os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


def test_the_pdf_is_the_page() -> None:
    """It has pages and the verdict as its title; nothing in it is a script, a link or a file."""
    try:
        written = pdf.render(hostile())
    except Exception as error:
        if "Pango" in str(error):
            pytest.skip(str(error))
        raise
    assert written.startswith(b"%PDF-")
    objects = b"\n".join(_streams(written))
    assert not re.search(rb"/(JavaScript|JS|Launch|URI|EmbeddedFile|SubmitForm)\b", written + objects)


def test_the_pdf_of_a_history_is_always_the_same() -> None:
    """On one machine: no time and no random number gets in."""
    _needs_pango()
    assert pdf.render(told("p[x]p")) == pdf.render(told("p[x]p"))


def _streams(written: bytes) -> list[bytes]:
    found = []
    for raw in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", written, re.DOTALL):
        try:
            found.append(zlib.decompress(raw))
        except zlib.error:
            found.append(raw)
    return found


def test_a_pdf_loads_nothing(tmp_path: Path) -> None:
    """A page that asks for a file gets none: it is the same as without it."""
    _needs_pango()
    (tmp_path / "red.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M1,2L3,4"/></svg>')
    (tmp_path / "red.css").write_text("p { font-size: 99px }")
    image, style = (tmp_path / "red.svg").as_uri(), (tmp_path / "red.css").as_uri()
    page = f"<html><link rel=stylesheet href='{style}'><img src='{image}'><p>x</p>"
    assert pdf.printed(page.encode()) == pdf.printed(b"<html><link><img><p>x</p>")


def test_all_attacks_stand_in_one_text() -> None:
    """The attacks that the formats are tested with are those of the hostile run."""
    assert all(attack in ALL for attack in ATTACKS)
