"""`report.md`: the run for people who read it in a repository, a ticket or a chat. Pure.

Everything from outside is escaped: nothing that a gateway says can become a heading, a link or a tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drills.result import Outage, ProofPart, Result, Verdict
from reports.escape import markdown
from reports.words import avoided, host_tried, proven, recovery, restored, returned, seconds, sentence


def render(result: Result) -> bytes:
    """The whole report."""
    parts = [
        _head(result),
        _switchovers(result),
        _findings(result),
        _phases(result),
        _ledger(result),
        _legs(result),
        _hosts_tried(result),
        _instrument(result),
    ]
    return ("\n\n".join(part for part in parts if part) + "\n").encode()


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines)


def _head(result: Result) -> str:
    lines = [
        f"# {markdown(result.scenario.name)}: {result.verdict.upper()}",
        "",
        f"{markdown(sentence(result), 1000)}.",
        "",
        f"Objective: {markdown(result.scenario.objective, 2000)}",
        "",
        _table(
            ("what", "value"),
            [
                ("gateway", markdown(f"{result.gateway.name} {result.gateway.version}")),
                ("config", f"{markdown(result.gateway.config_file)}, sha256 `{result.gateway.config_sha256}`"),
                ("route", markdown(result.gateway.route)),
                ("scenario", f"{markdown(result.scenario.file)}, sha256 `{result.scenario.sha256}`"),
                ("started", f"{markdown(result.started_at)}, ran {result.duration_s:.1f} s"),
                ("seed", str(result.seed)),
                ("tool", f"failover-drill {markdown(result.tool_version)}"),
            ],
        ),
    ]
    if result.verdict is not Verdict.PASS:
        lines += ["", "Why:", "", *(f"- {markdown(reason)}" for reason in result.reasons)]
    if result.notes:
        lines += ["", "Notes:", "", *(f"- {markdown(note)}" for note in result.notes)]
    return "\n".join(lines)


def _switchovers(result: Result) -> str:
    if not result.switchovers:
        return ""
    rows = [
        (
            markdown(found.fault),
            f"{markdown(found.from_ or 'nobody')} → {markdown(found.to or 'nobody')}",
            seconds(found.switchover_s),
            recovery(found),
            _outage(found.client_outage_s),
            avoided(found),
            seconds(found.detour_p50_s) if found.detour_p50_s is not None else "-",
            f"{found.bad} / {found.slow} / {found.corrupt} of {found.arrivals}",
        )
        for found in result.switchovers
    ]
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
    backs = [
        (
            markdown(back.fault),
            markdown(back.to or "nobody"),
            returned(back),
            f"{back.excess_outage_s:.2f} s",
            f"{back.flaps:.0f} per hour",
            f"{back.bad} / {back.slow}",
        )
        for back in result.failbacks
    ]
    failbacks = _table(("fault", "back to", "failback", "excess outage", "flaps", "bad / slow"), backs)
    missing = [(found.fault, found.reasons) for found in result.switchovers]
    missing += [(back.fault, back.reasons) for back in result.failbacks]
    why = [
        f"- {markdown(fault)}, {markdown(name)}: {markdown(reason)}"
        for fault, reasons in missing
        for name, reason in reasons.items()
    ]
    reasons = "\n".join(["", "", "Where a value is missing:", "", *why]) if why else ""
    return f"## Switchover\n\n{_table(header, rows)}\n\n## Failback\n\n{failbacks}{reasons}"


def _outage(outage: Outage) -> str:
    return f"{outage.point:.2f} s \\[{outage.lower:.2f}, {outage.upper:.2f}\\]"


def _findings(result: Result) -> str:
    lines = ["## Checks", ""]
    lines.append(
        _table(
            ("check", "verdict", "expected", "observed"),
            [
                (
                    markdown(p.name),
                    f"**{p.verdict}**" if p.verdict is not Verdict.PASS else p.verdict.value,
                    markdown(p.expected),
                    markdown(p.observed),
                )
                for p in result.checks
            ],
        )
    )
    for part in result.checks:
        if part.verdict is Verdict.PASS:
            continue
        lines += ["", f"### {markdown(part.name)}: {part.verdict}", ""]
        if part.advice:
            lines += [f"What to do: {markdown(part.advice, 2000)}", ""]
        lines += [f"- {markdown(cited)}" for cited in part.evidence]
    return "\n".join(lines)


def _phases(result: Result) -> str:
    if not result.phases:
        return ""
    rows = [
        (
            markdown(phase.name),
            f"{phase.end_s - phase.start_s:.0f} s",
            markdown(", ".join(phase.faults)) or "none",
            f"{phase.ok} of {phase.due}",
            str(phase.slow),
            markdown(", ".join(f"{leg} {count}" for leg, count in phase.served_by.items())) or "nobody",
            "-" if phase.attempts_per_request is None else f"{phase.attempts_per_request:.2f}",
        )
        for phase in result.phases
    ]
    header = ("phase", "length", "faults", "ok", "slow", "answered by", "attempts per request")
    return f"## Phases\n\n{_table(header, rows)}"


def _ledger(result: Result) -> str:
    attempts, requests = result.attempts, result.requests
    rows = [
        (str(path.requests), markdown(path.outcome), markdown(" → ".join(path.attempts), 1000) or "no attempt was seen")
        for path in result.paths
    ]
    rows.append((f"**{sum(path.requests for path in result.paths)}**", "all", f"{requests.due} requests were due"))
    by_leg = [(markdown(leg), str(count)) for leg, count in attempts.by_leg.items()]
    by_leg.append(("all", f"{sum(attempts.by_leg.values())}"))
    sums = (
        f"{attempts.total} attempts for {requests.due} requests; {attempts.unexplained} attempts unexplained; besides "
        f"them {attempts.probes} by the drill's own probes, {attempts.own_checks} by the gateway's own health checks, "
        f"and {attempts.side_traffic} that were no model calls (tokens and model lists)."
    )
    return "\n\n".join(
        [
            "## Attempt ledger",
            "Each request of a caller, with every attempt that it caused on a leg, joined by the id in its text.",
            _table(("requests", "outcome", "attempts, in order"), rows),
            _table(("leg", "attempts"), by_leg),
            sums,
            _hung(result),
        ]
    )


def _hung(result: Result) -> str:
    hung = [f"{fault.hung_connects} on {', '.join(fault.legs)}" for fault in result.faults if fault.hung_connects]
    seen = markdown("; ".join(hung), 1000) or "none"
    shaken = [f"{fault.handshakes} on {', '.join(fault.legs)}" for fault in result.faults if fault.handshakes]
    said = f" TLS handshakes that met a fault: {markdown('; '.join(shaken), 1000)}." if shaken else ""
    return f"Connects that hung and so carried no request: {seen}.{said} A refused connect leaves no trace at all."


def _legs(result: Result) -> str:
    rows = [
        (
            markdown(leg.name),
            markdown(leg.role or "not in the chain"),
            markdown(leg.provider),
            markdown(leg.model),
            markdown(leg.cloud),
            markdown(leg.region or "-"),
        )
        for leg in result.legs
    ]
    faults = [
        (
            markdown(fault.id),
            markdown(f"{fault.kind} ({fault.shape})" if fault.shape else fault.kind),
            markdown(fault.selector),
            markdown(", ".join(fault.legs) or "the gateway"),
            seconds(fault.effective_s),
            seconds(fault.cleared_s),
            str(fault.touched_requests),
            proven(fault),
            restored(fault),
        )
        for fault in result.faults
    ]
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
    legs = _table(("leg", "role", "provider", "model", "cloud", "region"), rows)
    return f"## Legs\n\n{legs}\n\n## Faults\n\n{_table(header, faults)}{_proofs(result)}"


def _proofs(result: Result) -> str:
    rows = [
        (
            markdown(fault.id),
            markdown(proof.leg),
            markdown(f"{proof.during_saw or 'no probe'}{_hidden(proof)}"),
            seconds(proof.proved_s) if proof.during else "**not proved**" if not proof.hidden_by else "hidden",
            markdown(proof.after_saw or "no probe"),
            seconds(proof.restored_s) if proof.after else "**not proved**",
        )
        for fault in result.faults
        for proof in fault.proof
    ]
    if not rows:
        return ""
    header = (
        "fault",
        "leg",
        "a probe past the gateway met, or the kernel said",
        "proved after",
        "after the fault",
        "restored after",
    )
    return f"\n\n{_table(header, rows)}"


def _hidden(proof: ProofPart) -> str:
    return f", hidden by {', '.join(proof.hidden_by)}" if proof.hidden_by else ""


def _hosts_tried(result: Result) -> str:
    if not result.hosts_tried:
        return ""
    rows = [(markdown(host_tried(part), 300), part.how.value, f"{part.first_s:.2f} s") for part in result.hosts_tried]
    told = "They belong to no leg. Nothing of the gateway's left this machine on the way to them."
    table = _table(("host", "how", "first at"), rows)
    return f"## Hosts that the gateway tried and could not reach\n\n{told}\n\n{table}"


def _instrument(result: Result) -> str:
    load, plane = result.load, result.plane

    def ms(value: float | None) -> str:
        return "unmeasured" if value is None else f"{value:.1f} ms"

    cost = (
        f"adds {ms(plane.added_latency_p50_ms)} to an answer, {ms(plane.added_first_token_p50_ms)} to the first "
        f"token (medians of {plane.samples} pairs)"
    )
    achieved = "-" if load.achieved_per_s is None else f"{load.achieved_per_s:.2f}/s"
    rows = [
        ("arrivals", f"{load.rate_per_s:g}/s asked, {achieved} sent, evenly spaced, open loop"),
        ("send lag", f"p50 {ms(load.send_lag_p50_ms)}, p99 {ms(load.send_lag_p99_ms)}, max {ms(load.send_lag_max_ms)}"),
        ("fault plane", cost),
        ("slow means", f"later than {seconds(result.slow_limit_s)}, first token {seconds(result.slow_token_limit_s)}"),
        *((markdown(name), markdown(value)) for name, value in result.environment.items()),
    ]
    return f"## The instrument\n\n{_table(('what', 'observed'), rows)}"
