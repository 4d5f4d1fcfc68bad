"""Findings, risks, methodology, controls, sign-off and evidence in the quarterly report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from drills.moments import moment
from drills.quarter.numbers import most_failures
from drills.quarter.register import Status
from drills.quarter.result import FindingPart, FindingState, QuarterResult, RunRow
from drills.quarter.sealed import MISSING, Evidence, Pruned, SealState
from reports.quarter_blocks import Block, Fields, Points, Text, counted, grid, percent
from reports.tables import Loud

_LOUD = {FindingState.OVERDUE, FindingState.REOPENED, FindingState.EXPIRED}
_HASH = 12


def findings(result: QuarterResult) -> Iterator[Block]:
    """The register, with what this quarter's drills say about it."""
    register = result.register
    if register.file and not register.sha256:
        yield Text(f"The register {register.file} was begun with this report: nothing is carried over.")
    elif register.file:
        yield Text(f"Carried over from {register.file}, which people keep; new ones come last.")
    else:
        yield Text(
            "No register was given (--findings findings.yaml), so nothing is carried over from earlier quarters."
        )
    if not result.findings:
        yield Text("No drill that counts failed in this quarter, and nothing is carried over.")
        return
    yield grid(
        ("finding", "what", "state", "severity", "owner", "due", "ticket", "first seen", "this quarter"),
        [_finding(part) for part in result.findings],
    )
    notes = [f"{part.entry.id}: {part.entry.note}" for part in result.findings if part.entry.note]
    if notes:
        yield Points(tuple(notes), "Notes:")
    advice = [f"{part.entry.id}: {part.advice}" for part in result.findings if part.advice and _open(part)]
    if advice:
        yield Points(tuple(advice), "What to do, as the last drill that failed says:")


def _open(part: FindingPart) -> bool:
    return part.state in {FindingState.NEW, FindingState.OPEN} | _LOUD


def _finding(part: FindingPart) -> tuple[str, ...]:
    entry = part.entry
    fixed = f", fixed on {entry.fixed_on}" if entry.fixed_on else ""
    state = f"{part.state.value}{fixed}"
    return (
        entry.id,
        entry.what,
        Loud(state) if part.state in _LOUD else state,
        entry.severity.value,
        entry.owner or "nobody yet",
        entry.due or "-",
        entry.ticket or "-",
        f"{entry.first_day or 'day not given'} ({entry.first_seen or 'run not given'})",
        f"failed in {len(part.failed_runs)}, held in {len(part.held_runs)}",
    )


def risks(result: QuarterResult) -> Iterator[Block]:
    """What somebody took on."""
    today = result.until[:10]
    rows: list[tuple[str, ...]] = [
        (one.risk, one.accepted_by, Loud(f"{one.until}, run out") if one.until < today else one.until)
        for one in result.plan.accepted_risks
    ]
    for part in result.findings:
        entry = part.entry
        if entry.status is Status.ACCEPTED:
            until = entry.until or "no end given"
            shown = Loud(f"{until}, run out") if part.state is FindingState.EXPIRED else until
            rows.append((f"finding {entry.id}: {entry.what}", entry.owner or "nobody named", shown))
    if rows:
        yield grid(("risk", "accepted by", "until"), rows)
    else:
        yield Text("None is written in the plan (accepted_risks), and no finding is accepted.")


