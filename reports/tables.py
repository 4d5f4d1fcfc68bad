"""The tables that every report for people shows: text only, nothing escaped yet. Pure.

Whoever prints one escapes each cell in its own way, and makes a `Loud` one catch the eye.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from drills.events import Basis
from drills.result import Outage, ProofPart, Result, Verdict
from reports.words import (
    avoided,
    host_tried,
    milliseconds,
    phase_name,
    proven,
    recovery,
    restored,
    returned,
    seconds,
    shape,
    way,
)

PATHS_SHOWN = 50


class Loud(str):
    """A cell that a reader must not miss."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A header and its rows, of the same length each. left_out: a sentence about rows that are not shown."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], left_out: str = "") -> Table:
    return Table(header, tuple(rows), left_out)


def identity(result: Result) -> Table:
    """What was drilled, with what, and by whom if the run says so."""
    people = [(role, name) for role, name in (*result.people.named, ("change", result.change)) if name]
    return _table(
        ("what", "value"),
        (
            ("gateway", f"{result.gateway.name} {result.gateway.version}".strip()),
            ("config", f"{result.gateway.config_file}, sha256 {result.gateway.config_sha256}"),
            ("route", result.gateway.route),
            ("scenario", f"{result.scenario.file}, sha256 {result.scenario.sha256}"),
            ("started", f"{result.started_at}, ran {result.duration_s:.1f} s"),
            ("seed", str(result.seed)),
            ("tool", f"failover-drill {result.tool_version}"),
            *people,
        ),
    )


def evidence(result: Result) -> Table:
    """What the run rests on, by the hash of its bytes."""
    rows = [("the history that this was computed from", "history.jsonl", result.history_sha256)]
    rows += [("the scenario that was run", result.scenario.file, result.scenario.sha256)]
    rows += [("the config of the gateway, which is not kept", result.gateway.config_file, result.gateway.config_sha256)]
    return _table(("what", "file", "SHA-256"), (row for row in rows if row[2]))


def switchovers(result: Result) -> Table:
    """One row for each fault that became effective."""
    header = (
        "fault",
        "from → to",
        "first success",
        "recovered",
        "client outage",
        "leg avoided",
        "detour",
        "bad / slow / corrupt",
    )
    rows = (
        (
            found.fault,
            way(result, found).replace("->", "→"),
            seconds(found.switchover_s),
            recovery(found),
            _outage(found.client_outage_s),
            avoided(found),
            seconds(found.detour_p50_s) if found.detour_p50_s is not None else "-",
            f"{found.bad} / {found.slow} / {found.corrupt} of {found.arrivals}",
        )
        for found in result.switchovers
    )
    return _table(header, rows)


def failbacks(result: Result) -> Table:
    """One row for each fault that was cleared."""
    rows = (
        (
            back.fault,
            back.to or "nobody",
            returned(back),
            f"{back.excess_outage_s:.2f} s",
            f"{back.flaps:.0f} per hour",
            f"{back.bad} / {back.slow}",
        )
        for back in result.failbacks
    )
    return _table(("fault", "back to", "failback", "excess outage", "flaps", "bad / slow"), rows)


def missing_values(result: Result) -> tuple[str, ...]:
    """Why a value of a switchover or a failback is missing, one sentence each."""
    reasons = [(found.fault, found.reasons) for found in result.switchovers]
    reasons += [(back.fault, back.reasons) for back in result.failbacks]
    return tuple(f"{fault}, {name}: {reason}" for fault, why in reasons for name, reason in why.items())


def _outage(outage: Outage) -> str:
    return f"{outage.point:.2f} s [{outage.lower:.2f}, {outage.upper:.2f}]"


def checks(result: Result) -> Table:
    """Every check."""
    rows = (
        (
            part.name,
            part.verdict.value if part.verdict is Verdict.PASS else Loud(part.verdict.value),
            part.expected,
            part.observed,
        )
        for part in result.checks
    )
    return _table(("check", "verdict", "expected", "observed"), rows)


def phases(result: Result) -> Table:
    """Who answered in each phase."""
    header = ("phase", "length", "faults", "ok", "slow", "answered by", "attempts per request")
    rows = (
        (
            phase_name(phase),
            f"{phase.end_s - phase.start_s:.0f} s",
            ", ".join(phase.faults) or "none",
            f"{phase.ok} of {phase.due}",
            str(phase.slow),
            ", ".join(f"{leg} {count}" for leg, count in phase.served_by.items()) or "nobody",
            "-" if phase.attempts_per_request is None else f"{phase.attempts_per_request:.2f}",
        )
        for phase in result.phases
    )
    return _table(header, rows)


def assumptions(result: Result) -> str:
    """A sentence about phases that rest on no published fact; empty when there are none."""
    weak = [phase_name(phase) for phase in result.phases if phase.basis not in {None, Basis.PUBLISHED}]
    if not weak:
        return ""
    return f"Not all of this scenario was published by those whom it happened to: {', '.join(weak)}."


