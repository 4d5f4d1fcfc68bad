"""`report.html`: the run as one page that needs nothing else: no network, no script, no other file. Pure.

`reports/page.py` escapes everything, and the page forbids itself scripts and requests (Content-Security-Policy), should
a text ever get through. The style sheet in `templates/` does light and dark, phones, and A4; the plots come in two
widths of which the page shows one.
"""

from __future__ import annotations

from collections.abc import Callable

from drills.redaction import NEVER_STORED
from drills.result import Verdict
from drills.verdict import Judged
from reports import page, plots, tables
from reports.base import Format
from reports.figure import Entry, Figure
from reports.lost import lost_requests
from reports.picture import Picture, picture
from reports.svg import HUNG, OTHER, leg_style, swatch
from reports.tables import Table
from reports.words import HOSTS_TRIED_MEANS, SEALED, WORDS, hung_connects, ledger_means, ledger_sums, sentence


def render(run: Judged) -> bytes:
    """The whole page."""
    result = run.result
    wide, narrow = picture(run, plots.WIDE.bins), picture(run, plots.NARROW.bins)
    return page.written(
        "run.html",
        result=result,
        sentence=sentence(result),
        figures=_figures(wide, narrow) if wide and narrow else (),
        moments=wide.moments if wide else (),
        bins=_bins(wide) if wide else Table((), ()),
        switchovers=tables.switchovers(result),
        failbacks=tables.failbacks(result),
        missing=tables.missing_values(result),
        findings=[part for part in result.checks if part.verdict is not Verdict.PASS],
        checks=tables.checks(result),
        phases=tables.phases(result),
        assumptions=tables.assumptions(result),
        paths=tables.paths(result),
        attempts=tables.attempts(result),
        ledger_means=ledger_means(result),
        ledger_sums=ledger_sums(result),
        hung_connects=hung_connects(result),
        lost=lost_requests([request for request in run.ledger.requests if not request.ok]),
        legs=tables.legs(result),
        faults=tables.faults(result),
        proofs=tables.proofs(result),
        hosts_tried=tables.hosts_tried(result),
        hosts_tried_means=HOSTS_TRIED_MEANS,
        instrument=tables.instrument(result),
        identity=tables.identity(result),
        environment=tables.environment(result),
        evidence=tables.evidence(result),
        sealed=SEALED,
        never_stored=NEVER_STORED,
        words=WORDS,
    )


FORMAT = Format(name="html", file="report.html", about="one page for people, with plots", render=render, kept=True)


def _figures(wide: Picture, narrow: Picture) -> tuple[Figure, ...]:
    def both(plot: Callable[[Picture, plots.Size], str]) -> tuple[object, object]:
        return page.drawing(plot(wide, plots.WIDE)), page.drawing(plot(narrow, plots.NARROW))

    due = "Requests per second, by when they were due. Shaded: faults while they were on."
    waits = (
        "From the moment a request was due. In each bin: fastest to slowest (light), the middle 80 % where ten are "
        "there (darker), the median (line). A cross is the longest that a caller waited in vain."
    )
    reached = "Per second, as they reached the leg, all to the same scale; the drill's own probes are left out."
    found = [
        Figure("Who answered", due, *both(plots.answers), _answer_legend(wide)),
        Figure("Time to the whole answer", waits, *both(plots.waits)),
    ]
    if any(one is not None for one in wide.tokens):
        found.append(Figure("Time to the first token", "Streams alone; bands as above.", *both(plots.tokens)))
    found.append(Figure("Attempts on each leg", reached, *both(plots.attempts), _attempt_legend(wide)))
    return tuple(found)


def _answer_legend(shown: Picture) -> tuple[Entry, ...]:
    return tuple(
        Entry(page.drawing(swatch(f"legend-{number}", plots.style_of(one, shown))), f"{plots.called(one)} {one.total}")
        for number, one in enumerate(shown.answers)
    )


def _attempt_legend(shown: Picture) -> tuple[Entry, ...]:
    whole = [(leg_style(row), f"{one.leg}, answered", sum(one.answered)) for row, one in enumerate(shown.attempts)]
    other = (
        OTHER,
        "not answered whole: a fault struck, or the gateway left",
        sum(sum(o.other) for o in shown.attempts),
    )
    hung = (HUNG, "connects that hung and carried no request", sum(sum(o.hung) for o in shown.attempts))
    return tuple(
        Entry(page.drawing(swatch(f"attempts-{number}", style)), f"{what} {count}")
        for number, (style, what, count) in enumerate([*whole, other, hung])
        if count
    )


def _bins(shown: Picture) -> Table:
    axis = shown.axis
    rows = (
        (f"{axis.begins(number):.2f}", *(str(one.counts[number]) for one in shown.answers))
        for number in range(axis.bins)
    )
    return Table((f"from (s), {axis.width_s:g} s each", *(plots.called(one) for one in shown.answers)), tuple(rows))