def methodology() -> Iterator[Block]:
    """Why the numbers can be believed, and how far."""
    yield Points(
        (
            (
                "Each drill sends requests at a steady rate, whether or not earlier ones were answered, through the "
                "real gateway with its own config. A fault layer takes legs away. Who answered is read from the "
                "answer itself. An application makes its own calls; its requests are inferred from them."
            ),
            (
                "A drill counts only when it proved itself: the fault met requests, probes past the gateway saw it, "
                "the legs were well before and after, and the load generator kept its pace. Other runs are listed."
            ),
            (
                "Recovery is a bracket. It is told by its upper end, with its width as the resolution, and only the "
                "upper end is held against an objective. Objectives come from the plan, else from the scenario."
            ),
            (
                "One loss of a leg is one trial. Medians are of trials, with exact intervals from order statistics; "
                "below six trials there is none. A recovery that was not over when the fault ended is longer than "
                "the fault, and is never averaged."
            ),
            "Each verdict is the one that was given when the drill was run; the numbers are those of its result.",
        ),
        "How it was measured:",
    )
    five, fifty_nine = percent(most_failures(5, 0), 0), percent(most_failures(59, 0), 0)
    yield Points(
        (
            (
                "A drill that never failed in n trials bounds the chance of failing by 1 - 0.05^(1/n), at 95 %: "
                f'{five} for 5 trials, {fifty_nine} for 59. "It passed" is not "it is reliable".'
            ),
            (
                "That bound is about drills like these. Trials on one day with one config are no sample of all that "
                "can go wrong."
            ),
            (
                "The legs are simulated: their dialects, errors and streams are the vendors', their capacity, "
                "quotas, prices and quality are not. Nothing here shows that a standby can carry the load."
            ),
            "A fault is clean: it begins and ends at known moments. Real outages flicker, spread and half recover.",
            "The resolution of each time is about the interval between two requests plus the time of an answer.",
            "A stateless gateway has no recovery point; what is lost is requests, and they are counted.",
        ),
        "What these numbers cannot show:",
    )


SEVERAL = (
    (
        "DORA, Regulation (EU) 2022/2554, Art. 24",
        "a testing programme with issues that are prioritised and remedied",
        ("scope", "coverage", "findings", "signoff"),
    ),
    (
        "DORA, Art. 25",
        "tests of ICT tools and systems, among them scenario-based and end-to-end tests",
        ("coverage", "recovery", "failback", "evidence"),
    ),
    (
        "RTS on ICT risk management, Delegated Regulation (EU) 2024/1774, Art. 25",
        (
            "tests of continuity plans by severe but plausible scenarios, with switchover to redundant capacity and "
            "results reported"
        ),
        ("summary", "coverage", "recovery", "failback", "findings"),
    ),
    ("SOC 2, A1.2", "recovery infrastructure that is operated and monitored", ("scope", "availability", "recovery")),
    ("SOC 2, A1.3", "tests of recovery procedures", ("coverage", "recovery", "failback", "findings", "evidence")),
    (
        "ISO 22301:2019, 8.5",
        "an exercise programme at planned intervals, with reports that lead to improvement",
        ("scope", "coverage", "trend", "findings", "signoff"),
    ),
    (
        "FFIEC, Business Continuity Management booklet, VII",
        "exercises and tests with objectives, results and issues that are tracked",
        ("summary", "coverage", "recovery", "findings", "evidence"),
    ),
)
"""Control, what it is about in our words, and the sections that speak of it."""


def controls(titles: dict[str, str]) -> Iterator[Block]:
    """An index, and no more. titles: of the sections, by their idents."""
    yield Text(
        "Where to look for what these ask about. It is an index: it claims no compliance, and it is no advice. What "
        "they ask for goes further than drills of one gateway.",
        loud=False,
    )
    rows: list[tuple[str, ...]] = [
        (name, about, ", ".join(titles[one] for one in where)) for name, about, where in SEVERAL
    ]
    yield grid(("control", "about", "sections"), rows)


def signoff(result: QuarterResult) -> Iterator[Block]:
    """Lines for signatures."""
    people = result.plan.people
    yield Text("By signing, each says to have read this report, and nothing more.", faint=True)
    yield Fields(
        tuple(
            (role, f"{name or '........................'}    date ............    signature ........................")
            for role, name in (("owner", people.owner), ("operator", people.operator), ("reviewer", people.reviewer))
        )
    )


