"""Who answers for a run: by its scenario, by its flags before that; said in its reports and in those of the quarter."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from calibration.story import history
from drilling import drill
from quarters import one, plan

from drills.events import AnyEvent, RunStarted
from drills.people import People, with_flags
from drills.problems import UsageProblem
from drills.quarter import assemble
from drills.quarter.register import Register
from drills.result import decode, encode
from drills.scenariofile import parse
from drills.shelf import load
from drills.verdict import judged
from reports import html, markdown, quarter_md

SAID = People(owner="Ada", operator="Lin", reviewer="Sam")


def test_a_scenario_says_who_and_why() -> None:
    """Both keys are optional."""
    text = load("primary-down").text
    assert (load("primary-down").people.named, load("primary-down").change) == ((), None)
    found = parse(f"{text}\npeople: {{owner: Ada, reviewer: Sam}}\nchange: OPS-1\n", "one.yaml")
    assert found.people.named == (("owner", "Ada"), ("reviewer", "Sam"))
    assert found.change == "OPS-1"


def test_flags_go_before_the_scenario() -> None:
    """Each for itself; what is not given stays what the scenario says."""
    assert with_flags(SAID, "OPS-1", {"operator": "Kim"}) == (
        People(owner="Ada", operator="Kim", reviewer="Sam"),
        "OPS-1",
    )
    assert with_flags(People(), None, {"change": "OPS-2", "reviewer": None}) == (People(), "OPS-2")
    with pytest.raises(UsageProblem) as caught:
        with_flags(SAID, None, {"operator": "", "reviewer": "a\nb", "change": "x" * 201})
    assert [problem.what.split(" ")[0] for problem in caught.value.problems] == ["--operator", "--reviewer", "--change"]


def test_a_flag_that_is_no_line_is_said_before_anything_starts(tmp_path: Path) -> None:
    """One line each, and no folder."""
    done = drill("run", "primary-down", "--operator", "", "--change", "a\nb", cwd=tmp_path)
    lines = done.err.strip().splitlines()
    assert (done.code, len(lines)) == (2, 2)
    assert "--operator '': write one line of text, at most 200 characters" in lines[0]
    assert "--change 'a\\nb': write one line of text" in lines[1]
    assert list(tmp_path.iterdir()) == []


def said(people: People, change: str | None) -> tuple[AnyEvent, ...]:
    """A history with these in its head."""
    first, *rest = history("ppp[xxsss]spp")
    assert isinstance(first, RunStarted)
    return (msgspec.structs.replace(first, people=people, change=change), *rest)


def test_the_reports_of_a_run_say_it() -> None:
    """In the result, and in a row each; nothing where nobody is named."""
    run = judged(said(SAID, "OPS-1"), "told")
    assert (run.result.people, run.result.change) == (SAID, "OPS-1")
    assert decode(encode(run.result)).people == SAID
    page, text = html.FORMAT.render(run).decode(), markdown.FORMAT.render(run).decode()
    for name in ("Ada", "Lin", "Sam", "OPS-1"):
        assert f">{name}<" in page
        assert name.replace("-", "\\-") in text or name in text
    bare = html.FORMAT.render(judged(said(People(), None), "told")).decode()
    assert ">reviewer<" not in bare
    assert ">reviewer<" in page


def test_the_quarter_lists_it_for_each_run_that_has_any() -> None:
    """The plan's people stay those of the quarter."""
    first, second = one(1), one(2)
    assert first.result is not None
    named = msgspec.structs.replace(first.result, people=SAID, change="OPS-1")
    runs = [type(first)(first.name, first.started_at, first.history_sha256, named, first.head), second]
    found = assemble(runs, plan(people=People(owner="Nobody else")), Register())
    assert [(row.people, row.change) for row in found.runs] == [(SAID, "OPS-1"), (People(), None)]
    page = quarter_md.render(found).decode()
    (row,) = [line for line in page.splitlines() if "Ada" in line]
    assert all(name in row.replace("\\", "") for name in (first.name, "Ada", "Lin", "Sam", "OPS-1"))
    assert "owner: Nobody else" in page
