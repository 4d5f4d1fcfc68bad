"""The first sections of the quarterly report: summary, scope and people, coverage. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from drills.quarter.dates import Every
from drills.quarter.result import Cell, FindingState, Headline, QuarterResult, QuarterVerdict, State
from drills.quarter.run import DOMAINS
from reports.quarter_blocks import Block, Fields, Grid, Points, Text, counted, grid, left, nines, span, took
from reports.tables import Loud

_NOBODY = "not given"
_FINE = {State.CURRENT, State.REPLACED}


def sentence(result: QuarterResult) -> str:
    """The verdict in one sentence, and what was taken away before anybody could count it."""
    head = result.headline
    return f"{_verdict(head)}{f'; {_pruned(head)}' if head.pruned else ''}"


def _pruned(head: Headline) -> str:
    """How many runs were pruned, and what they were."""
    bad = [f"{head.pruned_failed} failed"] if head.pruned_failed else []
    bad += [f"{head.pruned_unknown} had been changed since the seal"] if head.pruned_unknown else []
    of = f", of which {' and '.join(bad)}" if bad else ", none of them failed"
    return f"{counted(head.pruned, 'run')} of this quarter {'was' if head.pruned == 1 else 'were'} pruned{of}"


def _verdict(head: Headline) -> str:
    if not head.counted and head.verdict is QuarterVerdict.INCOMPLETE:
        return "Incomplete: no drill of this quarter counts"
    if head.verdict is QuarterVerdict.NOT_MET and head.untold:
        what = f"nobody can say what {counted(len(head.untold), 'run')} of it came to"
        also = f"; the last drill of {len(head.failed_pairs)} of {_pairs(head)} was bad" if head.failed_pairs else ""
        return f"Not met: {what}, changed since the seal or missing{also}"
    if head.verdict is QuarterVerdict.NOT_MET:
        what = "failed, or callers waited longer for recovery than the objective allows"
        return f"Not met: the last drill of {len(head.failed_pairs)} of {_pairs(head)} {what}"
    if head.verdict is QuarterVerdict.INCOMPLETE:
        late = [f"{head.overdue} are overdue"] if head.overdue else []
        late += [f"{head.never} were never drilled"] if head.never else []
        but = f"of {counted(head.cells, 'cell')} of the coverage {' and '.join(late)}"
        if not late:
            but = "nobody can say whether a later drill put right what a pruned one had failed at"
        return f"Incomplete: the last drill of each of {_pairs(head)} held, but {but}"
    return f"Met: the last drill of each of {_pairs(head)} held, and nothing is overdue"


def _pairs(head: Headline) -> str:
    return counted(head.pairs, "pair of scenario and gateway", "pairs of scenario and gateway")


def summary(result: QuarterResult) -> Iterator[Block]:
    """What a manager reads."""
    head = result.headline
    if result.until[:10] <= result.last_day:
        yield Text(f"The quarter is not over: it is judged as it stood on {result.until[:10]}.")
    yield grid(("what", "value"), list(_numbers(result)), look="small")
    if head.failed_pairs:
        yield Points(head.failed_pairs, "The last drill failed, or took longer than its objective:")
    if head.untold:
        yield Points(head.untold, "Runs that were sealed, and of which nobody can say any more what they came to:")
    if head.failed_replaced:
        yield Points(
            head.failed_replaced,
            "The last drill failed, or took longer than its objective, with a config that another one took the place "
            "of; the same was drilled with that one:",
        )
    reopened = [part.entry.id for part in result.findings if part.state is FindingState.REOPENED]
    if reopened:
        yield Points(tuple(reopened), "Findings that were marked as fixed, and came back:")
    yield Text(
        "Drills run against simulated providers: they prove what the gateway does, and nothing about the capacity "
        "of a provider. The section on methodology says what these numbers cannot show.",
        faint=True,
    )


def _numbers(result: QuarterResult) -> Iterator[tuple[str, str]]:
    head = result.headline
    yield (
        "drills that count",
        (
            f"{head.counted} of {head.runs}, on {counted(head.gateways, 'gateway')}: {head.passed} passed, "
            f"{head.failed} failed"
        ),
    )
    yield "runs that prove nothing", f"{head.not_counted}; the evidence lists them with their reasons"
    if head.pruned:
        what = f"{_pruned(head)}; they are in no number, and the evidence lists them"
        yield "pruned", Loud(what) if head.pruned_failed or head.pruned_unknown else what
    slowest = max((part.summary.worst for part in result.recoveries if part.summary.worst), default=None)
    yield "losses of the serving leg", f"{head.trials}; longest recovery {took(slowest)}"
    yield "worst margin to an objective", _worst(head)
    if head.beyond:
        yield "recoveries beyond the objective", Loud(f"{head.beyond} of {head.trials}")
    late = f"{head.overdue} overdue, {head.never} never drilled, of {head.cells}"
    yield "coverage", Loud(late) if head.overdue or head.never else f"nothing overdue, of {head.cells} cells"
    yield (
        "findings to work on",
        f"{head.findings_open}; {head.findings_overdue} overdue, {head.findings_reopened} came back after a fix",
    )
    for chain in result.chains:
        together = chain.with_gateway if chain.with_gateway is not None else chain.by_cloud
        if chain.alone is not None and together is not None:
            down = f"{span((1 - chain.alone) * 720)} to {span((1 - together) * 720)} down in 30 days, on paper"
            yield f"availability, {chain.gateway}", f"{nines(chain.alone)} to {nines(together)}: {down}"
    money = result.plan.money
    for one in result.savings:
        if money is not None:
            ratio = f", {one.ratio:.1f} times the price of the gateway" if one.ratio is not None else ""
            yield f"worth of failing over, {one.gateway}", f"{one.saved:,.0f} {money.currency} in 30 days{ratio}"


def _worst(head: Headline) -> str:
    if head.worst is None or head.worst_margin is None:
        return "no objective was given, by a scenario or the plan"
    one = head.worst
    who = f"{one.gateway}, {one.leg}"
    said = f"{left(head.worst_margin)}: {who}, recovered in {took(one.recovery)}, objective {one.rto_s:g} s"
    return Loud(said) if head.worst_margin.value_s < 0 else said


def scope(result: QuarterResult) -> Iterator[Block]:
    """What was drilled, by whom, and why."""
    plan = result.plan
    people = plan.people
    yield Fields(
        (
            ("system", plan.system or _NOBODY),
            ("owner", people.owner or _NOBODY),
            ("operator", people.operator or _NOBODY),
            ("reviewer", people.reviewer or _NOBODY),
            ("change", plan.change or _NOBODY),
            ("from, to", f"{result.first_day} to {result.last_day} (UTC)"),
        )
    )
    if plan.reason:
        yield Text(f"Reason: {plan.reason}")
    wanted = {
        "system": plan.system,
        "people.owner": people.owner,
        "people.operator": people.operator,
        "people.reviewer": people.reviewer,
        "change": plan.change,
        "reason": plan.reason,
    }
    missing = [key for key, value in wanted.items() if value is None]
    if missing:
        yield Text(f"Not given, and so not said: {', '.join(missing)} of the plan (--plan quarter.yaml).", faint=True)
    yield grid(
        ("gateway", "versions", "configs", "routes", "legs", "drills"),
        [
            (
                row.gateway,
                ", ".join(row.versions) or "not known",
                ", ".join(row.configs) or "none",
                ", ".join(row.routes),
                "; ".join(row.legs),
                f"{row.drills} count ({row.passed} passed, {row.failed} failed), {row.not_counted} do not",
            )
            for row in result.gateways
        ],
        "Gateways",
    )
    yield grid(
        ("scenario", "what for", "gateways", "runs", "of these count"),
        [
            (row.scenario, row.objective or "-", ", ".join(row.gateways), str(row.runs), str(row.counted))
            for row in result.scenarios
        ],
        "Scenarios",
    )
    if result.unmatched:
        yield Points(result.unmatched, "In the plan, but not in any run:")


def coverage(result: QuarterResult) -> Iterator[Block]:
    """The matrix, then its cells."""
    if not result.coverage:
        yield Text("Nothing was ever drilled, so there is nothing to cover.")
        return
    yield Text(
        "Rows are legs, columns are what was taken away together. Each cell has the day and the verdict of the last "
        "drill that counts, of any scenario; a drill that proved nothing leaves a cell as it was."
    )
    yield _matrix(result.coverage)
    yield grid(
        ("gateway", "leg", "lost with it", "scenario", "last drill", "in the quarter", "due", "state"),
        [_cell(cell) for cell in result.coverage],
        "Every cell",
        "long",
    )
    if any(cell.config for cell in result.coverage):
        yield Text(
            "A gateway that was drilled with several configs has its cells for each of them, by the beginning of the "
            "config's hash. Replaced: the same was drilled again with a config that took this one's place."
        )
    yield Text(
        f"By the plan each cell is due {_every(result.plan.cadence.default)}, unless it says otherwise for a "
        "scenario. Overdue: its last drill that counts was in an earlier period than the last one that is over.",
        faint=True,
    )


def _matrix(cells: Sequence[Cell]) -> Grid:
    domains = [domain for domain in DOMAINS if any(cell.domain == domain for cell in cells)]
    rows: list[tuple[str, ...]] = []
    for gateway, config, leg in sorted({(cell.gateway, cell.config, cell.leg) for cell in cells}):
        of_leg = [cell for cell in cells if (cell.gateway, cell.config, cell.leg) == (gateway, config, leg)]
        never = all(cell.state is State.NEVER for cell in of_leg)
        name = f"{leg or 'any leg'}{' (never drilled)' if never else ''}"
        shown = Loud(name) if never else name
        rows.append((_gateway(gateway, config), shown, *(_last(of_leg, domain) for domain in domains)))
    header = ("gateway", "leg", *("leg alone" if domain == "leg" else domain for domain in domains))
    return grid(header, rows, "The matrix")


def _gateway(name: str, config: str) -> str:
    return f"{name or 'any'}{f', config {config}' if config else ''}"


def _last(cells: list[Cell], domain: str) -> str:
    found = [cell for cell in cells if cell.domain == domain]
    done = [cell for cell in found if cell.last_day]
    if not done:
        return Loud("never drilled") if found else "-"
    last = max(done, key=lambda cell: (cell.last_day, cell.last_run))
    late = sum(cell.state not in _FINE for cell in found)
    said = f"{last.last_day} {last.verdict}"
    if late:
        return Loud(f"{said}; {late} of {len(found)} scenarios overdue")
    return Loud(said) if last.verdict != "pass" else said


def _cell(cell: Cell) -> tuple[str, ...]:
    drills = f"{cell.drills}" + (f", and {cell.not_counted} that prove nothing" if cell.not_counted else "")
    return (
        _gateway(cell.gateway, cell.config),
        cell.leg or "any",
        cell.domain or "anything",
        cell.scenario or "any",
        f"{cell.last_day} {cell.verdict}" if cell.last_day else "never",
        drills,
        cell.due_day or ("once is enough" if cell.every is Every.ONCE else "now"),
        cell.state.value if cell.state in _FINE else Loud(cell.state.value),
    )


def _every(every: Every) -> str:
    return "once" if every is Every.ONCE else f"once a {every.value.replace('-', ' ')}"
