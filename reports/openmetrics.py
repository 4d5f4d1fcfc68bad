"""`metrics.txt`: the run's numbers as OpenMetrics text, for a dashboard. Pure.

Every metric is a gauge, so that a collector of Prometheus text files reads it as well. What was never reached (no
recovery, no failback) has no sample: a made-up number would be averaged. `..._recovered` and `..._failed_back` say 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from drills.result import Result, Verdict
from reports.base import Format, of_result
from reports.escape import plain

_PREFIX = "failover_drill_"


class _Sample(NamedTuple):
    labels: tuple[tuple[str, str], ...]
    value: float


class _Family(NamedTuple):
    """A metric and its samples. unit: also the end of its name; empty for none."""

    name: str
    unit: str
    about: str
    samples: tuple[_Sample, ...]


def render(result: Result) -> bytes:
    """The whole file. All samples are labelled with the scenario and the gateway."""
    common = (("scenario", result.scenario.name), ("gateway", result.gateway.name))
    lines: list[str] = []
    for family in (*_about(result), *_times(result), *_counts(result), *_instrument(result)):
        if family.samples:
            lines += _written(family, common)
    return ("\n".join([*lines, "# EOF"]) + "\n").encode()


FORMAT = Format(
    name="openmetrics", file="metrics.txt", about="OpenMetrics text, for a dashboard", render=of_result(render)
)


def _written(family: _Family, common: tuple[tuple[str, str], ...]) -> Iterator[str]:
    name = f"{_PREFIX}{family.name}{f'_{family.unit}' if family.unit else ''}"
    yield f"# TYPE {name} gauge"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {family.about}"
    for labels, value in family.samples:
        said = ",".join(f'{key}="{_label(text)}"' for key, text in (*common, *labels))
        yield f"{name}{{{said}}} {value!r}"


def _label(text: str) -> str:
    return plain(text, 200).replace("\\", r"\\").replace('"', r"\"")


def _one(name: str, unit: str, about: str, value: float | None) -> _Family:
    return _Family(name, unit, about, () if value is None else (_Sample((), float(value)),))


def _by(name: str, unit: str, about: str, samples: Iterable[tuple[tuple[str, str] | None, float | None]]) -> _Family:
    found = tuple(_Sample((label,) if label else (), float(value)) for label, value in samples if value is not None)
    return _Family(name, unit, about, found)


def _about(result: Result) -> Iterator[_Family]:
    verdicts = (verdict for verdict in Verdict if verdict is not Verdict.UNKNOWN)
    yield _by(
        "verdict",
        "",
        "1 for the verdict of the drill, 0 for the others.",
        ((("verdict", verdict.value), verdict is result.verdict) for verdict in verdicts),
    )
    labels = (
        ("gateway_version", result.gateway.version),
        ("config_sha256", result.gateway.config_sha256),
        ("scenario_sha256", result.scenario.sha256),
        ("tool_version", result.tool_version),
    )
    yield _Family("about", "", "What was drilled; always 1.", (_Sample(labels, 1.0),))
    yield _one("started", "seconds", "When it was started, in Unix time.", _unix(result.started_at))
    yield _one("duration", "seconds", "How long it ran.", result.duration_s)
    yield _by(
        "check_held",
        "",
        "1 for a check that held, 0 for one that did not.",
        ((("check", part.name), part.verdict is Verdict.PASS) for part in result.checks),
    )


def _unix(started_at: str) -> float | None:
    try:
        return datetime.fromisoformat(started_at).timestamp()
    except ValueError:
        return None  # not a time: the metric is left out


def _times(result: Result) -> Iterator[_Family]:
    found, backs = result.switchovers, result.failbacks
    yield _by(
        "switchover",
        "seconds",
        "From the fault to the first good answer of another leg.",
        ((("fault", one.fault), one.switchover_s) for one in found),
    )
    yield _by(
        "recovery",
        "seconds",
        "From the fault to when callers were answered well again, at the latest.",
        ((("fault", one.fault), one.recovery_s) for one in found),
    )
    yield _by(
        "recovery_resolution",
        "seconds",
        "How much sooner callers may have been answered well.",
        ((("fault", one.fault), one.resolution_s) for one in found),
    )
    yield _by(
        "recovered",
        "",
        "Whether callers were answered well again while the fault was on.",
        ((("fault", one.fault), one.recovery_s is not None) for one in found),
    )
    outages = tuple(
        _Sample((("fault", one.fault), ("bound", bound)), getattr(one.client_outage_s, bound))
        for one in found
        for bound in ("lower", "point", "upper")
    )
    yield _Family("client_outage", "seconds", "How long callers were without good answers.", outages)
    yield _by(
        "detour_median",
        "seconds",
        "How much longer a rescued caller waited.",
        ((("fault", one.fault), one.detour_p50_s) for one in found),
    )
    yield _by(
        "failback",
        "seconds",
        "From the end of the fault to the first good answer of the leg that serves first.",
        ((("fault", one.fault), one.failback_s) for one in backs),
    )
    yield _by(
        "failed_back",
        "",
        "Whether the leg that serves first answered again, where it was away.",
        ((("fault", one.fault), one.failback_s is not None) for one in backs if one.expected),
    )
    yield _by(
        "excess_outage",
        "seconds",
        "Client outage after the fault was cleared.",
        ((("fault", one.fault), one.excess_outage_s) for one in backs),
    )


def _counts(result: Result) -> Iterator[_Family]:
    requests, attempts = result.requests, result.attempts
    outcomes = ("ok", "failed", "unknown", "corrupt", "not_started")
    yield _by(
        "requests",
        "",
        "Requests of the callers, by outcome.",
        ((("outcome", outcome), getattr(requests, outcome)) for outcome in outcomes),
    )
    yield _one("slow_requests", "", "Good answers that came too late; they count as ok.", requests.slow)
    yield _one("broken_streams", "", "Streams that a fault broke; they count as failed.", requests.broken_streams)
    yield _by(
        "attempts",
        "",
        "Attempts of the gateway, by leg.",
        ((("leg", leg), count) for leg, count in attempts.by_leg.items()),
    )


def _instrument(result: Result) -> Iterator[_Family]:
    lag, added = result.load.send_lag_p99_ms, result.plane.added_latency_p50_ms
    yield _one("send_lag_p99", "seconds", "How late requests were sent.", None if lag is None else lag / 1000)
    yield _one(
        "plane_added_median",
        "seconds",
        "What the fault plane adds to an answer.",
        None if added is None else added / 1000,
    )
