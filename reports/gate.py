"""The result of a gate for people: on the terminal, in a pull request, and as annotations of GitHub. Pure.

Verdict first, then a sentence for each change, then one table. Names come from configs and gateways: all are escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from drills.gate.result import FindingPart, GateResult, PlacePart, SidePart
from drills.gate.trials import Outcome
from reports.escape import COMMAND, plain
from reports.escape import markdown as escaped

_RUNS_AT_MOST = 40
_CHANGES_AT_MOST = 30
_LONGEST = 900
UNUSABLE = "unusable"
_RED = {Outcome.WORSE, Outcome.FAILS}
_ORDER = (Outcome.WORSE, Outcome.FAILS, Outcome.INCONCLUSIVE, Outcome.BETTER, Outcome.SAME, Outcome.NOT_RUN)


def verdict(result: GateResult) -> str:
    """The one word."""
    return UNUSABLE if result.outcome is None else result.outcome.value


def text(result: GateResult) -> str:
    """For a terminal or a log."""
    lines = [f"{verdict(result).upper()}: {result.said}", *(f"  {line}" for line in _sides(result)), ""]
    lines += [f"problem: {_at(place)}{what}" for what, place in _problems(result)]
    lines += [f"change: {_at(change.place)}{change.said}" for change in result.changes]
    lines += [f"{part.outcome}: {part.name}: {part.said}" for part in _findings(result)]
    lines += [f"note: {note}" for note in result.notes]
    lines += [f"runs: {result.results}, seed {result.seed}, {result.took_s:.0f} s"]
    return "\n".join(plain(line, _LONGEST) for line in lines)


def markdown(result: GateResult) -> bytes:
    """For a pull request or a step summary: some twenty lines."""
    lines = [f"### Failover gate: {verdict(result).upper()}", "", f"{escaped(result.said, _LONGEST)}."]
    lines += ["", *(f"- **problem**{_code(place)}{escaped(what, _LONGEST)}" for what, place in _problems(result))]
    for change in result.changes[:_CHANGES_AT_MOST]:
        what, effect = change.what, change.said.removeprefix(change.what)
        said = escaped(effect.lstrip(": "), _LONGEST)
        lines.append(f"- **{escaped(what, 300)}**{_code(change.place)}{said}".rstrip(": "))
    if (more := len(result.changes) - _CHANGES_AT_MOST) > 0:
        lines.append(f"- and {more} more changes")
    if not result.changes:
        lines += [f"- {escaped(part.said, _LONGEST)}" for part in _findings(result) if part.outcome in _RED]
    lines += ["", *_table(result)]
    lines += ["", *(f"- {escaped(note, _LONGEST)}" for note in result.notes)]
    lines += ["", *_details(result)]
    return (_without_gaps(lines) + "\n").encode()


def github(result: GateResult, root: PurePath) -> list[str]:
    """Workflow commands of GitHub: one for each change with an effect, finding and problem that is red or unclear.

    root: of the repository; a file outside it is not named, because GitHub could not show it.
    """
    title = "The config cannot be drilled"
    found = [_annotation("error", place, root, title, what) for what, place in _problems(result)]
    effects = {part.scenario: part.outcome for part in result.findings}
    for change in result.changes:
        outcomes = {effects[name] for name in change.effects if name in effects}
        if level := _level(outcomes):
            found.append(_annotation(level, change.place, root, "Failover gate", change.said))
    found += [
        _annotation(level, part.place, root, f"Failover: {part.name}", part.said)
        for part in _findings(result)
        if (level := _level({part.outcome}))
    ]
    return found


def _level(outcomes: set[Outcome]) -> str:
    if outcomes & _RED:
        return "error"
    return "warning" if Outcome.INCONCLUSIVE in outcomes else ""


def _annotation(level: str, place: PlacePart | None, root: PurePath, title: str, said: str) -> str:
    """Source of the escapes: GitHub's `@actions/core`, `command.ts`."""
    properties = []
    if place is not None and (file := _inside(place.file, root)):
        properties.append(f"file={_property(file)}")
        properties += [f"line={place.line}"] if place.line else []
    properties.append(f"title={_property(plain(title, 120))}")
    return f"::{level} {','.join(properties)}::{_data(plain(said, _LONGEST))}"


def _inside(file: str, root: PurePath) -> str:
    """A path as the repository has it; empty for one outside of it, and for one that a log would take for a command."""
    if COMMAND in file:
        return ""
    path = PurePath(file)
    if path.is_absolute():
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
    return "" if ".." in path.parts else path.as_posix()


def _data(said: str) -> str:
    return said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(said: str) -> str:
    return _data(said).replace(":", "%3A").replace(",", "%2C")


def _problems(result: GateResult) -> Iterator[tuple[str, PlacePart | None]]:
    return zip(result.problems, result.problem_places, strict=True)


def _findings(result: GateResult) -> list[FindingPart]:
    """The reddest first."""
    return sorted(result.findings, key=lambda part: _ORDER.index(part.outcome))


def _sides(result: GateResult) -> Iterator[str]:
    if result.base is not None:
        yield f"base: {_side(result.base)}"
    yield f"head: {_side(result.head)}"


def _side(part: SidePart) -> str:
    if part.stored:
        return f"results in {part.config}"
    return f"{part.config} ({f'{part.gateway} {part.version}'.strip()})"


def _at(place: PlacePart | None) -> str:
    if place is None:
        return ""
    return f"{place.file}:{place.line}: " if place.line else f"{place.file}: "


def _code(place: PlacePart | None) -> str:
    return f" ({escaped(_at(place).rstrip(': '), 200)}): " if place is not None else ": "


def _table(result: GateResult) -> Iterator[str]:
    if not result.findings:
        return
    yield "| scenario | | callers answered well again: base | head | times as long (95 %) | runs: base | head |"
    yield "|---|---|---|---|---|---|---|"
    for part in _findings(result):
        cells = (part.name, f"{part.outcome}", *_times(part), part.base or "-", part.head or "-")
        yield f"| {' | '.join(escaped(cell, 120) for cell in cells)} |"


def _times(part: FindingPart) -> tuple[str, str, str]:
    found = part.times
    if found is None:
        return ("-", "-", "-")
    base, head = ("never" if s is None else f"{s:.2f} s" for s in (found.base_median_s, found.head_median_s))
    if not found.counted or found.ratio is None:
        return (base, head, "not judged")
    spread = "" if found.low is None or found.high is None else f" ({found.low:.2f} to {found.high:.2f})"
    return (base, head, f"{found.ratio:.2f}{spread}")


def _details(result: GateResult) -> Iterator[str]:
    if result.findings:
        yield "<details><summary>What each scenario came to, and its runs</summary>"
        yield ""
        for part in _findings(result):
            yield f"- {escaped(part.name, 120)}: {escaped(part.said, _LONGEST)}"
            for side, folders in (("base", part.runs_base), ("head", part.runs_head)):
                names = ", ".join(PurePath(folder).name for folder in folders[:_RUNS_AT_MOST])
                if names:
                    yield f"  - {side}: {escaped(names, _LONGEST)}"
        yield ""
        yield "</details>"
        yield ""
    told = "; ".join(_sides(result))
    yield f"{escaped(told, _LONGEST)}; seed {result.seed}; {result.took_s:.0f} s of {result.budget_s:g} s."


def _without_gaps(lines: list[str]) -> str:
    """One empty line between paragraphs, none at the end."""
    kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
    return "\n".join(kept).rstrip("\n")