def paths(result: Result) -> Table:
    """The attempt ledger, grouped: the rows and the sentence about those left out add up to all requests."""
    shown, rest = result.paths[:PATHS_SHOWN], result.paths[PATHS_SHOWN:]
    rows = [(str(path.requests), path.outcome, " → ".join(path.attempts) or "no attempt was seen") for path in shown]
    left_out = ""
    if rest:
        count = sum(path.requests for path in rest)
        rows.append((str(count), "various", f"{len(rest)} more ways"))
        left_out = f"{len(rest)} ways that {count} requests took are not listed; they are in the history."
    rows.append((str(sum(path.requests for path in result.paths)), "all", f"{result.requests.due} requests were due"))
    return _table(("requests", "outcome", "attempts, in order"), rows, left_out)


def attempts(result: Result) -> Table:
    """Attempts on every leg."""
    rows = [(leg, str(count)) for leg, count in result.attempts.by_leg.items()]
    return _table(("leg", "attempts"), [*rows, ("all", str(sum(result.attempts.by_leg.values())))])


def legs(result: Result) -> Table:
    """Every leg, in the order of the chain."""
    rows = (
        (leg.name, leg.role or "not in the chain", leg.provider, leg.model, leg.cloud, leg.region or "-")
        for leg in result.legs
    )
    return _table(("leg", "role", "provider", "model", "cloud", "region"), rows)


def faults(result: Result) -> Table:
    """What became of every fault."""
    header = (
        "fault",
        "kind",
        "selector",
        "legs",
        "effective at",
        "cleared at",
        "requests touched",
        "proved",
        "restored",
    )
    rows = (
        (
            fault.id,
            f"{fault.kind} ({shape(fault)})" if fault.shape else fault.kind,
            fault.selector,
            ", ".join(fault.legs) or "the gateway",
            seconds(fault.effective_s),
            seconds(fault.cleared_s),
            str(fault.touched_requests),
            proven(fault),
            restored(fault),
        )
        for fault in result.faults
    )
    return _table(header, rows)


def proofs(result: Result) -> Table:
    """What probes past the gateway met, leg by leg."""
    header = (
        "fault",
        "leg",
        "a probe past the gateway met, or the kernel said",
        "proved after",
        "after the fault",
        "restored after",
    )
    rows = (
        (
            fault.id,
            proof.leg,
            f"{proof.during_saw or 'no probe'}{_hidden(proof)}",
            seconds(proof.proved_s) if proof.during else Loud("not proved") if not proof.hidden_by else "hidden",
            proof.after_saw or "no probe",
            seconds(proof.restored_s) if proof.after else Loud("not proved"),
        )
        for fault in result.faults
        for proof in fault.proof
    )
    return _table(header, rows)


def _hidden(proof: ProofPart) -> str:
    return f", hidden by {', '.join(proof.hidden_by)}" if proof.hidden_by else ""


def hosts_tried(result: Result) -> Table:
    """Hosts of no leg that the gateway tried to reach, and could not."""
    rows = ((host_tried(part), part.how.value, f"{part.first_s:.2f} s") for part in result.hosts_tried)
    return _table(("host", "how", "first at"), rows)


def instrument(result: Result) -> Table:
    """The instrument, as it observed itself."""
    load, plane = result.load, result.plane
    achieved = "-" if load.achieved_per_s is None else f"{load.achieved_per_s:.2f}/s"
    token_ms = milliseconds(plane.added_first_token_p50_ms)
    added = f"{milliseconds(plane.added_latency_p50_ms)} to an answer, {token_ms} to the first token"
    lag = f"p50 {milliseconds(load.send_lag_p50_ms)}, p99 {milliseconds(load.send_lag_p99_ms)}"
    arrivals = (
        ("arrivals", f"{load.rate_per_s:g}/s asked, {achieved} sent, evenly spaced, open loop"),
        ("send lag", f"{lag}, max {milliseconds(load.send_lag_max_ms)}"),
    )
    rows = (
        *(_own_calls(result, achieved) if result.inferred is not None else arrivals),
        ("fault plane", f"adds {added} (medians of {plane.samples} pairs)"),
        ("slow means", f"later than {seconds(result.slow_limit_s)}, first token {seconds(result.slow_token_limit_s)}"),
    )
    return _table(("what", "observed"), rows)


def _own_calls(result: Result, achieved: str) -> Iterator[tuple[str, str]]:
    """The instrument, where an application makes the requests."""
    own = result.inferred
    if own is not None:
        yield "requests", f"{achieved}, inferred from the application's own calls"
        yield "not among them", f"{own.warm_up} calls before the timeline, {own.cut} requests that its end cut off"
        yield "with a repeated text", f"{own.repeated}; these are told apart to the application's disadvantage"
    health = result.health
    if health is not None:
        yield "health URL", f"{health.failed} of {health.polls} polls failed, outage {_outage(health.outage_s)}"


def environment(result: Result) -> Table:
    """Where it ran."""
    return _table(("what", "value"), tuple(result.environment.items()))
