"""The pages of a quarter: hostile text is dead in each, many legs fit on paper, and nothing is made up."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import msgspec
import pytest
from hostile import ALL, ATTACKS, HARMLESS, told
from markdown_it import MarkdownIt
from quarters import one, plan

from drills.events import RunStarted
from drills.people import People
from drills.quarter import assemble
from drills.quarter.numbers import Time
from drills.quarter.plan import AcceptedRisk
from drills.quarter.register import Entry, Register
from drills.quarter.result import QuarterResult
from drills.quarter.run import RunOfQuarter
from drills.result import Verdict
from drills.verdict import judged
from reports import quarter_html, quarter_md
from reports.base import quarter_formats
from reports.quarter_blocks import left, nines, percent, took

# --- hostile text


def attacked(texts: tuple[str, ...]) -> QuarterResult:
    """A quarter in which every text from outside is one of these."""
    runs = []
    for number, verdict in enumerate((Verdict.FAIL, Verdict.INVALID)):
        happened = told((*texts[number:], *texts[:number]))
        head = happened[0]
        assert isinstance(head, RunStarted)
        found = msgspec.structs.replace(judged(happened, "told").result, verdict=verdict)
        runs.append(RunOfQuarter(texts[number % len(texts)] + str(number), f"2025-11-0{number + 1}", "", found, head))
    runs.append(RunOfQuarter(f"{texts[0]} lost", texts[0], "", None, None, texts[0]))
    entry = Entry(id=texts[0], what=texts[0], owner=texts[0], note=texts[0], ticket=texts[0])
    risk = AcceptedRisk(risk=texts[0], accepted_by=texts[0], until="2026-01-01")
    planned = plan(
        system=texts[0], reason=texts[0], change=texts[0], people=People(owner=texts[0]), accepted_risks=(risk,)
    )
    return assemble(runs, planned, Register(entries=(entry,), file=texts[0]))


class _Tags(HTMLParser):
    """Every tag with the names of its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(" ".join((tag, *sorted(name for name, _ in attrs))))


def tags(page: bytes) -> set[str]:
    """What a page is made of."""
    parser = _Tags()
    parser.feed(page.decode())
    return set(parser.seen)


def test_no_line_breaks_inside_a_day() -> None:
    """It is wrapped, and what stands beside it stays escaped."""
    page = quarter_html.render(attacked(("2025-11-02 <b>",))).decode()
    assert '<span class="day">2025-11-02</span> &lt;b&gt;' in page
    assert "&lt;span" not in page


def test_hostile_text_is_dead_in_every_format() -> None:
    """No element and no attribute that a harmless quarter does not have; no escape sequence, no direction mark."""
    hostile = attacked((*ATTACKS, ALL))
    tame = attacked((HARMLESS,))
    page = quarter_html.render(hostile)
    assert tags(page) <= tags(quarter_html.render(tame)) | {"td class data-of"}
    assert b"alert(1)" in page
    written = quarter_md.render(hostile).decode()
    tokens = MarkdownIt("commonmark").enable("table").parse(written)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [one for one in (*tokens, *inline) if one.type in {"html_block", "html_inline", "link_open", "image"}]
    for name, one_format in quarter_formats().items():
        if name != "pdf":
            text = one_format.render(hostile).decode()
            assert not {"\x1b", "\u202e", "\x00", "\u2066", "\ufeff"} & set(text), name


def test_many_legs_are_drawn_on_many_pages() -> None:
    """No drawing is higher than a page of A4, or it could not be printed; no leg is left out, no id is there twice."""
    legs = [f"leg-{number}" for number in range(30)]
    runs = [renamed(one(number), leg) for number, leg in enumerate(legs)]
    page = quarter_html.render(assemble(runs, plan(), Register())).decode()
    sizes = [tuple(map(float, box)) for box in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)" font-size="13" role', page)]
    wide = [(width, height) for width, height in sizes if width == 880]
    assert len(wide) == 3 + 5
    assert max(height / width for width, height in wide) < 267 / 184
    assert all(f"litellm, {leg}<" in page for leg in legs)
    idents = re.findall(r' id="([^"]+)"', page)
    assert len(idents) == len(set(idents))


def renamed(run: RunOfQuarter, leg: str) -> RunOfQuarter:
    """The run, with another name of its primary."""
    assert run.result is not None
    replace = msgspec.structs.replace
    changed = replace(
        run.result,
        faults=tuple(replace(fault, legs=(leg,)) for fault in run.result.faults),
        switchovers=tuple(replace(found, from_=leg) for found in run.result.switchovers),
    )
    return dataclasses.replace(run, result=changed)


def test_an_empty_quarter_says_so() -> None:
    """No run, no plan, no register: every section is there, with what it would need."""
    page = quarter_md.render(assemble([], plan(), Register())).decode()
    assert page.count("\n## ") == 15
    for said in ("no drill of this quarter counts", "Nothing was ever drilled", "There is no run of this quarter"):
        assert said in page
    assert "Not given, and so not said" in page
    assert assemble([one(1)], plan(), Register()).headline.runs == 1


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (percent(0.99994, longer=True), "> 99.99 %"),
        (percent(0.99999, longer=True), "> 99.99 %"),  # and not that it was more than the whole
        (percent(1.00009, longer=True), "> 100.00 %"),
        (percent(0.99999), "99.99 %"),
        (percent(1.00001), "100.01 %"),
        (percent(1.0), "100.00 %"),
        (percent(0.12345), "12.34 %"),
        (nines(0.9999), "99.99 %"),
        (nines(0.999999999), "99.999999 %"),
        (nines(1 - (1 - 0.995) * (1 - 0.9897)), "99.99485 %"),
        (nines(1.0), "100 %"),
        (took(Time(value_s=24.999, longer=True)), "> 24.99 s"),
        (took(Time(value_s=24.999)), "25.00 s"),
        (left(Time(value_s=-0.011, longer=True)), "at most -0.01 s"),
        (left(Time(value_s=0.011, longer=True)), "at most +0.02 s"),
    ],
)
def test_no_rounding_crosses_a_bound(shown: str, text: str) -> None:
    """What is said to be more than a number is more than the number that is shown."""
    assert shown == text