def evidence(result: QuarterResult) -> Iterator[Block]:
    """Every run."""
    if result.runs:
        yield grid(
            ("run", "started (UTC)", "verdict", "scenario", "gateway", "config", "seal", "history sha256"),
            [_run(row, result) for row in result.runs],
            "Runs of the quarter, oldest first",
            "long",
        )
    else:
        yield Text("There is no run of this quarter.")
    if said := [row for row in result.runs if row.people.named or row.change]:
        yield grid(
            ("run", "owner", "operator", "reviewer", "change"),
            [
                (
                    row.name,
                    row.people.owner or "-",
                    row.people.operator or "-",
                    row.people.reviewer or "-",
                    row.change or "-",
                )
                for row in said
            ],
            "Who answered for each run, as its scenario or its flags said; who answers for the quarter is in the scope",
        )
    idle = [f"{row.name}: {row.verdict}: {row.why_not}" for row in result.runs if not row.counts]
    if idle:
        yield Points(tuple(idle), "Runs that do not count, and why:")
    if result.undated:
        lines = tuple(
            f"{row.name}: {row.why_not or 'its time cannot be read: ' + row.started_at}" for row in result.undated
        )
        yield Points(lines, "Runs whose day nobody can say; they count nowhere:")
    if result.earlier:
        yield grid(
            ("run", "started (UTC)", "verdict", "seal", "history sha256"),
            [
                (
                    row.name,
                    _started(row),
                    _verdict(row),
                    _seal(row, result.evidence),
                    row.history_sha256 or "not readable",
                )
                for row in result.earlier
            ],
            "Runs of the three quarters before, on which coverage and trend rest",
            "long",
        )
    yield from _pruned(result.evidence)
    yield from _sealing(result.evidence)
    rows = [("plan", result.plan.file, result.plan.sha256), ("register", result.register.file, result.register.sha256)]
    yield grid(
        ("input", "file", "sha256"),
        [(what, file or "none", digest or "-") for what, file, digest in rows],
        "What people wrote, as it was read",
    )
    yield Text(
        f"Made by failover-drill {result.tool_version} from the result.json and the history of each run. The JSON "
        "beside this report holds the plan and the register too, so the same runs give the same bytes again."
    )


def _pruned(evidence: Evidence) -> Iterator[Block]:
    """The runs that are there no more."""
    if not evidence.pruned:
        return
    yield grid(
        ("run", "started (UTC)", "verdict", "scenario", "gateway", "config", "gone (UTC)"),
        [
            (
                one.run,
                _moment(one.started_at) or "not known",
                (one.verdict or "not known") if one.verdict == "pass" else Loud(one.verdict or "not known"),
                one.scenario or "not written down",
                one.gateway or "not written down",
                one.config_sha256[:_HASH] or "-",
                _gone(one),
            )
            for one in evidence.pruned
        ],
        "Runs of these four quarters that are there no more, as the chain remembers them; they are in no number",
        "long",
    )


def _gone(one: Pruned) -> str:
    if one.verdict == MISSING:
        return f"not pruned; sealed {_moment(one.at)}"
    return f"pruned {_moment(one.at)}{'' if one.was_sealed else ', never sealed'}"


def _sealing(evidence: Evidence) -> Iterator[Block]:
    """The chain as it stood before this report, and the seals of its runs."""
    if evidence.head:
        yield Text(
            f"Head of the chain before this report, line {evidence.lines}: {evidence.head}. Kept where nobody who can "
            "write the runs can write, it shows later that nothing before it was changed (drill verify --head)."
        )
    else:
        yield Text("There is no chain beside the runs: none of them was ever sealed, or the chain was removed.")
    states = Counter(one.state for one in evidence.seals)
    sums = ", ".join(f"{states[state]} {state.value}" for state in SealState if states[state])
    if sums:
        said = (
            f"Of {counted(len(evidence.seals), 'run')}, by their hashes when this report was made: {sums}. "
            "drill verify computes them again too."
        )
        yield Text(said, loud=bool(states[SealState.CHANGED]))


def _seal(row: RunRow, evidence: Evidence) -> str:
    found = evidence.seal(row.name)
    if found is None:
        return "not looked at"
    return Loud(found.state.value) if found.state is SealState.CHANGED else found.state.value


def _run(row: RunRow, result: QuarterResult) -> tuple[str, ...]:
    config = f"{row.config_file} {row.config_sha256[:_HASH]}".strip()
    return (
        row.name,
        _started(row),
        _verdict(row),
        f"{row.scenario} {row.scenario_sha256[:_HASH]}".strip(),
        f"{row.gateway} {row.version}".strip() or "not known",
        config or "none",
        _seal(row, result.evidence),
        row.history_sha256 or Loud("not readable"),
    )


def _started(row: RunRow) -> str:
    return _moment(row.started_at)


def _moment(text: str) -> str:
    found = moment(text)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found is not None else text


def _verdict(row: RunRow) -> str:
    return row.verdict if row.verdict == "pass" else Loud(row.verdict)
