"""What the chain knows of the runs that were pruned, so that none of them goes from a report without a word. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from drills.chain import CHANGED, Chain, Kind, Link
from drills.moments import moment
from drills.quarter.dates import QUARTERS, Quarter, quarter_of
from drills.quarter.sealed import MISSING, Pruned

_FOLDER_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")


@dataclass(frozen=True)
class There:
    """Runs by name that are there in some form, and those of them that are whole, as they were sealed."""

    names: Collection[str]
    whole: Collection[str]


def pruned(known: Chain, up_to: int, there: There, quarter: Quarter) -> tuple[Pruned, ...]:
    """The runs of a quarter and the three before it that are there no more, oldest first, and those whose day nobody
    can say. up_to: the last line of the chain that is read.
    """
    standing = {link.line.subject: link for link in known.links if link.number <= up_to and link.line.kind in _ENDS}
    sealed = _sealed_at(known)
    gone = [
        _pruned(link, sealed)
        for name, link in standing.items()
        if (link.line.kind is Kind.PRUNED and name not in there.whole)
        or (link.line.kind is Kind.SEALED and name not in there.names)
    ]
    gone += [_pruned(link, sealed) for link in _replaced(known, up_to)]
    return tuple(sorted((one for one in gone if _within(one.started_at, quarter)), key=lambda one: (one.at, one.run)))


def left_out(known: Chain, up_to: int, listed: Collection[str], quarter: Quarter) -> Iterator[Pruned]:
    """Runs that were sealed when a report was made, that it does not list, and that were pruned after it."""
    sealed = {one.line.subject for one in known.links if one.number <= up_to and one.line.kind is Kind.SEALED}
    before = {one.line.subject for one in known.links if one.number <= up_to and one.line.kind is Kind.PRUNED}
    dates = _sealed_at(known)
    for link in known.links:
        one = _pruned(link, dates)
        new = link.number > up_to and link.line.kind is Kind.PRUNED and one.run in sealed - before
        if new and one.run not in listed and moment(one.started_at) is not None and _within(one.started_at, quarter):
            yield one


def _replaced(known: Chain, up_to: int) -> Iterator[Link]:
    """The removals behind which a run of that name was sealed with another manifest. It may be the same drill, brought
    back from elsewhere; then it speaks for itself, and the line of its removal says nothing else. It may be another.
    """
    before: dict[str, Link] = {}
    for link in known.links:
        if link.number > up_to or link.line.kind not in _ENDS:
            continue
        last = before.get(link.line.subject)
        if last is not None and last.line.kind is Kind.PRUNED and last.line.sha256 != link.line.sha256:
            yield last
        before[link.line.subject] = link


_ENDS = {Kind.SEALED, Kind.PRUNED}


def _sealed_at(known: Chain) -> dict[str, str]:
    return {name: link.line.at for name, link in known.last(Kind.SEALED).items()}


def _pruned(link: Link, sealed: Mapping[str, str]) -> Pruned:
    """What a line tells of a run that is gone. sealed: by run, when it was sealed.

    What a run said of itself when it was pruned is believed only of one that was still what had been sealed: a date or
    a scenario that somebody wrote into it would take it out of its quarter, or let another drill put it right.
    """
    line = link.line
    missing = line.kind is Kind.SEALED
    said = None if missing or line.about == CHANGED else line.removed
    return Pruned(
        run=line.subject,
        at=line.at,
        verdict=MISSING if missing else line.about,
        was_sealed=bool(line.sha256),
        started_at=said.started_at if said is not None else dated(line.subject) or sealed.get(line.subject, ""),
        scenario=said.scenario if said is not None else "",
        gateway=said.gateway if said is not None else "",
        config_sha256=said.config_sha256 if said is not None else "",
        entry_model=said.entry_model if said is not None else "",
    )


def dated(name: str) -> str:
    """When a run began, by the name of its folder; empty when that does not say it."""
    found = _FOLDER_DATE.match(name)
    return "{}-{}-{}T{}:{}:{}+00:00".format(*found.groups()) if found else ""


def _within(started_at: str, quarter: Quarter) -> bool:
    started = moment(started_at)
    return started is None or quarter.after(1 - QUARTERS) <= quarter_of(started.date()) <= quarter
