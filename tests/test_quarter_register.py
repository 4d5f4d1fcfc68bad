"""What people write for a quarter: the plan and the register of findings."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hostile import ALL, ATTACKS, told
from quarters import one, plan

from drills.events import RunStarted
from drills.problems import UsageProblem
from drills.quarter import assemble
from drills.quarter import plan as plans
from drills.quarter.findings import new_entries
from drills.quarter.register import Entry, Register, Severity, Status, appended, finding_id, parse
from drills.quarter.result import FindingState
from drills.quarter.run import RunOfQuarter
from drills.result import Verdict
from drills.verdict import judged

DOCS = Path(__file__).parent.parent / "docs" / "quarterly.md"
LATE = "ppppp[" + "x" * 18 + "ssssssssss]sspppp"
"""18 requests lost, and 1.91 s until callers were answered well again."""
KEPT = """\
# our register
- id: a-1   # the first
  what: "something: broke"
  severity: high
  owner:   Ada Okafor
  due: 2026-01-15

# the second
- {id: b-2, what: other, status: fixed, fixed_on: 2025-11-01}
"""


# --- the plan


def test_every_mistake_of_a_plan_is_told_at_once() -> None:
    """With its place, what is allowed and what was probably meant."""
    text = (
        "systm: desk\n"
        "rto: 6\n"
        "target: 100%\n"
        "legs:\n"
        "  - {leg: primary, sla: 99.5, rto: 0s}\n"
        "  - {gateway: litellm}\n"
        "cadence: {default: quaterly}\n"
        "accepted_risks: [{risk: r, accepted_by: a, until: 2026-02-30}]\n"
        "people: {owner: }\n"
        "money: {currency: EUR, revenue_per_hour: -1}\n"
    )
    with pytest.raises(UsageProblem) as raised:
        plans.parse(text, "quarter.yaml", "", plan())
    said = [str(problem) for problem in raised.value.problems]
    assert [line.partition(": ")[0] for line in said] == [
        "quarter.yaml:1:1",
        "quarter.yaml:2:6",
        "quarter.yaml:3:9",
        "quarter.yaml:5:25",
        "quarter.yaml:5:36",
        "quarter.yaml:6:5",
        "quarter.yaml:7:20",
        "quarter.yaml:8:18",
        "quarter.yaml:9:16",
        "quarter.yaml:10:42",
    ]
    assert "unknown key 'systm' in the plan of a quarter; did you mean 'system'?" in said[0]
    assert "6 needs a unit; a duration is written 500ms, 30s, 2m, 1h" in said[1]
    assert "must be less than 100%" in said[2]
    assert "missing key 'leg' in a leg" in said[5]
    assert "unknown value 'quaterly'; did you mean 'quarter'?" in said[6]
    assert "there is no day 2026-02-30" in said[7]


def test_a_plan_may_not_contradict_itself() -> None:
    """One leg twice, a price without a currency."""
    for text, said in (
        ("legs: [{leg: a}, {leg: a, gateway: g}, {leg: a}]\n", "the leg 'a' is written twice"),
        ("legs: [{leg: a, input_per_million: 3}]\n", "prices of legs need a currency"),
    ):
        with pytest.raises(UsageProblem, match=re.escape(said)):
            plans.parse(text, "quarter.yaml", "", plan())


def test_the_examples_of_the_documentation_are_good() -> None:
    """Whoever copies them starts with a plan and a register that are read."""
    blocks = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    written = plans.parse(blocks[0], "quarter.yaml", "", plan())
    assert (written.quarter, written.target) == ("2025Q4", pytest.approx(0.999))
    assert written.people.owner
    assert written.money is not None
    assert written.legs
    entries = parse(blocks[1], "findings.yaml", "").entries
    assert {entry.status for entry in entries} == {Status.OPEN, Status.FIXED, Status.ACCEPTED}


# --- the register


def test_every_mistake_of_a_register_is_told_at_once() -> None:
    """A typing error, an id twice, a fix without its day."""
    text = (
        "- {id: a, what: x, stauts: open}\n- {id: b, what: x, status: fixed}\n- {id: c, what: x}\n- {id: c, what: y}\n"
    )
    with pytest.raises(UsageProblem) as raised:
        parse(text, "findings.yaml", "")
    said = "\n".join(map(str, raised.value.problems))
    assert "findings.yaml:1:20: unknown key 'stauts' in a finding; did you mean 'status'?" in said
    assert "findings.yaml:2:3: a finding: a finding that is fixed needs 'fixed_on'" in said
    assert "findings.yaml:4:3: finding 'c' is written twice; first at findings.yaml:3:3" in said
    with pytest.raises(UsageProblem, match="must be a list of findings"):
        parse("findings: []\n", "findings.yaml", "")


def entry(ident: str = "new-1", what: str = "it broke") -> Entry:
    """A new finding."""
    return Entry(id=ident, what=what, first_seen="run", first_day="2025-11-02")


LAYOUTS = [
    "",
    "\n\n",
    "# only a comment\n",
    KEPT,
    KEPT.rstrip("\n"),
    KEPT + "# the end, without a line end",
    KEPT.replace("\n", "\r\n"),
    "  - id: a\n    what: |\n      long\n      text\n",
    "\ufeff- {id: a, what: x}\n",
]


@pytest.mark.parametrize("text", LAYOUTS)
def test_new_findings_are_put_behind_what_is_there(text: str) -> None:
    """Not a byte of it changes; what is read is what was there, and the new ones."""
    new = [entry(), entry("new-2", 'with: "signs" # and\\more')]
    whole = appended(text, "findings.yaml", new)
    assert whole.startswith(text)
    assert parse(whole, "findings.yaml", "").entries == (*parse(text, "findings.yaml", "").entries, *new)
    assert ("\r\n" in whole[len(text) :]) == ("\r\n" in text)
    assert "# owner:" in whole
    assert appended(text, "findings.yaml", []) == text


@pytest.mark.parametrize(
    ("text", "do"),
    [
        ("[]\n", r"`\[\]` is a list that ends where it begins: take it out"),
        ("[{id: a, what: x}]\n", "write the findings as a list in lines of their own"),
        ("- {id: a, what: x}\n...\n", r"`\.\.\.` ends the document.*: take that line out"),
    ],
)
def test_where_nothing_can_be_put_behind_it_is_said(text: str, do: str) -> None:
    """Rather than a file that nobody can read; and what to do about it."""
    with pytest.raises(UsageProblem, match=f"nothing can be appended here; {do}"):
        appended(text, "findings.yaml", [entry()])


@pytest.mark.parametrize("attack", [*ATTACKS, ALL])
def test_hostile_text_stays_text_in_the_register(attack: str) -> None:
    """What a gateway said comes back as one text of one finding, and no key, comment or tag."""
    happened = told((attack,))
    head = happened[0]
    assert isinstance(head, RunStarted)
    result = msgspec.structs.replace(judged(happened, "hostile").result, verdict=Verdict.FAIL)
    run = RunOfQuarter(attack, "2025-11-02T00:00:00+00:00", "", result, head)
    new = new_entries(assemble([run], plan(), Register()).findings)
    assert new
    assert parse(appended(KEPT, "findings.yaml", new), "findings.yaml", "").entries[2:] == new


def test_the_id_of_a_finding_is_stable_and_its_own() -> None:
    """The same for the same scenario, gateway, faults and check; another for each other. It is written in registers."""
    words = ("cloud-outage", "litellm", ("f: a", "g: b"), "lost requests")
    assert finding_id(*words) == "litellm-cloud-outage-lost-requests-96801d"
    assert finding_id(words[0], words[1], ("g: b", "f: a"), words[3]) == finding_id(*words)
    others = {
        finding_id("x", *words[1:]),
        finding_id(words[0], "x", *words[2:]),
        finding_id(*words[:2], ("f",), words[3]),
        finding_id(*words[:3], "x"),
    }
    assert len(others | {finding_id(*words)}) == 5
    assert re.fullmatch(r"[a-z0-9-]+", finding_id("\x1b[31m<b>", "", (), "\u202e"))


# --- the register and the drills


def states(runs: list[RunOfQuarter], *entries: Entry) -> dict[str, FindingState]:
    """What becomes of each finding."""
    return {part.entry.id: part.state for part in assemble(runs, plan(), Register(entries=entries)).findings}


def known(**also: object) -> Entry:
    """The finding of `LATE` that requests were lost, as people keep it."""
    late = assemble([one(1, LATE)], plan(), Register()).findings
    ident = next(part.entry.id for part in late if "lost" in part.entry.id)
    return Entry(**{"id": ident, "what": "requests were lost", **also})  # type: ignore[arg-type]


BORNE = {"status": Status.ACCEPTED, "owner": "Ada Okafor"}
STATES = [
    # what people wrote, drills by day (a failing one says so), what it is
    ({}, {}, FindingState.OPEN),
    ({"due": "2025-12-31"}, {}, FindingState.OVERDUE),
    ({"due": "2026-01-01"}, {}, FindingState.OPEN),  # judged on the first of January, it may still be done that day
    ({"status": Status.FIXED, "fixed_on": "2025-11-10"}, {"2025-11-02": LATE}, FindingState.FIXED_UNPROVED),
    (
        {"status": Status.FIXED, "fixed_on": "2025-11-10"},
        {"2025-11-10": LATE},
        FindingState.REOPENED,
    ),  # before the fix or after it, who knows
    (
        {"status": Status.FIXED, "fixed_on": "2025-11-10"},
        {"2025-11-10": LATE, "2025-11-11": "ppp[xxsss]spp"},
        FindingState.FIXED,
    ),
    ({"status": Status.FIXED, "fixed_on": "2025-11-10"}, {"2025-11-11": "ppp[xxsss]spp"}, FindingState.FIXED),
    ({"status": Status.FIXED, "fixed_on": "2025-11-10"}, {"2025-11-11": LATE}, FindingState.REOPENED),
    (
        {"status": Status.FIXED, "fixed_on": "2025-11-10"},
        {"2025-11-11": LATE, "2025-11-12": "ppp[xxsss]spp"},
        FindingState.REOPENED,
    ),
    ({**BORNE, "until": "2026-12-31"}, {"2025-11-11": LATE}, FindingState.ACCEPTED),
    ({**BORNE, "until": "2025-12-31"}, {}, FindingState.EXPIRED),
    ({"status": Status.WONT_FIX, "due": "2025-01-01"}, {"2025-11-11": LATE}, FindingState.WONT_FIX),
]


@pytest.mark.parametrize(("written", "drills", "state"), STATES)
def test_what_becomes_of_a_finding(written: dict[str, object], drills: dict[str, str], state: FindingState) -> None:
    """People decide, and drills say whether it is so."""
    runs = [one(number, story, day=day) for number, (day, story) in enumerate(drills.items())]
    mine = known(**written)
    assert states(runs, mine)[mine.id] is state


def test_a_finding_is_new_once() -> None:
    """Two drills that fail alike are one finding; one in the register is not new; an invalid drill finds none."""
    runs = [one(1, LATE), one(2, LATE, day="2025-11-20")]
    found = assemble(runs, plan(), Register()).findings
    lost = next(part for part in found if "lost" in part.entry.id)
    assert (lost.entry.first_day, lost.entry.first_seen) == ("2025-11-02", runs[0].name)
    assert (len(lost.failed_runs), lost.last_failed_day) == (2, "2025-11-20")
    assert {part.entry.severity for part in found} == {Severity.UNRATED}
    assert states(runs, *new_entries(found)) == {part.entry.id: FindingState.OPEN for part in found}
    assert states([one(1, "ppppp[sss]ppppp")]) == {}
    assert states([one(1, LATE, day="2025-09-02")]) == {}  # of an earlier quarter
