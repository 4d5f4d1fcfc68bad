"""The result as lines for a terminal or a log: verdict first. Pure; colours are styles, put on by whoever prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from drills.result import CheckPart, Result, Switchover, Verdict
from reports.escape import plain
from reports.words import (
    avoided,
    host_tried,
    milliseconds,
    on_gateway,
    recovery,
    restored,
    returned,
    seconds,
    sentence,
    way,
)

STYLES = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INVALID: "bold magenta",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.INTERRUPTED: "bold yellow",
    Verdict.UNKNOWN: "bold magenta",
}


class Line(NamedTuple):
    """A line and the style in which a terminal shows it."""

    text: str
    style: str = ""


def render(result: Result, folder: str) -> list[Line]:
    """The whole summary."""
    lines = [
        Line(f"{result.verdict.upper()}: {sentence(result)}", STYLES[result.verdict]),
        Line(
            plain(
                f"{result.scenario.name}, {f'{result.gateway.name} {result.gateway.version}'.strip()}, "
                f"config {result.gateway.config_file}, route {result.gateway.route}, seed {result.seed}"
            )
        ),
        Line(""),
    ]
    lines += _switchovers(result)
    lines += _findings(result)
    lines += _numbers(result)
    lines += _hosts_tried(result)
    lines.append(Line(f"files: {plain(folder)}"))
    return lines


def _switchovers(result: Result) -> list[Line]:
    lines = []
    for found in result.switchovers:
        gateway = on_gateway(result, found.fault)
        lines += [
            Line(f"{'gateway fault' if gateway else 'switchover'} {found.fault}: {way(result, found)}", "bold"),
            *_rows(_while_on(result, found, gateway)),
        ]
    for back in result.failbacks:
        if back.expected:
            lines.append(Line(f"failback {back.fault} to {back.to or 'nobody'}: {returned(back)}", "bold"))
    return [*lines, Line("")] if lines else []


def _while_on(result: Result, found: Switchover, gateway: bool) -> Iterator[tuple[str, str]]:
    outage = found.client_outage_s
    bounds = f"between {outage.lower:.2f} and {outage.upper:.2f}"
    yield "first good answer" if gateway else "first good answer of another leg", seconds(found.switchover_s)
    yield "callers answered well again", recovery(found)
    yield "client outage", f"{outage.point:.2f} s ({bounds}); {found.bad} of {found.arrivals} bad, {found.slow} slow"
    if gateway:
        yield "gateway ready again after", restored(next(part for part in result.faults if part.id == found.fault))
    if not gateway or "holds no leg" not in found.reasons.get("avoidance_s", ""):
        yield "other faults' legs left alone after" if gateway else "faulted leg left alone after", avoided(found)
    if found.detour_p50_s is not None:
        yield "a rescued caller waited", f"{seconds(found.detour_p50_s)} more (median)"


def _rows(pairs: Iterable[tuple[str, str]]) -> list[Line]:
    """Two columns."""
    rows = list(pairs)
    width = max(len(name) for name, _ in rows)
    return [Line(f"  {name:{width}}  {value}") for name, value in rows]


def _findings(result: Result) -> list[Line]:
    lines = []
    for part in result.checks:
        if part.verdict is Verdict.PASS:
            continue
        lines += _finding(part)
    held = [part.name for part in result.checks if part.verdict is Verdict.PASS]
    if held:
        lines.append(Line(f"held: {', '.join(held)}", "green"))
    return [*lines, Line("")]


def _finding(part: CheckPart) -> list[Line]:
    lines = [
        Line(f"{part.verdict}: {part.name}", STYLES[part.verdict]),
        Line(f"  expected  {plain(part.expected)}"),
        Line(f"  observed  {plain(part.observed)}"),
    ]
    lines += [Line(f"  evidence  {plain(cited, 200)}", "dim") for cited in part.evidence[:5]]
    if part.advice:
        lines.append(Line(f"  do        {plain(part.advice, 1000)}", "cyan"))
    return lines


def _numbers(result: Result) -> list[Line]:
    requests, attempts = result.requests, result.attempts
    by_leg = ", ".join(f"{leg} {count}" for leg, count in attempts.by_leg.items())
    lag = f"send lag p99 {milliseconds(result.load.send_lag_p99_ms)}"
    load = lag if result.inferred is None else "requests inferred from the application's own calls"
    added = result.plane.added_latency_p50_ms
    return [
        Line(
            f"requests: {requests.due} due, {requests.ok} ok ({requests.slow} slow), {requests.failed} failed, "
            f"{requests.unknown} unknown, {requests.corrupt} corrupt, {requests.not_started} not started"
        ),
        Line(f"attempts: {attempts.total}, {attempts.per_request:.2f} per request ({by_leg})"),
        Line(f"instrument: {load}, fault plane adds {milliseconds(added)}"),
    ]


_HOSTS_SHOWN = 8


def _hosts_tried(result: Result) -> list[Line]:
    if not result.hosts_tried:
        return []
    names = list(dict.fromkeys(plain(host_tried(part), 80) for part in result.hosts_tried))
    more = f" and {len(names) - _HOSTS_SHOWN} more" if len(names) > _HOSTS_SHOWN else ""
    return [Line(f"tried and not reached: {', '.join(names[:_HOSTS_SHOWN])}{more}", "yellow")]
